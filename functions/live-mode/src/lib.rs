//! Whether the bot sells (LIVE) or answers from documents (RAG): switched by the owner, kept in sessions.

use axum::extract::{FromRef, State};
use serde::Deserialize;
use serde_json::json;
use shared::{
    activities::{self, Activity, Status},
    audit,
    auth::{AccountUser, Caller, VerificationKeys},
    bot_sessions::{self, BotSession, BotSessionListing},
    db::Db,
    error::{ApiError, Result},
    function::{Function, HttpFunction},
    http::{Data, Envelope, Json, Query},
    paging::{List, ListParams},
    rate_limits::RateLimits,
    routes,
    settings::Settings,
};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

/// The function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// What it needs.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    db: Db,
    keys: VerificationKeys,
    limits: RateLimits,
}

impl HttpFunction for Deps {
    const NAME: &'static str = "live-mode";

    fn read(settings: &mut Settings) -> Self {
        let db = Db::read(settings);
        Self { limits: RateLimits::read(settings, &db), keys: VerificationKeys::read(settings), db }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new().routes(routes!(toggle)).routes(routes!(toggle_as_before)).routes(routes!(list))
    }
}

/// The mode that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "enabled": true }))]
struct LiveMode {
    /// True: the bot sells (LIVE). False: it answers from documents (RAG).
    enabled: bool,
}

/// Ends the open bot session and starts one in the other mode; in the wanted mode already, it changes nothing.
#[utoipa::path(
    post, path = "/api/v1/toggle-live-mode", tag = "live-mode", request_body = LiveMode,
    responses((status = 200, body = Envelope<BotSession>)),
)]
async fn toggle(
    caller: Caller<AccountUser>,
    State(db): State<Db>,
    Json(wanted): Json<LiveMode>,
) -> Result<Data<BotSession>> {
    db.tenant(caller.tenant(), async |tx| {
        let switched = bot_sessions::switch(tx, wanted.enabled).await?;
        if switched.is_new {
            let session = &switched.session;
            let details = json!({ "mode": session.mode, "session_id": session.id });
            let title =
                if wanted.enabled { "The assistant sells now" } else { "The assistant answers from documents now" };
            let activity = Activity {
                kind: "mode_changed",
                title,
                status: Status::Info,
                conversation: None,
                metadata: details.clone(),
            };
            activities::record(tx, &activity).await?;
            let entry = audit::Entry {
                actor: Some(caller.user),
                action: "mode.changed",
                object: format!("tenant:{}", caller.tenant()),
                request_id: Some(&caller.request_id),
                details,
            };
            audit::record(tx, &entry).await?;
        }
        Ok::<_, ApiError>(Data(switched.session))
    })
    .await
}

/// The same at the address that the mobile app knows.
#[utoipa::path(
    post, path = "/toggle-live-mode", tag = "live-mode", request_body = LiveMode,
    responses((status = 200, body = Envelope<BotSession>)),
)]
async fn toggle_as_before(
    caller: Caller<AccountUser>,
    db: State<Db>,
    wanted: Json<LiveMode>,
) -> Result<Data<BotSession>> {
    toggle(caller, db, wanted).await
}

/// A page of the bot's sessions, newest first. `status` is the mode: `live` or `rag`.
#[utoipa::path(
    get, path = "/api/v1/bot-sessions", tag = "live-mode", params(ListParams),
    responses((status = 200, body = List<BotSession>)),
)]
async fn list(
    caller: Caller<AccountUser>,
    State(db): State<Db>,
    Query(params): Query<ListParams>,
) -> Result<List<BotSession>> {
    let paging = params.of::<BotSessionListing>()?;
    db.tenant(caller.tenant(), async |tx| bot_sessions::list(tx, &paging).await).await
}
