//! Counts calls in Redis, with a script that computes what the SQL function `app.take_rate` computes. Redis runs one
//! script at a time, so no two calls are counted at once.

use std::sync::Arc;

use ::redis::{RedisError, Script};

use super::window::{WINDOW_S, WindowCount};
use crate::{redis_connection::RedisConnection, settings::Settings};

/// The script. Its algorithm is explained at `app.take_rate` in migrations/app/0006_guards.sql.
const TAKE_SCRIPT: &str = include_str!("take.lua");

/// The counters in Redis.
#[derive(Clone)]
pub(super) struct RedisStore {
    connection: RedisConnection,
    take: Arc<Script>,
}

impl std::fmt::Debug for RedisStore {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Redis")
    }
}

impl RedisStore {
    /// Reads REDIS_URL; `None` when it is not set.
    pub(super) fn read(settings: &mut Settings) -> Option<Self> {
        let connection = RedisConnection::read(settings)?;
        Some(Self { connection, take: Arc::new(Script::new(TAKE_SCRIPT)) })
    }

    /// Counts a call under `key` if it is within `limit` calls per window.
    pub(super) async fn count_call(&self, key: &str, limit: u32) -> Result<WindowCount, RedisError> {
        let mut connection = self.connection.get().await?;
        let mut call = self.take.key(format!("lisa:{key}"));
        call.arg(limit).arg(WINDOW_S);
        let answer = match call.invoke_async(&mut connection).await {
            // The connection may have broken while the function was frozen; the manager opens a new one. If only the
            // answer was lost, this repetition counts the call twice, which errs on the strict side.
            Err(error) if error.is_io_error() => call.invoke_async(&mut connection).await,
            answer => answer,
        };
        let (allowed, remaining, reset_s, retry_after_s): (i64, f64, f64, f64) = answer?;
        Ok(WindowCount { allowed: allowed == 1, remaining, reset_s, retry_after_s })
    }
}
