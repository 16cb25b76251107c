//! User accounts. Owns the tables `users` and, for accounts without a Supabase project, `credentials` and
//! `refresh_sessions`; and `failed_sign_ins`, which counts for the audit log.
//!
//! SQL functions: `app.provision_account`, `app.synchronize_account`, `app.end_account`, `app.free_quota_limit`,
//! `app.address_placeholder`, `app.has_auth_address`, `app.count_failed_sign_in`, `app.report_failed_sign_ins`.
//! Trigger functions on Supabase's `auth.users`: `app.on_auth_user_created`, `app.on_auth_user_changed`.

mod email;
mod sessions;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

pub use email::{Email, MAX_EMAIL_BYTES, TypedEmail, UnusableEmail, is_placeholder_email, mask_email};
pub use sessions::{
    OnReuse, RefreshError, RefreshKeys, RefreshToken, end_all_sessions, end_session, has_ended, refresh,
    remove_expired_sessions, start_session,
};

use crate::{db::SystemTx, error::ApiError, input};

/// Default of FREE_QUOTA_LIMIT, the number of free requests of a new account.
pub const DEFAULT_FREE_QUOTA_LIMIT: u16 = 8;

/// Maximum length of a person's name, in characters.
pub const MAX_FULL_NAME_CHARS: usize = 255;

/// Name of a person, 1 to 255 characters.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, max_length = 255)]
pub struct FullName(String);

impl TryFrom<String> for FullName {
    type Error = input::UnusableText;

    fn try_from(name: String) -> Result<Self, input::UnusableText> {
        input::one_line(&name, 1, MAX_FULL_NAME_CHARS).map(Self)
    }
}

impl FullName {
    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A user as shown at sign-in.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "5d0f3c52-8e7a-4b7e-9a55-6f0a2b1c3d4e", "email": "awa@example.com", "full_name": "Awa Koné",
    "created_at": "2026-11-23T09:30:06Z",
}))]
pub struct User {
    /// Identifier of the user: `users.id`, `sub` in tokens and `public_user_id` of the quota.
    pub id: Uuid,
    /// E-mail address.
    pub email: String,
    /// Name of the person.
    pub full_name: Option<String>,
    /// Time of the account's creation.
    pub created_at: DateTime<Utc>,
}

/// Error of creating an account.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Another account has the e-mail address.
    #[error("the address is taken")]
    EmailTaken,
    /// A database error.
    #[error(transparent)]
    Database(sqlx::Error),
}

impl From<sqlx::Error> for AccountError {
    fn from(error: sqlx::Error) -> Self {
        match error.as_database_error().and_then(|error| error.constraint()) {
            Some("users_email_key") => Self::EmailTaken,
            _ => Self::Database(error),
        }
    }
}

impl From<AccountError> for ApiError {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::EmailTaken => email_taken(),
            AccountError::Database(error) => error.into(),
        }
    }
}

/// Returns the 409 error for an e-mail address that another account has.
#[must_use]
pub fn email_taken() -> ApiError {
    ApiError::conflict("email_taken", "an account with this address exists already")
}

/// An account to be created.
#[derive(Debug)]
pub struct NewAccount<'a> {
    /// Identifier of the user.
    pub id: Uuid,
    /// E-mail address.
    pub email: &'a Email,
    /// Name of the person.
    pub full_name: Option<&'a FullName>,
    /// Number of free requests for the lifetime of the account.
    pub free_quota_limit: i32,
}

/// Creates the rows of an account.
///
/// # Errors
/// Returns [`AccountError::EmailTaken`] when another account has the e-mail address, or any database error.
pub async fn provision(tx: &mut SystemTx, new: &NewAccount<'_>) -> Result<User, AccountError> {
    sqlx::query!(
        "select app.provision_account($1, $2, $3, $4)",
        new.id,
        new.email.as_str(),
        new.full_name.map(FullName::as_str),
        new.free_quota_limit
    )
    .execute(&mut *tx)
    .await?;
    Ok(get(tx, new.id).await?)
}

/// An account of a Supabase project, as the project just described it.
#[derive(Debug)]
pub struct ExternalAccount<'a> {
    /// Identifier of the user, given by the project.
    pub id: Uuid,
    /// Present e-mail address; `None` for an account by telephone.
    pub email: Option<&'a Email>,
    /// Name of the person, for a new account.
    pub full_name: Option<&'a FullName>,
    /// Number of free requests of a new account.
    pub free_quota_limit: i32,
}

/// Creates the rows of a Supabase account, or brings its address up to date. The project decides who has an address:
/// an account that had it before gets a placeholder.
///
/// # Errors
/// Returns any database error.
pub async fn synchronize(tx: &mut SystemTx, account: &ExternalAccount<'_>) -> sqlx::Result<User> {
    sqlx::query!(
        "select app.synchronize_account($1, $2, $3, $4)",
        account.id,
        account.email.map(Email::as_str),
        account.full_name.map(FullName::as_str),
        account.free_quota_limit
    )
    .execute(&mut *tx)
    .await?;
    get(tx, account.id).await
}

