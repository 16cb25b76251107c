//! A ManyChat of our own on a loopback port: its calls and its answers as the real one's, a mode for each of its bad
//! days, and everything that it was given to send. Tests hold it in the hand; `cargo phone` reads from it over HTTP.

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

/// The keys that it takes, each of a page of its own. What stands before the colon is the page's id, as in real ones.
pub const KEYS: [&str; 2] = ["1001:fake-manychat-key-of-the-first-page", "1002:fake-manychat-key-of-the-second-page"];

/// WhatsApp takes no longer text.
const LONGEST_TEXT: usize = 4_096;
/// ManyChat takes no more messages at once.
const MOST_MESSAGES: usize = 10;
/// How long [`Mode::Slow`] takes for an answer.
const SLOWNESS: Duration = Duration::from_secs(3);
/// What [`Mode::TooManyRequests`] asks to wait, in seconds.
pub const RETRY_AFTER_S: u64 = 2;
/// How long a phone's poll waits for a message.
const POLL: Duration = Duration::from_secs(20);
/// How long a test waits for what is to happen by itself.
const PATIENCE: Duration = Duration::from_secs(30);

/// How it behaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// Sends at once.
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
    /// Sends, and hangs up instead of saying so.
    #[serde(rename = "lost")]
    AnswerLost,
}

/// A message that was sent to a contact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sent {
    /// The page whose key it was sent with: what stands before the key's colon.
    pub page: String,
    /// ManyChat's id of the contact.
    pub contact_id: String,
    /// The text.
    pub text: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// What it knows. Whoever waits for something waits for this to change.
#[derive(Debug, Default)]
struct Known {
    mode: Mode,
    is_held: bool,
    /// Calls that wait to be let go on.
    held: usize,
    /// Calls that asked to send something.
    calls: usize,
    sent: Vec<Sent>,
}

type Knowledge = Arc<watch::Sender<Known>>;

/// A running fake. Dropped, it ends.
#[derive(Debug)]
pub struct FakeManyChat {
    known: Knowledge,
    address: SocketAddr,
    _serving: JoinSet<io::Result<()>>,
}

impl FakeManyChat {
    /// Starts one on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// No free port.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port is free on 127.0.0.1")?;
        let address = listener.local_addr().context("the address of the fake ManyChat cannot be read")?;
        let known = Arc::new(watch::Sender::new(Known::default()));
        let router = Router::new()
            .route("/fb/sending/sendContent", post(send_content))
            .route("/fb/page/getInfo", get(page_info))
            .route("/_phone/{contact}", get(phone))
            .route("/_mode", put(change_mode))
            .with_state(Arc::clone(&known));
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await });
        Ok(Self { known, address, _serving: serving })
    }

    /// What MANYCHAT_BASE_URL is set to, without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything that was sent, in order.
    #[must_use]
    pub fn sent(&self) -> Vec<Sent> {
        self.known.borrow().sent.clone()
    }

    /// The texts that a contact got, in order.
    #[must_use]
    pub fn sent_to(&self, contact_id: &str) -> Vec<String> {
        let known = self.known.borrow();
        known.sent.iter().filter(|sent| sent.contact_id == contact_id).map(|sent| sent.text.clone()).collect()
    }

    /// How often it was asked to send something, whatever came of it. A call counts from its arrival.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.known.borrow().calls
    }

    /// Changes how it behaves from the next call on; calls that are held belong to it too.
    pub fn set_mode(&self, mode: Mode) {
        self.known.send_modify(|known| known.mode = mode);
    }

    /// Lets calls wait from now on, before anything is judged or sent.
    pub fn hold(&self) {
        self.known.send_modify(|known| known.is_held = true);
    }

    /// Lets the calls that wait go on, and those to come.
    pub fn release(&self) {
        self.known.send_modify(|known| known.is_held = false);
    }

    /// Waits until `count` messages were sent, and returns them all.
    ///
    /// # Errors
    /// Fewer within 30 s.
    pub async fn wait_for(&self, count: usize) -> Result<Vec<Sent>> {
        self.until("messages sent", count, |known| known.sent.len()).await?;
        Ok(self.sent())
    }

    /// Waits until it was asked `count` times to send something, whatever came of it.
    ///
    /// # Errors
    /// Fewer within 30 s.
    pub async fn wait_for_calls(&self, count: usize) -> Result<()> {
        self.until("calls", count, |known| known.calls).await
    }

    /// Waits until so many calls are held.
    ///
    /// # Errors
    /// Fewer within 30 s.
    pub async fn wait_for_held(&self, count: usize) -> Result<()> {
        self.until("held calls", count, |known| known.held).await
    }

    async fn until(&self, what: &str, wanted: usize, count: impl Fn(&Known) -> usize) -> Result<()> {
        let mut changes = self.known.subscribe();
        let reached = changes.wait_for(|known| count(known) >= wanted);
        match tokio::time::timeout(PATIENCE, reached).await {
            Ok(reached) => reached.map(drop).context("the fake ManyChat has ended"),
            Err(_) => Err(anyhow!("{} of {wanted} {what} within {PATIENCE:?}", count(&self.known.borrow()))),
        }
    }
}

