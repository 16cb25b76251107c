//! `cargo bench-webhook`: how long a contact's message waits for its acknowledgement while others write too, with a queue
//! within the process and with the stand-in for SQS, and whether everything is answered in the end.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use local_postgres::{Folder, Progress};
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
    environment::{Database, External},
    fakes::{
        manychat::{FakeManyChat, KEYS},
        models::{FakeModels, Reply},
        queue::{FakeQueue, Message},
    },
    kept::Kept,
    servers::Servers,
    stack::{Options, Stack},
};

/// Messages that a contact writes in a row; they share an answer.
const BURST: usize = 3;
/// How long everything may take to be answered, after the last message.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often it is looked whether everything is answered.
const LOOK: Duration = Duration::from_millis(500);
/// Workers of the queue within the process, as many as the poller of the stand-in has on a machine of two cores.
const WORKERS: usize = 2;
/// The 99th percentile that is asked for with the queue within the process, in milliseconds.
const MOST_P99_MS: f64 = 50.0;

/// Measures the acknowledgement of messages under load. Prints Markdown.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Messages a second, over all tenants.
    #[arg(long, default_value_t = 50)]
    rate: u32,
    /// How long messages come in, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Companies.
    #[arg(long, default_value_t = 5)]
    tenants: usize,
    /// Fail when the 99th percentile with the queue within the process is beyond its budget.
    #[arg(long)]
    check: bool,
}

/// What came of one run.
struct Figures {
    acknowledged_ms: Vec<f64>,
    answers: usize,
    drained: Duration,
}

/// Runs it both ways and prints.
///
/// # Errors
/// A message that is not acknowledged or not answered, or with `--check` a figure beyond its budget.
pub async fn run(arguments: Arguments) -> Result<()> {
    ensure!(arguments.rate > 0 && arguments.seconds > 0 && arguments.tenants > 0, "nothing would be measured");
    println!(
        "{} messages a second over {} tenants for {} s; a contact writes {BURST} in a row.\n",
        arguments.rate, arguments.tenants, arguments.seconds
    );
    println!("| Queue | Messages | p50 | p95 | p99 | Longest | Answers | All answered after |");
    println!("|---|---|---|---|---|---|---|---|");
    let ground = Box::pin(Ground::make()).await?;
    let own = Box::pin(measure(&arguments, &ground, true)).await.context("with the queue within the process")?;
    own.print("within the process");
    let standing_in = Box::pin(measure(&arguments, &ground, false)).await.context("with the stand-in for SQS")?;
    standing_in.print("stand-in for SQS");
    let p99 = own.percentile(0.99);
    if arguments.check && p99 > MOST_P99_MS {
        bail!("the 99th percentile is {p99:.1} ms, beyond {MOST_P99_MS} ms");
    }
    Ok(())
}

