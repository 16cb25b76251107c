//! The report: what each check found, as text and as JSON.

use anyhow::Result;
use serde::Serialize;
use serde_json::json;

/// Column of the message in the text.
const NAME_WIDTH: usize = 33;

/// The weight of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// All is well.
    Ok,
    /// The product works, with a loss or a risk.
    Warning,
    /// A part of the product does not work.
    Error,
    /// Nothing was checked; the message has the reason.
    Skipped,
}

impl Status {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "ERROR",
            Self::Skipped => "skipped",
        }
    }
}

/// What a check found, before it has its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Ok(String),
    /// What is not right, and what to do.
    Warning(String, String),
    /// What is wrong, and what to do.
    Error(String, String),
    /// The reason why nothing was checked.
    Skipped(String),
}

impl Outcome {
    pub(super) fn warning(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::Warning(what.into(), advice.into())
    }

    pub(super) fn error(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::Error(what.into(), advice.into())
    }

    pub(super) fn skipped(reason: impl Into<String>) -> Self {
        Self::Skipped(reason.into())
    }

    /// True when a part of the product does not work.
    pub(super) fn is_error(&self) -> bool {
        matches!(self, Self::Error(..))
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Name of the check.
    pub check: &'static str,
    /// Weight of the finding.
    pub status: Status,
    /// What was found.
    pub message: String,
    /// What to do; empty when nothing is to be done.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub advice: String,
}

impl Finding {
    pub(super) fn new(check: &'static str, outcome: Outcome) -> Self {
        let (status, message, advice) = match outcome {
            Outcome::Ok(message) => (Status::Ok, message, String::new()),
            Outcome::Warning(message, advice) => (Status::Warning, message, advice),
            Outcome::Error(message, advice) => (Status::Error, message, advice),
            Outcome::Skipped(message) => (Status::Skipped, message, String::new()),
        };
        Self { check, status, message, advice }
    }
}

/// The findings of all checks, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The findings. A check may have several.
    pub findings: Vec<Finding>,
}

impl Report {
    /// The number of findings with this status.
    #[must_use]
    pub fn count(&self, status: Status) -> usize {
        self.findings.iter().filter(|finding| finding.status == status).count()
    }

    /// The findings of one check.
    pub fn of<'r>(&'r self, check: &'r str) -> impl Iterator<Item = &'r Finding> {
        self.findings.iter().filter(move |finding| finding.check == check)
    }

    /// Replaces secrets in all texts. No check writes one; this is the second lock, for texts that servers wrote.
    pub(super) fn redact(&mut self, secrets: &[String]) {
        for finding in &mut self.findings {
            for secret in secrets {
                finding.message = finding.message.replace(secret, "…");
                finding.advice = finding.advice.replace(secret, "…");
            }
        }
    }

    /// The report as lines for a terminal.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let mut last = "";
        for finding in &self.findings {
            let name = if finding.check == last { "" } else { finding.check };
            last = finding.check;
            text.push_str(&format!("  {:<9}{name:<NAME_WIDTH$} {}\n", finding.status.word(), finding.message));
            if !finding.advice.is_empty() {
                text.push_str(&format!("  {:<9}{:<NAME_WIDTH$} -> {}\n", "", "", finding.advice));
            }
        }
        let [errors, warnings, skipped] =
            [Status::Error, Status::Warning, Status::Skipped].map(|status| self.count(status));
        text.push_str(&format!("\n  {errors} errors, {warnings} warnings, {skipped} skipped"));
        text
    }

    /// The report as JSON: the findings, and the numbers of errors and warnings.
    ///
    /// # Errors
    /// Fails only when JSON cannot be written, which does not occur.
    pub fn to_json(&self) -> Result<String> {
        let report = json!({
            "errors": self.count(Status::Error), "warnings": self.count(Status::Warning), "findings": self.findings,
        });
        Ok(serde_json::to_string_pretty(&report)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_name_a_check_once_and_show_no_secret() {
        let mut report = Report {
            findings: vec![
                Finding::new("queues", Outcome::Ok("reply".to_owned())),
                Finding::new("queues", Outcome::error("hunter2hunter2 is refused", "remove hunter2hunter2")),
            ],
        };
        report.redact(&["hunter2hunter2".to_owned()]);
        let text = report.to_text();
        assert_eq!(text.matches("queues").count(), 1, "{text}");
        assert!(text.contains("ERROR") && text.contains("-> remove …") && text.contains("1 errors"), "{text}");
        let json = report.to_json().unwrap();
        assert!(!json.contains("hunter2") && json.contains(r#""status": "error""#), "{json}");
    }
}
