//! Parent process: starts the child process, writes the PDF to it, reads its answers and derives an error from its
//! exit.

use super::child::SUBCOMMAND;
use super::sandbox::SandboxPolicy;
use super::{
    ChildAnswer, ExtractedPages, ExtractionJob, ExtractionTask, OcrReader, PdfError, PdfLimits, RawPage,
    RecognizedPage, Shell, TextRange, is_pdf,
};
use crate::files::{Block, FileError, FileFormat};
use crate::logging;
use nix::sys::signal::Signal;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

/// Maximum wall-clock time for rendering one page, when the document's own limit is not lower.
const MAX_RENDER_WALL_TIME: Duration = Duration::from_secs(20);
/// Maximum CPU time for rendering one page, when the document's own limit is not lower.
const MAX_RENDER_CPU_TIME: Duration = Duration::from_secs(15);

/// Share of a document's time after which a complete reading gives way to a plainer one.
const COMPLETE_READING_SHARE: f32 = 0.6;

/// Maximum number of child processes that may end on a document before the rest of it is read in the plainer mode.
const MAX_COMPLETE_FAILURES: u32 = 4;

/// Maximum number of child processes that may end in the plainer mode, each on another page.
const MAX_PLAIN_FAILURES: u32 = 4;

/// Hides this process from other processes of its user: they can read neither its memory nor the variables with which
/// it was started. Has no effect on other systems than Linux.
///
/// # Errors
/// Returns the error of the operating system.
pub fn hide_memory() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_dumpable(false)?;
    Ok(())
}

/// Extracts text and renders pages in child processes. Each one runs `program` with [`SUBCOMMAND`], and the program's
/// `main` must then call [`child_main`](super::child_main).
#[derive(Clone, Debug)]
pub struct Extractor {
    program: PathBuf,
    library: PathBuf,
    /// Folder of the OCR models, for reading pictures of pages.
    ocr_models: Option<PathBuf>,
    limits: PdfLimits,
    sandbox: SandboxPolicy,
}

