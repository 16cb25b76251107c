//! `POST /api/v1/query`: a question, answered from the tenant's documents with the page.

use axum::{
    extract::{FromRef, State},
    response::{IntoResponse, Response},
};
use shared::{
    auth::{Caller, SupportUser, VerificationKeys},
    db::Db,
    error::{ApiError, Result},
    function::{Function, HttpFunction},
    http::{Envelope, Json},
    idempotency::IdempotencyKey,
    llm::Call,
    questions::{Answer, Ask, Begun, DEADLINE, Draft, Questions, Taken, Unit},
    rate_limits::RateLimits,
    routes,
    settings::Settings,
};
use tokio::time::Instant;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

/// The function.
pub const FUNCTION: Function = Function::http::<Deps>();

const PATH: &str = "/api/v1/query";

/// What it needs.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    db: Db,
    keys: VerificationKeys,
    limits: RateLimits,
    questions: Questions,
}

impl HttpFunction for Deps {
    const NAME: &'static str = "query";

    fn read(settings: &mut Settings) -> Self {
        let db = Db::read(settings);
        Self {
            limits: RateLimits::read(settings, &db),
            keys: VerificationKeys::read(settings),
            questions: Questions::read(settings, &db),
            db,
        }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new().routes(routes!(query))
    }
}

/// Answers a question from the tenant's documents, or with the answer that the tenant has approved. Question and answer
/// are kept in a conversation: named by the next question, it is understood as going on from this one. Takes one unit of
/// the quota. Where no model answers, or it declines, a polite sentence says so, and the unit goes back. With an
/// `Idempotency-Key`, a repetition gets the first answer again and takes nothing.
#[utoipa::path(
    post, path = PATH, tag = "query", request_body = Ask,
    params(("Idempotency-Key" = Option<String>, Header, description = "Kept for 24 hours")),
    responses((status = 200, body = Envelope<Answer>), (status = 402)),
)]
async fn query(
    caller: Caller<SupportUser>,
    State(questions): State<Questions>,
    IdempotencyKey(key): IdempotencyKey,
    Json(ask): Json<Ask>,
) -> Result<Response> {
    ask.check()?;
    let deadline = Instant::now() + DEADLINE;
    let taken = match questions.begin(&caller, PATH, &ask, key).await? {
        Begun::Replay(replay) => return Ok(replay.into_response()),
        Begun::Reserved(taken) => taken,
    };
    let mut calls = Vec::new();
    let answering = Box::pin(answer(&questions, caller.tenant(), &ask, &taken, deadline, &mut calls));
    let answered = tokio::time::timeout_at(deadline, answering).await;
    match answered.unwrap_or_else(|elapsed| Err(ApiError::unavailable().because(elapsed))) {
        Ok(draft) => {
            let answer = questions.finish(&caller, &ask, &taken, draft, &[], &calls).await?;
            Ok(axum::Json(answer).into_response())
        }
        Err(error) => {
            questions.close(&caller, &ask, &taken, Unit::GoesBack, &[], &calls).await;
            Err(error)
        }
    }
}

async fn answer(
    questions: &Questions,
    tenant: Uuid,
    ask: &Ask,
    taken: &Taken,
    deadline: Instant,
    calls: &mut Vec<Call>,
) -> Result<Draft> {
    let found = questions.search(tenant, ask, taken).await?;
    Ok(questions.answer(ask, taken, &found, deadline, None, calls).await)
}
