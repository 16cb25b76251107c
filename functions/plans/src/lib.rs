//! `GET /api/v1/plans`: the plans with their prices and limits.

use axum::{
    extract::{FromRef, State},
    http::{HeaderName, header},
};
use shared::{
    auth::Public,
    db::Db,
    error::Result,
    function::{Function, HttpFunction},
    http::{Data, Envelope},
    plans::{self, PublicPlan},
    rate_limits::RateLimits,
    routes,
    settings::Settings,
};
use utoipa_axum::router::OpenApiRouter;

/// The `plans` Lambda function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// Plans change seldom. A page that shows prices may keep them for five minutes.
const CACHE_CONTROL: [(HeaderName, &str); 1] = [(header::CACHE_CONTROL, "public, max-age=300")];

/// Dependencies of the function.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    db: Db,
    limits: RateLimits,
}

impl HttpFunction for Deps {
    const NAME: &'static str = "plans";

    fn read(settings: &mut Settings) -> Self {
        let db = Db::read(settings);
        Self { limits: RateLimits::read(settings, &db), db }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new().routes(routes!(list))
    }
}

/// Lists the plans, the cheapest first.
#[utoipa::path(
    get, path = "/api/v1/plans", tag = "billing",
    responses((status = 200, body = Envelope<Vec<PublicPlan>>)),
)]
async fn list(_: Public, State(db): State<Db>) -> Result<([(HeaderName, &'static str); 1], Data<Vec<PublicPlan>>)> {
    Ok((CACHE_CONTROL, Data(plans::list_public(&db).await?)))
}
