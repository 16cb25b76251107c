//! Secrets that the data folder keeps, so that tokens and passwords stay good from one start to the next.

use std::{fs, io::ErrorKind};

use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_STANDARD};
use local_postgres::{Folder, write_private};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Made once at random.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Kept {
    /// The password of `lisa_app`.
    pub app_password: String,
    /// The password of `lisa_system`.
    pub system_password: String,
    /// Signs tokens.
    pub jwt_secret: String,
    /// Signs Stripe's events.
    pub stripe_webhook_secret: String,
    /// The password of the demo accounts.
    pub demo_password: String,
    /// The secrets that the demo tenants' webhooks are called with.
    pub webhook_secrets: [String; 2],
    /// Seals tenants' keys, as SEALING_KEYS. Folders of before it was there get one.
    #[serde(default = "sealing_keys")]
    pub sealing_keys: String,
}

fn sealing_keys() -> String {
    // Two UUIDs are 32 bytes, 244 bits of them random.
    let key = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
    format!("local:{}", BASE64_STANDARD.encode(key))
}

impl Kept {
    /// New secrets.
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

    /// Those of a data folder, made where there are none.
    ///
    /// # Errors
    /// A file that cannot be read or written, or is damaged.
    pub fn open(data: &Folder) -> Result<Self> {
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
        // Also what was made just now for an older file.
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
    fn a_folder_of_before_the_sealing_keys_gets_them_once() {
        let path = std::env::temp_dir().join(format!("lisa-kept-{}", Uuid::new_v4()));
        let data = Folder::open(Some(&path)).unwrap();
        let first = Kept::open(&data).unwrap();
        let file = data.join("secrets.json");
        let mut old: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        old.as_object_mut().unwrap().remove("sealing_keys").unwrap();
        write_private(&file, old.to_string().as_bytes()).unwrap();

        let opened = Kept::open(&data).unwrap();
        let again = Kept::open(&data).unwrap();

        assert_eq!(opened.jwt_secret, first.jwt_secret);
        assert_ne!(opened.sealing_keys, first.sealing_keys);
        assert_eq!(json!(again), json!(opened));
        fs::remove_dir_all(path).unwrap();
    }
}