/// A call that is held, counted until it goes on or its caller hangs up.
struct Held<'k>(&'k watch::Sender<Known>);

impl<'k> Held<'k> {
    fn new(known: &'k watch::Sender<Known>) -> Self {
        known.send_modify(|known| known.held += 1);
        Self(known)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|known| known.held -= 1);
    }
}

/// An answer that says no.
struct Refusal(StatusCode, Value);

impl Refusal {
    fn new(status: StatusCode, mut body: Value) -> Self {
        body["status"] = json!("error");
        Self(status, body)
    }

    fn window_closed() -> Self {
        let message = "This message is sent outside of allowed window";
        Self::new(StatusCode::BAD_REQUEST, json!({ "code": 3011, "message": message }))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(status, body) = self;
        let mut response = (status, Json(body)).into_response();
        if status == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_S.into());
        }
        response
    }
}

/// The beginning of every call: it waits where it is held, its key is judged, and the bad day comes over it. Returns the
/// page.
async fn admit(known: &watch::Sender<Known>, headers: &HeaderMap) -> Result<(String, Mode), Refusal> {
    if known.borrow().is_held {
        let _held = Held::new(known);
        // The sender is the fake's own: it is there as long as calls are.
        let _ = known.subscribe().wait_for(|known| !known.is_held).await;
    }
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let Some(key) = bearer.filter(|key| KEYS.contains(key)) else {
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, json!({ "message": "Wrong token" })));
    };
    let mode = known.borrow().mode;
    match mode {
        Mode::Slow => tokio::time::sleep(SLOWNESS).await,
        Mode::TooManyRequests => {
            return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, json!({ "message": "Rate limit is reached" })));
        }
        Mode::ServerError => {
            return Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, json!({ "message": "Internal server error" })));
        }
        Mode::Ok | Mode::ErrorWith200 | Mode::WindowClosed | Mode::AnswerLost => {}
    }
    Ok((key.split(':').next().unwrap_or_default().to_owned(), mode))
}

async fn send_content(State(known): State<Knowledge>, headers: HeaderMap, body: Bytes) -> Result<Response, Refusal> {
    known.send_modify(|known| known.calls += 1);
    let (page, mode) = admit(&known, &headers).await?;
    let (contact_id, texts) = judge(&serde_json::from_slice(&body).unwrap_or_default())?;
    match mode {
        Mode::WindowClosed => return Err(Refusal::window_closed()),
        Mode::ErrorWith200 => {
            return Err(Refusal::new(StatusCode::OK, json!({ "message": "Something went wrong" })));
        }
        _ => {}
    }
    let at = Utc::now();
    let sent = texts.into_iter().map(|text| Sent { page: page.clone(), contact_id: contact_id.clone(), text, at });
    known.send_modify(|known| known.sent.extend(sent));
    Ok(if mode == Mode::AnswerLost { hang_up() } else { Json(json!({ "status": "success" })).into_response() })
}

