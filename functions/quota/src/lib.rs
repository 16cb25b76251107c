//! The routes of the request quota, read-only: by user for the mobile app, by tenant for the dashboard.

use axum::extract::{FromRef, State};
use serde::Serialize;
use shared::{
    auth::{Caller, Identity, SupportUser, VerificationKeys},
    db::{DELETED_ROLE, Db},
    error::{ApiError, Result},
    function::{Function, HttpFunction},
    http::{Data, Envelope, Path},
    quota::{self, Quota},
    rate_limits::RateLimits,
    routes,
    settings::Settings,
};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

/// The `quota` Lambda function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// Dependencies of the handlers.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    db: Db,
    keys: VerificationKeys,
    limits: RateLimits,
}

impl HttpFunction for Deps {
    const NAME: &'static str = "quota";

    fn read(settings: &mut Settings) -> Self {
        let db = Db::read(settings);
        Self { limits: RateLimits::read(settings, &db), keys: VerificationKeys::read(settings), db }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new().routes(routes!(of_user)).routes(routes!(of_tenant))
    }
}

/// The quota of a user. The response has no envelope, since the mobile app expects a bare object.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "public_user_id": "5d0f3c52-8e7a-4b7e-9a55-6f0a2b1c3d4e", "is_pro": false, "free_quota_used": 1,
    "free_quota_limit": 8, "state": "normal", "paywall_should_show": false,
}))]
struct UserQuota {
    public_user_id: Uuid,
    #[serde(flatten)]
    quota: Quota,
}

/// Returns the quota of a user. Allowed for that user, for service tokens and for global admins.
#[utoipa::path(
    get, path = "/v1/quota/{public_user_id}", tag = "quota",
    params(("public_user_id" = Uuid, Path, description = "`users.id`, the token's `sub`")),
    responses((status = 200, body = UserQuota)),
)]
async fn of_user(
    Identity(claims): Identity,
    State(db): State<Db>,
    Path(public_user_id): Path<Uuid>,
) -> Result<axum::Json<UserQuota>> {
    if !claims.is_service() {
        let role = match claims.sub {
            Some(user) => db.user_role(user).await?,
            None => None,
        };
        match role.as_deref() {
            Some(DELETED_ROLE) => return Err(ApiError::unauthorized()),
            Some("global_admin") => {}
            _ if claims.sub == Some(public_user_id) => {}
            _ => return Err(ApiError::not_found("user")),
        }
    }
    let quota = quota::of_user(&db, public_user_id).await?.ok_or_else(|| ApiError::not_found("user"))?;
    Ok(axum::Json(UserQuota { public_user_id, quota }))
}

/// Returns the quota that the tenant's requests count against, which is its owner's.
#[utoipa::path(
    get, path = "/api/v1/quota/status", tag = "quota",
    responses((status = 200, body = Envelope<Quota>)),
)]
async fn of_tenant(caller: Caller<SupportUser>, State(db): State<Db>) -> Result<Data<Quota>> {
    let quota = quota::of_user(&db, caller.owner()).await?;
    quota.map(Data).ok_or_else(|| ApiError::not_found("user"))
}
