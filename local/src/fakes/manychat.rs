//! A fake ManyChat on a loopback port. It answers like the real API, has a mode for each kind of failure, and records
//! the messages that it was given to send. Tests use it as a value; `cargo phone` reads from it over HTTP.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

/// The accepted API keys, each of its own page. As in real keys, the part before the colon is the page's id.
pub const KEYS: [&str; 2] = ["1001:fake-manychat-key-of-the-first-page", "1002:fake-manychat-key-of-the-second-page"];

/// WhatsApp's limit for a text, in characters.
const MAX_TEXT_CHARS: usize = 4_096;
/// ManyChat's limit for the messages of one call.
const MAX_MESSAGES_PER_CALL: usize = 10;
/// The delay of [`ManyChatMode::Slow`].
const SLOW_MODE_DELAY: Duration = Duration::from_secs(3);
/// The `Retry-After` of [`ManyChatMode::TooManyRequests`], in seconds.
pub const RETRY_AFTER_S: u64 = 2;
/// The maximum duration of a phone's long poll.
const POLL_TIMEOUT: Duration = Duration::from_secs(20);
/// The maximum wait of the `wait_for` methods.
const WAIT_TIMEOUT: Duration = Duration::from_secs(30);

/// The behaviour of the fake ManyChat.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ManyChatMode {
    /// Sends immediately.
    #[default]
    #[serde(rename = "ok")]
    Ok,
    /// Sends after three seconds.
    #[serde(rename = "slow")]
    Slow,
    /// Answers 429 with a `Retry-After`, and sends nothing.
    #[serde(rename = "429")]
    TooManyRequests,
    /// Answers 500, and sends nothing.
    #[serde(rename = "500")]
    ServerError,
    /// Answers 200 with a status that says error, and sends nothing.
    #[serde(rename = "200-error")]
    ErrorWith200,
    /// Answers that WhatsApp's 24 hours are over.
    #[serde(rename = "3011")]
    WindowClosed,
    /// Sends, then closes the connection without an answer.
    #[serde(rename = "lost")]
    AnswerLost,
}

/// A message that was sent to a contact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SentMessage {
    /// The id of the page whose key was used: the part of the key before the colon.
    pub page: String,
    /// ManyChat's id of the contact.
    pub contact_id: String,
    /// The text.
    pub text: String,
    /// The time of sending.
    pub at: DateTime<Utc>,
}

/// The state of the fake, in a watch channel: a waiting method is woken by each change.
#[derive(Debug, Default)]
struct FakeManyChatState {
    mode: ManyChatMode,
    is_held: bool,
    /// The number of calls that wait for the release.
    held: usize,
    /// The number of calls to send something.
    calls: usize,
    sent: Vec<SentMessage>,
}

type SharedState = Arc<watch::Sender<FakeManyChatState>>;

/// A running fake ManyChat. Dropping it stops the server.
#[derive(Debug)]
pub struct FakeManyChat {
    state: SharedState,
    address: SocketAddr,
    _serving: JoinSet<io::Result<()>>,
}

