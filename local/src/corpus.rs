//! `cargo corpus`: uploads a folder of real PDFs to the running stack and compares each result with its label.

mod manifest;
mod reading;
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

use self::manifest::{Expectation, ManifestEntry};
use crate::running;

/// The time limit for one document, including its wait in the queue.
const DOCUMENT_TIMEOUT: Duration = Duration::from_secs(120);
/// The minimum median of the word recall: the share of the reference's words in the extracted text.
const MIN_MEDIAN_RECALL: f64 = 0.9;
/// The minimum share of readable documents that must be processed.
const MIN_PROCESSED_SHARE: f64 = 0.95;

/// Uploads every PDF of a folder to the running stack and compares the results with the folder's manifest.csv.
///
/// The stack's rate limit applies. Start the stack with RATE_LIMIT_USER=100000 to measure times.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The folder with the PDFs, `manifest.csv` (columns `file` and `expect`) and `reference_text/`.
    folder: PathBuf,
    /// The demo file that `cargo dev` writes [default: that of the running `cargo dev`].
    #[arg(long)]
    demo: Option<PathBuf>,
    /// Reads the files without a running stack, and prints the word recall of each.
    #[arg(long)]
    read: bool,
    /// A folder of texts as they were read before, one for each PDF, whose word recall stands beside that of now.
    #[arg(long, requires = "read")]
    before: Option<PathBuf>,
    /// An existing folder to which the texts are written, for a later `--before`.
    #[arg(long, requires = "read")]
    write: Option<PathBuf>,
}

/// The result for a document.
struct DocumentResult {
    entry: ManifestEntry,
    status: String,
    code: Option<String>,
    recall: Option<f64>,
    took: Duration,
}

/// Uploads the documents, waits for each, and prints the deviations from the labels and a summary.
///
/// # Errors
/// Fails when the stack does not answer or a figure is below its minimum.
pub async fn run(arguments: Arguments) -> Result<()> {
    if arguments.read {
        return reading::run(&arguments).await;
    }
    let file = running::demo_file(arguments.demo.as_deref());
    let demo: Value = serde_json::from_str(&fs::read_to_string(&file).with_context(|| {
        format!("{} cannot be read: start `cargo dev` first, or name its file with --demo", file.display())
    })?)?;
    let entries = manifest::read(&arguments.folder.join("manifest.csv"))?;
    let mut stack = StackClient::new(&demo).await?;
    let mut results = Vec::new();
    for (number, entry) in entries.into_iter().enumerate() {
        let result = stack.ingest(&arguments.folder, entry).await?;
        eprintln!(
            "  {:>3} {:>7.2} s  {:<28} {}",
            number + 1,
            result.took.as_secs_f64(),
            result.code.as_deref().unwrap_or(&result.status),
            result.entry.file,
        );
        results.push(result);
    }
    stack.admin.close().await?;
    report(&results)
}

/// A client of the running stack, signed up as a new tenant.
pub(crate) struct StackClient {
    base_url: String,
    pub(crate) token: String,
    http: Client,
    pub(crate) admin: PgConnection,
    /// The total wait for the rate limit so far, in seconds. The documents' times exclude it.
    rate_limit_wait_s: AtomicU64,
}

