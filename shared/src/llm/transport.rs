//! One HTTP call to a provider, bounded in time and size, and its failures sorted by what can be done about them.

use std::{sync::LazyLock, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use reqwest::{Client, Response, redirect};
use serde_json::Value;

use super::CallStatus;

/// For one connection, TLS included.
const CONNECT: Duration = Duration::from_secs(3);
/// A connection that nobody used for so long may be dead: the environment was frozen meanwhile.
const IDLE: Duration = Duration::from_secs(30);
/// The body of an answer: 100 vectors of 3,072 numbers each stay below it.
const BODY_BYTES: usize = 8 * 1024 * 1024;

/// The client for providers, made at its first use: it parses the system's certificates.
#[derive(Debug)]
pub(crate) struct Transport(LazyLock<Client>);

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Not in time.
    #[error("the provider did not answer in time")]
    TimedOut,
    /// No connection, or one that broke off.
    #[error("the provider could not be reached")]
    Unreachable(#[source] reqwest::Error),
    /// 408, 5xx.
    #[error("the provider failed with status {status}")]
    Overloaded {
        /// The HTTP status.
        status: u16,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// 429.
    #[error("the provider limits the rate of calls")]
    RateLimited {
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// The model's quota of the day.
    #[error("the model's quota of the day is used up")]
    QuotaExhausted,
    /// 402: the balance.
    #[error("the balance at the provider is used up")]
    BalanceExhausted,
    /// 401, 403.
    #[error("the provider does not take the key")]
    Unauthorized,
    /// The model is gone, or never was.
    #[error("the provider has no such model")]
    NoSuchModel,
    /// Any other 4xx: the same call would be refused again.
    #[error("the provider refused the call with status {status} ({code})")]
    Rejected {
        /// The HTTP status.
        status: u16,
        /// The provider's own code.
        code: String,
    },
    /// The model or its filter declined.
    #[error("the model declined to answer ({0})")]
    Blocked(String),
    /// A reply with neither text nor calls.
    #[error("the reply is empty")]
    Empty,
    /// A reply that makes no sense.
    #[error("the reply is malformed: {0}")]
    Malformed(&'static str),
    /// It failed in the middle of what was told already.
    #[error("the reply broke off after its beginning was told")]
    BrokenOff(#[source] Box<Failure>),
    /// Nobody waits for the reply any more.
    #[error("nobody waits for the reply any more")]
    Abandoned,
}

/// What to do after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The same model may answer in a moment.
    Retry,
    /// Another model may answer.
    Model,
    /// Another provider's may.
    Provider,
    /// Nobody is to be asked again.
    Stop,
}

impl Failure {
    /// For the reason that the provider gives, as long as it is a word.
    pub(super) fn blocked(reason: &str) -> Self {
        Self::Blocked(if is_word(reason) { reason.to_owned() } else { "no reason".to_owned() })
    }

    pub(crate) fn next(&self) -> Next {
        match self {
            Self::Unreachable(_)
            | Self::Overloaded { .. }
            | Self::RateLimited { .. }
            | Self::Empty
            | Self::Malformed(_) => Next::Retry,
            // Quotas and sizes are a model's own. What hung once may hang again, and took its share of the time.
            Self::TimedOut | Self::QuotaExhausted | Self::NoSuchModel | Self::Rejected { .. } => Next::Model,
            Self::Unauthorized | Self::BalanceExhausted => Next::Provider,
            // Another model is not asked for what this one would not say.
            Self::Blocked(_) => Next::Stop,
            // Nobody can take back what was told.
            Self::BrokenOff(_) | Self::Abandoned => Next::Stop,
        }
    }

    /// Whether it says that the provider does not work, rather than that it did not like this call.
    pub(crate) fn is_the_providers(&self) -> bool {
        match self {
            Self::BrokenOff(why) => why.is_the_providers(),
            Self::TimedOut
            | Self::Unreachable(_)
            | Self::Overloaded { .. }
            | Self::BalanceExhausted
            | Self::Unauthorized => true,
            _ => false,
        }
    }

    /// How long the provider asks to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Overloaded { retry_after, .. } | Self::RateLimited { retry_after } => *retry_after,
            _ => None,
        }
    }

    pub(super) fn status(&self) -> CallStatus {
        match self {
            Self::TimedOut => CallStatus::Timeout,
            Self::Unreachable(_) | Self::Overloaded { .. } => CallStatus::Failed,
            Self::RateLimited { .. } => CallStatus::RateLimited,
            Self::QuotaExhausted | Self::BalanceExhausted => CallStatus::QuotaExhausted,
            Self::Unauthorized | Self::NoSuchModel | Self::Rejected { .. } => CallStatus::Refused,
            Self::Blocked(_) => CallStatus::Blocked,
            Self::Empty => CallStatus::Empty,
            Self::Malformed(_) => CallStatus::Malformed,
            Self::BrokenOff(why) => why.status(),
            Self::Abandoned => CallStatus::Abandoned,
        }
    }
}

impl Transport {
    pub(crate) const fn new() -> Self {
        Self(LazyLock::new(|| {
            Client::builder()
                .connect_timeout(CONNECT)
                .pool_idle_timeout(IDLE)
                // Whoever is redirected would take the key along.
                .redirect(redirect::Policy::none())
                .no_proxy()
                .user_agent("Lisa/1.0")
                .build()
                .unwrap_or_default()
        }))
    }

    /// Posts JSON and reads the JSON that comes back. The whole of it takes no longer than `limit`.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) async fn post(
        &self,
        url: &str,
        headers: HeaderMap,
        body: &Value,
        limit: Duration,
    ) -> Result<Value, Failure> {
        let call = Box::pin(async {
            let request = self.0.post(url).headers(headers).json(body);
            let mut response = request.send().await.map_err(unreachable)?;
            let (status, headers) = (response.status(), response.headers().clone());
            let mut body = BytesMut::new();
            while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
                if body.len() + chunk.len() > BODY_BYTES {
                    return Err(Failure::Malformed("it has no end"));
                }
                body.extend_from_slice(&chunk);
            }
            read(status, &headers, &body.freeze())
        });
        tokio::time::timeout(limit, call).await.unwrap_or(Err(Failure::TimedOut))
    }
}

