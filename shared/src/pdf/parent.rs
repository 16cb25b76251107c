//! The parent's side: starts the child process, feeds it, hears it out and judges how it ended.

use super::child::SUBCOMMAND;
use super::{Answer, Job, Limits, Pages, PdfError, RawPage, Task};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};

/// `%PDF-` must stand within this many bytes, as readers have it.
const HEADER_WITHIN_BYTES: usize = 1024;

/// What the picture of one page may take of the time of a whole document.
const PICTURE_WALL: Duration = Duration::from_secs(20);
const PICTURE_CPU: Duration = Duration::from_secs(15);

/// What Rust's runtime exits with after a panic that unwound.
const PANICKED: i32 = 101;

/// Extracts text by running `program` with [`SUBCOMMAND`]; that program's `main` must then call
/// [`child_main`](super::child_main).
#[derive(Clone, Debug)]
pub struct Extractor {
    program: PathBuf,
    library: PathBuf,
    limits: Limits,
}

impl Extractor {
    /// Makes an extractor with the default limits. `library` is the file of libpdfium.
    pub fn new(program: impl Into<PathBuf>, library: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), library: library.into(), limits: Limits::default() }
    }

    /// Sets what one document may cost.
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Returns the text of each page of `pdf`, also where no page has any.
    ///
    /// # Errors
    /// [`PdfError`], but for [`PdfError::NoText`].
    pub async fn extract(&self, pdf: &[u8]) -> Result<Pages, PdfError> {
        match self.run(Task::Text, self.limits, pdf).await? {
            (Heard::Pages(pages), _) => Ok(Pages::from_raw(pages)),
            (_, status) => Err(PdfError::Protocol(status)),
        }
    }

    /// Returns what a page of `pdf` looks like: a grey JPEG in base64, its longest side at most `longest_side_px` long.
    /// `None` where nothing is on it.
    ///
    /// # Errors
    /// [`PdfError`]; with a code, the page is to blame, and the other ones may still be readable.
    pub async fn picture(&self, pdf: &[u8], page: u32, longest_side_px: u16) -> Result<Option<String>, PdfError> {
        let limits =
            Limits { wall: self.limits.wall.min(PICTURE_WALL), cpu: self.limits.cpu.min(PICTURE_CPU), ..self.limits };
        match self.run(Task::Picture { page, longest_side_px }, limits, pdf).await? {
            (Heard::Picture(picture), _) => Ok(picture),
            (_, status) => Err(PdfError::Protocol(status)),
        }
    }

    /// Runs a child process to its last word, which is never [`Heard::Silence`].
    async fn run(&self, task: Task, limits: Limits, pdf: &[u8]) -> Result<(Heard, ExitStatus), PdfError> {
        let head = &pdf[..pdf.len().min(HEADER_WITHIN_BYTES)];
        if !head.windows(5).any(|bytes| bytes == b"%PDF-") {
            return Err(PdfError::Corrupt);
        }
        let mut child = self.spawn(task, limits, pdf.len()).map_err(PdfError::Spawn)?;
        let outcome = match tokio::time::timeout(limits.wall, converse(&mut child, pdf, &limits)).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => Err(PdfError::TimedOut),
        };
        // Nobody waits for a child that has said enough: it may be in an endless loop.
        child.kill().await.map_err(PdfError::Spawn)?;
        Ok((outcome?, child.wait().await.map_err(PdfError::Spawn)?))
    }

    /// Starts the child with no more than it needs: no environment, hence no secrets, and no file.
    fn spawn(&self, task: Task, limits: Limits, pdf_bytes: usize) -> io::Result<Child> {
        let job = Job { library: self.library.clone(), pdf_bytes, limits, task };
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

/// Feeds the child and hears it out.
async fn converse(child: &mut Child, pdf: &[u8], limits: &Limits) -> Result<Heard, PdfError> {
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(PdfError::Spawn(io::ErrorKind::BrokenPipe.into()));
    };
    let feed = async move {
        // A child that refuses early closes the pipe; its answer tells why.
        let _ = stdin.write_all(pdf).await;
    };
    let ((), heard) = tokio::join!(feed, listen(stdout, limits));
    match heard? {
        Heard::Silence { ready } => {
            let status = child.wait().await.map_err(PdfError::Spawn)?;
            Err(judge(status, ready))
        }
        heard => Ok(heard),
    }
}

