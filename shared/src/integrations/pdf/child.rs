//! Child process: limits its own resources, reads one PDF from standard input and writes its pages to standard
//! output.

use super::{
    ChildAnswer, ExtractionJob, ExtractionTask, MIN_COVERED_PAGE_LETTERS, PdfLimits, RawPage, guard::call_pdfium,
    has_fewer_letters, layout, page_count, rendering,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use nix::sys::resource::{Resource, setrlimit};
use pdfium_render::prelude::{PdfDocument, PdfPage, Pdfium, PdfiumError, PdfiumInternalError};
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::process::ExitCode;

/// First argument by which a program runs as the child process: its `main` then calls [`child_main`].
pub const SUBCOMMAND: &str = "extract-pdf";

/// Maximum number of open files: the library, the pipes and the files that the dynamic linker opens briefly.
const MAX_OPEN_FILES: u64 = 16;

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

fn extract<W: Write>(job: &ExtractionJob, answers: &mut AnswerWriter<W>) -> io::Result<()> {
    let library = match apply_limits(&job.limits)
        .map_err(|error| error.to_string())
        .and_then(|()| Pdfium::bind_to_library(&job.library).map_err(|error| format!("{error:?}")))
    {
        Ok(library) => Pdfium::new(library),
        Err(reason) => return answers.write(&ChildAnswer::Unusable(reason)),
    };
    answers.write(&ChildAnswer::Ready)?;
    let mut pdf = Vec::with_capacity(job.pdf_bytes);
    io::stdin().lock().read_to_end(&mut pdf)?;
    let document = match call_pdfium(|| library.load_pdf_from_byte_slice(&pdf, None)) {
        Ok(document) => document,
        Err(error) => return answers.write(&load_error_answer(&error)),
    };
    let recounted = page_count::recount(&library, &document);
    let document = recounted.as_ref().unwrap_or(&document);
    match job.task {
        ExtractionTask::Text => write_pages(document, &job.limits, answers),
        ExtractionTask::Picture { page, longest_side_px } => {
            let jpeg = rendering::render_jpeg(document, page, longest_side_px);
            let answer = jpeg.map(|jpeg| ChildAnswer::Picture(jpeg.map(|jpeg| STANDARD.encode(jpeg))));
            answers.write(&answer.unwrap_or(ChildAnswer::Corrupt))
        }
    }
}

fn write_pages<W: Write>(
    document: &PdfDocument<'_>,
    limits: &PdfLimits,
    answers: &mut AnswerWriter<W>,
) -> io::Result<()> {
    let pages = u32::try_from(document.pages().len()).unwrap_or(0);
    if pages > limits.max_pages {
        return answers.write(&ChildAnswer::TooManyPages(pages));
    }
    let mut readable = 0;
    for (number, index) in (1..=pages).zip(document.pages().as_range()) {
        let page = call_pdfium(|| document.pages().get(index));
        let read = page.and_then(|page| read_page(document, page));
        readable += u32::from(read.is_ok());
        // A page that cannot be read counts as blank, so that the other pages keep their numbers.
        let (text, is_covered) = read.unwrap_or_default();
        answers.write(&ChildAnswer::Page(RawPage { number, text, is_covered }))?;
    }
    answers.write(if readable == 0 { &ChildAnswer::Corrupt } else { &ChildAnswer::Complete })
}

/// Returns the text of a page, including the values of its form fields, and true when images cover the page. Checks
/// for images only on pages with little text.
fn read_page(document: &PdfDocument<'_>, mut page: PdfPage<'_>) -> Result<(String, bool), PdfiumError> {
    if document.form().is_some() && !page.annotations().is_empty() {
        // Field values are kept apart from the page's content; flattening merges them into it.
        call_pdfium(|| page.flatten()).or_else(|error| match error {
            PdfiumError::PageFlattenFailure => Ok(()),
            error => Err(error),
        })?;
    }
    let text = layout::text(&page)?;
    let is_covered = has_fewer_letters(&text, MIN_COVERED_PAGE_LETTERS) && rendering::is_covered(&page);
    Ok((text, is_covered))
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
