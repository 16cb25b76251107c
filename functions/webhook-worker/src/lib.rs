//! Worker of the webhook queue: sends the deliveries of one endpoint that are due, batch by batch.
//!
//! A queue message only says that an endpoint has something to send. The database holds the deliveries, so a message
//! that comes twice, too early or too late does no harm. When a worker dies after a call and before it records the
//! result, the delivery is sent again with an equal `webhook-id`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::join_all;
use http::StatusCode;
use serde_json::Value;
use shared::{
    db::{self, Db},
    error::BoxError,
    function::{EventFunction, Function},
    jobs::WebhookMessage,
    logging,
    outbound::{DeliveryResponse, Outbound, OutboundError, OutboundLimits, TenantUrl},
    queue::{Queue, SqsRecord},
    sealed::{KeyRing, Secret},
    settings::Settings,
    telemetry,
    webhook_endpoints::{self, AttemptResult, Claim, ClaimOutcome, ClaimedDelivery, DeliveryError, FinishedAttempt},
};
use tokio::time::Instant;

/// The `webhook-worker` Lambda function.
pub const FUNCTION: Function = Function::event::<Deps>();

/// Limits of one attempt. The body of an answer is not read.
const LIMITS: OutboundLimits =
    OutboundLimits { total: Duration::from_secs(10), connect: Duration::from_secs(3), body_bytes: 0 };
/// Time after which an invocation begins no further batch. The next one follows through the queue.
const BATCH_TIME: Duration = Duration::from_secs(30);
/// Maximum delay between two deliveries of a failed queue message.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(64);
/// Time that one call of the queue may take: the next message, or the delay of a failed one. [`Queue`] enforces shorter
/// or equal timeouts.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(3);

/// Dependencies of the function.
#[derive(Debug, Clone)]
pub struct Deps {
    db: Db,
    webhook_queue: Queue,
    keys: KeyRing,
    outbound: Outbound,
}

/// Returns the longest time that one queue message may take. The function's timeout must be longer.
#[must_use]
pub fn longest_run() -> Duration {
    // The last batch begins right before `BATCH_TIME` ends: the transactions of its claim and of its record, its calls,
    // and one call of the queue.
    BATCH_TIME + db::REQUEST_TIMEOUT * 2 + LIMITS.total + QUEUE_TIMEOUT
}

impl EventFunction for Deps {
    const NAME: &'static str = "webhook-worker";

    fn read(settings: &mut Settings) -> Self {
        Self {
            db: Db::read(settings),
            webhook_queue: Queue::read(settings, "WEBHOOK_QUEUE_URL"),
            keys: KeyRing::read(settings),
            outbound: Outbound::read(settings, LIMITS),
        }
    }

    async fn handle(&self, event: Value) -> Result<Value, BoxError> {
        self.webhook_queue.process_batch(&event, MAX_RETRY_DELAY, |record| self.process(record)).await
    }
}

impl Deps {
    /// Sends the due deliveries of one endpoint, batch by batch, until none is due or [`BATCH_TIME`] is over.
    async fn process(&self, record: SqsRecord<'_>) -> Result<(), BoxError> {
        let message: WebhookMessage = serde_json::from_str(record.body)?;
        telemetry::record_tenant(message.customer_id);
        let (tenant, endpoint) = (message.customer_id, message.endpoint_id);
        let ends_at = Instant::now() + BATCH_TIME;
        loop {
            let claim = async |tx: &mut db::TenantTx| webhook_endpoints::claim(tx, &self.keys, endpoint).await;
            match self.db.tenant_tx(tenant, claim).await? {
                ClaimOutcome::Nothing(wake) => {
                    self.send_later(&message, wake).await;
                    return Ok(());
                }
                ClaimOutcome::Claimed(claim) => {
                    for delivery_id in &claim.used_up {
                        logging::metric("JobsGivenUp", 1.0);
                        tracing::error!(%delivery_id, "a webhook is given up: no attempt had a result");
                    }
                    let attempts = self.send_batch(&claim).await;
                    let record = async |tx: &mut db::TenantTx| {
                        webhook_endpoints::record_attempts(tx, endpoint, &claim.url, &attempts).await
                    };
                    self.db.tenant_tx(tenant, record).await?;
                }
            }
            if Instant::now() >= ends_at {
                // The message goes to the end of the queue, so that other endpoints come first.
                self.webhook_queue.send_or_log(&message, Duration::ZERO).await;
                return Ok(());
            }
        }
    }

    /// Sends a queue message for the endpoint's next attempt. Maintenance sends one within a minute when this fails.
    async fn send_later(&self, message: &WebhookMessage, at: Option<DateTime<Utc>>) {
        let Some(at) = at else { return };
        let delay = (at - shared::clock::now()).to_std().unwrap_or_default();
        self.webhook_queue.send_or_log(message, delay).await;
    }

