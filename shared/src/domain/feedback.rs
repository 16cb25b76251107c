//! `feedback`: ratings of the bot's answers by members of the tenant, helpful or not.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{db::TenantTx, error::ApiError, input};

/// Maximum length of a comment, in characters.
pub const MAX_COMMENT_CHARS: usize = 2_000;

/// A comment of at most 2,000 characters.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, max_length = 2_000)]
pub struct Comment(String);

impl TryFrom<String> for Comment {
    type Error = input::UnusableText;

    fn try_from(text: String) -> Result<Self, input::UnusableText> {
        input::several_lines(&text, 0, MAX_COMMENT_CHARS).map(Self)
    }
}

/// A member's rating of a message: thumbs up or down, with an optional comment.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "is_helpful": false, "comment": "The price is out of date." }))]
pub struct NewFeedback {
    is_helpful: bool,
    comment: Option<Comment>,
}

/// A member's stored rating of a message.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "message_id": "0d6a8e52-7c1c-4a51-9b50-54f2a9b9d7a1", "user_id": "5d0f3c52-8e7a-4b7e-9a55-6f0a2b1c3d4e",
    "is_helpful": false, "comment": "The price is out of date.", "updated_at": "2026-11-23T09:30:06Z",
}))]
pub struct Feedback {
    message_id: Uuid,
    user_id: Uuid,
    is_helpful: bool,
    comment: Option<String>,
    updated_at: DateTime<Utc>,
}

/// The caller's own rating of a message.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "is_helpful": false, "comment": "The price is out of date." }))]
pub struct OwnFeedback {
    is_helpful: bool,
    comment: Option<String>,
}

/// Returns the feedback that `user` gave on `messages`, by the messages' ids.
///
/// # Errors
/// Fails when the statement fails.
pub async fn find_own(tx: &mut TenantTx, user: Uuid, messages: &[Uuid]) -> sqlx::Result<HashMap<Uuid, OwnFeedback>> {
    let rows = sqlx::query!(
        r#"
        select message_id, is_helpful, comment from feedback
        where customer_id = $1 and user_id = $2 and message_id = any ($3)
        "#,
        tx.tenant(),
        user,
        messages
    )
    .fetch_all(tx)
    .await?;
    let own = |is_helpful, comment| OwnFeedback { is_helpful, comment };
    Ok(rows.into_iter().map(|row| (row.message_id, own(row.is_helpful, row.comment))).collect())
}

/// Stores a member's feedback on an answer of the bot. A member's later feedback on the message replaces the earlier
/// one.
///
/// # Errors
/// 404 when the message is not an answer of the tenant's bot. Fails when the statement fails.
pub async fn upsert(
    tx: &mut TenantTx,
    message: Uuid,
    user: Uuid,
    feedback: &NewFeedback,
) -> Result<Feedback, ApiError> {
    let stored = sqlx::query_as!(
        Feedback,
        r#"
        insert into feedback as known (message_id, user_id, customer_id, is_helpful, comment)
        select id, $3, $1, $4, $5 from messages where customer_id = $1 and id = $2 and author = 'bot'
        on conflict on constraint feedback_pkey do update
            set is_helpful = excluded.is_helpful, comment = excluded.comment, updated_at = now()
        returning known.message_id, known.user_id, known.is_helpful, known.comment, known.updated_at
        "#,
        tx.tenant(),
        message,
        user,
        feedback.is_helpful,
        feedback.comment.as_ref().map(|comment| comment.0.as_str()).filter(|comment| !comment.is_empty())
    )
    .fetch_optional(tx)
    .await?;
    stored.ok_or_else(|| ApiError::not_found("message"))
}
