//! Runs one function as Lambda does: starts it at its first event, ends an invocation at the timeout, and contains
//! its failures.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use axum::{body::Body, http::Response};
use chrono::TimeDelta;
use futures::StreamExt;
use lambda_http::{Adapter, StreamAdapter, request::LambdaRequest};
use lambda_runtime::{Context, LambdaEvent};
use serde_json::Value;
use shared::{
    clock,
    function::{Function, Handler, StartedFunction},
    logging,
    settings::SettingsMap,
    telemetry::Telemetry,
};
use tokio::{sync::OnceCell, task::JoinSet};
use tower::Service;
use uuid::Uuid;

use crate::metrics;

/// A function with its settings and its timeout.
pub struct Lambda {
    function: Function,
    timeout: Duration,
    settings: SettingsMap,
    started: OnceCell<StartedFunction>,
    flushes: Flushes,
    /// Difference of the function's clock to the machine's, in seconds.
    clock_offset_s: AtomicI64,
}

/// The reason why an event got no answer. Callers decide how much of it a client sees.
#[derive(Debug, thiserror::Error)]
pub enum InvocationError {
    /// The function does not start.
    #[error("{0} does not start: {1}")]
    Start(&'static str, String),
    /// The handler returned an error or panicked.
    #[error("{0} failed: {1}")]
    Event(&'static str, String),
    /// The handler ran longer than the template's timeout.
    #[error("{0} took longer than {1:?}")]
    Timeout(&'static str, Duration),
}

impl Lambda {
    /// A function that starts at its first event.
    #[must_use]
    pub fn new(function: Function, timeout: Duration, settings: SettingsMap) -> Self {
        Self {
            function,
            timeout,
            settings,
            started: OnceCell::new(),
            flushes: Flushes::default(),
            clock_offset_s: AtomicI64::new(0),
        }
    }

    /// The function's name in the template.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.function.name
    }

    /// Moves the clock of all following events, for a test.
    pub fn set_clock_offset(&self, offset: TimeDelta) {
        self.clock_offset_s.store(offset.num_seconds(), Ordering::Relaxed);
    }

    fn clock_offset(&self) -> TimeDelta {
        TimeDelta::seconds(self.clock_offset_s.load(Ordering::Relaxed))
    }

    /// Starts the function unless it is running. A failed start is repeated at the next event, as Lambda does.
    ///
    /// # Errors
    /// Fails with [`InvocationError::Start`].
    pub async fn start(&self) -> Result<&StartedFunction, InvocationError> {
        let start = || self.function.start(self.settings.clone());
        let started = self.started.get_or_try_init(|| Box::pin(start())).await;
        started.map_err(|error| InvocationError::Start(self.name(), logging::chain(error.as_ref())))
    }

    /// True when the function streams its answers.
    #[must_use]
    pub fn streams(&self) -> bool {
        self.function.streams
    }

    /// Handles one event with a streamed answer. The stream is cut at the timeout.
    ///
    /// # Errors
    /// Fails like [`Lambda::invoke`] until the answer begins.
    pub async fn stream(&self, event: Value) -> Result<Response<Body>, InvocationError> {
        let StartedFunction { handler, telemetry } = self.start().await?.clone();
        let Handler::Http(router) = handler else {
            return Err(InvocationError::Event(self.name(), "it handles no requests".to_owned()));
        };
        let end_at = tokio::time::Instant::now() + self.timeout;
        let deadline = SystemTime::now() + self.timeout;
        let mut task = JoinSet::new();
        let offset = self.clock_offset();
        task.spawn(clock::with_offset(offset, async move { handle_streaming(router, &event, deadline).await }));
        let response = match tokio::time::timeout_at(end_at, task.join_next()).await {
            Err(_) => return Err(InvocationError::Timeout(self.name(), self.timeout)),
            Ok(Some(Ok(answer))) => answer.map_err(|error| InvocationError::Event(self.name(), error))?,
            Ok(Some(Err(error))) => return Err(InvocationError::Event(self.name(), error.to_string())),
            Ok(None) => return Err(InvocationError::Event(self.name(), "it never ran".to_owned())),
        };
        let end = Box::pin(tokio::time::sleep_until(end_at));
        let flush = FlushOnDrop { flushes: self.flushes.clone(), telemetry };
        Ok(response.map(|body| {
            let data = body.into_data_stream().take_until(end);
            Body::from_stream(data.inspect(move |_| _ = &flush))
        }))
    }

    /// Handles one event and returns the answer as the Runtime API would receive it.
    ///
    /// # Errors
    /// Fails with [`InvocationError`]. A panic is an error, and the function stays usable.
    pub async fn invoke(&self, event: Value) -> Result<Value, InvocationError> {
        let StartedFunction { handler, telemetry } = self.start().await?.clone();
        let _flush = FlushOnDrop { flushes: self.flushes.clone(), telemetry };
        let deadline = SystemTime::now() + self.timeout;
        // A task of its own contains a panic. Dropping the set cancels the task.
        let mut task = JoinSet::new();
        let offset = self.clock_offset();
        task.spawn(clock::with_offset(offset, async move {
            match handler {
                Handler::Http(router) => handle_buffered(router, &event, deadline).await,
                Handler::Event(handle) => handle(event).await.map_err(|error| logging::chain(error.as_ref())),
            }
        }));
        match tokio::time::timeout(self.timeout, task.join_next()).await {
            Err(_) => Err(InvocationError::Timeout(self.name(), self.timeout)),
            Ok(Some(Ok(answer))) => answer.map_err(|error| InvocationError::Event(self.name(), error)),
            Ok(Some(Err(error))) => Err(InvocationError::Event(self.name(), error.to_string())),
            Ok(None) => Err(InvocationError::Event(self.name(), "it never ran".to_owned())),
        }
    }
}

/// The exports of traces that are under way. Dropping the last clone ends them.
#[derive(Clone, Default)]
struct Flushes(Arc<Mutex<JoinSet<()>>>);

/// Exports the traces of an event when the answer is complete, beside whatever comes next.
struct FlushOnDrop {
    flushes: Flushes,
    telemetry: Telemetry,
}

impl Drop for FlushOnDrop {
    fn drop(&mut self) {
        let mut flushes = self.flushes.0.lock().unwrap_or_else(PoisonError::into_inner);
        while flushes.try_join_next().is_some() {}
        // The stack may be dropped outside of its runtime.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let telemetry = self.telemetry.clone();
            flushes.spawn_on(async move { telemetry.flush(Duration::MAX).await }, &runtime);
        }
    }
}

impl Lambda {
    /// Handles one event as [`Lambda::invoke`] does, and records the invocation in the metrics.
    ///
    /// # Errors
    /// Fails like [`Lambda::invoke`].
    pub async fn invoke_measured(&self, event: Value) -> Result<Value, InvocationError> {
        let started = Instant::now();
        let outcome = self.invoke(event).await;
        metrics::record_invocation(self.name(), outcome.is_err(), started.elapsed());
        outcome
    }

