//! Exports: their requests, the work on them, and their expiry. Owns the table `exports`.
//!
//! One worker at a time works on an export: it holds the row for two minutes and holds it on while it works. A worker that
//! died is followed by the next delivery of the queue message, or by maintenance, which begins the archive anew.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    db::{SystemTx, TenantTx},
    error::ApiError,
    jobs::{self, ExportMessage},
};

/// Time for which an archive can be fetched.
const AVAILABLE_FOR: TimeDelta = TimeDelta::days(7);
/// Time for which a worker holds an export without a sign of life.
const HOLD_S: f64 = 120.0;
/// Attempts at an export, after which it fails.
pub const MAX_ATTEMPTS: i32 = 8;
/// Attempts to find the export that is in work, while others end.
const MAX_LOOKS: u32 = 4;

/// An export of all that a company stores.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "2a9d8c7b-6e5f-4a3b-9c1d-0e1f2a3b4c5d", "status": "ready", "created_at": "2026-11-29T09:30:06Z",
    "finished_at": "2026-11-29T09:30:41Z", "expires_at": "2026-12-06T09:30:41Z", "size_bytes": 1_048_576,
    "error_code": null, "download": {
        "url": "https://lisa-documents.s3.eu-west-1.amazonaws.com/tenants/…/exports/….zip?X-Amz-Signature=…",
        "expires_at": "2026-11-29T09:45:06Z",
    },
}))]
pub struct Export {
    /// Identifier of the export.
    pub id: Uuid,
    /// `queued`, `running`, `ready`, `failed` or `expired`.
    pub status: String,
    /// Time of the request.
    pub created_at: DateTime<Utc>,
    /// Time at which the archive was complete, or the export failed.
    pub finished_at: Option<DateTime<Utc>>,
    /// Time at which the archive is deleted; null until it is ready.
    pub expires_at: Option<DateTime<Utc>>,
    /// Size of the archive, in bytes; null until it is ready.
    pub size_bytes: Option<i64>,
    /// Reason of the failure: `storage_unavailable`, `attempts_used_up`; null unless the status is `failed`.
    pub error_code: Option<String>,
    /// Link to the archive; null unless the status is `ready`.
    pub download: Option<Download>,
}

/// A link to an archive.
#[derive(Debug, Serialize, ToSchema)]
pub struct Download {
    /// Signed URL for a GET, which needs no token.
    pub url: String,
    /// Time at which the URL ends. A new one is in the next answer.
    pub expires_at: DateTime<Utc>,
}

/// A row of `exports`, as its queries select it.
struct ExportRow {
    id: Uuid,
    status: String,
    created_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    expires_at: Option<DateTime<Utc>>,
    size_bytes: Option<i64>,
    error_code: Option<String>,
}

impl From<ExportRow> for Export {
    fn from(row: ExportRow) -> Self {
        Self {
            id: row.id,
            status: row.status,
            created_at: row.created_at,
            finished_at: row.finished_at,
            expires_at: row.expires_at,
            size_bytes: row.size_bytes,
            error_code: row.error_code,
            download: None,
        }
    }
}

/// A requested export.
#[derive(Debug)]
pub struct RequestedExport {
    /// The export, a new one or the one that is in work.
    pub export: Export,
    /// Message for the queue when the export is new.
    pub message: Option<ExportMessage>,
}

