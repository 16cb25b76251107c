//! Formats of files: the announced format by the name, and the actual format by the content.

use std::io::Cursor;

use serde::{Deserialize, Serialize};
use zip::ZipArchive;

use super::encoding;
use crate::text::Language;

/// Format of an uploaded file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileFormat {
    /// PDF.
    Pdf,
    /// Word document.
    Docx,
    /// Excel workbook.
    Xlsx,
    /// Values separated by commas, semicolons, tabs or bars.
    Csv,
    /// Plain text.
    Text,
    /// Markdown.
    Markdown,
    /// HTML.
    Html,
}

impl std::fmt::Display for FileFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A kind of file that is refused by its name, with the format in which it may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnreadableKind {
    /// File name extension of the format in which to save the file.
    save_as: &'static str,
}

impl UnreadableKind {
    /// Returns the advice: in French, or in English for any other language.
    #[must_use]
    pub fn advice(self, language: Language) -> String {
        let format = self.save_as;
        match language {
            Language::French => {
                format!("ce type de fichier n'est pas lu : enregistrez-le au format .{format} et renvoyez-le")
            }
            _ => format!("files of this kind are not read: save it as .{format} and upload that"),
        }
    }
}

/// Extensions of known kinds of files that are not read, and the format in which their programs save them, too.
const UNREADABLE: &[(&str, &str)] = &[
    ("doc", "docx"),
    ("docm", "docx"),
    ("dot", "docx"),
    ("dotm", "docx"),
    ("dotx", "docx"),
    ("odt", "docx"),
    ("pages", "docx"),
    ("rtf", "docx"),
    ("xls", "xlsx"),
    ("xlsb", "xlsx"),
    ("xlsm", "xlsx"),
    ("xlt", "xlsx"),
    ("xltm", "xlsx"),
    ("xltx", "xlsx"),
    ("ods", "xlsx"),
    ("numbers", "xlsx"),
    ("ppt", "pdf"),
    ("pptx", "pdf"),
    ("pptm", "pdf"),
    ("odp", "pdf"),
    ("key", "pdf"),
    ("jpg", "pdf"),
    ("jpeg", "pdf"),
    ("png", "pdf"),
    ("heic", "pdf"),
    ("tif", "pdf"),
    ("tiff", "pdf"),
];

impl FileFormat {
    /// All formats, with their file name extensions and content types. The first extension is the usual one.
    const ALL: [(Self, &'static [&'static str], &'static str); 7] = [
        (Self::Pdf, &["pdf"], "application/pdf"),
        (Self::Docx, &["docx"], "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        (Self::Xlsx, &["xlsx"], "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        (Self::Csv, &["csv", "tsv"], "text/csv"),
        (Self::Text, &["txt", "text"], "text/plain"),
        (Self::Markdown, &["md", "markdown"], "text/markdown"),
        (Self::Html, &["html", "htm", "xhtml"], "text/html"),
    ];

    /// Returns the format that a file's name says. A name without a known extension may be that of a PDF.
    ///
    /// # Errors
    /// Returns the advice for kinds of files that are not read.
    pub fn of_filename(filename: &str) -> Result<Self, UnreadableKind> {
        let extension = filename.trim_end().rsplit_once('.').map_or("", |(_, extension)| extension).to_lowercase();
        if let Some((_, save_as)) = UNREADABLE.iter().find(|(known, _)| *known == extension) {
            return Err(UnreadableKind { save_as });
        }
        let named = Self::ALL.iter().find(|(_, extensions, _)| extensions.contains(&extension.as_str()));
        Ok(named.map_or(Self::Pdf, |(format, ..)| *format))
    }

    /// Returns the name under which the format is stored: its usual file name extension.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Docx => "docx",
            Self::Xlsx => "xlsx",
            Self::Csv => "csv",
            Self::Text => "txt",
            Self::Markdown => "md",
            Self::Html => "html",
        }
    }

    /// Returns the format that is stored under this name; `None` for an unknown name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().map(|(format, ..)| *format).find(|format| format.as_str() == name)
    }

    /// Returns the content type of files of the format.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        Self::ALL.iter().find(|(format, ..)| *format == self).map_or("application/octet-stream", |(.., kind)| kind)
    }

    /// Returns true for formats whose files are plain text.
    fn is_text(self) -> bool {
        matches!(self, Self::Csv | Self::Text | Self::Markdown | Self::Html)
    }
}

/// Signature of a ZIP archive, of which Word documents and Excel workbooks are made.
const ZIP: &[u8] = b"PK\x03\x04";
/// Signature of an OLE compound file: an office file with a password, or of a format before 2007.
const OLE: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";
/// Signature of a PDF file, and the number of bytes within which it begins.
const PDF: (&[u8], usize) = (b"%PDF-", 1024);

