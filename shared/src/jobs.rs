//! `jobs`: what must happen later, written in the transaction of its cause. A queue carries only its id; what the queue
//! lost is found here by maintenance.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::db::{SystemTx, TenantTx};

/// What a queue carries. The rest is in the database, which may have moved on since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobMessage {
    /// `jobs.id`.
    pub job_id: Uuid,
    /// The tenant.
    pub customer_id: Uuid,
    /// The document to ingest.
    pub document_id: Uuid,
}

/// What the reply queue carries: a conversation in which something waits to be answered or to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyMessage {
    /// The tenant.
    pub customer_id: Uuid,
    /// The conversation.
    pub conversation_id: Uuid,
    /// The message that came in; none where something else made the conversation due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<Uuid>,
}

/// A job that is due.
#[derive(Debug)]
pub struct DueJob {
    /// `jobs.id`.
    pub id: Uuid,
    /// The tenant.
    pub customer_id: Uuid,
    /// `ingest`, `reply`, `delete_object` or `invoice_item`.
    pub kind: String,
    /// What it is about.
    pub payload: serde_json::Value,
    /// How often it was tried, this time included.
    pub attempts: i32,
}

/// Writes the job that deletes a stored object, due at once.
///
/// # Errors
/// The database's.
pub async fn delete_object(tx: &mut TenantTx, storage_key: &str) -> sqlx::Result<Uuid> {
    sqlx::query_scalar!(
        "insert into jobs (customer_id, kind, payload) values ($1, 'delete_object', $2) returning id",
        tx.tenant(),
        serde_json::json!({ "storage_key": storage_key })
    )
    .fetch_one(tx)
    .await
}

/// Marks a job as done.
///
/// # Errors
/// The database's.
pub async fn done(tx: &mut TenantTx, job: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "update jobs set status = 'done', last_error = null, updated_at = now() where customer_id = $1 and id = $2",
        tx.tenant(),
        job
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Takes jobs that are due, the oldest first, and puts each off by 2^attempts minutes (an hour at most): whoever takes
/// one and dies leaves it to the next sweep, and two sweeps never take the same one.
///
/// # Errors
/// The database's.
pub async fn take_due(tx: &mut SystemTx, most: i64) -> sqlx::Result<Vec<DueJob>> {
    sqlx::query_as!(
        DueJob,
        r#"
        with due as (
            select id from jobs
            where status in ('queued', 'running') and run_after <= now()
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
        most
    )
    .fetch_all(tx)
    .await
}

/// Ends a job, done or failed for good.
///
/// # Errors
/// The database's.
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
