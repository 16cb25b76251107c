//! Redis, where rate limits may be counted instead of in the database. For tests.

use std::{
    env, fs,
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::{
    account::Account,
    child::{Child, free_port},
};

const START: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);

/// A running server that keeps nothing. Dropped, it ends; it also ends when this process is killed.
#[derive(Debug)]
pub struct Redis {
    child: Child,
    program: PathBuf,
    port: u16,
}

impl Redis {
    /// Finds the program on the PATH.
    #[must_use]
    pub fn find() -> Option<PathBuf> {
        #[allow(clippy::disallowed_methods, reason = "where programs are, which is no setting of a function")]
        let path = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&path).map(|folder| folder.join("redis-server")).find(|program| program.is_file())
    }

    /// Starts it on a port of the loopback interface.
    ///
    /// # Errors
    /// A server that does not start, with the reason that it gives.
    pub async fn start(program: &Path) -> Result<Self> {
        // Another program may take the port between finding it and using it.
        for _ in 0..5 {
            let port = free_port()?;
            if let Some(child) = serve(program, port).await? {
                return Ok(Self { child, program: program.to_owned(), port });
            }
        }
        bail!("no free port was found for Redis");
    }

    /// Ends it and starts it again at the same place, with nothing in it, as after a failover.
    ///
    /// # Errors
    /// A server that does not start.
    pub async fn restart(&mut self) -> Result<()> {
        self.child.stop();
        self.child = serve(&self.program, self.port).await?.context("Redis lost its port")?;
        Ok(())
    }

    /// `127.0.0.1:…`
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// Starts it; `None` where the port was taken.
async fn serve(program: &Path, port: u16) -> Result<Option<Child>> {
    // What listens to no outside address still is nothing that root should run.
    let account = Account::choose()?;
    let folder = tempfile::Builder::new().prefix("lisa-redis-").tempdir();
    let folder = folder.context("a temporary folder cannot be made")?;
    account.own(folder.path())?;
    let log = folder.path().join("log");
    let mut command = Child::guarded(account, "TERM", Some(folder.path()));
    command.arg(program).args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
    command.args(["--save", "", "--appendonly", "no", "--dir"]).arg(folder.path()).arg("--logfile").arg(&log);
    let mut child = Child::spawn(command.current_dir("/").stdout(Stdio::null()).stderr(Stdio::null()))?;
    let deadline = Instant::now() + START;
    loop {
        let text = fs::read_to_string(&log).unwrap_or_default();
        if text.contains("Address already in use") {
            return Ok(None);
        }
        if child.exited()?.is_some() {
            bail!("Redis does not start: {}", text.lines().last().unwrap_or("it gave no reason"));
        }
        if answers(port) {
            // From here on the guard removes it, even when this process is killed.
            let _: PathBuf = TempDir::keep(folder);
            return Ok(Some(child));
        }
        if Instant::now() > deadline {
            bail!("Redis answers nothing after {} s", START.as_secs());
        }
        tokio::time::sleep(POLL).await;
    }
}

/// It takes connections before it takes commands.
fn answers(port: u16) -> bool {
    let ask = || -> std::io::Result<[u8; 5]> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"PING\r\n")?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| &answer == b"+PONG")
}