    /// Sends the deliveries of a batch at once.
    async fn send_batch(&self, claim: &Claim) -> Vec<FinishedAttempt> {
        let url = TenantUrl::parse(&claim.url);
        let sends = claim.deliveries.iter().map(|delivery| async {
            let started = Instant::now();
            let (status, result) = match &url {
                Ok(url) => self.send(url, &claim.secrets, delivery).await,
                // The rules for URLs became stricter since the URL was saved.
                Err(_) => (None, AttemptResult::Failed(DeliveryError::UrlRefused, None)),
            };
            let (event_type, attempt) = (delivery.event_type.as_str(), delivery.attempt);
            let code = match result {
                AttemptResult::Delivered => None,
                AttemptResult::Failed(error, _) => Some(error.as_str()),
            };
            let latency = started.elapsed();
            tracing::info!(
                endpoint_id = %claim.endpoint, delivery_id = %delivery.id, event_type, attempt, status, code,
                latency_ms = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX), "webhook attempted"
            );
            FinishedAttempt { delivery: delivery.id, attempt, status, latency, result }
        });
        join_all(sends).await
    }

    /// Makes one attempt at a delivery. Returns the status of the answer, if there was one, and the result.
    async fn send(
        &self,
        url: &TenantUrl,
        secrets: &[Secret],
        delivery: &ClaimedDelivery,
    ) -> (Option<u16>, AttemptResult) {
        let unreadable = (None, AttemptResult::Failed(DeliveryError::UnreadableEvent, None));
        let (kind, object) = (delivery.event_type.as_str(), &delivery.data);
        let body = match webhook_endpoints::render(delivery.event_id, kind, delivery.occurred_at, object) {
            Ok(body) => body,
            Err(error) => {
                logging::metric("WebhooksUnreadable", 1.0);
                tracing::error!(delivery_id = %delivery.id, error = logging::chain(&error), "an event is not sent");
                return unreadable;
            }
        };
        let id = webhook_endpoints::public_event_id(delivery.event_id);
        let headers = match webhook_endpoints::sign(
            secrets.iter().map(Secret::expose),
            &id,
            shared::clock::now(),
            &body,
        ) {
            Ok(headers) => headers,
            Err(error) => {
                logging::metric("WebhooksUnreadable", 1.0);
                tracing::error!(delivery_id = %delivery.id, error = logging::chain(&error), "an event is not signed");
                return unreadable;
            }
        };
        match self.outbound.deliver_json(url, headers, body).await {
            Ok(response) => (Some(response.status.as_u16()), classify(response)),
            Err(error) => (None, AttemptResult::Failed(error_code(&error), None)),
        }
    }
}

/// Returns the result of an attempt that got an answer.
fn classify(response: DeliveryResponse) -> AttemptResult {
    let DeliveryResponse { status, retry_after } = response;
    match status {
        status if status.is_success() => AttemptResult::Delivered,
        StatusCode::GONE => AttemptResult::Failed(DeliveryError::Gone, None),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            AttemptResult::Failed(DeliveryError::HttpStatus, retry_after)
        }
        status if status.is_redirection() => AttemptResult::Failed(DeliveryError::Redirected, None),
        _ => AttemptResult::Failed(DeliveryError::HttpStatus, None),
    }
}

/// Returns the reason for the failure of an attempt that got no answer.
fn error_code(error: &OutboundError) -> DeliveryError {
    match error {
        OutboundError::Refused(_) => DeliveryError::UrlRefused,
        OutboundError::TimedOut => DeliveryError::TimedOut,
        OutboundError::Unreachable(_) => DeliveryError::Unreachable,
        // Neither happens: no redirect is followed, and no body is read.
        OutboundError::TooManyRedirects | OutboundError::TooLarge(_) => DeliveryError::HttpStatus,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_means_what_the_documentation_says() {
        let minute = Some(Duration::from_secs(60));
        let failed = |error, retry_after| AttemptResult::Failed(error, retry_after);
        for (status, expected) in [
            (200, AttemptResult::Delivered),
            (204, AttemptResult::Delivered),
            (299, AttemptResult::Delivered),
            (302, failed(DeliveryError::Redirected, None)),
            (308, failed(DeliveryError::Redirected, None)),
            (400, failed(DeliveryError::HttpStatus, None)),
            (401, failed(DeliveryError::HttpStatus, None)),
            (410, failed(DeliveryError::Gone, None)),
            (429, failed(DeliveryError::HttpStatus, minute)),
            (500, failed(DeliveryError::HttpStatus, None)),
            (503, failed(DeliveryError::HttpStatus, minute)),
        ] {
            let response = DeliveryResponse { status: StatusCode::from_u16(status).unwrap(), retry_after: minute };
            assert_eq!(classify(response), expected, "{status}");
        }
    }
}
