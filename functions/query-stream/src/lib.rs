//! `POST /api/v1/query/stream`: answers a question as server-sent events, while the answer is generated. Runs behind
//! a Function URL, since API Gateway's HTTP APIs buffer a response until it is complete.

use axum::{
    extract::{FromRef, State},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use shared::{
    auth::{Caller, SupportUser, VerificationKeys},
    db::Db,
    error::{ApiError, ErrorDetail, Result},
    function::{Function, HttpFunction},
    http::{self, ClientDisconnected, Json, ReceivedAt, SseSender},
    idempotency::IdempotencyKey,
    llm::ModelCall,
    questions::{
        ANSWER_TIMEOUT, Answer, AnswerDraft, BeginOutcome, Citation, QueryPipeline, QueryRequest, ReservedQuestion,
        Settlement,
    },
    rate_limits::RateLimits,
    routes,
    settings::Settings,
};
use tokio::{sync::mpsc, time::Instant};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

/// The `query-stream` Lambda function.
pub const FUNCTION: Function = Function::streaming::<Deps>();

const PATH: &str = "/api/v1/query/stream";

/// Dependencies of the handler.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    db: Db,
    keys: VerificationKeys,
    limits: RateLimits,
    pipeline: QueryPipeline,
}

impl HttpFunction for Deps {
    const NAME: &'static str = "query-stream";

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
        OpenApiRouter::new().routes(routes!(query_stream))
    }
}

/// Data of the event `citations`, the first event of a stream.
#[derive(Debug, Serialize, ToSchema)]
struct Citations<'a> {
    /// Passages that may support the answer. The markers in the answer refer to their numbers.
    citations: &'a [Citation],
}

/// Data of an event `delta`.
#[derive(Debug, Serialize, ToSchema)]
struct Delta<'a> {
    /// Next part of the answer's text. A marker is never split between events, and always refers to a passage of the
    /// event `citations`.
    text: &'a str,
}

/// The events of a stream, by their names, with their data.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the events in openapi.json")]
struct StreamEvents {
    /// The first event.
    citations: Citations<'static>,
    /// Any number of events.
    delta: Delta<'static>,
    /// The last event, unless it is `error`.
    done: Answer,
    /// The last event after a failure.
    error: ErrorDetail,
}

/// Answers a question from the tenant's documents as server-sent events: `citations` with the passages that may
/// support the answer, then `delta` events with its text, then `done` with the whole answer as `POST /api/v1/query`
/// returns it. The event `done` is authoritative: `answered` is false for a text that no passage supports or that the
/// model did not finish. Any other failure after the first event is an event `error`. An answer costs one request of
/// the quota. The request is refunded when there is no answer, or when the client disconnects before the first
/// `delta`. A greeting, thanks or an emoji gets the same events with a fixed answer, and costs nothing. An
/// `Idempotency-Key` has no effect here.
#[utoipa::path(
    post, path = PATH, tag = "query", request_body = QueryRequest,
    responses(
        (
            status = 200, description = "Events: `citations`, then `delta` events, then `done` or `error`",
            content((
                StreamEvents = "text/event-stream",
                example = json!("event: citations\ndata: {\"citations\":[]}\n\nevent: delta\ndata: {\"text\":\"…\"}\n\n"),
            )),
        ),
        (status = 402),
    ),
)]
async fn query_stream(
    caller: Caller<SupportUser>,
    ReceivedAt(received_at): ReceivedAt,
    State(pipeline): State<QueryPipeline>,
    Json(request): Json<QueryRequest>,
) -> Result<Response> {
    request.validate()?;
    let deadline = received_at + ANSWER_TIMEOUT;
    let reserved = match pipeline.begin(&caller, PATH, &request, IdempotencyKey(None)).await? {
        BeginOutcome::Replay(replay) => return Ok(replay.into_response()),
        BeginOutcome::Courtesy(answer) => {
            let request_id = caller.request_id.clone();
            return http::stream_events(request_id, async move |events| stream_courtesy(&events, &answer).await).await;
        }
        BeginOutcome::Reserved(reserved) => reserved,
    };
    let request_id = caller.request_id.clone();
    let streamed = StreamedQuestion { pipeline, caller, request, reserved, deadline };
    http::stream_events(request_id, async move |events| Box::pin(streamed.stream(&events)).await).await
}

/// Sends the events of the answer to a courtesy.
async fn stream_courtesy(events: &SseSender, answer: &Answer) -> Result<()> {
    let sent = async {
        events.send("citations", &Citations { citations: &[] }).await?;
        events.send("delta", &Delta { text: &answer.answer }).await?;
        events.send("done", answer).await
    };
    if sent.await.is_err() {
        tracing::info!("the client went away before the end");
    }
    Ok(())
}

