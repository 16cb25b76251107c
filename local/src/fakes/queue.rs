//! A fake SQS queue in this process: answers `SendMessage` immediately and stores the message, so that a benchmark
//! measures the function and not the AWS stand-in. All other requests are forwarded to the AWS stand-in.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{Response, StatusCode, header},
};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc, task::JoinSet, time::Instant};

/// SQS's limit for a message.
const MAX_MESSAGE_BYTES: usize = 1024 * 1024;

/// A stored message.
#[derive(Debug, Clone, PartialEq)]
pub struct QueuedMessage {
    /// The message's body.
    pub body: String,
    /// The time from which the message may be delivered.
    pub due: Instant,
}

/// A running fake queue. Dropping it stops the server.
#[derive(Debug)]
pub struct FakeQueue {
    address: SocketAddr,
    messages: Mutex<mpsc::UnboundedReceiver<QueuedMessage>>,
    _serving: JoinSet<std::io::Result<()>>,
}

#[derive(Debug)]
struct QueueServer {
    /// The endpoint of the AWS stand-in, which gets all requests but `SendMessage`.
    endpoint: String,
    http: Client,
    sent: AtomicU64,
    messages: mpsc::UnboundedSender<QueuedMessage>,
}

impl FakeQueue {
    /// Starts a queue in front of the AWS stand-in at `endpoint`.
    ///
    /// # Errors
    /// Fails when no port is free.
    pub async fn start(endpoint: &str) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port is free on 127.0.0.1")?;
        let address = listener.local_addr().context("the address of the queue cannot be read")?;
        let (messages, received) = mpsc::unbounded_channel();
        let serving = QueueServer {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            http: Client::builder().no_proxy().build()?,
            sent: AtomicU64::new(0),
            messages,
        };
        let router = Router::new().fallback(answer).with_state(Arc::new(serving));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, messages: Mutex::new(received), _serving: tasks })
    }

    /// The value for AWS_ENDPOINT_URL, without a trailing slash.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Removes and returns all stored messages, due or not, in order.
    #[must_use]
    pub fn drain(&self) -> Vec<QueuedMessage> {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| messages.try_recv().ok()).collect()
    }
}

async fn answer(State(serving): State<Arc<QueueServer>>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MAX_MESSAGE_BYTES).await else {
        return status(StatusCode::PAYLOAD_TOO_LARGE);
    };
    let target = head.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    if target == Some("AmazonSQS.SendMessage") {
        return keep(&serving, &body);
    }
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut onward = serving.http.request(head.method, format!("{}{path}", serving.endpoint)).body(body);
    for (name, value) in head.headers.iter().filter(|(name, _)| !matches!(**name, header::CONTENT_LENGTH)) {
        onward = onward.header(name, value);
    }
    match onward.send().await {
        Ok(answer) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = answer.status();
            *response.headers_mut() = answer.headers().clone();
            response.headers_mut().remove(header::TRANSFER_ENCODING);
            match answer.bytes().await {
                Ok(bytes) => *response.body_mut() = Body::from(bytes),
                Err(_) => return status(StatusCode::BAD_GATEWAY),
            }
            response
        }
        Err(_) => status(StatusCode::BAD_GATEWAY),
    }
}

fn keep(serving: &QueueServer, body: &Bytes) -> Response<Body> {
    let Ok(request) = serde_json::from_slice::<Value>(body) else { return status(StatusCode::BAD_REQUEST) };
    let Some(text) = request["MessageBody"].as_str() else { return status(StatusCode::BAD_REQUEST) };
    let delay = Duration::from_secs(request["DelaySeconds"].as_u64().unwrap_or_default());
    // The receiver may be gone: some tests do not read the messages.
    let _ = serving.messages.send(QueuedMessage { body: text.to_owned(), due: Instant::now() + delay });
    let number = serving.sent.fetch_add(1, Ordering::Relaxed);
    let answer = json!({ "MessageId": format!("00000000-0000-4000-8000-{number:012x}") });
    let mut response = Response::new(Body::from(answer.to_string()));
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/x-amz-json-1.0"));
    response
}

fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
