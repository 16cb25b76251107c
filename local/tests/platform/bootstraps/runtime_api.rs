//! Lambda's Runtime API for one program: gives it one event, and takes what it says.

use std::{path::Path, process::Stdio, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path as UrlPath, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use chrono::Utc;
use serde_json::Value;
use shared::settings::SettingsMap;
use tokio::{
    io::AsyncReadExt,
    net::TcpListener,
    process::Command,
    sync::{Mutex, mpsc},
    task::JoinSet,
};
use uuid::Uuid;

use super::logs::Logs;

/// Longer than any event here takes, also on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a program did with its event.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It answered.
    Response(Value),
    /// It said that the event failed, and why.
    Error(String),
    /// It ended, with this code.
    Ended(i32),
}

/// What became of it.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) outcome: Outcome,
    /// What it wrote to standard output.
    pub(crate) logs: Logs,
    /// The id that the Runtime API gave the event.
    pub(crate) request_id: String,
}

impl Run {
    /// The answer; there must be one.
    pub(crate) fn response(&self) -> &Value {
        match &self.outcome {
            Outcome::Response(response) => response,
            other => panic!("{other:?}\n{}", self.logs.text),
        }
    }
}

struct Api {
    request_id: String,
    event: Mutex<Option<Value>>,
    said: mpsc::UnboundedSender<Outcome>,
}

/// Runs a program with these settings and nothing else of the environment, until it has dealt with one event.
pub(crate) async fn run(program: &Path, settings: &SettingsMap, event: Value) -> Run {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (said, mut outcomes) = mpsc::unbounded_channel();
    let request_id = Uuid::new_v4().to_string();
    let api = Arc::new(Api { request_id: request_id.clone(), event: Mutex::new(Some(event)), said });
    let router = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .with_state(api);
    let mut server = JoinSet::new();
    server.spawn(async move { axum::serve(listener, router).await.unwrap() });

    let mut command = Command::new(program);
    command.env_clear().envs(settings).kill_on_drop(true).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env("AWS_LAMBDA_RUNTIME_API", address.to_string());
    for (name, value) in [("FUNCTION_NAME", "test"), ("FUNCTION_MEMORY_SIZE", "256"), ("FUNCTION_VERSION", "$LATEST")] {
        command.env(format!("AWS_LAMBDA_{name}"), value);
    }
    let mut child = command.spawn().unwrap();
    let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    // Read while it runs: a full pipe would stop it.
    let (mut text, mut errors) = (String::new(), String::new());
    let mut reading =
        Box::pin(async { tokio::try_join!(stdout.read_to_string(&mut text), stderr.read_to_string(&mut errors)) });
    let outcome = tokio::time::timeout(PATIENCE, async {
        tokio::select! {
            outcome = outcomes.recv() => outcome.unwrap(),
            // It closed its output: it has ended.
            read = &mut reading => {
                read.unwrap();
                Outcome::Ended(child.wait().await.unwrap().code().unwrap_or(-1))
            }
        }
    });
    let outcome = outcome.await.unwrap_or_else(|_| panic!("{} did nothing for {PATIENCE:?}", program.display()));
    if matches!(outcome, Outcome::Ended(_)) {
        drop(reading);
    } else {
        child.kill().await.unwrap();
        reading.await.unwrap();
    }
    // Lambda logs that too: what is written past the logs is no JSON, and may tell anything.
    assert_eq!(errors, "", "{}", program.display());
    Run { outcome, logs: Logs::read(text), request_id }
}

async fn next(State(api): State<Arc<Api>>) -> Response {
    let Some(event) = api.event.lock().await.take() else {
        // There is never another one.
        return std::future::pending().await;
    };
    let deadline_ms = Utc::now().timestamp_millis() + i64::try_from(PATIENCE.as_millis()).unwrap();
    let headers = [
        ("lambda-runtime-aws-request-id", api.request_id.clone()),
        ("lambda-runtime-deadline-ms", deadline_ms.to_string()),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:123456789012:function:test".to_owned()),
        ("lambda-runtime-trace-id", "Root=1-69230b5e-3f2f1b6c0a4d5e6f7a8b9c0d".to_owned()),
    ];
    let mut answered = Json(event).into_response();
    for (name, value) in headers {
        answered.headers_mut().insert(name, value.parse().unwrap());
    }
    answered
}

async fn response(
    State(api): State<Arc<Api>>,
    UrlPath(id): UrlPath<String>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    assert_eq!(id, api.request_id);
    let streams = headers.get("lambda-runtime-function-response-mode").is_some_and(|mode| mode == "streaming");
    let response = if streams { streamed(&body) } else { serde_json::from_slice(&body).unwrap() };
    // Nobody listens when a test has failed already.
    let _ = api.said.send(Outcome::Response(response));
    StatusCode::ACCEPTED
}

/// An answer that was told while it was made, in the shape of the others: status and headers as JSON, eight zeros, the
/// body.
fn streamed(answer: &[u8]) -> Value {
    let at = answer.windows(8).position(|window| window == [0; 8]).expect("the end of the head");
    let mut response: Value = serde_json::from_slice(&answer[..at]).unwrap();
    response["body"] = std::str::from_utf8(&answer[at + 8..]).unwrap().into();
    response
}

async fn error(State(api): State<Arc<Api>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    assert!(headers.contains_key("lambda-runtime-function-error-type"), "{headers:?}");
    let _ = api.said.send(Outcome::Error(String::from_utf8_lossy(&body).into_owned()));
    StatusCode::ACCEPTED
}
