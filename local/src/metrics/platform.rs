//! The metrics that AWS itself has of a deployment, with CloudWatch's names, units and dimensions.

use std::time::Duration;

use chrono::Utc;
use serde_json::{Map, Value, json};

use super::{collect, is_collecting};

/// Records a request of the API: `AWS/ApiGateway`.
pub(crate) fn record_request(status: u16, duration: Duration) {
    let is = |hundred: u16| f64::from(u8::from(status / 100 == hundred));
    write(
        "AWS/ApiGateway",
        None,
        &[
            ("Count", "Count", 1.0),
            ("4xx", "Count", is(4)),
            ("5xx", "Count", is(5)),
            ("Latency", "Milliseconds", duration.as_secs_f64() * 1e3),
        ],
    );
}

/// Records an invocation of a function: `AWS/Lambda`.
pub(crate) fn record_invocation(function: &str, has_failed: bool, duration: Duration) {
    write(
        "AWS/Lambda",
        Some(("FunctionName", function)),
        &[
            ("Invocations", "Count", 1.0),
            ("Errors", "Count", f64::from(u8::from(has_failed))),
            ("Duration", "Milliseconds", duration.as_secs_f64() * 1e3),
        ],
    );
}

/// Records the length of a queue: `AWS/SQS`.
pub(super) fn record_queue(name: &str, waiting: f64) {
    let metric = ("ApproximateNumberOfMessagesVisible", "None", waiting);
    write("AWS/SQS", Some(("QueueName", name)), &[metric]);
}

/// Writes a line in the embedded metric format: names with units and values, and at most one dimension.
fn write(namespace: &str, dimension: Option<(&str, &str)>, metrics: &[(&str, &str, f64)]) {
    if !is_collecting() {
        return;
    }
    let names: Vec<_> = dimension.iter().map(|(name, _)| *name).collect();
    let units: Vec<_> = metrics.iter().map(|(name, unit, _)| json!({ "Name": name, "Unit": unit })).collect();
    let mut line = Map::new();
    line.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": Utc::now().timestamp_millis(),
            "CloudWatchMetrics": [{ "Namespace": namespace, "Dimensions": [names], "Metrics": units }],
        }),
    );
    line.extend(dimension.map(|(name, value)| (name.to_owned(), json!(value))));
    line.extend(metrics.iter().map(|(name, _, value)| ((*name).to_owned(), json!(value))));
    collect(&Value::Object(line));
}
