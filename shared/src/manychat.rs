//! ManyChat: what its calls carry ([`inbound`]), and the messages that are pushed to a contact later.
//!
//! `POST /fb/sending/sendContent` answers `{"status":"error"}` also with HTTP 200, so the body decides. Without
//! `content.type` it looks at another channel and says that the window is closed. It knows no idempotency key: whoever
//! dies between a send and its note sends twice.

pub mod inbound;

use std::time::Duration;

use reqwest::{Client, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{sealed::Secret, settings::Settings};

/// For one call, connecting included.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Of what an error says, kept for the log.
const DETAIL_CHARS: usize = 300;
/// "Outside of WhatsApp's window of 24 hours".
const WINDOW_CLOSED: i64 = 3011;

/// The client. Which page it speaks for is in each call's key.
#[derive(Debug, Clone)]
pub struct ManyChat {
    http: Client,
    base_url: String,
}

/// Why a message did not reach its contact.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It never will: sending it again would give the same answer.
    #[error("{code}: {1}", code = .0.as_str())]
    Permanent(Rejection, String),
    /// It may, later.
    #[error("not now: {detail}")]
    Transient {
        /// What ManyChat asks to wait, where it does.
        retry_after: Option<Duration>,
        /// What it said.
        detail: String,
    },
}

/// Why a message never reaches its contact; the tenant sees it as `error_code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// WhatsApp takes free texts for 24 hours after the contact's last message only.
    WindowClosed,
    /// ManyChat does not take the tenant's key.
    InvalidKey,
    /// There is no key.
    MissingKey,
    /// ManyChat refuses the message or the contact.
    Rejected,
    /// Tried too often.
    GivenUp,
}

impl Rejection {
    /// The `error_code` of the message.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WindowClosed => "whatsapp_window_closed",
            Self::InvalidKey => "manychat_key_invalid",
            Self::MissingKey => "manychat_key_missing",
            Self::Rejected => "manychat_rejected",
            Self::GivenUp => "manychat_unreachable",
        }
    }
}

/// Why a key could not be tried.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// ManyChat does not know it.
    #[error("ManyChat does not take this key")]
    Invalid,
    /// ManyChat is away.
    #[error("ManyChat could not be asked: {0}")]
    Unavailable(String),
}

/// The body of every answer, as far as it matters.
#[derive(Debug, Default, Deserialize)]
struct Answer {
    #[serde(default)]
    status: String,
    #[serde(default)]
    code: Value,
    #[serde(default)]
    message: Value,
    #[serde(default)]
    details: Value,
}

impl Answer {
    /// The code stands beside the status, or among the details.
    fn is_window_closed(&self) -> bool {
        let is_code = |value: &Value| {
            value.as_i64() == Some(WINDOW_CLOSED) || value.as_str() == Some(WINDOW_CLOSED.to_string().as_str())
        };
        let detailed = self.details["messages"].as_array().into_iter().flatten();
        is_code(&self.code) || is_code(&self.details["code"]) || detailed.into_iter().any(|one| is_code(&one["code"]))
    }
}

impl ManyChat {
    /// Reads MANYCHAT_BASE_URL.
    pub fn read(settings: &mut Settings) -> Self {
        let base_url =
            settings.optional_url("MANYCHAT_BASE_URL").unwrap_or_else(|| "https://api.manychat.com".to_owned());
        let http = Client::builder().timeout(TIMEOUT).build().unwrap_or_else(|error| {
            settings.problem(format_args!("the HTTP client cannot be built: {error}"));
            Client::default()
        });
        Self { http, base_url }
    }

