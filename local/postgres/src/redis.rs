//! Runs Redis for tests; rate limits can be counted in Redis instead of the database.

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
    child::{ChildProcess, free_port},
    server_user::ServerUser,
};

const START_TIMEOUT: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A running server without persistence. It stops when dropped, and also when this process is killed.
#[derive(Debug)]
pub struct Redis {
    child: ChildProcess,
    program: PathBuf,
    port: u16,
}

impl Redis {
    /// Finds the program on the PATH.
    #[must_use]
    pub fn find() -> Option<PathBuf> {
        #[expect(clippy::disallowed_methods, reason = "where programs are, which is no setting of a function")]
        let path = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&path).map(|folder| folder.join("redis-server")).find(|program| program.is_file())
    }

    /// Starts a server on a free port of the loopback interface.
    ///
    /// # Errors
    /// Fails when the server does not start, with its reason.
    pub async fn start(program: &Path) -> Result<Self> {
        // Another program may take the port before Redis uses it.
        for _ in 0..5 {
            let port = free_port()?;
            if let Some(child) = serve(program, port).await? {
                return Ok(Self { child, program: program.to_owned(), port });
            }
        }
        bail!("no free port was found for Redis");
    }

    /// Restarts the server empty on the same port, as after a failover.
    ///
    /// # Errors
    /// Fails when the server does not start.
    pub async fn restart(&mut self) -> Result<()> {
        self.child.stop();
        self.child = serve(&self.program, self.port).await?.context("Redis lost its port")?;
        Ok(())
    }

    /// The address, `127.0.0.1:<port>`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// Starts a server; `None` when the port was taken.
async fn serve(program: &Path, port: u16) -> Result<Option<ChildProcess>> {
    // Not as root, although the server listens on the loopback interface only.
    let account = ServerUser::choose()?;
    let folder = tempfile::Builder::new().prefix("lisa-redis-").tempdir();
    let folder = folder.context("a temporary folder cannot be created")?;
    account.chown_to(folder.path())?;
    let log = folder.path().join("log");
    let mut command = ChildProcess::guarded(account, "TERM", Some(folder.path()));
    command.arg(program).args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
    command.args(["--save", "", "--appendonly", "no", "--dir"]).arg(folder.path()).arg("--logfile").arg(&log);
    let mut child = ChildProcess::spawn(command.current_dir("/").stdout(Stdio::null()).stderr(Stdio::null()))?;
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        let text = fs::read_to_string(&log).unwrap_or_default();
        if text.contains("Address already in use") {
            return Ok(None);
        }
        if child.exited()?.is_some() {
            bail!("Redis does not start: {}", text.lines().last().unwrap_or("it gave no reason"));
        }
        if answers_ping(port) {
            // From here on the guard script removes the folder, even when this process is killed.
            let _: PathBuf = TempDir::keep(folder);
            return Ok(Some(child));
        }
        if Instant::now() > deadline {
            bail!("Redis does not answer after {} s", START_TIMEOUT.as_secs());
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// True when the server answers PING. Redis accepts connections before it accepts commands.
fn answers_ping(port: u16) -> bool {
    let ping = || -> std::io::Result<[u8; 5]> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"PING\r\n")?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    };
    ping().is_ok_and(|answer| &answer == b"+PONG")
}