impl Extractor {
    /// Creates an extractor with the default limits, which reads files in a sandbox only. `library` is the file of
    /// libpdfium.
    pub fn new(program: impl Into<PathBuf>, library: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            library: library.into(),
            ocr_models: None,
            limits: PdfLimits::default(),
            sandbox: SandboxPolicy::Required,
        }
    }

    /// Sets what happens where the child process cannot close its sandbox.
    #[must_use]
    pub fn with_sandbox(self, sandbox: SandboxPolicy) -> Self {
        Self { sandbox, ..self }
    }

    /// Sets the resource limits for one document.
    #[cfg(test)]
    fn with_limits(self, limits: PdfLimits) -> Self {
        Self { limits, ..self }
    }

    /// Returns the text of each page of `pdf`, even when no page has any text.
    ///
    /// # Errors
    /// Returns any [`PdfError`] except [`PdfError::NoText`].
    pub async fn extract(&self, pdf: &[u8]) -> Result<ExtractedPages, PdfError> {
        let mut reading = Reading::new(self.limits);
        loop {
            let limits = reading.limits();
            if limits.wall_time.is_zero() {
                return Err(PdfError::TimedOut);
            }
            let (output, status) = self.run(ExtractionTask::Text(reading.range), limits, pdf).await?;
            match output {
                ChildOutput::Text(TextOutput { shell: Some(shell), .. }) => return Err(shell.into()),
                ChildOutput::Text(text) => {
                    if let Some(pages) = reading.add(text, status)? {
                        return ExtractedPages::require_readable(pages, reading.last_failure.map(Failure::into_error));
                    }
                }
                _ => return Err(PdfError::Protocol(status)),
            }
        }
    }

    /// Renders a page of `pdf`, numbered from 1, as a grey JPEG in base64. Its longer side has at most
    /// `longest_side_px` pixels. Returns `None` for a blank page.
    ///
    /// # Errors
    /// Returns any [`PdfError`]. An error with a code concerns this page only; the other pages may be readable.
    pub async fn render_page(&self, pdf: &[u8], page: u32, longest_side_px: u16) -> Result<Option<String>, PdfError> {
        let limits = PdfLimits {
            wall_time: self.limits.wall_time.min(MAX_RENDER_WALL_TIME),
            cpu_time: self.limits.cpu_time.min(MAX_RENDER_CPU_TIME),
            ..self.limits
        };
        match self.run(ExtractionTask::Picture { page, longest_side_px }, limits, pdf).await? {
            (ChildOutput::Picture(picture), _) => Ok(picture),
            (_, status) => Err(PdfError::Protocol(status)),
        }
    }

    /// Reads the text in the picture of a page of `pdf`, numbered from 1, by OCR. Returns `None` for a blank page.
    ///
    /// # Errors
    /// Returns any [`PdfError`]. An error with a code concerns this page only, except [`PdfError::OcrModels`]: the
    /// installation is to blame, and no page can be read.
    pub async fn recognize_page(
        &self,
        pdf: &[u8],
        page: u32,
        reader: &OcrReader,
    ) -> Result<Option<RecognizedPage>, PdfError> {
        let extractor = Self { ocr_models: Some(reader.models.clone()), ..self.clone() };
        match extractor.run(ExtractionTask::Recognize { page }, reader.limits(self.limits), pdf).await? {
            (ChildOutput::Recognized(page), _) => Ok(page),
            (_, status) => Err(PdfError::Protocol(status)),
        }
    }

    /// Reads a file of a format without pages, under the limits of a PDF.
    ///
    /// # Errors
    /// Returns [`PdfError::File`] with the reason why the file is not read, and the other errors of a child process.
    pub async fn read_file(&self, format: FileFormat, file: &[u8]) -> Result<Vec<Block>, PdfError> {
        let (output, status) = self.run(ExtractionTask::File(format), self.limits, file).await?;
        let ChildOutput::Text(output) = output else { return Err(PdfError::Protocol(status)) };
        if output.is_complete {
            return Ok(output.blocks);
        }
        Err(match output.failure(status) {
            Some(Failure::OutOfMemory) if status.code() == Some(PANIC_EXIT_CODE) => PdfError::ReaderFailed,
            Some(Failure::OutOfMemory) => FileError::TooLarge(self.limits.memory_bytes).into(),
            Some(failure) => failure.into_error(),
            None => PdfError::Protocol(status),
        })
    }

    /// Runs a child process until its final answer or its end, and returns its exit status.
    async fn run(
        &self,
        task: ExtractionTask,
        limits: PdfLimits,
        pdf: &[u8],
    ) -> Result<(ChildOutput, ExitStatus), PdfError> {
        if !matches!(task, ExtractionTask::File(_)) && !is_pdf(pdf) {
            return Err(PdfError::Corrupt);
        }
        let mut child = self.spawn(task, limits, pdf.len()).map_err(PdfError::Spawn)?;
        let mut output = TextOutput::default();
        let first_page = if let ExtractionTask::Text(range) = task { range.first_page } else { 1 };
        let exchange = exchange(&mut child, pdf, &limits, first_page, &mut output);
        let outcome = match tokio::time::timeout(limits.wall_time, exchange).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => {
                output.is_timed_out = true;
                Ok(None)
            }
        };
        // The child is killed after its final answer: it may be in an endless loop.
        child.kill().await.map_err(PdfError::Spawn)?;
        let status = child.wait().await.map_err(PdfError::Spawn)?;
        if output.failure(status) == Some(Failure::ForbiddenCall) {
            // Logged as an error: this call is the only trace of a file that has taken the reader over.
            tracing::error!("the reader of a document made a forbidden system call");
            logging::metric("ForbiddenCalls", 1.0);
            return Err(PdfError::ForbiddenCall);
        }
        match (outcome?, task) {
            (Some(page), _) => Ok((page, status)),
            (None, ExtractionTask::Text(_) | ExtractionTask::File(_)) if output.is_ready || output.is_timed_out => {
                Ok((ChildOutput::Text(output), status))
            }
            (None, _) => Err(output.failure(status).map_or(PdfError::Protocol(status), Failure::into_error)),
        }
    }

    /// Starts the child process without environment variables, hence without secrets, and without open files but its
    /// pipes.
    fn spawn(&self, task: ExtractionTask, limits: PdfLimits, pdf_bytes: usize) -> io::Result<Child> {
        let job = ExtractionJob {
            library: self.library.clone(),
            ocr_models: self.ocr_models.clone(),
            pdf_bytes,
            limits,
            task,
            sandbox: self.sandbox,
        };
        Command::new(&self.program)
            .arg(SUBCOMMAND)
            .arg(serde_json::to_string(&job)?)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
    }
}

