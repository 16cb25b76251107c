//! The events of webhooks and their bodies. A trigger stores the object as it is when the event happens; the worker renders
//! it in the form in which the API shows it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    documents::{self, Document},
    messages::Message,
    orders::{self, OrderDetails},
};

/// Version of the bodies. A field may be added within a version; no field changes its meaning or goes.
pub const BODY_VERSION: u32 = 1;

/// The type of an event that an endpoint can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub enum EventType {
    /// A contact wrote a message.
    #[serde(rename = "message.received")]
    MessageReceived,
    /// A person of the company is to answer a conversation.
    #[serde(rename = "conversation.handed_over")]
    ConversationHandedOver,
    /// A contact waits, because no answers are left.
    #[serde(rename = "conversation.waiting")]
    ConversationWaiting,
    /// An order was made.
    #[serde(rename = "order.created")]
    OrderCreated,
    /// An order changed.
    #[serde(rename = "order.updated")]
    OrderUpdated,
    /// A document can be asked about.
    #[serde(rename = "document.processed")]
    DocumentProcessed,
    /// A document could not be processed.
    #[serde(rename = "document.failed")]
    DocumentFailed,
    /// A limit is nearly reached.
    #[serde(rename = "quota.warning")]
    QuotaWarning,
    /// A limit is reached.
    #[serde(rename = "quota.exhausted")]
    QuotaExhausted,
    /// The subscription changed.
    #[serde(rename = "subscription.changed")]
    SubscriptionChanged,
}

/// Type of the event that only `POST /api/v1/webhook-endpoints/{id}/test` makes.
pub const TEST_EVENT: &str = "webhook.test";

impl EventType {
    /// All types, in the order of the documentation.
    pub const ALL: [Self; 10] = [
        Self::MessageReceived,
        Self::ConversationHandedOver,
        Self::ConversationWaiting,
        Self::OrderCreated,
        Self::OrderUpdated,
        Self::DocumentProcessed,
        Self::DocumentFailed,
        Self::QuotaWarning,
        Self::QuotaExhausted,
        Self::SubscriptionChanged,
    ];

    /// Returns the type as it is stored and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MessageReceived => "message.received",
            Self::ConversationHandedOver => "conversation.handed_over",
            Self::ConversationWaiting => "conversation.waiting",
            Self::OrderCreated => "order.created",
            Self::OrderUpdated => "order.updated",
            Self::DocumentProcessed => "document.processed",
            Self::DocumentFailed => "document.failed",
            Self::QuotaWarning => "quota.warning",
            Self::QuotaExhausted => "quota.exhausted",
            Self::SubscriptionChanged => "subscription.changed",
        }
    }

    /// Returns the meaning of the event, in one or two sentences for openapi.json.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::MessageReceived => "A contact wrote a message on WhatsApp.",
            Self::ConversationHandedOver => {
                "A person of the company is to answer the conversation. A longer handover for the same reason is no event."
            }
            Self::ConversationWaiting => {
                "A contact's messages wait, because no answers are left. One event until somebody answers."
            }
            Self::OrderCreated => "The assistant or a person of the company made an order.",
            Self::OrderUpdated => {
                "The status, the items or the name of an order changed. Changes of one request are one event."
            }
            Self::DocumentProcessed => "A document was processed: answers may cite it.",
            Self::DocumentFailed => "A document could not be processed. `error_code` says why.",
            Self::QuotaWarning => {
                "One free request is left, or 80 % of a plan's requests or of its model costs are used in the period."
            }
            Self::QuotaExhausted => "A limit is reached: contacts are not answered.",
            Self::SubscriptionChanged => "The plan, the status or the paid period of the subscription changed.",
        }
    }

    /// Returns the name of the schema of the event's `data` in openapi.json.
    #[must_use]
    pub const fn data_schema(self) -> &'static str {
        match self {
            Self::MessageReceived => "Message",
            Self::ConversationHandedOver | Self::ConversationWaiting => "WebhookConversation",
            Self::OrderCreated | Self::OrderUpdated => "OrderDetails",
            Self::DocumentProcessed | Self::DocumentFailed => "Document",
            Self::QuotaWarning | Self::QuotaExhausted => "QuotaReached",
            Self::SubscriptionChanged => "ChangedSubscription",
        }
    }

    pub(super) fn from_column(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.as_str() == text)
    }
}

