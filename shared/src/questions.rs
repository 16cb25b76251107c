//! A question of the API, answered from the tenant's documents: what `POST /api/v1/query` and its stream have in common.
//! Owns no table; the unit of the quota, the conversation, the ledger of calls and the audit log are kept here, in two
//! transactions: one before the work and one after it.

mod draft;

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::{sync::mpsc, time::Instant};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    approved_answers::{self, ApprovedAnswer},
    audit,
    auth::{Caller, SupportUser},
    conversations::api,
    db::{Db, TenantTx},
    embeddings::Embedders,
    error::{ApiError, FieldError, Result},
    http::Envelope,
    idempotency::{self, Claim, Outcome, Replay},
    llm::{self, Answered, Call, LlmError, Provider, Role, Style, Turn, Usage},
    logging, messages,
    quota::{self, Quota, Reservation},
    retrieval::{self, FindError, Passage, Question, Wanted},
    settings::Settings,
    text::{self, Language},
    usage::{self, Used},
};

pub use draft::Draft;

/// For everything between the question and the answer; API Gateway gives up after 30 s.
pub const DEADLINE: Duration = Duration::from_secs(25);
/// Of the deadline, for what comes after the model.
const ROOM: Duration = Duration::from_millis(500);
const DEFAULT_PASSAGES: u8 = 5;
const MOST_PASSAGES: u8 = 20;
const MOST_DOCUMENTS: usize = 100;
/// Of a conversation, what a model is shown.
const MOST_TURNS: i64 = 12;
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
    /// A conversation to go on with, as an earlier answer named it; without one, a new one begins.
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
    /// False when the documents do not say, or when no model answered; the answer then is a polite sentence that says so.
    answered: bool,
    /// Who answered: a model's name, `extractive-1`, `approved-answer` where the tenant's own answer was given, or `none`
    /// where no model did: the unit then went back.
    #[schema(example = "extractive-1")]
    model: String,
    usage: Usage,
    /// After this answer.
    quota: Quota,
    /// Where question and answer are kept: named by the next question, it is understood as going on from this one. Null
    /// where no model answered a first question, of which nothing is kept.
    #[schema(required)]
    conversation_id: Option<Uuid>,
}

/// How a question begins.
#[derive(Debug)]
pub enum Begun {
    /// It was answered before.
    Replay(Replay),
    /// Its unit is taken.
    Reserved(Box<Taken>),
}

/// A question whose unit is taken.
#[derive(Debug)]
pub struct Taken {
    /// The unit.
    pub reservation: Reservation,
    claim: Option<Claim>,
    /// What was said before in its conversation.
    history: Vec<Turn>,
    approved: Option<ApprovedAnswer>,
}

/// What becomes of the unit of a question of which nothing is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// There was no answer.
    GoesBack,
    /// Its client has heard a part of the answer, and then went away.
    IsSpent,
}

/// What was found for a question.
#[derive(Debug)]
pub struct Found {
    language: Language,
    /// The question as it was searched.
    standalone: String,
    passages: Vec<Passage>,
    /// Whether nothing can be said of what the documents hold.
    is_unknown: bool,
}

