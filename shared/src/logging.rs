//! JSON logs, one object a line, as CloudWatch Logs Insights reads them: never a secret, a phone number or the text of
//! a message.

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
