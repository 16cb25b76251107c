//! Accounts in this project's database: argon2id password hashes, HS256 access tokens, rotating refresh tokens.

use std::time::Duration;

use chrono::Utc;
use shared::{
    accounts::{self, NewAccount, RefreshToken, User},
    audit::{self, NewAuditEntry},
    auth::{SignedInUser, passwords::Password, tokens::SigningKey},
    db::{SystemDb, SystemTx},
    error::{ApiError, Result},
    settings::Settings,
    tenants::{self, Customer},
};
use uuid::Uuid;

use crate::{
    requests::{CompanyChoice, Login, NewPerson, PasswordChange, Session},
    wrong_credentials, wrong_refresh_token,
};

/// Validity of an access token. After a logout, the access token stays valid for at most this time.
const ACCESS_TOKEN_LIFE: Duration = Duration::from_secs(3600);

/// Sign-in with accounts in this project's database.
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

    /// Creates an account and its company, or joins one, in one transaction: neither ever exists without the other.
    pub(crate) async fn sign_up(&self, new: NewPerson, joining: CompanyChoice, request_id: &str) -> Result<Session> {
        let hashed_password = accounts::hash_password(new.password).await?;
        let (user, customer, refresh_token) = self
            .db
            .system_tx(async |tx| {
                let account = NewAccount {
                    id: Uuid::new_v4(),
                    email: &new.email,
                    full_name: new.full_name.as_ref(),
                    free_quota_limit: self.free_quota_limit,
                };
                let user = accounts::provision(tx, &account).await?;
                accounts::set_password(tx, user.id, &hashed_password).await?;
                let customer = match &joining {
                    CompanyChoice::NewCompany(name) => tenants::create(tx, user.id, name).await?,
                    CompanyChoice::Invitation(token) => {
                        tenants::accept_invitation(tx, user.id, new.email.as_str(), token).await?
                    }
                };
                let refresh_token = accounts::start_session(tx, user.id).await?;
                let entry = account_audit_entry(user.id, "auth.signup", request_id);
                audit::record_for(tx, Some(customer.id), &entry).await?;
                Ok((user, customer, refresh_token))
            })
            .await?;
        self.session(user, Some(customer), &refresh_token)
    }

    pub(crate) async fn log_in(&self, login: Login, request_id: &str) -> Result<Session> {
        let found = self.db.system_tx(async |tx| Ok(accounts::find_credentials(tx, &login.email).await?)).await?;
        let (user, hash) = found.map(|found| (found.user_id, found.hashed_password)).unzip();
        let matches = accounts::verify_password(Password::unchecked(login.password), hash).await?;
        let Some(user) = user.filter(|_| matches) else {
            if let Some(account) = user {
                self.record(account, "auth.login_failed", request_id).await?;
            }
            return Err(wrong_credentials());
        };
        let (user, customer, refresh_token) = self
            .db
            .system_tx(async |tx| {
                let (user, customer) = user_and_company(tx, user).await?;
                let refresh_token = accounts::start_session(tx, user.id).await?;
                let tenant = customer.as_ref().map(|customer| customer.id);
                audit::record_for(tx, tenant, &account_audit_entry(user.id, "auth.login", request_id)).await?;
                Ok((user, customer, refresh_token))
            })
            .await?;
        self.session(user, customer, &refresh_token)
    }

    pub(crate) async fn refresh(&self, token: &str) -> Result<Session> {
        let token = RefreshToken::decode(token).ok_or_else(wrong_refresh_token)?;
        // A refusal must be committed too, since it ends the session. So it is a value and not an error.
        let exchanged = self
            .db
            .system_tx(async |tx| match accounts::refresh(tx, &token).await? {
                Ok((user, next)) => {
                    let (user, customer) = user_and_company(tx, user).await?;
                    Ok(Ok((user, customer, next)))
                }
                Err(refusal) => Ok(Err(refusal)),
            })
            .await?;
        let (user, customer, next) = exchanged.map_err(|refusal| wrong_refresh_token().with_source(refusal))?;
        self.session(user, customer, &next)
    }

    pub(crate) async fn log_out(&self, caller: &SignedInUser) -> Result<()> {
        let Some(session) = caller.session else { return Ok(()) };
        self.db
            .system_tx(async |tx| {
                accounts::end_session(tx, session).await?;
                let tenant = tenants::find_first(tx, caller.user).await?.map(|customer| customer.id);
                let entry = account_audit_entry(caller.user, "auth.logout", &caller.request_id);
                Ok(audit::record_for(tx, tenant, &entry).await?)
            })
            .await
    }

    pub(crate) async fn change_password(&self, caller: &SignedInUser, change: PasswordChange) -> Result<()> {
        let user = caller.user;
        let hash = self.db.system_tx(async |tx| Ok(accounts::find_password_hash(tx, user).await?)).await?;
        if !accounts::verify_password(Password::unchecked(change.current_password), hash).await? {
            return Err(ApiError::field("current_password", "is not the current password"));
        }
        let hashed_password = accounts::hash_password(change.new_password).await?;
        self.db
            .system_tx(async |tx| {
                accounts::set_password(tx, user, &hashed_password).await?;
                accounts::end_all_sessions(tx, user).await?;
                let tenant = tenants::find_first(tx, user).await?.map(|customer| customer.id);
                let entry = account_audit_entry(user, "auth.password_changed", &caller.request_id);
                Ok(audit::record_for(tx, tenant, &entry).await?)
            })
            .await
    }

    /// Records an action of a user in a transaction of its own.
    async fn record(&self, user: Uuid, action: &'static str, request_id: &str) -> Result<()> {
        self.db
            .system_tx(async |tx| {
                let tenant = tenants::find_first(tx, user).await?.map(|customer| customer.id);
                Ok(audit::record_for(tx, tenant, &account_audit_entry(user, action, request_id)).await?)
            })
            .await
    }

    fn session(&self, user: User, customer: Option<Customer>, refresh_token: &RefreshToken) -> Result<Session> {
        let access_token = self
            .signing_key
            .sign_user_token(user.id, &user.email, refresh_token.session, Utc::now(), ACCESS_TOKEN_LIFE)
            .map_err(|error| ApiError::internal().with_source(error))?;
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

/// Returns an audit entry about a user's action on the own account.
pub(crate) fn account_audit_entry<'a>(user: Uuid, action: &'static str, request_id: &'a str) -> NewAuditEntry<'a> {
    NewAuditEntry {
        actor: Some(user),
        action,
        object: format!("user:{user}"),
        request_id: Some(request_id),
        details: serde_json::json!({}),
    }
}

async fn user_and_company(tx: &mut SystemTx, user: Uuid) -> Result<(User, Option<Customer>)> {
    Ok((accounts::get(tx, user).await?, tenants::find_first(tx, user).await?))
}
