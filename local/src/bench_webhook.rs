//! `cargo bench-webhook`: measures the acknowledgement latency of contacts' messages under load, with an in-process
//! queue and with the AWS stand-in's, and checks that every message is answered in the end.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use local_postgres::{DataFolder, ProgressOutput};
use reqwest::Client;
use serde_json::{Value, json};
use shared::{
    sealed::KeyRing,
    settings::{Settings, SettingsMap},
    tenants,
};
use sqlx::{Connection, PgConnection};
use tokio::{net::TcpListener, task::JoinSet};
use uuid::Uuid;

use crate::{
    dev::migrate,
    environment::{DatabaseUrls, ExternalServers},
    fakes::{
        manychat::{FakeManyChat, KEYS},
        models::{FakeModels, FakeReply},
        queue::{FakeQueue, QueuedMessage},
    },
    secrets::LocalSecrets,
    servers::Servers,
    stack::{Stack, StackOptions},
};

/// The number of messages that a contact sends in a row; one answer covers them.
const MESSAGES_PER_BURST: usize = 3;
/// The time limit for answering everything, counted from the last message.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(300);
/// The interval at which the database is checked for unanswered messages.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// Concurrent invocations from the in-process queue, equal to those of the SQS poller on a machine with two cores.
const WORKERS: usize = 2;
/// The budget of the 99th percentile with the in-process queue, in milliseconds.
const MAX_P99_MS: f64 = 50.0;

/// Measures the acknowledgement latency of messages under load. Prints Markdown.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Messages per second, over all tenants.
    #[arg(long, default_value_t = 50)]
    rate: u32,
    /// The duration of the load in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// The number of tenants.
    #[arg(long, default_value_t = 5)]
    tenants: usize,
    /// Fail when the 99th percentile with the in-process queue exceeds its budget.
    #[arg(long)]
    check: bool,
}

/// The result of one run.
struct RunResult {
    acknowledged_ms: Vec<f64>,
    answers: usize,
    drained: Duration,
}

/// Measures with both queues and prints the table.
///
/// # Errors
/// Fails when a message is not acknowledged or not answered, or with `--check` when the figure exceeds its budget.
pub async fn run(arguments: Arguments) -> Result<()> {
    ensure!(arguments.rate > 0 && arguments.seconds > 0 && arguments.tenants > 0, "nothing would be measured");
    println!(
        "{} messages a second over {} tenants for {} s; a contact writes {MESSAGES_PER_BURST} in a row.\n",
        arguments.rate, arguments.tenants, arguments.seconds
    );
    println!("| Queue | Messages | p50 | p95 | p99 | Longest | Answers | All answered after |");
    println!("|---|---|---|---|---|---|---|---|");
    let bench_servers = Box::pin(BenchServers::make()).await?;
    let own = Box::pin(measure(&arguments, &bench_servers, true)).await.context("with the queue within the process")?;
    own.print("within the process");
    let standing_in =
        Box::pin(measure(&arguments, &bench_servers, false)).await.context("with the stand-in for SQS")?;
    standing_in.print("stand-in for SQS");
    let p99 = own.percentile(0.99);
    if arguments.check && p99 > MAX_P99_MS {
        bail!("the 99th percentile is {p99:.1} ms, over the budget of {MAX_P99_MS} ms");
    }
    Ok(())
}

impl RunResult {
    fn percentile(&self, part: f64) -> f64 {
        let rank = (part * self.acknowledged_ms.len() as f64).ceil() as usize;
        self.acknowledged_ms.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }

    fn print(&self, queue: &str) {
        println!(
            "| {queue} | {} | {:.1} ms | {:.1} ms | {:.1} ms | {:.1} ms | {} | {:.1} s |",
            self.acknowledged_ms.len(),
            self.percentile(0.5),
            self.percentile(0.95),
            self.percentile(0.99),
            self.percentile(1.0),
            self.answers,
            self.drained.as_secs_f64(),
        );
    }
}

/// The servers that both runs share: those of `cargo dev`, whose commits are flushed to disk.
struct BenchServers {
    servers: Servers,
    secrets: LocalSecrets,
}

