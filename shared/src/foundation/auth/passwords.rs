//! Passwords of local accounts, hashed by argon2id with the parameters of OWASP's Password Storage Cheat Sheet.

use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version, password_hash::phc::PasswordHash};
use serde::Deserialize;
use utoipa::ToSchema;

/// Memory of argon2id, in KiB: 19 MiB.
const MEMORY_KIB: u32 = 19 * 1024;
/// Number of argon2id's passes over the memory.
const PASSES: u32 = 2;

/// Minimum length of a new password, in characters.
const MIN_CHARS: usize = 10;
/// Maximum length of a password, in bytes. argon2 accepts more, but a longer password is an attack on the CPU.
const MAX_BYTES: usize = 1024;

/// Password in plain text. Its `Debug` output hides the text, and it has no equality: only hashes are compared.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 10, format = Password)]
pub struct Password(String);

/// Error of a password that is too short or too long.
#[derive(Debug, thiserror::Error)]
#[error("must have at least {MIN_CHARS} characters and at most {MAX_BYTES} bytes")]
pub struct UnusablePassword;

/// Error of computing or parsing a password hash.
#[derive(Debug, thiserror::Error)]
#[error("password hashing failed")]
pub struct HashingError(#[source] argon2::password_hash::Error);

impl TryFrom<String> for Password {
    type Error = UnusablePassword;

    fn try_from(text: String) -> Result<Self, UnusablePassword> {
        if text.chars().count() < MIN_CHARS || text.len() > MAX_BYTES { Err(UnusablePassword) } else { Ok(Self(text)) }
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Password")
    }
}

impl Password {
    /// Creates a password from a sign-in form without checking its minimum length: a short one fails the comparison.
    /// Cuts the text at the maximum length.
    #[must_use]
    pub fn unchecked(text: String) -> Self {
        let end = text.floor_char_boundary(MAX_BYTES);
        Self(text[..end].to_owned())
    }

    /// Returns the plain text, for Supabase's sign-in, the only other service that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Computes a salted hash in PHC string format. Takes about 20 ms of one core, on purpose.
    ///
    /// # Errors
    /// Returns an error when the system has no source of randomness.
    pub fn hash(&self) -> Result<String, HashingError> {
        argon2().hash_password(self.0.as_bytes()).map(|hash| hash.to_string()).map_err(HashingError)
    }

    /// Returns true when the password belongs to the hash. Without a hash, takes as long and returns false, so that
    /// the response time does not reveal whether an account exists.
    #[must_use]
    pub fn matches(&self, hash: Option<&str>) -> bool {
        // Hash of 32 random bytes that were discarded, so it matches no password.
        const DUMMY_HASH: &str =
            "$argon2id$v=19$m=19456,t=2,p=1$AtMZzHrqBz0WcWuSsF3Xsg$DAg5eLZkO4CfkAoV1tTrEcXB0IBkpQk5ksWHhzjuu6A";
        let parsed = PasswordHash::new(hash.unwrap_or(DUMMY_HASH));
        let verified = parsed.is_ok_and(|hash| argon2().verify_password(self.0.as_bytes(), &hash).is_ok());
        verified && hash.is_some()
    }
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_matches_its_own_hash_only() {
        let password = Password::try_from("correct horse".to_owned()).unwrap();
        let hash = password.hash().unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(password.matches(Some(&hash)));
        assert!(!Password::unchecked("correct horsf".to_owned()).matches(Some(&hash)));
        assert!(!password.matches(None));
        assert_ne!(hash, password.hash().unwrap());
    }

    #[test]
    fn a_new_hash_costs_as_much_as_the_dummy_and_bad_lengths_are_refused() {
        assert!(
            Password::unchecked("whatever it is".to_owned())
                .hash()
                .unwrap()
                .starts_with("$argon2id$v=19$m=19456,t=2,p=1$")
        );
        assert!(Password::try_from("too short".to_owned()).is_err());
        assert!(Password::try_from("x".repeat(1025)).is_err());
    }
}