/// What the real one refuses, in its words; else the contact and the texts.
fn judge(body: &Value) -> Result<(String, Vec<String>), Refusal> {
    let invalid = |message: &str| {
        let details = json!({ "messages": [{ "message": message }] });
        Err(Refusal::new(StatusCode::BAD_REQUEST, json!({ "message": "Validation error", "details": details })))
    };
    let Some(contact_id) = body["subscriber_id"].as_u64() else { return invalid("subscriber_id must be an integer") };
    let (data, content) = (&body["data"], &body["data"]["content"]);
    if data["version"] != "v2" {
        return invalid("Unsupported version");
    }
    if content["type"] != "whatsapp" {
        // It looks at the Messenger channel then, where this contact has never written.
        return Err(Refusal::window_closed());
    }
    let messages = content["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    if messages.is_empty() || messages.len() > MOST_MESSAGES {
        return invalid("messages must have 1 to 10 items");
    }
    let mut texts = Vec::new();
    for message in messages {
        match message["text"].as_str().filter(|_| message["type"] == "text") {
            Some(text) if (1..=LONGEST_TEXT).contains(&text.chars().count()) => texts.push(text.to_owned()),
            Some(_) => return invalid("text must have 1 to 4096 characters"),
            None => return invalid("a message must be a text"),
        }
    }
    Ok((contact_id.to_string(), texts))
}

async fn page_info(State(known): State<Knowledge>, headers: HeaderMap) -> Result<Response, Refusal> {
    let (page, mode) = admit(&known, &headers).await?;
    let info = json!({ "id": page, "name": "A page", "timezone": "Africa/Abidjan", "is_pro": true });
    let answer = Json(json!({ "status": "success", "data": info }));
    Ok(if mode == Mode::AnswerLost { hang_up() } else { answer.into_response() })
}

/// Ends the connection before the first byte of an answer: its head is only sent with the beginning of its body.
fn hang_up() -> Response {
    let lost = futures::stream::once(async { Err::<Bytes, _>(io::Error::from(io::ErrorKind::ConnectionAborted)) });
    Response::new(Body::from_stream(lost))
}

/// What a phone asks for.
#[derive(Debug, Deserialize)]
struct Poll {
    /// How many of its messages the phone has; without it, the answer comes at once.
    after: Option<usize>,
    /// Only messages of this page.
    page: Option<String>,
}

/// The messages to a contact from one on, as soon as there is one.
async fn phone(State(known): State<Knowledge>, Path(contact): Path<String>, Query(poll): Query<Poll>) -> Json<Value> {
    let is_own = |sent: &&Sent| sent.contact_id == contact && poll.page.as_ref().is_none_or(|page| *page == sent.page);
    let own = |known: &Known| known.sent.iter().filter(is_own).cloned().collect::<Vec<_>>();
    if let Some(after) = poll.after {
        let mut changes = known.subscribe();
        // Nothing new is an answer too.
        let _ = tokio::time::timeout(POLL, changes.wait_for(|known| own(known).len() > after)).await;
    }
    let messages = own(&known.borrow());
    let new = messages.get(poll.after.unwrap_or_default()..).unwrap_or_default();
    Json(json!({ "messages": new, "after": messages.len() }))
}

/// The body of `PUT /_mode`.
#[derive(Debug, Serialize, Deserialize)]
struct NewMode {
    mode: Mode,
}

async fn change_mode(State(known): State<Knowledge>, Json(new): Json<NewMode>) -> Json<NewMode> {
    known.send_modify(|known| known.mode = new.mode);
    Json(new)
}

