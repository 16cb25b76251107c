//! Extracts the text of PDF files page by page, and renders images of pages without text. pdfium runs in a child
//! process under resource limits, since its C++ code aborts on some uploaded files.

use crate::text;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

mod child;
mod guard;
mod layout;
mod page_count;
mod parent;
mod rendering;

pub use child::{SUBCOMMAND, child_main};
pub use parent::Extractor;

/// Maximum number of pages of a document.
pub const MAX_PAGES: u32 = 200;

/// Signature at the start of a PDF file.
const HEADER: &[u8] = b"%PDF-";
/// Number of bytes at the start of a file within which [`HEADER`] must occur. PDF readers use this limit, too.
const MAX_HEADER_OFFSET_BYTES: usize = 1024;

/// Returns true when the header of a PDF occurs within the first 1,024 bytes. PDF readers accept bytes before this
/// header, and real files have them.
#[must_use]
pub fn is_pdf(bytes: &[u8]) -> bool {
    bytes[..bytes.len().min(MAX_HEADER_OFFSET_BYTES)].windows(HEADER.len()).any(|window| window == HEADER)
}

/// Resource limits for one document. Exceeding a limit ends the child process and fails the document.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct PdfLimits {
    /// Address space of the child process, including program and library, in bytes.
    pub memory_bytes: u64,
    /// Wall-clock time from the start of the child process to its last page.
    pub wall_time: Duration,
    /// CPU time of the child process, in whole seconds.
    pub cpu_time: Duration,
    /// Maximum number of pages.
    pub max_pages: u32,
    /// Maximum output of the child process, in bytes: the document's text as JSON lines.
    pub max_output_bytes: u64,
}

impl Default for PdfLimits {
    fn default() -> Self {
        Self {
            memory_bytes: 512 * 1024 * 1024,
            wall_time: Duration::from_secs(55),
            cpu_time: Duration::from_secs(30),
            max_pages: MAX_PAGES,
            max_output_bytes: 32 * 1024 * 1024,
        }
    }
}

/// Cleaned text of one page; empty when the page has none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageText {
    /// Page number, from 1.
    pub number: u32,
    /// Text of the page.
    pub text: String,
}

/// Extracted pages of a document, in page order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtractedPages {
    pages: Vec<PageText>,
    scans: Vec<u32>,
}

/// Number of letters and digits below which a text counts as empty: page numbers and stamps on scanned pages answer
/// no question.
const MIN_TEXT_LETTERS: usize = 4;

/// Number of letters and digits below which a page covered by images counts as a scan. So little text on such a page
/// comes from a scanner, a fax header or a stamp.
const MIN_COVERED_PAGE_LETTERS: usize = 100;

/// Maximum length of a document's cleaned text, in characters: more than two thousand full pages. Cleaning makes up to
/// eighteen characters of one, so the limit of the child's output does not bound it.
const MAX_TEXT_CHARS: usize = 6_400_000;

impl ExtractedPages {
    /// Cleans the text of raw pages and determines which pages are scans.
    ///
    /// # Errors
    /// Returns [`PdfError::TooMuchText`] when the cleaned text has more than `max_chars` characters.
    fn from_raw(raw: Vec<RawPage>, max_chars: usize) -> Result<Self, PdfError> {
        let (mut pages, mut scans) = (Vec::with_capacity(raw.len()), Vec::new());
        let mut chars_left = max_chars;
        for RawPage { number, text, is_covered } in raw {
            let text = text::clean_within(&text, chars_left).ok_or(PdfError::TooMuchText { limit: max_chars })?;
            chars_left -= text.chars().count().min(chars_left);
            let min_letters = if is_covered { MIN_COVERED_PAGE_LETTERS } else { MIN_TEXT_LETTERS };
            if has_fewer_letters(&text, min_letters) {
                scans.push(number);
            }
            pages.push(PageText { number, text });
        }
        Ok(Self { pages, scans })
    }

    /// Returns all pages, including blank ones.
    pub fn as_slice(&self) -> &[PageText] {
        &self.pages
    }

    /// Returns, in ascending order, the numbers of the pages whose text is not in the file: pages without text, and
    /// pages covered by images with only a few words, such as a stamp.
    pub fn scans(&self) -> &[u32] {
        &self.scans
    }

    /// Replaces a page's text by the text read from its image. An empty text changes nothing.
    pub fn set_scan_text(&mut self, number: u32, text: &str) {
        let text = text::clean(text);
        if let Some(page) = self.pages.iter_mut().find(|page| page.number == number && !text.is_empty()) {
            page.text = text;
        }
    }

    /// Returns the pages unchanged when they hold any text.
    ///
    /// # Errors
    /// Returns [`PdfError::NoText`] when all pages together have fewer than four letters and digits.
    pub fn require_text(self) -> Result<Self, PdfError> {
        let all: String = self.pages.iter().map(|page| page.text.as_str()).collect();
        if has_fewer_letters(&all, MIN_TEXT_LETTERS) { Err(PdfError::NoText) } else { Ok(self) }
    }
}

fn has_fewer_letters(text: &str, min_letters: usize) -> bool {
    text.chars().filter(|c| c.is_alphanumeric()).take(min_letters).count() < min_letters
}

