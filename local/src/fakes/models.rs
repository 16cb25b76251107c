//! Fake model servers. Each supports all providers' formats and chooses by the path: OpenAI's (also used by Groq,
//! DeepSeek and Ollama), Gemini's and Anthropic's, and the embedding formats of OpenAI and Gemini.

mod provider_format;
mod rule_based;
mod script;
mod stream;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context, Result};
use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
    routing::put,
    serve::ListenerExt,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{Notify, Semaphore, watch},
    task::JoinSet,
};

pub use script::FakeReply;
pub use stream::StreamStep;

use provider_format::ProviderFormat;

/// A running fake model server. Dropping it stops the server.
#[derive(Debug)]
pub struct FakeModels {
    address: SocketAddr,
    shared: Arc<ModelServer>,
    _serving: JoinSet<()>,
}

#[derive(Debug)]
struct ModelServer {
    inner: Mutex<ModelServerState>,
    /// True while requests are held until [`FakeModels::release`].
    is_holding: watch::Sender<bool>,
    changed: Notify,
    /// One permit per [`FakeModels::resume`].
    resume_permits: Semaphore,
}

#[derive(Debug, Default)]
struct ModelServerState {
    script: script::Script,
    /// The dimensions of embeddings; `None` for those of the request.
    dimensions: Option<usize>,
    requests: Vec<ModelRequest>,
    /// The number of held requests.
    held: usize,
    /// The number of streams that the client closed before their end.
    abandoned: usize,
}

/// A received request.
#[derive(Debug, Clone)]
pub struct ModelRequest {
    /// The path with the query.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Value,
    /// The JPEG in the last message.
    pub image: Option<Vec<u8>>,
}

impl FakeModels {
    /// Starts a server on a free port of the loopback interface. Without queued replies it answers every call with
    /// one sentence.
    ///
    /// # Errors
    /// Fails when no port is free.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("a port for a fake model server")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(ModelServer {
            inner: Mutex::default(),
            is_holding: watch::Sender::new(false),
            changed: Notify::new(),
            resume_permits: Semaphore::new(0),
        });
        // Without TCP_NODELAY, small pieces of a stream wait for the acknowledgement of the piece before.
        let listener = listener.tap_io(|connection| {
            if let Err(error) = connection.set_nodelay(true) {
                tracing::warn!(%error, "a connection delays small pieces");
            }
        });
        let router = Router::new().route("/_mode", put(change_mode)).fallback(answer).with_state(Arc::clone(&shared));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "a fake model server ended");
            }
        });
        Ok(Self { address, shared, _serving: serving })
    }

    /// The base URL: the value for GROQ_BASE_URL and similar settings.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Queues a reply. When the queue is empty, the default reply is used.
    pub fn reply(&self, reply: FakeReply) {
        self.inner().script.queue.push_back(reply);
    }

    /// Queues a text reply.
    pub fn reply_text(&self, text: &str) {
        self.reply(FakeReply::Text(text.to_owned()));
    }

    /// Queues a reply that calls a tool.
    pub fn reply_tool(&self, name: &str, arguments: Value) {
        self.reply(FakeReply::Tool { name: name.to_owned(), arguments: arguments.to_string() });
    }

    /// Queues a streamed reply.
    pub fn reply_steps(&self, steps: impl Into<Vec<StreamStep>>) {
        self.reply(FakeReply::Stream(steps.into()));
    }

    /// Lets one [`StreamStep::Wait`] continue, the current or the next one.
    pub fn resume(&self) {
        self.shared.resume_permits.add_permits(1);
    }

    /// Waits until a client has closed a stream before its end.
    pub async fn wait_for_abandoned_reply(&self) {
        loop {
            let arrived = self.shared.changed.notified();
            if self.inner().abandoned > 0 {
                return;
            }
            arrived.await;
        }
    }

    /// Queues an error with this status, in the provider's format.
    pub fn fail(&self, status: u16) {
        self.reply(FakeReply::Refused { status, retry_after_s: None });
    }

    /// Sets the dimensions of embeddings, overriding those of the requests.
    pub fn set_dimensions(&self, dimensions: usize) {
        self.inner().dimensions = Some(dimensions);
    }

    /// Sets the default reply, used when the queue is empty.
    pub fn always(&self, reply: FakeReply) {
        self.inner().script.default = reply;
    }

    /// The number of received requests.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.inner().requests.len()
    }

    /// The bodies of the received requests, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Value> {
        self.inner().requests.iter().map(|request| request.body.clone()).collect()
    }

    /// The received requests, oldest first.
    #[must_use]
    pub fn received(&self) -> Vec<ModelRequest> {
        self.inner().requests.clone()
    }

    /// Holds all requests from now on until [`FakeModels::release`].
    pub fn hold(&self) {
        self.shared.is_holding.send_replace(true);
    }

    /// Waits until a request is held.
    pub async fn wait_for_held_request(&self) {
        loop {
            let arrived = self.shared.changed.notified();
            if self.inner().held > 0 {
                return;
            }
            arrived.await;
        }
    }

    /// Waits until no request is held: each one continued, or its client has disconnected.
    pub async fn wait_until_none_is_held(&self) {
        loop {
            let changed = self.shared.changed.notified();
            if self.inner().held == 0 {
                return;
            }
            changed.await;
        }
    }

    /// Releases the held requests, and holds no further ones.
    pub fn release(&self) {
        self.shared.is_holding.send_replace(false);
    }

    fn inner(&self) -> MutexGuard<'_, ModelServerState> {
        self.shared.inner()
    }
}

