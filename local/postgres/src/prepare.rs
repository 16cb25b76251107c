//! `cargo prepare-sql`: writes `.sqlx/`, the data against which checked SQL compiles without a database, and
//! `migrations/schema.sql`.
//!
//! The query data equals that of `cargo sqlx prepare`, but comes from a temporary database, so that nothing needs to be
//! installed or running.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use anyhow::{Context, Result, bail};

use crate::{
    Cluster, Postgres, ProgressOutput, Python, folder, migrate, root,
    schema::{self, SCHEMA_FILE},
};

/// Compiles all checked queries against a new database and updates `.sqlx/` and `migrations/schema.sql`; with `check`,
/// only compares.
///
/// # Errors
/// Fails when the workspace does not compile, or with `check` when `.sqlx/` or `migrations/schema.sql` is out of date.
pub async fn prepare_sql(check: bool, progress: ProgressOutput) -> Result<()> {
    let python = Python::ensure(progress)?;
    let postgres = Postgres::start(Cluster::temporary(&python)?, progress).await?;
    postgres.create_database("lisa").await?;
    let url = postgres.admin_url("lisa");
    let step = progress.step("Migrations");
    migrate(&url, &root().join("migrations/app"), None).await?;
    migrate(&url, &root().join("migrations/billing"), Some("billing")).await?;
    step.done("applied");
    update_schema(&schema::dump(&postgres, "lisa")?, check)?;

    let made = tempfile::tempdir().context("a temporary folder cannot be created")?;
    let compiled = compile(&url, made.path())?;
    let (new, old) = (queries(made.path())?, queries(&root().join(".sqlx"))?);
    if check {
        if !compiled {
            bail!("the workspace does not compile");
        }
        if new != old {
            bail!(".sqlx is stale: run `cargo prepare-sql` and commit what it writes");
        }
        progress.line(&format!("  .sqlx is current: {} queries", new.len()));
        return Ok(());
    }
    write(&old, &new, compiled)?;
    if !compiled {
        bail!("the workspace does not compile; what does was added to .sqlx, and nothing was taken out");
    }
    progress.line(&format!("  .sqlx holds {} queries", new.len()));
    Ok(())
}

/// Writes `migrations/schema.sql`; with `check`, only compares.
fn update_schema(text: &str, check: bool) -> Result<()> {
    let path = root().join(SCHEMA_FILE);
    if fs::read_to_string(&path).unwrap_or_default() == text {
        return Ok(());
    }
    if check {
        bail!("{SCHEMA_FILE} is stale: run `cargo prepare-sql` and commit what it writes");
    }
    fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))
}

/// Compiles the workspace with the macros writing their query data to `into`. Returns false when something does not
/// compile.
fn compile(url: &str, into: &Path) -> Result<bool> {
    for folder in ["functions", "local", "shared"] {
        touch_queries(&root().join(folder))?;
    }
    let mut cargo = Command::new(cargo());
    // With --keep-going, a crate that does not compile does not keep the others from their queries.
    cargo.args(["check", "--quiet", "--workspace", "--all-targets", "--keep-going"]);
    cargo.env("SQLX_OFFLINE", "false").env("SQLX_OFFLINE_DIR", into).env("DATABASE_URL", url);
    let status = cargo.current_dir(root()).status().context("cargo cannot be started")?;
    Ok(status.success())
}

/// Touches the files with checked queries: the macros run only when cargo compiles their file, and cargo compiles
/// files newer than its last result.
fn touch_queries(path: &Path) -> Result<()> {
    let failed = || format!("{} cannot be touched", path.display());
    if path.is_dir() {
        for entry in fs::read_dir(path).with_context(failed)? {
            touch_queries(&entry.with_context(failed)?.path())?;
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        let text = fs::read_to_string(path).with_context(failed)?;
        if ["query!", "query_as!", "query_scalar!"].iter().any(|name| text.contains(name)) {
            let file = File::options().append(true).open(path).with_context(failed)?;
            file.set_modified(SystemTime::now()).with_context(failed)?;
        }
    }
    Ok(())
}

/// The query files of a folder, by name. Other files are skipped.
fn queries(folder: &Path) -> Result<BTreeMap<OsString, String>> {
    let failed = || format!("{} cannot be read", folder.display());
    let mut queries = BTreeMap::new();
    if !folder.exists() {
        return Ok(queries);
    }
    for entry in fs::read_dir(folder).with_context(failed)? {
        let entry = entry.with_context(failed)?;
        let name = entry.file_name();
        if name.to_string_lossy().starts_with("query-") {
            let text = fs::read_to_string(entry.path()).with_context(failed)?;
            queries.insert(name, text.trim_end().to_owned() + "\n");
        }
    }
    Ok(queries)
}

fn write(old: &BTreeMap<OsString, String>, new: &BTreeMap<OsString, String>, prune: bool) -> Result<()> {
    let target: PathBuf = root().join(".sqlx");
    fs::create_dir_all(&target).with_context(|| format!("{} cannot be created", target.display()))?;
    for (name, text) in new {
        if old.get(name) != Some(text) {
            let path = target.join(name);
            fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
        }
    }
    for stale in old.keys().filter(|name| prune && !new.contains_key(*name)) {
        folder::remove(&target.join(stale))?;
    }
    Ok(())
}

/// The cargo that runs this program, or else the one on the PATH.
#[expect(clippy::disallowed_methods, reason = "a tool of the developer's, not a function's setting")]
fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}