impl Ask {
    /// Refuses what is out of its range.
    ///
    /// # Errors
    /// 422 with the fields.
    pub fn check(&self) -> Result<()> {
        let mut wrong = Vec::new();
        if self.top_k.is_some_and(|most| !(1..=MOST_PASSAGES).contains(&most)) {
            wrong.push(FieldError::new("top_k", format!("must be between 1 and {MOST_PASSAGES}")));
        }
        if self.document_ids.as_ref().is_some_and(|ids| ids.is_empty() || ids.len() > MOST_DOCUMENTS) {
            wrong.push(FieldError::new("document_ids", format!("must name 1 to {MOST_DOCUMENTS} documents")));
        }
        if wrong.is_empty() { Ok(()) } else { Err(ApiError::validation(wrong)) }
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

    fn ask<'a>(&'a self, ask: &'a Ask, history: &'a [Turn], style: Style, deadline: Instant) -> llm::Ask<'a> {
        llm::Ask {
            question: ask.question.as_str(),
            standalone: &self.standalone,
            history,
            language: self.language,
            instructions: None,
            assistant: ASSISTANT,
            company: "this company",
            style,
            passages: &self.passages,
            deadline: deadline - ROOM,
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
    /// 402 without a unit, 404 for a document or a conversation that the tenant has not, 409 and 422 for a key that is in
    /// use otherwise.
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
                if let Some(conversation) = ask.conversation_id
                    && !api::is_known(tx, conversation).await?
                {
                    return Err(ApiError::not_found("conversation"));
                }
                let claim = match key {
                    None => None,
                    Some(key) => match idempotency::claim(tx, key, &idempotency::fingerprint(path, ask)).await? {
                        Outcome::Finished(replay) => {
                            if caller.is_support() {
                                audit::record(tx, &read_by_support(caller, ask, cited(replay.body()))).await?;
                            }
                            return Ok(Begun::Replay(replay));
                        }
                        Outcome::Claimed(claim) => Some(claim),
                    },
                };
                let reservation = quota::reserve(tx, owner, None).await?;
                let approved = approved_answers::find(tx, ask.question.as_str()).await?;
                let history = match ask.conversation_id {
                    Some(conversation) => history(tx, conversation).await?,
                    None => Vec::new(),
                };
                Ok(Begun::Reserved(Box::new(Taken { reservation, claim, history, approved })))
            })
            .await
    }

    /// Finds the passages that the answer may rest on: none where the tenant has approved an answer.
    ///
    /// # Errors
    /// The database's.
    pub async fn search(&self, tenant: Uuid, ask: &Ask, taken: &Taken) -> Result<Found> {
        let question = ask.question.as_str();
        let language = text::detect_language(question);
        let standalone = retrieval::standalone(question, language, &taken.history).into_owned();
        if taken.approved.is_some() {
            return Ok(Found { language, standalone, passages: Vec::new(), is_unknown: false });
        }
        // Of few words, the question alone may not tell.
        let language = if language == Language::Other { text::detect_language(&standalone) } else { language };
        let wanted = Wanted {
            question,
            standalone: &standalone,
            language,
            documents: ask.document_ids.as_deref(),
            most: ask.top_k.unwrap_or(DEFAULT_PASSAGES).into(),
        };
        let (passages, is_unknown) = match retrieval::find(&self.db, &self.embedders, tenant, &wanted).await {
            Ok(passages) => (passages, false),
            Err(FindError::Embedding(_)) => (Vec::new(), true),
            Err(FindError::Database(error)) => return Err(error),
        };
        Ok(Found { language, standalone, passages, is_unknown })
    }

    /// Answers before the deadline; where the model declined, or none answered, with a polite sentence. The calls of models
    /// are noted as they come, since those that failed cost too. With `deltas`, what the model says is told while it says
    /// it, and its markers have the numbers of [`Found::citations`].
    pub async fn answer(
        &self,
        ask: &Ask,
        taken: &Taken,
        found: &Found,
        deadline: Instant,
        deltas: Option<mpsc::Sender<String>>,
        calls: &mut Vec<Call>,
    ) -> Draft {
        if let Some(approved) = &taken.approved {
            return Draft::approved(approved, found.language);
        }
        if found.is_unknown {
            return Draft::excuse(false, found.language);
        }
        let style = if deltas.is_some() { Style::AsGiven } else { Style::Plain };
        let asked = found.ask(ask, &taken.history, style, deadline);
        let Answered { outcome, calls: made } = match deltas {
            Some(deltas) => self.provider.stream(&asked, deltas).await,
            None => self.provider.answer(&asked).await,
        };
        calls.extend(made);
        match outcome {
            Ok(completion) => Draft::of(completion, found, style),
            Err(error) => {
                if !error.is_abandoned() {
                    tracing::warn!(error = logging::chain(&error), "a question has no answer");
                }
                Draft::excuse(matches!(error, LlmError::Blocked(_)), found.language)
            }
        }
    }

    /// Spends the unit and keeps the answer; where no model answered, the unit goes back instead and the key is free again.
    /// Should this fail, the unit goes back when it expires, and the caller gets an error rather than a free answer.
    /// `shown` is what a support user saw passages of, beside those that are cited.
    ///
    /// # Errors
    /// The database's.
    pub async fn finish(
        &self,
        caller: &Caller<SupportUser>,
        ask: &Ask,
        taken: &Taken,
        draft: Draft,
        shown: &[Citation],
        calls: &[Call],
    ) -> Result<Envelope<Answer>> {
        if draft.is_excuse() {
            self.close(caller, ask, taken, Unit::GoesBack, shown, calls).await;
            let quota = taken.reservation.quota_without();
            return Ok(Envelope { success: true, data: draft.answer(quota, ask.conversation_id) });
        }
        self.db
            .tenant(caller.tenant(), async |tx| {
                quota::spend(tx, &taken.reservation).await?;
                usage::record_calls(tx, None, "query", calls).await?;
                note_shown(tx, caller, ask, draft.citations().iter().chain(shown)).await?;
                let answer = draft.keep(tx, caller.user, ask, calls, taken.reservation.quota).await?;
                let answer = Envelope { success: true, data: answer };
                if let Some(claim) = &taken.claim {
                    idempotency::finish(tx, claim, 200, &answer).await?;
                }
                Ok(answer)
            })
            .await
    }

    /// Ends a question of which nothing is kept: settles its unit and frees its key. Should this fail, maintenance does it
    /// when the reservation expires.
    pub async fn close(
        &self,
        caller: &Caller<SupportUser>,
        ask: &Ask,
        taken: &Taken,
        unit: Unit,
        shown: &[Citation],
        calls: &[Call],
    ) {
        let closed: Result<()> = self
            .db
            .tenant(caller.tenant(), async |tx| {
                match unit {
                    Unit::GoesBack => quota::give_back(tx, &taken.reservation).await?,
                    Unit::IsSpent => quota::spend(tx, &taken.reservation).await?,
                }
                usage::record_calls(tx, None, "query", calls).await?;
                if unit == Unit::IsSpent || !calls.is_empty() {
                    let requests = i32::from(unit == Unit::IsSpent);
                    usage::add(tx, &Used { requests, ..Used::default() }.with(calls)).await?;
                }
                if let Some(claim) = &taken.claim {
                    idempotency::release(tx, claim).await?;
                }
                if shown.is_empty() { Ok(()) } else { note_shown(tx, caller, ask, shown.iter()).await }
            })
            .await;
        if let Err(error) = closed {
            tracing::warn!(error = logging::chain(&error), "the reservation goes back when it expires");
        }
    }
}

