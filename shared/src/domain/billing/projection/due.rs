//! The users whose projection is due: their subscription changed, they signed in since, or their access expired.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::db::{BillingTx, SystemTx};

/// Lists up to `limit` ids of users whose present version is not projected, in bytewise order, greater than `after`.
pub(super) async fn users_to_project(tx: &mut BillingTx, after: &str, limit: i64) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"
        select user_id from billing.subscriptions
        where projected_version is distinct from version and user_id collate "C" > $1
        order by user_id collate "C" limit $2
        "#,
        after,
        limit
    )
    .fetch_all(tx)
    .await
}

/// Lists those of the ids that are of users whose account was not deleted.
pub(super) async fn existing_users(tx: &mut SystemTx, ids: &[Uuid]) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!("select id from users where id = any($1) and deleted_at is null", ids).fetch_all(tx).await
}

/// Lists up to `limit` users whose access has expired and who still have it, the earliest expiry first.
pub(super) async fn users_with_expired_access(
    tx: &mut SystemTx,
    now: DateTime<Utc>,
    limit: i64,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"
        select profile.id from profiles profile
        join users account on account.id = profile.id and account.is_pro
        where profile.subscription_access_until <= $1
        order by profile.subscription_access_until
        limit $2
        "#,
        now,
        limit
    )
    .fetch_all(tx)
    .await
}

/// Marks a version as projected, unless a newer version exists.
pub(super) async fn mark_projected(tx: &mut BillingTx, user: &str, version: i64) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        update billing.subscriptions set projected_version = $2
        where user_id = $1 and version = $2 and projected_version is distinct from $2
        "#,
        user,
        version
    )
    .execute(tx)
    .await
    .map(drop)
}