impl Figures {
    fn percentile(&self, part: f64) -> f64 {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
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

/// What both runs stand on: the servers of `cargo dev`, whose commits wait for the disk.
struct Ground {
    servers: Servers,
    kept: Kept,
}

impl Ground {
    async fn make() -> Result<Self> {
        let mut data = Folder::open(None)?;
        data.lock()?;
        let kept = Kept::open(&data)?;
        let servers = Box::pin(Servers::start(&data, External::default(), false, Progress::Silent)).await?;
        Ok(Self { servers, kept })
    }

    /// An empty database, migrated.
    async fn database(&self) -> Result<Database> {
        let mut admin = PgConnection::connect(&self.servers.urls("postgres", &self.kept).admin).await?;
        sqlx::query("drop database if exists bench_webhook with (force)").execute(&mut admin).await?;
        let database = self.servers.database("bench_webhook", &self.kept).await?;
        migrate(&database).await?;
        Ok(database)
    }

    async fn stack(&self, database: &Database, settings: SettingsMap) -> Result<Stack> {
        let options = Options {
            listener: TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port is free on 127.0.0.1")?,
            database: database.clone(),
            kept: self.kept.clone(),
            settings,
            suffix: "-bench".to_owned(),
            visibility_timeout: None,
            schedules: false,
        };
        let mut stack = Box::pin(Stack::start(&self.servers, options)).await?;
        stack.start_functions().await?;
        stack.open();
        Ok(stack)
    }
}

async fn measure(arguments: &Arguments, ground: &Ground, is_own: bool) -> Result<Figures> {
    let (manychat, models) = (FakeManyChat::start().await?, FakeModels::start().await?);
    models.always(Reply::Text("Oui, nous livrons à Abidjan.".to_owned()));
    let mut settings: SettingsMap = [
        ("MANYCHAT_BASE_URL", manychat.base_url()),
        ("LLM_PROVIDER", "groq".to_owned()),
        ("GROQ_API_KEY", "test".to_owned()),
        ("GROQ_BASE_URL", models.base_url()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let queue = match is_own {
        true => Some(FakeQueue::before(ground.servers.aws.endpoint()).await?),
        false => None,
    };
    if let Some(queue) = &queue {
        settings.insert("AWS_ENDPOINT_URL".to_owned(), queue.endpoint());
    }
    let database = ground.database().await?;
    let stack = Arc::new(Box::pin(ground.stack(&database, settings)).await?);
    let mut admin = PgConnection::connect(&database.admin).await?;
    let mut secrets = Vec::new();
    for number in 0..arguments.tenants {
        secrets.push(connect(&stack, &ground.kept, &mut admin, number).await?);
    }

    let mut delivering = JoinSet::new();
    if let Some(queue) = queue {
        delivering.spawn(deliver(Arc::clone(&stack), queue));
    }
    let acknowledged_ms = write(arguments, &stack, &secrets).await?;
    let last = Instant::now();
    let answers = answered(&mut admin, &mut delivering, acknowledged_ms.len()).await?;
    let drained = last.elapsed();
    delivering.shutdown().await;
    Ok(Figures { acknowledged_ms, answers, drained })
}

/// Signs a company up and connects its bot, which sells. Returns its webhook secret.
async fn connect(stack: &Stack, kept: &Kept, admin: &mut PgConnection, number: usize) -> Result<String> {
    let body = json!({
        "email": format!("bench-{number}@example.com"), "password": Uuid::new_v4().to_string(), "company_name": "Bench",
    });
    let http = Client::builder().no_proxy().build()?;
    let answer = http.post(format!("{}/api/v1/auth/signup", stack.base_url())).json(&body).send().await?;
    let answer: Value = answer.error_for_status()?.json().await?;
    let customer: Uuid = answer["data"]["customer"]["id"].as_str().context("sign-up names no company")?.parse()?;
    let mut keys = Settings::new(BTreeMap::from([("SEALING_KEYS".to_owned(), kept.sealing_keys.clone())]));
    let ring = KeyRing::read(&mut keys);
    keys.finish()?;
    let sealed = ring.seal(customer, tenants::MANYCHAT_KEY, KEYS[number % KEYS.len()])?;
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
    Ok(secret)
}

/// Writes messages at the rate asked for, whatever the answers take. A wait counts from when the message was due to be
/// written, not from when it was. In milliseconds, the shortest first.
async fn write(arguments: &Arguments, stack: &Stack, secrets: &[String]) -> Result<Vec<f64>> {
    let http = Client::builder().no_proxy().build()?;
    let url = format!("{}/api/v1/webhook/manychat", stack.base_url());
    let round = BURST * secrets.len();
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

/// Gives the messages of the queue within the process to the worker when they are due, and again when it failed.
async fn deliver(stack: Arc<Stack>, queue: FakeQueue) -> Result<()> {
    let mut waiting: Vec<Message> = Vec::new();
    let mut working: JoinSet<Result<Option<Message>>> = JoinSet::new();
    let mut look = tokio::time::interval(Duration::from_millis(10));
    loop {
        look.tick().await;
        waiting.extend(queue.take());
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
                Ok((!is_done).then_some(Message { due: later, ..message }))
            });
        }
    }
}

/// Waits until every message has its answer and every answer is sent. Returns how many answers.
async fn answered(admin: &mut PgConnection, delivering: &mut JoinSet<Result<()>>, messages: usize) -> Result<usize> {
    let begun = Instant::now();
    let mut look = tokio::time::interval(LOOK);
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
        ensure!(begun.elapsed() < PATIENCE, "{open} messages or parts are still open");
    }
}
