//! The verifier that PostgreSQL stores in place of a password, for the method SCRAM-SHA-256 (RFC 5802, RFC 7677).

use std::num::NonZeroU32;

use aws_lc_rs::{
    digest::{SHA256, digest},
    hmac, pbkdf2, rand,
};
use base64::{Engine, prelude::BASE64_STANDARD};

/// Iterations of the key derivation: PostgreSQL's own default (`scram_iterations`).
const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).unwrap();
/// Length of the salt, in bytes: that of PostgreSQL's own verifiers.
const SALT_BYTES: usize = 16;

/// The system's source of random bytes failed.
#[derive(Debug, thiserror::Error)]
#[error("no random bytes for a salt")]
pub(crate) struct NoRandomBytes;

/// Returns the verifier of a password with a new salt, in the form of `pg_authid.rolpassword`.
///
/// # Errors
/// [`NoRandomBytes`].
pub(crate) fn verifier(password: &str) -> Result<String, NoRandomBytes> {
    let mut salt = [0; SALT_BYTES];
    rand::fill(&mut salt).map_err(|_unspecified| NoRandomBytes)?;
    Ok(verifier_with_salt(password, &salt))
}

fn verifier_with_salt(password: &str, salt: &[u8]) -> String {
    // Where SASLprep refuses a password, PostgreSQL and its clients use its bytes as they are.
    let prepared = stringprep::saslprep(password).unwrap_or_else(|_| password.into());
    let mut salted = [0; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ITERATIONS, salt, prepared.as_bytes(), &mut salted);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
    let stored_key = digest(&SHA256, hmac::sign(&key, b"Client Key").as_ref());
    let server_key = hmac::sign(&key, b"Server Key");
    let [salt, stored_key, server_key] =
        [salt, stored_key.as_ref(), server_key.as_ref()].map(|bytes| BASE64_STANDARD.encode(bytes));
    format!("SCRAM-SHA-256${ITERATIONS}:{salt}${stored_key}:{server_key}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange in RFC 7677, section 3: user `user`, password `pencil`.
    #[test]
    fn the_verifier_accepts_the_proof_of_the_rfc() {
        let salt = BASE64_STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let verifier = verifier_with_salt("pencil", &salt);
        let (_, keys) = verifier.rsplit_once('$').unwrap();
        let (stored_key, server_key) = keys.split_once(':').unwrap();
        let [stored_key, server_key] = [stored_key, server_key].map(|key| BASE64_STANDARD.decode(key).unwrap());
        let message = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                       s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let sign = |key: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes());
        let proof = BASE64_STANDARD.decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=").unwrap();
        let client_key: Vec<u8> = proof.iter().zip(sign(&stored_key).as_ref()).map(|(a, b)| a ^ b).collect();
        assert_eq!(digest(&SHA256, &client_key).as_ref(), stored_key);
        assert_eq!(BASE64_STANDARD.encode(sign(&server_key)), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn two_verifiers_of_a_password_have_different_salts() {
        let [one, other] = [(); 2].map(|()| verifier("pencil").unwrap());
        assert_ne!(one, other);
        assert!(one.starts_with("SCRAM-SHA-256$4096:") && !one.contains("pencil"), "{one}");
    }
}
