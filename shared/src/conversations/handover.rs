//! A conversation goes to a person, and back to the bot.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::make_due;
use crate::{db::TenantTx, error::ApiError};

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
        update conversations
        set handler = 'bot', handover_reason = null, handover_until = null, released_at = clock_timestamp()
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
