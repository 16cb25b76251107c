//! Counts calls in the table `rate_limits`, with the SQL function `app.take_rate`.

use sqlx::Row;

use super::window::{WINDOW_S, WindowCount};
use crate::db::{Pool, call_app_function};

/// Counts a call under `key` if it is within `limit` calls per window.
pub(super) async fn count_call(pool: &Pool, key: &str, limit: u32) -> sqlx::Result<WindowCount> {
    debug_assert!(key.chars().all(|letter| letter.is_ascii_alphanumeric() || ":.-".contains(letter)), "{key}");
    // The call is SQL text. The key holds no quote: see `RateLimits::key_and_limit`.
    let rows = call_app_function(pool, &format!("app.take_rate('{key}', {limit}, {WINDOW_S})")).await?;
    let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    Ok(WindowCount {
        allowed: row.try_get("allowed")?,
        remaining: row.try_get::<i32, _>("remaining")?.into(),
        reset_s: row.try_get("reset_s")?,
        retry_after_s: row.try_get("retry_after_s")?,
    })
}
