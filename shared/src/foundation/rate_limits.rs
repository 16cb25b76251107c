//! Rate limits: a sliding window of one minute. The counts are in the table `rate_limits` or, when REDIS_URL is set,
//! in Redis. Both stores count alike.
//!
//! When the store fails:
//!
//! - calls with a token are served without a limit, and the metric `RateLimitStoreFailures` raises an alarm.
//!   RateLimitSettings protect the product; they must not take it down. Exception: when the store is PostgreSQL and
//!   the database is down, the call gets 503 at once, because the data it asks for is in that database too.
//! - calls without a token get 503 until the store is back, because sign-in is where passwords are guessed.
//!
//! SQL function: `app.take_rate`.

mod postgres;
mod redis;
mod window;

use std::net::IpAddr;

use axum::http::StatusCode;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use self::redis::RedisStore;
use crate::{
    db::{Db, Pool, SystemDb, SystemTx},
    error::{ApiError, BoxError, RateLimitStatus, is_unavailable},
    logging,
    redis_connection::REDIS_TIMEOUT,
    settings::Settings,
};

/// The configured limits, in calls per minute.
#[derive(Debug, Clone, Copy)]
struct RateLimitSettings {
    user: u32,
    address: u32,
    sign_in: u32,
    webhook: u32,
    webhook_address: u32,
}

/// The limits and the store that counts the calls.
#[derive(Debug, Clone)]
pub struct RateLimits {
    store: CounterStore,
    limits: RateLimitSettings,
}

#[derive(Debug, Clone)]
enum CounterStore {
    Postgres(Pool),
    Redis(RedisStore),
}

/// The caller whose calls are counted together.
#[derive(Debug, Clone)]
pub enum RateLimitKey<'a> {
    /// A user, by `users.id`.
    User(Uuid),
    /// A session whose refresh token this project issued. Limited like a user, since all pages of an office may refresh
    /// from one address.
    Session(Uuid),
    /// A caller without a token, by the source address that API Gateway reports, never by a header of the client.
    Address(IpAddr),
    /// Sign-ins and sign-ups of one account from one source address.
    SignIn {
        /// E-mail address in its normal form. Only its hash is stored.
        email: &'a str,
        /// Source address.
        address: IpAddr,
    },
    /// Changes of a user's password, which guess the current one. Limited like sign-ins, from all addresses together:
    /// only the holder of a token of the user can use the limit up.
    PasswordChange(Uuid),
    /// The authenticated caller of a webhook: `manychat:` with the tenant, or `stripe:` with the account.
    Webhook(&'a str),
    /// A source address that calls a webhook, counted before the call is authenticated. Its limit is that of a busy
    /// sender: it bounds the work of checking what turns out to be nobody's.
    WebhookAddress(IpAddr),
}