#[cfg(test)]
mod tests {
    use reqwest::Client;
    use shared::{
        manychat::{KeyError, ManyChat, Rejection, SendError},
        sealed::{KeyRing, Secret},
        settings::{Settings, SettingsMap},
    };
    use uuid::Uuid;

    use super::*;

    /// The product's own client, which is what must not be able to tell the difference.
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
        Client::builder().timeout(PATIENCE).no_proxy().build().unwrap()
    }

    fn texts(sent: &[Sent]) -> Vec<(&str, &str, &str)> {
        sent.iter().map(|sent| (sent.page.as_str(), sent.contact_id.as_str(), sent.text.as_str())).collect()
    }

    #[tokio::test]
    async fn what_is_sent_is_kept_in_order_with_its_page() {
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
    async fn its_bad_days_are_those_of_the_real_one() {
        let fake = FakeManyChat::start().await.unwrap();
        let (client, key) = (client(&fake), secret(KEYS[0]));
        let outcome = async |mode| {
            fake.set_mode(mode);
            client.send_text(&key, "132", "Bonjour").await.unwrap_err()
        };
        let wait = Some(Duration::from_secs(RETRY_AFTER_S));
        assert!(matches!(
            outcome(Mode::TooManyRequests).await,
            SendError::Transient { retry_after, .. } if retry_after == wait
        ));
        assert!(matches!(outcome(Mode::ServerError).await, SendError::Transient { retry_after: None, .. }));
        assert!(matches!(outcome(Mode::ErrorWith200).await, SendError::Permanent(Rejection::Rejected, _)));
        assert!(matches!(outcome(Mode::WindowClosed).await, SendError::Permanent(Rejection::WindowClosed, _)));
        assert_eq!(fake.sent(), []);

        assert!(matches!(outcome(Mode::AnswerLost).await, SendError::Transient { retry_after: None, .. }));
        assert_eq!((fake.sent_to("132").len(), fake.calls()), (1, 5), "it arrived, and nobody was told");

        fake.set_mode(Mode::Slow);
        client.send_text(&key, "132", "Enfin").await.unwrap();
        assert_eq!(fake.sent_to("132"), ["Bonjour", "Enfin"]);
    }

    #[tokio::test]
    async fn keys_are_tried_as_the_real_one_tries_them() {
        let fake = FakeManyChat::start().await.unwrap();
        let client = client(&fake);
        client.try_key(KEYS[0]).await.unwrap();
        assert!(matches!(client.try_key("1001:another").await, Err(KeyError::Invalid)));
        for mode in [Mode::TooManyRequests, Mode::ServerError, Mode::AnswerLost] {
            fake.set_mode(mode);
            assert!(matches!(client.try_key(KEYS[0]).await, Err(KeyError::Unavailable(_))), "{mode:?}");
        }
        let refused = client.send_text(&secret("1001:another"), "132", "Bonjour").await.unwrap_err();
        assert!(matches!(refused, SendError::Permanent(Rejection::InvalidKey, _)));
        assert_eq!(fake.sent(), []);
    }

    #[tokio::test]
    async fn what_the_real_one_refuses_is_refused() {
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
    async fn calls_can_be_held_and_nothing_is_sent_meanwhile() {
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
    async fn a_phone_gets_its_own_messages_as_they_come() {
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
    async fn the_mode_is_switched_over_http_too() {
        let fake = FakeManyChat::start().await.unwrap();
        let put = async |body: Value| {
            let request = http().put(format!("{}/_mode", fake.base_url())).json(&body);
            request.send().await.unwrap().status().as_u16()
        };
        assert_eq!(put(json!({ "mode": "3011" })).await, 200);
        let refused = client(&fake).send_text(&secret(KEYS[0]), "132", "Bonjour").await.unwrap_err();
        assert!(matches!(refused, SendError::Permanent(Rejection::WindowClosed, _)));
        assert_eq!(put(json!({ "mode": "moody" })).await, 422);
    }
}
