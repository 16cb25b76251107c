//! The OCR models, which read scanned pages: fetched by the script that also fills the layer of a deployment.

use std::{path::PathBuf, process::Stdio};

use anyhow::{Context, Result, bail};
use local_postgres::{ProgressOutput, root};
use tokio::process::Command;

/// Returns the folder of the models, which may not be filled yet.
#[must_use]
pub fn folder() -> PathBuf {
    root().join("layers/ocr/ocr")
}

/// Fetches the models unless they are there.
///
/// # Errors
/// Fails when the script cannot be run, and with its last words when it fails.
pub async fn ensure(progress: ProgressOutput) -> Result<()> {
    let step = progress.step("OCR models");
    let script = root().join("scripts/fetch-ocr.sh");
    if !folder().exists() {
        step.note("downloading 27 MB, the first time only");
    }
    let output = Command::new("bash").arg(&script).stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = output.with_context(|| format!("{} cannot be run", script.display()))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        let reason = errors.lines().last().unwrap_or("no reason was given");
        bail!("the OCR models could not be fetched: {reason}");
    }
    step.done("ready");
    Ok(())
}
