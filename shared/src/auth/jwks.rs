//! The public keys of a Supabase project, fetched when needed and kept in memory.

use std::{
    collections::HashMap,
    sync::{LazyLock, PoisonError, RwLock},
    time::{Duration, Instant},
};

use jsonwebtoken::{Algorithm, DecodingKey, jwk};

/// The project says `max-age=600`.
const MAX_AGE: Duration = Duration::from_secs(600);
/// An unknown key id may be a new key, or noise: it makes us ask at most this often.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(60);
/// Nothing was learnt when the project was away: it is asked again as soon as a client that was told so comes back.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(3);

/// The keys could not be fetched, and none that were fetched before fit.
#[derive(Debug, thiserror::Error)]
#[error("the key set is out of reach")]
pub struct Unreachable(#[source] Option<reqwest::Error>);

/// A key set behind a URL.
pub(super) struct Jwks {
    url: String,
    /// Made at its first use: it parses the system's certificates, which tokens signed by a secret do not need.
    http: LazyLock<reqwest::Client>,
    cache: RwLock<Cache>,
    /// One fetch at a time; the others wait for its result.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Cache {
    keys: HashMap<String, (DecodingKey, Algorithm)>,
    asked_at: Option<Instant>,
    /// Whether that was in vain.
    has_failed: bool,
}

impl Jwks {
    pub(super) fn new(url: String) -> Self {
        Self {
            url,
            http: LazyLock::new(|| reqwest::Client::builder().timeout(TIMEOUT).build().unwrap_or_default()),
            cache: RwLock::default(),
            fetching: tokio::sync::Mutex::default(),
        }
    }

    /// Whether a public key of this id was seen.
    pub(super) fn knows(&self, kid: &str) -> bool {
        self.cache.read().unwrap_or_else(PoisonError::into_inner).keys.contains_key(kid)
    }

    /// The key of this id, with the one algorithm that it is for.
    pub(super) async fn find(&self, kid: &str) -> Result<Option<(DecodingKey, Algorithm)>, Unreachable> {
        if let Some(found) = self.look_up(kid) {
            return found;
        }
        let _only_one = self.fetching.lock().await;
        if let Some(found) = self.look_up(kid) {
            return found;
        }
        let fetched = self.fetch().await;
        let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
        // Asked at all counts, also in vain: a stream of unknown ids must not become a stream of requests. Not before
        // the answer is there: until then nobody knows that an id is unknown.
        cache.asked_at = Some(Instant::now());
        cache.has_failed = fetched.is_err();
        match fetched {
            Ok(keys) => {
                cache.keys = keys;
                Ok(cache.keys.get(kid).cloned())
            }
            // A key that was good ten minutes ago is better than no service while the project is away.
            Err(error) => cache.keys.get(kid).cloned().map(Some).ok_or(Unreachable(Some(error))),
        }
    }

    /// `None`: it is time to ask.
    fn look_up(&self, kid: &str) -> Option<Result<Option<(DecodingKey, Algorithm)>, Unreachable>> {
        let cache = self.cache.read().unwrap_or_else(PoisonError::into_inner);
        let age = cache.asked_at?.elapsed();
        match cache.keys.get(kid) {
            Some(found) if age < MAX_AGE => Some(Ok(Some(found.clone()))),
            None if cache.has_failed && age < AFTER_FAILURE => Some(Err(Unreachable(None))),
            None if !cache.has_failed && age < SHORTEST_INTERVAL => Some(Ok(None)),
            _ => None,
        }
    }

    async fn fetch(&self) -> Result<HashMap<String, (DecodingKey, Algorithm)>, reqwest::Error> {
        let answer = self.http.get(&self.url).send().await?.error_for_status()?;
        let set: jwk::JwkSet = answer.json().await?;
        Ok(set.keys.iter().filter_map(usable).collect())
    }
}

/// Only the two algorithms that Supabase signs with; an HMAC key in a public set would be a leak, not a key.
fn usable(key: &jwk::Jwk) -> Option<(String, (DecodingKey, Algorithm))> {
    let kid = key.common.key_id.clone()?;
    let algorithm = match &key.algorithm {
        jwk::AlgorithmParameters::EllipticCurve(curve) if curve.curve == jwk::EllipticCurve::P256 => Algorithm::ES256,
        jwk::AlgorithmParameters::RSA(_) => Algorithm::RS256,
        _ => return None,
    };
    Some((kid, (DecodingKey::from_jwk(key).ok()?, algorithm)))
}
