//! Extracts the text of PDF files page by page, and renders images of pages without text. pdfium runs in a child
//! process under resource limits, since its C++ code aborts on some uploaded files. Other files are read in the same
//! child process ([`crate::files`]).

use crate::files::{Block, FileError, FileFormat};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

mod annotations;
mod cell_lines;
mod cells;
mod child;
mod display;
mod extracted_pages;
mod grid;
mod guard;
mod heading_lines;
mod layout;
mod order;
mod page_count;
mod page_text;
mod parent;
mod quality;
mod raw_page;
mod recognition;
mod rendering;
mod rules;
mod running_lines;
mod sandbox;
mod segments;
mod table_rows;
mod table_text;
mod tables;
mod visibility;

pub use child::{SUBCOMMAND, child_main};
pub use extracted_pages::ExtractedPages;
pub use parent::{Extractor, hide_memory, read_child_output};
pub use quality::PageKind;
pub use recognition::{OcrReader, RecognizedPage};
pub use sandbox::SandboxPolicy;

use raw_page::{RawBlock, RawPage};

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

/// Number of letters and digits below which a text counts as empty: page numbers and stamps on scanned pages answer
/// no question.
const MIN_TEXT_LETTERS: usize = 4;

/// Number of letters and digits below which a page covered by images counts as a scan. So little text on such a page
/// comes from a scanner, a fax header or a stamp.
const MIN_COVERED_PAGE_LETTERS: usize = 100;

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
    #[error("the reader made a system call that reading a document does not need, and was ended")]
    ForbiddenCall,
    #[error(transparent)]
    File(#[from] FileError),
    #[error("the document took too long to read")]
    TimedOut,
    #[error("the OCR models cannot be used: {0}")]
    OcrModels(String),
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
    pub fn code(&self) -> Option<&'static str> {
        match self {
            Self::Encrypted => Some("encrypted"),
            Self::Corrupt => Some("corrupt"),
            Self::NoText => Some("no_text"),
            Self::TooManyPages { .. } => Some("too_many_pages"),
            Self::TooLarge { .. } => Some("too_large"),
            Self::TooMuchText { .. } => Some("too_much_text"),
            Self::XfaForm => Some("xfa_form"),
            Self::Portfolio => Some("portfolio"),
            Self::ReaderFailed | Self::ForbiddenCall => Some("reader_failed"),
            Self::File(error) => Some(error.code()),
            Self::TimedOut => Some("timed_out"),
            Self::OcrModels(_) => Some("ocr_unavailable"),
            Self::Spawn(_) | Self::Library(_) | Self::Protocol(_) => None,
        }
    }
}

/// Instructions of the parent process to the child process: the argument after [`SUBCOMMAND`], as JSON.
#[derive(Debug, Serialize, Deserialize)]
struct ExtractionJob {
    /// File of libpdfium.
    library: PathBuf,
    /// Folder of the OCR models, for [`ExtractionTask::Recognize`].
    #[serde(default)]
    ocr_models: Option<PathBuf>,
    /// Size of the PDF on standard input, in bytes.
    pdf_bytes: usize,
    limits: PdfLimits,
    task: ExtractionTask,
    sandbox: SandboxPolicy,
}

/// Work of a child process.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ExtractionTask {
    /// Extracts the text of pages.
    Text(TextRange),
    /// Renders one page, numbered from 1, as a JPEG.
    Picture { page: u32, longest_side_px: u16 },
    /// Reads the text in the picture of one page, numbered from 1.
    Recognize { page: u32 },
    /// Reads a file of a format without pages.
    File(FileFormat),
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
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ChildAnswer {
    /// Reason why the file is read without a sandbox, where [`SandboxPolicy::Preferred`] allows it.
    Unprotected(String),
    /// The limits are set, the library is loaded and the sandbox is closed. The document is to blame for any failure
    /// after this answer.
    Ready,
    /// The document is open. Holds the number of its pages.
    Opened(u32),
    /// One page of the document.
    Page(RawPage),
    /// One piece of a file without pages.
    Block(Block),
    /// Reason why a file without pages is not read.
    FileRefused(FileError),
    /// All requested pages or pieces have been written.
    Complete,
    /// All pages have been written, and only ask for another program.
    Shell(Shell),
    /// The rendered page as a JPEG in base64; `None` for a blank page.
    Picture(Option<String>),
    /// The text in the picture of the page; `None` for a blank page.
    Recognized(Option<RecognizedPage>),
    /// The page was not read in time.
    PageTimedOut,
    /// Reason why the OCR models cannot be used.
    OcrUnusable(String),
    /// The document needs a password.
    Encrypted,
    /// The document, or the page to be rendered, cannot be read.
    Corrupt,
    /// Page count of a document over the limit.
    TooManyPages(u32),
    /// Reason why the child process could not start its work.
    Unusable(String),
}
