//! The sending of deliveries: the claim of a batch, the result of each attempt, the schedule of retries, and the end of an
//! endpoint that fails for days.
//!
//! One worker at a time sends to an endpoint, and sends the deliveries of a batch at the same time. So a slow endpoint
//! occupies one worker, and the other workers serve the other endpoints. Events have no order: a delivery that is tried
//! again comes after newer ones.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use serde_json::Value;
use uuid::Uuid;

use super::{
    disabling::{DisableReason, disable},
    endpoint::{SECRET_PURPOSE, lock},
};
use crate::{
    db::{Db, SystemTx, TenantTx},
    error::ApiError,
    jobs::{self, WebhookMessage},
    queue::Queue,
    sealed::{KeyRing, Secret},
};

/// Delays from an attempt to the next one, as docs/WEBHOOKS.md promises them.
pub const RETRY_DELAYS: [TimeDelta; 9] = [
    TimeDelta::seconds(5),
    TimeDelta::minutes(5),
    TimeDelta::minutes(30),
    TimeDelta::hours(2),
    TimeDelta::hours(5),
    TimeDelta::hours(10),
    TimeDelta::hours(14),
    TimeDelta::hours(20),
    TimeDelta::hours(24),
];
/// Maximum number of attempts at a delivery.
pub const MAX_ATTEMPTS: i32 = 10;
/// Time from the first failure, without a success since, after which an endpoint is switched off.
pub const DISABLE_AFTER: TimeDelta = TimeDelta::days(5);
/// Maximum number of deliveries of a batch, which are sent to an endpoint at the same time.
pub const MAX_CONCURRENT_SENDS: i64 = 5;
/// Time after a claim at which its worker counts as dead, and the delivery is claimed again. Longer than an attempt and
/// the recording of its result.
const CLAIM_TIMEOUT: TimeDelta = TimeDelta::seconds(60);
/// Maximum delay that a server can ask for with `Retry-After`.
const MAX_RETRY_AFTER: TimeDelta = TimeDelta::hours(6);
/// Number of consecutive batches without a success from which on an endpoint is paused after each batch.
const FAILED_BATCHES_BEFORE_PAUSE: i32 = 3;
/// Duration of the pause after a batch without a success.
const FAILURE_PAUSE: TimeDelta = TimeDelta::seconds(60);
/// Maximum delay of the queue message that a worker sends for the next attempt. SQS delays a message by at most 15
/// minutes. Maintenance sends the message of a later attempt.
const MAX_WAKE_DELAY: TimeDelta = TimeDelta::minutes(14);

/// A delivery that this worker has claimed.
#[derive(Debug)]
pub struct ClaimedDelivery {
    /// `webhook_deliveries.id`.
    pub id: Uuid,
    /// Id of the event.
    pub event_id: Uuid,
    /// Type of the event, as [`EventType::as_str`](super::EventType::as_str) or [`TEST_EVENT`](super::TEST_EVENT).
    pub event_type: String,
    /// Time of the event.
    pub occurred_at: DateTime<Utc>,
    /// Object of the event, as the trigger stored it; [`render`](super::render) makes the body of it.
    pub data: Value,
    /// Number of this attempt, from 1. Only the worker of the last claim may record a result.
    pub attempt: i32,
}

/// A claimed batch of deliveries, with the URL and the secrets of their endpoint.
#[derive(Debug)]
pub struct Claim {
    /// `webhook_endpoints.id`.
    pub endpoint: Uuid,
    /// The stored URL. It was validated when it was saved, by the rules of that time.
    pub url: String,
    /// The endpoint's secret, and the previous one while it still signs.
    pub secrets: Vec<Secret>,
    /// The deliveries to be sent; none when all that were due are used up.
    pub deliveries: Vec<ClaimedDelivery>,
    /// Deliveries that failed now, because the last of their [`MAX_ATTEMPTS`] left no result.
    pub used_up: Vec<Uuid>,
}

