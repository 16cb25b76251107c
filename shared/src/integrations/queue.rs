//! Standard SQS queues. A message carries only ids; order and state are in the database.

mod batch;

use std::{collections::HashMap, time::Duration};

use aws_sdk_sqs::{Client, error::DisplayErrorContext, types::MessageAttributeValue};
use serde::Serialize;

use crate::{
    aws,
    error::ApiError,
    logging,
    settings::{SettingKind, Settings},
    telemetry::{self, Span, SpanKind},
};

pub use batch::{SqsRecord, retry_delay};

/// Maximum delay of a message, in seconds: a limit of SQS.
const MAX_DELAY_S: i32 = 900;

/// Maximum visibility timeout of a message, in seconds: a limit of SQS (12 hours).
const MAX_VISIBILITY_S: i32 = 43_200;

/// Timeout of sending while an HTTP client waits for its response.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// Time that a check of the queue may take.
const PING_TIMEOUT: Duration = Duration::from_secs(4);

/// A client of one queue.
#[derive(Debug, Clone)]
pub struct Queue {
    client: aws::LazyClient<Client>,
    url: String,
}

/// An error of SQS. A message that could not be sent is not lost: it is a row in the database, which maintenance
/// finds and sends later.
#[derive(Debug, thiserror::Error)]
#[error("queue: {0}")]
pub struct QueueError(String);

impl From<QueueError> for ApiError {
    fn from(error: QueueError) -> Self {
        Self::unavailable().with_source(error)
    }
}

/// The attributes by which a message carries the trace of `span`; `None` when traces are off.
fn trace_attributes(span: &Span) -> Result<Option<HashMap<String, MessageAttributeValue>>, QueueError> {
    let Some(traceparent) = span.traceparent() else { return Ok(None) };
    let value = MessageAttributeValue::builder().data_type("String").string_value(traceparent).build();
    Ok(Some(HashMap::from([(telemetry::TRACEPARENT.to_owned(), value.map_err(failed)?)])))
}

fn failed<E: std::error::Error>(error: E) -> QueueError {
    QueueError(DisplayErrorContext(error).to_string())
}

impl Queue {
    /// Reads the URL from the setting `name`, and the settings of the AWS clients.
    pub fn read(settings: &mut Settings, name: &'static str) -> Self {
        let config = aws::read(settings);
        let client = aws::LazyClient::new(move || Client::new(&config));
        let url = settings.required_of(SettingKind::Url, name);
        Self { client, url }
    }

    /// Sends a message as [`Self::send_after`] does, within one second; logs a failure instead of returning it, and
    /// returns false. For work that is already committed to the database: maintenance sends the message later.
    pub async fn send_or_log(&self, message: &impl Serialize, delay: Duration) -> bool {
        match tokio::time::timeout(SEND_TIMEOUT, self.send_after(message, delay)).await {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => tracing::warn!(error = logging::chain(&error), "the message is left to maintenance"),
            Err(_) => tracing::warn!("the queue is slow: the message is left to maintenance"),
        }
        false
    }

    /// Sends one message.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn send(&self, message: &impl Serialize) -> Result<(), QueueError> {
        self.send_after(message, Duration::ZERO).await
    }

    /// Sends one message that becomes visible after `delay`, rounded up to whole seconds, at most 15 minutes. The
    /// message carries the present trace in its attribute `traceparent`.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn send_after(&self, message: &impl Serialize, delay: Duration) -> Result<(), QueueError> {
        let body = serde_json::to_string(message).map_err(failed)?;
        let seconds = i32::try_from(delay.as_millis().div_ceil(1_000)).unwrap_or(i32::MAX).min(MAX_DELAY_S);
        let span = self.send_span();
        let request = self.client.send_message().queue_url(&self.url).message_body(body);
        let request = request.set_message_attributes(trace_attributes(&span)?);
        let sent = request.set_delay_seconds((seconds > 0).then_some(seconds)).send().await;
        if sent.is_err() {
            span.fail("send_failed");
        }
        sent.map_err(failed)?;
        Ok(())
    }

    /// Opens the span of sending a message.
    fn send_span(&self) -> Span {
        let span = telemetry::start_span("send", SpanKind::Producer);
        if span.is_recorded() {
            span.rename(format!("send {}", self.queue_name()));
            span.set("messaging.system", "aws_sqs");
            span.set("messaging.operation.type", "send");
            span.set("messaging.destination.name", self.queue_name().to_owned());
        }
        span
    }

    /// The name of the queue, which ends its URL.
    fn queue_name(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or_default()
    }

    /// Makes a received message visible again after `delay` instead of the queue's visibility timeout. `delay` is
    /// rounded down to whole seconds, at most 12 hours.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn change_visibility(&self, receipt_handle: &str, delay: Duration) -> Result<(), QueueError> {
        let seconds = i32::try_from(delay.as_secs()).unwrap_or(i32::MAX).min(MAX_VISIBILITY_S);
        let request = self.client.change_message_visibility().queue_url(&self.url);
        request.receipt_handle(receipt_handle).visibility_timeout(seconds).send().await.map_err(failed)?;
        Ok(())
    }

    /// Checks that the queue answers.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn ping(&self) -> Result<(), QueueError> {
        let request = self.client.get_queue_attributes().queue_url(&self.url).send();
        let answer = tokio::time::timeout(PING_TIMEOUT, request).await;
        answer.or(Err(QueueError("no answer in time".to_owned())))?.map_err(failed)?;
        Ok(())
    }
}
