//! Table `conversations`: the conversations of a tenant with its contacts. On WhatsApp, messages come in
//! ([`receive`]), one worker at a time answers under a lease ([`acquire`], [`release`]), and a person of the company
//! may take over ([`take_over`]). Conversations over the API hold questions and answers only ([`api`]).
//!
//! SQL function: `app.receive_message`, which also writes to `messages` and `jobs`.

pub mod api;
pub mod courtesies;
mod handover;
pub mod keywords;
mod lease;
mod limits;
mod list;
mod wake;

use std::time::Duration;

use axum::http::StatusCode;
use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    activities::{self, Activity, ActivityStatus},
    db::{SystemTx, TenantTx},
    error::ApiError,
    manychat::inbound::{InboundMessage, MESSAGE_ID_CHARS},
    messages::{self, SkipReason},
    text::Language,
};

pub use handover::{HandoverReason, Responder, hand_back_to_bot, hand_over, release_to_bot, take_over};
pub use lease::{
    Assistant, Conversation, JobSchedule, LEASE_TIMEOUT, Lease, LeaseCheck, LeaseOutcome, acquire, lock_and_check,
    release, release_and_reschedule,
};
pub use limits::{ContactLimits, ReachedLimit, count_answer};
pub use list::{
    Channel, ConversationFilter, ConversationItem, ConversationListing, HandlingMember, WaitingCount, count_waiting,
    get, list,
};
pub use wake::{make_reply_job_due, wake_reply_worker};

/// Time after which maintenance runs a reply job. The reply queue comes first; maintenance, only if the queue's message
/// was lost. The SQL function `app.receive_message` uses the same delay.
const REPLY_JOB_DELAY: Duration = Duration::from_secs(60);
/// Time by which ManyChat's clock may be ahead of the database's.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(300);
/// Type, title and severity of the activity for messages that the bot failed to answer.
pub const FAILURE_ACTIVITY: (&str, &str, ActivityStatus) =
    ("bot_failed", "The bot could not answer a contact", ActivityStatus::Error);

/// The result of storing an incoming message.
#[derive(Debug)]
pub struct ReceiveOutcome {
    /// The message's conversation.
    pub conversation_id: Uuid,
    /// The new row of `messages`; `None` when the message was stored before.
    pub message_id: Option<Uuid>,
    /// The job that answers the message; `None` for a repeated delivery whose job is done.
    pub job_id: Option<Uuid>,
    /// True when no other message of the contact was waiting for an answer.
    pub is_first: bool,
    /// True when a person answers the conversation.
    pub by_person: bool,
    /// True when the contact had opted out before this message.
    pub is_opted_out: bool,
    /// The webhook endpoints that got a delivery, for [`WebhookMessage::parse_all`](crate::jobs::WebhookMessage::parse_all).
    pub webhook_endpoints: Option<String>,
}

/// Locks the conversation until the transaction ends. Returns false when there is no such conversation.
///
/// Every transaction that changes a conversation locks it first, before rows of messages, the outbox, jobs, orders,
/// reservations, the quota or usage figures, so that no two transactions wait for each other. An insert of a row that
/// refers to the conversation is such a lock, too: its foreign key takes a weak one, and a stronger one after it would
/// wait for whoever waits for the first. The mode is `no key update`, which rows that refer to the conversation do not
/// wait for.
///
/// # Errors
/// A database error.
pub async fn lock(tx: &mut TenantTx, conversation: Uuid) -> sqlx::Result<bool> {
    let locked = sqlx::query!(
        "select from conversations where customer_id = $1 and id = $2 for no key update",
        tx.tenant(),
        conversation
    )
    .execute(tx)
    .await?;
    Ok(locked.rows_affected() > 0)
}

