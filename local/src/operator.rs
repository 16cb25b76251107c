//! Operators' maintenance commands, against a deployed database or the one of `cargo dev`.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use local_postgres::ProgressOutput;
use serde_json::Value;
use shared::{
    administrators::{self, RoleChange},
    audit,
    db::{BillingDb, SystemDb, SystemTx},
    embeddings::Embedder,
    reembedding::{self, BatchError, BatchOutcome, SwitchOutcome},
    sealed::{self, KeyRing, SealingError},
    settings::{Settings, SettingsMap},
    tenants, unconfirmed, user_configs,
    webhook_endpoints::{self, SealedSecrets},
};
use uuid::Uuid;

use crate::{
    environment::{EMBEDDING_SETTINGS, add_embedding_model, env_variable},
    running,
};

/// Tenants or keys per transaction.
const BATCH: i64 = 100;
/// The number of consecutive failures of the embedding model at which a run gives up.
const MAX_CONSECUTIVE_FAILURES: u32 = 10;
/// The maximum wait before the next attempt.
const MAX_RETRY_WAIT: Duration = Duration::from_secs(60);
/// The delay before the next attempt at a tenant that another run is working on.
const BUSY_RETRY_DELAY: Duration = Duration::from_millis(500);

/// The database to work on: the one of SYSTEM_DATABASE_URL, or else that of the running `cargo dev`.
#[derive(Debug, Args)]
pub struct ConnectionArguments {
    /// The demo file that `cargo dev` writes [default: that of the running `cargo dev`].
    #[arg(long)]
    demo: Option<PathBuf>,
}

impl ConnectionArguments {
    /// The settings of operators' commands: the connection strings, and further settings that are in the environment.
    pub(crate) fn settings(&self) -> Result<SettingsMap> {
        let mut settings = SettingsMap::new();
        let url = match env_variable("SYSTEM_DATABASE_URL")? {
            Some(url) => url,
            None => self.demo_database_url()?,
        };
        settings.insert("SYSTEM_DATABASE_URL".to_owned(), url);
        for name in
            ["BACKEND_APP_DATABASE_URL", "BILLING_GRACE_DAYS", "SEALING_KEYS"].into_iter().chain(EMBEDDING_SETTINGS)
        {
            if let Some(value) = env_variable(name)? {
                settings.insert(name.to_owned(), value);
            }
        }
        if !settings.contains_key("BACKEND_APP_DATABASE_URL") && env_variable("SYSTEM_DATABASE_URL")?.is_none() {
            // Present after `cargo dev --two-databases`.
            if let Some(url) = self.read_demo()?["billing_database_url"].as_str() {
                settings.insert("BACKEND_APP_DATABASE_URL".to_owned(), url.to_owned());
            }
        }
        Ok(settings)
    }

    fn demo_database_url(&self) -> Result<String> {
        let demo = self.read_demo()?;
        let url = demo["admin_database_url"].as_str();
        Ok(url.context("the demo file of `cargo dev` names no database")?.to_owned())
    }

    /// Reads the demo file.
    pub(crate) fn read_demo(&self) -> Result<Value> {
        let file = running::demo_file(self.demo.as_deref());
        let shown = file.display();
        let text = fs::read_to_string(&file).with_context(|| {
            format!(
                "SYSTEM_DATABASE_URL is not set, and {shown} cannot be read: is `cargo dev` running? --demo names \
                 another demo.json"
            )
        })?;
        serde_json::from_str(&text).with_context(|| format!("{shown} is not valid JSON"))
    }
}

/// Verifies all hash chains of the audit log.
///
/// # Errors
/// Fails when a chain is broken, after printing the entries, or when the database cannot be reached.
pub async fn audit_verify(connection: ConnectionArguments) -> Result<()> {
    let mut settings = Settings::new(connection.settings()?);
    let db = SystemDb::read(&mut settings).with_background_timeout();
    settings.finish()?;
    let faults = db.system_tx(async |tx| Ok(audit::verify(tx).await?)).await?;
    for fault in &faults {
        println!("  tenant {}, entry {}: {}", fault.customer_id, fault.entry, fault.fault);
    }
    if !faults.is_empty() {
        bail!("the audit log does not verify: {} faults", faults.len());
    }
    println!("  the audit log verifies");
    Ok(())
}

