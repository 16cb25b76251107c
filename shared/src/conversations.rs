//! `conversations` with a tenant's customers: messages come in ([`receive`]), one worker at a time answers ([`take`],
//! [`release`]), and a person may take over. Those of the API are questions and answers alone ([`api`]).
//!
//! The worker's right is a lease, a row with an expiry: behind a transaction pooler there are no session locks, and no
//! transaction is held across a call to the outside. Whatever a worker commits, it commits only while the lease is its.

pub mod api;
mod list;
pub mod words;

use std::time::Duration;

use axum::http::StatusCode;
use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    db::{SystemTx, TenantTx},
    error::ApiError,
    manychat::inbound::Inbound,
    text::Language,
};

pub use list::{Channel, ConversationFilter, ConversationItem, ConversationListing, get, list};

/// How long WhatsApp takes free texts after a contact's last message.
pub const WINDOW: Duration = Duration::from_secs(24 * 60 * 60);
/// Messages answered at once; what is beyond waits for the next answer.
const MOST_WAITING: i64 = 50;

/// What became of a message that came in.
#[derive(Debug)]
pub struct Received {
    /// Its conversation.
    pub conversation_id: Uuid,
    /// The message; `None` when it was there already.
    pub message_id: Option<Uuid>,
    /// The job that answers it; `None` for a repetition whose job is done.
    pub job_id: Option<Uuid>,
    /// Whether nothing else of the contact was waiting for an answer.
    pub is_first: bool,
    /// Whether a person has the conversation.
    pub by_person: bool,
    /// Whether the contact has asked to be left alone.
    pub is_opted_out: bool,
}

/// Stores a message with its conversation and its job, in one statement; a repetition changes nothing.
///
/// # Errors
/// The database's.
pub async fn receive(tx: &mut TenantTx, message: &Inbound) -> sqlx::Result<Received> {
    sqlx::query_as!(
        Received,
        r#"
        select conversation_id as "conversation_id!", message_id, job_id, is_first as "is_first!",
            by_person as "by_person!", is_opted_out as "is_opted_out!"
        from app.receive_message($1, $2, $3, $4, $5, $6, $7)
        "#,
        message.contact_id,
        message.phone,
        message.name,
        message.language.map(Language::as_str),
        message.text,
        message.attachment,
        message.external_id
    )
    .fetch_one(tx)
    .await
}

/// Who answers a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Handler {
    /// The assistant.
    Bot,
    /// A person of the company.
    Human,
}

/// Why a person has a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandoverReason {
    /// The contact asked for one, in the words that the tenant configured.
    Keyword,
    /// The model asked for one.
    Model,
    /// A person took it.
    Person,
    /// Nobody answers by itself at this hour.
    OutsideHours,
    /// What came is no text.
    Unsupported,
}

impl HandoverReason {
    /// As the column has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Keyword => "keyword",
            Self::Model => "model",
            Self::Person => "person",
            Self::OutsideHours => "outside_hours",
            Self::Unsupported => "unsupported",
        }
    }
}

/// How a tenant's assistant behaves.
#[derive(Debug, Clone)]
pub struct Assistant {
    /// What it is called.
    pub name: String,
    /// Whose it is.
    pub company: String,
    /// The language of contacts whose own is not known.
    pub language: Language,
    /// Instructions for answers from documents.
    pub prompt_rag: Option<String>,
    /// The sales prompt for Groq's models.
    pub prompt_groq: Option<String>,
    /// The sales prompt for DeepSeek's models.
    pub prompt_deepseek: Option<String>,
    /// Whether an answer ends with its file and page.
    pub shows_sources: bool,
    /// Whether what is no text goes to a person.
    pub hands_over_unsupported: bool,
    /// Whether messages outside of the business hours go to a person.
    pub hands_over_outside_hours: bool,
    /// Words by which a contact asks for a person.
    pub handover_keywords: Vec<String>,
    /// `{"mon": [["08:00", "18:00"]], …}`; a day that is not there is closed.
    pub business_hours: Option<Value>,
    /// How long a person keeps a conversation without a word.
    pub handover: Duration,
    /// Of its prices.
    pub currency: String,
    /// Whether it sells (LIVE) rather than answers from documents (RAG).
    pub is_live: bool,
    /// The sealed ManyChat key.
    pub manychat_key: Option<Vec<u8>>,
    /// The owner, whose quota is used.
    pub owner: Uuid,
}