/// A question with its reserved request, to be answered as a stream.
struct StreamedQuestion {
    pipeline: QueryPipeline,
    caller: Caller<SupportUser>,
    request: QueryRequest,
    reserved: Box<ReservedQuestion>,
    /// Deadline of the answer.
    deadline: Instant,
}

/// Progress of a stream, needed to settle the question however the stream ends.
#[derive(Default)]
struct StreamProgress {
    /// Passages that were sent.
    passages: Vec<Citation>,
    /// True when a delta of the model was sent. False for a text that was sent whole, without deltas.
    has_sent_text: bool,
    /// Model calls made.
    calls: Vec<ModelCall>,
}

/// Reason for the end of a stream without the event `done`.
enum StreamEnd {
    Failed(ApiError),
    ClientDisconnected,
}

impl From<ApiError> for StreamEnd {
    fn from(error: ApiError) -> Self {
        Self::Failed(error)
    }
}

impl From<ClientDisconnected> for StreamEnd {
    fn from(_: ClientDisconnected) -> Self {
        Self::ClientDisconnected
    }
}

impl StreamedQuestion {
    /// Sends the answer's events. The request is spent before the last event, since Lambda freezes the function after
    /// it.
    async fn stream(self, events: &SseSender) -> Result<()> {
        let deadline = self.deadline;
        let mut progress = StreamProgress::default();
        let answering = Box::pin(self.answer(events, deadline, &mut progress));
        let answered = tokio::time::timeout_at(deadline, answering).await;
        let end = match answered.unwrap_or_else(|elapsed| Err(ApiError::unavailable().with_source(elapsed).into())) {
            Ok(draft) => {
                let (passages, calls) = (&progress.passages, &progress.calls);
                let answer =
                    self.pipeline.finish(&self.caller, &self.request, &self.reserved, draft, passages, calls).await?;
                // A failed send is ignored: the client has already received the whole text.
                let _ = events.send("done", &answer.data).await;
                return Ok(());
            }
            Err(end) => end,
        };
        // Without the charge, a client that always disconnects just before the end would never pay.
        let is_charged = matches!(end, StreamEnd::ClientDisconnected) && progress.has_sent_text;
        let settlement = if is_charged { Settlement::Charge } else { Settlement::Refund };
        let StreamProgress { passages, calls, .. } = &progress;
        self.pipeline.settle(&self.caller, &self.request, &self.reserved, settlement, passages, calls).await;
        match end {
            StreamEnd::Failed(error) => Err(error),
            StreamEnd::ClientDisconnected => {
                tracing::info!(was_heard = progress.has_sent_text, "the client went away before the end");
                Ok(())
            }
        }
    }

    /// Retrieves passages, generates the answer and sends its events, except `done`.
    async fn answer(
        &self,
        events: &SseSender,
        deadline: Instant,
        progress: &mut StreamProgress,
    ) -> Result<AnswerDraft, StreamEnd> {
        let context = tokio::select! {
            () = events.closed() => return Err(StreamEnd::ClientDisconnected),
            context = self.pipeline.search(
                self.caller.tenant(),
                &self.request,
                &self.reserved,
                &mut progress.calls,
            ) => context?,
        };
        let citations = context.citations();
        events.send("citations", &Citations { citations: &citations }).await?;
        progress.passages = citations;
        let (sender, deltas) = mpsc::channel(1);
        let StreamProgress { has_sent_text, calls, .. } = progress;
        let answering = self.pipeline.answer(&self.request, &self.reserved, &context, deadline, Some(sender), calls);
        let (draft, forwarded) = tokio::join!(Box::pin(answering), forward_deltas(deltas, events, has_sent_text));
        forwarded?;
        if !progress.has_sent_text {
            events.send("delta", &Delta { text: draft.text() }).await?;
        }
        Ok(draft)
    }
}

/// Sends the model's deltas as events until they end, and sets `has_sent_text` at the first one. An error drops the
/// receiver, which ends the model call.
async fn forward_deltas(
    mut deltas: mpsc::Receiver<String>,
    events: &SseSender,
    has_sent_text: &mut bool,
) -> Result<(), ClientDisconnected> {
    loop {
        let delta = tokio::select! {
            () = events.closed() => return Err(ClientDisconnected),
            delta = deltas.recv() => delta,
        };
        let Some(text) = delta else { return Ok(()) };
        events.send("delta", &Delta { text: &text }).await?;
        *has_sent_text = true;
    }
}
