//! The lease on a conversation: a token with an expiry in the conversation's row. One worker at a time holds it and
//! answers. Session locks are not an option behind a transaction pooler, and no transaction stays open during a call
//! to another service. A worker commits only while it holds the lease ([`lock_and_check`]).

use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::Responder;
use crate::{db::TenantTx, text::Language};

/// Messages that one answer covers; further ones wait for the next answer.
const MAX_PENDING_MESSAGES: i64 = 50;

/// The configuration of a tenant's assistant.
#[derive(Debug, Clone)]
pub struct Assistant {
    /// The assistant's name.
    pub name: String,
    /// The company's name.
    pub company: String,
    /// The language for contacts whose own language is not known.
    pub language: Language,
    /// Instructions for answers from documents.
    pub prompt_rag: Option<String>,
    /// The sales prompt for Groq's models.
    pub prompt_groq: Option<String>,
    /// The sales prompt for DeepSeek's models.
    pub prompt_deepseek: Option<String>,
    /// True when an answer ends with its sources: file and page.
    pub shows_sources: bool,
    /// True when messages without text (images, audio …) are handed over to a person.
    pub hands_over_unsupported: bool,
    /// True when messages outside of the business hours are handed over to a person.
    pub hands_over_outside_hours: bool,
    /// The tenant's keywords by which a contact asks for a person.
    pub handover_keywords: Vec<String>,
    /// `{"mon": [["08:00", "18:00"]], …}`; the company is closed on a day that is missing.
    pub business_hours: Option<Value>,
    /// Time without a message of a person after which the bot answers again.
    pub handover_timeout: Duration,
    /// ISO 4217 code of the tenant's prices.
    pub currency: String,
    /// True in mode LIVE (sells products); false in mode RAG (answers from documents).
    pub is_live: bool,
    /// The ManyChat API key, sealed.
    pub manychat_key: Option<Vec<u8>>,
    /// The user who owns the tenant; answers count against this user's quota.
    pub owner: Uuid,
}

/// The state of a conversation when its lease was acquired.
#[derive(Debug, Clone)]
pub struct Conversation {
    /// `conversations.id`.
    pub id: Uuid,
    /// ManyChat's id of the contact.
    pub contact_id: String,
    /// The contact's name.
    pub display_name: Option<String>,
    /// The contact's language, if known.
    pub language: Option<Language>,
    /// The present responder: the bot or a person.
    pub handler: Responder,
    /// Time at which the bot answers again.
    pub handover_until: Option<DateTime<Utc>>,
    /// Time at which the bot last took over from a person.
    pub released_at: Option<DateTime<Utc>>,
    /// True when the contact has opted out.
    pub is_opted_out: bool,
    /// True when the contact was told that an assistant answers.
    pub is_greeted: bool,
    /// The last day on which the contact was told that no answers are left.
    pub quota_notice_on: Option<NaiveDate>,
    /// The order draft proposed to the contact and not confirmed yet, as JSON.
    pub order_draft: Option<Value>,
}

/// A contact's message that waits for an answer.
#[derive(Debug, Clone)]
pub struct PendingMessage {
    /// `messages.id`.
    pub id: Uuid,
    /// The text; empty for a message without text.
    pub content: String,
    /// The kind of a message without text: `audio`, `image` …
    pub attachment: Option<String>,
    /// Time of receipt.
    pub created_at: DateTime<Utc>,
}

/// A held lease, with everything that the worker needs to answer.
#[derive(Debug)]
pub struct Lease {
    /// Identifies this lease among those on the conversation.
    token: Uuid,
    /// `jobs.updated_at` of the reply job when the lease was acquired.
    job_version: Option<DateTime<Utc>>,
    /// The conversation.
    pub conversation: Conversation,
    /// The assistant's configuration.
    pub assistant: Assistant,
    /// Unanswered messages, oldest first; at most `MAX_PENDING_MESSAGES`.
    pub pending: Vec<PendingMessage>,
    /// True when the outbox holds parts to send.
    pub has_outbox: bool,
    /// Earliest time at which the next part may be sent.
    pub next_send_at: DateTime<Utc>,
    /// The database's time when the lease was acquired.
    pub now: DateTime<Utc>,
    /// `now` in the tenant's time zone.
    pub local_now: NaiveDateTime,
}

/// The result of [`acquire`].
#[derive(Debug)]
pub enum LeaseOutcome {
    /// This worker holds the lease.
    Leased(Box<Lease>),
    /// Another worker holds the lease, at the latest until this time.
    Busy(DateTime<Utc>),
    /// The conversation is deleted, or its tenant is suspended or deleted; nothing is answered.
    Gone,
}

