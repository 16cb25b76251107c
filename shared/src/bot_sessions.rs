//! `bot_sessions`: since when the bot sells (LIVE) or answers from documents (RAG). The open one is the mode; without
//! one it is RAG.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    db::TenantTx,
    error::ApiError,
    paging::{COUNTED_EXACTLY, List, Listing, Paging},
};

/// A time in one mode.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "c0a8e52a-7c1c-4a51-9b50-54f2a9b9d7a1", "mode": "live", "started_at": "2026-11-23T09:30:06Z", "ended_at": null,
}))]
pub struct BotSession {
    /// The session.
    pub id: Uuid,
    /// `live` or `rag`.
    pub mode: String,
    /// Since when.
    pub started_at: DateTime<Utc>,
    /// Until when; null while it lasts.
    pub ended_at: Option<DateTime<Utc>>,
}

/// A mode, and whether it was switched on just now.
#[derive(Debug)]
pub struct Switched {
    /// The open session.
    pub session: BotSession,
    /// False when it was the mode already.
    pub is_new: bool,
}

/// Ends the open session and starts one in the wanted mode; in that mode already, it changes nothing.
///
/// # Errors
/// The database's.
pub async fn switch(tx: &mut TenantTx, live: bool) -> sqlx::Result<Switched> {
    let mode = if live { "live" } else { "rag" };
    // Two switches at once come one after the other: each answers with the mode that it asked for.
    sqlx::query!("select from customers where id = $1 for no key update", tx.tenant()).execute(&mut *tx).await?;
    let ended = sqlx::query!(
        // Not now(): whoever waited began before the session that is to end.
        "update bot_sessions set ended_at = clock_timestamp()
        where company_id = $1 and ended_at is null and mode <> $2",
        tx.tenant(),
        mode
    )
    .execute(&mut *tx)
    .await?
    .rows_affected();
    let started = sqlx::query_as!(
        BotSession,
        r#"
        insert into bot_sessions (company_id, mode, started_at) values ($1, $2, clock_timestamp())
        on conflict (company_id) where ended_at is null do nothing
        returning id, mode, started_at, ended_at
        "#,
        tx.tenant(),
        mode
    )
    .fetch_optional(&mut *tx)
    .await?;
    if let Some(session) = started {
        // Before its first session, a tenant's mode was RAG.
        return Ok(Switched { session, is_new: live || ended > 0 });
    }
    let session = sqlx::query_as!(
        BotSession,
        "select id, mode, started_at, ended_at from bot_sessions where company_id = $1 and ended_at is null",
        tx.tenant()
    )
    .fetch_one(tx)
    .await?;
    Ok(Switched { session, is_new: false })
}

/// The order and the states of the list.
#[derive(Debug)]
pub struct BotSessionListing;

impl Listing for BotSessionListing {
    const SORTS: &'static [&'static str] = &["started_at"];
    const CREATED_AT: &'static str = "started_at";
    const STATUSES: &'static [&'static str] = &["live", "rag"];
}

macro_rules! fetch {
    ($tx:expr, $paging:expr, $after:expr, $beyond:tt, $direction:tt) => {{
        let (at, id) = $after.unzip();
        sqlx::query_as!(
            BotSession,
            "select id, mode, started_at, ended_at from bot_sessions
            where company_id = $1 and ($2::text is null or mode = $2)
              and ($3::timestamptz is null or (started_at, id) "
                + $beyond
                + " ($3, $4::uuid))
            order by started_at "
                + $direction
                + ", id "
                + $direction
                + " limit $5 offset $6",
            $tx.tenant(),
            $paging.status,
            at,
            id,
            $paging.fetched(),
            $paging.offset
        )
        .fetch_all(&mut *$tx)
        .await
        .map_err(|error| $paging.failed(error))?
    }};
}

/// A page of the tenant's sessions.
///
/// # Errors
/// 422 for a cursor that was tampered with; the database's.
pub async fn list(tx: &mut TenantTx, paging: &Paging) -> Result<List<BotSession>, ApiError> {
    let after: Option<(DateTime<Utc>, Uuid)> = paging.after()?;
    let rows =
        if paging.descending { fetch!(tx, paging, after, "<", "desc") } else { fetch!(tx, paging, after, ">", "asc") };
    let counted = sqlx::query_scalar!(
        r#"
        select count(*) as "count!" from (
            select from bot_sessions where company_id = $1 and ($2::text is null or mode = $2) limit $3
        ) counted
        "#,
        tx.tenant(),
        paging.status,
        COUNTED_EXACTLY + 1
    )
    .fetch_one(tx)
    .await?;
    paging.page(rows, counted, |last| (last.started_at, last.id))
}