/// The events of a reply that comes bit by bit, as <https://html.spec.whatwg.org/multipage/server-sent-events.html> has
/// them; of each only its data.
#[derive(Debug)]
pub(super) struct Events {
    response: Response,
    /// What came and was not read yet.
    buffer: BytesMut,
    /// As many bytes may come.
    left: usize,
}

impl Transport {
    /// Posts JSON and waits for the head of what comes back. Without a limit in time: that is its caller's.
    ///
    /// # Errors
    /// [`Failure`]; a refusal is read as in [`Transport::post`].
    pub(super) async fn open(&self, url: &str, headers: HeaderMap, body: &Value) -> Result<Events, Failure> {
        let response = self.0.post(url).headers(headers).json(body).send().await.map_err(unreachable)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut events = Events { response, buffer: BytesMut::new(), left: BODY_BYTES };
        if status.is_success() {
            return Ok(events);
        }
        while events.fill().await? {}
        Err(read(status, &headers, &events.buffer.freeze()).err().unwrap_or(Failure::Empty))
    }
}

impl Events {
    /// The data of the next event; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<String>, Failure> {
        let mut data = String::new();
        loop {
            let Some(line) = self.line().await? else {
                // What no blank line ends is no event, but some servers leave the last one out.
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
                // Names of events, which the data repeat, and comments that keep the connection open.
                None => {}
            }
        }
    }

    async fn line(&mut self) -> Result<Option<String>, Failure> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end + 1);
                return text(line.strip_suffix(b"\n").unwrap_or(&line)).map(Some);
            }
            if !self.fill().await? {
                let rest = std::mem::take(&mut self.buffer);
                return if rest.is_empty() { Ok(None) } else { text(&rest).map(Some) };
            }
        }
    }

    /// Waits for more; `false` at the end.
    async fn fill(&mut self) -> Result<bool, Failure> {
        let Some(chunk) = self.response.chunk().await.map_err(unreachable)? else { return Ok(false) };
        self.left = self.left.checked_sub(chunk.len()).ok_or(Failure::Malformed("it has no end"))?;
        self.buffer.extend_from_slice(&chunk);
        Ok(true)
    }
}

