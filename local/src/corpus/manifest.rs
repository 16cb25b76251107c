//! The manifest of a corpus: which file, and what is expected of it.

use std::{fs, path::Path};

use anyhow::{Context, Result};

/// A file of the corpus.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) file: String,
    pub(super) expect: Expectation,
}

/// What should become of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expectation {
    /// Processed.
    Ingest,
    /// Failed with this code.
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

/// Reads the first and the last column; the ones between may hold commas, these do not.
pub(super) fn read(path: &Path) -> Result<Vec<Entry>> {
    let text = fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    text.lines().skip(1).filter(|line| !line.is_empty()).map(entry).collect()
}

fn entry(line: &str) -> Result<Entry> {
    let first = line.split(',').next().unwrap_or_default();
    let last = line.rsplit(',').next().unwrap_or_default();
    let expect = match last.trim() {
        "ingest" => Expectation::Ingest,
        "reject_encrypted" => Expectation::Fail("encrypted"),
        "reject_or_flag_no_text" => Expectation::Fail("no_text"),
        "reject_corrupt" => Expectation::Fail("corrupt"),
        other => anyhow::bail!("{first}: nothing is known of the label {other}"),
    };
    Ok(Entry { file: first.to_owned(), expect })
}
