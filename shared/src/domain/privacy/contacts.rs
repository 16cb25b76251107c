//! Export and deletion of one contact: the conversation with all that belongs to it, and the personal fields of its orders.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{db::TenantTx, error::ApiError};

/// Size of the messages in one answer, in bytes. A function's answer has at most 6 MB.
const MAX_MESSAGES_BYTES: i64 = 2_500_000;

/// All that a company stores about one contact. Every object has the columns of its table.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "conversation": { "id": "7a0c4a6e-0a5c-4e0b-9a57-1d2f3a4b5c6d", "contact_id": "132", "user_phone": "+2250700000000" },
    "messages": [{ "direction": "inbound", "content": "Bonjour", "created_at": "2026-11-29T09:30:06Z" }],
    "next": null, "orders": [], "feedback": [], "closed_questions": [], "outbox": [], "activities": [], "model_calls": [],
}))]
pub struct ContactExport {
    /// The conversation with the contact's id, telephone number and name.
    #[schema(value_type = Object)]
    conversation: Value,
    /// Messages, the oldest first.
    #[schema(value_type = Vec<Object>)]
    messages: Vec<Value>,
    /// Value of the parameter `after` for the next messages; null when these are the last ones. Only the first answer has
    /// what follows.
    next: Option<Uuid>,
    /// Orders of the conversation.
    #[schema(value_type = Vec<Object>)]
    orders: Value,
    /// Thumbs and comments of members on its messages.
    #[schema(value_type = Vec<Object>)]
    feedback: Value,
    /// Unanswered questions that were closed.
    #[schema(value_type = Vec<Object>)]
    closed_questions: Value,
    /// Delivery of each part of a message, without the text, which is in the message.
    #[schema(value_type = Vec<Object>)]
    outbox: Value,
    /// Activities about the conversation.
    #[schema(value_type = Vec<Object>)]
    activities: Value,
    /// Calls of models for the conversation: numbers, no text.
    #[schema(value_type = Vec<Object>)]
    model_calls: Value,
}

