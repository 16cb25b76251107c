//! Every test is in a program that `cargo test` builds, and no program is built without a test.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use super::root;

/// The beginnings of a test in Rust.
const ATTRIBUTES: [&str; 4] = ["#[test]", "#[tokio::test", "#[sqlx::test", "proptest!"];

fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

fn has_test(file: &Path) -> bool {
    let text = fs::read_to_string(file).unwrap();
    text.lines().any(|line| ATTRIBUTES.iter().any(|attribute| line.trim_start().starts_with(attribute)))
}

/// Each program of tests links the whole product, so one without a test costs time in every run. A test that is in no
/// program would never run.
#[test]
fn a_library_has_a_test_program_when_it_has_tests_and_a_program_never_has_one() {
    let packages = packages();
    assert!(packages.len() > 30, "the packages were not found");
    for package in &packages {
        for target in package["targets"].as_array().unwrap() {
            let (name, kind) = (target["name"].as_str().unwrap(), target["kind"][0].as_str().unwrap());
            let main = Path::new(target["src_path"].as_str().unwrap());
            match kind {
                "lib" => {
                    let tested = sources(main.parent().unwrap()).iter().any(|file| has_test(file));
                    assert_eq!(target["test"], tested, "[lib] test of {name}");
                }
                "bin" => {
                    assert_eq!(target["test"], false, "[[bin]] test of {name}");
                    assert!(!has_test(main), "{name}: a test in its main.rs would never run");
                }
                _ => {}
            }
        }
    }
}

/// `cargo test` starts rustdoc for each library that may have examples, so they are off. An example that is compiled
/// would not run.
#[test]
fn no_library_has_examples_that_run() {
    for package in packages() {
        for target in package["targets"].as_array().unwrap().iter().filter(|target| target["kind"][0] == "lib") {
            assert_eq!(target["doctest"], false, "[lib] doctest of {}", target["name"]);
            let folder = Path::new(target["src_path"].as_str().unwrap()).parent().unwrap();
            for file in sources(folder) {
                let text = fs::read_to_string(&file).unwrap();
                let mut fences = text.lines().filter_map(|line| {
                    let line = line.trim_start();
                    line.strip_prefix("/// ```").or_else(|| line.strip_prefix("//! ```"))
                });
                // Every other fence opens a block; its language follows.
                while let Some(opened) = fences.next() {
                    assert!(
                        matches!(opened, "ignore" | "text" | "json" | "sql"),
                        "{}: an example that would not run",
                        file.display()
                    );
                    assert_eq!(fences.next(), Some(""), "{}: a block that is not closed", file.display());
                }
            }
        }
    }
}