/// Reads answers until the one that ends the conversation, or the end of the stream.
async fn listen(stdout: ChildStdout, limits: &Limits) -> Result<Heard, PdfError> {
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
                _ => Ok(Heard::Silence { ready }),
            };
        };
        match answer {
            Answer::Ready => ready = true,
            Answer::Page(page) => pages.push(page),
            Answer::Complete => return Ok(Heard::Pages(pages)),
            Answer::Picture(picture) => return Ok(Heard::Picture(picture)),
            Answer::Encrypted => return Err(PdfError::Encrypted),
            Answer::Corrupt => return Err(PdfError::Corrupt),
            Answer::TooManyPages(pages) => {
                return Err(PdfError::TooManyPages { pages, limit: limits.max_pages });
            }
            Answer::Unusable(why) => return Err(PdfError::Library(why)),
        }
    }
}

/// How a conversation ended when no error was told.
enum Heard {
    Pages(Vec<RawPage>),
    Picture(Option<String>),
    /// The child ended, or spoke nonsense, in the middle.
    Silence {
        ready: bool,
    },
}

/// Names the fault of a child that ended without an answer. A death after [`Answer::Ready`] is the
/// document's doing: an abort of pdfium, or the memory limit, which no honest 20 MB file meets.
fn judge(status: ExitStatus, ready: bool) -> PdfError {
    match status.signal() {
        Some(signal) if signal == nix::sys::signal::Signal::SIGXCPU as i32 => PdfError::TimedOut,
        Some(_) if ready => PdfError::Corrupt,
        None if ready && status.code() == Some(PANICKED) => PdfError::Corrupt,
        _ => PdfError::Protocol(status),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Page;
    use super::*;

    /// Runs a shell script in the child's place.
    async fn run(script: &str, limits: Limits) -> Result<Pages, PdfError> {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o700)).unwrap();
        let extractor = Extractor::new(program, "unused").with_limits(limits);
        loop {
            match extractor.extract(b"%PDF-1.7 ...").await {
                // Another test's fork may still hold the script open for writing.
                Err(PdfError::Spawn(e)) if e.kind() == io::ErrorKind::ExecutableFileBusy => {}
                outcome => return outcome,
            }
        }
    }

    #[tokio::test]
    async fn what_is_no_pdf_starts_no_process() {
        let extractor = Extractor::new("/does/not/exist", "/does/not/exist");
        assert!(matches!(extractor.extract(b"PK\x03\x04").await, Err(PdfError::Corrupt)));
        assert!(matches!(extractor.extract(b"%PDF-1.4").await, Err(PdfError::Spawn(_))));
    }

    #[tokio::test]
    async fn the_pages_of_a_complete_answer_are_returned() {
        let script = r#"cat > /dev/null; echo '"ready"'
            echo '{"page":{"number":1,"text":"bonjour"}}'; echo '"complete"'; sleep 60"#;
        let pages = run(script, Limits::default()).await.unwrap();
        assert_eq!(pages.as_slice(), [Page { number: 1, text: "bonjour".to_owned() }]);
    }

    #[tokio::test]
    async fn an_incomplete_answer_is_no_answer() {
        let script = r#"echo '"ready"'; echo '{"page":{"number":1,"text":"bonjour"}}'; kill -6 $$"#;
        assert!(matches!(run(script, Limits::default()).await, Err(PdfError::Corrupt)));
    }

    #[tokio::test]
    async fn a_child_that_never_got_ready_is_our_fault() {
        for script in ["exit 0", "exit 101", "kill -11 $$", "echo nonsense"] {
            let fault = run(script, Limits::default()).await.unwrap_err();
            assert_eq!(fault.code(), None, "{script}");
        }
    }

    #[tokio::test]
    async fn time_and_output_are_bounded() {
        let limits = Limits { wall: Duration::from_millis(200), ..Limits::default() };
        assert!(matches!(run("exec sleep 60", limits).await, Err(PdfError::TimedOut)));
        assert!(matches!(run("kill -XCPU $$", limits).await, Err(PdfError::TimedOut)));
        let limits = Limits { max_output_bytes: 1000, ..Limits::default() };
        let endless = run("exec yes '\"ready\"'", limits).await;
        assert!(matches!(endless, Err(PdfError::TooLarge { limit: 1000 })));
    }

    #[tokio::test]
    async fn the_child_sees_no_environment() {
        let script = r#"echo '"ready"'; echo "{\"page\":{\"number\":1,\"text\":\"vars$(env |
            grep -vc -e ^PWD= -e ^_= -e ^SHLVL= -e ^OLDPWD=)\"}}"; echo '"complete"'"#;
        let script = format!("PATH=/usr/bin:/bin; {script}");
        let pages = run(&script, Limits::default()).await.unwrap();
        assert_eq!(pages.as_slice()[0].text, "vars0");
    }
}