impl ModelServer {
    fn inner(&self) -> MutexGuard<'_, ModelServerState> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn wait_while_held(self: &Arc<Self>) {
        let mut holds = self.is_holding.subscribe();
        if !*holds.borrow_and_update() {
            return;
        }
        let _held = HeldRequest::new(self);
        // The sender lives as long as the server, so this never fails.
        let _ = holds.wait_for(|holds| !holds).await;
    }
}

/// Counts a held request until it continues or its client disconnects.
struct HeldRequest(Arc<ModelServer>);

impl HeldRequest {
    fn new(shared: &Arc<ModelServer>) -> Self {
        shared.inner().held += 1;
        shared.changed.notify_waiters();
        Self(Arc::clone(shared))
    }
}

impl Drop for HeldRequest {
    fn drop(&mut self) {
        self.0.inner().held -= 1;
        self.0.changed.notify_waiters();
    }
}

/// The body of `PUT /_mode`.
#[derive(Debug, Serialize, Deserialize)]
struct NewMode {
    mode: script::ModelServerMode,
}

async fn change_mode(State(shared): State<Arc<ModelServer>>, Json(new): Json<NewMode>) -> Json<NewMode> {
    shared.inner().script.default = new.mode.into();
    Json(new)
}

async fn answer(State(shared): State<Arc<ModelServer>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap_or_else(|error| json!({ "unreadable": error.to_string() }));
    let path = uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let shape = ProviderFormat::from_path(&path);
    let Ok(image) = shape.image(&body) else {
        return FakeReply::Refused { status: 400, retry_after_s: None }.response(shape, &body);
    };
    let is_streaming = stream::wants_stream(&path, &body);
    let (reply, dimensions) = {
        let mut inner = shared.inner();
        inner.requests.push(ModelRequest { path, headers, body: body.clone(), image });
        // Embedding requests take only errors from the queue: every document needs vectors, also when the queue holds
        // the replies of a later chat.
        let reply = if shape.is_embedding_format() { inner.script.next_refusal() } else { Some(inner.script.next()) };
        (reply, inner.dimensions)
    };
    shared.wait_while_held().await;
    let reply = reply.map(|reply| match reply {
        FakeReply::RuleBased => match rule_based::reply(&body) {
            FakeReply::Text(text) if is_streaming => FakeReply::Stream(rule_based::steps(&text)),
            reply => reply,
        },
        FakeReply::RepeatsInstructions => rule_based::instructions(&body),
        reply => reply,
    });
    match reply {
        None => Json(shape.vectors(&body, dimensions)).into_response(),
        Some(FakeReply::Hang) => std::future::pending().await,
        Some(reply) => match stream::steps(&reply).filter(|_| is_streaming) {
            Some(steps) => stream::response(&shared, shape, &reply, steps, &body),
            None => reply.response(shape, &body),
        },
    }
}