fn text(line: &[u8]) -> Result<String, Failure> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    std::str::from_utf8(line).map(str::to_owned).or(Err(Failure::Malformed("it is not UTF-8")))
}

/// The failure that an event of a stream tells of, where it does. Google's has the status as a number, Anthropic's only a
/// word, and others' what they like.
pub(super) fn told(event: &Value) -> Option<Failure> {
    let error = &event.get(0).unwrap_or(event)["error"];
    if error.is_null() {
        return None;
    }
    let status = error["code"].as_u64().and_then(|status| u16::try_from(status).ok());
    let status = status.filter(|status| (400..600).contains(status)).unwrap_or_else(|| match code(error) {
        "overloaded_error" => 529,
        "rate_limit_error" | "rate_limit_exceeded" => 429,
        "invalid_request_error" => 400,
        _ => 500,
    });
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Some(refusal(status, &HeaderMap::new(), event))
}

fn unreachable(error: reqwest::Error) -> Failure {
    if error.is_timeout() { Failure::TimedOut } else { Failure::Unreachable(error.without_url()) }
}

fn read(status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Result<Value, Failure> {
    let parsed = serde_json::from_slice::<Value>(body);
    if status.is_success() {
        return parsed.or(Err(Failure::Malformed("it is not JSON")));
    }
    // What is not JSON comes from something before the provider; its status says enough.
    Err(refusal(status, headers, &parsed.unwrap_or_default()))
}

/// Sorts a refusal. The three wire formats agree enough to be read by one function: each has an `error` with a code of
/// its own, and the details of Google's are only there.
fn refusal(status: StatusCode, headers: &HeaderMap, body: &Value) -> Failure {
    // Gemini's comes inside a list at times.
    let error = &body.get(0).unwrap_or(body)["error"];
    let code = code(error);
    let retry_after = retry_info(error).or_else(|| retry_header(headers));
    match status.as_u16() {
        402 => Failure::BalanceExhausted,
        429 if code == "insufficient_quota" => Failure::BalanceExhausted,
        429 if is_per_day(error) => Failure::QuotaExhausted,
        429 => Failure::RateLimited { retry_after },
        401 | 403 => Failure::Unauthorized,
        404 => Failure::NoSuchModel,
        400 if matches!(code, "model_not_found" | "model_decommissioned") => Failure::NoSuchModel,
        // Gemini says so with a 400.
        400 if reasons(error).any(|reason| reason == "API_KEY_INVALID") => Failure::Unauthorized,
        // Groq checks the arguments itself, and refuses what its own model wrote.
        400 if code == "tool_use_failed" => Failure::Malformed("its tool call does not parse"),
        status @ (408 | 500..) => Failure::Overloaded { status, retry_after },
        status => Failure::Rejected { status, code: code.to_owned() },
    }
}

/// The provider's own code: a word without anything of the call in it.
fn code(error: &Value) -> &str {
    let mut words = ["code", "status", "type"].into_iter().filter_map(|name| error[name].as_str());
    words.find(|text| is_word(text)).unwrap_or("no code")
}

fn is_word(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn details(error: &Value) -> impl Iterator<Item = &Value> {
    error["details"].as_array().into_iter().flatten()
}

fn reasons(error: &Value) -> impl Iterator<Item = &str> {
    details(error).filter_map(|detail| detail["reason"].as_str())
}

/// `"retryDelay": "34.07s"` of Google's RetryInfo.
fn retry_info(error: &Value) -> Option<Duration> {
    let delay = details(error).find_map(|detail| detail["retryDelay"].as_str())?;
    seconds(delay.strip_suffix('s')?)
}

/// `retry-after` in seconds; its other form, a date, is nobody's here.
fn retry_header(headers: &HeaderMap) -> Option<Duration> {
    seconds(headers.get(header::RETRY_AFTER)?.to_str().ok()?)
}

fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.trim().parse().ok()?).ok()
}

