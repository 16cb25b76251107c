//! `POST /api/v1/query`: answers a question from the tenant's documents, with citations of document and page.

use axum::{
    extract::{FromRef, State},
    response::{IntoResponse, Response},
};
use shared::{
    auth::{Caller, SupportUser, VerificationKeys},
    db::Db,
    error::{ApiError, Result},
    function::{Function, HttpFunction},
    http::{Envelope, Json, ReceivedAt},
    idempotency::IdempotencyKey,
    llm::ModelCall,
    questions::{
        ANSWER_TIMEOUT, Answer, AnswerDraft, BeginOutcome, QueryPipeline, QueryRequest, ReservedQuestion, Settlement,
    },
    rate_limits::RateLimits,
    routes,
    settings::Settings,
};
use tokio::time::Instant;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

/// The `query` Lambda function.
pub const FUNCTION: Function = Function::http::<Deps>();

const PATH: &str = "/api/v1/query";

/// Dependencies of the handler.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    db: Db,
    keys: VerificationKeys,
    limits: RateLimits,
    pipeline: QueryPipeline,
}

impl HttpFunction for Deps {
    const NAME: &'static str = "query";

    fn read(settings: &mut Settings) -> Self {
        let db = Db::read(settings);
        Self {
            limits: RateLimits::read(settings, &db),
            keys: VerificationKeys::read(settings),
            pipeline: QueryPipeline::read(settings, &db),
            db,
        }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new().routes(routes!(query))
    }
}

/// Answers a question from the tenant's documents, or with an answer that the tenant has approved. Question and
/// answer are stored in a conversation; a later question that names the conversation is understood as a follow-up. An
/// answer costs one request of the quota. When no model answers, or the model declines, the answer is an apology and
/// the request is refunded. A greeting, thanks, an emoji, or a yes or no to nothing gets a fixed answer, is not stored
/// and costs nothing. A repetition with the same `Idempotency-Key` gets the first answer again and costs nothing.
#[utoipa::path(
    post, path = PATH, tag = "query", request_body = QueryRequest,
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, description = "Kept for 24 hours")),
    responses((status = 200, body = Envelope<Answer>), (status = 402)),
)]
async fn query(
    caller: Caller<SupportUser>,
    ReceivedAt(received_at): ReceivedAt,
    State(pipeline): State<QueryPipeline>,
    key: IdempotencyKey,
    Json(request): Json<QueryRequest>,
) -> Result<Response> {
    request.validate()?;
    let deadline = received_at + ANSWER_TIMEOUT;
    let reserved = match pipeline.begin(&caller, PATH, &request, key).await? {
        BeginOutcome::Replay(replay) => return Ok(replay.into_response()),
        BeginOutcome::Courtesy(answer) => {
            return Ok(axum::Json(Envelope { success: true, data: *answer }).into_response());
        }
        BeginOutcome::Reserved(reserved) => reserved,
    };
    let mut calls = Vec::new();
    let answering = Box::pin(answer(&pipeline, caller.tenant(), &request, &reserved, deadline, &mut calls));
    let answered = tokio::time::timeout_at(deadline, answering).await;
    match answered.unwrap_or_else(|elapsed| Err(ApiError::unavailable().with_source(elapsed))) {
        Ok(draft) => {
            let answer = pipeline.finish(&caller, &request, &reserved, draft, &[], &calls).await?;
            Ok(axum::Json(answer).into_response())
        }
        Err(error) => {
            pipeline.settle(&caller, &request, &reserved, Settlement::Refund, &[], &calls).await;
            Err(error)
        }
    }
}

/// Retrieves passages and generates the answer. Model calls are appended to `calls`.
async fn answer(
    pipeline: &QueryPipeline,
    tenant: Uuid,
    request: &QueryRequest,
    reserved: &ReservedQuestion,
    deadline: Instant,
    calls: &mut Vec<ModelCall>,
) -> Result<AnswerDraft> {
    let context = pipeline.search(tenant, request, reserved, calls).await?;
    Ok(pipeline.answer(request, reserved, &context, deadline, None, calls).await)
}
