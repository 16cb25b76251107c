//! Tenants' secrets (ManyChat keys, data pod keys), sealed with AES-256-GCM before they are stored.
//!
//! A sealed secret is bytes:
//!
//! | offset | length | what |
//! | --- | --- | --- |
//! | 0 | 1 | version of this layout: 1 |
//! | 1 | 1 | n, the length of the key's id, 1 to 32 |
//! | 2 | n | the key's id |
//! | 2 + n | 12 | nonce, random |
//! | 14 + n | m | ciphertext, as long as the secret |
//! | 14 + n + m | 16 | tag |
//!
//! Associated data: version, length and id as above, then the 16 bytes of the tenant's id, then the purpose. Everything
//! before the purpose says how long it is, so no two contexts give the same bytes: a sealed secret that is copied to
//! another tenant's row, or to another column, does not open.

use std::{fmt, sync::Arc};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::{Engine, prelude::BASE64_STANDARD};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::settings::Settings;

const SETTING: &str = "SEALING_KEYS";
const VERSION: u8 = 1;
const KEY_BYTES: usize = 32;
const LONGEST_ID: usize = 32;

/// A secret that was opened: shown to nobody by accident, and wiped from memory when it is dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The secret itself, for the one place that sends it.
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

/// Why a secret could not be sealed or opened. Nothing here tells of the secret, or of how far opening it got.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealingError {
    /// The bytes are not of a layout that this version knows.
    #[error("not a sealed secret")]
    Malformed,
    /// Sealed by a key that is not in the ring any more, or not yet.
    #[error("sealed by the key {0}, which SEALING_KEYS does not have")]
    UnknownKey(String),
    /// Another tenant's, of another purpose, altered, or sealed by another key of the same id.
    #[error("the sealed secret does not open")]
    NotOpened,
    /// The library refused to seal.
    #[error("the secret could not be sealed")]
    NotSealed,
}

struct Key {
    id: String,
    aead: RandomizedNonceKey,
}

/// The keys of SEALING_KEYS: the first one seals, all of them open.
///
/// Each seal takes a random nonce from the library, which keeps one key safe for 2^32 seals (NIST SP 800-38D, 8.3).
#[derive(Clone)]
pub struct KeyRing(Arc<[Key]>);

impl fmt::Debug for KeyRing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(self.0.iter().map(|key| &key.id)).finish()
    }
}

