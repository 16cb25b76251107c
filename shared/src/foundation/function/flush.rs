//! Sends traces and reports of errors between the response to one event and the request for the next one.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use lambda_runtime::{LambdaInvocation, Service, tower::Layer};

use crate::{error_reports::ErrorReports, telemetry::Telemetry};

/// Time that is left to the runtime between the sending and the invocation's deadline.
const DEADLINE_MARGIN: Duration = Duration::from_millis(100);

/// A layer around the sending of the response. Lambda freezes the process when it asks for the next event, so both must
/// be sent before; and the caller has its answer by then.
#[derive(Debug, Clone)]
pub(super) struct FlushLayer {
    pub(super) telemetry: Telemetry,
    pub(super) reports: ErrorReports,
}

impl<S> Layer<S> for FlushLayer {
    type Service = Flushed<S>;

    fn layer(&self, inner: S) -> Flushed<S> {
        Flushed { inner, layer: self.clone() }
    }
}

/// The service of [`FlushLayer`].
#[derive(Debug)]
pub(super) struct Flushed<S> {
    inner: S,
    layer: FlushLayer,
}

impl<S> Service<LambdaInvocation> for Flushed<S>
where
    S: Service<LambdaInvocation, Response = ()>,
    S::Future: 'static,
{
    type Response = ();
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<(), S::Error>>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, invocation: LambdaInvocation) -> Self::Future {
        let deadline = UNIX_EPOCH + Duration::from_millis(invocation.context.deadline);
        let FlushLayer { telemetry, reports } = self.layer.clone();
        let answered = self.inner.call(invocation);
        Box::pin(async move {
            let outcome = answered.await;
            let left = deadline.duration_since(SystemTime::now()).unwrap_or_default();
            let limit = left.saturating_sub(DEADLINE_MARGIN);
            tokio::join!(telemetry.flush(limit), reports.flush(limit));
            outcome
        })
    }
}
