//! The old tables of the admin interface: `orders`, `activities`, `bot_sessions` and `bot_usage`, one row each to one row.
//! The values go through SQL as they are, since JSON numbers of 64 bits are not exact decimals.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    companies,
    old_row::{MissingParts, OldRow, RowError},
};
use crate::db::SystemTx;

/// Copies an order. Its total stays as it was; where the items do not say so, the order is marked for review.
pub(super) async fn adopt_order(tx: &mut SystemTx, row: &OldRow) -> Result<MissingParts, RowError> {
    let tenant = companies::find_by_uuid(tx, row).await?;
    let id = row.uuid("id").ok_or(RowError::Refused("no_id"))?;
    let made = sqlx::query!(
        r#"
        with old as (
            select $3::text::jsonb as row
        ), read as (
            select nullif(btrim(row ->> 'customer_name'), '') as customer_name,
                (row ->> 'total_amount')::numeric as total,
                coalesce(nullif(btrim(row ->> 'status'), ''), 'pending') as status,
                case when jsonb_typeof(row -> 'items') = 'null' then '[]' else coalesce(row -> 'items', '[]') end as items,
                coalesce((row ->> 'created_at')::timestamptz, now()) as created_at,
                (row ->> 'updated_at')::timestamptz as updated_at
            from old
        ), priced as (
            select bool_and(is_priced) as is_priced,
                sum(case when is_priced then (item ->> 'quantity')::numeric * (item ->> 'unit_price')::numeric end) as total
            from read,
                jsonb_array_elements(case when jsonb_typeof(items) = 'array' then items else '[]' end) item,
                lateral (
                    select jsonb_typeof(item -> 'quantity') = 'number' and jsonb_typeof(item -> 'unit_price') = 'number'
                ) prices (is_priced)
        )
        insert into orders (id, company_id, customer_name, total_amount, currency, status, items, needs_review, created_at,
            updated_at)
        select $1, $2, customer_name, coalesce(read.total, priced.total), tenant.currency, read.status,
            read.items,
            priced.is_priced is not true or read.total is distinct from priced.total, read.created_at,
            coalesce(read.updated_at, read.created_at)
        from read, priced, customers tenant
        where tenant.id = $2
          and coalesce(read.total, priced.total) = round(coalesce(read.total, priced.total), 2)
        "#,
        id,
        tenant,
        row.json
    )
    .execute(tx)
    .await?;
    if made.rows_affected() == 0 {
        return Err(RowError::Refused("no_exact_total_amount"));
    }
    Ok(Vec::new())
}

/// Copies an activity.
pub(super) async fn adopt_activity(tx: &mut SystemTx, row: &OldRow) -> Result<MissingParts, RowError> {
    let tenant = companies::find_by_uuid(tx, row).await?;
    let id = row.uuid("id").ok_or(RowError::Refused("no_id"))?;
    let title = row.text("title").ok_or(RowError::Refused("no_title"))?;
    let kind = row.text("type").ok_or(RowError::Refused("no_type"))?;
    let status = row.text("status").unwrap_or("info");
    let metadata = Some(row.json("metadata")).filter(|metadata| metadata.is_object()).cloned();
    sqlx::query!(
        r#"
        insert into activities (id, company_id, type, title, description, status, metadata, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, coalesce($8, now()))
        "#,
        id,
        tenant,
        kind,
        title,
        row.text("description"),
        status,
        metadata.unwrap_or_else(|| serde_json::json!({})),
        row.time("created_at")
    )
    .execute(tx)
    .await?;
    Ok(Vec::new())
}

/// Copies a bot session. A tenant has one open session: one that is open here already stays.
pub(super) async fn adopt_session(tx: &mut SystemTx, row: &OldRow) -> Result<MissingParts, RowError> {
    let tenant = companies::find_by_uuid(tx, row).await?;
    let id = row.uuid("id").ok_or(RowError::Refused("no_id"))?;
    let mode = row.text("mode").map(str::to_lowercase).ok_or(RowError::Refused("no_mode"))?;
    let started_at =
        row.time("started_at").or_else(|| row.time("created_at")).ok_or(RowError::Refused("no_started_at"))?;
    let ended_at = row.time("ended_at");
    if ended_at.is_none() && has_newer_session(tx, tenant, started_at).await? {
        return Err(RowError::Refused("newer_session"));
    }
    sqlx::query!(
        r#"
        insert into bot_sessions (id, company_id, mode, started_at, ended_at, created_at)
        values ($1, $2, $3, $4::timestamptz, $5, coalesce($6, $4::timestamptz))
        "#,
        id,
        tenant,
        mode.trim(),
        started_at,
        ended_at,
        row.time("created_at")
    )
    .execute(tx)
    .await?;
    Ok(Vec::new())
}

/// True when a session of the tenant began after this time, here or in the old project: an older one that was never ended
/// is not the mode any more.
async fn has_newer_session(tx: &mut SystemTx, tenant: Uuid, started_at: DateTime<Utc>) -> sqlx::Result<bool> {
    let here = sqlx::query_scalar!(
        r#"select exists (select from bot_sessions where company_id = $1 and started_at > $2) as "exists!""#,
        tenant,
        started_at
    );
    if here.fetch_one(&mut *tx).await? {
        return Ok(true);
    }
    // Not checked at compile time: only an old project has this table.
    let there = "select exists (
                     select from legacy.bot_sessions
                     where company_id::text = $1::text and ended_at is null and started_at > $2
                 )";
    sqlx::query_scalar(there).bind(tenant).bind(started_at).fetch_one(tx).await
}

/// Copies the counters of a day. Where the day has counters here, the greater one of each stays: the day of the change
/// counts what both systems saw, and orders that were copied are counted once.
pub(super) async fn adopt_day(tx: &mut SystemTx, row: &OldRow) -> Result<MissingParts, RowError> {
    let tenant = companies::find_by_uuid(tx, row).await?;
    let made = sqlx::query!(
        r#"
        insert into bot_usage as day (company_id, date, conversations_count, messages_count, orders_count, revenue)
        select $1, (old.row ->> 'date')::date, coalesce((old.row ->> 'conversations_count')::integer, 0),
            coalesce((old.row ->> 'messages_count')::integer, 0), coalesce((old.row ->> 'orders_count')::integer, 0),
            coalesce((old.row ->> 'revenue')::numeric, 0)
        from (select $2::text::jsonb as row) old
        where old.row ->> 'date' is not null
        on conflict on constraint bot_usage_day_key do update
        set conversations_count = greatest(day.conversations_count, excluded.conversations_count),
            messages_count = greatest(day.messages_count, excluded.messages_count),
            orders_count = greatest(day.orders_count, excluded.orders_count),
            revenue = greatest(day.revenue, excluded.revenue)
        "#,
        tenant,
        row.json
    )
    .execute(tx)
    .await?;
    if made.rows_affected() == 0 { Err(RowError::Refused("no_date")) } else { Ok(Vec::new()) }
}
