//! A collector of traces on a loopback port. It takes OTLP over HTTP with protobuf bodies, decodes them with the types
//! that OpenTelemetry generates from its own definitions, and keeps the spans. `cargo traces` shows them as text.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Response, StatusCode, header},
    routing::post,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::{AnyValue, KeyValue, any_value},
    trace::v1::{Span, status::StatusCode as SpanStatus},
};
use prost::Message;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

/// The port of OTLP over HTTP.
pub const OTLP_PORT: u16 = 4318;
/// The maximum wait of [`FakeCollector::wait_for`].
const WAIT_TIMEOUT: Duration = Duration::from_secs(30);
/// Bit of a span's flags: the parent is in another process.
const IS_REMOTE: u32 = 0x200;

/// The answer of the collector to a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CollectorReply {
    /// Takes the spans.
    #[default]
    Ok,
    /// Takes the request, and refuses this many spans.
    Partial(i64),
    /// Answers with a status, and takes nothing.
    Status(u16),
    /// Answers 429 with `Retry-After` in seconds, and takes nothing.
    RetryAfter(u32),
    /// Never answers.
    Hang,
}

/// A span that the collector received.
#[derive(Debug, Clone, PartialEq)]
pub struct CollectedSpan {
    /// In hexadecimal digits.
    pub trace_id: String,
    /// In hexadecimal digits.
    pub span_id: String,
    /// The parent's id; empty for the first span of a trace.
    pub parent_id: String,
    /// True when the parent is in another process.
    pub parent_is_remote: bool,
    /// The name.
    pub name: String,
    /// The function: the resource's `service.name`.
    pub service: String,
    /// OTLP's number of the kind.
    pub kind: i32,
    /// Nanoseconds since 1970.
    pub start_ns: u64,
    /// Nanoseconds since 1970.
    pub end_ns: u64,
    /// True when the work failed.
    pub is_error: bool,
    /// The attributes.
    pub attributes: BTreeMap<String, Value>,
    /// The attributes of the resource.
    pub resource: BTreeMap<String, Value>,
}

/// A running collector. Dropping it stops the server.
#[derive(Debug)]
pub struct FakeCollector {
    address: SocketAddr,
    state: Arc<CollectorState>,
    _serving: JoinSet<io::Result<()>>,
}

#[derive(Debug, Default)]
struct CollectorState {
    spans: watch::Sender<Vec<CollectedSpan>>,
    reply: Mutex<CollectorReply>,
    requests: watch::Sender<Vec<HeaderMap>>,
}

impl FakeCollector {
    /// Starts a collector on a port of 127.0.0.1; 0 chooses a free one.
    ///
    /// # Errors
    /// Fails when the port is in use.
    pub async fn start(port: u16) -> Result<Self> {
        let bound = TcpListener::bind(("127.0.0.1", port)).await;
        let listener = bound.with_context(|| format!("cannot listen on port {port} of 127.0.0.1"))?;
        let address = listener.local_addr().context("the address of the collector cannot be read")?;
        let state = Arc::new(CollectorState::default());
        let router = Router::new().route("/v1/traces", post(receive)).with_state(Arc::clone(&state));
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, state, _serving: serving })
    }

    /// The value for OTEL_EXPORTER_OTLP_ENDPOINT, without a trailing slash.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sets the answer to all further requests.
    pub fn always(&self, reply: CollectorReply) {
        *self.state.reply.lock().unwrap_or_else(PoisonError::into_inner) = reply;
    }

    /// All spans that were taken, in the order of their arrival.
    #[must_use]
    pub fn spans(&self) -> Vec<CollectedSpan> {
        self.state.spans.borrow().clone()
    }

    /// The headers of all requests, also of those that were not taken.
    #[must_use]
    pub fn requests(&self) -> Vec<HeaderMap> {
        self.state.requests.borrow().clone()
    }

    /// Waits until the spans that were taken satisfy `condition`, and returns them.
    ///
    /// # Errors
    /// Fails after 30 s.
    pub async fn wait_for(&self, condition: impl FnMut(&Vec<CollectedSpan>) -> bool) -> Result<Vec<CollectedSpan>> {
        let mut spans = self.state.spans.subscribe();
        let waiting = tokio::time::timeout(WAIT_TIMEOUT, spans.wait_for(condition)).await;
        Ok(waiting.context("the spans did not arrive")??.clone())
    }

    /// Notifies of each change of the spans.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Vec<CollectedSpan>> {
        self.state.spans.subscribe()
    }

    /// Forgets the spans of a trace.
    pub fn forget(&self, trace_id: &str) {
        self.state.spans.send_modify(|spans| spans.retain(|span| span.trace_id != trace_id));
    }
}

async fn receive(State(state): State<Arc<CollectorState>>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let is_protobuf = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/x-protobuf");
    state.requests.send_modify(|requests| requests.push(headers));
    let reply = *state.reply.lock().unwrap_or_else(PoisonError::into_inner);
    let mut response = Response::new(Body::empty());
    let rejected_spans = match reply {
        CollectorReply::Hang => return std::future::pending().await,
        CollectorReply::Status(status) => {
            *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            return response;
        }
        CollectorReply::RetryAfter(seconds) => {
            *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            return response;
        }
        CollectorReply::Partial(rejected) => rejected,
        CollectorReply::Ok => 0,
    };
    if !is_protobuf {
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return response;
    }
    let Ok(request) = ExportTraceServiceRequest::decode(body) else {
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return response;
    };
    state.spans.send_modify(|spans| spans.extend(read_spans(request)));
    let partial_success =
        (rejected_spans > 0).then(|| ExportTracePartialSuccess { rejected_spans, error_message: "as told".to_owned() });
    *response.body_mut() = Body::from(ExportTraceServiceResponse { partial_success }.encode_to_vec());
    response
}

fn read_spans(request: ExportTraceServiceRequest) -> Vec<CollectedSpan> {
    let mut collected = Vec::new();
    for spans in request.resource_spans {
        let resource = read_attributes(spans.resource.map(|resource| resource.attributes).unwrap_or_default());
        for span in spans.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            collected.push(read_span(span, &resource));
        }
    }
    collected
}

fn read_span(span: Span, resource: &BTreeMap<String, Value>) -> CollectedSpan {
    CollectedSpan {
        trace_id: hex::encode(&span.trace_id),
        span_id: hex::encode(&span.span_id),
        parent_id: hex::encode(&span.parent_span_id),
        parent_is_remote: span.flags & IS_REMOTE != 0,
        service: resource.get("service.name").and_then(Value::as_str).unwrap_or_default().to_owned(),
        kind: span.kind,
        start_ns: span.start_time_unix_nano,
        end_ns: span.end_time_unix_nano,
        is_error: span.status.as_ref().is_some_and(|status| status.code() == SpanStatus::Error),
        attributes: read_attributes(span.attributes),
        resource: resource.clone(),
        name: span.name,
    }
}

fn read_attributes(attributes: Vec<KeyValue>) -> BTreeMap<String, Value> {
    attributes.into_iter().map(|attribute| (attribute.key, read_value(attribute.value))).collect()
}

fn read_value(value: Option<AnyValue>) -> Value {
    match value.and_then(|value| value.value) {
        Some(any_value::Value::StringValue(text)) => json!(text),
        Some(any_value::Value::BoolValue(value)) => json!(value),
        Some(any_value::Value::IntValue(number)) => json!(number),
        Some(any_value::Value::DoubleValue(number)) => json!(number),
        Some(any_value::Value::ArrayValue(array)) => {
            array.values.into_iter().map(|value| read_value(Some(value))).collect()
        }
        _ => Value::Null,
    }
}
