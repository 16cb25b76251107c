//! Child process: limits its own resources, loads what reading needs, closes its sandbox, reads one file from standard
//! input and writes its pages to standard output.

use super::page_count::{self, FileFacts};
use super::page_text::{self, PageReader};
use super::{
    ChildAnswer, ExtractionJob, ExtractionTask, PdfLimits, RawPage, SandboxPolicy, Shell, TextRange, count_letters,
    guard::call_pdfium, recognition, rendering, sandbox,
};
use crate::files::{self, FileFormat};
use base64::{Engine, engine::general_purpose::STANDARD};
use nix::sys::resource::{Resource, setrlimit};
use ocr::Recognizer;
use pdfium_render::prelude::{PdfDocument, PdfFormType, Pdfium, PdfiumError, PdfiumInternalError};
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::time::Instant;

/// First argument by which a program runs as the child process: its `main` then calls [`child_main`].
pub const SUBCOMMAND: &str = "extract-pdf";

/// Maximum number of open files: the library, the pipes and the files that the dynamic linker opens briefly.
const MAX_OPEN_FILES: u64 = 16;

/// Number of letters up to which the pages of a dynamic form or of a portfolio only ask for another program.
const MAX_SHELL_LETTERS: usize = 1_500;

/// Processes the PDF on standard input. `job` is the argument after [`SUBCOMMAND`]. Must be called before any thread
/// is started, since the limits apply to the whole process.
pub fn child_main(job: Option<&OsStr>) -> ExitCode {
    let mut answers = AnswerWriter(io::stdout().lock());
    let job = job.and_then(OsStr::to_str).map(serde_json::from_str::<ExtractionJob>);
    let written = match job {
        Some(Ok(job)) => extract(&job, &mut answers),
        Some(Err(error)) => answers.write(&ChildAnswer::Unusable(error.to_string())),
        None => answers.write(&ChildAnswer::Unusable("no job was given".to_owned())),
    };
    // Writing fails when the parent has closed the pipe; there is nobody left to tell the reason.
    written.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

/// Writes answers to the parent process and flushes each one, since the next call of pdfium may end the process.
struct AnswerWriter<W: Write>(W);

impl<W: Write> AnswerWriter<W> {
    fn write(&mut self, answer: &ChildAnswer) -> io::Result<()> {
        let mut line = serde_json::to_vec(answer)?;
        line.push(b'\n');
        self.0.write_all(&line)?;
        self.0.flush()
    }
}

/// Programs that a task needs besides its file. They are loaded before the sandbox is closed, since no file can be opened
/// afterwards.
enum Tools {
    /// A file without pages is read by the code of this program.
    None,
    Pdfium(Pdfium),
    PdfiumAndOcr(Pdfium, Box<Recognizer>),
}

impl Tools {
    /// # Errors
    /// Returns the answer with the reason, when a program cannot be loaded.
    fn load(job: &ExtractionJob) -> Result<Self, ChildAnswer> {
        if matches!(job.task, ExtractionTask::File(_)) {
            return Ok(Self::None);
        }
        let library = Pdfium::bind_to_library(&job.library);
        let library = Pdfium::new(library.map_err(|error| ChildAnswer::Unusable(format!("{error:?}")))?);
        match job.task {
            ExtractionTask::Recognize { .. } => Ok(Self::PdfiumAndOcr(library, Box::new(recognition::load(job)?))),
            _ => Ok(Self::Pdfium(library)),
        }
    }
}

fn extract<W: Write>(job: &ExtractionJob, answers: &mut AnswerWriter<W>) -> io::Result<()> {
    let started = Instant::now();
    if let Err(error) = apply_limits(&job.limits) {
        return answers.write(&ChildAnswer::Unusable(error.to_string()));
    }
    let threads = sandbox::forbid_threads();
    let tools = match Tools::load(job) {
        Ok(tools) => tools,
        Err(answer) => return answers.write(&answer),
    };
    if let Err(error) = threads.and_then(|()| sandbox::close()) {
        match job.sandbox {
            SandboxPolicy::Required if cfg!(target_os = "linux") => {
                return answers.write(&ChildAnswer::Unusable(error.to_string()));
            }
            SandboxPolicy::Required | SandboxPolicy::Preferred => {
                answers.write(&ChildAnswer::Unprotected(error.to_string()))?;
            }
        }
    }
    answers.write(&ChildAnswer::Ready)?;
    let mut file = Vec::with_capacity(job.pdf_bytes);
    io::stdin().lock().read_to_end(&mut file)?;
    match (job.task, &tools) {
        (ExtractionTask::File(format), _) => write_file(format, &file, answers),
        (_, Tools::Pdfium(library)) => read_pdf(job, library, None, &file, answers),
        (_, Tools::PdfiumAndOcr(library, ocr)) => read_pdf(job, library, Some((ocr, started)), &file, answers),
        (_, Tools::None) => answers.write(&ChildAnswer::Unusable("no library was loaded".to_owned())),
    }
}

fn write_file<W: Write>(format: FileFormat, file: &[u8], answers: &mut AnswerWriter<W>) -> io::Result<()> {
    match files::read(format, file) {
        Ok(blocks) => {
            blocks.into_iter().try_for_each(|block| answers.write(&ChildAnswer::Block(block)))?;
            answers.write(&ChildAnswer::Complete)
        }
        Err(error) => answers.write(&ChildAnswer::FileRefused(error)),
    }
}

/// Reads a PDF. `ocr` is the reader of pictures, with the time at which the child process began.
fn read_pdf<W: Write>(
    job: &ExtractionJob,
    library: &Pdfium,
    ocr: Option<(&Recognizer, Instant)>,
    pdf: &[u8],
    answers: &mut AnswerWriter<W>,
) -> io::Result<()> {
    let document = match call_pdfium(|| library.load_pdf_from_byte_slice(pdf, None)) {
        Ok(document) => document,
        Err(error) => return answers.write(&load_error_answer(&error)),
    };
    let is_plain = matches!(job.task, ExtractionTask::Text(TextRange { is_plain: true, .. }));
    let (facts, recounted) =
        if is_plain { (FileFacts::default(), None) } else { page_count::recount(library, &document) };
    let document = recounted.as_ref().unwrap_or(&document);
    match (job.task, ocr) {
        (ExtractionTask::Text(range), _) => write_pages(document, facts, range, &job.limits, answers),
        (ExtractionTask::Picture { page, longest_side_px }, _) => {
            let jpeg = rendering::render_jpeg(document, page, longest_side_px);
            let answer = jpeg.map(|jpeg| ChildAnswer::Picture(jpeg.map(|jpeg| STANDARD.encode(jpeg))));
            answers.write(&answer.unwrap_or(ChildAnswer::Corrupt))
        }
        (ExtractionTask::Recognize { page }, Some((recognizer, started))) => {
            answers.write(&recognition::recognize(document, page, recognizer, &job.limits, started))
        }
        (ExtractionTask::Recognize { .. } | ExtractionTask::File(_), _) => {
            answers.write(&ChildAnswer::Unusable("the task is not one of a PDF".to_owned()))
        }
    }
}

fn write_pages<W: Write>(
    document: &PdfDocument<'_>,
    facts: FileFacts,
    range: TextRange,
    limits: &PdfLimits,
    answers: &mut AnswerWriter<W>,
) -> io::Result<()> {
    let pages = u32::try_from(document.pages().len()).unwrap_or(0);
    if pages > limits.max_pages {
        return answers.write(&ChildAnswer::TooManyPages(pages));
    }
    answers.write(&ChildAnswer::Opened(pages))?;
    let mut reader = PageReader::new(document, facts);
    let (mut letters, mut asks_to_wait) = (0, false);
    for number in range.first_page..=range.last_page.min(pages) {
        let index = i32::try_from(number).map_or(i32::MAX, |number| number - 1);
        let read = if range.is_plain { page_text::read_plain(document, index) } else { reader.read(index) };
        // A page that cannot be read keeps its number.
        let page = read.unwrap_or_else(|_| RawPage { is_failed: true, ..RawPage::default() });
        let text = page.text();
        letters += count_letters(&text);
        asks_to_wait |= asks_for_other_program(&text);
        answers.write(&ChildAnswer::Page(RawPage { number, ..page }))?;
    }
    let is_whole = range.first_page == 1 && range.last_page >= pages;
    let shell = shell(document, facts, asks_to_wait).filter(|_| is_whole && letters <= MAX_SHELL_LETTERS);
    answers.write(&shell.map_or(ChildAnswer::Complete, ChildAnswer::Shell))
}

/// Returns the kind of a file whose pages may only ask for another program.
fn shell(document: &PdfDocument<'_>, facts: FileFacts, asks_to_wait: bool) -> Option<Shell> {
    let form = document.form().map(|form| call_pdfium(|| form.form_type()));
    if form == Some(PdfFormType::XfaFull) || form == Some(PdfFormType::XfaForeground) && asks_to_wait {
        Some(Shell::XfaForm)
    } else if facts.is_portfolio && !call_pdfium(|| document.attachments().is_empty()) {
        Some(Shell::Portfolio)
    } else {
        None
    }
}

/// Returns true for the page that the makers of dynamic forms put into them for other programs.
fn asks_for_other_program(text: &str) -> bool {
    let text = text.to_lowercase();
    ["please wait", "veuillez patienter"].iter().any(|sign| text.contains(sign))
}

fn load_error_answer(error: &PdfiumError) -> ChildAnswer {
    match error {
        PdfiumError::PdfiumLibraryInternalError(
            PdfiumInternalError::PasswordError | PdfiumInternalError::SecurityError,
        ) => ChildAnswer::Encrypted,
        _ => ChildAnswer::Corrupt,
    }
}

/// Limits this process: memory, CPU time and open files. Files cannot grow, processes cannot be started, crashes
/// leave no core dump.
fn apply_limits(limits: &PdfLimits) -> nix::Result<()> {
    let cpu_seconds = limits.cpu_time.as_secs();
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    setrlimit(Resource::RLIMIT_FSIZE, 0, 0)?;
    setrlimit(Resource::RLIMIT_NPROC, 0, 0)?;
    setrlimit(Resource::RLIMIT_NOFILE, MAX_OPEN_FILES, MAX_OPEN_FILES)?;
    setrlimit(Resource::RLIMIT_CPU, cpu_seconds, cpu_seconds + 1)?;
    setrlimit(Resource::RLIMIT_AS, limits.memory_bytes, limits.memory_bytes)
}
