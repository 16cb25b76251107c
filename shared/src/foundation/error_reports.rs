//! Reports of errors to Sentry: each log line of the level error becomes an event there. Off without SENTRY_DSN.
//! <https://develop.sentry.dev/sdk/data-model/envelopes/>
//!
//! A report names the function, the request and the error, by a list of fields (`TAGS`). It has no tenant and no data
//! of customers: the request id leads to the log, which is under the operator's own control.

use std::{
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use http::{StatusCode, header};
use reqwest::{Client, redirect};
use serde_json::{Map, Value, json};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};
use url::Url;
use uuid::Uuid;

use crate::{
    logging,
    settings::{SettingKind, Settings},
};

/// Fields of a log line that a report repeats as Sentry's tags.
const TAGS: [&str; 11] = [
    "function",
    "request_id",
    "message_id",
    "trace_id",
    "method",
    "path",
    "status",
    "code",
    "attempt",
    "place",
    "message",
];
/// Reports that wait for the next flush at most. Further ones are dropped: the log has them all.
const MAX_REPORTS: usize = 20;
/// Time that sending may take. The next request to the instance waits for it.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Pause after a failure, unless Sentry asks for another.
const PAUSE: Duration = Duration::from_secs(60);

/// The reports of a process. The default sends none.
#[derive(Debug, Clone, Default)]
pub struct ErrorReports(Option<Arc<Reporter>>);

#[derive(Debug)]
struct Reporter {
    url: String,
    /// Value of the header `X-Sentry-Auth`.
    auth: String,
    environment: String,
    /// Built at its first use, because building it parses the system's certificates.
    client: LazyLock<Client>,
    queue: Mutex<Queue>,
}

/// Reports that were not sent yet.
#[derive(Debug, Default)]
struct Queue {
    reports: Vec<Value>,
    /// Time before which nothing is sent.
    paused_until: Option<Instant>,
}

impl ErrorReports {
    /// Reads SENTRY_DSN.
    pub fn read(settings: &mut Settings) -> Self {
        let environment = settings.text("ENVIRONMENT", "dev");
        let Some(dsn) = settings.optional_of(SettingKind::Secret, "SENTRY_DSN") else { return Self(None) };
        let Some((url, auth)) = parse_dsn(&dsn) else {
            settings.problem("SENTRY_DSN is not of the form https://<key>@<host>/<project>");
            return Self(None);
        };
        let client = LazyLock::new(build_client as fn() -> Client);
        Self(Some(Arc::new(Reporter { url, auth, environment, client, queue: Mutex::default() })))
    }

    /// The layer of the log that makes the reports.
    pub(crate) fn layer(&self) -> Option<ReportLayer> {
        self.0.clone().map(ReportLayer)
    }

    /// Sends the waiting reports, for at most `limit` and one second. A failure is logged, and its reports are dropped.
    pub async fn flush(&self, limit: Duration) {
        let Some(reporter) = &self.0 else { return };
        let reports = reporter.take();
        if reports.is_empty() {
            return;
        }
        let sent = tokio::time::timeout(limit.min(TIMEOUT), Box::pin(reporter.send(&reports))).await;
        match sent {
            Ok(Ok(())) => {}
            Ok(Err(pause)) => reporter.pause(pause, reports.len()),
            Err(_elapsed) => reporter.pause(PAUSE, reports.len()),
        }
    }
}

impl Reporter {
    /// Takes the waiting reports; none while sending is paused.
    fn take(&self) -> Vec<Value> {
        let mut queue = self.queue();
        if queue.paused_until.is_some_and(|until| Instant::now() < until) {
            return Vec::new();
        }
        std::mem::take(&mut queue.reports)
    }

    /// Sends each report as an envelope of its own, as Sentry wants. The error is the pause before the next attempt.
    async fn send(&self, reports: &[Value]) -> Result<(), Duration> {
        for report in reports {
            let request = self.client.post(&self.url).header("x-sentry-auth", &self.auth);
            let request = request.header(header::CONTENT_TYPE, "application/x-sentry-envelope").body(envelope(report));
            let response = request.send().await.or(Err(PAUSE))?;
            if response.status() == StatusCode::TOO_MANY_REQUESTS {
                let seconds =
                    response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
                return Err(seconds.map_or(PAUSE, Duration::from_secs));
            }
            if !response.status().is_success() {
                return Err(PAUSE);
            }
        }
        Ok(())
    }