/// The outcome of [`claim`].
#[derive(Debug)]
pub enum ClaimOutcome {
    /// Deliveries to be sent now, or to be reported as failed.
    Claimed(Box<Claim>),
    /// No delivery is due, another worker holds a claim, or the endpoint is paused, switched off or deleted, or its
    /// company is suspended or deleted. Holds the time at which the caller must let a queue message arrive; `None` when
    /// none is needed: one is planned already, or the worker that holds the claim claims again.
    Nothing(Option<DateTime<Utc>>),
}

/// The reason why an attempt failed (`webhook_deliveries.error_code`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryError {
    /// The answer has a status other than 2xx.
    HttpStatus,
    /// The answer is a redirect, which is not followed.
    Redirected,
    /// The answer 410: the endpoint is switched off.
    Gone,
    /// No answer came in time.
    TimedOut,
    /// The name does not exist, or the connection or TLS failed.
    Unreachable,
    /// The URL, or an address of its name, must not be called.
    UrlRefused,
    /// The stored event cannot be rendered. No other attempt is made.
    UnreadableEvent,
}

impl DeliveryError {
    /// Returns the code that the owner sees.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HttpStatus => "http_status",
            Self::Redirected => "redirected",
            Self::Gone => "gone",
            Self::TimedOut => "timed_out",
            Self::Unreachable => "unreachable",
            Self::UrlRefused => "url_refused",
            Self::UnreadableEvent => "unreadable_event",
        }
    }
}

/// The result of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptResult {
    /// The server took the delivery.
    Delivered,
    /// The attempt failed. Holds the delay of the header `Retry-After`, where the server answered 429 or 503 with one.
    Failed(DeliveryError, Option<Duration>),
}

/// An attempt that ended.
#[derive(Debug, Clone, Copy)]
pub struct FinishedAttempt {
    /// `webhook_deliveries.id`.
    pub delivery: Uuid,
    /// Number of the attempt, from the claim.
    pub attempt: i32,
    /// HTTP status of the answer, if there was one.
    pub status: Option<u16>,
    /// Time to the answer or to the failure.
    pub latency: Duration,
    /// The result.
    pub result: AttemptResult,
}

