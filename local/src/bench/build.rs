//! Builds the bootstraps as `sam build` does, and measures their sizes.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use local_postgres::root;

/// Builds packages with a cargo profile.
///
/// `bare` is built separately: in one build with the others, feature unification would give its libraries the others'
/// features.
pub(crate) fn build(profile: &str, packages: &[&str]) -> Result<()> {
    let (alone, together): (Vec<&str>, Vec<&str>) = packages.iter().partition(|package| **package == super::BARE);
    for packages in [alone, together].into_iter().filter(|packages| !packages.is_empty()) {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(root()).args(["build", "--quiet", "--locked", "--profile", profile]);
        cargo.args(packages.iter().flat_map(|package| ["--package", package]));
        if !cargo.status().context("cargo cannot be run")?.success() {
            bail!("{} cannot be built", packages.join(", "));
        }
    }
    Ok(())
}

/// The target folder of a profile's programs.
pub(crate) fn folder(profile: &str) -> Result<PathBuf> {
    // This program is target/debug/lisa.
    let here = std::env::current_exe().context("the path of this program is not known")?;
    let target = here.ancestors().nth(2).context("this program is not in a target folder")?;
    Ok(target.join(if profile == "dev" { "debug" } else { profile }))
}

/// A program's size in bytes, uncompressed and compressed like a deployment package (deflate, default level).
pub(crate) fn sizes(program: &Path) -> Result<(u64, u64)> {
    let whole = program.metadata().with_context(|| format!("{} does not exist", program.display()))?.len();
    let gzip = Command::new("gzip").args(["--stdout", "-6"]).arg(program).stdin(Stdio::null()).output();
    let gzip = gzip.context("gzip cannot be run")?;
    if !gzip.status.success() {
        bail!("gzip: {}", String::from_utf8_lossy(&gzip.stderr));
    }
    Ok((whole, gzip.stdout.len() as u64))
}
