//! Conversations over the API (channel `api`). A question and its answer are written together, when the answer is
//! complete. There is no reply worker, no handover to a person and no outbox.

use serde_json::Value;
use uuid::Uuid;

use crate::{db::TenantTx, llm::Usage, text::Language};

/// A question and its answer.
#[derive(Debug)]
pub struct Exchange<'a> {
    /// The user who asked.
    pub user: Uuid,
    /// The question's text.
    pub question: &'a str,
    /// The answer's text.
    pub answer: &'a str,
    /// The answer's citations, as JSON.
    pub citations: Value,
    /// True when the answer comes from the documents.
    pub answered: bool,
    /// The model that generated the answer.
    pub model: &'a str,
    /// Tokens used to generate the answer.
    pub usage: Usage,
}

/// Returns true when the tenant has an API conversation with this id.
///
/// # Errors
/// A database error.
pub async fn exists(tx: &mut TenantTx, conversation: Uuid) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"
        select exists (
            select from conversations where customer_id = $1 and id = $2 and channel = 'api'
        ) as "is_known!"
        "#,
        tx.tenant(),
        conversation
    )
    .fetch_one(tx)
    .await
}

/// Creates a conversation of a user, in a language, and returns its id.
///
/// # Errors
/// A database error.
pub async fn create(tx: &mut TenantTx, user: Uuid, language: Language) -> sqlx::Result<Uuid> {
    sqlx::query_scalar!(
        r#"
        insert into conversations (id, customer_id, channel, contact_id, user_id, language)
        select made.id, $1, 'api', made.id::text, $2, $3 from (select gen_random_uuid() as id) made
        returning id
        "#,
        tx.tenant(),
        user,
        (language != Language::Other).then(|| language.as_str())
    )
    .fetch_one(tx)
    .await
}

/// Appends a question and its answer to a conversation. Writes nothing when the conversation was deleted meanwhile.
///
/// # Errors
/// A database error.
pub async fn append(tx: &mut TenantTx, conversation: Uuid, exchange: &Exchange<'_>) -> sqlx::Result<()> {
    let tokens = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
    // One insert, since each row refers to the other. The added microsecond keeps the question before its answer,
    // even when the clock does not advance.
    sqlx::query!(
        r#"
        with conversation as (
            update conversations set last_message_at = now(), last_inbound_at = now()
            where customer_id = $1 and id = $2 and channel = 'api'
            returning id
        ), made as (
            select conversation.id as conversation_id, gen_random_uuid() as question_id, gen_random_uuid() as answer_id,
                clock_timestamp() as at
            from conversation
        )
        insert into messages (id, customer_id, conversation_id, channel, direction, author, content, answered_by,
            citations, answered, model, prompt_tokens, completion_tokens, sent_by, sent_at, created_at)
        select question_id, $1, conversation_id, 'api', 'inbound', 'contact', $3, answer_id,
            null::jsonb, null::boolean, null::text, null::integer, null::integer, $10::uuid, null::timestamptz, at
        from made
        union all
        select answer_id, $1, conversation_id, 'api', 'outbound', 'bot', $4, null,
            $5::jsonb, $6::boolean, $7, $8::integer, $9::integer, null, at, at + interval '1 microsecond'
        from made
        "#,
        tx.tenant(),
        conversation,
        exchange.question,
        exchange.answer,
        exchange.citations,
        exchange.answered,
        exchange.model,
        tokens(exchange.usage.prompt_tokens),
        tokens(exchange.usage.completion_tokens),
        exchange.user
    )
    .execute(tx)
    .await
    .map(drop)
}
