//! Common parts of the clients of language models and of embedding models: addresses and keys of providers, calls with
//! limits, classified errors, retries, prices, and spans.

mod endpoints;
mod error;
mod prices;
mod retry;
mod span;
mod transport;

pub(crate) use endpoints::{GEMINI_BASE_URL, OPENAI_BASE_URL, sensitive_header_value};
pub(crate) use error::RetryDecision;
pub use error::{CallStatus, ProviderError};
pub(crate) use prices::ModelPrices;
pub(crate) use retry::RetryBudget;
pub(crate) use span::ModelSpan;
pub(crate) use transport::{Transport, error_in_stream_event};