impl FakeManyChat {
    /// Starts a fake on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// Fails when no port is free.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port is free on 127.0.0.1")?;
        let address = listener.local_addr().context("the address of the fake ManyChat cannot be read")?;
        let state = Arc::new(watch::Sender::new(FakeManyChatState::default()));
        let router = Router::new()
            .route("/fb/sending/sendContent", post(send_content))
            .route("/fb/page/getInfo", get(page_info))
            .route("/_phone/{contact}", get(phone))
            .route("/_mode", put(change_mode))
            .with_state(Arc::clone(&state));
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await });
        Ok(Self { state, address, _serving: serving })
    }

    /// The value for MANYCHAT_BASE_URL, without a trailing slash.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All sent messages, in order.
    #[must_use]
    pub fn sent(&self) -> Vec<SentMessage> {
        self.state.borrow().sent.clone()
    }

    /// The texts sent to a contact, in order.
    #[must_use]
    pub fn sent_to(&self, contact_id: &str) -> Vec<String> {
        let state = self.state.borrow();
        state.sent.iter().filter(|sent| sent.contact_id == contact_id).map(|sent| sent.text.clone()).collect()
    }

    /// The number of calls to send something, successful or not. A call counts from its arrival.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.state.borrow().calls
    }

    /// Sets the behaviour of the following calls, including calls that are held.
    pub fn set_mode(&self, mode: ManyChatMode) {
        self.state.send_modify(|state| state.mode = mode);
    }

    /// Holds all calls from now on, before they are validated or sent.
    pub fn hold(&self) {
        self.state.send_modify(|state| state.is_held = true);
    }

    /// Releases the held calls, and holds no further ones.
    pub fn release(&self) {
        self.state.send_modify(|state| state.is_held = false);
    }

    /// Waits until `count` messages were sent, and returns them all.
    ///
    /// # Errors
    /// Fails when fewer were sent within 30 s.
    pub async fn wait_for(&self, count: usize) -> Result<Vec<SentMessage>> {
        self.until("messages sent", count, |state| state.sent.len()).await?;
        Ok(self.sent())
    }

    /// Waits until `count` calls to send something have arrived, successful or not.
    ///
    /// # Errors
    /// Fails when fewer arrived within 30 s.
    pub async fn wait_for_calls(&self, count: usize) -> Result<()> {
        self.until("calls", count, |state| state.calls).await
    }

    /// Waits until `count` calls are held.
    ///
    /// # Errors
    /// Fails when fewer are held within 30 s.
    pub async fn wait_for_held(&self, count: usize) -> Result<()> {
        self.until("held calls", count, |state| state.held).await
    }

    /// Waits until no call is held: each one continued, or its caller has disconnected.
    ///
    /// # Errors
    /// Fails when a call is still held after 30 s.
    pub async fn wait_until_none_is_held(&self) -> Result<()> {
        let mut changes = self.state.subscribe();
        let reached = changes.wait_for(|state| state.held == 0);
        let waited = tokio::time::timeout(WAIT_TIMEOUT, reached).await.context("a call is still held")?;
        waited.map(drop).context("the fake ManyChat has ended")
    }

    async fn until(&self, what: &str, wanted: usize, count: impl Fn(&FakeManyChatState) -> usize) -> Result<()> {
        let mut changes = self.state.subscribe();
        let reached = changes.wait_for(|state| count(state) >= wanted);
        match tokio::time::timeout(WAIT_TIMEOUT, reached).await {
            Ok(reached) => reached.map(drop).context("the fake ManyChat has ended"),
            Err(_) => Err(anyhow!("{} of {wanted} {what} within {WAIT_TIMEOUT:?}", count(&self.state.borrow()))),
        }
    }
}

/// Counts a held call until it continues or its caller disconnects.
struct HeldCall<'k>(&'k watch::Sender<FakeManyChatState>);

impl<'k> HeldCall<'k> {
    fn new(state: &'k watch::Sender<FakeManyChatState>) -> Self {
        state.send_modify(|state| state.held += 1);
        Self(state)
    }
}

impl Drop for HeldCall<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|state| state.held -= 1);
    }
}

/// An error response: status and body.
struct ManyChatErrorResponse(StatusCode, Value);

impl ManyChatErrorResponse {
    fn new(status: StatusCode, mut body: Value) -> Self {
        body["status"] = json!("error");
        Self(status, body)
    }

    fn window_closed() -> Self {
        let message = "This message is sent outside of allowed window";
        Self::new(StatusCode::BAD_REQUEST, json!({ "code": 3011, "message": message }))
    }
}

impl IntoResponse for ManyChatErrorResponse {
    fn into_response(self) -> Response {
        let Self(status, body) = self;
        let mut response = (status, Json(body)).into_response();
        if status == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_S.into());
        }
        response
    }
}

/// The first part of every call: waits while calls are held, checks the API key, and applies the mode. Returns the
/// page id and the mode.
async fn admit(
    state: &watch::Sender<FakeManyChatState>,
    headers: &HeaderMap,
) -> Result<(String, ManyChatMode), ManyChatErrorResponse> {
    if state.borrow().is_held {
        let _held = HeldCall::new(state);
        // The sender outlives all calls, so this never fails.
        let _ = state.subscribe().wait_for(|state| !state.is_held).await;
    }
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let Some(key) = bearer.filter(|key| KEYS.contains(key)) else {
        return Err(ManyChatErrorResponse::new(StatusCode::UNAUTHORIZED, json!({ "message": "Wrong token" })));
    };
    let mode = state.borrow().mode;
    match mode {
        ManyChatMode::Slow => tokio::time::sleep(SLOW_MODE_DELAY).await,
        ManyChatMode::TooManyRequests => {
            return Err(ManyChatErrorResponse::new(
                StatusCode::TOO_MANY_REQUESTS,
                json!({ "message": "Rate limit is reached" }),
            ));
        }
        ManyChatMode::ServerError => {
            return Err(ManyChatErrorResponse::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                json!({ "message": "Internal server error" }),
            ));
        }
        ManyChatMode::Ok | ManyChatMode::ErrorWith200 | ManyChatMode::WindowClosed | ManyChatMode::AnswerLost => {}
    }
    Ok((key.split(':').next().unwrap_or_default().to_owned(), mode))
}

