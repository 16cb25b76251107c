//! Idempotency keys, in the table `idempotency_keys`. For 24 hours, a repeated request (same key, route and body)
//! gets the response of the first one.
//!
//! A key is claimed in the transaction that begins the work, and finished in the transaction that ends it. So the
//! stored response and the effect are committed together or not at all. A function that is killed in between leaves a
//! claim, which expires after a minute.
//!
//! A handler passes the optional key of its [`IdempotencyKey`] to [`begin`], and later finishes or releases the claim.

use axum::{
    extract::FromRequestParts,
    http::{HeaderValue, StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{db::TenantTx, error::ApiError};

/// Request header with the key.
const HEADER: &str = "idempotency-key";
/// Response header that marks a replayed response.
pub(crate) const REPLAYED: &str = "idempotency-replayed";
/// Maximum length of a key, in bytes.
const MAX_KEY_LENGTH: usize = 255;

/// The value of the header `Idempotency-Key`; `None` when the client sent none.
#[derive(Debug, Clone)]
pub struct IdempotencyKey(pub Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Some(value) = parts.headers.get(HEADER) else { return Ok(Self(None)) };
        let is_usable =
            |key: &&str| (1..=MAX_KEY_LENGTH).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
        let key = value.to_str().ok().map(str::trim).filter(is_usable);
        match key {
            Some(key) => Ok(Self(Some(key.to_owned()))),
            None => Err(ApiError::field("Idempotency-Key", "must have 1 to 255 visible ASCII characters")),
        }
    }
}

/// The right to run a request. Its owner does the work, then calls [`Self::finish`] or [`Self::release`]. Both do
/// nothing for a request without a key.
#[derive(Debug, Clone)]
pub struct IdempotencyClaim {
    key: Option<String>,
}

/// The outcome of [`begin`].
#[derive(Debug)]
pub enum IdempotencyOutcome {
    /// Run the request, then finish or release the claim.
    Run(IdempotencyClaim),
    /// Send this response of an earlier request, and run nothing.
    Replay(Replay),
}

/// The stored response of an earlier request.
#[derive(Debug)]
pub struct Replay {
    status: u16,
    body: serde_json::Value,
}

impl Replay {
    /// The stored body.
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

/// The reasons to refuse a request with an idempotency key.
#[derive(Debug, thiserror::Error)]
pub enum IdempotencyError {
    /// The key was used with another body or on another route.
    #[error("the key was used for another request")]
    Reused,
    /// The first request with the key is still in progress.
    #[error("the first request is not done yet")]
    InProgress,
    /// The database failed.
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

/// Begins a request that may have an idempotency key. Without a key, the request always runs. With a key, it runs when
/// it can claim the key, and is answered with the stored response when an earlier request with this key, route and
/// body has finished.
///
/// # Errors
/// [`IdempotencyError`].
pub async fn begin(
    tx: &mut TenantTx,
    IdempotencyKey(key): IdempotencyKey,
    route: &str,
    body: &impl Serialize,
) -> Result<IdempotencyOutcome, IdempotencyError> {
    match key {
        None => Ok(IdempotencyOutcome::Run(IdempotencyClaim { key: None })),
        Some(key) => claim(tx, key, &fingerprint(route, body)).await,
    }
}

/// Returns the SHA-256 that identifies a request: of its route and its parsed body.
fn fingerprint(route: &str, body: &impl Serialize) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(route);
    hash.update([0]);
    // Serialised again from the type, so whitespace and field order in the client's JSON make no difference.
    hash.update(serde_json::to_vec(body).unwrap_or_default());
    hash.finalize().into()
}

/// Claims a key, or returns the stored response. Of several identical requests at once, one claims the key.
///
/// A claim expires after one minute, which is twice as long as any request runs. By then its function was killed, and
/// an identical request may claim the key again.
async fn claim(tx: &mut TenantTx, key: String, fingerprint: &[u8; 32]) -> Result<IdempotencyOutcome, IdempotencyError> {
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
        return Ok(IdempotencyOutcome::Run(IdempotencyClaim { key: Some(key) }));
    }
    let known = sqlx::query!(
        "select request_sha256, status, response from idempotency_keys where customer_id = $1 and key = $2",
        tx.tenant(),
        key
    )
    .fetch_optional(tx)
    .await?;
    // No row: the first request failed and released its key between the two statements. The client repeats its request.
    let Some(known) = known else { return Err(IdempotencyError::InProgress) };
    if known.request_sha256 != fingerprint {
        return Err(IdempotencyError::Reused);
    }
    match (known.status, known.response) {
        (Some(status), Some(body)) => {
            Ok(IdempotencyOutcome::Replay(Replay { status: u16::try_from(status).unwrap_or(200), body }))
        }
        _ => Err(IdempotencyError::InProgress),
    }
}

impl IdempotencyClaim {
    /// The claimed key; `None` when the client sent none.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Stores the response, in the transaction that commits its effect.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn finish(&self, tx: &mut TenantTx, status: u16, body: &impl Serialize) -> sqlx::Result<()> {
        let Some(key) = &self.key else { return Ok(()) };
        let body = serde_json::to_value(body).map_err(|error| sqlx::Error::Encode(error.into()))?;
        sqlx::query!(
            r#"
            update idempotency_keys set state = 'finished', status = $3, response = $4
            where customer_id = $1 and key = $2 and state = 'in_progress'
            "#,
            tx.tenant(),
            key,
            i32::from(status),
            body
        )
        .execute(tx)
        .await
        .map(drop)
    }

    /// Deletes the claim of a request whose work failed, so that the client may retry with the same key.
    ///
    /// # Errors
    /// Any error of the database. The claim then expires by itself.
    pub async fn release(&self, tx: &mut TenantTx) -> sqlx::Result<()> {
        let Some(key) = &self.key else { return Ok(()) };
        sqlx::query!(
            "delete from idempotency_keys where customer_id = $1 and key = $2 and state = 'in_progress'",
            tx.tenant(),
            key
        )
        .execute(tx)
        .await
        .map(drop)
    }
}

/// Deletes at most `limit` expired keys, the oldest first, and returns their number.
///
/// # Errors
/// Any error of the database.
pub async fn remove_expired(tx: &mut crate::db::SystemTx, limit: i64) -> sqlx::Result<u64> {
    sqlx::query!(
        r#"
        delete from idempotency_keys where (customer_id, key) in (
            select customer_id, key from idempotency_keys where expires_at < now() order by expires_at limit $1
        )
        "#,
        limit
    )
    .execute(tx)
    .await
    .map(|done| done.rows_affected())
}
