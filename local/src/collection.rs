//! `cargo collection`: writes `docs/bruno/`, a Bruno collection with a request for each operation of `openapi.json`. The
//! links between operations become variables: a request keeps the ids of its answer for the requests after it.

mod request;
mod text;
mod variables;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use clap::Args;
use local_postgres::root;
use serde_json::{Value, json};

use self::{text::block, variables::Variables};
use crate::openapi;

/// Folder of the collection, below the root of the repository.
const FOLDER: &str = "docs/bruno";
/// Files of a person who uses the collection. They are not generated.
const KEPT: [&str; 2] = ["README.md", ".gitignore"];

/// Generates the Bruno collection of the API in docs/bruno.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Write nothing; fail when docs/bruno is out of date.
    #[arg(long)]
    check: bool,
}

/// Writes or checks the collection. Removes files of operations that are no longer there.
///
/// # Errors
/// With `--check`, fails when docs/bruno is out of date.
pub fn run(arguments: &Arguments) -> Result<()> {
    let folder = root().join(FOLDER);
    let files = files(&serde_json::from_str(&openapi::document()?)?)?;
    let stale = stale_files(&folder, &files)?;
    if arguments.check {
        if let Some(path) = stale.first() {
            bail!("{FOLDER}/{} is stale: run `cargo collection` and commit it", path.display());
        }
        return Ok(());
    }
    for path in stale {
        let place = folder.join(&path);
        match files.get(&path) {
            Some(text) => {
                fs::create_dir_all(place.parent().unwrap_or(&folder))?;
                fs::write(&place, text).with_context(|| format!("{} cannot be written", place.display()))?;
            }
            None => fs::remove_file(&place).with_context(|| format!("{} cannot be removed", place.display()))?,
        }
    }
    Ok(())
}

/// Returns the paths of the files that are missing, that differ, or that no operation has any more.
///
/// # Errors
/// Fails when the folder cannot be read.
pub fn stale_files(folder: &Path, files: &BTreeMap<PathBuf, String>) -> Result<Vec<PathBuf>> {
    let mut present = BTreeSet::new();
    if folder.is_dir() {
        list(folder, folder, &mut present)?;
    }
    let differs = |path: &&PathBuf| fs::read_to_string(folder.join(path)).ok().as_ref() != files.get(*path);
    Ok(files.keys().chain(present.iter().filter(|path| !files.contains_key(*path))).filter(differs).cloned().collect())
}

fn list(root: &Path, folder: &Path, found: &mut BTreeSet<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            list(root, &path, found)?;
        } else if !path.file_name().is_some_and(|name| KEPT.iter().any(|kept| name == *kept)) {
            found.insert(path.strip_prefix(root)?.to_owned());
        }
    }
    Ok(())
}

/// Returns the files of the collection for an OpenAPI document, by their paths below the collection's folder.
///
/// # Errors
/// Fails for a document without paths.
pub fn files(document: &Value) -> Result<BTreeMap<PathBuf, String>> {
    let variables = Variables::read(document)?;
    let mut files = BTreeMap::from([
        (PathBuf::from("bruno.json"), settings(document)?),
        (PathBuf::from("collection.bru"), collection(document)),
        (PathBuf::from("environments/cargo-dev.bru"), environment()),
    ]);
    for (number, tag) in document["tags"].as_array().into_iter().flatten().enumerate() {
        let name = tag["name"].as_str().unwrap_or_default();
        let meta = block("meta", &[("name", name), ("seq", &(number + 1).to_string())]);
        let about = text::docs(tag["description"].as_str().unwrap_or_default());
        files.insert(Path::new(name).join("folder.bru"), format!("{meta}\n{about}"));
        for (position, request) in request::of_tag(document, name).iter().enumerate() {
            let path = Path::new(name).join(format!("{}.bru", request.id()));
            files.insert(path, request.write(position + 1, &variables)?);
        }
    }
    Ok(files)
}

fn settings(document: &Value) -> Result<String> {
    let name = &document["info"]["title"];
    let settings = json!({ "version": "1", "name": name, "type": "collection", "ignore": ["node_modules", ".git"] });
    Ok(serde_json::to_string_pretty(&settings)? + "\n")
}

/// Settings of the whole collection: requests send the access token, unless they have another authorization.
fn collection(document: &Value) -> String {
    let auth = block("auth", &[("mode", "bearer")]);
    let bearer = block("auth:bearer", &[("token", "{{access_token}}")]);
    let about = document["info"]["description"].as_str().unwrap_or_default();
    let use_of = "Generated from openapi.json by `cargo collection`. docs/bruno/README.md says how to use it.";
    format!("{auth}\n{bearer}\n{}", text::docs(&format!("{about}\n\n{use_of}")))
}

/// The environment of a stack that `cargo dev` runs. Sign-up and sign-in set the tokens; those of the demo data are in
/// `.local/demo.json`.
fn environment() -> String {
    let values = block(
        "vars",
        &[("base_url", "http://127.0.0.1:9000"), ("email", "demo@example.com"), ("password", "correct horse battery")],
    );
    let secrets = ["access_token", "service_token", "admin_token", "webhook_secret", "stripe_signature"];
    format!("{values}vars:secret [\n  {}\n]\n", secrets.join(",\n  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_a_changed_and_a_superfluous_file_are_stale() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        fs::create_dir(folder.path().join("orders")).unwrap();
        write("same.bru", "a");
        write("changed.bru", "old");
        write("orders/superfluous.bru", "");
        write("README.md", "kept");
        let files = [("same.bru", "a"), ("changed.bru", "new"), ("orders/missing.bru", "b")];
        let files = files.map(|(name, text)| (PathBuf::from(name), text.to_owned())).into();
        let stale = stale_files(folder.path(), &files).unwrap();
        let expected = ["changed.bru", "orders/missing.bru", "orders/superfluous.bru"];
        assert_eq!(stale, expected.map(PathBuf::from));
    }
}