/// Seals all tenants' and data pods' keys, the secrets of webhook endpoints and the new webhook secrets again with the first
/// of SEALING_KEYS, so that older sealing keys can be removed. Can be stopped and repeated at any time. A key that its tenant
/// changes meanwhile is skipped: the change sealed it with the first key already.
///
/// # Errors
/// Fails when none of SEALING_KEYS opens a key, after printing the tenants, or when the database cannot be reached.
pub async fn rotate_keys(connection: ConnectionArguments) -> Result<()> {
    let mut settings = Settings::new(connection.settings()?);
    let db = SystemDb::read(&mut settings).with_background_timeout();
    let billing = BillingDb::read(&mut settings).with_background_timeout();
    let ring = KeyRing::read(&mut settings);
    settings.finish()?;
    let (resealed, failed) = rotate_tenants_keys(&db, &ring).await?;
    println!("  {resealed} keys of tenants sealed again");
    let (pods_resealed, pods_failed) = rotate_data_pod_keys(&billing, &ring).await?;
    println!("  {pods_resealed} keys of data pods sealed again");
    let (hooks_resealed, hooks_failed) = rotate_webhook_secrets(&db, &ring).await?;
    println!("  secrets of {hooks_resealed} webhook endpoints sealed again");
    let (secrets_resealed, secrets_failed) = rotate_new_webhook_secrets(&db, &ring).await?;
    println!("  {secrets_resealed} new webhook secrets sealed again");
    let failed = failed + pods_failed + hooks_failed + secrets_failed;
    if failed > 0 {
        bail!("{failed} keys could not be opened: is their key missing from SEALING_KEYS?");
    }
    Ok(())
}

/// Returns the numbers of ManyChat keys that were sealed again, and that could not be opened.
async fn rotate_tenants_keys(db: &SystemDb, ring: &KeyRing) -> Result<(u32, u32)> {
    let (mut after, mut resealed, mut failed) = (Uuid::nil(), 0, 0);
    loop {
        let batch = db.system_tx(async |tx| Ok(tenants::sealed_keys(tx, after, BATCH).await?)).await?;
        let Some(last) = batch.last() else { break };
        after = last.customer_id;
        for key in &batch {
            match sealed::reseal(ring, key.customer_id, tenants::MANYCHAT_KEY_PURPOSE, &key.sealed) {
                Ok(None) => {}
                Ok(Some(resealed_key)) => {
                    let replaced =
                        db.system_tx(async |tx| Ok(tenants::replace_sealed_key(tx, key, &resealed_key).await?)).await?;
                    resealed += u32::from(replaced);
                }
                Err(error) => {
                    failed += 1;
                    println!("  tenant {}: {error}", key.customer_id);
                }
            }
        }
    }
    Ok((resealed, failed))
}

/// Returns the numbers of webhook endpoints whose secrets were sealed again, and could not be opened.
async fn rotate_webhook_secrets(db: &SystemDb, ring: &KeyRing) -> Result<(u32, u32)> {
    let (mut after, mut resealed, mut failed) = (Uuid::nil(), 0, 0);
    loop {
        let batch = db.system_tx(async |tx| Ok(webhook_endpoints::sealed_secrets(tx, after, BATCH).await?)).await?;
        let Some(last) = batch.last() else { break };
        after = last.endpoint;
        for known in &batch {
            let replaced = match reseal_webhook_secrets(ring, known) {
                Ok(None) => Ok(false),
                Ok(Some(_)) => replace_webhook_secrets(db, ring, known.endpoint).await?,
                Err(error) => Err(error),
            };
            match replaced {
                Ok(is_replaced) => resealed += u32::from(is_replaced),
                Err(error) => {
                    failed += 1;
                    println!("  webhook endpoint {}: {error}", known.endpoint);
                }
            }
        }
    }
    Ok((resealed, failed))
}

/// Seals the secrets of an endpoint again as they are now: its owner, or maintenance, may have changed them since they were
/// read. Returns false when nothing had to be done.
async fn replace_webhook_secrets(db: &SystemDb, ring: &KeyRing, endpoint: Uuid) -> Result<Result<bool, SealingError>> {
    let replace = async |tx: &mut SystemTx| {
        let Some(locked) = webhook_endpoints::lock_sealed_secrets(tx, endpoint).await? else { return Ok(Ok(false)) };
        match reseal_webhook_secrets(ring, &locked) {
            Ok(None) => Ok(Ok(false)),
            Ok(Some(resealed)) => {
                webhook_endpoints::replace_sealed_secrets(tx, &resealed).await?;
                Ok(Ok(true))
            }
            Err(error) => Ok(Err(error)),
        }
    };
    Ok(db.system_tx(replace).await?)
}

