//! Table `tenant_notices`: what a tenant was told once in a day or in a period. Its row is the right to tell it, so of
//! several transactions at once one tells it.

use chrono::{DateTime, Utc};

use crate::{
    activities::{self, Activity},
    db::{SystemTx, TenantTx},
};

/// Records an activity of the transaction's tenant, once per kind of activity and day in the tenant's timezone. Returns
/// true when it is the day's first.
///
/// # Errors
/// A database error.
pub async fn record_once_a_day(tx: &mut TenantTx, activity: &Activity) -> sqlx::Result<bool> {
    let first = sqlx::query_scalar!(
        r#"
        insert into tenant_notices (customer_id, kind, since)
        select id, $2, date_trunc('day', now() at time zone timezone) at time zone timezone from customers where id = $1
        on conflict on constraint tenant_notices_pkey do nothing
        returning true as "first!"
        "#,
        tx.tenant(),
        activity.kind
    )
    .fetch_optional(&mut *tx)
    .await?;
    record_if(tx, first.is_some(), activity).await
}

/// Records an activity of the transaction's tenant, once per kind of activity and period that began at `since`. Returns
/// true when it is the period's first.
///
/// # Errors
/// A database error.
pub async fn record_once_since(tx: &mut TenantTx, since: DateTime<Utc>, activity: &Activity) -> sqlx::Result<bool> {
    let first = sqlx::query_scalar!(
        r#"
        insert into tenant_notices (customer_id, kind, since) values ($1, $2, $3)
        on conflict on constraint tenant_notices_pkey do nothing
        returning true as "first!"
        "#,
        tx.tenant(),
        activity.kind,
        since
    )
    .fetch_optional(&mut *tx)
    .await?;
    record_if(tx, first.is_some(), activity).await
}

async fn record_if(tx: &mut TenantTx, is_first: bool, activity: &Activity) -> sqlx::Result<bool> {
    if is_first {
        activities::record(tx, activity).await?;
    }
    Ok(is_first)
}

/// Deletes the notices of days and periods that are over: those older than 70 days. Returns their number.
///
/// # Errors
/// A database error.
pub async fn remove_old(tx: &mut SystemTx, limit: i64) -> sqlx::Result<u64> {
    sqlx::query!(
        r#"
        delete from tenant_notices where ctid in (
            select ctid from tenant_notices where created_at < now() - interval '70 days' order by created_at limit $1
        )
        "#,
        limit
    )
    .execute(tx)
    .await
    .map(|done| done.rows_affected())
}
