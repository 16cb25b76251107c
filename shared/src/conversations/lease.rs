//! The right to answer a conversation: a row with an expiry. Behind a transaction pooler there are no session locks, and no
//! transaction is held across a call to the outside. Whatever a worker commits, it commits only while the lease is its.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::Handler;
use crate::{db::TenantTx, text::Language};

/// Messages answered at once; what is beyond waits for the next answer.
const MOST_WAITING: i64 = 50;

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
    /// When the bot last took over from a person.
    pub released_at: Option<DateTime<Utc>>,
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
                released_at = case when handover_until <= now() then handover_until else released_at end,
                handler = case when handover_until <= now() then 'bot' else handler end,
                handover_reason = case when handover_until <= now() then null else handover_reason end,
                handover_until = case when handover_until <= now() then null else handover_until end
            where customer_id = $1 and id = $2 and (lease_expires_at is null or lease_expires_at < now())
            returning *
        )
        select leased.contact_id, leased.display_name, leased.language, leased.handler, leased.handover_until,
            leased.opted_out_at is not null as "is_opted_out!", leased.greeted_at is not null as "is_greeted!",
            leased.quota_notice_on, leased.order_draft, leased.next_send_at, leased.released_at,
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
            released_at: row.released_at,
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
    /// The lease is the worker's; since it was taken, the contact has asked to be left alone.
    Silenced,
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
        select handler = 'human' and handover_until > now() as "by_person!", opted_out_at is not null as "is_opted_out!"
        from conversations
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
        Some(row) if row.is_opted_out && !lease.conversation.is_opted_out => Standing::Silenced,
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
