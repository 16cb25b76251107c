//! `cargo bench-load`: sends mixed requests at a fixed rate to an optimised stack on the loopback interface, and prints
//! what was answered, and how soon, by route.

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, value_parser};
use local_postgres::{ProgressOutput, root};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use shared::settings::SettingsMap;
use sqlx::{Connection, PgConnection};
use tokio::task::JoinSet;

use crate::{
    bench::{
        self,
        figures::{Sample, table},
    },
    bench_stack::{self, BenchServers, BenchTenant},
    environment::add_embedding_model,
    fakes::{manychat::FakeManyChat, queue::FakeQueue},
    stack::Stack,
};

/// The document of every company, which answers [`QUESTIONS`].
const DOCUMENT: &str = "guide-livraison.pdf";
const QUESTIONS: [&str; 4] = [
    "Combien coûte la livraison à Abidjan ?",
    "Quels sont les délais de livraison ?",
    "Livrez-vous à Bouaké ?",
    "Comment retourner un colis ?",
];
/// The time limit of one request: longer than that of every function.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(40);
/// The time limit for the ingestion of one document.
const INGEST_TIMEOUT: Duration = Duration::from_secs(60);
/// The interval at which a document's state is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// The step between two requests in [`MIX`]. It has no common divisor with the length, so that each round has all
/// requests, and equal ones are apart.
const MIX_STEP: usize = 7;
const TICKS_PER_SECOND: f64 = 100.0;
/// The number of times at which the memory is looked at during the load.
const MEMORY_SAMPLES: u32 = 10;

/// Sends mixed requests to an optimised stack at a fixed rate, 10 % of them questions. Prints Markdown.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Requests per second, over all companies.
    #[arg(long, default_value_t = 300, value_parser = value_parser!(u32).range(1..=5_000))]
    rate: u32,
    /// The duration of the load in seconds.
    #[arg(long, default_value_t = 30, value_parser = value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// The number of companies.
    #[arg(long, default_value_t = 40, value_parser = value_parser!(u32).range(1..=500))]
    tenants: u32,
    /// The database connections of each function [default: those of `cargo dev`].
    #[arg(long)]
    connections: Option<u32>,
    /// Fail when a request is not answered with 2xx.
    #[arg(long)]
    check: bool,
}

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Query,
    Webhook,
    Get(&'static str),
}

const QUOTA: Call = Call::Get("/api/v1/quota/status");
const DOCUMENTS: Call = Call::Get("/api/v1/documents");
const CONVERSATIONS: Call = Call::Get("/api/v1/conversations");
const MESSAGES: Call = Call::Get("/api/v1/messages");
const USAGE: Call = Call::Get("/api/v1/billing/usage");
const COMPANY: Call = Call::Get("/api/v1/customers/me");
const UNANSWERED: Call = Call::Get("/api/v1/unanswered-questions");

/// The requests of one round. Every tenth one is a question.
const MIX: [Call; 20] = [
    Call::Query,
    Call::Query,
    Call::Webhook,
    Call::Webhook,
    QUOTA,
    QUOTA,
    QUOTA,
    QUOTA,
    DOCUMENTS,
    DOCUMENTS,
    DOCUMENTS,
    CONVERSATIONS,
    CONVERSATIONS,
    CONVERSATIONS,
    MESSAGES,
    MESSAGES,
    USAGE,
    USAGE,
    COMPANY,
    UNANSWERED,
];

impl Call {
    /// The request of this number in the run.
    const fn at(number: usize) -> Self {
        MIX[number * MIX_STEP % MIX.len()]
    }

    const fn route(self) -> &'static str {
        match self {
            Self::Query => "POST /api/v1/query",
            Self::Webhook => "POST /api/v1/webhook/manychat",
            Self::Get(path) => path,
        }
    }

    fn request(self, http: &Client, base_url: &str, tenant: &BenchTenant, number: usize) -> RequestBuilder {
        match self {
            Self::Query => http
                .post(format!("{base_url}/api/v1/query"))
                .bearer_auth(&tenant.token)
                .json(&json!({ "question": QUESTIONS[number % QUESTIONS.len()] })),
            // Thanks are answered without a search, so that the questions stay a tenth.
            Self::Webhook => http
                .post(format!("{base_url}/api/v1/webhook/manychat"))
                .header("x-webhook-secret", &tenant.webhook_secret)
                .json(&json!({ "id": number, "last_input_text": "Merci", "message_id": number.to_string() })),
            Self::Get(path) => http.get(format!("{base_url}{path}")).bearer_auth(&tenant.token),
        }
    }
}