impl BenchServers {
    async fn make() -> Result<Self> {
        let mut data = DataFolder::open(None)?;
        data.lock()?;
        let secrets = LocalSecrets::open(&data)?;
        let servers =
            Box::pin(Servers::start(&data, ExternalServers::default(), false, ProgressOutput::Silent)).await?;
        Ok(Self { servers, secrets })
    }

    /// Creates an empty, migrated database.
    async fn database(&self) -> Result<DatabaseUrls> {
        let mut admin = PgConnection::connect(&self.servers.database_urls("postgres", &self.secrets).admin).await?;
        sqlx::query("drop database if exists bench_webhook with (force)").execute(&mut admin).await?;
        let database = self.servers.create_database("bench_webhook", &self.secrets).await?;
        migrate(&database).await?;
        Ok(database)
    }

    async fn stack(&self, database: &DatabaseUrls, settings: SettingsMap) -> Result<Stack> {
        let options = StackOptions {
            listener: TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port is free on 127.0.0.1")?,
            database: database.clone(),
            secrets: self.secrets.clone(),
            settings,
            suffix: "-bench".to_owned(),
            visibility_timeout: None,
            runs_schedules: false,
        };
        let mut stack = Box::pin(Stack::start(&self.servers, options)).await?;
        stack.start_functions().await?;
        stack.open();
        Ok(stack)
    }
}

