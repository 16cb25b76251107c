//! The interface to language models: answers a question from passages, makes one chat call with tools, or transcribes
//! the image of a page. Writes nothing to the database: each result carries all calls made, for the cost ledger.

mod anthropic;
mod chat;
mod circuit_breaker;
mod citations;
mod config;
mod extractive;
mod fallback;
mod gemini;
mod grounded_answer;
mod openai_compatible;
mod probe;
mod prompt;
mod provider;
mod source;
mod streaming;
mod types;
mod vision;

pub use crate::model_api::{CallStatus, ProviderError};
pub use extractive::{QuoteCandidate, answer_by_similarity, quote_candidates};
pub use probe::ProbeResult;
pub use prompt::fit_history;
pub use provider::{Provider, excerpt};
pub use types::{
    AnswerResult, AnswerStyle, ChatReply, ChatRequest, ChatResult, CitedPassage, DocumentVersion, GroundedAnswer,
    GroundedQuestion, LlmError, ModelCall, Passage, Role, Tool, ToolCall, Turn, Usage,
};
pub use vision::{TranscribeResult, Transcript, Vision};
