//! Secrets by which ManyChat's calls show their tenant: creation, expiry, and the sealed values that a repeated click
//! reads. Owns the table `webhook_secrets`.
//!
//! SQL function: `app.webhook_tenant`.

use std::{fmt, time::Duration};

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{random_secret, sha256};
use crate::{
    audit::{self, NewAuditEntry},
    db::{SystemTx, TenantTx},
    error::ApiError,
    sealed::KeyRing,
};

/// Webhook secrets of a tenant that may be valid at once. Each of them was shown to somebody, with a promised end.
const MAX_WEBHOOK_SECRETS: i64 = 10;
/// Time in seconds after the creation of a webhook secret in which another call is a repeated click.
const REPEATED_CLICK_S: f64 = 60.0;
/// Purpose under which a new webhook secret is sealed (encrypted).
pub const WEBHOOK_SECRET_PURPOSE: &str = "webhook_secret";

/// A valid webhook secret, without its value.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookSecret {
    id: Uuid,
    created_at: DateTime<Utc>,
    /// Time of expiry, set when a newer secret replaces this one; otherwise null.
    expires_at: Option<DateTime<Utc>>,
}

/// Returns the valid webhook secrets of the transaction's tenant, newest first.
///
/// # Errors
/// Returns any database error.
pub(super) async fn valid_webhook_secrets(tx: &mut TenantTx) -> sqlx::Result<Vec<WebhookSecret>> {
    sqlx::query_as!(
        WebhookSecret,
        r#"
        select id, created_at, expires_at from webhook_secrets
        where customer_id = $1 and (expires_at is null or expires_at > now())
        order by created_at desc, id desc
        "#,
        tx.tenant()
    )
    .fetch_all(tx)
    .await
}

/// A new webhook secret. Its value is shown only in this response, and to repeated calls within a minute.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "d4c3b2a1-0f9e-4d8c-b7a6-958473625140", "webhook_secret": "whs_0a1b2c3d4e5f60718293a4b5c6d7e8f9",
    "header": "X-Webhook-Secret", "older_expires_at": "2026-11-24T09:30:06Z",
}))]
pub struct NewWebhookSecret {
    /// Identifier of the secret.
    pub id: Uuid,
    /// Secret to be sent in the header of the ManyChat bot's external request.
    webhook_secret: String,
    /// Name of the header.
    header: &'static str,
    /// Time at which the last of the older secrets expires; null when there is none.
    older_expires_at: Option<DateTime<Utc>>,
}

impl NewWebhookSecret {
    fn new(id: Uuid, webhook_secret: String, older_expires_at: Option<DateTime<Utc>>) -> Self {
        Self { id, webhook_secret, header: "X-Webhook-Secret", older_expires_at }
    }
}

impl fmt::Debug for NewWebhookSecret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "NewWebhookSecret({}, …)", self.id)
    }
}

/// Result of [`rotate_webhook_secret`].
#[derive(Debug)]
pub enum RotationOutcome {
    /// A new secret was created.
    Created(NewWebhookSecret),
    /// A secret was created a moment ago. Nothing changed.
    Repeated(NewWebhookSecret),
}

/// Creates a new webhook secret for the transaction's tenant. The previous secret stays valid for `grace`. A secret that
/// an earlier call replaced stays valid as long as that call said. A call within `REPEATED_CLICK_S` seconds of the
/// creation of the newest secret is a repeated click, also when it comes at once with the first: it returns that secret
/// and changes nothing.
///
/// # Errors
/// Returns 409 `too_many_webhook_secrets` when `MAX_WEBHOOK_SECRETS` are valid, and any database error.
pub async fn rotate_webhook_secret(
    tx: &mut TenantTx,
    keys: &KeyRing,
    grace: Duration,
) -> Result<RotationOutcome, ApiError> {
    // The lock serialises rotations: of two simultaneous clicks, the second sees the secret of the first.
    sqlx::query!("select from customers where id = $1 for no key update", tx.tenant()).execute(&mut *tx).await?;
    if let Some(secret) = find_recent_secret(tx, keys).await? {
        return Ok(RotationOutcome::Repeated(secret));
    }
    sqlx::query!("delete from webhook_secrets where customer_id = $1 and expires_at <= now()", tx.tenant())
        .execute(&mut *tx)
        .await?;
    let valid = sqlx::query!(
        r#"select count(*) as "count!", min(expires_at) as first_end from webhook_secrets where customer_id = $1"#,
        tx.tenant()
    )
    .fetch_one(&mut *tx)
    .await?;
    if valid.count >= MAX_WEBHOOK_SECRETS {
        let message = "too many older webhook secrets are still valid: wait until one of them ends";
        let details = serde_json::json!({ "first_expires_at": valid.first_end });
        return Err(ApiError::conflict("too_many_webhook_secrets", message).with_details(details));
    }
    sqlx::query!(
        r#"
        update webhook_secrets set sealed_value = null, expires_at = coalesce(expires_at, now() + make_interval(secs => $2))
        where customer_id = $1 and (expires_at is null or sealed_value is not null)
        "#,
        tx.tenant(),
        grace.as_secs_f64()
    )
    .execute(&mut *tx)
    .await?;
    let older_expires_at = older_end(tx).await?;
    let webhook_secret = random_secret("whs");
    let sealed = keys
        .seal(tx.tenant(), WEBHOOK_SECRET_PURPOSE, &webhook_secret)
        .map_err(|error| ApiError::internal().with_source(error))?;
    let id = sqlx::query_scalar!(
        r#"
        insert into webhook_secrets (customer_id, sha256, sealed_value, created_at)
        values ($1, $2, $3, clock_timestamp())
        returning id
        "#,
        tx.tenant(),
        &sha256(webhook_secret.as_bytes()),
        sealed
    )
    .fetch_one(tx)
    .await?;
    Ok(RotationOutcome::Created(NewWebhookSecret::new(id, webhook_secret, older_expires_at)))
}