/// Stores an incoming message together with its conversation and its reply job. A repeated delivery changes nothing.
/// [`crate::opt_outs::receive`] does the same, and obeys a message that asks to stop.
///
/// # Errors
/// A database error.
pub async fn receive(tx: &mut TenantTx, message: &InboundMessage) -> sqlx::Result<ReceiveOutcome> {
    let received = match store(tx, message, message.external_id.as_deref()).await? {
        // The bot sends a constant as the message's id: two equal texts are two messages, unless they come within ten
        // seconds.
        repeated if repeated.message_id.is_none() && has_constant_id(tx, message).await? => {
            store(tx, message, None).await?
        }
        received => received,
    };
    let describes = message.interacted_at.is_some() || message.locale.or(message.likely_language).is_some();
    if received.message_id.is_some() && describes {
        describe_received(tx, &received, message).await?;
    }
    Ok(received)
}

/// Adds to a stored message what `app.receive_message` does not take: when the contact wrote it, and the language that its
/// words are likely to be in, or else that of the contact's phone. Both count only until a clear sentence shows one.
async fn describe_received(tx: &mut TenantTx, received: &ReceiveOutcome, message: &InboundMessage) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        with conversation as (
            update conversations set language = coalesce(language, $4) where customer_id = $1 and id = $3
        )
        update messages set interacted_at = $5 where customer_id = $1 and id = $2
        "#,
        tx.tenant(),
        received.message_id,
        received.conversation_id,
        message.likely_language.or(message.locale).map(Language::as_str),
        message.interacted_at
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Stores an incoming message under `external_id`, or returns that it was stored before.
async fn store(tx: &mut TenantTx, message: &InboundMessage, external_id: Option<&str>) -> sqlx::Result<ReceiveOutcome> {
    sqlx::query_as!(
        ReceiveOutcome,
        r#"
        select conversation_id as "conversation_id!", message_id, job_id, is_first as "is_first!",
            by_person as "by_person!", is_opted_out as "is_opted_out!",
            -- The function runs before its rows are read.
            current_setting('app.webhook_endpoints', true) as webhook_endpoints
        from app.receive_message($1, $2, $3, $4, $5, $6, $7)
        "#,
        message.contact_id,
        message.phone,
        message.name,
        message.language.filter(|_| courtesies::recognize(&message.text, &[]).is_none()).map(Language::as_str),
        message.text,
        message.attachment,
        external_id
    )
    .fetch_one(tx)
    .await
}

/// Returns true when the id of the bot's message does not identify it: another text or another contact had that id, too.
async fn has_constant_id(tx: &mut TenantTx, message: &InboundMessage) -> sqlx::Result<bool> {
    let external_id = message.external_id.as_deref().filter(|_| message.relies_on_message_id);
    let Some((id, _)) = external_id.and_then(|external| external.split_at_checked(MESSAGE_ID_CHARS)) else {
        return Ok(false);
    };
    // The fingerprints have hexadecimal digits only, so the two bounds enclose all that begin with this one, under every
    // collation.
    sqlx::query_scalar!(
        r#"
        select exists (
            select from messages
            where customer_id = $1 and channel = 'whatsapp' and external_id <> $2
              and external_id between $3 || repeat('0', 64) and $3 || repeat('f', 64)
        ) as "is_constant!"
        "#,
        tx.tenant(),
        external_id,
        id
    )
    .fetch_one(tx)
    .await
}