/// A conversation, as its worker sees it.
#[derive(Debug, Clone)]
pub struct Conversation {
    /// `conversations.id`.
    pub id: Uuid,
    /// ManyChat's id of the contact.
    pub contact_id: String,
    /// What the contact is called.
    pub display_name: Option<String>,
    /// The language that the contact writes in, where it is known.
    pub language: Option<Language>,
    /// Who answers.
    pub handler: Handler,
    /// When the bot takes over again.
    pub handover_until: Option<DateTime<Utc>>,
    /// Whether the contact has asked to be left alone.
    pub is_opted_out: bool,
    /// Whether the contact knows that it speaks with an assistant.
    pub is_greeted: bool,
    /// The last day on which it was told that there is no answer.
    pub quota_notice_on: Option<NaiveDate>,
    /// What was proposed and not confirmed yet.
    pub order_draft: Option<Value>,
}

/// A message that waits for an answer.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// `messages.id`.
    pub id: Uuid,
    /// The text; empty when something else came.
    pub content: String,
    /// What came instead of a text.
    pub attachment: Option<String>,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// The right to answer a conversation, and what is to be answered.
#[derive(Debug)]
pub struct Lease {
    /// Says whose the lease is.
    token: Uuid,
    /// The state of the job when the lease was taken.
    job_version: Option<DateTime<Utc>>,
    /// The conversation.
    pub conversation: Conversation,
    /// How the tenant wants it.
    pub assistant: Assistant,
    /// What waits, the oldest first.
    pub waiting: Vec<Waiting>,
    /// Whether parts wait to be sent.
    pub has_outbox: bool,
    /// When the next part may be sent.
    pub next_send_at: DateTime<Utc>,
    /// The database's clock at that moment.
    pub now: DateTime<Utc>,
    /// The same on the company's wall.
    pub local_now: NaiveDateTime,
}

/// What a worker finds.
#[derive(Debug)]
pub enum Taken {
    /// The conversation is this worker's.
    Leased(Box<Lease>),
    /// Another worker has it, until then at the latest.
    Busy(DateTime<Utc>),
    /// It is gone, or its tenant is suspended or deleted: nobody is answered.
    Gone,
}

