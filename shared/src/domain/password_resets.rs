//! One-time links by which a user sets a new password, issued by an owner of the user's company or by an administrator.
//! Owns the table `password_resets`, which holds hashes of the tokens only. No mail is sent.
//!
//! An owner may issue a link for a support user of the company alone, and the link works only as long as that is so: the
//! owner could sign in with it as the user.
//!
//! SQL functions: `app.issue_password_reset`, `app.is_only_support_of`.

use std::fmt;

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    accounts::TypedEmail,
    db::{SystemTx, TenantTx},
    error::ApiError,
    links::{LinkPage, OneTimeLinks},
    tenants,
};

/// Validity of a link, in hours.
const LIFETIME_HOURS: i32 = 24;

/// A new link. No other response shows its token.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "user_id": "5d0f3c52-8e7a-4b7e-9a55-6f0a2b1c3d4e", "token": "pwr_0a1b2c3d4e5f60718293a4b5c6d7e8f9",
    "link": "https://app.example.com/password-reset#token=pwr_0a1b2c3d4e5f60718293a4b5c6d7e8f9", "valid_hours": 24,
}))]
pub struct PasswordResetLink {
    /// User whose password the link sets.
    pub user_id: Uuid,
    /// The token, for `POST /api/v1/auth/password-reset`.
    token: String,
    /// Page of the front end with the token; null when APP_URL is not set.
    link: Option<String>,
    /// Hours for which the link is valid.
    valid_hours: i32,
}

impl fmt::Debug for PasswordResetLink {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "PasswordResetLink({}, …)", self.user_id)
    }
}

impl PasswordResetLink {
    fn new(links: &OneTimeLinks, user_id: Uuid, token: String) -> Self {
        Self { user_id, link: links.link(LinkPage::PasswordReset, &token), token, valid_hours: LIFETIME_HOURS }
    }
}

/// Issues a link for a member of the transaction's tenant. The older links of the member end.
///
/// # Errors
/// Returns 404 for somebody who is no member, and 409 with what is in the way: `account_owner` for an owner,
/// `member_elsewhere` for a member of another company too, `no_password` for an account of Supabase. Any database error.
pub async fn issue(
    tx: &mut TenantTx,
    links: &OneTimeLinks,
    issuer: Uuid,
    member: Uuid,
) -> Result<PasswordResetLink, ApiError> {
    let token = tenants::random_secret("pwr");
    let outcome = sqlx::query_scalar!(
        r#"select app.issue_password_reset($1, $2, $3, $4) as "outcome!""#,
        member,
        issuer,
        &tenants::sha256(token.as_bytes()),
        LIFETIME_HOURS
    )
    .fetch_one(tx)
    .await?;
    match outcome.as_str() {
        "issued" => Ok(PasswordResetLink::new(links, member, token)),
        "not_a_member" => Err(ApiError::not_found("member")),
        "is_owner" => {
            Err(ApiError::conflict("account_owner", "this member is an owner: an administrator issues the link"))
        }
        "belongs_elsewhere" => Err(ApiError::conflict(
            "member_elsewhere",
            "this member has rights outside of the company: an administrator issues the link",
        )),
        "no_password" => Err(no_password()),
        other => Err(ApiError::internal().with_source(format!("app.issue_password_reset: {other}"))),
    }
}

fn no_password() -> ApiError {
    ApiError::conflict("no_password", "this account signs in through Supabase, which sets its password")
}

/// Issues a link for the account with this address, on behalf of an administrator. The older links of the account end.
///
/// # Errors
/// Returns 404 for an unknown address, 409 `no_password` for an account of Supabase, 409 `administrator` for the account
/// of an administrator, and any database error.
pub async fn issue_by_administrator(
    tx: &mut SystemTx,
    links: &OneTimeLinks,
    issuer: Uuid,
    email: &TypedEmail,
) -> Result<PasswordResetLink, ApiError> {
    let account = sqlx::query!(
        r#"
        select id, role = 'global_admin' as "is_administrator!",
            exists (select from credentials where credentials.user_id = users.id) as "has_password!"
        from users
        where lower(email) in (lower($1), lower($2)) and deleted_at is null
        order by lower(email) = lower($1) desc
        limit 1
        "#,
        email.typed(),
        email.as_str()
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or_else(|| ApiError::not_found("account"))?;
    if account.is_administrator {
        return Err(ApiError::conflict("administrator", "the password of an administrator is not reset by a link"));
    }
    if !account.has_password {
        return Err(no_password());
    }
    sqlx::query!("select from credentials where user_id = $1 for update", account.id).execute(&mut *tx).await?;
    revoke_all(tx, account.id).await?;
    let token = tenants::random_secret("pwr");
    sqlx::query!(
        r#"
        insert into password_resets (user_id, token_sha256, created_by, expires_at)
        values ($1, $2, $3, now() + make_interval(hours => $4))
        "#,
        account.id,
        &tenants::sha256(token.as_bytes()),
        issuer,
        LIFETIME_HOURS
    )
    .execute(tx)
    .await?;
    Ok(PasswordResetLink::new(links, account.id, token))
}

/// Finds the user of a link that can be used.
///
/// # Errors
/// Returns any database error.
pub async fn find_user(tx: &mut SystemTx, token: &str) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!(
        r#"
        select reset.user_id from password_resets reset
        join users account on account.id = reset.user_id and account.deleted_at is null
        where reset.token_sha256 = $1 and reset.used_at is null and reset.revoked_at is null
          and reset.expires_at > now()
          and (reset.customer_id is null or app.is_only_support_of(reset.customer_id, reset.user_id))
        "#,
        &tenants::sha256(token.as_bytes())
    )
    .fetch_optional(tx)
    .await
}

/// Uses up a link and returns its user; `None` when the link can no longer be used. Of several uses at once, one gets the
/// user.
///
/// # Errors
/// Returns any database error.
pub async fn take(tx: &mut SystemTx, token: &str) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!(
        r#"
        update password_resets reset set used_at = now()
        from users account
        where reset.token_sha256 = $1 and reset.used_at is null and reset.revoked_at is null
          and reset.expires_at > now() and account.id = reset.user_id and account.deleted_at is null
          and (reset.customer_id is null or app.is_only_support_of(reset.customer_id, reset.user_id))
        returning reset.user_id
        "#,
        &tenants::sha256(token.as_bytes())
    )
    .fetch_optional(tx)
    .await
}

/// Ends all open links of a user, after a change of the password.
///
/// # Errors
/// Returns any database error.
pub async fn revoke_all(tx: &mut SystemTx, user: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        update password_resets set revoked_at = now()
        where user_id = $1 and used_at is null and revoked_at is null
        "#,
        user
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Deletes at most `limit` links, used ones too, that expired more than `days` ago, and returns their number.
///
/// # Errors
/// Returns any database error.
pub async fn remove_expired(tx: &mut SystemTx, days: i32, limit: i64) -> sqlx::Result<u64> {
    sqlx::query!(
        r#"
        delete from password_resets where id in (
            select id from password_resets where expires_at < now() - make_interval(days => $1)
            order by expires_at
            limit $2
        )
        "#,
        days,
        limit
    )
    .execute(tx)
    .await
    .map(|done| done.rows_affected())
}
