//! A process that ends when this one does, however this one ends.

use std::{
    net::{Ipv4Addr, TcpListener},
    os::unix::process::CommandExt,
    path::Path,
    process::{self, ChildStdout, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

use crate::account::Account;

/// Runs a command and ends it by a signal when standard input ends. That it does even when the parent is killed. The
/// reader is a second process, so that a command which ends by itself is noticed.
/// `$1`: the signal; `$2`: a folder to remove at the end, or nothing.
const GUARD: &str = r#"
signal=$1; trash=$2; shift 2
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
{ read -r _; kill -s "$signal" "$server"; } <&3 3<&- &
reader=$!
wait "$server"; code=$?
kill "$reader" 2>/dev/null
[ -z "$trash" ] || rm -rf -- "$trash"
exit "$code"
"#;

/// How long a server may take to end before it is killed.
const PATIENCE: Duration = Duration::from_secs(15);

/// A running server. Dropped, it is stopped.
#[derive(Debug)]
pub struct Child(process::Child);

impl Child {
    /// Starts a command that itself ends when its standard input does.
    ///
    /// # Errors
    /// A program that cannot be started.
    pub fn spawn(command: &mut Command) -> Result<Self> {
        let program = command.get_program().to_owned();
        // A process group of its own: Ctrl-C in a terminal reaches this process alone, which ends the others in order.
        let child = command.stdin(Stdio::piped()).process_group(0).spawn();
        Ok(Self(child.with_context(|| format!("{} cannot be started", Path::new(&program).display()))?))
    }

    /// A command under guard, for servers that do not look at their standard input. The signal ends it: `INT` or `TERM`.
    pub(crate) fn guarded(account: Account, signal: &str, trash: Option<&Path>) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", GUARD, "guard", signal]).arg(trash.unwrap_or(Path::new("")));
        account.apply(&mut command);
        command
    }

    /// Its standard output, where that is a pipe; once.
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.0.stdout.take()
    }

    /// Has it ended by itself?
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        self.0.try_wait().context("a child process cannot be waited for")
    }

    /// Ends it, and waits until it has ended.
    pub fn stop(&mut self) {
        drop(self.0.stdin.take());
        let deadline = Instant::now() + PATIENCE;
        while matches!(self.0.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                // Its group is named by its own id. What has ended meanwhile needs no signal.
                if let Ok(id) = i32::try_from(self.0.id()) {
                    let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
                }
                let _ = self.0.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Finds a port of the loopback interface that is free now; whoever takes it must be ready to lose the race for it.
///
/// # Errors
/// No port left.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free on 127.0.0.1")?;
    Ok(listener.local_addr().context("the address of a socket cannot be read")?.port())
}
