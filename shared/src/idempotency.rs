//! `idempotency_keys`: the same key and body gives the first answer again, for a day.
//!
//! A key is claimed in the transaction that begins the work and finished in the one that ends it, so an answer and its
//! effect stand or fall together. A function that is killed in between leaves a claim that runs out.

use axum::{
    extract::FromRequestParts,
    http::{HeaderValue, StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{db::TenantTx, error::ApiError};

/// The header.
const HEADER: &str = "idempotency-key";
/// Says that an answer is a repetition.
pub(crate) const REPLAYED: &str = "idempotency-replayed";
const LONGEST: usize = 255;

/// The key that a caller sent, if any.
#[derive(Debug, Clone)]
pub struct IdempotencyKey(pub Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Some(value) = parts.headers.get(HEADER) else { return Ok(Self(None)) };
        let key = value.to_str().ok().map(str::trim).filter(|key| !key.is_empty() && key.len() <= LONGEST);
        match key {
            Some(key) => Ok(Self(Some(key.to_owned()))),
            None => Err(ApiError::field("Idempotency-Key", "must have 1 to 255 visible ASCII characters")),
        }
    }
}

/// A claimed key: whoever holds it does the work.
#[derive(Debug, Clone)]
pub struct Claim {
    key: String,
}

/// What a key says about a request.
#[derive(Debug)]
pub enum Outcome {
    /// Do the work, then [`finish`] or [`release`].
    Claimed(Claim),
    /// It was done: this is what was answered.
    Finished(Replay),
}

/// An answer that was given before.
#[derive(Debug)]
pub struct Replay {
    status: u16,
    body: serde_json::Value,
}

impl Replay {
    /// The body that was answered.
    #[must_use]
    pub fn body(&self) -> &serde_json::Value {
        &self.body
    }
}

impl IntoResponse for Replay {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        let mut response = (status, axum::Json(self.body)).into_response();
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        response
    }
}

/// Why a request with a key is refused.
#[derive(Debug, thiserror::Error)]
pub enum IdempotencyError {
    /// The key came with another body, or on another route.
    #[error("the key was used for another request")]
    Reused,
    /// The first request is still being worked on.
    #[error("the first request is not done yet")]
    InProgress,
    /// The database said so.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<IdempotencyError> for ApiError {
    fn from(error: IdempotencyError) -> Self {
        match error {
            IdempotencyError::Reused => {
                Self::conflict("idempotency_key_reused", "this Idempotency-Key was used for another request")
            }
            IdempotencyError::InProgress => {
                let mut error = Self::conflict(
                    "idempotency_in_progress",
                    "the first request with this Idempotency-Key is not done yet",
                );
                error.retry_after_s = Some(1);
                error
            }
            IdempotencyError::Database(error) => error.into(),
        }
    }
}

/// What identifies a request: its route and its body, as it was understood.
#[must_use]
pub fn fingerprint(route: &str, body: &impl Serialize) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(route);
    hash.update([0]);
    // Field order is the type's, so spaces and order in the client's JSON do not matter.
    hash.update(serde_json::to_vec(body).unwrap_or_default());
    hash.finalize().into()
}

/// Claims a key, or finds what was answered. Of identical requests at once, one claims it.
///
/// A claim runs out after a minute, twice as long as any request lives: its function was killed.
///
/// # Errors
/// [`IdempotencyError`].
pub async fn claim(tx: &mut TenantTx, key: String, fingerprint: &[u8; 32]) -> Result<Outcome, IdempotencyError> {
    let claimed = sqlx::query_scalar!(
        r#"
        insert into idempotency_keys as known (customer_id, key, request_sha256, locked_until, expires_at)
        values ($1, $2, $3, now() + interval '1 minute', now() + interval '24 hours')
        on conflict on constraint idempotency_keys_pkey do update
        set request_sha256 = excluded.request_sha256, state = 'in_progress', status = null, response = null,
            locked_until = excluded.locked_until, expires_at = excluded.expires_at
        where known.expires_at < now()
           or (known.state = 'in_progress' and known.locked_until < now()
               and known.request_sha256 = excluded.request_sha256)
        returning true as "claimed!"
        "#,
        tx.tenant(),
        key,
        fingerprint.as_slice()
    )
    .fetch_optional(&mut *tx)
    .await?;
    if claimed.is_some() {
        return Ok(Outcome::Claimed(Claim { key }));
    }
    let known = sqlx::query!(
        "select request_sha256, status, response from idempotency_keys where customer_id = $1 and key = $2",
        tx.tenant(),
        key
    )
    .fetch_one(tx)
    .await?;
    if known.request_sha256 != fingerprint {
        return Err(IdempotencyError::Reused);
    }
    match (known.status, known.response) {
        (Some(status), Some(body)) => {
            Ok(Outcome::Finished(Replay { status: u16::try_from(status).unwrap_or(200), body }))
        }
        _ => Err(IdempotencyError::InProgress),
    }
}

/// Keeps the answer, in the transaction that commits its effect.
///
/// # Errors
/// The database's.
pub async fn finish(tx: &mut TenantTx, claim: &Claim, status: u16, body: &impl Serialize) -> sqlx::Result<()> {
    let body = serde_json::to_value(body).map_err(|error| sqlx::Error::Encode(error.into()))?;
    sqlx::query!(
        r#"
        update idempotency_keys set state = 'finished', status = $3, response = $4
        where customer_id = $1 and key = $2 and state = 'in_progress'
        "#,
        tx.tenant(),
        claim.key,
        i32::from(status),
        body
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Gives a key up: the work failed, and may be tried again with it.
///
/// # Errors
/// The database's; the claim then runs out by itself.
pub async fn release(tx: &mut TenantTx, claim: &Claim) -> sqlx::Result<()> {
    sqlx::query!(
        "delete from idempotency_keys where customer_id = $1 and key = $2 and state = 'in_progress'",
        tx.tenant(),
        claim.key
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Removes keys that are over, at most `most`. Returns how many.
///
/// # Errors
/// The database's.
pub async fn remove_expired(tx: &mut crate::db::SystemTx, most: i64) -> sqlx::Result<u64> {
    sqlx::query!(
        r#"
        delete from idempotency_keys where (customer_id, key) in (
            select customer_id, key from idempotency_keys where expires_at < now() order by expires_at limit $1
        )
        "#,
        most
    )
    .execute(tx)
    .await
    .map(|done| done.rows_affected())
}