impl KeyRing {
    /// Reads SEALING_KEYS: `id:base64` of 32 random bytes, several separated by commas, the newest first. A problem names
    /// the entry by its place, never by its text: with the parts swapped, even the id would be the key.
    pub fn read(settings: &mut Settings) -> Self {
        let mut keys = Vec::<Key>::new();
        let text = Zeroizing::new(settings.required(SETTING));
        for (index, entry) in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).enumerate() {
            match Key::parse(entry) {
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

    /// Seals a secret of a tenant for a purpose, with the first key.
    ///
    /// # Errors
    /// [`SealingError::NotSealed`], which no input leads to.
    pub fn seal(&self, tenant: Uuid, purpose: &'static str, plaintext: &str) -> Result<Vec<u8>, SealingError> {
        let key = self.0.first().ok_or(SealingError::NotSealed)?;
        let header = header(&key.id)?;
        let text_at = header.len() + NONCE_LEN;
        // Room for everything at once: a vector that grows would leave a copy of the plaintext behind.
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

    /// Opens what [`KeyRing::seal`] made for the same tenant and purpose.
    ///
    /// # Errors
    /// All of [`SealingError`] but `NotSealed`.
    pub fn open(&self, tenant: Uuid, purpose: &'static str, sealed: &[u8]) -> Result<Secret, SealingError> {
        let Parts { header, id, nonce, text } = Parts::of(sealed).ok_or(SealingError::Malformed)?;
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
            // Only another program could have sealed it; the bytes are wiped all the same.
            Err(error) => {
                drop(Zeroizing::new(error.into_bytes()));
                Err(SealingError::NotOpened)
            }
        }
    }

    /// Whether something else than the first key of the ring sealed this.
    #[must_use]
    pub fn needs_resealing(&self, sealed: &[u8]) -> bool {
        match (Parts::of(sealed), self.0.first()) {
            (Some(parts), Some(first)) => parts.id != first.id,
            _ => true,
        }
    }
}

/// Seals a stored secret anew where an older key sealed it; None where the first key did. The core of `rotate-keys`.
///
/// # Errors
/// Those of [`KeyRing::open`] and [`KeyRing::seal`]; the stored one then stays as it is.
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

/// The last four characters of a secret, by which its owner recognises it; nothing of one shorter than 12 characters,
/// where four would be a good part of it.
#[must_use]
pub fn last4(secret: &str) -> String {
    match secret.chars().count() {
        0..12 => String::new(),
        length => secret.chars().skip(length - 4).collect(),
    }
}

impl Key {
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
    (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

fn header(id: &str) -> Result<Vec<u8>, SealingError> {
    let length = u8::try_from(id.len()).or(Err(SealingError::NotSealed))?;
    Ok([&[VERSION, length], id.as_bytes()].concat())
}

fn context(header: &[u8], tenant: Uuid, purpose: &str) -> Aad<Vec<u8>> {
    Aad::from([header, tenant.as_bytes(), purpose.as_bytes()].concat())
}

/// A sealed secret, taken apart; `text` still has its tag.
struct Parts<'a> {
    header: &'a [u8],
    id: &'a str,
    nonce: &'a [u8; NONCE_LEN],
    text: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(sealed: &'a [u8]) -> Option<Self> {
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
    fn a_sealed_secret_opens_for_its_tenant_and_purpose_alone() {
        let keys = ring(&[entry("k1", 1)]);
        let sealed = keys.seal(TENANT, MANYCHAT, "123:café-key").unwrap();

        assert_eq!(keys.open(TENANT, MANYCHAT, &sealed).unwrap().expose(), "123:café-key");
        assert_eq!(keys.open(Uuid::from_u128(8), MANYCHAT, &sealed).unwrap_err(), SealingError::NotOpened);
        assert_eq!(keys.open(TENANT, "data_pod_api_key", &sealed).unwrap_err(), SealingError::NotOpened);
        let other_key = ring(&[entry("k1", 2)]);
        assert_eq!(other_key.open(TENANT, MANYCHAT, &sealed).unwrap_err(), SealingError::NotOpened);
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        let keys = ring(&[entry("k1", 1)]);
        let sealed = keys.seal(TENANT, MANYCHAT, "secret").unwrap();
        assert_eq!(sealed[..4], *b"\x01\x02k1");
        assert_eq!(sealed.len(), 4 + 12 + 6 + 16);
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        // One secret sealed twice looks like two.
        assert_ne!(sealed, keys.seal(TENANT, MANYCHAT, "secret").unwrap());
    }

    /// Made with another implementation (Python's cryptography, AESGCM), so that what is stored stays readable whatever
    /// library stands below.
    #[test]
    fn a_secret_sealed_elsewhere_opens() {
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
        // An id that no key can have is not shown as one.
        let mut garbled = sealed.clone();
        garbled[3] = b'\n';
        assert_eq!(keys.open(TENANT, MANYCHAT, &garbled).unwrap_err(), SealingError::Malformed);
        // The id is authenticated too: the same key under another id does not open it.
        let mut renamed = sealed;
        renamed[3] = b'2';
        assert_eq!(keys.open(TENANT, MANYCHAT, &renamed).unwrap_err(), SealingError::NotOpened);
    }

    #[test]
    fn an_unknown_key_is_named_by_its_id() {
        let sealed = ring(&[entry("2025-a", 1)]).seal(TENANT, MANYCHAT, "a secret").unwrap();
        let error = ring(&[entry("2026-a", 1)]).open(TENANT, MANYCHAT, &sealed).unwrap_err();
        assert_eq!(error.to_string(), "sealed by the key 2025-a, which SEALING_KEYS does not have");
    }

    #[test]
    fn rotation_reseals_what_older_keys_sealed() {
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
    fn malformed_settings_are_named_by_their_place_and_never_shown() {
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
    fn nothing_shows_a_secret() {
        let keys = ring(&[entry("k1", 1)]);
        let sealed = keys.seal(TENANT, MANYCHAT, "hunter2hunter2").unwrap();
        let secret = keys.open(TENANT, MANYCHAT, &sealed).unwrap();
        assert_eq!(format!("{secret:?} {keys:?}"), r#"Secret(…) ["k1"]"#);
        assert_eq!(last4("hunter2hunter2-ab1é"), "ab1é");
        assert_eq!(last4("hunter2hunt"), "");
    }

    proptest! {
        #[test]
        fn every_text_survives(text in ".*", tenant: u128) {
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
