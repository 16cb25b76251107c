//! Calls of the product's SQL function `app.take_rate` and of its script for Redis.

use std::{fs, sync::Arc};

use local::testing;
use local_postgres::{Redis, root};
use redis::{Script, aio::MultiplexedConnection};
use sqlx::{FromRow, PgPool, postgres::PgPoolOptions};

use crate::route::DatabaseRoute;

/// Answer of a store to one call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct StoreCount {
    pub(super) allowed: bool,
    /// Calls left in the window.
    pub(super) remaining: f64,
    /// Seconds until the window ends.
    pub(super) reset_s: f64,
    /// Seconds until a call is allowed; 0 for an allowed call.
    pub(super) retry_after_s: f64,
}

/// A store of the rate limits, PostgreSQL or Redis.
#[derive(Clone)]
pub(super) enum RateLimitStore {
    /// With the functions' role for the calls, and the superuser to move the window's start.
    Postgres {
        app: PgPool,
        admin: PgPool,
    },
    Redis {
        _server: Arc<Redis>,
        connection: MultiplexedConnection,
        script: Arc<Script>,
    },
}

impl RateLimitStore {
    pub(super) async fn postgres(route: &DatabaseRoute) -> Self {
        let pool = async |url: &str| PgPoolOptions::new().max_connections(8).connect(url).await.unwrap();
        let urls = &route.database.urls;
        Self::Postgres { app: pool(&urls.app).await, admin: pool(&urls.admin).await }
    }

    /// Starts a Redis server; `None` where Redis is not installed.
    pub(super) async fn redis() -> Option<Self> {
        let server = testing::redis().await.unwrap()?;
        let client = redis::Client::open(format!("redis://{}", server.address())).unwrap();
        let connection = client.get_multiplexed_async_connection().await.unwrap();
        let script = fs::read_to_string(root().join("shared/src/foundation/rate_limits/take.lua")).unwrap();
        Some(Self::Redis { _server: Arc::new(server), connection, script: Arc::new(Script::new(&script)) })
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Postgres { .. } => "PostgreSQL",
            Self::Redis { .. } => "Redis",
        }
    }

    /// Counts a call under a limit of `most` calls in `seconds`.
    pub(super) async fn count_call(&self, key: &str, most: u32, seconds: u32) -> StoreCount {
        match self {
            Self::Postgres { app, .. } => {
                let query = sqlx::query("select * from app.take_rate($1, $2, $3)").bind(key);
                let query = query.bind(i32::try_from(most).unwrap()).bind(i32::try_from(seconds).unwrap());
                let row = query.fetch_one(app).await.unwrap();
                let (allowed, remaining, reset_s, retry_after_s): (_, i32, _, _) = FromRow::from_row(&row).unwrap();
                StoreCount { allowed, remaining: remaining.into(), reset_s, retry_after_s }
            }
            Self::Redis { connection, script, .. } => {
                let mut call = script.key(format!("lisa:{key}"));
                call.arg(most).arg(seconds);
                let answer = call.invoke_async(&mut connection.clone()).await.unwrap();
                let (allowed, remaining, reset_s, retry_after_s): (i64, _, _, _) = answer;
                StoreCount { allowed: allowed == 1, remaining, reset_s, retry_after_s }
            }
        }
    }

    /// Moves the start of the window `seconds` into the past.
    pub(super) async fn move_window_start_back(&self, key: &str, seconds: u32) {
        match self {
            Self::Postgres { admin, .. } => {
                let statement = "update rate_limits set window_start = window_start - make_interval(secs => $2)
                                 where key = $1";
                let query = sqlx::query(statement).bind(key).bind(f64::from(seconds));
                query.execute(admin).await.unwrap();
            }
            Self::Redis { connection, .. } => {
                let script = "if redis.call('EXISTS', KEYS[1]) == 1 then
                                  redis.call('HINCRBY', KEYS[1], 'start', -ARGV[1] * 1000000)
                              end";
                let script = Script::new(script);
                let mut call = script.key(format!("lisa:{key}"));
                let () = call.arg(seconds).invoke_async(&mut connection.clone()).await.unwrap();
            }
        }
    }
}
