//! The routes by which administrators see all companies, suspend them and end a suspension.

use axum::extract::{FromRef, State};
use shared::{
    auth::{Administrator, VerificationKeys},
    billing::Billing,
    customer_admin::{self, CustomerFilter, CustomerListing, CustomerRecord, CustomerSummary},
    db::SystemDb,
    error::Result,
    function::{Function, HttpFunction},
    http::{Data, Envelope, Path, Query},
    paging::{List, ListParams, ListParamsOf},
    rate_limits::RateLimits,
    routes,
    settings::Settings,
};
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

/// The `admin` Lambda function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// Dependencies of the handlers.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    db: SystemDb,
    keys: VerificationKeys,
    limits: RateLimits,
    billing: Billing,
}

impl HttpFunction for Deps {
    const NAME: &'static str = "admin";

    fn read(settings: &mut Settings) -> Self {
        let billing = Billing::read(settings);
        Self {
            db: billing.app().clone(),
            limits: RateLimits::read_on_system(settings, billing.app()),
            keys: VerificationKeys::read(settings),
            billing,
        }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new()
            .routes(routes!(list))
            .routes(routes!(show))
            .routes(routes!(suspend))
            .routes(routes!(unsuspend))
    }
}

/// Lists all companies, the newest first unless another order is given. The audit log records each read.
#[utoipa::path(
    get, path = "/api/v1/admin/customers", tag = "admin", params(ListParamsOf<CustomerListing>, CustomerFilter),
    responses((status = 200, body = List<CustomerSummary>)),
)]
async fn list(
    administrator: Administrator,
    State(db): State<SystemDb>,
    Query(params): Query<ListParams>,
    Query(filter): Query<CustomerFilter>,
) -> Result<List<CustomerSummary>> {
    let paging = params.validate::<CustomerListing>()?;
    db.system_tx(async |tx| customer_admin::list(tx, &administrator, &filter, &paging).await).await
}

/// Returns a company with its plan, its usage and the cost of its models in the present month. The company's audit log
/// records each read.
#[utoipa::path(
    get, path = "/api/v1/admin/customers/{id}", tag = "admin",
    params(("id" = Uuid, Path, description = "`customers.id`")),
    responses((status = 200, body = Envelope<CustomerRecord>)),
)]
async fn show(
    administrator: Administrator,
    State(db): State<SystemDb>,
    Path(id): Path<Uuid>,
) -> Result<Data<CustomerRecord>> {
    db.system_tx(async |tx| customer_admin::get(tx, &administrator, id).await).await.map(Data)
}

/// Suspends a company: its routes and its ManyChat bot get 403 `tenant_suspended`, its contacts no answers, and Stripe
/// stops to collect its subscription; invoices of that time are void. A repetition changes nothing. While Stripe cannot be
/// reached, `collection` is `pausing`, and maintenance tries again.
#[utoipa::path(
    post, path = "/api/v1/admin/customers/{id}/suspend", tag = "admin",
    params(("id" = Uuid, Path, description = "`customers.id`")),
    responses((status = 200, body = Envelope<CustomerRecord>), (status = 409)),
)]
async fn suspend(
    administrator: Administrator,
    State(deps): State<Deps>,
    Path(id): Path<Uuid>,
) -> Result<Data<CustomerRecord>> {
    deps.set_suspended(&administrator, id, true).await
}

/// Ends the suspension of a company: its routes and its bot work again, and Stripe collects its subscription again. A
/// repetition changes nothing.
#[utoipa::path(
    post, path = "/api/v1/admin/customers/{id}/unsuspend", tag = "admin",
    params(("id" = Uuid, Path, description = "`customers.id`")),
    responses((status = 200, body = Envelope<CustomerRecord>), (status = 409)),
)]
async fn unsuspend(
    administrator: Administrator,
    State(deps): State<Deps>,
    Path(id): Path<Uuid>,
) -> Result<Data<CustomerRecord>> {
    deps.set_suspended(&administrator, id, false).await
}

impl Deps {
    async fn set_suspended(
        &self,
        administrator: &Administrator,
        id: Uuid,
        is_suspended: bool,
    ) -> Result<Data<CustomerRecord>> {
        self.db.system_tx(async |tx| customer_admin::set_suspended(tx, administrator, id, is_suspended).await).await?;
        // The job is committed with the change. Whatever happens from here on, maintenance runs it.
        self.billing.run_due_collection(id).await;
        self.db.system_tx(async |tx| customer_admin::get(tx, administrator, id).await).await.map(Data)
    }
}
