//! The HTTP side of model providers, shared by language models and embeddings: addresses and keys, calls with limits,
//! classified errors, and retries.

mod endpoints;
mod error;
mod retry;
mod transport;

pub(crate) use endpoints::{GEMINI_BASE_URL, OPENAI_BASE_URL, sensitive_header_value};
pub(crate) use error::RetryDecision;
pub use error::{CallStatus, ProviderError};
pub(crate) use retry::RetryBudget;
pub(crate) use transport::{Transport, error_in_stream_event};
