//! Extracts the text of PDF files page by page, and renders images of pages without text. pdfium runs in a child
//! process under resource limits, since its C++ code aborts on some uploaded files.

use crate::text::{self, KnownWords};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

mod annotations;
mod child;
mod display;
mod guard;
mod layout;
mod order;
mod page_count;
mod page_text;
mod parent;
mod quality;
mod rendering;
mod running_lines;
mod visibility;

pub use child::{SUBCOMMAND, child_main};
pub use parent::Extractor;
pub use quality::PageKind;

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
    /// How each page was read.
    kinds: Vec<PageKind>,
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
    /// Cleans the text of raw pages and determines how much of each page was read.
    ///
    /// # Errors
    /// Returns [`PdfError::TooMuchText`] when the cleaned text has more than `max_chars` characters.
    fn from_raw(mut raw: Vec<RawPage>, max_chars: usize) -> Result<Self, PdfError> {
        running_lines::tell_apart(&mut raw);
        let words = KnownWords::of(raw.iter().map(|page| page.text.as_str()));
        let (mut pages, mut kinds) = (Vec::with_capacity(raw.len()), Vec::with_capacity(raw.len()));
        let mut chars_left = max_chars;
        for page in raw {
            let text = text::clean_within(&page.text, &words, chars_left);
            let text = text.ok_or(PdfError::TooMuchText { limit: max_chars })?;
            chars_left -= text.chars().count().min(chars_left);
            let (page, kind) = quality::judge(page, text);
            pages.push(page);
            kinds.push(kind);
        }
        Ok(Self { pages, kinds })
    }

    /// Returns the pages unless none of them could be read. `failure` is the last end of a child process.
    fn require_readable(raw: Vec<RawPage>, failure: Option<parent::Failure>) -> Result<Self, PdfError> {
        if raw.iter().all(|page| page.is_failed) {
            return Err(failure.map_or(PdfError::Corrupt, parent::Failure::into_error));
        }
        Self::from_raw(raw, MAX_TEXT_CHARS)
    }

    /// Returns all pages, including blank ones.
    pub fn as_slice(&self) -> &[PageText] {
        &self.pages
    }

    /// Returns how each page was read, in page order.
    pub fn kinds(&self) -> &[PageKind] {
        &self.kinds
    }

    /// Returns, in ascending order, the numbers of the pages whose text is not in the file, or not readable there:
    /// pictures of text, also with only a few words such as a stamp, and text in fonts without a meaning.
    pub fn scans(&self) -> Vec<u32> {
        let pages = self.pages.iter().zip(&self.kinds);
        pages.filter(|(_, kind)| kind.is_unread()).map(|(page, _)| page.number).collect()
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
        let letters: usize = self.pages.iter().map(|page| count_letters(&page.text)).sum();
        if letters < MIN_TEXT_LETTERS { Err(PdfError::NoText) } else { Ok(self) }
    }
}

fn count_letters(text: &str) -> usize {
    text.chars().filter(|c| c.is_alphanumeric()).count()
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
    #[error("the document is a dynamic form, whose contents only some programs display")]
    XfaForm,
    #[error("the document is a portfolio of other files")]
    Portfolio,
    #[error("the reader failed on the document")]
    ReaderFailed,
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
            Self::XfaForm => Some("xfa_form"),
            Self::Portfolio => Some("portfolio"),
            Self::ReaderFailed => Some("reader_failed"),
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
    /// Extracts the text of pages.
    Text(TextRange),
    /// Renders one page, numbered from 1, as a JPEG.
    Picture { page: u32, longest_side_px: u16 },
}

/// Pages whose text is extracted.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct TextRange {
    /// First and last page, from 1. The last one may be beyond the document's end.
    first_page: u32,
    last_page: u32,
    /// True for the order of the file, without annotations, forms, pictures and a recount of the pages: what is left
    /// when the complete reading failed.
    is_plain: bool,
}

