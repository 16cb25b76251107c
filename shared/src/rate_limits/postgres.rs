//! Counting in `rate_limits`, by `app.take_rate`.

use sqlx::Row;

use super::{Taken, WINDOW_S};
use crate::db::{Pool, identify};

/// Takes a call.
pub(super) async fn take(pool: &Pool, key: &str, limit: u32) -> sqlx::Result<Taken> {
    debug_assert!(key.chars().all(|letter| letter.is_ascii_alphanumeric() || ":.-".contains(letter)), "{key}");
    // The key is ours and holds nothing that could end the text.
    let rows = identify(pool, &format!("app.take_rate('{key}', {limit}, {WINDOW_S})")).await?;
    let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    Ok(Taken {
        allowed: row.try_get("allowed")?,
        remaining: row.try_get::<i32, _>("remaining")?.into(),
        reset_s: row.try_get("reset_s")?,
        retry_after_s: row.try_get("retry_after_s")?,
    })
}
