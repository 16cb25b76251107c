//! Database handles and transactions. The type of a transaction says which rows its SQL may touch:
//!
//! - [`TenantTx`], opened by [`Db::tenant_tx`]: one tenant's rows. The login role `lisa_app` takes the role
//!   `lisa_tenant` for the transaction, and row-level security restricts that role to the tenant.
//! - [`SystemTx`], opened by [`SystemDb::system_tx`]: all tenants' rows, for sign-in, maintenance and operators'
//!   commands. The login role is `lisa_system`.
//! - [`BillingTx`], opened by [`BillingDb::billing_tx`]: the schema `billing`, which may be in another database. The
//!   login role is `lisa_system`.
//!
//! [`BillingTx`] is a type of its own so that no statement on `billing` is sent to the app's database, or the
//! reverse.
//!
//! # Course of a transaction
//!
//! 1. A connection is taken from the pool. A new one is opened when no idle one is left.
//! 2. `begin` and the transaction's settings (role, tenant, timeout) are sent together, in one round trip. If the
//!    connection turns out to be broken, steps 1 and 2 are repeated with the next connection.
//! 3. The caller's closure runs its statements. They are never repeated.
//! 4. `Ok` commits. `Err` rolls back.
//! 5. The connection returns to the pool only after a successful commit or rollback. After anything else (an error of
//!    the commit, a panic, a cancelled future, the timeout) the connection is closed, and the server rolls back
//!    whatever is not committed.
//!
//! One function opens and ends each transaction. A Lambda that is frozen after its response therefore leaves none
//! open.
//!
//! # The closure's error
//!
//! The closure returns a [`Result`], whose error is an [`ApiError`]. Its `?` converts [`sqlx::Error`] and the errors of
//! the domain, so no closure names a type: `async |tx| Ok(jobs::claim_due(tx, limit).await?)`. A single call that
//! returns an [`ApiError`] needs no conversion: `async |tx| orders::transition(tx, id, to).await`.
//!
//! A closure that rolls back for a reason that its caller handles has an error type of its own.
//! [`Db::tenant_tx_with_error`] and [`SystemDb::system_tx_with_error`] run it.
//!
//! All of this works through a transaction pooler without support for named prepared statements: every statement of a
//! transaction is unnamed, and everything outside a transaction is a single message (docs/DECISIONS.md).
//!
//! SQL functions that identify the caller: `app.memberships`, `app.deleted_membership`, `app.user_role`, and
//! `app.webhook_tenant`; in policies `app.current_customer`, `app.current_owner`, `app.current_company`,
//! `app.companies`, `app.tenants`.
//!
//! SQL function: `app.publish_realtime`, by which the function `migrate` adds the frontends' tables to Supabase's
//! publication.

