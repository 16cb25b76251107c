//! The lease on a conversation: a token with an expiry in the conversation's row. One worker at a time holds it and
//! answers. Session locks are not an option behind a transaction pooler, and no transaction stays open during a call
//! to another service. A worker commits only while it holds the lease ([`lock_and_check`]).

use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{REPLY_JOB_DELAY, Responder};
use crate::{
    db::TenantTx,
    messages::{LastOutbound, PendingMessage},
    tenants::Identity,
    text::Language,
};

mod acquire;

pub use acquire::acquire;

/// Duration of a lease. Longer than the timeout of the function that holds it, so the holder of an expired lease is
/// dead.
pub const LEASE_TIMEOUT: Duration = Duration::from_secs(75);

/// Time by which a message may have been written before the last message to the contact and still reply to it.
/// `last_interaction` has whole seconds, so that it may be a second early, and ManyChat's clock may differ from the
/// database's. Nobody reads a proposal and answers it within that time.
const INTERACTION_TOLERANCE: TimeDelta = TimeDelta::seconds(3);

/// The configuration of a tenant's assistant.
#[derive(Debug, Clone)]
pub struct Assistant {
    /// The names and the language by which the company speaks.
    pub identity: Identity,
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
    /// Unanswered messages in the order in which they were written; at most as many as one answer covers.
    pub pending: Vec<PendingMessage>,
    /// The last message to the contact, if any.
    pub last_outbound: Option<LastOutbound>,
    /// The database's time when the lease was acquired.
    pub now: DateTime<Utc>,
    /// `now` in the tenant's time zone.
    pub local_now: NaiveDateTime,
}

impl Lease {
    /// Returns the pending message that came in last.
    #[must_use]
    pub fn last_received(&self) -> Option<&PendingMessage> {
        self.pending.iter().max_by_key(|message| (message.created_at, message.id))
    }

    /// Returns true when every pending message was written after the last message to the contact, so that it may reply to
    /// that message.
    #[must_use]
    pub fn replies_to_last_outbound(&self) -> bool {
        let Some(last) = &self.last_outbound else { return false };
        self.pending.iter().all(|message| was_written_after(message, last.created_at))
    }
}

/// Returns true when a message came in after this time and, where ManyChat said when it was written, was written after
/// it, within [`INTERACTION_TOLERANCE`]. A delivery may come late.
fn was_written_after(message: &PendingMessage, time: DateTime<Utc>) -> bool {
    let is_written_after = message.interacted_at.is_none_or(|written| written > time - INTERACTION_TOLERANCE);
    message.created_at > time && is_written_after
}

/// The result of [`acquire()`].
#[derive(Debug)]
pub enum LeaseOutcome {
    /// This worker holds the lease.
    Leased(Box<Lease>),
    /// Another worker holds the lease. When it lets the lease go, it sends a queue message.
    Busy {
        /// Time at which the lease expires: the holder is dead then.
        until: DateTime<Utc>,
        /// True when no other worker was turned away before.
        is_first: bool,
    },
    /// The conversation is deleted, or its tenant is suspended or deleted; nothing is answered.
    Gone,
}

/// Removes the lease with this token from the conversation. Returns true when another worker waits for it.
async fn clear_lease(tx: &mut TenantTx, conversation: Uuid, token: Uuid) -> sqlx::Result<bool> {
    let is_awaited = sqlx::query_scalar!(
        r#"
        with held as (
            select id, lease_is_awaited from conversations
            where customer_id = $1 and id = $2 and lease_token = $3 for no key update
        ), released as (
            update conversations set lease_token = null, lease_expires_at = null, lease_is_awaited = false
            from held where conversations.customer_id = $1 and conversations.id = held.id
        )
        select lease_is_awaited as "is_awaited!" from held
        "#,
        tx.tenant(),
        conversation,
        token
    )
    .fetch_optional(tx)
    .await?;
    Ok(is_awaited.unwrap_or_default())
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
    /// The worker does not hold the lease any more, or the company or the contact was deleted.
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
          -- From its deletion on, nothing is answered and nothing is sent for a company.
          and exists (select from customers where customers.id = $1 and customers.deleted_at is null)
        for no key update of conversations
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

/// Releases the lease and leaves the reply job unchanged. Returns true when another worker was turned away: the caller
/// sends a queue message for the conversation.
///
/// # Errors
/// A database error; the lease then ends when it expires.
pub async fn release(tx: &mut TenantTx, lease: &Lease) -> sqlx::Result<bool> {
    clear_lease(tx, lease.conversation.id, lease.token).await
}

/// Releases the lease, and marks the reply job as done or queues its next run. The job stays unchanged when a message
/// came in since the lease was acquired: that message queued the job again. Returns what [`release`] returns.
///
/// # Errors
/// A database error; the lease then ends when it expires.
pub async fn release_and_reschedule(tx: &mut TenantTx, lease: &Lease, next: JobSchedule) -> sqlx::Result<bool> {
    let is_awaited = clear_lease(tx, lease.conversation.id, lease.token).await?;
    let at = match next {
        JobSchedule::Done => None,
        JobSchedule::At(at) => Some(at),
    };
    sqlx::query!(
        r#"
        update jobs set
            status = case when $4::timestamptz is null then 'done' else 'queued' end,
            run_after = coalesce($4 + make_interval(secs => $5), run_after),
            attempts = 0, last_error = null, updated_at = clock_timestamp()
        where customer_id = $1 and kind = 'reply' and payload ->> 'conversation_id' = $2::text
          -- A message that came in meanwhile has made the job due again: it stays so.
          and updated_at is not distinct from $3
        "#,
        tx.tenant(),
        lease.conversation.id.to_string(),
        lease.job_version,
        at,
        REPLY_JOB_DELAY.as_secs_f64()
    )
    .execute(tx)
    .await?;
    Ok(is_awaited)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_replies_to_what_was_said_before_it_was_written() {
        let proposal = DateTime::parse_from_rfc3339("2026-11-29T09:00:10.900Z").unwrap().to_utc();
        let message = |received_s: i64, written: Option<&str>| PendingMessage {
            id: Uuid::nil(),
            content: "oui".to_owned(),
            attachment: None,
            created_at: proposal + TimeDelta::seconds(received_s),
            interacted_at: written.map(|time| DateTime::parse_from_rfc3339(time).unwrap().to_utc()),
        };
        for (received_s, written, expected) in [
            (1, None, true),
            (-1, None, false),
            (1, Some("2026-11-29T09:00:11Z"), true),
            // The same second, cut, and a clock that is two seconds behind.
            (1, Some("2026-11-29T09:00:10Z"), true),
            (1, Some("2026-11-29T09:00:08Z"), true),
            (1, Some("2026-11-29T09:00:07Z"), false),
            (600, Some("2026-11-29T08:50:00Z"), false),
            // A clock that is ahead proves nothing about a message from before the proposal.
            (-1, Some("2026-11-29T09:00:30Z"), false),
        ] {
            assert_eq!(
                was_written_after(&message(received_s, written), proposal),
                expected,
                "{received_s} {written:?}"
            );
        }
    }
}
