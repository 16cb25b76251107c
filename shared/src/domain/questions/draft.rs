//! An answer before it is stored: from a model, from the tenant's approved answers, or an apology when no model
//! answered.

use uuid::Uuid;

use super::{Answer, Citation, QueryRequest, RetrievedContext};
use crate::{
    approved_answers::{self, ApprovedAnswer},
    conversations::{
        api::{self, Exchange},
        courtesies,
    },
    customer_texts,
    db::TenantTx,
    documents,
    error::{ApiError, Result},
    llm::{AnswerStyle, GroundedAnswer, ModelCall, Usage},
    quota::Quota,
    tenants::Identity,
    text::Language,
    usage::{self, UsageDelta},
};

/// [`Answer::model`] when no model answered.
const NO_MODEL: &str = "none";

/// An answer that is not stored yet.
#[derive(Debug)]
pub struct AnswerDraft {
    text: String,
    citations: Vec<Citation>,
    answered: bool,
    model: String,
    usage: Usage,
    language: Language,
    /// True when the text only says that no model answered. An apology costs nothing and is not stored.
    is_apology: bool,
}

impl AnswerDraft {
    /// Makes the answer from a model's completion. Citations get the numbers of the markers in its text.
    pub(super) fn from_completion(
        completion: GroundedAnswer,
        context: &RetrievedContext,
        identity: &Identity,
        style: AnswerStyle,
    ) -> Self {
        let numbered = (1..).zip(completion.sources);
        let citations = numbered.filter_map(|(position, source)| {
            let number = if style == AnswerStyle::PassageNumbers { source.passage + 1 } else { position };
            Some(Citation::new(number, context.passages.get(source.passage)?, source.quote, context.language))
        });
        let citations = citations.collect();
        let answered = completion.answer.is_some();
        Self {
            text: completion
                .answer
                .unwrap_or_else(|| customer_texts::not_in_the_documents_over_api(identity, context.text_language)),
            citations,
            answered,
            model: completion.model,
            usage: completion.usage,
            language: context.language,
            is_apology: false,
        }
    }

    /// Returns the text of the answer.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Makes the apology for a question that no model answered, or that the model declined.
    pub(super) fn apology(is_declined: bool, language: Language) -> Self {
        let text = if is_declined {
            customer_texts::will_not_answer_over_api(language)
        } else {
            customer_texts::failed_over_api(language)
        };
        Self {
            text: text.to_owned(),
            citations: Vec::new(),
            answered: false,
            model: NO_MODEL.to_owned(),
            usage: Usage::default(),
            language,
            is_apology: true,
        }
    }

    /// Makes the answer to a courtesy, which is not stored.
    pub(super) fn courtesy(text: String, language: Language) -> Self {
        Self {
            text,
            citations: Vec::new(),
            answered: true,
            model: courtesies::MODEL.to_owned(),
            usage: Usage::default(),
            language,
            is_apology: false,
        }
    }

    /// Makes the answer from the tenant's approved answer.
    pub(super) fn approved(approved: &ApprovedAnswer, language: Language) -> Self {
        Self {
            text: approved.answer.clone(),
            citations: Vec::new(),
            answered: true,
            model: approved_answers::MODEL.to_owned(),
            usage: Usage::default(),
            language,
            is_apology: false,
        }
    }

    /// Stores question and answer in the conversation, a new one for a first question, and adds them to the tenant's
    /// usage of the day.
    pub(super) async fn store(
        self,
        tx: &mut TenantTx,
        user: Uuid,
        request: &QueryRequest,
        calls: &[ModelCall],
        quota: Quota,
    ) -> Result<Answer> {
        let (conversation, is_first) = match request.conversation_id {
            Some(conversation) => (conversation, usage::has_no_outbound_today(tx, conversation).await?),
            None => (api::create(tx, user, self.language).await?, true),
        };
        let used = UsageDelta {
            conversations: i32::from(is_first),
            messages: 2,
            requests: 1,
            bot_answers: i32::from(self.answered),
            unanswered: i32::from(!self.answered),
            ..UsageDelta::default()
        };
        usage::add(tx, &used.with_calls(calls)).await?;
        let exchange = Exchange {
            user,
            question: request.question.as_str(),
            answer: &self.text,
            citations: serde_json::to_value(&self.citations)
                .map_err(|error| ApiError::internal().with_source(error))?,
            answered: self.answered,
            model: &self.model,
            usage: self.usage,
        };
        api::append(tx, conversation, &exchange).await?;
        let cited: Vec<Uuid> = self.citations.iter().map(|citation| citation.document_id).collect();
        let searched = if self.answered { Some(cited.as_slice()) } else { request.document_ids.as_deref() };
        let pages_unread = documents::unread_pages(tx, searched).await?;
        Ok(Answer { pages_unread, ..self.into_answer(quota, Some(conversation)) })
    }

    /// Converts the draft to the response.
    pub(super) fn into_answer(self, quota: Quota, conversation_id: Option<Uuid>) -> Answer {
        Answer {
            answer: self.text,
            citations: self.citations,
            answered: self.answered,
            model: self.model,
            usage: self.usage,
            quota,
            conversation_id,
            pages_unread: Vec::new(),
        }
    }

    /// Returns the passages that support the answer.
    pub(super) fn citations(&self) -> &[Citation] {
        &self.citations
    }

    /// Returns true when the text only says that no model answered. An apology costs nothing and is not stored.
    pub(super) fn is_apology(&self) -> bool {
        self.is_apology
    }
}
