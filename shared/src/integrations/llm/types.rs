//! The types that all parts of the interface to language models share.

use std::{ops::RangeInclusive, time::Duration};

use chrono::NaiveDateTime;
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    files::PlacedPassage,
    logging,
    model_api::{CallStatus, ProviderError},
    text::Language,
};

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

/// The result of `Provider::answer`.
#[derive(Debug)]
pub struct AnswerResult {
    /// The answer, or why there is none.
    pub outcome: Result<GroundedAnswer, LlmError>,
    /// All model calls made, including failed ones.
    pub calls: Vec<ModelCall>,
}

/// The result of `Provider::chat`.
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

impl ModelCall {
    /// Adds the cost to the metric `ModelCostMicros`, and returns the call. The metric does not depend on the ledger, so that
    /// spending is seen while the database is down.
    #[must_use]
    pub(crate) fn count_cost(self) -> Self {
        if self.cost_micros > 0 {
            logging::metric("ModelCostMicros", self.cost_micros as f64);
        }
        self
    }
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

/// A retrieved passage: one chunk, or adjacent chunks merged.
#[derive(Debug, Clone, PartialEq)]
pub struct Passage {
    /// The chunk that was found by the search.
    pub chunk_id: Uuid,
    /// The passage's document.
    pub document_id: Uuid,
    /// The document's filename.
    pub filename: String,
    /// Version of the document; `None` when no other processed document has its name.
    pub version: Option<DocumentVersion>,
    /// Place in a file without pages; `None` for a PDF.
    pub place: Option<PlacedPassage>,
    /// The document's title: the heading that it begins with, if there is one.
    pub title: Option<String>,
    /// First page of the passage, from 1. In a file without pages, the number of the part.
    pub page_start: i32,
    /// Last page of the passage, from 1.
    pub page_end: i32,
    /// Indexes in the document of the passage's chunks, from 0.
    pub chunk_indexes: RangeInclusive<i32>,
    /// Text of the passage.
    pub text: String,
    /// Fused score. Comparable within one search only.
    pub score: f64,
}

/// Version of a document whose name another document has, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DocumentVersion {
    /// Time of the upload, in the tenant's timezone.
    pub uploaded: NaiveDateTime,
    /// True when another version was uploaded on the same day.
    pub shares_day: bool,
}

impl Passage {
    /// Returns the title of the document for the reader of an answer: its title, or its filename without extension and
    /// with spaces for `_` and `-`.
    #[must_use]
    pub fn display_title(&self) -> String {
        if let Some(title) = &self.title {
            return title.clone();
        }
        let name = self.filename.rsplit_once('.').map_or(self.filename.as_str(), |(name, _)| name);
        name.replace(['_', '-'], " ").split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// A request to a model, independent of the API dialect.
#[derive(Debug)]
pub(super) struct CompletionRequest<'a> {
    /// The system prompt.
    pub(super) system: &'a str,
    /// The first turn is the user's; roles alternate.
    pub(super) turns: &'a [Turn],
    /// A JPEG in base64, attached to the last turn.
    pub(super) image: Option<&'a str>,
    pub(super) tools: &'a [Tool],
    /// Maximum length of the reply, in tokens.
    pub(super) max_tokens: u32,
}

/// A model's reply, independent of the API dialect.
#[derive(Debug)]
pub(super) struct ModelOutput {
    pub(super) text: String,
    pub(super) tool_calls: Vec<ToolCall>,
    /// True when the reply ended at a length limit.
    pub(super) is_truncated: bool,
}

/// The state of a streamed reply, updated with each event.
#[derive(Debug, Default)]
pub(super) struct StreamAccumulator {
    /// The whole text so far.
    pub(super) text: String,
    /// The text added since the last delta was taken.
    pub(super) pending_delta: String,
    pub(super) usage: Usage,
    /// True when the reply ended at a length limit.
    pub(super) is_truncated: bool,
    /// True when the model has reported the end of its reply.
    pub(super) is_complete: bool,
}

impl StreamAccumulator {
    /// Appends text to the reply.
    pub(super) fn push_text(&mut self, text: &str) {
        self.text.push_str(text);
        self.pending_delta.push_str(text);
    }
}

/// False for control characters other than line feed and tab, which PostgreSQL or phones do not accept.
pub(super) fn is_visible(char: char) -> bool {
    !char.is_control() || matches!(char, '\n' | '\t')
}
