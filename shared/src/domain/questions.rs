//! Answers to questions over the API, from the tenant's documents: the steps that the routes `/api/v1/query` and
//! `/api/v1/query/stream` share. Owns no table. The quota, the conversation, the ledger of model calls and the audit
//! log are written in two transactions, one before the search and the model call, one after them.

mod draft;

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::{sync::mpsc, time::Instant};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    approved_answers::{self, ApprovedAnswer},
    auth::{AuditedRead, Caller, SupportUser},
    conversations::{
        api,
        courtesies::{self, Courtesy},
        keywords,
    },
    customer_texts,
    db::{self, Db, TenantTx},
    documents::UnreadPages,
    embeddings::EmbedderRegistry,
    error::{ApiError, FieldError, Result},
    http::Envelope,
    idempotency::{self, IdempotencyClaim, IdempotencyKey, Replay},
    llm::{self, AnswerResult, AnswerStyle, LlmError, ModelCall, Provider, Turn, Usage},
    logging, messages,
    quota::{self, Quota, Reservation},
    retrieval::{self, Passage, Question, RetrievalError, SearchRequest},
    settings::Settings,
    tenants::{self, Identity},
    text::{self, Language},
    unconfirmed::{Admission, UnconfirmedLimits},
    usage::{self, UsageDelta},
};

pub use draft::AnswerDraft;

/// Time from the receipt of the request to the answer, the checks of the caller included. The transaction that stores
/// the answer comes after it. API Gateway's own timeout is 30 s.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(25);
/// Part of [`ANSWER_TIMEOUT`] that is reserved for the transaction after the model call.
const POST_MODEL_MARGIN: Duration = Duration::from_millis(500);
const DEFAULT_PASSAGES: u8 = 5;
/// Maximum number of passages that a question may ask for.
pub const MAX_PASSAGES: u8 = 20;
/// Maximum number of documents that a question may name.
pub const MAX_DOCUMENTS: usize = 100;
/// Name of the assistant in the prompt.
const DEFAULT_ASSISTANT_NAME: &str = "Lisa";

/// The steps from a question to its stored answer, with the clients that they use.
#[derive(Debug, Clone)]
pub struct QueryPipeline {
    db: Db,
    embedders: EmbedderRegistry,
    provider: Provider,
    unconfirmed: UnconfirmedLimits,
}

/// A question, with the documents to search.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[schema(example = json!({ "question": "Combien coûte la livraison à Abidjan ?" }))]
pub struct QueryRequest {
    question: Question,
    /// The conversation to continue: `conversation_id` of an earlier answer. Without it, a new conversation begins.
    conversation_id: Option<Uuid>,
    /// Documents to search, 1 to 100. Without it, all of the tenant's documents are searched.
    #[schema(min_items = 1, max_items = 100)]
    document_ids: Option<Vec<Uuid>>,
    /// Most passages to retrieve, 1 to 20. Without it, 5 are retrieved for a model, and 10 where there is none.
    #[schema(minimum = 1, maximum = 20)]
    top_k: Option<u8>,
}

/// A passage that supports the answer.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "number": 1, "document_id": "0b9f2c34-5a1f-4a57-9a43-2f6e6f0f6f01", "filename": "guide-livraison.pdf", "version": null,
    "page": 1, "location": "p. 1", "snippet": "La livraison à Abidjan coûte 1 500 F CFA.", "score": 2.31,
}))]
pub struct Citation {
    /// Number of the citation's markers in the answer's text: 1 for `[1]`.
    number: usize,
    pub(crate) document_id: Uuid,
    filename: String,
    /// Date of the cited document's version, in words, when another processed document has its name; null otherwise.
    version: Option<String>,
    /// First page of the passage, from 1; null in a file without pages.
    pub(crate) page: Option<i32>,
    /// Place of the quoted text, in words: `p. 3`, `Feuille Tarifs, ligne 12`, `section « Retours »`.
    location: String,
    /// Quoted text of the passage.
    snippet: String,
    /// Retrieval score. Comparable within one answer only.
    score: f64,
}

