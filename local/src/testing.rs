//! Test support: one set of servers per process, and one stack per test, on a clone of a migrated database and with
//! its own bucket, queues and secrets.
//!
//! ```ignore
//! let stack = local::testing::stack(Default::default()).await?;
//! let answer = reqwest::get(format!("{}/health", stack.base_url())).await?;
//! ```

mod aws_faults;
mod own_database;
mod proxy;
mod seed;

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
use local_postgres::{DataFolder, Pooler, ProgressOutput, Redis};
use reqwest::Url;
use shared::settings::SettingsMap;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::{net::TcpListener, sync::OnceCell};

use crate::{
    dev::migrate,
    environment::{DatabaseUrls, ExternalServers, add_embedding_model, env_variable},
    secrets::LocalSecrets,
    servers::Servers,
    stack::{Stack, StackOptions},
};

pub use aws_faults::{AwsFault, AwsFaults};
pub use own_database::OwnDatabase;
pub use proxy::{FaultProxy, MessageFault};
pub use seed::{SeededTenant, seed_tenant};

const TEMPLATE: &str = "lisa_template";
/// The template databases for stacks that keep billing in a second database.
const SPLIT_TEMPLATES: [&str; 2] = ["lisa_template_app", "lisa_template_billing"];

/// The options of a test's stack.
#[derive(Debug, Clone, Default)]
pub struct TestOptions {
    /// Settings that override those of the template and the secrets: base URLs of fake servers, limits, and
    /// DATABASE_URL or SYSTEM_DATABASE_URL of a pooler. `{database}` in a value is replaced by the name of the test's
    /// database.
    pub settings: SettingsMap,
    /// The queues' visibility timeout in seconds; `None` for the template's.
    pub visibility_timeout: Option<u32>,
    /// True when billing is kept in a second database.
    pub two_databases: bool,
}

/// A test's own stack. Dropping it stops the stack and removes its database.
#[derive(Debug)]
pub struct TestStack {
    stack: Stack,
    /// Direct connection strings of the test's database.
    pub database: DatabaseUrls,
    /// The local secrets, such as JWT_SECRET.
    pub secrets: LocalSecrets,
    options: TestOptions,
    /// Part of the names of the stack's bucket, queues and secrets. A restart keeps it, so that it finds the same ones.
    unique: String,
    /// `None` for a database of another server.
    names: Option<TestDatabaseNames>,
}

impl TestStack {
    /// Aborts the stack with everything in progress, as a power cut would, and starts it again on the same data.
    ///
    /// # Errors
    /// Fails when the stack does not start.
    pub async fn restart(self) -> Result<Self> {
        let Self { stack, database, options, unique, names, .. } = self;
        drop(stack);
        start(database, options, unique, names).await
    }

    /// Restarts the stack as [`Self::restart`] does, with these settings besides, as after a change of a deployment.
    ///
    /// # Errors
    /// Fails when the stack does not start.
    pub async fn restart_with(mut self, settings: SettingsMap) -> Result<Self> {
        self.options.settings.extend(settings);
        self.restart().await
    }

    /// Stops the functions, the gateway and the pollers, and keeps the database.
    ///
    /// # Errors
    /// Fails for a stack on an [`OwnDatabase`].
    pub fn into_database(self) -> Result<TestDatabase> {
        let names = self.names.context("the database is not one of the shared server")?;
        Ok(TestDatabase { urls: self.database, names })
    }
}

/// A migrated database for one test, without functions. Dropping it removes the database.
#[derive(Debug)]
pub struct TestDatabase {
    /// Direct connection strings.
    pub urls: DatabaseUrls,
    names: TestDatabaseNames,
}

impl TestDatabase {
    /// The database's name on the server.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.names.app.0
    }
}

/// The name of a test database. Dropping it removes the database.
#[derive(Debug)]
struct TestDatabaseName(String);

/// The names of a test's databases.
#[derive(Debug)]
struct TestDatabaseNames {
    app: TestDatabaseName,
    /// Kept only for its `Drop`.
    _billing: Option<TestDatabaseName>,
}

impl Deref for TestStack {
    type Target = Stack;

    fn deref(&self) -> &Stack {
        &self.stack
    }
}

impl Drop for TestDatabaseName {
    fn drop(&mut self) {
        if let Some(Ok(shared)) = SHARED.get().map(|shared| shared.stale.lock().map(|sender| sender.clone())) {
            // The receiver is gone only when the process ends, which removes the whole cluster.
            let _ = shared.send(std::mem::take(&mut self.0));
        }
    }
}

