//! The process environment: the one place where the local stack reads it.

use std::{
    collections::BTreeSet,
    env::VarError,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use shared::settings::SettingsMap;

use crate::functions;

/// The settings that say who makes vectors, for commands that make some.
pub(crate) const EMBEDDINGS: [&str; 7] = [
    "EMBEDDING_PROVIDER",
    "EMBEDDING_MODEL",
    "EMBEDDING_DIMENSIONS",
    "GEMINI_API_KEY",
    "GEMINI_BASE_URL",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
];

/// Servers to use instead of our own.
#[derive(Debug, Clone, Default)]
pub struct External {
    /// The database, when DATABASE_URL and its siblings are set.
    pub database: Option<Database>,
    /// What stands in for AWS, when AWS_ENDPOINT_URL is set.
    pub aws: Option<String>,
}

/// The connection strings of a database, one a role.
#[derive(Debug, Clone)]
pub struct Database {
    /// That of `lisa_app`.
    pub app: String,
    /// That of `lisa_system`.
    pub system: String,
    /// That of the schema's owner.
    pub admin: String,
    /// The one of the schema `billing`, where it is another one.
    pub billing: Option<BillingDatabase>,
}

/// The connection strings of billing's own database.
#[derive(Debug, Clone)]
pub struct BillingDatabase {
    /// That of `lisa_system`.
    pub system: String,
    /// That of the schema's owner.
    pub admin: String,
}

impl Database {
    /// What the function `migrate` is given.
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

    /// Where the schema `billing` is, for its owner.
    #[must_use]
    pub fn billing_admin(&self) -> &str {
        self.billing.as_ref().map_or(&self.admin, |billing| &billing.admin)
    }

    /// Where the schema `billing` is, for `lisa_system`.
    #[must_use]
    pub fn billing_system(&self) -> &str {
        self.billing.as_ref().map_or(&self.system, |billing| &billing.system)
    }
}

impl External {
    /// Reads DATABASE_URL, SYSTEM_DATABASE_URL, MIGRATE_DATABASE_URL, BACKEND_APP_DATABASE_URL,
    /// MIGRATE_BACKEND_APP_DATABASE_URL and AWS_ENDPOINT_URL.
    ///
    /// # Errors
    /// Some connection strings without the others.
    pub fn read() -> Result<Self> {
        let urls = [variable("DATABASE_URL")?, variable("SYSTEM_DATABASE_URL")?, variable("MIGRATE_DATABASE_URL")?];
        let billing = match [variable("BACKEND_APP_DATABASE_URL")?, variable("MIGRATE_BACKEND_APP_DATABASE_URL")?] {
            [Some(system), Some(admin)] => Some(BillingDatabase { system, admin }),
            [None, None] => None,
            _ => bail!(
                "to use a database of your own for billing, set both of BACKEND_APP_DATABASE_URL and \
                     MIGRATE_BACKEND_APP_DATABASE_URL"
            ),
        };
        let database = match urls {
            [Some(app), Some(system), Some(admin)] => Some(Database { app, system, admin, billing }),
            [None, None, None] if billing.is_none() => None,
            [None, None, None] => bail!(
                "BACKEND_APP_DATABASE_URL goes with a DATABASE_URL; to have both databases made, use --two-databases"
            ),
            _ => bail!(
                "to use a database of your own, set all of DATABASE_URL, SYSTEM_DATABASE_URL and \
                 MIGRATE_DATABASE_URL; to have one made, none"
            ),
        };
        Ok(Self { database, aws: variable("AWS_ENDPOINT_URL")? })
    }
}

/// The settings of functions that the environment names: `GEMINI_API_KEY=… cargo dev` gives the key to those that ask
/// for it. What the stack itself decides is left out.
///
/// # Errors
/// A value that is not text.
pub fn overrides() -> Result<SettingsMap> {
    const OURS: [&str; 11] = [
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
    ];
    let names: BTreeSet<_> = functions::ALL.iter().flat_map(|function| function.settings()).collect();
    let mut overrides = SettingsMap::new();
    for name in names {
        if name.starts_with("AWS_") || OURS.contains(&name) {
            continue;
        }
        if let Some(value) = variable(name)? {
            overrides.insert(name.to_owned(), value);
        }
    }
    Ok(overrides)
}

/// A variable that is set to something.
#[expect(clippy::disallowed_methods, reason = "the local stack has an environment; its functions have settings")]
pub(crate) fn variable(name: &str) -> Result<Option<String>> {
    match std::env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.trim().is_empty())),
        Err(VarError::NotPresent) => Ok(None),
        Err(error @ VarError::NotUnicode(_)) => Err(error).with_context(|| format!("{name} is not text")),
    }
}

/// The `lisa` program, which extracts PDFs when it is called so; tests run in another program beside it.
///
/// # Errors
/// No `lisa` beside this program.
pub fn lisa() -> Result<PathBuf> {
    let here = std::env::current_exe().context("the path of this program is not known")?;
    // target/debug/lisa, or target/debug/deps/<test>
    let found = here.ancestors().skip(1).take(2).map(|folder| folder.join("lisa")).find(|path| path.is_file());
    found.with_context(|| format!("there is no lisa program beside {}", Path::new(&here).display()))
}
