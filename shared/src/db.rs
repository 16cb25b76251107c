//! The database handles. Which rows a piece of SQL may touch is in the type of its transaction:
//!
//! - [`TenantTx`], opened by [`Db::tenant`]: the role `lisa_tenant`, held by row-level security to one tenant;
//! - [`SystemTx`], opened by [`SystemDb::system`]: all tenants, for sign-in, maintenance and the like;
//! - [`BillingTx`], opened by [`BillingDb::billing`]: the schema `billing`, which may be in another database, so that a
//!   statement on the one never takes a transaction of the other.
//!
//! All survive a transaction pooler that knows no prepared statements: every statement runs inside `begin … commit`
//! and unnamed (docs/DECISIONS.md). One function owns a transaction from begin to end and always ends it, so that a
//! function frozen after its response never leaves one open.

use std::{
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

use crate::{error::ApiError, settings::Settings};

/// How long a request's transaction may take, connecting included: a database that is away answers 503 in time.
const DEADLINE: Duration = Duration::from_millis(3_800);
/// How long a transaction may take that no caller waits for; maintenance does its sweeps in batches that fit.
const PATIENT_DEADLINE: Duration = Duration::from_secs(30);
/// How long a transaction of an operator's command may take: a tenant with all its chunks.
const OPERATORS_DEADLINE: Duration = Duration::from_secs(1_800);
/// How long to wait for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// The scope of a [`TenantTx`].
#[derive(Debug, Clone, Copy)]
pub struct Tenant(Uuid);

/// The scope of a [`SystemTx`].
#[derive(Debug, Clone, Copy)]
pub struct System;

/// The scope of a [`BillingTx`].
#[derive(Debug, Clone, Copy)]
pub struct Billing;

/// A transaction held to one tenant's rows.
pub type TenantTx = Tx<Tenant>;
/// A transaction that sees every tenant.
pub type SystemTx = Tx<System>;
/// A transaction on the schema `billing`.
pub type BillingTx = Tx<Billing>;

/// An open transaction. Statements run on `&mut tx`; whoever opened it commits or rolls back.
#[derive(Debug)]
pub struct Tx<Scope> {
    connection: Connection,
    scope: Scope,
}

impl TenantTx {
    /// The tenant that row-level security holds this transaction to; for `where customer_id = $1` beside it.
    #[must_use]
    pub fn tenant(&self) -> Uuid {
        self.scope.0
    }
}

/// The pool of `lisa_app`, which owns nothing and may do nothing before it takes the role of a tenant.
#[derive(Debug, Clone)]
pub struct Db(Pool);

/// The pool of `lisa_system`.
#[derive(Debug, Clone)]
pub struct SystemDb {
    pool: Pool,
    deadline: Duration,
}

/// The pool of `lisa_system` on the database of the schema `billing`.
#[derive(Debug, Clone)]
pub struct BillingDb {
    pool: Pool,
    deadline: Duration,
}

impl Db {
    /// Reads DATABASE_URL; connects at the first use.
    pub fn read(settings: &mut Settings) -> Self {
        Self(pool(settings.database_url("DATABASE_URL"), settings))
    }

    /// Runs `work` in a transaction of one tenant and commits it, or rolls it back when `work` fails.
    ///
    /// # Errors
    /// Those of `work`; 503 when the database is away or slower than the deadline.
    pub async fn tenant<T, E>(
        &self,
        tenant: Uuid,
        work: impl AsyncFnOnce(&mut TenantTx) -> Result<T, E>,
    ) -> Result<T, E>
    where
        E: From<ApiError>,
    {
        transaction(&self.0, begin_of("begin", tenant), Tenant(tenant), DEADLINE, work).await
    }

    /// The same for `work` that only reads: all its statements see the database as it was at the first one.
    ///
    /// # Errors
    /// As [`Db::tenant`].
    pub async fn tenant_snapshot<T, E>(
        &self,
        tenant: Uuid,
        work: impl AsyncFnOnce(&mut TenantTx) -> Result<T, E>,
    ) -> Result<T, E>
    where
        E: From<ApiError>,
    {
        let begin = begin_of("begin isolation level repeatable read read only", tenant);
        transaction(&self.0, begin, Tenant(tenant), DEADLINE, work).await
    }

    /// Runs one statement outside of any tenant and returns its rows: the few security-definer functions that find out
    /// who is calling. In the simple protocol, so that it needs no transaction; hence the typed argument list.
    pub(crate) async fn identify(&self, function: &'static str, ids: &[Option<Uuid>]) -> sqlx::Result<Vec<PgRow>> {
        let ids: Vec<_> = ids.iter().map(|id| id.map_or_else(|| "null".to_owned(), |id| format!("'{id}'"))).collect();
        identify(&self.0, &format!("{function}({})", ids.join(", "))).await
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.0
    }

    /// The role of a user beyond any tenant, `users.role`; `None` when there is no such user.
    ///
    /// # Errors
    /// What the driver says.
    pub async fn user_role(&self, user: Uuid) -> sqlx::Result<Option<String>> {
        let rows = self.identify("app.user_role", &[Some(user)]).await?;
        rows.first().map(|row| row.try_get("role")).transpose()
    }

    /// Whether a user is one of those who look after all tenants.
    ///
    /// # Errors
    /// What the driver says.
    pub async fn is_global_admin(&self, user: Uuid) -> sqlx::Result<bool> {
        Ok(self.user_role(user).await?.as_deref() == Some("global_admin"))
    }

    /// Asks the database whether it is there.
    ///
    /// # Errors
    /// What the driver says.
    pub async fn ping(&self) -> sqlx::Result<()> {
        self.identify("app.memberships", &[Some(Uuid::nil()), None]).await.map(drop)
    }

    /// Ends all connections; for tests and the local stack.
    pub async fn close(&self) {
        self.0.close().await;
    }
}

impl SystemDb {
    /// Reads SYSTEM_DATABASE_URL; connects at the first use.
    pub fn read(settings: &mut Settings) -> Self {
        Self { pool: pool(settings.database_url("SYSTEM_DATABASE_URL"), settings), deadline: DEADLINE }
    }

    /// For work that no caller waits for: its transactions may take longer than a request's.
    #[must_use]
    pub fn patient(self) -> Self {
        Self { deadline: PATIENT_DEADLINE, ..self }
    }

    /// For an operator's command: its transactions may take as long as a whole tenant does.
    #[must_use]
    pub fn of_operators(self) -> Self {
        Self { deadline: OPERATORS_DEADLINE, ..self }
    }

    /// Runs `work` in a transaction that sees every tenant and commits it, or rolls it back when `work` fails.
    ///
    /// # Errors
    /// Those of `work`; 503 when the database is away or slower than the deadline.
    pub async fn system<T, E>(&self, work: impl AsyncFnOnce(&mut SystemTx) -> Result<T, E>) -> Result<T, E>
    where
        E: From<ApiError>,
    {
        let timeout_ms = self.deadline.as_millis();
        let begin = format!("begin; set local statement_timeout = {timeout_ms}");
        transaction(&self.pool, begin, System, self.deadline, work).await
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }
}

impl BillingDb {
    /// Reads BACKEND_APP_DATABASE_URL, or else SYSTEM_DATABASE_URL; connects at the first use.
    pub fn read(settings: &mut Settings) -> Self {
        let url = match settings.optional_database_url("BACKEND_APP_DATABASE_URL") {
            Some(url) => url,
            None => settings.database_url("SYSTEM_DATABASE_URL"),
        };
        Self { pool: pool(url, settings), deadline: DEADLINE }
    }

    /// For work that no caller waits for: its transactions may take longer than a request's.
    #[must_use]
    pub fn patient(self) -> Self {
        Self { deadline: PATIENT_DEADLINE, ..self }
    }

    /// Runs `work` in a transaction on the schema `billing` and commits it, or rolls it back when `work` fails.
    ///
    /// # Errors
    /// Those of `work`; 503 when the database is away or slower than the deadline.
    pub async fn billing<T, E>(&self, work: impl AsyncFnOnce(&mut BillingTx) -> Result<T, E>) -> Result<T, E>
    where
        E: From<ApiError>,
    {
        let timeout_ms = self.deadline.as_millis();
        let begin = format!("begin; set local statement_timeout = {timeout_ms}");
        transaction(&self.pool, begin, Billing, self.deadline, work).await
    }
}

/// The connections of a function. sqlx's pool asks the server at each release whether the connection lives: a round trip
/// for each transaction, which nobody waits for but everybody pays, and which Lambda may leave to a frozen process. Here
/// `begin` is the test, so a connection that is clean is kept as it is; sqlx's pool only makes new ones.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    new: PgPool,
    most: u32,
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<PgConnection>>>,
}

