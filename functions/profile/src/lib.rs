//! Routes of the signed-in user's own profile.

use std::time::Duration;

use axum::extract::{FromRef, State};
use shared::{
    auth::{SignedInUser, VerificationKeys},
    cache::Cache,
    db::SystemDb,
    error::{ApiError, Result},
    function::{Function, HttpFunction},
    http::{Data, Envelope, Json},
    profiles::{self, OwnProfile, Profile, ProfilePatch, ProfileRead, VersionedProfile},
    rate_limits::RateLimits,
    routes,
    settings::Settings,
};
use utoipa_axum::router::OpenApiRouter;

/// The `profile` Lambda function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// Time for which a profile is cached.
const CACHE_LIFETIME: Duration = Duration::from_secs(300);

/// Dependencies of the function. Profiles belong to users and not to companies, so it logs in as the system.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    db: SystemDb,
    keys: VerificationKeys,
    limits: RateLimits,
    cache: Cache,
}

impl HttpFunction for Deps {
    const NAME: &'static str = "profile";

    fn read(settings: &mut Settings) -> Self {
        let db = SystemDb::read(settings);
        Self {
            limits: RateLimits::read_on_system(settings, &db),
            db,
            keys: VerificationKeys::read(settings),
            cache: Cache::read(settings, "profile", CACHE_LIFETIME),
        }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new().routes(routes!(show, change))
    }
}

/// Returns the profile of the signed-in user. With it come the state of the subscription, the requests that are left, and
/// the companies that the user may open.
#[utoipa::path(
    get, path = "/api/v1/profiles/me", tag = "profile",
    responses((status = 200, body = Envelope<OwnProfile>), (status = 404)),
)]
async fn show(caller: SignedInUser, State(deps): State<Deps>) -> Result<Data<OwnProfile>> {
    let key = caller.user.to_string();
    let cached: Option<VersionedProfile> = deps.cache.find(&key).await;
    let version = cached.as_ref().map(|cached| cached.version);
    // The statement that checks the account also compares the version of the cached copy.
    let (read, (companies, is_administrator)) = deps
        .db
        .system_tx(async |tx| {
            let read = profiles::read(tx, caller.user, version).await?;
            Ok((read, profiles::memberships(tx, caller.user).await?))
        })
        .await?;
    let profile = match read {
        ProfileRead::Changed(found) => {
            deps.cache.store(&key, &found).await;
            found.profile
        }
        ProfileRead::Unchanged => cached.ok_or_else(ApiError::internal)?.profile,
    };
    Ok(Data(OwnProfile { profile, companies, is_administrator }))
}

/// Changes the name and the picture of the signed-in user. A field that is null is removed; any other field than these
/// two is refused.
#[utoipa::path(
    patch, path = "/api/v1/profiles/me", tag = "profile", request_body = ProfilePatch,
    responses((status = 200, body = Envelope<Profile>), (status = 404)),
)]
async fn change(
    caller: SignedInUser,
    State(deps): State<Deps>,
    Json(patch): Json<ProfilePatch>,
) -> Result<Data<Profile>> {
    let changed =
        deps.db.system_tx(async |tx| profiles::change(tx, caller.user, &patch, &caller.request_id).await).await?;
    deps.cache.remove(&caller.user.to_string()).await;
    Ok(Data(changed.profile))
}
