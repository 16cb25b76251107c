//! Accounts kept here: argon2id hashes, HS256 access tokens, rotating refresh tokens.

use std::time::Duration;

use chrono::Utc;
use shared::{
    accounts::{self, NewAccount, RefreshToken, User},
    audit::{self, Entry},
    auth::{SignedIn, passwords::Password, tokens::SigningKey},
    db::{SystemDb, SystemTx},
    error::{ApiError, Result},
    settings::Settings,
    tenants::{self, Customer},
};
use uuid::Uuid;

use crate::{
    requests::{Joining, Login, NewPerson, PasswordChange, Session},
    wrong_credentials, wrong_refresh_token,
};

/// How long an access token is good; a logout reaches it by then.
const ACCESS_TOKEN_LIFE: Duration = Duration::from_secs(3600);

#[derive(Debug, Clone)]
pub(crate) struct LocalAccounts {
    db: SystemDb,
    signing_key: SigningKey,
    free_quota_limit: i32,
}

impl LocalAccounts {
    pub(crate) fn read(settings: &mut Settings, db: SystemDb, free_quota_limit: i32) -> Self {
        Self { db, signing_key: SigningKey::read(settings), free_quota_limit }
    }

    /// One transaction: an account without its company, or the other way round, never exists.
    pub(crate) async fn sign_up(&self, new: NewPerson, joining: Joining, request_id: &str) -> Result<Session> {
        let hashed_password = accounts::hash(new.password).await?;
        let (user, customer, refresh_token) = self
            .db
            .system(async |tx| {
                let account = NewAccount {
                    id: Uuid::new_v4(),
                    email: &new.email,
                    full_name: new.full_name.as_ref(),
                    free_quota_limit: self.free_quota_limit,
                };
                let user = accounts::provision(tx, &account).await?;
                accounts::set_password(tx, user.id, &hashed_password).await?;
                let customer = match &joining {
                    Joining::NewCompany(name) => tenants::create(tx, user.id, name).await?,
                    Joining::Invitation(token) => {
                        tenants::accept_invitation(tx, user.id, new.email.as_str(), token).await?
                    }
                };
                let refresh_token = accounts::start_session(tx, user.id).await?;
                let entry = entry(user.id, "auth.signup", request_id);
                audit::record_for(tx, Some(customer.id), &entry).await?;
                Ok::<_, ApiError>((user, customer, refresh_token))
            })
            .await?;
        self.session(user, Some(customer), &refresh_token)
    }

    pub(crate) async fn log_in(&self, login: Login, request_id: &str) -> Result<Session> {
        let found =
            self.db.system(async |tx| Ok::<_, ApiError>(accounts::find_credentials(tx, &login.email).await?)).await?;
        let (user, hash) = found.map(|found| (found.user_id, found.hashed_password)).unzip();
        let matches = accounts::matches(Password::typed(login.password), hash).await?;
        let Some(user) = user.filter(|_| matches) else {
            if let Some(account) = user {
                self.record(account, "auth.login_failed", request_id).await?;
            }
            return Err(wrong_credentials());
        };
        let (user, customer, refresh_token) = self
            .db
            .system(async |tx| {
                let (user, customer) = who(tx, user).await?;
                let refresh_token = accounts::start_session(tx, user.id).await?;
                let tenant = customer.as_ref().map(|customer| customer.id);
                audit::record_for(tx, tenant, &entry(user.id, "auth.login", request_id)).await?;
                Ok::<_, ApiError>((user, customer, refresh_token))
            })
            .await?;
        self.session(user, customer, &refresh_token)
    }

    pub(crate) async fn refresh(&self, token: &str) -> Result<Session> {
        let token = RefreshToken::decode(token).ok_or_else(wrong_refresh_token)?;
        // A refusal is committed too: it ended the session.
        let exchanged = self
            .db
            .system(async |tx| match accounts::refresh(tx, &token).await? {
                Ok((user, next)) => {
                    let (user, customer) = who(tx, user).await?;
                    Ok::<_, ApiError>(Ok((user, customer, next)))
                }
                Err(refusal) => Ok(Err(refusal)),
            })
            .await?;
        let (user, customer, next) = exchanged.map_err(|refusal| wrong_refresh_token().because(refusal))?;
        self.session(user, customer, &next)
    }

    pub(crate) async fn log_out(&self, caller: &SignedIn) -> Result<()> {
        let Some(session) = caller.session else { return Ok(()) };
        self.db
            .system(async |tx| {
                accounts::end_session(tx, session).await?;
                let tenant = tenants::find_first(tx, caller.user).await?.map(|customer| customer.id);
                let entry = entry(caller.user, "auth.logout", &caller.request_id);
                Ok::<_, ApiError>(audit::record_for(tx, tenant, &entry).await?)
            })
            .await
    }

    pub(crate) async fn change_password(&self, caller: &SignedIn, change: PasswordChange) -> Result<()> {
        let user = caller.user;
        let hash = self.db.system(async |tx| Ok::<_, ApiError>(accounts::find_hash(tx, user).await?)).await?;
        if !accounts::matches(Password::typed(change.current_password), hash).await? {
            return Err(ApiError::field("current_password", "is not the current password"));
        }
        let hashed_password = accounts::hash(change.new_password).await?;
        self.db
            .system(async |tx| {
                accounts::set_password(tx, user, &hashed_password).await?;
                accounts::end_all(tx, user).await?;
                let tenant = tenants::find_first(tx, user).await?.map(|customer| customer.id);
                let entry = entry(user, "auth.password_changed", &caller.request_id);
                Ok::<_, ApiError>(audit::record_for(tx, tenant, &entry).await?)
            })
            .await
    }

    async fn record(&self, user: Uuid, action: &'static str, request_id: &str) -> Result<()> {
        self.db
            .system(async |tx| {
                let tenant = tenants::find_first(tx, user).await?.map(|customer| customer.id);
                Ok::<_, ApiError>(audit::record_for(tx, tenant, &entry(user, action, request_id)).await?)
            })
            .await
    }

    fn session(&self, user: User, customer: Option<Customer>, refresh_token: &RefreshToken) -> Result<Session> {
        let access_token = self
            .signing_key
            .person(user.id, &user.email, refresh_token.session, Utc::now(), ACCESS_TOKEN_LIFE)
            .map_err(|error| ApiError::internal().because(error))?;
        Ok(Session {
            user,
            customer,
            access_token,
            refresh_token: refresh_token.encode(),
            token_type: "bearer",
            expires_in: ACCESS_TOKEN_LIFE.as_secs(),
        })
    }
}

/// What a user did to the own account.
pub(crate) fn entry<'a>(user: Uuid, action: &'static str, request_id: &'a str) -> Entry<'a> {
    Entry {
        actor: Some(user),
        action,
        object: format!("user:{user}"),
        request_id: Some(request_id),
        details: serde_json::json!({}),
    }
}

async fn who(tx: &mut SystemTx, user: Uuid) -> Result<(User, Option<Customer>)> {
    Ok((accounts::get(tx, user).await?, tenants::find_first(tx, user).await?))
}
