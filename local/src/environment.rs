//! Reads the process environment; the local stack does so only here.

use std::{
    collections::BTreeSet,
    env::VarError,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use local_postgres::{ProgressOutput, ensure_embedding_model};
use shared::{function::Function, settings::SettingsMap};

use crate::functions;

/// The settings of the embedding model, for commands that create embeddings.
pub(crate) const EMBEDDING_SETTINGS: [&str; 12] = [
    "EMBEDDING_PROVIDER",
    "E5_MODEL_FILE",
    "EMBEDDING_MODEL",
    "EMBEDDING_DIMENSIONS",
    "GEMINI_API_KEY",
    "GEMINI_BASE_URL",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "LLM_PRICES",
    "LLM_FALLBACK_PRICE_IN",
    "LLM_FALLBACK_PRICE_OUT",
    "EMBEDDING_FALLBACK_PRICE",
];

/// External servers to use instead of starting local ones.
#[derive(Debug, Clone, Default)]
pub struct ExternalServers {
    /// The database of DATABASE_URL and its related variables, when they are set.
    pub database: Option<DatabaseUrls>,
    /// The AWS endpoint of AWS_ENDPOINT_URL, when it is set.
    pub aws: Option<String>,
}

/// The connection strings of a database, one per role.
#[derive(Debug, Clone)]
pub struct DatabaseUrls {
    /// The connection string of `lisa_app`.
    pub app: String,
    /// The connection string of `lisa_system`.
    pub system: String,
    /// The connection string of the schema's owner.
    pub admin: String,
    /// The database of the schema `billing`; `None` when it is in this database.
    pub billing: Option<BillingDatabaseUrls>,
}

/// The connection strings of a second database for billing.
#[derive(Debug, Clone)]
pub struct BillingDatabaseUrls {
    /// The connection string of `lisa_system`.
    pub system: String,
    /// The connection string of the schema's owner.
    pub admin: String,
}

impl DatabaseUrls {
    /// The settings of the function `migrate`.
    #[must_use]
    pub fn migrate_settings(&self) -> SettingsMap {
        let mut settings = SettingsMap::from([
            ("DATABASE_URL".to_owned(), self.app.clone()),
            ("SYSTEM_DATABASE_URL".to_owned(), self.system.clone()),
            ("MIGRATE_DATABASE_URL".to_owned(), self.admin.clone()),
        ]);
        if let Some(billing) = &self.billing {
            settings.insert("BACKEND_APP_DATABASE_URL".to_owned(), billing.system.clone());
            settings.insert("MIGRATE_BACKEND_APP_DATABASE_URL".to_owned(), billing.admin.clone());
        }
        settings
    }

    /// The owner's connection string of the database that holds the schema `billing`.
    #[must_use]
    pub fn billing_admin(&self) -> &str {
        self.billing.as_ref().map_or(&self.admin, |billing| &billing.admin)
    }
}

impl ExternalServers {
    /// Reads DATABASE_URL, SYSTEM_DATABASE_URL, MIGRATE_DATABASE_URL, BACKEND_APP_DATABASE_URL,
    /// MIGRATE_BACKEND_APP_DATABASE_URL and AWS_ENDPOINT_URL.
    ///
    /// # Errors
    /// Fails when only some of the connection strings are set.
    pub fn read() -> Result<Self> {
        let urls = [
            env_variable("DATABASE_URL")?,
            env_variable("SYSTEM_DATABASE_URL")?,
            env_variable("MIGRATE_DATABASE_URL")?,
        ];
        let billing =
            match [env_variable("BACKEND_APP_DATABASE_URL")?, env_variable("MIGRATE_BACKEND_APP_DATABASE_URL")?] {
                [Some(system), Some(admin)] => Some(BillingDatabaseUrls { system, admin }),
                [None, None] => None,
                _ => bail!(
                    "to use a database of your own for billing, set both of BACKEND_APP_DATABASE_URL and \
                     MIGRATE_BACKEND_APP_DATABASE_URL"
                ),
            };
        let database = match urls {
            [Some(app), Some(system), Some(admin)] => Some(DatabaseUrls { app, system, admin, billing }),
            [None, None, None] if billing.is_none() => None,
            [None, None, None] => bail!(
                "BACKEND_APP_DATABASE_URL goes with a DATABASE_URL; to have both databases made, use --two-databases"
            ),
            _ => bail!(
                "to use a database of your own, set all of DATABASE_URL, SYSTEM_DATABASE_URL and \
                 MIGRATE_DATABASE_URL; to have one made, none"
            ),
        };
        Ok(Self { database, aws: env_variable("AWS_ENDPOINT_URL")? })
    }
}

/// Sets E5_MODEL_FILE to the model in `.local`, which is fetched if needed, when EMBEDDING_PROVIDER is `e5` and no
/// other file is set.
///
/// # Errors
/// Fails when the model cannot be fetched.
pub(crate) fn add_embedding_model(settings: &mut SettingsMap, progress: ProgressOutput) -> Result<()> {
    let uses_e5 = settings.get("EMBEDDING_PROVIDER").is_some_and(|provider| provider == "e5");
    if uses_e5 && !settings.contains_key("E5_MODEL_FILE") {
        let file = ensure_embedding_model(progress)?;
        settings.insert("E5_MODEL_FILE".to_owned(), file.display().to_string());
    }
    Ok(())
}

/// The functions' settings that are set in the environment: `GEMINI_API_KEY=… cargo dev` passes the key to the
/// functions that read it. Settings that the stack itself decides are left out.
///
/// # Errors
/// Fails when a value is not Unicode.
pub fn setting_overrides() -> Result<SettingsMap> {
    overrides_from(env_variable)
}

/// All functions' settings that are set in the environment, for a command that looks at a deployment.
///
/// # Errors
/// Fails when a value is not Unicode.
pub(crate) fn deployment_settings() -> Result<SettingsMap> {
    settings_from(|_| true, env_variable)
}

/// The overrides among the values that `value_of` returns.
fn overrides_from(value_of: impl Fn(&str) -> Result<Option<String>>) -> Result<SettingsMap> {
    const STACK_SETTINGS: [&str; 13] = [
        "DATABASE_URL",
        "SYSTEM_DATABASE_URL",
        "MIGRATE_DATABASE_URL",
        "BACKEND_APP_DATABASE_URL",
        "MIGRATE_BACKEND_APP_DATABASE_URL",
        "SECRET_ARN",
        "PDF_EXTRACTOR",
        "PDFIUM_LIBRARY",
        "DOCUMENTS_BUCKET",
        "INGEST_QUEUE_URL",
        "REPLY_QUEUE_URL",
        "WEBHOOK_QUEUE_URL",
        "EXPORT_QUEUE_URL",
    ];
    settings_from(|name| !name.starts_with("AWS_") && !STACK_SETTINGS.contains(&name), value_of)
}

/// The functions' settings with a wanted name among the values that `value_of` returns.
fn settings_from(
    is_wanted: impl Fn(&str) -> bool,
    value_of: impl Fn(&str) -> Result<Option<String>>,
) -> Result<SettingsMap> {
    let mut settings = SettingsMap::new();
    // A setting may call for others, so the functions are asked again with what was found, until nothing is new.
    loop {
        let read = |function: &Function| function.settings_with(settings.clone()).names();
        let names: BTreeSet<_> = functions::ALL.iter().flat_map(read).collect();
        let mut found = SettingsMap::new();
        for name in names.into_iter().filter(|name| is_wanted(name) && !settings.contains_key(*name)) {
            if let Some(value) = value_of(name)? {
                found.insert(name.to_owned(), value);
            }
        }
        if found.is_empty() {
            return Ok(settings);
        }
        settings.extend(found);
    }
}

/// The value of an environment variable; `None` when it is unset or blank.
#[expect(clippy::disallowed_methods, reason = "the local stack has an environment; its functions have settings")]
pub(crate) fn env_variable(name: &str) -> Result<Option<String>> {
    match std::env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.trim().is_empty())),
        Err(VarError::NotPresent) => Ok(None),
        Err(error @ VarError::NotUnicode(_)) => Err(error).with_context(|| format!("{name} is not text")),
    }
}

