//! What an operator runs now and then, against a deployed database or the one of `cargo dev`.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;
use shared::{
    audit,
    db::SystemDb,
    error::ApiError,
    sealed::{self, KeyRing},
    settings::{Settings, SettingsMap},
    tenants,
};
use uuid::Uuid;

use crate::environment::variable;

/// Tenants a transaction.
const BATCH: i64 = 100;

/// Works on the database that SYSTEM_DATABASE_URL names, or else on that of the running `cargo dev`.
#[derive(Debug, Args)]
pub struct Connection {
    /// The file that `cargo dev` wrote.
    #[arg(long, default_value = ".local/demo.json")]
    demo: PathBuf,
}

impl Connection {
    /// The settings: the databases', and what else operators' commands read, where it is set.
    pub(crate) fn settings(&self) -> Result<SettingsMap> {
        let mut settings = SettingsMap::new();
        let url = match variable("SYSTEM_DATABASE_URL")? {
            Some(url) => url,
            None => self.of_demo()?,
        };
        settings.insert("SYSTEM_DATABASE_URL".to_owned(), url);
        for name in ["BACKEND_APP_DATABASE_URL", "BILLING_GRACE_DAYS", "SEALING_KEYS"] {
            if let Some(value) = variable(name)? {
                settings.insert(name.to_owned(), value);
            }
        }
        if !settings.contains_key("BACKEND_APP_DATABASE_URL") && variable("SYSTEM_DATABASE_URL")?.is_none() {
            // That of `cargo dev --two-databases`.
            if let Some(url) = self.read_demo()?["billing_database_url"].as_str() {
                settings.insert("BACKEND_APP_DATABASE_URL".to_owned(), url.to_owned());
            }
        }
        Ok(settings)
    }

    fn of_demo(&self) -> Result<String> {
        let demo = self.read_demo()?;
        let url = demo["admin_database_url"].as_str();
        Ok(url.with_context(|| format!("{} names no database", self.demo.display()))?.to_owned())
    }

    /// What `cargo dev` wrote.
    pub(crate) fn read_demo(&self) -> Result<Value> {
        let text = fs::read_to_string(&self.demo).with_context(|| {
            format!(
                "SYSTEM_DATABASE_URL is not set, and {} cannot be read: is `cargo dev` running?",
                self.demo.display()
            )
        })?;
        serde_json::from_str(&text).with_context(|| format!("{} is wrong", self.demo.display()))
    }
}

/// Checks every chain of the audit log.
///
/// # Errors
/// A chain that does not hold, with the entry; or a database that is away.
pub async fn audit_verify(connection: Connection) -> Result<()> {
    let mut settings = Settings::new(connection.settings()?);
    let db = SystemDb::read(&mut settings).patient();
    settings.finish()?;
    let faults = db.system(async |tx| Ok::<_, ApiError>(audit::verify(tx).await?)).await?;
    for fault in &faults {
        println!("  tenant {}, entry {}: {}", fault.customer_id, fault.entry, fault.fault);
    }
    if !faults.is_empty() {
        bail!("the audit log does not hold: {} faults", faults.len());
    }
    println!("  the audit log holds");
    Ok(())
}

/// Seals every tenant's keys anew with the first of SEALING_KEYS, so that an older one can be taken out. Can be stopped
/// and run again at any time; a key that its tenant changes meanwhile is left as it is, being sealed anew already.
///
/// # Errors
/// Keys that none of SEALING_KEYS opens, which are named; or a database that is away.
pub async fn rotate_keys(connection: Connection) -> Result<()> {
    let mut settings = Settings::new(connection.settings()?);
    let db = SystemDb::read(&mut settings).patient();
    let ring = KeyRing::read(&mut settings);
    settings.finish()?;
    let (mut after, mut resealed, mut failed) = (Uuid::nil(), 0, 0);
    loop {
        let batch = db.system(async |tx| Ok::<_, ApiError>(tenants::sealed_keys(tx, after, BATCH).await?)).await?;
        let Some(last) = batch.last() else { break };
        after = last.customer_id;
        for key in &batch {
            match sealed::reseal(&ring, key.customer_id, tenants::MANYCHAT_KEY, &key.sealed) {
                Ok(None) => {}
                Ok(Some(anew)) => {
                    let replaced = db
                        .system(async |tx| Ok::<_, ApiError>(tenants::replace_sealed_key(tx, key, &anew).await?))
                        .await?;
                    resealed += u32::from(replaced);
                }
                Err(error) => {
                    failed += 1;
                    println!("  tenant {}: {error}", key.customer_id);
                }
            }
        }
    }
    println!("  {resealed} keys sealed anew");
    if failed > 0 {
        bail!("{failed} keys could not be opened: is their key missing from SEALING_KEYS?");
    }
    Ok(())
}