/// The end of one request.
struct Outcome {
    call: Call,
    /// The status; `None` when the connection failed or the time was over.
    status: Option<u16>,
    /// True for an answer that names the time of another attempt.
    has_retry_after: bool,
    /// Time in milliseconds from the moment at which the request was due.
    took_ms: f64,
}

/// Starts the stack, sends the requests and prints the table.
///
/// # Errors
/// Fails when the stack does not start, when a first request is not answered, or with `--check` on any answer but 2xx.
pub async fn run(arguments: Arguments) -> Result<()> {
    let servers = Box::pin(BenchServers::start()).await?;
    let manychat = FakeManyChat::start().await?;
    let queue = FakeQueue::start(servers.aws_endpoint()).await?;
    let database = servers.create_database("bench_load").await?;
    let mut settings = settings(&arguments, &manychat, &queue);
    // That of a deployment.
    settings.insert("EMBEDDING_PROVIDER".to_owned(), "e5".to_owned());
    add_embedding_model(&mut settings, ProgressOutput::Shown)?;
    let stack = Arc::new(Box::pin(servers.start_stack(&database, settings)).await?);
    let mut admin = PgConnection::connect(&database.admin).await?;
    let http = Client::builder().no_proxy().timeout(REQUEST_TIMEOUT).build()?;
    let mut tenants = Vec::new();
    for number in 0..arguments.tenants as usize {
        let tenant = servers.sign_up(&stack, &mut admin, number).await?;
        upload(&http, &stack, &tenant).await.with_context(|| format!("{DOCUMENT} of company {number}"))?;
        tenants.push(tenant);
    }
    let mut delivering = JoinSet::new();
    delivering.spawn(bench_stack::deliver(Arc::clone(&stack), queue));
    try_once(&http, &stack, &tenants).await?;

    let before = ProcessorTime::now()?;
    let started = Instant::now();
    let (outcomes, mut memory) = send(&arguments, &http, &stack, tenants).await?;
    memory.push(resident_mib()?);
    let took = started.elapsed();
    let used = ProcessorTime::now()?;
    if let Some(ended) = delivering.try_join_next() {
        ended??;
    }
    delivering.shutdown().await;
    println!("{}\n", bench::machine()?);
    report(&arguments, &outcomes, took, before, used)?;
    report_memory(&memory, size_of_val(outcomes.as_slice()));
    let failed = outcomes.iter().filter(|outcome| !outcome.is_ok()).count();
    if arguments.check && failed > 0 {
        bail!("{failed} of {} requests were not answered with 2xx", outcomes.len());
    }
    Ok(())
}

