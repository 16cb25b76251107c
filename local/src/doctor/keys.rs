//! Keys and sign-in: whether the sealing keys open what is stored, where the keys of tokens come from, and Redis.

use std::collections::BTreeMap;

use shared::{
    auth::VerificationKeys,
    db::{BillingDb, Db, SystemDb},
    error::{ApiError, BoxError},
    logging,
    rate_limits::RateLimits,
    sealed::{KeyRing, SealingError},
    settings::Settings,
    tenants, user_configs, webhook_endpoints,
};
use uuid::Uuid;

use super::{Target, report::Outcome};

/// Keys per transaction.
const BATCH: i64 = 100;

/// What happened to the sealed keys.
#[derive(Debug, Default)]
struct SealedKeys {
    opened: usize,
    /// Keys that an older sealing key than the first has sealed.
    of_older_keys: usize,
    /// The number of keys for each reason why they do not open.
    closed: BTreeMap<String, usize>,
}

impl SealedKeys {
    fn open(&mut self, ring: &KeyRing, owner: Uuid, purpose: &'static str, sealed: &[u8]) {
        match ring.open(owner, purpose, sealed) {
            Ok(_) => {
                self.opened += 1;
                self.of_older_keys += usize::from(ring.needs_resealing(sealed));
            }
            Err(error) => {
                let reason = match error {
                    SealingError::NotOpened => "sealed by another key with the id of one in SEALING_KEYS".to_owned(),
                    other => other.to_string(),
                };
                *self.closed.entry(reason).or_default() += 1;
            }
        }
    }

    fn outcomes(self) -> Vec<Outcome> {
        let mut outcomes: Vec<_> = self
            .closed
            .into_iter()
            .map(|(reason, count)| {
                let advice = "Put the key that sealed them back into SEALING_KEYS, after the first one. Where it is lost, the \
                              tenants enter their keys again.";
                Outcome::error(format!("{count} sealed keys do not open: {reason}"), advice)
            })
            .collect();
        if self.of_older_keys > 0 {
            let what = format!("{} sealed keys are of an older sealing key", self.of_older_keys);
            outcomes
                .push(Outcome::warning(what, "Run `cargo rotate-keys`, then remove the older key (docs/DEPLOY.md)."));
        }
        if outcomes.is_empty() {
            outcomes.push(Outcome::Ok(match self.opened {
                0 => "nothing is sealed yet".to_owned(),
                count => format!("all {count} sealed keys open"),
            }));
        }
        outcomes
    }
}

/// Opens every sealed key of the databases, and shows none.
pub(super) async fn check_sealed_keys(target: &Target) -> Vec<Outcome> {
    for needed in ["SEALING_KEYS", "SYSTEM_DATABASE_URL"] {
        if target.get(needed).is_none() {
            return vec![Outcome::skipped(format!("{needed} is not set"))];
        }
    }
    let mut settings = target.reader();
    let (db, billing) = (SystemDb::read(&mut settings), BillingDb::read(&mut settings));
    let mut ring = Settings::new(target.settings.clone());
    let keys = KeyRing::read(&mut ring);
    if ring.finish().is_err() {
        return vec![Outcome::skipped("SEALING_KEYS is malformed: see the settings")];
    }
    match open_all(&db.with_background_timeout(), &billing.with_background_timeout(), &keys).await {
        Ok(found) => found.outcomes(),
        Err(error) => {
            let reason = error.source.as_deref().map_or_else(|| error.message.clone(), |source| logging::chain(source));
            let advice = "Does SYSTEM_DATABASE_URL answer? --timeout does not change the 3 s for a connection.";
            vec![Outcome::error(format!("the sealed keys cannot be read: {reason}"), advice)]
        }
    }
}

async fn open_all(db: &SystemDb, billing: &BillingDb, ring: &KeyRing) -> Result<SealedKeys, ApiError> {
    let mut found = SealedKeys::default();
    let mut after = Uuid::nil();
    loop {
        let batch = db.system_tx(async |tx| Ok(tenants::sealed_keys(tx, after, BATCH).await?)).await?;
        let Some(last) = batch.last() else { break };
        after = last.customer_id;
        for key in &batch {
            found.open(ring, key.customer_id, tenants::MANYCHAT_KEY_PURPOSE, &key.sealed);
        }
    }
    after = Uuid::nil();
    loop {
        let batch = db.system_tx(async |tx| Ok(webhook_endpoints::sealed_secrets(tx, after, BATCH).await?)).await?;
        let Some(last) = batch.last() else { break };
        after = last.endpoint;
        for known in &batch {
            for secret in std::iter::once(&known.secret).chain(&known.previous_secret) {
                found.open(ring, known.customer_id, webhook_endpoints::SECRET_PURPOSE, secret);
            }
        }
    }
    after = Uuid::nil();
    loop {
        let batch = db.system_tx(async |tx| Ok(tenants::sealed_webhook_secrets(tx, after, BATCH).await?)).await?;
        let Some(last) = batch.last() else { break };
        after = last.id;
        for secret in &batch {
            found.open(ring, secret.customer_id, tenants::WEBHOOK_SECRET_PURPOSE, &secret.sealed);
        }
    }
    after = Uuid::nil();
    loop {
        let batch = billing.billing_tx(async |tx| Ok(user_configs::sealed_keys(tx, after, BATCH).await?)).await?;
        let Some(last) = batch.last() else { break };
        after = last.user;
        for key in &batch {
            found.open(ring, key.user, user_configs::DATA_POD_KEY_PURPOSE, &key.sealed);
        }
    }
    Ok(found)
}

