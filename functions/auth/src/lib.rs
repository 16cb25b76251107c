//! Routes for sign-up, sign-in, refresh, sign-out and passwords. Accounts are kept in this project's database or in a
//! Supabase project.

mod delivery;
mod local;
mod requests;
mod strength;
mod supabase;

use axum::extract::{FromRef, State};
use shared::{
    accounts::{self, DEFAULT_FREE_QUOTA_LIMIT},
    audit::{self, NewAuditEntry},
    auth::{Administrator, Public, SignedInUser, VerificationKeys},
    db::SystemDb,
    error::{ApiError, Result},
    function::{Function, HttpFunction},
    http::{Created, Data, Envelope, Json, NoContent, RequestId},
    invitations::{self, OpenInvitation},
    links::OneTimeLinks,
    password_resets::{self, PasswordResetLink},
    rate_limits::{RateLimitKey, RateLimits},
    routes,
    settings::Settings,
    tenants::{self, Customer},
};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    delivery::{PresentedToken, RefreshCaller, SetCookie, TokenDelivery},
    local::LocalAccounts,
    requests::{
        ForgottenPassword, InvitationToken, Login, NewCompany, PasswordChange, PasswordReset, Refresh, Session, Signup,
        SignupAnswer,
    },
    supabase::GoTrue,
};

/// The `auth` Lambda function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// Dependencies of the function.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    accounts: Accounts,
    db: SystemDb,
    keys: VerificationKeys,
    limits: RateLimits,
    links: OneTimeLinks,
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
            Some(url) => Accounts::Supabase(GoTrue::read(settings, url, db.clone(), free_quota_limit)),
            None => {
                // Read without a use, so that the table of settings has it.
                settings.optional("SUPABASE_ANON_KEY");
                Accounts::Local(LocalAccounts::read(settings, db.clone(), free_quota_limit))
            }
        };
        Self { accounts, db, keys: VerificationKeys::read(settings), limits, links: OneTimeLinks::read(settings) }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new()
            .routes(routes!(sign_up))
            .routes(routes!(log_in))
            .routes(routes!(refresh))
            .routes(routes!(log_out))
            .routes(routes!(change_password))
            .routes(routes!(create_company))
            .routes(routes!(accept_invitation))
            .routes(routes!(look_up_invitation))
            .routes(routes!(forgot_password))
            .routes(routes!(reset_password))
            .routes(routes!(issue_password_reset))
    }
}

/// Creates an account, either with a new company or by an invitation to an existing one.
#[utoipa::path(
    post, path = "/api/v1/auth/signup", tag = "auth", request_body = Signup,
    params(("X-Session" = Option<String>, Header, pattern = "^cookie$", description = "`cookie`: the refresh token comes in the cookie `lisa_refresh`")),
    responses((status = 201, body = Envelope<SignupAnswer>), (status = 409)),
)]
async fn sign_up(
    caller: Public,
    delivery: TokenDelivery,
    State(accounts): State<Accounts>,
    State(limits): State<RateLimits>,
    RequestId(request_id): RequestId,
    Json(signup): Json<Signup>,
) -> Result<(SetCookie, Created<SignupAnswer>)> {
    let (new, joining) = signup.split()?;
    limits.check_anonymous(&RateLimitKey::SignIn { email: new.email.as_str(), address: caller.address }).await?;
    let mut answer = match accounts {
        Accounts::Local(local) => SignupAnswer::SignedIn(Box::new(local.sign_up(new, joining, &request_id).await?)),
        Accounts::Supabase(project) => project.sign_up(new, joining, &request_id).await?,
    };
    let cookie = match &mut answer {
        SignupAnswer::SignedIn(session) => delivery.deliver(session),
        // A session of somebody else in this browser ends with the new account.
        SignupAnswer::ConfirmationRequired { .. } => delivery.clear(),
    };
    Ok((cookie, Created(answer)))
}

/// Signs in with e-mail address and password.
#[utoipa::path(
    post, path = "/api/v1/auth/login", tag = "auth", request_body = Login,
    params(("X-Session" = Option<String>, Header, pattern = "^cookie$", description = "`cookie`: the refresh token comes in the cookie `lisa_refresh`")),
    responses((status = 200, body = Envelope<Session>), (status = 401)),
)]
async fn log_in(
    caller: Public,
    delivery: TokenDelivery,
    State(accounts): State<Accounts>,
    State(limits): State<RateLimits>,
    RequestId(request_id): RequestId,
    Json(login): Json<Login>,
) -> Result<(SetCookie, Data<Session>)> {
    // No account has an address of another form or a longer password, so nothing is counted or computed for them.
    let (email, password) = login.split().ok_or_else(wrong_credentials)?;
    limits.check_anonymous(&RateLimitKey::SignIn { email: email.as_str(), address: caller.address }).await?;
    let mut session = match accounts {
        Accounts::Local(local) => local.log_in(&email, password, &request_id).await?,
        Accounts::Supabase(project) => project.log_in(&email, &password, &request_id).await?,
    };
    Ok((delivery.deliver(&mut session), Data(session)))
}

