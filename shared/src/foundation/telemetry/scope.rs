//! The span in which a task runs.

use std::{future::Future, sync::Arc};

use serde_json::Value;
use uuid::Uuid;

use super::{
    context::{RemoteParent, TRACEPARENT},
    exporter::Exporter,
    otlp::SpanKind,
    span::{ActiveSpan, Span},
};

tokio::task_local! {
    static SCOPE: Scope;
}

/// The surroundings of a task.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    pub(super) exporter: Option<Arc<Exporter>>,
    pub(super) span: Option<Arc<ActiveSpan>>,
}

/// Runs `work` in `scope`.
pub(super) fn run<F: Future>(scope: Scope, work: F) -> impl Future<Output = F::Output> + use<F> {
    SCOPE.scope(scope, work)
}

/// Runs `work` in `span`: spans that it opens are children of this one.
pub fn in_span<F: Future>(span: &Span, work: F) -> impl Future<Output = F::Output> + use<F> {
    let span = span.active().map(Arc::clone);
    run(Scope { exporter: span.as_ref().map(|span| Arc::clone(span.exporter())), span }, work)
}

/// Carries the span of the present task into `work`, which another task will run.
pub fn in_current_span<F: Future>(work: F) -> impl Future<Output = F::Output> + use<F> {
    run(SCOPE.try_with(Scope::clone).unwrap_or_default(), work)
}

/// Opens a child of the span in which the present task runs. Records nothing outside of a span.
pub fn start_span(name: &'static str, kind: SpanKind) -> Span {
    let open = |scope: &Scope| scope.span.as_ref().map(|parent| Span::child(parent, name, kind));
    SCOPE.try_with(open).ok().flatten().unwrap_or_default()
}

/// Opens the root span of a queue message, the child of the span that sent the message. `record` is the message in
/// the form of Lambda's event.
pub(crate) fn record_span(name: String, record: &Value) -> Span {
    let parent = record["messageAttributes"][TRACEPARENT]["stringValue"].as_str();
    let open = |scope: &Scope| {
        let exporter = scope.exporter.as_ref()?;
        Some(Span::root(exporter, name, SpanKind::Consumer, parent.and_then(RemoteParent::from_traceparent)))
    };
    SCOPE.try_with(open).ok().flatten().unwrap_or_default()
}

/// Names the tenant of the present request or queue message, for the log and for the span. A tenant is never the
/// dimension of a metric.
pub fn record_tenant(tenant: Uuid) {
    tracing::Span::current().record("tenant_id", tracing::field::display(tenant));
    // Outside of a scope, traces are off.
    let _ = SCOPE.try_with(|scope| {
        if let Some(span) = &scope.span {
            span.set("lisa.tenant_id", tenant.to_string());
        }
    });
}