impl StackClient {
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
        let mut admin = PgConnection::connect(&text("admin_database_url")?).await?;
        // A corpus is larger than what accounts without a confirmed address may upload in a day.
        sqlx::query("update users set email_confirmed_at = now() where lower(email) = lower($1)")
            .bind(body["email"].as_str())
            .execute(&mut admin)
            .await?;
        Ok(Self { base_url, token, http, admin, rate_limit_wait_s: AtomicU64::new(0) })
    }

    async fn ingest(&mut self, folder: &Path, entry: ManifestEntry) -> Result<DocumentResult> {
        let file = fs::read(folder.join(&entry.file)).with_context(|| format!("{} cannot be read", entry.file))?;
        let (started, rate_limit_wait) = (Instant::now(), self.rate_limit_wait());
        if file.is_empty() {
            // An empty file cannot be uploaded: the API refuses a size of 0 with 422.
            let took = started.elapsed();
            return Ok(DocumentResult {
                entry,
                status: "refused".to_owned(),
                code: Some("corrupt".to_owned()),
                recall: None,
                took,
            });
        }
        let id = self.upload(&entry.file, file).await?;
        let document = self.wait(id).await?;
        let took = started.elapsed().saturating_sub(self.rate_limit_wait() - rate_limit_wait);
        let reference = folder.join("reference_text").join(&entry.file).with_extension("txt");
        let recall = match fs::read_to_string(reference) {
            Ok(reference) if document["status"] == "processed" => {
                Some(recall::word_recall(&reference, &self.text(id).await?))
            }
            _ => None,
        };
        let owned = |name: &str| document[name].as_str().map(str::to_owned);
        let status = owned("status").unwrap_or_default();
        Ok(DocumentResult { entry, status, code: owned("error_code"), recall, took })
    }

    pub(crate) async fn upload(&self, name: &str, file: Vec<u8>) -> Result<Uuid> {
        let body = json!({ "filename": name, "size_bytes": file.len() });
        let request = self.http.post(format!("{}/api/v1/documents/upload", self.base_url)).bearer_auth(&self.token);
        let request = request.json(&body);
        let answer: Value = self.send_with_retry(&request).await?.error_for_status()?.json().await?;
        let upload = &answer["data"]["upload"];
        let mut request = self.http.put(upload["url"].as_str().context("no upload URL")?).body(file);
        for (name, value) in upload["headers"].as_object().into_iter().flatten() {
            // The HTTP client sets the length itself.
            if name != "content-length" {
                request = request.header(name, value.as_str().unwrap_or_default());
            }
        }
        request.send().await?.error_for_status()?;
        Ok(answer["data"]["document"]["id"].as_str().context("no document")?.parse()?)
    }

    pub(crate) async fn wait(&self, id: Uuid) -> Result<Value> {
        let deadline = Instant::now() + DOCUMENT_TIMEOUT;
        loop {
            let request = self.http.get(format!("{}/api/v1/documents/{id}", self.base_url)).bearer_auth(&self.token);
            let answer: Value = self.send_with_retry(&request).await?.error_for_status()?.json().await?;
            if answer["data"]["status"] != "pending" || Instant::now() > deadline {
                return Ok(answer["data"].clone());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The text of a document's chunks. Chunks overlap where headings are repeated, which word recall does not
    /// notice.
    async fn text(&mut self, id: Uuid) -> Result<String> {
        let statement =
            "select string_agg(text_chunk, ' ' order by chunk_index) from document_chunks where document_id = $1";
        let text: Option<String> = sqlx::query_scalar(statement).bind(id).fetch_one(&mut self.admin).await?;
        Ok(text.unwrap_or_default())
    }

    fn rate_limit_wait(&self) -> Duration {
        Duration::from_secs(self.rate_limit_wait_s.load(Ordering::Relaxed))
    }

    /// Sends a request and repeats it while the stack answers 429.
    async fn send_with_retry(&self, request: &reqwest::RequestBuilder) -> Result<reqwest::Response> {
        loop {
            let attempt = request.try_clone().context("the request cannot be repeated")?;
            let answer = attempt.send().await?;
            if answer.status() != reqwest::StatusCode::TOO_MANY_REQUESTS {
                return Ok(answer);
            }
            let seconds = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
            let seconds = seconds.unwrap_or(1);
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            self.rate_limit_wait_s.fetch_add(seconds, Ordering::Relaxed);
        }
    }
}

impl DocumentResult {
    fn is_expected(&self) -> bool {
        match self.entry.expect {
            Expectation::Ingest => self.status == "processed",
            Expectation::Fail(code) => self.code.as_deref() == Some(code),
        }
    }
}

fn report(results: &[DocumentResult]) -> Result<()> {
    let readable: Vec<_> = results.iter().filter(|result| result.entry.expect == Expectation::Ingest).collect();
    let processed = readable.iter().filter(|result| result.status == "processed").count();
    let mut recalls: Vec<_> = readable.iter().filter_map(|result| result.recall).collect();
    recalls.sort_by(f64::total_cmp);
    let median = recalls.get(recalls.len() / 2).copied().unwrap_or_default();
    let slowest = results.iter().map(|result| result.took).max().unwrap_or_default();

    println!("\n  other than labelled:");
    for result in results.iter().filter(|result| !result.is_expected()) {
        let got = result.code.as_deref().unwrap_or(&result.status);
        println!("    {:<70} labelled {:<24} got {got}", result.entry.file, result.entry.expect.label());
    }
    println!("\n  word recall below {MIN_MEDIAN_RECALL}:");
    for result in readable.iter().filter(|result| result.recall.is_some_and(|recall| recall < MIN_MEDIAN_RECALL)) {
        println!("    {:<70} {:.3}", result.entry.file, result.recall.unwrap_or_default());
    }
    let part = processed as f64 / readable.len().max(1) as f64;
    let hanging = results.iter().filter(|result| result.status == "pending").count();
    println!(
        "\n  processed {processed} of {} readable ({:.1} %), word recall {median:.3} in the median, \
         slowest {:.1} s, hanging {hanging}",
        readable.len(),
        part * 100.0,
        slowest.as_secs_f64(),
    );
    if part < MIN_PROCESSED_SHARE || median < MIN_MEDIAN_RECALL || hanging > 0 {
        bail!("a figure is below its minimum");
    }
    Ok(())
}
