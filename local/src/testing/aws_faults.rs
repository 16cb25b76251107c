//! A proxy in front of the stand-in for S3, SQS and Secrets Manager that answers requests with the errors of AWS.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, Response, StatusCode, header},
};
use reqwest::Client;
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinSet};

/// Largest body of a request: a part of an upload.
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;
/// Timeout of a request to the stand-in; longer than a long poll.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A fault with which the proxy answers a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AwsFault {
    /// 500 `InternalError`. The request has no effect.
    InternalError,
    /// 503 `SlowDown`. The request has no effect.
    SlowDown,
    /// The request takes effect, and 500 is answered.
    AnswerLost,
    /// No answer until the client gives up. The request has no effect.
    Silence,
}

/// A proxy before the stand-in for AWS. Dropping it closes its connections.
#[derive(Debug)]
pub struct AwsFaults {
    address: SocketAddr,
    server: Arc<FaultServer>,
    _serving: JoinSet<std::io::Result<()>>,
}

#[derive(Debug)]
struct FaultServer {
    endpoint: String,
    http: Client,
    fault: Mutex<Option<AwsFault>>,
    count: AtomicUsize,
    /// Messages that were sent, by the URL of their queue.
    messages: Mutex<HashMap<String, usize>>,
}

impl AwsFaults {
    /// Starts a proxy to the stand-in at `endpoint`, without a fault.
    ///
    /// # Errors
    /// Fails when no port is free.
    pub async fn start(endpoint: &str) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port is free on 127.0.0.1")?;
        let address = listener.local_addr().context("the address of the proxy cannot be read")?;
        let server = Arc::new(FaultServer {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            http: Client::builder().no_proxy().timeout(TIMEOUT).build()?,
            fault: Mutex::new(None),
            count: AtomicUsize::new(0),
            messages: Mutex::default(),
        });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&server));
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, server, _serving: serving })
    }

    /// The value for AWS_ENDPOINT_URL, without a trailing slash.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers all following requests with a fault; `None` ends it.
    pub fn set(&self, fault: Option<AwsFault>) {
        *self.server.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// The number of requests that met a fault.
    #[must_use]
    pub fn count(&self) -> usize {
        self.server.count.load(Ordering::SeqCst)
    }

    /// The number of messages that were sent to a queue.
    #[must_use]
    pub fn messages_to(&self, queue_url: &str) -> usize {
        let messages = self.server.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages.get(queue_url).copied().unwrap_or_default()
    }
}

async fn answer(State(server): State<Arc<FaultServer>>, request: Request) -> Response<Body> {
    let fault = *server.fault.lock().unwrap_or_else(PoisonError::into_inner);
    if fault.is_some() {
        server.count.fetch_add(1, Ordering::SeqCst);
    }
    let is_queue = request.headers().contains_key("x-amz-target");
    match fault {
        None => forward(&server, request).await,
        Some(AwsFault::InternalError) => trouble(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", is_queue),
        Some(AwsFault::SlowDown) => trouble(StatusCode::SERVICE_UNAVAILABLE, "SlowDown", is_queue),
        Some(AwsFault::AnswerLost) => {
            forward(&server, request).await;
            trouble(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", is_queue)
        }
        Some(AwsFault::Silence) => std::future::pending().await,
    }
}

/// Forwards a request to the stand-in. The header `Host` stays, because the signature covers it.
async fn forward(server: &FaultServer, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY_BYTES).await else {
        return trouble(StatusCode::BAD_REQUEST, "IncompleteBody", false);
    };
    if head.headers.get("x-amz-target").is_some_and(|target| target == "AmazonSQS.SendMessage") {
        let request: Value = serde_json::from_slice(&body).unwrap_or_default();
        let queue = request["QueueUrl"].as_str().unwrap_or_default().to_owned();
        *server.messages.lock().unwrap_or_else(PoisonError::into_inner).entry(queue).or_default() += 1;
    }
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut onward = server.http.request(head.method, format!("{}{path}", server.endpoint)).body(body);
    for (name, value) in head.headers.iter().filter(|(name, _)| **name != header::TRANSFER_ENCODING) {
        onward = onward.header(name, value);
    }
    let Ok(answer) = onward.send().await else { return trouble(StatusCode::BAD_GATEWAY, "BadGateway", false) };
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    headers.remove(header::TRANSFER_ENCODING);
    headers.remove(header::CONNECTION);
    let Ok(bytes) = answer.bytes().await else { return trouble(StatusCode::BAD_GATEWAY, "BadGateway", false) };
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// An error in the form of S3 or SQS.
fn trouble(status: StatusCode, code: &'static str, is_queue: bool) -> Response<Body> {
    let (kind, body) = if is_queue {
        ("application/x-amz-json-1.0", format!("{{\"__type\":\"com.amazonaws.sqs#{code}\",\"message\":\"try again\"}}"))
    } else {
        ("application/xml", format!("<Error><Code>{code}</Code><Message>try again</Message></Error>"))
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
