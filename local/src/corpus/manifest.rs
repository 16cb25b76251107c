//! Reads the manifest of a corpus: its files and the expected result of each.

use std::{fs, path::Path};

use anyhow::{Context, Result};

/// A file of the corpus and its expected result.
#[derive(Debug)]
pub(super) struct ManifestEntry {
    pub(super) file: String,
    pub(super) expect: Expectation,
}

/// The expected result of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expectation {
    /// The document is processed.
    Ingest,
    /// The document fails with this error code.
    Fail(&'static str),
}

impl Expectation {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Fail(code) => code,
        }
    }
}

/// Reads the first and the last column of each line. Columns between them may hold commas; these two do not.
pub(super) fn read(path: &Path) -> Result<Vec<ManifestEntry>> {
    let text = fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    text.lines().skip(1).filter(|line| !line.is_empty()).map(entry).collect()
}

fn entry(line: &str) -> Result<ManifestEntry> {
    let first = line.split(',').next().unwrap_or_default();
    let last = line.rsplit(',').next().unwrap_or_default();
    let expect = match last.trim() {
        "ingest" => Expectation::Ingest,
        "reject_encrypted" => Expectation::Fail("encrypted"),
        "reject_or_flag_no_text" => Expectation::Fail("no_text"),
        "reject_corrupt" => Expectation::Fail("corrupt"),
        other => anyhow::bail!("{first}: unknown label {other}"),
    };
    Ok(ManifestEntry { file: first.to_owned(), expect })
}
