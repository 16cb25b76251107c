//! JSON logs, one object a line, as CloudWatch Logs Insights reads them: never a secret, a phone number or the text of
//! a message.

use std::io::Write;

use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

use crate::settings::Common;

/// Libraries speak at their warnings only: at debug sqlx would repeat statements, and the SDK whole requests.
pub const LIBRARIES: &str = "aws=warn,h2=warn,hyper=warn,lambda=warn,reqwest=warn,rustls=warn,sqlx=warn,tower=warn";

/// Starts logging for a process that holds one function. The local stack starts its own, once for all functions.
pub fn init(common: &Common) {
    let level = common.log_level.as_str().to_lowercase();
    let filter = EnvFilter::new(format!("{level},{LIBRARIES}"));
    let json = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_target(false)
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