/// Queues the conversation's reply job, because a message waits to be answered or sent. `run_after` is
/// `REPLY_JOB_DELAY` ahead: the caller sends a message to the reply queue after the commit.
///
/// # Errors
/// A database error.
pub async fn queue_reply_job(tx: &mut TenantTx, conversation: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        insert into jobs as job (customer_id, kind, payload, run_after)
        values ($1, 'reply', jsonb_build_object('conversation_id', $2::uuid), now() + make_interval(secs => $3))
        on conflict ((payload ->> 'conversation_id')) where kind = 'reply' do update
            set status = 'queued', attempts = 0, run_after = excluded.run_after, last_error = null,
                updated_at = clock_timestamp()
        "#,
        tx.tenant(),
        conversation,
        REPLY_JOB_DELAY.as_secs_f64()
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Queues the reply jobs of conversations whose messages wait since less than 24 hours, at most 500: the tenant has
/// connected ManyChat. Maintenance sends them within a minute. Older messages are answered when their contact writes
/// again, because WhatsApp takes no answer before.
///
/// # Errors
/// A database error.
pub async fn queue_waiting(tx: &mut TenantTx) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        insert into jobs as job (customer_id, kind, payload, run_after)
        select $1, 'reply', jsonb_build_object('conversation_id', waiting.conversation_id), now()
        from (
            select distinct conversation_id from messages
            where customer_id = $1 and channel = 'whatsapp' and direction = 'inbound' and answered_by is null
              and skipped_reason is null and created_at > now() - interval '24 hours'
            limit 500
        ) waiting
        on conflict ((payload ->> 'conversation_id')) where kind = 'reply' do update
            set status = 'queued', attempts = 0, run_after = excluded.run_after, last_error = null,
                updated_at = clock_timestamp()
        "#,
        tx.tenant()
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Lets the messages wait again that were not answered because no answers were left, and queues their reply jobs: the
/// tenant has a plan now. At most the newest 500, of the last 24 hours: WhatsApp takes no answer to older ones. Locks no
/// conversation, since the caller holds rows of the account; the messages that it changes are touched by nobody else.
///
/// # Errors
/// A database error.
pub async fn queue_over_quota(tx: &mut SystemTx, tenant: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        with recent as (
            select waiting.id, waiting.conversation_id from messages waiting
            where waiting.customer_id = $1 and waiting.channel = 'whatsapp' and waiting.direction = 'inbound'
              and waiting.skipped_reason = 'quota' and waiting.created_at > now() - interval '24 hours'
              and not exists (
                  select from messages later
                  where later.conversation_id = waiting.conversation_id and later.created_at > waiting.created_at
                    and (later.author = 'agent' or later.answered is not null)
              )
            order by waiting.created_at desc
            limit 500
        ), waiting as (
            update messages set skipped_reason = null from recent where messages.id = recent.id
        )
        insert into jobs as job (customer_id, kind, payload, run_after)
        select distinct $1::uuid, 'reply', jsonb_build_object('conversation_id', conversation_id), now() from recent
        on conflict ((payload ->> 'conversation_id')) where kind = 'reply' do update
            set status = 'queued', attempts = 0, run_after = excluded.run_after, last_error = null,
                updated_at = clock_timestamp()
        "#,
        tenant
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Marks the unanswered messages of a conversation as skipped (`failed`), after too many failed attempts of its
/// worker, and records an activity that the tenant sees.
///
/// # Errors
/// A database error.
pub async fn mark_failed(tx: &mut SystemTx, tenant: Uuid, conversation: Uuid) -> sqlx::Result<()> {
    messages::skip_pending(tx, tenant, conversation, SkipReason::Failed).await?;
    let (kind, title, status) = FAILURE_ACTIVITY;
    activities::record_for(tx, tenant, &Activity::for_conversation(conversation, kind, title, status)).await
}

/// Changes that the bot's work makes to a conversation. The default changes nothing.
#[derive(Debug, Clone, Default)]
pub struct ConversationPatch {
    /// True marks the contact as greeted: it was told that an assistant answers.
    pub greeted: bool,
    /// The day, in the tenant's time zone, on which the contact was told that no answers are left.
    pub quota_notice_on: Option<NaiveDate>,
    /// The day, in the tenant's time zone, on which the contact was told that it writes too much.
    pub limit_notice_on: Option<NaiveDate>,
    /// `Some(Some(draft))` stores the order draft proposed to the contact; `Some(None)` deletes the stored one.
    pub order_draft: Option<Option<Value>>,
}

/// Applies a patch to a conversation.
///
/// # Errors
/// A database error.
pub async fn update(tx: &mut TenantTx, conversation: Uuid, patch: &ConversationPatch) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        update conversations set
            greeted_at = case when $3 then coalesce(greeted_at, now()) else greeted_at end,
            quota_notice_on = coalesce($4, quota_notice_on),
            order_draft = case when $5 then $6 else order_draft end,
            limit_notice_on = coalesce($7, limit_notice_on)
        where customer_id = $1 and id = $2
        "#,
        tx.tenant(),
        conversation,
        patch.greeted,
        patch.quota_notice_on,
        patch.order_draft.is_some(),
        patch.order_draft.clone().flatten(),
        patch.limit_notice_on
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Returns the language for messages to a contact: the conversation's language, or else the tenant's default.
///
/// # Errors
/// A database error.
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

/// Opts the contact out, or in again, from now on. Returns false, and changes nothing, when the contact wrote the
/// command before the last one that counted: a later message is later by when it was written, where both say so. A time
/// in the future is none. The order draft is dropped, except when the contact had not opted out and resumes nothing.
///
/// # Errors
/// A database error.
pub async fn set_opted_out(
    tx: &mut TenantTx,
    conversation: Uuid,
    is_opted_out: bool,
    written_at: Option<DateTime<Utc>>,
) -> sqlx::Result<bool> {
    let changed = sqlx::query!(
        r#"
        with command as (
            select case when $4::timestamptz <= clock_timestamp() + make_interval(secs => $5) then $4 end as written_at
        )
        update conversations set
            opted_out_at = case when $3 then coalesce(opted_out_at, clock_timestamp()) end,
            opt_changed_at = command.written_at,
            order_draft = case when not $3 and opted_out_at is null then order_draft end
        from command
        where customer_id = $1 and id = $2 and coalesce(command.written_at >= opt_changed_at, true)
        "#,
        tx.tenant(),
        conversation,
        is_opted_out,
        written_at,
        MAX_CLOCK_SKEW.as_secs_f64()
    )
    .execute(tx)
    .await?;
    Ok(changed.rows_affected() > 0)
}

/// The conditions under which a person's message may be sent to a contact.
#[derive(Debug)]
pub struct Deliverability {
    /// True when WhatsApp accepts a free text: the contact wrote within the last 24 hours.
    pub is_open: bool,
    /// True when the contact has opted out.
    pub is_opted_out: bool,
    /// True when the contact has written since it opted out, and a person may answer that.
    pub has_written_since: bool,
}

/// Locks a WhatsApp conversation until the transaction ends and returns whether its contact accepts messages.
///
/// # Errors
/// 404 when there is no such conversation; a database error.
pub async fn lock_deliverability(tx: &mut TenantTx, conversation: Uuid) -> Result<Deliverability, ApiError> {
    sqlx::query_as!(
        Deliverability,
        r#"
        select coalesce(last_inbound_at > now() - interval '24 hours', false) as "is_open!",
            opted_out_at is not null as "is_opted_out!",
            coalesce(last_inbound_at > opted_out_at, false) as "has_written_since!"
        from conversations where customer_id = $1 and id = $2 and channel = 'whatsapp' for no key update
        "#,
        tx.tenant(),
        conversation
    )
    .fetch_optional(tx)
    .await?
    .ok_or_else(|| ApiError::not_found("conversation"))
}

impl Deliverability {
    /// Checks that a person's text may be sent. An opt-out ends what the company begins: a contact who has written since
    /// may be answered by a person, within WhatsApp's 24 hours.
    ///
    /// # Errors
    /// 409 `contact_opted_out` or `whatsapp_window_closed`.
    pub fn ensure_open(&self) -> Result<(), ApiError> {
        self.ensure_wanted()?;
        if self.is_open {
            return Ok(());
        }
        let message = "WhatsApp takes free texts for 24 hours after the contact's last message only";
        Err(ApiError::new(StatusCode::CONFLICT, "whatsapp_window_closed", message))
    }

    /// Checks that the contact has not opted out, or has written since.
    ///
    /// # Errors
    /// 409 `contact_opted_out`.
    pub fn ensure_wanted(&self) -> Result<(), ApiError> {
        if !self.is_opted_out || self.has_written_since {
            return Ok(());
        }
        let message = "the contact has asked to receive no more messages, and has written nothing since";
        Err(ApiError::new(StatusCode::CONFLICT, "contact_opted_out", message))
    }
}
