//! Who did what to the company's data: its audit log. Exports and deletion come here too (7 of 8).

use axum::extract::{FromRef, State};
use shared::{
    audit::{self, AuditEntry, AuditListing},
    auth::{AccountUser, Caller, VerificationKeys},
    db::Db,
    error::Result,
    function::{Function, HttpFunction},
    http::Query,
    paging::{List, ListParams},
    rate_limits::RateLimits,
    routes,
    settings::Settings,
};
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
    const NAME: &'static str = "privacy";

    fn read(settings: &mut Settings) -> Self {
        let db = Db::read(settings);
        Self { limits: RateLimits::read(settings, &db), keys: VerificationKeys::read(settings), db }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new().routes(routes!(audit_log))
    }
}

/// A page of the company's audit log, newest first: sign-ins, changed passwords and keys, and what support users read.
#[utoipa::path(
    get, path = "/api/v1/audit", tag = "privacy", params(ListParams),
    responses((status = 200, body = List<AuditEntry>)),
)]
async fn audit_log(
    caller: Caller<AccountUser>,
    State(db): State<Db>,
    Query(params): Query<ListParams>,
) -> Result<List<AuditEntry>> {
    let paging = params.of::<AuditListing>()?;
    db.tenant(caller.tenant(), async |tx| audit::list(tx, &paging).await).await
}