use std::{
    cell::Cell,
    future::Future,
    marker::PhantomData,
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{future::BoxFuture, stream::BoxStream};
use sqlx::{
    AssertSqlSafe, Connection as _, Either, Execute, Executor, PgConnection, PgPool, Postgres, Row, SqlStr,
    error::BoxDynError,
    postgres::{PgArguments, PgConnectOptions, PgPoolOptions, PgQueryResult, PgRow, PgStatement, PgTypeInfo},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use crate::{
    error::{ApiError, Result},
    settings::Settings,
    telemetry::{self, Span, SpanKind},
};

/// Timeout of a request's transaction, connecting included. When the database is down, the caller gets its 503 in
/// time.
pub const REQUEST_TIMEOUT: Duration = Duration::from_millis(3_800);
/// Timeout of a transaction for which no caller waits. Maintenance splits its sweeps into batches that fit into it.
const BACKGROUND_TIMEOUT: Duration = Duration::from_secs(30);
/// Timeout of a transaction of an operator's command, which may write a tenant with all its chunks.
const OPERATOR_TIMEOUT: Duration = Duration::from_secs(1_800);
/// Timeout of waiting for a free connection, and of opening one.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// Timeout of all waits of one request for a free connection together.
const SHARED_WAIT: Duration = Duration::from_millis(3_500);
/// The least time that a request waits for a connection, also after it has waited before. A request that came as far as
/// this has had a connection, and most connections are free again after a few milliseconds.
const MIN_WAIT: Duration = Duration::from_millis(250);

tokio::task_local! {
    /// Time that the request of this task has waited for free connections.
    static WAITED: Cell<Duration>;
}

/// Runs the work of one request, whose waits for free connections share one timeout of 3.5 s. A request takes several
/// connections, one after the other; each with a timeout of its own, it would be refused only after ten seconds.
pub(crate) async fn with_shared_wait<T>(work: impl Future<Output = T>) -> T {
    WAITED.scope(Cell::new(Duration::ZERO), work).await
}

/// Lets the request of this task wait anew, after work that must not be lost for a wait before it: a paid answer.
pub(crate) fn renew_wait() {
    // Outside a request, each wait has the whole timeout in any case.
    let _ = WAITED.try_with(|waited| waited.set(Duration::ZERO));
}

/// Role that [`Db::user_role`] returns for a deleted account, whose tokens no longer count.
pub const DELETED_ROLE: &str = "deleted";

/// The scope of a [`TenantTx`]: the tenant's id.
#[derive(Debug, Clone, Copy)]
pub struct TenantScope(Uuid);

/// The scope of a [`SystemTx`].
#[derive(Debug, Clone, Copy)]
pub struct SystemScope;

/// The scope of a [`BillingTx`].
#[derive(Debug, Clone, Copy)]
pub struct BillingScope;

/// A transaction that row-level security restricts to one tenant's rows.
pub type TenantTx = Tx<TenantScope>;
/// A transaction that sees every tenant.
pub type SystemTx = Tx<SystemScope>;
/// A transaction on the schema `billing`.
pub type BillingTx = Tx<BillingScope>;

/// An open transaction. Statements run on `&mut tx`. Only `transaction` begins, commits and rolls back.
#[derive(Debug)]
pub struct Tx<Scope> {
    connection: PooledConnection,
    scope: Scope,
}

impl TenantTx {
    /// The id of this transaction's tenant. Queries also filter by it (`where customer_id = $1`), besides row-level
    /// security.
    #[must_use]
    pub fn tenant(&self) -> Uuid {
        self.scope.0
    }
}

/// The connection pool of the role `lisa_app`. The role owns nothing and may touch no table before it takes the role
/// `lisa_tenant`; it may only call a few functions of the schema `app`.
#[derive(Debug, Clone)]
pub struct Db(Pool);

/// The connection pool of the role `lisa_system` on the app's database.
#[derive(Debug, Clone)]
pub struct SystemDb {
    pool: Pool,
    timeout: Duration,
}

/// The connection pool of the role `lisa_system` on the database that holds the schema `billing`.
#[derive(Debug, Clone)]
pub struct BillingDb {
    pool: Pool,
    timeout: Duration,
}

impl Db {
    /// Reads DATABASE_URL. Connects at the first use.
    pub fn read(settings: &mut Settings) -> Self {
        Self(pool(settings.database_url("DATABASE_URL"), settings))
    }

    /// Runs `work` in a transaction of one tenant. Commits when `work` returns `Ok`, rolls back when it returns
    /// `Err`.
    ///
    /// `work` runs at most once. The isolation level is PostgreSQL's default, read committed.
    ///
    /// # Errors
    /// Any error of `work`; 503 when the database is down or the transaction takes longer than its timeout of 3.8 s.
    /// When the connection breaks or the time runs out during the commit itself, the transaction may have been
    /// committed all the same.
    pub async fn tenant_tx<T>(&self, tenant: Uuid, work: impl AsyncFnOnce(&mut TenantTx) -> Result<T>) -> Result<T> {
        self.tenant_tx_with_error(tenant, work).await
    }

    /// Runs `work` as [`Self::tenant_tx`] does, for a closure with an error type of its own. Each of its errors rolls
    /// back.
    ///
    /// # Errors
    /// Any error of `work`; the errors of [`Self::tenant_tx`], converted into `E`.
    pub async fn tenant_tx_with_error<T, E>(
        &self,
        tenant: Uuid,
        work: impl AsyncFnOnce(&mut TenantTx) -> Result<T, E>,
    ) -> Result<T, E>
    where
        E: From<ApiError>,
    {
        let begin = tenant_begin_sql("begin", tenant);
        transaction(&self.0, "tenant transaction", begin, TenantScope(tenant), REQUEST_TIMEOUT, work).await
    }

    /// Runs `work` in a read-only transaction of one tenant with isolation level repeatable read: all its statements
    /// see the database as it was when the transaction began.
    ///
    /// # Errors
    /// Any error of `work`; 503 as for [`Db::tenant_tx`].
    pub async fn tenant_snapshot_tx<T>(
        &self,
        tenant: Uuid,
        work: impl AsyncFnOnce(&mut TenantTx) -> Result<T>,
    ) -> Result<T> {
        let begin = tenant_begin_sql("begin isolation level repeatable read read only", tenant);
        transaction(&self.0, "tenant snapshot", begin, TenantScope(tenant), REQUEST_TIMEOUT, work).await
    }

    /// Calls a security-definer function of the schema `app` that reads about users, before any tenant is known, and
    /// returns its rows. `None` among `ids` becomes `null`.
    ///
    /// The call is written as text and runs outside a transaction. The arguments are UUIDs by type, so they cannot
    /// inject SQL.
    pub(crate) async fn call_app_function(
        &self,
        function: &'static str,
        ids: &[Option<Uuid>],
    ) -> sqlx::Result<Vec<PgRow>> {
        let ids: Vec<_> = ids.iter().map(|id| id.map_or_else(|| "null".to_owned(), |id| format!("'{id}'"))).collect();
        call_app_function(&self.0, &format!("{function}({})", ids.join(", "))).await
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.0
    }

    /// Returns `users.role`, the user's role outside any tenant, or [`DELETED_ROLE`]; `None` when there is no such
    /// user.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn user_role(&self, user: Uuid) -> sqlx::Result<Option<String>> {
        let rows = self.call_app_function("app.user_role", &[Some(user)]).await?;
        rows.first().map(|row| row.try_get("role")).transpose()
    }

    /// Checks that the database answers.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn ping(&self) -> sqlx::Result<()> {
        self.call_app_function("app.memberships", &[Some(Uuid::nil()), None]).await.map(drop)
    }

    /// Closes the pool and its idle connections. For tests and the local stack.
    pub async fn close(&self) {
        self.0.close().await;
    }
}