/// Requests an export for the transaction's tenant, with its job. While one is in work, returns that one: of two requests at
/// once, the unique index lets one insert.
///
/// # Errors
/// Returns any database error.
pub async fn request(tx: &mut TenantTx, requested_by: Uuid) -> Result<RequestedExport, ApiError> {
    for _ in 0..MAX_LOOKS {
        let id = Uuid::now_v7();
        let inserted = sqlx::query_as!(
            ExportRow,
            r#"
            insert into exports (id, customer_id, requested_by) values ($1, $2, $3)
            on conflict (customer_id) where status in ('queued', 'running') do nothing
            returning id, status, created_at, finished_at, expires_at, size_bytes, error_code
            "#,
            id,
            tx.tenant(),
            requested_by
        )
        .fetch_optional(&mut *tx)
        .await?;
        if let Some(row) = inserted {
            let message = jobs::enqueue_export(tx, id).await?;
            return Ok(RequestedExport { export: row.into(), message: Some(message) });
        }
        let open = sqlx::query_as!(
            ExportRow,
            r#"
            select id, status, created_at, finished_at, expires_at, size_bytes, error_code from exports
            where customer_id = $1 and status in ('queued', 'running')
            "#,
            tx.tenant()
        )
        .fetch_optional(&mut *tx)
        .await?;
        if let Some(row) = open {
            return Ok(RequestedExport { export: row.into(), message: None });
        }
        // The one that was in the way has ended between the two statements.
    }
    Err(ApiError::unavailable().with_source("exports end faster than they are found"))
}

/// Returns an export of the transaction's tenant, without a link.
///
/// # Errors
/// Returns 404 when the tenant has no such export, and any database error.
pub async fn get(tx: &mut TenantTx, id: Uuid) -> Result<Export, ApiError> {
    let row = sqlx::query_as!(
        ExportRow,
        r#"
        select id, case when status = 'ready' and expires_at <= now() then 'expired' else status end as "status!",
            created_at, finished_at, expires_at, size_bytes, error_code
        from exports where customer_id = $1 and id = $2
        "#,
        tx.tenant(),
        id
    )
    .fetch_optional(tx)
    .await?;
    row.map(Export::from).ok_or_else(|| ApiError::not_found("export"))
}

/// An export that a worker has begun.
#[derive(Debug, Clone)]
pub struct HeldExport {
    /// `exports.id`.
    pub id: Uuid,
    /// The company.
    pub customer_id: Uuid,
    /// Time of the request.
    pub created_at: DateTime<Utc>,
    /// Number of attempts, this one included.
    pub attempts: i32,
}

/// Begins or resumes an export as `worker`. Returns `None` when it has ended, when another worker holds it, and when the
/// company is deleted.
///
/// # Errors
/// Returns any database error.
pub async fn begin(tx: &mut SystemTx, id: Uuid, worker: Uuid) -> sqlx::Result<Option<HeldExport>> {
    sqlx::query_as!(
        HeldExport,
        r#"
        with begun as (
            update exports
            set status = 'running', worker = $2, held_until = now() + make_interval(secs => $3),
                attempts = attempts + 1
            from customers tenant
            where exports.id = $1 and tenant.id = exports.customer_id and tenant.deleted_at is null
              and exports.status in ('queued', 'running')
              and (exports.held_until is null or exports.held_until < now())
            returning exports.id, exports.customer_id, exports.created_at, exports.attempts
        ), job as (
            update jobs set status = 'running', run_after = now() + make_interval(secs => 2 * $3::double precision), updated_at = now()
            where kind = 'export' and payload ->> 'export_id' = $1::uuid::text and exists (select from begun)
        )
        select id as "id!", customer_id as "customer_id!", created_at as "created_at!", attempts as "attempts!" from begun
        "#,
        id,
        worker,
        HOLD_S
    )
    .fetch_optional(tx)
    .await
}

/// Holds an export on. Returns false when the worker must stop: another one has the export, or the company is deleted.
///
/// # Errors
/// Returns any database error.
pub async fn hold(tx: &mut SystemTx, export: &HeldExport, worker: Uuid) -> sqlx::Result<bool> {
    let held = sqlx::query!(
        r#"
        update exports set held_until = now() + make_interval(secs => $3)
        from customers tenant
        where exports.id = $1 and exports.worker = $2 and exports.status = 'running'
          and tenant.id = exports.customer_id and tenant.deleted_at is null
        "#,
        export.id,
        worker,
        HOLD_S
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        r#"
        update jobs set run_after = now() + make_interval(secs => 2 * $2::double precision), attempts = 0, updated_at = now()
        where kind = 'export' and payload ->> 'export_id' = $1::uuid::text and status = 'running'
        "#,
        export.id,
        HOLD_S
    )
    .execute(tx)
    .await?;
    Ok(held.rows_affected() > 0)
}

