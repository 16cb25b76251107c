//! Sends finished spans to a collector: OTLP over HTTP with protobuf bodies.
//! <https://opentelemetry.io/docs/specs/otlp/#otlphttp>
//!
//! A collector that fails, or is silent, costs the spans and never an answer: spans wait in a bounded buffer, one
//! request per flush has a short timeout, and after a failure nothing is sent for a while.

use std::{
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use opentelemetry_proto::tonic::{common::v1::KeyValue, trace::v1::Span};
use percent_encoding::percent_decode_str;
use prost::Message;
use reqwest::{Client, redirect};

use super::{
    context::TraceId,
    otlp::{attribute, export_request, into_spans, rejected_spans},
};
use crate::{logging, settings::Settings};

/// The path of traces below OTEL_EXPORTER_OTLP_ENDPOINT.
const TRACES_PATH: &str = "/v1/traces";
/// Default of OTEL_EXPORTER_OTLP_TIMEOUT, in milliseconds. A flush delays the next request to its instance.
const DEFAULT_TIMEOUT_MS: u64 = 1_000;
/// Timeout of idle connections. A connection that is idle for longer may be dead, because Lambda may have frozen the
/// process in the meantime.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Limits of the buffer. Further spans are dropped and counted.
const MAX_BUFFERED_SPANS: usize = 2_048;
const MAX_BUFFERED_BYTES: usize = 4 * 1024 * 1024;
/// Number of times that a span is sent, the first included.
const MAX_ATTEMPTS: u32 = 3;
/// Longest pause after failures, also where the collector asks for a longer one.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// The settings of the export, and the spans to be sent.
#[derive(Debug)]
pub(super) struct Exporter {
    url: String,
    headers: HeaderMap,
    timeout: Duration,
    /// Share of the traces that this function begins and that are recorded, from 0 to 1.
    ratio: f64,
    captures_content: bool,
    resource: Vec<KeyValue>,
    /// Built at its first use, because building it parses the system's certificates.
    client: LazyLock<Client>,
    buffer: Mutex<Buffer>,
}

/// Finished spans that were not sent yet.
#[derive(Debug, Default)]
struct Buffer {
    spans: Vec<Span>,
    /// Their encoded size.
    bytes: usize,
    /// Spans that were dropped because the buffer was full, since the last flush.
    dropped: usize,
    /// Requests that failed since the last successful one.
    failures: u32,
    /// Time before which nothing is sent.
    paused_until: Option<Instant>,
}

/// The failure of one request.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error("the collector did not answer in time")]
    TimedOut,
    #[error("the collector could not be reached")]
    Unreachable(#[source] reqwest::Error),
    #[error("the collector answered with status {0}")]
    Status(StatusCode, Option<Duration>),
}

impl ExportError {
    /// Returns true for the failures after which OTLP allows another attempt.
    fn is_transient(&self) -> bool {
        match self {
            Self::TimedOut | Self::Unreachable(_) => true,
            Self::Status(status, _) => matches!(status.as_u16(), 429 | 502 | 503 | 504),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        if let Self::Status(_, retry_after) = self { *retry_after } else { None }
    }
}

impl Exporter {
    pub(super) fn read(settings: &mut Settings, function: &'static str) -> Option<Self> {
        let endpoint = settings.optional_url("OTEL_EXPORTER_OTLP_ENDPOINT");
        let headers = read_headers(settings);
        let timeout = Duration::from_millis(settings.number("OTEL_EXPORTER_OTLP_TIMEOUT", DEFAULT_TIMEOUT_MS));
        let ratio = settings.number("OTEL_TRACES_SAMPLER_ARG", 1.0);
        if !(0.0..=1.0).contains(&ratio) {
            settings.problem("OTEL_TRACES_SAMPLER_ARG is not a number from 0 to 1");
        }
        let content = settings.text("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "false");
        if !matches!(content.as_str(), "true" | "false") {
            settings.problem("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT is neither true nor false");
        }
        let environment = settings.text("ENVIRONMENT", "dev");
        Some(Self {
            url: endpoint? + TRACES_PATH,
            headers,
            timeout,
            ratio,
            captures_content: content == "true",
            resource: vec![
                attribute("service.name", function),
                attribute("service.namespace", "lisa"),
                attribute("service.version", env!("CARGO_PKG_VERSION")),
                attribute("deployment.environment.name", environment),
            ],
            client: LazyLock::new(build_client),
            buffer: Mutex::default(),
        })
    }

    pub(super) fn captures_content(&self) -> bool {
        self.captures_content
    }

    /// Decides by its id whether a new trace is recorded.
    pub(super) fn samples(&self, trace_id: &TraceId) -> bool {
        let [.., a, b, c, d] = *trace_id;
        f64::from(u32::from_be_bytes([a, b, c, d])) < self.ratio * (f64::from(u32::MAX) + 1.0)
    }

    /// Keeps a finished span until the next flush.
    pub(super) fn store(&self, span: Span) {
        let bytes = span.encoded_len();
        let mut buffer = self.buffer();
        if buffer.spans.len() >= MAX_BUFFERED_SPANS || buffer.bytes + bytes > MAX_BUFFERED_BYTES {
            buffer.dropped += 1;
            return;
        }
        buffer.bytes += bytes;
        buffer.spans.push(span);
    }

    /// Sends the buffered spans in one request, unless an earlier failure put sending off.
    pub(super) async fn flush(&self, limit: Duration) {
        let Some((spans, dropped)) = self.take(Instant::now()) else { return };
        if dropped > 0 {
            tracing::warn!(dropped, "spans were dropped, because the collector is too slow or too far behind");
        }
        let request = export_request(&self.resource, spans);
        let sending = self.send(request.encode_to_vec());
        let sent = tokio::time::timeout(limit.min(self.timeout), sending).await.unwrap_or(Err(ExportError::TimedOut));
        match sent {
            Ok(rejected) => {
                self.buffer().failures = 0;
                if rejected > 0 {
                    tracing::warn!(rejected, "the collector refused spans");
                }
            }
            Err(error) => self.put_off(into_spans(request), &error, Instant::now()),
        }
    }

    /// Takes the spans to be sent now, and the number of those that were dropped.
    fn take(&self, now: Instant) -> Option<(Vec<Span>, usize)> {
        let mut buffer = self.buffer();
        if buffer.spans.is_empty() || buffer.paused_until.is_some_and(|until| now < until) {
            return None;
        }
        buffer.bytes = 0;
        let dropped = std::mem::take(&mut buffer.dropped);
        Some((std::mem::take(&mut buffer.spans), dropped))
    }

    /// Sends an encoded request, and returns the number of spans that the collector refused.
    async fn send(&self, body: Vec<u8>) -> Result<i64, ExportError> {
        let request = self.client.post(&self.url).headers(self.headers.clone());
        let request = request.header(header::CONTENT_TYPE, "application/x-protobuf");
        let unreachable = |error: reqwest::Error| ExportError::Unreachable(error.without_url());
        let response = request.body(body).send().await.map_err(unreachable)?;
        let status = response.status();
        if !status.is_success() {
            let seconds =
                response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            return Err(ExportError::Status(status, seconds.map(Duration::from_secs)));
        }
        Ok(rejected_spans(&response.bytes().await.map_err(unreachable)?))
    }

    /// Puts the spans back for another attempt, or drops them, and pauses the export.
    fn put_off(&self, mut spans: Vec<Span>, error: &ExportError, now: Instant) {
        let mut buffer = self.buffer();
        buffer.failures = buffer.failures.saturating_add(1);
        let doubled = Duration::from_secs(2_u64.saturating_pow(buffer.failures));
        let pause = error.retry_after().unwrap_or(doubled).min(MAX_PAUSE);
        buffer.paused_until = Some(now + pause);
        let is_kept = error.is_transient() && buffer.failures < MAX_ATTEMPTS;
        let lost = if is_kept { 0 } else { spans.len() };
        if is_kept {
            buffer.bytes += spans.iter().map(Message::encoded_len).sum::<usize>();
            spans.append(&mut buffer.spans);
            buffer.spans = spans;
        }
        drop(buffer);
        let (error, pause_s) = (logging::chain(error), pause.as_secs());
        tracing::warn!(error, lost, pause_s, "traces were not exported");
    }

    fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads OTEL_EXPORTER_OTLP_HEADERS: `name=value` pairs, separated by commas, with percent-encoded values.
fn read_headers(settings: &mut Settings) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for pair in settings.secrets("OTEL_EXPORTER_OTLP_HEADERS") {
        let header = pair.split_once('=').and_then(|(name, value)| {
            let value = percent_decode_str(value.trim()).collect::<Vec<_>>();
            let mut value = HeaderValue::from_bytes(&value).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::from_bytes(name.trim().as_bytes()).ok()?, value))
        });
        match header {
            Some((name, value)) => _ = headers.append(name, value),
            None => settings.problem("OTEL_EXPORTER_OTLP_HEADERS is not of the form name=value,name=value"),
        }
    }
    headers
}

fn build_client() -> Client {
    Client::builder()
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        // A redirected request would carry the key to another host.
        .redirect(redirect::Policy::none())
        .no_proxy()
        .user_agent("Lisa/1.0")
        .build()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exporter(pairs: &[(&str, &str)]) -> Result<Option<Exporter>, crate::settings::InvalidSettings> {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut settings = Settings::new(pairs.collect());
        let exporter = Exporter::read(&mut settings, "quota");
        settings.finish().map(|()| exporter)
    }

    fn named(name: &str) -> Span {
        Span { name: name.to_owned(), ..Span::default() }
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9/otlp/");

    #[test]
    fn without_an_endpoint_there_is_no_exporter() {
        assert!(exporter(&[("OTEL_EXPORTER_OTLP_HEADERS", "a=b")]).unwrap().is_none());
    }

    #[test]
    fn headers_are_decoded_and_hidden() {
        let exporter =
            exporter(&[ENDPOINT, ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Basic%20YTpi , x-project=a=b")]);
        let exporter = exporter.unwrap().unwrap();
        assert_eq!(exporter.url, "http://127.0.0.1:9/otlp/v1/traces");
        assert_eq!(exporter.headers["authorization"], "Basic YTpi");
        assert_eq!(exporter.headers["x-project"], "a=b");
        assert!(!format!("{exporter:?}").contains("YTpi"));
    }

    #[test]
    fn malformed_settings_are_reported_without_their_values() {
        let settings = [
            ("OTEL_EXPORTER_OTLP_HEADERS", "s3cret"),
            ("OTEL_TRACES_SAMPLER_ARG", "1.5"),
            ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "yes"),
        ];
        let error = exporter(&[&[ENDPOINT][..], &settings].concat()).unwrap_err().to_string();
        for (name, value) in settings {
            assert!(error.contains(name) && !error.contains(value), "{error}");
        }
    }

    #[test]
    fn a_share_of_the_new_traces_is_recorded() {
        let with_ratio = |ratio| exporter(&[ENDPOINT, ("OTEL_TRACES_SAMPLER_ARG", ratio)]).unwrap().unwrap();
        let traces: Vec<TraceId> = (0..4_000).map(|_| rand::random()).collect();
        let sampled = |ratio| traces.iter().filter(|trace| with_ratio(ratio).samples(trace)).count();
        assert_eq!((sampled("0"), sampled("1")), (0, 4_000));
        assert!((800..1_200).contains(&sampled("0.25")));
        assert!(with_ratio("1").samples(&[u8::MAX; 16]));
    }

    #[test]
    fn a_failing_collector_gets_a_span_three_times_with_growing_pauses() {
        let exporter = exporter(&[ENDPOINT]).unwrap().unwrap();
        let mut now = Instant::now();
        let (second, moment) = (Duration::from_secs(1), Duration::from_millis(1));
        let busy = ExportError::Status(StatusCode::SERVICE_UNAVAILABLE, None);
        exporter.store(named("1"));
        for (attempt, pause_s) in [(1, 2), (2, 4), (3, 8)] {
            let (spans, _) = exporter.take(now).unwrap_or_else(|| panic!("attempt {attempt}"));
            exporter.put_off(spans, &busy, now);
            now += second * pause_s;
            assert_eq!(exporter.take(now - moment), None);
        }
        assert_eq!(exporter.take(now), None, "the span is dropped");
        // A collector that asks for a pause gets it, up to a minute; what it refuses for good is not sent again.
        for (error, pause_s) in [
            (ExportError::Status(StatusCode::TOO_MANY_REQUESTS, Some(Duration::from_secs(7))), 7),
            (ExportError::Status(StatusCode::TOO_MANY_REQUESTS, Some(Duration::from_secs(3_600))), 60),
            (ExportError::Status(StatusCode::UNAUTHORIZED, None), 60),
        ] {
            exporter.store(named("1"));
            let (spans, _) = exporter.take(now).unwrap();
            exporter.put_off(spans, &error, now);
            exporter.store(named("2"));
            now += second * pause_s;
            assert_eq!(exporter.take(now - moment), None);
            assert_eq!(exporter.take(now), Some((vec![named("2")], 0)));
        }
    }

    #[test]
    fn the_buffer_is_bounded_in_spans_and_bytes() {
        let exporter = exporter(&[ENDPOINT]).unwrap().unwrap();
        for _ in 0..=MAX_BUFFERED_SPANS {
            exporter.store(named(""));
        }
        let (spans, dropped) = exporter.take(Instant::now()).unwrap();
        assert_eq!((spans.len(), dropped), (MAX_BUFFERED_SPANS, 1));
        exporter.store(named(&"0".repeat(MAX_BUFFERED_BYTES - 8)));
        exporter.store(named("one too many"));
        let (spans, dropped) = exporter.take(Instant::now()).unwrap();
        assert_eq!((spans.len(), dropped), (1, 1));
    }
}
