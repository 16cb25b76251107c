//! Table `bot_sessions`: the periods in which the bot sold products (mode LIVE) or answered from documents (mode
//! RAG). The open session is the present mode; without an open session the mode is RAG.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    db::TenantTx,
    error::ApiError,
    paging::{List, Listing, Paging, list_page},
};

/// A period in one mode.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "c0a8e52a-7c1c-4a51-9b50-54f2a9b9d7a1", "mode": "live", "started_at": "2026-11-23T09:30:06Z", "ended_at": null,
}))]
pub struct BotSession {
    /// The session's id.
    pub id: Uuid,
    /// `live` or `rag`.
    pub mode: String,
    /// Start of the session.
    pub started_at: DateTime<Utc>,
    /// End of the session; null while it is open.
    pub ended_at: Option<DateTime<Utc>>,
}

/// The result of a switch of the mode.
#[derive(Debug)]
pub struct ModeSwitch {
    /// The open session.
    pub session: BotSession,
    /// True when the mode changed; false when it was the present mode already.
    pub is_new: bool,
}

/// Ends the open session and starts one in the requested mode: LIVE when `live` is true, else RAG. Changes nothing
/// when that is the present mode.
///
/// # Errors
/// A database error.
pub async fn switch(tx: &mut TenantTx, live: bool) -> sqlx::Result<ModeSwitch> {
    let mode = if live { "live" } else { "rag" };
    // The lock serialises two simultaneous switches: each returns the mode that it requested.
    sqlx::query!("select from customers where id = $1 for no key update", tx.tenant()).execute(&mut *tx).await?;
    let ended = sqlx::query!(
        // Not now(), which is the transaction's start: a switch that waited for the lock began before the session
        // that it ends.
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
        // Before its first session, a tenant's mode is RAG: a first session in RAG is no change.
        return Ok(ModeSwitch { session, is_new: live || ended > 0 });
    }
    let session = sqlx::query_as!(
        BotSession,
        "select id, mode, started_at, ended_at from bot_sessions where company_id = $1 and ended_at is null",
        tx.tenant()
    )
    .fetch_one(tx)
    .await?;
    Ok(ModeSwitch { session, is_new: false })
}

/// The sort fields and the statuses of the list.
#[derive(Debug)]
pub struct BotSessionListing;

impl Listing for BotSessionListing {
    const NAME: &'static str = "bot-sessions";
    const SORTS: &'static [&'static str] = &["started_at"];
    const CREATED_AT: &'static str = "started_at";
    const STATUSES: &'static [&'static str] = &["live", "rag"];
}

/// Returns a page of the tenant's sessions.
///
/// # Errors
/// 422 for a cursor that was tampered with; a database error.
pub async fn list(tx: &mut TenantTx, paging: &Paging) -> Result<List<BotSession>, ApiError> {
    list_page!(tx, paging, BotSession {
        select: "id, mode, started_at, ended_at",
        from: "bot_sessions where company_id = $1 and ($2::text is null or mode = $2)",
        bind: [paging.status],
        order: ["started_at": "started_at" "timestamptz" DateTime<Utc> = started_at],
        id: "id" "uuid" Uuid = id,
    })
}
