//! Parent process: starts the child process, writes the PDF to it, reads its answers and derives an error from its
//! exit.

use super::child::SUBCOMMAND;
use super::{
    ChildAnswer, ExtractedPages, ExtractionJob, ExtractionTask, MAX_TEXT_CHARS, PdfError, PdfLimits, RawPage, is_pdf,
};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};

/// Maximum wall-clock time for rendering one page, when the document's own limit is not lower.
const MAX_RENDER_WALL_TIME: Duration = Duration::from_secs(20);
/// Maximum CPU time for rendering one page, when the document's own limit is not lower.
const MAX_RENDER_CPU_TIME: Duration = Duration::from_secs(15);

/// Exit code of a Rust program whose main thread panicked and unwound.
const PANIC_EXIT_CODE: i32 = 101;

/// Extracts text and renders pages in child processes. Each one runs `program` with [`SUBCOMMAND`], and the program's
/// `main` must then call [`child_main`](super::child_main).
#[derive(Clone, Debug)]
pub struct Extractor {
    program: PathBuf,
    library: PathBuf,
    limits: PdfLimits,
}

impl Extractor {
    /// Creates an extractor with the default limits. `library` is the file of libpdfium.
    pub fn new(program: impl Into<PathBuf>, library: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), library: library.into(), limits: PdfLimits::default() }
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
        match self.run(ExtractionTask::Text, self.limits, pdf).await? {
            (ChildOutput::Pages(pages), _) => ExtractedPages::from_raw(pages, MAX_TEXT_CHARS),
            (_, status) => Err(PdfError::Protocol(status)),
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

    /// Runs a child process to its final output, which is never [`ChildOutput::NoAnswer`], and returns its exit
    /// status.
    async fn run(
        &self,
        task: ExtractionTask,
        limits: PdfLimits,
        pdf: &[u8],
    ) -> Result<(ChildOutput, ExitStatus), PdfError> {
        if !is_pdf(pdf) {
            return Err(PdfError::Corrupt);
        }
        let mut child = self.spawn(task, limits, pdf.len()).map_err(PdfError::Spawn)?;
        let outcome = match tokio::time::timeout(limits.wall_time, exchange(&mut child, pdf, &limits)).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => Err(PdfError::TimedOut),
        };
        // The child is killed after its final answer: it may be in an endless loop.
        child.kill().await.map_err(PdfError::Spawn)?;
        Ok((outcome?, child.wait().await.map_err(PdfError::Spawn)?))
    }

    /// Starts the child process without environment variables, hence without secrets, and without open files but its
    /// pipes.
    fn spawn(&self, task: ExtractionTask, limits: PdfLimits, pdf_bytes: usize) -> io::Result<Child> {
        let job = ExtractionJob { library: self.library.clone(), pdf_bytes, limits, task };
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

/// Writes the PDF to the child process and reads its answers at the same time.
async fn exchange(child: &mut Child, pdf: &[u8], limits: &PdfLimits) -> Result<ChildOutput, PdfError> {
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(PdfError::Spawn(io::ErrorKind::BrokenPipe.into()));
    };
    let feed = async move {
        // Writing fails when the child refuses the PDF early and closes the pipe; its answer then holds the reason.
        let _ = stdin.write_all(pdf).await;
    };
    let ((), output) = tokio::join!(feed, read_answers(stdout, limits));
    match output? {
        ChildOutput::NoAnswer { ready } => {
            let status = child.wait().await.map_err(PdfError::Spawn)?;
            Err(error_from_exit(status, ready))
        }
        output => Ok(output),
    }
}

/// Reads answers of the child process until a final one or the end of the stream.
async fn read_answers(stdout: ChildStdout, limits: &PdfLimits) -> Result<ChildOutput, PdfError> {
    let mut lines = BufReader::new(stdout.take(limits.max_output_bytes));
    let mut pages = Vec::new();
    let mut ready = false;
    let mut line = Vec::new();
    loop {
        line.clear();
        lines.read_until(b'\n', &mut line).await.map_err(PdfError::Spawn)?;
        let Ok(answer) = serde_json::from_slice(&line) else {
            return match lines.get_ref().limit() {
                0 => Err(PdfError::TooLarge { limit: limits.max_output_bytes }),
                _ => Ok(ChildOutput::NoAnswer { ready }),
            };
        };
        match answer {
            ChildAnswer::Ready => ready = true,
            ChildAnswer::Page(page) => pages.push(page),
            ChildAnswer::Complete => return Ok(ChildOutput::Pages(pages)),
            ChildAnswer::Picture(picture) => return Ok(ChildOutput::Picture(picture)),
            ChildAnswer::Encrypted => return Err(PdfError::Encrypted),
            ChildAnswer::Corrupt => return Err(PdfError::Corrupt),
            ChildAnswer::TooManyPages(pages) => {
                return Err(PdfError::TooManyPages { pages, limit: limits.max_pages });
            }
            ChildAnswer::Unusable(reason) => return Err(PdfError::Library(reason)),
        }
    }
}

/// Output of a child process that reported no error.
enum ChildOutput {
    /// All pages of the document.
    Pages(Vec<RawPage>),
    /// A rendered page; `None` for a blank one.
    Picture(Option<String>),
    /// The child process ended, or wrote an unreadable line, before a final answer. `ready` is true after
    /// [`ChildAnswer::Ready`].
    NoAnswer { ready: bool },
}

/// Derives the error from the exit status of a child process without a final answer. After [`ChildAnswer::Ready`],
/// the document is to blame: pdfium aborted, or reached the memory limit, which no ordinary 20 MB file does.
fn error_from_exit(status: ExitStatus, ready: bool) -> PdfError {
    match status.signal() {
        Some(signal) if signal == nix::sys::signal::Signal::SIGXCPU as i32 => PdfError::TimedOut,
        Some(_) if ready => PdfError::Corrupt,
        None if ready && status.code() == Some(PANIC_EXIT_CODE) => PdfError::Corrupt,
        _ => PdfError::Protocol(status),
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

    #[tokio::test]
    async fn a_complete_answer_returns_the_pages() {
        let script = r#"cat > /dev/null; echo '"ready"'
            echo '{"page":{"number":1,"text":"bonjour"}}'; echo '"complete"'; sleep 60"#;
        let pages = run(script, PdfLimits::default()).await.unwrap();
        assert_eq!(pages.as_slice(), [PageText { number: 1, text: "bonjour".to_owned() }]);
    }

    #[tokio::test]
    async fn a_crash_after_some_pages_returns_the_corrupt_error() {
        let script = r#"echo '"ready"'; echo '{"page":{"number":1,"text":"bonjour"}}'; kill -6 $$"#;
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
        let script = r#"echo '"ready"'; echo "{\"page\":{\"number\":1,\"text\":\"vars$(env |
            grep -vc -e ^PWD= -e ^_= -e ^SHLVL= -e ^OLDPWD=)\"}}"; echo '"complete"'"#;
        let script = format!("PATH=/usr/bin:/bin; {script}");
        let pages = run(&script, PdfLimits::default()).await.unwrap();
        assert_eq!(pages.as_slice()[0].text, "vars0");
    }
}
