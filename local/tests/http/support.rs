//! What every test stands on: a product of its own, and few words to talk to it.

mod answer;
mod aws;
mod browser;
mod call;
mod chats;
mod documents;
mod hold;
mod pooler;
mod proxy;
mod sse;
mod store;
mod supabase;
mod tenant;
mod tokens;
mod wait;
mod whatsapp;

use std::{net::IpAddr, time::Duration};

use local::testing::{TestOptions, TestStack, stack};
use reqwest::{Client, Method};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

pub(crate) use self::{
    answer::Answer,
    aws::{arrival, batch, own_queue},
    browser::Browser,
    call::Call,
    documents::{Sheet, file, fixture, long_pdf, padded_pdf, pdf, place, sheets, small_pdf},
    proxy::Proxy,
    sse::{Event, Stream},
    store::Store,
    supabase::{Key, Supabase},
    tenant::{PASSWORD, Tenant, new_address},
    tokens::in_seconds,
    wait::{SOON, wait_until},
    whatsapp::WhatsApp,
};

/// The gateway itself gives up after 30 s.
const PATIENCE: Duration = Duration::from_secs(40);

/// A running product with a database, a bucket and queues of its own.
pub(crate) struct App {
    pub(crate) stack: TestStack,
    http: Client,
}

impl App {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With settings of functions.
    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        Self::with_options(settings, None).await
    }

    /// With settings, and the time in seconds after which a message that was received comes back.
    pub(crate) async fn with_options(settings: &[(&str, &str)], visibility_timeout: Option<u32>) -> Self {
        let mut all = pooler::settings().await;
        all.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let stack = stack(TestOptions { settings: all, visibility_timeout, two_databases: false }).await.unwrap();
        Self { stack, http: client() }
    }

    /// With billing in a database of its own.
    pub(crate) async fn with_two_databases(settings: &[(&str, &str)]) -> Self {
        let mut all = pooler::settings().await;
        all.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let options = TestOptions { settings: all, visibility_timeout: None, two_databases: true };
        Self { stack: stack(options).await.unwrap(), http: client() }
    }

    /// Kills everything that is under way, and starts again on the same data.
    pub(crate) async fn restart(self) -> Self {
        Self { stack: self.stack.restart().await.unwrap(), http: client() }
    }

    pub(crate) fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str) -> Call {
        self.call(Method::POST, path)
    }

    pub(crate) fn delete(&self, path: &str) -> Call {
        self.call(Method::DELETE, path)
    }

    pub(crate) fn call(&self, method: Method, path: &str) -> Call {
        Call::new(self.http.request(method, format!("{}{path}", self.stack.base_url())))
    }

    /// A call from another address of this machine.
    pub(crate) fn call_from(&self, address: [u8; 4], method: Method, path: &str) -> Call {
        let http = Client::builder().local_address(IpAddr::from(address)).timeout(PATIENCE).no_proxy().build().unwrap();
        Call::new(http.request(method, format!("{}{path}", self.stack.base_url())))
    }

    /// A connection past functions, pooler and row-level security.
    pub(crate) async fn admin_db(&self) -> PgConnection {
        PgConnection::connect(&self.stack.database.admin).await.unwrap()
    }

    /// Runs statements as the database's superuser.
    pub(crate) async fn sql(&self, statements: &str) {
        let mut db = self.admin_db().await;
        sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut db).await.unwrap();
    }

    /// The one number that a query returns.
    pub(crate) async fn number(&self, query: &str) -> i64 {
        let query = format!("select ({query})::bigint");
        sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&mut self.admin_db().await).await.unwrap()
    }

    /// A client for what is not the product, such as a presigned URL.
    pub(crate) fn http(&self) -> &Client {
        &self.http
    }
}

fn client() -> Client {
    // A proxy of the environment has no business on the loopback interface.
    Client::builder().timeout(PATIENCE).no_proxy().build().unwrap()
}
