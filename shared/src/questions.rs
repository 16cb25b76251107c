//! A question of the API, answered from the tenant's documents: what `POST /api/v1/query` and its stream have in common.
//! Owns no table; the unit of the quota, the ledger of calls and the audit log are kept here, in that order of their
//! transactions.

use std::{collections::BTreeSet, time::Duration};

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::{sync::mpsc, time::Instant};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    audit,
    auth::{Caller, SupportUser},
    db::{Db, TenantTx},
    embeddings::Embedders,
    error::{ApiError, FieldError, Result},
    http::Envelope,
    idempotency::{self, Claim, Outcome, Replay},
    llm::{self, Answered, Call, Completion, LlmError, Provider, Style, Usage},
    logging,
    quota::{self, Quota, Reservation},
    retrieval::{self, FindError, Passage, Question, Wanted},
    settings::Settings,
    text::{self, Language},
    usage,
};

/// For everything between the question and the answer; API Gateway gives up after 30 s.
pub const DEADLINE: Duration = Duration::from_secs(25);
/// Of the deadline, for what comes after the model.
const ROOM: Duration = Duration::from_millis(500);
const DEFAULT_PASSAGES: u8 = 5;
const MOST_PASSAGES: u8 = 20;
const MOST_DOCUMENTS: usize = 100;
/// What the assistant is called when nobody gave it another name.
const ASSISTANT: &str = "Lisa";

/// What answering takes.
#[derive(Debug, Clone)]
pub struct Questions {
    db: Db,
    embedders: Embedders,
    provider: Provider,
}

/// A question.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[schema(example = json!({ "question": "Combien coûte la livraison à Abidjan ?" }))]
pub struct Ask {
    question: Question,
    /// A conversation to go on with.
    conversation_id: Option<Uuid>,
    /// Only these documents; at most 100.
    #[schema(max_items = 100)]
    document_ids: Option<Vec<Uuid>>,
    /// How many passages are looked at, 1 to 20.
    #[schema(minimum = 1, maximum = 20, default = 5)]
    top_k: Option<u8>,
}

/// A passage that the answer rests on.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "number": 1, "document_id": "0b9f2c34-5a1f-4a57-9a43-2f6e6f0f6f01", "filename": "guide-livraison.pdf", "page": 1,
    "snippet": "La livraison à Abidjan coûte 1 500 F CFA.", "score": 2.31,
}))]
pub struct Citation {
    /// That of its markers in the text: `[1]`.
    number: usize,
    document_id: Uuid,
    filename: String,
    /// From 1.
    page: i32,
    /// What is quoted.
    snippet: String,
    /// Comparable within one answer only.
    score: f64,
}

/// An answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct Answer {
    /// In the question's language.
    #[schema(example = "La livraison à Abidjan coûte 1 500 F CFA.")]
    pub answer: String,
    /// What it rests on.
    pub citations: Vec<Citation>,
    /// False when the documents do not say; the answer then is a polite sentence that says so.
    answered: bool,
    /// Who answered: a model's name, or `extractive-1`.
    #[schema(example = "extractive-1")]
    model: String,
    usage: Usage,
    /// After this answer.
    quota: Quota,
    /// Null as long as API questions are not kept in conversations.
    #[schema(example = json!(null))]
    conversation_id: Option<Uuid>,
}

/// How a question begins.
#[derive(Debug)]
pub enum Begun {
    /// It was answered before.
    Replay(Replay),
    /// Its unit is taken.
    Reserved(Option<Claim>, Reservation),
}

/// What was found for a question.
#[derive(Debug)]
pub struct Found {
    language: Language,
    passages: Vec<Passage>,
}

impl Ask {
    /// Refuses what is out of its range, or names what there is not.
    ///
    /// # Errors
    /// 422 with the fields; 404 for a conversation.
    pub fn check(&self) -> Result<()> {
        let mut wrong = Vec::new();
        if self.top_k.is_some_and(|most| !(1..=MOST_PASSAGES).contains(&most)) {
            wrong.push(FieldError::new("top_k", format!("must be between 1 and {MOST_PASSAGES}")));
        }
        if self.document_ids.as_ref().is_some_and(|ids| ids.is_empty() || ids.len() > MOST_DOCUMENTS) {
            wrong.push(FieldError::new("document_ids", format!("must name 1 to {MOST_DOCUMENTS} documents")));
        }
        if !wrong.is_empty() {
            return Err(ApiError::validation(wrong));
        }
        // None is kept yet, so none can be named.
        if self.conversation_id.is_some() { Err(ApiError::not_found("conversation")) } else { Ok(()) }
    }
}

