//! Verification of the header `Stripe-Signature: t=<unix>,v1=<hex>[,v1=<hex>…]`.
//!
//! The signature is HMAC-SHA256 over `"{t}.{raw body}"`, with the whole `whsec_…` text as the key. Source:
//! stripe-python's `_webhook.py`.

use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
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

/// Number of characters of a signature: HMAC-SHA256 in hexadecimal.
const SIGNATURE_CHARS: usize = 64;
/// Number of signatures of a header that are compared. Stripe sends one for each active secret of an endpoint, which
/// is two during a rotation.
const MAX_SIGNATURES: usize = 10;

/// A signature header whose time is within the tolerance. It is checked before the body is read and hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureHeader {
    /// The timestamp as sent, since Stripe signs the text.
    time: String,
    /// The first [`MAX_SIGNATURES`] signatures that have the right length.
    signatures: Vec<[u8; SIGNATURE_CHARS / 2]>,
}

impl SignatureHeader {
    /// Parses a signature header and checks its time. The cost does not depend on the number of signatures.
    ///
    /// # Errors
    /// Returns [`SignatureError`] for a missing or malformed header, and for a time out of tolerance.
    pub fn read(header: Option<&str>, now: DateTime<Utc>) -> Result<Self, SignatureError> {
        let header = header.ok_or(SignatureError::Missing)?;
        let parts = || header.split(',').filter_map(|part| part.trim().split_once('='));
        let time = parts().find_map(|(name, value)| (name == "t").then_some(value)).ok_or(SignatureError::Malformed)?;
        let signed_at: i64 = time.parse().or(Err(SignatureError::Malformed))?;
        let distance = signed_at.abs_diff(now.timestamp());
        if distance > TOLERANCE_S {
            return Err(SignatureError::OutOfTolerance(distance));
        }
        let signatures: Vec<_> = parts()
            .filter(|(name, value)| *name == "v1" && value.len() == SIGNATURE_CHARS)
            .take(MAX_SIGNATURES)
            .filter_map(|(_, value)| {
                let mut signature = [0; SIGNATURE_CHARS / 2];
                hex::decode_to_slice(value, &mut signature).ok().map(|()| signature)
            })
            .collect();
        if signatures.is_empty() {
            return Err(SignatureError::Malformed);
        }
        Ok(Self { time: time.to_owned(), signatures })
    }

    /// Verifies that one of the signatures is of this body, by any of the secrets. The body is hashed once for each
    /// secret.
    ///
    /// # Errors
    /// Returns [`SignatureError::NoMatch`] when no signature is valid.
    pub fn verify(&self, body: &[u8], secrets: &[String]) -> Result<(), SignatureError> {
        let is_ours = secrets.iter().any(|secret| {
            let tag = tag(&self.time, body, secret);
            // Compares in constant time.
            self.signatures.iter().any(|signature| verify_slices_are_equal(tag.as_ref(), signature).is_ok())
        });
        if is_ours { Ok(()) } else { Err(SignatureError::NoMatch) }
    }
}

/// Verifies a body's signature header. A signature by any of the secrets is valid, so that a secret can be rotated.
///
/// # Errors
/// Returns [`SignatureError`] when no signature is valid, or its time is out of tolerance.
pub fn verify(header: Option<&str>, body: &[u8], secrets: &[String], now: DateTime<Utc>) -> Result<(), SignatureError> {
    SignatureHeader::read(header, now)?.verify(body, secrets)
}

/// Computes the HMAC-SHA256 of `"{time}.{body}"`.
fn tag(time: &str, body: &[u8], secret: &str) -> hmac::Tag {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()));
    context.update(time.as_bytes());
    context.update(b".");
    context.update(body);
    context.sign()
}

/// Signs a body as Stripe does, for tests and for the local fake of Stripe.
#[must_use]
pub fn sign(body: &[u8], secret: &str, at: DateTime<Utc>) -> String {
    let time = at.timestamp();
    format!("t={time},v1={}", hex::encode(tag(&time.to_string(), body, secret)))
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
            (format!("{time},v1={}", &right[..62]), SignatureError::Malformed),
            (format!("{time},v1={right}00"), SignatureError::Malformed),
            (format!("{time},v1="), SignatureError::Malformed),
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
        let refused = verify(Some(&end_of_time), BODY, &secrets, at(0));
        assert!(matches!(refused, Err(SignatureError::OutOfTolerance(_))), "{refused:?}");
    }

    #[test]
    fn only_the_first_ten_signatures_of_the_right_length_are_compared() {
        let secrets = secrets(&["a"]);
        let header = sign(BODY, "whsec_a", at(0));
        let (time, right) = header.split_once(",v1=").unwrap();
        let wrong = format!(",v1={}", "0".repeat(64));
        for (others, expected) in
            [(9, Ok(())), (10, Err(SignatureError::NoMatch)), (1_500, Err(SignatureError::NoMatch))]
        {
            let header = format!("{time}{},v1={right}", wrong.repeat(others));
            assert_eq!(verify(Some(&header), BODY, &secrets, at(0)), expected, "{others}");
        }
        // Signatures of another length do not count.
        let short = format!("{time}{},v1={right}", ",v1=00".repeat(1_500));
        assert_eq!(verify(Some(&short), BODY, &secrets, at(0)), Ok(()));
    }
}
