//! The acquisition of a lease: under the lock on the conversation, one statement takes the lease and reads the
//! conversation and its assistant.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;

use super::{Assistant, Conversation, LEASE_TIMEOUT, Lease, LeaseOutcome, clear_lease};
use crate::{
    conversations::handover::Responder,
    db::TenantTx,
    messages::{self, LastOutbound, PendingMessage},
    tenants::{CompanyTexts, Identity},
    text::Language,
};

/// Messages that one answer covers; further ones wait for the next answer.
const MAX_PENDING_MESSAGES: i64 = 50;

/// Acquires the conversation's lease for [`LEASE_TIMEOUT`]. A handover to a person whose time is over ends here: the
/// bot is the responder again.
///
/// # Errors
/// A database error.
pub async fn acquire(tx: &mut TenantTx, conversation: Uuid) -> sqlx::Result<LeaseOutcome> {
    let token = Uuid::new_v4();
    match lock_holder(tx, conversation).await? {
        None => return Ok(LeaseOutcome::Gone),
        Some(Holder { until: Some(until), is_awaited }) => {
            await_lease(tx, conversation).await?;
            return Ok(LeaseOutcome::Busy { until, is_first: !is_awaited });
        }
        Some(Holder { until: None, .. }) => {}
    }
    let Some(row) = take_lease(tx, conversation, token).await? else { return Ok(LeaseOutcome::Gone) };
    if row.is_closed {
        // The caller commits this transaction, so the lease must not stay in the row.
        clear_lease(tx, conversation, token).await?;
        return Ok(LeaseOutcome::Gone);
    }
    let pending = messages::pending(tx, conversation, MAX_PENDING_MESSAGES).await?;
    let last_outbound = messages::last_outbound(tx, conversation).await?;
    Ok(LeaseOutcome::Leased(Box::new(row.into_lease(token, pending, last_outbound))))
}

/// A conversation whose lease was acquired, with its assistant.
struct LeaseRow {
    id: Uuid,
    contact_id: String,
    display_name: Option<String>,
    language: Option<String>,
    handler: String,
    handover_until: Option<DateTime<Utc>>,
    is_opted_out: bool,
    is_greeted: bool,
    quota_notice_on: Option<NaiveDate>,
    order_draft: Option<Value>,
    released_at: Option<DateTime<Utc>>,
    ai_name: String,
    company_name: String,
    default_language: String,
    texts: Json<CompanyTexts>,
    prompt_rag: Option<String>,
    prompt_botlive_groq_70b: Option<String>,
    prompt_botlive_deepseek_v3: Option<String>,
    show_sources: bool,
    unsupported_messages: String,
    outside_hours: String,
    handover_keywords: Vec<String>,
    business_hours: Option<Value>,
    handover_minutes: i32,
    currency: String,
    manychat_api_key: Option<Vec<u8>>,
    user_id: Uuid,
    /// True when the tenant is suspended or deleted.
    is_closed: bool,
    is_live: bool,
    job_version: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
    local_now: NaiveDateTime,
}

/// Writes the lease into the conversation's row, which is locked and has no lease.
async fn take_lease(tx: &mut TenantTx, conversation: Uuid, token: Uuid) -> sqlx::Result<Option<LeaseRow>> {
    sqlx::query_as!(
        LeaseRow,
        r#"
        with leased as (
            -- A person who said nothing for so long has left it to the bot again.
            update conversations set lease_token = $3, lease_expires_at = now() + make_interval(secs => $4),
                lease_is_awaited = false,
                released_at = case when handover_until <= now() then handover_until else released_at end,
                handler = case when handover_until <= now() then 'bot' else handler end,
                handover_reason = case when handover_until <= now() then null else handover_reason end,
                handled_by = case when handover_until <= now() then null else handled_by end,
                handover_until = case when handover_until <= now() then null else handover_until end
            where customer_id = $1 and id = $2
            returning *
        )
        select leased.id, leased.contact_id, leased.display_name, leased.language, leased.handler, leased.handover_until,
            leased.opted_out_at is not null as "is_opted_out!", leased.greeted_at is not null as "is_greeted!",
            leased.quota_notice_on, leased.order_draft, leased.released_at,
            config.ai_name, tenant.name as company_name, config.language as default_language,
            config.customer_texts as "texts: Json<CompanyTexts>", config.prompt_rag,
            config.prompt_botlive_groq_70b, config.prompt_botlive_deepseek_v3, config.show_sources,
            config.unsupported_messages, config.outside_hours, config.handover_keywords, config.business_hours,
            config.handover_minutes, tenant.currency, tenant.manychat_api_key, tenant.user_id,
            tenant.suspended_at is not null or tenant.deleted_at is not null as "is_closed!",
            exists (
                select from bot_sessions session
                where session.company_id = $1 and session.ended_at is null and session.mode = 'live'
            ) as "is_live!",
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
        LEASE_TIMEOUT.as_secs_f64()
    )
    .fetch_optional(tx)
    .await
}

