//! The store of rate limit counters: PostgreSQL or Redis. Tests of the rate limits run with each of them.

use local::testing::{self, FaultProxy};
use local_postgres::Redis;

use super::App;

/// Lua script that moves the windows of all counters into the past by `ARGV[1]` seconds.
const REWIND_SCRIPT: &str = r"
for _, key in ipairs(redis.call('KEYS', 'lisa:*')) do
    redis.call('HINCRBY', key, 'start', -ARGV[1] * 1000000)
end
";

/// A store of rate limit counters.
pub(crate) struct CounterBackend {
    /// The Redis server and the proxy to it; `None` when the counters are in PostgreSQL.
    redis: Option<(Redis, FaultProxy)>,
}

impl CounterBackend {
    pub(crate) async fn postgres() -> Option<Self> {
        Some(Self { redis: None })
    }

    /// Starts a Redis server; `None` when Redis is not installed.
    pub(crate) async fn redis() -> Option<Self> {
        let redis = testing::redis().await.unwrap()?;
        let network = FaultProxy::start(redis.address()).await.unwrap();
        Some(Self { redis: Some((redis, network)) })
    }

    /// Starts a product that keeps its counters in this store.
    pub(crate) async fn start_app(&self, settings: &[(&str, &str)]) -> App {
        let url = self.redis.as_ref().map(|(_, network)| format!("redis://{}", network.address()));
        let mut all = settings.to_vec();
        all.extend(url.as_deref().map(|url| ("REDIS_URL", url)));
        App::with_settings(&all).await
    }

    /// Moves the start of all windows back by `seconds`, as if that time had passed.
    pub(crate) async fn age_windows(&self, app: &App, seconds: u32) {
        let Some((redis, _)) = &self.redis else {
            return app
                .sql(&format!("update rate_limits set window_start = window_start - interval '{seconds} seconds'"))
                .await;
        };
        let client = redis::Client::open(format!("redis://{}", redis.address())).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let () = redis::Script::new(REWIND_SCRIPT).arg(seconds).invoke_async(&mut connection).await.unwrap();
    }

    /// Number of counters in the store. A test asserts that it is not zero, to prove that the store is in use.
    pub(crate) async fn counter_count(&self, app: &App) -> i64 {
        let Some((redis, _)) = &self.redis else { return app.number("select count(*) from rate_limits").await };
        let client = redis::Client::open(format!("redis://{}", redis.address())).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        redis::cmd("DBSIZE").query_async(&mut connection).await.unwrap()
    }

    /// The proxy to Redis.
    ///
    /// # Panics
    /// Panics when the counters are in PostgreSQL.
    pub(crate) fn network(&self) -> &FaultProxy {
        &self.redis.as_ref().unwrap().1
    }

    /// Restarts Redis without its data.
    pub(crate) async fn restart(&mut self) {
        self.redis.as_mut().unwrap().0.restart().await.unwrap();
    }
}