impl SystemDb {
    /// Reads SYSTEM_DATABASE_URL. Connects at the first use.
    pub fn read(settings: &mut Settings) -> Self {
        Self { pool: pool(settings.database_url("SYSTEM_DATABASE_URL"), settings), timeout: REQUEST_TIMEOUT }
    }

    /// Sets the timeout of transactions to 30 s, for work for which no caller waits.
    #[must_use]
    pub fn with_background_timeout(self) -> Self {
        Self { timeout: BACKGROUND_TIMEOUT, ..self }
    }

    /// Sets the timeout of transactions to 30 min, for an operator's command that handles a whole tenant at once.
    #[must_use]
    pub fn with_operator_timeout(self) -> Self {
        Self { timeout: OPERATOR_TIMEOUT, ..self }
    }

    /// Runs `work` in a transaction that sees every tenant. Commits when `work` returns `Ok`, rolls back when it
    /// returns `Err`.
    ///
    /// # Errors
    /// Any error of `work`; 503 when the database is down or the transaction takes longer than this handle's timeout.
    /// A failed commit may have taken effect, as for [`Db::tenant_tx`].
    pub async fn system_tx<T>(&self, work: impl AsyncFnOnce(&mut SystemTx) -> Result<T>) -> Result<T> {
        self.system_tx_with_error(work).await
    }

    /// Runs `work` as [`Self::system_tx`] does, for a closure with an error type of its own. Each of its errors rolls
    /// back.
    ///
    /// # Errors
    /// Any error of `work`; the errors of [`Self::system_tx`], converted into `E`.
    pub async fn system_tx_with_error<T, E>(
        &self,
        work: impl AsyncFnOnce(&mut SystemTx) -> Result<T, E>,
    ) -> Result<T, E>
    where
        E: From<ApiError>,
    {
        let timeout_ms = self.timeout.as_millis();
        let begin = format!("begin; set local statement_timeout = {timeout_ms}");
        transaction(&self.pool, "system transaction", begin, SystemScope, self.timeout, work).await
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }
}

impl BillingDb {
    /// Reads BACKEND_APP_DATABASE_URL, or SYSTEM_DATABASE_URL where the first is not set. Connects at the first use.
    pub fn read(settings: &mut Settings) -> Self {
        let url = match settings.optional_database_url("BACKEND_APP_DATABASE_URL") {
            Some(url) => url,
            None => settings.database_url("SYSTEM_DATABASE_URL"),
        };
        Self { pool: pool(url, settings), timeout: REQUEST_TIMEOUT }
    }

