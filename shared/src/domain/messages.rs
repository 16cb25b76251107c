//! Table `messages`: the messages of conversations. One transaction writes an answer, marks the messages that it
//! answers and queues its parts in the outbox. So an answer is generated once, however often its parts must be sent.

mod list;

use serde_json::Value;
use uuid::Uuid;

use crate::{db::TenantTx, llm::Usage, outbox};

pub(crate) use list::Phone;
pub use list::{Message, MessageFilter, MessageListing, get, list};

/// The author of a message to a contact (`messages.author`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// The assistant. Its queued parts are cancelled when a person takes the conversation over.
    Bot,
    /// A person of the company.
    Agent,
    /// The product: notices that are sent also while a person answers the conversation.
    System,
}

impl Author {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Bot => "bot",
            Self::Agent => "agent",
            Self::System => "system",
        }
    }
}

/// A message to a contact, to be written.
#[derive(Debug)]
pub struct NewMessage<'a> {
    /// `messages.id`, chosen by the caller: after a commit whose result was lost, [`answer_status`] looks for this
    /// id.
    pub id: Uuid,
    /// The message's conversation.
    pub conversation: Uuid,
    /// The message's author.
    pub author: Author,
    /// The user who wrote the message; `None` unless the author is a person.
    pub sent_by: Option<Uuid>,
    /// The whole text; the outbox sends it in parts.
    pub content: &'a str,
    /// The answer's citations, as JSON.
    pub citations: Option<Value>,
    /// True when the answer comes from the documents or the catalogue; `None` for a message that is no answer.
    pub answered: Option<bool>,
    /// The model that generated the text.
    pub model: Option<&'a str>,
    /// Tokens used to generate the text.
    pub usage: Usage,
    /// Ids of the contact's messages that this message answers.
    pub in_reply_to: &'a [Uuid],
}

impl<'a> NewMessage<'a> {
    /// Creates a message that no model generated, with a new id.
    #[must_use]
    pub fn without_model(conversation: Uuid, author: Author, content: &'a str, in_reply_to: &'a [Uuid]) -> Self {
        Self {
            id: Uuid::new_v4(),
            conversation,
            author,
            sent_by: None,
            content,
            citations: None,
            answered: None,
            model: None,
            usage: Usage::default(),
            in_reply_to,
        }
    }
}

/// Writes a message, queues its parts in the outbox and marks the messages that it answers. The conversation's reply
/// job sends the parts.
///
/// # Errors
/// A database error.
pub async fn write(tx: &mut TenantTx, message: &NewMessage<'_>) -> sqlx::Result<Uuid> {
    let parts = outbox::split_into_parts(message.content);
    let tokens = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
    sqlx::query_scalar!(
        r#"
        with conversation as (
            update conversations set last_message_at = now() where customer_id = $1 and id = $2
            returning id, channel, user_phone
        ), written as (
            insert into messages (id, customer_id, conversation_id, channel, user_phone, direction, author, sent_by,
                content, citations, answered, model, prompt_tokens, completion_tokens)
            select $13, $1, id, channel, user_phone, 'outbound', $3, $4, $5, $6, $7, $8, $9, $10 from conversation
            returning id
        ), parts as (
            insert into outbox (message_id, part, customer_id, conversation_id, content)
            select written.id, part.place - 1, $1, $2, part.content
            from written, unnest($11::text[]) with ordinality as part (content, place)
        ), answered as (
            update messages set answered_by = written.id from written
            where messages.customer_id = $1 and messages.conversation_id = $2 and messages.id = any ($12)
              and messages.direction = 'inbound' and messages.answered_by is null
        )
        select id from written
        "#,
        tx.tenant(),
        message.conversation,
        message.author.as_str(),
        message.sent_by,
        message.content,
        message.citations,
        message.answered,
        message.model,
        message.model.map(|_| tokens(message.usage.prompt_tokens)),
        message.model.map(|_| tokens(message.usage.completion_tokens)),
        &parts,
        message.in_reply_to,
        message.id
    )
    .fetch_one(tx)
    .await
}

/// The state of the messages that an answer is meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerStatus {
    /// All of them wait for an answer.
    Pending,
    /// This very answer was written already.
    AlreadyWritten,
    /// At least one of them has another answer or was skipped.
    SettledOtherwise,
}

/// Returns whether an answer, or the messages that it is meant for, were written or settled before. The caller must
/// hold the lock on the conversation: then the query sees everything that was committed before the lock was granted.
///
/// # Errors
/// A database error.
pub async fn answer_status(tx: &mut TenantTx, answer: Option<Uuid>, waiting: &[Uuid]) -> sqlx::Result<AnswerStatus> {
    let row = sqlx::query!(
        r#"
        select exists (select from messages where customer_id = $1 and id = $2) as "is_written!",
            exists (
                select from messages
                where customer_id = $1 and id = any ($3) and (answered_by is not null or skipped_reason is not null)
            ) as "is_settled!"
        "#,
        tx.tenant(),
        answer,
        waiting
    )
    .fetch_one(tx)
    .await?;
    Ok(match row {
        row if row.is_written => AnswerStatus::AlreadyWritten,
        row if row.is_settled => AnswerStatus::SettledOtherwise,
        _ => AnswerStatus::Pending,
    })
}

/// The reason for which a message gets no answer (`messages.skipped_reason`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// The quota is used up, and the contact was told so today.
    Quota,
    /// The contact has opted out.
    OptedOut,
    /// All attempts failed.
    Failed,
}

impl SkipReason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Quota => "quota",
            Self::OptedOut => "opted_out",
            Self::Failed => "failed",
        }
    }
}

/// Marks unanswered messages as skipped.
///
/// # Errors
/// A database error.
pub async fn skip(tx: &mut TenantTx, messages: &[Uuid], why: SkipReason) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        update messages set skipped_reason = $3
        where customer_id = $1 and id = any ($2) and direction = 'inbound' and answered_by is null
        "#,
        tx.tenant(),
        messages,
        why.as_str()
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Returns the ids of the contact's messages that wait for an answer. A person's reply answers all of them.
///
/// # Errors
/// A database error.
pub async fn pending_ids(tx: &mut TenantTx, conversation: Uuid) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"
        select id from messages
        where customer_id = $1 and conversation_id = $2
          and direction = 'inbound' and answered_by is null and skipped_reason is null
        "#,
        tx.tenant(),
        conversation
    )
    .fetch_all(tx)
    .await
}

/// An earlier message of a conversation.
#[derive(Debug)]
pub struct HistoryMessage {
    /// True when the contact wrote the message; false when the company's side did.
    pub by_contact: bool,
    /// The text.
    pub content: String,
}

/// Returns the last messages of a conversation without those in `waiting`, oldest first. Excluded by id and not by
/// time, because a waiting message may be older than the last answer: it may have come in while that answer was
/// generated.
///
/// # Errors
/// A database error.
pub async fn history(
    tx: &mut TenantTx,
    conversation: Uuid,
    waiting: &[Uuid],
    limit: i64,
) -> sqlx::Result<Vec<HistoryMessage>> {
    let mut messages = sqlx::query_as!(
        HistoryMessage,
        r#"
        select direction = 'inbound' as "by_contact!", content from messages
        where customer_id = $1 and conversation_id = $2 and id <> all ($3) and content <> ''
        order by created_at desc, id desc
        limit $4
        "#,
        tx.tenant(),
        conversation,
        waiting,
        limit
    )
    .fetch_all(tx)
    .await?;
    messages.reverse();
    Ok(messages)
}
