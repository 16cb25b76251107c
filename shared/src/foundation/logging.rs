//! JSON logs, one object per line, as CloudWatch Logs Insights reads them. No log line may contain a secret, a phone
//! number or the text of a message.

use std::{fmt, io::Write, sync::OnceLock};

use chrono::{SecondsFormat, Utc};
use serde_json::{Map, Value, json};
use sqlx::{error::DatabaseError, postgres::PgDatabaseError};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer, Registry,
    filter::Targets,
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter,
        format::{JsonFields, Writer},
    },
    layer::{Identity, SubscriberExt},
    registry::{LookupSpan, Scope},
    util::SubscriberInitExt,
};

use crate::settings::CommonSettings;

/// Libraries that are logged from the level warn only. At debug, sqlx would log statements and the AWS SDK whole
/// requests.
const LIBRARIES: [&str; 8] = ["aws", "h2", "hyper", "lambda", "reqwest", "rustls", "sqlx", "tower"];

/// Starts logging and metrics for a process that runs one function. `beside` gets the lines of the log, too. The local
/// stack has its own for all functions.
pub fn init(common: &CommonSettings, beside: impl Layer<Registry> + Send + Sync) {
    write_metrics_to(format!("{METRIC_NAMESPACE}/{}", common.environment), |line| {
        // If standard output cannot be written, the error cannot be logged either.
        let _ = writeln!(std::io::stdout().lock(), "{line}");
    });
    // Fails only when a subscriber is already set, which stays; only a test harness could call this twice.
    let _ = subscriber_beside(beside, common.log_level, std::io::stdout).try_init();
    std::panic::set_hook(Box::new(|panic| {
        // The message may quote input, so only the place in the code is logged.
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panic");
    }));
}

/// Builds the subscriber that writes a function's log to `writer` as JSON lines, from `level` on. Libraries are logged
/// from the level warn on.
pub fn subscriber<W>(level: Level, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    subscriber_beside(Identity::new(), level, writer)
}

fn subscriber_beside<L, W>(beside: L, level: Level, writer: W) -> impl Subscriber + Send + Sync
where
    L: Layer<Registry> + Send + Sync,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = Targets::new().with_default(level).with_targets(LIBRARIES.map(|library| (library, Level::WARN)));
    let json =
        tracing_subscriber::fmt::layer().fmt_fields(JsonFields::new()).event_format(FlatJson).with_writer(writer);
    tracing_subscriber::registry().with(beside).with(filter).with(json)
}

/// Namespace of the metrics. A deployed function adds its environment, since the environments may share an account:
/// `Lisa/prod`.
pub const METRIC_NAMESPACE: &str = "Lisa";

/// A receiver of the lines of metrics.
type MetricWriter = Box<dyn Fn(&str) + Send + Sync>;

/// The namespace of the process's metrics, and their receiver.
static METRIC_WRITER: OnceLock<(String, MetricWriter)> = OnceLock::new();

/// Sends the lines of metrics to `write`, with `namespace`; only the first call in a process has an effect. A process that
/// never calls it drops them: an operator's command has no metrics.
pub fn write_metrics_to(namespace: String, write: impl Fn(&str) + Send + Sync + 'static) {
    let _ = METRIC_WRITER.set((namespace, Box::new(write)));
}

/// Writes a metric in CloudWatch's embedded metric format: one JSON object on one line. CloudWatch and the local stack add
/// up the values. The metric has no dimensions: an alarm needs none, and a dimension per tenant must not exist.
pub fn metric(name: &'static str, value: f64) {
    let Some((namespace, write)) = METRIC_WRITER.get() else { return };
    let metric = serde_json::json!({
        "_aws": {
            "Timestamp": chrono::Utc::now().timestamp_millis(),
            "CloudWatchMetrics": [{
                "Namespace": namespace, "Dimensions": [[]], "Metrics": [{ "Name": name, "Unit": "Count" }],
            }],
        },
        name: value,
    });
    write(&metric.to_string());
}

/// The log format: the fields of an event and of all spans around it, side by side in one JSON object. So every line
/// of a request has its `request_id`.
struct FlatJson;

