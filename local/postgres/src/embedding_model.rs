//! The file of the embedding model multilingual-e5-small, fetched by `scripts/fetch-e5.sh`, which verifies its hashes.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::{
    folder::{self, DataFolder, root},
    progress::ProgressOutput,
    python,
};

/// The folder of the model in the data folder, and the lock of that folder.
pub(crate) const FOLDER: &str = "e5";
pub(crate) const LOCK: &str = "e5.lock";
/// The name of the file that is written last. A model without it, or fetched by other scripts, is fetched again.
const COMPLETE: &str = "complete";
/// The scripts that decide what the file holds.
const SCRIPTS: [&str; 2] = ["scripts/fetch-e5.sh", "scripts/pack-e5.py"];

/// Returns the path of the model's file in `.local`, which all data folders share, and fetches the file if needed. Tests
/// and `cargo dev` may call this at the same time.
///
/// # Errors
/// Fails when the file cannot be fetched; the message is one sentence.
pub fn ensure_embedding_model(progress: ProgressOutput) -> Result<PathBuf> {
    let data = DataFolder::open(None)?;
    let step = progress.step("Embedding model");
    let target = data.join(FOLDER);
    let lock = folder::open_lock(&data.join(LOCK))?;
    if lock.try_lock().is_err() {
        step.note("another process is fetching it");
        lock.lock().context("the lock of the embedding model cannot be taken")?;
    }
    let mut hash = Sha256::new();
    for script in SCRIPTS {
        let path = root().join(script);
        hash.update(fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?);
    }
    let version = hex::encode(hash.finalize());
    let file = target.join("e5/e5-small.bin");
    let is_current = fs::read_to_string(target.join(COMPLETE)).is_ok_and(|found| found == version) && file.is_file();
    if !is_current {
        step.note("downloading 91 MB, the first time only");
        fetch(&target, &data.join("e5.log"), &lock)?;
        folder::write_private(&target.join(COMPLETE), version.as_bytes())?;
    }
    step.done(if is_current { "ready" } else { "installed" });
    Ok(file)
}

fn fetch(target: &Path, log: &Path, lock: &File) -> Result<()> {
    let output = File::create(log).with_context(|| format!("{} cannot be written", log.display()))?;
    let errors = output.try_clone().context("the log cannot be written")?;
    // The child inherits the lock: a script that outlives a killed parent keeps the folder locked until it ends.
    let lock = lock.try_clone().context("the lock of the embedding model cannot be shared")?;
    let mut script = Command::new("bash");
    script.arg(root().join(SCRIPTS[0])).arg(target).env("PYTHON", python::find_interpreter()?);
    // These variables would make pip install elsewhere.
    for name in ["PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PYTHONHOME", "PYTHONPATH"] {
        script.env_remove(name);
    }
    let status = script.stdin(lock).stdout(output).stderr(errors).status().context("bash cannot be started")?;
    if !status.success() {
        let reason = python::last_error(log).map(|line| format!(": {line}")).unwrap_or_default();
        bail!("the embedding model could not be fetched (is the network reachable?); see {}{reason}", log.display());
    }
    Ok(())
}
