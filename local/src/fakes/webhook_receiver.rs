//! A company's own server that receives webhooks, on a loopback port. It records each request and answers as a test says.
//! The setting OUTBOUND_LOCAL_SITES puts it behind a name.

use std::{
    collections::VecDeque,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header},
};
use serde_json::Value;
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

/// Largest body that the receiver takes, in bytes.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// A request that the receiver got.
#[derive(Debug, Clone)]
pub struct ReceivedWebhook {
    /// Path and query.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, byte for byte.
    pub body: Bytes,
}

impl ReceivedWebhook {
    /// A header's value; empty when there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as JSON; null when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// An answer of the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiverReply {
    /// An empty body with this status.
    Status(u16),
    /// An empty body with a status, and with `Retry-After` in seconds.
    RetryAfter(u16, u32),
    /// A redirect (307) to this URL.
    Redirect(&'static str),
    /// 200 with a body of this many bytes.
    Large(usize),
    /// No answer, until [`FakeReceiver::release`] is called; then 200.
    Hang,
    /// No answer, until [`FakeReceiver::release`] is called; then this status.
    HangThen(u16),
}

#[derive(Debug)]
struct ReceiverState {
    replies: Mutex<VecDeque<ReceiverReply>>,
    always: Mutex<ReceiverReply>,
    received: watch::Sender<Vec<ReceivedWebhook>>,
    is_released: watch::Sender<bool>,
}

/// A running receiver. Dropping it stops the server.
#[derive(Debug)]
pub struct FakeReceiver {
    state: Arc<ReceiverState>,
    address: SocketAddr,
    _serving: JoinSet<io::Result<()>>,
}

impl FakeReceiver {
    /// Starts a receiver on a free port of 127.0.0.1, which answers 204.
    ///
    /// # Errors
    /// Fails when no port is free.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port is free on 127.0.0.1")?;
        let address = listener.local_addr().context("the address of the receiver cannot be read")?;
        let state = Arc::new(ReceiverState {
            replies: Mutex::default(),
            always: Mutex::new(ReceiverReply::Status(204)),
            received: watch::Sender::default(),
            is_released: watch::Sender::default(),
        });
        let router = Router::new().fallback(receive).with_state(Arc::clone(&state));
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await });
        Ok(Self { state, address, _serving: serving })
    }

    /// The address, for OUTBOUND_LOCAL_SITES.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Queues answers for the next requests, one each. Later requests get the usual answer.
    pub fn reply(&self, replies: &[ReceiverReply]) {
        self.state.replies.lock().unwrap_or_else(PoisonError::into_inner).extend(replies);
    }

    /// Sets the usual answer.
    pub fn always(&self, reply: ReceiverReply) {
        *self.state.always.lock().unwrap_or_else(PoisonError::into_inner) = reply;
    }

    /// Answers all requests that wait because of [`ReceiverReply::Hang`], and later ones at once.
    pub fn release(&self) {
        self.state.is_released.send_replace(true);
    }

    /// All requests so far, in order.
    #[must_use]
    pub fn received(&self) -> Vec<ReceivedWebhook> {
        self.state.received.borrow().clone()
    }
}

async fn receive(State(state): State<Arc<ReceiverState>>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY_BYTES).await else {
        return answer(StatusCode::PAYLOAD_TOO_LARGE, Body::empty());
    };
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let received = ReceivedWebhook { path, headers: head.headers, body };
    // The reply is chosen before the request is recorded, so a test that has seen the request may queue the next reply.
    let next = state.replies.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let reply = next.unwrap_or_else(|| *state.always.lock().unwrap_or_else(PoisonError::into_inner));
    state.received.send_modify(|all| all.push(received));
    match reply {
        ReceiverReply::Status(status) => answer(status_of(status), Body::empty()),
        ReceiverReply::RetryAfter(status, seconds) => {
            let mut response = answer(status_of(status), Body::empty());
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            response
        }
        ReceiverReply::Redirect(location) => {
            let mut response = answer(StatusCode::TEMPORARY_REDIRECT, Body::empty());
            response.headers_mut().insert(HeaderName::from_static("location"), HeaderValue::from_static(location));
            response
        }
        ReceiverReply::Large(bytes) => answer(StatusCode::OK, Body::from(vec![b'x'; bytes])),
        ReceiverReply::Hang => answer_when_released(&state, 200).await,
        ReceiverReply::HangThen(status) => answer_when_released(&state, status).await,
    }
}

async fn answer_when_released(state: &ReceiverState, status: u16) -> Response<Body> {
    // An error means that the receiver is gone.
    let _ = state.is_released.subscribe().wait_for(|is_released| *is_released).await;
    answer(status_of(status), Body::empty())
}

fn status_of(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn answer(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}
