//! A fake Sentry on a loopback port. It takes envelopes as Sentry does, rejects malformed ones, and keeps the events.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU16, Ordering},
    },
};

use anyhow::{Context, Result};
use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    routing::post,
};
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinSet};

/// The public key and the project of the DSN.
const KEY: &str = "0123456789abcdef0123456789abcdef";
const PROJECT: &str = "42";

/// A running fake Sentry. Dropping it stops the server.
#[derive(Debug)]
pub struct FakeSentry {
    address: SocketAddr,
    state: Arc<SentryState>,
    _serving: JoinSet<io::Result<()>>,
}

#[derive(Debug)]
struct SentryState {
    events: Mutex<Vec<Value>>,
    status: AtomicU16,
}

impl FakeSentry {
    /// Starts a fake on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// Fails when no port is free.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port is free on 127.0.0.1")?;
        let address = listener.local_addr().context("the address of the fake Sentry cannot be read")?;
        let state = Arc::new(SentryState { events: Mutex::default(), status: AtomicU16::new(200) });
        let router = Router::new().route("/api/{project}/envelope/", post(receive)).with_state(Arc::clone(&state));
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, state, _serving: serving })
    }

    /// The value for SENTRY_DSN.
    #[must_use]
    pub fn dsn(&self) -> String {
        format!("http://{KEY}@{}/{PROJECT}", self.address)
    }

    /// Answers all further envelopes with a status; the events of those with another than 200 are not kept.
    pub fn always(&self, status: u16) {
        self.state.status.store(status, Ordering::Relaxed);
    }

    /// The events that were taken, in order.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        self.state.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn receive(
    State(state): State<Arc<SentryState>>,
    Path(project): Path<String>,
    headers: HeaderMap,
    body: String,
) -> StatusCode {
    let status = StatusCode::from_u16(state.status.load(Ordering::Relaxed)).unwrap_or(StatusCode::OK);
    if status != StatusCode::OK {
        return status;
    }
    let auth = headers.get("x-sentry-auth").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if project != PROJECT
        || !auth.starts_with("Sentry sentry_version=7,")
        || !auth.ends_with(&format!("sentry_key={KEY}"))
    {
        return StatusCode::FORBIDDEN;
    }
    match read_event(&body) {
        Some(event) => {
            state.events.lock().unwrap_or_else(PoisonError::into_inner).push(event);
            StatusCode::OK
        }
        None => StatusCode::BAD_REQUEST,
    }
}

/// Reads the event of an envelope: a line of headers, a line of the item's headers with its length, and the item.
fn read_event(envelope: &str) -> Option<Value> {
    let (headers, items) = envelope.split_once('\n')?;
    let (item, payload) = items.split_once('\n')?;
    let [headers, item]: [Value; 2] = [serde_json::from_str(headers).ok()?, serde_json::from_str(item).ok()?];
    let length = usize::try_from(item["length"].as_u64()?).ok()?;
    let (event, rest) = payload.split_at_checked(length)?;
    let event: Value = serde_json::from_str(event).ok()?;
    let is_valid = item["type"] == "event" && headers["event_id"] == event["event_id"] && rest.trim().is_empty();
    let id = event["event_id"].as_str()?;
    (is_valid && id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(event)
}