/// The answer to a question.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "answer": "La livraison à Abidjan coûte 1 500 F CFA.", "answered": true, "model": "extractive-1",
    "citations": [{
        "number": 1, "document_id": "0b9f2c34-5a1f-4a57-9a43-2f6e6f0f6f01", "filename": "guide-livraison.pdf", "page": 1,
        "location": "p. 1", "version": null, "snippet": "La livraison à Abidjan coûte 1 500 F CFA.", "score": 2.31,
    }],
    "usage": { "prompt_tokens": 0, "completion_tokens": 0 },
    "quota": {
        "is_pro": false, "free_quota_used": 1, "free_quota_limit": 8, "state": "normal", "paywall_should_show": false,
    },
    "conversation_id": "7a0c4a6e-0a5c-4e0b-9a57-1d2f3a4b5c6d", "pages_unread": [],
}))]
pub struct Answer {
    /// The answer's text, in the question's language.
    pub answer: String,
    /// Passages that support the answer.
    pub citations: Vec<Citation>,
    /// False when the documents do not contain the answer, or when no model answered. `answer` then says so.
    answered: bool,
    /// Source of the answer: a model's name, `extractive-1`, `approved-answer` for an answer that the tenant
    /// approved, `courtesy` for the answer to a greeting or thanks, which costs nothing, or `none` when no model
    /// answered; the request is then refunded.
    model: String,
    usage: Usage,
    /// Quota after this answer.
    quota: Quota,
    /// The conversation that holds the question and the answer. A later question that names it is understood as a
    /// follow-up. Null when a conversation would begin with a courtesy, or with a question that no model answered:
    /// nothing is stored then.
    #[schema(required)]
    conversation_id: Option<Uuid>,
    /// Documents with pages that were not read, so that the answer knows nothing of them: the cited ones, or, when
    /// there is no answer, at most twenty of those that were searched.
    pages_unread: Vec<UnreadPages>,
}

/// Outcome of [`QueryPipeline::begin`].
#[derive(Debug)]
pub enum BeginOutcome {
    /// The idempotency key was used before: the stored answer.
    Replay(Replay),
    /// The question is a courtesy: its answer, which costs nothing and is not stored.
    Courtesy(Box<Answer>),
    /// One request of the quota is reserved for the question.
    Reserved(Box<ReservedQuestion>),
}

/// A question for which one request of the quota is reserved.
#[derive(Debug)]
pub struct ReservedQuestion {
    /// The reserved request.
    pub reservation: Reservation,
    claim: IdempotencyClaim,
    /// Earlier messages of the conversation, the oldest first.
    history: Vec<Turn>,
    approved: Option<ApprovedAnswer>,
    /// The sentences of the company, and the language of fixed texts where that of the question is not certain.
    identity: Identity,
    admission: Admission,
}

/// Settlement of the reserved request when no answer is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// Returns the request to the quota, since there was no answer.
    Refund,
    /// Spends the request, since the client received a part of the answer and then disconnected.
    Charge,
}

/// Passages retrieved for a question, with the question as it was searched.
#[derive(Debug)]
pub struct RetrievedContext {
    /// The language of the question, for the search and the model.
    language: Language,
    /// The language of fixed texts: the question's where it is certain, else the company's.
    text_language: Language,
    /// The standalone question that was searched.
    standalone: String,
    passages: Vec<Passage>,
    /// True when the question could not be embedded and full text alone found nothing.
    search_failed: bool,
}

impl QueryRequest {
    /// Validates the ranges of the fields.
    ///
    /// # Errors
    /// 422 with the fields that are out of range.
    pub fn validate(&self) -> Result<()> {
        let mut wrong = Vec::new();
        if self.top_k.is_some_and(|top_k| !(1..=MAX_PASSAGES).contains(&top_k)) {
            wrong.push(FieldError::new("top_k", format!("must be between 1 and {MAX_PASSAGES}")));
        }
        if self.document_ids.as_ref().is_some_and(|ids| ids.is_empty() || ids.len() > MAX_DOCUMENTS) {
            wrong.push(FieldError::new("document_ids", format!("must name 1 to {MAX_DOCUMENTS} documents")));
        }
        if wrong.is_empty() { Ok(()) } else { Err(ApiError::validation(wrong)) }
    }
}

impl Citation {
    pub(crate) fn new(number: usize, passage: &Passage, snippet: String, language: Language) -> Self {
        Self {
            number,
            document_id: passage.document_id,
            filename: passage.filename.clone(),
            version: passage.version.map(|version| version.label(language)),
            page: passage.page(),
            location: passage.location(&snippet, language),
            snippet,
            score: passage.score,
        }
    }
}

