//! Text of PDF files, page by page. pdfium reads them in a child process under limits, since its
//! C++ aborts on some of what strangers upload.

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

/// The pages of a document in their order, at least one of them with text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pages(Vec<Page>);

impl Pages {
    /// Letters and digits below which a document counts as having no text: page numbers and stamps
    /// on scanned pages are not worth an answer.
    const FEWEST_LETTERS: usize = 4;

    /// Cleans raw pages. Fails with [`PdfError::NoText`] where nothing readable remains.
    fn from_raw(mut pages: Vec<Page>) -> Result<Self, PdfError> {
        for page in &mut pages {
            page.text = text::clean(&page.text);
        }
        let letters = pages.iter().flat_map(|page| page.text.chars());
        if letters.filter(|c| c.is_alphanumeric()).take(Self::FEWEST_LETTERS).count() < Self::FEWEST_LETTERS {
            return Err(PdfError::NoText);
        }
        Ok(Self(pages))
    }

    /// Returns the pages, blank ones included.
    pub fn as_slice(&self) -> &[Page] {
        &self.0
    }
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
}

/// What the child answers, one JSON value a line.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    /// The limits hold and the library is loaded: from here on the document is to blame.
    Ready,
    Page(Page),
    /// All pages have been written.
    Complete,
    Encrypted,
    Corrupt,
    TooManyPages(u32),
    Unusable(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(number: u32, text: &str) -> Page {
        Page { number, text: text.to_owned() }
    }

    #[test]
    fn pages_are_cleaned() {
        let pages = Pages::from_raw(vec![page(1, ""), page(2, "la livrai\u{2}\r\nson\0 ")]);
        assert_eq!(pages.unwrap().as_slice(), [page(1, ""), page(2, "la livraison")]);
    }

    #[test]
    fn page_numbers_alone_are_no_text() {
        let pages = Pages::from_raw(vec![page(1, "- 1 -"), page(2, "- 2 -"), page(3, "\0")]);
        assert!(matches!(pages, Err(PdfError::NoText)));
    }
}
