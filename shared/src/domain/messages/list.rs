//! The list of messages of a tenant, a conversation or a phone number.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    db::TenantTx,
    error::ApiError,
    feedback::{self, OwnFeedback},
    manychat::inbound::phone_digits,
    paging::{List, Listing, Paging, list_page},
};

/// A message, as shown to members of the tenant.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
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
    /// The kind of a message without text: `audio`, `image`, `location` … A voice message or a video may come with a text.
    attachment: Option<String>,
    /// The passages that the answer cites.
    #[schema(value_type = Option<Vec<Object>>)]
    citations: Option<Value>,
    /// True when the bot's answer comes from the documents or the catalogue; null for a message that is no answer.
    answered: Option<bool>,
    /// The model that generated the text.
    model: Option<String>,
    /// The user who wrote the message, if a person of the company did.
    sent_by: Option<Uuid>,
    /// The id of the message that answers this message of a contact.
    answered_by: Option<Uuid>,
    /// The reason for which a contact's message got no answer: `quota`, `opted_out`, `failed`, `superseded` (a STOP or
    /// START that a later one overtook) or `courtesy`.
    skipped_reason: Option<String>,
    /// Time at which the last part was sent.
    sent_at: Option<DateTime<Utc>>,
    /// The reason for which the message did not reach the contact.
    #[schema(example = json!(null))]
    error_code: Option<String>,
    created_at: DateTime<Utc>,
}

/// A message of a list, with the feedback of the member who reads it.
#[derive(Debug, Serialize, ToSchema)]
pub struct MessageItem {
    /// The message.
    #[serde(flatten)]
    message: Message,
    /// The caller's own feedback on an answer of the bot; null without one.
    own_feedback: Option<OwnFeedback>,
}

/// A phone number in a query string, reduced to its digits: a plus sign arrives there as a space. `00` is another form of
/// the plus sign.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Phone(String);

impl Phone {
    /// Returns the digits. The stored number may have a plus sign before them, an older one also `00`.
    pub(crate) fn digits(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Phone {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let (digits, _) = phone_digits(&text);
        let is_phone = text.chars().all(|letter| letter.is_ascii_digit() || "+-()./ \u{a0}\u{202f}".contains(letter));
        if is_phone && (5..=50).contains(&digits.len()) { Ok(Self(digits)) } else { Err("must be a phone number") }
    }
}

/// The filter of the list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MessageFilter {
    /// Only messages of this conversation.
    conversation_id: Option<Uuid>,
    /// Only messages of this phone number, as `+2250700000000`.
    #[param(value_type = Option<String>)]
    user_phone: Option<Phone>,
}

impl MessageFilter {
    /// Returns the conversation of the filter, if any.
    #[must_use]
    pub fn conversation(&self) -> Option<Uuid> {
        self.conversation_id
    }

    fn digits(&self) -> Option<&str> {
        self.user_phone.as_ref().map(Phone::digits)
    }
}

/// The sort fields and the statuses of the list.
#[derive(Debug)]
pub struct MessageListing;

impl Listing for MessageListing {
    const NAME: &'static str = "messages";
    const SORTS: &'static [&'static str] = &["created_at"];
}

/// Returns a page of the tenant's messages, with the feedback that `reader` gave on them.
///
/// # Errors
/// 422 for a cursor that was tampered with; a database error.
pub async fn list(
    tx: &mut TenantTx,
    reader: Uuid,
    filter: &MessageFilter,
    paging: &Paging,
) -> Result<List<MessageItem>, ApiError> {
    let page: List<Message> = list_page!(tx, paging, Message {
        select: "id, conversation_id, direction, author, content, attachment, citations, answered, model, sent_by,
            answered_by, skipped_reason, sent_at, error_code, created_at",
        from: "messages where customer_id = $1 and ($2::uuid is null or conversation_id = $2)
            and ($3::text is null or user_phone in ($3, '+' || $3, '00' || $3))",
        bind: [filter.conversation_id, filter.digits()],
        order: ["created_at": "created_at" "timestamptz" DateTime<Utc> = created_at],
        id: "id" "uuid" Uuid = id,
    })?;
    let ids: Vec<_> = page.rows().iter().map(|message| message.id).collect();
    let mut given = feedback::find_own(tx, reader, &ids).await?;
    Ok(page.map(|message| MessageItem { own_feedback: given.remove(&message.id), message }))
}

/// Returns one message.
///
/// # Errors
/// 404 when there is no such message; a database error.
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
    fn a_phone_number_is_reduced_to_5_to_50_digits() {
        for text in
            ["+2250700000000", " 2250700000000", "225 07 00-00-00.00", "00225 0700000000", "+225\u{a0}07 00 00/00 00"]
        {
            assert_eq!(Phone::try_from(text.to_owned()).unwrap().0, "2250700000000");
        }
        for text in ["", "1234", "+225 07\0", "abc12345", &"1".repeat(51)] {
            assert!(Phone::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
