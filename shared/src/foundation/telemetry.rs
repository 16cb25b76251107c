//! Traces in OpenTelemetry's form: spans of requests, queue messages, transactions and outside calls, exported by
//! OTLP over HTTP. Off unless OTEL_EXPORTER_OTLP_ENDPOINT is set; then [`start_span`] returns a span that records
//! nothing.
//!
//! A function opens one root span per request or queue message ([`Telemetry::root_span`]) and runs the work in it
//! ([`in_span`]). [`start_span`] opens a child of the span in which the present task runs. Finished spans wait in
//! memory until [`Telemetry::flush`], which the bootstrap calls between the response and the next event.
//!
//! No span may hold a secret, a phone number, or, without
//! OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT, the text of a message. docs/OBSERVABILITY.md lists the spans
//! and their attributes.

mod context;
mod exporter;
mod otlp;
mod scope;
mod span;

use std::{future::Future, sync::Arc, time::Duration};

use crate::settings::Settings;

use exporter::Exporter;
use scope::Scope;

pub use context::{RemoteParent, TRACEPARENT, parent_of_request};
pub use otlp::{AttributeValue, SEMANTIC_CONVENTIONS, SpanKind};
pub(crate) use scope::record_span;
pub use scope::{in_current_span, in_span, record_tenant, start_span};
pub use span::Span;

/// The traces of one function. Cloning is cheap.
#[derive(Debug, Clone, Default)]
pub struct Telemetry(Option<Arc<Exporter>>);

impl Telemetry {
    /// Reads the settings `OTEL_*`. Traces are off without OTEL_EXPORTER_OTLP_ENDPOINT.
    pub fn read(settings: &mut Settings, function: &'static str) -> Self {
        Self(Exporter::read(settings, function).map(Arc::new))
    }

    /// Opens the first span of this function in a trace: the child of `parent`, or the beginning of a new trace.
    pub fn root_span(&self, name: String, kind: SpanKind, parent: Option<RemoteParent>) -> Span {
        self.0.as_ref().map_or_else(Span::default, |exporter| Span::root(exporter, name, kind, parent))
    }

    /// Runs `work` without a span of its own, so that each message of a queue opens a root span (`record_span`).
    pub fn scope<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        scope::run(Scope { exporter: self.0.clone(), span: None }, work)
    }

    /// Sends the finished spans to the collector, for at most `limit` and OTEL_EXPORTER_OTLP_TIMEOUT. Failures are
    /// logged, not returned: the product works without its traces.
    pub async fn flush(&self, limit: Duration) {
        if let Some(exporter) = &self.0 {
            Box::pin(exporter.flush(limit)).await;
        }
    }
}