impl Citation {
    fn new(number: usize, passage: &Passage, snippet: String) -> Self {
        Self {
            number,
            document_id: passage.document_id,
            filename: passage.filename.clone(),
            page: passage.page_start,
            snippet,
            score: passage.score,
        }
    }
}

impl Found {
    /// All passages, each under the number that markers of a streamed answer have for it.
    #[must_use]
    pub fn citations(&self) -> Vec<Citation> {
        let numbered = (1..).zip(&self.passages);
        numbered.map(|(number, passage)| Citation::new(number, passage, llm::excerpt(&passage.text))).collect()
    }

    fn ask<'a>(&'a self, ask: &'a Ask, style: Style, deadline: Instant) -> llm::Ask<'a> {
        llm::Ask {
            question: ask.question.as_str(),
            history: &[],
            language: self.language,
            instructions: None,
            assistant: ASSISTANT,
            company: "this company",
            style,
            passages: &self.passages,
            deadline: deadline - ROOM,
        }
    }

    fn answer(&self, completion: Completion, style: Style, quota: Quota) -> Answer {
        let listed = (1..).zip(completion.sources);
        let citations = listed.filter_map(|(place, source)| {
            let number = if style == Style::AsGiven { source.passage + 1 } else { place };
            Some(Citation::new(number, self.passages.get(source.passage)?, source.quote))
        });
        let citations = citations.collect();
        let answered = completion.answer.is_some();
        Answer {
            answer: completion.answer.unwrap_or_else(|| not_in_the_documents(self.language).to_owned()),
            citations,
            answered,
            model: completion.model,
            usage: completion.usage,
            quota,
            conversation_id: None,
        }
    }
}

impl Questions {
    /// Reads what the embedder and the provider read.
    pub fn read(settings: &mut Settings, db: &Db) -> Self {
        Self { db: db.clone(), embedders: Embedders::read(settings), provider: Provider::read(settings) }
    }

    /// Claims the key of the route and takes the unit, in a transaction of their own: it is committed before the work
    /// begins, so that of any number of questions at once only as many are worked on as are left.
    ///
    /// # Errors
    /// 402 without a unit, 404 for a document that the tenant has not, 409 and 422 for a key that is in use otherwise.
    pub async fn begin(
        &self,
        caller: &Caller<SupportUser>,
        path: &str,
        ask: &Ask,
        key: Option<String>,
    ) -> Result<Begun> {
        let owner = caller.owner();
        self.db
            .tenant(caller.tenant(), async |tx| {
                if let Some(documents) = &ask.document_ids
                    && !retrieval::are_known(tx, documents).await?
                {
                    return Err(ApiError::not_found("document"));
                }
                let claim = match key {
                    None => None,
                    Some(key) => match idempotency::claim(tx, key, &idempotency::fingerprint(path, ask)).await? {
                        Outcome::Finished(replay) => {
                            if caller.is_support() {
                                audit::record(tx, &read_by_support(caller, cited(replay.body()))).await?;
                            }
                            return Ok(Begun::Replay(replay));
                        }
                        Outcome::Claimed(claim) => Some(claim),
                    },
                };
                Ok(Begun::Reserved(claim, quota::reserve(tx, owner, None).await?))
            })
            .await
    }

    /// Finds the passages that the answer may rest on.
    ///
    /// # Errors
    /// 503 without an embedding; the database's.
    pub async fn search(&self, tenant: Uuid, ask: &Ask) -> Result<Found> {
        let question = ask.question.as_str();
        let language = text::detect_language(question);
        let wanted = Wanted {
            question,
            language,
            documents: ask.document_ids.as_deref(),
            most: ask.top_k.unwrap_or(DEFAULT_PASSAGES).into(),
        };
        let found = retrieval::find(&self.db, &self.embedders, tenant, &wanted).await;
        let passages = found.map_err(|error| match error {
            FindError::Embedding(error) => ApiError::unavailable().because(error),
            FindError::Database(error) => error,
        })?;
        Ok(Found { language, passages })
    }