impl RetrievedContext {
    /// Returns all passages as citations, numbered as the markers of a streamed answer.
    #[must_use]
    pub fn citations(&self) -> Vec<Citation> {
        let numbered = (1..).zip(&self.passages);
        numbered
            .map(|(number, passage)| Citation::new(number, passage, llm::excerpt(&passage.text), self.language))
            .collect()
    }

    /// Builds the question for the model from the passages.
    fn grounded_question<'a>(
        &'a self,
        request: &'a QueryRequest,
        history: &'a [Turn],
        style: AnswerStyle,
        deadline: Instant,
    ) -> llm::GroundedQuestion<'a> {
        llm::GroundedQuestion {
            text: request.question.as_str(),
            standalone: &self.standalone,
            history,
            language: self.language,
            instructions: None,
            assistant: DEFAULT_ASSISTANT_NAME,
            company: "this company",
            style,
            passages: &self.passages,
            deadline: deadline - POST_MODEL_MARGIN,
        }
    }
}

impl QueryPipeline {
    /// Reads the settings of the embedders and of the language models.
    pub fn read(settings: &mut Settings, db: &Db) -> Self {
        Self {
            db: db.clone(),
            embedders: EmbedderRegistry::read(settings),
            provider: Provider::read(settings),
            unconfirmed: UnconfirmedLimits::read(settings),
        }
    }

    /// Claims the idempotency key for the route and reserves one request of the quota. The transaction commits before
    /// the search begins, so that concurrent questions cannot exceed the quota.
    ///
    /// # Errors
    /// 402 when the quota is used up, 403 when the day's requests of unconfirmed accounts are, 404 for a document or a conversation that the tenant does not have, 409 and 422
    /// for an idempotency key that is in use for another request.
    pub async fn begin(
        &self,
        caller: &Caller<SupportUser>,
        path: &str,
        request: &QueryRequest,
        key: IdempotencyKey,
    ) -> Result<BeginOutcome> {
        let owner = caller.owner();
        let costs = self.provider.has_model() || !self.embedders.current().is_local();
        self.db
            .tenant_tx(caller.tenant(), async |tx| {
                if let Some(documents) = &request.document_ids
                    && !retrieval::all_documents_exist(tx, documents).await?
                {
                    return Err(ApiError::not_found("document"));
                }
                if let Some(conversation) = request.conversation_id
                    && !api::exists(tx, conversation).await?
                {
                    return Err(ApiError::not_found("conversation"));
                }
                let identity = tenants::identity(tx).await?;
                if let Some(courtesy) = courtesies::recognize(request.question.as_str(), &identity.names()) {
                    let answer = answer_courtesy(request, courtesy, &identity, quota::status(tx, owner).await?);
                    return Ok(BeginOutcome::Courtesy(Box::new(answer)));
                }
                let claim = match idempotency::begin(tx, key, path, request).await? {
                    idempotency::IdempotencyOutcome::Replay(replay) => {
                        audit_question(tx, caller, request, cited_documents(replay.body())).await?;
                        return Ok(BeginOutcome::Replay(replay));
                    }
                    idempotency::IdempotencyOutcome::Run(claim) => claim,
                };
                if answers_nothing(tx, request).await? {
                    claim.release(tx).await?;
                    let quota = quota::status(tx, owner).await?;
                    let answer = answer_courtesy(request, Courtesy::Acknowledgement, &identity, quota);
                    return Ok(BeginOutcome::Courtesy(Box::new(answer)));
                }
                let reservation = quota::reserve(tx, None).await?;
                let approved = approved_answers::find(tx, request.question.as_str()).await?;
                let history = match request.conversation_id {
                    Some(conversation) => messages::history(tx, conversation, &[]).await?,
                    None => Vec::new(),
                };
                let admission = self.unconfirmed.admit(tx, costs && approved.is_none()).await?;
                let reserved = ReservedQuestion { reservation, claim, history, approved, identity, admission };
                Ok(BeginOutcome::Reserved(Box::new(reserved)))
            })
            .await
    }

