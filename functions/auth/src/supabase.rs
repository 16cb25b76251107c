//! Accounts in a Supabase project, through its GoTrue API. This project creates the company and the account's own
//! rows.

use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, header};
use reqwest::{Client, RequestBuilder, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::{
    accounts::{self, Email, ExternalAccount, FullName, TypedEmail, User},
    audit,
    auth::{SignedInUser, passwords::Password},
    db::{SystemDb, SystemTx},
    error::{ApiError, Result},
    invitations,
    settings::Settings,
    tenants::{self, CompanyName, Customer},
};
use uuid::Uuid;

use crate::{
    local::{account_audit_entry, account_names},
    requests::{CompanyChoice, NewPerson, PasswordChange, Session, SignupAnswer, Unconfirmed},
    wrong_credentials, wrong_current_password, wrong_refresh_token,
};

/// Timeout of a GoTrue request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(8);

/// Sign-in with accounts in a Supabase project.
#[derive(Clone)]
pub(crate) struct GoTrue {
    http: Client,
    url: String,
    anon_key: String,
    db: SystemDb,
    free_quota_limit: i32,
}

impl std::fmt::Debug for GoTrue {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "GoTrue({})", self.url)
    }
}

/// GoTrue session, with the fields that are used.
#[derive(Deserialize)]
struct GoTrueSession {
    access_token: String,
    refresh_token: String,
    expires_in: u64,
    user: GoTrueUser,
}

#[derive(Deserialize)]
struct GoTrueUser {
    id: Uuid,
    email: Option<String>,
    #[serde(default)]
    is_anonymous: bool,
    /// Company name, invitation and full name stored at sign-up, until the first sign-in. The user can change these
    /// values at will, so they decide only the name and the company of the user; values that are not text are
    /// ignored.
    #[serde(default)]
    user_metadata: Value,
}

impl GoTrueUser {
    fn metadata(&self, name: &str) -> Option<String> {
        self.user_metadata.get(name)?.as_str().map(str::to_owned)
    }
}

/// GoTrue's response to a sign-up, in either of its two forms.
#[derive(Deserialize)]
#[serde(untagged)]
enum GoTrueSignup {
    Session(Box<GoTrueSession>),
    /// The address must be confirmed by e-mail first. GoTrue also sends this form for an address that is taken, so as
    /// not to reveal its account.
    Unconfirmed {
        email: Option<String>,
    },
}

/// Error response of GoTrue.
#[derive(Default, Deserialize)]
struct GoTrueError {
    #[serde(default)]
    error_code: String,
}

impl GoTrue {
    pub(crate) fn read(settings: &mut Settings, project: String, db: SystemDb, free_quota_limit: i32) -> Self {
        let http = Client::builder().timeout(REQUEST_TIMEOUT).build().unwrap_or_else(|error| {
            settings.problem(format_args!("the HTTP client cannot be built: {error}"));
            Client::default()
        });
        let anon_key = settings.required("SUPABASE_ANON_KEY");
        Self { http, url: format!("{project}/auth/v1"), anon_key, db, free_quota_limit }
    }

    pub(crate) async fn sign_up(
        &self,
        new: NewPerson,
        joining: CompanyChoice,
        request_id: &str,
    ) -> Result<SignupAnswer> {
        let mut metadata = json!({ "full_name": new.full_name.as_ref().map(FullName::as_str) });
        match &joining {
            CompanyChoice::NewCompany(name) => metadata["company_name"] = name.as_str().into(),
            CompanyChoice::Invitation(token) => metadata["invitation"] = token.as_str().into(),
        }
        let body = json!({ "email": new.email.as_str(), "password": new.password.expose(), "data": metadata });
        let answer = self.send(self.http.post(format!("{}/signup", self.url)).json(&body)).await?;
        match parse_body(answer).await? {
            GoTrueSignup::Session(tokens) => {
                let session = self.session(*tokens, Some(("auth.signup", request_id))).await?;
                Ok(SignupAnswer::SignedIn(Box::new(session)))
            }
            GoTrueSignup::Unconfirmed { email } => Ok(SignupAnswer::ConfirmationRequired {
                user: Unconfirmed { email: email.unwrap_or_else(|| new.email.as_str().to_owned()) },
                confirmation_required: true,
            }),
        }
    }

    pub(crate) async fn log_in(&self, email: &TypedEmail, password: &Password, request_id: &str) -> Result<Session> {
        let tokens = self.password_grant(email.as_str(), password).await?;
        self.session(tokens, Some(("auth.login", request_id))).await
    }

