//! Accounts in this project's database: argon2id password hashes, HS256 access tokens, rotating refresh tokens.

use std::time::Duration;

use shared::{
    accounts::{self, NewAccount, OnReuse, RefreshKeys, RefreshToken, TypedEmail, User},
    audit::{self, NewAuditEntry},
    auth::{SignedInUser, passwords::Password, tokens::SigningKey},
    db::{SystemDb, SystemTx},
    error::{ApiError, Result},
    invitations, password_resets,
    settings::Settings,
    tenants::{self, Customer},
};
use uuid::Uuid;

use crate::{
    requests::{CompanyChoice, NewPerson, PasswordChange, PasswordReset, Session},
    strength, wrong_credentials, wrong_current_password, wrong_refresh_token, wrong_reset_token,
};

/// Validity of an access token. After a logout, the access token stays valid for at most this time.
const ACCESS_TOKEN_LIFE: Duration = Duration::from_secs(3600);

/// Sign-in with accounts in this project's database.
#[derive(Debug, Clone)]
pub(crate) struct LocalAccounts {
    db: SystemDb,
    signing_key: SigningKey,
    refresh_keys: RefreshKeys,
    free_quota_limit: i32,
}

impl LocalAccounts {
    pub(crate) fn read(settings: &mut Settings, db: SystemDb, free_quota_limit: i32) -> Self {
        Self {
            db,
            signing_key: SigningKey::read(settings),
            refresh_keys: RefreshKeys::read(settings),
            free_quota_limit,
        }
    }

