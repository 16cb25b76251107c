//! The view `unanswered`: questions on WhatsApp or over the API whose answer was not found in the documents.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    db::TenantTx,
    error::ApiError,
    paging::{List, Listing, MAX_COUNTED_ROWS, Paging},
};

/// A question whose answer was not found in the documents.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "message_id": "0d6a8e52-7c1c-4a51-9b50-54f2a9b9d7a1", "conversation_id": "7a0c4a6e-0a5c-4e0b-9a57-1d2f3a4b5c6d",
    "channel": "whatsapp", "question": "Livrez-vous au Togo ?", "created_at": "2026-11-23T09:30:08Z",
}))]
pub struct Unanswered {
    /// The bot's message that no answer was found.
    message_id: Uuid,
    conversation_id: Uuid,
    /// Channel of the question: `whatsapp` or `api`.
    channel: String,
    /// Text of the question. On WhatsApp, all messages that were answered together.
    question: String,
    /// Time of the bot's message.
    created_at: DateTime<Utc>,
}

/// Sort keys of the list.
#[derive(Debug)]
pub struct UnansweredListing;

impl Listing for UnansweredListing {
    const SORTS: &'static [&'static str] = &["created_at"];
    const STATUSES: &'static [&'static str] = &[];
}

macro_rules! fetch {
    ($tx:expr, $paging:expr, $after:expr, $beyond:tt, $direction:tt) => {{
        let (at, id) = $after.unzip();
        sqlx::query_as!(
            Unanswered,
            r#"select message_id as "message_id!", conversation_id as "conversation_id!", channel as "channel!",
                question as "question!", created_at as "created_at!"
            from unanswered
            where customer_id = $1 and ($2::timestamptz is null or (created_at, message_id) "#
                + $beyond
                + " ($2, $3::uuid)) order by created_at "
                + $direction
                + ", message_id "
                + $direction
                + " limit $4 offset $5",
            $tx.tenant(),
            at,
            id,
            $paging.rows_to_fetch(),
            $paging.offset
        )
        .fetch_all(&mut *$tx)
        .await
        .map_err(|error| $paging.query_error(error))?
    }};
}

/// Lists a page of the tenant's unanswered questions.
///
/// # Errors
/// 422 for a cursor that was tampered with. Fails when a statement fails.
pub async fn list(tx: &mut TenantTx, paging: &Paging) -> Result<List<Unanswered>, ApiError> {
    let after: Option<(DateTime<Utc>, Uuid)> = paging.after()?;
    let rows =
        if paging.descending { fetch!(tx, paging, after, "<", "desc") } else { fetch!(tx, paging, after, ">", "asc") };
    let counted = sqlx::query_scalar!(
        r#"
        select count(*) as "count!" from (select from unanswered where customer_id = $1 limit $2) counted
        "#,
        tx.tenant(),
        MAX_COUNTED_ROWS + 1
    )
    .fetch_one(tx)
    .await?;
    paging.page(rows, counted, |last| (last.created_at, last.message_id))
}
