//! Deferred work, in the table `jobs`. A job is written in the transaction that causes it. A queue message carries
//! ids only. When a message is lost, maintenance finds the job here.
//!
//! Deliveries of webhooks are no rows of `jobs`: each row of `webhook_deliveries` is a job itself. A transaction that
//! writes a delivery names its endpoint in the setting `app.webhook_endpoints`.
//!
//! SQL function: `app.receive_message`, which writes a contact's job.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::db::{SystemTx, TenantTx, Tx};

/// A message of the ingest queue. Everything else is read from the database when the message is handled, since it may
/// have changed by then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IngestMessage {
    /// `jobs.id`.
    pub job_id: Uuid,
    /// The tenant.
    pub customer_id: Uuid,
    /// The document to ingest.
    pub document_id: Uuid,
}

/// A message of the reply queue: a conversation with messages to answer or replies to send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyMessage {
    /// The tenant.
    pub customer_id: Uuid,
    /// The conversation.
    pub conversation_id: Uuid,
    /// The incoming message that caused this; `None` for any other cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<Uuid>,
}

/// A message of the webhook queue: an endpoint of a tenant with deliveries that are due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookMessage {
    /// The tenant.
    pub customer_id: Uuid,
    /// `webhook_endpoints.id`.
    pub endpoint_id: Uuid,
}

impl WebhookMessage {
    /// Parses the setting `app.webhook_endpoints`, in which a transaction of the tenant collects the endpoints that got a
    /// delivery.
    #[must_use]
    pub fn parse_all(tenant: Uuid, endpoints: Option<&str>) -> Vec<Self> {
        let ids: BTreeSet<Uuid> =
            endpoints.unwrap_or_default().split(' ').filter_map(|endpoint| endpoint.parse().ok()).collect();
        ids.into_iter().map(|endpoint_id| Self { customer_id: tenant, endpoint_id }).collect()
    }
}

/// Returns the messages for the webhook queue, to be sent after the commit: one for each endpoint that got a delivery in
/// this transaction. A message that is lost is sent by maintenance.
///
/// # Errors
/// Any error of the database.
pub async fn webhook_messages(tx: &mut TenantTx) -> sqlx::Result<Vec<WebhookMessage>> {
    let tenant = tx.tenant();
    let endpoints = sqlx::query_scalar!("select current_setting('app.webhook_endpoints', true)").fetch_one(tx).await?;
    Ok(WebhookMessage::parse_all(tenant, endpoints.as_deref()))
}

/// A message of the export queue: an export to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportMessage {
    /// The tenant.
    pub customer_id: Uuid,
    /// `exports.id`.
    pub export_id: Uuid,
}

/// A job that is due now.
#[derive(Debug)]
pub struct DueJob {
    /// `jobs.id`.
    pub id: Uuid,
    /// The tenant.
    pub customer_id: Uuid,
    /// `ingest`, `reply`, `delete_object`, `invoice_item`, `collection` or `export`.
    pub kind: String,
    /// Parameters of the job, depending on `kind`.
    pub payload: serde_json::Value,
    /// Number of attempts, this one included.
    pub attempts: i32,
}

/// Inserts a job that deletes the object `storage_key` from the bucket. It is due at once, and again at `until`, when
/// no upload URL can bring the object back. Returns the job's id.
///
/// # Errors
/// Any error of the database.
pub async fn enqueue_object_deletion(tx: &mut TenantTx, storage_key: &str, until: DateTime<Utc>) -> sqlx::Result<Uuid> {
    sqlx::query_scalar!(
        "insert into jobs (customer_id, kind, payload) values ($1, 'delete_object', $2) returning id",
        tx.tenant(),
        serde_json::json!({ "storage_key": storage_key, "until": until })
    )
    .fetch_one(tx)
    .await
}

/// Inserts the job of an export of the transaction's tenant and returns its queue message. Maintenance sends the message
/// when the queue has lost it.
///
/// # Errors
/// Any error of the database.
pub async fn enqueue_export(tx: &mut TenantTx, export: Uuid) -> sqlx::Result<ExportMessage> {
    let tenant = tx.tenant();
    sqlx::query!(
        r#"
        insert into jobs (customer_id, kind, payload, run_after)
        values ($1, 'export', jsonb_build_object('export_id', $2::uuid), now() + interval '5 minutes')
        "#,
        tenant,
        export
    )
    .execute(tx)
    .await?;
    Ok(ExportMessage { customer_id: tenant, export_id: export })
}

