//! Deliveries, as the owner of an endpoint sees them: the list, the test event and the replay of failed ones.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    endpoint::{get, lock_enabled},
    events::{TEST_EVENT, TestData, public_event_id},
};
use crate::{
    db::{SystemTx, TenantTx},
    error::ApiError,
    paging::{List, Listing, Paging, list_page},
};

/// Maximum age of the deliveries of a replay, by their creation.
const MAX_REPLAY_AGE: TimeDelta = TimeDelta::days(30);
/// Maximum number of deliveries that one replay makes pending.
const MAX_REPLAYED: i64 = 1_000;

/// A delivery of an event to an endpoint.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0d6a8e52-7c1c-4a51-9b50-54f2a9b9d7a1", "event_id": "evt_3f1d2c4b0c7e4a538a4e5d2f9b1c5a69",
    "event_type": "order.created", "status": "delivered", "attempts": 1, "response_status": 200, "latency_ms": 84,
    "error_code": null, "occurred_at": "2026-11-23T09:30:06Z", "last_attempt_at": "2026-11-23T09:30:07Z",
    "next_attempt_at": null, "delivered_at": "2026-11-23T09:30:07Z", "created_at": "2026-11-23T09:30:06Z",
}))]
pub struct WebhookDelivery {
    id: Uuid,
    /// The header `webhook-id` of every attempt, and the `id` of the body.
    event_id: String,
    event_type: String,
    /// `pending`, `delivered` or `failed`.
    status: String,
    /// Number of attempts, since the last replay if there was one.
    attempts: i32,
    /// HTTP status of the last answer; null when there was none.
    response_status: Option<i32>,
    /// Time to the last answer, or to the failure, in milliseconds.
    latency_ms: Option<i32>,
    /// Reason why the last attempt failed: `http_status`, `redirected`, `gone`, `timed_out`, `unreachable`, `url_refused`,
    /// `endpoint_disabled`, `attempts_used_up` or `unreadable_event`.
    error_code: Option<String>,
    occurred_at: DateTime<Utc>,
    last_attempt_at: Option<DateTime<Utc>>,
    /// Time of the next attempt at the earliest; null unless the delivery is pending.
    next_attempt_at: Option<DateTime<Utc>>,
    delivered_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

/// A row of `webhook_deliveries`.
#[derive(Debug, Serialize)]
struct DeliveryRow {
    id: Uuid,
    event_id: Uuid,
    event_type: String,
    status: String,
    attempts: i32,
    response_status: Option<i32>,
    latency_ms: Option<i32>,
    error_code: Option<String>,
    occurred_at: DateTime<Utc>,
    last_attempt_at: Option<DateTime<Utc>>,
    next_attempt_at: DateTime<Utc>,
    delivered_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

impl From<DeliveryRow> for WebhookDelivery {
    fn from(row: DeliveryRow) -> Self {
        let is_pending = row.status == "pending";
        Self {
            id: row.id,
            event_id: public_event_id(row.event_id),
            event_type: row.event_type,
            status: row.status,
            attempts: row.attempts,
            response_status: row.response_status,
            latency_ms: row.latency_ms,
            error_code: row.error_code,
            occurred_at: row.occurred_at,
            last_attempt_at: row.last_attempt_at,
            next_attempt_at: Some(row.next_attempt_at).filter(|_| is_pending),
            delivered_at: row.delivered_at,
            created_at: row.created_at,
        }
    }
}

/// The order and the statuses of the list of deliveries.
#[derive(Debug)]
pub struct DeliveryListing;

impl Listing for DeliveryListing {
    const NAME: &'static str = "webhook-deliveries";
    const SORTS: &'static [&'static str] = &["created_at"];
    const STATUSES: &'static [&'static str] = &["pending", "delivered", "failed"];
}

/// Returns a page of an endpoint's deliveries.
///
/// # Errors
/// 404 when there is no such endpoint; 422 for a cursor of the wrong form; a database error.
pub async fn list_deliveries(
    tx: &mut TenantTx,
    endpoint: Uuid,
    paging: &Paging,
) -> Result<List<WebhookDelivery>, ApiError> {
    get(tx, endpoint).await?;
    let rows = list_page!(tx, paging, DeliveryRow {
        select: "id, event_id, event_type, status, attempts, response_status, latency_ms, error_code, occurred_at,
            last_attempt_at, next_attempt_at, delivered_at, created_at",
        from: "webhook_deliveries where customer_id = $1 and endpoint_id = $2 and ($3::text is null or status = $3)",
        bind: [endpoint, paging.status],
        order: ["created_at": "created_at" "timestamptz" DateTime<Utc> = created_at],
        id: "id" "uuid" Uuid = id,
    });
    rows.map(|rows| rows.map(WebhookDelivery::from))
}