impl<S, N> FormatEvent<S, N> for FlatJson
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = fields(context.event_scope(), event);
        line.insert("timestamp".to_owned(), json!(Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true)));
        line.insert("level".to_owned(), json!(event.metadata().level().as_str()));
        writeln!(out, "{}", Value::Object(line))
    }
}

/// Returns the fields of an event and of all spans around it.
pub(crate) fn fields<S>(spans: Option<Scope<'_, S>>, event: &Event<'_>) -> Map<String, Value>
where
    S: for<'lookup> LookupSpan<'lookup>,
{
    let mut line = Map::new();
    for span in spans.into_iter().flat_map(|spans| spans.from_root()) {
        let extensions = span.extensions();
        let fields = extensions.get::<FormattedFields<JsonFields>>();
        let fields = fields.and_then(|fields| serde_json::from_str::<Map<_, _>>(&fields.fields).ok());
        line.extend(fields.unwrap_or_default());
    }
    event.record(&mut EventFields(&mut line));
    line
}

/// Collects the fields of an event into a JSON object.
struct EventFields<'l>(&'l mut Map<String, Value>);

impl EventFields<'_> {
    fn add(&mut self, field: &Field, value: Value) {
        self.0.insert(field.name().to_owned(), value);
    }
}

impl Visit for EventFields<'_> {
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

/// Returns the text of an error and of all its causes, as one line. A cause whose text is already there is left out. A
/// text that quotes the data of a request is replaced by what is wrong and where.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut quotes: Vec<_> = quoted_data(error).into_iter().collect();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        quotes.extend(quoted_data(error));
        cause = error.source();
    }
    // An error that wraps another one often repeats its text.
    quotes.into_iter().fold(text, |text, (quote, replacement)| text.replace(&quote, &replacement))
}

/// Returns the part of an error's text that quotes data, and the text to log in its place.
fn quoted_data(error: &(dyn std::error::Error + 'static)) -> Option<(String, String)> {
    if let Some(error) = error.downcast_ref::<serde_json::Error>() {
        let replacement = format!("JSON of another shape at line {} column {}", error.line(), error.column());
        return error.is_data().then(|| (error.to_string(), replacement));
    }
    let error = error.downcast_ref::<sqlx::Error>().and_then(sqlx::Error::as_database_error).or_else(|| {
        let error: &dyn DatabaseError = error.downcast_ref::<PgDatabaseError>()?;
        Some(error)
    })?;
    let code = error.code()?;
    // PostgreSQL quotes a value in the messages of this class only: it cannot be read as what the statement needs. In
    // the other classes values are in the detail, which is no part of an error's text.
    code.starts_with(DATA_EXCEPTION).then(|| (error.message().to_owned(), format!("a value is not valid ({code})")))
}

/// Class of the SQLSTATE codes for values that cannot be processed.
const DATA_EXCEPTION: &str = "22";

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the message cannot be read: {0}")]
    struct Unreadable(#[source] serde_json::Error);

    #[test]
    fn the_text_of_an_error_has_its_causes_and_not_the_data_that_they_quote() {
        let io = std::io::Error::other(Unreadable(serde_json::from_str::<Value>("{").unwrap_err()));
        assert_eq!(chain(&io), "the message cannot be read: EOF while parsing an object at line 1 column 1");
        for (json, place) in [(r#""+225 07 00 00 00 01""#, "column 21"), (r#"{"a": "le code est 4711"}"#, "column 0")] {
            let error = serde_json::from_str::<u8>(json).unwrap_err();
            assert!(error.to_string().starts_with("invalid type"), "{error}");
            let text = chain(&Unreadable(error));
            assert_eq!(text, format!("the message cannot be read: JSON of another shape at line 1 {place}"));
        }
    }

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
    fn a_line_has_the_fields_of_all_spans_around_it() {
        let written = Written::default();
        let writer = written.clone();
        let json = tracing_subscriber::fmt::layer()
            .fmt_fields(JsonFields::new())
            .event_format(FlatJson)
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
