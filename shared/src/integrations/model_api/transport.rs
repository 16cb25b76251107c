//! HTTP calls to providers, limited in time and size, and the classification of their errors by the action that
//! follows.

use std::{sync::LazyLock, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use reqwest::{Client, Response, redirect};
use serde_json::Value;

use super::error::{ProviderError, is_word};

/// Timeout for opening a connection, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Timeout of idle connections in the pool. A connection idle for longer may be dead, because Lambda may have frozen
/// the environment in the meantime.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum size of a response body. An embeddings response of 100 vectors of 3,072 numbers each stays below this.
const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;

/// The HTTP client for providers. Built at its first use, because building it parses the system's certificates.
#[derive(Debug)]
pub(crate) struct Transport(LazyLock<Client>);

impl Transport {
    pub(crate) const fn new() -> Self {
        Self(LazyLock::new(|| {
            Client::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .pool_idle_timeout(POOL_IDLE_TIMEOUT)
                // A redirected request would carry the API key to another host.
                .redirect(redirect::Policy::none())
                .no_proxy()
                .user_agent("Lisa/1.0")
                .build()
                .unwrap_or_default()
        }))
    }

    /// Posts JSON and returns the JSON of the response. Connecting, sending and reading together are limited to
    /// `timeout`.
    ///
    /// # Errors
    /// Returns a [`ProviderError`] for a timeout, a broken connection, an error status or an unreadable body.
    pub(crate) async fn post(
        &self,
        url: &str,
        headers: HeaderMap,
        body: &Value,
        timeout: Duration,
    ) -> Result<Value, ProviderError> {
        let call = Box::pin(async {
            let request = self.0.post(url).headers(headers).json(body);
            let mut response = request.send().await.map_err(connection_error)?;
            let (status, headers) = (response.status(), response.headers().clone());
            let mut body = BytesMut::new();
            while let Some(chunk) = response.chunk().await.map_err(connection_error)? {
                if body.len() + chunk.len() > MAX_BODY_BYTES {
                    return Err(ProviderError::Malformed("it has no end"));
                }
                body.extend_from_slice(&chunk);
            }
            parse_response(status, &headers, &body.freeze())
        });
        tokio::time::timeout(timeout, call).await.unwrap_or(Err(ProviderError::TimedOut))
    }
}

/// A reader of a response of server-sent events, <https://html.spec.whatwg.org/multipage/server-sent-events.html>.
/// Returns only the data of each event.
#[derive(Debug)]
pub(crate) struct SseReader {
    response: Response,
    /// Bytes received and not yet parsed.
    buffer: BytesMut,
    /// Bytes that may still be received before the response exceeds [`MAX_BODY_BYTES`].
    remaining_bytes: usize,
}

impl Transport {
    /// Posts JSON, waits for the response's headers, and returns a reader of its events. Sets no timeout; the caller
    /// does.
    ///
    /// # Errors
    /// Returns a [`ProviderError`] for a broken connection or an error status, classified as in [`Transport::post`].
    pub(crate) async fn open_stream(
        &self,
        url: &str,
        headers: HeaderMap,
        body: &Value,
    ) -> Result<SseReader, ProviderError> {
        let response = self.0.post(url).headers(headers).json(body).send().await.map_err(connection_error)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut events = SseReader { response, buffer: BytesMut::new(), remaining_bytes: MAX_BODY_BYTES };
        if status.is_success() {
            return Ok(events);
        }
        while events.fill().await? {}
        Err(parse_response(status, &headers, &events.buffer.freeze()).err().unwrap_or(ProviderError::Empty))
    }
}

impl SseReader {
    /// Reads the data of the next event; `None` at the end of the response.
    pub(crate) async fn next_event(&mut self) -> Result<Option<String>, ProviderError> {
        let mut data = String::new();
        loop {
            let Some(line) = self.read_line().await? else {
                // By the specification an event ends with a blank line, but some servers omit the last blank line.
                return Ok((!data.is_empty()).then_some(data));
            };
            match line.strip_prefix("data:") {
                Some(more) => {
                    if !data.is_empty() {
                        data.push('\n');
                    }
                    data.push_str(more.strip_prefix(' ').unwrap_or(more));
                }
                None if line.is_empty() && !data.is_empty() => return Ok(Some(data)),
                // Event names, which the data repeats, and keep-alive comments.
                None => {}
            }
        }
    }

    /// Reads the next line, without its line ending; `None` at the end of the response.
    async fn read_line(&mut self) -> Result<Option<String>, ProviderError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end + 1);
                return decode_line(line.strip_suffix(b"\n").unwrap_or(&line)).map(Some);
            }
            if !self.fill().await? {
                let rest = std::mem::take(&mut self.buffer);
                return if rest.is_empty() { Ok(None) } else { decode_line(&rest).map(Some) };
            }
        }
    }

    /// Appends the next received bytes to the buffer; returns `false` at the end of the response.
    async fn fill(&mut self) -> Result<bool, ProviderError> {
        let Some(chunk) = self.response.chunk().await.map_err(connection_error)? else { return Ok(false) };
        self.remaining_bytes =
            self.remaining_bytes.checked_sub(chunk.len()).ok_or(ProviderError::Malformed("it has no end"))?;
        self.buffer.extend_from_slice(&chunk);
        Ok(true)
    }
}