/// Writes the delivery of a test event for an endpoint, regardless of the events that the endpoint asks for.
///
/// # Errors
/// 404 when there is no such endpoint; 409 `webhook_endpoint_disabled`; a database error.
pub async fn send_test(tx: &mut TenantTx, endpoint: Uuid) -> Result<WebhookDelivery, ApiError> {
    lock_enabled(tx, endpoint).await?;
    let data = TestData { message: "This is a test event.".to_owned() };
    let row = sqlx::query_as!(
        DeliveryRow,
        r#"
        insert into webhook_deliveries (customer_id, endpoint_id, event_id, event_type, data) values ($1, $2, $3, $4, $5)
        returning id, event_id, event_type, status, attempts, response_status, latency_ms, error_code, occurred_at,
            last_attempt_at, next_attempt_at, delivered_at, created_at
        "#,
        tx.tenant(),
        endpoint,
        Uuid::new_v4(),
        TEST_EVENT,
        json!(data)
    );
    Ok(row.fetch_one(tx).await?.into())
}

/// The replay of the deliveries that failed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "since": "2026-11-23T00:00:00Z" }))]
pub struct Replay {
    /// Time from which on failed deliveries are sent again, by their creation. Deliveries are kept for 30 days.
    since: DateTime<Utc>,
}

/// Outcome of a replay.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "replayed": 12, "has_more": false }))]
pub struct ReplayedDeliveries {
    /// Number of deliveries that are sent again, at most 1,000.
    pub replayed: u64,
    /// True when more deliveries have failed since then: another replay sends them.
    has_more: bool,
}

/// Makes the failed deliveries of an endpoint pending again, the oldest first. Each keeps its event's id.
///
/// # Errors
/// 404 when there is no such endpoint; 409 `webhook_endpoint_disabled`; a database error.
pub async fn replay(tx: &mut TenantTx, endpoint: Uuid, replay: &Replay) -> Result<ReplayedDeliveries, ApiError> {
    // WEBHOOK_DELIVERY_RETENTION_DAYS may keep deliveries for longer than the 30 days of docs/WEBHOOKS.md.
    let since = replay.since.max(crate::clock::now() - MAX_REPLAY_AGE);
    lock_enabled(tx, endpoint).await?;
    let replayed = sqlx::query!(
        r#"
        with chosen as (
            select id from webhook_deliveries
            where customer_id = $1 and endpoint_id = $2 and status = 'failed' and created_at >= $3
            order by created_at, id
            limit $4
        )
        update webhook_deliveries delivery
        set status = 'pending', attempts = 0, next_attempt_at = now(), claimed_until = null, error_code = null
        from chosen where delivery.customer_id = $1 and delivery.id = chosen.id
        "#,
        tx.tenant(),
        endpoint,
        since,
        MAX_REPLAYED
    );
    let replayed = replayed.execute(&mut *tx).await?.rows_affected();
    let has_more = sqlx::query_scalar!(
        r#"
        select exists (
            select from webhook_deliveries
            where customer_id = $1 and endpoint_id = $2 and status = 'failed' and created_at >= $3
        ) as "has_more!"
        "#,
        tx.tenant(),
        endpoint,
        since
    );
    Ok(ReplayedDeliveries { replayed, has_more: has_more.fetch_one(tx).await? })
}

/// Deletes at most `limit` deliveries that are older than `days`, and returns their number.
///
/// # Errors
/// A database error.
pub async fn remove_old(tx: &mut SystemTx, days: i32, limit: i64) -> sqlx::Result<u64> {
    sqlx::query!(
        r#"
        delete from webhook_deliveries where id in (
            select id from webhook_deliveries where created_at < now() - make_interval(days => $1) limit $2
        )
        "#,
        days,
        limit
    )
    .execute(tx)
    .await
    .map(|done| done.rows_affected())
}