/// Takes the conversation's lease for `lease`.
///
/// # Errors
/// The database's.
pub async fn take(tx: &mut TenantTx, conversation: Uuid, lease: Duration) -> sqlx::Result<Taken> {
    let token = Uuid::new_v4();
    let row = sqlx::query!(
        r#"
        with leased as (
            -- A person who said nothing for so long has left it to the bot again.
            update conversations set lease_token = $3, lease_expires_at = now() + make_interval(secs => $4),
                handler = case when handover_until <= now() then 'bot' else handler end,
                handover_reason = case when handover_until <= now() then null else handover_reason end,
                handover_until = case when handover_until <= now() then null else handover_until end
            where customer_id = $1 and id = $2 and (lease_expires_at is null or lease_expires_at < now())
            returning *
        )
        select leased.contact_id, leased.display_name, leased.language, leased.handler, leased.handover_until,
            leased.opted_out_at is not null as "is_opted_out!", leased.greeted_at is not null as "is_greeted!",
            leased.quota_notice_on, leased.order_draft, leased.next_send_at,
            config.ai_name, config.company_name, config.language as default_language, config.prompt_rag,
            config.prompt_botlive_groq_70b, config.prompt_botlive_deepseek_v3, config.show_sources,
            config.unsupported_messages, config.outside_hours, config.handover_keywords, config.business_hours,
            config.handover_minutes, tenant.currency, tenant.manychat_api_key, tenant.user_id,
            tenant.suspended_at is not null or tenant.deleted_at is not null as "is_closed!",
            exists (
                select from bot_sessions session
                where session.company_id = $1 and session.ended_at is null and session.mode = 'live'
            ) as "is_live!",
            exists (
                select from outbox where outbox.conversation_id = leased.id and outbox.state = 'queued'
            ) as "has_outbox!",
            (
                select job.updated_at from jobs job
                where job.customer_id = $1 and job.kind = 'reply'
                  and job.payload ->> 'conversation_id' = leased.id::text
            ) as job_version,
            now() as "now!", now() at time zone tenant.timezone as "local_now!"
        from leased
        join customers tenant on tenant.id = leased.customer_id
        join company_mapping mapping on mapping.uuid = tenant.id
        join company_rag_configs config on config.company_id = mapping.company_id
        "#,
        tx.tenant(),
        conversation,
        token,
        lease.as_secs_f64()
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else { return held(tx, conversation).await };
    if row.is_closed {
        // With this transaction the lease goes too.
        give_up_lease(tx, conversation, token).await?;
        return Ok(Taken::Gone);
    }
    let waiting = sqlx::query_as!(
        Waiting,
        r#"
        select id, content, attachment, created_at from messages
        where customer_id = $1 and conversation_id = $2
          and direction = 'inbound' and answered_by is null and skipped_reason is null
        order by created_at, id
        limit $3
        "#,
        tx.tenant(),
        conversation,
        MOST_WAITING
    )
    .fetch_all(tx)
    .await?;
    let minutes = u64::try_from(row.handover_minutes).unwrap_or_default();
    Ok(Taken::Leased(Box::new(Lease {
        token,
        job_version: row.job_version,
        conversation: Conversation {
            id: conversation,
            contact_id: row.contact_id,
            display_name: row.display_name,
            language: row.language.as_deref().map(Language::from_code),
            handler: if row.handler == "human" { Handler::Human } else { Handler::Bot },
            handover_until: row.handover_until,
            is_opted_out: row.is_opted_out,
            is_greeted: row.is_greeted,
            quota_notice_on: row.quota_notice_on,
            order_draft: row.order_draft,
        },
        assistant: Assistant {
            name: row.ai_name,
            company: row.company_name,
            language: Language::from_code(&row.default_language),
            prompt_rag: row.prompt_rag,
            prompt_groq: row.prompt_botlive_groq_70b,
            prompt_deepseek: row.prompt_botlive_deepseek_v3,
            shows_sources: row.show_sources,
            hands_over_unsupported: row.unsupported_messages == "hand_over",
            hands_over_outside_hours: row.outside_hours == "hand_over",
            handover_keywords: row.handover_keywords,
            business_hours: row.business_hours,
            handover: Duration::from_secs(minutes * 60),
            currency: row.currency,
            is_live: row.is_live,
            manychat_key: row.manychat_api_key,
            owner: row.user_id,
        },
        waiting,
        has_outbox: row.has_outbox,
        next_send_at: row.next_send_at,
        now: row.now,
        local_now: row.local_now,
    })))
}

async fn held(tx: &mut TenantTx, conversation: Uuid) -> sqlx::Result<Taken> {
    let until = sqlx::query_scalar!(
        r#"
        select coalesce(lease_expires_at, now()) as "until!" from conversations where customer_id = $1 and id = $2
        "#,
        tx.tenant(),
        conversation
    )
    .fetch_optional(tx)
    .await?;
    Ok(until.map_or(Taken::Gone, Taken::Busy))
}

async fn give_up_lease(tx: &mut TenantTx, conversation: Uuid, token: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        update conversations set lease_token = null, lease_expires_at = null
        where customer_id = $1 and id = $2 and lease_token = $3
        "#,
        tx.tenant(),
        conversation,
        token
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Whether what a worker is about to commit or to send still stands, as of a lock on the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The lease is the worker's, and the bot has the conversation.
    Bot,
    /// The lease is the worker's; a person has the conversation.
    Human,
    /// The lease went to another worker.
    Lost,
}

/// Locks the conversation until the transaction ends, and tells how things stand. Comes first in every transaction in
/// which a worker commits something.
///
/// # Errors
/// The database's.
pub async fn hold(tx: &mut TenantTx, lease: &Lease) -> sqlx::Result<Standing> {
    let row = sqlx::query!(
        r#"
        select handler = 'human' and handover_until > now() as "by_person!" from conversations
        where customer_id = $1 and id = $2 and lease_token = $3
        for update
        "#,
        tx.tenant(),
        lease.conversation.id,
        lease.token
    )
    .fetch_optional(tx)
    .await?;
    Ok(match row {
        None => Standing::Lost,
        Some(row) if row.by_person => Standing::Human,
        Some(_) => Standing::Bot,
    })
}

/// What remains to be done when a worker lets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing: the job is done, unless a message came in meanwhile.
    Done,
    /// Something, not before that time.
    At(DateTime<Utc>),
}

/// Gives the lease back, and leaves the job as it is.
///
/// # Errors
/// The database's; the lease then runs out by itself.
pub async fn let_go(tx: &mut TenantTx, lease: &Lease) -> sqlx::Result<()> {
    give_up_lease(tx, lease.conversation.id, lease.token).await
}

