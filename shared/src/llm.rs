//! The interface to language models: answers a question from passages, makes one chat call with tools, or transcribes
//! the image of a page. Writes nothing to the database: each result carries all calls made, for the cost ledger.

mod anthropic;
mod chat;
mod circuit_breaker;
mod citations;
pub(crate) mod config;
mod extractive;
mod fallback;
mod gemini;
mod grounded_answer;
mod openai_compatible;
mod prices;
mod prompt;
pub(crate) mod retry;
mod streaming;
pub(crate) mod transport;
mod vision;

use std::{sync::Arc, time::Duration};

use serde::Serialize;
use serde_json::Value;
use tokio::{sync::mpsc, time::Instant};
use utoipa::ToSchema;

use crate::{retrieval::Passage, text::Language};

pub use transport::ProviderError;
pub use vision::{TranscribeResult, Transcript, Vision};

/// The configured way to answer: a chain of models, or none.
#[derive(Debug, Clone)]
pub enum Provider {
    /// No model: quotes sentences of the best passages, see `extractive`.
    Extractive,
    /// A model and its fallbacks.
    Models(Arc<fallback::ModelChain>),
}

/// Tokens used by an answer, as the provider counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Usage {
    /// Input tokens.
    pub prompt_tokens: u32,
    /// Output tokens, including thinking tokens.
    pub completion_tokens: u32,
}

/// A question with the passages that its answer must be based on.
#[derive(Debug, Clone, Copy)]
pub struct GroundedQuestion<'a> {
    /// The customer's question, as written.
    pub text: &'a str,
    /// The standalone question used for the search: a follow-up together with the question before it.
    pub standalone: &'a str,
    /// Earlier turns of the conversation, oldest first.
    pub history: &'a [Turn],
    /// Language of the answer.
    pub language: Language,
    /// The tenant's instructions (`prompt_rag`). They set tone and content and never override the rules.
    pub instructions: Option<&'a str>,
    /// The assistant's name.
    pub assistant: &'a str,
    /// The company's name.
    pub company: &'a str,
    /// Formatting and citation numbering of the answer.
    pub style: AnswerStyle,
    /// The retrieved passages, best first.
    pub passages: &'a [Passage],
    /// The time by which the answer must be complete, retries and fallbacks included.
    pub deadline: Instant,
}

/// Formatting and citation numbering of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerStyle {
    /// Plain text; the marker `[1]` cites the first of [`GroundedAnswer::sources`].
    SourceNumbers,
    /// Plain text; the marker `[1]` cites the first of [`GroundedQuestion::passages`]. These numbers are known before
    /// the answer is complete, so that it can be streamed.
    PassageNumbers,
    /// WhatsApp's formatting: `*bold*`, no Markdown, no citation markers.
    WhatsApp,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The author.
    pub role: Role,
    /// The message's text.
    pub text: String,
}

/// The author of a [`Turn`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The customer.
    User,
    /// The assistant, or the person who replied in its place.
    Assistant,
}

/// One chat call, with tools.
#[derive(Debug, Clone, Copy)]
pub struct ChatRequest<'a> {
    /// The system prompt.
    pub system: &'a str,
    /// The conversation so far, oldest message first.
    pub turns: &'a [Turn],
    /// The tools offered to the model.
    pub tools: &'a [Tool],
    /// Maximum length of the reply, in tokens.
    pub max_tokens: u32,
    /// The time by which the reply must be complete, retries and fallbacks included.
    pub deadline: Instant,
}

/// A tool offered to a model.
#[derive(Debug, Clone)]
pub struct Tool {
    /// Name in `snake_case`.
    pub name: &'static str,
    /// Description for the model: when to call the tool.
    pub description: &'static str,
    /// JSON schema of the arguments; its type is `object`.
    pub parameters: Value,
}

/// A model's request to call a tool. The tool is one of those offered; the arguments are an object and otherwise
/// unchecked.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolCall {
    /// The tool's name.
    pub name: String,
    /// The arguments, a JSON object.
    pub arguments: Value,
    /// Gemini's signature of the call; Gemini expects it back unchanged together with the call.
    pub thought_signature: Option<String>,
}