/// Writes the PDF to the child process and reads its answers at the same time. Returns the picture of a page or its
/// text, if the child gave one.
async fn exchange(
    child: &mut Child,
    pdf: &[u8],
    limits: &PdfLimits,
    first_page: u32,
    output: &mut TextOutput,
) -> Result<Option<ChildOutput>, PdfError> {
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(PdfError::Spawn(io::ErrorKind::BrokenPipe.into()));
    };
    let feed = async move {
        // Writing fails when the child refuses the PDF early and closes the pipe; its answer then holds the reason.
        let _ = stdin.write_all(pdf).await;
    };
    let ((), page) = tokio::join!(feed, read_answers(stdout, limits, first_page, output));
    let page = page?;
    if page.is_none() && !output.is_complete {
        // The exit status tells why there is no final answer.
        child.wait().await.map_err(PdfError::Spawn)?;
    }
    Ok(page)
}

/// Reads answers of the child process until a final one or the end of the stream.
///
/// A file that takes the child process over can make it write anything. Pages must follow each other from `first_page` on,
/// and be no more than a document may have.
async fn read_answers(
    stdout: impl AsyncRead + Unpin,
    limits: &PdfLimits,
    first_page: u32,
    output: &mut TextOutput,
) -> Result<Option<ChildOutput>, PdfError> {
    let mut lines = BufReader::new(stdout.take(limits.max_output_bytes));
    let mut line = Vec::new();
    loop {
        line.clear();
        lines.read_until(b'\n', &mut line).await.map_err(PdfError::Spawn)?;
        let Ok(answer) = serde_json::from_slice(&line) else {
            return match lines.get_ref().limit() {
                0 => Err(PdfError::TooLarge { limit: limits.max_output_bytes }),
                _ => Ok(None),
            };
        };
        match answer {
            ChildAnswer::Unprotected(reason) => warn_of_missing_sandbox(&reason),
            ChildAnswer::Ready => output.is_ready = true,
            ChildAnswer::Opened(pages) if pages > limits.max_pages => {
                return Err(PdfError::TooManyPages { pages, limit: limits.max_pages });
            }
            ChildAnswer::Opened(pages) => output.page_count = Some(pages),
            ChildAnswer::Page(page) => {
                let number = u64::from(first_page) + output.pages.len() as u64;
                if u64::from(page.number) != number || number > limits.max_pages.into() {
                    return Err(PdfError::ReaderFailed);
                }
                output.pages.push(page);
            }
            ChildAnswer::Block(block) => output.blocks.push(block),
            ChildAnswer::FileRefused(error) => return Err(error.into()),
            ChildAnswer::Complete => {
                output.is_complete = true;
                return Ok(None);
            }
            ChildAnswer::Shell(shell) => {
                (output.is_complete, output.shell) = (true, Some(shell));
                return Ok(None);
            }
            ChildAnswer::Picture(picture) => return Ok(Some(ChildOutput::Picture(picture))),
            ChildAnswer::Recognized(page) => return Ok(Some(ChildOutput::Recognized(page))),
            ChildAnswer::PageTimedOut => return Err(PdfError::TimedOut),
            ChildAnswer::OcrUnusable(reason) => return Err(PdfError::OcrModels(reason)),
            ChildAnswer::Encrypted => return Err(PdfError::Encrypted),
            ChildAnswer::Corrupt => return Err(PdfError::Corrupt),
            ChildAnswer::TooManyPages(pages) => {
                return Err(PdfError::TooManyPages { pages, limit: limits.max_pages });
            }
            ChildAnswer::Unusable(reason) => return Err(PdfError::Library(reason)),
        }
    }
}

/// Returns the pages that the output of a child process holds, as [`Extractor::extract`] does for one that read a whole
/// document and ended well. For tests of what a child process may write that a file has taken over.
///
/// # Errors
/// Returns any [`PdfError`].
pub async fn read_child_output(output: &[u8]) -> Result<ExtractedPages, PdfError> {
    let mut reading = Reading::new(PdfLimits::default());
    let mut text = TextOutput::default();
    let ended_well = ExitStatus::default();
    if read_answers(output, &reading.limits, reading.range.first_page, &mut text).await?.is_some() {
        return Err(PdfError::Protocol(ended_well));
    }
    if let Some(shell) = text.shell {
        return Err(shell.into());
    }
    match reading.add(text, ended_well)? {
        Some(pages) => ExtractedPages::require_readable(pages, None),
        None => Err(PdfError::Protocol(ended_well)),
    }
}

