//! What an operator runs now and then, against a deployed database or the one of `cargo dev`.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde_json::Value;
use shared::{
    audit,
    db::SystemDb,
    embeddings::Embedder,
    error::ApiError,
    reembedding::{self, Crossing, Step, StepError},
    sealed::{self, KeyRing},
    settings::{Settings, SettingsMap},
    tenants,
};
use uuid::Uuid;

use crate::environment::{EMBEDDINGS, variable};

/// Tenants a transaction.
const BATCH: i64 = 100;
/// Failures of the embedding model in a row that are waited out.
const PATIENCE: u32 = 10;
/// The longest of these waits.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How soon a tenant that another run is at is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

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
        for name in ["BACKEND_APP_DATABASE_URL", "BILLING_GRACE_DAYS", "SEALING_KEYS"].into_iter().chain(EMBEDDINGS) {
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

/// What is embedded anew.
#[derive(Debug, Args)]
pub struct ReEmbed {
    #[command(flatten)]
    connection: Connection,
    /// Only this tenant, by its id; otherwise all.
    #[arg(long, value_name = "ID")]
    tenant: Option<Uuid>,
}

/// Embeds the chunks of tenants anew by the model that EMBEDDING_PROVIDER and its like name, and lets each tenant go over
/// to it when all its new vectors are there. Can be stopped and run again at any time, also twice at once.
///
/// # Errors
/// A model that does not answer for long, or a database that is away; what was embedded by then is kept.
pub async fn re_embed(arguments: ReEmbed) -> Result<()> {
    let mut settings = Settings::new(arguments.connection.settings()?);
    let db = SystemDb::read(&mut settings).of_operators();
    let embedder = Embedder::read(&mut settings);
    settings.finish()?;
    println!("  to {}", embedder.model());
    if let Some(tenant) = arguments.tenant {
        let is_known = re_embed_tenant(&db, &embedder, tenant).await?;
        ensure!(is_known, "there is no tenant {tenant}");
        return Ok(());
    }
    let (mut after, mut count, mut failed) = (Uuid::nil(), 0, 0);
    loop {
        let model = embedder.model();
        let page =
            db.system(async |tx| Ok::<_, ApiError>(reembedding::tenants(tx, model, after, BATCH).await?)).await?;
        let Some(last) = page.last() else { break };
        after = *last;
        for tenant in page {
            match re_embed_tenant(&db, &embedder, tenant).await {
                Ok(is_known) => count += u32::from(is_known),
                // One tenant's trouble is not the others'; a model that is away is everyone's.
                Err(StepError::Database(error)) => {
                    eprintln!("  tenant {tenant}: {error}");
                    failed += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    println!("  {count} tenants");
    ensure!(failed == 0, "{failed} tenants did not go over: run this again to go on");
    Ok(())
}

/// Whether there is such a tenant.
async fn re_embed_tenant(db: &SystemDb, embedder: &Embedder, tenant: Uuid) -> Result<bool, StepError> {
    let mut failures = 0;
    loop {
        match reembedding::step(db, embedder, tenant).await {
            Ok(Step::Embedded { done, total }) => {
                failures = 0;
                println!("  tenant {tenant}: {done} of {total} chunks");
            }
            Ok(Step::Busy) => tokio::time::sleep(LOOK_AGAIN).await,
            Ok(Step::Ready) => match reembedding::go_over(db, embedder.model(), tenant).await? {
                Crossing::Over(chunks) => {
                    println!("  tenant {tenant}: went over, {chunks} chunks");
                    return Ok(true);
                }
                Crossing::NotYet => {}
                Crossing::Unknown => return Ok(false),
            },
            Err(StepError::Embedding(error)) => {
                failures += 1;
                let wait = error.retry_after().filter(|_| failures < PATIENCE).map(|wait| wait.min(LONGEST_WAIT));
                let Some(wait) = wait else {
                    println!("  what was embedded is kept: run this again to go on");
                    return Err(error.into());
                };
                println!("  tenant {tenant}: {error}; again in {} s", wait.as_secs());
                tokio::time::sleep(wait).await;
            }
            Err(error) => return Err(error),
        }
    }
}
