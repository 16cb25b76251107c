//! Deletion of an account and its restoration within 30 days.
//!
//! From the deletion on, only sign-in and the restoration work: the routes and the ManyChat bot of a deleted company are
//! refused (`app.memberships`, `app.webhook_tenant`), and no worker answers for it.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{conversations, db::TenantTx, error::ApiError, jobs};

/// Time from the deletion of an account to its purge, within which it can be restored.
pub const GRACE: TimeDelta = TimeDelta::days(30);

/// The state of an account.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "status": "active", "deleted_at": null, "purge_after": null }))]
pub struct AccountState {
    /// `active` or `deleted`.
    status: &'static str,
    /// Time of the deletion; null for an active account.
    deleted_at: Option<DateTime<Utc>>,
    /// Time from which on everything is deleted for good; null for an active account.
    purge_after: Option<DateTime<Utc>>,
}

impl AccountState {
    /// Returns the state of an account that is not deleted.
    #[must_use]
    pub fn active() -> Self {
        Self { status: "active", deleted_at: None, purge_after: None }
    }
}

/// Returns the state of the account of the transaction's tenant.
///
/// # Errors
/// Returns any database error.
pub async fn state(tx: &mut TenantTx) -> Result<AccountState, ApiError> {
    let deleted_at = sqlx::query_scalar!("select deleted_at from customers where id = $1", tx.tenant())
        .fetch_optional(tx)
        .await?
        .ok_or_else(|| ApiError::not_found("company"))?;
    Ok(deleted_at.map_or_else(AccountState::active, |deleted_at| AccountState {
        status: "deleted",
        deleted_at: Some(deleted_at),
        purge_after: Some(deleted_at + GRACE),
    }))
}

/// Deletes the account of the transaction's tenant: sets `deleted_at`, cancels the queued parts of the outbox, ends the
/// reply jobs, and makes the job due that cancels the subscription at Stripe. Returns false when the account is deleted
/// already.
///
/// # Errors
/// Returns any database error.
pub async fn delete(tx: &mut TenantTx) -> sqlx::Result<bool> {
    let tenant = tx.tenant();
    let deleted = sqlx::query!("update customers set deleted_at = now() where id = $1 and deleted_at is null", tenant)
        .execute(&mut *tx)
        .await?
        .rows_affected()
        > 0;
    if deleted {
        cancel_replies(tx).await?;
        jobs::enqueue_collection(tx, tenant).await?;
    }
    Ok(deleted)
}

/// Cancels the queued parts of the outbox, and ends the reply jobs. A worker that is generating an answer meanwhile
/// notices the deletion when it commits or sends.
async fn cancel_replies(tx: &mut TenantTx) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        with cancelled as (
            update outbox set state = 'cancelled', error_code = 'account_deleted'
            where customer_id = $1 and state = 'queued'
            returning message_id
        )
        update messages set error_code = 'account_deleted'
        where customer_id = $1 and id in (select message_id from cancelled)
        "#,
        tx.tenant()
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        r#"
        update jobs set status = 'done', updated_at = clock_timestamp()
        where customer_id = $1 and kind = 'reply' and status in ('queued', 'running')
        "#,
        tx.tenant()
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Restores the account of the transaction's tenant. Messages of the last 24 hours that wait for an answer are answered. The
/// subscription stays cancelled. Returns false when the account is not deleted.
///
/// # Errors
/// Returns 409 `purge_started` when the 30 days are over and the purge has begun, and any database error.
pub async fn restore(tx: &mut TenantTx) -> Result<bool, ApiError> {
    let before = sqlx::query!(
        r#"
        select deleted_at is not null as "is_deleted!", purge_started_at is not null as "is_purged!"
        from customers where id = $1 for no key update
        "#,
        tx.tenant()
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or_else(|| ApiError::not_found("company"))?;
    if before.is_purged {
        let message = "the 30 days are over: the account is being deleted for good";
        return Err(ApiError::conflict("purge_started", message));
    }
    if !before.is_deleted {
        return Ok(false);
    }
    sqlx::query!("update customers set deleted_at = null where id = $1", tx.tenant()).execute(&mut *tx).await?;
    conversations::queue_waiting(tx).await?;
    Ok(true)
}
