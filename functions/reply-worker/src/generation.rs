//! The generation of a reply, as each mode gets and returns it: its input, the reply and its error.

use std::borrow::Cow;

use serde_json::{Value, json};
use shared::{
    approved_answers::{self, ApprovedAnswer},
    conversations::Lease,
    error::{ApiError, BoxError},
    llm::{LlmError, Turn, Usage},
    orders::OrderDraft,
    text::Language,
};
use tokio::time::Instant;
use uuid::Uuid;

/// A generated reply.
#[derive(Debug)]
pub(crate) struct GeneratedReply {
    /// The text for the contact.
    pub(crate) text: String,
    /// The answer's citations, as JSON.
    pub(crate) citations: Option<Value>,
    /// True when the answer comes from the documents or the catalogue.
    pub(crate) answered: bool,
    /// The model that generated the text.
    pub(crate) model: String,
    /// Tokens used.
    pub(crate) usage: Usage,
    /// The order draft that the text proposes, if any.
    pub(crate) draft: Option<OrderDraft>,
    /// True when the model hands the conversation over to a person.
    pub(crate) hands_over: bool,
}

impl GeneratedReply {
    /// Creates the reply from an answer that the tenant approved.
    pub(crate) fn from_approved_answer(approved: ApprovedAnswer) -> Self {
        Self {
            text: approved.answer,
            citations: Some(json!([])),
            answered: true,
            model: approved_answers::MODEL.to_owned(),
            usage: Usage::default(),
            draft: None,
            hands_over: false,
        }
    }
}

/// The error of a generation. The model calls that were made cost nevertheless, and are recorded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplyError {
    /// The model, or the embedding model, failed.
    #[error("the model gave no answer")]
    Model(#[source] BoxError),
    /// The model declined to answer, and would decline again.
    #[error("the model declined to answer")]
    Declined(#[source] LlmError),
    /// Another error.
    #[error(transparent)]
    Other(#[from] ApiError),
}

impl ReplyError {
    /// Returns true when another attempt would fail too.
    pub(crate) fn is_permanent(&self) -> bool {
        matches!(self, Self::Declined(_))
    }
}

impl From<LlmError> for ReplyError {
    fn from(error: LlmError) -> Self {
        match error {
            LlmError::Blocked(_) => Self::Declined(error),
            LlmError::NoModel | LlmError::Failed(_) => Self::Model(error.into()),
        }
    }
}

/// The input of a generation.
#[derive(Debug)]
pub(crate) struct ReplyRequest<'a> {
    pub(crate) tenant: Uuid,
    pub(crate) lease: &'a Lease,
    /// The pending messages as one text.
    pub(crate) question: &'a str,
    /// The standalone question for retrieval: a follow-up question together with the earlier one.
    pub(crate) standalone: Cow<'a, str>,
    pub(crate) language: Language,
    /// Earlier messages, oldest first.
    pub(crate) history: &'a [Turn],
    /// Deadline of the generation.
    pub(crate) deadline: Instant,
}
