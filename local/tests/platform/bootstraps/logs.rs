//! The standard output of a program: one JSON object per line, a log line or a metric.

use serde_json::Value;

/// The logs of one program.
#[derive(Debug)]
pub(crate) struct ProgramLogs {
    /// The whole output.
    pub(crate) text: String,
    /// Log lines, without the metrics.
    pub(crate) lines: Vec<Value>,
}

impl ProgramLogs {
    /// Parses the output; every log line must have a time and a level.
    pub(crate) fn read(text: String) -> Self {
        let parse = |line| serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let lines: Vec<_> = text.lines().map(parse).filter(|line| line["_aws"].is_null()).collect();
        for line in &lines {
            assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
        }
        Self { text, lines }
    }

    /// Checks that every line names the function and the request, that one line has the duration and at least one the
    /// tenant, and that no line contains a secret.
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
