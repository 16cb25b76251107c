//! Encryption of tenants' secrets (ManyChat keys, data pod keys) with AES-256-GCM before they are stored. "Sealed"
//! means encrypted and authenticated.
//!
//! The bytes of a sealed secret:
//!
//! | offset | length | content |
//! | --- | --- | --- |
//! | 0 | 1 | version of this layout: 1 |
//! | 1 | 1 | n, the length of the key's id, 1 to 32 |
//! | 2 | n | the key's id |
//! | 2 + n | 12 | nonce, random |
//! | 14 + n | m | ciphertext, as long as the secret |
//! | 14 + n + m | 16 | tag |
//!
//! The associated data is the version, the length and the id as above, then the 16 bytes of the tenant's id, then the
//! purpose. Only the purpose, which comes last, has no known length, so no two contexts have the same bytes. A sealed
//! secret that is copied to another tenant's row or to another column therefore does not open.

use std::{fmt, sync::Arc};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::{Engine, prelude::BASE64_STANDARD};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::settings::{SettingKind, Settings};

const SETTING: &str = "SEALING_KEYS";
const VERSION: u8 = 1;
const KEY_BYTES: usize = 32;
/// Maximum length of a key's id, in bytes.
const MAX_ID_LENGTH: usize = 32;

/// A decrypted secret. `Debug` does not show it, and dropping it wipes it from memory.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The text of the secret, only for the code that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(…)")
    }
}

/// The reasons why a secret could not be sealed or opened. No message reveals the secret or the step that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealingError {
    /// The bytes do not have the layout of a sealed secret.
    #[error("not a sealed secret")]
    Malformed,
    /// The key with this id is not in the ring.
    #[error("sealed by the key {0}, which SEALING_KEYS does not have")]
    UnknownKey(String),
    /// Authentication failed: the secret is another tenant's, has another purpose, was altered, or was sealed by
    /// another key with the same id.
    #[error("the sealed secret does not open")]
    NotOpened,
    /// The cryptographic library failed to seal.
    #[error("the secret could not be sealed")]
    NotSealed,
}

/// One key of the ring.
struct SealingKey {
    id: String,
    aead: RandomizedNonceKey,
}

/// The keys of SEALING_KEYS. The first key seals; every key opens what it sealed.
///
/// The library chooses a random nonce for each sealed secret. One key is safe for 2^32 of them (NIST SP 800-38D,
/// 8.3).
#[derive(Clone)]
pub struct KeyRing(Arc<[SealingKey]>);

impl fmt::Debug for KeyRing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(self.0.iter().map(|key| &key.id)).finish()
    }
}

impl KeyRing {
    /// Reads SEALING_KEYS: entries `id:base64`, separated by commas, the newest first. The base64 part is 32 random
    /// bytes.
    ///
    /// A problem names an entry by its number, never by its text: if the two parts were swapped, the id would be the
    /// key.
    pub fn read(settings: &mut Settings) -> Self {
        let mut keys = Vec::<SealingKey>::new();
        let text = Zeroizing::new(settings.required_of(SettingKind::SecretList, SETTING));
        for (index, entry) in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).enumerate() {
            match SealingKey::parse(entry) {
                Ok(key) if keys.iter().any(|other| other.id == key.id) => {
                    settings.problem(format_args!("{SETTING} entry {}: its id stands there twice", index + 1));
                }
                Ok(key) => keys.push(key),
                Err(problem) => settings.problem(format_args!("{SETTING} entry {}: {problem}", index + 1)),
            }
        }
        if keys.is_empty() && !text.is_empty() {
            settings.problem(format_args!("{SETTING} has no usable key"));
        }
        Self(keys.into())
    }

    /// Seals a tenant's secret for a purpose, with the first key.
    ///
    /// # Errors
    /// [`SealingError::NotSealed`], which no input causes.
    pub fn seal(&self, tenant: Uuid, purpose: &'static str, plaintext: &str) -> Result<Vec<u8>, SealingError> {
        let key = self.0.first().ok_or(SealingError::NotSealed)?;
        let header = header(&key.id)?;
        let text_at = header.len() + NONCE_LEN;
        // The full capacity from the start: a vector that grows would leave a copy of the plaintext in freed memory.
        let mut sealed = Vec::with_capacity(text_at + plaintext.len() + AES_256_GCM.tag_len());
        sealed.extend_from_slice(&header);
        sealed.extend_from_slice(&[0; NONCE_LEN]);
        sealed.extend_from_slice(plaintext.as_bytes());
        let (nonce, tag) = key
            .aead
            .seal_in_place_separate_tag(context(&header, tenant, purpose), &mut sealed[text_at..])
            .or(Err(SealingError::NotSealed))?;
        sealed[header.len()..text_at].copy_from_slice(nonce.as_ref());
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// Opens a secret that [`KeyRing::seal`] sealed for this tenant and this purpose.
    ///
    /// # Errors
    /// Any [`SealingError`] except `NotSealed`.
    pub fn open(&self, tenant: Uuid, purpose: &'static str, sealed: &[u8]) -> Result<Secret, SealingError> {
        let SealedParts { header, id, nonce, text } = SealedParts::parse(sealed).ok_or(SealingError::Malformed)?;
        let key = self.0.iter().find(|key| key.id == id).ok_or_else(|| SealingError::UnknownKey(id.to_owned()))?;
        let mut opened = Zeroizing::new(text.to_vec());
        let length = key
            .aead
            .open_in_place(Nonce::from(nonce), context(header, tenant, purpose), &mut opened)
            .or(Err(SealingError::NotOpened))?
            .len();
        opened.truncate(length);
        match String::from_utf8(std::mem::take(&mut *opened)) {
            Ok(secret) => Ok(Secret(Zeroizing::new(secret))),
            // Another program must have sealed it, since `seal` takes text. The bytes are wiped here too.
            Err(error) => {
                drop(Zeroizing::new(error.into_bytes()));
                Err(SealingError::NotOpened)
            }
        }
    }

    /// Returns true unless the first key of the ring sealed this secret.
    #[must_use]
    pub fn needs_resealing(&self, sealed: &[u8]) -> bool {
        match (SealedParts::parse(sealed), self.0.first()) {
            (Some(parts), Some(first)) => parts.id != first.id,
            _ => true,
        }
    }
}