    fn pause(&self, pause: Duration, lost: usize) {
        self.queue().paused_until = Some(Instant::now() + pause);
        tracing::warn!(lost, pause_s = pause.as_secs(), "errors were not reported to Sentry");
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A layer of the log that turns lines of the level error into reports.
#[derive(Debug)]
pub(crate) struct ReportLayer(Arc<Reporter>);

impl<S: Subscriber + for<'lookup> LookupSpan<'lookup>> Layer<S> for ReportLayer {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if *event.metadata().level() != Level::ERROR {
            return;
        }
        let report = report(&logging::fields(context.event_scope(event), event), &self.0.environment);
        let mut queue = self.0.queue();
        if queue.reports.len() < MAX_REPORTS {
            queue.reports.push(report);
        }
    }
}

/// Makes Sentry's event of a log line.
fn report(line: &Map<String, Value>, environment: &str) -> Value {
    let text = |name: &str| line.get(name).and_then(Value::as_str);
    let tags = TAGS.iter().filter_map(|name| {
        let value = line.get(*name).filter(|value| !value.is_null())?;
        Some(((*name).to_owned(), json!(value.as_str().map_or_else(|| value.to_string(), str::to_owned))))
    });
    let kind = text("code").or_else(|| text("message")).unwrap_or("error");
    let mut report = json!({
        "event_id": Uuid::new_v4().simple().to_string(),
        "timestamp": chrono::Utc::now().timestamp_millis() as f64 / 1e3,
        "level": "error",
        "platform": "other",
        "logger": "lisa",
        "release": concat!("lisa@", env!("CARGO_PKG_VERSION")),
        "environment": environment,
        "tags": tags.collect::<Map<_, _>>(),
        "exception": { "values": [{ "type": kind, "value": text("error").or_else(|| text("place")).unwrap_or_default() }] },
    });
    if let Some(path) = text("path") {
        report["transaction"] = json!(format!("{} {path}", text("method").unwrap_or_default()));
    }
    report
}

/// Encodes an envelope with one event: a line of headers, a line of the item's headers, and the event.
fn envelope(report: &Value) -> String {
    let event = report.to_string();
    let item = json!({ "type": "event", "length": event.len() });
    format!("{}\n{item}\n{event}\n", json!({ "event_id": report["event_id"] }))
}

/// Returns the URL of envelopes and the header `X-Sentry-Auth` of a DSN, `https://<key>@<host>/<path>/<project>`.
fn parse_dsn(dsn: &str) -> Option<(String, String)> {
    let url = Url::parse(dsn).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())?;
    let key = Some(url.username()).filter(|key| !key.is_empty())?;
    let (path, project) =
        url.path().trim_end_matches('/').rsplit_once('/').filter(|(_, project)| !project.is_empty())?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let envelopes = format!("{}://{}{port}{path}/api/{project}/envelope/", url.scheme(), url.host_str()?);
    let client = concat!("lisa/", env!("CARGO_PKG_VERSION"));
    Some((envelopes, format!("Sentry sentry_version=7, sentry_client={client}, sentry_key={key}")))
}

fn build_client() -> Client {
    Client::builder()
        .pool_idle_timeout(Duration::from_secs(30))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .user_agent("Lisa/1.0")
        .build()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dsn_names_the_url_and_the_key() {
        let (url, auth) = parse_dsn("https://k3y@o1.ingest.de.sentry.io/4507").unwrap();
        assert_eq!(url, "https://o1.ingest.de.sentry.io/api/4507/envelope/");
        assert!(auth.ends_with("sentry_key=k3y"), "{auth}");
        let (url, _) = parse_dsn("http://k@127.0.0.1:9000/own/path/12/").unwrap();
        assert_eq!(url, "http://127.0.0.1:9000/own/path/api/12/envelope/");
        for wrong in
            ["", "k3y", "https://o1.ingest.sentry.io/4507", "https://k@host", "https://k@host/", "ftp://k@host/1"]
        {
            assert_eq!(parse_dsn(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_report_has_the_listed_fields_only() {
        let line = json!({
            "function": "quota", "request_id": "r-1", "tenant_id": "t-1", "question": "Où ?", "status": 503,
            "code": "unavailable", "error": "no connection", "method": "GET", "path": "/v1/quota/{id}", "trace_id": null,
        });
        let report = report(line.as_object().unwrap(), "prod");
        assert_eq!(
            report["tags"],
            json!({
                "function": "quota", "request_id": "r-1", "status": "503", "code": "unavailable", "method": "GET",
                "path": "/v1/quota/{id}",
            })
        );
        assert_eq!(report["exception"]["values"], json!([{ "type": "unavailable", "value": "no connection" }]));
        assert_eq!((&report["environment"], &report["transaction"]), (&json!("prod"), &json!("GET /v1/quota/{id}")));
        let envelope = envelope(&report);
        let lines: Vec<Value> = envelope.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[1], json!({ "type": "event", "length": lines[2].to_string().len() }));
        assert_eq!((&lines[0]["event_id"], &lines[2]), (&report["event_id"], &report));
    }
}
