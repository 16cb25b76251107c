//! The tests that the documents name exist. A promise whose test was renamed or removed is no longer shown.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use local_postgres::root;

/// Documents that name tests as `` `binary` `module::name` ``.
const DOCUMENTS: [&str; 3] = ["docs/OBSERVABILITY.md", "docs/RELIABILITY.md", "docs/SECURITY.md"];

/// Test binaries of the package `local`. Every other word before a name stands for unit tests beside the code.
const BINARIES: [&str; 2] = ["http", "platform"];

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("target") {
                rust_files(&path, files);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Returns the names of the functions in `source` that have an attribute of tests, or that a macro makes a test of for each
/// route to the database.
fn tests_in(source: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some((before, name)) = line.split_once("fn ")
            && (is_test || is_of_routes(name))
            && matches!(before.trim(), "" | "async" | "pub" | "pub async")
        {
            names.extend(name.split(['(', '<']).next());
            is_test = false;
        }
    }
    names
}

fn is_of_routes(signature: &str) -> bool {
    signature.contains("(route: DatabaseRoute)")
}

/// Returns the tests of a binary by their full names.
fn tests_of(binary: &str) -> BTreeSet<String> {
    let folder = root().join("local/tests").join(binary);
    let mut files = Vec::new();
    rust_files(&folder, &mut files);
    let mut tests = BTreeSet::new();
    for file in files {
        let module = file.strip_prefix(&folder).unwrap().with_extension("");
        let module = module.components().map(|part| part.as_os_str().to_str().unwrap()).collect::<Vec<_>>().join("::");
        let source = fs::read_to_string(&file).unwrap();
        tests.extend(tests_in(&source).into_iter().map(|name| format!("{module}::{name}")));
    }
    tests
}

/// Returns the pairs of a binary and a test's name in `text`.
fn named_tests(text: &str) -> Vec<(&str, &str)> {
    // Every second part stands in backticks; the binary and the name have one space between them.
    let parts: Vec<&str> = text.split('`').collect();
    let pairs = parts.windows(3).skip(1).step_by(2);
    pairs.filter(|pair| pair[1] == " " && pair[2].contains("::")).map(|pair| (pair[0], pair[2])).collect()
}

#[test]
fn every_test_that_the_documents_name_exists() {
    let tests = BINARIES.map(|binary| (binary, tests_of(binary)));
    let mut files = Vec::new();
    for folder in ["shared/src", "functions", "local/src", "e5", "ocr"] {
        rust_files(&root().join(folder), &mut files);
    }
    let unit_code: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let mut count = 0;
    for document in DOCUMENTS {
        let text = fs::read_to_string(root().join(document)).unwrap();
        for (binary, name) in text.lines().flat_map(named_tests) {
            count += 1;
            let is_there = match tests.iter().find(|(known, _)| *known == binary) {
                Some((_, tests)) => {
                    let module = name.trim_end_matches('*');
                    tests.contains(name) || tests.iter().any(|test| module.ends_with("::") && test.starts_with(module))
                }
                None => {
                    let last = name.rsplit("::").next().unwrap();
                    unit_code.contains(&format!("fn {last}(")) || unit_code.contains(&format!("mod {last}"))
                }
            };
            assert!(is_there, "{document} names `{binary}` `{name}`, which is no test");
        }
    }
    assert!(count > 300, "{count} tests are named");
}

#[test]
fn names_are_found_in_a_line_of_a_table() {
    let line = "| a promise | `http` `a::b`, `platform` `c::*` and `cargo audit-verify` |";
    assert_eq!(named_tests(line), [("http", "a::b"), ("platform", "c::*")]);
    assert_eq!(tests_in("#[tokio::test]\nasync fn one() {\n}\nfn helper() {}\n#[test]\nfn two() {"), ["one", "two"]);
}