/// A conversation, as events show it: the fields of `GET /api/v1/conversations` without its messages.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "id": "7a0c4a6e-0a5c-4e0b-9a57-1d2f3a4b5c6d", "channel": "whatsapp", "contact_id": "132",
    "user_phone": "+2250700000000", "display_name": "Awa", "language": "fr", "handler": "human",
    "handover_reason": "keyword", "handover_until": "2026-11-23T13:30:06Z", "opted_out_at": null,
    "last_message_at": "2026-11-23T09:30:06Z", "waiting_reason": null, "created_at": "2026-11-23T09:30:06Z",
}))]
pub struct WebhookConversation {
    id: Uuid,
    /// Always `whatsapp`.
    channel: String,
    /// ManyChat's id of the contact.
    contact_id: String,
    user_phone: Option<String>,
    display_name: Option<String>,
    /// The contact's language: `fr` or `en`.
    language: Option<String>,
    /// The side that answers: `bot` or `human`.
    handler: String,
    /// The reason for the handover to a person: `keyword`, `model`, `person`, `outside_hours` or `unsupported`.
    handover_reason: Option<String>,
    /// Time at which the bot answers again.
    handover_until: Option<DateTime<Utc>>,
    /// Time at which the contact asked to receive no more messages.
    opted_out_at: Option<DateTime<Utc>>,
    last_message_at: DateTime<Utc>,
    /// `quota` in `conversation.waiting`; else null.
    waiting_reason: Option<String>,
    created_at: DateTime<Utc>,
}

/// A limit that is reached, or nearly.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "limit": "plan_requests", "used": 1600, "most": 2000, "plan": "pro", "period_start": "2026-11-01T00:00:00Z",
    "period_end": "2026-12-01T00:00:00Z",
}))]
pub struct QuotaReached {
    /// `free_requests`, `plan_requests` or `model_spend`.
    limit: String,
    /// Requests, or millionths of a US dollar for `model_spend`.
    used: i64,
    /// The limit. In `quota.exhausted`, `plan_requests` includes the requests over the plan that the company buys.
    most: i64,
    /// Name of the plan.
    plan: String,
    /// Start of the period; null for `free_requests`, which count for ever.
    period_start: Option<DateTime<Utc>>,
    /// End of the period.
    period_end: Option<DateTime<Utc>>,
}

/// The company's subscription after a change.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "plan": "pro", "status": "active", "current_period_start": "2026-11-23T09:30:06Z",
    "current_period_end": "2026-12-23T09:30:06Z", "cancel_at_period_end": false, "cancel_at": null,
    "access_until": "2026-12-30T09:30:06Z",
}))]
pub struct ChangedSubscription {
    /// Name of the plan whose limits apply: `free` without a paid one.
    plan: String,
    /// Status, as `GET /api/v1/profiles/me` shows it.
    status: String,
    current_period_start: Option<DateTime<Utc>>,
    current_period_end: Option<DateTime<Utc>>,
    /// True when the subscription ends with the period.
    cancel_at_period_end: bool,
    /// Time at which the subscription ends or has ended.
    cancel_at: Option<DateTime<Utc>>,
    /// Time until which the plan's limits apply without a payment.
    access_until: Option<DateTime<Utc>>,
}

/// The data of the event `webhook.test`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct TestData {
    pub(super) message: String,
}

/// The data of an event, in its form in the API.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum EventData {
    Message(Message),
    Conversation(WebhookConversation),
    Order(Box<OrderDetails>),
    Document(Box<Document>),
    Quota(QuotaReached),
    Subscription(ChangedSubscription),
    Test(TestData),
}

/// The body of a delivery.
#[derive(Debug, Serialize)]
struct EventBody<'a> {
    id: &'a str,
    r#type: &'a str,
    version: u32,
    timestamp: DateTime<Utc>,
    data: EventData,
}