/// A model's reply: a text, tool calls, or both; at least one of them is present.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatReply {
    /// The text.
    pub text: Option<String>,
    /// The tool calls, in the model's order.
    pub tool_calls: Vec<ToolCall>,
}

/// An answer with the passages that it cites.
#[derive(Debug, Clone, PartialEq)]
pub struct GroundedAnswer {
    /// The answer's text; `None` when the passages do not contain an answer.
    pub answer: Option<String>,
    /// The cited passages, in the order of their first citation.
    pub sources: Vec<CitedPassage>,
    /// Name of the model that answered.
    pub model: String,
    /// Tokens used.
    pub usage: Usage,
}

/// A cited passage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CitedPassage {
    /// Index into [`GroundedQuestion::passages`].
    pub passage: usize,
    /// The quoted part of the passage.
    pub quote: String,
}

/// The result of [`Provider::answer`].
#[derive(Debug)]
pub struct AnswerResult {
    /// The answer, or why there is none.
    pub outcome: Result<GroundedAnswer, LlmError>,
    /// All model calls made, including failed ones.
    pub calls: Vec<ModelCall>,
}

/// The result of [`Provider::chat`].
#[derive(Debug)]
pub struct ChatResult {
    /// The reply, or why there is none.
    pub outcome: Result<ChatReply, LlmError>,
    /// All model calls made, including failed ones.
    pub calls: Vec<ModelCall>,
}

/// One call to a model, as recorded in the cost ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelCall {
    /// The provider's name.
    pub provider: &'static str,
    /// The model's name in the request.
    pub model: String,
    /// Tokens used; zero when the failed call reported none.
    pub usage: Usage,
    /// Cost in millionths of a US dollar.
    pub cost_micros: i64,
    /// Time from the request to the last byte, in milliseconds.
    pub latency_ms: i32,
    /// The call's result.
    pub status: CallStatus,
}

/// The result of a model call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallStatus {
    /// The model replied.
    Ok,
    /// The model or its content filter declined.
    Blocked,
    /// The reply has neither text nor tool calls.
    Empty,
    /// The reply is unusable, such as tool arguments that are not JSON.
    Malformed,
    /// The call timed out.
    Timeout,
    /// The provider's rate limit is reached; a later call would work.
    RateLimited,
    /// The daily quota or the balance is used up.
    QuotaExhausted,
    /// The provider rejects this call: an invalid key, an unknown model, a prompt that is too long.
    Refused,
    /// The provider is overloaded, broken or unreachable.
    Failed,
    /// The client disconnected before the call ended.
    Abandoned,
}

/// The reason why there is no answer. Neither the message nor the source contains any part of the prompt, the reply
/// or a key.
#[derive(Debug, thiserror::Error)]
pub enum LlmError {
    /// A chat needs a model, and none is configured.
    #[error("no model is set")]
    NoModel,
    /// The model or its content filter declined. A retry would be declined too.
    #[error("the model declined to answer ({0})")]
    Blocked(String),
    /// All models tried have failed; the source is the last failure.
    #[error("no model answered")]
    Failed(#[source] ProviderError),
}

impl LlmError {
    /// True when the client disconnected before the answer was complete.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        matches!(self, Self::Failed(failure) if failure.status() == CallStatus::Abandoned)
    }

    /// Delay before the next call, as requested by the provider that failed last.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Failed(failure) => failure.retry_after(),
            Self::NoModel | Self::Blocked(_) => None,
        }
    }
}

impl CallStatus {
    /// The status as stored in the ledger.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Blocked => "blocked",
            Self::Empty => "empty",
            Self::Malformed => "malformed",
            Self::Timeout => "timeout",
            Self::RateLimited => "rate_limited",
            Self::QuotaExhausted => "quota_exhausted",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Abandoned => "abandoned",
        }
    }
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