/// A page as the child process read it, before cleaning.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct RawPage {
    number: u32,
    text: String,
    /// True when images cover most of the page. Determined only for pages with little text; otherwise false.
    #[serde(default)]
    is_covered: bool,
    /// True when a page shows something besides text. Determined only for pages without text.
    #[serde(default)]
    has_picture: bool,
    /// True for a page that cannot be read.
    #[serde(default)]
    is_failed: bool,
}

/// Kind of a file whose pages only ask for another program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Shell {
    /// The file is a dynamic XFA form.
    XfaForm,
    /// The contents are the file's attachments.
    Portfolio,
}

impl From<Shell> for PdfError {
    fn from(shell: Shell) -> Self {
        match shell {
            Shell::XfaForm => Self::XfaForm,
            Shell::Portfolio => Self::Portfolio,
        }
    }
}

/// Answer of the child process; one JSON value a line.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ChildAnswer {
    /// The limits are set and the library is loaded. The document is to blame for any failure after this answer.
    Ready,
    /// The document is open. Holds the number of its pages.
    Opened(u32),
    /// One page of the document.
    Page(RawPage),
    /// All requested pages have been written.
    Complete,
    /// All pages have been written, and only ask for another program.
    Shell(Shell),
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
        let raw = (1..).zip(texts).map(|(number, &(text, is_covered))| RawPage {
            number,
            text: text.to_owned(),
            is_covered,
            has_picture: is_covered,
            is_failed: false,
        });
        ExtractedPages::from_raw(raw.collect(), MAX_TEXT_CHARS).unwrap()
    }

    fn texts(pages: &ExtractedPages) -> Vec<&str> {
        pages.as_slice().iter().map(|page| page.text.as_str()).collect()
    }

    #[test]
    fn raw_pages_are_cleaned() {
        let pages = pages(&[("", false), ("la livrai\u{2}\r\nson ", false)]).require_text().unwrap();
        assert_eq!(texts(&pages), ["", "la livraison"]);
    }

    #[test]
    fn a_word_of_another_page_decides_about_a_hyphen() {
        let pages = pages(&[("Le taille-\ncrayon est neuf.", false), ("Un taille-crayon.", false)]);
        assert_eq!(texts(&pages)[0], "Le taille-crayon est neuf.");
    }

    #[test]
    fn text_is_limited_after_cleaning_over_all_pages() {
        // One character that is eighteen in plain forms.
        let raw = |count: u32| {
            let page = |number| RawPage { number, text: "\u{fdfa}".to_owned(), ..RawPage::default() };
            (1..=count).map(page).collect()
        };
        assert_eq!(ExtractedPages::from_raw(raw(2), 36).unwrap().as_slice()[1].text.chars().count(), 18);
        let refused = ExtractedPages::from_raw(raw(2), 35).unwrap_err();
        assert_eq!((refused.code(), refused.to_string().contains("35")), (Some("too_much_text"), true));
    }

    #[test]
    fn pages_with_only_page_numbers_give_the_no_text_error() {
        let pages = pages(&[("- 1 -", false), ("- 2 -", false), ("", false)]).require_text();
        assert!(matches!(pages, Err(PdfError::NoText)));
    }

    #[test]
    fn each_page_says_how_much_of_it_was_read() {
        let fax = "21/11/2026 14:05 FAX +225 01 02 03 04 PAGE 2/7";
        let page = "The delivery takes three days. ".repeat(5);
        let pages = pages(&[
            ("- 1 -", true),
            (fax, true),
            // A title, on its own or over a picture that takes little of the page.
            (fax, false),
            // Recognised by the scanner.
            (&page, true),
            ("", false),
            ("Certi\u{fffd}cat de conformité : le certi\u{fffd}cat \u{fffd}nal est remis.", false),
        ]);
        use PageKind::{Blank, Scan, Text, Unreadable};
        assert_eq!(pages.kinds(), [Scan, Scan, Text, Text, Blank, Unreadable]);
        assert_eq!(pages.scans(), [1, 2, 6]);
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
