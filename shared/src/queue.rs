//! Queues: standard SQS queues that carry the ids of jobs; order and truth are in the database.

mod records;

use std::time::Duration;

use aws_sdk_sqs::{Client, error::DisplayErrorContext};
use serde::Serialize;

use crate::{aws, error::ApiError, logging, settings::Settings};

pub use records::{Record, records};

/// SQS's own limit.
const LONGEST_DELAY_S: i32 = 900;

/// For a caller who waits.
const PATIENCE: Duration = Duration::from_secs(1);

/// A queue to send to, or to put messages off on.
#[derive(Debug, Clone)]
pub struct Queue {
    client: aws::Lazy<Client>,
    url: String,
}

/// The queue is away. What was to be sent is a row in `jobs`, so maintenance sends it later.
#[derive(Debug, thiserror::Error)]
#[error("queue: {0}")]
pub struct QueueError(String);

impl From<QueueError> for ApiError {
    fn from(error: QueueError) -> Self {
        Self::unavailable().because(error)
    }
}

fn failed<E: std::error::Error>(error: E) -> QueueError {
    QueueError(DisplayErrorContext(error).to_string())
}

impl Queue {
    /// Reads the URL from the setting `name`, and what the AWS clients need.
    pub fn read(settings: &mut Settings, name: &'static str) -> Self {
        let config = aws::read(settings);
        let client = aws::Lazy::new(move || Client::new(&config));
        let url = settings.required(name);
        Self { client, url }
    }

    /// Sends the message of a job that is written, for a caller who waits: where the queue is away or slow, maintenance
    /// sends it later. Delivered after `delay`, as [`Self::send_after`] does.
    pub async fn offer(&self, message: &impl Serialize, delay: Duration) {
        match tokio::time::timeout(PATIENCE, self.send_after(message, delay)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(error = logging::chain(&error), "the message is left to maintenance"),
            Err(_) => tracing::warn!("the queue is slow: the message is left to maintenance"),
        }
    }

    /// Sends one message.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn send(&self, message: &impl Serialize) -> Result<(), QueueError> {
        self.send_after(message, Duration::ZERO).await
    }

    /// Sends one message that is delivered after `delay`: in whole seconds, rounded up, 15 minutes at most.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn send_after(&self, message: &impl Serialize, delay: Duration) -> Result<(), QueueError> {
        let body = serde_json::to_string(message).map_err(failed)?;
        let seconds = i32::try_from(delay.as_millis().div_ceil(1_000)).unwrap_or(i32::MAX).min(LONGEST_DELAY_S);
        let request = self.client.send_message().queue_url(&self.url).message_body(body);
        request.set_delay_seconds((seconds > 0).then_some(seconds)).send().await.map_err(failed)?;
        Ok(())
    }

    /// Makes a received message visible again after `delay` instead of the queue's own time.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn put_off(&self, receipt_handle: &str, delay: Duration) -> Result<(), QueueError> {
        let seconds = i32::try_from(delay.as_secs()).unwrap_or(i32::MAX).min(43_200);
        let request = self.client.change_message_visibility().queue_url(&self.url);
        request.receipt_handle(receipt_handle).visibility_timeout(seconds).send().await.map_err(failed)?;
        Ok(())
    }

    /// Asks the queue whether it is there.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn ping(&self) -> Result<(), QueueError> {
        self.client.get_queue_attributes().queue_url(&self.url).send().await.map_err(failed)?;
        Ok(())
    }
}
