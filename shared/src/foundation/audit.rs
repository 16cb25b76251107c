//! Audit log of actions on tenants' data. Owns the table `audit_log`: append-only, with one hash chain per tenant.
//!
//! The database computes the chain, in the transaction of the recorded action. Entries hold ids and codes only, no
//! e-mail addresses and no texts.
//!
//! SQL functions: `app.audit`, `app.audit_own`, `app.audit_digest`, `app.audit_faults`.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    db::{SystemTx, TenantTx},
    error::ApiError,
    paging::{List, Listing, Paging, list_page},
};

/// An entry to be added to the audit log.
#[derive(Debug, Clone)]
pub struct NewAuditEntry<'a> {
    /// User who acted; `None` for a service or the system.
    pub actor: Option<Uuid>,
    /// Action, as `noun.verb`.
    pub action: &'static str,
    /// Object of the action, as `noun:id`.
    pub object: String,
    /// Id of the request.
    pub request_id: Option<&'a str>,
    /// Further details: ids and codes only.
    pub details: serde_json::Value,
}

/// Adds an entry to the chain of the transaction's tenant.
///
/// # Errors
/// Returns any database error.
pub async fn record(tx: &mut TenantTx, entry: &NewAuditEntry<'_>) -> sqlx::Result<()> {
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

/// Names the user who acts in the transaction, for triggers that record who changed a row.
///
/// # Errors
/// Returns any database error.
pub async fn set_actor(tx: &mut TenantTx, actor: Uuid) -> sqlx::Result<()> {
    sqlx::query_scalar!("select set_config('app.user_id', $1, true)", actor.to_string()).fetch_one(tx).await.map(drop)
}

/// Adds an entry to a tenant's chain, or to the chain of the nil UUID when `tenant` is `None`.
///
/// # Errors
/// Returns any database error.
pub async fn record_for(tx: &mut SystemTx, tenant: Option<Uuid>, entry: &NewAuditEntry<'_>) -> sqlx::Result<()> {
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

/// An entry of the audit log as shown to the tenant's owner.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": 42, "at": "2026-11-23T09:30:06Z", "actor": "5d0f3c52-8e7a-4b7e-9a55-6f0a2b1c3d4e", "action": "document.read",
    "object": "document:0b9f2c34-5a1f-4a57-9a43-2f6e6f0f6f01", "request_id": "JKJaXmPLvHcESHA=", "details": {},
}))]
pub struct AuditEntry {
    /// Number of the entry, ascending over time.
    pub id: i64,
    /// Time of the action.
    pub at: DateTime<Utc>,
    /// User who acted; null for a service or the system.
    pub actor: Option<Uuid>,
    /// Action, as `noun.verb`.
    #[schema(example = "auth.login")]
    pub action: String,
    /// Object of the action, as `noun:id`.
    pub object: String,
    /// Id of the request.
    pub request_id: Option<String>,
    /// Further details.
    #[schema(value_type = Object)]
    pub details: serde_json::Value,
}

/// Sort order of the audit log: by time of writing.
#[derive(Debug)]
pub struct AuditListing;

impl Listing for AuditListing {
    const NAME: &'static str = "audit";
    const SORTS: &'static [&'static str] = &["at"];
    const CREATED_AT: &'static str = "at";
}

/// Returns one page of the tenant's audit log.
///
/// # Errors
/// Returns 422 for a cursor of the wrong form, and any database error.
pub async fn list(tx: &mut TenantTx, paging: &Paging) -> Result<List<AuditEntry>, ApiError> {
    list_page!(tx, paging, AuditEntry {
        select: "id, at, actor, action, object, request_id, details",
        from: "audit_log where customer_id = $1",
        bind: [],
        id: "id" "bigint" i64 = id,
    })
}

/// A defect in an audit chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditFault {
    /// Tenant of the chain; the nil UUID for entries without a tenant.
    pub customer_id: Uuid,
    /// Number of the entry; 0 when the end of the chain is missing.
    pub entry: i64,
    /// Description of the defect.
    pub fault: String,
}

/// Verifies all chains and returns their defects; empty when no entry was changed, removed or inserted.
///
/// # Errors
/// Returns any database error.
pub async fn verify(tx: &mut SystemTx) -> sqlx::Result<Vec<AuditFault>> {
    sqlx::query_as!(
        AuditFault,
        r#"select customer_id as "customer_id!", entry as "entry!", fault as "fault!" from app.audit_faults()"#
    )
    .fetch_all(tx)
    .await
}