impl LeaseRow {
    fn into_lease(self, token: Uuid, pending: Vec<PendingMessage>, last_outbound: Option<LastOutbound>) -> Lease {
        let minutes = u64::try_from(self.handover_minutes).unwrap_or_default();
        Lease {
            token,
            job_version: self.job_version,
            conversation: Conversation {
                id: self.id,
                contact_id: self.contact_id,
                display_name: self.display_name,
                language: self.language.as_deref().map(Language::from_code),
                handler: if self.handler == "human" { Responder::Human } else { Responder::Bot },
                handover_until: self.handover_until,
                released_at: self.released_at,
                is_opted_out: self.is_opted_out,
                is_greeted: self.is_greeted,
                quota_notice_on: self.quota_notice_on,
                order_draft: self.order_draft,
            },
            assistant: Assistant {
                identity: Identity {
                    assistant: self.ai_name,
                    company: self.company_name,
                    language: Language::from_code(&self.default_language),
                    texts: self.texts.0,
                },
                prompt_rag: self.prompt_rag,
                prompt_groq: self.prompt_botlive_groq_70b,
                prompt_deepseek: self.prompt_botlive_deepseek_v3,
                shows_sources: self.show_sources,
                hands_over_unsupported: self.unsupported_messages == "hand_over",
                hands_over_outside_hours: self.outside_hours == "hand_over",
                handover_keywords: self.handover_keywords,
                business_hours: self.business_hours,
                handover_timeout: Duration::from_secs(minutes * 60),
                currency: self.currency,
                is_live: self.is_live,
                manychat_key: self.manychat_api_key,
                owner: self.user_id,
            },
            pending,
            last_outbound,
            now: self.now,
            local_now: self.local_now,
        }
    }
}

/// The worker that holds a lease.
struct Holder {
    /// Time at which the lease expires; `None` when nobody holds it.
    until: Option<DateTime<Utc>>,
    /// True when a worker was turned away before.
    is_awaited: bool,
}

/// Locks the conversation, as [`lock`] does, and returns the worker that holds its lease; `None` when there is no such
/// conversation. An update that waits for the row and finds a lease in it would keep a lock without a result, and a
/// stronger one after it would wait for those who wait for the first.
///
/// [`lock`]: crate::conversations::lock
async fn lock_holder(tx: &mut TenantTx, conversation: Uuid) -> sqlx::Result<Option<Holder>> {
    sqlx::query_as!(
        Holder,
        r#"
        select case when lease_expires_at >= now() then lease_expires_at end as until,
            lease_is_awaited as "is_awaited!"
        from conversations where customer_id = $1 and id = $2 for no key update
        "#,
        tx.tenant(),
        conversation
    )
    .fetch_optional(tx)
    .await
}

/// Marks the lease as awaited: the holder sends a queue message when it lets the lease go.
async fn await_lease(tx: &mut TenantTx, conversation: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "update conversations set lease_is_awaited = true where customer_id = $1 and id = $2 and not lease_is_awaited",
        tx.tenant(),
        conversation
    )
    .execute(tx)
    .await
    .map(drop)
}
