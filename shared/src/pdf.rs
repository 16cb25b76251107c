//! Text of PDF files, page by page, and pictures of pages that have none. pdfium reads them in a child
//! process under limits, since its C++ aborts on some of what strangers upload.

use crate::text;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

mod child;
mod layout;
mod page_count;
mod parent;
mod picture;

pub use child::{SUBCOMMAND, child_main};
pub use parent::Extractor;

/// What one document may cost. Beyond it the child process ends, and the document with it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Limits {
    /// Address space of the child process, program and library included, in bytes.
    pub memory_bytes: u64,
    /// Time from the start of the child process to its last page.
    pub wall: Duration,
    /// Processor time of the child process, in whole seconds.
    pub cpu: Duration,
    /// Pages that a document may have.
    pub max_pages: u32,
    /// Text that a document may hold, as the child process writes it, in bytes.
    pub max_output_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 512 * 1024 * 1024,
            wall: Duration::from_secs(55),
            cpu: Duration::from_secs(30),
            max_pages: 200,
            max_output_bytes: 32 * 1024 * 1024,
        }
    }
}

/// The text of one page, cleaned; empty where the page has none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Counted from 1, as readers count.
    pub number: u32,
    pub text: String,
}

/// The pages of a document in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pages {
    pages: Vec<Page>,
    scans: Vec<u32>,
}

/// Letters and digits below which a text counts as none: page numbers and stamps on scanned pages are not worth an
/// answer.
const FEWEST_LETTERS: usize = 4;

/// Letters and digits below which a page that images cover is taken for a scan, and its text for what a scanner, a fax
/// or a stamp put on it.
const FEW_LETTERS: usize = 100;

impl Pages {
    /// Cleans raw pages.
    fn from_raw(raw: Vec<RawPage>) -> Self {
        let mut scans = Vec::new();
        let pages = raw.into_iter().map(|RawPage { number, text, is_covered }| {
            let text = text::clean(&text);
            let least = if is_covered { FEW_LETTERS } else { FEWEST_LETTERS };
            if has_fewer_letters(&text, least) {
                scans.push(number);
            }
            Page { number, text }
        });
        Self { pages: pages.collect(), scans }
    }

    /// Returns the pages, blank ones included.
    pub fn as_slice(&self) -> &[Page] {
        &self.pages
    }

    /// Returns the numbers, in order, of the pages whose text is not in the file: those without any, and those that
    /// images cover and whose few words are a stamp's.
    pub fn scans(&self) -> &[u32] {
        &self.scans
    }

    /// Gives a page the text that was read from its picture; an empty one leaves what is there.
    pub fn fill(&mut self, number: u32, text: &str) {
        let text = text::clean(text);
        if let Some(page) = self.pages.iter_mut().find(|page| page.number == number && !text.is_empty()) {
            page.text = text;
        }
    }

    /// Returns the pages if there is something to answer from.
    ///
    /// # Errors
    /// [`PdfError::NoText`] where nothing readable is on any of them.
    pub fn with_text(self) -> Result<Self, PdfError> {
        let all: String = self.pages.iter().map(|page| page.text.as_str()).collect();
        if has_fewer_letters(&all, FEWEST_LETTERS) { Err(PdfError::NoText) } else { Ok(self) }
    }
}

fn has_fewer_letters(text: &str, least: usize) -> bool {
    text.chars().filter(|c| c.is_alphanumeric()).take(least).count() < least
}

/// Why a document has no pages to give: its own fault where [`PdfError::code`] knows one, else ours.
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
    /// Returns the code stored with the failed document, or `None` for a fault of the installation,
    /// which another attempt may not meet.
    pub const fn code(&self) -> Option<&'static str> {
        match self {
            Self::Encrypted => Some("encrypted"),
            Self::Corrupt => Some("corrupt"),
            Self::NoText => Some("no_text"),
            Self::TooManyPages { .. } => Some("too_many_pages"),
            Self::TooLarge { .. } => Some("too_large"),
            Self::TimedOut => Some("timed_out"),
            Self::Spawn(_) | Self::Library(_) | Self::Protocol(_) => None,
        }
    }
}

/// What the parent hands to the child, as the argument after [`SUBCOMMAND`].
#[derive(Debug, Serialize, Deserialize)]
struct Job {
    library: PathBuf,
    pdf_bytes: usize,
    limits: Limits,
    task: Task,
}

/// What the parent wants.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Task {
    /// The text of every page.
    Text,
    /// What one page looks like.
    Picture { page: u32, longest_side_px: u16 },
}

/// A page as the child found it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct RawPage {
    number: u32,
    text: String,
    /// Whether images take most of it; looked at only where there is little text.
    #[serde(default)]
    is_covered: bool,
}

/// What the child answers, one JSON value a line.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    /// The limits hold and the library is loaded: from here on the document is to blame.
    Ready,
    Page(RawPage),
    /// All pages have been written.
    Complete,
    /// A JPEG in base64; none where nothing is on the page.
    Picture(Option<String>),
    Encrypted,
    Corrupt,
    TooManyPages(u32),
    Unusable(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(texts: &[(&str, bool)]) -> Pages {
        let raw =
            (1..).zip(texts).map(|(number, &(text, is_covered))| RawPage { number, text: text.to_owned(), is_covered });
        Pages::from_raw(raw.collect())
    }

    fn texts(pages: &Pages) -> Vec<&str> {
        pages.as_slice().iter().map(|page| page.text.as_str()).collect()
    }

    #[test]
    fn pages_are_cleaned() {
        let pages = pages(&[("", false), ("la livrai\u{2}\r\nson\0 ", false)]).with_text().unwrap();
        assert_eq!(texts(&pages), ["", "la livraison"]);
    }

    #[test]
    fn page_numbers_alone_are_no_text() {
        let pages = pages(&[("- 1 -", false), ("- 2 -", false), ("\0", false)]).with_text();
        assert!(matches!(pages, Err(PdfError::NoText)));
    }

    #[test]
    fn a_page_without_text_is_a_scan_and_so_is_a_stamped_image() {
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
    fn what_is_read_takes_the_place_of_a_stamp_and_nothing_leaves_it() {
        let mut pages = pages(&[("- 1 -", true), ("- 2 -", true)]);
        pages.fill(1, "- 1 -\r\nThe deliv-\nery");
        pages.fill(2, " ");
        pages.fill(3, "nowhere");
        assert_eq!(texts(&pages), ["- 1 -\nThe delivery", "- 2 -"]);
        pages.with_text().unwrap();
    }
}