/// The servers that all tests of the process share.
///
/// # Errors
/// Fails when a server does not start.
pub async fn servers() -> Result<&'static Servers> {
    Ok(&shared().await?.servers)
}

/// Direct connection strings of the database `name`, for a pooler in front of it. `name` may be `{database}`.
///
/// # Errors
/// Fails when a server does not start.
pub async fn database_urls(name: &str) -> Result<DatabaseUrls> {
    let shared = shared().await?;
    Ok(shared.servers.database_urls(name, &shared.secrets))
}

/// Starts a stack for one test.
///
/// # Errors
/// Fails when a server does not start or the database cannot be cloned.
pub async fn stack(options: TestOptions) -> Result<TestStack> {
    let TestDatabase { urls, names } = if options.two_databases { two_databases().await } else { database().await }?;
    let unique = names.app.0.replace('_', "-");
    start(urls, options, unique, Some(names)).await
}

/// Starts a stack for one test on a PostgreSQL server that the test may kill.
///
/// # Errors
/// Fails when a server does not start.
pub async fn stack_on(database: &OwnDatabase, options: TestOptions) -> Result<TestStack> {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let unique = format!("own-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    start(database.urls().await?, options, unique, None).await
}

async fn start(
    database: DatabaseUrls,
    test_options: TestOptions,
    unique: String,
    names: Option<TestDatabaseNames>,
) -> Result<TestStack> {
    let shared = shared().await?;
    let mut settings = test_options.settings.clone();
    let limits = [
        "RATE_LIMIT_USER",
        "RATE_LIMIT_ADDRESS",
        "RATE_LIMIT_SIGN_IN",
        "RATE_LIMIT_WEBHOOK",
        "RATE_LIMIT_WEBHOOK_ADDRESS",
    ];
    for limit in limits {
        // All tests share one client address. Tests of the rate limits set their own.
        settings.entry(limit.to_owned()).or_insert_with(|| "1000000".to_owned());
    }
    // Tests that read scanned pages say how.
    settings.entry("SCANNED_PDFS".to_owned()).or_insert_with(|| "off".to_owned());
    // Keeps tests away from the real ManyChat: port 9 is the discard service.
    settings.entry("MANYCHAT_BASE_URL".to_owned()).or_insert_with(|| "http://127.0.0.1:9".to_owned());
    // Keeps tests away from the internet: the host of the documented examples is here, where nothing listens.
    settings.entry("OUTBOUND_LOCAL_SITES".to_owned()).or_insert_with(|| "hooks.example.com=127.0.0.1:9".to_owned());
    // Fast, and the same everywhere. Tests of the embedding model choose it themselves.
    settings.entry("EMBEDDING_PROVIDER".to_owned()).or_insert_with(|| "local".to_owned());
    add_embedding_model(&mut settings, ProgressOutput::Silent)?;
    let name = names.as_ref().map_or(own_database::NAME, |names| &names.app.0);
    settings.values_mut().for_each(|value| *value = value.replace("{database}", name));
    let options = StackOptions {
        listener: TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port is free on 127.0.0.1")?,
        database: database.clone(),
        secrets: shared.secrets.clone(),
        settings,
        // Another test process may use the same AWS endpoint.
        suffix: format!("-{}-{unique}", std::process::id()),
        visibility_timeout: test_options.visibility_timeout,
        runs_schedules: false,
        console: None,
    };
    let mut stack = Box::pin(Stack::start(&shared.servers, options)).await?;
    stack.open();
    Ok(TestStack { stack, database, secrets: shared.secrets.clone(), options: test_options, unique, names })
}

/// Creates a database for one test.
///
/// # Errors
/// Fails when a server does not start or the database cannot be cloned.
pub async fn database() -> Result<TestDatabase> {
    let shared = shared().await?;
    let app = clone(shared, TEMPLATE).await?;
    Ok(TestDatabase {
        urls: shared.servers.database_urls(&app.0, &shared.secrets),
        names: TestDatabaseNames { app, _billing: None },
    })
}

/// Creates two databases for one test, the second for billing. The first has no schema `billing`.
///
/// # Errors
/// Fails when a server does not start or a database cannot be cloned.
pub async fn two_databases() -> Result<TestDatabase> {
    static TEMPLATES_READY: OnceCell<()> = OnceCell::const_new();
    let shared = shared().await?;
    let [app, billing] = SPLIT_TEMPLATES;
    TEMPLATES_READY
        .get_or_try_init(|| async {
            let database = shared.servers.create_database(app, &shared.secrets).await?;
            shared.servers.create_database(billing, &shared.secrets).await?;
            migrate(&shared.servers.with_billing(database, billing, &shared.secrets)).await
        })
        .await?;
    let (app, billing) = (clone(shared, app).await?, clone(shared, billing).await?);
    let urls = shared.servers.database_urls(&app.0, &shared.secrets);
    let urls = shared.servers.with_billing(urls, &billing.0, &shared.secrets);
    Ok(TestDatabase { urls, names: TestDatabaseNames { app, _billing: Some(billing) } })
}

async fn clone(shared: &SharedServers, template: &str) -> Result<TestDatabaseName> {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let mut admin = PgConnection::connect(&shared.servers.database_urls("postgres", &shared.secrets).admin).await?;
    let clone = AssertSqlSafe(format!("create database {name} template {template}"));
    sqlx::raw_sql(clone).execute(&mut admin).await.context("the database cannot be cloned")?;
    admin.close().await.context("the database connection cannot be closed")?;
    Ok(TestDatabaseName(name))
}

/// Starts PgBouncer in front of the server, in transaction mode and without prepared statements, for the roles of
/// these connection strings. `size` limits the server connections per role and database. [`Pooler::url`] converts a
/// connection string.
///
/// `None` when PgBouncer is not installed: a message on standard error names the package, and the test should return.
///
/// # Errors
/// Fails when the pooler does not start; with CI=true also when it is not installed.
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

/// Starts a Redis server without persistence.
///
/// `None` when Redis is not installed: a message on standard error names the package, and the test should return.
///
/// # Errors
/// Fails when the server does not start; with CI=true also when it is not installed.
pub async fn redis() -> Result<Option<Redis>> {
    match Redis::find() {
        Some(program) => Redis::start(&program).await.map(Some),
        None => missing("Redis", "redis-server").map(|()| None),
    }
}

/// Finds a program on the PATH by any of these names.
///
/// `None` when it is not installed: a message on standard error names the package, and the test should return.
///
/// # Errors
/// With CI=true, fails when the program is not installed.
pub fn program(title: &str, package: &str, names: &[&str]) -> Result<Option<PathBuf>> {
    #[expect(clippy::disallowed_methods, reason = "where programs are, which is no setting of a function")]
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    let found = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    match found.into_iter().find(|program| program.is_file()) {
        Some(program) => Ok(Some(program)),
        None => missing(title, package).map(|()| None),
    }
}

/// Reports a program that is not installed: as an error with CI=true, as a skipped test otherwise.
fn missing(program: &str, package: &str) -> Result<()> {
    if env_variable("CI")?.is_some_and(|value| value == "true") {
        bail!("{program} is missing: apt install {package}");
    }
    eprintln!("skipped: {program} is missing (on Debian or Ubuntu, `apt install {package}`)");
    Ok(())
}

#[derive(Debug)]
struct SharedServers {
    servers: Servers,
    secrets: LocalSecrets,
    stale: std::sync::Mutex<mpsc::Sender<String>>,
}

static SHARED: OnceCell<SharedServers> = OnceCell::const_new();

/// The servers of this process. They are never dropped; they notice the end of the process themselves.
async fn shared() -> Result<&'static SharedServers> {
    SHARED
        .get_or_try_init(|| async {
            let data = DataFolder::open(None)?;
            // External servers are never used: a test must be free to break the database.
            let servers =
                Box::pin(Servers::start(&data, ExternalServers::default(), true, ProgressOutput::Silent)).await?;
            let secrets = LocalSecrets::random();
            migrate(&servers.create_database(TEMPLATE, &secrets).await?).await?;
            let stale = remove_databases(servers.database_urls("postgres", &secrets).admin);
            Ok(SharedServers { servers, secrets, stale: std::sync::Mutex::new(stale) })
        })
        .await
}

/// Removes the databases of finished tests on a thread of its own, because a test's runtime ends with the test.
fn remove_databases(admin_url: String) -> mpsc::Sender<String> {
    let (sender, names) = mpsc::channel::<String>();
    std::thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        for name in names {
            // A database that cannot be removed only takes up disk space until the process ends.
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