async fn measure(arguments: &Arguments, bench_servers: &BenchServers, uses_fake_queue: bool) -> Result<RunResult> {
    let (manychat, models) = (FakeManyChat::start().await?, FakeModels::start().await?);
    models.always(FakeReply::Text("Oui, nous livrons à Abidjan.".to_owned()));
    let mut settings: SettingsMap = [
        ("MANYCHAT_BASE_URL", manychat.base_url()),
        ("LLM_PROVIDER", "groq".to_owned()),
        ("GROQ_API_KEY", "test".to_owned()),
        ("GROQ_BASE_URL", models.base_url()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let queue = match uses_fake_queue {
        true => Some(FakeQueue::start(bench_servers.servers.aws.endpoint()).await?),
        false => None,
    };
    if let Some(queue) = &queue {
        settings.insert("AWS_ENDPOINT_URL".to_owned(), queue.endpoint());
    }
    let database = bench_servers.database().await?;
    let stack = Arc::new(Box::pin(bench_servers.stack(&database, settings)).await?);
    let mut admin = PgConnection::connect(&database.admin).await?;
    let mut secrets = Vec::new();
    for number in 0..arguments.tenants {
        secrets.push(create_tenant(&stack, &bench_servers.secrets, &mut admin, number).await?);
    }

    let mut delivering = JoinSet::new();
    if let Some(queue) = queue {
        delivering.spawn(deliver(Arc::clone(&stack), queue));
    }
    let acknowledged_ms = send_messages(arguments, &stack, &secrets).await?;
    let last = Instant::now();
    let answers = wait_until_answered(&mut admin, &mut delivering, acknowledged_ms.len()).await?;
    let drained = last.elapsed();
    delivering.shutdown().await;
    Ok(RunResult { acknowledged_ms, answers, drained })
}

/// Signs a company up and connects its bot in live mode. Returns the webhook secret.
async fn create_tenant(
    stack: &Stack,
    secrets: &LocalSecrets,
    admin: &mut PgConnection,
    number: usize,
) -> Result<String> {
    let body = json!({
        "email": format!("bench-{number}@example.com"), "password": Uuid::new_v4().to_string(), "company_name": "Bench",
    });
    let http = Client::builder().no_proxy().build()?;
    let answer = http.post(format!("{}/api/v1/auth/signup", stack.base_url())).json(&body).send().await?;
    let answer: Value = answer.error_for_status()?.json().await?;
    let customer: Uuid = answer["data"]["customer"]["id"].as_str().context("sign-up names no company")?.parse()?;
    let mut keys = Settings::new(BTreeMap::from([("SEALING_KEYS".to_owned(), secrets.sealing_keys.clone())]));
    let ring = KeyRing::read(&mut keys);
    keys.finish()?;
    let sealed = ring.seal(customer, tenants::MANYCHAT_KEY_PURPOSE, KEYS[number % KEYS.len()])?;
    let secret = Uuid::new_v4().simple().to_string();
    let key = sqlx::query("update customers set manychat_api_key = $2 where id = $1");
    key.bind(customer).bind(sealed).execute(&mut *admin).await?;
    let known = "insert into webhook_secrets (customer_id, sha256) values ($1, sha256(convert_to($2, 'UTF8')))";
    sqlx::query(known).bind(customer).bind(&secret).execute(&mut *admin).await?;
    let live = "insert into bot_sessions (company_id, mode) values ($1, 'live')";
    sqlx::query(live).bind(customer).execute(&mut *admin).await?;
    let limit = "update user_settings set free_quota_limit = 1000000
        where user_id = (select user_id from customers where id = $1)";
    sqlx::query(limit).bind(customer).execute(&mut *admin).await?;
    let confirmed = "update users set email_confirmed_at = now()
        where id = (select user_id from customers where id = $1)";
    sqlx::query(confirmed).bind(customer).execute(&mut *admin).await?;
    Ok(secret)
}

/// Sends messages at the requested rate, regardless of the answers. A latency counts from the time at which the
/// message was due, not from the time at which it was sent. Returns the latencies in milliseconds, sorted.
async fn send_messages(arguments: &Arguments, stack: &Stack, secrets: &[String]) -> Result<Vec<f64>> {
    let http = Client::builder().no_proxy().build()?;
    let url = format!("{}/api/v1/webhook/manychat", stack.base_url());
    let round = MESSAGES_PER_BURST * secrets.len();
    let begun = tokio::time::Instant::now();
    let mut writing = JoinSet::new();
    for number in 0..arguments.rate * arguments.seconds {
        let due = begun + Duration::from_secs(1) * number / arguments.rate;
        tokio::time::sleep_until(due).await;
        let place = usize::try_from(number)?;
        let tenant = place % secrets.len();
        let body = json!({
            "id": 1 + place / round, "last_input_text": "Vous livrez à Abidjan ?", "message_id": format!("m{number}"),
        });
        let request = http.post(&url).header("x-webhook-secret", &secrets[tenant]).json(&body);
        writing.spawn(async move {
            let answer = request.send().await?;
            let status = answer.status();
            let text = answer.text().await?;
            ensure!(status.is_success(), "{status}: {text}");
            Ok(due.elapsed().as_secs_f64() * 1_000.0)
        });
    }
    let mut waits = writing.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
    waits.sort_by(f64::total_cmp);
    Ok(waits)
}

/// Delivers the due messages of the in-process queue to the reply-worker, and failed ones again.
async fn deliver(stack: Arc<Stack>, queue: FakeQueue) -> Result<()> {
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

/// Waits until every message is answered and every answer is sent. Returns the number of answers.
async fn wait_until_answered(
    admin: &mut PgConnection,
    delivering: &mut JoinSet<Result<()>>,
    messages: usize,
) -> Result<usize> {
    let begun = Instant::now();
    let mut look = tokio::time::interval(POLL_INTERVAL);
    loop {
        look.tick().await;
        if let Some(ended) = delivering.try_join_next() {
            ended??;
        }
        let (stored, open, answers): (i64, i64, i64) = sqlx::query_as(
            "select
                 (select count(*) from messages where direction = 'inbound'),
                 (select count(*) from messages where direction = 'inbound' and answered_by is null)
                     + (select count(*) from outbox where state <> 'sent'),
                 (select count(*) from messages where author = 'bot')",
        )
        .fetch_one(&mut *admin)
        .await?;
        ensure!(stored == i64::try_from(messages)?, "{stored} of {messages} acknowledged messages are stored");
        if open == 0 {
            return Ok(usize::try_from(answers)?);
        }
        ensure!(begun.elapsed() < DRAIN_TIMEOUT, "{open} messages or parts are still open");
    }
}