/// Stores the hash of a new user's password.
///
/// # Errors
/// Returns any database error.
pub async fn set_first_password(tx: &mut SystemTx, user: Uuid, hashed_password: &str) -> sqlx::Result<()> {
    sqlx::query!("insert into credentials (user_id, hashed_password) values ($1, $2)", user, hashed_password)
        .execute(tx)
        .await
        .map(drop)
}

/// Replaces the hash of a user's password. Returns false when `verified` is no longer the stored hash: of several
/// simultaneous changes, one wins.
///
/// # Errors
/// Returns any database error.
pub async fn replace_password(
    tx: &mut SystemTx,
    user: Uuid,
    verified: &str,
    hashed_password: &str,
) -> sqlx::Result<bool> {
    sqlx::query!(
        r#"
        update credentials set hashed_password = $3, password_changed_at = now()
        where user_id = $1 and hashed_password = $2
        "#,
        user,
        verified,
        hashed_password
    )
    .execute(tx)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Replaces the hash of a user's password without a check of the present password.
///
/// # Errors
/// Returns any database error.
pub async fn set_password(tx: &mut SystemTx, user: Uuid, hashed_password: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "update credentials set hashed_password = $2, password_changed_at = now() where user_id = $1",
        user,
        hashed_password
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Returns true when `verified` is still the hash of the user's password, and keeps it so until the transaction ends.
/// A change of the password waits for the transaction and then ends the session that it started.
///
/// # Errors
/// Returns any database error.
pub async fn lock_password(tx: &mut SystemTx, user: Uuid, verified: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select true as "is_current!" from credentials where user_id = $1 and hashed_password = $2 for share"#,
        user,
        verified
    )
    .fetch_optional(tx)
    .await
    .map(|row| row.is_some())
}

/// Returns a user.
///
/// # Errors
/// Returns `RowNotFound` when the user does not exist, or any database error.
pub async fn get(tx: &mut SystemTx, user: Uuid) -> sqlx::Result<User> {
    sqlx::query_as!(
        User,
        r#"
        select account.id, account.email, profile.full_name, account.created_at
        from users account left join profiles profile on profile.id = account.id
        where account.id = $1
        "#,
        user
    )
    .fetch_one(tx)
    .await
}

/// Password hash of a user, found by e-mail address.
#[derive(Debug)]
pub struct Credentials {
    /// `users.id`.
    pub user_id: Uuid,
    /// argon2id hash in PHC string format.
    pub hashed_password: String,
}

/// Finds the credentials for an e-mail address, ignoring letter case. The account that has the address as it was typed
/// counts before one that has its normal form.
///
/// # Errors
/// Returns any database error.
pub async fn find_credentials(tx: &mut SystemTx, email: &TypedEmail) -> sqlx::Result<Option<Credentials>> {
    sqlx::query_as!(
        Credentials,
        r#"
        select account.id as user_id, credentials.hashed_password
        from users account join credentials on credentials.user_id = account.id
        where lower(account.email) in (lower($1), lower($2)) and account.deleted_at is null
        order by lower(account.email) = lower($1) desc
        limit 1
        "#,
        email.typed(),
        email.as_str()
    )
    .fetch_optional(tx)
    .await
}

/// Finds the password hash of a user whose account is not deleted.
///
/// # Errors
/// Returns any database error.
pub async fn find_password_hash(tx: &mut SystemTx, user: Uuid) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!(
        r#"
        select credentials.hashed_password
        from users account join credentials on credentials.user_id = account.id
        where account.id = $1 and account.deleted_at is null
        "#,
        user
    )
    .fetch_optional(tx)
    .await
}

/// Returns true for a user who has, or had, an account here.
///
/// # Errors
/// Returns any database error.
pub async fn is_known(tx: &mut SystemTx, user: Uuid) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"select exists (select from users where id = $1) as "is_known!""#, user).fetch_one(tx).await
}

/// Returns true for a user whose account was deleted, or who never had one here. An account that is there is not erased
/// before the transaction ends.
///
/// # Errors
/// Returns any database error.
pub async fn is_gone(tx: &mut SystemTx, user: Uuid) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select not exists (select from users where id = $1 and deleted_at is null for key share) as "is_gone!""#,
        user
    )
    .fetch_one(tx)
    .await
}

/// Counts a refused password. The audit log gets the first entry of each hour per tenant and action, and a second one
/// with the number when the hour is over. `None` stands for an address without an account, for which the same work is
/// done and nothing is logged.
///
/// # Errors
/// Returns any database error.
pub async fn count_failed_sign_in(
    tx: &mut SystemTx,
    user: Option<Uuid>,
    action: &'static str,
    request_id: &str,
) -> sqlx::Result<()> {
    sqlx::query!("select app.count_failed_sign_in($1, $2, $3)", user, action, request_id).execute(tx).await.map(drop)
}

/// Logs the numbers of refused passwords of the hours that are over, and returns how many counters ended.
///
/// # Errors
/// Returns any database error.
pub async fn report_failed_sign_ins(tx: &mut SystemTx) -> sqlx::Result<i32> {
    sqlx::query_scalar!(r#"select app.report_failed_sign_ins() as "ended!""#).fetch_one(tx).await
}
