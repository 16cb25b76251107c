//! Calls about purchases: the end of Checkout Sessions and subscriptions, a customer's live subscriptions, and charges.

use reqwest::Method;
use serde_json::Value;
use uuid::Uuid;

use super::{
    client::{StripeClient, StripeError},
    event::{Subscription, SubscriptionStatus},
};

/// State of a Checkout Session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckoutSessionState {
    /// The session can still be paid.
    Open,
    /// The session was not paid, and can no longer be paid.
    Expired,
    /// The session was paid, or its payment is under way. Holds the id of its subscription (`sub_…`), when one exists
    /// already.
    Complete(Option<String>),
}

/// A charge, with its customer and its refunded amount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// Id of the charge (`ch_…`).
    pub id: String,
    /// Customer (`cus_…`).
    pub customer: Option<String>,
    /// Sum of all refunds, in minor units of the currency.
    pub amount_refunded: i64,
}

impl CheckoutSessionState {
    fn read(session: &Value) -> Option<Self> {
        match session["status"].as_str()? {
            "open" => Some(Self::Open),
            "expired" => Some(Self::Expired),
            "complete" => Some(Self::Complete(id_of(&session["subscription"]))),
            _ => None,
        }
    }
}

impl Charge {
    /// Parses a charge; `None` for anything that has no id.
    #[must_use]
    pub fn read(charge: &Value) -> Option<Self> {
        Some(Self {
            id: charge["id"].as_str()?.to_owned(),
            customer: id_of(&charge["customer"]),
            amount_refunded: charge["amount_refunded"].as_i64().unwrap_or_default(),
        })
    }
}

impl SubscriptionStatus {
    /// True when the subscription is over. Stripe never resumes such a subscription.
    #[must_use]
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Canceled | Self::IncompleteExpired)
    }
}

impl StripeClient {
    /// Expires a Checkout Session and returns its state afterwards. A session that is paid, or that Stripe does not
    /// know, is no error.
    ///
    /// # Errors
    /// Returns [`StripeError`] when a call fails.
    pub async fn expire_checkout_session(&self, id: &str) -> Result<CheckoutSessionState, StripeError> {
        let path = format!("/v1/checkout/sessions/{}", escape(id));
        let expired = self.post(&format!("{path}/expire"), &[], &Uuid::new_v4().to_string()).await;
        let session = match expired {
            Ok(session) => session,
            Err(error) if error.is_missing() => return Ok(CheckoutSessionState::Expired),
            Err(error) if error.is_transient() => return Err(error),
            // Only an open session can be expired.
            Err(StripeError::Refused { .. }) => self.call(Method::GET, &path, &[], None).await?,
            Err(error) => return Err(error),
        };
        CheckoutSessionState::read(&session).ok_or(StripeError::InvalidResponse("a session without a status"))
    }

    /// Cancels a subscription at once and returns its state afterwards; `None` when Stripe does not know it. A
    /// subscription that is over already is no error.
    ///
    /// # Errors
    /// Returns [`StripeError`] when a call fails.
    pub async fn cancel_subscription(&self, id: &str) -> Result<Option<Subscription>, StripeError> {
        let path = format!("/v1/subscriptions/{}", escape(id));
        let refused = match self.call(Method::DELETE, &path, &[], None).await {
            Ok(object) => {
                let unreadable = StripeError::InvalidResponse("a subscription without an id");
                return Subscription::read(&object).map(Some).ok_or(unreadable);
            }
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => error,
        };
        match self.get_subscription(id).await {
            Ok(subscription) if subscription.status.is_ended() => Ok(Some(subscription)),
            Ok(_) => Err(refused),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns true when the customer has a subscription that is not over.
    ///
    /// # Errors
    /// Returns [`StripeError`] when the call fails. A customer that Stripe does not know has none.
    pub async fn has_live_subscription(&self, customer: &str) -> Result<bool, StripeError> {
        // Without a status, the list leaves out those that are canceled.
        let query = [("customer", customer), ("limit", "100")];
        let list = match self.call(Method::GET, "/v1/subscriptions", &query, None).await {
            Ok(list) => list,
            Err(error) if error.is_missing() => return Ok(false),
            Err(error) => return Err(error),
        };
        let data = list["data"].as_array().ok_or(StripeError::InvalidResponse("a list without data"))?;
        Ok(data.iter().filter_map(Subscription::read).any(|subscription| !subscription.status.is_ended()))
    }

    /// Fetches a charge; `None` when Stripe does not know it.
    ///
    /// # Errors
    /// Returns [`StripeError`] when the call fails.
    pub async fn find_charge(&self, id: &str) -> Result<Option<Charge>, StripeError> {
        match self.call(Method::GET, &format!("/v1/charges/{}", escape(id)), &[], None).await {
            Ok(charge) => Charge::read(&charge).map(Some).ok_or(StripeError::InvalidResponse("a charge without an id")),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Id of a referenced object. The reference is an id or, when expanded, the object itself.
pub(super) fn id_of(value: &Value) -> Option<String> {
    value.as_str().or_else(|| value["id"].as_str()).filter(|id| !id.is_empty()).map(str::to_owned)
}

fn escape(id: &str) -> String {
    url::form_urlencoded::byte_serialize(id.as_bytes()).collect()
}
