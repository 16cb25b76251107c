//! Passwords of local accounts, hashed by argon2id with the parameters of OWASP's Password Storage Cheat Sheet.
//!
//! A process computes [`MAX_CONCURRENT_HASHES`] hashes at the same time, in memory that it keeps and uses again. A burst
//! of sign-ins waits in line: it takes no more memory and no more threads than a single one needs.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::{
        self, generate_salt,
        phc::{Output, ParamsString, PasswordHash, Salt},
    },
};
use serde::Deserialize;
use tokio::sync::Semaphore;
use utoipa::ToSchema;

use crate::error::ApiError;

/// Memory of argon2id, in KiB: 19 MiB.
const MEMORY_KIB: u32 = 19 * 1024;
/// Number of argon2id's passes over the memory.
const PASSES: u32 = 2;

/// Number of hashes that a process computes at the same time.
const MAX_CONCURRENT_HASHES: usize = 2;
/// Maximum time of waiting for another hash to end. A Lambda instance serves one request at a time and never waits.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// Permits for computing a hash.
static SLOTS: Semaphore = Semaphore::const_new(MAX_CONCURRENT_HASHES);
/// Memory of argon2id while no hash uses it. Kept, because the allocator would not return blocks of this size that
/// changing threads allocate and free.
static IDLE_MEMORY: Mutex<Vec<Vec<Block>>> = Mutex::new(Vec::new());

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
pub struct HashingError(#[source] password_hash::Error);

impl From<password_hash::Error> for HashingError {
    fn from(error: password_hash::Error) -> Self {
        Self(error)
    }
}

impl From<argon2::Error> for HashingError {
    fn from(error: argon2::Error) -> Self {
        Self(error.into())
    }
}

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
    /// Takes a password from a sign-in form without checking its minimum length: a short one fails the comparison.
    /// Returns `None` for a password that is longer than any account's, so that nothing is computed for it.
    #[must_use]
    pub fn typed(text: String) -> Option<Self> {
        (text.len() <= MAX_BYTES).then_some(Self(text))
    }

    /// Returns the plain text, for Supabase's sign-in and for comparisons with other texts.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Computes a salted hash in PHC string format on a blocking thread. Takes about 20 ms of one core, on purpose.
    ///
    /// # Errors
    /// 503 when too many others wait, 500 when the blocking task or the hashing fails.
    pub async fn hash(self) -> Result<String, ApiError> {
        compute(move |memory| self.hash_in(memory)).await?.map_err(|error| ApiError::internal().with_source(error))
    }

    /// Returns true when the password belongs to the hash. Without a hash, does the same work and returns false, so
    /// that the response time does not reveal whether an account exists.
    ///
    /// # Errors
    /// 503 when too many others wait, 500 when the blocking task fails.
    pub async fn matches(self, hash: Option<String>) -> Result<bool, ApiError> {
        // Hash of 32 random bytes that were discarded, so it matches no password.
        const DUMMY_HASH: &str =
            "$argon2id$v=19$m=19456,t=2,p=1$AtMZzHrqBz0WcWuSsF3Xsg$DAg5eLZkO4CfkAoV1tTrEcXB0IBkpQk5ksWHhzjuu6A";
        let is_known = hash.is_some();
        let hash = hash.unwrap_or_else(|| DUMMY_HASH.to_owned());
        let is_match = compute(move |memory| self.is_hashed_as(&hash, memory).unwrap_or(false)).await?;
        Ok(is_known && is_match)
    }

    fn hash_in(&self, memory: &mut Vec<Block>) -> Result<String, HashingError> {
        let params = Params::new(MEMORY_KIB, PASSES, 1, None)?;
        let salt = generate_salt();
        let output = self.compute(Version::V0x13, &params, &salt, Params::DEFAULT_OUTPUT_LEN, memory)?;
        let hash = PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&params)?,
            salt: Some(Salt::new(&salt).map_err(password_hash::Error::from)?),
            hash: Some(output),
        };
        Ok(hash.to_string())
    }

    fn is_hashed_as(&self, hash: &str, memory: &mut Vec<Block>) -> Result<bool, HashingError> {
        let hash = PasswordHash::new(hash).map_err(password_hash::Error::from)?;
        let (Some(salt), Some(expected)) = (&hash.salt, &hash.hash) else { return Ok(false) };
        if hash.algorithm != Algorithm::Argon2id.ident() {
            return Ok(false);
        }
        let version = hash.version.map_or(Ok(Version::V0x13), Version::try_from)?;
        let params = Params::try_from(&hash)?;
        // The comparison takes constant time.
        Ok(self.compute(version, &params, salt, expected.len(), memory)? == *expected)
    }

    fn compute(
        &self,
        version: Version,
        params: &Params,
        salt: &[u8],
        length: usize,
        memory: &mut Vec<Block>,
    ) -> Result<Output, HashingError> {
        let blocks = params.block_count();
        if memory.len() < blocks {
            memory.resize(blocks, Block::default());
        }
        let mut output = vec![0; length];
        Argon2::new(Algorithm::Argon2id, version, params.clone()).hash_password_into_with_memory(
            self.0.as_bytes(),
            salt,
            &mut output,
            &mut memory[..blocks],
        )?;
        Ok(Output::new(&output).map_err(password_hash::Error::from)?)
    }
}