/// Returns the newest secret, when it was created a moment ago.
async fn find_recent_secret(tx: &mut TenantTx, keys: &KeyRing) -> Result<Option<NewWebhookSecret>, ApiError> {
    let recent = sqlx::query!(
        r#"
        select id, sealed_value as "sealed_value!" from webhook_secrets
        where customer_id = $1 and expires_at is null and sealed_value is not null
          and created_at > now() - make_interval(secs => $2)
        order by created_at desc, id desc
        limit 1
        "#,
        tx.tenant(),
        REPEATED_CLICK_S
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(recent) = recent else { return Ok(None) };
    let value = keys
        .open(tx.tenant(), WEBHOOK_SECRET_PURPOSE, &recent.sealed_value)
        .map_err(|error| ApiError::internal().with_source(error))?;
    let older_expires_at = older_end(tx).await?;
    Ok(Some(NewWebhookSecret::new(recent.id, value.expose().to_owned(), older_expires_at)))
}

/// Returns the time at which the last of the replaced secrets ends.
async fn older_end(tx: &mut TenantTx) -> sqlx::Result<Option<DateTime<Utc>>> {
    sqlx::query_scalar!("select max(expires_at) from webhook_secrets where customer_id = $1", tx.tenant())
        .fetch_one(tx)
        .await
}

/// A sealed webhook secret of a tenant, kept for a repeated click.
#[derive(Debug)]
pub struct SealedWebhookSecret {
    /// Identifier of the secret.
    pub id: Uuid,
    /// Identifier of the tenant.
    pub customer_id: Uuid,
    /// Sealed secret, in the format of [`crate::sealed`].
    pub sealed: Vec<u8>,
}

/// Returns up to `limit` sealed webhook secrets whose ids follow `after`, by id.
///
/// # Errors
/// Returns any database error.
pub async fn sealed_webhook_secrets(
    tx: &mut SystemTx,
    after: Uuid,
    limit: i64,
) -> sqlx::Result<Vec<SealedWebhookSecret>> {
    sqlx::query_as!(
        SealedWebhookSecret,
        r#"
        select id, customer_id, sealed_value as "sealed!" from webhook_secrets
        where sealed_value is not null and id > $1
        order by id
        limit $2
        "#,
        after,
        limit
    )
    .fetch_all(tx)
    .await
}

/// Replaces a sealed webhook secret by `resealed` and records the change in the tenant's audit log. Returns false, and
/// changes nothing, when the stored value is no longer `secret`.
///
/// # Errors
/// Returns any database error.
pub async fn replace_sealed_webhook_secret(
    tx: &mut SystemTx,
    secret: &SealedWebhookSecret,
    resealed: &[u8],
) -> sqlx::Result<bool> {
    let replaced = sqlx::query!(
        "update webhook_secrets set sealed_value = $3 where id = $1 and sealed_value = $2",
        secret.id,
        secret.sealed,
        resealed
    )
    .execute(&mut *tx)
    .await?;
    if replaced.rows_affected() == 0 {
        return Ok(false);
    }
    let entry = NewAuditEntry {
        actor: None,
        action: "key.resealed",
        object: format!("customer:{}", secret.customer_id),
        request_id: None,
        details: serde_json::json!({ "key": WEBHOOK_SECRET_PURPOSE }),
    };
    audit::record_for(tx, Some(secret.customer_id), &entry).await?;
    Ok(true)
}

/// Removes the sealed values of secrets that are too old for a repeated click, at most `limit`. Returns their number.
/// After it, only the hashes are left.
///
/// # Errors
/// Returns any database error.
pub async fn remove_sealed_secrets(tx: &mut SystemTx, limit: i64) -> sqlx::Result<u64> {
    sqlx::query!(
        r#"
        update webhook_secrets set sealed_value = null where id in (
            select id from webhook_secrets
            where sealed_value is not null and created_at < now() - make_interval(secs => $1)
            limit $2
        )
        "#,
        REPEATED_CLICK_S,
        limit
    )
    .execute(tx)
    .await
    .map(|done| done.rows_affected())
}