    /// Sets the timeout of transactions to 30 s, for work for which no caller waits.
    #[must_use]
    pub fn with_background_timeout(self) -> Self {
        Self { timeout: BACKGROUND_TIMEOUT, ..self }
    }

    /// Runs `work` in a transaction on the schema `billing`. Commits when `work` returns `Ok`, rolls back when it
    /// returns `Err`.
    ///
    /// # Errors
    /// Any error of `work`; 503 when the database is down or the transaction takes longer than this handle's timeout.
    /// A failed commit may have taken effect, as for [`Db::tenant_tx`].
    pub async fn billing_tx<T>(&self, work: impl AsyncFnOnce(&mut BillingTx) -> Result<T>) -> Result<T> {
        let timeout_ms = self.timeout.as_millis();
        let begin = format!("begin; set local statement_timeout = {timeout_ms}");
        transaction(&self.pool, "billing transaction", begin, BillingScope, self.timeout, work).await
    }
}

/// The connection pool of one function instance: at most `max_connections` open connections.
///
/// sqlx's own pool is used only to open connections (`connector`). It would ping the server whenever a connection is
/// returned. That costs a round trip for each transaction, and the ping comes after the response, when Lambda may
/// already have frozen the process. Here nothing is pinged: `begin` finds a broken connection, and
/// [`retry_on_broken_connection`] replaces it.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    connector: PgPool,
    max_connections: u32,
    /// One permit for each connection in use.
    permits: Arc<Semaphore>,
    /// Connections without an open transaction, ready for the next use.
    idle: Arc<Mutex<Vec<PgConnection>>>,
}

impl Pool {
    /// Waits for a permit, then takes an idle connection or opens a new one. An idle connection may be broken.
    async fn acquire(&self) -> sqlx::Result<PooledConnection> {
        let waited = WAITED.try_with(Cell::get).unwrap_or_default();
        let timeout = SHARED_WAIT.saturating_sub(waited).clamp(MIN_WAIT, ACQUIRE_TIMEOUT);
        let started = tokio::time::Instant::now();
        let permit = tokio::time::timeout(timeout, Arc::clone(&self.permits).acquire_owned()).await;
        let _ = WAITED.try_with(|total| total.set(waited + started.elapsed()));
        let permit = permit.or(Err(sqlx::Error::PoolTimedOut))?.or(Err(sqlx::Error::PoolClosed))?;
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.connector.acquire().await?.detach(),
        };
        Ok(PooledConnection { connection: Some(connection), pool: self.clone(), _permit: permit })
    }

    fn idle(&self) -> MutexGuard<'_, Vec<PgConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn close(&self) {
        self.permits.close();
        let idle = std::mem::take(&mut *self.idle());
        for connection in idle {
            // An error means that the farewell message was not sent; the socket is closed in any case.
            let _ = connection.close().await;
        }
        self.connector.close().await;
    }
}

/// Creates a pool for `url` with DATABASE_MAX_CONNECTIONS connections, 1 by default. Connects nowhere.
fn pool(url: String, settings: &mut Settings) -> Pool {
    // A Lambda instance serves one request at a time, so one connection is enough. More would take a thousand
    // instances over the pooler's limit. The local stack serves many requests at once and sets a higher number.
    let max_connections = settings.number("DATABASE_MAX_CONNECTIONS", 1_u32).max(1);
    // For a URL that cannot be parsed, `settings` has recorded a problem, and the function does not start.
    let options = PgConnectOptions::from_str(&url).unwrap_or_else(|_| PgConnectOptions::new());
    let connector = PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(options.statement_cache_capacity(0).application_name("lisa"));
    let permits = Arc::new(Semaphore::new(max_connections as usize));
    Pool { connector, max_connections, permits, idle: Arc::default() }
}

/// Returns the statements that begin a tenant's transaction, as one text for one round trip.
///
/// Every setting is local to the transaction (the `true` of `set_config` means that too), so the connection's next
/// user starts as `lisa_app` without a tenant. With repeatable read, the `select` is the query that takes the
/// snapshot.
fn tenant_begin_sql(begin: &str, tenant: Uuid) -> String {
    let timeout_ms = REQUEST_TIMEOUT.as_millis();
    format!(
        // The planner overestimates our short searches, and JIT compilation would take longer than the search itself.
        "{begin}; set local role lisa_tenant; set local statement_timeout = {timeout_ms}; set local jit = off; \
         select set_config('app.customer_id', '{tenant}', true)"
    )
}

