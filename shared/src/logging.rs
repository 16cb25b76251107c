//! JSON logs, one object a line, as CloudWatch Logs Insights reads them: never a secret, a phone number or the text of
//! a message.

use std::{fmt, io::Write};

use chrono::{SecondsFormat, Utc};
use serde_json::{Map, Value, json};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    filter::Targets,
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields,
        format::{JsonFields, Writer},
    },
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use crate::settings::Common;

/// Libraries speak at their warnings only: at debug sqlx would repeat statements, and the SDK whole requests.
const LIBRARIES: [&str; 8] = ["aws", "h2", "hyper", "lambda", "reqwest", "rustls", "sqlx", "tower"];

/// Starts logging for a process that holds one function. The local stack starts its own, once for all functions.
pub fn init(common: &Common) {
    let filter =
        Targets::new().with_default(common.log_level).with_targets(LIBRARIES.map(|library| (library, Level::WARN)));
    let json = tracing_subscriber::fmt::layer()
        .fmt_fields(JsonFields::new())
        .event_format(OneObject)
        .with_writer(std::io::stdout);
    // A second call is a programming error in a test harness at most; the first subscriber stays.
    let _ = tracing_subscriber::registry().with(filter).with(json).try_init();
    std::panic::set_hook(Box::new(|panic| {
        // The message may quote input, so only its place is told.
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panic");
    }));
}

/// Writes a metric in CloudWatch's embedded format: one JSON object a line, nothing around it. It has no dimensions: what
/// an alarm watches needs none, and tenants must not become any.
pub fn metric(name: &'static str, value: f64) {
    let metric = serde_json::json!({
        "_aws": {
            "Timestamp": chrono::Utc::now().timestamp_millis(),
            "CloudWatchMetrics": [{ "Namespace": "Lisa", "Dimensions": [[]], "Metrics": [{ "Name": name, "Unit": "Count" }] }],
        },
        name: value,
    });
    // A log that cannot be written cannot be told of either.
    let _ = writeln!(std::io::stdout().lock(), "{metric}");
}

/// What the spans around an event say and what it says itself, side by side in one object: every line of a request has
/// its `request_id`, however deep it was written.
struct OneObject;

impl<S, N> FormatEvent<S, N> for OneObject
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = Map::new();
        for span in context.event_scope().into_iter().flat_map(|spans| spans.from_root()) {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<JsonFields>>();
            let fields = fields.and_then(|fields| serde_json::from_str::<Map<_, _>>(&fields.fields).ok());
            line.extend(fields.unwrap_or_default());
        }
        event.record(&mut Fields(&mut line));
        line.insert("timestamp".to_owned(), json!(Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true)));
        line.insert("level".to_owned(), json!(event.metadata().level().as_str()));
        writeln!(out, "{}", Value::Object(line))
    }
}

struct Fields<'l>(&'l mut Map<String, Value>);

impl Fields<'_> {
    fn add(&mut self, field: &Field, value: Value) {
        self.0.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, json!(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, json!(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, json!(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, json!(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, json!(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, json!(format!("{value:?}")));
    }
}

/// An error and all its causes, as one line.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_says_what_all_spans_around_it_say() {
        let written = Written::default();
        let writer = written.clone();
        let json = tracing_subscriber::fmt::layer()
            .fmt_fields(JsonFields::new())
            .event_format(OneObject)
            .with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(json), || {
            let outer = tracing::error_span!("outer", request_id = "r-1", tenant_id = tracing::field::Empty);
            let _outer = outer.enter();
            let _inner = tracing::error_span!("inner", attempt = 2).entered();
            outer.record("tenant_id", "t-1");
            tracing::info!(duration_ms = 1.5, text = "a \"quoted\"\nline", "done");
        });
        let written = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let mut line: Map<String, Value> = serde_json::from_str(written.trim_end()).unwrap();
        assert!(line.remove("timestamp").is_some());
        let expected = json!({
            "level": "INFO", "message": "done", "request_id": "r-1", "tenant_id": "t-1", "attempt": 2,
            "duration_ms": 1.5, "text": "a \"quoted\"\nline",
        });
        assert_eq!(Value::Object(line), expected);
        assert_eq!(written.lines().count(), 1);
    }
}