/// Logs that files are read without a sandbox, once for each start of the program.
fn warn_of_missing_sandbox(reason: &str) {
    static IS_LOGGED: Once = Once::new();
    IS_LOGGED.call_once(|| tracing::warn!(reason, "documents are read without a sandbox"));
}

/// Output of a child process that reported no error.
enum ChildOutput {
    Text(TextOutput),
    /// A rendered page; `None` for a blank one.
    Picture(Option<String>),
    /// The text in the picture of a page; `None` for a blank one.
    Recognized(Option<RecognizedPage>),
}

/// Text that a child process gave before its end.
#[derive(Debug, Default)]
struct TextOutput {
    /// True after [`ChildAnswer::Ready`]: the installation is not to blame for what follows.
    is_ready: bool,
    is_timed_out: bool,
    /// True after a final answer.
    is_complete: bool,
    /// Number of the document's pages; `None` until it was opened.
    page_count: Option<u32>,
    pages: Vec<RawPage>,
    /// Pieces of a file without pages.
    blocks: Vec<Block>,
    shell: Option<Shell>,
}

impl TextOutput {
    /// Returns why the child process ended without a final answer; `None` when the installation is to blame.
    fn failure(&self, status: ExitStatus) -> Option<Failure> {
        match status.signal() {
            _ if self.is_timed_out => Some(Failure::TimedOut),
            Some(signal) if signal == Signal::SIGXCPU as i32 => Some(Failure::TimedOut),
            _ if !self.is_ready => None,
            Some(signal) if signal == Signal::SIGSYS as i32 => Some(Failure::ForbiddenCall),
            Some(signal) if OUT_OF_MEMORY.iter().any(|&own| own as i32 == signal) => Some(Failure::OutOfMemory),
            Some(_) => Some(Failure::Crashed),
            // Rust's panic: pdfium's binding failed, or pdfium threw when memory ran out.
            None if status.code() == Some(PANIC_EXIT_CODE) => Some(Failure::OutOfMemory),
            None => None,
        }
    }
}

/// Reason why a child process ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// The document needs more time than a document may take.
    TimedOut,
    /// The document needs more memory than a document may take, which no ordinary file of 20 MB does.
    OutOfMemory,
    /// The reader itself failed.
    Crashed,
    /// The reader made a system call that its sandbox forbids.
    ForbiddenCall,
}

impl Failure {
    fn into_error(self) -> PdfError {
        match self {
            Self::TimedOut => PdfError::TimedOut,
            Self::OutOfMemory => PdfError::Corrupt,
            Self::Crashed => PdfError::ReaderFailed,
            Self::ForbiddenCall => PdfError::ForbiddenCall,
        }
    }
}

/// Signals by which pdfium and the standard library end a process that has no memory left.
const OUT_OF_MEMORY: [Signal; 3] = [Signal::SIGABRT, Signal::SIGTRAP, Signal::SIGILL];

/// Exit code of a Rust program whose main thread panicked and unwound.
const PANIC_EXIT_CODE: i32 = 101;

/// Reading of a document over several child processes: after one that ended early, the page it was at is read in a
/// plainer mode, and the next one goes on after that page.
struct Reading {
    limits: PdfLimits,
    deadline: Instant,
    range: TextRange,
    pages: Vec<RawPage>,
    complete_failures: u32,
    plain_failures: u32,
    /// Number of the document's pages, as the first process that opened it counted them.
    page_count: Option<u32>,
    last_failure: Option<Failure>,
}

impl Reading {
    fn new(limits: PdfLimits) -> Self {
        Self {
            limits,
            deadline: Instant::now() + limits.wall_time,
            range: TextRange { first_page: 1, last_page: u32::MAX, is_plain: false },
            pages: Vec::new(),
            complete_failures: 0,
            plain_failures: 0,
            page_count: None,
            last_failure: None,
        }
    }

    /// Returns the limits of the next child process. A complete reading leaves time for a plainer one.
    fn limits(&self) -> PdfLimits {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let share = if self.range.is_plain { 1.0 } else { COMPLETE_READING_SHARE };
        PdfLimits {
            wall_time: left.mul_f32(share),
            cpu_time: Duration::from_secs(self.limits.cpu_time.mul_f32(share).as_secs().max(1)),
            ..self.limits
        }
    }

