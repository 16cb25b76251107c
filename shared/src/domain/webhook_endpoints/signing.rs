//! Secrets and signatures of webhooks, as Standard Webhooks has them: HMAC-SHA256 over `id.timestamp.body`, in base64 after
//! `v1,`. Source: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.

use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderValue, header::InvalidHeaderValue};
use rand::Rng;
use zeroize::Zeroizing;

/// Beginning of a secret, by which people and secret scanners recognise it.
const SECRET_PREFIX: &str = "whsec_";
/// Bytes of a secret. The specification asks for 24 to 64.
const SECRET_BYTES: usize = 32;

/// The reasons why a delivery cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The stored secret is not `whsec_` with base64 after it.
    #[error("the endpoint's secret is malformed")]
    MalformedSecret,
    /// A header has a character that headers cannot have.
    #[error("a header cannot be built")]
    Header(#[from] InvalidHeaderValue),
}

/// Generates a secret: 256 random bits in base64 after `whsec_`.
pub(super) fn generate_secret() -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0_u8; SECRET_BYTES]);
    rand::rng().fill_bytes(bytes.as_mut());
    Zeroizing::new(format!("{SECRET_PREFIX}{}", BASE64_STANDARD.encode(bytes)))
}

/// Returns the headers `webhook-id`, `webhook-timestamp` and `webhook-signature` of an attempt at `now`, with one signature
/// for each secret. The receiver accepts the delivery when one of them is right.
///
/// # Errors
/// [`SigningError`].
pub fn sign<'s>(
    secrets: impl IntoIterator<Item = &'s str>,
    id: &str,
    now: DateTime<Utc>,
    body: &str,
) -> Result<HeaderMap, SigningError> {
    let timestamp = now.timestamp().to_string();
    let content = format!("{id}.{timestamp}.{body}");
    let signatures = secrets.into_iter().map(|secret| {
        let key = secret.strip_prefix(SECRET_PREFIX).ok_or(SigningError::MalformedSecret)?;
        let key = Zeroizing::new(BASE64_STANDARD.decode(key).or(Err(SigningError::MalformedSecret))?);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), content.as_bytes());
        Ok(format!("v1,{}", BASE64_STANDARD.encode(tag)))
    });
    let signatures = signatures.collect::<Result<Vec<_>, SigningError>>()?.join(" ");
    let mut headers = HeaderMap::new();
    headers.insert("webhook-id", HeaderValue::from_str(id)?);
    headers.insert("webhook-timestamp", HeaderValue::from_str(&timestamp)?);
    headers.insert("webhook-signature", HeaderValue::from_str(&signatures)?);
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's reference libraries.
    #[test]
    fn the_signature_is_that_of_the_reference_libraries() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let now = DateTime::from_timestamp(1_614_265_330, 0).unwrap();
        let headers = sign([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", now, r#"{"test": 2432232314}"#).unwrap();
        assert_eq!(headers["webhook-id"], "msg_p5jXN8AQM9LWM0D4loKWxJek");
        assert_eq!(headers["webhook-timestamp"], "1614265330");
        assert_eq!(headers["webhook-signature"], "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_secret_has_a_signature() {
        let (new, old) = (generate_secret(), generate_secret());
        let both = sign([new.as_str(), old.as_str()], "evt_1", Utc::now(), "{}").unwrap();
        let both = both["webhook-signature"].to_str().unwrap();
        let each: Vec<_> = both.split(' ').collect();
        assert_eq!(each.len(), 2);
        assert!(each[0] != each[1] && each.iter().all(|one| one.starts_with("v1,") && one.len() == 47), "{both}");
        assert!(matches!(sign(["secret"], "evt_1", Utc::now(), "{}"), Err(SigningError::MalformedSecret)));
    }

    #[test]
    fn a_secret_has_256_random_bits() {
        let secret = generate_secret();
        assert_eq!(BASE64_STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap().len(), 32);
        assert_ne!(*secret, *generate_secret());
    }
}
