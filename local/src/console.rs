//! The console's files: built by npm at the first start and after a change, where Node is installed.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, bail};
use local_postgres::{ProgressOutput, root};
use sha2::{Digest, Sha256};
use tokio::process::Command;

/// Oldest version of Node that builds the console.
const MIN_NODE: (u32, u32) = (20, 19);
/// File in the built console that names the state of the sources from which it was built.
const BUILT_FROM: &str = ".built-from";
/// File in `node_modules` that npm writes when it has installed all of package-lock.json.
const INSTALLED: &str = "node_modules/.package-lock.json";
/// Folders of the console that npm writes.
const GENERATED_FOLDERS: [&str; 3] = ["node_modules", "dist", "tests"];

/// Folder of the console's sources.
#[must_use]
pub fn folder() -> PathBuf {
    root().join("console")
}

/// Builds the console unless it is up to date, and returns the folder of its files. Without Node, says how to get it and
/// returns `None`: the rest of the product needs no console.
///
/// # Errors
/// Fails with npm's last words when the build fails.
pub async fn ensure(progress: ProgressOutput) -> Result<Option<PathBuf>> {
    let console = folder();
    let dist = console.join("dist");
    let step = progress.step("Console");
    let (_lock, state) = tokio::task::spawn_blocking({
        let console = console.clone();
        move || Ok::<_, anyhow::Error>((lock()?, source_state(&console)?))
    })
    .await
    .context("the console's sources cannot be read")??;
    if is_marked(&dist.join(BUILT_FROM), &state) {
        step.done("ready");
        return Ok(Some(dist));
    }
    let (least, minor) = MIN_NODE;
    if let Err(reason) = check_node().await {
        step.done("not built");
        progress.line(&format!(
            "  {reason}. Install Node {least}.{minor} or newer (https://nodejs.org) and start again to get the\n  \
             console in the browser. Everything else runs without it."
        ));
        return Ok(None);
    }
    if !has_libraries(&console) {
        step.note("installing its libraries, the first time only");
        // Libraries that only the build needs are left out where NODE_ENV is production.
        npm(&console, &["ci", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error"]).await?;
    }
    step.note("building");
    npm(&console, &["run", "build"]).await?;
    std::fs::write(dist.join(BUILT_FROM), &state)?;
    step.done("ready");
    Ok(Some(dist))
}

/// Waits until no other stack of this workspace builds the console. The lock ends with the file.
fn lock() -> Result<File> {
    let folder = root().join("target");
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be created", folder.display()))?;
    let file = File::create(folder.join("console.lock")).context("target/console.lock cannot be created")?;
    file.lock().context("target/console.lock cannot be locked")?;
    Ok(file)
}

/// Returns true when npm has installed the libraries since package-lock.json was changed.
fn has_libraries(console: &Path) -> bool {
    let changed = |file: &str| std::fs::metadata(console.join(file)).and_then(|metadata| metadata.modified()).ok();
    changed("package-lock.json").zip(changed(INSTALLED)).is_some_and(|(wanted, installed)| installed >= wanted)
}

/// Returns true when the file holds this text.
fn is_marked(file: &Path, text: &str) -> bool {
    std::fs::read_to_string(file).is_ok_and(|found| found == text)
}

/// Returns the hash of the names and contents of the console's sources.
fn source_state(console: &Path) -> Result<String> {
    let mut files = Vec::new();
    collect_files(console, &mut files)?;
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        let name = file.strip_prefix(console).unwrap_or(&file).to_string_lossy().into_owned();
        let bytes = std::fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        hash.update(name.as_bytes());
        hash.update([0]);
        hash.update(Sha256::digest(&bytes));
    }
    Ok(hex::encode(hash.finalize()))
}

fn collect_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let is_generated = GENERATED_FOLDERS.iter().any(|name| entry.file_name() == *name);
        if entry.file_type()?.is_dir() && !is_generated {
            collect_files(&entry.path(), files)?;
        } else if entry.file_type()?.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// Checks that Node and npm are installed, and new enough. The error is a sentence without a full stop.
async fn check_node() -> Result<(), String> {
    let output = Command::new("node").arg("--version").stdin(Stdio::null()).output().await;
    let version = match output {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        _ => return Err("Node is not installed".to_owned()),
    };
    if !is_new_enough(&version) {
        return Err(format!("Node {version} is too old"));
    }
    match Command::new("npm").arg("--version").stdin(Stdio::null()).output().await {
        Ok(output) if output.status.success() => Ok(()),
        _ => Err("npm is not installed".to_owned()),
    }
}

/// Returns true for a version such as `v20.19.1` that is [`MIN_NODE`] or newer.
fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('v').split('.').map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= MIN_NODE
}

async fn npm(console: &Path, arguments: &[&str]) -> Result<()> {
    let output = Command::new("npm")
        .args(arguments)
        .current_dir(console)
        // Another value, which a test runner sets, would build React's development version.
        .env("NODE_ENV", "production")
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("npm cannot be run")?;
    if output.status.success() {
        return Ok(());
    }
    // Warnings are on standard error; the reason of a failed check comes last on standard output.
    let text = [output.stderr, output.stdout].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).join("\n");
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines.get(lines.len().saturating_sub(12)..).unwrap_or_default().join("\n");
    bail!("the console could not be built by `npm {}` in console/:\n{last}", arguments.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_node_are_compared_as_numbers() {
        for (version, expected) in
            [("v20.19.0", true), ("v20.9.0", false), ("v22.1.0", true), ("v18.20.1", false), ("", false), ("x", false)]
        {
            assert_eq!(is_new_enough(version), expected, "{version}");
        }
    }

    #[test]
    fn a_change_of_a_source_changes_the_state_and_a_build_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("src/main.tsx", "one");
        let before = source_state(folder.path()).unwrap();
        write("dist/index.html", "built");
        write("node_modules/a/index.js", "library");
        assert_eq!(source_state(folder.path()).unwrap(), before);
        write("src/main.tsx", "two");
        assert_ne!(source_state(folder.path()).unwrap(), before);
    }
}
