//! The changes feed: what changed for a tenant since a cursor, for whoever shows it live. Owns the table `changes`, which
//! triggers write in the transaction that changes, and which is kept for seven days.
//!
//! SQL functions: `app.record_change`, `app.change_lock_key`, `app.changes_bound`, `app.changes_after`. Triggers, all of
//! them `app.on_change`: `conversations_change`, `conversations_update_change` and `conversations_delete_change` on
//! `conversations`, `messages_change`, `messages_update_change` and `messages_delete_change` on `messages`,
//! `documents_change` and `documents_update_change` on `documents`, `orders_change` on `orders`, `activities_change` on
//! `activities`.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    db::{SystemTx, TenantTx},
    error::ApiError,
};

/// Days for which changes are kept.
const RETENTION_DAYS: i32 = 7;
/// Maximum age of a cursor in seconds: an hour less than changes are kept, which covers any transaction's length.
const MAX_CURSOR_AGE_S: i64 = RETENTION_DAYS as i64 * 86_400 - 3_600;

/// A change of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({
    "kind": "order", "id": "3f1d2c4b-0c7e-4a53-8a4e-5d2f9b1c5a69", "version": 4711, "is_deleted": false,
    "at": "2026-11-23T09:30:06Z",
}))]
pub struct Change {
    /// `conversation`, `message`, `document`, `order` or `activity`.
    pub kind: String,
    /// Identifier of the object.
    pub id: Uuid,
    /// A number that grows with each change of the company's objects.
    pub version: i64,
    /// True when the object was deleted.
    pub is_deleted: bool,
    /// Time of the change.
    pub at: DateTime<Utc>,
}

/// A place in the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeCursor {
    /// The number of the last change before the place.
    #[serde(rename = "n")]
    after: i64,
    /// Time at which the cursor was given out, in seconds since 1970.
    #[serde(rename = "t")]
    issued_s: i64,
}

/// The reasons to refuse a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// Not a cursor of the feed.
    #[error("is not a cursor of the changes")]
    Unknown,
    /// Changes after the cursor may be deleted.
    #[error("is older than seven days: read the lists anew, and begin with cursor=now")]
    Expired,
}

impl ChangeCursor {
    /// The beginning of what is kept.
    #[must_use]
    pub fn beginning(now: DateTime<Utc>) -> Self {
        Self::after(0, now)
    }

    /// The place after the change with the number `version`.
    #[must_use]
    pub fn after(version: i64, now: DateTime<Utc>) -> Self {
        Self { after: version, issued_s: now.timestamp() }
    }

    /// Returns the number of the last change before the place.
    #[must_use]
    pub const fn version(self) -> i64 {
        self.after
    }

    /// Writes the cursor for a client.
    #[must_use]
    pub fn encode(self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&self).unwrap_or_default())
    }

    /// Reads a cursor of a client.
    ///
    /// # Errors
    /// [`CursorError`].
    pub fn decode(text: &str, now: DateTime<Utc>) -> Result<Self, CursorError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).or(Err(CursorError::Unknown))?;
        let cursor: Self = serde_json::from_slice(&bytes).or(Err(CursorError::Unknown))?;
        if cursor.after < 0 {
            return Err(CursorError::Unknown);
        }
        match now.timestamp().checked_sub(cursor.issued_s) {
            Some(age_s) if age_s <= MAX_CURSOR_AGE_S => Ok(cursor),
            _ => Err(CursorError::Expired),
        }
    }
}

/// Returns at most `limit` changes after a place, in their order. A change is returned once no transaction is open whose
/// changes come before it, so that no change is passed. It needs the isolation level of [`crate::db::Db::tenant_tx`].
///
/// # Errors
/// A database error.
pub async fn list(tx: &mut TenantTx, cursor: ChangeCursor, limit: i32) -> sqlx::Result<Vec<Change>> {
    sqlx::query_as!(
        Change,
        r#"
        select kind as "kind!", id as "id!", sequence as "version!", is_deleted as "is_deleted!", at as "at!"
        from app.changes_after($1, $2)
        "#,
        cursor.after,
        limit
    )
    .fetch_all(tx)
    .await
}

/// Returns the place after all changes that are committed and that no open transaction comes before.
///
/// # Errors
/// A database error.
pub async fn end(tx: &mut TenantTx, now: DateTime<Utc>) -> Result<ChangeCursor, ApiError> {
    let bound = sqlx::query_scalar!(r#"select app.changes_bound() as "bound!""#).fetch_one(tx).await?;
    Ok(ChangeCursor::after(bound, now))
}

/// Deletes at most `limit` changes that are older than seven days, and returns their number.
///
/// # Errors
/// A database error.
pub async fn remove_old(tx: &mut SystemTx, limit: i64) -> sqlx::Result<u64> {
    sqlx::query!(
        r#"
        delete from changes where ctid = any (array(
            select ctid from changes where at < now() - make_interval(days => $1) limit $2
        ))
        "#,
        RETENTION_DAYS,
        limit
    )
    .execute(tx)
    .await
    .map(|done| done.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_until_it_is_too_old() {
        let issued = DateTime::from_timestamp(1_795_426_206, 0).unwrap();
        let text = ChangeCursor::after(4_711, issued).encode();
        let at = |seconds: i64| ChangeCursor::decode(&text, issued + chrono::TimeDelta::seconds(seconds));
        assert_eq!(at(0).map(ChangeCursor::version), Ok(4_711));
        assert_eq!(at(MAX_CURSOR_AGE_S).map(ChangeCursor::version), Ok(4_711));
        assert_eq!(at(MAX_CURSOR_AGE_S + 1), Err(CursorError::Expired));
        for text in ["", "x", "4711", "eyJuIjotMSwidCI6MH0", "e30"] {
            assert_eq!(ChangeCursor::decode(text, issued), Err(CursorError::Unknown), "{text}");
        }
    }
}