    async fn password_grant(&self, email: &str, password: &Password) -> Result<GoTrueSession> {
        let request = self.http.post(format!("{}/token?grant_type=password", self.url));
        let request = request.json(&json!({ "email": email, "password": password.expose() }));
        parse_body(self.send(request).await?).await
    }

    pub(crate) async fn refresh(&self, token: &str) -> Result<Session> {
        let request = self.http.post(format!("{}/token?grant_type=refresh_token", self.url));
        let answer = self.send(request.json(&json!({ "refresh_token": token }))).await?;
        self.session(parse_body(answer).await?, None).await
    }

    pub(crate) async fn log_out(&self, headers: &HeaderMap) -> Result<()> {
        let token = headers.get(header::AUTHORIZATION).ok_or_else(ApiError::unauthorized)?;
        let request = self.http.post(format!("{}/logout?scope=local", self.url)).header(header::AUTHORIZATION, token);
        match self.send(request).await {
            // The session has ended already, so the logout has succeeded.
            Err(error) if error.code == "invalid_refresh_token" => Ok(()),
            sent => sent.map(drop),
        }
    }

    pub(crate) async fn change_password(&self, caller: &SignedInUser, change: PasswordChange) -> Result<()> {
        let user = caller.user;
        let (account, company) = self
            .db
            .system_tx(async |tx| {
                if accounts::is_gone(tx, user).await? {
                    return Err(ApiError::unauthorized());
                }
                Ok((accounts::get(tx, user).await?, tenants::find_first(tx, user).await?))
            })
            .await?;
        let (current, new) = change.split(&account_names(&account, company.as_ref()))?;
        // The token's address is the newer one where no trigger of Supabase's table follows a change.
        let email = caller.email.clone().filter(|email| !email.is_empty()).unwrap_or(account.email);
        let tokens = match self.password_grant(&email, &current).await {
            // An address that has moved on signs somebody else in.
            Ok(tokens) if tokens.user.id == user => tokens,
            Ok(_) => return Err(self.refuse_change(caller).await?),
            Err(error) if error.code == "invalid_credentials" => return Err(self.refuse_change(caller).await?),
            Err(error) => return Err(error),
        };
        let request = self.http.put(format!("{}/user", self.url)).bearer_auth(&tokens.access_token);
        self.send(request.json(&json!({ "password": new.expose() }))).await?;
        let request = self.http.post(format!("{}/logout?scope=global", self.url)).bearer_auth(&tokens.access_token);
        self.send(request).await?;
        self.db
            .system_tx(async |tx| {
                let tenant = company.as_ref().map(|customer| customer.id);
                let entry = account_audit_entry(user, "auth.password_changed", &caller.request_id);
                Ok(audit::record_for(tx, tenant, &entry).await?)
            })
            .await
    }

    /// Lets the project send a link for a new password to the address. Nobody learns whether the address has an account: the
    /// project limits links by address, and only for addresses that have one, so its refusal is not passed on.
    pub(crate) async fn send_reset_link(&self, email: &TypedEmail) -> Result<()> {
        let request = self.http.post(format!("{}/recover", self.url));
        match self.send(request.json(&json!({ "email": email.as_str() }))).await {
            Err(error) if error.status == StatusCode::TOO_MANY_REQUESTS => Ok(()),
            sent => sent.map(drop),
        }
    }

    /// Counts a wrong current password and returns its error.
    async fn refuse_change(&self, caller: &SignedInUser) -> Result<ApiError> {
        let (user, action) = (Some(caller.user), "auth.password_change_failed");
        self.db
            .system_tx(async |tx| Ok(accounts::count_failed_sign_in(tx, user, action, &caller.request_id).await?))
            .await?;
        Ok(wrong_current_password())
    }

