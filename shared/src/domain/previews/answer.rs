//! Answers to test questions: what a contact would get on WhatsApp, without a conversation.

use serde::Serialize;
use tokio::time::timeout_at;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{PreviewMode, PreviewPipeline, PreviewUsage, Setup, Shop};
use crate::{
    approved_answers,
    company_config::PromptField,
    customer_texts,
    error::Result,
    llm::{self, AnswerStyle, LlmError, Usage},
    logging,
    questions::Citation,
    retrieval::{self, Passage, RetrievalError, SearchRequest},
    sales::{self, SalesError, SalesPrompts, SalesRequest},
    text::{self, Language},
};

/// Passages for a model that answers from documents, as on WhatsApp.
const PASSAGES_FOR_MODEL: i64 = 6;
/// Stands in place of a model's name when no model answered.
const NO_MODEL: &str = "none";

/// The assistant's reaction to a test question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PreviewAction {
    /// Answers, or says that it knows no answer.
    Answer,
    /// Proposes an order, and waits for the contact's yes.
    ProposeOrder,
    /// Hands the conversation over to a person.
    HandOver,
}

/// Answer to a test question.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreviewAnswer {
    /// Text of the answer.
    pub(super) answer: String,
    /// False when the documents do not contain the answer, or when no model answered.
    pub(super) answered: bool,
    /// Mode in which the question was answered.
    mode: PreviewMode,
    /// Prompt of the draft, or of the configuration, that a model was told; null when there is none for the mode, when
    /// no model was asked, and for an approved answer.
    #[schema(required)]
    prompt: Option<PromptField>,
    /// The assistant's reaction.
    action: PreviewAction,
    /// Passages that support the answer.
    pub(super) citations: Vec<Citation>,
    /// Source of the answer, as in an answer to a question.
    model: String,
    usage: Usage,
    /// Approved answer that was given.
    #[serde(skip)]
    pub(super) approved: Option<Uuid>,
    /// True when no model answered, so that nothing is known of the draft.
    #[serde(skip)]
    pub(super) has_failed: bool,
}

impl PreviewAnswer {
    /// An answer without citations.
    fn plain(mode: PreviewMode, answer: String, answered: bool, model: &str) -> Self {
        Self {
            answer,
            answered,
            mode,
            prompt: None,
            action: PreviewAction::Answer,
            citations: Vec::new(),
            model: model.to_owned(),
            usage: Usage::default(),
            approved: None,
            has_failed: false,
        }
    }

    /// The sentence for a question that no model answered.
    fn failed(mode: PreviewMode, language: Language) -> Self {
        Self { has_failed: true, ..Self::plain(mode, customer_texts::failed(language).to_owned(), false, NO_MODEL) }
    }

    /// The sentence for a question that no model answered, because of an error.
    fn of_error(mode: PreviewMode, error: &LlmError, language: Language) -> Self {
        if let LlmError::Blocked(_) = error {
            return Self::plain(mode, customer_texts::will_not_answer(language).to_owned(), false, NO_MODEL);
        }
        tracing::warn!(error = logging::chain(error), "a preview has no answer");
        Self::failed(mode, language)
    }
}

impl PreviewPipeline {
    /// Answers a question as it would be answered on WhatsApp, without a conversation: in mode LIVE with a `shop`, else
    /// from the documents. Counts into `spent`, also when it fails.
    pub(super) async fn answer(
        &self,
        setup: &Setup,
        shop: Option<&Shop>,
        question: &str,
        spent: &mut PreviewUsage,
    ) -> Result<PreviewAnswer> {
        let mode = if shop.is_some() { PreviewMode::Live } else { PreviewMode::Rag };
        let approved =
            self.db.tenant_tx(setup.tenant, async |tx| Ok(approved_answers::find(tx, question).await?)).await?;
        if let Some(approved) = approved {
            let answer = PreviewAnswer::plain(mode, approved.answer, true, approved_answers::MODEL);
            return Ok(PreviewAnswer { approved: Some(approved.id), ..answer });
        }
        spent.questions += i32::from(setup.costs);
        let language = text::detect_message_language(question).unwrap_or(setup.identity.language);
        // Without a model, nobody sells: the bot answers from the documents.
        let shop = shop.filter(|_| setup.provider.has_model());
        let most = match (shop, setup.provider.has_model()) {
            (Some(_), _) => sales::MAX_PASSAGES,
            (None, true) => PASSAGES_FOR_MODEL,
            (None, false) => retrieval::PASSAGES_WITHOUT_MODEL.into(),
        };
        let Some(passages) = self.search(setup, question, language, most, spent).await? else {
            return Ok(PreviewAnswer::failed(mode, language));
        };
        Ok(match shop {
            Some(shop) => sell(setup, shop, question, language, &passages, spent).await,
            None => self.answer_from_documents(setup, mode, question, language, &passages, spent).await,
        })
    }