/// Returns both secrets of an endpoint, sealed by the first key; `None` when they are already.
fn reseal_webhook_secrets(ring: &KeyRing, known: &SealedSecrets) -> Result<Option<SealedSecrets>, SealingError> {
    let reseal = |sealed: &[u8]| {
        let again = sealed::reseal(ring, known.customer_id, webhook_endpoints::SECRET_PURPOSE, sealed)?;
        Ok::<_, SealingError>(again.unwrap_or_else(|| sealed.to_vec()))
    };
    let secret = reseal(&known.secret)?;
    let previous_secret = known.previous_secret.as_deref().map(reseal).transpose()?;
    let is_changed = secret != known.secret || previous_secret != known.previous_secret;
    let (endpoint, customer_id) = (known.endpoint, known.customer_id);
    Ok(is_changed.then_some(SealedSecrets { endpoint, customer_id, secret, previous_secret }))
}

/// Returns the numbers of new webhook secrets that were sealed again, and could not be opened. They are kept for a minute, for
/// repeated clicks.
async fn rotate_new_webhook_secrets(db: &SystemDb, ring: &KeyRing) -> Result<(u32, u32)> {
    let (mut after, mut resealed, mut failed) = (Uuid::nil(), 0, 0);
    loop {
        let batch = db.system_tx(async |tx| Ok(tenants::sealed_webhook_secrets(tx, after, BATCH).await?)).await?;
        let Some(last) = batch.last() else { break };
        after = last.id;
        for secret in &batch {
            match sealed::reseal(ring, secret.customer_id, tenants::WEBHOOK_SECRET_PURPOSE, &secret.sealed) {
                Ok(None) => {}
                Ok(Some(again)) => {
                    let replace =
                        async |tx: &mut SystemTx| Ok(tenants::replace_sealed_webhook_secret(tx, secret, &again).await?);
                    resealed += u32::from(db.system_tx(replace).await?);
                }
                Err(error) => {
                    failed += 1;
                    println!("  new webhook secret of tenant {}: {error}", secret.customer_id);
                }
            }
        }
    }
    Ok((resealed, failed))
}

/// Returns the numbers of data pods' keys that were sealed again, and that could not be opened.
async fn rotate_data_pod_keys(billing: &BillingDb, ring: &KeyRing) -> Result<(u32, u32)> {
    let (mut after, mut resealed, mut failed) = (Uuid::nil(), 0, 0);
    loop {
        let batch = billing.billing_tx(async |tx| Ok(user_configs::sealed_keys(tx, after, BATCH).await?)).await?;
        let Some(last) = batch.last() else { break };
        after = last.user;
        for key in &batch {
            match sealed::reseal(ring, key.user, user_configs::DATA_POD_KEY_PURPOSE, &key.sealed) {
                Ok(None) => {}
                Ok(Some(resealed_key)) => {
                    let replaced = billing
                        .billing_tx(async |tx| Ok(user_configs::replace_sealed_key(tx, key, &resealed_key).await?))
                        .await?;
                    resealed += u32::from(replaced);
                }
                Err(error) => {
                    failed += 1;
                    println!("  user {}: {error}", key.user);
                }
            }
        }
    }
    Ok((resealed, failed))
}

/// The arguments of `cargo confirm-account`.
#[derive(Debug, Args)]
pub struct ConfirmArguments {
    /// The e-mail address of the account.
    address: String,
    #[command(flatten)]
    connection: ConnectionArguments,
}

/// Marks an account's address as confirmed. The account then has its free requests outside the budget of unconfirmed
/// accounts, and models answer it.
///
/// # Errors
/// Fails when there is no such account, or when the database cannot be reached.
pub async fn confirm_account(arguments: ConfirmArguments) -> Result<()> {
    let mut settings = Settings::new(arguments.connection.settings()?);
    let db = SystemDb::read(&mut settings).with_background_timeout();
    settings.finish()?;
    let address = arguments.address.trim();
    let is_known = db.system_tx(async |tx| Ok(unconfirmed::confirm(tx, address).await?)).await?;
    ensure!(is_known, "there is no account with this address");
    println!("  the address is confirmed");
    Ok(())
}

/// The arguments of `cargo admin`.
#[derive(Debug, Args)]
pub struct AdminArguments {
    /// `grant` or `revoke`.
    #[arg(value_enum)]
    change: AdministratorChange,
    /// The e-mail address of the account.
    address: String,
    #[command(flatten)]
    connection: ConnectionArguments,
}

/// A change of the role `global_admin`.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum AdministratorChange {
    /// Makes the account a global administrator.
    Grant,
    /// Takes the role away.
    Revoke,
}

