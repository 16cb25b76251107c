//! Route of the dashboard's figures.

use axum::extract::{FromRef, State};
use shared::{
    auth::{Caller, SupportUser, VerificationKeys},
    dashboard::{self, Stats, StatsRange},
    db::Db,
    error::Result,
    function::{Function, HttpFunction},
    http::{Data, Envelope, Query},
    rate_limits::RateLimits,
    routes,
    settings::Settings,
};
use utoipa_axum::router::OpenApiRouter;

/// The `dashboard` Lambda function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// Dependencies of the function.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    db: Db,
    keys: VerificationKeys,
    limits: RateLimits,
}

impl HttpFunction for Deps {
    const NAME: &'static str = "dashboard";

    fn read(settings: &mut Settings) -> Self {
        let db = Db::read(settings);
        Self { limits: RateLimits::read(settings, &db), keys: VerificationKeys::read(settings), db }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new().routes(routes!(stats))
    }
}

/// Returns the figures of a range of days: a series by day, and totals with the orders by status, the revenue, the cost of
/// models, what was answered by whom, and how long contacts waited for the first answer.
#[utoipa::path(
    get, path = "/api/v1/dashboard/stats", tag = "dashboard", params(StatsRange),
    responses((status = 200, body = Envelope<Stats>)),
)]
async fn stats(
    caller: Caller<SupportUser>,
    State(db): State<Db>,
    Query(range): Query<StatsRange>,
) -> Result<Data<Stats>> {
    db.tenant_tx(caller.tenant(), async |tx| dashboard::stats(tx, &range).await.map(Data)).await
}
