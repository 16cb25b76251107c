//! `audit_log`: who did what to whose data. Append-only and hash-chained; the database writes the chain, in the
//! transaction of what is told. Ids only: no address, no text.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    db::{SystemTx, TenantTx},
    error::ApiError,
    paging::{COUNTED_EXACTLY, List, Listing, Paging},
};

/// Something that was done.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// The user; `None` for a service or the system.
    pub actor: Option<Uuid>,
    /// What, as `noun.verb`.
    pub action: &'static str,
    /// To what, as `noun:id`.
    pub object: String,
    /// The request in which it was done.
    pub request_id: Option<&'a str>,
    /// What else matters, ids and codes only.
    pub details: serde_json::Value,
}

/// Writes an entry into the chain of the transaction's tenant.
///
/// # Errors
/// The database's.
pub async fn record(tx: &mut TenantTx, entry: &Entry<'_>) -> sqlx::Result<()> {
    sqlx::query!(
        "select app.audit_own($1, $2, $3, $4, $5)",
        entry.actor,
        entry.action,
        entry.object,
        entry.request_id,
        entry.details
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Writes an entry into a tenant's chain, or, without a tenant, into that of the nil UUID.
///
/// # Errors
/// The database's.
pub async fn record_for(tx: &mut SystemTx, tenant: Option<Uuid>, entry: &Entry<'_>) -> sqlx::Result<()> {
    sqlx::query!(
        "select app.audit($1, $2, $3, $4, $5, $6)",
        tenant.unwrap_or_default(),
        entry.actor,
        entry.action,
        entry.object,
        entry.request_id,
        entry.details
    )
    .execute(tx)
    .await
    .map(drop)
}

/// An entry, as the tenant's owner sees it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": 42, "at": "2026-11-23T09:30:06Z", "actor": "5d0f3c52-8e7a-4b7e-9a55-6f0a2b1c3d4e", "action": "document.read",
    "object": "document:0b9f2c34-5a1f-4a57-9a43-2f6e6f0f6f01", "request_id": "JKJaXmPLvHcESHA=", "details": {},
}))]
pub struct AuditEntry {
    /// Its place in the log.
    pub id: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// The user; null for a service or the system.
    pub actor: Option<Uuid>,
    /// What, as `noun.verb`.
    #[schema(example = "auth.login")]
    pub action: String,
    /// To what, as `noun:id`.
    pub object: String,
    /// The request in which it was done.
    pub request_id: Option<String>,
    /// What else matters.
    #[schema(value_type = Object)]
    pub details: serde_json::Value,
}

/// The order of the list: as it was written.
#[derive(Debug)]
pub struct AuditListing;

impl Listing for AuditListing {
    const SORTS: &'static [&'static str] = &["at"];
    const CREATED_AT: &'static str = "at";
    const STATUSES: &'static [&'static str] = &[];
}

/// A page of the tenant's entries.
///
/// # Errors
/// 422 for a cursor that was tampered with; the database's.
pub async fn list(tx: &mut TenantTx, paging: &Paging) -> Result<List<AuditEntry>, ApiError> {
    let after: Option<i64> = paging.after()?;
    let (fetched, offset) = (paging.fetched(), paging.offset);
    let entries = if paging.descending {
        sqlx::query_as!(
            AuditEntry,
            r#"
            select id, at, actor, action, object, request_id, details from audit_log
            where customer_id = $1 and ($2::bigint is null or id < $2)
            order by id desc limit $3 offset $4
            "#,
            tx.tenant(),
            after,
            fetched,
            offset
        )
        .fetch_all(&mut *tx)
        .await
    } else {
        sqlx::query_as!(
            AuditEntry,
            r#"
            select id, at, actor, action, object, request_id, details from audit_log
            where customer_id = $1 and ($2::bigint is null or id > $2)
            order by id limit $3 offset $4
            "#,
            tx.tenant(),
            after,
            fetched,
            offset
        )
        .fetch_all(&mut *tx)
        .await
    }
    .map_err(|error| paging.failed(error))?;
    let counted = sqlx::query_scalar!(
        r#"select count(*) as "count!" from (select from audit_log where customer_id = $1 limit $2) counted"#,
        tx.tenant(),
        COUNTED_EXACTLY + 1
    )
    .fetch_one(tx)
    .await?;
    paging.page(entries, counted, |last| last.id)
}

/// A place where a chain does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Whose chain; nil for that of no tenant.
    pub customer_id: Uuid,
    /// The entry; 0 where the end of the chain is missing.
    pub entry: i64,
    /// What is wrong.
    pub fault: String,
}

/// Checks every chain. Empty when nothing was altered, removed or put in between.
///
/// # Errors
/// The database's.
pub async fn verify(tx: &mut SystemTx) -> sqlx::Result<Vec<Fault>> {
    sqlx::query_as!(
        Fault,
        r#"select customer_id as "customer_id!", entry as "entry!", fault as "fault!" from app.audit_faults()"#
    )
    .fetch_all(tx)
    .await
}
