//! Question sets, one JSON object a line.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use anyhow::{Context as _, Result};
use serde::{Deserialize, de::DeserializeOwned};

/// A paragraph.
#[derive(Debug, Deserialize)]
pub(crate) struct Context {
    pub(crate) id: String,
    pub(crate) text: String,
    /// Of what it is a part.
    #[serde(default)]
    pub(crate) title: String,
}

/// A question, and the paragraph that answers it.
#[derive(Debug, Deserialize)]
pub(crate) struct Question {
    pub(crate) question: String,
    /// Empty where none does.
    #[serde(default)]
    pub(crate) context_id: String,
    /// Texts of which each is an answer.
    #[serde(default)]
    pub(crate) answers: Vec<String>,
    /// What was asked before in the conversation, the oldest first.
    #[serde(default)]
    pub(crate) history: Vec<String>,
}

/// A question set.
#[derive(Debug)]
pub(crate) struct Set {
    /// The file's name up to the first dot.
    pub(crate) name: String,
    pub(crate) contexts: Vec<Context>,
    pub(crate) questions: Vec<Question>,
}

impl Set {
    pub(crate) fn read(contexts: &Path, questions: &Path) -> Result<Self> {
        let name = questions.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let name = name.split('.').next().unwrap_or_default().to_owned();
        Ok(Self { name, contexts: lines(contexts)?, questions: lines(questions)? })
    }
}

/// Reads one value a line.
pub(crate) fn lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let parse = |(number, line): (usize, std::io::Result<String>)| {
        let line = line.with_context(|| format!("{} cannot be read", path.display()))?;
        serde_json::from_str(&line).with_context(|| format!("line {} of {} is wrong", number + 1, path.display()))
    };
    BufReader::new(file).lines().enumerate().map(parse).collect()
}
