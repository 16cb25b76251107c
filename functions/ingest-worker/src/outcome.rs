//! The outcome of an ingestion attempt, and its errors.

use std::time::Duration;

use shared::{
    documents::{DocumentFailure, StoreOutcome},
    error::{ApiError, BoxError},
    logging,
    pdf::PdfError,
};

/// Number of times that an attempt at a document is repeated after a temporary fault, or after a worker that died.
pub(crate) const MAX_RETRIES: i32 = 3;

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
    /// A temporary fault outside the document: the next attempt may succeed. The document fails with the last attempt.
    #[error("temporary failure")]
    Transient(#[source] BoxError),
    /// The file could not be read from storage. Such an attempt costs nothing and is not counted.
    #[error("the file cannot be read now")]
    Storage(#[source] BoxError),
    /// The embedding provider failed: the next attempt may succeed. The document fails with the last attempt.
    #[error("embedding failed")]
    Embedding(#[source] BoxError),
}

impl IngestError {
    /// Returns the code of the document when no further attempt is made, with the detail; `None` when the queue must
    /// deliver the message again. `attempts` counts the attempts at the document, this one included.
    pub(crate) fn final_failure(&self, attempts: i32) -> Option<(DocumentFailure, String)> {
        let is_last = attempts > MAX_RETRIES;
        match self {
            Self::Permanent(failure, detail) => Some((*failure, detail.clone())),
            Self::Transient(cause) if is_last => {
                Some((DocumentFailure::ProcessingFailed, logging::chain(cause.as_ref())))
            }
            Self::Embedding(cause) if is_last => {
                Some((DocumentFailure::EmbeddingFailed, logging::chain(cause.as_ref())))
            }
            Self::Transient(_) | Self::Embedding(_) | Self::Storage(_) => None,
        }
    }

    /// Returns true when the attempt counts.
    pub(crate) fn counts(&self) -> bool {
        !matches!(self, Self::Storage(_))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_temporary_faults_are_repeated_three_times_at_most() {
        let transient = IngestError::Transient("down".into());
        let embedding = IngestError::Embedding("down".into());
        let storage = IngestError::Storage("down".into());
        let permanent = IngestError::Permanent(DocumentFailure::Corrupt, "cut".to_owned());
        for attempts in 1..=3 {
            assert_eq!(transient.final_failure(attempts), None);
            assert_eq!(embedding.final_failure(attempts), None);
            assert_eq!(permanent.final_failure(attempts), Some((DocumentFailure::Corrupt, "cut".to_owned())));
        }
        assert_eq!(transient.final_failure(4), Some((DocumentFailure::ProcessingFailed, "down".to_owned())));
        assert_eq!(embedding.final_failure(4), Some((DocumentFailure::EmbeddingFailed, "down".to_owned())));
        assert_eq!((storage.final_failure(4), storage.counts(), transient.counts()), (None, false, true));
    }
}
