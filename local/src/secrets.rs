//! The local stack's secrets, kept in the data folder, so that tokens and passwords stay valid between starts.

use std::{fs, io::ErrorKind};

use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_STANDARD};
use local_postgres::{DataFolder, write_private};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Random secrets, generated once per data folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LocalSecrets {
    /// The password of the database role `lisa_app`.
    pub app_password: String,
    /// The password of the database role `lisa_system`.
    pub system_password: String,
    /// The key that signs access tokens.
    pub jwt_secret: String,
    /// The key that signs Stripe's events.
    pub stripe_webhook_secret: String,
    /// The password of the demo accounts.
    pub demo_password: String,
    /// The webhook secrets of the two demo tenants.
    pub webhook_secrets: [String; 2],
    /// The value of SEALING_KEYS, which seals tenants' API keys. Generated when an older file lacks it.
    #[serde(default = "sealing_keys")]
    pub sealing_keys: String,
}

fn sealing_keys() -> String {
    // Two UUIDs are 32 bytes, 244 bits of them random.
    let key = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
    format!("local:{}", BASE64_STANDARD.encode(key))
}

impl LocalSecrets {
    /// Generates new secrets.
    #[must_use]
    pub fn random() -> Self {
        // Each UUID holds 122 random bits.
        let random = || Uuid::new_v4().simple().to_string();
        Self {
            app_password: random(),
            system_password: random(),
            jwt_secret: random() + &random(),
            stripe_webhook_secret: format!("whsec_{}", random()),
            demo_password: random().split_off(16),
            webhook_secrets: [random(), random()],
            sealing_keys: sealing_keys(),
        }
    }

    /// Reads the secrets of a data folder, generating what is missing.
    ///
    /// # Errors
    /// Fails when the file cannot be read or written, or is damaged.
    pub fn open(data: &DataFolder) -> Result<Self> {
        let path = data.join("secrets.json");
        let known = match fs::read(&path) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
        };
        let kept = match &known {
            Some(bytes) => serde_json::from_slice(bytes)
                .with_context(|| format!("{} is damaged: start over with --reset", path.display()))?,
            None => Self::random(),
        };
        let text = serde_json::to_vec_pretty(&kept).context("the secrets cannot be written")?;
        // Also written when a secret was added to an older file.
        if known.is_none_or(|known| known != text) {
            write_private(&path, &text)?;
        }
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn file_without_sealing_keys_gets_them_once() {
        let path = std::env::temp_dir().join(format!("lisa-kept-{}", Uuid::new_v4()));
        let data = DataFolder::open(Some(&path)).unwrap();
        let first = LocalSecrets::open(&data).unwrap();
        let file = data.join("secrets.json");
        let mut old: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        old.as_object_mut().unwrap().remove("sealing_keys").unwrap();
        write_private(&file, old.to_string().as_bytes()).unwrap();

        let opened = LocalSecrets::open(&data).unwrap();
        let again = LocalSecrets::open(&data).unwrap();

        assert_eq!(opened.jwt_secret, first.jwt_secret);
        assert_ne!(opened.sealing_keys, first.sealing_keys);
        assert_eq!(json!(again), json!(opened));
        fs::remove_dir_all(path).unwrap();
    }
}