/// Seals a stored secret again with the first key; returns `None` when the first key has sealed it. The command
/// `rotate-keys` uses it.
///
/// # Errors
/// Any error of [`KeyRing::open`] and [`KeyRing::seal`].
pub fn reseal(
    keys: &KeyRing,
    tenant: Uuid,
    purpose: &'static str,
    sealed: &[u8],
) -> Result<Option<Vec<u8>>, SealingError> {
    if !keys.needs_resealing(sealed) {
        return Ok(None);
    }
    let secret = keys.open(tenant, purpose, sealed)?;
    keys.seal(tenant, purpose, secret.expose()).map(Some)
}

/// Mask shown in place of a secret, before its last four characters.
pub const MASK: &str = "••••";

/// Returns the last four characters of a secret, by which its owner recognises it. Returns an empty text for a secret
/// of fewer than 12 characters, of which four would reveal too much.
#[must_use]
pub fn last4(secret: &str) -> String {
    match secret.chars().count() {
        0..12 => String::new(),
        length => secret.chars().skip(length - 4).collect(),
    }
}

impl SealingKey {
    fn parse(entry: &str) -> Result<Self, &'static str> {
        let (id, key) = entry.split_once(':').ok_or("is not of the form id:base64")?;
        if !is_id(id) {
            return Err("its id must have 1 to 32 letters, digits, hyphens and underscores");
        }
        let key = Zeroizing::new(BASE64_STANDARD.decode(key.trim()).or(Err("what follows its id is not base64"))?);
        if key.len() != KEY_BYTES {
            return Err("its key must have 32 bytes");
        }
        let aead = RandomizedNonceKey::new(&AES_256_GCM, &key).or(Err("its key cannot be used"))?;
        Ok(Self { id: id.to_owned(), aead })
    }
}

fn is_id(id: &str) -> bool {
    (1..=MAX_ID_LENGTH).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

fn header(id: &str) -> Result<Vec<u8>, SealingError> {
    let length = u8::try_from(id.len()).or(Err(SealingError::NotSealed))?;
    Ok([&[VERSION, length], id.as_bytes()].concat())
}

fn context(header: &[u8], tenant: Uuid, purpose: &str) -> Aad<Vec<u8>> {
    Aad::from([header, tenant.as_bytes(), purpose.as_bytes()].concat())
}

/// The parts of a sealed secret. `text` is the ciphertext with the tag.
struct SealedParts<'a> {
    header: &'a [u8],
    id: &'a str,
    nonce: &'a [u8; NONCE_LEN],
    text: &'a [u8],
}