    /// Creates the account's rows unless they exist, and returns the session. A sign-up may have stopped half-way, or
    /// the account may be older than this back end; the next sign-in repairs both. `audit_event` is the action and
    /// the request id to be recorded in the audit log.
    async fn session(&self, tokens: GoTrueSession, audit_event: Option<(&'static str, &str)>) -> Result<Session> {
        if tokens.user.is_anonymous {
            let message = "an anonymous account has no company: give it an address first";
            return Err(ApiError::forbidden("anonymous_account", message));
        }
        let provision = async || {
            self.db
                .system_tx(async |tx| {
                    let (user, customer) = self.provision(tx, &tokens.user).await?;
                    if let Some((action, request_id)) = audit_event {
                        let tenant = customer.as_ref().map(|customer| customer.id);
                        audit::record_for(tx, tenant, &account_audit_entry(user.id, action, request_id)).await?;
                    }
                    Ok((user, customer))
                })
                .await
        };
        let (user, customer) = match provision().await {
            // A simultaneous first sign-in created the rows between this one's lookup and insert; now they are found.
            Err(error) if error.code == "company_exists" => provision().await?,
            made => made?,
        };
        Ok(Session {
            user,
            customer,
            access_token: tokens.access_token,
            refresh_token: Some(tokens.refresh_token),
            token_type: "bearer",
            expires_in: tokens.expires_in,
        })
    }

    /// Creates the rows of the caller's account unless they exist: an account may be used before its first sign-in
    /// through this API. An ended account stays as it is: its last token must not revive it.
    pub(crate) async fn create_missing(&self, tx: &mut SystemTx, caller: &SignedInUser) -> Result<()> {
        if accounts::is_known(tx, caller.user).await? {
            return Ok(());
        }
        let email = caller.email.clone().and_then(|email| Email::try_from(email).ok());
        let account = ExternalAccount {
            id: caller.user,
            email: email.as_ref(),
            full_name: None,
            free_quota_limit: self.free_quota_limit,
        };
        accounts::synchronize(tx, &account).await?;
        Ok(())
    }

    async fn provision(&self, tx: &mut SystemTx, remote: &GoTrueUser) -> Result<(User, Option<Customer>)> {
        let email = match remote.email.clone().filter(|email| !email.is_empty()).map(Email::try_from) {
            Some(Ok(email)) => Some(email),
            // The project accepts more forms of an address than this product. The account gets a placeholder.
            Some(Err(_)) | None => None,
        };
        let full_name = remote.metadata("full_name").and_then(|name| FullName::try_from(name).ok());
        let account = ExternalAccount {
            id: remote.id,
            email: email.as_ref(),
            full_name: full_name.as_ref(),
            free_quota_limit: self.free_quota_limit,
        };
        let user = accounts::synchronize(tx, &account).await?;
        if let Some(customer) = tenants::find_first(tx, user.id).await? {
            return Ok((user, Some(customer)));
        }
        let customer = match (remote.metadata("company_name"), remote.metadata("invitation")) {
            (Some(name), _) => match CompanyName::try_from(name) {
                Ok(name) => Some(tenants::create(tx, user.id, &name).await?),
                Err(_) => None,
            },
            // When the invitation expired before the first sign-in, the account stays without a company.
            (None, Some(token)) => invitations::accept(tx, user.id, &user.email, &token).await.ok(),
            (None, None) => None,
        };
        Ok((user, customer))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let answer = request.header("apikey", &self.anon_key).send().await.map_err(unavailable)?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let refusal: GoTrueError = answer.json().await.unwrap_or_default();
        Err(api_error(status.as_u16(), &refusal.error_code))
    }
}

async fn parse_body<T: for<'de> Deserialize<'de>>(answer: Response) -> Result<T> {
    let value: Value = answer.json().await.map_err(unavailable)?;
    // The body holds tokens, so the parser's error, which may quote it, is dropped.
    serde_json::from_value(value)
        .or(Err(ApiError::unavailable().with_source("unexpected answer of the sign-in service")))
}

fn unavailable(error: reqwest::Error) -> ApiError {
    ApiError::unavailable().with_source(error.without_url())
}

/// Maps a GoTrue error code to this API's error.
fn api_error(status: u16, code: &str) -> ApiError {
    match (status, code) {
        (_, "invalid_credentials") => wrong_credentials(),
        (_, "user_already_exists" | "email_exists") => accounts::email_taken(),
        (_, "weak_password") => ApiError::field("password", "is too weak"),
        (_, "same_password") => ApiError::field("new_password", "must differ from the current one"),
        (_, "email_address_invalid" | "validation_failed") => ApiError::field("email", "is not accepted"),
        // A deleted account's token may still be within its time.
        (_, "user_not_found") => ApiError::unauthorized(),
        (_, "refresh_token_not_found" | "refresh_token_already_used" | "session_expired" | "session_not_found") => {
            wrong_refresh_token()
        }
        (_, "email_not_confirmed") => {
            ApiError::forbidden("email_not_confirmed", "confirm the address by the link that was sent to it first")
        }
        (_, "user_banned") => ApiError::forbidden("forbidden", "this account is blocked"),
        (_, "signup_disabled") => ApiError::forbidden("signup_disabled", "sign-up is closed"),
        (401, _) => ApiError::unauthorized(),
        (429, _) => {
            let mut error =
                ApiError::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "too many attempts, try again later");
            error.retry_after_s = Some(60);
            error
        }
        (status, code) => {
            // Anything else than a code may repeat an address or a token.
            let is_code = code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            let shown = if is_code { code.to_owned() } else { format!("{} characters", code.chars().count()) };
            ApiError::unavailable().with_source(format!("sign-in service: {status} {shown}"))
        }
    }
}
