//! Runs PgBouncer for tests, configured as in front of deployed databases: transaction mode and no prepared
//! statements.

use std::{
    env, fs,
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
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

/// A running pooler. It stops when dropped, and also when this process is killed.
#[derive(Debug)]
pub struct Pooler {
    child: ChildProcess,
    port: u16,
    /// Temporary folder with the pooler's settings, user list and log.
    folder: PathBuf,
    options: PoolerOptions,
}

/// Arguments of [`Pooler::start`], kept for a restart.
#[derive(Debug)]
struct PoolerOptions {
    program: PathBuf,
    /// Loopback port of the PostgreSQL server.
    server: u16,
    /// Roles with their passwords.
    roles: Vec<(String, String)>,
    /// Server connections per role and database.
    size: u32,
}

impl Pooler {
    /// Finds the program on the PATH or where Debian installs it.
    #[must_use]
    pub fn find() -> Option<PathBuf> {
        #[expect(clippy::disallowed_methods, reason = "where programs are, which is no setting of a function")]
        let path = env::var_os("PATH").unwrap_or_default();
        let mut folders: Vec<_> = env::split_paths(&path).collect();
        // Debian installs daemons in a folder that only root's PATH contains.
        folders.push(PathBuf::from("/usr/sbin"));
        folders.into_iter().map(|folder| folder.join("pgbouncer")).find(|program| program.is_file())
    }

    /// Starts a pooler in front of the PostgreSQL server on the loopback port `server`, for these roles and
    /// passwords. `size` limits the server connections per role and database.
    ///
    /// # Errors
    /// Fails when the pooler does not start, with its reason.
    pub async fn start(program: &Path, server: u16, roles: &[(String, String)], size: u32) -> Result<Self> {
        let options = PoolerOptions { program: program.to_owned(), server, roles: roles.to_vec(), size };
        // Another program may take the port before PgBouncer uses it.
        for _ in 0..5 {
            let port = free_port()?;
            if let Some((child, folder)) = options.launch(port).await? {
                return Ok(Self { child, port, folder, options });
            }
        }
        bail!("no free port was found for PgBouncer");
    }

    /// Kills the pooler with SIGKILL: all connections through it are cut, and new ones are refused.
    ///
    /// # Errors
    /// Fails when the processes cannot be listed.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill_tree()?;
        // The guard script, which removes the folder after a normal end, was killed too.
        fs::remove_dir_all(&self.folder).with_context(|| format!("{} cannot be removed", self.folder.display()))
    }

    /// Starts a killed pooler again, on the port that it had.
    ///
    /// # Errors
    /// Fails when the pooler does not start, with its reason.
    pub async fn start_again(&mut self) -> Result<()> {
        let started = self.options.launch(self.port).await?;
        (self.child, self.folder) = started.context("another program has the pooler's port")?;
        Ok(())
    }

    /// Converts a direct connection string to one through the pooler.
    #[must_use]
    pub fn url(&self, direct: &str) -> String {
        direct.replacen(&format!(":{}/", self.options.server), &format!(":{}/", self.port), 1)
    }
}

impl PoolerOptions {
    /// Starts the program on a port, with its files in a new folder. `None` when the port was taken.
    async fn launch(&self, port: u16) -> Result<Option<(ChildProcess, PathBuf)>> {
        let Self { program, server, roles, size } = self;
        // PgBouncer refuses to run as root, like PostgreSQL.
        let account = ServerUser::choose()?;
        let folder = tempfile::Builder::new().prefix("lisa-pgbouncer-").tempdir();
        let folder = folder.context("a temporary folder cannot be created")?;
        let log = folder.path().join("log");
        let write = |name: &str, text: String| -> Result<PathBuf> {
            let path = folder.path().join(name);
            fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
            account.chown_to(&path)?;
            Ok(path)
        };
        let users: String = roles.iter().map(|(role, password)| format!("\"{role}\" \"{password}\"\n")).collect();
        let users = write("users.txt", users)?;
        let mut settings = format!(
            "[databases]\n* = host=127.0.0.1 port={server}\n\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\n\
             pool_mode = transaction\ndefault_pool_size = {size}\nmax_client_conn = 400\n\
             ignore_startup_parameters = extra_float_digits\nlogfile = {}\n",
            users.display(),
            log.display()
        );
        if supports_prepared_statements(program)? {
            settings.push_str("max_prepared_statements = 0\n");
        }
        let settings = write("pgbouncer.ini", settings)?;
        account.chown_to(folder.path())?;
        // SIGTERM stops at once; SIGINT would wait for the clients.
        let mut command = ChildProcess::guarded(account, "TERM", Some(folder.path()));
        command.arg(program).arg("--quiet").arg(&settings);
        let mut child = ChildProcess::spawn(command.current_dir("/").stdout(Stdio::null()).stderr(Stdio::null()))?;
        if !is_ready(&mut child, port, &log).await? {
            return Ok(None);
        }
        // From here on the guard script removes the folder, even when this process is killed.
        Ok(Some((child, TempDir::keep(folder))))
    }
}

/// True for version 1.21 or newer, which supports prepared statements unless a setting turns them off. Older versions
/// reject the setting.
fn supports_prepared_statements(program: &Path) -> Result<bool> {
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("{} cannot be started", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.split_whitespace().nth(1).unwrap_or_default();
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or_default());
    Ok((numbers.next(), numbers.next()) >= (Some(1), Some(21)))
}

/// Waits until the pooler accepts connections. Returns false when its port was taken.
async fn is_ready(child: &mut ChildProcess, port: u16, log: &Path) -> Result<bool> {
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        let text = fs::read_to_string(log).unwrap_or_default();
        if text.contains("Address already in use") {
            return Ok(false);
        }
        if child.exited()?.is_some() {
            bail!("PgBouncer does not start: {}", text.lines().last().unwrap_or("it gave no reason"));
        }
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(true);
        }
        if Instant::now() > deadline {
            bail!("PgBouncer accepts no connections after {} s", START_TIMEOUT.as_secs());
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
