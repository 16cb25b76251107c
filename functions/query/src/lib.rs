//! `POST /api/v1/query`: a question, answered from the tenant's documents with the page.

mod answer;

use std::{collections::BTreeSet, time::Duration};

use axum::{
    extract::{FromRef, State},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use shared::{
    audit,
    auth::{Caller, SupportUser, VerificationKeys},
    db::Db,
    embeddings::Embedder,
    error::{ApiError, FieldError, Result},
    function::{Function, HttpFunction},
    http::{Envelope, Json},
    idempotency::{self, Claim, IdempotencyKey, Outcome, Replay},
    llm::{Call, Provider, Usage},
    logging,
    quota::{self, Quota, Reservation},
    rate_limits::RateLimits,
    retrieval::{self, Question},
    routes,
    settings::Settings,
    usage,
};
use tokio::time::Instant;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

/// The function.
pub const FUNCTION: Function = Function::http::<Deps>();

const PATH: &str = "/api/v1/query";

/// For everything between the question and the answer; API Gateway gives up after 30 s.
const DEADLINE: Duration = Duration::from_secs(25);
const DEFAULT_PASSAGES: u8 = 5;
const MOST_PASSAGES: u8 = 20;
const MOST_DOCUMENTS: usize = 100;

/// What it needs.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    db: Db,
    keys: VerificationKeys,
    limits: RateLimits,
    embedder: Embedder,
    provider: Provider,
}

impl HttpFunction for Deps {
    const NAME: &'static str = "query";

    fn read(settings: &mut Settings) -> Self {
        let db = Db::read(settings);
        Self {
            limits: RateLimits::read(settings, &db),
            db,
            keys: VerificationKeys::read(settings),
            embedder: Embedder::read(settings),
            provider: Provider::read(settings),
        }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new().routes(routes!(query))
    }
}

/// A question.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[schema(example = json!({ "question": "Combien coûte la livraison à Abidjan ?" }))]
struct Ask {
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

impl Ask {
    fn check(&self) -> Result<()> {
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

/// A passage that the answer rests on.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "document_id": "0b9f2c34-5a1f-4a57-9a43-2f6e6f0f6f01", "filename": "guide-livraison.pdf", "page": 1,
    "snippet": "La livraison à Abidjan coûte 1 500 F CFA.", "score": 0.0328,
}))]
struct Citation {
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
struct Answer {
    /// In the question's language.
    #[schema(example = "La livraison à Abidjan coûte 1 500 F CFA.")]
    answer: String,
    citations: Vec<Citation>,
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

/// Answers a question from the tenant's documents. Takes one unit of the quota, which goes back if there is no answer.
/// With an `Idempotency-Key`, a repetition gets the first answer again and takes nothing.
#[utoipa::path(
    post, path = PATH, tag = "query", request_body = Ask,
    params(("Idempotency-Key" = Option<String>, Header, description = "Kept for 24 hours")),
    responses((status = 200, body = Envelope<Answer>), (status = 402)),
)]
async fn query(
    caller: Caller<SupportUser>,
    State(deps): State<Deps>,
    IdempotencyKey(key): IdempotencyKey,
    Json(ask): Json<Ask>,
) -> Result<Response> {
    ask.check()?;
    if ask.conversation_id.is_some() {
        // None is kept yet, so none can be named.
        return Err(ApiError::not_found("conversation"));
    }
    let (claim, reservation) = match deps.begin(&caller, &ask, key).await? {
        Begun::Replay(replay) => return Ok(replay.into_response()),
        Begun::Reserved(claim, reservation) => (claim, reservation),
    };
    let deadline = Instant::now() + DEADLINE;
    let mut calls = Vec::new();
    let answering = Box::pin(deps.answer(caller.tenant(), &ask, reservation.quota, deadline, &mut calls));
    let answered = tokio::time::timeout_at(deadline, answering).await;
    match answered.unwrap_or_else(|elapsed| Err(ApiError::unavailable().because(elapsed))) {
        Ok(answer) => {
            let answer = Envelope { success: true, data: answer };
            deps.spend(&caller, &reservation, claim.as_ref(), &answer, &calls).await?;
            Ok(axum::Json(answer).into_response())
        }
        Err(error) => {
            deps.give_back(caller.tenant(), &reservation, claim.as_ref(), &calls).await;
            Err(error)
        }
    }
}

/// How a question begins.
enum Begun {
    /// It was answered before.
    Replay(Replay),
    /// Its unit is taken.
    Reserved(Option<Claim>, Reservation),
}

impl Deps {
    /// Claims the key and takes the unit, in a transaction of their own: it is committed before the work begins, so that
    /// of any number of questions at once only as many are worked on as are left.
    async fn begin(&self, caller: &Caller<SupportUser>, ask: &Ask, key: Option<String>) -> Result<Begun> {
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
                    Some(key) => match idempotency::claim(tx, key, &idempotency::fingerprint(PATH, ask)).await? {
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

    /// Spends the unit and keeps the answer. Should this fail, the unit goes back when it expires, and the caller gets an
    /// error rather than a free answer.
    async fn spend(
        &self,
        caller: &Caller<SupportUser>,
        reservation: &Reservation,
        claim: Option<&Claim>,
        answer: &Envelope<Answer>,
        calls: &[Call],
    ) -> Result<()> {
        self.db
            .tenant(caller.tenant(), async |tx| {
                quota::spend(tx, reservation).await?;
                usage::record_calls(tx, None, "query", calls).await?;
                if let Some(claim) = claim {
                    idempotency::finish(tx, claim, 200, answer).await?;
                }
                if caller.is_support() {
                    let documents = answer.data.citations.iter().map(|citation| citation.document_id);
                    audit::record(tx, &read_by_support(caller, documents)).await?;
                }
                Ok(())
            })
            .await
    }

    async fn give_back(&self, tenant: Uuid, reservation: &Reservation, claim: Option<&Claim>, calls: &[Call]) {
        let returned: Result<()> = self
            .db
            .tenant(tenant, async |tx| {
                quota::give_back(tx, reservation).await?;
                usage::record_calls(tx, None, "query", calls).await?;
                if let Some(claim) = claim {
                    idempotency::release(tx, claim).await?;
                }
                Ok(())
            })
            .await;
        if let Err(error) = returned {
            tracing::warn!(error = logging::chain(&error), "the reservation goes back when it expires");
        }
    }
}

/// Which documents a support user saw passages of.
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