/// Gives the lease back, and ends the job or makes it due again.
///
/// # Errors
/// The database's; the lease then runs out by itself.
pub async fn release(tx: &mut TenantTx, lease: &Lease, next: Next) -> sqlx::Result<()> {
    give_up_lease(tx, lease.conversation.id, lease.token).await?;
    let at = match next {
        Next::Done => None,
        Next::At(at) => Some(at),
    };
    sqlx::query!(
        r#"
        update jobs set
            status = case when $4::timestamptz is null then 'done' else 'queued' end,
            -- The queue comes first; maintenance, a minute later, only if it was lost.
            run_after = coalesce($4 + interval '1 minute', run_after),
            attempts = 0, last_error = null, updated_at = clock_timestamp()
        where customer_id = $1 and kind = 'reply' and payload ->> 'conversation_id' = $2::text
          -- A message that came in meanwhile has made the job due again: it stays so.
          and updated_at is not distinct from $3
        "#,
        tx.tenant(),
        lease.conversation.id.to_string(),
        lease.job_version,
        at
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Gives the conversation to a person.
///
/// # Errors
/// The database's.
pub async fn hand_over(tx: &mut TenantTx, conversation: Uuid, reason: HandoverReason) -> sqlx::Result<bool> {
    let changed = sqlx::query!(
        r#"
        update conversations set handler = 'human', handover_reason = $3,
            handover_until = now() + make_interval(mins => (
                select config.handover_minutes from company_rag_configs config
                where config.company_id = (select app.current_company())
            ))
        where customer_id = $1 and id = $2
        "#,
        tx.tenant(),
        conversation,
        reason.as_str()
    )
    .execute(tx)
    .await?;
    Ok(changed.rows_affected() > 0)
}

/// Gives the conversation to a person of the company, and for as long as the tenant configured from now on; true when
/// nobody of the company had taken it yet. Of several people at once, one takes it.
///
/// # Errors
/// 404, or the database's.
pub async fn take_over(tx: &mut TenantTx, conversation: Uuid) -> Result<bool, ApiError> {
    let is_taken = sqlx::query_scalar!(
        r#"
        select coalesce(handler = 'human' and handover_until > now() and handover_reason = 'person', false) as "is_taken!"
        from conversations where customer_id = $1 and id = $2 and channel = 'whatsapp' for update
        "#,
        tx.tenant(),
        conversation
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or_else(|| ApiError::not_found("conversation"))?;
    hand_over(tx, conversation, HandoverReason::Person).await?;
    Ok(!is_taken)
}

/// Gives the conversation back to the bot, and makes its job due; false when the bot has it already.
///
/// # Errors
/// 404, or the database's.
pub async fn leave(tx: &mut TenantTx, conversation: Uuid) -> Result<bool, ApiError> {
    let is_left = sqlx::query_scalar!(
        r#"
        select handler = 'bot' as "is_left!" from conversations
        where customer_id = $1 and id = $2 and channel = 'whatsapp' for update
        "#,
        tx.tenant(),
        conversation
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or_else(|| ApiError::not_found("conversation"))?;
    if is_left {
        return Ok(false);
    }
    give_back(tx, conversation).await?;
    Ok(true)
}

/// Gives the conversation back to the bot, and makes its job due; false when there is no such conversation.
///
/// # Errors
/// The database's.
pub async fn give_back(tx: &mut TenantTx, conversation: Uuid) -> sqlx::Result<bool> {
    let changed = sqlx::query!(
        r#"
        update conversations set handler = 'bot', handover_reason = null, handover_until = null
        where customer_id = $1 and id = $2
        "#,
        tx.tenant(),
        conversation
    )
    .execute(&mut *tx)
    .await?;
    if changed.rows_affected() > 0 {
        make_due(tx, conversation).await?;
        return Ok(true);
    }
    Ok(false)
}

/// Makes the conversation's job due, where something waits to be answered or to be sent. The caller then tells the queue.
///
/// # Errors
/// The database's.
pub async fn make_due(tx: &mut TenantTx, conversation: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        insert into jobs as job (customer_id, kind, payload, run_after)
        values ($1, 'reply', jsonb_build_object('conversation_id', $2::uuid), now() + interval '1 minute')
        on conflict ((payload ->> 'conversation_id')) where kind = 'reply' do update
            set status = 'queued', attempts = 0, run_after = excluded.run_after, last_error = null,
                updated_at = clock_timestamp()
        "#,
        tx.tenant(),
        conversation
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Gives up what waits in a conversation whose worker failed again and again; the tenant sees it.
///
/// # Errors
/// The database's.
pub async fn give_up(tx: &mut SystemTx, tenant: Uuid, conversation: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        with skipped as (
            update messages set skipped_reason = 'failed'
            where customer_id = $1 and conversation_id = $2
              and direction = 'inbound' and answered_by is null and skipped_reason is null
        )
        insert into activities (company_id, conversation_id, type, title, status)
        values ($1, $2, 'bot_failed', 'The bot could not answer a contact', 'error')
        "#,
        tenant,
        conversation
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Notes what the bot's work has changed on a conversation.
#[derive(Debug, Clone, Default)]
pub struct Notes {
    /// The contact was told that it speaks with an assistant.
    pub greeted: bool,
    /// The contact has asked to be left alone, or to be answered again.
    pub opted_out: Option<bool>,
    /// The contact was told today, in the tenant's day, that there is no answer.
    pub quota_notice_on: Option<NaiveDate>,
    /// What is proposed to the contact: `Some(None)` when nothing is any more.
    pub order_draft: Option<Option<Value>>,
}

/// Writes notes.
///
/// # Errors
/// The database's.
pub async fn note(tx: &mut TenantTx, conversation: Uuid, notes: &Notes) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        update conversations set
            greeted_at = case when $3 then coalesce(greeted_at, now()) else greeted_at end,
            opted_out_at = case $4::boolean when true then coalesce(opted_out_at, now()) when false then null
                else opted_out_at end,
            quota_notice_on = coalesce($5, quota_notice_on),
            order_draft = case when $6 then $7 else order_draft end
        where customer_id = $1 and id = $2
        "#,
        tx.tenant(),
        conversation,
        notes.greeted,
        notes.opted_out,
        notes.quota_notice_on,
        notes.order_draft.is_some(),
        notes.order_draft.clone().flatten()
    )
    .execute(tx)
    .await
    .map(drop)
}

/// The language in which a contact is spoken to: its own, or else the tenant's.
///
/// # Errors
/// The database's.
pub async fn language(tx: &mut TenantTx, conversation: Uuid) -> sqlx::Result<Language> {
    let language = sqlx::query_scalar!(
        r#"
        select coalesce(conversation.language, config.language) as "language!"
        from conversations conversation
        join company_rag_configs config on config.company_id = (select app.current_company())
        where conversation.customer_id = $1 and conversation.id = $2
        "#,
        tx.tenant(),
        conversation
    )
    .fetch_optional(tx)
    .await?;
    Ok(Language::from_code(language.as_deref().unwrap_or_default()))
}

/// What an agent's route needs to know of a conversation.
#[derive(Debug)]
pub struct Reach {
    /// Whether WhatsApp still takes a free text.
    pub is_open: bool,
    /// Whether the contact has asked to be left alone.
    pub is_opted_out: bool,
}

/// Locks a conversation and tells whether its contact can be reached.
///
/// # Errors
/// 404, or the database's.
pub async fn reach(tx: &mut TenantTx, conversation: Uuid) -> Result<Reach, ApiError> {
    sqlx::query_as!(
        Reach,
        r#"
        select coalesce(last_inbound_at > now() - interval '24 hours', false) as "is_open!",
            opted_out_at is not null as "is_opted_out!"
        from conversations where customer_id = $1 and id = $2 and channel = 'whatsapp' for update
        "#,
        tx.tenant(),
        conversation
    )
    .fetch_optional(tx)
    .await?
    .ok_or_else(|| ApiError::not_found("conversation"))
}

impl Reach {
    /// Judges whether a person's text may go out.
    ///
    /// # Errors
    /// 409.
    pub fn judge(&self) -> Result<(), ApiError> {
        let conflict = |code, message: &str| Err(ApiError::new(StatusCode::CONFLICT, code, message));
        if self.is_opted_out {
            return conflict("contact_opted_out", "the contact has asked to receive no more messages");
        }
        if !self.is_open {
            let message = "WhatsApp takes free texts for 24 hours after the contact's last message only";
            return conflict("whatsapp_window_closed", message);
        }
        Ok(())
    }
}