impl Pool {
    async fn acquire(&self) -> sqlx::Result<Connection> {
        let permit = tokio::time::timeout(ACQUIRE_TIMEOUT, Arc::clone(&self.permits).acquire_owned()).await;
        let permit = permit.or(Err(sqlx::Error::PoolTimedOut))?.or(Err(sqlx::Error::PoolClosed))?;
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.new.acquire().await?.detach(),
        };
        Ok(Connection { connection: Some(connection), pool: self.clone(), _permit: permit })
    }

    fn idle(&self) -> MutexGuard<'_, Vec<PgConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn close(&self) {
        self.permits.close();
        let idle = std::mem::take(&mut *self.idle());
        for connection in idle {
            // One that cannot say good-bye is closed all the same.
            let _ = connection.close().await;
        }
        self.new.close().await;
    }
}

fn pool(url: String, settings: &mut Settings) -> Pool {
    // One connection an instance is enough where an instance serves one request at a time, and it is what keeps a
    // thousand instances inside the pooler's limit; the local stack serves many at once.
    let connections = settings.parsed("DATABASE_MAX_CONNECTIONS", 1_u32).max(1);
    let options = PgConnectOptions::from_str(&url).unwrap_or_else(|_| PgConnectOptions::new());
    let new = PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(options.statement_cache_capacity(0).application_name("lisa"));
    let permits = Arc::new(Semaphore::new(connections as usize));
    Pool { new, most: connections, permits, idle: Arc::default() }
}

