//! Exports: their requests, the work on them, and their expiry. Owns the table `exports`.
//!
//! One worker at a time works on an export: it holds the row for two minutes (`held_until`) and extends the hold while
//! it works. When a worker has died, the next delivery of the queue message or maintenance starts another one, which
//! writes the archive from its beginning.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    db::{SystemTx, TenantTx},
    error::ApiError,
    jobs::{self, ExportMessage},
    paging::{List, Listing, Paging, list_page},
};

/// Time for which an archive can be fetched.
const AVAILABLE_FOR: TimeDelta = TimeDelta::days(7);
/// Duration of a worker's hold on an export, in seconds, from its last extension.
const HOLD_S: f64 = 120.0;
/// Number of attempts, those of dead workers included, from which on a failed attempt is the last one ([`give_back`]).
pub const MAX_ATTEMPTS: i32 = 8;
/// Number of tries of [`request`] to insert an export or find the open one, while other exports end in between.
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
    /// Link to the archive; null unless the status is `ready`, and in the list of the exports.
    pub download: Option<Download>,
}

/// A link to an archive.
#[derive(Debug, Serialize, ToSchema)]
pub struct Download {
    /// Signed URL for a GET, which needs no token.
    pub url: String,
    /// Time until which the URL is valid. Each answer has a new URL.
    pub expires_at: DateTime<Utc>,
}

/// A row of `exports`, as its queries select it.
#[derive(Serialize)]
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
        // The open export, which kept this one from being inserted, has ended between the two statements.
    }
    Err(ApiError::unavailable().with_source("exports end faster than they are found"))
}

/// Order of the exports: by the time of the request.
#[derive(Debug)]
pub struct ExportListing;

impl Listing for ExportListing {
    const NAME: &'static str = "exports";
    const SORTS: &'static [&'static str] = &["created_at"];
}

/// Returns a page of the transaction's tenant's exports, without links.
///
/// # Errors
/// Returns 422 for a cursor of the wrong form, and any database error.
pub async fn list(tx: &mut TenantTx, paging: &Paging) -> Result<List<Export>, ApiError> {
    let page: Result<List<ExportRow>, ApiError> = list_page!(tx, paging, ExportRow {
        select: r#"id, case when status = 'ready' and expires_at <= now() then 'expired' else status end as "status!",
            created_at, finished_at, case when status <> 'failed' then expires_at end as expires_at, size_bytes,
            error_code"#,
        from: "exports where customer_id = $1",
        bind: [],
        order: ["created_at": "created_at" "timestamptz" DateTime<Utc> = created_at],
        id: "id" "uuid" Uuid = id,
    });
    Ok(page?.map(Export::from))
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
            created_at, finished_at, case when status <> 'failed' then expires_at end as expires_at, size_bytes, error_code
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

/// Notes that `user` gets a link to an archive of the transaction's tenant. Returns false when the same user got one in the
/// last 15 minutes: links are valid for so long, and the audit log shall not grow with each look at an export.
///
/// # Errors
/// Returns any database error.
pub async fn note_link(tx: &mut TenantTx, id: Uuid, user: Uuid) -> sqlx::Result<bool> {
    sqlx::query!(
        r#"
        update exports set link_issued_at = now(), link_issued_to = $3
        where customer_id = $1 and id = $2
          and (link_issued_to is distinct from $3 or link_issued_at <= now() - interval '15 minutes')
        "#,
        tx.tenant(),
        id,
        user
    )
    .execute(tx)
    .await
    .map(|done| done.rows_affected() > 0)
}

/// Ends the archives of the transaction's tenant, and takes the export in work from its worker, so that it is made anew. For
/// the end of a transaction that deletes what an archive may hold.
///
/// # Errors
/// Returns any database error.
pub async fn withdraw(tx: &mut TenantTx) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        update exports
        set expires_at = case when status = 'ready' then least(expires_at, now()) else expires_at end,
            worker = null, held_until = null
        where customer_id = $1 and status in ('ready', 'running')
        "#,
        tx.tenant()
    )
    .execute(tx)
    .await
    .map(drop)
}

/// The outcome of a delivery of an export's message.
#[derive(Debug)]
pub enum BeginOutcome {
    /// The worker holds the export.
    Begun(HeldExport),
    /// All attempts are used up: the export and its job have failed.
    GivenUp,
    /// The export has ended, another worker holds it, or the company is deleted.
    NothingToDo,
}

