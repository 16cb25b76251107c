//! Table `messages`: the messages of conversations. One transaction writes an answer, marks the messages that it
//! answers and queues its parts in the outbox. So an answer is generated once, however often its parts must be sent.
//!
//! SQL function: `app.receive_message`.

mod list;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    db::{SystemTx, TenantTx},
    llm::{Role, Turn, Usage},
    outbox, text,
};

pub(crate) use list::Phone;
pub use list::{Message, MessageFilter, MessageItem, MessageListing, get, list};

/// Expands to a checked query, or to [`list_page!`](crate::paging::list_page), in whose SQL `PENDING` is the condition
/// for messages that wait for an answer. The partial index `messages_unanswered_idx`, the SQL function
/// `app.receive_message` and the filter `unanswered` of the conversations' list have this condition, too.
macro_rules! pending_sql {
    (@with $pending:tt list_page!($tx:expr, $paging:expr, $row:ident {
        select: [$before:tt + PENDING + $after:tt], $($rest:tt)*
    })) => {
        $crate::paging::list_page!($tx, $paging, $row { select: [$before + $pending + $after], $($rest)* })
    };
    (@with $pending:tt $query:ident!($row:ident, $before:tt + PENDING + $after:tt $(, $bind:expr)* $(,)?)) => {
        sqlx::$query!($row, $before + $pending + $after $(, $bind)*)
    };
    (@with $pending:tt $query:ident!($before:tt + PENDING + $after:tt $(, $bind:expr)* $(,)?)) => {
        sqlx::$query!($before + $pending + $after $(, $bind)*)
    };
    ($($call:tt)*) => {
        $crate::messages::pending_sql!(
            @with "direction = 'inbound' and answered_by is null and skipped_reason is null" $($call)*
        )
    };
}
pub(crate) use pending_sql;

/// Earlier messages of a conversation that a model and the search receive.
const MAX_HISTORY_MESSAGES: i64 = 12;
/// Maximum length of one earlier message that a model and the search receive, in characters.
const MAX_HISTORY_MESSAGE_CHARS: i32 = 2_000;
/// Maximum length of the messages that are answered together, in characters. A model, the search and the embedding read
/// all of it.
pub const MAX_PENDING_CHARS: usize = 8_000;
/// Maximum length of the text that a person of the company sends, in characters. WhatsApp accepts no longer one.
pub const MAX_TEXT_CHARS: usize = 4_096;

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
    /// All of the messages still wait for an answer.
    Pending,
    /// An earlier attempt wrote this answer already.
    AlreadyWritten,
    /// At least one of the messages has another answer or was skipped.
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
    /// No answer was left: the quota is used up, or the contact wrote more than is answered. The contact was told so.
    Quota,
    /// The contact has opted out.
    OptedOut,
    /// All attempts failed.
    Failed,
    /// A STOP or START that the contact wrote before one that counted already.
    Superseded,
    /// A courtesy that needs no answer.
    Courtesy,
}

impl SkipReason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Quota => "quota",
            Self::OptedOut => "opted_out",
            Self::Failed => "failed",
            Self::Superseded => "superseded",
            Self::Courtesy => "courtesy",
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

/// Marks all unanswered messages of a conversation as skipped.
///
/// # Errors
/// A database error.
pub async fn skip_pending(tx: &mut SystemTx, tenant: Uuid, conversation: Uuid, why: SkipReason) -> sqlx::Result<()> {
    pending_sql!(query!(
        "update messages set skipped_reason = $3 where customer_id = $1 and conversation_id = $2 and " + PENDING + "",
        tenant,
        conversation,
        why.as_str()
    ))
    .execute(tx)
    .await
    .map(drop)
}