/// Runs `work` in a transaction that the statements `begin` open, and ends the transaction in every case.
///
/// `timeout` covers everything, from waiting for a connection to the commit. `name` is that of the span, which holds no
/// SQL.
async fn transaction<Scope, T, E>(
    pool: &Pool,
    name: &'static str,
    begin: String,
    scope: Scope,
    timeout: Duration,
    work: impl AsyncFnOnce(&mut Tx<Scope>) -> Result<T, E>,
) -> Result<T, E>
where
    E: From<ApiError>,
{
    let span = database_span(name);
    let run = async {
        let opening = retry_on_broken_connection(pool, || PooledConnection::begin(pool, &begin));
        // The short timeout holds for background work too: a database that cannot even begin a transaction is down.
        let connection = with_timeout(REQUEST_TIMEOUT, opening).await.map_err(ApiError::from)?;
        let mut tx = Tx { connection, scope };
        match work(&mut tx).await {
            Ok(value) => {
                tx.connection.commit().await.map_err(ApiError::from)?;
                span.set("lisa.transaction.end", "commit");
                Ok(value)
            }
            Err(error) => {
                tx.connection.rollback().await;
                // Often a refusal, such as of a request without quota, so it is no error of the database.
                span.set("lisa.transaction.end", "rollback");
                Err(error)
            }
        }
    };
    match tokio::time::timeout(timeout, run).await {
        Ok(outcome) => outcome,
        // Dropping the future dropped the connection without releasing it: it is closed, and the server rolls back.
        Err(elapsed) => {
            span.fail("timeout");
            Err(ApiError::unavailable().with_source(elapsed).into())
        }
    }
}

/// Opens the span of a transaction, or of a statement outside one. It holds no SQL, which may hold values.
fn database_span(name: &'static str) -> Span {
    let span = telemetry::start_span(name, SpanKind::Client);
    span.set("db.system.name", "postgresql");
    span
}

/// Calls a function of the schema `app` outside a transaction. `call` is SQL, so it must not hold text that a client
/// chose.
///
/// The call is repeated when the connection breaks. Most of the functions only read. `app.take_rate` writes: when its
/// answer is lost, the request is counted twice.
pub(crate) async fn call_app_function(pool: &Pool, call: &str) -> sqlx::Result<Vec<PgRow>> {
    let statement = format!("select * from {call}");
    let span = database_span("call of a function");
    if span.is_recorded() {
        let function = call.split('(').next().unwrap_or_default();
        span.rename(function.to_owned());
        span.set("db.stored_procedure.name", function.to_owned());
    }
    let rows = with_timeout(REQUEST_TIMEOUT, retry_on_broken_connection(pool, || run_simple(pool, &statement))).await;
    if rows.is_err() {
        span.fail("call_failed");
    }
    rows
}

/// Runs one statement in PostgreSQL's simple query protocol, outside a transaction. The statement is one message,
/// which a transaction pooler passes on whole.
async fn run_simple(pool: &Pool, statement: &str) -> sqlx::Result<Vec<PgRow>> {
    let mut connection = pool.acquire().await?;
    let rows = sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).fetch_all(&mut *connection.get()?).await;
    // An error that the server reports leaves the connection usable, unless the server is closing the connection.
    let is_usable = match &rows {
        Ok(_) => true,
        Err(error) => matches!(error, sqlx::Error::Database(_)) && !is_broken(error),
    };
    if is_usable {
        connection.release();
    }
    rows
}

/// Runs `attempt` again, at once, while it fails because its connection is broken. Only for an `attempt` that
/// acquires a connection itself and that may run twice.
///
/// After a restart of the server, or an hour in which the function was frozen, all `max_connections` idle connections
/// may be broken. Each failed attempt uses up one of them, so `max_connections` + 1 attempts reach a new connection.
async fn retry_on_broken_connection<T, F>(pool: &Pool, attempt: impl Fn() -> F) -> sqlx::Result<T>
where
    F: Future<Output = sqlx::Result<T>>,
{
    for _ in 0..pool.max_connections {
        match attempt().await {
            Err(error) if is_broken(&error) => {}
            outcome => return outcome,
        }
    }
    attempt().await
}

