//! Reads question sets: files with one JSON object per line.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use anyhow::{Context as _, Result};
use serde::{Deserialize, de::DeserializeOwned};

/// A paragraph of a question set.
#[derive(Debug, Deserialize)]
pub(crate) struct SetParagraph {
    pub(crate) id: String,
    pub(crate) text: String,
    /// The title of the text that the paragraph is a part of.
    #[serde(default)]
    pub(crate) title: String,
}

/// A question, with the paragraph that answers it.
#[derive(Debug, Deserialize)]
pub(crate) struct SetQuestion {
    pub(crate) question: String,
    /// The id of the paragraph that answers the question; empty when none does.
    #[serde(default)]
    pub(crate) context_id: String,
    /// Texts each of which is an answer.
    #[serde(default)]
    pub(crate) answers: Vec<String>,
    /// The earlier questions of the conversation, oldest first.
    #[serde(default)]
    pub(crate) history: Vec<String>,
}

/// The paragraphs and questions of a set.
#[derive(Debug)]
pub(crate) struct QuestionSet {
    /// The name of the question file up to the first dot.
    pub(crate) name: String,
    pub(crate) contexts: Vec<SetParagraph>,
    pub(crate) questions: Vec<SetQuestion>,
}

impl QuestionSet {
    pub(crate) fn read(contexts: &Path, questions: &Path) -> Result<Self> {
        let name = questions.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let name = name.split('.').next().unwrap_or_default().to_owned();
        Ok(Self { name, contexts: lines(contexts)?, questions: lines(questions)? })
    }
}

/// Reads one JSON value per line.
pub(crate) fn lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let parse = |(number, line): (usize, std::io::Result<String>)| {
        let line = line.with_context(|| format!("{} cannot be read", path.display()))?;
        serde_json::from_str(&line).with_context(|| format!("line {} of {} is malformed", number + 1, path.display()))
    };
    BufReader::new(file).lines().enumerate().map(parse).collect()
}
