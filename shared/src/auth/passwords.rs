//! Passwords of local accounts: argon2id, with the parameters that OWASP's Password Storage Cheat Sheet names.

use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version, password_hash::phc::PasswordHash};
use serde::Deserialize;
use utoipa::ToSchema;

/// 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;

const SHORTEST: usize = 10;
/// argon2 takes more, but nobody types more: a longer one is an attack on our CPU.
const LONGEST_BYTES: usize = 1024;

/// A password as it was typed. Never shown, logged or compared.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 10, format = Password)]
pub struct Password(String);

/// A password that is too short or too long.
#[derive(Debug, thiserror::Error)]
#[error("must have at least {SHORTEST} characters and at most {LONGEST_BYTES} bytes")]
pub struct UnusablePassword;

/// The hash could not be made or read.
#[derive(Debug, thiserror::Error)]
#[error("password hashing failed")]
pub struct HashingFailed(#[source] argon2::password_hash::Error);

impl TryFrom<String> for Password {
    type Error = UnusablePassword;

    fn try_from(text: String) -> Result<Self, UnusablePassword> {
        if text.chars().count() < SHORTEST || text.len() > LONGEST_BYTES {
            Err(UnusablePassword)
        } else {
            Ok(Self(text))
        }
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Password")
    }
}

impl Password {
    /// Takes what was typed at sign-in, whatever its length: one that is too short is simply wrong.
    #[must_use]
    pub fn typed(text: String) -> Self {
        let end = text.floor_char_boundary(LONGEST_BYTES);
        Self(text[..end].to_owned())
    }

    /// The text, for the one other service that has to see it (Supabase's sign-in).
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Makes a salted hash in PHC form. Takes about 20 ms of one core on purpose.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn hash(&self) -> Result<String, HashingFailed> {
        argon2().hash_password(self.0.as_bytes()).map(|hash| hash.to_string()).map_err(HashingFailed)
    }

    /// Whether it is the password of this hash. Without a hash it works as long and says no, so that the time does not
    /// tell whether an account exists.
    #[must_use]
    pub fn matches(&self, hash: Option<&str>) -> bool {
        // Of no password: made from 32 random bytes that were thrown away.
        const NOBODY: &str =
            "$argon2id$v=19$m=19456,t=2,p=1$AtMZzHrqBz0WcWuSsF3Xsg$DAg5eLZkO4CfkAoV1tTrEcXB0IBkpQk5ksWHhzjuu6A";
        let parsed = PasswordHash::new(hash.unwrap_or(NOBODY));
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
        assert!(!Password::typed("correct horsf".to_owned()).matches(Some(&hash)));
        assert!(!password.matches(None));
        assert_ne!(hash, password.hash().unwrap());
    }

    #[test]
    fn the_stand_in_for_a_missing_account_is_a_hash_of_the_same_cost() {
        assert!(
            Password::typed("whatever it is".to_owned()).hash().unwrap().starts_with("$argon2id$v=19$m=19456,t=2,p=1$")
        );
        assert!(Password::try_from("too short".to_owned()).is_err());
        assert!(Password::try_from("x".repeat(1025)).is_err());
    }
}
