//! Revenue of the days, which follows the orders' status and totals. Written to the table `bot_usage`.

use uuid::Uuid;

use crate::db::TenantTx;

/// Returns true when the total of an order with this status counts as revenue.
pub(super) fn counts_as_revenue(status: &str) -> bool {
    ["confirmed", "preparing", "delivered"].contains(&status)
}

/// Locks an order and returns the revenue counted for it, in hundredths: its total from status `confirmed` on, else
/// 0.
pub(super) async fn lock_counted_revenue(tx: &mut TenantTx, order: Uuid) -> sqlx::Result<i64> {
    let counted = sqlx::query_scalar!(
        r#"
        select case when status in ('confirmed', 'preparing', 'delivered') then (total_amount * 100)::bigint else 0 end
            as "cents!"
        from orders where company_id = $1 and id = $2 for update
        "#,
        tx.tenant(),
        order
    )
    .fetch_optional(tx)
    .await?;
    Ok(counted.unwrap_or_default())
}

/// Adds an amount in hundredths, possibly negative, to the revenue of the current day in the tenant's time zone.
pub(super) async fn add_revenue(tx: &mut TenantTx, cents: i64) -> sqlx::Result<()> {
    if cents == 0 {
        return Ok(());
    }
    sqlx::query!(
        r#"
        insert into bot_usage as day (company_id, date, revenue)
        select id, (now() at time zone timezone)::date, $2::bigint / 100.0 from customers where id = $1
        on conflict on constraint bot_usage_day_key do update set revenue = day.revenue + excluded.revenue
        "#,
        tx.tenant(),
        cents
    )
    .execute(tx)
    .await
    .map(drop)
}
