//! Child processes that end when this process ends, even when it is killed.

use std::{
    net::{Ipv4Addr, TcpListener},
    os::unix::process::CommandExt,
    path::Path,
    process::{self, ChildStdout, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};

use crate::server_user::ServerUser;

/// A shell script that runs a command and signals it when standard input ends, which happens even when the parent
/// process is killed. The reader is a second process, so that the script also notices when the command ends by
/// itself. Arguments: `$1` is the signal, `$2` a folder to remove once the command was signalled, or empty. The folder of
/// a command that ends by itself stays, since its starter may try again with it.
const GUARD: &str = r#"
signal=$1; trash=$2; shift 2
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
{ read -r _; kill -s "$signal" "$server"; exit 3; } <&3 3<&- &
reader=$!
wait "$server"; code=$?
kill "$reader" 2>/dev/null
wait "$reader"
[ $? -ne 3 ] || [ -z "$trash" ] || rm -rf -- "$trash"
exit "$code"
"#;

/// The time for a server to shut down before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// A running server process. Dropping it stops the server.
#[derive(Debug)]
pub struct ChildProcess(process::Child);

impl ChildProcess {
    /// Starts a command that must end when its standard input ends.
    ///
    /// # Errors
    /// Fails when the program cannot be started.
    pub fn spawn(command: &mut Command) -> Result<Self> {
        let program = command.get_program().to_owned();
        // A separate process group: Ctrl-C in a terminal reaches only this process, which stops the servers in order.
        let child = command.stdin(Stdio::piped()).process_group(0).spawn();
        Ok(Self(child.with_context(|| format!("{} cannot be started", Path::new(&program).display()))?))
    }

    /// A command run by the guard script, for servers that do not watch their standard input. `signal` stops the
    /// server: `INT` or `TERM`. `trash` is a folder to remove afterwards.
    pub(crate) fn guarded(account: ServerUser, signal: &str, trash: Option<&Path>) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", GUARD, "guard", signal]).arg(trash.unwrap_or(Path::new("")));
        account.apply(&mut command);
        command
    }

    /// Takes the standard output, if it is a pipe. Returns it once.
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.0.stdout.take()
    }

    /// The exit status when the process has ended, else `None`.
    ///
    /// # Errors
    /// Fails when the operating system reports an error.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        self.0.try_wait().context("a child process cannot be waited for")
    }

    /// Kills the process, its guard and all their descendants that `ps` lists, with SIGKILL. The guard's folder stays.
    ///
    /// # Errors
    /// Fails when the processes cannot be listed.
    pub fn kill_tree(&mut self) -> Result<()> {
        let root = self.0.id();
        let ps = Command::new("ps").args(["-A", "-o", "pid=,ppid="]).output().context("ps cannot be started")?;
        let listed = String::from_utf8_lossy(&ps.stdout).into_owned();
        let pairs: Vec<(u32, u32)> = listed
            .lines()
            .filter_map(|line| {
                let mut numbers = line.split_whitespace().map(str::parse);
                Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
            })
            .collect();
        let mut tree = vec![root];
        let mut at = 0;
        while let Some(&parent) = tree.get(at) {
            tree.extend(pairs.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
            at += 1;
        }
        // The guard is the root of the tree and is killed first: it would remove its folder when the server ends.
        for pid in tree.into_iter().filter_map(|pid| i32::try_from(pid).ok()) {
            // Fails harmlessly for a process that has ended.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        self.0.wait().context("a killed process cannot be waited for")?;
        Ok(())
    }

    /// Stops the server and waits for its end.
    pub fn stop(&mut self) {
        drop(self.0.stdin.take());
        let deadline = Instant::now() + STOP_TIMEOUT;
        while matches!(self.0.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                // The id of the process group equals the process's id. The signal fails harmlessly when the group has
                // ended.
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

impl Drop for ChildProcess {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Finds a free port of the loopback interface. Another program may take the port before the caller uses it.
///
/// # Errors
/// Fails when no port is free.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free on 127.0.0.1")?;
    Ok(listener.local_addr().context("the address of a socket cannot be read")?.port())
}
