//! One function, as Lambda runs it: started at its first event, ended at its timeout, alone in its failures.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{body::Body, http::Response};
use futures::StreamExt;
use lambda_http::{Adapter, StreamAdapter, request::LambdaRequest};
use lambda_runtime::{Context, LambdaEvent};
use serde_json::Value;
use shared::{
    function::{Function, Handler},
    logging,
    settings::SettingsMap,
};
use tokio::{sync::OnceCell, task::JoinSet};
use tower::Service;
use uuid::Uuid;

/// A function with its settings.
pub struct Lambda {
    function: Function,
    timeout: Duration,
    settings: SettingsMap,
    handler: OnceCell<Handler>,
}

/// Why an event got no answer. What the caller may see of it is the caller's business.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It does not start.
    #[error("{0} does not start: {1}")]
    Start(&'static str, String),
    /// It said so, or panicked.
    #[error("{0} failed: {1}")]
    Event(&'static str, String),
    /// It took longer than the template allows.
    #[error("{0} took longer than {1:?}")]
    Timeout(&'static str, Duration),
}

impl Lambda {
    /// A function that is started at its first event.
    #[must_use]
    pub fn new(function: Function, timeout: Duration, settings: SettingsMap) -> Self {
        Self { function, timeout, settings, handler: OnceCell::new() }
    }

    /// Its name in the template.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.function.name
    }

    /// Starts it, if that was not done yet. A start that failed is tried again by the next event, as Lambda does.
    ///
    /// # Errors
    /// [`Failure::Start`].
    pub async fn start(&self) -> Result<&Handler, Failure> {
        let start = || self.function.start(self.settings.clone());
        let started = self.handler.get_or_try_init(|| Box::pin(start())).await;
        started.map_err(|error| Failure::Start(self.name(), logging::chain(error.as_ref())))
    }

    /// Whether its answers are told while they are made.
    #[must_use]
    pub fn streams(&self) -> bool {
        self.function.streams
    }

    /// Handles one event with an answer that is told while it is made. At the timeout it ends, wherever it is.
    ///
    /// # Errors
    /// As [`Lambda::invoke`], before the answer begins.
    pub async fn stream(&self, event: Value) -> Result<Response<Body>, Failure> {
        let Handler::Http(router) = self.start().await?.clone() else {
            return Err(Failure::Event(self.name(), "it takes no requests".to_owned()));
        };
        let ends = tokio::time::Instant::now() + self.timeout;
        let deadline = SystemTime::now() + self.timeout;
        let mut task = JoinSet::new();
        task.spawn(async move { streamed(router, &event, deadline).await });
        let response = match tokio::time::timeout_at(ends, task.join_next()).await {
            Err(_) => return Err(Failure::Timeout(self.name(), self.timeout)),
            Ok(Some(Ok(answer))) => answer.map_err(|error| Failure::Event(self.name(), error))?,
            Ok(Some(Err(error))) => return Err(Failure::Event(self.name(), error.to_string())),
            Ok(None) => return Err(Failure::Event(self.name(), "it never ran".to_owned())),
        };
        let end = Box::pin(tokio::time::sleep_until(ends));
        Ok(response.map(|body| Body::from_stream(body.into_data_stream().take_until(end))))
    }

    /// Handles one event and returns the answer, as the Runtime API would get it.
    ///
    /// # Errors
    /// [`Failure`]; a panic is one, and ends nothing else.
    pub async fn invoke(&self, event: Value) -> Result<Value, Failure> {
        let handler = self.start().await?.clone();
        let deadline = SystemTime::now() + self.timeout;
        // A task of its own, so that a panic stays in it; dropped with the set, it is cancelled.
        let mut task = JoinSet::new();
        task.spawn(async move {
            match handler {
                Handler::Http(router) => http(router, &event, deadline).await,
                Handler::Event(handle) => handle(event).await.map_err(|error| logging::chain(error.as_ref())),
            }
        });
        match tokio::time::timeout(self.timeout, task.join_next()).await {
            Err(_) => Err(Failure::Timeout(self.name(), self.timeout)),
            Ok(Some(Ok(answer))) => answer.map_err(|error| Failure::Event(self.name(), error)),
            Ok(Some(Err(error))) => Err(Failure::Event(self.name(), error.to_string())),
            Ok(None) => Err(Failure::Event(self.name(), "it never ran".to_owned())),
        }
    }
}

/// Runs the function's own lambda_http service.
async fn http(router: axum::Router, event: &Value, deadline: SystemTime) -> Result<Value, String> {
    // The adapter is not Sync, so it must be gone before the answer is waited for.
    let answering = Adapter::from(router).call(invocation(event, deadline)?);
    let Ok(answer) = answering.await;
    serde_json::to_value(answer).map_err(|error| error.to_string())
}

/// The same, with the answer as the Runtime API would get it bit by bit: first status and headers, then the body.
async fn streamed(router: axum::Router, event: &Value, deadline: SystemTime) -> Result<Response<Body>, String> {
    let answering = StreamAdapter::from(router).call(invocation(event, deadline)?);
    let Ok(answer) = answering.await;
    let prelude = answer.metadata_prelude;
    let mut response = Response::new(Body::from_stream(answer.stream));
    *response.status_mut() = prelude.status_code;
    *response.headers_mut() = prelude.headers;
    // Lambda says itself how long the body is.
    response.headers_mut().remove(axum::http::header::CONTENT_LENGTH);
    Ok(response)
}

fn invocation(event: &Value, deadline: SystemTime) -> Result<LambdaEvent<LambdaRequest>, String> {
    // From text: the type tells its forms apart by the raw JSON.
    let request: LambdaRequest = serde_json::from_str(&event.to_string()).map_err(|error| error.to_string())?;
    let mut context = Context::default();
    context.request_id = Uuid::new_v4().to_string();
    let deadline_ms = deadline.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    context.deadline = u64::try_from(deadline_ms).unwrap_or(u64::MAX);
    Ok(LambdaEvent::new(request, context))
}

impl fmt::Debug for Lambda {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its settings hold secrets.
        write!(out, "Lambda({})", self.name())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::{
        function::{BoxError, EventFunction},
        settings::Settings,
    };

    use super::*;

    /// Does what its event says.
    #[derive(Clone)]
    struct Obedient;

    impl EventFunction for Obedient {
        const NAME: &'static str = "obedient";

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
        let function = Function::event::<Obedient>();
        let lambda = Lambda::new(function, Duration::from_millis(50), SettingsMap::new());
        assert!(
            matches!(lambda.invoke(json!("fail")).await, Err(Failure::Event("obedient", cause)) if cause == "as told")
        );
        assert!(matches!(lambda.invoke(json!("panic")).await, Err(Failure::Event(..))));
        assert!(matches!(lambda.invoke(json!("hang")).await, Err(Failure::Timeout(..))));
        assert_eq!(lambda.invoke(json!("echo")).await.unwrap(), json!("echo"));
    }

    #[tokio::test]
    async fn a_function_without_its_settings_does_not_start() {
        let lambda = Lambda::new(migrate::FUNCTION, Duration::from_secs(1), SettingsMap::new());
        let error = lambda.invoke(json!({})).await.unwrap_err().to_string();
        assert!(error.contains("MIGRATE_DATABASE_URL is missing"), "{error}");
    }
}
