//! Spans: pieces of work with a name, a time, attributes and a parent.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use opentelemetry_proto::tonic::trace::v1::{Span as SpanMessage, SpanFlags, Status, status::StatusCode};

use super::{
    context::{RemoteParent, SpanContext, SpanId},
    exporter::Exporter,
    otlp::{AttributeValue, SpanKind, attribute},
};

/// W3C's flag of a recorded trace, in the lowest byte of a span's flags.
const SAMPLED_FLAG: u32 = 1;

/// A span that is open until the value, and every task that runs in it, is dropped. The default records nothing.
#[derive(Debug, Default)]
#[must_use]
pub struct Span(Option<Arc<ActiveSpan>>);

/// An open span. Dropping the last reference ends it.
#[derive(Debug)]
pub(super) struct ActiveSpan {
    exporter: Arc<Exporter>,
    context: SpanContext,
    started: Instant,
    /// The exported message without its end; `None` when the trace is not recorded.
    message: Option<Mutex<SpanMessage>>,
}

impl Span {
    pub(super) fn root(exporter: &Arc<Exporter>, name: String, kind: SpanKind, parent: Option<RemoteParent>) -> Self {
        let trace_id = parent.map_or_else(rand::random, |parent| parent.trace_id);
        let is_sampled = parent.and_then(|parent| parent.is_sampled).unwrap_or_else(|| exporter.samples(&trace_id));
        let context = SpanContext { trace_id, span_id: rand::random(), is_sampled };
        let parent = parent.and_then(|parent| parent.span_id);
        let is_remote = parent.is_some();
        Self::open(Arc::clone(exporter), context, parent, is_remote, name.into(), kind)
    }

    pub(super) fn child(parent: &ActiveSpan, name: &'static str, kind: SpanKind) -> Self {
        let context = SpanContext { span_id: rand::random(), ..parent.context };
        let exporter = Arc::clone(&parent.exporter);
        Self::open(exporter, context, Some(parent.context.span_id), false, name.into(), kind)
    }

    fn open(
        exporter: Arc<Exporter>,
        context: SpanContext,
        parent: Option<SpanId>,
        parent_is_remote: bool,
        name: Cow<'static, str>,
        kind: SpanKind,
    ) -> Self {
        let message = context.is_sampled.then(|| {
            let remote = if parent_is_remote { SpanFlags::ContextIsRemoteMask as u32 } else { 0 };
            Mutex::new(SpanMessage {
                trace_id: context.trace_id.to_vec(),
                span_id: context.span_id.to_vec(),
                parent_span_id: parent.map(|parent| parent.to_vec()).unwrap_or_default(),
                flags: SAMPLED_FLAG | SpanFlags::ContextHasIsRemoteMask as u32 | remote,
                name: name.into_owned(),
                kind: kind.into(),
                start_time_unix_nano: nanoseconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()),
                ..SpanMessage::default()
            })
        });
        Self(Some(Arc::new(ActiveSpan { exporter, context, started: Instant::now(), message })))
    }

    pub(super) fn active(&self) -> Option<&Arc<ActiveSpan>> {
        self.0.as_ref()
    }

    /// Returns true when the span will be exported. Costly attributes are computed only then.
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        self.0.as_ref().is_some_and(|span| span.context.is_sampled)
    }

    /// Returns true when the texts of messages may be attributes: OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT.
    #[must_use]
    pub fn captures_content(&self) -> bool {
        self.0.as_ref().is_some_and(|span| span.context.is_sampled && span.exporter.captures_content())
    }

    /// The trace's id in hexadecimal digits, for the log; `None` when nothing is recorded.
    #[must_use]
    pub fn trace_id(&self) -> Option<String> {
        self.0.as_ref().filter(|span| span.context.is_sampled).map(|span| hex::encode(span.context.trace_id))
    }

    /// The value of `traceparent` for work that this span causes; `None` when traces are off.
    #[must_use]
    pub fn traceparent(&self) -> Option<String> {
        self.0.as_ref().map(|span| span.context.traceparent())
    }

    /// Gives the span another name.
    pub fn rename(&self, name: String) {
        if let Some(span) = &self.0 {
            span.change(|message| message.name = name);
        }
    }

    /// Sets an attribute.
    pub fn set(&self, name: &'static str, value: impl Into<AttributeValue>) {
        if let Some(span) = &self.0 {
            span.set(name, value);
        }
    }

    /// Marks the work as failed. `error_type` is a code of few possible values, never a text with data.
    pub fn fail(&self, error_type: impl Into<AttributeValue>) {
        if let Some(span) = &self.0 {
            span.set("error.type", error_type);
            span.change(|message| {
                message.status = Some(Status { code: StatusCode::Error.into(), ..Status::default() })
            });
        }
    }
}

impl ActiveSpan {
    pub(super) fn exporter(&self) -> &Arc<Exporter> {
        &self.exporter
    }

    /// Sets an attribute. A later value takes the place of an earlier one.
    pub(super) fn set(&self, name: &'static str, value: impl Into<AttributeValue>) {
        self.change(|message| {
            let attribute = attribute(name, value);
            match message.attributes.iter_mut().find(|known| known.key == name) {
                Some(known) => *known = attribute,
                None => message.attributes.push(attribute),
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut SpanMessage)) {
        if let Some(message) = &self.message {
            change(&mut message.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

impl Drop for ActiveSpan {
    fn drop(&mut self) {
        let Some(message) = self.message.take() else { return };
        let mut message = message.into_inner().unwrap_or_else(PoisonError::into_inner);
        // A span's end is its beginning plus its duration, because the wall clock may be set meanwhile.
        message.end_time_unix_nano = message.start_time_unix_nano + nanoseconds(self.started.elapsed());
        self.exporter.store(message);
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
