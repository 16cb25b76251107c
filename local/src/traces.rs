//! `cargo traces`: a collector that shows each trace of the local stack as text.

use std::{collections::BTreeSet, fmt::Write, time::Duration};

use anyhow::Result;
use clap::Args;
use serde_json::Value;

use crate::fakes::collector::{CollectedSpan, FakeCollector, OTLP_PORT};

/// A trace is shown when nothing of it has arrived for this long.
const QUIET_TIME: Duration = Duration::from_secs(2);
/// Width of the column with the names of the spans, in characters.
const NAME_WIDTH: usize = 52;
/// Attributes that a line repeats, in this order.
const SHOWN_ATTRIBUTES: [&str; 9] = [
    "http.response.status_code",
    "error.type",
    "lisa.transaction.end",
    "gen_ai.provider.name",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.cost",
    "lisa.attempt",
    "lisa.request_id",
];

/// Shows the traces of a running stack as text, until Ctrl-C. Start it before
/// `OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 cargo dev`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The port to listen on, at 127.0.0.1.
    #[arg(long, default_value_t = OTLP_PORT)]
    port: u16,
    /// End after this many traces.
    #[arg(long)]
    count: Option<usize>,
}

/// Collects traces and prints each once it is complete.
///
/// # Errors
/// Fails when the port is in use.
pub async fn run(arguments: &Arguments) -> Result<()> {
    let collector = FakeCollector::start(arguments.port).await?;
    println!("Traces are taken at {}. In another terminal:", collector.endpoint());
    println!("  OTEL_EXPORTER_OTLP_ENDPOINT={} cargo dev", collector.endpoint());
    let mut changes = collector.subscribe();
    let mut left = arguments.count.unwrap_or(usize::MAX);
    while left > 0 {
        changes.wait_for(|spans| !spans.is_empty()).await?;
        // Functions export on their own, so a trace is taken as complete when its spans stop to come.
        let mut count = 0;
        while collector.spans().len() != count {
            count = collector.spans().len();
            tokio::time::sleep(QUIET_TIME).await;
        }
        let spans = collector.spans();
        let traces: BTreeSet<_> = spans.iter().map(|span| span.trace_id.as_str()).collect();
        for trace in traces.into_iter().take(left) {
            println!("\n{}", render(spans.iter().filter(|span| span.trace_id == trace)));
            collector.forget(trace);
            left -= 1;
        }
    }
    Ok(())
}

/// Returns a trace as text: one line a span, children below their parents, in the order of their beginning.
#[must_use]
pub fn render<'s>(spans: impl Iterator<Item = &'s CollectedSpan>) -> String {
    let mut spans: Vec<_> = spans.collect();
    spans.sort_by_key(|span| span.start_ns);
    let (Some(first), Some(end_ns)) = (spans.first(), spans.iter().map(|span| span.end_ns).max()) else {
        return String::new();
    };
    let mut text =
        format!("trace {}, {} spans, {}\n", first.trace_id, spans.len(), milliseconds(end_ns - first.start_ns));
    let known: BTreeSet<_> = spans.iter().map(|span| span.span_id.as_str()).collect();
    for root in spans.iter().filter(|span| !known.contains(span.parent_id.as_str())) {
        render_span(root, &spans, first.start_ns, 1, &mut text);
    }
    text
}

fn render_span(span: &CollectedSpan, spans: &[&CollectedSpan], trace_start_ns: u64, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    let width = NAME_WIDTH.saturating_sub(indent.len());
    let name: String = span.name.chars().take(width).collect();
    let (start, duration) = (span.start_ns - trace_start_ns, span.end_ns - span.start_ns);
    let mut line = format!("{indent}{name:width$} {:>11} {:>11}", milliseconds(start), milliseconds(duration));
    let parent = spans.iter().find(|parent| parent.span_id == span.parent_id);
    if parent.is_none_or(|parent| parent.service != span.service) {
        let _ = write!(line, "  {}", span.service);
    }
    let shown = SHOWN_ATTRIBUTES.iter().filter_map(|name| Some((*name, span.attributes.get(*name)?)));
    for (name, value) in shown {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let _ = write!(line, "  {}={value}", name.rsplit('.').next().unwrap_or(name));
    }
    if span.attributes.get("error.type").is_none_or(Value::is_null) && span.is_error {
        line.push_str("  failed");
    }
    text.push_str(line.trim_end());
    text.push('\n');
    for child in spans.iter().filter(|child| child.parent_id == span.span_id) {
        render_span(child, spans, trace_start_ns, depth + 1, text);
    }
}

fn milliseconds(ns: u64) -> String {
    format!("{:.1} ms", ns as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn span(id: &str, parent: &str, name: &str, service: &str, start_ms: u64, end_ms: u64) -> CollectedSpan {
        CollectedSpan {
            trace_id: "t".to_owned(),
            span_id: id.to_owned(),
            parent_id: parent.to_owned(),
            parent_is_remote: false,
            name: name.to_owned(),
            service: service.to_owned(),
            kind: 1,
            start_ns: start_ms * 1_000_000,
            end_ns: end_ms * 1_000_000,
            is_error: false,
            attributes: [("error.type".to_owned(), json!("timeout"))].into(),
            resource: Default::default(),
        }
    }

    #[test]
    fn children_stand_below_their_parents() {
        let spans = [
            span("b", "a", "send reply", "manychat-webhook", 2, 3),
            span("c", "b", "process reply", "reply-worker", 5, 30),
            span("a", "remote", "POST /", "manychat-webhook", 0, 4),
        ];
        let text = render(spans.iter());
        let lines: Vec<_> = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            lines,
            [
                "trace t, 3 spans, 30.0 ms",
                "POST / 0.0 ms 4.0 ms manychat-webhook type=timeout",
                "send reply 2.0 ms 1.0 ms type=timeout",
                "process reply 5.0 ms 25.0 ms reply-worker type=timeout",
            ]
        );
        assert_eq!(render([].iter()), "");
    }
}
