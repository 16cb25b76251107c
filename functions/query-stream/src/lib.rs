//! `POST /api/v1/query/stream`: a question, answered while the answer is made. Behind a Function URL, since API Gateway's
//! HTTP APIs hold an answer back until it is whole.

use axum::{
    extract::{FromRef, State},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use shared::{
    auth::{Caller, SupportUser, VerificationKeys},
    db::Db,
    error::{ApiError, Result},
    function::{Function, HttpFunction},
    http::{self, Events, Gone, Json},
    llm::Call,
    questions::{Answer, Ask, Begun, Citation, DEADLINE, Draft, Questions, Taken, Unit},
    rate_limits::RateLimits,
    routes,
    settings::Settings,
};
use tokio::{sync::mpsc, time::Instant};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

/// The function.
pub const FUNCTION: Function = Function::streaming::<Deps>();

const PATH: &str = "/api/v1/query/stream";

/// What it needs.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    db: Db,
    keys: VerificationKeys,
    limits: RateLimits,
    questions: Questions,
}

impl HttpFunction for Deps {
    const NAME: &'static str = "query-stream";

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
        OpenApiRouter::new().routes(routes!(query_stream))
    }
}

/// The data of an event `citations`, the first one.
#[derive(Debug, Serialize, ToSchema)]
struct Citations<'a> {
    /// The passages that the answer may rest on. Its markers have their numbers.
    citations: &'a [Citation],
}

/// The data of an event `delta`.
#[derive(Debug, Serialize, ToSchema)]
struct Delta<'a> {
    /// What comes next in the answer. A marker is never split, and never names a passage that there is not.
    text: &'a str,
}

/// Answers a question from the tenant's documents as server-sent events: `citations` with the passages that the answer
/// may rest on, one `delta` after the other with its text, and `done` with the whole answer as `POST /api/v1/query` has
/// it, which counts: a text that proves to rest on no passage, or that its model did not finish, is not `answered`. What
/// else fails after the first event is an event `error`. Takes one unit of the quota, which goes back without an answer,
/// and when the client goes away before it has heard anything of it. An `Idempotency-Key` has no effect here.
#[utoipa::path(
    post, path = PATH, tag = "query", request_body = Ask,
    responses(
        (status = 200, content((Answer = "text/event-stream")), description = "Events; this is the data of `done`"),
        (status = 402),
    ),
)]
async fn query_stream(
    caller: Caller<SupportUser>,
    State(questions): State<Questions>,
    Json(ask): Json<Ask>,
) -> Result<Response> {
    ask.check()?;
    let deadline = Instant::now() + DEADLINE;
    let taken = match questions.begin(&caller, PATH, &ask, None).await? {
        Begun::Replay(replay) => return Ok(replay.into_response()),
        Begun::Reserved(taken) => taken,
    };
    let request_id = caller.request_id.clone();
    let asked = Asked { questions, caller, ask, taken, deadline };
    http::stream(request_id, async move |events| Box::pin(asked.tell(&events)).await).await
}

/// A question whose unit is taken.
struct Asked {
    questions: Questions,
    caller: Caller<SupportUser>,
    ask: Ask,
    taken: Box<Taken>,
    /// When the answer must be there.
    deadline: Instant,
}

/// What was shown and made, however it ended.
#[derive(Default)]
struct Told {
    passages: Vec<Citation>,
    /// Whether anything of the answer was.
    any: bool,
    calls: Vec<Call>,
}

/// Why there is no answer.
enum End {
    Failed(ApiError),
    Gone,
}

impl From<ApiError> for End {
    fn from(error: ApiError) -> Self {
        Self::Failed(error)
    }
}

impl From<Gone> for End {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl Asked {
    /// Tells the answer. The unit is spent before the last event, after which Lambda freezes the function.
    async fn tell(self, events: &Events) -> Result<()> {
        let deadline = self.deadline;
        let mut told = Told::default();
        let answering = Box::pin(self.answer(events, deadline, &mut told));
        let answered = tokio::time::timeout_at(deadline, answering).await;
        let end = match answered.unwrap_or_else(|elapsed| Err(ApiError::unavailable().because(elapsed).into())) {
            Ok(draft) => {
                let (passages, calls) = (&told.passages, &told.calls);
                let spent = self.questions.finish(&self.caller, &self.ask, &self.taken, draft, passages, calls).await?;
                // It was told in full: who is gone now had it.
                let _ = events.send("done", &spent.data).await;
                return Ok(());
            }
            Err(end) => end,
        };
        // Whoever stopped listening just before the end would never pay.
        let unit = if matches!(end, End::Gone) && told.any { Unit::IsSpent } else { Unit::GoesBack };
        self.questions.close(&self.caller, &self.ask, &self.taken, unit, &told.passages, &told.calls).await;
        match end {
            End::Failed(error) => Err(error),
            End::Gone => {
                tracing::info!(was_heard = told.any, "the client went away before the end");
                Ok(())
            }
        }
    }

    async fn answer(&self, events: &Events, deadline: Instant, told: &mut Told) -> Result<Draft, End> {
        let found = tokio::select! {
            () = events.closed() => return Err(End::Gone),
            found = self.questions.search(self.caller.tenant(), &self.ask, &self.taken) => found?,
        };
        let citations = found.citations();
        events.send("citations", &Citations { citations: &citations }).await?;
        told.passages = citations;
        let (deltas, pieces) = mpsc::channel(1);
        let answering = self.questions.answer(&self.ask, &self.taken, &found, deadline, Some(deltas), &mut told.calls);
        let (draft, passed_on) = tokio::join!(Box::pin(answering), pass_on(pieces, events, &mut told.any));
        passed_on?;
        if !told.any {
            events.send("delta", &Delta { text: draft.text() }).await?;
        }
        Ok(draft)
    }
}

/// Sends what is said until it ends, and notes whether anything was. Dropping the receiver is what ends the call of the
/// model.
async fn pass_on(mut pieces: mpsc::Receiver<String>, events: &Events, any: &mut bool) -> Result<(), Gone> {
    loop {
        let piece = tokio::select! {
            () = events.closed() => return Err(Gone),
            piece = pieces.recv() => piece,
        };
        let Some(text) = piece else { return Ok(()) };
        events.send("delta", &Delta { text: &text }).await?;
        *any = true;
    }
}