/// A quota of a day is not back within any deadline.
fn is_per_day(error: &Value) -> bool {
    let violations = details(error).flat_map(|detail| detail["violations"].as_array().into_iter().flatten());
    violations.filter_map(|violation| violation["quotaId"].as_str()).any(|id| id.contains("PerDay"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(status: u16, body: Value) -> Failure {
        refusal(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), &body)
    }

    #[test]
    fn a_delay_is_read_from_the_body_and_from_the_header() {
        let info = json!([{ "error": { "code": 429, "status": "RESOURCE_EXHAUSTED", "details": [
            { "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.074824224s" },
        ] } }]);
        assert_eq!(refused(429, info).retry_after(), Some(Duration::from_secs_f64(34.074_824_224)));
        let mut headers = HeaderMap::new();
        for (text, expected) in [("7", Some(7)), ("-1", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("1e99", None)]
        {
            headers.insert(header::RETRY_AFTER, text.parse().unwrap());
            let failure = refusal(StatusCode::from_u16(529).unwrap(), &headers, &Value::Null);
            assert_eq!(failure.retry_after(), expected.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn what_cannot_get_better_is_not_tried_again() {
        let per_day = json!({ "error": { "code": 429, "details": [
            { "violations": [{ "quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier" }] },
            { "retryDelay": "3s" },
        ] } });
        let google_key = json!({ "error": { "code": 400, "details": [{ "reason": "API_KEY_INVALID" }] } });
        for (status, body, next) in [
            (429, per_day, Next::Model),
            (402, Value::Null, Next::Provider),
            (429, json!({ "error": { "code": "insufficient_quota" } }), Next::Provider),
            (400, json!({ "error": { "code": "model_decommissioned" } }), Next::Model),
            (404, Value::Null, Next::Model),
            (413, Value::Null, Next::Model),
            (400, google_key, Next::Provider),
            (401, json!("a text"), Next::Provider),
            (403, Value::Null, Next::Provider),
            (429, Value::Null, Next::Retry),
            (408, Value::Null, Next::Retry),
            (500, Value::Null, Next::Retry),
            (529, json!({ "type": "error", "error": { "type": "overloaded_error" } }), Next::Retry),
        ] {
            assert_eq!(refused(status, body.clone()).next(), next, "{status} {body}");
        }
    }

    #[test]
    fn a_refusal_shows_a_code_and_nothing_else_of_the_answer() {
        let failure =
            refused(400, json!({ "error": { "message": "sk-secret", "code": "sk secret", "type": "bad_one" } }));
        assert_eq!(failure.to_string(), "the provider refused the call with status 400 (bad_one)");
    }

    #[tokio::test]
    async fn events_are_read_whatever_the_line_ends_and_however_they_are_cut() {
        let text = ": comment\n\ndata: {\"a\":\ndata: 1}\n\nevent: x\r\ndata:two é\r\n\r\nretry: 3\n\ndata: last";
        for size in [1, 2, 7, text.len()] {
            let chunks: Vec<_> =
                text.as_bytes().chunks(size).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect();
            let body = reqwest::Body::wrap_stream(futures::stream::iter(chunks));
            let response = Response::from(http::Response::new(body));
            let mut events = Events { response, buffer: BytesMut::new(), left: BODY_BYTES };
            for expected in [Some("{\"a\":\n1}"), Some("two é"), Some("last"), None] {
                assert_eq!(events.next().await.unwrap().as_deref(), expected, "{size}");
            }
        }
    }

    #[test]
    fn a_failure_that_a_stream_tells_of_is_sorted_as_a_refusal_is() {
        for (event, next) in [
            (json!({ "type": "error", "error": { "type": "overloaded_error" } }), Next::Retry),
            (json!([{ "error": { "code": 403, "status": "PERMISSION_DENIED" } }]), Next::Provider),
            (json!({ "error": { "type": "invalid_request_error", "code": null } }), Next::Model),
            (json!({ "error": { "message": "anything" } }), Next::Retry),
        ] {
            assert_eq!(told(&event).unwrap().next(), next, "{event}");
        }
        assert!(told(&json!({ "choices": [] })).is_none() && told(&json!({ "error": null })).is_none());
    }
}