/// Records that the object of the tenant's deletion job was deleted: the job is done, or due again at its `until`.
///
/// # Errors
/// Any error of the database.
pub async fn object_was_deleted(tx: &mut TenantTx, job: Uuid) -> sqlx::Result<()> {
    let tenant = tx.tenant();
    end_object_deletion(tx, job, Some(tenant)).await
}

/// Records that the object of a deletion job of any tenant was deleted: the job is done, or due again at its `until`.
///
/// # Errors
/// Any error of the database.
pub async fn any_object_was_deleted(tx: &mut SystemTx, job: Uuid) -> sqlx::Result<()> {
    end_object_deletion(tx, job, None).await
}

async fn end_object_deletion<Scope: Send + std::fmt::Debug>(
    tx: &mut Tx<Scope>,
    job: Uuid,
    tenant: Option<Uuid>,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        update jobs
        set status = case when (payload ->> 'until')::timestamptz > now() then 'queued' else 'done' end,
            run_after = greatest(run_after, (payload ->> 'until')::timestamptz), attempts = 0, last_error = null,
            updated_at = now()
        where id = $1 and kind = 'delete_object' and ($2::uuid is null or customer_id = $2)
        "#,
        job,
        tenant
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Claims at most `limit` due jobs that are no replies, the longest due first. Documents and exports of a deleted tenant
/// wait: they are due when the account is restored.
///
/// Claiming counts the attempt and makes the job due again in 2^attempts minutes, at most an hour. So a job whose
/// worker dies is claimed again later. Two concurrent calls never claim one job (`for update skip locked`).
///
/// # Errors
/// Any error of the database.
pub async fn claim_due(tx: &mut SystemTx, limit: i64) -> sqlx::Result<Vec<DueJob>> {
    sqlx::query_as!(
        DueJob,
        r#"
        with due as (
            select id from jobs
            where status in ('queued', 'running') and run_after <= now() and kind <> 'reply'
              and (kind not in ('ingest', 'export') or not exists (
                  select from customers where customers.id = jobs.customer_id and customers.deleted_at is not null
              ))
            order by run_after
            limit $1
            for update skip locked
        )
        update jobs set
            attempts = attempts + 1,
            run_after = now() + least(interval '1 minute' * power(2, least(attempts + 1, 10)), interval '1 hour'),
            updated_at = now()
        from due where jobs.id = due.id
        returning jobs.id, jobs.customer_id, jobs.kind, jobs.payload, jobs.attempts
        "#,
        limit
    )
    .fetch_all(tx)
    .await
}

/// Deletes at most `limit` jobs that ended more than `days` ago, and returns their number. Jobs of overage stay: their
/// row is what keeps a second one from being made. Those of collection stay, since a tenant has one and their state is
/// shown.
///
/// # Errors
/// Any error of the database.
pub async fn remove_ended(tx: &mut SystemTx, days: i32, limit: i64) -> sqlx::Result<u64> {
    sqlx::query!(
        r#"
        delete from jobs where id in (
            select id from jobs
            where status in ('done', 'failed') and updated_at < now() - make_interval(days => $1)
              and kind not in ('invoice_item', 'collection')
            order by updated_at
            limit $2
            for update skip locked
        )
        "#,
        days,
        limit
    )
    .execute(tx)
    .await
    .map(|done| done.rows_affected())
}

/// Claims at most `limit` due reply jobs as [`claim_due`] claims other jobs. Those of a deleted tenant wait.
///
/// # Errors
/// Any error of the database.
pub async fn claim_due_replies(tx: &mut SystemTx, limit: i64) -> sqlx::Result<Vec<DueJob>> {
    sqlx::query_as!(
        DueJob,
        r#"
        with due as (
            select id from jobs
            where status in ('queued', 'running') and run_after <= now() and kind = 'reply'
              and not exists (
                  select from customers where customers.id = jobs.customer_id and customers.deleted_at is not null
              )
            order by run_after
            limit $1
            for update skip locked
        )
        update jobs set
            attempts = attempts + 1,
            run_after = now() + least(interval '1 minute' * power(2, least(attempts + 1, 10)), interval '1 hour'),
            updated_at = now()
        from due where jobs.id = due.id
        returning jobs.id, jobs.customer_id, jobs.kind, jobs.payload, jobs.attempts
        "#,
        limit
    )
    .fetch_all(tx)
    .await
}

/// Makes claimed jobs due again, as if they had not been claimed: the queue did not take their messages. A job that a
/// worker has handled since stays as it is.
///
/// # Errors
/// Any error of the database.
pub async fn return_claims(tx: &mut SystemTx, claimed: &[DueJob]) -> sqlx::Result<()> {
    let ids: Vec<_> = claimed.iter().map(|job| job.id).collect();
    let attempts: Vec<_> = claimed.iter().map(|job| job.attempts).collect();
    sqlx::query!(
        r#"
        update jobs set attempts = jobs.attempts - 1, run_after = now(), updated_at = now()
        from unnest($1::uuid[], $2::integer[]) as claimed (id, attempts)
        where jobs.id = claimed.id and jobs.attempts = claimed.attempts and jobs.status in ('queued', 'running')
        "#,
        &ids,
        &attempts
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Ends a job: as done when `failure` is `None`, otherwise as failed for good.
///
/// # Errors
/// Any error of the database.
pub async fn end(tx: &mut SystemTx, job: Uuid, failure: Option<&str>) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        update jobs
        set status = case when $2::text is null then 'done' else 'failed' end, last_error = $2, updated_at = now()
        where id = $1
        "#,
        job,
        failure
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Makes the tenant's job of the kind `collection` due: the collection of its subscription is to be paused or resumed, or the
/// subscription cancelled, as `customers.suspended_at` and `deleted_at` say when the job runs. A worker that is at work
/// notices the new `change`.
///
/// # Errors
/// Any error of the database.
pub async fn enqueue_collection<Scope: Send + std::fmt::Debug>(tx: &mut Tx<Scope>, tenant: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        insert into jobs (customer_id, kind, payload) values ($1, 'collection', $2)
        on conflict (customer_id) where kind = 'collection' do update
        set payload = excluded.payload, status = 'queued', attempts = 0, run_after = now(), last_error = null,
            updated_at = now()
        "#,
        tenant,
        serde_json::json!({ "change": Uuid::new_v4() })
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Claims the tenant's job of the kind `collection` as [`claim_due`] does; `None` when it is not due.
///
/// # Errors
/// Any error of the database.
pub async fn claim_collection(tx: &mut SystemTx, tenant: Uuid) -> sqlx::Result<Option<DueJob>> {
    sqlx::query_as!(
        DueJob,
        r#"
        update jobs set
            attempts = attempts + 1,
            run_after = now() + least(interval '1 minute' * power(2, least(attempts + 1, 10)), interval '1 hour'),
            updated_at = now()
        where customer_id = $1 and kind = 'collection' and status in ('queued', 'running') and run_after <= now()
        returning id, customer_id, kind, payload, attempts
        "#,
        tenant
    )
    .fetch_optional(tx)
    .await
}

/// Ends a job of the kind `collection`. When the tenant was suspended, unsuspended or deleted since the job was claimed, the job is
/// due again: the call of this worker may have come after that of another one.
///
/// # Errors
/// Any error of the database.
pub async fn end_collection(tx: &mut SystemTx, job: &DueJob) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        update jobs
        set status = case when payload = $2 then 'done' else 'queued' end,
            run_after = case when payload = $2 then run_after else now() end, last_error = null, updated_at = now()
        where id = $1
        "#,
        job.id,
        job.payload
    )
    .execute(tx)
    .await
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_with_several_deliveries_gets_one_message() {
        let (tenant, first, second) = (Uuid::from_u128(9), Uuid::from_u128(1), Uuid::from_u128(2));
        let messages = WebhookMessage::parse_all(tenant, Some(&format!("{second} {first} {second}")));
        let of = |endpoint_id| WebhookMessage { customer_id: tenant, endpoint_id };
        assert_eq!(messages, [of(first), of(second)]);
        // The setting is null when nothing has set it on the connection, and empty after a transaction that set it.
        assert_eq!(WebhookMessage::parse_all(tenant, None), []);
        assert_eq!(WebhookMessage::parse_all(tenant, Some("")), []);
    }
}