/// Marks an export as ready and ends its job. The archives before it end: a company has one at a time. Returns false when
/// another worker has the export.
///
/// # Errors
/// Returns any database error.
pub async fn finish(tx: &mut SystemTx, export: &HeldExport, worker: Uuid, size_bytes: i64) -> sqlx::Result<bool> {
    let ready = sqlx::query!(
        r#"
        update exports
        set status = 'ready', size_bytes = $3, finished_at = now(), expires_at = now() + make_interval(secs => $4),
            worker = null, held_until = null
        where id = $1 and worker = $2 and status = 'running'
        "#,
        export.id,
        worker,
        size_bytes,
        AVAILABLE_FOR.as_seconds_f64()
    )
    .execute(&mut *tx)
    .await?
    .rows_affected()
        > 0;
    if ready {
        sqlx::query!(
            r#"
            update exports set expires_at = least(expires_at, now())
            where customer_id = $1 and id <> $2 and status = 'ready'
            "#,
            export.customer_id,
            export.id
        )
        .execute(&mut *tx)
        .await?;
        end_job(tx, export.id, None).await?;
    }
    Ok(ready)
}

/// Lets an export be begun again at once, after an attempt that failed. After [`MAX_ATTEMPTS`] it fails with `error_code`.
///
/// # Errors
/// Returns any database error.
pub async fn give_back(
    tx: &mut SystemTx,
    export: &HeldExport,
    worker: Uuid,
    error_code: &'static str,
) -> sqlx::Result<()> {
    let is_over = export.attempts >= MAX_ATTEMPTS;
    let given_back = sqlx::query!(
        r#"
        update exports
        set status = case when $3 then 'failed' else 'queued' end, error_code = case when $3 then $4::text end,
            finished_at = case when $3 then now() end, worker = null, held_until = null
        where id = $1 and worker = $2 and status = 'running'
        "#,
        export.id,
        worker,
        is_over,
        error_code
    )
    .execute(&mut *tx)
    .await?;
    if is_over && given_back.rows_affected() > 0 {
        end_job(tx, export.id, Some(error_code)).await?;
    }
    Ok(())
}

/// Marks an export as failed whose job was tried too often, and ends the job.
///
/// # Errors
/// Returns any database error.
pub async fn give_up(tx: &mut SystemTx, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        update exports set status = 'failed', error_code = 'attempts_used_up', finished_at = now(), worker = null,
            held_until = null
        where id = $1 and status in ('queued', 'running')
        "#,
        id
    )
    .execute(&mut *tx)
    .await?;
    end_job(tx, id, Some("attempts_used_up")).await
}

async fn end_job(tx: &mut SystemTx, export: Uuid, failure: Option<&str>) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        update jobs
        set status = case when $2::text is null then 'done' else 'failed' end, last_error = $2, updated_at = now()
        where kind = 'export' and payload ->> 'export_id' = $1::text
        "#,
        export.to_string(),
        failure
    )
    .execute(tx)
    .await
    .map(drop)
}

/// An export whose archive is past its time.
#[derive(Debug)]
pub struct ExpiredExport {
    /// `exports.id`.
    pub id: Uuid,
    /// The company.
    pub customer_id: Uuid,
}

/// Lists at most `limit` exports whose archives ended before `now`.
///
/// # Errors
/// Returns any database error.
pub async fn list_expired(tx: &mut SystemTx, now: DateTime<Utc>, limit: i64) -> sqlx::Result<Vec<ExpiredExport>> {
    sqlx::query_as!(
        ExpiredExport,
        r#"
        select id, customer_id from exports where status = 'ready' and expires_at <= $1 order by expires_at limit $2
        "#,
        now,
        limit
    )
    .fetch_all(tx)
    .await
}

/// Marks an export as expired, after its archive was deleted.
///
/// # Errors
/// Returns any database error.
pub async fn mark_expired(tx: &mut SystemTx, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!("update exports set status = 'expired' where id = $1 and status = 'ready'", id)
        .execute(tx)
        .await
        .map(drop)
}