/// Exchanges a refresh token for new tokens. Each refresh token is valid once; a second use ends its session.
///
/// With the header `X-Session: cookie`, the token is read from the cookie `lisa_refresh`, and a body is not read. A second
/// use of a cookie within 30 seconds gives the same answer, for pages that are loaded twice. A refused cookie is cleared.
#[utoipa::path(
    post, path = "/api/v1/auth/refresh", tag = "auth", request_body = Refresh,
    params(
        ("X-Session" = Option<String>, Header, pattern = "^cookie$", description = "`cookie`: reads the cookie instead of the body"),
        ("lisa_refresh" = Option<String>, Cookie, description = "The refresh token, with `X-Session: cookie`"),
    ),
    responses((status = 200, body = Envelope<Session>), (status = 401)),
)]
async fn refresh(
    _: RefreshCaller,
    State(accounts): State<Accounts>,
    presented: PresentedToken,
) -> (SetCookie, Result<Data<Session>>) {
    let PresentedToken { token, delivery } = &presented;
    let session = match accounts {
        Accounts::Local(local) => local.refresh(token, presented.on_reuse()).await,
        Accounts::Supabase(project) => project.refresh(token).await,
    };
    match session {
        Ok(mut session) => (delivery.deliver(&mut session), Ok(Data(session))),
        Err(error) if error.code == wrong_refresh_token().code => (delivery.clear(), Err(error)),
        Err(error) => (SetCookie::none(), Err(error)),
    }
}

/// Ends the session. Its refresh token is invalid at once; its access token stays valid for up to an hour.
#[utoipa::path(
    post, path = "/api/v1/auth/logout", tag = "auth",
    params(("X-Session" = Option<String>, Header, pattern = "^cookie$", description = "`cookie`: clears the cookie")),
    responses((status = 204)),
)]
async fn log_out(
    caller: SignedInUser,
    delivery: TokenDelivery,
    headers: axum::http::HeaderMap,
    State(accounts): State<Accounts>,
) -> Result<(SetCookie, NoContent)> {
    match accounts {
        Accounts::Local(local) => local.log_out(&caller).await?,
        Accounts::Supabase(project) => project.log_out(&headers).await?,
    }
    Ok((delivery.clear(), NoContent))
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

/// Creates the company of a signed-in user, who becomes its owner. For accounts that were made without one, for example
/// at Supabase directly. A user who owns a company gets 409 `company_exists`.
#[utoipa::path(
    post, path = "/api/v1/customers", tag = "auth", request_body = NewCompany,
    responses((status = 201, body = Envelope<Customer>), (status = 409)),
)]
async fn create_company(
    caller: SignedInUser,
    State(deps): State<Deps>,
    Json(new): Json<NewCompany>,
) -> Result<Created<Customer>> {
    deps.db
        .system_tx(async |tx| {
            if let Accounts::Supabase(project) = &deps.accounts {
                project.create_missing(tx, &caller).await?;
            }
            if accounts::is_gone(tx, caller.user).await? {
                return Err(ApiError::unauthorized());
            }
            let customer = tenants::create(tx, caller.user, &new.name).await?;
            let entry = NewAuditEntry {
                actor: Some(caller.user),
                action: "company.created",
                object: format!("customer:{}", customer.id),
                request_id: Some(&caller.request_id),
                details: serde_json::json!({}),
            };
            audit::record_for(tx, Some(customer.id), &entry).await?;
            Ok(Created(customer))
        })
        .await
}

/// Joins a company by an invitation, as a signed-in user. The invitation is used up; of several who use it at once, one
/// joins. A member of the company gets 409, and the invitation stays open.
#[utoipa::path(
    post, path = "/api/v1/auth/invitations", tag = "auth", request_body = InvitationToken,
    responses((status = 200, body = Envelope<Customer>), (status = 409)),
)]
async fn accept_invitation(
    caller: SignedInUser,
    State(db): State<SystemDb>,
    Json(accepted): Json<InvitationToken>,
) -> Result<Data<Customer>> {
    db.system_tx(async |tx| {
        if accounts::is_gone(tx, caller.user).await? {
            return Err(ApiError::unauthorized());
        }
        // The address of the account, not that of the token, which may be older.
        let account = accounts::get(tx, caller.user).await?;
        let customer = invitations::accept(tx, caller.user, &account.email, &accepted.invitation).await?;
        let entry = NewAuditEntry {
            actor: Some(caller.user),
            action: "member.joined",
            object: format!("user:{}", caller.user),
            request_id: Some(&caller.request_id),
            details: serde_json::json!({}),
        };
        audit::record_for(tx, Some(customer.id), &entry).await?;
        Ok(Data(customer))
    })
    .await
}

