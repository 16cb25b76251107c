//! Handovers of a conversation: from the bot to a person of the company, and back.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::queue_reply_job;
use crate::{db::TenantTx, error::ApiError};

/// The side that answers a conversation (`conversations.handler`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Responder {
    /// The assistant.
    Bot,
    /// A person of the company.
    Human,
}

/// The reason for which a person answers a conversation (`conversations.handover_reason`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandoverReason {
    /// The contact asked for a person by one of the tenant's keywords, or by a built-in one.
    Keyword,
    /// The model called its `hand_over` tool.
    Model,
    /// A person of the company took the conversation over.
    Person,
    /// The message came outside of the business hours.
    OutsideHours,
    /// The message has no text.
    Unsupported,
}

impl HandoverReason {
    /// The value of `conversations.handover_reason`.
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

/// Hands the conversation over to a person for the tenant's configured time, counted from now. What the bot has
/// proposed ends: the person may have agreed on something else. Returns false when there is no such conversation.
///
/// # Errors
/// A database error.
pub async fn hand_over(tx: &mut TenantTx, conversation: Uuid, reason: HandoverReason) -> sqlx::Result<bool> {
    hand_over_to(tx, conversation, reason, None).await
}

/// Hands the conversation over to `member`, or to any person of the company.
async fn hand_over_to(
    tx: &mut TenantTx,
    conversation: Uuid,
    reason: HandoverReason,
    member: Option<Uuid>,
) -> sqlx::Result<bool> {
    let changed = sqlx::query!(
        r#"
        update conversations set handler = 'human', handover_reason = $3, handled_by = $4, order_draft = null,
            handover_until = now() + make_interval(mins => (
                select config.handover_minutes from company_rag_configs config
                where config.company_id = (select app.current_company())
            ))
        where customer_id = $1 and id = $2
        "#,
        tx.tenant(),
        conversation,
        reason.as_str(),
        member
    )
    .execute(tx)
    .await?;
    Ok(changed.rows_affected() > 0)
}

/// Hands the conversation over to `member`, for the tenant's configured time, counted from now. Returns true when no
/// person had taken it over before. Of several simultaneous calls, one returns true: the row is locked.
///
/// # Errors
/// 404 when there is no such conversation on WhatsApp; a database error.
pub async fn take_over(tx: &mut TenantTx, conversation: Uuid, member: Uuid) -> Result<bool, ApiError> {
    let is_taken = sqlx::query_scalar!(
        r#"
        select coalesce(handler = 'human' and handover_until > now() and handover_reason = 'person', false) as "is_taken!"
        from conversations where customer_id = $1 and id = $2 and channel = 'whatsapp' for no key update
        "#,
        tx.tenant(),
        conversation
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or_else(|| ApiError::not_found("conversation"))?;
    hand_over_to(tx, conversation, HandoverReason::Person, Some(member)).await?;
    Ok(!is_taken)
}

/// Releases the conversation to the bot and queues its reply job. Returns false when the bot answers it already.
///
/// # Errors
/// 404 when there is no such conversation on WhatsApp; a database error.
pub async fn release_to_bot(tx: &mut TenantTx, conversation: Uuid) -> Result<bool, ApiError> {
    let is_with_bot = sqlx::query_scalar!(
        r#"
        select handler = 'bot' as "is_left!" from conversations
        where customer_id = $1 and id = $2 and channel = 'whatsapp' for no key update
        "#,
        tx.tenant(),
        conversation
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or_else(|| ApiError::not_found("conversation"))?;
    if is_with_bot {
        return Ok(false);
    }
    hand_back_to_bot(tx, conversation).await?;
    Ok(true)
}

/// Makes the bot the responder and queues the reply job, without a check of the present responder. Returns false when
/// there is no such conversation.
///
/// # Errors
/// A database error.
pub async fn hand_back_to_bot(tx: &mut TenantTx, conversation: Uuid) -> sqlx::Result<bool> {
    let changed = sqlx::query!(
        r#"
        update conversations
        set handler = 'bot', handover_reason = null, handover_until = null, handled_by = null,
            released_at = clock_timestamp()
        where customer_id = $1 and id = $2
        "#,
        tx.tenant(),
        conversation
    )
    .execute(&mut *tx)
    .await?;
    if changed.rows_affected() > 0 {
        queue_reply_job(tx, conversation).await?;
        return Ok(true);
    }
    Ok(false)
}