    /// Adds the pages of a child process. Returns all pages when the document is complete; otherwise determines what
    /// the next child process reads.
    ///
    /// # Errors
    /// Returns an error when no further child process would help.
    fn add(&mut self, output: TextOutput, status: ExitStatus) -> Result<Option<Vec<RawPage>>, PdfError> {
        let failure =
            if output.is_complete { None } else { Some(output.failure(status).ok_or(PdfError::Protocol(status))?) };
        self.last_failure = failure.or(self.last_failure);
        self.page_count = self.page_count.or(output.page_count);
        let is_stuck = output.is_complete && output.pages.is_empty();
        self.pages.extend(output.pages);
        if is_stuck && self.page_count.is_some_and(|count| self.next_page() <= count) {
            // The plainer mode does not find a page that the complete reading counted.
            self.skip_page();
        }
        let next = self.next_page();
        match failure {
            None if self.page_count.is_none_or(|count| next > count) => {
                return Ok(Some(std::mem::take(&mut self.pages)));
            }
            // The page to blame was read in the plainer mode; the next ones are read completely.
            None => {
                let is_plain = self.complete_failures > MAX_COMPLETE_FAILURES;
                self.range = TextRange { first_page: next, last_page: u32::MAX, is_plain };
            }
            Some(failure) if !self.range.is_plain => {
                self.complete_failures += 1;
                // A document that fails while it is opened has no page to blame. One that ran out of time would do
                // so again.
                let is_page_to_blame = output.page_count.is_some()
                    && failure != Failure::TimedOut
                    && self.complete_failures <= MAX_COMPLETE_FAILURES;
                let last_page = if is_page_to_blame { next } else { u32::MAX };
                self.range = TextRange { first_page: next, last_page, is_plain: true };
            }
            Some(failure) => {
                self.plain_failures += 1;
                let Some(count) = output
                    .page_count
                    .filter(|_| self.plain_failures <= MAX_PLAIN_FAILURES && failure != Failure::TimedOut)
                else {
                    return Err(failure.into_error());
                };
                self.skip_page();
                if next >= self.page_count.unwrap_or(count) {
                    return Ok(Some(std::mem::take(&mut self.pages)));
                }
                self.range = TextRange { first_page: next + 1, last_page: u32::MAX, is_plain: true };
            }
        }
        Ok(None)
    }

    fn next_page(&self) -> u32 {
        u32::try_from(self.pages.len()).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// Adds the next page as one that cannot be read.
    fn skip_page(&mut self) {
        self.pages.push(RawPage { number: self.next_page(), is_failed: true, ..RawPage::default() });
    }
}

#[cfg(test)]
mod tests {
    use super::super::PageText;
    use super::*;

