//! `Stripe-Signature: t=<unix>,v1=<hex>[,v1=<hex>…]`, checked by hand: HMAC-SHA256 over `"{t}.{raw body}"` with the whole
//! `whsec_…` text as the key, as stripe-python's `_webhook.py` does.

use aws_lc_rs::hmac;
use chrono::{DateTime, Utc};

/// How far Stripe's clock and ours may be apart, either way, in seconds.
pub const TOLERANCE_S: u64 = 300;

/// Why a signature does not count. For the log: the sender is told no reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The header is not there.
    #[error("there is no signature")]
    Missing,
    /// It has no timestamp, or no signature of the version that counts.
    #[error("the signature cannot be read")]
    Malformed,
    /// It was made too long ago, or in the future.
    #[error("the signature is {0} s away from now")]
    OutOfTime(u64),
    /// None of the signatures was made with one of the secrets for this body.
    #[error("the signature was not made with our secret for this body")]
    Wrong,
}

/// Checks a body against its header. Any of the secrets may have signed, so that one can be rotated out.
///
/// # Errors
/// [`Refusal`].
pub fn verify(header: Option<&str>, body: &[u8], secrets: &[String], now: DateTime<Utc>) -> Result<(), Refusal> {
    let header = header.ok_or(Refusal::Missing)?;
    let parts = || header.split(',').filter_map(|part| part.trim().split_once('='));
    // The text, not the number, is what was signed.
    let time = parts().find_map(|(name, value)| (name == "t").then_some(value)).ok_or(Refusal::Malformed)?;
    let signed_at: i64 = time.parse().or(Err(Refusal::Malformed))?;
    let signatures: Vec<_> =
        parts().filter(|(name, _)| *name == "v1").filter_map(|(_, value)| hex::decode(value).ok()).collect();
    if signatures.is_empty() {
        return Err(Refusal::Malformed);
    }
    let mut signed = Vec::with_capacity(time.len() + 1 + body.len());
    signed.extend_from_slice(time.as_bytes());
    signed.push(b'.');
    signed.extend_from_slice(body);
    // `hmac::verify` takes as long for a wrong byte at the start as for one at the end.
    let is_ours = secrets
        .iter()
        .map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()))
        .any(|key| signatures.iter().any(|signature| hmac::verify(&key, &signed, signature).is_ok()));
    if !is_ours {
        return Err(Refusal::Wrong);
    }
    let distance = signed_at.abs_diff(now.timestamp());
    if distance > TOLERANCE_S { Err(Refusal::OutOfTime(distance)) } else { Ok(()) }
}

/// Signs a body, as Stripe does. For those who play Stripe.
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

    /// Of the `stripe` package 15: WebhookSignature._compute_signature(f"{t}.{body}", secret).
    #[test]
    fn a_signature_of_stripes_own_library_counts() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"key");
        let tag = hmac::sign(&key, b"The quick brown fox jumps over the lazy dog");
        // The published vector of HMAC-SHA256.
        assert_eq!(hex::encode(tag), "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8");
    }

    #[test]
    fn what_was_signed_with_any_of_the_secrets_counts() {
        let header = sign(BODY, "whsec_old", at(0));
        assert_eq!(verify(Some(&header), BODY, &secrets(&["new", "old"]), at(0)), Ok(()));
        assert_eq!(verify(Some(&header), BODY, &secrets(&["new"]), at(0)), Err(Refusal::Wrong));
        assert_eq!(verify(Some(&header), BODY, &[], at(0)), Err(Refusal::Wrong));
    }

    #[test]
    fn one_right_v1_among_several_is_enough_and_other_versions_do_not_count() {
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
        for (header, refusal) in [
            (format!("{time},v0={right}"), Refusal::Malformed),
            (format!("{time},v1={wrong}"), Refusal::Wrong),
            (format!("{time},v1={}", &right[..62]), Refusal::Wrong),
            (format!("{time},v1="), Refusal::Wrong),
            (format!("v1={right}"), Refusal::Malformed),
            (format!("t=soon,v1={right}"), Refusal::Malformed),
            (String::new(), Refusal::Malformed),
        ] {
            assert_eq!(verify(Some(&header), BODY, &secrets, at(0)), Err(refusal), "{header}");
        }
        assert_eq!(verify(None, BODY, &secrets, at(0)), Err(Refusal::Missing));
    }

    #[test]
    fn the_body_and_the_time_are_signed() {
        let secrets = secrets(&["a"]);
        let header = sign(BODY, "whsec_a", at(0));
        let mut tampered = BODY.to_vec();
        for place in 0..tampered.len() {
            tampered[place] ^= 1;
            assert_eq!(verify(Some(&header), &tampered, &secrets, at(0)), Err(Refusal::Wrong), "byte {place}");
            tampered[place] ^= 1;
        }
        let later = header.replace("t=1795000000", "t=1795000001");
        assert_eq!(verify(Some(&later), BODY, &secrets, at(0)), Err(Refusal::Wrong));
    }

    #[test]
    fn five_minutes_either_way_are_tolerated_and_no_second_more() {
        let secrets = secrets(&["a"]);
        for (seconds, expected) in
            [(-301, Err(Refusal::OutOfTime(301))), (-300, Ok(())), (300, Ok(())), (301, Err(Refusal::OutOfTime(301)))]
        {
            let header = sign(BODY, "whsec_a", at(seconds));
            assert_eq!(verify(Some(&header), BODY, &secrets, at(0)), expected, "{seconds}");
        }
        let end_of_time = sign(BODY, "whsec_a", at(0)).replace("t=1795000000", &format!("t={}", i64::MIN));
        assert_eq!(verify(Some(&end_of_time), BODY, &secrets, at(0)), Err(Refusal::Wrong));
    }
}
