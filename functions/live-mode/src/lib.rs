//! Routes of the bot's mode: the owner switches between LIVE (sells products) and RAG (answers from documents), and
//! lists the bot sessions.

use axum::extract::{FromRef, State};
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::{
    activities::{self, Activity, ActivityStatus},
    auth::{AccountUser, Caller, VerificationKeys},
    bot_sessions::{self, BotSession, BotSessionListing},
    db::Db,
    error::Result,
    function::{Function, HttpFunction},
    http::{Data, Envelope, Json, Query},
    llm::Provider,
    paging::{List, ListParams, ListParamsOf},
    rate_limits::RateLimits,
    routes,
    settings::Settings,
};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

/// The `live-mode` Lambda function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// Dependencies of the function.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    db: Db,
    keys: VerificationKeys,
    limits: RateLimits,
    provider: Provider,
}

impl HttpFunction for Deps {
    const NAME: &'static str = "live-mode";

    fn read(settings: &mut Settings) -> Self {
        let db = Db::read(settings);
        Self {
            limits: RateLimits::read(settings, &db),
            keys: VerificationKeys::read(settings),
            provider: Provider::read(settings),
            db,
        }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new().routes(routes!(toggle)).routes(routes!(toggle_as_before)).routes(routes!(list))
    }
}

/// The requested mode.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "enabled": true }))]
struct LiveMode {
    /// True for LIVE (the bot sells products); false for RAG (the bot answers from documents).
    enabled: bool,
}

/// The open bot session after a switch.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "c0a8e52a-7c1c-4a51-9b50-54f2a9b9d7a1", "mode": "live", "started_at": "2026-11-23T09:30:06Z", "ended_at": null,
    "warning": null,
}))]
struct SwitchedMode {
    #[serde(flatten)]
    session: BotSession,
    /// The reason for which the mode has no effect yet, if there is one.
    #[schema(required)]
    warning: Option<&'static str>,
}

/// Warning for mode LIVE without a model.
const NO_MODEL: &str = "no language model is configured: until one is, the assistant takes no orders, quotes the catalogue and answers from \
     the documents";

/// Ends the open bot session and starts one in the requested mode. Changes nothing when that is the present mode. Mode LIVE
/// needs a language model to take orders: without one, `warning` says that the assistant quotes the catalogue and answers
/// from documents.
#[utoipa::path(
    post, path = "/api/v1/toggle-live-mode", tag = "live-mode", request_body = LiveMode,
    responses((status = 200, body = Envelope<SwitchedMode>)),
)]
async fn toggle(
    caller: Caller<AccountUser>,
    State(deps): State<Deps>,
    Json(requested): Json<LiveMode>,
) -> Result<Data<SwitchedMode>> {
    let warning = (requested.enabled && !deps.provider.has_model()).then_some(NO_MODEL);
    deps.db
        .tenant_tx(caller.tenant(), async |tx| {
            let switched = bot_sessions::switch(tx, requested.enabled).await?;
            if switched.is_new {
                let session = &switched.session;
                let details = json!({ "mode": session.mode, "session_id": session.id });
                let title = if requested.enabled {
                    "The assistant sells now"
                } else {
                    "The assistant answers from documents now"
                };
                let activity = Activity {
                    kind: "mode_changed",
                    title,
                    status: ActivityStatus::Info,
                    conversation: None,
                    metadata: details.clone(),
                };
                activities::record(tx, &activity).await?;
                caller.record(tx, "mode.changed", format!("tenant:{}", caller.tenant()), details).await?;
            }
            Ok(Data(SwitchedMode { session: switched.session, warning }))
        })
        .await
}

/// Switches the mode, at the former address, which the mobile app uses. Equal to `POST /api/v1/toggle-live-mode`.
#[utoipa::path(
    post, path = "/toggle-live-mode", tag = "live-mode", request_body = LiveMode,
    responses((status = 200, body = Envelope<SwitchedMode>)),
)]
async fn toggle_as_before(
    caller: Caller<AccountUser>,
    deps: State<Deps>,
    requested: Json<LiveMode>,
) -> Result<Data<SwitchedMode>> {
    toggle(caller, deps, requested).await
}

/// Returns a page of the bot's sessions, newest first. `status` is the mode: `live` or `rag`.
#[utoipa::path(
    get, path = "/api/v1/bot-sessions", tag = "live-mode", params(ListParamsOf<BotSessionListing>),
    responses((status = 200, body = List<BotSession>)),
)]
async fn list(
    caller: Caller<AccountUser>,
    State(db): State<Db>,
    Query(params): Query<ListParams>,
) -> Result<List<BotSession>> {
    let paging = params.validate::<BotSessionListing>()?;
    db.tenant_tx(caller.tenant(), async |tx| bot_sessions::list(tx, &paging).await).await
}