/// Claims the deliveries of an endpoint that are due, at most [`MAX_CONCURRENT_SENDS`], the longest due first. Claims
/// none while another worker holds a claim: that worker claims again when its batch is done.
///
/// # Errors
/// 500 when a secret does not open; a database error.
pub async fn claim(tx: &mut TenantTx, keys: &KeyRing, endpoint: Uuid) -> Result<ClaimOutcome, ApiError> {
    let tenant = tx.tenant();
    let row = sqlx::query!(
        r#"
        select endpoint.url, endpoint.secret, endpoint.previous_secret, endpoint.paused_until,
            endpoint.previous_secret_expires_at > now() as is_previous_valid, now() as "now!"
        from webhook_endpoints endpoint
        join customers tenant on tenant.id = endpoint.customer_id
        where endpoint.customer_id = $1 and endpoint.id = $2 and endpoint.disabled_at is null
          and tenant.suspended_at is null and tenant.deleted_at is null
        for no key update of endpoint
        "#,
        tenant,
        endpoint
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else { return Ok(ClaimOutcome::Nothing(None)) };
    if let Some(until) = row.paused_until.filter(|until| *until > row.now) {
        return Ok(ClaimOutcome::Nothing(plan_wake(tx, endpoint, until).await?));
    }
    let open = |sealed: &[u8]| {
        let opened = keys.open(tenant, SECRET_PURPOSE, sealed);
        opened.map_err(|error| ApiError::internal().with_source(error))
    };
    let mut secrets = vec![open(&row.secret)?];
    if let Some(previous) = row.previous_secret.filter(|_| row.is_previous_valid == Some(true)) {
        secrets.push(open(&previous)?);
    }
    let due = claim_deliveries(tx, endpoint).await?;
    if due.is_empty() {
        // A time in the past is that of a delivery that was committed after the claim.
        return Ok(ClaimOutcome::Nothing(match next_attempt(tx, endpoint).await? {
            Some(next) => plan_wake(tx, endpoint, next).await?,
            None => None,
        }));
    }
    let (used_up, claimed): (Vec<_>, Vec<_>) = due.into_iter().partition(|delivery| delivery.is_used_up);
    Ok(ClaimOutcome::Claimed(Box::new(Claim {
        endpoint,
        url: row.url,
        secrets,
        deliveries: claimed.into_iter().map(ClaimedDelivery::from).collect(),
        used_up: used_up.into_iter().map(|delivery| delivery.id).collect(),
    })))
}

/// A delivery that was due.
struct DueDelivery {
    id: Uuid,
    event_id: Uuid,
    event_type: String,
    occurred_at: DateTime<Utc>,
    data: Value,
    attempt: i32,
    /// True when it failed now: no attempt was left.
    is_used_up: bool,
}

impl From<DueDelivery> for ClaimedDelivery {
    fn from(due: DueDelivery) -> Self {
        let DueDelivery { id, event_id, event_type, occurred_at, data, attempt, is_used_up: _ } = due;
        Self { id, event_id, event_type, occurred_at, data, attempt }
    }
}

/// Counts an attempt at each delivery that is due. The next one is planned as if this one failed, for a worker that dies. A
/// delivery whose worker died in the last attempt fails.
async fn claim_deliveries(tx: &mut TenantTx, endpoint: Uuid) -> sqlx::Result<Vec<DueDelivery>> {
    let delays_s = RETRY_DELAYS.map(TimeDelta::as_seconds_f64);
    sqlx::query_as!(
        DueDelivery,
        r#"
        with due as (
            select id, attempts >= $5 as is_used_up from webhook_deliveries
            where customer_id = $1 and endpoint_id = $2 and status = 'pending' and next_attempt_at <= now()
              and not exists (
                  select from webhook_deliveries sent
                  where sent.customer_id = $1 and sent.endpoint_id = $2 and sent.claimed_until > now()
              )
            order by next_attempt_at, id
            limit $3
        )
        update webhook_deliveries delivery set
            status = case when due.is_used_up then 'failed' else delivery.status end,
            error_code = case when due.is_used_up then 'attempts_used_up' else delivery.error_code end,
            attempts = case when due.is_used_up then delivery.attempts else delivery.attempts + 1 end,
            claimed_until = case when not due.is_used_up then now() + make_interval(secs => $4) end,
            next_attempt_at = now() + make_interval(secs => greatest($4, ($6::float8[])[delivery.attempts + 1]))
        from due where delivery.customer_id = $1 and delivery.id = due.id
        returning delivery.id, delivery.event_id, delivery.event_type, delivery.occurred_at, delivery.data as "data!",
            delivery.attempts as attempt, due.is_used_up as "is_used_up!"
        "#,
        tx.tenant(),
        endpoint,
        MAX_CONCURRENT_SENDS,
        CLAIM_TIMEOUT.as_seconds_f64(),
        MAX_ATTEMPTS,
        &delays_s
    )
    .fetch_all(tx)
    .await
}

/// Returns the time of the next attempt at any delivery of the endpoint. `None` while another worker's claim holds: that
/// worker claims again after its batch, and maintenance follows a dead one. A queue message would come at once, since newer
/// deliveries are due already, and so would each one after it.
async fn next_attempt(tx: &mut TenantTx, endpoint: Uuid) -> sqlx::Result<Option<DateTime<Utc>>> {
    sqlx::query_scalar!(
        r#"
        select min(next_attempt_at) from webhook_deliveries
        where customer_id = $1 and endpoint_id = $2 and status = 'pending'
          and not exists (
              select from webhook_deliveries sent
              where sent.customer_id = $1 and sent.endpoint_id = $2 and sent.claimed_until > now()
          )
        "#,
        tx.tenant(),
        endpoint
    )
    .fetch_one(tx)
    .await
}

/// Returns `at` when a queue message must be sent that arrives at this time, and stores the time in `wake_at`. Returns
/// `None` when `at` is more than [`MAX_WAKE_DELAY`] ahead, or when another message is on its way and arrives before.
/// Without the latter check, each message would cause another one.
async fn plan_wake(tx: &mut TenantTx, endpoint: Uuid, at: DateTime<Utc>) -> sqlx::Result<Option<DateTime<Utc>>> {
    if at > crate::clock::now() + MAX_WAKE_DELAY {
        return Ok(None);
    }
    sqlx::query_scalar!(
        r#"
        update webhook_endpoints set wake_at = $3
        where customer_id = $1 and id = $2 and (wake_at is null or wake_at <= now() or wake_at > $3)
        returning wake_at as "wake_at!"
        "#,
        tx.tenant(),
        endpoint,
        at
    )
    .fetch_optional(tx)
    .await
}

/// Records the attempts of a batch, which went to `url`, in their deliveries, and the batch in its endpoint, which is
/// switched off after an answer 410 or five days of failure. The result of a delivery that was claimed again or deleted
/// is dropped. Failures of a former URL do not count for the endpoint's present one.
///
/// # Errors
/// A database error.
pub async fn record_attempts(
    tx: &mut TenantTx,
    endpoint: Uuid,
    url: &str,
    attempts: &[FinishedAttempt],
) -> Result<(), ApiError> {
    let locked = match lock(tx, endpoint).await {
        Ok(locked) => locked,
        // Deleted meanwhile, with its deliveries.
        Err(error) if error.status == http::StatusCode::NOT_FOUND => return Ok(()),
        Err(error) => return Err(error),
    };
    let is_present_url = locked.url == url;
    for attempt in attempts {
        let delay = retry_delay(attempt, is_present_url).filter(|_| locked.is_enabled);
        record_attempt(tx, endpoint, attempt, delay).await?;
    }
    // An event that cannot be rendered says nothing of the server.
    let unreadable = AttemptResult::Failed(DeliveryError::UnreadableEvent, None);
    let asked: Vec<_> = attempts.iter().filter(|attempt| attempt.result != unreadable).collect();
    if asked.is_empty() || !locked.is_enabled || !is_present_url {
        return Ok(());
    }
    let is_success = asked.iter().any(|attempt| attempt.result == AttemptResult::Delivered);
    let retry_after = asked.iter().filter_map(|attempt| match attempt.result {
        AttemptResult::Failed(_, retry_after) => retry_after,
        AttemptResult::Delivered => None,
    });
    let is_failing_for_long = record_batch(tx, endpoint, is_success, retry_after.max()).await?;
    let is_gone = asked.iter().any(|attempt| matches!(attempt.result, AttemptResult::Failed(DeliveryError::Gone, _)));
    if is_gone {
        disable(tx, endpoint, DisableReason::Gone).await?;
    } else if is_failing_for_long {
        disable(tx, endpoint, DisableReason::Failing).await?;
    }
    Ok(())
}

/// Returns the time from now to the next attempt; `None` when no further one is made. What the server of a former URL asks
/// for is not obeyed.
fn retry_delay(attempt: &FinishedAttempt, is_present_url: bool) -> Option<TimeDelta> {
    let AttemptResult::Failed(error, retry_after) = attempt.result else { return None };
    if error == DeliveryError::UnreadableEvent || (error == DeliveryError::Gone && is_present_url) {
        return None;
    }
    let retry_after = retry_after.filter(|_| is_present_url);
    let index = usize::try_from(attempt.attempt).unwrap_or(1).saturating_sub(1);
    let delay = *RETRY_DELAYS.get(index)?;
    Some(retry_after.map_or(delay, |wanted| delay.max(obeyed(wanted))))
}

/// Returns the delay of a server's `Retry-After`, capped at [`MAX_RETRY_AFTER`].
fn obeyed(retry_after: Duration) -> TimeDelta {
    TimeDelta::from_std(retry_after).unwrap_or(MAX_RETRY_AFTER).min(MAX_RETRY_AFTER)
}

async fn record_attempt(
    tx: &mut TenantTx,
    endpoint: Uuid,
    attempt: &FinishedAttempt,
    delay: Option<TimeDelta>,
) -> sqlx::Result<()> {
    let (status, error) = match attempt.result {
        AttemptResult::Delivered => ("delivered", None),
        AttemptResult::Failed(error, _) => (if delay.is_some() { "pending" } else { "failed" }, Some(error.as_str())),
    };
    sqlx::query!(
        r#"
        update webhook_deliveries set
            status = $5::text, claimed_until = null, last_attempt_at = clock_timestamp(), response_status = $6,
            latency_ms = $7, error_code = $8,
            next_attempt_at = coalesce(clock_timestamp() + make_interval(secs => $9), next_attempt_at),
            delivered_at = case when $5 = 'delivered' then clock_timestamp() end,
            -- Nothing needs the object any more, which may hold a contact's words.
            data = case when $5 = 'delivered' then null else data end
        where customer_id = $1 and endpoint_id = $2 and id = $3 and attempts = $4 and status = 'pending'
          and claimed_until is not null
        "#,
        tx.tenant(),
        endpoint,
        attempt.delivery,
        attempt.attempt,
        status,
        attempt.status.map(i32::from),
        i32::try_from(attempt.latency.as_millis()).unwrap_or(i32::MAX),
        error,
        delay.map(TimeDelta::as_seconds_f64)
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Records in the endpoint whether a batch had a success, and pauses a failing endpoint. Returns true when the endpoint
/// has failed for [`DISABLE_AFTER`], so that it must be switched off.
async fn record_batch(
    tx: &mut TenantTx,
    endpoint: Uuid,
    is_success: bool,
    retry_after: Option<Duration>,
) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"
        update webhook_endpoints set
            failing_since = case when $3 then null else coalesce(failing_since, clock_timestamp()) end,
            failed_batches = case when $3 then 0 else failed_batches + 1 end,
            paused_until = greatest(
                clock_timestamp() + make_interval(secs => $4),
                case when not $3 and failed_batches + 1 >= $5 then clock_timestamp() + make_interval(secs => $6) end
            )
        where customer_id = $1 and id = $2
        returning coalesce(failing_since <= now() - make_interval(secs => $7), false) as "is_failing_for_long!"
        "#,
        tx.tenant(),
        endpoint,
        is_success,
        retry_after.map(|wanted| obeyed(wanted).as_seconds_f64()),
        FAILED_BATCHES_BEFORE_PAUSE,
        FAILURE_PAUSE.as_seconds_f64(),
        DISABLE_AFTER.as_seconds_f64()
    )
    .fetch_one(tx)
    .await
}

/// Runs `work` in a transaction of the tenant, as [`Db::tenant_tx`] does, and after its commit wakes the webhook worker for
/// the endpoints that got a delivery.
///
/// # Errors
/// Any error of [`Db::tenant_tx`].
pub async fn tenant_tx_with_events<T>(
    db: &Db,
    queue: &Queue,
    tenant: Uuid,
    work: impl AsyncFnOnce(&mut TenantTx) -> Result<T, ApiError>,
) -> Result<T, ApiError> {
    let (value, messages) = db
        .tenant_tx(tenant, async |tx| {
            let value = work(tx).await?;
            Ok((value, jobs::webhook_messages(tx).await?))
        })
        .await?;
    wake_worker(queue, &messages).await;
    Ok(value)
}

/// Sends the queue messages of endpoints that got a delivery. Called after the commit. A message that the queue does not
/// take is replaced as one of [`tenant_tx_with_events`].
pub async fn wake_worker(queue: &Queue, messages: &[WebhookMessage]) {
    join_all(messages.iter().map(|message| queue.send_or_log(message, Duration::ZERO))).await;
}

/// Claims at most `limit` endpoints of all tenants that have due deliveries and no queue message on its way, and
/// returns their messages. Maintenance calls this every minute.
///
/// # Errors
/// A database error.
pub async fn claim_due_endpoints(tx: &mut SystemTx, limit: i64) -> sqlx::Result<Vec<WebhookMessage>> {
    sqlx::query_as!(
        WebhookMessage,
        r#"
        with due as (
            select endpoint.id from webhook_endpoints endpoint
            join customers tenant on tenant.id = endpoint.customer_id
            where endpoint.disabled_at is null and tenant.suspended_at is null and tenant.deleted_at is null
              and coalesce(endpoint.paused_until, now()) <= now() and coalesce(endpoint.wake_at, now()) <= now()
              and exists (
                  select from webhook_deliveries delivery
                  where delivery.endpoint_id = endpoint.id and delivery.status = 'pending'
                    and delivery.next_attempt_at <= now()
              )
            order by endpoint.wake_at nulls first
            limit $1
            for no key update of endpoint skip locked
        )
        update webhook_endpoints endpoint set wake_at = now() + interval '50 seconds'
        from due where endpoint.id = due.id
        returning endpoint.customer_id, endpoint.id as endpoint_id
        "#,
        limit
    )
    .fetch_all(tx)
    .await
}

/// Undoes [`claim_due_endpoints`] for endpoints whose messages the queue did not take.
///
/// # Errors
/// A database error.
pub async fn return_endpoints(tx: &mut SystemTx, claimed: &[WebhookMessage]) -> sqlx::Result<()> {
    let endpoints: Vec<_> = claimed.iter().map(|message| message.endpoint_id).collect();
    sqlx::query!("update webhook_endpoints set wake_at = null where id = any ($1)", &endpoints)
        .execute(tx)
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(attempt: i32, error: DeliveryError, retry_after_s: Option<u64>) -> FinishedAttempt {
        FinishedAttempt {
            delivery: Uuid::nil(),
            attempt,
            status: None,
            latency: Duration::ZERO,
            result: AttemptResult::Failed(error, retry_after_s.map(Duration::from_secs)),
        }
    }

    #[test]
    fn attempts_follow_the_published_schedule() {
        let delays =
            (1..=MAX_ATTEMPTS).map(|attempt| retry_delay(&failed(attempt, DeliveryError::TimedOut, None), true));
        let seconds: Vec<_> = delays.map(|delay| delay.map(|delay| delay.num_seconds())).collect();
        let published = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
        assert_eq!(seconds, published.map(Some).into_iter().chain([None]).collect::<Vec<_>>());
        assert_eq!(RETRY_DELAYS.len() + 1, usize::try_from(MAX_ATTEMPTS).unwrap());
    }

    #[test]
    fn retry_after_delays_an_attempt_up_to_six_hours() {
        let seconds = |attempt, wanted| {
            retry_delay(&failed(attempt, DeliveryError::HttpStatus, Some(wanted)), true).unwrap().num_seconds()
        };
        assert_eq!(seconds(1, 90), 90);
        assert_eq!(seconds(1, 1), 5, "not before the schedule");
        assert_eq!(seconds(1, 30 * 86_400), 6 * 3_600);
        assert_eq!(seconds(1, u64::MAX), 6 * 3_600);
        assert_eq!(seconds(9, 90), 86_400);
    }

    #[test]
    fn an_event_that_cannot_be_rendered_and_one_for_a_receiver_that_is_gone_are_not_tried_again() {
        assert_eq!(retry_delay(&failed(1, DeliveryError::UnreadableEvent, None), true), None);
        assert_eq!(retry_delay(&failed(1, DeliveryError::Gone, None), true), None);
    }

    #[test]
    fn the_server_of_a_former_url_neither_ends_a_delivery_nor_delays_it() {
        let first = Some(RETRY_DELAYS[0]);
        assert_eq!(retry_delay(&failed(1, DeliveryError::Gone, None), false), first);
        assert_eq!(retry_delay(&failed(1, DeliveryError::HttpStatus, Some(3_600)), false), first);
        assert_eq!(retry_delay(&failed(1, DeliveryError::UnreadableEvent, None), false), None);
    }
}
