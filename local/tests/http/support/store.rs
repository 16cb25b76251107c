//! Where calls are counted: in the database, or in Redis. Tests of the limits go both ways.

use local::testing;
use local_postgres::Redis;

use super::{App, Proxy};

/// Moves the windows of all counters into the past.
const REWIND: &str = r"
for _, key in ipairs(redis.call('KEYS', 'lisa:*')) do
    redis.call('HINCRBY', key, 'start', -ARGV[1] * 1000000)
end
";

/// A place for counters.
pub(crate) struct Store {
    redis: Option<(Redis, Proxy)>,
}

impl Store {
    pub(crate) async fn postgres() -> Option<Self> {
        Some(Self { redis: None })
    }

    /// `None` where Redis is not installed.
    pub(crate) async fn redis() -> Option<Self> {
        let redis = testing::redis().await.unwrap()?;
        let network = Proxy::before(redis.address()).await;
        Some(Self { redis: Some((redis, network)) })
    }

    /// A product that counts here.
    pub(crate) async fn app(&self, settings: &[(&str, &str)]) -> App {
        let url = self.redis.as_ref().map(|(_, network)| format!("redis://{}", network.address()));
        let mut all = settings.to_vec();
        all.extend(url.as_deref().map(|url| ("REDIS_URL", url)));
        App::with(&all).await
    }

    /// As if all windows had begun so many seconds earlier.
    pub(crate) async fn wait(&self, app: &App, seconds: u32) {
        let Some((redis, _)) = &self.redis else {
            return app
                .sql(&format!("update rate_limits set window_start = window_start - interval '{seconds} seconds'"))
                .await;
        };
        let client = redis::Client::open(format!("redis://{}", redis.address())).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let () = redis::Script::new(REWIND).arg(seconds).invoke_async(&mut connection).await.unwrap();
    }

    /// How many counters there are in Redis. None, where it was thought to be used, is a test that tests nothing.
    pub(crate) async fn counters(&self, app: &App) -> i64 {
        let Some((redis, _)) = &self.redis else { return app.number("select count(*) from rate_limits").await };
        let client = redis::Client::open(format!("redis://{}", redis.address())).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        redis::cmd("DBSIZE").query_async(&mut connection).await.unwrap()
    }

    /// The way to Redis.
    pub(crate) fn network(&self) -> &Proxy {
        &self.redis.as_ref().unwrap().1
    }

    /// Ends Redis and starts it again, empty.
    pub(crate) async fn restart(&mut self) {
        self.redis.as_mut().unwrap().0.restart().await.unwrap();
    }
}
