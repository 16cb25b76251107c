//! `cargo corpus`: a folder of real PDFs through the running stack, and what became of each, against its label.

mod manifest;
mod recall;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::Args;
use reqwest::Client;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use self::manifest::{Entry, Expectation};

/// How long one document may take, its wait in the queue included.
const PATIENCE: Duration = Duration::from_secs(120);
/// The median that text must reach, of the reference's words that are found.
const ENOUGH_RECALL: f64 = 0.9;
/// The part of readable documents that must be processed.
const ENOUGH_PROCESSED: f64 = 0.95;

/// Uploads every PDF of a folder to the running stack and compares the outcomes with the folder's manifest.csv.
///
/// The stack's rate limit holds here too; start it with RATE_LIMIT_USER=100000 to measure times.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The folder: PDFs, `manifest.csv` with the columns `file` and `expect`, and `reference_text/` beside them.
    folder: PathBuf,
    /// The file that `cargo dev` wrote.
    #[arg(long, default_value = ".local/demo.json")]
    demo: PathBuf,
}

/// What became of a document.
struct Outcome {
    entry: Entry,
    status: String,
    code: Option<String>,
    recall: Option<f64>,
    took: Duration,
}

/// Uploads, waits, prints a line for each surprise and the sums.
///
/// # Errors
/// A stack that does not answer, or sums below what is asked for.
pub async fn run(arguments: Arguments) -> Result<()> {
    let demo: Value = serde_json::from_str(&fs::read_to_string(&arguments.demo).with_context(|| {
        format!("{} cannot be read: start `cargo dev` first, or name its file with --demo", arguments.demo.display())
    })?)?;
    let entries = manifest::read(&arguments.folder.join("manifest.csv"))?;
    let mut stack = Running::new(&demo).await?;
    let mut outcomes = Vec::new();
    for (number, entry) in entries.into_iter().enumerate() {
        let outcome = stack.take(&arguments.folder, entry).await?;
        eprintln!(
            "  {:>3} {:>7.2} s  {:<28} {}",
            number + 1,
            outcome.took.as_secs_f64(),
            outcome.code.as_deref().unwrap_or(&outcome.status),
            outcome.entry.file,
        );
        outcomes.push(outcome);
    }
    stack.admin.close().await?;
    report(&outcomes)
}

/// The running stack, as a new tenant of it.
pub(crate) struct Running {
    base_url: String,
    pub(crate) token: String,
    http: Client,
    pub(crate) admin: PgConnection,
    /// How long the rate limit has asked for patience so far, in seconds: that is not what documents take.
    patience_s: AtomicU64,
}

impl Running {
    pub(crate) async fn new(demo: &Value) -> Result<Self> {
        let text =
            |name: &str| demo[name].as_str().map(str::to_owned).with_context(|| format!("no {name} in the file"));
        let base_url = text("base_url")?;
        let http = Client::builder().timeout(Duration::from_secs(60)).build()?;
        let body = json!({
            "email": format!("corpus-{}@example.com", Uuid::new_v4().simple()),
            "password": Uuid::new_v4().to_string(),
            "company_name": "Corpus",
        });
        let answer = http.post(format!("{base_url}/api/v1/auth/signup")).json(&body).send().await?;
        let answer: Value = answer.error_for_status()?.json().await?;
        let token = answer["data"]["access_token"].as_str().context("sign-up gave no token")?.to_owned();
        let admin = PgConnection::connect(&text("admin_database_url")?).await?;
        Ok(Self { base_url, token, http, admin, patience_s: AtomicU64::new(0) })
    }

    async fn take(&mut self, folder: &Path, entry: Entry) -> Result<Outcome> {
        let file = fs::read(folder.join(&entry.file)).with_context(|| format!("{} cannot be read", entry.file))?;
        let (started, patience) = (Instant::now(), self.patience());
        if file.is_empty() {
            // Nothing can be announced: the API refuses a size of 0 by 422.
            let took = started.elapsed();
            return Ok(Outcome {
                entry,
                status: "refused".to_owned(),
                code: Some("corrupt".to_owned()),
                recall: None,
                took,
            });
        }
        let id = self.upload(&entry.file, file).await?;
        let document = self.wait(id).await?;
        let took = started.elapsed().saturating_sub(self.patience() - patience);
        let reference = folder.join("reference_text").join(&entry.file).with_extension("txt");
        let recall = match fs::read_to_string(reference) {
            Ok(reference) if document["status"] == "processed" => {
                Some(recall::words(&reference, &self.text(id).await?))
            }
            _ => None,
        };
        let owned = |name: &str| document[name].as_str().map(str::to_owned);
        let status = owned("status").unwrap_or_default();
        Ok(Outcome { entry, status, code: owned("error_code"), recall, took })
    }