    /// Answers before the deadline; the quota is what is left after it. The calls of models are noted as they come, since
    /// those that failed cost too. With `deltas`, what the model says is told while it says it, and its markers have the
    /// numbers of [`Found::citations`].
    ///
    /// # Errors
    /// 422 when the model declined, 503 when none answered.
    pub async fn answer(
        &self,
        ask: &Ask,
        found: &Found,
        quota: Quota,
        deadline: Instant,
        deltas: Option<mpsc::Sender<String>>,
        calls: &mut Vec<Call>,
    ) -> Result<Answer> {
        let style = if deltas.is_some() { Style::AsGiven } else { Style::Plain };
        let asked = found.ask(ask, style, deadline);
        let Answered { outcome, calls: made } = match deltas {
            Some(deltas) => self.provider.stream(&asked, deltas).await,
            None => self.provider.answer(&asked).await,
        };
        calls.extend(made);
        Ok(found.answer(outcome.map_err(refused)?, style, quota))
    }

    /// Spends the unit and keeps the answer. Should this fail, the unit goes back when it expires, and the caller gets an
    /// error rather than a free answer. `shown` is what a support user saw passages of.
    ///
    /// # Errors
    /// The database's.
    pub async fn spend(
        &self,
        caller: &Caller<SupportUser>,
        reservation: &Reservation,
        kept: Option<(&Claim, &Envelope<Answer>)>,
        shown: &[Citation],
        calls: &[Call],
    ) -> Result<()> {
        self.db
            .tenant(caller.tenant(), async |tx| {
                quota::spend(tx, reservation).await?;
                usage::record_calls(tx, None, "query", calls).await?;
                if let Some((claim, answer)) = kept {
                    idempotency::finish(tx, claim, 200, answer).await?;
                }
                note_shown(tx, caller, shown).await
            })
            .await
    }

    /// Gives the unit back and frees the key. Should this fail, maintenance does it when the reservation expires.
    pub async fn give_back(
        &self,
        caller: &Caller<SupportUser>,
        reservation: &Reservation,
        claim: Option<&Claim>,
        shown: &[Citation],
        calls: &[Call],
    ) {
        let returned: Result<()> = self
            .db
            .tenant(caller.tenant(), async |tx| {
                quota::give_back(tx, reservation).await?;
                usage::record_calls(tx, None, "query", calls).await?;
                if let Some(claim) = claim {
                    idempotency::release(tx, claim).await?;
                }
                if shown.is_empty() { Ok(()) } else { note_shown(tx, caller, shown).await }
            })
            .await;
        if let Err(error) = returned {
            tracing::warn!(error = logging::chain(&error), "the reservation goes back when it expires");
        }
    }
}

/// A model that declined would decline again; everything else may pass.
fn refused(error: LlmError) -> ApiError {
    match error {
        LlmError::Blocked(_) => ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "answer_blocked",
            "the model declined to answer this question",
        ),
        LlmError::NoModel | LlmError::Failed(_) => ApiError::unavailable(),
    }
    .because(error)
}

fn not_in_the_documents(language: Language) -> &'static str {
    match language {
        Language::French => "Je n'ai pas trouvé la réponse dans les documents. Pouvez-vous préciser votre question ?",
        _ => "I could not find the answer in the documents. Could you be more specific?",
    }
}

/// Keeps which documents a support user saw passages of.
async fn note_shown(tx: &mut TenantTx, caller: &Caller<SupportUser>, shown: &[Citation]) -> Result<()> {
    if caller.is_support() {
        let documents = shown.iter().map(|citation| citation.document_id);
        audit::record(tx, &read_by_support(caller, documents)).await?;
    }
    Ok(())
}

fn read_by_support(caller: &Caller<SupportUser>, documents: impl Iterator<Item = Uuid>) -> audit::Entry<'_> {
    let documents: BTreeSet<_> = documents.collect();
    audit::Entry {
        actor: Some(caller.user),
        action: "documents.queried",
        object: format!("tenant:{}", caller.tenant()),
        request_id: Some(&caller.request_id),
        details: serde_json::json!({ "documents": documents }),
    }
}

/// The documents of an answer that was kept.
fn cited(answer: &serde_json::Value) -> impl Iterator<Item = Uuid> {
    let citations = answer["data"]["citations"].as_array().into_iter().flatten();
    citations.filter_map(|citation| citation["document_id"].as_str()?.parse().ok())
}
