//! `cargo bench-webhook`: measures the acknowledgement latency of contacts' messages under load, with an in-process
//! queue and with the AWS stand-in's, and checks that every message is answered in the end.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use reqwest::Client;
use serde_json::json;
use shared::settings::SettingsMap;
use sqlx::{Connection, PgConnection};
use tokio::task::JoinSet;

use crate::{
    bench_stack::{self, BenchServers},
    fakes::{
        manychat::FakeManyChat,
        models::{FakeModels, FakeReply},
        queue::FakeQueue,
    },
    stack::Stack,
};

/// The number of messages that a contact sends in a row; one answer covers them.
const MESSAGES_PER_BURST: usize = 3;
/// The time limit for answering everything, counted from the last message.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(300);
/// The interval at which the database is checked for unanswered messages.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
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
    let bench_servers = Box::pin(BenchServers::start()).await?;
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
        true => Some(FakeQueue::start(bench_servers.aws_endpoint()).await?),
        false => None,
    };
    if let Some(queue) = &queue {
        settings.insert("AWS_ENDPOINT_URL".to_owned(), queue.endpoint());
    }
    let database = bench_servers.create_database("bench_webhook").await?;
    let stack = Arc::new(Box::pin(bench_servers.start_stack(&database, settings)).await?);
    let mut admin = PgConnection::connect(&database.admin).await?;
    let mut secrets = Vec::new();
    for number in 0..arguments.tenants {
        let tenant = bench_servers.sign_up(&stack, &mut admin, number).await?;
        let live = "insert into bot_sessions (company_id, mode) values ($1, 'live')";
        sqlx::query(live).bind(tenant.customer).execute(&mut admin).await?;
        secrets.push(tenant.webhook_secret);
    }

    let mut delivering = JoinSet::new();
    if let Some(queue) = queue {
        delivering.spawn(bench_stack::deliver(Arc::clone(&stack), queue));
    }
    let acknowledged_ms = send_messages(arguments, &stack, &secrets).await?;
    let last = Instant::now();
    let answers = wait_until_answered(&mut admin, &mut delivering, acknowledged_ms.len()).await?;
    let drained = last.elapsed();
    delivering.shutdown().await;
    Ok(RunResult { acknowledged_ms, answers, drained })
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
