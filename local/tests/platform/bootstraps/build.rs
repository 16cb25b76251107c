//! Builds the functions' programs. `cargo test` does not build the program of a package without integration tests.

use std::{collections::BTreeMap, path::PathBuf, process::Stdio};

use serde_json::Value;
use tokio::{process::Command, sync::OnceCell};

/// Paths of the workspace's programs by their names. The first call builds them.
pub(crate) async fn programs() -> &'static BTreeMap<String, PathBuf> {
    static PROGRAMS: OnceCell<BTreeMap<String, PathBuf>> = OnceCell::const_new();
    PROGRAMS.get_or_init(build).await
}

async fn build() -> BTreeMap<String, PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    // A build of single packages, or without the tests, would unify other features of the libraries than `cargo test
    // --workspace`, and compile everything again.
    cargo.args(["build", "--workspace", "--bins", "--tests", "--quiet", "--message-format=json-render-diagnostics"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let output = cargo.current_dir(local_postgres::root()).stdin(Stdio::null()).output().await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the functions cannot be built: {errors}");
    let messages = String::from_utf8(output.stdout).unwrap();
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages
        .filter(|message| message["reason"] == "compiler-artifact" && message["profile"]["test"] == false)
        .filter_map(|message| {
            let name = message["target"]["name"].as_str()?.to_owned();
            Some((name, PathBuf::from(message["executable"].as_str()?)))
        })
        .collect()
}
