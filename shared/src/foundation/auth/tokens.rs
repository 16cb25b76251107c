//! JSON Web Tokens issued by this project's sign-in (HS256) or by a Supabase project (HS256, or ES256/RS256 through
//! its JWKS). Both issuers use these claims.
//!
//! The algorithm comes from the key, never from the token: a token can only name one of the known keys.

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::Value;
use uuid::Uuid;

use super::jwks::{Jwks, JwksUnreachable};
use crate::settings::Settings;

/// Audience, and role, of every token of a person.
pub const AUDIENCE: &str = "authenticated";
/// Role in the tokens of services, that is, other back ends.
const SERVICE_ROLE: &str = "service_role";
/// Issuer of Supabase's legacy service key, which has no audience.
const LEGACY_SERVICE_ISSUER: &str = "supabase";
/// Maximum clock difference between issuer and verifier.
const CLOCK_SKEW: Duration = Duration::from_secs(60);
/// Minimum length of an HS256 secret, in bytes: the length of the hash (RFC 7518, section 3.2).
const MIN_SECRET_BYTES: usize = 32;

/// Claims of a token. A claim that is not required and has an unexpected form counts as absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// User id; absent for a service.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub sub: Option<Uuid>,
    /// Role: `authenticated` or `service_role`.
    #[serde(default, deserialize_with = "lenient")]
    pub role: String,
    /// Issuer.
    #[serde(default, deserialize_with = "lenient")]
    pub iss: String,
    /// Audience or audiences.
    #[serde(default, deserialize_with = "audience", skip_serializing_if = "Option::is_none")]
    pub aud: Option<Audience>,
    /// End of validity.
    pub exp: NumericDate,
    /// Beginning of validity.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub nbf: Option<NumericDate>,
    /// Time of issue.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub iat: Option<NumericDate>,
    /// E-mail address at the time of issue; never used for access decisions.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Session that logout ends.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub session_id: Option<Uuid>,
    /// True for an anonymous user of a Supabase project, who has neither address nor password.
    #[serde(default, deserialize_with = "flag", skip_serializing_if = "std::ops::Not::not")]
    pub is_anonymous: bool,
}

/// Time in whole seconds since the Unix epoch. RFC 7519, section 2, allows a fraction, which is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "f64")]
pub struct NumericDate(i64);

impl From<f64> for NumericDate {
    fn from(seconds: f64) -> Self {
        // The conversion saturates, so a time beyond the range stays in the distant past or future.
        Self(seconds.floor() as i64)
    }
}

impl NumericDate {
    /// Returns the time `seconds` after this one.
    fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add_unsigned(seconds))
    }
}

impl From<DateTime<Utc>> for NumericDate {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time.timestamp())
    }
}

/// Deserialises a claim that is not required. A value of another type gives the default.
fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(value: D) -> Result<T, D::Error> {
    Value::deserialize(value).map(|value| serde_json::from_value(value).unwrap_or_default())
}

/// Deserialises a boolean claim; some issuers write it as text or as a number.
fn flag<'de, D: Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    Value::deserialize(value).map(|value| match value {
        Value::Bool(is_set) => is_set,
        Value::String(text) => text.eq_ignore_ascii_case("true") || text == "1",
        Value::Number(number) => number.as_f64() == Some(1.0),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    })
}

/// Audience claim; RFC 7519 allows one text or a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Audience {
    /// A single audience.
    One(String),
    /// A list of audiences.
    Several(Vec<String>),
}

