//! The sandbox of the child process holds against a file that has taken the reader over. The real child program loads a
//! libpdfium that tries the attack that the file names (`compromised_pdfium.c`).

use std::{
    fs::{self, File},
    net::{TcpListener, UdpSocket},
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use local::testing;
use shared::pdf::{Extractor, PdfError};

use super::libpdfium;

/// Builds the library, or the program that makes the attempts without a sandbox.
fn build(folder: &Path, output: &str, more: &[&str]) -> Option<PathBuf> {
    let compiler = testing::program("a C compiler", "gcc", &["cc", "gcc", "clang"]).unwrap()?;
    let (source, output) = (folder.join("compromised_pdfium.c"), folder.join(output));
    fs::write(&source, include_str!("compromised_pdfium.c")).unwrap();
    let built = Command::new(compiler).arg("-o").arg(&output).arg(&source).arg("-pthread").args(more).status();
    assert!(built.unwrap().success(), "the compromised library does not compile");
    Some(output)
}

/// The real child program with a compromised library, and what its files and this test's processes are.
struct Attack {
    folder: tempfile::TempDir,
    extractor: Extractor,
    alone: PathBuf,
    /// A process of this user that has nothing to do with the reader.
    bystander: Child,
}

impl Attack {
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let real = libpdfium();
        let search_path = format!("-Wl,-rpath,{}", real.parent().unwrap().display());
        let options = ["-shared", "-fPIC", "-Wl,--no-as-needed", real.to_str().unwrap(), &search_path];
        let library = build(folder.path(), "libcompromised.so", &options)?;
        let alone = build(folder.path(), "alone", &["-DALONE"])?;
        let extractor = Extractor::new(local::environment::lisa_program().unwrap(), library);
        // Ends with the pipe, hence with this test.
        let bystander = Command::new("cat")
            .env_clear()
            .env("SECRET", "s3cret")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Some(Self { folder, extractor, alone, bystander })
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Lets the child process make an attempt, and returns the outcome that it told.
    async fn attempt(&self, name: &str, argument: &str) -> Result<String, PdfError> {
        let pages = self.extractor.extract(format!("%PDF-1.7 {name} {argument}\n").as_bytes()).await?;
        Ok(pages.as_slice()[0].text.clone())
    }

    /// Makes an attempt without a sandbox.
    fn alone(&self, name: &str, argument: &str) -> String {
        let output = Command::new(&self.alone).args([name, argument]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    async fn assert_ends_the_process(&self, name: &str, argument: &str) {
        let outcome = self.attempt(name, argument).await;
        assert!(matches!(outcome, Err(PdfError::ForbiddenCall)), "{name} {argument}: {outcome:?}");
    }

    async fn assert_finds_no_file(&self, name: &str, path: &str) {
        let refused = format!("refused with error {}", nix::libc::EACCES);
        assert_eq!(self.attempt(name, path).await.unwrap(), refused, "{name} {path}");
    }
}

impl Drop for Attack {
    fn drop(&mut self) {
        // Fails only when the process has ended.
        let _ = self.bystander.kill();
        let _ = self.bystander.wait();
    }
}

#[tokio::test]
async fn the_outcome_of_an_attempt_that_is_allowed_arrives() {
    let Some(attack) = Attack::new() else { return };
    assert_eq!(attack.attempt("nothing", "-").await.unwrap(), "succeeded");
}

#[tokio::test]
async fn the_reader_reaches_no_network() {
    let Some(attack) = Attack::new() else { return };
    let (tcp, udp) = (TcpListener::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let path = attack.path("socket");
    let _listener = UnixListener::bind(&path).unwrap();
    tcp.set_nonblocking(true).unwrap();
    udp.set_nonblocking(true).unwrap();
    let (tcp_port, udp_port) =
        (tcp.local_addr().unwrap().port().to_string(), udp.local_addr().unwrap().port().to_string());
    let attempts = [
        ("connect", tcp_port.as_str()),
        ("send-datagram", &udp_port),
        ("connect-to-path", &path),
        ("socket-pair", "-"),
        ("io-uring", "-"),
    ];
    for (name, argument) in attempts {
        attack.assert_ends_the_process(name, argument).await;
    }
    assert!(tcp.accept().is_err() && udp.recv(&mut [0; 16]).is_err(), "something arrived");

    for (name, argument) in &attempts[..4] {
        assert!(attack.alone(name, argument).contains("succeeded"), "{name} fails without a sandbox, too");
    }
    assert!(tcp.accept().is_ok() && udp.recv(&mut [0; 16]).is_ok());
}

#[tokio::test]
async fn the_reader_finds_no_file_and_no_variable_of_its_parent() {
    let Some(attack) = Attack::new() else { return };
    let own = attack.path("file");
    fs::write(&own, "s3cret").unwrap();
    let of_process = |file: &str| format!("/proc/{}/{file}", std::process::id());
    let of_bystander = format!("/proc/{}/environ", attack.bystander.id());
    let readable =
        [own.clone(), of_process("environ"), of_process("cmdline"), of_bystander.clone(), "/proc/self/maps".into()];
    for path in &readable {
        attack.assert_finds_no_file("read-file", path).await;
        assert!(attack.alone("read-file", path).contains("succeeded"), "{path} is not readable without a sandbox");
    }
    assert!(attack.alone("read-file", &of_bystander).contains("s3cret"));
    for (name, path) in [
        ("read-file", of_process("mem")),
        ("read-file", libpdfium().display().to_string()),
        ("read-link", "/proc/self/exe".to_owned()),
        ("stat", own),
        ("list-folder", "/".to_owned()),
    ] {
        attack.assert_finds_no_file(name, &path).await;
    }
}

#[tokio::test]
async fn the_reader_changes_no_file() {
    let Some(attack) = Attack::new() else { return };
    let (own, new, folder) = (attack.path("file"), attack.path("new"), attack.path("folder"));
    fs::write(&own, "kept").unwrap();
    for (name, path) in [
        ("create-file", &new),
        ("create-for-reading", &new),
        ("open-for-writing", &own),
        ("truncate", &own),
        ("unlink", &own),
        ("rename", &own),
        ("change-mode", &own),
        ("make-folder", &folder),
        ("change-folder", &own),
    ] {
        attack.assert_ends_the_process(name, path).await;
    }
    assert_eq!(fs::read_to_string(&own).unwrap(), "kept");
    assert!(!Path::new(&new).exists() && !Path::new(&folder).exists());

    assert!(attack.alone("create-file", &new).contains("succeeded") && Path::new(&new).exists());
    assert!(attack.alone("unlink", &own).contains("succeeded") && !Path::new(&own).exists());
}

#[tokio::test]
async fn the_reader_touches_no_other_process() {
    let Some(attack) = Attack::new() else { return };
    let (parent, bystander) = (std::process::id().to_string(), attack.bystander.id().to_string());
    for process in [&parent, &bystander] {
        for name in ["read-memory", "trace", "signal", "signal-thread", "open-process", "read-limits"] {
            attack.assert_ends_the_process(name, process).await;
        }
    }
    for name in ["signal", "signal-thread", "open-process"] {
        assert!(attack.alone(name, &bystander).contains("succeeded"), "{name} fails without a sandbox, too");
    }
}

#[tokio::test]
async fn the_reader_starts_nothing_and_makes_no_code() {
    let Some(attack) = Attack::new() else { return };
    let mut names = vec![
        "start-thread",
        "start-process",
        "start-program",
        "made-code",
        "made-code-by-mprotect",
        "memory-file",
        "raise-limit",
        "leave-namespace",
        "become-root",
    ];
    if cfg!(target_arch = "x86_64") {
        // A call by the 32-bit interface has numbers of another table, for which the rules are not written.
        names.push("32-bits");
    }
    for name in names {
        attack.assert_ends_the_process(name, "-").await;
    }
    for name in ["start-thread", "start-process", "made-code", "made-code-by-mprotect", "memory-file", "raise-limit"] {
        assert!(attack.alone(name, "-").contains("succeeded"), "{name} fails without a sandbox, too");
    }
}

#[tokio::test]
async fn a_forbidden_call_fails_the_document_and_no_further_process_is_started() {
    let Some(attack) = Attack::new() else { return };
    let counter = attack.path("starts");
    File::create(&counter).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let script = format!("echo >> {counter}; echo '\"ready\"'; kill -SYS $$");
    let extractor = super::survival::extractor_behind(folder.path(), &script);
    let error = loop {
        match extractor.extract(b"%PDF-1.7 \n").await {
            // A process forked by another test may still hold the script open for writing.
            Err(PdfError::Spawn(error)) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {}
            outcome => break outcome.unwrap_err(),
        }
    };
    assert!(matches!(error, PdfError::ForbiddenCall), "{error}");
    assert_eq!(error.code(), Some("reader_failed"));
    assert_eq!(fs::read_to_string(&counter).unwrap().lines().count(), 1);
}