/// Checks where the keys of tokens come from, and that they can be had.
pub(super) async fn check_token_keys(target: &Target) -> Vec<Outcome> {
    let mut settings = target.reader();
    let keys = VerificationKeys::read(&mut settings);
    let secrets = keys.secret_count();
    if settings.finish().is_err() {
        return vec![Outcome::skipped("JWT_SECRET or SUPABASE_URL cannot be used: see the settings")];
    }
    vec![match keys.count_public_keys().await {
        Ok(None) => Outcome::Ok(format!("local accounts, whose tokens JWT_SECRET signs ({secrets} secrets)")),
        Ok(Some(0)) if secrets == 0 => Outcome::error(
            "the Supabase project has no public key, and JWT_SECRET is not set: no token verifies",
            "Move the project to asymmetric signing keys (Project Settings, JWT Keys), or put its legacy JWT secret into \
             JWT_SECRET.",
        ),
        Ok(Some(0)) => Outcome::warning(
            "the Supabase project has no public key; its tokens verify by JWT_SECRET alone",
            "Move the project to asymmetric signing keys (Project Settings, JWT Keys).",
        ),
        Ok(Some(count)) => Outcome::Ok(format!("the Supabase project has {count} public keys")),
        Err(error) => Outcome::error(
            format!("the keys of the Supabase project cannot be fetched: {}", logging::chain(&error)),
            "Is SUPABASE_URL right (https://<ref>.supabase.co), and is the project running? A free project pauses after a week \
             without use.",
        ),
    }]
}

/// Asks the Supabase project for its settings, with the anon key.
pub(super) async fn check_anon_key(target: &Target) -> Vec<Outcome> {
    let (Some(url), Some(key)) = (target.get("SUPABASE_URL"), target.get("SUPABASE_ANON_KEY")) else {
        return vec![Outcome::skipped("SUPABASE_URL is not set, or the settings have no SUPABASE_ANON_KEY")];
    };
    let http = match reqwest::Client::builder().timeout(target.timeout).build() {
        Ok(http) => http,
        Err(error) => return vec![Outcome::error(format!("no HTTP client: {error}"), "")],
    };
    let request = http.get(format!("{}/auth/v1/settings", url.trim_end_matches('/'))).header("apikey", key.trim());
    vec![match request.send().await.map(|answer| answer.status().as_u16()) {
        Ok(200..=299) => Outcome::Ok("the project takes SUPABASE_ANON_KEY".to_owned()),
        Ok(401 | 403) => Outcome::error(
            "the Supabase project refuses SUPABASE_ANON_KEY: nobody can sign in",
            "Copy the anon (publishable) key of the project: Project Settings, API Keys.",
        ),
        Ok(status) => Outcome::error(
            format!("the Supabase project answers {status}"),
            "https://status.supabase.com shows disturbances. Is SUPABASE_URL that of the project?",
        ),
        Err(error) => Outcome::error(
            format!("the Supabase project cannot be reached: {}", logging::chain(&error.without_url())),
            "Is SUPABASE_URL right (https://<ref>.supabase.co), and is the project running?",
        ),
    }]
}

/// Counts one call in Redis, as the rate limits do, under the key `lisa:check`, which expires after two minutes.
pub(super) async fn check_redis(target: &Target) -> Vec<Outcome> {
    if target.get("REDIS_URL").is_none() {
        return vec![Outcome::skipped("REDIS_URL is not set: PostgreSQL counts the calls")];
    }
    let mut settings = target.reader();
    let db = Db::read(&mut settings);
    let tried: Result<bool, BoxError> = RateLimits::read(&mut settings, &db).try_redis().await;
    vec![match tried {
        Ok(true) => Outcome::Ok("Redis counts calls".to_owned()),
        Ok(false) => Outcome::skipped("REDIS_URL is malformed: see the settings"),
        Err(error) => Outcome::error(
            format!("Redis cannot be used: {}", logging::chain(error.as_ref())),
            "Are host, port and password of REDIS_URL right, is it rediss:// where the server wants TLS, and may the user run \
             scripts? Without Redis, calls with a token are not limited, and nobody can sign in.",
        ),
    }]
}
