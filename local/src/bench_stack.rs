//! The stack that the load benchmarks run: the servers of `cargo dev`, an empty database, companies, and a queue within
//! the process.

use std::{collections::BTreeMap, net::Ipv4Addr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use local_postgres::{DataFolder, ProgressOutput};
use reqwest::Client;
use serde_json::{Value, json};
use shared::{
    sealed::KeyRing,
    settings::{Settings, SettingsMap},
    tenants,
};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::{net::TcpListener, task::JoinSet};
use uuid::Uuid;

use crate::{
    dev::migrate,
    environment::{DatabaseUrls, ExternalServers},
    fakes::{
        manychat::KEYS,
        queue::{FakeQueue, QueuedMessage},
    },
    secrets::LocalSecrets,
    servers::Servers,
    stack::{Stack, StackOptions},
};

/// Concurrent invocations from the in-process queue, equal to those of the SQS poller on a machine with two cores.
const WORKERS: usize = 2;

/// The servers of `cargo dev`, whose commits are flushed to disk.
pub(crate) struct BenchServers {
    servers: Servers,
    secrets: LocalSecrets,
}

/// A company with a connected bot and with more questions than a run asks.
pub(crate) struct BenchTenant {
    /// The tenant's id.
    pub(crate) customer: Uuid,
    /// The owner's access token.
    pub(crate) token: String,
    /// The secret of the company's ManyChat bot.
    pub(crate) webhook_secret: String,
}

impl BenchServers {
    pub(crate) async fn start() -> Result<Self> {
        let mut data = DataFolder::open(None)?;
        data.lock()?;
        let secrets = LocalSecrets::open(&data)?;
        let servers =
            Box::pin(Servers::start(&data, ExternalServers::default(), false, ProgressOutput::Silent)).await?;
        Ok(Self { servers, secrets })
    }

    /// The endpoint of the AWS stand-in.
    pub(crate) fn aws_endpoint(&self) -> &str {
        self.servers.aws.endpoint()
    }

    /// Creates an empty, migrated database in place of one with this name.
    pub(crate) async fn create_database(&self, name: &'static str) -> Result<DatabaseUrls> {
        let mut admin = PgConnection::connect(&self.servers.database_urls("postgres", &self.secrets).admin).await?;
        // The name is a constant of the program.
        sqlx::query(AssertSqlSafe(format!("drop database if exists {name} with (force)"))).execute(&mut admin).await?;
        let database = self.servers.create_database(name, &self.secrets).await?;
        migrate(&database).await?;
        Ok(database)
    }

    /// Starts all functions behind a gateway on a free port.
    pub(crate) async fn start_stack(&self, database: &DatabaseUrls, settings: SettingsMap) -> Result<Stack> {
        let options = StackOptions {
            listener: TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port is free on 127.0.0.1")?,
            database: database.clone(),
            secrets: self.secrets.clone(),
            settings,
            suffix: "-bench".to_owned(),
            visibility_timeout: None,
            runs_schedules: false,
            console: None,
        };
        let mut stack = Box::pin(Stack::start(&self.servers, options)).await?;
        stack.start_functions().await?;
        stack.open();
        Ok(stack)
    }

    /// Signs a company up and connects its bot.
    pub(crate) async fn sign_up(&self, stack: &Stack, admin: &mut PgConnection, number: usize) -> Result<BenchTenant> {
        let body = json!({
            "email": format!("bench-{number}@example.com"), "password": Uuid::new_v4().to_string(),
            "company_name": "Bench",
        });
        let http = Client::builder().no_proxy().build()?;
        let answer = http.post(format!("{}/api/v1/auth/signup", stack.base_url())).json(&body).send().await?;
        let answer: Value = answer.error_for_status()?.json().await?;
        let customer: Uuid = answer["data"]["customer"]["id"].as_str().context("sign-up names no company")?.parse()?;
        let token = answer["data"]["access_token"].as_str().context("sign-up gave no token")?.to_owned();
        let mut keys = Settings::new(BTreeMap::from([("SEALING_KEYS".to_owned(), self.secrets.sealing_keys.clone())]));
        let ring = KeyRing::read(&mut keys);
        keys.finish()?;
        let sealed = ring.seal(customer, tenants::MANYCHAT_KEY_PURPOSE, KEYS[number % KEYS.len()])?;
        let webhook_secret = Uuid::new_v4().simple().to_string();
        let key = sqlx::query("update customers set manychat_api_key = $2 where id = $1");
        key.bind(customer).bind(sealed).execute(&mut *admin).await?;
        let known = "insert into webhook_secrets (customer_id, sha256) values ($1, sha256(convert_to($2, 'UTF8')))";
        sqlx::query(known).bind(customer).bind(&webhook_secret).execute(&mut *admin).await?;
        let limit = "update user_settings set free_quota_limit = 1000000
            where user_id = (select user_id from customers where id = $1)";
        sqlx::query(limit).bind(customer).execute(&mut *admin).await?;
        let confirmed = "update users set email_confirmed_at = now()
            where id = (select user_id from customers where id = $1)";
        sqlx::query(confirmed).bind(customer).execute(&mut *admin).await?;
        Ok(BenchTenant { customer, token, webhook_secret })
    }
}

/// Delivers the due messages of the in-process queue to the reply-worker, and failed ones again.
pub(crate) async fn deliver(stack: Arc<Stack>, queue: FakeQueue) -> Result<()> {
    let mut waiting: Vec<QueuedMessage> = Vec::new();
    let mut working: JoinSet<Result<Option<QueuedMessage>>> = JoinSet::new();
    let mut look = tokio::time::interval(Duration::from_millis(10));
    loop {
        look.tick().await;
        waiting.extend(queue.drain());
        while let Some(done) = working.try_join_next() {
            waiting.extend(done??);
        }
        let now = tokio::time::Instant::now();
        while let Some(place) = waiting.iter().position(|message| message.due <= now)
            && working.len() < WORKERS
        {
            let (message, stack) = (waiting.remove(place), Arc::clone(&stack));
            working.spawn(async move {
                let event = json!({ "Records": [{
                    "messageId": "1", "receiptHandle": "1", "body": message.body,
                    "attributes": { "ApproximateReceiveCount": "1" },
                }] });
                let answer = stack.invoke("reply-worker", event).await?;
                let is_done = answer["batchItemFailures"].as_array().is_none_or(Vec::is_empty);
                let later = tokio::time::Instant::now() + Duration::from_secs(1);
                Ok((!is_done).then_some(QueuedMessage { due: later, ..message }))
            });
        }
    }
}
