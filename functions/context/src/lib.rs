//! The Context Loader: what an assistant needs to know of a user before it answers, in one response.

use axum::extract::{FromRef, State};
use shared::{
    auth::{MemberOrService, OnBehalfOf, VerificationKeys},
    context::{self, Context, ContextReader},
    db::Db,
    error::Result,
    function::{Function, HttpFunction},
    http::{Data, Envelope},
    rate_limits::RateLimits,
    routes,
    settings::Settings,
};
use utoipa_axum::router::OpenApiRouter;

/// The `context` Lambda function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// Path of the function that streams answers.
const STREAM_PATH: &str = "api/v1/query/stream";

/// URL of the function that streams answers; `None` where it is not deployed.
#[derive(Debug, Clone)]
struct StreamUrl(Option<String>);

/// Dependencies of the handler.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    db: Db,
    keys: VerificationKeys,
    limits: RateLimits,
    stream_url: StreamUrl,
}

impl HttpFunction for Deps {
    const NAME: &'static str = "context";

    fn read(settings: &mut Settings) -> Self {
        let db = Db::read(settings);
        let base = settings.optional_url("STREAM_BASE_URL");
        Self {
            limits: RateLimits::read(settings, &db),
            keys: VerificationKeys::read(settings),
            stream_url: StreamUrl(base.map(|base| format!("{base}/{STREAM_PATH}"))),
            db,
        }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new().routes(routes!(load))
    }
}

/// Returns the context of the caller, or of the member whom a service names by `user_id`: the user, the quota, the plan,
/// the company, the bot's mode and prompts, the last messages and the number of documents. Reads by support users and
/// services are in the audit log.
#[utoipa::path(
    get, path = "/api/v1/context", tag = "context",
    params(OnBehalfOf, ("X-Customer-Id" = Option<uuid::Uuid>, Header, description = "names one of several companies")),
    responses((status = 200, body = Envelope<Context>), (status = 403), (status = 404)),
)]
async fn load(
    caller: MemberOrService,
    State(db): State<Db>,
    State(StreamUrl(stream_url)): State<StreamUrl>,
) -> Result<Data<Context>> {
    let reader = ContextReader {
        user: caller.user,
        owner: caller.owner(),
        is_audited: caller.is_audited(),
        actor: caller.actor(),
        request_id: &caller.request_id,
    };
    db.tenant_tx(caller.tenant(), async |tx| context::load(tx, &reader, stream_url).await).await.map(Data)
}
