//! Failures of calls to providers, the action that follows each, and the status that the cost ledger records.

use std::time::Duration;

/// The reason why a call to a provider failed.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The call timed out.
    #[error("the provider did not answer in time")]
    TimedOut,
    /// The connection could not be opened, or broke.
    #[error("the provider could not be reached")]
    Unreachable(#[source] reqwest::Error),
    /// HTTP status 408 or 5xx.
    #[error("the provider failed with status {status}")]
    ServerError {
        /// The HTTP status.
        status: u16,
        /// Delay before a retry, as requested by the provider.
        retry_after: Option<Duration>,
    },
    /// HTTP status 429.
    #[error("the provider limits the rate of calls")]
    RateLimited {
        /// Delay before a retry, as requested by the provider.
        retry_after: Option<Duration>,
    },
    /// The model's daily quota is used up.
    #[error("the model's quota of the day is used up")]
    QuotaExhausted,
    /// The balance is used up: HTTP status 402, or 429 with the code `insufficient_quota`.
    #[error("the balance at the provider is used up")]
    BalanceExhausted,
    /// HTTP status 401 or 403: the provider rejects the key.
    #[error("the provider does not take the key")]
    Unauthorized,
    /// The model was retired or never existed.
    #[error("the provider has no such model")]
    NoSuchModel,
    /// Any other 4xx status: a retry would be rejected too.
    #[error("the provider refused the call with status {status} ({code})")]
    Rejected {
        /// The HTTP status.
        status: u16,
        /// The provider's error code.
        code: String,
    },
    /// The model or its content filter declined, with the provider's reason.
    #[error("the model declined to answer ({0})")]
    Blocked(String),
    /// The reply has neither text nor tool calls.
    #[error("the reply is empty")]
    Empty,
    /// The reply is unusable, with a description.
    #[error("the reply is malformed: {0}")]
    Malformed(&'static str),
    /// The call failed after part of its text was streamed to the client.
    #[error("the reply broke off after its beginning was told")]
    StreamInterrupted(#[source] Box<ProviderError>),
    /// The client disconnected before the reply was complete.
    #[error("nobody waits for the reply any more")]
    Abandoned,
}

/// The action that follows a failed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetryDecision {
    /// Retry the model after a delay.
    SameModel,
    /// Try the provider's next model.
    NextModel,
    /// Skip to the next provider.
    NextProvider,
    /// Make no further call.
    Stop,
}

impl ProviderError {
    /// A [`ProviderError::Blocked`] with the provider's reason. A reason that is not a single word is dropped, since
    /// it may quote the prompt.
    pub(crate) fn blocked(reason: &str) -> Self {
        Self::Blocked(if is_word(reason) { reason.to_owned() } else { "no reason".to_owned() })
    }

    /// The action that follows this error.
    pub(crate) fn retry_decision(&self) -> RetryDecision {
        match self {
            Self::Unreachable(_)
            | Self::ServerError { .. }
            | Self::RateLimited { .. }
            | Self::Empty
            | Self::Malformed(_) => RetryDecision::SameModel,
            // Quotas and size limits belong to one model. A model that timed out may do so again, and has used up its
            // share of the time.
            Self::TimedOut | Self::QuotaExhausted | Self::NoSuchModel | Self::Rejected { .. } => {
                RetryDecision::NextModel
            }
            Self::Unauthorized | Self::BalanceExhausted => RetryDecision::NextProvider,
            // A prompt that one model declined is not passed to another.
            Self::Blocked(_) => RetryDecision::Stop,
            // Streamed text cannot be taken back; a disconnected client needs no answer.
            Self::StreamInterrupted(_) | Self::Abandoned => RetryDecision::Stop,
        }
    }

    /// True when the error shows that the provider does not work, rather than that it rejects this one call. Such
    /// errors count towards opening the circuit breaker.
    pub(crate) fn is_provider_fault(&self) -> bool {
        match self {
            Self::StreamInterrupted(why) => why.is_provider_fault(),
            Self::TimedOut
            | Self::Unreachable(_)
            | Self::ServerError { .. }
            | Self::BalanceExhausted
            | Self::Unauthorized => true,
            _ => false,
        }
    }

    /// Delay before a retry, as requested by the provider.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::ServerError { retry_after, .. } | Self::RateLimited { retry_after } => *retry_after,
            _ => None,
        }
    }

    /// The status of the failed call for the ledger.
    pub(crate) fn status(&self) -> CallStatus {
        match self {
            Self::TimedOut => CallStatus::Timeout,
            Self::Unreachable(_) | Self::ServerError { .. } => CallStatus::Failed,
            Self::RateLimited { .. } => CallStatus::RateLimited,
            Self::QuotaExhausted | Self::BalanceExhausted => CallStatus::QuotaExhausted,
            Self::Unauthorized | Self::NoSuchModel | Self::Rejected { .. } => CallStatus::Refused,
            Self::Blocked(_) => CallStatus::Blocked,
            Self::Empty => CallStatus::Empty,
            Self::Malformed(_) => CallStatus::Malformed,
            Self::StreamInterrupted(why) => why.status(),
            Self::Abandoned => CallStatus::Abandoned,
        }
    }
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

/// True for 1 to 64 ASCII letters, digits and underscores.
pub(super) fn is_word(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
