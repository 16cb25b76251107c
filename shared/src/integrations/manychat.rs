//! Client of ManyChat's API, which sends messages to contacts, and the parser of ManyChat's webhook calls
//! ([`inbound`]).
//!
//! `POST /fb/sending/sendContent` also answers `{"status":"error"}` with HTTP 200, so the body decides. Without
//! `content.type` ManyChat checks another channel and reports a closed window. ManyChat has no idempotency key: a
//! worker that dies after a send and before it records the send causes a second send.

pub mod body;
pub mod inbound;

use std::time::Duration;

use reqwest::{Client, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    sealed::Secret,
    settings::Settings,
    telemetry::{self, Span, SpanKind},
};

/// Timeout of one call, connecting included.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Error codes of one response that are kept for the log.
const MAX_CODES: usize = 3;
/// ManyChat's error code for a message outside of WhatsApp's 24-hour window.
const WINDOW_CLOSED_CODE: i64 = 3011;

/// Client of ManyChat's API. The API key of each call determines the ManyChat page.
#[derive(Debug, Clone)]
pub struct ManyChat {
    http: Client,
    base_url: String,
}

/// The reason for which a message was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// A permanent failure: another attempt would give the same answer. With a detail for the log.
    #[error("{code}: {1}", code = .0.as_str())]
    Permanent(DeliveryFailure, String),
    /// A transient failure: a later attempt may succeed.
    #[error("temporary failure: {detail}")]
    Transient {
        /// The `Retry-After` of the response, if any.
        retry_after: Option<Duration>,
        /// The response's status and code or the connection's error, for the log. Never a text of ManyChat: it may
        /// repeat the message.
        detail: String,
    },
}

/// The reason for which a message never reaches its contact. The tenant sees it as the message's `error_code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryFailure {
    /// The contact wrote nothing for 24 hours: WhatsApp accepts no free text any more.
    WindowClosed,
    /// ManyChat rejects the tenant's API key.
    InvalidKey,
    /// The tenant has no API key.
    MissingKey,
    /// ManyChat rejects the message or the contact.
    Rejected,
    /// All attempts failed with transient errors.
    GivenUp,
}

impl DeliveryFailure {
    /// Returns the message's `error_code`.
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

/// The error of a key's verification.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// ManyChat rejects the key.
    #[error("ManyChat does not take this key")]
    Invalid,
    /// ManyChat could not be reached or did not answer usefully.
    #[error("ManyChat could not be asked: {0}")]
    Unavailable(String),
}

/// The fields of ManyChat's response bodies that are used here.
#[derive(Debug, Default, Deserialize)]
struct ApiResponse {
    #[serde(default)]
    status: String,
    #[serde(default)]
    code: Value,
    #[serde(default)]
    details: Value,
}

impl ApiResponse {
    /// Returns true for error code 3011, at the top level or in `details`.
    fn is_window_closed(&self) -> bool {
        let is_code = |value: &Value| {
            value.as_i64() == Some(WINDOW_CLOSED_CODE)
                || value.as_str() == Some(WINDOW_CLOSED_CODE.to_string().as_str())
        };
        self.codes().any(is_code)
    }

    /// The error codes, at the top level and in `details`.
    fn codes(&self) -> impl Iterator<Item = &Value> {
        let detailed = self.details["messages"].as_array().into_iter().flatten().map(|one| &one["code"]);
        [&self.code, &self.details["code"]].into_iter().chain(detailed)
    }

    /// Describes an error without any text of ManyChat, which may repeat the message: the status, the codes and the
    /// length of the body.
    fn describe(&self, status: StatusCode, body: &str) -> String {
        let codes = self.codes().filter_map(|code| match code {
            Value::Number(number) => number.as_i64().map(|number| number.to_string()),
            Value::String(code) => is_code_word(code).then(|| code.clone()),
            _ => None,
        });
        let codes = codes.take(MAX_CODES).collect::<Vec<_>>().join(" ");
        let codes = if codes.is_empty() { "none".to_owned() } else { codes };
        format!("HTTP {}, code {codes}, {} characters", status.as_u16(), body.chars().count())
    }
}

impl ManyChat {
    /// Reads the setting MANYCHAT_BASE_URL (default: ManyChat's API) and builds the client.
    pub fn read(settings: &mut Settings) -> Self {
        let base_url = settings.url("MANYCHAT_BASE_URL", "https://api.manychat.com");
        let http = Client::builder().timeout(CALL_TIMEOUT).build().unwrap_or_else(|error| {
            settings.problem(format_args!("the HTTP client cannot be built: {error}"));
            Client::default()
        });
        Self { http, base_url }
    }

    /// Sends one text to one contact on WhatsApp.
    ///
    /// # Errors
    /// A [`SendError`]. After a timeout the message may have arrived nevertheless.
    pub async fn send_text(&self, key: &Secret, contact_id: &str, text: &str) -> Result<(), SendError> {
        // Neither the text nor the contact is an attribute, and ManyChat is not told the trace.
        let span = telemetry::start_span("POST /fb/sending/sendContent", SpanKind::Client);
        span.set("http.request.method", "POST");
        span.set("peer.service", "manychat");
        let sent = self.post_text(key, contact_id, text, &span).await;
        match &sent {
            Ok(()) => {}
            Err(SendError::Permanent(failure, _)) => span.fail(failure.as_str()),
            Err(SendError::Transient { .. }) => span.fail("temporary_failure"),
        }
        sent
    }