/// A contact's message that waits for an answer.
#[derive(Debug, Clone)]
pub struct PendingMessage {
    /// `messages.id`.
    pub id: Uuid,
    /// The text; empty for a message without text, and for a link or a placeholder in its place.
    pub content: String,
    /// The kind of a message without text, or of what came with the text: `audio`, `image` …
    pub attachment: Option<String>,
    /// Time of receipt.
    pub created_at: DateTime<Utc>,
    /// Time at which the contact wrote it, where ManyChat said so.
    pub interacted_at: Option<DateTime<Utc>>,
}

impl PendingMessage {
    /// Returns true when the message is, or came with, something that may say anything: a voice message, a video, a file,
    /// or something of an unknown kind. Nobody has heard or read it. Pictures, stickers and locations say little.
    #[must_use]
    pub fn is_unheard(&self) -> bool {
        const QUIET_KINDS: [&str; 3] = ["image", "sticker", "location"];
        self.attachment.as_deref().is_some_and(|kind| !QUIET_KINDS.contains(&kind))
    }
}

/// Returns the contact's messages that wait for an answer, oldest first; at most `limit`. They have the order in which
/// they were written, where ManyChat said so of all of them, and else the order in which they came in.
///
/// # Errors
/// A database error.
pub async fn pending(tx: &mut TenantTx, conversation: Uuid, limit: i64) -> sqlx::Result<Vec<PendingMessage>> {
    let mut pending = pending_sql!(query_as!(
        PendingMessage,
        "select id, content, attachment, created_at, interacted_at from messages where customer_id = $1 and conversation_id = $2 and "
            + PENDING
            + " order by case when bool_and(interacted_at is not null) over () then interacted_at end, created_at, id
            limit $3",
        tx.tenant(),
        conversation,
        limit
    ))
    .fetch_all(tx)
    .await?;
    // The company sees the link in the list of messages; the bot cannot read what it leads to.
    for message in &mut pending {
        if let Some(kind) = text::unreadable_kind(&message.content) {
            message.content.clear();
            message.attachment.get_or_insert_with(|| kind.to_owned());
        }
    }
    Ok(pending)
}

/// The last message that a contact received.
#[derive(Debug, Clone)]
pub struct LastOutbound {
    /// `messages.id`.
    pub id: Uuid,
    /// The name of the model that generated the text, or what stands in its place.
    pub model: Option<String>,
    /// True when the bot wrote it, and no person or notice.
    pub is_from_bot: bool,
    /// True when it answers from the documents or the catalogue.
    pub is_answer: bool,
    /// True when the text asks something.
    pub is_question: bool,
    /// True when all of its parts were sent.
    pub is_sent: bool,
    /// Time at which it was written.
    pub created_at: DateTime<Utc>,
}

/// Returns the last message to the contact of a conversation, whoever wrote it.
///
/// # Errors
/// A database error.
pub async fn last_outbound(tx: &mut TenantTx, conversation: Uuid) -> sqlx::Result<Option<LastOutbound>> {
    sqlx::query_as!(
        LastOutbound,
        r#"
        select id, model, author = 'bot' as "is_from_bot!", answered is true as "is_answer!",
            content like '%?%' as "is_question!", sent_at is not null as "is_sent!", created_at
        from messages where customer_id = $1 and conversation_id = $2 and direction = 'outbound'
        order by created_at desc, id desc
        limit 1
        "#,
        tx.tenant(),
        conversation
    )
    .fetch_optional(tx)
    .await
}

/// Returns the texts that the contact of a conversation wrote on the present day in the tenant's timezone, without those
/// in `waiting`; the newest 100.
///
/// # Errors
/// A database error.
pub async fn texts_of_today(tx: &mut TenantTx, conversation: Uuid, waiting: &[Uuid]) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"
        select content from messages, customers tenant
        where messages.customer_id = $1 and conversation_id = $2 and direction = 'inbound' and messages.id <> all ($3)
          and tenant.id = $1
          and messages.created_at >= date_trunc('day', now() at time zone tenant.timezone) at time zone tenant.timezone
        order by messages.created_at desc, messages.id desc
        limit 100
        "#,
        tx.tenant(),
        conversation,
        waiting
    )
    .fetch_all(tx)
    .await
}

