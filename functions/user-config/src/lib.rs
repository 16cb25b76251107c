//! Routes of a user's own configuration: the URL of the user's data pod and its key.

use axum::extract::{FromRef, State};
use shared::{
    auth::{Identity, OnBehalfOf, SignedInUser, VerificationKeys},
    error::Result,
    function::{Function, HttpFunction},
    http::{Data, Envelope, Json, NoContent, Query, RequestId},
    rate_limits::RateLimits,
    routes,
    settings::Settings,
    user_configs::{NewUserConfig, UserConfig, UserConfigs},
};
use utoipa_axum::router::OpenApiRouter;

/// The `user-config` Lambda function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// Dependencies of the handlers. The configuration belongs to users and not to companies, so the function logs in as the
/// system.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    keys: VerificationKeys,
    limits: RateLimits,
    configs: UserConfigs,
}

impl HttpFunction for Deps {
    const NAME: &'static str = "user-config";

    fn read(settings: &mut Settings) -> Self {
        let configs = UserConfigs::read(settings);
        Self {
            limits: RateLimits::read_on_system(settings, configs.app()),
            keys: VerificationKeys::read(settings),
            configs,
        }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new().routes(routes!(show, replace, delete))
    }
}

/// Returns the caller's configuration, with the last four characters of the key. A service token gets the configuration
/// of the user that `user_id` names, with the whole key; the audit log records each such read.
#[utoipa::path(
    get, path = "/api/v1/user-config", tag = "user-config", params(OnBehalfOf),
    responses((status = 200, body = Envelope<UserConfig>), (status = 403), (status = 404)),
)]
async fn show(
    caller: Identity,
    RequestId(request_id): RequestId,
    State(configs): State<UserConfigs>,
    Query(on_behalf_of): Query<OnBehalfOf>,
) -> Result<Data<UserConfig>> {
    let user = on_behalf_of.resolve(&caller)?;
    if caller.0.is_service() {
        return configs.reveal(user, &request_id).await.map(Data);
    }
    configs.show(user).await.map(Data)
}

/// Replaces the caller's configuration. The URL must be public and start with `https://`. An omitted key stays as it is,
/// unless the URL names another server: then it must be sent again.
#[utoipa::path(
    put, path = "/api/v1/user-config", tag = "user-config", request_body = NewUserConfig,
    responses((status = 200, body = Envelope<UserConfig>), (status = 404)),
)]
async fn replace(
    caller: SignedInUser,
    State(configs): State<UserConfigs>,
    Json(new): Json<NewUserConfig>,
) -> Result<Data<UserConfig>> {
    configs.replace(caller.user, &caller.request_id, new).await.map(Data)
}

/// Deletes the caller's configuration. A repetition changes nothing.
#[utoipa::path(
    delete, path = "/api/v1/user-config", tag = "user-config",
    responses((status = 204), (status = 404)),
)]
async fn delete(caller: SignedInUser, State(configs): State<UserConfigs>) -> Result<NoContent> {
    configs.delete(caller.user, &caller.request_id).await?;
    Ok(NoContent)
}
