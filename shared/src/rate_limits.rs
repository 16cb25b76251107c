//! Rate limits: a sliding window a minute long, kept in PostgreSQL, or in Redis when REDIS_URL is set. Both behave alike.
//!
//! A store that fails lets authenticated callers through and raises an alarm metric: limits protect the product, they are
//! not the product. Callers without a token wait until it is back. A database that is away is another matter: what the
//! callers want is in it too, so they are told at once.

mod postgres;
mod redis;

use std::{net::IpAddr, time::Duration};

use axum::http::StatusCode;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use self::redis::Redis;
use crate::{
    db::{Db, Pool, SystemDb, SystemTx},
    error::{ApiError, is_unavailable},
    logging,
    settings::Settings,
};

/// The window, in seconds.
const WINDOW_S: u32 = 60;
/// A Redis that takes longer is as good as away; the database has a deadline of its own.
const PATIENCE: Duration = Duration::from_millis(800);

/// The limits, in calls a minute.
#[derive(Debug, Clone, Copy)]
struct Limits {
    user: u32,
    address: u32,
    sign_in: u32,
    webhook: u32,
}

/// The limits, and where calls are counted.
#[derive(Debug, Clone)]
pub struct RateLimits {
    store: Store,
    limits: Limits,
}

#[derive(Debug, Clone)]
enum Store {
    Postgres(Pool),
    Redis(Redis),
}

/// Who is counted.
#[derive(Debug, Clone)]
pub enum Who<'a> {
    /// A user, by `users.id`.
    User(Uuid),
    /// An address without a token: API Gateway's source address, never a header that the client writes.
    Address(IpAddr),
    /// Sign-ins and sign-ups of one account from one address.
    SignIn {
        /// As it was typed; only its hash is kept.
        email: &'a str,
        /// Where from.
        address: IpAddr,
    },
    /// What calls a webhook, once it is known who it is: `manychat:` and the tenant, `stripe:` and the account.
    Webhook(&'a str),
}

/// Where a caller stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    /// Whether this call is served.
    pub allowed: bool,
    /// Calls a minute.
    pub limit: u32,
    /// Calls left.
    pub remaining: u32,
    /// Seconds until the window ends.
    pub reset_s: u32,
    /// Seconds until there is a call again; 0 when this one is served.
    pub retry_after_s: u32,
}

/// What a store answers.
#[derive(Debug, Clone, Copy)]
struct Taken {
    allowed: bool,
    remaining: f64,
    reset_s: f64,
    retry_after_s: f64,
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
    /// Reads REDIS_URL and the limits; without Redis, calls are counted in the database of tenants.
    pub fn read(settings: &mut Settings, db: &Db) -> Self {
        Self::on(settings, db.pool())
    }

    /// The same for functions that log in as the system.
    pub fn read_on_system(settings: &mut Settings, db: &SystemDb) -> Self {
        Self::on(settings, db.pool())
    }

    fn on(settings: &mut Settings, pool: &Pool) -> Self {
        let mut most = |name, default| {
            let most = settings.parsed(name, default);
            if most == 0 {
                settings.problem(format_args!("{name} must be 1 or more"));
            }
            most
        };
        let limits = Limits {
            user: most("RATE_LIMIT_USER", 100),
            address: most("RATE_LIMIT_ADDRESS", 20),
            sign_in: most("RATE_LIMIT_SIGN_IN", 10),
            webhook: most("RATE_LIMIT_WEBHOOK", 1_000),
        };
        let store = match Redis::read(settings) {
            Some(redis) => Store::Redis(redis),
            None => Store::Postgres(pool.clone()),
        };
        Self { store, limits }
    }

    /// Counts a call of a caller with a token. When counting fails, the call is served.
    ///
    /// # Errors
    /// 429; 503 when the database is away.
    pub async fn check(&self, who: &Who<'_>) -> Result<Option<Standing>, ApiError> {
        match self.take(who).await {
            Ok(standing) => judge(standing).map(Some),
            Err(StoreError::Postgres(error)) if is_unavailable(&error) => Err(error.into()),
            Err(error) => {
                logging::metric("RateLimitStoreFailures", 1.0);
                tracing::warn!(error = logging::chain(&error), "served without a rate limit");
                Ok(None)
            }
        }
    }

    /// Counts a call of a caller without one. Without a store nobody is served: this is where passwords are guessed.
    ///
    /// # Errors
    /// 429, or 503.
    pub async fn check_anonymous(&self, who: &Who<'_>) -> Result<Standing, ApiError> {
        let standing = self.take(who).await.map_err(|error| ApiError::unavailable().because(error))?;
        judge(standing)
    }

    async fn take(&self, who: &Who<'_>) -> Result<Standing, StoreError> {
        let (key, limit) = self.key(who);
        let taken = match &self.store {
            Store::Postgres(pool) => postgres::take(pool, &key, limit).await?,
            Store::Redis(redis) => tokio::time::timeout(PATIENCE, redis.take(&key, limit)).await??,
        };
        let retry_after_s = if taken.allowed { 0 } else { (taken.retry_after_s.ceil() as u32).max(1) };
        Ok(Standing {
            allowed: taken.allowed,
            limit,
            remaining: taken.remaining as u32,
            // The window before still weighs on the next: who was refused is told when there is room again.
            reset_s: (taken.reset_s.ceil() as u32).max(retry_after_s),
            retry_after_s,
        })
    }

    /// Keys hold letters, digits, colons, dots and hyphens only, whatever the caller typed.
    fn key(&self, who: &Who<'_>) -> (String, u32) {
        match who {
            Who::User(user) => (format!("user:{user}"), self.limits.user),
            Who::Address(address) => (format!("address:{}", network(*address)), self.limits.address),
            Who::SignIn { email, address } => {
                let account = hex::encode(Sha256::digest(email.trim().to_lowercase()));
                (format!("sign-in:{account}:{}", network(*address)), self.limits.sign_in)
            }
            Who::Webhook(source) => (format!("webhook:{}", hex::encode(Sha256::digest(source))), self.limits.webhook),
        }
    }
}

/// One customer of a provider owns a whole IPv6 /64, so that is what counts as one address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6([a, b, c, d, 0, 0, 0, 0].into())
        }
        canonical => canonical,
    }
}

fn judge(standing: Standing) -> Result<Standing, ApiError> {
    if standing.allowed {
        return Ok(standing);
    }
    let mut error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "too many requests, try again later");
    error.retry_after_s = Some(standing.retry_after_s);
    error.standing = Some(standing);
    Err(error)
}

/// Removes the counters of callers that were not seen for an hour. The table is small: it is rewritten every minute.
///
/// # Errors
/// The database's.
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
    fn addresses_count_by_their_network() {
        for (address, expected) in
            [("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::")]
        {
            assert_eq!(network(address.parse().unwrap()), expected.parse::<IpAddr>().unwrap());
        }
    }
}