/// Shows what an invitation offers, before a sign-up or an acceptance: the company, who invites, the role and the time until
/// which it is valid. The invitation stays open. The token is in the body, so that no log has it. The code of the 410 says
/// why the invitation has ended: `invitation_used`, `invitation_revoked` or `invitation_expired`; `details.ended_at` says
/// when. An unknown token gets 404, and so does one of a suspended or deleted company.
#[utoipa::path(
    post, path = "/api/v1/auth/invitations/lookup", tag = "auth", request_body = InvitationToken,
    responses((status = 200, body = Envelope<OpenInvitation>), (status = 404), (status = 410)),
)]
async fn look_up_invitation(
    _: Public,
    State(db): State<SystemDb>,
    Json(InvitationToken { invitation }): Json<InvitationToken>,
) -> Result<Data<OpenInvitation>> {
    db.system_tx(async |tx| Ok(Data(invitations::find_open(tx, &invitation).await?))).await
}

/// Sends a link for a new password to an address, through the Supabase project that holds the accounts. The answer is the
/// same for an address without an account. Without a Supabase project, no mail is sent: 409 `no_mail`; an owner or an
/// administrator issues a link then. Attempts are limited like sign-ins.
#[utoipa::path(
    post, path = "/api/v1/auth/forgot", tag = "auth", request_body = ForgottenPassword,
    responses((status = 204), (status = 409)),
)]
async fn forgot_password(
    caller: Public,
    State(accounts): State<Accounts>,
    State(limits): State<RateLimits>,
    Json(forgotten): Json<ForgottenPassword>,
) -> Result<NoContent> {
    let email = forgotten.email()?;
    limits.check_anonymous(&RateLimitKey::SignIn { email: email.as_str(), address: caller.address }).await?;
    match accounts {
        Accounts::Local(_) => Err(ApiError::conflict(
            "no_mail",
            "no mail is sent here: ask an owner of your company, or the administrator, for a link",
        )),
        Accounts::Supabase(project) => project.send_reset_link(&email).await.map(|()| NoContent),
    }
}

/// Sets a new password by a one-time link, and ends all sessions of its user. Of several uses at once, one sets the
/// password.
#[utoipa::path(
    post, path = "/api/v1/auth/password-reset", tag = "auth", request_body = PasswordReset,
    responses((status = 204), (status = 409)),
)]
async fn reset_password(
    _: Public,
    State(accounts): State<Accounts>,
    RequestId(request_id): RequestId,
    Json(reset): Json<PasswordReset>,
) -> Result<NoContent> {
    match accounts {
        Accounts::Local(local) => local.reset_password(reset, &request_id).await?,
        Accounts::Supabase(_) => {
            return Err(ApiError::conflict("no_password", "accounts sign in through Supabase, which sets passwords"));
        }
    }
    Ok(NoContent)
}

/// Issues a one-time link, valid for 24 hours, by which the user with this address sets a new password. Earlier links of
/// the user end. The administrator gives the link to the user: no mail is sent.
#[utoipa::path(
    post, path = "/api/v1/admin/password-resets", tag = "auth", request_body = ForgottenPassword,
    responses((status = 201, body = Envelope<PasswordResetLink>), (status = 404), (status = 409)),
)]
async fn issue_password_reset(
    administrator: Administrator,
    State(db): State<SystemDb>,
    State(links): State<OneTimeLinks>,
    Json(forgotten): Json<ForgottenPassword>,
) -> Result<Created<PasswordResetLink>> {
    let email = forgotten.email()?;
    db.system_tx(async |tx| {
        let link = password_resets::issue_by_administrator(tx, &links, administrator.user, &email).await?;
        let tenant = shared::tenants::find_first(tx, link.user_id).await?.map(|customer| customer.id);
        let entry = NewAuditEntry {
            actor: Some(administrator.user),
            action: "password_reset.issued",
            object: format!("user:{}", link.user_id),
            request_id: Some(&administrator.request_id),
            details: serde_json::json!({}),
        };
        audit::record_for(tx, tenant, &entry).await?;
        Ok(Created(link))
    })
    .await
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

/// Returns the 422 error of a link for a new password that cannot be used.
fn wrong_reset_token() -> ApiError {
    ApiError::field("token", "is unknown, was used already, or is no longer valid")
}
