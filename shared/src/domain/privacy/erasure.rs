//! Erasure of a person's account: the address, the name, the password, the sessions and the links. The id may stay, for
//! messages and audit entries that name it.

use uuid::Uuid;

use crate::db::{BillingTx, SystemTx};

/// Erases the personal data of an account: address, name, picture, password, sessions, password links, and the address
/// in invitations. The row in `users` stays, without an address, and the user's tokens are refused.
///
/// # Errors
/// Returns any database error.
pub(super) async fn erase_account(tx: &mut SystemTx, user: Uuid) -> sqlx::Result<()> {
    // Before the address changes: an invitation may have been sent to it. Without an address anybody could use it, so it is
    // revoked, also one of another company.
    sqlx::query!(
        r#"
        update invitations
        set email = null,
            revoked_at = case when used_at is null and expires_at > now() then coalesce(revoked_at, now())
                else revoked_at end,
            expires_at = case when used_at is null then least(expires_at, now()) else expires_at end
        where used_by = $1
           or lower(btrim(email)) = (select lower(known.email) from users known where known.id = $1)
        "#,
        user
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!("select app.end_account($1)", user).execute(&mut *tx).await?;
    sqlx::query!(
        "update profiles set full_name = null, avatar_url = null, stripe_customer_id = null where id = $1",
        user
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        r#"
        with passwords as (
            delete from credentials where user_id = $1
        ), sessions as (
            delete from refresh_sessions where user_id = $1
        )
        delete from password_resets where user_id = $1
        "#,
        user
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Deletes the row of an erased account, unless a row of another company names the user. Returns true when the row was
/// deleted.
///
/// # Errors
/// Returns any database error.
pub(super) async fn delete_account(tx: &mut SystemTx, user: Uuid) -> sqlx::Result<bool> {
    sqlx::query!(
        r#"
        delete from users where id = $1
          and not exists (select from customers where user_id = $1)
          and not exists (select from customer_members where user_id = $1)
          and not exists (select from messages where sent_by = $1)
          and not exists (select from feedback where user_id = $1)
          and not exists (select from closed_questions where closed_by = $1)
          and not exists (select from conversations where user_id = $1)
          and not exists (select from invitations where created_by = $1 or used_by = $1)
          and not exists (select from reservations where user_id = $1)
        "#,
        user
    )
    .execute(tx)
    .await
    .map(|done| done.rows_affected() > 0)
}

/// Deletes a user's configuration in `billing.user_config`. Returns the number of rows.
///
/// # Errors
/// Returns any database error.
pub(super) async fn delete_user_config(tx: &mut BillingTx, user: Uuid) -> sqlx::Result<u64> {
    sqlx::query!("delete from billing.user_config where user_id = $1", user.to_string())
        .execute(tx)
        .await
        .map(|done| done.rows_affected())
}