/// Returns all that the transaction's tenant stores about the contact of a conversation, or its further messages after the
/// message `after`.
///
/// # Errors
/// Returns 404 for another tenant's conversation or message, and any database error.
pub async fn export(tx: &mut TenantTx, conversation: Uuid, after: Option<Uuid>) -> Result<ContactExport, ApiError> {
    let row = sqlx::query_scalar!(
        r#"
        select to_jsonb(conversation) - array['lease_token', 'lease_expires_at', 'lease_is_awaited'] as "row!"
        from conversations conversation where customer_id = $1 and id = $2
        "#,
        tx.tenant(),
        conversation
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or_else(not_found)?;
    let (messages, next) = read_messages(tx, conversation, after).await?;
    let rest = if after.is_none() { read_rest(tx, conversation).await? } else { ContactRest::default() };
    Ok(ContactExport {
        conversation: row,
        messages,
        next,
        orders: rest.orders,
        feedback: rest.feedback,
        closed_questions: rest.closed_questions,
        outbox: rest.outbox,
        activities: rest.activities,
        model_calls: rest.model_calls,
    })
}

fn not_found() -> ApiError {
    ApiError::not_found("conversation")
}

/// Returns the messages after one, at most [`MAX_MESSAGES_BYTES`] of them and at least one, and the last of them when there
/// are more.
async fn read_messages(
    tx: &mut TenantTx,
    conversation: Uuid,
    after: Option<Uuid>,
) -> Result<(Vec<Value>, Option<Uuid>), ApiError> {
    let since = match after {
        None => None,
        Some(after) => {
            let known = sqlx::query_scalar!(
                "select created_at from messages where customer_id = $1 and conversation_id = $2 and id = $3",
                tx.tenant(),
                conversation,
                after
            );
            Some(known.fetch_optional(&mut *tx).await?.ok_or_else(|| ApiError::not_found("message"))?)
        }
    };
    let rows = sqlx::query!(
        r#"
        with rest as (
            select message.id, to_jsonb(message) as row, message.created_at from messages message
            where customer_id = $1 and conversation_id = $2
              and ($3::timestamptz is null or (created_at, id) > ($3, $4))
        ), measured as (
            select *, row_number() over written as number, count(*) over () as total,
                sum(octet_length(row::text)) over written as size
            from rest window written as (order by created_at, id)
        )
        select id as "id!", row as "row!", total as "total!" from measured
        where size <= $5 or number = 1
        order by created_at, id
        "#,
        tx.tenant(),
        conversation,
        since,
        after,
        MAX_MESSAGES_BYTES
    )
    .fetch_all(tx)
    .await?;
    let has_more = rows.first().is_some_and(|row| row.total > rows.len() as i64);
    let next = rows.last().filter(|_| has_more).map(|row| row.id);
    Ok((rows.into_iter().map(|row| row.row).collect(), next))
}

/// What belongs to a conversation besides its messages.
struct ContactRest {
    orders: Value,
    feedback: Value,
    closed_questions: Value,
    outbox: Value,
    activities: Value,
    model_calls: Value,
}

impl Default for ContactRest {
    fn default() -> Self {
        let none = || json!([]);
        Self {
            orders: none(),
            feedback: none(),
            closed_questions: none(),
            outbox: none(),
            activities: none(),
            model_calls: none(),
        }
    }
}

async fn read_rest(tx: &mut TenantTx, conversation: Uuid) -> sqlx::Result<ContactRest> {
    sqlx::query_as!(
        ContactRest,
        r#"
        select
            coalesce((
                select jsonb_agg(to_jsonb(placed) order by placed.created_at) from orders placed
                where placed.company_id = $1 and placed.conversation_id = $2
            ), '[]') as "orders!",
            coalesce((
                select jsonb_agg(to_jsonb(given) order by given.created_at) from feedback given
                join messages message on message.id = given.message_id
                where given.customer_id = $1 and message.conversation_id = $2
            ), '[]') as "feedback!",
            coalesce((
                select jsonb_agg(to_jsonb(closed) order by closed.created_at) from closed_questions closed
                join messages message on message.id = closed.message_id
                where closed.customer_id = $1 and message.conversation_id = $2
            ), '[]') as "closed_questions!",
            coalesce((
                select jsonb_agg(to_jsonb(sent) - 'content' order by sent.created_at, sent.part) from outbox sent
                where sent.customer_id = $1 and sent.conversation_id = $2
            ), '[]') as "outbox!",
            coalesce((
                select jsonb_agg(to_jsonb(activity) order by activity.created_at) from activities activity
                where activity.company_id = $1 and activity.conversation_id = $2
            ), '[]') as "activities!",
            coalesce((
                select jsonb_agg(to_jsonb(call) order by call.created_at) from llm_calls call
                where call.customer_id = $1 and call.conversation_id = $2
            ), '[]') as "model_calls!"
        "#,
        tx.tenant(),
        conversation
    )
    .fetch_one(tx)
    .await
}

/// Numbers of deleted and changed rows, for the audit log.
#[derive(Debug, Serialize)]
pub struct ContactDeletion {
    messages: i64,
    outbox: i64,
    feedback: i64,
    closed_questions: i64,
    activities: u64,
    unread_webhook_bodies: u64,
    idempotency_keys: u64,
    /// Orders that stay without the name and the conversation.
    orders_without_name: u64,
}

/// Deletes a conversation of the transaction's tenant with all that belongs to it. Orders stay as bookings, without the name
/// and the conversation.
///
/// The conversation's row is locked first, for an update: a message that comes in meanwhile waits, finds no conversation and
/// begins a new one. A worker that thinks about an answer loses its lease with the row, and commits nothing.
///
/// # Errors
/// Returns 404 for another tenant's conversation, and any database error.
pub async fn delete(tx: &mut TenantTx, conversation: Uuid) -> Result<ContactDeletion, ApiError> {
    let contact = sqlx::query!(
        "select channel, contact_id, user_phone from conversations where customer_id = $1 and id = $2 for update",
        tx.tenant(),
        conversation
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or_else(not_found)?;
    let counts = count_rows(tx, conversation).await?;
    let orders_without_name = sqlx::query!(
        "update orders set customer_name = null, conversation_id = null where company_id = $1 and conversation_id = $2",
        tx.tenant(),
        conversation
    )
    .execute(&mut *tx)
    .await?
    .rows_affected();
    let activities = sqlx::query!(
        "delete from activities where company_id = $1 and conversation_id = $2",
        tx.tenant(),
        conversation
    )
    .execute(&mut *tx)
    .await?
    .rows_affected();
    let unread_webhook_bodies = match contact.channel.as_str() {
        "whatsapp" => delete_unread_bodies(tx, &contact.contact_id, contact.user_phone.as_deref()).await?,
        _ => 0,
    };
    let idempotency_keys = delete_kept_answers(tx, conversation).await?;
    sqlx::query!(
        r#"
        update jobs set status = 'done', last_error = null, updated_at = clock_timestamp()
        where customer_id = $1 and kind = 'reply' and payload ->> 'conversation_id' = $2
        "#,
        tx.tenant(),
        conversation.to_string()
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!("delete from conversations where customer_id = $1 and id = $2", tx.tenant(), conversation)
        .execute(tx)
        .await?;
    Ok(ContactDeletion {
        messages: counts.messages,
        outbox: counts.outbox,
        feedback: counts.feedback,
        closed_questions: counts.closed_questions,
        activities,
        unread_webhook_bodies,
        idempotency_keys,
        orders_without_name,
    })
}

/// Numbers of the rows that a conversation's deletion takes with it.
struct RowCounts {
    messages: i64,
    outbox: i64,
    feedback: i64,
    closed_questions: i64,
}

async fn count_rows(tx: &mut TenantTx, conversation: Uuid) -> sqlx::Result<RowCounts> {
    sqlx::query_as!(
        RowCounts,
        r#"
        select
            (select count(*) from messages where customer_id = $1 and conversation_id = $2) as "messages!",
            (select count(*) from outbox where customer_id = $1 and conversation_id = $2) as "outbox!",
            (
                select count(*) from feedback join messages message on message.id = feedback.message_id
                where feedback.customer_id = $1 and message.conversation_id = $2
            ) as "feedback!",
            (
                select count(*) from closed_questions closed join messages message on message.id = closed.message_id
                where closed.customer_id = $1 and message.conversation_id = $2
            ) as "closed_questions!"
        "#,
        tx.tenant(),
        conversation
    )
    .fetch_one(tx)
    .await
}

/// Deletes the answers to requests about a conversation, which are kept for a day, for repetitions.
async fn delete_kept_answers(tx: &mut TenantTx, conversation: Uuid) -> sqlx::Result<u64> {
    sqlx::query!(
        "delete from idempotency_keys where customer_id = $1 and strpos(response::text, $2) > 0",
        tx.tenant(),
        conversation.to_string()
    )
    .execute(tx)
    .await
    .map(|done| done.rows_affected())
}

/// Deletes the kept bodies of webhook calls that hold the contact's id or telephone number as a word of its own: they could
/// not be read, so nothing else says whose they are.
async fn delete_unread_bodies(tx: &mut TenantTx, contact: &str, phone: Option<&str>) -> sqlx::Result<u64> {
    sqlx::query!(
        r#"
        delete from unread_webhook_bodies
        where customer_id = $1
          and encode(body, 'escape') ~ any (
              select '(^|[^0-9A-Za-z])' || regexp_replace(word, '([^0-9A-Za-z])', '\\\1', 'g') || '([^0-9A-Za-z]|$)'
              from unnest(array[$2, ltrim($3, '+')]) word where word <> ''
          )
        "#,
        tx.tenant(),
        contact,
        phone
    )
    .execute(tx)
    .await
    .map(|done| done.rows_affected())
}
