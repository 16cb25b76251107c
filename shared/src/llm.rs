//! The one door to the models: a question answered from passages, a turn of a conversation with tools, or a picture of a
//! page read. An enum over providers; each brings its own settings. Writes nothing: every call that was made is handed
//! back for the cost ledger.

mod answering;
mod anthropic;
mod chain;
pub(crate) mod choice;
mod circuit;
mod citations;
mod conversation;
mod extractive;
mod gemini;
mod listening;
mod openai_compatible;
pub(crate) mod patience;
mod prices;
mod prompt;
pub(crate) mod transport;
mod vision;

use std::{sync::Arc, time::Duration};

use serde::Serialize;
use serde_json::Value;
use tokio::{sync::mpsc, time::Instant};
use utoipa::ToSchema;

use crate::{retrieval::Passage, text::Language};

pub use transport::Failure;
pub use vision::{Transcribed, Transcript, Vision};

/// Who answers.
#[derive(Debug, Clone)]
pub enum Provider {
    /// Without a model: quotes the best passages, see [`extractive`].
    Extractive,
    /// A model, and those that stand in for it.
    Models(Arc<chain::Models>),
}

/// Tokens that an answer took, as the provider counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Usage {
    /// Read by the model.
    pub prompt_tokens: u32,
    /// Written by the model, its thoughts included.
    pub completion_tokens: u32,
}

/// A question and what its answer may rest on.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// What is asked.
    pub question: &'a str,
    /// The same as it was searched: with what it goes on from.
    pub standalone: &'a str,
    /// What was said before, the oldest first.
    pub history: &'a [Turn],
    /// The language to answer in.
    pub language: Language,
    /// The tenant's own wishes (`prompt_rag`): they set tone and subject, never the rules.
    pub instructions: Option<&'a str>,
    /// What the assistant is called.
    pub assistant: &'a str,
    /// Whose assistant it is.
    pub company: &'a str,
    /// How the answer is shown.
    pub style: Style,
    /// The passages, the best first.
    pub passages: &'a [Passage],
    /// When all of it must be over, retries and fallbacks included.
    pub deadline: Instant,
}

/// How an answer is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// With markers: `[1]` is the first of the sources.
    Plain,
    /// With markers: `[1]` is the first of the passages given, which is known before the answer is.
    AsGiven,
    /// As WhatsApp shows it: `*bold*`, no Markdown, no markers.
    WhatsApp,
}

/// Something that was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// By whom.
    pub role: Role,
    /// What.
    pub text: String,
}

/// Who said something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The customer.
    User,
    /// The assistant, or the person who stood in for it.
    Assistant,
}

/// One call in a conversation.
#[derive(Debug, Clone, Copy)]
pub struct Chat<'a> {
    /// What the assistant is and does.
    pub system: &'a str,
    /// What was said, the oldest first.
    pub turns: &'a [Turn],
    /// What it may call.
    pub tools: &'a [Tool],
    /// The longest reply.
    pub max_tokens: u32,
    /// When all of it must be over, retries and fallbacks included.
    pub deadline: Instant,
}

/// Something a model may call.
#[derive(Debug, Clone)]
pub struct Tool {
    /// `snake_case`.
    pub name: &'static str,
    /// When to call it, for the model.
    pub description: &'static str,
    /// A JSON schema of an object.
    pub parameters: Value,
}

/// What a model wants called. Its name is that of a given tool; its arguments are an object, otherwise unchecked.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolCall {
    /// The tool.
    pub name: String,
    /// Its arguments.
    pub arguments: Value,
    /// What Gemini wants back with the call, exactly as it came.
    pub thought_signature: Option<String>,
}

/// What a model replied: a text, calls, or both; never neither.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatReply {
    /// The text.
    pub text: Option<String>,
    /// The calls, in order.
    pub tool_calls: Vec<ToolCall>,
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

/// The end of [`Provider::answer`].
#[derive(Debug)]
pub struct Answered {
    /// The answer.
    pub outcome: Result<Completion, LlmError>,
    /// Every call that was made, also those that failed.
    pub calls: Vec<Call>,
}

