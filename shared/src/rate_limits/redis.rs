//! Counting in Redis, by a script that does what `app.take_rate` does: one server runs one script at a time.

use std::sync::Arc;

use ::redis::{
    Client, RedisError, Script,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use tokio::sync::OnceCell;

use super::{PATIENCE, Taken, WINDOW_S};
use crate::settings::Settings;

/// What it does, said where `app.take_rate` is: migrations/app/0006_guards.sql.
const TAKE: &str = include_str!("take.lua");

/// A connection that is made at the first use and made again when it breaks.
#[derive(Clone)]
pub(super) struct Redis(Arc<Inner>);

struct Inner {
    client: Client,
    connection: OnceCell<ConnectionManager>,
    take: Script,
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL may hold a password.
        out.write_str("Redis")
    }
}

impl Redis {
    /// Reads REDIS_URL.
    pub(super) fn read(settings: &mut Settings) -> Option<Self> {
        let url = settings.optional("REDIS_URL")?;
        match Client::open(url) {
            Ok(client) => Some(Self(Arc::new(Inner { client, connection: OnceCell::new(), take: Script::new(TAKE) }))),
            Err(_) => {
                settings.problem("REDIS_URL is not a redis:// or rediss:// URL");
                None
            }
        }
    }

    /// Takes a call.
    pub(super) async fn take(&self, key: &str, limit: u32) -> Result<Taken, RedisError> {
        let Inner { client, connection, take } = self.0.as_ref();
        let connect = || {
            let config = ConnectionManagerConfig::new()
                .set_number_of_retries(1)
                .set_connection_timeout(Some(PATIENCE))
                .set_response_timeout(Some(PATIENCE));
            ConnectionManager::new_with_config(client.clone(), config)
        };
        let mut connection = connection.get_or_try_init(connect).await?.clone();
        let mut call = take.key(format!("lisa:{key}"));
        call.arg(limit).arg(WINDOW_S);
        let answer = match call.invoke_async(&mut connection).await {
            // The connection died while the function was frozen; the manager makes a new one. The call was not counted,
            // or, if its answer was lost, is counted twice: that errs on the strict side.
            Err(error) if error.is_io_error() => call.invoke_async(&mut connection).await,
            answer => answer,
        };
        let (allowed, remaining, reset_s, retry_after_s): (i64, f64, f64, f64) = answer?;
        Ok(Taken { allowed: allowed == 1, remaining, reset_s, retry_after_s })
    }
}