async fn send_content(
    State(state): State<SharedState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ManyChatErrorResponse> {
    state.send_modify(|state| state.calls += 1);
    let (page, mode) = admit(&state, &headers).await?;
    let (contact_id, texts) = validate(&serde_json::from_slice(&body).unwrap_or_default())?;
    match mode {
        ManyChatMode::WindowClosed => return Err(ManyChatErrorResponse::window_closed()),
        ManyChatMode::ErrorWith200 => {
            return Err(ManyChatErrorResponse::new(StatusCode::OK, json!({ "message": "Something went wrong" })));
        }
        _ => {}
    }
    let at = Utc::now();
    let sent =
        texts.into_iter().map(|text| SentMessage { page: page.clone(), contact_id: contact_id.clone(), text, at });
    state.send_modify(|state| state.sent.extend(sent));
    Ok(if mode == ManyChatMode::AnswerLost { hang_up() } else { Json(json!({ "status": "success" })).into_response() })
}

/// Validates a call as the real API does, with its error messages. Returns the contact and the texts.
fn validate(body: &Value) -> Result<(String, Vec<String>), ManyChatErrorResponse> {
    let invalid = |message: &str| {
        let details = json!({ "messages": [{ "message": message }] });
        Err(ManyChatErrorResponse::new(
            StatusCode::BAD_REQUEST,
            json!({ "message": "Validation error", "details": details }),
        ))
    };
    let Some(contact_id) = body["subscriber_id"].as_u64() else { return invalid("subscriber_id must be an integer") };
    let (data, content) = (&body["data"], &body["data"]["content"]);
    if data["version"] != "v2" {
        return invalid("Unsupported version");
    }
    if content["type"] != "whatsapp" {
        // Without the type, ManyChat uses the Messenger channel, where this contact has never written.
        return Err(ManyChatErrorResponse::window_closed());
    }
    let messages = content["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    if messages.is_empty() || messages.len() > MAX_MESSAGES_PER_CALL {
        return invalid("messages must have 1 to 10 items");
    }
    let mut texts = Vec::new();
    for message in messages {
        match message["text"].as_str().filter(|_| message["type"] == "text") {
            Some(text) if (1..=MAX_TEXT_CHARS).contains(&text.chars().count()) => texts.push(text.to_owned()),
            Some(_) => return invalid("text must have 1 to 4096 characters"),
            None => return invalid("a message must be a text"),
        }
    }
    Ok((contact_id.to_string(), texts))
}

async fn page_info(State(state): State<SharedState>, headers: HeaderMap) -> Result<Response, ManyChatErrorResponse> {
    let (page, mode) = admit(&state, &headers).await?;
    let info = json!({ "id": page, "name": "A page", "timezone": "Africa/Abidjan", "is_pro": true });
    let answer = Json(json!({ "status": "success", "data": info }));
    Ok(if mode == ManyChatMode::AnswerLost { hang_up() } else { answer.into_response() })
}

/// Closes the connection before the first byte of an answer: hyper sends the head only together with the first part
/// of the body.
fn hang_up() -> Response {
    let lost = futures::stream::once(async { Err::<Bytes, _>(io::Error::from(io::ErrorKind::ConnectionAborted)) });
    Response::new(Body::from_stream(lost))
}

/// The query of a phone's poll.
#[derive(Debug, Deserialize)]
struct Poll {
    /// The number of messages that the phone has; without it, the poll answers immediately.
    after: Option<usize>,
    /// Restricts the messages to this page.
    page: Option<String>,
}

/// Long-polls for the messages to a contact after the first `after`.
async fn phone(State(state): State<SharedState>, Path(contact): Path<String>, Query(poll): Query<Poll>) -> Json<Value> {
    let is_own =
        |sent: &&SentMessage| sent.contact_id == contact && poll.page.as_ref().is_none_or(|page| *page == sent.page);
    let own = |state: &FakeManyChatState| state.sent.iter().filter(is_own).cloned().collect::<Vec<_>>();
    if let Some(after) = poll.after {
        let mut changes = state.subscribe();
        // After a timeout, the answer has no messages.
        let _ = tokio::time::timeout(POLL_TIMEOUT, changes.wait_for(|state| own(state).len() > after)).await;
    }
    let messages = own(&state.borrow());
    let new = messages.get(poll.after.unwrap_or_default()..).unwrap_or_default();
    Json(json!({ "messages": new, "after": messages.len() }))
}

/// The body of `PUT /_mode`.
#[derive(Debug, Serialize, Deserialize)]
struct NewMode {
    mode: ManyChatMode,
}

async fn change_mode(State(state): State<SharedState>, Json(new): Json<NewMode>) -> Json<NewMode> {
    state.send_modify(|state| state.mode = new.mode);
    Json(new)
}

#[cfg(test)]
mod tests {
    use reqwest::Client;
    use shared::{
        manychat::{DeliveryFailure, KeyError, ManyChat, SendError},
        sealed::{KeyRing, Secret},
        settings::{Settings, SettingsMap},
    };
    use uuid::Uuid;

    use super::*;

    /// The product's own client, which must not notice a difference to the real ManyChat.
    fn client(fake: &FakeManyChat) -> ManyChat {
        let mut settings = Settings::new(SettingsMap::from([("MANYCHAT_BASE_URL".to_owned(), fake.base_url())]));
        let client = ManyChat::read(&mut settings);
        settings.finish().unwrap();
        client
    }

    fn secret(key: &str) -> Secret {
        let sealing_key = format!("k1:{}=", "A".repeat(43));
        let mut settings = Settings::new(SettingsMap::from([("SEALING_KEYS".to_owned(), sealing_key)]));
        let ring = KeyRing::read(&mut settings);
        settings.finish().unwrap();
        let sealed = ring.seal(Uuid::nil(), "test", key).unwrap();
        ring.open(Uuid::nil(), "test", &sealed).unwrap()
    }

    fn http() -> Client {
        Client::builder().timeout(WAIT_TIMEOUT).no_proxy().build().unwrap()
    }

    fn texts(sent: &[SentMessage]) -> Vec<(&str, &str, &str)> {
        sent.iter().map(|sent| (sent.page.as_str(), sent.contact_id.as_str(), sent.text.as_str())).collect()
    }

    #[tokio::test]
    async fn sent_messages_are_recorded_in_order_with_their_page() {
        let fake = FakeManyChat::start().await.unwrap();
        let (client, first, second) = (client(&fake), secret(KEYS[0]), secret(KEYS[1]));
        client.send_text(&first, "132", "Bonjour").await.unwrap();
        client.send_text(&second, "132", "Hello").await.unwrap();
        client.send_text(&first, "133", "Bonsoir").await.unwrap();
        let sent = fake.wait_for(3).await.unwrap();
        assert_eq!(texts(&sent), [("1001", "132", "Bonjour"), ("1002", "132", "Hello"), ("1001", "133", "Bonsoir")]);
        assert_eq!(fake.sent_to("132"), ["Bonjour", "Hello"]);
        assert!(sent.is_sorted_by_key(|sent| sent.at));
    }

    #[tokio::test]
    async fn failure_modes_map_to_the_clients_errors() {
        let fake = FakeManyChat::start().await.unwrap();
        let (client, key) = (client(&fake), secret(KEYS[0]));
        let outcome = async |mode| {
            fake.set_mode(mode);
            client.send_text(&key, "132", "Bonjour").await.unwrap_err()
        };
        let wait = Some(Duration::from_secs(RETRY_AFTER_S));
        assert!(matches!(
            outcome(ManyChatMode::TooManyRequests).await,
            SendError::Transient { retry_after, .. } if retry_after == wait
        ));
        assert!(matches!(outcome(ManyChatMode::ServerError).await, SendError::Transient { retry_after: None, .. }));
        assert!(matches!(
            outcome(ManyChatMode::ErrorWith200).await,
            SendError::Permanent(DeliveryFailure::Rejected, _)
        ));
        assert!(matches!(
            outcome(ManyChatMode::WindowClosed).await,
            SendError::Permanent(DeliveryFailure::WindowClosed, _)
        ));
        assert_eq!(fake.sent(), []);

        assert!(matches!(outcome(ManyChatMode::AnswerLost).await, SendError::Transient { retry_after: None, .. }));
        assert_eq!((fake.sent_to("132").len(), fake.calls()), (1, 5), "it arrived, and nobody was told");

        fake.set_mode(ManyChatMode::Slow);
        client.send_text(&key, "132", "Enfin").await.unwrap();
        assert_eq!(fake.sent_to("132"), ["Bonjour", "Enfin"]);
    }

    #[tokio::test]
    async fn unknown_keys_are_rejected() {
        let fake = FakeManyChat::start().await.unwrap();
        let client = client(&fake);
        client.verify_key(KEYS[0]).await.unwrap();
        assert!(matches!(client.verify_key("1001:another").await, Err(KeyError::Invalid)));
        for mode in [ManyChatMode::TooManyRequests, ManyChatMode::ServerError, ManyChatMode::AnswerLost] {
            fake.set_mode(mode);
            assert!(matches!(client.verify_key(KEYS[0]).await, Err(KeyError::Unavailable(_))), "{mode:?}");
        }
        let refused = client.send_text(&secret("1001:another"), "132", "Bonjour").await.unwrap_err();
        assert!(matches!(refused, SendError::Permanent(DeliveryFailure::InvalidKey, _)));
        assert_eq!(fake.sent(), []);
    }

    #[tokio::test]
    async fn malformed_calls_are_rejected_as_by_the_real_api() {
        let fake = FakeManyChat::start().await.unwrap();
        let good = json!({
            "subscriber_id": 132,
            "data": { "version": "v2", "content": { "type": "whatsapp", "messages": [{ "type": "text", "text": "a" }] } },
        });
        let post = async |body: String| {
            let request = http().post(format!("{}/fb/sending/sendContent", fake.base_url())).bearer_auth(KEYS[0]);
            let answer = request.body(body).send().await.unwrap();
            (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
        };
        let changed = |pointer: &str, value: Value| {
            let mut body = good.clone();
            *body.pointer_mut(pointer).unwrap() = value;
            body.to_string()
        };
        for body in [
            "{".to_owned(),
            changed("/subscriber_id", json!("132")),
            changed("/data/version", json!("v1")),
            changed("/data/content/messages", json!([])),
            changed("/data/content/messages", json!(vec![json!({ "type": "text", "text": "a" }); 11])),
            changed("/data/content/messages/0/type", json!("cards")),
            changed("/data/content/messages/0/text", json!("")),
            changed("/data/content/messages/0/text", json!("é".repeat(4_097))),
        ] {
            let (status, answer) = post(body.clone()).await;
            assert_eq!(
                (status, &answer["status"], &answer["message"]),
                (400, &json!("error"), &json!("Validation error")),
                "{body}"
            );
        }
        let (status, answer) = post(changed("/data/content/type", json!(null))).await;
        assert_eq!((status, &answer["code"]), (400, &json!(3011)), "another channel than WhatsApp");
        assert_eq!(fake.sent(), []);
        assert_eq!(post(changed("/data/content/messages/0/text", json!("é".repeat(4_096)))).await.0, 200);
    }

    #[tokio::test]
    async fn held_calls_send_only_after_the_release() {
        let fake = FakeManyChat::start().await.unwrap();
        fake.hold();
        let mut calls = JoinSet::new();
        for contact in ["132", "133"] {
            let client = client(&fake);
            calls.spawn(async move { client.send_text(&secret(KEYS[0]), contact, "Bonjour").await });
        }
        fake.wait_for_held(2).await.unwrap();
        assert_eq!((fake.calls(), fake.sent().len()), (2, 0));
        fake.release();
        assert!(calls.join_all().await.iter().all(Result::is_ok));
        assert_eq!(fake.sent().len(), 2);
    }

    #[tokio::test]
    async fn phone_poll_returns_only_its_own_messages() {
        let fake = FakeManyChat::start().await.unwrap();
        let poll = async |query: &str| {
            let url = format!("{}/_phone/132{query}", fake.base_url());
            http().get(url).send().await.unwrap().json::<Value>().await.unwrap()
        };
        assert_eq!(poll("").await, json!({ "messages": [], "after": 0 }));
        let client = client(&fake);
        client.send_text(&secret(KEYS[1]), "132", "another page's").await.unwrap();
        client.send_text(&secret(KEYS[0]), "133", "another contact's").await.unwrap();
        let late = async { client.send_text(&secret(KEYS[0]), "132", "Bonjour").await.unwrap() };
        let (answer, ()) = tokio::join!(poll("?after=0&page=1001"), late);
        assert_eq!((&answer["messages"][0]["text"], &answer["after"]), (&json!("Bonjour"), &json!(1)));
        assert_eq!(poll("?page=1001").await["messages"].as_array().unwrap().len(), 1);
        assert_eq!(poll("?page=1003").await["after"], 0);
    }

    #[tokio::test]
    async fn mode_can_be_set_over_http() {
        let fake = FakeManyChat::start().await.unwrap();
        let put = async |body: Value| {
            let request = http().put(format!("{}/_mode", fake.base_url())).json(&body);
            request.send().await.unwrap().status().as_u16()
        };
        assert_eq!(put(json!({ "mode": "3011" })).await, 200);
        let refused = client(&fake).send_text(&secret(KEYS[0]), "132", "Bonjour").await.unwrap_err();
        assert!(matches!(refused, SendError::Permanent(DeliveryFailure::WindowClosed, _)));
        assert_eq!(put(json!({ "mode": "moody" })).await, 422);
    }
}
