//! A running PostgreSQL server, on a free port of the loopback interface.

use std::{
    fs::{self, File},
    path::Path,
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
    child::{Child, free_port},
    cluster::Cluster,
    folder,
    progress::Progress,
};

/// How long a start may take. After a crash it replays what was not yet written.
const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(10);

/// The server. Dropped, it is shut down; it also ends when this process is killed.
#[derive(Debug)]
pub struct Postgres {
    _child: Child,
    port: u16,
    password: String,
}

impl Postgres {
    /// Starts the server and waits until it takes connections.
    ///
    /// # Errors
    /// A server that does not start, with the reason that it gives.
    pub async fn start(mut cluster: Cluster, progress: Progress) -> Result<Self> {
        let step = progress.step("PostgreSQL");
        end_predecessor(&cluster.folder).await?;
        // Another program may take the port between finding it and using it.
        for _ in 0..5 {
            let port = free_port()?;
            let mut child = Child::spawn(&mut command(&cluster, port)?)?;
            if let Some(temporary) = cluster.temporary.take() {
                // From here on the guard removes it, even when this process is killed.
                let _ = temporary.keep();
            }
            match wait_until_ready(&mut child, port, &cluster).await? {
                Ready::Yes => {
                    step.done(&format!("127.0.0.1:{port}"));
                    return Ok(Self { _child: child, port, password: cluster.password });
                }
                Ready::PortTaken => {}
            }
        }
        bail!("no free port was found for PostgreSQL");
    }

    /// The superuser's connection string for a database.
    #[must_use]
    pub fn admin_url(&self, database: &str) -> String {
        self.url("postgres", &self.password, database)
    }

    /// A role's connection string for a database. The password must need no escapes.
    #[must_use]
    pub fn url(&self, role: &str, password: &str, database: &str) -> String {
        format!("postgresql://{role}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// Makes a database where there is none of this name.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn create_database(&self, name: &'static str) -> Result<()> {
        let mut admin = PgConnection::connect(&self.admin_url("postgres")).await.context("the database is away")?;
        let exists = sqlx::query("select from pg_database where datname = $1").bind(name);
        if exists.fetch_optional(&mut admin).await.context("the databases cannot be listed")?.is_none() {
            let create = sqlx::AssertSqlSafe(format!("create database {name}"));
            sqlx::raw_sql(create).execute(&mut admin).await.context("the database cannot be made")?;
        }
        admin.close().await.context("the database connection cannot be closed")
    }
}

/// Applies the migrations of a folder. Their ledger is in `schema`, or else where PostgreSQL makes tables by itself.
///
/// # Errors
/// A migration that fails, or that was changed after it was applied.
pub async fn migrate(admin_url: &str, migrations: &Path, schema: Option<&str>) -> Result<()> {
    let mut migrator = sqlx::migrate::Migrator::new(migrations).await.context("the migrations cannot be read")?;
    if let Some(schema) = schema {
        migrator.create_schema(schema.to_owned());
        migrator.dangerous_set_table_name(format!("{schema}._sqlx_migrations"));
    }
    let pool = PgPoolOptions::new().max_connections(1).connect(admin_url).await.context("the database is away")?;
    migrator.run(&pool).await.context("the migrations fail")?;
    pool.close().await;
    Ok(())
}

fn command(cluster: &Cluster, port: u16) -> Result<Command> {
    let temporary = cluster.temporary.as_ref().map(tempfile::TempDir::path);
    let log = File::create(&cluster.log).with_context(|| format!("{} cannot be written", cluster.log.display()))?;
    // SIGINT is its fast shutdown.
    let mut command = Child::guarded(cluster.account, "INT", temporary);
    command.arg(cluster.programs.join("postgres")).arg("-D").arg(&cluster.folder).arg("-p").arg(port.to_string());
    let mut set = |setting: &str| {
        command.args(["-c", setting]);
    };
    set("listen_addresses=127.0.0.1");
    set("unix_socket_directories=");
    set("shared_buffers=64MB");
    set("max_wal_size=256MB");
    set("log_min_messages=fatal");
    // Nothing of a temporary cluster outlives the process.
    let (connections, careless): (_, &[_]) = if temporary.is_some() {
        (400, &["fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off"])
    } else {
        (200, &[])
    };
    set(&format!("max_connections={connections}"));
    careless.iter().for_each(|setting| set(setting));
    cluster.settings.iter().for_each(|setting| set(setting));
    let errors = log.try_clone().context("the log cannot be written")?;
    command.current_dir("/").stdout(log).stderr(errors);
    Ok(command)
}

enum Ready {
    Yes,
    PortTaken,
}

async fn wait_until_ready(child: &mut Child, port: u16, cluster: &Cluster) -> Result<Ready> {
    let url = format!("postgresql://postgres:{}@127.0.0.1:{port}/postgres", cluster.password);
    let options = PgConnectOptions::from_str(&url).context("the connection string is malformed")?;
    let deadline = Instant::now() + START;
    loop {
        // Read before looking whether it ended: a temporary cluster's log goes away with it.
        let log = fs::read_to_string(&cluster.log).unwrap_or_default();
        if log.contains("Address already in use") {
            child.stop();
            return Ok(Ready::PortTaken);
        }
        if child.exited()?.is_some() {
            let log = fs::read_to_string(&cluster.log).unwrap_or(log);
            let reason = log.lines().rev().find(|line| line.contains("FATAL:")).unwrap_or("it gave no reason");
            bail!("PostgreSQL does not start: {reason} (see {})", cluster.log.display());
        }
        if let Ok(connection) = PgConnection::connect_with(&options).await {
            connection.close().await.context("the database connection cannot be closed")?;
            return Ok(Ready::Yes);
        }
        if Instant::now() > deadline {
            bail!("PostgreSQL takes no connections after {} s; see {}", START.as_secs(), cluster.log.display());
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Ends a server that a killed predecessor left on this cluster. The data folder's lock is held, so nobody uses it.
async fn end_predecessor(cluster: &Path) -> Result<()> {
    let lock = cluster.join("postmaster.pid");
    let Ok(text) = fs::read_to_string(&lock) else { return Ok(()) };
    let pid = text.lines().next().and_then(|line| line.trim().parse().ok()).filter(|pid| *pid > 1).map(Pid::from_raw);
    let Some(pid) = pid else { return folder::remove(&lock) };
    if !serves(pid, cluster)? {
        // The id may belong to any other program by now; PostgreSQL would refuse to start beside it.
        return folder::remove(&lock);
    }
    let deadline = Instant::now() + STOP;
    let mut signal = Some(Signal::SIGINT);
    loop {
        if let Err(Errno::ESRCH) = kill(pid, signal.take()) {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("a PostgreSQL server that was left running (process {pid}) does not end; end it, then start again");
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Is this process a PostgreSQL server on this cluster?
fn serves(pid: Pid, cluster: &Path) -> Result<bool> {
    let ps = Command::new("ps").args(["-o", "args=", "-p", &pid.to_string()]).output();
    let ps = ps.context("ps cannot be started, so nobody can tell whether a server was left running")?;
    let arguments = String::from_utf8_lossy(&ps.stdout).into_owned();
    Ok(arguments.contains("postgres") && arguments.contains(&cluster.display().to_string()))
}
