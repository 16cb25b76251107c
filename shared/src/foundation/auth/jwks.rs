//! Public keys of a Supabase project (its JWKS), fetched when needed and cached in memory.

use std::{
    collections::HashMap,
    sync::{LazyLock, PoisonError, RwLock},
    time::{Duration, Instant},
};

use jsonwebtoken::{Algorithm, DecodingKey, jwk};

/// Age up to which cached keys are used without a new fetch. Supabase sends `max-age=600`.
const MAX_AGE: Duration = Duration::from_secs(600);
/// Minimum time between two fetches because of an unknown key id. Such an id may be a new key or an invalid token.
const MIN_FETCH_INTERVAL: Duration = Duration::from_secs(60);
/// Time after a failed fetch during which lookups fail without a new fetch. Short, so that a client's next attempt
/// fetches again.
const FAILED_FETCH_BACKOFF: Duration = Duration::from_secs(5);
/// Timeout of a request for the keys.
const FETCH_TIMEOUT: Duration = Duration::from_secs(3);

/// Error when the keys cannot be fetched and no cached key matches.
#[derive(Debug, thiserror::Error)]
#[error("the key set is out of reach")]
pub struct JwksUnreachable(#[source] Option<reqwest::Error>);

/// Cached key set of one URL.
pub(super) struct Jwks {
    url: String,
    /// HTTP client, built at its first use: building parses the system's certificates, and verifying tokens signed
    /// with a secret does not need them.
    http: LazyLock<reqwest::Client>,
    cache: RwLock<Cache>,
    /// Lock that allows one fetch at a time. The other lookups wait for its result.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Cache {
    /// Keys by key id, each with its only permitted algorithm.
    keys: HashMap<String, (DecodingKey, Algorithm)>,
    /// Time of the last fetch, successful or not.
    fetched_at: Option<Instant>,
    /// True when the last fetch failed.
    has_failed: bool,
}

impl Jwks {
    pub(super) fn new(url: String) -> Self {
        Self {
            url,
            http: LazyLock::new(|| reqwest::Client::builder().timeout(FETCH_TIMEOUT).build().unwrap_or_default()),
            cache: RwLock::default(),
            fetching: tokio::sync::Mutex::default(),
        }
    }

    /// Returns true when the cache holds a public key with this id.
    pub(super) fn has_key(&self, kid: &str) -> bool {
        self.cache.read().unwrap_or_else(PoisonError::into_inner).keys.contains_key(kid)
    }

    /// Returns the key with this id and its only permitted algorithm; `None` when the key set has no such key.
    ///
    /// # Errors
    /// Returns an error when the keys cannot be fetched and the cache has no key with this id.
    pub(super) async fn find(&self, kid: &str) -> Result<Option<(DecodingKey, Algorithm)>, JwksUnreachable> {
        if let Some(found) = self.find_cached(kid) {
            return found;
        }
        let _fetch_lock = self.fetching.lock().await;
        if let Some(found) = self.find_cached(kid) {
            return found;
        }
        let fetched = self.fetch().await;
        let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
        // Failed fetches count too: a stream of unknown ids must not become a stream of requests. The time is set
        // after the response: until then it is not known whether an id is unknown.
        cache.fetched_at = Some(Instant::now());
        cache.has_failed = fetched.is_err();
        match fetched {
            Ok(keys) => {
                cache.keys = keys;
                Ok(cache.keys.get(kid).cloned())
            }
            // During an outage of the project, a key older than its maximum age is better than no service.
            Err(error) => cache.keys.get(kid).cloned().map(Some).ok_or(JwksUnreachable(Some(error))),
        }
    }

    /// Looks up a key in the cache. Returns `None` when the keys must be fetched.
    fn find_cached(&self, kid: &str) -> Option<Result<Option<(DecodingKey, Algorithm)>, JwksUnreachable>> {
        let cache = self.cache.read().unwrap_or_else(PoisonError::into_inner);
        let age = cache.fetched_at?.elapsed();
        match cache.keys.get(kid) {
            Some(found) if age < MAX_AGE => Some(Ok(Some(found.clone()))),
            None if cache.has_failed && age < FAILED_FETCH_BACKOFF => Some(Err(JwksUnreachable(None))),
            None if !cache.has_failed && age < MIN_FETCH_INTERVAL => Some(Ok(None)),
            _ => None,
        }
    }

    /// Fetches the keys and returns the number of those that sign tokens. The cache stays as it is.
    ///
    /// # Errors
    /// Returns an error when the keys cannot be fetched.
    pub(super) async fn count(&self) -> Result<usize, JwksUnreachable> {
        self.fetch().await.map(|keys| keys.len()).map_err(|error| JwksUnreachable(Some(error)))
    }

    async fn fetch(&self) -> Result<HashMap<String, (DecodingKey, Algorithm)>, reqwest::Error> {
        let answer = self.http.get(&self.url).send().await?.error_for_status()?;
        let set: jwk::JwkSet = answer.json().await?;
        Ok(set.keys.iter().filter_map(usable).collect())
    }
}

/// Returns the key id, key and algorithm of a usable key: one of the two algorithms that Supabase signs with. An HMAC
/// key in a public key set would be a leaked secret and is ignored.
fn usable(key: &jwk::Jwk) -> Option<(String, (DecodingKey, Algorithm))> {
    let kid = key.common.key_id.clone()?;
    let algorithm = match &key.algorithm {
        jwk::AlgorithmParameters::EllipticCurve(curve) if curve.curve == jwk::EllipticCurve::P256 => Algorithm::ES256,
        jwk::AlgorithmParameters::RSA(_) => Algorithm::RS256,
        _ => return None,
    };
    Some((kid, (DecodingKey::from_jwk(key).ok()?, algorithm)))
}