/// Decodes a line as UTF-8, without a trailing carriage return.
fn decode_line(line: &[u8]) -> Result<String, ProviderError> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    std::str::from_utf8(line).map(str::to_owned).or(Err(ProviderError::Malformed("it is not UTF-8")))
}

/// Returns the error that a stream event reports; `None` for other events. Google sends the status as a number,
/// Anthropic only as a word, other providers in no fixed form.
pub(crate) fn error_in_stream_event(event: &Value) -> Option<ProviderError> {
    let error = &event.get(0).unwrap_or(event)["error"];
    if error.is_null() {
        return None;
    }
    let status = error["code"].as_u64().and_then(|status| u16::try_from(status).ok());
    let status = status.filter(|status| (400..600).contains(status)).unwrap_or_else(|| match error_code(error) {
        "overloaded_error" => 529,
        "rate_limit_error" | "rate_limit_exceeded" => 429,
        "invalid_request_error" => 400,
        _ => 500,
    });
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Some(classify_error(status, &HeaderMap::new(), event))
}

fn connection_error(error: reqwest::Error) -> ProviderError {
    if error.is_timeout() { ProviderError::TimedOut } else { ProviderError::Unreachable(error.without_url()) }
}

/// Parses a response's body as JSON, or classifies the error of a status other than 2xx.
fn parse_response(status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Result<Value, ProviderError> {
    let parsed = serde_json::from_slice::<Value>(body);
    if status.is_success() {
        return parsed.or(Err(ProviderError::Malformed("it is not JSON")));
    }
    // An error body that is not JSON comes from a proxy in front of the provider; the status alone decides.
    Err(classify_error(status, headers, &parsed.unwrap_or_default()))
}

/// Classifies an error response. One function handles all three API dialects: each has an `error` object with a code,
/// and only Google adds `details`.
fn classify_error(status: StatusCode, headers: &HeaderMap, body: &Value) -> ProviderError {
    // Gemini sometimes wraps the error in a list.
    let error = &body.get(0).unwrap_or(body)["error"];
    let code = error_code(error);
    let retry_after = retry_info(error).or_else(|| retry_header(headers));
    match status.as_u16() {
        402 => ProviderError::BalanceExhausted,
        429 if code == "insufficient_quota" => ProviderError::BalanceExhausted,
        429 if is_per_day(error) => ProviderError::QuotaExhausted,
        429 => ProviderError::RateLimited { retry_after },
        401 | 403 => ProviderError::Unauthorized,
        404 => ProviderError::NoSuchModel,
        400 if matches!(code, "model_not_found" | "model_decommissioned") => ProviderError::NoSuchModel,
        // Gemini reports an invalid key with status 400.
        400 if reasons(error).any(|reason| reason == "API_KEY_INVALID") => ProviderError::Unauthorized,
        // Groq validates tool arguments itself and rejects invalid ones written by its own model.
        400 if code == "tool_use_failed" => ProviderError::Malformed("its tool call does not parse"),
        status @ (408 | 500..) => ProviderError::ServerError { status, retry_after },
        status => ProviderError::Rejected { status, code: code.to_owned() },
    }
}

/// The provider's error code. Only a single word is accepted, so that no part of the call leaks into it.
fn error_code(error: &Value) -> &str {
    let mut words = ["code", "status", "type"].into_iter().filter_map(|name| error[name].as_str());
    words.find(|text| is_word(text)).unwrap_or("no code")
}

/// The entries of Google's `error.details`.
fn details(error: &Value) -> impl Iterator<Item = &Value> {
    error["details"].as_array().into_iter().flatten()
}

/// The `reason` of each entry of Google's `error.details`.
fn reasons(error: &Value) -> impl Iterator<Item = &str> {
    details(error).filter_map(|detail| detail["reason"].as_str())
}

/// The delay of Google's RetryInfo, such as `"retryDelay": "34.07s"`.
fn retry_info(error: &Value) -> Option<Duration> {
    let delay = details(error).find_map(|detail| detail["retryDelay"].as_str())?;
    parse_seconds(delay.strip_suffix('s')?)
}

/// The `retry-after` header in seconds. Its other form, a date, is ignored: no provider here sends it.
fn retry_header(headers: &HeaderMap) -> Option<Duration> {
    parse_seconds(headers.get(header::RETRY_AFTER)?.to_str().ok()?)
}

fn parse_seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.trim().parse().ok()?).ok()
}