/// Makes an account a global administrator, or takes the role away. Both are in the audit log.
///
/// # Errors
/// Fails when there is no such account, or when the database cannot be reached.
pub async fn change_administrator(arguments: AdminArguments) -> Result<()> {
    let mut settings = Settings::new(arguments.connection.settings()?);
    let db = SystemDb::read(&mut settings).with_background_timeout();
    settings.finish()?;
    let address = arguments.address.as_str();
    let changed = db
        .system_tx(async |tx| {
            Ok(match arguments.change {
                AdministratorChange::Grant => administrators::grant(tx, address).await?,
                AdministratorChange::Revoke => administrators::revoke(tx, address).await?,
            })
        })
        .await?;
    let RoleChange { account, is_changed } = changed.context("there is no account with this address")?;
    let role = if account.is_administrator { "a global administrator" } else { "no global administrator" };
    let already = if is_changed { "now" } else { "already" };
    println!(
        "  {} (user {}, since {}) is {already} {role}",
        account.email,
        account.id,
        account.created_at.date_naive()
    );
    Ok(())
}

/// The arguments of `cargo re-embed`.
#[derive(Debug, Args)]
pub struct ReEmbedArguments {
    #[command(flatten)]
    connection: ConnectionArguments,
    /// Only this tenant, by its id [default: all tenants].
    #[arg(long, value_name = "ID")]
    tenant: Option<Uuid>,
}

/// Embeds the tenants' chunks with the configured model (EMBEDDING_PROVIDER and related settings), and switches each
/// tenant to it when all its new vectors are stored. Can be stopped and repeated at any time, and may run twice at
/// once.
///
/// # Errors
/// Fails when the model keeps failing or the database cannot be reached. Vectors stored by then are kept.
pub async fn re_embed(arguments: ReEmbedArguments) -> Result<()> {
    let mut settings = arguments.connection.settings()?;
    add_embedding_model(&mut settings, ProgressOutput::Shown)?;
    let mut settings = Settings::new(settings);
    let db = SystemDb::read(&mut settings).with_operator_timeout();
    let embedder = Embedder::read(&mut settings);
    settings.finish()?;
    println!("  model: {}", embedder.model());
    if let Some(tenant) = arguments.tenant {
        let is_known = re_embed_tenant(&db, &embedder, tenant).await?;
        ensure!(is_known, "there is no tenant {tenant}");
        return Ok(());
    }
    let (mut after, mut count, mut failed) = (Uuid::nil(), 0, 0);
    loop {
        let model = embedder.model();
        let page = db.system_tx(async |tx| Ok(reembedding::tenants_to_reembed(tx, model, after, BATCH).await?)).await?;
        let Some(last) = page.last() else { break };
        after = *last;
        for tenant in page {
            match re_embed_tenant(&db, &embedder, tenant).await {
                Ok(is_known) => count += u32::from(is_known),
                // A database error and a spend cap concern one tenant. A model that cannot be reached concerns all.
                Err(error @ (BatchError::Database(_) | BatchError::SpendCapReached(_))) => {
                    eprintln!("  tenant {tenant}: {error}");
                    failed += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    println!("  {count} tenants");
    ensure!(failed == 0, "{failed} tenants were not switched: run this again to continue");
    Ok(())
}

/// Re-embeds one tenant. Returns false when the tenant does not exist.
async fn re_embed_tenant(db: &SystemDb, embedder: &Embedder, tenant: Uuid) -> Result<bool, BatchError> {
    let mut failures = 0;
    loop {
        match reembedding::embed_next_batch(db, embedder, tenant).await {
            Ok(BatchOutcome::Embedded { done, total }) => {
                failures = 0;
                println!("  tenant {tenant}: {done} of {total} chunks");
            }
            Ok(BatchOutcome::Busy) => tokio::time::sleep(BUSY_RETRY_DELAY).await,
            Ok(BatchOutcome::Ready) => match reembedding::switch_model(db, embedder.model(), tenant).await? {
                SwitchOutcome::Switched(chunks) => {
                    println!("  tenant {tenant}: switched, {chunks} chunks");
                    return Ok(true);
                }
                SwitchOutcome::MissingVectors => {}
                SwitchOutcome::TenantNotFound => return Ok(false),
            },
            Err(BatchError::Embedding(error)) => {
                failures += 1;
                let wait = error
                    .retry_after()
                    .filter(|_| failures < MAX_CONSECUTIVE_FAILURES)
                    .map(|wait| wait.min(MAX_RETRY_WAIT));
                let Some(wait) = wait else {
                    println!("  the vectors stored so far are kept: run this again to continue");
                    return Err(error.into());
                };
                println!("  tenant {tenant}: {error}; again in {} s", wait.as_secs());
                tokio::time::sleep(wait).await;
            }
            Err(error) => return Err(error),
        }
    }
}