    /// Handles one event as [`Lambda::stream`] does, and records the invocation in the metrics. The duration is that until
    /// the answer begins.
    ///
    /// # Errors
    /// Fails like [`Lambda::stream`].
    pub async fn stream_measured(&self, event: Value) -> Result<Response<Body>, InvocationError> {
        let started = Instant::now();
        let outcome = self.stream(event).await;
        metrics::record_invocation(self.name(), outcome.is_err(), started.elapsed());
        outcome
    }
}

/// Handles a request through the lambda_http adapter, buffering the answer.
async fn handle_buffered(router: axum::Router, event: &Value, deadline: SystemTime) -> Result<Value, String> {
    // The adapter is not Sync, so it must be dropped before the await.
    let answering = Adapter::from(router).call(invocation(event, deadline)?);
    let Ok(answer) = answering.await;
    serde_json::to_value(answer).map_err(|error| error.to_string())
}

/// Handles a request through the lambda_http stream adapter: first status and headers, then the body in pieces.
async fn handle_streaming(router: axum::Router, event: &Value, deadline: SystemTime) -> Result<Response<Body>, String> {
    let answering = StreamAdapter::from(router).call(invocation(event, deadline)?);
    let Ok(answer) = answering.await;
    let prelude = answer.metadata_prelude;
    let mut response = Response::new(Body::from_stream(answer.stream));
    *response.status_mut() = prelude.status_code;
    *response.headers_mut() = prelude.headers;
    // Lambda sends a streamed body without a length.
    response.headers_mut().remove(axum::http::header::CONTENT_LENGTH);
    Ok(response)
}

fn invocation(event: &Value, deadline: SystemTime) -> Result<LambdaEvent<LambdaRequest>, String> {
    // Parsed from text: `LambdaRequest` tells its variants apart by the raw JSON.
    let request: LambdaRequest = serde_json::from_str(&event.to_string()).map_err(|error| error.to_string())?;
    let mut context = Context::default();
    context.request_id = Uuid::new_v4().to_string();
    let deadline_ms = deadline.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    context.deadline = u64::try_from(deadline_ms).unwrap_or(u64::MAX);
    Ok(LambdaEvent::new(request, context))
}

impl fmt::Debug for Lambda {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The settings hold secrets, so they are left out.
        write!(out, "Lambda({})", self.name())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::{error::BoxError, function::EventFunction, settings::Settings};

    use super::*;

    /// A function whose events say how it behaves.
    #[derive(Clone)]
    struct Scripted;

    impl EventFunction for Scripted {
        const NAME: &'static str = "scripted";

        fn read(_: &mut Settings) -> Self {
            Self
        }

        async fn handle(&self, event: Value) -> Result<Value, BoxError> {
            match event.as_str() {
                Some("fail") => Err("as told".into()),
                Some("panic") => panic!("as told"),
                Some("hang") => std::future::pending().await,
                _ => Ok(event),
            }
        }
    }

    #[tokio::test]
    async fn a_failure_ends_neither_the_function_nor_the_stack() {
        let function = Function::event::<Scripted>();
        let lambda = Lambda::new(function, Duration::from_millis(50), SettingsMap::new());
        assert!(
            matches!(lambda.invoke(json!("fail")).await, Err(InvocationError::Event("scripted", cause)) if cause == "as told")
        );
        assert!(matches!(lambda.invoke(json!("panic")).await, Err(InvocationError::Event(..))));
        assert!(matches!(lambda.invoke(json!("hang")).await, Err(InvocationError::Timeout(..))));
        assert_eq!(lambda.invoke(json!("echo")).await.unwrap(), json!("echo"));
    }

    #[tokio::test]
    async fn a_function_without_its_settings_does_not_start() {
        let lambda = Lambda::new(migrate::FUNCTION, Duration::from_secs(1), SettingsMap::new());
        let error = lambda.invoke(json!({})).await.unwrap_err().to_string();
        assert!(error.contains("MIGRATE_DATABASE_URL is missing"), "{error}");
    }
}