/// Runs `work` on a blocking thread with the memory of argon2id, after those that came before.
async fn compute<T: Send + 'static>(work: impl FnOnce(&mut Vec<Block>) -> T + Send + 'static) -> Result<T, ApiError> {
    let slot = tokio::time::timeout(MAX_WAIT, SLOTS.acquire());
    let slot = slot.await.map_err(|error| ApiError::unavailable().with_source(error))?;
    let slot = slot.map_err(|error| ApiError::internal().with_source(error))?;
    // Counted by the test that compares the work for known and unknown addresses.
    tracing::trace!(target: "shared::argon2", "hash computed");
    let task = tokio::task::spawn_blocking(move || {
        let mut memory = IDLE_MEMORY.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        let done = work(&mut memory);
        IDLE_MEMORY.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
        drop(slot);
        done
    });
    task.await.map_err(|error| ApiError::internal().with_source(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Password {
        Password::typed(text.to_owned()).unwrap()
    }

    #[tokio::test]
    async fn a_password_matches_its_own_hash_only() {
        let hash = typed("correct horse").hash().await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(typed("correct horse").matches(Some(hash.clone())).await.unwrap());
        assert!(!typed("correct horsf").matches(Some(hash.clone())).await.unwrap());
        assert!(!typed("correct horse").matches(None).await.unwrap());
        assert!(!typed("correct horse").matches(Some("no hash".to_owned())).await.unwrap());
        assert_ne!(hash, typed("correct horse").hash().await.unwrap());
    }

    #[tokio::test]
    async fn a_hash_by_the_library_alone_matches() {
        use argon2::{PasswordHasher, PasswordVerifier};
        let theirs = Argon2::default().hash_password(b"correct horse").unwrap().to_string();
        assert!(typed("correct horse").matches(Some(theirs)).await.unwrap());
        let ours = typed("correct horse").hash().await.unwrap();
        Argon2::default().verify_password(b"correct horse", &PasswordHash::new(&ours).unwrap()).unwrap();
        // Other parameters than today's, as of an imported account.
        let params = Params::new(64, 3, 2, Some(24)).unwrap();
        let imported = Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password(b"correct horse");
        assert!(typed("correct horse").matches(Some(imported.unwrap().to_string())).await.unwrap());
    }

    #[tokio::test]
    async fn a_burst_of_hashes_uses_the_memory_of_two() {
        let mut burst = tokio::task::JoinSet::new();
        for _ in 0..40 {
            burst.spawn(typed("wrong horse").matches(None));
        }
        while let Some(is_match) = burst.join_next().await {
            assert!(!is_match.unwrap().unwrap());
        }
        let idle = IDLE_MEMORY.lock().unwrap();
        assert!(idle.len() <= MAX_CONCURRENT_HASHES, "{}", idle.len());
        assert!(idle.iter().all(|memory| memory.len() <= MEMORY_KIB as usize));
    }

    #[test]
    fn bad_lengths_are_refused_before_any_hash() {
        assert!(Password::try_from("too short".to_owned()).is_err());
        assert!(Password::try_from("x".repeat(1025)).is_err());
        assert!(Password::typed("x".repeat(1025)).is_none());
        assert!(Password::typed("x".repeat(1024)).is_some());
    }
}
