//! The webhook endpoints of the account, which an operator sets up in Stripe's dashboard. Only `cargo doctor` reads them.

use reqwest::Method;
use serde_json::Value;

use super::client::{StripeClient, StripeError};

/// The types of events that the product acts on. The endpoint has to be subscribed to each; docs/DEPLOY.md lists them.
const EVENT_TYPES: [&str; 19] = [
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.resumed",
    "customer.subscription.trial_will_end",
    "invoice.paid",
    "invoice.payment_failed",
    "invoice.payment_action_required",
    "invoice.finalization_failed",
    "customer.deleted",
    "charge.refunded",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.closed",
];

/// A webhook endpoint at Stripe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookEndpoint {
    /// URL that events are sent to.
    pub url: String,
    /// False when events are not sent.
    pub is_enabled: bool,
    /// Types of the events that are sent; `*` stands for all.
    pub event_types: Vec<String>,
}

impl WebhookEndpoint {
    fn read(object: &Value) -> Option<Self> {
        let types = object["enabled_events"].as_array().into_iter().flatten();
        Some(Self {
            url: object["url"].as_str()?.to_owned(),
            is_enabled: object["status"] == "enabled",
            event_types: types.filter_map(|kind| kind.as_str().map(str::to_owned)).collect(),
        })
    }

    /// The types of events that the product acts on and that the endpoint is not subscribed to.
    #[must_use]
    pub fn missing_event_types(&self) -> Vec<&'static str> {
        let is_sent = |wanted: &&str| self.event_types.iter().any(|sent| sent == "*" || sent == wanted);
        EVENT_TYPES.into_iter().filter(|wanted| !is_sent(wanted)).collect()
    }
}

impl StripeClient {
    /// Reads one subscription, to see whether the key is valid and may read them.
    ///
    /// # Errors
    /// Returns [`StripeError`] when the call fails.
    pub async fn ping(&self) -> Result<(), StripeError> {
        self.call(Method::GET, "/v1/subscriptions", &[("limit", "1")], None).await.map(drop)
    }

    /// Lists the account's webhook endpoints, at most 100. A restricted key needs the right to read them.
    ///
    /// # Errors
    /// Returns [`StripeError`] when the call fails.
    pub async fn list_webhook_endpoints(&self) -> Result<Vec<WebhookEndpoint>, StripeError> {
        let list = self.call(Method::GET, "/v1/webhook_endpoints", &[("limit", "100")], None).await?;
        let data = list["data"].as_array().ok_or(StripeError::InvalidResponse("a list without data"))?;
        let read: Option<_> = data.iter().map(WebhookEndpoint::read).collect();
        read.ok_or(StripeError::InvalidResponse("a webhook endpoint without a URL"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::event::{Event, EventKind},
        *,
    };

    #[test]
    fn an_endpoint_lacks_the_types_that_it_is_not_subscribed_to() {
        let endpoint = |types: Value| {
            let object =
                json!({ "url": "https://x/api/v1/webhooks/stripe", "status": "enabled", "enabled_events": types });
            WebhookEndpoint::read(&object).unwrap()
        };
        assert_eq!(endpoint(json!(["*"])).missing_event_types(), Vec::<&str>::new());
        assert_eq!(endpoint(json!(EVENT_TYPES[1..])).missing_event_types(), ["checkout.session.completed"]);
        assert_eq!(endpoint(json!([])).missing_event_types().len(), EVENT_TYPES.len());
        assert_eq!(WebhookEndpoint::read(&json!({ "status": "enabled" })), None);
    }

    #[test]
    fn every_listed_type_is_parsed_unless_it_is_that_of_a_reversal() {
        let is_unhandled = |kind: &&str| {
            let payload = json!({
                "id": "evt_1", "type": kind, "created": 1, "data": { "object": { "id": "x_1" } },
            });
            Event::from_payload(payload).unwrap().parse_kind().unwrap() == EventKind::Unhandled
        };
        let unhandled: Vec<_> = EVENT_TYPES.into_iter().filter(is_unhandled).collect();
        // Billing reads refunds and disputes apart from the other kinds. `every_type_of_a_reversal_is_one_that_billing_reads`
        // in the package `local` sends an event of each to the product.
        assert_eq!(unhandled, ["charge.refunded", "refund.failed", "charge.dispute.created", "charge.dispute.closed"]);
    }
}