    /// Sends one text to one contact, on WhatsApp.
    ///
    /// # Errors
    /// [`SendError`]. After a timeout the message may have arrived all the same.
    pub async fn send_text(&self, key: &Secret, contact_id: &str, text: &str) -> Result<(), SendError> {
        // Contacts are numbers to ManyChat; what is none is left for it to judge.
        let subscriber = contact_id.parse::<u64>().map_or_else(|_| json!(contact_id), |number| json!(number));
        let body = json!({
            "subscriber_id": subscriber,
            "data": {
                "version": "v2",
                "content": { "type": "whatsapp", "messages": [{ "type": "text", "text": text }] },
            },
        });
        let request = self.http.post(format!("{}/fb/sending/sendContent", self.base_url));
        let answer = request.bearer_auth(key.expose()).json(&body).send().await.map_err(unreachable)?;
        let status = answer.status();
        let retry_after = answer
            .headers()
            .get(header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        let text = answer.text().await.map_err(unreachable)?;
        judge(status, retry_after, &text)
    }

    /// Asks ManyChat for the page that a key belongs to.
    ///
    /// # Errors
    /// [`KeyError`].
    pub async fn try_key(&self, key: &str) -> Result<(), KeyError> {
        let request = self.http.get(format!("{}/fb/page/getInfo", self.base_url)).bearer_auth(key);
        let unavailable = |error: reqwest::Error| KeyError::Unavailable(error.without_url().to_string());
        let answer = request.send().await.map_err(unavailable)?;
        let status = answer.status();
        let body: Answer = serde_json::from_str(&answer.text().await.map_err(unavailable)?).unwrap_or_default();
        match status {
            _ if status.is_success() && body.status == "success" => Ok(()),
            StatusCode::TOO_MANY_REQUESTS => Err(KeyError::Unavailable("too many requests".to_owned())),
            _ if status.is_server_error() => Err(KeyError::Unavailable(format!("HTTP {}", status.as_u16()))),
            _ => Err(KeyError::Invalid),
        }
    }
}

fn unreachable(error: reqwest::Error) -> SendError {
    SendError::Transient { retry_after: None, detail: error.without_url().to_string() }
}

/// What an answer means.
fn judge(status: StatusCode, retry_after: Option<Duration>, text: &str) -> Result<(), SendError> {
    let answer: Answer = serde_json::from_str(text).unwrap_or_default();
    if status.is_success() && answer.status == "success" {
        return Ok(());
    }
    let detail = || {
        let said = [&answer.message, &answer.details].map(|said| match said {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        let detail = format!("HTTP {} {}", status.as_u16(), said.join(" "));
        detail.trim().chars().take(DETAIL_CHARS).collect::<String>()
    };
    if answer.is_window_closed() {
        return Err(SendError::Permanent(Rejection::WindowClosed, detail()));
    }
    Err(match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => SendError::Permanent(Rejection::InvalidKey, detail()),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
            SendError::Transient { retry_after, detail: detail() }
        }
        _ if status.is_server_error() => SendError::Transient { retry_after, detail: detail() },
        // Success without a body that says so: nothing is known, so it is tried again.
        _ if status.is_success() && answer.status.is_empty() => SendError::Transient { retry_after, detail: detail() },
        _ => SendError::Permanent(Rejection::Rejected, detail()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_decides_not_the_status() {
        let ok = StatusCode::OK;
        assert_eq!(judge(ok, None, r#"{"status":"success"}"#), Ok(()));
        for (status, body, expected) in [
            (ok, r#"{"status":"error","message":"no such subscriber"}"#, Rejection::Rejected),
            (ok, r#"{"status":"error","code":3011,"message":"window"}"#, Rejection::WindowClosed),
            (ok, r#"{"status":"error","code":"3011"}"#, Rejection::WindowClosed),
            (
                StatusCode::BAD_REQUEST,
                r#"{"status":"error","details":{"messages":[{"message":"x","code":3011}]}}"#,
                Rejection::WindowClosed,
            ),
            (StatusCode::BAD_REQUEST, r#"{"status":"error","message":"Validation error"}"#, Rejection::Rejected),
            (StatusCode::UNAUTHORIZED, "", Rejection::InvalidKey),
            (StatusCode::NOT_FOUND, "<html>", Rejection::Rejected),
        ] {
            let judged = judge(status, None, body);
            assert!(matches!(judged, Err(SendError::Permanent(code, _)) if code == expected), "{status} {body}");
        }
    }

    #[test]
    fn what_may_pass_is_tried_again() {
        for (status, body) in [(429, ""), (500, "oops"), (502, "<html>"), (408, ""), (200, ""), (200, "<html>")] {
            let status = StatusCode::from_u16(status).unwrap();
            let judged = judge(status, Some(Duration::from_secs(7)), body);
            assert!(
                matches!(judged, Err(SendError::Transient { retry_after: Some(wait), .. }) if wait.as_secs() == 7),
                "{status} {body}"
            );
        }
    }
}
