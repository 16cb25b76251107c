//! `messages`: what was said in conversations. An answer is written together with what it answers and with its parts in
//! the outbox, so that it is thought of once and sent however often it takes.

mod list;

use serde_json::Value;
use uuid::Uuid;

use crate::{db::TenantTx, llm::Usage, outbox};

pub(crate) use list::Phone;
pub use list::{Message, MessageFilter, MessageListing, get, list};

/// Who says something to a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// The assistant: silent while a person has the conversation.
    Bot,
    /// A person of the company.
    Agent,
    /// The product: what is said whoever has the conversation.
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

/// A message to a contact.
#[derive(Debug)]
pub struct NewMessage<'a> {
    /// `messages.id`, so that whoever does not hear of the commit can ask for it ([`settled`]).
    pub id: Uuid,
    /// Where.
    pub conversation: Uuid,
    /// Who says it.
    pub author: Author,
    /// The person, where it is one.
    pub sent_by: Option<Uuid>,
    /// The text, whole; it is sent in parts.
    pub content: &'a str,
    /// What an answer rests on.
    pub citations: Option<Value>,
    /// Whether the documents, or the catalogue, said so; `None` for what is no answer.
    pub answered: Option<bool>,
    /// Who worded it.
    pub model: Option<&'a str>,
    /// What wording it took.
    pub usage: Usage,
    /// The contact's messages that it answers.
    pub answers: &'a [Uuid],
}

impl<'a> NewMessage<'a> {
    /// A message without a model behind it.
    #[must_use]
    pub fn plain(conversation: Uuid, author: Author, content: &'a str, answers: &'a [Uuid]) -> Self {
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
            answers,
        }
    }
}

/// Writes a message with its parts, and marks what it answers. It is sent by whoever takes the conversation's job.
///
/// # Errors
/// The database's.
pub async fn write(tx: &mut TenantTx, message: &NewMessage<'_>) -> sqlx::Result<Uuid> {
    let parts = outbox::parts(message.content);
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
        message.answers,
        message.id
    )
    .fetch_one(tx)
    .await
}

/// What became of messages that were waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// They wait.
    No,
    /// By this very answer.
    ByIt,
    /// Some of them, in another way.
    Otherwise,
}

/// Whether what an answer is for is settled already. Comes after a lock on the conversation: what was committed before
/// it was given is seen.
///
/// # Errors
/// The database's.
pub async fn settled(tx: &mut TenantTx, answer: Option<Uuid>, waiting: &[Uuid]) -> sqlx::Result<Settled> {
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
        row if row.is_written => Settled::ByIt,
        row if row.is_settled => Settled::Otherwise,
        _ => Settled::No,
    })
}

/// Why messages are not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skipped {
    /// No answers are left, and the contact was told so today.
    Quota,
    /// The contact has asked to be left alone.
    OptedOut,
    /// Every attempt failed.
    Failed,
}

impl Skipped {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Quota => "quota",
            Self::OptedOut => "opted_out",
            Self::Failed => "failed",
        }
    }
}

/// Marks messages as not to be answered.
///
/// # Errors
/// The database's.
pub async fn skip(tx: &mut TenantTx, messages: &[Uuid], why: Skipped) -> sqlx::Result<()> {
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

/// The contact's messages that wait for an answer, which a person's answer is one to.
///
/// # Errors
/// The database's.
pub async fn waiting(tx: &mut TenantTx, conversation: Uuid) -> sqlx::Result<Vec<Uuid>> {
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

/// Something that was said before.
#[derive(Debug)]
pub struct Said {
    /// Whether the contact said it.
    pub by_contact: bool,
    /// The text.
    pub content: String,
}

/// The last things said in a conversation but for these messages, the oldest first. Not by time: what waits may have
/// come in while the last answer was thought of.
///
/// # Errors
/// The database's.
pub async fn history(tx: &mut TenantTx, conversation: Uuid, waiting: &[Uuid], most: i64) -> sqlx::Result<Vec<Said>> {
    let mut said = sqlx::query_as!(
        Said,
        r#"
        select direction = 'inbound' as "by_contact!", content from messages
        where customer_id = $1 and conversation_id = $2 and id <> all ($3) and content <> ''
        order by created_at desc, id desc
        limit $4
        "#,
        tx.tenant(),
        conversation,
        waiting,
        most
    )
    .fetch_all(tx)
    .await?;
    said.reverse();
    Ok(said)
}
