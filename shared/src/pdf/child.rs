//! The child's side: bounds itself, reads one PDF from standard input and writes its pages.

use super::{Answer, FEW_LETTERS, Job, Limits, RawPage, Task, has_fewer_letters, layout, page_count, picture};
use base64::{Engine, engine::general_purpose::STANDARD};
use nix::sys::resource::{Resource, setrlimit};
use pdfium_render::prelude::{PdfDocument, PdfPage, Pdfium, PdfiumError, PdfiumInternalError};
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

/// The first argument of a program that shall extract: its `main` then calls [`child_main`].
pub const SUBCOMMAND: &str = "extract-pdf";

/// The library, the pipes and what the dynamic linker opens for a moment.
const OPEN_FILES: u64 = 16;

/// Extracts the PDF on standard input as the parent's job says; `job` is the argument after
/// [`SUBCOMMAND`]. Call it before any thread is started: the limits are those of the process.
pub fn child_main(job: Option<&OsStr>) -> ExitCode {
    let mut answers = Answers(io::stdout().lock());
    let job = job.and_then(OsStr::to_str).map(serde_json::from_str::<Job>);
    let told = match job {
        Some(Ok(job)) => extract(&job, &mut answers),
        Some(Err(error)) => answers.write(&Answer::Unusable(error.to_string())),
        None => answers.write(&Answer::Unusable("no job was given".to_owned())),
    };
    // A parent that no longer listens needs no explanation.
    told.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

/// Writes answers, each at once: what comes next may end the process.
struct Answers<W: Write>(W);

impl<W: Write> Answers<W> {
    fn write(&mut self, answer: &Answer) -> io::Result<()> {
        let mut line = serde_json::to_vec(answer)?;
        line.push(b'\n');
        self.0.write_all(&line)?;
        self.0.flush()
    }
}

fn extract<W: Write>(job: &Job, answers: &mut Answers<W>) -> io::Result<()> {
    let library = match bound(&job.limits)
        .map_err(|error| error.to_string())
        .and_then(|()| Pdfium::bind_to_library(&job.library).map_err(|error| format!("{error:?}")))
    {
        Ok(library) => Pdfium::new(library),
        Err(why) => return answers.write(&Answer::Unusable(why)),
    };
    answers.write(&Answer::Ready)?;
    let mut pdf = Vec::with_capacity(job.pdf_bytes);
    io::stdin().lock().read_to_end(&mut pdf)?;
    let document = match guarded(|| library.load_pdf_from_byte_slice(&pdf, None)) {
        Ok(document) => document,
        Err(error) => return answers.write(&refusal(&error)),
    };
    let recounted = page_count::recount(&library, &document);
    let document = recounted.as_ref().unwrap_or(&document);
    match job.task {
        Task::Text => write_pages(document, &job.limits, answers),
        Task::Picture { page, longest_side_px } => {
            let jpeg = picture::jpeg(document, page, longest_side_px);
            let answer = jpeg.map(|jpeg| Answer::Picture(jpeg.map(|jpeg| STANDARD.encode(jpeg))));
            answers.write(&answer.unwrap_or(Answer::Corrupt))
        }
    }
}

fn write_pages<W: Write>(document: &PdfDocument<'_>, limits: &Limits, answers: &mut Answers<W>) -> io::Result<()> {
    let pages = u32::try_from(document.pages().len()).unwrap_or(0);
    if pages > limits.max_pages {
        return answers.write(&Answer::TooManyPages(pages));
    }
    let mut readable = 0;
    for (number, index) in (1..=pages).zip(document.pages().as_range()) {
        let page = guarded(|| document.pages().get(index));
        let read = page.and_then(|page| read_page(document, page));
        readable += u32::from(read.is_ok());
        // A page that cannot be read is blank; the others keep their numbers.
        let (text, is_covered) = read.unwrap_or_default();
        answers.write(&Answer::Page(RawPage { number, text, is_covered }))?;
    }
    answers.write(if readable == 0 { &Answer::Corrupt } else { &Answer::Complete })
}

/// Makes one call of pdfium. Where memory runs out its C++ throws, which ends the process here: on the way
/// further up, destructors would wait for a lock that the call still holds.
pub(super) fn guarded<T>(call: impl FnOnce() -> T) -> T {
    panic::catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| panic::resume_unwind(panic))
}

/// Returns the text of a page, with what stands in its form fields; and where that is little, whether images cover it.
fn read_page(document: &PdfDocument<'_>, mut page: PdfPage<'_>) -> Result<(String, bool), PdfiumError> {
    if document.form().is_some() && !page.annotations().is_empty() {
        // Field values are drawn beside the page; flattening puts them where they are seen.
        guarded(|| page.flatten()).or_else(|error| match error {
            PdfiumError::PageFlattenFailure => Ok(()),
            error => Err(error),
        })?;
    }
    let text = layout::text(&page)?;
    let is_covered = has_fewer_letters(&text, FEW_LETTERS) && picture::is_covered(&page);
    Ok((text, is_covered))
}

fn refusal(error: &PdfiumError) -> Answer {
    match error {
        PdfiumError::PdfiumLibraryInternalError(
            PdfiumInternalError::PasswordError | PdfiumInternalError::SecurityError,
        ) => Answer::Encrypted,
        _ => Answer::Corrupt,
    }
}

/// Bounds this process. Files cannot grow, processes cannot be started, crashes leave no dump.
fn bound(limits: &Limits) -> nix::Result<()> {
    let cpu_seconds = limits.cpu.as_secs();
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    setrlimit(Resource::RLIMIT_FSIZE, 0, 0)?;
    setrlimit(Resource::RLIMIT_NPROC, 0, 0)?;
    setrlimit(Resource::RLIMIT_NOFILE, OPEN_FILES, OPEN_FILES)?;
    setrlimit(Resource::RLIMIT_CPU, cpu_seconds, cpu_seconds + 1)?;
    setrlimit(Resource::RLIMIT_AS, limits.memory_bytes, limits.memory_bytes)
}