/// Acquires the conversation's lease for the duration `lease`. A handover to a person whose time is over ends here:
/// the bot is the responder again.
///
/// # Errors
/// A database error.
pub async fn acquire(tx: &mut TenantTx, conversation: Uuid, lease: Duration) -> sqlx::Result<LeaseOutcome> {
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
    let Some(row) = row else { return busy_or_gone(tx, conversation).await };
    if row.is_closed {
        // The caller commits this transaction, so the lease must not stay in the row.
        clear_lease(tx, conversation, token).await?;
        return Ok(LeaseOutcome::Gone);
    }
    let pending = sqlx::query_as!(
        PendingMessage,
        r#"
        select id, content, attachment, created_at from messages
        where customer_id = $1 and conversation_id = $2
          and direction = 'inbound' and answered_by is null and skipped_reason is null
        order by created_at, id
        limit $3
        "#,
        tx.tenant(),
        conversation,
        MAX_PENDING_MESSAGES
    )
    .fetch_all(tx)
    .await?;
    let minutes = u64::try_from(row.handover_minutes).unwrap_or_default();
    Ok(LeaseOutcome::Leased(Box::new(Lease {
        token,
        job_version: row.job_version,
        conversation: Conversation {
            id: conversation,
            contact_id: row.contact_id,
            display_name: row.display_name,
            language: row.language.as_deref().map(Language::from_code),
            handler: if row.handler == "human" { Responder::Human } else { Responder::Bot },
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
            handover_timeout: Duration::from_secs(minutes * 60),
            currency: row.currency,
            is_live: row.is_live,
            manychat_key: row.manychat_api_key,
            owner: row.user_id,
        },
        pending,
        has_outbox: row.has_outbox,
        next_send_at: row.next_send_at,
        now: row.now,
        local_now: row.local_now,
    })))
}

/// Returns the outcome for a lease that was not acquired.
async fn busy_or_gone(tx: &mut TenantTx, conversation: Uuid) -> sqlx::Result<LeaseOutcome> {
    let until = sqlx::query_scalar!(
        r#"
        select coalesce(lease_expires_at, now()) as "until!" from conversations where customer_id = $1 and id = $2
        "#,
        tx.tenant(),
        conversation
    )
    .fetch_optional(tx)
    .await?;
    Ok(until.map_or(LeaseOutcome::Gone, LeaseOutcome::Busy))
}

/// Removes the lease with this token from the conversation.
async fn clear_lease(tx: &mut TenantTx, conversation: Uuid, token: Uuid) -> sqlx::Result<()> {
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

/// The result of [`lock_and_check`]: whether a worker may still commit or send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseCheck {
    /// The worker holds the lease, and the bot is the responder.
    Bot,
    /// The worker holds the lease, but a person is the responder.
    Human,
    /// The worker holds the lease, but the contact has opted out since the lease was acquired.
    OptedOut,
    /// The worker does not hold the lease any more.
    Lost,
}

/// Locks the conversation until the transaction ends, and checks the lease and the responder. This is the first
/// statement of every transaction in which a worker commits something, so that locks are taken in one order.
///
/// # Errors
/// A database error.
pub async fn lock_and_check(tx: &mut TenantTx, lease: &Lease) -> sqlx::Result<LeaseCheck> {
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
        None => LeaseCheck::Lost,
        Some(row) if row.by_person => LeaseCheck::Human,
        Some(row) if row.is_opted_out && !lease.conversation.is_opted_out => LeaseCheck::OptedOut,
        Some(_) => LeaseCheck::Bot,
    })
}

/// The next run of the reply job, set when a worker releases the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobSchedule {
    /// No next run: the job is done, unless a message came in meanwhile.
    Done,
    /// A next run, not before this time.
    At(DateTime<Utc>),
}

/// Releases the lease and leaves the reply job unchanged.
///
/// # Errors
/// A database error; the lease then ends when it expires.
pub async fn release(tx: &mut TenantTx, lease: &Lease) -> sqlx::Result<()> {
    clear_lease(tx, lease.conversation.id, lease.token).await
}

/// Releases the lease, and marks the reply job as done or queues its next run. The job stays unchanged when a message
/// came in since the lease was acquired: that message queued the job again.
///
/// # Errors
/// A database error; the lease then ends when it expires.
pub async fn release_and_reschedule(tx: &mut TenantTx, lease: &Lease, next: JobSchedule) -> sqlx::Result<()> {
    clear_lease(tx, lease.conversation.id, lease.token).await?;
    let at = match next {
        JobSchedule::Done => None,
        JobSchedule::At(at) => Some(at),
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
