//! The departure of a support user: the memberships, the password, the sessions and the profile are deleted. Messages and
//! audit entries keep the user's id.

use axum::http::StatusCode;
use serde_json::json;
use uuid::Uuid;

use super::erasure;
use crate::{
    audit::{self, NewAuditEntry},
    db::{BillingDb, SystemDb, SystemTx},
    error::ApiError,
};

/// Deletes a user who leaves. The configuration of the user's data pod is in another database and is deleted first:
/// when a later step fails, the user still exists and can repeat the request.
///
/// # Errors
/// Returns 401 for an account that is deleted already, 403 for an administrator, 409 `account_owner` for the owner of a
/// company, 409 `subscription_open` while the user has a subscription, and any database error.
pub async fn leave(db: &SystemDb, billing: &BillingDb, user: Uuid, request_id: &str) -> Result<(), ApiError> {
    db.system_tx(async |tx| check_may_leave(tx, user).await).await?;
    billing.billing_tx(async |tx| Ok(erasure::delete_user_config(tx, user).await?)).await?;
    db.system_tx(async |tx| {
        check_may_leave(tx, user).await?;
        leave_companies(tx, user, request_id).await?;
        Ok(erasure::erase_account(tx, user).await?)
    })
    .await
}

/// Locks the account and checks that the user may leave: no administrator, no owner of a company, no subscription.
async fn check_may_leave(tx: &mut SystemTx, user: Uuid) -> Result<(), ApiError> {
    // By a statement of its own: the next one sees what the lock was waited for.
    sqlx::query!("select from users where id = $1 for update", user).execute(&mut *tx).await?;
    let account = sqlx::query!(
        r#"
        select account.role, account.deleted_at is not null as "is_deleted!",
            exists (select from customers where user_id = account.id) as "owns_company!",
            app.has_subscription(account.id) as "has_subscription!"
        from users account where account.id = $1
        "#,
        user
    )
    .fetch_optional(tx)
    .await?;
    let Some(account) = account else { return Err(ApiError::not_found("user")) };
    if account.is_deleted {
        return Err(ApiError::unauthorized());
    }
    if account.role == "global_admin" {
        let message = "an administrator is removed by the command that made it one";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "forbidden", message));
    }
    if account.owns_company {
        let message = "you own the company: transfer the ownership to a member or delete the account first";
        return Err(ApiError::conflict("account_owner", message));
    }
    if account.has_subscription {
        let message = "a subscription is paid in your name: end the subscription first";
        return Err(ApiError::conflict("subscription_open", message));
    }
    Ok(())
}

/// Ends the user's memberships, revokes the invitations and password links that the user made, and records the
/// departure in the audit log of each company.
async fn leave_companies(tx: &mut SystemTx, user: Uuid, request_id: &str) -> Result<(), ApiError> {
    // In the order of the ids, as every transaction that locks several companies.
    let tenants = sqlx::query_scalar!(
        r#"
        select tenant.id from customers tenant
        join customer_members member on member.customer_id = tenant.id
        where member.user_id = $1 order by tenant.id
        for no key update of tenant
        "#,
        user
    )
    .fetch_all(&mut *tx)
    .await?;
    for tenant in tenants {
        sqlx::query!(
            r#"
            with left_company as (
                delete from customer_members where customer_id = $1 and user_id = $2
            ), invited as (
                update invitations set revoked_at = now(), expires_at = least(expires_at, now())
                where customer_id = $1 and created_by = $2 and used_at is null and revoked_at is null
            )
            update password_resets set revoked_at = now()
            where customer_id = $1 and (created_by = $2 or user_id = $2) and used_at is null and revoked_at is null
            "#,
            tenant,
            user
        )
        .execute(&mut *tx)
        .await?;
        let entry = NewAuditEntry {
            actor: Some(user),
            action: "member.left",
            object: format!("user:{user}"),
            request_id: Some(request_id),
            details: json!({}),
        };
        audit::record_for(tx, Some(tenant), &entry).await?;
    }
    Ok(())
}
