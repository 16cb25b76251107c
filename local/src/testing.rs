//! For tests: servers once a process, then a stack of its own for each test, on a clone of a migrated database and with
//! its own bucket, queues and secrets.
//!
//! ```no_run
//! # async fn test() -> anyhow::Result<()> {
//! let stack = local::testing::stack(Default::default()).await?;
//! let answer = reqwest::get(format!("{}/health", stack.base_url())).await?;
//! # Ok(()) }
//! ```

use std::{
    net::Ipv4Addr,
    ops::Deref,
    path::PathBuf,
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
};

use anyhow::{Context, Result, bail};
use local_postgres::{Folder, Pooler, Progress, Redis};
use reqwest::Url;
use shared::settings::SettingsMap;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::{net::TcpListener, sync::OnceCell};

use crate::{
    dev::migrate,
    environment::{Database, External, variable},
    kept::Kept,
    servers::Servers,
    stack::{Options, Stack},
};

const TEMPLATE: &str = "lisa_template";
/// The two that billing apart is cloned from.
const APART: [&str; 2] = ["lisa_template_app", "lisa_template_billing"];

/// What a test asks for.
#[derive(Debug, Clone, Default)]
pub struct TestOptions {
    /// Settings of functions, over those of the template and the secrets: base URLs of fake servers, limits, and
    /// DATABASE_URL or SYSTEM_DATABASE_URL, where `{database}` becomes the name of the test's database, for a pooler.
    pub settings: SettingsMap,
    /// The queues' visibility timeout in seconds, instead of the template's.
    pub visibility_timeout: Option<u32>,
    /// Billing in a database of its own.
    pub two_databases: bool,
}

/// A test's own stack. Dropped, it ends, and its database is removed.
#[derive(Debug)]
pub struct TestStack {
    stack: Stack,
    /// The connection strings of the test's database, direct ones.
    pub database: Database,
    /// The secrets: JWT_SECRET and the like.
    pub kept: Kept,
    options: TestOptions,
    names: Names,
}

impl TestStack {
    /// Ends it with everything that is under way, as a power cut would, and starts it again on the same data.
    ///
    /// # Errors
    /// A stack that does not start.
    pub async fn restart(self) -> Result<Self> {
        let Self { stack, database, options, names, .. } = self;
        drop(stack);
        start(database, options, names).await
    }

    /// Ends the functions, the gateway and the pollers; the database stays, and what is in it.
    #[must_use]
    pub fn into_database(self) -> TestDatabase {
        TestDatabase { urls: self.database, names: self.names }
    }
}

/// A migrated database for one test, without functions. Dropped, it is removed.
#[derive(Debug)]
pub struct TestDatabase {
    /// The connection strings, direct ones.
    pub urls: Database,
    names: Names,
}

impl TestDatabase {
    /// What the server calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.names.app.0
    }
}

/// The name of a database that goes away with it.
#[derive(Debug)]
struct Name(String);

/// Those of a test.
#[derive(Debug)]
struct Names {
    app: Name,
    /// Held for its end alone.
    _billing: Option<Name>,
}

impl Deref for TestStack {
    type Target = Stack;

    fn deref(&self) -> &Stack {
        &self.stack
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        if let Some(Ok(shared)) = SHARED.get().map(|shared| shared.stale.lock().map(|sender| sender.clone())) {
            // Nobody listening is the end of the process, which removes the whole cluster.
            let _ = shared.send(std::mem::take(&mut self.0));
        }
    }
}

/// The servers below all tests of the process.
///
/// # Errors
/// Servers that do not start.
pub async fn servers() -> Result<&'static Servers> {
    Ok(&shared().await?.servers)
}

/// The direct connection strings of a database of this name, which may be `{database}`: what a pooler stands before.
///
/// # Errors
/// Servers that do not start.
pub async fn urls(name: &str) -> Result<Database> {
    let shared = shared().await?;
    Ok(shared.servers.urls(name, &shared.kept))
}

/// Starts a stack for one test.
///
/// # Errors
/// Servers that do not start, or a database that cannot be cloned.
pub async fn stack(options: TestOptions) -> Result<TestStack> {
    let TestDatabase { urls, names } = if options.two_databases { two_databases().await } else { database().await }?;
    start(urls, options, names).await
}

async fn start(database: Database, asked: TestOptions, names: Names) -> Result<TestStack> {
    let shared = shared().await?;
    let mut settings = asked.settings.clone();
    for limit in ["RATE_LIMIT_USER", "RATE_LIMIT_ADDRESS", "RATE_LIMIT_SIGN_IN", "RATE_LIMIT_WEBHOOK"] {
        // All tests come from one address; those of the limits set their own.
        settings.entry(limit.to_owned()).or_insert_with(|| "1000000".to_owned());
    }
    // No test speaks to the real one: port 9 discards what it gets, where anybody listens there at all.
    settings.entry("MANYCHAT_BASE_URL".to_owned()).or_insert_with(|| "http://127.0.0.1:9".to_owned());
    settings.values_mut().for_each(|value| *value = value.replace("{database}", &names.app.0));
    let options = Options {
        listener: TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port is free on 127.0.0.1")?,
        database: database.clone(),
        kept: shared.kept.clone(),
        settings,
        // Another test process may use the same endpoint.
        suffix: format!("-{}-{}", std::process::id(), names.app.0.replace('_', "-")),
        visibility_timeout: asked.visibility_timeout,
        schedules: false,
    };
    let mut stack = Box::pin(Stack::start(&shared.servers, options)).await?;
    stack.open();
    Ok(TestStack { stack, database, kept: shared.kept.clone(), options: asked, names })
}

