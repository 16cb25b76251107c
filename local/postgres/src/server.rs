//! Runs a PostgreSQL server on a free port of the loopback interface.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    str::FromStr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sqlx::{
    Connection, PgConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{
    child::{ChildProcess, free_port},
    cluster::Cluster,
    folder,
    progress::ProgressOutput,
};

/// The timeout of a start. After a crash, the server first replays its write-ahead log.
const START_TIMEOUT: Duration = Duration::from_secs(60);
const STOP_TIMEOUT: Duration = Duration::from_secs(15);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Text in the log of a server that does not start because a process of the killed server still uses the shared memory.
const MEMORY_IN_USE: &str = "pre-existing shared memory block";

/// A running server. It shuts down when dropped, and also when this process is killed.
#[derive(Debug)]
pub struct Postgres {
    child: ChildProcess,
    port: u16,
    cluster: Cluster,
}

impl Postgres {
    /// Starts the server and waits until it accepts connections.
    ///
    /// # Errors
    /// Fails when the server does not start, with its reason.
    pub async fn start(mut cluster: Cluster, progress: ProgressOutput) -> Result<Self> {
        let step = progress.step("PostgreSQL");
        stop_leftover_server(&cluster.folder).await?;
        // Another program may take the port before PostgreSQL uses it.
        for _ in 0..5 {
            let port = free_port()?;
            let mut child = ChildProcess::spawn(&mut command(&cluster, port)?)?;
            if let Some(temporary) = cluster.temporary.take() {
                // From here on the guard script removes the folder, even when this process is killed.
                let _ = temporary.keep();
                cluster.is_temporary = true;
            }
            match wait_until_ready(&mut child, port, &cluster).await? {
                Ready::Yes => {
                    step.done(&format!("127.0.0.1:{port}"));
                    return Ok(Self { child, port, cluster });
                }
                Ready::PortTaken => {}
                Ready::MemoryInUse => bail!("PostgreSQL does not start: a killed server still ends"),
            }
        }
        bail!("no free port was found for PostgreSQL");
    }

    /// Kills the server and all its processes with SIGKILL, as the end of its machine would. Nothing is flushed; the
    /// cluster stays.
    ///
    /// # Errors
    /// Fails when the processes cannot be listed.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill_tree()
    }

    /// Starts a killed server again, on the port that it had. The server first replays its write-ahead log.
    ///
    /// # Errors
    /// Fails when the server does not start, with its reason.
    pub async fn start_again(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            stop_leftover_server(&self.cluster.folder).await?;
            self.child = ChildProcess::spawn(&mut command(&self.cluster, self.port)?)?;
            match wait_until_ready(&mut self.child, self.port, &self.cluster).await? {
                Ready::Yes => return Ok(()),
                // Child processes of the killed server end a moment later, when they notice that it is gone.
                Ready::MemoryInUse if Instant::now() < deadline => tokio::time::sleep(POLL_INTERVAL).await,
                Ready::MemoryInUse | Ready::PortTaken => bail!("the killed server cannot be replaced"),
            }
        }
    }

    /// The superuser's connection string for a database.
    #[must_use]
    pub fn admin_url(&self, database: &str) -> String {
        self.url("postgres", &self.cluster.password, database)
    }

    /// A role's connection string for a database. The password must not need URL escapes.
    #[must_use]
    pub fn url(&self, role: &str, password: &str, database: &str) -> String {
        format!("postgresql://{role}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// The path of a client program of the server's version, such as `pg_dump`.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.cluster.programs.join(name)
    }

    /// Creates a database unless it exists.
    ///
    /// # Errors
    /// Fails when the server refuses.
    pub async fn create_database(&self, name: &'static str) -> Result<()> {
        let mut admin =
            PgConnection::connect(&self.admin_url("postgres")).await.context("cannot connect to the database")?;
        let exists = sqlx::query("select from pg_database where datname = $1").bind(name);
        if exists.fetch_optional(&mut admin).await.context("the databases cannot be listed")?.is_none() {
            let create = sqlx::AssertSqlSafe(format!("create database {name}"));
            sqlx::raw_sql(create).execute(&mut admin).await.context("the database cannot be created")?;
        }
        admin.close().await.context("the database connection cannot be closed")
    }
}

/// Applies the migrations of a folder. The ledger of applied migrations is in `schema`, or else in the default
/// schema.
///
/// # Errors
/// Fails when a migration fails or was changed after it was applied.
pub async fn migrate(admin_url: &str, migrations: &Path, schema: Option<&str>) -> Result<()> {
    let mut migrator = sqlx::migrate::Migrator::new(migrations).await.context("the migrations cannot be read")?;
    if let Some(schema) = schema {
        migrator.create_schema(schema.to_owned());
        migrator.dangerous_set_table_name(format!("{schema}._sqlx_migrations"));
    }
    let pool =
        PgPoolOptions::new().max_connections(1).connect(admin_url).await.context("cannot connect to the database")?;
    migrator.run(&pool).await.context("a migration failed")?;
    pool.close().await;
    Ok(())
}

