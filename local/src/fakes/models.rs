//! Model servers. One speaks every shape, by the path that is called: OpenAI's, as Groq, DeepSeek and Ollama do,
//! Gemini's, Anthropic's, and those of embeddings.

mod script;
mod shape;
mod stream;
mod talker;

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

pub use script::Reply;
pub use stream::Step;

use shape::Shape;

/// A running server. Dropped, it ends.
#[derive(Debug)]
pub struct FakeModels {
    address: SocketAddr,
    shared: Arc<Shared>,
    _serving: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    inner: Mutex<Inner>,
    /// Whether requests wait for [`FakeModels::release`].
    holds: watch::Sender<bool>,
    arrived: Notify,
    /// One permit a [`FakeModels::go_on`].
    goes_on: Semaphore,
}

#[derive(Debug, Default)]
struct Inner {
    script: script::Script,
    /// Of vectors; otherwise as asked for.
    dimensions: Option<usize>,
    requests: Vec<Request>,
    /// How many wait.
    held: usize,
    /// Replies that came bit by bit, whose end nobody waited for.
    abandoned: usize,
}

/// What the server was asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// The path with its query.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Value,
    /// The JPEG that its last message shows.
    pub image: Option<Vec<u8>>,
}

impl FakeModels {
    /// Starts one on a free port of the loopback interface. Without a script it answers every call with one sentence.
    ///
    /// # Errors
    /// No free port.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("a port for a fake model server")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            inner: Mutex::default(),
            holds: watch::Sender::new(false),
            arrived: Notify::new(),
            goes_on: Semaphore::new(0),
        });
        // A provider's words do not wait for each other's acknowledgement.
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

    /// Where it listens: the value of GROQ_BASE_URL and the like.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Puts a reply behind those that were put before. When all were given, the default one is given again and again.
    pub fn reply(&self, reply: Reply) {
        self.inner().script.queue.push_back(reply);
    }

    /// Puts a reply of this text.
    pub fn reply_text(&self, text: &str) {
        self.reply(Reply::Text(text.to_owned()));
    }

    /// Puts a reply that calls a tool.
    pub fn reply_tool(&self, name: &str, arguments: Value) {
        self.reply(Reply::Tool { name: name.to_owned(), arguments: arguments.to_string() });
    }

    /// Puts a reply that comes bit by bit.
    pub fn reply_steps(&self, steps: impl Into<Vec<Step>>) {
        self.reply(Reply::Steps(steps.into()));
    }

    /// Lets one [`Step::Wait`] go on, also one to come.
    pub fn go_on(&self) {
        self.shared.goes_on.add_permits(1);
    }

    /// Waits until a client went away before the end of a reply that came bit by bit.
    pub async fn is_abandoned(&self) {
        loop {
            let arrived = self.shared.arrived.notified();
            if self.inner().abandoned > 0 {
                return;
            }
            arrived.await;
        }
    }

    /// Puts a refusal with this status, as the provider words it.
    pub fn fail(&self, status: u16) {
        self.reply(Reply::Refused { status, retry_after_s: None });
    }

    /// From now on vectors have this length, whatever is asked for.
    pub fn embed_with(&self, dimensions: usize) {
        self.inner().dimensions = Some(dimensions);
    }

    /// What is replied when the script is empty.
    pub fn always(&self, reply: Reply) {
        self.inner().script.default = reply;
    }

    /// How often it was asked.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.inner().requests.len()
    }

    /// The bodies of what it was asked, the oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Value> {
        self.inner().requests.iter().map(|request| request.body.clone()).collect()
    }

    /// All of what it was asked, the oldest first.
    #[must_use]
    pub fn received(&self) -> Vec<Request> {
        self.inner().requests.clone()
    }

    /// From now on requests wait for [`FakeModels::release`].
    pub fn hold(&self) {
        self.shared.holds.send_replace(true);
    }

    /// Waits until a request is held.
    pub async fn is_met(&self) {
        loop {
            let arrived = self.shared.arrived.notified();
            if self.inner().held > 0 {
                return;
            }
            arrived.await;
        }
    }

    /// Lets the held requests go on, and those to come.
    pub fn release(&self) {
        self.shared.holds.send_replace(false);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.shared.inner()
    }
}

impl Shared {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn wait_while_held(self: &Arc<Self>) {
        let mut holds = self.holds.subscribe();
        if !*holds.borrow_and_update() {
            return;
        }
        let _held = Held::new(self);
        // The sender lives as long as the server.
        let _ = holds.wait_for(|holds| !holds).await;
    }
}

/// A request that waits; a client that goes away takes it along.
struct Held(Arc<Shared>);

impl Held {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.inner().held += 1;
        shared.arrived.notify_waiters();
        Self(Arc::clone(shared))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.inner().held -= 1;
    }
}

/// The body of `PUT /_mode`.
#[derive(Debug, Serialize, Deserialize)]
struct NewMode {
    mode: script::Mode,
}

async fn change_mode(State(shared): State<Arc<Shared>>, Json(new): Json<NewMode>) -> Json<NewMode> {
    shared.inner().script.default = new.mode.into();
    Json(new)
}

async fn answer(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap_or_else(|error| json!({ "unreadable": error.to_string() }));
    let path = uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let shape = Shape::of(&path);
    let Ok(image) = shape.image(&body) else {
        return Reply::Refused { status: 400, retry_after_s: None }.response(shape, &body);
    };
    let comes_bit_by_bit = stream::is_wanted(&path, &body);
    let (reply, dimensions) = {
        let mut inner = shared.inner();
        inner.requests.push(Request { path, headers, body: body.clone(), image });
        // Vectors come with every document, also where a script is for what follows.
        let reply = if shape.is_of_embeddings() { inner.script.next_refusal() } else { Some(inner.script.next()) };
        (reply, inner.dimensions)
    };
    shared.wait_while_held().await;
    let reply = reply.map(|reply| match reply {
        Reply::Talk => match talker::reply(&body) {
            Reply::Text(text) if comes_bit_by_bit => Reply::Steps(talker::steps(&text)),
            reply => reply,
        },
        reply => reply,
    });
    match reply {
        None => Json(shape.vectors(&body, dimensions)).into_response(),
        Some(Reply::Hang) => std::future::pending().await,
        Some(reply) => match stream::steps(&reply).filter(|_| comes_bit_by_bit) {
            Some(steps) => stream::response(&shared, shape, &reply, steps, &body),
            None => reply.response(shape, &body),
        },
    }
}