    /// Retrieves passages for a question; `None` when the question could not be embedded in time.
    async fn search(
        &self,
        setup: &Setup,
        question: &str,
        language: Language,
        limit: i64,
        spent: &mut PreviewUsage,
    ) -> Result<Option<Vec<Passage>>> {
        let search = SearchRequest { question, standalone: question, language, documents: None, limit };
        let searching = retrieval::embed_and_search(&self.db, &self.embedders, setup.tenant, &search, &mut spent.calls);
        match timeout_at(setup.deadline, searching).await {
            Ok(Ok(passages)) => Ok(Some(passages)),
            Ok(Err(RetrievalError::Database(error))) => Err(error),
            Ok(Err(RetrievalError::Embedding(_))) | Err(_) => Ok(None),
        }
    }

    /// Generates an answer from the passages.
    async fn answer_from_documents(
        &self,
        setup: &Setup,
        mode: PreviewMode,
        question: &str,
        language: Language,
        passages: &[Passage],
        spent: &mut PreviewUsage,
    ) -> PreviewAnswer {
        let grounded = llm::GroundedQuestion {
            text: question,
            standalone: question,
            history: &[],
            language,
            instructions: setup.prompt_rag.as_deref(),
            assistant: &setup.identity.assistant,
            company: &setup.identity.company,
            style: AnswerStyle::WhatsApp,
            passages,
            deadline: setup.deadline,
        };
        let result = retrieval::answer(&setup.provider, self.embedders.current(), &grounded, None).await;
        spent.calls.extend(result.calls);
        let completion = match result.outcome {
            Ok(completion) => completion,
            Err(error) => return PreviewAnswer::of_error(mode, &error, language),
        };
        let numbered = (1..).zip(completion.sources);
        let citations = numbered.filter_map(|(number, source)| {
            Some(Citation::new(number, passages.get(source.passage)?, source.quote, language))
        });
        let citations = citations.collect();
        let is_told = setup.provider.has_model() && setup.prompt_rag.is_some();
        let answered = completion.answer.is_some();
        let refusal = || customer_texts::not_in_the_documents(&setup.identity, language);
        let text = completion.answer.unwrap_or_else(refusal);
        PreviewAnswer {
            prompt: is_told.then_some(PromptField::Rag),
            citations,
            usage: completion.usage,
            ..PreviewAnswer::plain(mode, text, answered, &completion.model)
        }
    }
}

/// Generates a reply in mode LIVE, as to a contact without orders.
async fn sell(
    setup: &Setup,
    shop: &Shop,
    question: &str,
    language: Language,
    passages: &[Passage],
    spent: &mut PreviewUsage,
) -> PreviewAnswer {
    let prompts = SalesPrompts { groq: setup.prompt_groq.as_deref(), deepseek: setup.prompt_deepseek.as_deref() };
    let chosen = prompts.choose(setup.provider.name());
    let request = SalesRequest {
        identity: &setup.identity,
        prompt: chosen.map(|(_, prompt)| prompt),
        question,
        language,
        history: &[],
        catalogue: &shop.catalogue,
        open_order: None,
        proposed: None,
        passages,
        currency: &shop.currency,
        customer_name: None,
        now: crate::clock::now(),
        deadline: setup.deadline,
    };
    let result = sales::reply(&setup.provider, &request).await;
    spent.calls.extend(result.calls);
    let reply = match result.outcome {
        Ok(reply) => reply,
        Err(SalesError::Model(error)) => return PreviewAnswer::of_error(PreviewMode::Live, &error, language),
        Err(error @ (SalesError::Empty | SalesError::RepeatsInstructions)) => {
            tracing::warn!(error = logging::chain(&error), "a preview has no answer");
            return PreviewAnswer::failed(PreviewMode::Live, language);
        }
    };
    let (action, text) = match reply {
        reply if reply.hands_over => (PreviewAction::HandOver, setup.identity.handover(language)),
        reply if reply.draft.is_some() => (PreviewAction::ProposeOrder, reply.text),
        reply => (PreviewAction::Answer, reply.text),
    };
    PreviewAnswer {
        prompt: chosen.map(|(field, _)| field),
        action,
        usage: result.usage,
        ..PreviewAnswer::plain(PreviewMode::Live, text, true, &result.model)
    }
}