/// What was said before in a conversation, the oldest first.
async fn history(tx: &mut TenantTx, conversation: Uuid) -> Result<Vec<Turn>> {
    let said = messages::history(tx, conversation, &[], MOST_TURNS).await?;
    let turn = |said: messages::Said| Turn {
        role: if said.by_contact { Role::User } else { Role::Assistant },
        text: said.content,
    };
    Ok(said.into_iter().map(turn).collect())
}

/// Keeps which documents a support user saw passages of, and which conversation was gone on with.
async fn note_shown<'c>(
    tx: &mut TenantTx,
    caller: &Caller<SupportUser>,
    ask: &Ask,
    shown: impl Iterator<Item = &'c Citation>,
) -> Result<()> {
    if caller.is_support() {
        let documents = shown.map(|citation| citation.document_id);
        audit::record(tx, &read_by_support(caller, ask, documents)).await?;
    }
    Ok(())
}

fn read_by_support<'a>(
    caller: &'a Caller<SupportUser>,
    ask: &Ask,
    documents: impl Iterator<Item = Uuid>,
) -> audit::Entry<'a> {
    let documents: BTreeSet<_> = documents.collect();
    audit::Entry {
        actor: Some(caller.user),
        action: "documents.queried",
        object: format!("tenant:{}", caller.tenant()),
        request_id: Some(&caller.request_id),
        details: match ask.conversation_id {
            Some(conversation) => serde_json::json!({ "documents": documents, "conversation": conversation }),
            None => serde_json::json!({ "documents": documents }),
        },
    }
}

/// The documents of an answer that was kept.
fn cited(answer: &serde_json::Value) -> impl Iterator<Item = Uuid> {
    let citations = answer["data"]["citations"].as_array().into_iter().flatten();
    citations.filter_map(|citation| citation["document_id"].as_str()?.parse().ok())
}
