//! The door to whatever makes an answer of passages. An enum over providers; each brings its own settings.

mod extractive;

use serde::Serialize;
use utoipa::ToSchema;

use crate::{retrieval::Passage, settings::Settings, text::Language};

/// Who answers.
#[derive(Debug, Clone)]
pub enum Provider {
    /// Without a model: quotes the best passages, see [`extractive`].
    Extractive,
}

/// Tokens that an answer took, as the provider counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Usage {
    /// Read by the model.
    pub prompt_tokens: u32,
    /// Written by the model.
    pub completion_tokens: u32,
}

/// An answer before its citations are made.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// The text; `None` when the passages do not say.
    pub answer: Option<String>,
    /// The passages that it rests on, by their place among those given, with what is quoted of each.
    pub sources: Vec<Source>,
    /// Who said it.
    pub model: String,
    /// What it took.
    pub usage: Usage,
}

/// A passage that an answer rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its place among the passages given.
    pub passage: usize,
    /// What is quoted.
    pub quote: String,
}

impl Provider {
    /// Reads LLM_PROVIDER: `extractive` so far.
    pub fn read(settings: &mut Settings) -> Self {
        match settings.text("LLM_PROVIDER", "extractive").as_str() {
            "extractive" => {}
            _ => settings.problem("LLM_PROVIDER is not one of: extractive"),
        }
        Self::Extractive
    }

    /// Answers a question from numbered passages.
    #[must_use]
    pub fn answer(&self, question: &str, language: Language, passages: &[Passage]) -> Completion {
        match self {
            Self::Extractive => extractive::answer(question, language, passages),
        }
    }
}
