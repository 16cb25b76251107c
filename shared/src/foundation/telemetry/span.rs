//! Spans: pieces of work with a name, a time, attributes and a parent.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, PoisonError},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use super::{
    context::{RemoteParent, SpanContext, SpanId},
    exporter::Exporter,
    otlp::{AttributeValue, SpanKind, SpanRecord},
};

/// A span that is open until the value, and every task that runs in it, is dropped. The default records nothing.
#[derive(Debug, Default)]
#[must_use]
pub struct Span(Option<Arc<ActiveSpan>>);

/// An open span. Dropping the last reference ends it.
#[derive(Debug)]
pub(super) struct ActiveSpan {
    exporter: Arc<Exporter>,
    context: SpanContext,
    parent: Option<SpanId>,
    parent_is_remote: bool,
    name: Cow<'static, str>,
    kind: SpanKind,
    started_at: SystemTime,
    started: Instant,
    changes: Mutex<SpanChanges>,
}

/// The part of a span that changes while it is open.
#[derive(Debug, Default)]
struct SpanChanges {
    name: Option<String>,
    attributes: Vec<(&'static str, AttributeValue)>,
    is_error: bool,
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
        Self(Some(Arc::new(ActiveSpan {
            exporter,
            context,
            parent,
            parent_is_remote,
            name,
            kind,
            started_at: SystemTime::now(),
            started: Instant::now(),
            changes: Mutex::default(),
        })))
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
            span.change(|changes| changes.name = Some(name));
        }
    }

    /// Sets an attribute.
    pub fn set(&self, name: &'static str, value: impl Into<AttributeValue>) {
        if let Some(span) = &self.0 {
            span.set(name, value.into());
        }
    }

    /// Marks the work as failed. `error_type` is a code of few possible values, never a text with data.
    pub fn fail(&self, error_type: impl Into<AttributeValue>) {
        if let Some(span) = &self.0 {
            span.set("error.type", error_type.into());
            span.change(|changes| changes.is_error = true);
        }
    }
}

impl ActiveSpan {
    pub(super) fn exporter(&self) -> &Arc<Exporter> {
        &self.exporter
    }

    /// Sets an attribute. A later value takes the place of an earlier one.
    pub(super) fn set(&self, name: &'static str, value: AttributeValue) {
        if !self.context.is_sampled {
            return;
        }
        self.change(|changes| match changes.attributes.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => changes.attributes.push((name, value)),
        });
    }

    fn change(&self, change: impl FnOnce(&mut SpanChanges)) {
        change(&mut self.changes.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for ActiveSpan {
    fn drop(&mut self) {
        if !self.context.is_sampled {
            return;
        }
        let changes = std::mem::take(self.changes.get_mut().unwrap_or_else(PoisonError::into_inner));
        // A span's end is its beginning plus its duration, because the wall clock may be set meanwhile.
        let started = self.started_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let record = SpanRecord {
            context: self.context,
            parent: self.parent,
            parent_is_remote: self.parent_is_remote,
            name: changes.name.as_deref().unwrap_or(&self.name),
            kind: self.kind,
            started,
            ended: started + self.started.elapsed(),
            attributes: &changes.attributes,
            is_error: changes.is_error,
        };
        self.exporter.store(record.encode());
    }
}
