//! Route of the company's activities.

use axum::extract::{FromRef, State};
use shared::{
    activities::{self, ActivityFilter, ActivityItem, ActivityListing},
    auth::{AuditedRead, Caller, SupportUser, VerificationKeys},
    db::Db,
    error::Result,
    function::{Function, HttpFunction},
    http::Query,
    paging::{List, ListParams, ListParamsOf},
    rate_limits::RateLimits,
    routes,
    settings::Settings,
};
use utoipa_axum::router::OpenApiRouter;

/// The `activities` Lambda function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// Dependencies of the function.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    db: Db,
    keys: VerificationKeys,
    limits: RateLimits,
}

impl HttpFunction for Deps {
    const NAME: &'static str = "activities";

    fn read(settings: &mut Settings) -> Self {
        let db = Db::read(settings);
        Self { limits: RateLimits::read(settings, &db), keys: VerificationKeys::read(settings), db }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new().routes(routes!(list))
    }
}

/// Returns a page of the activities, newest first: orders, handovers, limits and failures. They name objects by their ids,
/// and hold no text of a customer.
#[utoipa::path(
    get, path = "/api/v1/activities", tag = "activities", params(ActivityFilter, ListParamsOf<ActivityListing>),
    responses((status = 200, body = List<ActivityItem>)),
)]
async fn list(
    caller: Caller<SupportUser>,
    State(db): State<Db>,
    Query(filter): Query<ActivityFilter>,
    Query(params): Query<ListParams>,
) -> Result<List<ActivityItem>> {
    let paging = params.validate::<ActivityListing>()?;
    let read = AuditedRead::of_tenant("activities.read");
    caller.read_tx(&db, read, async |tx| activities::list(tx, &filter, &paging).await).await
}