/// True when the error reports a daily quota. Such a quota is not restored within any deadline.
fn is_per_day(error: &Value) -> bool {
    let violations = details(error).flat_map(|detail| detail["violations"].as_array().into_iter().flatten());
    violations.filter_map(|violation| violation["quotaId"].as_str()).any(|id| id.contains("PerDay"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::error::RetryDecision, *};

    fn error_of(status: u16, body: Value) -> ProviderError {
        classify_error(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), &body)
    }

    #[test]
    fn retry_delay_is_read_from_the_body_and_from_the_header() {
        let info = json!([{ "error": { "code": 429, "status": "RESOURCE_EXHAUSTED", "details": [
            { "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.074824224s" },
        ] } }]);
        assert_eq!(error_of(429, info).retry_after(), Some(Duration::from_secs_f64(34.074_824_224)));
        let mut headers = HeaderMap::new();
        for (text, expected) in [("7", Some(7)), ("-1", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("1e99", None)]
        {
            headers.insert(header::RETRY_AFTER, text.parse().unwrap());
            let failure = classify_error(StatusCode::from_u16(529).unwrap(), &headers, &Value::Null);
            assert_eq!(failure.retry_after(), expected.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn only_temporary_errors_are_retried_with_the_same_model() {
        let per_day = json!({ "error": { "code": 429, "details": [
            { "violations": [{ "quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier" }] },
            { "retryDelay": "3s" },
        ] } });
        let google_key = json!({ "error": { "code": 400, "details": [{ "reason": "API_KEY_INVALID" }] } });
        for (status, body, next) in [
            (429, per_day, RetryDecision::NextModel),
            (402, Value::Null, RetryDecision::NextProvider),
            (429, json!({ "error": { "code": "insufficient_quota" } }), RetryDecision::NextProvider),
            (400, json!({ "error": { "code": "model_decommissioned" } }), RetryDecision::NextModel),
            (404, Value::Null, RetryDecision::NextModel),
            (413, Value::Null, RetryDecision::NextModel),
            (400, google_key, RetryDecision::NextProvider),
            (401, json!("a text"), RetryDecision::NextProvider),
            (403, Value::Null, RetryDecision::NextProvider),
            (429, Value::Null, RetryDecision::SameModel),
            (408, Value::Null, RetryDecision::SameModel),
            (500, Value::Null, RetryDecision::SameModel),
            (529, json!({ "type": "error", "error": { "type": "overloaded_error" } }), RetryDecision::SameModel),
        ] {
            assert_eq!(error_of(status, body.clone()).retry_decision(), next, "{status} {body}");
        }
    }

    #[test]
    fn an_error_message_contains_only_the_code_of_the_response() {
        let failure =
            error_of(400, json!({ "error": { "message": "sk-secret", "code": "sk secret", "type": "bad_one" } }));
        assert_eq!(failure.to_string(), "the provider refused the call with status 400 (bad_one)");
    }

    #[tokio::test]
    async fn events_are_read_with_any_line_ending_and_any_split_into_chunks() {
        let text = ": comment\n\ndata: {\"a\":\ndata: 1}\n\nevent: x\r\ndata:two é\r\n\r\nretry: 3\n\ndata: last";
        for size in [1, 2, 7, text.len()] {
            let chunks: Vec<_> =
                text.as_bytes().chunks(size).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect();
            let body = reqwest::Body::wrap_stream(futures::stream::iter(chunks));
            let response = Response::from(http::Response::new(body));
            let mut events = SseReader { response, buffer: BytesMut::new(), remaining_bytes: MAX_BODY_BYTES };
            for expected in [Some("{\"a\":\n1}"), Some("two é"), Some("last"), None] {
                assert_eq!(events.next_event().await.unwrap().as_deref(), expected, "{size}");
            }
        }
    }

    #[test]
    fn an_error_in_a_stream_event_is_classified_like_an_error_response() {
        for (event, next) in [
            (json!({ "type": "error", "error": { "type": "overloaded_error" } }), RetryDecision::SameModel),
            (json!([{ "error": { "code": 403, "status": "PERMISSION_DENIED" } }]), RetryDecision::NextProvider),
            (json!({ "error": { "type": "invalid_request_error", "code": null } }), RetryDecision::NextModel),
            (json!({ "error": { "message": "anything" } }), RetryDecision::SameModel),
        ] {
            assert_eq!(error_in_stream_event(&event).unwrap().retry_decision(), next, "{event}");
        }
        assert!(
            error_in_stream_event(&json!({ "choices": [] })).is_none()
                && error_in_stream_event(&json!({ "error": null })).is_none()
        );
    }
}