fn command(cluster: &Cluster, port: u16) -> Result<Command> {
    let temporary = (cluster.is_temporary || cluster.temporary.is_some()).then_some(cluster.folder.as_path());
    let log = File::create(&cluster.log).with_context(|| format!("{} cannot be written", cluster.log.display()))?;
    // SIGINT is PostgreSQL's fast shutdown.
    let mut command = ChildProcess::guarded(cluster.account, "INT", temporary);
    command.arg(cluster.programs.join("postgres")).arg("-D").arg(&cluster.folder).arg("-p").arg(port.to_string());
    let mut set = |setting: &str| {
        command.args(["-c", setting]);
    };
    set("listen_addresses=127.0.0.1");
    set("unix_socket_directories=");
    set("shared_buffers=64MB");
    set("max_wal_size=256MB");
    set("log_min_messages=fatal");
    // A temporary cluster does not need durability.
    let (connections, unsafe_settings): (_, &[_]) = if temporary.is_some() {
        (400, &["fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off"])
    } else {
        (200, &[])
    };
    set(&format!("max_connections={connections}"));
    unsafe_settings.iter().for_each(|setting| set(setting));
    cluster.settings.iter().for_each(|setting| set(setting));
    let errors = log.try_clone().context("the log cannot be written")?;
    command.current_dir("/").stdout(log).stderr(errors);
    Ok(command)
}

enum Ready {
    Yes,
    PortTaken,
    MemoryInUse,
}

async fn wait_until_ready(child: &mut ChildProcess, port: u16, cluster: &Cluster) -> Result<Ready> {
    let url = format!("postgresql://postgres:{}@127.0.0.1:{port}/postgres", cluster.password);
    let options = PgConnectOptions::from_str(&url).context("the connection string is malformed")?;
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        // Read before checking for the exit: the guard script removes a temporary cluster's log together with the
        // folder.
        let log = fs::read_to_string(&cluster.log).unwrap_or_default();
        if log.contains("Address already in use") {
            child.stop();
            return Ok(Ready::PortTaken);
        }
        if child.exited()?.is_some() {
            let log = fs::read_to_string(&cluster.log).unwrap_or(log);
            if log.contains(MEMORY_IN_USE) {
                return Ok(Ready::MemoryInUse);
            }
            let reason = log.lines().rev().find(|line| line.contains("FATAL:")).unwrap_or("it gave no reason");
            bail!("PostgreSQL does not start: {reason} (see {})", cluster.log.display());
        }
        if let Ok(connection) = PgConnection::connect_with(&options).await {
            connection.close().await.context("the database connection cannot be closed")?;
            return Ok(Ready::Yes);
        }
        if Instant::now() > deadline {
            bail!(
                "PostgreSQL accepts no connections after {} s; see {}",
                START_TIMEOUT.as_secs(),
                cluster.log.display()
            );
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Stops a server that a killed stack left running on this cluster. The lock of the data folder is held, so nobody
/// uses the server.
async fn stop_leftover_server(cluster: &Path) -> Result<()> {
    let lock = cluster.join("postmaster.pid");
    let Ok(text) = fs::read_to_string(&lock) else { return Ok(()) };
    let pid = text.lines().next().and_then(|line| line.trim().parse().ok()).filter(|pid| *pid > 1).map(Pid::from_raw);
    let Some(pid) = pid else { return folder::remove(&lock) };
    if !is_server_of(pid, cluster)? {
        // The process id was reused by another program. PostgreSQL would refuse to start with its lock file there.
        return folder::remove(&lock);
    }
    let deadline = Instant::now() + STOP_TIMEOUT;
    let mut signal = Some(Signal::SIGINT);
    loop {
        if let Err(Errno::ESRCH) = kill(pid, signal.take()) {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("a PostgreSQL server that was left running (process {pid}) does not end; end it, then start again");
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// True when the process is a PostgreSQL server of this cluster.
fn is_server_of(pid: Pid, cluster: &Path) -> Result<bool> {
    let ps = Command::new("ps").args(["-o", "args=", "-p", &pid.to_string()]).output();
    let ps = ps.context("ps cannot be started, so a server that was left running cannot be found")?;
    let arguments = String::from_utf8_lossy(&ps.stdout).into_owned();
    Ok(arguments.contains("postgres") && arguments.contains(&cluster.display().to_string()))
}
