//! The connection to Redis, opened at the first use and again when it breaks.

use std::{sync::Arc, time::Duration};

use ::redis::{
    Client, RedisError,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use tokio::sync::OnceCell;

use crate::settings::{SettingKind, Settings};

/// Timeout of a call of Redis. The database has a timeout of its own (`db`).
pub(crate) const REDIS_TIMEOUT: Duration = Duration::from_millis(800);

/// A connection to Redis.
#[derive(Clone)]
pub(crate) struct RedisConnection(Arc<ConnectionCell>);

struct ConnectionCell {
    client: Client,
    connection: OnceCell<ConnectionManager>,
}

impl std::fmt::Debug for RedisConnection {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL may hold a password.
        out.write_str("Redis")
    }
}

impl RedisConnection {
    /// Reads REDIS_URL; `None` when it is not set.
    pub(crate) fn read(settings: &mut Settings) -> Option<Self> {
        let url = settings.optional_of(SettingKind::ConnectionString, "REDIS_URL")?;
        match Client::open(url) {
            Ok(client) => Some(Self(Arc::new(ConnectionCell { client, connection: OnceCell::new() }))),
            Err(_) => {
                settings.problem("REDIS_URL is not a redis:// or rediss:// URL");
                None
            }
        }
    }

    /// Returns the connection, and opens it at the first use.
    pub(crate) async fn get(&self) -> Result<ConnectionManager, RedisError> {
        let ConnectionCell { client, connection } = self.0.as_ref();
        let connect = || {
            let config = ConnectionManagerConfig::new()
                .set_number_of_retries(1)
                .set_connection_timeout(Some(REDIS_TIMEOUT))
                .set_response_timeout(Some(REDIS_TIMEOUT));
            ConnectionManager::new_with_config(client.clone(), config)
        };
        Ok(connection.get_or_try_init(connect).await?.clone())
    }
}