    /// Retrieves passages for the question. With an approved answer, nothing is searched. The calls of embedding models
    /// are appended to `calls`, since they are charged for.
    ///
    /// # Errors
    /// Fails when a statement fails. A failed embedding is no error: [`Self::answer`] then apologises.
    pub async fn search(
        &self,
        tenant: Uuid,
        request: &QueryRequest,
        reserved: &ReservedQuestion,
        calls: &mut Vec<ModelCall>,
    ) -> Result<RetrievedContext> {
        let question = request.question.as_str();
        let language = text::detect_language(question);
        let standalone = retrieval::standalone_question(question, language, &reserved.history).into_owned();
        let text_language = text::detect_message_language(question)
            .or_else(|| text::detect_message_language(&standalone))
            .unwrap_or(reserved.identity.language);
        if reserved.approved.is_some() {
            let passages = Vec::new();
            return Ok(RetrievedContext { language, text_language, standalone, passages, search_failed: false });
        }
        // The language of a short question may show only in its standalone form.
        let language = if language == Language::Other { text::detect_language(&standalone) } else { language };
        let search_request = SearchRequest {
            question,
            standalone: &standalone,
            language,
            documents: request.document_ids.as_deref(),
            limit: request.top_k.unwrap_or(self.default_passages(reserved)).into(),
        };
        let (passages, search_failed) =
            match retrieval::embed_and_search(&self.db, &self.embedders, tenant, &search_request, calls).await {
                Ok(passages) => (passages, false),
                Err(RetrievalError::Embedding(_)) => (Vec::new(), true),
                Err(RetrievalError::Database(error)) => return Err(error),
            };
        Ok(RetrievedContext { language, text_language, standalone, passages, search_failed })
    }

    /// Returns the number of passages for a question that does not say it. A model is sent few.
    fn default_passages(&self, reserved: &ReservedQuestion) -> u8 {
        let has_model = self.provider.has_model() && reserved.admission.may_use_models;
        if has_model { DEFAULT_PASSAGES } else { retrieval::PASSAGES_WITHOUT_MODEL }
    }

    /// Generates the answer before the deadline: an apology when the model declined or no model answered. Model calls
    /// are appended to `calls`, failed ones too, since they are charged for. With `deltas`, the text is sent while
    /// the model generates it, and its markers have the numbers of [`RetrievedContext::citations`].
    pub async fn answer(
        &self,
        request: &QueryRequest,
        reserved: &ReservedQuestion,
        context: &RetrievedContext,
        deadline: Instant,
        deltas: Option<mpsc::Sender<String>>,
        calls: &mut Vec<ModelCall>,
    ) -> AnswerDraft {
        if let Some(approved) = &reserved.approved {
            return AnswerDraft::approved(approved, context.language);
        }
        if context.search_failed {
            return AnswerDraft::apology(false, context.text_language);
        }
        let style = if deltas.is_some() { AnswerStyle::PassageNumbers } else { AnswerStyle::SourceNumbers };
        let grounded = context.grounded_question(request, &reserved.history, style, deadline);
        let provider = if reserved.admission.may_use_models { &self.provider } else { &Provider::Extractive };
        let embedder = self.embedders.current();
        let AnswerResult { outcome, calls: made } = retrieval::answer(provider, embedder, &grounded, deltas).await;
        calls.extend(made);
        match outcome {
            Ok(completion) => AnswerDraft::from_completion(completion, context, &reserved.identity, style),
            Err(error) => {
                if !error.is_abandoned() {
                    tracing::warn!(error = logging::chain(&error), "a question has no answer");
                }
                AnswerDraft::apology(matches!(error, LlmError::Blocked(_)), context.text_language)
            }
        }
    }

