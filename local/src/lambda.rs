//! One function, as Lambda runs it: started at its first event, ended at its timeout, alone in its failures.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use lambda_http::{Adapter, request::LambdaRequest};
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
    // From text: the type tells its forms apart by the raw JSON.
    let request: LambdaRequest = serde_json::from_str(&event.to_string()).map_err(|error| error.to_string())?;
    let mut context = Context::default();
    context.request_id = Uuid::new_v4().to_string();
    let deadline_ms = deadline.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    context.deadline = u64::try_from(deadline_ms).unwrap_or(u64::MAX);
    // The adapter is not Sync, so it must be gone before the answer is waited for.
    let answering = Adapter::from(router).call(LambdaEvent::new(request, context));
    let Ok(answer) = answering.await;
    serde_json::to_value(answer).map_err(|error| error.to_string())
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