/// An event that cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The stored object does not have the fields that the type of the event needs.
    #[error("the stored event cannot be read")]
    Object(#[from] serde_json::Error),
    /// No such type is known.
    #[error("the type of the event is not known")]
    UnknownType,
}

/// Returns the public id of an event, which is the header `webhook-id` of each of its deliveries.
#[must_use]
pub fn public_event_id(event: Uuid) -> String {
    format!("evt_{}", event.simple())
}

/// Renders the body of a delivery. All attempts have one body, since the stored object does not change.
///
/// # Errors
/// [`RenderError`].
pub fn render(
    event: Uuid,
    event_type: &str,
    occurred_at: DateTime<Utc>,
    object: &Value,
) -> Result<String, RenderError> {
    use EventType as E;
    let data = match E::from_column(event_type) {
        Some(E::MessageReceived) => EventData::Message(Message::deserialize(object)?),
        Some(E::ConversationHandedOver | E::ConversationWaiting) => {
            EventData::Conversation(WebhookConversation::deserialize(object)?)
        }
        Some(E::OrderCreated | E::OrderUpdated) => EventData::Order(Box::new(orders::from_snapshot(object)?)),
        Some(E::DocumentProcessed | E::DocumentFailed) => {
            EventData::Document(Box::new(documents::from_snapshot(object)?))
        }
        Some(E::QuotaWarning | E::QuotaExhausted) => EventData::Quota(QuotaReached::deserialize(object)?),
        Some(E::SubscriptionChanged) => EventData::Subscription(ChangedSubscription::deserialize(object)?),
        None if event_type == TEST_EVENT => EventData::Test(TestData::deserialize(object)?),
        None => return Err(RenderError::UnknownType),
    };
    let id = public_event_id(event);
    let body = EventBody { id: &id, r#type: event_type, version: BODY_VERSION, timestamp: occurred_at, data };
    Ok(serde_json::to_string(&body)?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn types_are_stored_as_they_are_sent() {
        for event in EventType::ALL {
            assert_eq!(json!(event), json!(event.as_str()));
            assert_eq!(EventType::from_column(event.as_str()), Some(event));
        }
        assert_eq!(EventType::from_column(TEST_EVENT), None);
    }

    #[test]
    fn a_body_has_id_type_version_time_and_data() {
        let at = "2026-11-23T09:30:06.25Z".parse().unwrap();
        let object = json!({
            "limit": "free_requests", "used": 8, "most": 8, "plan": "free", "period_start": null, "period_end": null,
        });
        let body = render(Uuid::from_u128(7), "quota.exhausted", at, &object).unwrap();
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            body,
            json!({
                "id": "evt_00000000000000000000000000000007", "type": "quota.exhausted", "version": 1,
                "timestamp": "2026-11-23T09:30:06.250Z", "data": object,
            })
        );
    }

    #[test]
    fn an_order_of_another_system_is_rendered_as_far_as_it_can_be_read() {
        let id = Uuid::from_u128(7);
        let object = json!({
            "id": id, "conversation_id": null, "customer_name": null, "status": "pending",
            "items": [{ "name": "Thé", "quantity": "two", "unit_price": 99.5 }, "?"], "total_cents": 9950,
            "currency": "XOF", "needs_review": true, "created_at": "2026-11-23T09:30:06+00:00",
            "updated_at": "2026-11-23T09:30:06+00:00",
        });
        let body: Value = serde_json::from_str(&render(id, "order.created", Utc::now(), &object).unwrap()).unwrap();
        assert_eq!(body["data"]["items"][0]["unit_price"], "99.50");
        assert_eq!(
            body["data"]["items"][1],
            json!({ "product_id": null, "name": "", "quantity": 0, "unit_price": null })
        );
        assert_eq!(body["data"]["created_at"], "2026-11-23T09:30:06Z");
    }

    #[test]
    fn a_malformed_object_is_an_error() {
        let of = |kind| render(Uuid::nil(), kind, Utc::now(), &json!({ "id": 1 }));
        assert!(matches!(of("message.received"), Err(RenderError::Object(_))));
        assert!(matches!(of("contact.moved"), Err(RenderError::UnknownType)));
    }
}