    async fn post_text(&self, key: &Secret, contact_id: &str, text: &str, span: &Span) -> Result<(), SendError> {
        // ManyChat's ids are numbers; any other id is sent as it is, for ManyChat to accept or reject.
        // A number with leading zeros or a sign is another id.
        let number = contact_id.parse::<u64>().ok().filter(|number| number.to_string() == contact_id);
        let subscriber = number.map_or_else(|| json!(contact_id), |number| json!(number));
        let body = json!({
            "subscriber_id": subscriber,
            "data": {
                "version": "v2",
                "content": { "type": "whatsapp", "messages": [{ "type": "text", "text": text }] },
            },
        });
        let request = self.http.post(format!("{}/fb/sending/sendContent", self.base_url));
        let answer = request.bearer_auth(key.expose()).json(&body).send().await.map_err(transport_error)?;
        let status = answer.status();
        span.set("http.response.status_code", status.as_u16());
        let retry_after = answer
            .headers()
            .get(header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        let text = answer.text().await.map_err(transport_error)?;
        classify_response(status, retry_after, &text)
    }

    /// Verifies an API key: asks ManyChat for the page that the key belongs to.
    ///
    /// # Errors
    /// A [`KeyError`].
    pub async fn verify_key(&self, key: &str) -> Result<(), KeyError> {
        let request = self.http.get(format!("{}/fb/page/getInfo", self.base_url)).bearer_auth(key);
        let unavailable = |error: reqwest::Error| KeyError::Unavailable(error.without_url().to_string());
        let answer = request.send().await.map_err(unavailable)?;
        let status = answer.status();
        let body: ApiResponse = serde_json::from_str(&answer.text().await.map_err(unavailable)?).unwrap_or_default();
        match status {
            _ if status.is_success() && body.status == "success" => Ok(()),
            StatusCode::TOO_MANY_REQUESTS => Err(KeyError::Unavailable("too many requests".to_owned())),
            _ if status.is_server_error() => Err(KeyError::Unavailable(format!("HTTP {}", status.as_u16()))),
            _ => Err(KeyError::Invalid),
        }
    }
}

/// Returns true for a code such as `subscriber_not_found`: a short word, in which no message fits.
fn is_code_word(code: &str) -> bool {
    (1..=40).contains(&code.len())
        && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Returns the transient error for a failed connection.
fn transport_error(error: reqwest::Error) -> SendError {
    SendError::Transient { retry_after: None, detail: error.without_url().to_string() }
}

/// Classifies ManyChat's response to a send.
fn classify_response(status: StatusCode, retry_after: Option<Duration>, text: &str) -> Result<(), SendError> {
    let answer: ApiResponse = serde_json::from_str(text).unwrap_or_default();
    if status.is_success() && answer.status == "success" {
        return Ok(());
    }
    let detail = || answer.describe(status, text);
    if answer.is_window_closed() {
        return Err(SendError::Permanent(DeliveryFailure::WindowClosed, detail()));
    }
    Err(match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => SendError::Permanent(DeliveryFailure::InvalidKey, detail()),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
            SendError::Transient { retry_after, detail: detail() }
        }
        _ if status.is_server_error() => SendError::Transient { retry_after, detail: detail() },
        // HTTP 2xx without a usable body: the result is unknown, so the send is tried again.
        _ if status.is_success() && answer.status.is_empty() => SendError::Transient { retry_after, detail: detail() },
        _ => SendError::Permanent(DeliveryFailure::Rejected, detail()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_decides_the_result_also_with_http_200() {
        let ok = StatusCode::OK;
        assert_eq!(classify_response(ok, None, r#"{"status":"success"}"#), Ok(()));
        for (status, body, expected) in [
            (ok, r#"{"status":"error","message":"no such subscriber"}"#, DeliveryFailure::Rejected),
            (ok, r#"{"status":"error","code":3011,"message":"window"}"#, DeliveryFailure::WindowClosed),
            (ok, r#"{"status":"error","code":"3011"}"#, DeliveryFailure::WindowClosed),
            (
                StatusCode::BAD_REQUEST,
                r#"{"status":"error","details":{"messages":[{"message":"x","code":3011}]}}"#,
                DeliveryFailure::WindowClosed,
            ),
            (StatusCode::BAD_REQUEST, r#"{"status":"error","message":"Validation error"}"#, DeliveryFailure::Rejected),
            (StatusCode::UNAUTHORIZED, "", DeliveryFailure::InvalidKey),
            (StatusCode::NOT_FOUND, "<html>", DeliveryFailure::Rejected),
        ] {
            let result = classify_response(status, None, body);
            assert!(matches!(result, Err(SendError::Permanent(code, _)) if code == expected), "{status} {body}");
        }
    }

    #[test]
    fn an_errors_detail_has_codes_and_a_length_and_no_text_of_manychat() {
        let body = r#"{"status":"error","code":3011,"message":"Mon code est 4711","details":{"messages":[
            {"code":"wrong_field","message":"Mon code est 4711"},{"code":"Mon code est 4711"}]}}"#;
        let Err(SendError::Permanent(_, detail)) = classify_response(StatusCode::BAD_REQUEST, None, body) else {
            panic!("an error")
        };
        assert_eq!(detail, format!("HTTP 400, code 3011 wrong_field, {} characters", body.chars().count()));
    }

    #[test]
    fn rate_limits_server_errors_and_unusable_bodies_are_transient() {
        for (status, body) in [(429, ""), (500, "oops"), (502, "<html>"), (408, ""), (200, ""), (200, "<html>")] {
            let status = StatusCode::from_u16(status).unwrap();
            let result = classify_response(status, Some(Duration::from_secs(7)), body);
            assert!(
                matches!(result, Err(SendError::Transient { retry_after: Some(wait), .. }) if wait.as_secs() == 7),
                "{status} {body}"
            );
        }
    }
}
