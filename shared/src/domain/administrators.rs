//! Global administrators: users with the role `global_admin`, which only an operator gives and takes.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    audit::{self, NewAuditEntry},
    db::SystemTx,
};

/// An account, as an operator recognises it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// `users.id`.
    pub id: Uuid,
    /// E-mail address.
    pub email: String,
    /// Time of its creation.
    pub created_at: DateTime<Utc>,
    /// True with the role `global_admin`.
    pub is_administrator: bool,
}

/// Result of [`grant`] and [`revoke`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleChange {
    /// The account, with the role that it has now.
    pub account: Account,
    /// False when the account had that role already.
    pub is_changed: bool,
}

/// Finds the account with this e-mail address, in any case, unless it is deleted.
///
/// # Errors
/// Returns any database error.
pub async fn find(tx: &mut SystemTx, address: &str) -> sqlx::Result<Option<Account>> {
    sqlx::query_as!(
        Account,
        r#"
        select id, email, created_at, role = 'global_admin' as "is_administrator!" from users
        where lower(email) = lower($1) and deleted_at is null
        for no key update
        "#,
        address.trim()
    )
    .fetch_optional(tx)
    .await
}

/// Makes an account a global administrator, and records that in the audit log; `None` when there is no such account.
///
/// # Errors
/// Returns any database error.
pub async fn grant(tx: &mut SystemTx, address: &str) -> sqlx::Result<Option<RoleChange>> {
    change(tx, address, true).await
}

/// Takes the role from a global administrator, and records that in the audit log; `None` when there is no such account.
/// The account has the role of its memberships again, and its tokens reach no route of administrators from now on.
///
/// # Errors
/// Returns any database error.
pub async fn revoke(tx: &mut SystemTx, address: &str) -> sqlx::Result<Option<RoleChange>> {
    change(tx, address, false).await
}

async fn change(tx: &mut SystemTx, address: &str, is_administrator: bool) -> sqlx::Result<Option<RoleChange>> {
    let Some(account) = find(tx, address).await? else { return Ok(None) };
    if account.is_administrator == is_administrator {
        return Ok(Some(RoleChange { account, is_changed: false }));
    }
    sqlx::query!(
        r#"
        update users set role = case
            when $2 then 'global_admin'
            when exists (select from customer_members where user_id = $1 and role = 'support')
              and not exists (select from customer_members where user_id = $1 and role = 'owner') then 'support_user'
            else 'account_user' end
        where id = $1
        "#,
        account.id,
        is_administrator
    )
    .execute(&mut *tx)
    .await?;
    let entry = NewAuditEntry {
        actor: None,
        action: if is_administrator { "administrator.granted" } else { "administrator.revoked" },
        object: format!("user:{}", account.id),
        request_id: None,
        details: serde_json::json!({}),
    };
    audit::record_for(tx, None, &entry).await?;
    Ok(Some(RoleChange { account: Account { is_administrator, ..account }, is_changed: true }))
}