    /// Creates an account and its company, or joins one, in one transaction: neither ever exists without the other.
    pub(crate) async fn sign_up(&self, new: NewPerson, joining: CompanyChoice, request_id: &str) -> Result<Session> {
        let hashed_password = new.password.clone().hash().await?;
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
                accounts::set_first_password(tx, user.id, &hashed_password).await?;
                let customer = match &joining {
                    CompanyChoice::NewCompany(name) => tenants::create(tx, user.id, name).await?,
                    CompanyChoice::Invitation(token) => {
                        let customer = invitations::accept(tx, user.id, new.email.as_str(), token).await?;
                        strength::check("password", &new.password, &[&customer.name])?;
                        customer
                    }
                };
                let refresh_token = accounts::start_session(tx, &self.refresh_keys, user.id).await?;
                let entry = account_audit_entry(user.id, "auth.signup", request_id);
                audit::record_for(tx, Some(customer.id), &entry).await?;
                Ok((user, customer, refresh_token))
            })
            .await?;
        self.session(user, Some(customer), &refresh_token)
    }

    /// Signs in. An unknown address and a wrong password cause the same work: one look-up, one hash of the same cost,
    /// and one count.
    pub(crate) async fn log_in(&self, email: &TypedEmail, password: Password, request_id: &str) -> Result<Session> {
        let found = self.db.system_tx(async |tx| Ok(accounts::find_credentials(tx, email).await?)).await?;
        let (user, hash) = found.map(|found| (found.user_id, found.hashed_password)).unzip();
        let matches = password.matches(hash.clone()).await?;
        let signed_in = match user.zip(hash).filter(|_| matches) {
            Some((user, verified)) => self.start_session(user, &verified, request_id).await?,
            None => None,
        };
        let Some((user, customer, refresh_token)) = signed_in else {
            self.count_failure(user, "auth.login_failed", request_id).await?;
            return Err(wrong_credentials());
        };
        self.session(user, customer, &refresh_token)
    }

    /// Starts a session for a user whose password was verified. Returns `None` when the password has changed since: the
    /// old one must not leave a session behind.
    async fn start_session(
        &self,
        user: Uuid,
        verified: &str,
        request_id: &str,
    ) -> Result<Option<(User, Option<Customer>, RefreshToken)>> {
        self.db
            .system_tx(async |tx| {
                if !accounts::lock_password(tx, user, verified).await? {
                    return Ok(None);
                }
                let (user, customer) = user_and_company(tx, user).await?;
                let refresh_token = accounts::start_session(tx, &self.refresh_keys, user.id).await?;
                let tenant = customer.as_ref().map(|customer| customer.id);
                audit::record_for(tx, tenant, &account_audit_entry(user.id, "auth.login", request_id)).await?;
                Ok(Some((user, customer, refresh_token)))
            })
            .await
    }

    /// Returns the session of a refresh token that this project issued, whether the token is still valid or not.
    pub(crate) fn issued_session(&self, token: &str) -> Option<Uuid> {
        let token = RefreshToken::decode(token)?;
        self.refresh_keys.has_issued(&token).then_some(token.session)
    }

    pub(crate) async fn refresh(&self, token: &str, on_reuse: OnReuse) -> Result<Session> {
        let token = RefreshToken::decode(token).ok_or_else(wrong_refresh_token)?;
        // A refusal must be committed too, since it may end the session. So it is a value and not an error.
        let exchanged = self
            .db
            .system_tx(async |tx| match accounts::refresh(tx, &self.refresh_keys, &token, on_reuse).await? {
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
        let (account, company, hash) = self
            .db
            .system_tx(async |tx| {
                // A session that a change of the password has ended changes it no further.
                if let Some(session) = caller.session
                    && accounts::has_ended(tx, session).await?
                {
                    return Err(ApiError::unauthorized());
                }
                let hash = accounts::find_password_hash(tx, user).await?.ok_or_else(ApiError::unauthorized)?;
                let (account, company) = user_and_company(tx, user).await?;
                Ok((account, company, hash))
            })
            .await?;
        let (current, new) = change.split(&account_names(&account, company.as_ref()))?;
        if !current.matches(Some(hash.clone())).await? {
            self.count_failure(Some(user), "auth.password_change_failed", &caller.request_id).await?;
            return Err(wrong_current_password());
        }
        let hashed_password = new.hash().await?;
        self.db
            .system_tx(async |tx| {
                if !accounts::replace_password(tx, user, &hash, &hashed_password).await? {
                    let message = "the password was changed in the meantime: sign in with the new one";
                    return Err(ApiError::conflict("password_changed", message));
                }
                // After the lock on the password: a sign-in with the old one has ended, and its session is seen here.
                accounts::end_all_sessions(tx, user).await?;
                password_resets::revoke_all(tx, user).await?;
                let tenant = company.as_ref().map(|customer| customer.id);
                let entry = account_audit_entry(user, "auth.password_changed", &caller.request_id);
                Ok(audit::record_for(tx, tenant, &entry).await?)
            })
            .await
    }

    /// Sets a new password by a one-time link, and ends all sessions of its user.
    pub(crate) async fn reset_password(&self, reset: PasswordReset, request_id: &str) -> Result<()> {
        let PasswordReset { token, new_password } = reset;
        let names = self
            .db
            .system_tx(async |tx| {
                let user = password_resets::find_user(tx, &token).await?.ok_or_else(wrong_reset_token)?;
                user_and_company(tx, user).await
            })
            .await?;
        strength::check("new_password", &new_password, &account_names(&names.0, names.1.as_ref()))?;
        let hashed_password = new_password.hash().await?;
        self.db
            .system_tx(async |tx| {
                // Of several uses of the link at once, one gets the user.
                let user = password_resets::take(tx, &token).await?.ok_or_else(wrong_reset_token)?;
                accounts::set_password(tx, user, &hashed_password).await?;
                accounts::end_all_sessions(tx, user).await?;
                password_resets::revoke_all(tx, user).await?;
                let tenant = tenants::find_first(tx, user).await?.map(|customer| customer.id);
                let entry = account_audit_entry(user, "auth.password_reset", request_id);
                Ok(audit::record_for(tx, tenant, &entry).await?)
            })
            .await
    }

    /// Counts a refused password in a transaction of its own.
    async fn count_failure(&self, user: Option<Uuid>, action: &'static str, request_id: &str) -> Result<()> {
        self.db.system_tx(async |tx| Ok(accounts::count_failed_sign_in(tx, user, action, request_id).await?)).await
    }

    fn session(&self, user: User, customer: Option<Customer>, refresh_token: &RefreshToken) -> Result<Session> {
        let access_token = self
            .signing_key
            .sign_user_token(user.id, &user.email, refresh_token.session, shared::clock::now(), ACCESS_TOKEN_LIFE)
            .map_err(|error| ApiError::internal().with_source(error))?;
        Ok(Session {
            user,
            customer,
            access_token,
            refresh_token: Some(refresh_token.encode()),
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

/// Returns the texts of which a password of the account must not be made.
pub(crate) fn account_names<'a>(account: &'a User, company: Option<&'a Customer>) -> Vec<&'a str> {
    let names =
        [Some(account.email.as_str()), account.full_name.as_deref(), company.map(|company| company.name.as_str())];
    names.into_iter().flatten().collect()
}

async fn user_and_company(tx: &mut SystemTx, user: Uuid) -> Result<(User, Option<Customer>)> {
    Ok((accounts::get(tx, user).await?, tenants::find_first(tx, user).await?))
}