/// The path of the `lisa` program, which extracts PDFs as a child process. Tests are another program in the same
/// target folder.
///
/// # Errors
/// Fails when there is no `lisa` beside this program.
pub fn lisa_program() -> Result<PathBuf> {
    let here = std::env::current_exe().context("the path of this program is not known")?;
    // target/debug/lisa, or target/debug/deps/<test>
    let found = here.ancestors().skip(1).take(2).map(|folder| folder.join("lisa")).find(|path| path.is_file());
    found.with_context(|| format!("there is no lisa program beside {}", Path::new(&here).display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Asynchronous because reading the settings creates clients that need a Tokio runtime.
    #[tokio::test]
    async fn a_setting_that_another_one_calls_for_is_passed_on() {
        let given = |name: &str| {
            let value = match name {
                "SUPABASE_URL" => Some("http://127.0.0.1:9"),
                "SUPABASE_ANON_KEY" => Some("sb_publishable_x"),
                "DATABASE_URL" => Some("postgres://nobody@127.0.0.1:9/none"),
                _ => None,
            };
            Ok(value.map(str::to_owned))
        };
        let names: Vec<_> = overrides_from(given).unwrap().into_keys().collect();
        assert_eq!(names, ["SUPABASE_ANON_KEY", "SUPABASE_URL"]);
    }
}
