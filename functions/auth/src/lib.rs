//! Routes for sign-up, sign-in, refresh, sign-out and passwords. Accounts are kept in this project's database or in a
//! Supabase project.

mod local;
mod requests;
mod strength;
mod supabase;

use axum::extract::{FromRef, State};
use shared::{
    accounts::DEFAULT_FREE_QUOTA_LIMIT,
    auth::{Public, SignedInUser, VerificationKeys},
    db::SystemDb,
    error::{ApiError, Result},
    function::{Function, HttpFunction},
    http::{Created, Data, Envelope, Json, NoContent, RequestId},
    rate_limits::{RateLimitKey, RateLimits},
    routes,
    settings::Settings,
};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    local::LocalAccounts,
    requests::{Login, PasswordChange, Refresh, Session, Signup, SignupAnswer},
    supabase::GoTrue,
};

/// The `auth` Lambda function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// Dependencies of the function.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    accounts: Accounts,
    keys: VerificationKeys,
    limits: RateLimits,
}

/// Provider of the accounts: this project's database, or Supabase when SUPABASE_URL is set.
#[derive(Debug, Clone)]
enum Accounts {
    Local(LocalAccounts),
    Supabase(GoTrue),
}

impl HttpFunction for Deps {
    const NAME: &'static str = "auth";

    fn read(settings: &mut Settings) -> Self {
        let db = SystemDb::read(settings);
        let limits = RateLimits::read_on_system(settings, &db);
        let free_quota_limit = settings.number("FREE_QUOTA_LIMIT", DEFAULT_FREE_QUOTA_LIMIT).into();
        let accounts = match settings.optional_url("SUPABASE_URL") {
            Some(url) => Accounts::Supabase(GoTrue::read(settings, url, db, free_quota_limit)),
            None => {
                // Read without a use, so that the table of settings has it.
                settings.optional("SUPABASE_ANON_KEY");
                Accounts::Local(LocalAccounts::read(settings, db, free_quota_limit))
            }
        };
        Self { accounts, keys: VerificationKeys::read(settings), limits }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new()
            .routes(routes!(sign_up))
            .routes(routes!(log_in))
            .routes(routes!(refresh))
            .routes(routes!(log_out))
            .routes(routes!(change_password))
    }
}

/// Creates an account, either with a new company or by an invitation to an existing one.
#[utoipa::path(
    post, path = "/api/v1/auth/signup", tag = "auth", request_body = Signup,
    responses((status = 201, body = Envelope<SignupAnswer>), (status = 409)),
)]
async fn sign_up(
    caller: Public,
    State(accounts): State<Accounts>,
    State(limits): State<RateLimits>,
    RequestId(request_id): RequestId,
    Json(signup): Json<Signup>,
) -> Result<Created<SignupAnswer>> {
    let (new, joining) = signup.split()?;
    limits.check_anonymous(&RateLimitKey::SignIn { email: new.email.as_str(), address: caller.address }).await?;
    let answer = match accounts {
        Accounts::Local(local) => SignupAnswer::SignedIn(Box::new(local.sign_up(new, joining, &request_id).await?)),
        Accounts::Supabase(project) => project.sign_up(new, joining, &request_id).await?,
    };
    Ok(Created(answer))
}

/// Signs in with e-mail address and password.
#[utoipa::path(
    post, path = "/api/v1/auth/login", tag = "auth", request_body = Login,
    responses((status = 200, body = Envelope<Session>), (status = 401)),
)]
async fn log_in(
    caller: Public,
    State(accounts): State<Accounts>,
    State(limits): State<RateLimits>,
    RequestId(request_id): RequestId,
    Json(login): Json<Login>,
) -> Result<Data<Session>> {
    // No account has an address of another form or a longer password, so nothing is counted or computed for them.
    let (email, password) = login.split().ok_or_else(wrong_credentials)?;
    limits.check_anonymous(&RateLimitKey::SignIn { email: email.as_str(), address: caller.address }).await?;
    let session = match accounts {
        Accounts::Local(local) => local.log_in(&email, password, &request_id).await?,
        Accounts::Supabase(project) => project.log_in(&email, &password, &request_id).await?,
    };
    Ok(Data(session))
}

/// Exchanges a refresh token for new tokens. Each refresh token is valid once; a second use ends its session.
#[utoipa::path(
    post, path = "/api/v1/auth/refresh", tag = "auth", request_body = Refresh,
    responses((status = 200, body = Envelope<Session>), (status = 401)),
)]
async fn refresh(_: Public, State(accounts): State<Accounts>, Json(refresh): Json<Refresh>) -> Result<Data<Session>> {
    let session = match accounts {
        Accounts::Local(local) => local.refresh(&refresh.refresh_token).await?,
        Accounts::Supabase(project) => project.refresh(&refresh.refresh_token).await?,
    };
    Ok(Data(session))
}

/// Ends the session. Its refresh token is invalid at once; its access token stays valid for up to an hour.
#[utoipa::path(post, path = "/api/v1/auth/logout", tag = "auth", responses((status = 204)))]
async fn log_out(
    caller: SignedInUser,
    headers: axum::http::HeaderMap,
    State(accounts): State<Accounts>,
) -> Result<NoContent> {
    match accounts {
        Accounts::Local(local) => local.log_out(&caller).await?,
        Accounts::Supabase(project) => project.log_out(&headers).await?,
    }
    Ok(NoContent)
}

/// Changes the password and ends all sessions of the user: no refresh token works any more, and an access token that
/// was issued before stays valid for up to an hour. Of several simultaneous changes, one wins; the others get
/// 401 or 409. Attempts are limited like sign-ins.
#[utoipa::path(
    post, path = "/api/v1/auth/password", tag = "auth", request_body = PasswordChange,
    responses((status = 204), (status = 409)),
)]
async fn change_password(
    caller: SignedInUser,
    State(accounts): State<Accounts>,
    State(limits): State<RateLimits>,
    Json(change): Json<PasswordChange>,
) -> Result<NoContent> {
    // A stolen token must not be enough to guess the password.
    limits.check_anonymous(&RateLimitKey::PasswordChange(caller.user)).await?;
    match accounts {
        Accounts::Local(local) => local.change_password(&caller, change).await?,
        Accounts::Supabase(project) => project.change_password(&caller, change).await?,
    }
    Ok(NoContent)
}

/// Returns the 401 error of a failed sign-in. A wrong address and a wrong password give one error, so as not to
/// reveal which addresses have accounts.
fn wrong_credentials() -> ApiError {
    ApiError::new(axum::http::StatusCode::UNAUTHORIZED, "invalid_credentials", "the address or the password is wrong")
}

/// Returns the 422 error of a password change with a wrong current password.
fn wrong_current_password() -> ApiError {
    ApiError::field("current_password", "is not the current password")
}

/// Returns the 401 error of an invalid refresh token.
fn wrong_refresh_token() -> ApiError {
    ApiError::new(
        axum::http::StatusCode::UNAUTHORIZED,
        "invalid_refresh_token",
        "the refresh token is unknown, expired or used: sign in again",
    )
}