/// Makes a database for one test.
///
/// # Errors
/// Servers that do not start, or a database that cannot be cloned.
pub async fn database() -> Result<TestDatabase> {
    let shared = shared().await?;
    let app = clone(shared, TEMPLATE).await?;
    Ok(TestDatabase { urls: shared.servers.urls(&app.0, &shared.kept), names: Names { app, _billing: None } })
}

/// Makes two, billing in the second one; the first has no schema of that name.
///
/// # Errors
/// Servers that do not start, or a database that cannot be cloned.
pub async fn two_databases() -> Result<TestDatabase> {
    static MADE: OnceCell<()> = OnceCell::const_new();
    let shared = shared().await?;
    let [app, billing] = APART;
    MADE.get_or_try_init(|| async {
        let database = shared.servers.database(app, &shared.kept).await?;
        shared.servers.database(billing, &shared.kept).await?;
        migrate(&shared.servers.with_billing(database, billing, &shared.kept)).await
    })
    .await?;
    let (app, billing) = (clone(shared, app).await?, clone(shared, billing).await?);
    let urls = shared.servers.urls(&app.0, &shared.kept);
    let urls = shared.servers.with_billing(urls, &billing.0, &shared.kept);
    Ok(TestDatabase { urls, names: Names { app, _billing: Some(billing) } })
}

async fn clone(shared: &Shared, template: &str) -> Result<Name> {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let mut admin = PgConnection::connect(&shared.servers.urls("postgres", &shared.kept).admin).await?;
    let clone = AssertSqlSafe(format!("create database {name} template {template}"));
    sqlx::raw_sql(clone).execute(&mut admin).await.context("the database cannot be cloned")?;
    admin.close().await.context("the database connection cannot be closed")?;
    Ok(Name(name))
}

/// Starts PgBouncer before the server, in transaction mode and without prepared statements, for the roles of these
/// connection strings; at most `size` server connections a role and database. [`Pooler::url`] leads through it.
///
/// `None` where it is not installed: standard error says what to install, and the test ends there.
///
/// # Errors
/// A pooler that does not start; with CI=true also one that is not installed.
pub async fn pooler(urls: &[&str], size: u32) -> Result<Option<Pooler>> {
    let mut roles = Vec::new();
    let mut port = 0;
    for url in urls {
        let url = Url::parse(url).context("a connection string is malformed")?;
        port = url.port().context("a connection string names no port")?;
        roles.push((url.username().to_owned(), url.password().unwrap_or_default().to_owned()));
    }
    match Pooler::find() {
        Some(program) => Pooler::start(&program, port, &roles, size).await.map(Some),
        None => missing("PgBouncer", "pgbouncer").map(|()| None),
    }
}

/// Starts a Redis that keeps nothing.
///
/// `None` where it is not installed: standard error says what to install, and the test ends there.
///
/// # Errors
/// A server that does not start; with CI=true also one that is not installed.
pub async fn redis() -> Result<Option<Redis>> {
    match Redis::find() {
        Some(program) => Redis::start(&program).await.map(Some),
        None => missing("Redis", "redis-server").map(|()| None),
    }
}

/// Finds a program that is known by one of these names.
///
/// `None` where it is not installed: standard error says what to install, and the test ends there.
///
/// # Errors
/// With CI=true, a program that is not installed.
pub fn program(title: &str, package: &str, names: &[&str]) -> Result<Option<PathBuf>> {
    #[allow(clippy::disallowed_methods, reason = "where programs are, which is no setting of a function")]
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    let found = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    match found.into_iter().find(|program| program.is_file()) {
        Some(program) => Ok(Some(program)),
        None => missing(title, package).map(|()| None),
    }
}

/// Says that a program is not installed; where everything must be tested, that is an error.
fn missing(program: &str, package: &str) -> Result<()> {
    if variable("CI")?.is_some_and(|value| value == "true") {
        bail!("{program} is missing: apt install {package}");
    }
    eprintln!("skipped: {program} is missing (on Debian or Ubuntu, `apt install {package}`)");
    Ok(())
}

#[derive(Debug)]
struct Shared {
    servers: Servers,
    kept: Kept,
    stale: std::sync::Mutex<mpsc::Sender<String>>,
}

static SHARED: OnceCell<Shared> = OnceCell::const_new();

/// Never dropped: the servers notice by themselves that the process has ended.
async fn shared() -> Result<&'static Shared> {
    SHARED
        .get_or_try_init(|| async {
            let data = Folder::open(None)?;
            // Always our own database: a test must be free to break it.
            let servers = Box::pin(Servers::start(&data, External::default(), true, Progress::Silent)).await?;
            let kept = Kept::random();
            migrate(&servers.database(TEMPLATE, &kept).await?).await?;
            let stale = remove_databases(servers.urls("postgres", &kept).admin);
            Ok(Shared { servers, kept, stale: std::sync::Mutex::new(stale) })
        })
        .await
}

/// Removes the databases of finished tests, aside: the runtime of a test ends with it.
fn remove_databases(admin_url: String) -> mpsc::Sender<String> {
    let (sender, names) = mpsc::channel::<String>();
    std::thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        for name in names {
            // One that stays only takes room until the process ends.
            let _ = runtime.block_on(async {
                let mut admin = PgConnection::connect(&admin_url).await?;
                let drop = AssertSqlSafe(format!("drop database if exists {name} with (force)"));
                sqlx::raw_sql(drop).execute(&mut admin).await?;
                admin.close().await
            });
        }
    });
    sender
}