fn settings(arguments: &Arguments, manychat: &FakeManyChat, queue: &FakeQueue) -> SettingsMap {
    let mut settings: SettingsMap = [
        ("MANYCHAT_BASE_URL", manychat.base_url()),
        ("AWS_ENDPOINT_URL", queue.endpoint()),
        ("LLM_PROVIDER", "extractive".to_owned()),
        ("BURST_WINDOW_S", "0".to_owned()),
        // Calls are counted, and the limits are not reached: one program plays all clients.
        ("RATE_LIMIT_USER", "10000000".to_owned()),
        ("RATE_LIMIT_ADDRESS", "10000000".to_owned()),
        ("RATE_LIMIT_WEBHOOK", "10000000".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    if let Some(connections) = arguments.connections {
        settings.insert("DATABASE_MAX_CONNECTIONS".to_owned(), connections.to_string());
    }
    settings
}

/// Uploads [`DOCUMENT`] as a form and waits until it is processed.
async fn upload(http: &Client, stack: &Stack, tenant: &BenchTenant) -> Result<()> {
    const BOUNDARY: &str = "bench-load-boundary";
    let file = fs::read(root().join("docs/samples").join(DOCUMENT))?;
    let head = format!(
        "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{DOCUMENT}\"\r\n\
         content-type: application/pdf\r\n\r\n"
    );
    let body = [head.as_bytes(), &file, format!("\r\n--{BOUNDARY}--\r\n").as_bytes()].concat();
    let answer = http
        .post(format!("{}/api/v1/documents/upload", stack.base_url()))
        .bearer_auth(&tenant.token)
        .header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"))
        .body(body)
        .send()
        .await?;
    let answer: Value = answer.error_for_status()?.json().await?;
    let id = answer["data"]["document"]["id"].as_str().context("the upload names no document")?;
    let path = format!("{}/api/v1/documents/{id}", stack.base_url());
    let started = Instant::now();
    let mut look = tokio::time::interval(POLL_INTERVAL);
    loop {
        look.tick().await;
        let shown: Value = http.get(&path).bearer_auth(&tenant.token).send().await?.error_for_status()?.json().await?;
        match shown["data"]["status"].as_str() {
            Some("processed") => return Ok(()),
            Some("pending") if started.elapsed() < INGEST_TIMEOUT => {}
            _ => bail!("it is not processed: {shown}"),
        }
    }
}

/// Sends one request of each kind, so that a wrong request is noticed before the load.
async fn try_once(http: &Client, stack: &Stack, tenants: &[BenchTenant]) -> Result<()> {
    let tenant = tenants.first().context("there is no company")?;
    // Numbers of the run begin at 0: this one is of another contact.
    let number = usize::MAX >> 12;
    for call in MIX {
        let answer = call.request(http, &stack.base_url(), tenant, number).send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "{}: {status}: {text}", call.route());
        let body: Value = serde_json::from_str(&text)?;
        ensure!(call != Call::Query || body["data"]["answered"] == true, "the question is not answered: {text}");
    }
    Ok(())
}

/// Sends the requests at their times, regardless of the answers. A time counts from the moment at which the request was
/// due, so that a stall shows in all requests after it. Returns the memory of this process at [`MEMORY_SAMPLES`] times, too.
async fn send(
    arguments: &Arguments,
    http: &Client,
    stack: &Stack,
    tenants: Vec<BenchTenant>,
) -> Result<(Vec<Outcome>, Vec<f64>)> {
    let (tenants, base_url) = (Arc::new(tenants), Arc::new(stack.base_url()));
    let begun = tokio::time::Instant::now();
    let mut running = JoinSet::new();
    let count = arguments.rate * arguments.seconds;
    let (mut outcomes, mut memory) = (Vec::with_capacity(usize::try_from(count)?), Vec::new());
    for number in 0..count {
        let due = begun + Duration::from_secs(1) * number / arguments.rate;
        tokio::time::sleep_until(due).await;
        if number % count.div_ceil(MEMORY_SAMPLES) == 0 {
            memory.push(resident_mib()?);
        }
        while let Some(outcome) = running.try_join_next() {
            outcomes.push(outcome?);
        }
        let number = usize::try_from(number)?;
        let (http, tenants, base_url) = (http.clone(), Arc::clone(&tenants), Arc::clone(&base_url));
        running.spawn(async move {
            let call = Call::at(number);
            // Each round begins with the next company, so that all of them send all kinds.
            let tenant = &tenants[(number + number / MIX.len()) % tenants.len()];
            let answer = call.request(&http, &base_url, tenant, number).send().await;
            let (status, has_retry_after) = match answer {
                Ok(answer) => {
                    let has_retry_after = answer.headers().contains_key("retry-after");
                    let status = answer.status().as_u16();
                    (answer.bytes().await.ok().map(|_| status), has_retry_after)
                }
                Err(_) => (None, false),
            };
            Outcome { call, status, has_retry_after, took_ms: due.elapsed().as_secs_f64() * 1e3 }
        });
    }
    outcomes.extend(running.join_all().await);
    Ok((outcomes, memory))
}

/// The resident memory of this process in MiB: functions, gateway, fakes and load.
fn resident_mib() -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status").context("/proc/self/status cannot be read")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("the kernel tells no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().context("VmRSS is no number")?;
    Ok(kib / 1024.0)
}

/// Prints the memory at equal distances from the first request to the last answer. `record_bytes` is the size of the
/// outcomes, which grow with each answer.
fn report_memory(memory: &[f64], record_bytes: usize) {
    let memory: Vec<_> = memory.iter().map(|mib| format!("{mib:.0}")).collect();
    println!(
        "Memory of this program from the first request to the last answer: {} MiB. In the end, {:.1} MiB of it are the \
         times that this table is made from; the fakes keep each message that was sent, too.",
        memory.join(", "),
        record_bytes as f64 / f64::from(1 << 20)
    );
}

