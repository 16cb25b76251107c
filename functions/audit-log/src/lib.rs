//! Route of the company's audit log.

use axum::extract::{FromRef, State};
use shared::{
    audit::{self, AuditEntry, AuditListing},
    auth::{AccountUser, Caller, VerificationKeys},
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

/// The `audit-log` Lambda function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// Dependencies of the function.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    db: Db,
    keys: VerificationKeys,
    limits: RateLimits,
}

impl HttpFunction for Deps {
    const NAME: &'static str = "audit-log";

    fn read(settings: &mut Settings) -> Self {
        let db = Db::read(settings);
        Self { limits: RateLimits::read(settings, &db), keys: VerificationKeys::read(settings), db }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new().routes(routes!(audit_log))
    }
}

/// Lists one page of the company's audit log, newest first unless another order is given: sign-ins, changes of
/// passwords and keys, and reads by support users.
#[utoipa::path(
    get, path = "/api/v1/audit", tag = "privacy", params(ListParamsOf<AuditListing>),
    responses((status = 200, body = List<AuditEntry>)),
)]
async fn audit_log(
    caller: Caller<AccountUser>,
    State(db): State<Db>,
    Query(params): Query<ListParams>,
) -> Result<List<AuditEntry>> {
    let paging = params.validate::<AuditListing>()?;
    db.tenant_tx(caller.tenant(), async |tx| audit::list(tx, &paging).await).await
}
