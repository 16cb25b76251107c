//! Questions without an answer: the view `unanswered` has those on WhatsApp or over the API whose answer was not found in
//! the documents, and `messages` those on WhatsApp that were not answered because no answers were left.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    db::TenantTx,
    error::ApiError,
    paging::{List, Listing, Paging, list_page},
};

/// A question without an answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "message_id": "0d6a8e52-7c1c-4a51-9b50-54f2a9b9d7a1", "conversation_id": "7a0c4a6e-0a5c-4e0b-9a57-1d2f3a4b5c6d",
    "channel": "whatsapp", "question": "Livrez-vous au Togo ?", "reason": "not_found", "created_at": "2026-11-23T09:30:08Z",
}))]
pub struct Unanswered {
    /// The bot's message that no answer was found; with reason `quota`, the contact's message.
    message_id: Uuid,
    conversation_id: Uuid,
    /// Channel of the question: `whatsapp` or `api`.
    channel: String,
    /// Text of the question, at most 2,000 characters. On WhatsApp, all messages that were answered together.
    question: String,
    /// `not_found` (the documents do not hold the answer) or `quota` (no answers were left, or the contact wrote more than
    /// is answered). The latter ends when a person or the bot answers the conversation later.
    reason: String,
    /// Time of the message.
    created_at: DateTime<Utc>,
}

/// Sort keys of the list.
#[derive(Debug)]
pub struct UnansweredListing;

impl Listing for UnansweredListing {
    const SORTS: &'static [&'static str] = &["created_at"];
}

/// Lists a page of the tenant's unanswered questions.
///
/// # Errors
/// 422 for a cursor that was tampered with. Fails when a statement fails.
pub async fn list(tx: &mut TenantTx, paging: &Paging) -> Result<List<Unanswered>, ApiError> {
    list_page!(tx, paging, Unanswered {
        select: r#"message_id as "message_id!", conversation_id as "conversation_id!", channel as "channel!",
            left(question, 2000) as "question!", reason as "reason!", created_at as "created_at!""#,
        from: "(
                select message_id, customer_id, conversation_id, channel, question, 'not_found' as reason, created_at
                from unanswered
                union all
                select waiting.id, waiting.customer_id, waiting.conversation_id, waiting.channel, waiting.content,
                    'quota', waiting.created_at
                from messages waiting
                where waiting.direction = 'inbound' and waiting.skipped_reason = 'quota' and waiting.content <> ''
                  and not exists (
                      select from messages later
                      where later.conversation_id = waiting.conversation_id and later.created_at > waiting.created_at
                        and (later.author = 'agent' or later.answered is not null)
                  )
            ) listed where customer_id = $1",
        bind: [],
        order: ["created_at": "created_at" "timestamptz" DateTime<Utc> = created_at],
        id: "message_id" "uuid" Uuid = message_id,
    })
}