    /// Spends the request and stores the answer. An apology is not stored: the request is refunded and the
    /// idempotency key released. When storing fails, the caller gets an error rather than a free answer, and
    /// maintenance refunds the request when the reservation expires. `shown` lists passages that the client received
    /// besides the cited ones, for the audit log.
    ///
    /// # Errors
    /// Fails when a statement fails.
    pub async fn finish(
        &self,
        caller: &Caller<SupportUser>,
        request: &QueryRequest,
        reserved: &ReservedQuestion,
        draft: AnswerDraft,
        shown: &[Citation],
        calls: &[ModelCall],
    ) -> Result<Envelope<Answer>> {
        db::renew_wait();
        if draft.is_apology() {
            self.settle(caller, request, reserved, Settlement::Refund, shown, calls).await;
            let quota = reserved.reservation.quota_after_refund();
            return Ok(Envelope { success: true, data: draft.into_answer(quota, request.conversation_id) });
        }
        self.db
            .tenant_tx(caller.tenant(), async |tx| {
                quota::charge(tx, &reserved.reservation).await?;
                usage::record_calls(tx, None, "query", calls).await?;
                let documents = draft.citations().iter().chain(shown).map(|citation| citation.document_id);
                audit_question(tx, caller, request, documents).await?;
                let answer = draft.store(tx, caller.user, request, calls, reserved.reservation.quota).await?;
                let answer = Envelope { success: true, data: answer };
                reserved.claim.finish(tx, 200, &answer).await?;
                Ok(answer)
            })
            .await
    }

    /// Settles a question without storing an answer: refunds or spends the request and releases the idempotency key.
    /// When the transaction fails, maintenance refunds the request when the reservation expires.
    pub async fn settle(
        &self,
        caller: &Caller<SupportUser>,
        request: &QueryRequest,
        reserved: &ReservedQuestion,
        settlement: Settlement,
        shown: &[Citation],
        calls: &[ModelCall],
    ) {
        db::renew_wait();
        let closed: Result<()> = self
            .db
            .tenant_tx(caller.tenant(), async |tx| {
                match settlement {
                    Settlement::Refund => quota::refund(tx, &reserved.reservation).await?,
                    Settlement::Charge => quota::charge(tx, &reserved.reservation).await?,
                }
                usage::record_calls(tx, None, "query", calls).await?;
                if settlement == Settlement::Charge || !calls.is_empty() {
                    let requests = i32::from(settlement == Settlement::Charge);
                    usage::add(tx, &UsageDelta { requests, ..UsageDelta::default() }.with_calls(calls)).await?;
                }
                reserved.claim.release(tx).await?;
                if !shown.is_empty() {
                    audit_question(tx, caller, request, shown.iter().map(|citation| citation.document_id)).await?;
                }
                Ok(())
            })
            .await;
        if let Err(error) = closed {
            tracing::warn!(error = logging::chain(&error), "the reservation goes back when it expires");
        }
    }
}

/// Returns true for a bare yes or no to nothing: the last answer of the conversation found nothing or asked nothing, or
/// there is none.
async fn answers_nothing(tx: &mut TenantTx, request: &QueryRequest) -> Result<bool> {
    if !keywords::is_bare_answer(request.question.as_str()) {
        return Ok(false);
    }
    let Some(conversation) = request.conversation_id else { return Ok(true) };
    let last = messages::last_outbound(tx, conversation).await?;
    Ok(!last.is_some_and(|last| last.is_answer && last.is_question))
}

/// Returns the fixed answer to a courtesy, which costs nothing.
fn answer_courtesy(request: &QueryRequest, courtesy: Courtesy, identity: &Identity, quota: Quota) -> Answer {
    let language = text::detect_message_language(request.question.as_str()).unwrap_or(identity.language);
    let draft = AnswerDraft::courtesy(customer_texts::courtesy_over_api(courtesy, identity, language), language);
    draft.into_answer(quota, request.conversation_id)
}

/// Records in the audit log that a support user has seen passages of `documents` in the answer to a question.
async fn audit_question(
    tx: &mut TenantTx,
    caller: &Caller<SupportUser>,
    request: &QueryRequest,
    documents: impl Iterator<Item = Uuid>,
) -> Result<()> {
    let documents: BTreeSet<_> = documents.collect();
    let details = match request.conversation_id {
        Some(conversation) => serde_json::json!({ "documents": documents, "conversation": conversation }),
        None => serde_json::json!({ "documents": documents }),
    };
    caller.audit_read(tx, AuditedRead::of_tenant("documents.queried").with_details(details)).await
}

/// Returns the ids of the documents that a stored answer cites.
fn cited_documents(answer: &serde_json::Value) -> impl Iterator<Item = Uuid> {
    let citations = answer["data"]["citations"].as_array().into_iter().flatten();
    citations.filter_map(|citation| citation["document_id"].as_str()?.parse().ok())
}
