//! What a program wrote: one JSON object a line, a log or a metric.

use serde_json::Value;

#[derive(Debug)]
pub(crate) struct Logs {
    pub(crate) text: String,
    /// Without the metrics.
    pub(crate) lines: Vec<Value>,
}

impl Logs {
    pub(crate) fn read(text: String) -> Self {
        let parse = |line| serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let lines: Vec<_> = text.lines().map(parse).filter(|line| line["_aws"].is_null()).collect();
        for line in &lines {
            assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
        }
        Self { text, lines }
    }

    /// Every line names the function and the request, one tells how long it took, and none tells a secret.
    pub(crate) fn check(&self, function: &str, request_id: &str, tenant: Option<&str>, secrets: &[String]) {
        assert!(!self.lines.is_empty(), "{function} wrote nothing");
        for line in &self.lines {
            assert_eq!(line["function"], function, "{line}");
            assert_eq!(line["request_id"], request_id, "{line}");
        }
        let timed = |line: &&Value| line["duration_ms"].as_f64().is_some_and(|duration| duration > 0.0);
        assert_eq!(self.lines.iter().filter(timed).count(), 1, "{function}: {}", self.text);
        if let Some(tenant) = tenant {
            assert!(self.lines.iter().any(|line| line["tenant_id"] == tenant), "{function}: {}", self.text);
        }
        for secret in secrets {
            assert!(!self.text.contains(secret.as_str()), "{function} tells {secret}: {}", self.text);
        }
    }
}