/// Deserialises the audience. An empty one counts as absent. One of an unexpected form contains no audience.
fn audience<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Audience>, D::Error> {
    Value::deserialize(value).map(|value| match value {
        Value::Null => None,
        Value::String(name) => (!name.is_empty()).then_some(Audience::One(name)),
        Value::Array(names) if names.is_empty() => None,
        Value::Array(names) => {
            let texts = names.into_iter().filter_map(|name| name.as_str().map(str::to_owned));
            Some(Audience::Several(texts.collect()))
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => Some(Audience::Several(Vec::new())),
    })
}

impl Audience {
    fn contains(&self, name: &str) -> bool {
        match self {
            Self::One(audience) => audience == name,
            Self::Several(audiences) => audiences.iter().any(|audience| audience == name),
        }
    }
}

impl Claims {
    /// Returns true for a token of a service rather than a person.
    #[must_use]
    pub fn is_service(&self) -> bool {
        self.role == SERVICE_ROLE
    }
}

/// Reason for rejecting a token. Clients are told only that the token is invalid, or that it has expired.
#[derive(Debug, thiserror::Error)]
pub enum InvalidToken {
    /// The text is not a token, or its signature or times are invalid.
    #[error("token refused")]
    Refused(#[from] jsonwebtoken::errors::Error),
    /// No known key matches the token's algorithm and key id.
    #[error("no key for this token")]
    UnknownKey,
    /// The token names header parameters that its reader must understand (RFC 7515, section 4.1.11).
    #[error("the token has a crit header")]
    CriticalHeader,
    /// The token is signed by a known key, but its issuer, audience, role or subject is not accepted.
    #[error("issuer, audience, role or subject of the token are not ours")]
    ClaimsRejected,
    /// The token is not valid yet.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// The token was valid until its end.
    #[error("the token has expired")]
    Expired {
        /// User of the token; `None` for a service.
        user: Option<Uuid>,
    },
    /// The Supabase project's keys could not be fetched. The only variant that is not the caller's fault.
    #[error("the signing keys could not be fetched")]
    KeysUnreachable(#[from] JwksUnreachable),
}

/// Keys for verifying tokens. Clones share one key cache.
#[derive(Clone)]
pub struct VerificationKeys(Arc<Inner>);

struct Inner {
    secrets: Vec<DecodingKey>,
    issuers: Vec<String>,
    jwks: Option<Jwks>,
}

impl std::fmt::Debug for VerificationKeys {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "VerificationKeys({} secrets, issuers {:?})", self.0.secrets.len(), self.0.issuers)
    }
}

impl VerificationKeys {
    /// Reads JWT_SECRET (a comma-separated list, of which the first secret signs), JWT_ISSUER and SUPABASE_URL.
    pub fn read(settings: &mut Settings) -> Self {
        let supabase = settings.optional_url("SUPABASE_URL");
        let secrets = read_secrets(settings);
        let mut issuers = vec![settings.text("JWT_ISSUER", "lisa")];
        issuers.extend(supabase.as_ref().map(|url| format!("{url}/auth/v1")));
        if secrets.is_empty() && supabase.is_none() {
            settings.missing("JWT_SECRET", " (or set SUPABASE_URL to verify by its public keys)");
        }
        Self(Arc::new(Inner {
            secrets: secrets.iter().map(|secret| DecodingKey::from_secret(secret.as_bytes())).collect(),
            issuers,
            jwks: supabase.map(|url| Jwks::new(format!("{url}/auth/v1/.well-known/jwks.json"))),
        }))
    }

    /// Fetches the public keys of the Supabase project and returns their number; `None` without SUPABASE_URL.
    ///
    /// # Errors
    /// Returns an error when the keys cannot be fetched.
    pub async fn count_public_keys(&self) -> Result<Option<usize>, JwksUnreachable> {
        match &self.0.jwks {
            Some(jwks) => jwks.count().await.map(Some),
            None => Ok(None),
        }
    }

    /// The number of secrets that verify tokens.
    #[must_use]
    pub fn secret_count(&self) -> usize {
        self.0.secrets.len()
    }

    /// Verifies a token's signature, algorithm, times, issuer, audience and role. Makes no network request when the
    /// keys are cached.
    ///
    /// # Errors
    /// Returns an [`InvalidToken`].
    pub async fn verify(&self, token: &str) -> Result<Claims, InvalidToken> {
        let header = decode_header(token)?;
        if has_critical_header(token) {
            return Err(InvalidToken::CriticalHeader);
        }
        let claims = match (header.alg, &self.0.jwks) {
            (Algorithm::HS256, jwks) => {
                // An HMAC computed with a public key as its secret must not pass, so a public key's id is refused
                // here.
                if let (Some(jwks), Some(kid)) = (jwks, &header.kid)
                    && jwks.has_key(kid)
                {
                    return Err(InvalidToken::UnknownKey);
                }
                self.verify_by_secret(token)?
            }
            (algorithm @ (Algorithm::ES256 | Algorithm::RS256), Some(jwks)) => {
                let kid = header.kid.ok_or(InvalidToken::UnknownKey)?;
                let (key, key_algorithm) = jwks.find(&kid).await?.ok_or(InvalidToken::UnknownKey)?;
                if key_algorithm != algorithm {
                    return Err(InvalidToken::UnknownKey);
                }
                decode::<Claims>(token, &key, &validation(key_algorithm))?.claims
            }
            _ => return Err(InvalidToken::UnknownKey),
        };
        self.check_claims(claims)
    }

    fn verify_by_secret(&self, token: &str) -> Result<Claims, InvalidToken> {
        let mut refusal = InvalidToken::UnknownKey;
        for secret in &self.0.secrets {
            match decode::<Claims>(token, secret, &validation(Algorithm::HS256)) {
                Ok(verified) => return Ok(verified.claims),
                Err(error) => refusal = error.into(),
            }
        }
        Err(refusal)
    }

    fn check_claims(&self, claims: Claims) -> Result<Claims, InvalidToken> {
        let is_ours = self.0.issuers.contains(&claims.iss);
        let has_audience = claims.aud.as_ref().is_some_and(|audience| audience.contains(AUDIENCE));
        let accepted = match claims.role.as_str() {
            SERVICE_ROLE => (claims.iss == LEGACY_SERVICE_ISSUER && claims.aud.is_none()) || (is_ours && has_audience),
            // Supabase's anonymous users have the role of people until they give an address.
            AUDIENCE => is_ours && has_audience && claims.sub.is_some() && !claims.is_anonymous,
            // Supabase's anon key has another role.
            _ => false,
        };
        if !accepted {
            return Err(InvalidToken::ClaimsRejected);
        }
        // The times come last: a client that is told of an expired token is a client of ours.
        let now = NumericDate::from(crate::clock::now());
        let skew = CLOCK_SKEW.as_secs();
        if claims.exp.plus(skew) < now {
            return Err(InvalidToken::Expired { user: claims.sub.filter(|_| !claims.is_service()) });
        }
        if claims.nbf.is_some_and(|begin| begin > now.plus(skew)) {
            return Err(InvalidToken::NotYetValid);
        }
        Ok(claims)
    }
}

/// Returns true when the token's header has the parameter `crit`, whatever its value: no extension is understood.
fn has_critical_header(token: &str) -> bool {
    let header = token.split('.').next().unwrap_or_default();
    let bytes = URL_SAFE_NO_PAD.decode(header).unwrap_or_default();
    serde_json::from_slice::<Value>(&bytes).is_ok_and(|header| header.get("crit").is_some())
}

/// Returns the checks left to the JWT library: signature and algorithm. `check_claims` checks the claims, because the
/// accepted issuer and audience depend on the role, and because the library refuses a token for an odd optional claim.
fn validation(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation.set_required_spec_claims::<&str>(&[]);
    validation
}

fn read_secrets(settings: &mut Settings) -> Vec<String> {
    let secrets = settings.secrets("JWT_SECRET");
    if secrets.iter().any(|secret| secret.len() < MIN_SECRET_BYTES) {
        settings.problem(format_args!("JWT_SECRET is shorter than {MIN_SECRET_BYTES} bytes"));
    }
    secrets
}

/// Key for signing tokens, used when no Supabase project issues them.
#[derive(Clone)]
pub struct SigningKey {
    key: EncodingKey,
    issuer: String,
}

impl SigningKey {
    /// Reads JWT_SECRET and JWT_ISSUER.
    pub fn read(settings: &mut Settings) -> Self {
        let secrets = read_secrets(settings);
        if secrets.is_empty() {
            settings.missing("JWT_SECRET", "");
        }
        let key = EncodingKey::from_secret(secrets.first().map_or(&[], |secret| secret.as_bytes()));
        Self { key, issuer: settings.text("JWT_ISSUER", "lisa") }
    }

    /// Signs a token for a user.
    ///
    /// # Errors
    /// Fails only when the claims cannot be serialised, which does not occur.
    pub fn sign_user_token(
        &self,
        user: Uuid,
        email: &str,
        session: Uuid,
        now: DateTime<Utc>,
        valid_for: Duration,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        self.sign(&Claims {
            sub: Some(user),
            role: AUDIENCE.to_owned(),
            iss: self.issuer.clone(),
            aud: Some(Audience::One(AUDIENCE.to_owned())),
            exp: NumericDate::from(now).plus(valid_for.as_secs()),
            nbf: None,
            iat: Some(now.into()),
            email: Some(email.to_owned()),
            session_id: Some(session),
            is_anonymous: false,
        })
    }

    /// Signs a token for a service, in the form of Supabase's legacy service key.
    ///
    /// # Errors
    /// Fails only when the claims cannot be serialised, which does not occur.
    pub fn sign_service_token(
        &self,
        now: DateTime<Utc>,
        valid_for: Duration,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        self.sign(&Claims {
            sub: None,
            role: SERVICE_ROLE.to_owned(),
            iss: LEGACY_SERVICE_ISSUER.to_owned(),
            aud: None,
            exp: NumericDate::from(now).plus(valid_for.as_secs()),
            nbf: None,
            iat: Some(now.into()),
            email: None,
            session_id: None,
            is_anonymous: false,
        })
    }

    fn sign(&self, claims: &Claims) -> Result<String, jsonwebtoken::errors::Error> {
        encode(&Header::new(Algorithm::HS256), claims, &self.key)
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "SigningKey(issuer {:?})", self.issuer)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn keys(extra: &[(&str, &str)]) -> VerificationKeys {
        let pairs = [("JWT_SECRET", SECRET)].iter().chain(extra);
        let mut settings = Settings::new(pairs.map(|(name, value)| ((*name).into(), (*value).into())).collect());
        let keys = VerificationKeys::read(&mut settings);
        settings.finish().unwrap();
        keys
    }

    fn claims() -> Value {
        json!({
            "sub": "6a2f41a3-c54c-4b1f-8f3e-1a2b3c4d5e6f", "role": "authenticated", "iss": "lisa",
            "aud": "authenticated", "exp": Utc::now().timestamp() + 600,
        })
    }

    fn sign(claims: &Value, header: &Header, secret: &str) -> String {
        encode(header, claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
    }

    async fn is_accepted(change: impl FnOnce(&mut Value)) -> bool {
        let mut claims = claims();
        change(&mut claims);
        keys(&[]).verify(&sign(&claims, &Header::default(), SECRET)).await.is_ok()
    }

    #[tokio::test]
    async fn a_valid_token_is_accepted() {
        assert!(is_accepted(|_| ()).await);
        assert!(is_accepted(|claims| claims["aud"] = json!(["other", "authenticated"])).await);
    }

    #[tokio::test]
    async fn wrong_claims_are_refused() {
        let now = Utc::now().timestamp();
        for (name, value) in [
            ("iss", json!("somebody")),
            ("aud", json!("another")),
            ("aud", json!(null)),
            ("role", json!("anon")),
            ("sub", json!(null)),
            ("sub", json!("not-a-uuid")),
            ("exp", json!(now - 62)),
            ("exp", json!(null)),
            ("exp", json!("tomorrow")),
            ("exp", json!((now + 600).to_string())),
            ("nbf", json!(now + 120)),
            ("nbf", json!(now as f64 + 120.5)),
            ("aud", json!(17)),
            ("aud", json!("")),
            ("aud", json!([])),
            ("is_anonymous", json!(true)),
            ("is_anonymous", json!("true")),
        ] {
            assert!(!is_accepted(|claims| claims[name] = value.clone()).await, "{name} {value}");
        }
    }

    #[tokio::test]
    async fn a_clock_difference_below_a_minute_is_accepted() {
        let now = Utc::now().timestamp();
        assert!(is_accepted(|claims| claims["exp"] = json!(now - 50)).await);
        assert!(is_accepted(|claims| claims["nbf"] = json!(now + 50)).await);
    }

    #[tokio::test]
    async fn times_with_a_fraction_are_numbers() {
        let now = Utc::now().timestamp() as f64;
        for (name, value) in [("exp", now + 600.25), ("iat", now - 0.5), ("nbf", now - 0.5), ("exp", 1e18)] {
            assert!(is_accepted(|claims| claims[name] = json!(value)).await, "{name} {value}");
        }
        assert!(!is_accepted(|claims| claims["exp"] = json!(now - 61.5)).await);
    }

    #[tokio::test]
    async fn an_optional_claim_of_an_odd_form_counts_as_absent() {
        for name in ["email", "iat", "nbf", "session_id", "is_anonymous"] {
            for value in [json!(null), json!(""), json!("x"), json!([]), json!({}), json!(false)] {
                assert!(is_accepted(|claims| claims[name] = value.clone()).await, "{name} {value}");
            }
        }
        for value in [json!(["authenticated", 17, null]), json!(["authenticated", "authenticated"])] {
            assert!(is_accepted(|claims| claims["aud"] = value.clone()).await, "{value}");
        }
        let service = json!({ "role": "service_role", "iss": "supabase", "sub": "", "aud": "", "email": null });
        assert!(
            is_accepted(|claims| {
                let exp = claims["exp"].clone();
                *claims = service;
                claims["exp"] = exp;
            })
            .await
        );
    }

    #[tokio::test]
    async fn an_expired_token_of_ours_is_told_apart_from_a_foreign_one() {
        let rotated = keys(&[("JWT_SECRET", &format!("{SECRET},ffffffffffffffffffffffffffffffff"))]);
        let mut expired = claims();
        expired["exp"] = json!(Utc::now().timestamp() - 62);
        let verify =
            async |claims: &Value, secret| rotated.verify(&sign(claims, &Header::default(), secret)).await.unwrap_err();
        assert!(matches!(verify(&expired, SECRET).await, InvalidToken::Expired { user: Some(_) }));
        assert!(matches!(verify(&expired, "another secret, of thirty-two bytes").await, InvalidToken::Refused(_)));
        expired["iss"] = json!("somebody");
        assert!(matches!(verify(&expired, SECRET).await, InvalidToken::ClaimsRejected));
    }

    #[tokio::test]
    async fn a_token_with_a_crit_header_is_refused() {
        for crit in [json!(["exp"]), json!(["b64"]), json!([]), json!(null), json!("exp")] {
            let header = json!({ "alg": "HS256", "typ": "JWT", "crit": crit }).to_string();
            let message = [header, claims().to_string()].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
            let key = EncodingKey::from_secret(SECRET.as_bytes());
            let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
            assert!(keys(&[]).verify(&format!("{message}.{signature}")).await.is_err(), "{crit}");
        }
    }

    #[tokio::test]
    async fn a_service_token_without_audience_is_accepted_from_supabase_only() {
        assert!(
            is_accepted(|claims| {
                *claims = json!({ "role": "service_role", "iss": "supabase", "exp": claims["exp"] });
            })
            .await
        );
        assert!(
            !is_accepted(|claims| *claims = json!({ "role": "service_role", "iss": "lisa", "exp": claims["exp"] }))
                .await
        );
    }

    #[tokio::test]
    async fn foreign_keys_and_algorithms_are_refused() {
        let keys = keys(&[]);
        let foreign = sign(&claims(), &Header::default(), "ffffffffffffffffffffffffffffffff");
        assert!(keys.verify(&foreign).await.is_err());
        let stronger = sign(&claims(), &Header::new(Algorithm::HS512), SECRET);
        assert!(keys.verify(&stronger).await.is_err());
        // {"alg":"none","typ":"JWT"}
        let signed = sign(&claims(), &Header::default(), SECRET);
        let body = signed.split('.').nth(1).unwrap();
        for none in ["eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0", "eyJhbGciOiJOT05FIn0"] {
            assert!(keys.verify(&format!("{none}.{body}.")).await.is_err());
        }
        for junk in ["", ".", "..", "a.b.c", "Bearer x"] {
            assert!(keys.verify(junk).await.is_err());
        }
    }

    #[tokio::test]
    async fn a_token_signed_with_the_second_secret_is_accepted() {
        let rotated = keys(&[("JWT_SECRET", &format!("ffffffffffffffffffffffffffffffff,{SECRET}"))]);
        assert!(rotated.verify(&sign(&claims(), &Header::default(), SECRET)).await.is_ok());
    }

    #[test]
    fn a_short_secret_is_refused_at_start() {
        let mut settings = Settings::new([("JWT_SECRET".to_owned(), "short".to_owned())].into());
        VerificationKeys::read(&mut settings);
        assert!(settings.finish().unwrap_err().to_string().contains("shorter than 32 bytes"));
    }
}