/// Returns the ids of the contact's messages that wait for an answer. A person's reply answers all of them.
///
/// # Errors
/// A database error.
pub async fn pending_ids(tx: &mut TenantTx, conversation: Uuid) -> sqlx::Result<Vec<Uuid>> {
    pending_sql!(query_scalar!(
        "select id from messages where customer_id = $1 and conversation_id = $2 and "
            + PENDING
            + " order by created_at, id",
        tx.tenant(),
        conversation
    ))
    .fetch_all(tx)
    .await
}

/// Returns the time of the oldest message of the contact that waits for an answer, if one waits.
///
/// # Errors
/// A database error.
pub async fn waiting_since(tx: &mut TenantTx, conversation: Uuid) -> sqlx::Result<Option<DateTime<Utc>>> {
    pending_sql!(query_scalar!(
        "select min(created_at) from messages where customer_id = $1 and conversation_id = $2 and " + PENDING + "",
        tx.tenant(),
        conversation
    ))
    .fetch_one(tx)
    .await
}

/// Joins the texts of messages that are answered together, one a line, at most [`MAX_PENDING_CHARS`] characters. The
/// newest messages are kept; the oldest one that does not fit is cut at its end.
pub fn join_texts<'t>(texts: impl DoubleEndedIterator<Item = &'t str>) -> String {
    let mut left = MAX_PENDING_CHARS;
    let mut kept = Vec::new();
    for text in texts.rev().filter(|text| !text.is_empty()) {
        let cut = text.char_indices().nth(left).map_or(text, |(end, _)| &text[..end]);
        kept.push(cut);
        // The line break counts, too.
        left = left.saturating_sub(cut.chars().count() + 1);
        if left == 0 {
            break;
        }
    }
    kept.reverse();
    kept.join("\n")
}

/// Returns the last messages of a conversation without those in `waiting`, oldest first, as turns for a model. At
/// most `MAX_HISTORY_MESSAGES`, each of at most `MAX_HISTORY_MESSAGE_CHARS` characters. Excluded by id and not by time, because a waiting message may be older than the last
/// answer: it may have come in while that answer was generated.
///
/// # Errors
/// A database error.
pub async fn history(tx: &mut TenantTx, conversation: Uuid, waiting: &[Uuid]) -> sqlx::Result<Vec<Turn>> {
    let messages = sqlx::query!(
        r#"
        select direction = 'inbound' as "by_contact!", left(content, $5) as "content!" from messages
        where customer_id = $1 and conversation_id = $2 and id <> all ($3) and content <> ''
        order by created_at desc, id desc
        limit $4
        "#,
        tx.tenant(),
        conversation,
        waiting,
        MAX_HISTORY_MESSAGES,
        MAX_HISTORY_MESSAGE_CHARS
    )
    .fetch_all(tx)
    .await?;
    let is_text = |content: &str| text::unreadable_kind(content).is_none();
    let messages = messages.into_iter().rev().filter(|message| !message.by_contact || is_text(&message.content));
    let turns = messages.map(|message| Turn {
        role: if message.by_contact { Role::User } else { Role::Assistant },
        text: message.content,
    });
    Ok(turns.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_texts_are_bounded_and_keep_the_newest() {
        assert_eq!(join_texts(["a", "", "b"].into_iter()), "a\nb");
        assert_eq!(join_texts([].into_iter()), "");
        let long = "é".repeat(10_000);
        let texts = vec![long.as_str(); 50];
        assert_eq!(join_texts(texts.into_iter()).chars().count(), MAX_PENDING_CHARS);
        let joined = join_texts([long.as_str(), "et à Bouaké ?"].into_iter());
        assert!(joined.ends_with("é\net à Bouaké ?"), "the newest whole");
        assert_eq!(joined.chars().count(), MAX_PENDING_CHARS);
    }
}
