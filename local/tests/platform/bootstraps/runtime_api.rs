//! Lambda's Runtime API for one program: gives the program one event and receives its response.

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
    sync::{Mutex, Notify, mpsc},
    task::JoinSet,
};
use uuid::Uuid;

use super::logs::ProgramLogs;

/// Timeout of one event: longer than any event of the tests takes, also on a busy machine.
const EVENT_TIMEOUT: Duration = Duration::from_secs(60);

/// Result of a program's event.
#[derive(Debug)]
pub(crate) enum ProgramOutcome {
    /// The program answered.
    Response(Value),
    /// The program reported that the event failed, with this body.
    Error(String),
    /// The program ended with this exit code, -1 after a signal.
    Ended(i32),
}

/// A finished run of a program.
#[derive(Debug)]
pub(crate) struct ProgramRun {
    pub(crate) outcome: ProgramOutcome,
    /// Standard output of the program.
    pub(crate) logs: ProgramLogs,
    /// Request id that the Runtime API gave the event.
    pub(crate) request_id: String,
}

impl ProgramRun {
    /// The response. Panics when the program gave none.
    pub(crate) fn response(&self) -> &Value {
        match &self.outcome {
            ProgramOutcome::Response(response) => response,
            other => panic!("{other:?}\n{}", self.logs.text),
        }
    }
}

/// State of the Runtime API.
struct RuntimeApi {
    request_id: String,
    /// The event, until the program fetches it.
    event: Mutex<Option<Value>>,
    outcome_sender: mpsc::UnboundedSender<ProgramOutcome>,
    /// Notified when the program asks for another event. Lambda freezes the process then.
    is_idle: Notify,
}

/// Runs a program until it has answered one event and asks for another, or has ended. Its environment has the settings and Lambda's variables
/// only.
pub(crate) async fn run(program: &Path, settings: &SettingsMap, event: Value) -> ProgramRun {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (outcome_sender, mut outcomes) = mpsc::unbounded_channel();
    let request_id = Uuid::new_v4().to_string();
    let api = Arc::new(RuntimeApi {
        request_id: request_id.clone(),
        event: Mutex::new(Some(event)),
        outcome_sender,
        is_idle: Notify::new(),
    });
    let router = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .with_state(Arc::clone(&api));
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
    // Read while the program runs, because a full pipe would block it.
    let (mut text, mut errors) = (String::new(), String::new());
    let mut reading =
        Box::pin(async { tokio::try_join!(stdout.read_to_string(&mut text), stderr.read_to_string(&mut errors)) });
    let outcome = tokio::time::timeout(EVENT_TIMEOUT, async {
        tokio::select! {
            outcome = outcomes.recv() => {
                // What follows the response runs before the process is frozen.
                api.is_idle.notified().await;
                outcome.unwrap()
            }
            // The program closed its output, so that it has ended.
            read = &mut reading => {
                read.unwrap();
                ProgramOutcome::Ended(child.wait().await.unwrap().code().unwrap_or(-1))
            }
        }
    });
    let outcome = outcome.await.unwrap_or_else(|_| panic!("{} did nothing for {EVENT_TIMEOUT:?}", program.display()));
    if matches!(outcome, ProgramOutcome::Ended(_)) {
        drop(reading);
    } else {
        child.kill().await.unwrap();
        reading.await.unwrap();
    }
    // Lambda logs standard error too. Text there is no JSON line of the logger, and may contain secrets.
    assert_eq!(errors, "", "{}", program.display());
    ProgramRun { outcome, logs: ProgramLogs::read(text), request_id }
}

async fn next(State(api): State<Arc<RuntimeApi>>) -> Response {
    let Some(event) = api.event.lock().await.take() else {
        // The test has only one event.
        api.is_idle.notify_one();
        return std::future::pending().await;
    };
    let deadline_ms = Utc::now().timestamp_millis() + i64::try_from(EVENT_TIMEOUT.as_millis()).unwrap();
    let headers = [
        ("lambda-runtime-aws-request-id", api.request_id.clone()),
        ("lambda-runtime-deadline-ms", deadline_ms.to_string()),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:123456789012:function:test".to_owned()),
        ("lambda-runtime-trace-id", "Root=1-69230b5e-3f2f1b6c0a4d5e6f7a8b9c0d".to_owned()),
    ];
    let mut response = Json(event).into_response();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

async fn response(
    State(api): State<Arc<RuntimeApi>>,
    UrlPath(id): UrlPath<String>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    assert_eq!(id, api.request_id);
    let streams = headers.get("lambda-runtime-function-response-mode").is_some_and(|mode| mode == "streaming");
    let response = if streams { read_streamed(&body) } else { serde_json::from_slice(&body).unwrap() };
    // Sending fails when the test has failed already.
    let _ = api.outcome_sender.send(ProgramOutcome::Response(response));
    StatusCode::ACCEPTED
}

/// Converts a streamed response into the shape of the others. A streamed response is a JSON head with status and
/// headers, eight zero bytes, and the body.
fn read_streamed(answer: &[u8]) -> Value {
    let at = answer.windows(8).position(|window| window == [0; 8]).expect("the end of the head");
    let mut response: Value = serde_json::from_slice(&answer[..at]).unwrap();
    response["body"] = std::str::from_utf8(&answer[at + 8..]).unwrap().into();
    response
}

async fn error(State(api): State<Arc<RuntimeApi>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    assert!(headers.contains_key("lambda-runtime-function-error-type"), "{headers:?}");
    let _ = api.outcome_sender.send(ProgramOutcome::Error(String::from_utf8_lossy(&body).into_owned()));
    StatusCode::ACCEPTED
}
