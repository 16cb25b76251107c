//! The routes by which administrators find paid subscriptions that are nobody's, and assign them.

use axum::extract::{FromRef, State};
use serde::Deserialize;
use shared::{
    auth::{Administrator, VerificationKeys},
    billing::{Assignment, Billing, UnassignedListing, UnassignedSubscription},
    db::SystemDb,
    error::{ApiError, Result},
    function::{Function, HttpFunction},
    http::{Data, Envelope, Json, Query},
    paging::{List, ListParams, ListParamsOf},
    rate_limits::RateLimits,
    routes,
    settings::Settings,
};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

/// The `admin-subscriptions` Lambda function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// Maximum length of the id of an object at Stripe.
const MAX_ID_CHARS: usize = 255;

/// Dependencies of the handlers.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    db: SystemDb,
    keys: VerificationKeys,
    limits: RateLimits,
    billing: Billing,
}

impl HttpFunction for Deps {
    const NAME: &'static str = "admin-subscriptions";

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
        OpenApiRouter::new().routes(routes!(list_unassigned)).routes(routes!(assign))
    }
}

/// Lists the paid subscriptions that are nobody's, the newest first unless another order is given: those without a user,
/// and those whose user does not exist here.
#[utoipa::path(
    get, path = "/api/v1/admin/subscriptions", tag = "billing", params(ListParamsOf<UnassignedListing>),
    responses((status = 200, body = List<UnassignedSubscription>)),
)]
async fn list_unassigned(
    _: Administrator,
    State(billing): State<Billing>,
    Query(params): Query<ListParams>,
) -> Result<List<UnassignedSubscription>> {
    let paging = params.validate::<UnassignedListing>()?;
    billing.list_unassigned(&paging).await
}

/// Request for an assignment.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({
    "subscription_id": "sub_1TExample", "user_id": "5d0f3c52-8e7a-4b7e-9a55-6f0a2b1c3d4e",
}))]
struct NewAssignment {
    /// Subscription at Stripe (`sub_…`).
    #[schema(min_length = 1, max_length = 255)]
    subscription_id: String,
    /// `users.id` of the user who paid.
    user_id: Uuid,
}

/// Assigns a paid subscription that is nobody's to a user, whose plan is in force at once. A repetition changes nothing.
/// Stripe's later events belong to that user too, whatever the subscription's metadata say.
#[utoipa::path(
    post, path = "/api/v1/admin/subscriptions/assign", tag = "billing", request_body = NewAssignment,
    responses((status = 200, body = Envelope<Assignment>), (status = 404), (status = 409)),
)]
async fn assign(
    administrator: Administrator,
    State(billing): State<Billing>,
    Json(wanted): Json<NewAssignment>,
) -> Result<Data<Assignment>> {
    let NewAssignment { subscription_id, user_id } = wanted;
    if !(1..=MAX_ID_CHARS).contains(&subscription_id.len()) || subscription_id.contains('\0') {
        return Err(ApiError::field("subscription_id", "must be the id of a subscription at Stripe"));
    }
    let (actor, request_id) = (administrator.user, administrator.request_id);
    billing.assign(actor, &request_id, &subscription_id, user_id, shared::clock::now()).await.map(Data)
}
