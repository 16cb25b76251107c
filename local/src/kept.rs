//! Secrets that the data folder keeps, so that tokens and passwords stay good from one start to the next.

use std::{fs, io::ErrorKind};

use anyhow::{Context, Result};
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
        }
    }

    /// Those of a data folder, made where there are none.
    ///
    /// # Errors
    /// A file that cannot be read or written, or is damaged.
    pub fn open(data: &Folder) -> Result<Self> {
        let path = data.join("secrets.json");
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .with_context(|| format!("{} is damaged: start over with --reset", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let kept = Self::random();
                let text = serde_json::to_vec_pretty(&kept).context("the secrets cannot be written")?;
                write_private(&path, &text)?;
                Ok(kept)
            }
            Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
        }
    }
}
