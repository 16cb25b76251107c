//! A cache of values with a lifetime: in Redis when REDIS_URL is set, else in the memory of the function instance.
//!
//! A cached value is a copy. Its reader compares a version of it with the database, so an entry that was not dropped is
//! never shown. A failure of Redis is a missing entry.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};
use tokio::time::{Instant, timeout};

use crate::{
    logging,
    redis_connection::{REDIS_TIMEOUT, RedisConnection},
    settings::Settings,
};

/// Maximum number of entries in memory.
const MAX_ENTRIES: usize = 1_000;

/// A cache. Clones share their entries.
#[derive(Debug, Clone)]
pub struct Cache {
    /// Word before each key, which keeps the caches of one Redis apart.
    name: &'static str,
    lifetime: Duration,
    store: CacheStore,
}

#[derive(Debug, Clone)]
enum CacheStore {
    Redis(RedisConnection),
    Memory(Arc<Mutex<HashMap<String, MemoryEntry>>>),
}

/// An entry in memory.
#[derive(Debug)]
struct MemoryEntry {
    /// The value as JSON, as Redis would hold it.
    json: String,
    expires_at: Instant,
}

/// The reasons for which Redis has no answer.
#[derive(Debug, thiserror::Error)]
enum CacheError {
    #[error("cache: Redis")]
    Redis(#[from] ::redis::RedisError),
    #[error("cache: no answer in time")]
    TimedOut(#[from] tokio::time::error::Elapsed),
}

impl Cache {
    /// Reads REDIS_URL.
    pub fn read(settings: &mut Settings, name: &'static str, lifetime: Duration) -> Self {
        let store = match RedisConnection::read(settings) {
            Some(redis) => CacheStore::Redis(redis),
            None => CacheStore::Memory(Arc::default()),
        };
        Self { name, lifetime, store }
    }

    /// Finds an entry that has not expired.
    pub async fn find<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        let json = match &self.store {
            CacheStore::Redis(redis) => {
                let mut get = ::redis::cmd("GET");
                get.arg(self.redis_key(key));
                run::<Option<String>>(redis, &get).await.flatten()
            }
            CacheStore::Memory(entries) => {
                let entries = lock(entries);
                entries.get(key).filter(|entry| entry.expires_at > Instant::now()).map(|entry| entry.json.clone())
            }
        };
        // An entry of an older release may have another form.
        serde_json::from_str(&json?).ok()
    }

    /// Stores an entry for the cache's lifetime.
    pub async fn store<T: Serialize>(&self, key: &str, value: &T) {
        let Ok(json) = serde_json::to_string(value) else { return };
        match &self.store {
            CacheStore::Redis(redis) => {
                let mut set = ::redis::cmd("SET");
                set.arg(self.redis_key(key)).arg(json).arg("PX").arg(self.lifetime.as_millis() as u64);
                run::<()>(redis, &set).await;
            }
            CacheStore::Memory(entries) => {
                let now = Instant::now();
                let mut entries = lock(entries);
                if entries.len() >= MAX_ENTRIES {
                    entries.retain(|_, entry| entry.expires_at > now);
                }
                if entries.len() >= MAX_ENTRIES {
                    entries.clear();
                }
                entries.insert(key.to_owned(), MemoryEntry { json, expires_at: now + self.lifetime });
            }
        }
    }

    /// Drops an entry.
    pub async fn remove(&self, key: &str) {
        match &self.store {
            CacheStore::Redis(redis) => {
                let mut delete = ::redis::cmd("DEL");
                delete.arg(self.redis_key(key));
                run::<()>(redis, &delete).await;
            }
            CacheStore::Memory(entries) => drop(lock(entries).remove(key)),
        }
    }

    fn redis_key(&self, key: &str) -> String {
        format!("lisa:{}:{key}", self.name)
    }
}

fn lock(entries: &Mutex<HashMap<String, MemoryEntry>>) -> MutexGuard<'_, HashMap<String, MemoryEntry>> {
    entries.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a command; `None` when Redis fails.
async fn run<T: ::redis::FromRedisValue>(redis: &RedisConnection, command: &::redis::Cmd) -> Option<T> {
    let answer = async {
        let mut connection = redis.get().await?;
        command.query_async::<T>(&mut connection).await
    };
    let answered: Result<T, CacheError> = async { Ok(timeout(REDIS_TIMEOUT, answer).await??) }.await;
    answered.inspect_err(|error| tracing::warn!(error = logging::chain(error), "served without the cache")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(lifetime: Duration) -> Cache {
        Cache::read(&mut Settings::new(HashMap::new().into_iter().collect()), "test", lifetime)
    }

    #[tokio::test]
    async fn an_entry_is_found_until_it_is_dropped() {
        let cache = cache(Duration::from_secs(300));
        assert_eq!(cache.find::<i64>("a").await, None);
        cache.store("a", &1_i64).await;
        assert_eq!((cache.find::<i64>("a").await, cache.find::<i64>("b").await), (Some(1), None));
        cache.clone().remove("a").await;
        assert_eq!(cache.find::<i64>("a").await, None);
    }

    #[tokio::test]
    async fn an_entry_is_not_found_after_its_lifetime() {
        let cache = cache(Duration::ZERO);
        cache.store("a", &1_i64).await;
        assert_eq!(cache.find::<i64>("a").await, None);
    }

    #[tokio::test]
    async fn the_memory_holds_a_bounded_number_of_entries() {
        let cache = cache(Duration::from_secs(300));
        for key in 0..MAX_ENTRIES + 1 {
            cache.store(&key.to_string(), &key).await;
        }
        let CacheStore::Memory(entries) = &cache.store else { panic!("REDIS_URL is not set") };
        assert!(lock(entries).len() <= MAX_ENTRIES);
        assert_eq!(cache.find::<usize>(&MAX_ENTRIES.to_string()).await, Some(MAX_ENTRIES));
    }
}