    /// Runs a shell script as the child process.
    async fn run(script: &str, limits: PdfLimits) -> Result<ExtractedPages, PdfError> {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o700)).unwrap();
        let extractor = Extractor::new(program, "unused").with_limits(limits);
        loop {
            match extractor.extract(b"%PDF-1.7 ...").await {
                // A process forked by another test may still hold the script open for writing.
                Err(PdfError::Spawn(e)) if e.kind() == io::ErrorKind::ExecutableFileBusy => {}
                outcome => return outcome,
            }
        }
    }

    #[tokio::test]
    async fn a_file_without_a_pdf_header_starts_no_process() {
        let extractor = Extractor::new("/does/not/exist", "/does/not/exist");
        assert!(matches!(extractor.extract(b"PK\x03\x04").await, Err(PdfError::Corrupt)));
        assert!(matches!(extractor.extract(b"%PDF-1.4").await, Err(PdfError::Spawn(_))));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_hidden_process_cannot_be_dumped() {
        hide_memory().unwrap();
        assert!(!nix::sys::prctl::get_dumpable().unwrap());
    }

    #[tokio::test]
    async fn pages_out_of_order_and_too_many_of_them_are_the_readers_failure() {
        let page = |number: u32| {
            format!(r#"{{"page":{{"number":{number},"blocks":[{{"paragraph":{{"text":"bonjour"}}}}]}}}}"#)
        };
        let output = |count: u32, numbers: &[u32]| {
            let pages: Vec<_> = numbers.iter().map(|number| page(*number)).collect();
            format!("\"ready\"\n{{\"opened\":{count}}}\n{}\n\"complete\"\n", pages.join("\n"))
        };
        let read = async |output: String| read_child_output(output.as_bytes()).await;
        assert_eq!(read(output(2, &[1, 2])).await.unwrap().as_slice().len(), 2);
        for numbers in [vec![2], vec![1, 1], vec![2, 1], vec![0], (1..=201).collect()] {
            let error = read(output(2, &numbers)).await.unwrap_err();
            assert!(matches!(error, PdfError::ReaderFailed), "{numbers:?}: {error}");
        }
        let error = read(output(u32::MAX, &[1])).await.unwrap_err();
        assert!(matches!(error, PdfError::TooManyPages { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_forbidden_call_is_the_files_fault_and_ends_the_reading() {
        let fault = run(r#"echo '"ready"'; kill -SYS $$"#, PdfLimits::default()).await.unwrap_err();
        assert!(matches!(fault, PdfError::ForbiddenCall), "{fault}");
        // Before the answer "ready", no file is read, so the installation is to blame.
        assert_eq!(run("kill -SYS $$", PdfLimits::default()).await.unwrap_err().code(), None);
    }

    #[tokio::test]
    async fn a_file_that_was_read_without_a_sandbox_is_read() {
        let script = r#"cat > /dev/null; echo '{"unprotected":"no seccomp"}'; echo '"ready"'
            echo '{"page":{"number":1,"blocks":[{"paragraph":{"text":"bonjour"}}]}}'; echo '"complete"'"#;
        assert_eq!(run(script, PdfLimits::default()).await.unwrap().as_slice()[0].text, "bonjour");
    }

    #[tokio::test]
    async fn a_complete_answer_returns_the_pages() {
        let script = r#"cat > /dev/null; echo '"ready"'
            echo '{"page":{"number":1,"blocks":[{"paragraph":{"text":"bonjour"}}]}}'; echo '"complete"'; sleep 60"#;
        let pages = run(script, PdfLimits::default()).await.unwrap();
        assert_eq!(pages.as_slice(), [PageText { number: 1, text: "bonjour".to_owned() }]);
    }

    #[tokio::test]
    async fn a_crash_after_some_pages_returns_the_corrupt_error() {
        // Each process is asked for the pages after those that are read.
        let script = r#"page=${2##*'"first_page":'}; page=${page%%[!0-9]*}; echo '"ready"'
            echo "{\"page\":{\"number\":$page,\"blocks\":[{\"paragraph\":{\"text\":\"bonjour\"}}]}}"; kill -6 $$"#;
        assert!(matches!(run(script, PdfLimits::default()).await, Err(PdfError::Corrupt)));
    }

    #[tokio::test]
    async fn a_child_that_ends_before_ready_gives_an_error_without_code() {
        for script in ["exit 0", "exit 101", "kill -11 $$", "echo nonsense"] {
            let fault = run(script, PdfLimits::default()).await.unwrap_err();
            assert_eq!(fault.code(), None, "{script}");
        }
    }

    #[tokio::test]
    async fn exceeding_the_time_or_output_limit_returns_its_error() {
        let limits = PdfLimits { wall_time: Duration::from_millis(200), ..PdfLimits::default() };
        assert!(matches!(run("exec sleep 60", limits).await, Err(PdfError::TimedOut)));
        assert!(matches!(run("kill -XCPU $$", limits).await, Err(PdfError::TimedOut)));
        let limits = PdfLimits { max_output_bytes: 1000, ..PdfLimits::default() };
        let endless = run("exec yes '\"ready\"'", limits).await;
        assert!(matches!(endless, Err(PdfError::TooLarge { limit: 1000 })));
    }

    #[tokio::test]
    async fn the_child_process_has_no_environment_variables() {
        let script = r#"echo '"ready"'; echo "{\"page\":{\"number\":1,\"blocks\":[{\"paragraph\":{\"text\":\"vars$(env |
            grep -vc -e ^PWD= -e ^_= -e ^SHLVL= -e ^OLDPWD=)\"}}]}}"; echo '"complete"'"#;
        let script = format!("PATH=/usr/bin:/bin; {script}");
        let pages = run(&script, PdfLimits::default()).await.unwrap();
        assert_eq!(pages.as_slice()[0].text, "vars0");
    }
}
