//! Shared support of the HTTP tests: a running product for each test, and short helpers to call it.

mod aws;
mod browser;
mod conversations;
mod counter_backend;
mod documents;
mod hold;
mod logs;
pub(crate) mod pooler;
mod proxy;
mod request;
mod response;
mod sse;
mod supabase;
mod tenant;
mod tokens;
mod wait;
mod whatsapp;

use std::{net::IpAddr, time::Duration};

use local::testing::{OwnDatabase, TestOptions, TestStack, stack, stack_on};
use reqwest::{Client, Method};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

pub(crate) use self::{
    aws::{create_queue, object_created_event, sqs_event},
    browser::Browser,
    counter_backend::CounterBackend,
    documents::{
        PdfPage, e5_model_file, fixture, long_pdf, padded_pdf, pdf, pdf_of_pages, presigned_upload, repository_file,
        small_pdf,
    },
    hold::StatementHold,
    logs::{line_count, plant, plant_phone},
    proxy::BackendProxy,
    request::TestRequest,
    response::TestResponse,
    sse::{EventStream, ServerSentEvent},
    supabase::{FakeSupabase, ProjectKey},
    tenant::{PASSWORD, TenantUser, new_email},
    tokens::unix_time_in,
    wait::{WAIT_TIMEOUT, wait_until},
    whatsapp::WhatsAppFixture,
};

use self::logs::LogWatch;

/// Timeout of one request; above the 30 s after which the gateway itself gives up.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(40);

/// A running product with its own database, bucket and queues.
pub(crate) struct App {
    pub(crate) stack: TestStack,
    http: Client,
    // The last field, so that the stack has written its last line when the watch ends.
    log: LogWatch,
}

impl App {
    /// Starts the product with default settings.
    pub(crate) async fn start() -> Self {
        Self::with_settings(&[]).await
    }

    /// Starts the product with these settings of the functions.
    pub(crate) async fn with_settings(settings: &[(&str, &str)]) -> Self {
        Self::with_options(settings, None).await
    }

    /// Starts the product with these settings and the queues' visibility timeout in seconds.
    pub(crate) async fn with_options(settings: &[(&str, &str)], visibility_timeout: Option<u32>) -> Self {
        let mut all = pooler::settings().await;
        all.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Self::with_stack(TestOptions { settings: all, visibility_timeout, two_databases: false }).await
    }

    /// Starts the product with billing in a separate database.
    pub(crate) async fn with_two_databases(settings: &[(&str, &str)]) -> Self {
        let mut all = pooler::settings().await;
        all.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Self::with_stack(TestOptions { settings: all, visibility_timeout: None, two_databases: true }).await
    }

    /// Starts the product on a database server that the test may kill, with these settings and the queues' visibility
    /// timeout in seconds.
    pub(crate) async fn on_database(database: &OwnDatabase, settings: &[(&str, &str)], timeout: u32) -> Self {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let log = LogWatch::start();
        let options = TestOptions { settings, visibility_timeout: Some(timeout), two_databases: false };
        Self::watched(stack_on(database, options).await.unwrap(), log)
    }

    async fn with_stack(options: TestOptions) -> Self {
        let log = LogWatch::start();
        Self::watched(stack(options).await.unwrap(), log)
    }

    /// Plants the secrets of a stack.
    fn watched(stack: TestStack, log: LogWatch) -> Self {
        let secrets = &stack.secrets;
        for secret in [
            &secrets.app_password,
            &secrets.system_password,
            &secrets.jwt_secret,
            &secrets.stripe_webhook_secret,
            &secrets.sealing_keys,
        ] {
            plant(secret);
        }
        Self { stack, http: client(), log }
    }

    /// Kills all running work and starts the product again on the same data.
    pub(crate) async fn restart(self) -> Self {
        let Self { stack, log, .. } = self;
        Self { stack: stack.restart().await.unwrap(), http: client(), log }
    }

    /// Kills all running work and starts the product again on the same data with these settings besides.
    pub(crate) async fn restart_with(self, settings: &[(&str, &str)]) -> Self {
        let Self { stack, log, .. } = self;
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { stack: stack.restart_with(settings).await.unwrap(), http: client(), log }
    }

    pub(crate) fn get(&self, path: &str) -> TestRequest {
        self.call(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str) -> TestRequest {
        self.call(Method::POST, path)
    }

    pub(crate) fn delete(&self, path: &str) -> TestRequest {
        self.call(Method::DELETE, path)
    }

    pub(crate) fn call(&self, method: Method, path: &str) -> TestRequest {
        TestRequest::new(self.http.request(method, format!("{}{path}", self.stack.base_url())))
    }

    /// A request from another IP address of this machine.
    pub(crate) fn call_from(&self, address: [u8; 4], method: Method, path: &str) -> TestRequest {
        let http =
            Client::builder().local_address(IpAddr::from(address)).timeout(REQUEST_TIMEOUT).no_proxy().build().unwrap();
        TestRequest::new(http.request(method, format!("{}{path}", self.stack.base_url())))
    }

    /// A superuser connection that bypasses the functions, the pooler and row-level security.
    pub(crate) async fn admin_db(&self) -> PgConnection {
        PgConnection::connect(&self.stack.database.admin).await.unwrap()
    }

    /// Runs statements as the database's superuser.
    pub(crate) async fn sql(&self, statements: &str) {
        let mut db = self.admin_db().await;
        sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut db).await.unwrap();
    }

    /// Returns the single number that a query yields.
    pub(crate) async fn number(&self, query: &str) -> i64 {
        let query = format!("select ({query})::bigint");
        sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&mut self.admin_db().await).await.unwrap()
    }

    /// A client for addresses outside the product, such as a presigned URL.
    pub(crate) fn http(&self) -> &Client {
        &self.http
    }
}

fn client() -> Client {
    // A proxy configured in the environment must not be used on the loopback interface.
    Client::builder().timeout(REQUEST_TIMEOUT).no_proxy().build().unwrap()
}
