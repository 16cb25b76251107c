//! The configured way to answer: a chain of models, or quotes of the passages without one.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{
    chat, extractive,
    fallback::ModelChain,
    grounded_answer,
    types::{AnswerResult, ChatRequest, ChatResult, GroundedQuestion, LlmError},
};

/// The configured way to answer: a chain of models, or none.
#[derive(Debug, Clone)]
pub enum Provider {
    /// No model: quotes sentences of the best passages, see `extractive`.
    Extractive,
    /// A model and its fallbacks.
    Models(Arc<ModelChain>),
}

/// Shortens a passage for display beside an answer: one line of limited length.
#[must_use]
pub fn excerpt(passage: &str) -> String {
    extractive::shorten(passage)
}

impl Provider {
    /// Name of the first provider in the chain, or `extractive`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Extractive => "extractive",
            Self::Models(models) => models.name(),
        }
    }

    /// True when a model is configured; only a model can chat.
    #[must_use]
    pub fn has_model(&self) -> bool {
        matches!(self, Self::Models(_))
    }

    /// Answers a question from its passages. Each citation is checked against the passages.
    pub async fn answer(&self, question: &GroundedQuestion<'_>) -> AnswerResult {
        match self {
            Self::Extractive => {
                let answer = extractive::answer(question);
                AnswerResult { outcome: Ok(answer), calls: Vec::new() }
            }
            Self::Models(models) => Box::pin(grounded_answer::answer(models, question, None)).await,
        }
    }

    /// Answers a question like [`Self::answer`] and sends the text to `deltas` as the model writes it.
    ///
    /// The returned answer is authoritative and may differ from the streamed text: it may be truncated to whole
    /// sentences, may be `None`, or may come from the extractive fallback, which streams nothing. No other model is
    /// tried once a delta was sent, or once the receiver of `deltas` is closed.
    pub async fn stream(&self, question: &GroundedQuestion<'_>, deltas: mpsc::Sender<String>) -> AnswerResult {
        match self {
            Self::Extractive => self.answer(question).await,
            Self::Models(models) => Box::pin(grounded_answer::answer(models, question, Some(deltas))).await,
        }
    }

    /// Makes one chat call, with tools.
    pub async fn chat(&self, chat: &ChatRequest<'_>) -> ChatResult {
        match self {
            Self::Extractive => ChatResult { outcome: Err(LlmError::NoModel), calls: Vec::new() },
            Self::Models(models) => Box::pin(chat::reply(models, chat)).await,
        }
    }
}