/// Begins or resumes an export as `worker`. An export whose last attempt ended without a word fails here: its worker was
/// killed, and nobody else counts.
///
/// # Errors
/// Returns any database error.
pub async fn begin(tx: &mut SystemTx, id: Uuid, worker: Uuid) -> sqlx::Result<BeginOutcome> {
    let row = sqlx::query!(
        r#"
        with begun as (
            update exports
            set status = case when attempts < $4 then 'running' else 'failed' end,
                error_code = case when attempts >= $4 then 'attempts_used_up' end,
                finished_at = case when attempts >= $4 then now() end,
                expires_at = case when attempts >= $4 then now() end,
                worker = case when attempts < $4 then $2::uuid end,
                held_until = case when attempts < $4 then now() + make_interval(secs => $3) end,
                attempts = least(attempts + 1, $4)
            from customers tenant
            where exports.id = $1 and tenant.id = exports.customer_id and tenant.deleted_at is null
              and exports.status in ('queued', 'running')
              and (exports.held_until is null or exports.held_until < now())
            returning exports.id, exports.customer_id, exports.created_at, exports.attempts, exports.status, exports.error_code
        ), job as (
            update jobs
            set status = begun.status, last_error = begun.error_code,
                run_after = now() + make_interval(secs => 2 * $3::double precision), updated_at = now()
            from begun where kind = 'export' and payload ->> 'export_id' = $1::uuid::text
        )
        select id as "id!", customer_id as "customer_id!", created_at as "created_at!", attempts as "attempts!",
            status = 'running' as "is_begun!"
        from begun
        "#,
        id,
        worker,
        HOLD_S,
        MAX_ATTEMPTS
    )
    .fetch_optional(tx)
    .await?;
    Ok(match row {
        None => BeginOutcome::NothingToDo,
        Some(row) if !row.is_begun => BeginOutcome::GivenUp,
        Some(row) => BeginOutcome::Begun(HeldExport {
            id: row.id,
            customer_id: row.customer_id,
            created_at: row.created_at,
            attempts: row.attempts,
        }),
    })
}

/// Extends the hold on an export to two minutes from now. Returns false when the worker must stop: another worker has
/// the export, or the company is deleted.
///
/// The attempts of the job stay as they are, so that those of killed workers count.
///
/// # Errors
/// Returns any database error.
pub async fn hold(tx: &mut SystemTx, export: &HeldExport, worker: Uuid) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"
        with held as (
            update exports set held_until = now() + make_interval(secs => $3)
            from customers tenant
            where exports.id = $1 and exports.worker = $2 and exports.status = 'running'
              and tenant.id = exports.customer_id and tenant.deleted_at is null
            returning exports.id
        ), job as (
            update jobs
            set run_after = now() + make_interval(secs => 2 * $3::double precision), updated_at = now()
            from held where kind = 'export' and payload ->> 'export_id' = held.id::text and status = 'running'
        )
        select exists (select from held) as "is_held!"
        "#,
        export.id,
        worker,
        HOLD_S
    )
    .fetch_one(tx)
    .await
}

/// Marks an export as ready and ends its job. Earlier archives of the company expire now, since a company has one at a
/// time. Returns false, and changes nothing, when another worker has the export.
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

/// Returns an export to the status `queued` after a failed attempt, so that any worker may begin it at once. After
/// [`MAX_ATTEMPTS`] the export fails with `error_code`.
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
            finished_at = case when $3 then now() end, expires_at = case when $3 then now() end,
            worker = null, held_until = null
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
        update exports
        set status = 'failed', error_code = 'attempts_used_up', finished_at = now(), expires_at = now(), worker = null,
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

/// A ready export whose archive has passed `expires_at`.
#[derive(Debug)]
pub struct ExpiredExport {
    /// `exports.id`.
    pub id: Uuid,
    /// The company.
    pub customer_id: Uuid,
}

/// Lists at most `limit` exports whose archives ended before `now`, and failed ones: their worker may have stored an archive
/// without an answer.
///
/// # Errors
/// Returns any database error.
pub async fn list_expired(tx: &mut SystemTx, now: DateTime<Utc>, limit: i64) -> sqlx::Result<Vec<ExpiredExport>> {
    sqlx::query_as!(
        ExpiredExport,
        r#"
        select id, customer_id from exports
        where status in ('ready', 'failed') and expires_at <= $1 order by expires_at limit $2
        "#,
        now,
        limit
    )
    .fetch_all(tx)
    .await
}

/// Marks an export as expired, after its archive was deleted. A failed one stays failed.
///
/// # Errors
/// Returns any database error.
pub async fn mark_expired(tx: &mut SystemTx, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        update exports
        set status = case when status = 'ready' then 'expired' else status end,
            expires_at = case when status = 'ready' then expires_at end
        where id = $1 and status in ('ready', 'failed')
        "#,
        id
    )
    .execute(tx)
    .await
    .map(drop)
}
