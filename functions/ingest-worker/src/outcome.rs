//! The outcome of an ingestion attempt, and its errors.

use std::time::Duration;

use shared::{
    documents::{DocumentFailure, StoreOutcome},
    error::{ApiError, BoxError},
    pdf::PdfError,
};

/// Outcome of an ingestion attempt.
#[derive(Debug)]
pub(crate) enum IngestOutcome {
    /// The document has a final status, or was deleted.
    Done,
    /// Another invocation must continue, after this time.
    Continue(Duration),
    /// The tenant switched to another embedding model: the ingestion must restart.
    ModelChanged,
}

impl IngestOutcome {
    /// Maps the outcome of storing the last chunks.
    pub(crate) fn from_store(stored: StoreOutcome) -> Self {
        match stored {
            StoreOutcome::Stored | StoreOutcome::DocumentGone => Self::Done,
            StoreOutcome::ModelChanged => Self::ModelChanged,
        }
    }
}

/// Error of an ingestion attempt.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IngestError {
    /// The document cannot be processed: it is marked as failed, with a reason for its owner.
    #[error("{0:?}: {1}")]
    Permanent(DocumentFailure, String),
    /// A temporary fault outside the document: the next attempt may succeed.
    #[error("temporary failure")]
    Transient(#[source] BoxError),
    /// The embedding provider failed: the next attempt may succeed. The document fails with the last attempt.
    #[error("embedding failed")]
    Embedding(#[source] BoxError),
}

impl From<ApiError> for IngestError {
    fn from(error: ApiError) -> Self {
        Self::Transient(error.into())
    }
}

impl From<PdfError> for IngestError {
    fn from(error: PdfError) -> Self {
        match error.code().and_then(DocumentFailure::from_code) {
            Some(failure) => Self::Permanent(failure, error.to_string()),
            None => Self::Transient(error.into()),
        }
    }
}
