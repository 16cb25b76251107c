//! Counts calls in Redis, with a script that computes what the SQL function `app.take_rate` computes. Redis runs one
//! script at a time, so no two calls are counted at once.

use std::{sync::Arc, time::Duration};

use ::redis::{
    Client, RedisError, Script,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use tokio::sync::OnceCell;

use super::window::{WINDOW_S, WindowCount};
use crate::settings::{SettingKind, Settings};

/// Timeout of a call of Redis. The database has a timeout of its own (`db`).
pub(super) const REDIS_TIMEOUT: Duration = Duration::from_millis(800);
/// The script. Its algorithm is explained at `app.take_rate` in migrations/app/0006_guards.sql.
const TAKE_SCRIPT: &str = include_str!("take.lua");

/// A connection to Redis. It is opened at the first use and again when it breaks.
#[derive(Clone)]
pub(super) struct RedisStore(Arc<RedisInner>);

struct RedisInner {
    client: Client,
    connection: OnceCell<ConnectionManager>,
    take: Script,
}

impl std::fmt::Debug for RedisStore {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL may hold a password.
        out.write_str("Redis")
    }
}

impl RedisStore {
    /// Reads REDIS_URL; `None` when it is not set.
    pub(super) fn read(settings: &mut Settings) -> Option<Self> {
        let url = settings.optional_of(SettingKind::ConnectionString, "REDIS_URL")?;
        match Client::open(url) {
            Ok(client) => {
                Some(Self(Arc::new(RedisInner { client, connection: OnceCell::new(), take: Script::new(TAKE_SCRIPT) })))
            }
            Err(_) => {
                settings.problem("REDIS_URL is not a redis:// or rediss:// URL");
                None
            }
        }
    }

    /// Counts a call under `key` if it is within `limit` calls per window.
    pub(super) async fn count_call(&self, key: &str, limit: u32) -> Result<WindowCount, RedisError> {
        let RedisInner { client, connection, take } = self.0.as_ref();
        let connect = || {
            let config = ConnectionManagerConfig::new()
                .set_number_of_retries(1)
                .set_connection_timeout(Some(REDIS_TIMEOUT))
                .set_response_timeout(Some(REDIS_TIMEOUT));
            ConnectionManager::new_with_config(client.clone(), config)
        };
        let mut connection = connection.get_or_try_init(connect).await?.clone();
        let mut call = take.key(format!("lisa:{key}"));
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