impl<'a> SealedParts<'a> {
    fn parse(sealed: &'a [u8]) -> Option<Self> {
        let &[VERSION, length, ..] = sealed else { return None };
        let (header, rest) = sealed.split_at_checked(2 + usize::from(length))?;
        let id = str::from_utf8(&header[2..]).ok().filter(|id| is_id(id))?;
        let (nonce, text) = rest.split_first_chunk()?;
        (text.len() >= AES_256_GCM.tag_len()).then_some(Self { header, id, nonce, text })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MANYCHAT: &str = "manychat_api_key";
    const TENANT: Uuid = Uuid::from_u128(7);

    fn entry(id: &str, byte: u8) -> String {
        format!("{id}:{}", BASE64_STANDARD.encode([byte; KEY_BYTES]))
    }

    fn read(value: &str) -> (KeyRing, Result<(), String>) {
        let mut settings = Settings::new([(SETTING.to_owned(), value.to_owned())].into());
        let keys = KeyRing::read(&mut settings);
        (keys, settings.finish().map_err(|invalid| invalid.to_string()))
    }

    fn ring(entries: &[String]) -> KeyRing {
        let (keys, outcome) = read(&entries.join(","));
        outcome.unwrap();
        keys
    }

    #[test]
    fn a_sealed_secret_opens_only_with_its_tenant_purpose_and_key() {
        let keys = ring(&[entry("k1", 1)]);
        let sealed = keys.seal(TENANT, MANYCHAT, "123:café-key").unwrap();

        assert_eq!(keys.open(TENANT, MANYCHAT, &sealed).unwrap().expose(), "123:café-key");
        assert_eq!(keys.open(Uuid::from_u128(8), MANYCHAT, &sealed).unwrap_err(), SealingError::NotOpened);
        assert_eq!(keys.open(TENANT, "data_pod_api_key", &sealed).unwrap_err(), SealingError::NotOpened);
        let other_key = ring(&[entry("k1", 2)]);
        assert_eq!(other_key.open(TENANT, MANYCHAT, &sealed).unwrap_err(), SealingError::NotOpened);
    }

    #[test]
    fn sealed_bytes_have_the_documented_layout() {
        let keys = ring(&[entry("k1", 1)]);
        let sealed = keys.seal(TENANT, MANYCHAT, "secret").unwrap();
        assert_eq!(sealed[..4], *b"\x01\x02k1");
        assert_eq!(sealed.len(), 4 + 12 + 6 + 16);
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        // The nonce is random, so sealing one secret twice gives different bytes.
        assert_ne!(sealed, keys.seal(TENANT, MANYCHAT, "secret").unwrap());
    }

    /// The vector was made with another implementation (Python's cryptography, AESGCM). So stored secrets stay
    /// readable if the library here changes.
    #[test]
    fn a_secret_sealed_by_another_implementation_opens() {
        let sealed = hex(VECTOR);
        assert_eq!(ring(&[entry("k1", 1)]).open(TENANT, MANYCHAT, &sealed).unwrap().expose(), "secret");
    }

    const VECTOR: &str = "01026b31000102030405060708090a0bc8c3f654458a776b015055d72b1cf16143c6d8185e67";

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn any_altered_or_missing_byte_is_refused() {
        let keys = ring(&[entry("k1", 1), entry("k2", 1)]);
        let sealed = keys.seal(TENANT, MANYCHAT, "a secret").unwrap();
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut altered = sealed.clone();
                altered[at] ^= 1 << bit;
                assert!(keys.open(TENANT, MANYCHAT, &altered).is_err(), "byte {at}, bit {bit}");
            }
            assert!(keys.open(TENANT, MANYCHAT, &sealed[..at]).is_err(), "cut at {at}");
        }
        // An id with a character that ids cannot have is malformed, and does not appear in an error.
        let mut garbled = sealed.clone();
        garbled[3] = b'\n';
        assert_eq!(keys.open(TENANT, MANYCHAT, &garbled).unwrap_err(), SealingError::Malformed);
        // The id is authenticated too: the key does not open the secret under another id.
        let mut renamed = sealed;
        renamed[3] = b'2';
        assert_eq!(keys.open(TENANT, MANYCHAT, &renamed).unwrap_err(), SealingError::NotOpened);
    }

    #[test]
    fn the_error_of_an_unknown_key_has_its_id() {
        let sealed = ring(&[entry("2025-a", 1)]).seal(TENANT, MANYCHAT, "a secret").unwrap();
        let error = ring(&[entry("2026-a", 1)]).open(TENANT, MANYCHAT, &sealed).unwrap_err();
        assert_eq!(error.to_string(), "sealed by the key 2025-a, which SEALING_KEYS does not have");
    }

    #[test]
    fn reseal_replaces_only_secrets_of_older_keys() {
        let old = ring(&[entry("k1", 1)]);
        let both = ring(&[entry("k2", 2), entry("k1", 1)]);
        let new = ring(&[entry("k2", 2)]);
        let sealed = old.seal(TENANT, MANYCHAT, "a secret").unwrap();

        assert!(!old.needs_resealing(&sealed));
        assert_eq!(both.open(TENANT, MANYCHAT, &sealed).unwrap().expose(), "a secret");
        let resealed = reseal(&both, TENANT, MANYCHAT, &sealed).unwrap().unwrap();
        assert_eq!(reseal(&both, TENANT, MANYCHAT, &resealed).unwrap(), None);
        assert_eq!(new.open(TENANT, MANYCHAT, &resealed).unwrap().expose(), "a secret");
        assert!(new.needs_resealing(&sealed));
        assert!(matches!(reseal(&new, TENANT, MANYCHAT, &sealed), Err(SealingError::UnknownKey(_))));
        assert_eq!(reseal(&both, Uuid::nil(), MANYCHAT, &sealed), Err(SealingError::NotOpened));
        assert_eq!(reseal(&both, TENANT, MANYCHAT, b"plain"), Err(SealingError::Malformed));
    }

    #[test]
    fn a_malformed_key_is_reported_by_its_number_and_never_shown() {
        let good = entry("k1", 1);
        let key = BASE64_STANDARD.encode([0xa5; KEY_BYTES]);
        for (value, expected) in [
            (key.clone(), "SEALING_KEYS entry 1: is not of the form id:base64"),
            (format!("{key}:k1"), "SEALING_KEYS entry 1: its id must have 1 to 32 letters"),
            (format!(":{key}"), "SEALING_KEYS entry 1: its id must have 1 to 32 letters"),
            (format!("{good},k2:{}?", &key[..20]), "SEALING_KEYS entry 2: what follows its id is not base64"),
            (format!("{good},k2:{}", BASE64_STANDARD.encode([0xa5; 16])), "SEALING_KEYS entry 2: its key must have 32"),
            (format!("{good},k2:{}", BASE64_STANDARD.encode([0xa5; 33])), "SEALING_KEYS entry 2: its key must have 32"),
            (format!("{good}, k1:{key}"), "SEALING_KEYS entry 2: its id stands there twice"),
            (" , ".to_owned(), "SEALING_KEYS has no usable key"),
            (String::new(), "SEALING_KEYS is missing"),
        ] {
            let (keys, outcome) = read(&value);
            let message = outcome.unwrap_err();
            assert!(message.contains(expected), "{message}");
            assert!(!message.contains("paWl"), "{message}");
            assert!(!format!("{keys:?}").contains("paWl"));
        }
        assert_eq!(read(&format!("{good} , {} ,", entry("k_2-b", 2))).1, Ok(()));
    }

    #[test]
    fn debug_output_and_last4_do_not_reveal_a_secret() {
        let keys = ring(&[entry("k1", 1)]);
        let sealed = keys.seal(TENANT, MANYCHAT, "hunter2hunter2").unwrap();
        let secret = keys.open(TENANT, MANYCHAT, &sealed).unwrap();
        assert_eq!(format!("{secret:?} {keys:?}"), r#"Secret(…) ["k1"]"#);
        assert_eq!(last4("hunter2hunter2-ab1é"), "ab1é");
        assert_eq!(last4("hunter2hunt"), "");
    }

    proptest! {
        #[test]
        fn every_text_opens_to_itself(text in ".*", tenant: u128) {
            let keys = ring(&[entry("k1", 1)]);
            let sealed = keys.seal(Uuid::from_u128(tenant), MANYCHAT, &text).unwrap();
            let secret = keys.open(Uuid::from_u128(tenant), MANYCHAT, &sealed).unwrap();
            prop_assert_eq!(secret.expose(), text);
        }

        #[test]
        fn arbitrary_bytes_are_refused(start in prop::sample::select(vec!["", "\x01", "\x01\x02k1"]), rest: Vec<u8>) {
            let keys = ring(&[entry("k1", 1)]);
            let bytes = [start.as_bytes(), &rest].concat();
            prop_assert!(keys.open(TENANT, MANYCHAT, &bytes).is_err());
            prop_assert!(reseal(&keys, TENANT, MANYCHAT, &bytes).map_or(true, |resealed| resealed.is_none()));
        }
    }
}
