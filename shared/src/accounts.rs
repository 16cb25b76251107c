//! Accounts kept here, where no Supabase project keeps them: `users`, `credentials` and the families of refresh tokens.

mod sessions;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

pub use sessions::{RefreshError, RefreshToken, end_all, end_session, refresh, start_session};

use crate::{auth::passwords::Password, db::SystemTx, error::ApiError, input};

/// An e-mail address, as far as it can be judged without sending to it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, format = Email, max_length = 320)]
pub struct Email(String);

/// Not an address.
#[derive(Debug, thiserror::Error)]
#[error("is not an e-mail address")]
pub struct UnusableEmail;

impl TryFrom<String> for Email {
    type Error = UnusableEmail;

    fn try_from(text: String) -> Result<Self, UnusableEmail> {
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@').ok_or(UnusableEmail)?;
        let is_plain = text.len() <= 320 && !text.chars().any(|letter| letter.is_whitespace() || letter.is_control());
        let has_domain = domain.contains('.') && !domain.starts_with('.') && !domain.ends_with('.');
        if is_plain && has_domain && !local.is_empty() && local.len() <= 64 {
            Ok(Self(text.to_owned()))
        } else {
            Err(UnusableEmail)
        }
    }
}

impl Email {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a person, at most 255 characters.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, max_length = 255)]
pub struct FullName(String);

impl TryFrom<String> for FullName {
    type Error = input::UnusableText;

    fn try_from(name: String) -> Result<Self, input::UnusableText> {
        input::one_line(&name, 1, 255).map(Self)
    }
}

impl FullName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A user, as sign-in shows it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "5d0f3c52-8e7a-4b7e-9a55-6f0a2b1c3d4e", "email": "awa@example.com", "full_name": "Awa Koné",
    "created_at": "2026-11-23T09:30:06Z",
}))]
pub struct User {
    /// `users.id`, the token's `sub`, the quota's `public_user_id`.
    pub id: Uuid,
    /// The address.
    pub email: String,
    /// How the person is called.
    pub full_name: Option<String>,
    /// When the account was made.
    pub created_at: DateTime<Utc>,
}

/// Why an account could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Somebody signed up with the address.
    #[error("the address is taken")]
    EmailTaken,
    /// The database said so.
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

/// 409: there is an account with the address.
#[must_use]
pub fn email_taken() -> ApiError {
    ApiError::conflict("email_taken", "an account with this address exists already")
}

/// What a new account is made of.
#[derive(Debug)]
pub struct NewAccount<'a> {
    /// Given by whoever keeps the accounts.
    pub id: Uuid,
    /// The address.
    pub email: &'a Email,
    /// How the person is called.
    pub full_name: Option<&'a FullName>,
    /// Free requests in a lifetime.
    pub free_quota_limit: i32,
}

/// Makes the rows of an account, or finds them made: the trigger on Supabase's accounts may have been there before.
///
/// # Errors
/// [`AccountError::EmailTaken`] when another account has the address.
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

/// Keeps an account's password.
///
/// # Errors
/// The database's.
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

/// A user.
///
/// # Errors
/// `RowNotFound` when there is none, or the database's.
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

/// A user and the hash of the password, by address.
#[derive(Debug)]
pub struct Credentials {
    /// `users.id`.
    pub user_id: Uuid,
    /// argon2id, in PHC form.
    pub hashed_password: String,
}

/// The credentials of an address.
///
/// # Errors
/// The database's.
pub async fn find_credentials(tx: &mut SystemTx, email: &str) -> sqlx::Result<Option<Credentials>> {
    if email.contains('\0') {
        // Nobody has such an address, and PostgreSQL would not even take it.
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

/// The hash of a signed-in user's password.
///
/// # Errors
/// The database's.
pub async fn find_hash(tx: &mut SystemTx, user: Uuid) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!("select hashed_password from credentials where user_id = $1", user).fetch_optional(tx).await
}

/// Hashes or compares a password beside the event loop: it keeps a core busy for some 20 ms.
///
/// # Errors
/// 500 when the work was lost, or hashing failed.
pub async fn hash(password: Password) -> Result<String, ApiError> {
    let hashed = tokio::task::spawn_blocking(move || password.hash()).await;
    hashed.map_err(|error| ApiError::internal().because(error))?.map_err(|error| ApiError::internal().because(error))
}

/// Whether a password is the one of this hash; as slow without one.
///
/// # Errors
/// 500 when the work was lost.
pub async fn matches(password: Password, hash: Option<String>) -> Result<bool, ApiError> {
    let compared = tokio::task::spawn_blocking(move || password.matches(hash.as_deref())).await;
    compared.map_err(|error| ApiError::internal().because(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_judged_by_their_shape() {
        for good in ["a@b.co", " awa.kone+shop@mail.example.ci ", "é@exemple.fr"] {
            assert!(Email::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in ["", "a", "@b.co", "a@b", "a@.co", "a@b.", "a b@c.de", "a@b\u{0}.co", "a@b.co\nBcc: x@y.zz"] {
            assert!(Email::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
    }
}
