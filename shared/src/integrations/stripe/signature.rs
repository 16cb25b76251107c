//! Verification of the header `Stripe-Signature: t=<unix>,v1=<hex>[,v1=<hex>…]`.
//!
//! The signature is HMAC-SHA256 over `"{t}.{raw body}"`, with the whole `whsec_…` text as the key. Source:
//! stripe-python's `_webhook.py`.

use aws_lc_rs::hmac;
use chrono::{DateTime, Utc};

/// Maximum difference between the signature's time and our clock, in either direction, in seconds.
pub const TOLERANCE_S: u64 = 300;

/// Reason why a signature is rejected. The log shows the reason, the response does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The request has no signature header.
    #[error("there is no signature")]
    Missing,
    /// The header has no timestamp, or no signature of version `v1`.
    #[error("the signature cannot be read")]
    Malformed,
    /// The signature's time is too far from now; holds the distance in seconds.
    #[error("the signature is {0} s away from now")]
    OutOfTolerance(u64),
    /// None of the signatures was made with one of the secrets for this body.
    #[error("the signature was not made with our secret for this body")]
    NoMatch,
}

/// Verifies a body's signature header. A signature by any of the secrets is valid, so that a secret can be rotated.
///
/// # Errors
/// Returns [`SignatureError`] when no signature is valid, or its time is out of tolerance.
pub fn verify(header: Option<&str>, body: &[u8], secrets: &[String], now: DateTime<Utc>) -> Result<(), SignatureError> {
    let header = header.ok_or(SignatureError::Missing)?;
    let parts = || header.split(',').filter_map(|part| part.trim().split_once('='));
    // Stripe signs the timestamp's text, so the text is kept beside the number.
    let time = parts().find_map(|(name, value)| (name == "t").then_some(value)).ok_or(SignatureError::Malformed)?;
    let signed_at: i64 = time.parse().or(Err(SignatureError::Malformed))?;
    let signatures: Vec<_> =
        parts().filter(|(name, _)| *name == "v1").filter_map(|(_, value)| hex::decode(value).ok()).collect();
    if signatures.is_empty() {
        return Err(SignatureError::Malformed);
    }
    let mut signed = Vec::with_capacity(time.len() + 1 + body.len());
    signed.extend_from_slice(time.as_bytes());
    signed.push(b'.');
    signed.extend_from_slice(body);
    // `hmac::verify` compares in constant time.
    let is_ours = secrets
        .iter()
        .map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()))
        .any(|key| signatures.iter().any(|signature| hmac::verify(&key, &signed, signature).is_ok()));
    if !is_ours {
        return Err(SignatureError::NoMatch);
    }
    let distance = signed_at.abs_diff(now.timestamp());
    if distance > TOLERANCE_S { Err(SignatureError::OutOfTolerance(distance)) } else { Ok(()) }
}

/// Signs a body as Stripe does, for tests and for the local fake of Stripe.
#[must_use]
pub fn sign(body: &[u8], secret: &str, at: DateTime<Utc>) -> String {
    let time = at.timestamp();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{time}.").as_bytes());
    context.update(body);
    format!("t={time},v1={}", hex::encode(context.sign()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"id": "evt_1", "object": "event"}"#;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_000_000 + seconds, 0).unwrap()
    }

    fn secrets(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| format!("whsec_{name}")).collect()
    }

    /// Stripe's Python library (package `stripe`, version 15) signs with
    /// `WebhookSignature._compute_signature(f"{t}.{body}", secret)`, which is HMAC-SHA256.
    #[test]
    fn hmac_sha256_matches_the_published_test_vector() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"key");
        let tag = hmac::sign(&key, b"The quick brown fox jumps over the lazy dog");
        // The published test vector of HMAC-SHA256.
        assert_eq!(hex::encode(tag), "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8");
    }

    #[test]
    fn signature_by_any_of_the_secrets_is_accepted() {
        let header = sign(BODY, "whsec_old", at(0));
        assert_eq!(verify(Some(&header), BODY, &secrets(&["new", "old"]), at(0)), Ok(()));
        assert_eq!(verify(Some(&header), BODY, &secrets(&["new"]), at(0)), Err(SignatureError::NoMatch));
        assert_eq!(verify(Some(&header), BODY, &[], at(0)), Err(SignatureError::NoMatch));
    }

    #[test]
    fn one_valid_v1_among_several_is_accepted_and_other_versions_are_ignored() {
        let header = sign(BODY, "whsec_a", at(0));
        let (time, right) = header.split_once(",v1=").unwrap();
        let wrong = "0".repeat(64);
        let secrets = secrets(&["a"]);
        for header in [
            format!("{time},v1={wrong},v1={right}"),
            format!("{time},v1={right},v1={wrong},v0={wrong}"),
            format!(" {time} , v1={right}"),
            format!("{time},v1=xyz,v1={right}"),
        ] {
            assert_eq!(verify(Some(&header), BODY, &secrets, at(0)), Ok(()), "{header}");
        }
        for (header, error) in [
            (format!("{time},v0={right}"), SignatureError::Malformed),
            (format!("{time},v1={wrong}"), SignatureError::NoMatch),
            (format!("{time},v1={}", &right[..62]), SignatureError::NoMatch),
            (format!("{time},v1="), SignatureError::NoMatch),
            (format!("v1={right}"), SignatureError::Malformed),
            (format!("t=soon,v1={right}"), SignatureError::Malformed),
            (String::new(), SignatureError::Malformed),
        ] {
            assert_eq!(verify(Some(&header), BODY, &secrets, at(0)), Err(error), "{header}");
        }
        assert_eq!(verify(None, BODY, &secrets, at(0)), Err(SignatureError::Missing));
    }

    #[test]
    fn changed_body_or_time_is_rejected() {
        let secrets = secrets(&["a"]);
        let header = sign(BODY, "whsec_a", at(0));
        let mut tampered = BODY.to_vec();
        for place in 0..tampered.len() {
            tampered[place] ^= 1;
            assert_eq!(verify(Some(&header), &tampered, &secrets, at(0)), Err(SignatureError::NoMatch), "byte {place}");
            tampered[place] ^= 1;
        }
        let later = header.replace("t=1795000000", "t=1795000001");
        assert_eq!(verify(Some(&later), BODY, &secrets, at(0)), Err(SignatureError::NoMatch));
    }

    #[test]
    fn time_is_accepted_within_five_minutes_and_rejected_beyond() {
        let secrets = secrets(&["a"]);
        for (seconds, expected) in [
            (-301, Err(SignatureError::OutOfTolerance(301))),
            (-300, Ok(())),
            (300, Ok(())),
            (301, Err(SignatureError::OutOfTolerance(301))),
        ] {
            let header = sign(BODY, "whsec_a", at(seconds));
            assert_eq!(verify(Some(&header), BODY, &secrets, at(0)), expected, "{seconds}");
        }
        let end_of_time = sign(BODY, "whsec_a", at(0)).replace("t=1795000000", &format!("t={}", i64::MIN));
        assert_eq!(verify(Some(&end_of_time), BODY, &secrets, at(0)), Err(SignatureError::NoMatch));
    }
}