/// How a tenant's transaction begins, in one round trip.
fn begin_of(begin: &str, tenant: Uuid) -> String {
    let timeout_ms = DEADLINE.as_millis();
    format!(
        // Searches are short, and estimated to be long: compiling them takes longer than they do.
        "{begin}; set local role lisa_tenant; set local statement_timeout = {timeout_ms}; set local jit = off; \
         select set_config('app.customer_id', '{tenant}', true)"
    )
}

async fn transaction<Scope, T, E>(
    pool: &Pool,
    begin: String,
    scope: Scope,
    deadline: Duration,
    work: impl AsyncFnOnce(&mut Tx<Scope>) -> Result<T, E>,
) -> Result<T, E>
where
    E: From<ApiError>,
{
    let run = async {
        let begun = on_a_living_connection(pool, || Connection::begin(pool, &begin));
        // However long the work may take: a database that does not even begin is away.
        let connection = within(DEADLINE, begun).await.map_err(ApiError::from)?;
        let mut tx = Tx { connection, scope };
        match work(&mut tx).await {
            Ok(value) => {
                tx.connection.commit().await.map_err(ApiError::from)?;
                Ok(value)
            }
            Err(error) => {
                tx.connection.rollback().await;
                Err(error)
            }
        }
    };
    match tokio::time::timeout(deadline, run).await {
        Ok(outcome) => outcome,
        // The connection was dropped with the future, unreleased, so it is closed and the server rolls back.
        Err(elapsed) => Err(ApiError::unavailable().because(elapsed).into()),
    }
}

/// Calls a function of the schema `app` outside of any transaction; its arguments are written by us, never by callers.
pub(crate) async fn identify(pool: &Pool, call: &str) -> sqlx::Result<Vec<PgRow>> {
    let statement = format!("select * from {call}");
    within(DEADLINE, on_a_living_connection(pool, || ask(pool, &statement))).await
}

