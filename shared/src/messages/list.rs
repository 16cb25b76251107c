//! The list of messages: a tenant's, a conversation's, or a phone number's.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    db::TenantTx,
    error::ApiError,
    paging::{COUNTED_EXACTLY, List, Listing, Paging},
};

/// A message, as members see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0d6a8e52-7c1c-4a51-9b50-54f2a9b9d7a1", "conversation_id": "7a0c4a6e-0a5c-4e0b-9a57-1d2f3a4b5c6d",
    "direction": "outbound", "author": "bot", "content": "La livraison à Abidjan coûte 1 500 F CFA.", "attachment": null,
    "citations": [{ "filename": "guide-livraison.pdf", "page": 1 }], "answered": true, "model": "extractive-1",
    "sent_by": null, "answered_by": null, "skipped_reason": null, "sent_at": "2026-11-23T09:30:09Z", "error_code": null,
    "created_at": "2026-11-23T09:30:08Z",
}))]
pub struct Message {
    id: Uuid,
    conversation_id: Uuid,
    /// `inbound` or `outbound`.
    direction: String,
    /// `contact`, `bot`, `agent` or `system`.
    author: String,
    content: String,
    /// What came instead of a text: `audio`, `image`, `location` …
    attachment: Option<String>,
    /// The passages that an answer rests on.
    #[schema(value_type = Option<Vec<Object>>)]
    citations: Option<Value>,
    /// Of the bot's: whether the documents said so.
    answered: Option<bool>,
    /// Who worded it.
    model: Option<String>,
    /// The person who wrote it.
    sent_by: Option<Uuid>,
    /// Of a contact's: the message that answers it.
    answered_by: Option<Uuid>,
    /// Of a contact's: why it has no answer: `quota`, `opted_out` or `failed`.
    skipped_reason: Option<String>,
    /// When its last part was sent.
    sent_at: Option<DateTime<Utc>>,
    /// Why it did not reach the contact.
    #[schema(example = json!(null))]
    error_code: Option<String>,
    created_at: DateTime<Utc>,
}

/// A phone number, of which the digits count: in a query, a plus sign arrives as a space.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Phone(String);

impl Phone {
    /// As they are stored, with or without a plus sign before them.
    pub(crate) fn digits(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Phone {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let is_phone = text.chars().all(|letter| letter.is_ascii_digit() || "+-(). ".contains(letter));
        if is_phone && (5..=50).contains(&digits.len()) { Ok(Self(digits)) } else { Err("must be a phone number") }
    }
}

/// Which messages.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MessageFilter {
    /// Only those of a conversation.
    conversation_id: Option<Uuid>,
    /// Only those of a phone number, as `+2250700000000`.
    #[param(value_type = Option<String>)]
    user_phone: Option<Phone>,
}

impl MessageFilter {
    /// The conversation that is asked for, if it is one.
    #[must_use]
    pub fn conversation(&self) -> Option<Uuid> {
        self.conversation_id
    }

    fn digits(&self) -> Option<&str> {
        self.user_phone.as_ref().map(Phone::digits)
    }
}

/// The order of the list.
#[derive(Debug)]
pub struct MessageListing;

impl Listing for MessageListing {
    const SORTS: &'static [&'static str] = &["created_at"];
    const STATUSES: &'static [&'static str] = &[];
}

macro_rules! fetch {
    ($tx:expr, $paging:expr, $filter:expr, $after:expr, $beyond:tt, $direction:tt) => {{
        let (at, id) = $after.unzip();
        sqlx::query_as!(
            Message,
            "select id, conversation_id, direction, author, content, attachment, citations, answered, model, sent_by,
                answered_by, skipped_reason, sent_at, error_code, created_at
            from messages
            where customer_id = $1 and ($2::uuid is null or conversation_id = $2)
              and ($3::text is null or user_phone in ($3, '+' || $3))
              and ($4::timestamptz is null or (created_at, id) "
                + $beyond
                + " ($4, $5::uuid))
            order by created_at "
                + $direction
                + ", id "
                + $direction
                + " limit $6 offset $7",
            $tx.tenant(),
            $filter.conversation_id,
            $filter.digits(),
            at,
            id,
            $paging.fetched(),
            $paging.offset
        )
        .fetch_all(&mut *$tx)
        .await
        .map_err(|error| $paging.failed(error))?
    }};
}

/// A page of the tenant's messages.
///
/// # Errors
/// 422 for a cursor that was tampered with; the database's.
pub async fn list(tx: &mut TenantTx, filter: &MessageFilter, paging: &Paging) -> Result<List<Message>, ApiError> {
    let after: Option<(DateTime<Utc>, Uuid)> = paging.after()?;
    let rows = if paging.descending {
        fetch!(tx, paging, filter, after, "<", "desc")
    } else {
        fetch!(tx, paging, filter, after, ">", "asc")
    };
    let counted = sqlx::query_scalar!(
        r#"
        select count(*) as "count!" from (
            select from messages
            where customer_id = $1 and ($2::uuid is null or conversation_id = $2)
              and ($3::text is null or user_phone in ($3, '+' || $3))
            limit $4
        ) counted
        "#,
        tx.tenant(),
        filter.conversation_id,
        filter.digits(),
        COUNTED_EXACTLY + 1
    )
    .fetch_one(tx)
    .await?;
    paging.page(rows, counted, |last| (last.created_at, last.id))
}

/// One message.
///
/// # Errors
/// 404, or the database's.
pub async fn get(tx: &mut TenantTx, id: Uuid) -> Result<Message, ApiError> {
    sqlx::query_as!(
        Message,
        r#"
        select id, conversation_id, direction, author, content, attachment, citations, answered, model, sent_by,
            answered_by, skipped_reason, sent_at, error_code, created_at
        from messages where customer_id = $1 and id = $2
        "#,
        tx.tenant(),
        id
    )
    .fetch_optional(tx)
    .await?
    .ok_or_else(|| ApiError::not_found("message"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_number_is_its_digits() {
        for text in ["+2250700000000", " 2250700000000", "225 07 00-00-00.00"] {
            assert_eq!(Phone::try_from(text.to_owned()).unwrap().0, "2250700000000");
        }
        for text in ["", "1234", "+225 07\0", "abc12345", &"1".repeat(51)] {
            assert!(Phone::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