#[derive(Debug, thiserror::Error)]
enum StoreError {
    #[error("rate limits: the database")]
    Postgres(#[from] sqlx::Error),
    #[error("rate limits: Redis")]
    Redis(#[from] ::redis::RedisError),
    #[error("rate limits: no answer in time")]
    TimedOut(#[from] tokio::time::error::Elapsed),
}

impl RateLimits {
    /// Reads REDIS_URL and the limits. Without REDIS_URL, calls are counted in the database of `db`.
    pub fn read(settings: &mut Settings, db: &Db) -> Self {
        Self::on(settings, db.pool())
    }

    /// Reads REDIS_URL and the limits, for functions whose login role is `lisa_system`. Without REDIS_URL, calls are
    /// counted in the database of `db`.
    pub fn read_on_system(settings: &mut Settings, db: &SystemDb) -> Self {
        Self::on(settings, db.pool())
    }

    fn on(settings: &mut Settings, pool: &Pool) -> Self {
        let mut read_limit = |name, default| {
            let limit = settings.number(name, default);
            if limit == 0 {
                settings.problem(format_args!("{name} must be 1 or more"));
            }
            limit
        };
        let limits = RateLimitSettings {
            user: read_limit("RATE_LIMIT_USER", 100),
            address: read_limit("RATE_LIMIT_ADDRESS", 20),
            sign_in: read_limit("RATE_LIMIT_SIGN_IN", 10),
            webhook: read_limit("RATE_LIMIT_WEBHOOK", 1_000),
            webhook_address: read_limit("RATE_LIMIT_WEBHOOK_ADDRESS", 1_000),
        };
        let store = match RedisStore::read(settings) {
            Some(redis) => CounterStore::Redis(redis),
            None => CounterStore::Postgres(pool.clone()),
        };
        Self { store, limits }
    }

    /// Counts a call of an authenticated caller. Returns `None` when the store failed and the call is served
    /// uncounted.
    ///
    /// # Errors
    /// 429 when the call is over the limit; 503 when the store is PostgreSQL and the database is down.
    pub async fn check(&self, key: &RateLimitKey<'_>) -> Result<Option<RateLimitStatus>, ApiError> {
        match self.count_call(key).await {
            Ok(status) => ensure_allowed(status).map(Some),
            Err(StoreError::Postgres(error)) if is_unavailable(&error) => Err(error.into()),
            Err(error) => {
                logging::metric("RateLimitStoreFailures", 1.0);
                tracing::warn!(error = logging::chain(&error), "served without a rate limit");
                Ok(None)
            }
        }
    }

    /// Counts a call of a caller without a token.
    ///
    /// # Errors
    /// 429 when the call is over the limit; 503 when the store fails.
    pub async fn check_anonymous(&self, key: &RateLimitKey<'_>) -> Result<RateLimitStatus, ApiError> {
        let status = self.count_call(key).await.map_err(|error| ApiError::unavailable().with_source(error))?;
        ensure_allowed(status)
    }

    /// Counts one call in Redis, under a key of its own, to see whether Redis does what the limits need. Returns false
    /// without REDIS_URL.
    ///
    /// # Errors
    /// Redis cannot be reached, refuses the password, or may not run scripts.
    pub async fn try_redis(&self) -> Result<bool, BoxError> {
        let CounterStore::Redis(redis) = &self.store else { return Ok(false) };
        tokio::time::timeout(REDIS_TIMEOUT, redis.count_call("check", u32::MAX)).await??;
        Ok(true)
    }

    /// Counts a call in the store.
    async fn count_call(&self, key: &RateLimitKey<'_>) -> Result<RateLimitStatus, StoreError> {
        let (key, limit) = self.key_and_limit(key);
        let count = match &self.store {
            CounterStore::Postgres(pool) => postgres::count_call(pool, &key, limit).await?,
            CounterStore::Redis(redis) => tokio::time::timeout(REDIS_TIMEOUT, redis.count_call(&key, limit)).await??,
        };
        let retry_after_s = if count.allowed { 0 } else { (count.retry_after_s.ceil() as u32).max(1) };
        Ok(RateLimitStatus {
            allowed: count.allowed,
            limit,
            remaining: count.remaining as u32,
            // The calls of the previous window still count in the next one, so the next call may be allowed only
            // after the window's end.
            reset_s: (count.reset_s.ceil() as u32).max(retry_after_s),
            retry_after_s,
        })
    }

    /// Returns the key under which the store counts, and the limit. The key holds only letters, digits, colons, dots
    /// and hyphens, whatever the caller typed: `postgres::count_call` writes it into SQL text.
    fn key_and_limit(&self, key: &RateLimitKey<'_>) -> (String, u32) {
        match key {
            RateLimitKey::User(user) => (format!("user:{user}"), self.limits.user),
            RateLimitKey::Session(session) => (format!("session:{session}"), self.limits.user),
            RateLimitKey::Address(address) => (format!("address:{}", network(*address)), self.limits.address),
            RateLimitKey::SignIn { email, address } => {
                let account = hex::encode(Sha256::digest(email.trim().to_lowercase()));
                (format!("sign-in:{account}:{}", network(*address)), self.limits.sign_in)
            }
            RateLimitKey::PasswordChange(user) => (format!("password:{user}"), self.limits.sign_in),
            RateLimitKey::Webhook(source) => {
                (format!("webhook:{}", hex::encode(Sha256::digest(source))), self.limits.webhook)
            }
            RateLimitKey::WebhookAddress(address) => {
                (format!("webhook-address:{}", network(*address)), self.limits.webhook_address)
            }
        }
    }
}

/// Returns the address to count by: an IPv4 address itself, but the /64 network of an IPv6 address, because providers
/// assign a whole /64 to one customer.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6([a, b, c, d, 0, 0, 0, 0].into())
        }
        canonical => canonical,
    }
}

/// Turns the state of a call over the limit into a 429.
fn ensure_allowed(status: RateLimitStatus) -> Result<RateLimitStatus, ApiError> {
    if status.allowed {
        return Ok(status);
    }
    let mut error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "too many requests, try again later");
    error.retry_after_s = Some(status.retry_after_s);
    error.rate_limit_status = Some(status);
    Err(error)
}

/// Deletes the counters whose window began more than an hour ago, and returns their number.
///
/// # Errors
/// Any error of the database.
pub async fn remove_idle(tx: &mut SystemTx) -> sqlx::Result<u64> {
    sqlx::query!("delete from rate_limits where window_start < now() - interval '1 hour'")
        .execute(tx)
        .await
        .map(|done| done.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv4_counts_by_address_and_ipv6_by_its_64_network() {
        for (address, expected) in
            [("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::")]
        {
            assert_eq!(network(address.parse().unwrap()), expected.parse::<IpAddr>().unwrap());
        }
    }
}