/// The end of [`Provider::chat`].
#[derive(Debug)]
pub struct Chatted {
    /// The reply.
    pub outcome: Result<ChatReply, LlmError>,
    /// Every call that was made, also those that failed.
    pub calls: Vec<Call>,
}

/// A call to a model, as the ledger wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The provider's name.
    pub provider: &'static str,
    /// The model's, as it was asked for.
    pub model: String,
    /// What it took; nothing where the call failed.
    pub usage: Usage,
    /// What that costs, in millionths of a US dollar.
    pub cost_micros: i64,
    /// From the request to the last byte.
    pub latency_ms: i32,
    /// How it ended.
    pub status: CallStatus,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallStatus {
    /// With a reply.
    Ok,
    /// The model or its filter declined.
    Blocked,
    /// A reply without anything in it.
    Empty,
    /// A reply that makes no sense, such as tool arguments that are not JSON.
    Malformed,
    /// Not in time.
    Timeout,
    /// Too many calls; later it would work.
    RateLimited,
    /// The day's quota or the balance is used up.
    QuotaExhausted,
    /// The provider does not take this call: a wrong key, a model that is gone, a prompt that is too long.
    Refused,
    /// The provider is overloaded, broken or out of reach.
    Failed,
    /// Nobody waited for its end any more.
    Abandoned,
}

/// Why there is no answer. Neither the text nor a cause has anything of the prompt, the reply or a key.
#[derive(Debug, thiserror::Error)]
pub enum LlmError {
    /// A conversation needs a model, and none is set.
    #[error("no model is set")]
    NoModel,
    /// The model or its filter declined. Asked again, it would decline again.
    #[error("the model declined to answer ({0})")]
    Blocked(String),
    /// The last of the models that were tried.
    #[error("no model answered")]
    Failed(#[source] Failure),
}

impl LlmError {
    /// Whether nobody waited for the answer any more.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        matches!(self, Self::Failed(failure) if failure.status() == CallStatus::Abandoned)
    }

    /// How long the provider that failed last asks to be left alone.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Failed(failure) => failure.retry_after(),
            Self::NoModel | Self::Blocked(_) => None,
        }
    }
}

impl CallStatus {
    /// As the ledger has it.
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

/// A passage as it is shown beside an answer: on one line, and not too long.
#[must_use]
pub fn excerpt(passage: &str) -> String {
    extractive::shorten(passage)
}

impl Provider {
    /// The name of the provider that is asked first.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Extractive => "extractive",
            Self::Models(models) => models.name(),
        }
    }

    /// Whether there is a model, which can hold a conversation.
    #[must_use]
    pub fn is_a_model(&self) -> bool {
        matches!(self, Self::Models(_))
    }

    /// Answers a question from numbered passages; what it cites is checked against those.
    pub async fn answer(&self, ask: &Ask<'_>) -> Answered {
        match self {
            Self::Extractive => {
                let completion = extractive::answer(ask);
                Answered { outcome: Ok(completion), calls: Vec::new() }
            }
            Self::Models(models) => Box::pin(answering::answer(models, ask, None)).await,
        }
    }

    /// The same, with what a model says told while it says it. What counts is the answer in the end: it may have been cut
    /// to whole sentences, rest on nothing, or come from [`Self::Extractive`], of which nothing is told before. Once
    /// something was told, no other model is asked; when nobody listens any more, none is.
    pub async fn stream(&self, ask: &Ask<'_>, deltas: mpsc::Sender<String>) -> Answered {
        match self {
            Self::Extractive => self.answer(ask).await,
            Self::Models(models) => Box::pin(answering::answer(models, ask, Some(deltas))).await,
        }
    }

    /// Makes one call in a conversation.
    pub async fn chat(&self, chat: &Chat<'_>) -> Chatted {
        match self {
            Self::Extractive => Chatted { outcome: Err(LlmError::NoModel), calls: Vec::new() },
            Self::Models(models) => Box::pin(conversation::reply(models, chat)).await,
        }
    }
}