/// Error of reading a PDF. The document is at fault when [`PdfError::code`] returns a code, otherwise the
/// installation.
#[derive(Debug, thiserror::Error)]
pub enum PdfError {
    #[error("the document needs a password")]
    Encrypted,
    #[error("the document cannot be read as a PDF")]
    Corrupt,
    #[error("the document holds no text")]
    NoText,
    #[error("the document has {pages} pages, more than {limit}")]
    TooManyPages { pages: u32, limit: u32 },
    #[error("the document holds more than {limit} bytes of text")]
    TooLarge { limit: u64 },
    #[error("the document's text has more than {limit} characters")]
    TooMuchText { limit: usize },
    #[error("the document took too long to read")]
    TimedOut,
    #[error("the extraction process cannot be run")]
    Spawn(#[source] io::Error),
    #[error("pdfium cannot be loaded: {0}")]
    Library(String),
    #[error("the extraction process gave no readable answer ({0})")]
    Protocol(ExitStatus),
}

impl PdfError {
    /// Returns the error code stored with the failed document, or `None` for a fault of the installation, after which
    /// another attempt may succeed.
    pub const fn code(&self) -> Option<&'static str> {
        match self {
            Self::Encrypted => Some("encrypted"),
            Self::Corrupt => Some("corrupt"),
            Self::NoText => Some("no_text"),
            Self::TooManyPages { .. } => Some("too_many_pages"),
            Self::TooLarge { .. } => Some("too_large"),
            Self::TooMuchText { .. } => Some("too_much_text"),
            Self::TimedOut => Some("timed_out"),
            Self::Spawn(_) | Self::Library(_) | Self::Protocol(_) => None,
        }
    }
}

/// Instructions of the parent process to the child process: the argument after [`SUBCOMMAND`], as JSON.
#[derive(Debug, Serialize, Deserialize)]
struct ExtractionJob {
    /// File of libpdfium.
    library: PathBuf,
    /// Size of the PDF on standard input, in bytes.
    pdf_bytes: usize,
    limits: PdfLimits,
    task: ExtractionTask,
}

/// Work of a child process.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ExtractionTask {
    /// Extracts the text of every page.
    Text,
    /// Renders one page, numbered from 1, as a JPEG.
    Picture { page: u32, longest_side_px: u16 },
}

/// A page as the child process read it, before cleaning.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct RawPage {
    number: u32,
    text: String,
    /// True when images cover most of the page. Determined only for pages with little text; otherwise false.
    #[serde(default)]
    is_covered: bool,
}

/// Answer of the child process; one JSON value a line.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ChildAnswer {
    /// The limits are set and the library is loaded. The document is to blame for any failure after this answer.
    Ready,
    /// One page of the document.
    Page(RawPage),
    /// All pages have been written.
    Complete,
    /// The rendered page as a JPEG in base64; `None` for a blank page.
    Picture(Option<String>),
    /// The document needs a password.
    Encrypted,
    /// The document, or the page to be rendered, cannot be read.
    Corrupt,
    /// Page count of a document over the limit.
    TooManyPages(u32),
    /// Reason why the child process could not start its work.
    Unusable(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(texts: &[(&str, bool)]) -> ExtractedPages {
        let raw =
            (1..).zip(texts).map(|(number, &(text, is_covered))| RawPage { number, text: text.to_owned(), is_covered });
        ExtractedPages::from_raw(raw.collect(), MAX_TEXT_CHARS).unwrap()
    }

    fn texts(pages: &ExtractedPages) -> Vec<&str> {
        pages.as_slice().iter().map(|page| page.text.as_str()).collect()
    }

    #[test]
    fn raw_pages_are_cleaned() {
        let pages = pages(&[("", false), ("la livrai\u{2}\r\nson\0 ", false)]).require_text().unwrap();
        assert_eq!(texts(&pages), ["", "la livraison"]);
    }

    #[test]
    fn text_is_limited_after_cleaning_over_all_pages() {
        // One character that is eighteen in NFKC.
        let raw = |count: u32| {
            (1..=count).map(|number| RawPage { number, text: "\u{fdfa}".to_owned(), is_covered: false }).collect()
        };
        assert_eq!(ExtractedPages::from_raw(raw(2), 36).unwrap().as_slice()[1].text.chars().count(), 18);
        let refused = ExtractedPages::from_raw(raw(2), 35).unwrap_err();
        assert_eq!((refused.code(), refused.to_string().contains("35")), (Some("too_much_text"), true));
    }

    #[test]
    fn pages_with_only_page_numbers_give_the_no_text_error() {
        let pages = pages(&[("- 1 -", false), ("- 2 -", false), ("\0", false)]).require_text();
        assert!(matches!(pages, Err(PdfError::NoText)));
    }

    #[test]
    fn pages_without_text_and_stamped_images_are_scans() {
        let fax = "21/11/2026 14:05 FAX +225 01 02 03 04 PAGE 2/7";
        let page = "The delivery takes three days. ".repeat(5);
        let pages = pages(&[
            ("- 1 -", false),
            (fax, true),
            // A title, on its own or over a picture that takes little of the page.
            (fax, false),
            // Recognised by the scanner.
            (&page, true),
        ]);
        assert_eq!(pages.scans(), [1, 2]);
    }

    #[test]
    fn a_scan_text_replaces_the_stamp_and_an_empty_one_keeps_it() {
        let mut pages = pages(&[("- 1 -", true), ("- 2 -", true)]);
        pages.set_scan_text(1, "- 1 -\r\nThe deliv-\nery");
        pages.set_scan_text(2, " ");
        pages.set_scan_text(3, "nowhere");
        assert_eq!(texts(&pages), ["- 1 -\nThe delivery", "- 2 -"]);
        pages.require_text().unwrap();
    }
}