    pub(crate) async fn upload(&self, name: &str, file: Vec<u8>) -> Result<Uuid> {
        let body = json!({ "filename": name, "size_bytes": file.len() });
        let request = self.http.post(format!("{}/api/v1/documents/upload", self.base_url)).bearer_auth(&self.token);
        let request = request.json(&body);
        let answer: Value = self.patiently(&request).await?.error_for_status()?.json().await?;
        let upload = &answer["data"]["upload"];
        let mut request = self.http.put(upload["url"].as_str().context("no upload URL")?).body(file);
        for (name, value) in upload["headers"].as_object().into_iter().flatten() {
            // The client computes the length itself.
            if name != "content-length" {
                request = request.header(name, value.as_str().unwrap_or_default());
            }
        }
        request.send().await?.error_for_status()?;
        Ok(answer["data"]["document"]["id"].as_str().context("no document")?.parse()?)
    }

    pub(crate) async fn wait(&self, id: Uuid) -> Result<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let request = self.http.get(format!("{}/api/v1/documents/{id}", self.base_url)).bearer_auth(&self.token);
            let answer: Value = self.patiently(&request).await?.error_for_status()?.json().await?;
            if answer["data"]["status"] != "pending" || Instant::now() > deadline {
                return Ok(answer["data"].clone());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Chunks overlap where headings are repeated; for the recall of words that does not matter.
    async fn text(&mut self, id: Uuid) -> Result<String> {
        let statement =
            "select string_agg(text_chunk, ' ' order by chunk_index) from document_chunks where document_id = $1";
        let text: Option<String> = sqlx::query_scalar(statement).bind(id).fetch_one(&mut self.admin).await?;
        Ok(text.unwrap_or_default())
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(self.patience_s.load(Ordering::Relaxed))
    }

    /// Sends a request, again and again while the rate limit of the stack asks for patience.
    async fn patiently(&self, request: &reqwest::RequestBuilder) -> Result<reqwest::Response> {
        loop {
            let attempt = request.try_clone().context("the request cannot be repeated")?;
            let answer = attempt.send().await?;
            if answer.status() != reqwest::StatusCode::TOO_MANY_REQUESTS {
                return Ok(answer);
            }
            let seconds = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
            let seconds = seconds.unwrap_or(1);
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            self.patience_s.fetch_add(seconds, Ordering::Relaxed);
        }
    }
}

impl Outcome {
    fn is_expected(&self) -> bool {
        match self.entry.expect {
            Expectation::Ingest => self.status == "processed",
            Expectation::Fail(code) => self.code.as_deref() == Some(code),
        }
    }
}

fn report(outcomes: &[Outcome]) -> Result<()> {
    let readable: Vec<_> = outcomes.iter().filter(|outcome| outcome.entry.expect == Expectation::Ingest).collect();
    let processed = readable.iter().filter(|outcome| outcome.status == "processed").count();
    let mut recalls: Vec<_> = readable.iter().filter_map(|outcome| outcome.recall).collect();
    recalls.sort_by(f64::total_cmp);
    let median = recalls.get(recalls.len() / 2).copied().unwrap_or_default();
    let slowest = outcomes.iter().map(|outcome| outcome.took).max().unwrap_or_default();

    println!("\n  other than labelled:");
    for outcome in outcomes.iter().filter(|outcome| !outcome.is_expected()) {
        let got = outcome.code.as_deref().unwrap_or(&outcome.status);
        println!("    {:<70} labelled {:<24} got {got}", outcome.entry.file, outcome.entry.expect.label());
    }
    println!("\n  word recall below {ENOUGH_RECALL}:");
    for outcome in readable.iter().filter(|outcome| outcome.recall.is_some_and(|recall| recall < ENOUGH_RECALL)) {
        println!("    {:<70} {:.3}", outcome.entry.file, outcome.recall.unwrap_or_default());
    }
    let part = processed as f64 / readable.len().max(1) as f64;
    let hanging = outcomes.iter().filter(|outcome| outcome.status == "pending").count();
    println!(
        "\n  processed {processed} of {} readable ({:.1} %), word recall {median:.3} in the median, \
         slowest {:.1} s, hanging {hanging}",
        readable.len(),
        part * 100.0,
        slowest.as_secs_f64(),
    );
    if part < ENOUGH_PROCESSED || median < ENOUGH_RECALL || hanging > 0 {
        bail!("that is less than asked for");
    }
    Ok(())
}