/// Runs one statement in the simple protocol, outside of any transaction.
async fn ask(pool: &Pool, statement: &str) -> sqlx::Result<Vec<PgRow>> {
    let mut connection = pool.acquire().await?;
    let rows = sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).fetch_all(&mut *connection.get()?).await;
    // An error of the server leaves the connection usable, unless it says good-bye.
    let is_usable = match &rows {
        Ok(_) => true,
        Err(error) => matches!(error, sqlx::Error::Database(_)) && !is_broken(error),
    };
    if is_usable {
        connection.release();
    }
    rows
}

/// Repeats what has written nothing yet, when it fails with its connection. After a restart of the server, or an hour in
/// which the function was frozen, all pooled connections are dead: as many tries, and one on a new connection.
async fn on_a_living_connection<T, F>(pool: &Pool, attempt: impl Fn() -> F) -> sqlx::Result<T>
where
    F: Future<Output = sqlx::Result<T>>,
{
    for _ in 0..pool.most {
        match attempt().await {
            Err(error) if is_broken(&error) => {}
            outcome => return outcome,
        }
    }
    attempt().await
}

async fn within<T>(deadline: Duration, work: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    tokio::time::timeout(deadline, work).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

fn is_broken(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(_) | sqlx::Error::Protocol(_))
        // admin_shutdown, crash_shutdown and a pooler's "server closed": said on a connection that is of no more use.
        || error.as_database_error().and_then(|error| error.code()).is_some_and(|code| {
            matches!(code.as_ref(), "57P01" | "57P02" | "08P01" | "08006" | "08003")
        })
}

/// A pooled connection that goes back to the pool only when it is known to be clean. Dropped in any other way (an
/// error, a cancelled query, a deadline), it is closed: the pool would hand its open transaction to the next caller.
#[derive(Debug)]
struct Connection {
    connection: Option<PgConnection>,
    pool: Pool,
    /// Given back after the connection is closed: fields are dropped in their order.
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    async fn begin(pool: &Pool, statements: &str) -> sqlx::Result<Self> {
        let mut connection = pool.acquire().await?;
        sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut *connection.get()?).await?;
        Ok(connection)
    }

    fn get(&mut self) -> sqlx::Result<&mut PgConnection> {
        self.connection.as_mut().ok_or(sqlx::Error::PoolClosed)
    }

    /// The `select` makes an aborted transaction an error: a bare `commit` would roll it back and say that all is well.
    async fn commit(mut self) -> sqlx::Result<()> {
        sqlx::raw_sql("select 1; commit").execute(&mut *self.get()?).await?;
        self.release();
        Ok(())
    }

    async fn rollback(mut self) {
        let Ok(connection) = self.get() else { return };
        // If it cannot be rolled back, it is closed, which rolls back too.
        if sqlx::raw_sql("rollback").execute(&mut *connection).await.is_ok() {
            self.release();
        }
    }

    fn release(mut self) {
        if let Some(connection) = self.connection.take() {
            self.pool.idle().push(connection);
        }
    }
}

/// A statement that is neither prepared by name nor kept.
struct Unnamed<'q, E>(E, PhantomData<&'q ()>);

impl<'q, E: Execute<'q, Postgres>> Execute<'q, Postgres> for Unnamed<'q, E> {
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
            Ok(connection) => (&mut *connection).fetch_many(Unnamed(query, PhantomData)),
            Err(error) => Box::pin(futures::stream::once(std::future::ready(Err(error)))),
        }
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        match self.connection.get() {
            Ok(connection) => (&mut *connection).fetch_optional(Unnamed(query, PhantomData)),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn prepare_with<'e>(self, _sql: SqlStr, _parameters: &'e [PgTypeInfo]) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'c: 'e,
    {
        let refusal = "a named statement does not survive a transaction pooler";
        Box::pin(std::future::ready(Err(sqlx::Error::Configuration(refusal.into()))))
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<sqlx::Describe<Postgres>>>
    where
        'c: 'e,
    {
        match self.connection.get() {
            Ok(connection) => (&mut *connection).describe(sql),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }
}