/// Returns the format of a file's content; `None` when it is none of the known ones. Text says little of its format:
/// where it may be `named`, it is. The directory of an archive is read, and none of its files.
#[must_use]
pub fn detect(bytes: &[u8], named: FileFormat) -> Option<FileFormat> {
    let beginning = &bytes[..bytes.len().min(PDF.1)];
    if bytes.starts_with(ZIP) {
        let archive = ZipArchive::new(Cursor::new(bytes)).ok()?;
        let has =
            |folder: &str| archive.file_names().flatten().any(|name| name.trim_start_matches('/').starts_with(folder));
        return match (has("word/"), has("xl/")) {
            (true, _) => Some(FileFormat::Docx),
            (false, true) => Some(FileFormat::Xlsx),
            (false, false) => None,
        };
    }
    if bytes.starts_with(OLE) {
        return None;
    }
    // A text may be about PDF files, but it does not begin as one.
    let is_pdf = match named {
        FileFormat::Pdf => beginning.windows(PDF.0.len()).any(|window| window == PDF.0),
        _ => bytes.starts_with(PDF.0),
    };
    if is_pdf {
        return Some(FileFormat::Pdf);
    }
    match named {
        named if named.is_text() => encoding::is_text(bytes).then_some(named),
        _ if encoding::is_text(bytes) && looks_like_html(beginning) => Some(FileFormat::Html),
        _ => None,
    }
}

fn looks_like_html(beginning: &[u8]) -> bool {
    let text =
        String::from_utf8_lossy(beginning).trim_start_matches(['\u{feff}', ' ', '\r', '\n', '\t']).to_lowercase();
    ["<!doctype html", "<html"].iter().any(|sign| text.starts_with(sign))
}

/// Returns true for an office file that is locked by a password: Office puts the encrypted package into an OLE file.
#[must_use]
pub(super) fn is_encrypted_office(bytes: &[u8]) -> bool {
    // Names in an OLE file are in UTF-16.
    let name: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
    bytes.starts_with(OLE) && bytes.windows(name.len()).any(|window| window == name)
}

/// Returns true for a file that begins as its name says and then cannot be opened, such as half of an upload.
#[must_use]
pub(super) fn is_damaged(bytes: &[u8], named: FileFormat) -> bool {
    match named {
        FileFormat::Docx | FileFormat::Xlsx => {
            bytes.is_empty() || bytes.starts_with(ZIP) && ZipArchive::new(Cursor::new(bytes)).is_err()
        }
        _ => bytes.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_the_format() {
        for (name, format) in [
            ("guide.pdf", FileFormat::Pdf),
            ("guide", FileFormat::Pdf),
            ("guide.v2", FileFormat::Pdf),
            ("Tarifs.XLSX", FileFormat::Xlsx),
            ("tarifs.xlsx.csv", FileFormat::Csv),
            ("notes.txt ", FileFormat::Text),
            ("README.md", FileFormat::Markdown),
            ("page.htm", FileFormat::Html),
            ("lettre.docx", FileFormat::Docx),
        ] {
            assert_eq!(FileFormat::of_filename(name), Ok(format), "{name}");
        }
        let refused = FileFormat::of_filename("Tarifs.xlsm").unwrap_err();
        assert_eq!(
            refused.advice(Language::English),
            "files of this kind are not read: save it as .xlsx and upload that"
        );
        assert!(FileFormat::of_filename("lettre.DOC").unwrap_err().advice(Language::French).contains(".docx"));
    }

    #[test]
    fn every_format_is_stored_under_its_own_name() {
        for (format, extensions, content_type) in FileFormat::ALL {
            assert_eq!(FileFormat::from_name(format.as_str()), Some(format));
            assert_eq!(serde_json::from_value::<FileFormat>(serde_json::to_value(format).unwrap()).unwrap(), format);
            assert_eq!((extensions[0], format.content_type()), (format.as_str(), content_type));
        }
        assert_eq!(FileFormat::from_name("exe"), None);
    }

    #[test]
    fn the_content_says_what_a_file_is() {
        assert_eq!(detect(b"%PDF-1.7 ...", FileFormat::Pdf), Some(FileFormat::Pdf));
        assert_eq!(detect(b"junk %PDF-1.7", FileFormat::Pdf), Some(FileFormat::Pdf));
        assert_eq!(detect(b"%PDF-1.7 ...", FileFormat::Text), Some(FileFormat::Pdf));
        assert_eq!(detect(b"about %PDF-", FileFormat::Text), Some(FileFormat::Text));
        assert_eq!(detect(b"<!DOCTYPE html><p>x", FileFormat::Pdf), Some(FileFormat::Html));
        assert_eq!(detect(b"PK\x03\x04 cut", FileFormat::Docx), None);
        assert_eq!(detect(b"\x00\x01\x02\x03\xff\x00", FileFormat::Text), None);
        assert_eq!(detect(b"a;b\n1;2", FileFormat::Csv), Some(FileFormat::Csv));
    }
}