/// Runs `work`, or fails with [`sqlx::Error::PoolTimedOut`], which becomes a 503.
async fn with_timeout<T>(timeout: Duration, work: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    tokio::time::timeout(timeout, work).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// Returns true when the connection that reported the error must not be used again.
fn is_broken(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(_) | sqlx::Error::Protocol(_))
        // 57P01 admin_shutdown, 57P02 crash_shutdown, 08P01 protocol_violation (a pooler's "server closed"),
        // 08006 connection_failure, 08003 connection_does_not_exist.
        || error.as_database_error().and_then(|error| error.code()).is_some_and(|code| {
            matches!(code.as_ref(), "57P01" | "57P02" | "08P01" | "08006" | "08003")
        })
}

/// A connection taken from the pool. [`Self::release`] returns it; only a connection without an open transaction may
/// be returned, because the pool does not reset it for the next caller.
///
/// Dropping the value (after an error, a cancelled query, a timeout) closes the connection instead.
#[derive(Debug)]
struct PooledConnection {
    /// `None` only while `release` runs.
    connection: Option<PgConnection>,
    pool: Pool,
    /// The last field, so that it is dropped after the connection is closed: fields are dropped in their order.
    _permit: OwnedSemaphorePermit,
}

impl PooledConnection {
    /// Acquires a connection and sends the statements that begin a transaction.
    async fn begin(pool: &Pool, statements: &str) -> sqlx::Result<Self> {
        let mut connection = pool.acquire().await?;
        sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut *connection.get()?).await?;
        Ok(connection)
    }

    fn get(&mut self) -> sqlx::Result<&mut PgConnection> {
        self.connection.as_mut().ok_or(sqlx::Error::PoolClosed)
    }

    /// Commits, and returns the connection to the pool.
    ///
    /// The `select` fails in a transaction that an earlier error aborted. A bare `commit` would roll such a
    /// transaction back and report success.
    async fn commit(mut self) -> sqlx::Result<()> {
        sqlx::raw_sql("select 1; commit").execute(&mut *self.get()?).await?;
        self.release();
        Ok(())
    }

    /// Rolls back, and returns the connection to the pool. Where that fails, the connection is closed, which makes
    /// the server roll back.
    async fn rollback(mut self) {
        let Ok(connection) = self.get() else { return };
        if sqlx::raw_sql("rollback").execute(&mut *connection).await.is_ok() {
            self.release();
        }
    }

    /// Returns the connection to the pool.
    fn release(mut self) {
        if let Some(connection) = self.connection.take() {
            self.pool.idle().push(connection);
        }
    }
}

/// A query that is sent as an unnamed statement and not cached. A named one would be prepared on one server
/// connection of a transaction pooler, and looked for on another.
struct UnnamedStatement<'q, E>(E, PhantomData<&'q ()>);

impl<'q, E: Execute<'q, Postgres>> Execute<'q, Postgres> for UnnamedStatement<'q, E> {
    fn sql(self) -> SqlStr {
        self.0.sql()
    }

    fn statement(&self) -> Option<&PgStatement> {
        None
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, BoxDynError> {
        self.0.take_arguments()
    }

    fn persistent(&self) -> bool {
        false
    }
}

impl<'c, Scope: Send + std::fmt::Debug> Executor<'c> for &'c mut Tx<Scope> {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, sqlx::Result<Either<PgQueryResult, PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        match self.connection.get() {
            Ok(connection) => (&mut *connection).fetch_many(UnnamedStatement(query, PhantomData)),
            Err(error) => Box::pin(futures::stream::once(std::future::ready(Err(error)))),
        }
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        match self.connection.get() {
            Ok(connection) => (&mut *connection).fetch_optional(UnnamedStatement(query, PhantomData)),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn prepare_with<'e>(self, _sql: SqlStr, _parameters: &'e [PgTypeInfo]) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'c: 'e,
    {
        Box::pin(std::future::ready(Err(named_statement_refused())))
    }

    fn describe<'e>(self, _sql: SqlStr) -> BoxFuture<'e, sqlx::Result<sqlx::Describe<Postgres>>>
    where
        'c: 'e,
    {
        Box::pin(std::future::ready(Err(named_statement_refused())))
    }
}

fn named_statement_refused() -> sqlx::Error {
    sqlx::Error::Configuration("a named statement does not survive a transaction pooler".into())
}
