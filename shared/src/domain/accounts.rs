//! User accounts. Owns the tables `users` and, for accounts without a Supabase project, `credentials` and
//! `refresh_sessions`.
//!
//! SQL function: `app.provision_account`.

mod sessions;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

pub use sessions::{
    RefreshError, RefreshToken, end_all_sessions, end_session, refresh, remove_expired_sessions, start_session,
};

use crate::{auth::passwords::Password, db::SystemTx, error::ApiError, input};

/// Maximum length of an e-mail address, in bytes (RFC 3696).
pub const MAX_EMAIL_BYTES: usize = 320;
/// Maximum length of the part of an e-mail address before the `@`, in bytes (RFC 5321).
const MAX_EMAIL_LOCAL_PART_BYTES: usize = 64;

/// E-mail address. Only its form is checked, not the existence of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, format = Email, max_length = 320)]
pub struct Email(String);

/// Error of a text that is not an e-mail address.
#[derive(Debug, thiserror::Error)]
#[error("is not an e-mail address")]
pub struct UnusableEmail;

impl TryFrom<String> for Email {
    type Error = UnusableEmail;

    fn try_from(text: String) -> Result<Self, UnusableEmail> {
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@').ok_or(UnusableEmail)?;
        let is_plain =
            text.len() <= MAX_EMAIL_BYTES && !text.chars().any(|letter| letter.is_whitespace() || letter.is_control());
        let has_domain = domain.contains('.') && !domain.starts_with('.') && !domain.ends_with('.');
        if is_plain && has_domain && !local.is_empty() && local.len() <= MAX_EMAIL_LOCAL_PART_BYTES {
            Ok(Self(text.to_owned()))
        } else {
            Err(UnusableEmail)
        }
    }
}

impl Email {
    /// Returns the address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

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
    /// Identifier of the user, given by the account's provider: Supabase or this project.
    pub id: Uuid,
    /// E-mail address.
    pub email: &'a Email,
    /// Name of the person.
    pub full_name: Option<&'a FullName>,
    /// Number of free requests for the lifetime of the account.
    pub free_quota_limit: i32,
}

/// Creates the rows of an account unless they exist: the trigger on Supabase's accounts may have created them before.
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

/// Stores the hash of a user's password, replacing any earlier one.
///
/// # Errors
/// Returns any database error.
pub async fn set_password(tx: &mut SystemTx, user: Uuid, hashed_password: &str) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        insert into credentials (user_id, hashed_password) values ($1, $2)
        on conflict on constraint credentials_pkey
        do update set hashed_password = excluded.hashed_password, password_changed_at = now()
        "#,
        user,
        hashed_password
    )
    .execute(tx)
    .await
    .map(drop)
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

/// Finds the credentials for an e-mail address, ignoring letter case.
///
/// # Errors
/// Returns any database error.
pub async fn find_credentials(tx: &mut SystemTx, email: &str) -> sqlx::Result<Option<Credentials>> {
    if email.contains('\0') {
        // No address contains NUL, and PostgreSQL would reject the parameter.
        return Ok(None);
    }
    sqlx::query_as!(
        Credentials,
        r#"
        select account.id as user_id, credentials.hashed_password
        from users account join credentials on credentials.user_id = account.id
        where lower(account.email) = lower($1)
        "#,
        email
    )
    .fetch_optional(tx)
    .await
}

/// Finds the password hash of a user.
///
/// # Errors
/// Returns any database error.
pub async fn find_password_hash(tx: &mut SystemTx, user: Uuid) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!("select hashed_password from credentials where user_id = $1", user).fetch_optional(tx).await
}

/// Hashes a password on a blocking thread, since hashing keeps a core busy for about 20 ms.
///
/// # Errors
/// Returns 500 when the blocking task or the hashing fails.
pub async fn hash_password(password: Password) -> Result<String, ApiError> {
    let hashed = tokio::task::spawn_blocking(move || password.hash()).await;
    hashed
        .map_err(|error| ApiError::internal().with_source(error))?
        .map_err(|error| ApiError::internal().with_source(error))
}

/// Compares a password with a hash on a blocking thread. Without a hash, takes as long and returns false.
///
/// # Errors
/// Returns 500 when the blocking task fails.
pub async fn verify_password(password: Password, hash: Option<String>) -> Result<bool, ApiError> {
    let compared = tokio::task::spawn_blocking(move || password.matches(hash.as_deref())).await;
    compared.map_err(|error| ApiError::internal().with_source(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_a_wrong_form_are_refused() {
        for good in ["a@b.co", " awa.kone+shop@mail.example.ci ", "é@exemple.fr"] {
            assert!(Email::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in ["", "a", "@b.co", "a@b", "a@.co", "a@b.", "a b@c.de", "a@b\u{0}.co", "a@b.co\nBcc: x@y.zz"] {
            assert!(Email::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
    }
}