impl Outcome {
    fn is_ok(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// True for a refusal under load: 503 with `Retry-After`.
    fn is_put_off(&self) -> bool {
        self.status == Some(503) && self.has_retry_after
    }
}

/// Prints a row for each route and one for all.
fn report(
    arguments: &Arguments,
    outcomes: &[Outcome],
    took: Duration,
    before: ProcessorTime,
    after: ProcessorTime,
) -> Result<()> {
    println!(
        "{} requests a second for {} s over {} companies, {:.1} s until the last answer.\n",
        arguments.rate,
        arguments.seconds,
        arguments.tenants,
        took.as_secs_f64()
    );
    let mut calls = Vec::new();
    for call in MIX {
        if !calls.contains(&call) {
            calls.push(call);
        }
    }
    let mut rows: Vec<_> = calls
        .iter()
        .map(|call| row(call.route(), &outcomes.iter().filter(|outcome| outcome.call == *call).collect::<Vec<_>>()))
        .collect();
    rows.push(row("all", &outcomes.iter().collect::<Vec<_>>()));
    let heads = ["route", "sent", "2xx", "503", "others", "p50 ms", "p95 ms", "p99 ms", "longest ms", "longest 503 ms"];
    table(&heads, &rows);
    let cores = std::thread::available_parallelism()?.get() as f64;
    let share = |seconds: f64| 100.0 * seconds / (took.as_secs_f64() * cores);
    println!(
        "Processor time: {:.0} % of all cores, {:.0} % in this program (functions, gateway, fakes and load).",
        share(after.machine_s - before.machine_s),
        share(after.own_s - before.own_s)
    );
    Ok(())
}

/// The cells of a row. Times are those of answers with 2xx, and of refusals under load in the last cell.
fn row(name: &str, outcomes: &[&Outcome]) -> Vec<String> {
    let times_of = |is_counted: fn(&Outcome) -> bool| {
        let mut times = Sample::default();
        outcomes.iter().filter(|outcome| is_counted(outcome)).for_each(|outcome| times.add(outcome.took_ms));
        times
    };
    let count = |is_counted: fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| is_counted(outcome)).count();
    let (ok, put_off) = (count(Outcome::is_ok), count(Outcome::is_put_off));
    let counts = [outcomes.len(), ok, put_off, outcomes.len() - ok - put_off].map(|count| count.to_string());
    let (answered, refused) = (times_of(Outcome::is_ok), times_of(Outcome::is_put_off));
    let time = |times: &Sample, percent, count| match count {
        0 => "–".to_owned(),
        _ => format!("{:.1}", times.percentile(percent)),
    };
    let times = [50, 95, 99, 100].map(|percent| time(&answered, percent, ok));
    let times = times.into_iter().chain([time(&refused, 100, put_off)]);
    [name.to_owned()].into_iter().chain(counts).chain(times).collect()
}

/// Processor time so far, in seconds.
#[derive(Clone, Copy)]
struct ProcessorTime {
    /// Of this process.
    own_s: f64,
    /// Of everything on the machine.
    machine_s: f64,
}

impl ProcessorTime {
    fn now() -> Result<Self> {
        let own = fs::read_to_string("/proc/self/stat").context("/proc/self/stat cannot be read")?;
        // The second field is the program's name, which may contain anything. utime and stime are the 14th and 15th.
        let (_, own) = own.rsplit_once(')').context("the kernel's stat is not understood")?;
        let machine = fs::read_to_string("/proc/stat").context("/proc/stat cannot be read")?;
        let machine = machine.lines().next().context("the kernel's stat is not understood")?;
        let ticks = |text: &str, skip: usize, take: usize| -> f64 {
            text.split_whitespace().skip(skip).take(take).filter_map(|field| field.parse::<f64>().ok()).sum()
        };
        // user, nice and system; then idle, iowait, irq and softirq.
        let busy = ticks(machine, 1, 3) + ticks(machine, 6, 2);
        Ok(Self { own_s: ticks(own, 11, 2) / TICKS_PER_SECOND, machine_s: busy / TICKS_PER_SECOND })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_has_every_request_of_the_mix_and_a_tenth_are_questions() {
        let round: Vec<_> = (0..MIX.len()).map(Call::at).collect();
        for call in MIX {
            let count = |calls: &[Call]| calls.iter().filter(|other| **other == call).count();
            assert_eq!(count(&round), count(&MIX), "{call:?}");
        }
        let questions = (0..1_000).filter(|number| Call::at(*number) == Call::Query).count();
        assert_eq!(questions, 100);
    }

    #[test]
    fn a_row_counts_refusals_and_lost_answers_apart() {
        let outcome = |status, has_retry_after, took_ms| Outcome { call: QUOTA, status, has_retry_after, took_ms };
        let outcomes = [
            outcome(Some(200), false, 2.0),
            outcome(Some(201), false, 4.0),
            outcome(Some(503), true, 9.0),
            outcome(Some(503), false, 30.0),
            outcome(None, false, 40.0),
        ];
        let row = row("x", &outcomes.iter().collect::<Vec<_>>());
        assert_eq!(row, ["x", "5", "2", "1", "2", "2.0", "4.0", "4.0", "4.0", "9.0"]);
    }

    #[test]
    fn a_row_without_an_answer_shows_no_times() {
        let lost = Outcome { call: QUOTA, status: None, has_retry_after: false, took_ms: 40_000.0 };
        assert_eq!(row("x", &[&lost]), ["x", "1", "0", "0", "1", "–", "–", "–", "–", "–"]);
    }
}
