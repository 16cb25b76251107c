//! Stripe's events and the objects in them, parsed leniently.
//!
//! Each API version of the last years sends its own shape, and new values come without notice. Since 2025-03-31.basil
//! the paid period is on a subscription's items, and an invoice names its subscription under `parent`. The parser
//! reads the new place first, then the old one.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

/// Stripe's status of a subscription. This table is the only definition of what each status means here.
///
/// | Stripe | `billing.subscriptions` | `profiles.subscription_status` | access |
/// | --- | --- | --- | --- |
/// | `trialing`, `active` | active | trialing, active | until the period's end plus the grace for a late renewal |
/// | `past_due` | active | past_due | from the beginning of `past_due`, for the grace |
/// | `incomplete`, `unpaid`, `paused` | inactive | incomplete, unpaid, paused | no |
/// | `canceled` | cancelled | cancelled | no |
/// | `incomplete_expired` | expired | expired | no |
/// | anything else | inactive | unknown | no |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SubscriptionStatus {
    Incomplete,
    IncompleteExpired,
    Trialing,
    Active,
    PastDue,
    Unpaid,
    Canceled,
    Paused,
    /// A status that is not in this list.
    Unknown,
}

impl SubscriptionStatus {
    /// Parses Stripe's name of a status.
    #[must_use]
    pub fn read(word: &str) -> Self {
        match word {
            "incomplete" => Self::Incomplete,
            "incomplete_expired" => Self::IncompleteExpired,
            "trialing" => Self::Trialing,
            "active" => Self::Active,
            "past_due" => Self::PastDue,
            "unpaid" => Self::Unpaid,
            "canceled" => Self::Canceled,
            "paused" => Self::Paused,
            _ => Self::Unknown,
        }
    }

    /// Stripe's name of the status.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::IncompleteExpired => "incomplete_expired",
            Self::Trialing => "trialing",
            Self::Active => "active",
            Self::PastDue => "past_due",
            Self::Unpaid => "unpaid",
            Self::Canceled => "canceled",
            Self::Paused => "paused",
            Self::Unknown => "unknown",
        }
    }

    /// The status as `billing.subscriptions.status` stores it.
    #[must_use]
    pub fn billing_status(self) -> &'static str {
        match self {
            Self::Trialing | Self::Active | Self::PastDue => "active",
            Self::Incomplete | Self::Unpaid | Self::Paused | Self::Unknown => "inactive",
            Self::Canceled => "cancelled",
            Self::IncompleteExpired => "expired",
        }
    }

    /// The status as `profiles.subscription_status` stores it.
    #[must_use]
    pub fn profile_status(self) -> &'static str {
        match self {
            Self::Canceled => "cancelled",
            Self::IncompleteExpired => "expired",
            other => other.as_str(),
        }
    }

    /// Rank of the status among the events of one second; the event of the highest rank counts as the last one.
    ///
    /// Stripe's times have whole seconds, and its events carry no order within one. The ranks follow a subscription's
    /// life.
    fn rank(self) -> u8 {
        match self {
            Self::Incomplete => 1,
            Self::Trialing => 2,
            Self::Unknown | Self::Active => 3,
            Self::PastDue => 4,
            Self::Unpaid => 5,
            Self::Paused => 6,
            Self::IncompleteExpired => 7,
            Self::Canceled => 8,
        }
    }
}

/// An event that Stripe sent.
#[derive(Debug, Clone)]
pub struct Event {
    /// Id of the event (`evt_…`), equal at each delivery.
    pub id: String,
    /// Stripe's type of the event, such as `customer.subscription.updated`.
    pub kind: String,
    /// Time of the event, in whole seconds.
    pub created: DateTime<Utc>,
    /// Stripe account of the event (`acct_…`); `None` for the endpoint's own account.
    pub account: Option<String>,
    /// The whole event, without the NUL characters that PostgreSQL cannot store.
    pub payload: Value,
}

/// Reason why a body is not an event.
#[derive(Debug, thiserror::Error)]
pub enum EventParseError {
    /// The body is not JSON.
    #[error("the body is not JSON")]
    NotJson(#[source] serde_json::Error),
    /// The body is JSON of another shape; holds the name of the field that is missing or wrong.
    #[error("the body is not an event: {0}")]
    NotAnEvent(&'static str),
    /// The body is a thin event, which names its object instead of holding it.
    #[error("the body is a thin event")]
    Thin,
}

/// The kinds of events that billing tells apart, each with the data that billing uses.
#[derive(Debug, Clone, PartialEq)]
pub enum EventKind {
    /// A subscription changed; holds its new state.
    Subscription(Box<Subscription>),
    /// A checkout was completed. It links a customer to a user.
    Checkout {
        /// Checkout Session (`cs_…`).
        session: Option<String>,
        /// Customer (`cus_…`).
        customer: Option<String>,
        /// `client_reference_id`, or else `metadata.user_id`: the user's id that our checkout passed to Stripe. A buyer
        /// who pays by a payment link writes any id here.
        user: Option<String>,
        /// Subscription (`sub_…`); `None` when no subscription was bought.
        subscription: Option<String>,
    },
    /// An invoice was paid, or its payment failed.
    Invoice(Invoice),
    /// A customer was deleted, and Stripe ended its subscriptions; holds the customer's id.
    CustomerDeleted(String),
    /// An event of a known type that changes nothing here; the ledger keeps it.
    NoEffect,
    /// An event of a type that is not handled; the ledger keeps it.
    Unhandled,
}

/// A subscription at Stripe, independent of the API version that sent it.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscription {
    /// Id of the subscription (`sub_…`).
    pub id: String,
    /// Customer (`cus_…`).
    pub customer: Option<String>,
    /// Status at Stripe.
    pub status: SubscriptionStatus,
    /// Time at which the subscription began. It decides which of a user's subscriptions is the newest.
    pub started_at: Option<DateTime<Utc>>,
    /// Start and end of the paid period that ends first, among those of all items.
    pub period: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// True when the subscription ends with the period.
    pub cancel_at_period_end: bool,
    /// Time at which the subscription ends, when one is set.
    pub cancel_at: Option<DateTime<Utc>>,
    /// Time at which the subscription ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// True while Stripe collects no payments for the subscription.
    pub is_collection_paused: bool,
    /// Items with a price and a quantity.
    pub items: Vec<SubscriptionItem>,
    /// Payment method of the subscription (`pm_…`), when it has one of its own.
    pub payment_method: Option<String>,
    /// `metadata.plan`, which our checkout sets.
    pub plan: Option<String>,
    /// `metadata.user_id`, which our checkout sets.
    pub user: Option<String>,
}

/// An item of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionItem {
    /// Price (`price_…`).
    pub price: String,
    /// Lookup key of the price, where it has one.
    pub lookup_key: Option<String>,
    /// Start and end of the item's paid period.
    pub period: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

/// An invoice at Stripe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoice {
    /// Id of the invoice (`in_…`).
    pub id: Option<String>,
    /// Customer (`cus_…`).
    pub customer: Option<String>,
    /// Subscription (`sub_…`); `None` for an invoice without a subscription.
    pub subscription: Option<String>,
    /// True when the invoice is paid, false when its payment failed; `None` while neither is decided.
    pub is_paid: Option<bool>,
    /// Ids of the `billing_records` that the invoice's lines name in their metadata.
    pub records: Vec<Uuid>,
}

impl Event {
    /// True for an event of Stripe's live mode, false for one of its test mode.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.payload["livemode"] == true
    }

    /// Parses a webhook's body.
    ///
    /// # Errors
    /// Returns [`EventParseError`] when the body is not a snapshot event.
    pub fn read(body: &[u8]) -> Result<Self, EventParseError> {
        let payload: Value = serde_json::from_slice(body).map_err(EventParseError::NotJson)?;
        match payload["object"].as_str() {
            Some("event") | None => {}
            Some(other) if other.starts_with("v2.") => return Err(EventParseError::Thin),
            Some(_) => return Err(EventParseError::NotAnEvent("another object")),
        }
        Self::from_payload(payload)
    }

    /// Builds the event from its JSON, such as a stored payload.
    ///
    /// # Errors
    /// Returns [`EventParseError::NotAnEvent`] when a field is missing or wrong.
    pub fn from_payload(mut payload: Value) -> Result<Self, EventParseError> {
        remove_nul(&mut payload);
        let text = |name: &'static str| {
            payload[name]
                .as_str()
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
                .ok_or(EventParseError::NotAnEvent(name))
        };
        let (id, kind) = (text("id")?, text("type")?);
        if id.len() > 255 {
            return Err(EventParseError::NotAnEvent("id"));
        }
        let created = seconds(&payload["created"]).ok_or(EventParseError::NotAnEvent("created"))?;
        if !payload["data"]["object"].is_object() {
            return Err(EventParseError::NotAnEvent("data.object"));
        }
        let account = text("account").ok();
        Ok(Self { id, kind, created, account, payload })
    }

    /// Parses the event's object according to the event's type.
    ///
    /// # Errors
    /// Returns [`EventParseError::NotAnEvent`] with the missing field, when the object of a handled type has no id.
    pub fn parse_kind(&self) -> Result<EventKind, EventParseError> {
        let object = &self.payload["data"]["object"];
        Ok(match self.kind.as_str() {
            "customer.subscription.created"
            | "customer.subscription.updated"
            | "customer.subscription.deleted"
            | "customer.subscription.paused"
            | "customer.subscription.resumed"
            | "customer.subscription.trial_will_end" => {
                let mut subscription =
                    Subscription::read(object).ok_or(EventParseError::NotAnEvent("data.object.id"))?;
                if self.kind == "customer.subscription.deleted" {
                    subscription.status = SubscriptionStatus::Canceled;
                }
                EventKind::Subscription(Box::new(subscription))
            }
            "checkout.session.completed" | "checkout.session.async_payment_succeeded" => EventKind::Checkout {
                session: text(&object["id"]),
                customer: id(&object["customer"]),
                user: text(&object["client_reference_id"]).or_else(|| text(&object["metadata"]["user_id"])),
                subscription: id(&object["subscription"]),
            },
            "invoice.paid" => EventKind::Invoice(Invoice::read(object, Some(true))),
            "invoice.payment_failed" | "invoice.finalization_failed" => {
                EventKind::Invoice(Invoice::read(object, Some(false)))
            }
            "invoice.payment_action_required" => EventKind::Invoice(Invoice::read(object, None)),
            "customer.deleted" => {
                EventKind::CustomerDeleted(id(object).ok_or(EventParseError::NotAnEvent("data.object.id"))?)
            }
            "checkout.session.async_payment_failed" | "checkout.session.expired" => EventKind::NoEffect,
            _ => EventKind::Unhandled,
        })
    }

    /// Sort key of a subscription's state among the events of one second, as text that sorts bytewise.
    ///
    /// The key holds the status's rank, the period's start and the event's id. The order of arrival has no influence.
    #[must_use]
    pub fn order_key(&self, state: &Subscription) -> String {
        let rank = if self.kind == "customer.subscription.created" { 0 } else { state.status.rank() };
        let period = state.period.map_or(0, |(start, _)| start.timestamp().max(0));
        format!("{rank}:{period:012}:{}", self.id)
    }
}

impl Subscription {
    /// Parses a subscription object of any API version; `None` when it has no id.
    #[must_use]
    pub fn read(object: &Value) -> Option<Self> {
        let period_of =
            |holder: &Value| Some((seconds(&holder["current_period_start"])?, seconds(&holder["current_period_end"])?));
        let read_item = |item: &Value| {
            let price = [&item["price"], &item["plan"]].into_iter().find_map(|price| Some((id(price)?, price)))?;
            let period = period_of(item).or_else(|| period_of(object));
            Some(SubscriptionItem { price: price.0, lookup_key: text(&price.1["lookup_key"]), period })
        };
        let listed = || object["items"]["data"].as_array().into_iter().flatten();
        // An item with a quantity of 0 is not paid for.
        let mut items: Vec<_> = listed().filter(|item| item["quantity"] != 0).filter_map(read_item).collect();
        if listed().next().is_none() {
            items.extend(read_item(object));
        }
        // Items with intervals of their own end at different times. The subscription renews with the first that ends.
        let first_to_end = listed().filter_map(period_of).min_by_key(|(_, end)| *end);
        let status = SubscriptionStatus::read(object["status"].as_str().unwrap_or_default());
        Some(Self {
            id: text(&object["id"])?,
            customer: id(&object["customer"]),
            status,
            started_at: ["created", "start_date", "start"].iter().find_map(|name| seconds(&object[*name])),
            period: first_to_end.or_else(|| period_of(object)),
            cancel_at_period_end: object["cancel_at_period_end"].as_bool().unwrap_or_default(),
            cancel_at: seconds(&object["cancel_at"]),
            ended_at: seconds(&object["ended_at"]),
            is_collection_paused: object["pause_collection"].is_object(),
            items,
            payment_method: id(&object["default_payment_method"]),
            plan: text(&object["metadata"]["plan"]),
            user: text(&object["metadata"]["user_id"]),
        })
    }
}

impl Subscription {
    /// Returns the time of the next invoice, which contains the customer's pending items; `None` for a subscription that
    /// is not paid, or that ends before.
    #[must_use]
    pub fn next_invoice_at(&self) -> Option<DateTime<Utc>> {
        use SubscriptionStatus::{Active, PastDue, Trialing};
        let (_, end) = self.period?;
        let goes_on = !self.cancel_at_period_end && self.cancel_at.is_none_or(|at| at > end);
        let is_collected = matches!(self.status, Active | PastDue | Trialing) && !self.is_collection_paused;
        (goes_on && is_collected).then_some(end)
    }
}

impl Invoice {
    fn read(object: &Value, is_paid: Option<bool>) -> Self {
        let lines = object["lines"]["data"].as_array().into_iter().flatten();
        Self {
            id: text(&object["id"]),
            customer: id(&object["customer"]),
            subscription: id(&object["parent"]["subscription_details"]["subscription"])
                .or_else(|| id(&object["subscription"])),
            is_paid,
            records: lines.filter_map(|line| line["metadata"]["billing_record_id"].as_str()?.parse().ok()).collect(),
        }
    }
}

/// Id of a referenced object. The reference is an id or, when expanded, the object itself.
fn id(value: &Value) -> Option<String> {
    text(value).or_else(|| text(&value["id"]))
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

///
/// A time outside of the years 1970 to 9999 is no time of a subscription, and sums with it could overflow.
fn seconds(value: &Value) -> Option<DateTime<Utc>> {
    /// The last second of the year 9999.
    const MAX_SECONDS: i64 = 253_402_300_799;
    let seconds = value.as_i64().filter(|seconds| (0..=MAX_SECONDS).contains(seconds))?;
    DateTime::from_timestamp(seconds, 0)
}

/// Removes NUL characters from a JSON value's texts and names, since PostgreSQL cannot store them.
fn remove_nul(value: &mut Value) {
    match value {
        Value::String(text) if text.contains('\0') => text.retain(|letter| letter != '\0'),
        Value::Array(items) => items.iter_mut().for_each(remove_nul),
        Value::Object(fields) => {
            if fields.keys().any(|name| name.contains('\0')) {
                fields.retain(|name, _| !name.contains('\0'));
            }
            fields.values_mut().for_each(remove_nul);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(kind: &str, object: Value) -> Event {
        let payload = json!({
            "id": "evt_1", "object": "event", "type": kind, "created": 1_795_000_000, "data": { "object": object },
        });
        Event::read(payload.to_string().as_bytes()).unwrap()
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn period_is_read_from_the_items_or_else_from_the_subscription() {
        let new = json!({
            "id": "sub_1", "customer": { "id": "cus_1", "object": "customer" }, "status": "active",
            "created": 1_790_000_000,
            "items": { "data": [
                { "current_period_start": 1_795_000_000, "current_period_end": 1_797_592_000,
                  "price": { "id": "price_1", "lookup_key": "pro" } },
            ] },
            "metadata": { "user_id": "u", "plan": "pro" },
        });
        let EventKind::Subscription(read) = event("customer.subscription.updated", new).parse_kind().unwrap() else {
            panic!("a subscription")
        };
        assert_eq!(read.period, Some((at(1_795_000_000), at(1_797_592_000))));
        assert_eq!(read.customer.as_deref(), Some("cus_1"));
        let (price, lookup_key) = ("price_1".to_owned(), Some("pro".to_owned()));
        assert_eq!(read.items, [SubscriptionItem { price, lookup_key, period: read.period }]);
        assert_eq!((read.user.as_deref(), read.plan.as_deref()), (Some("u"), Some("pro")));

        let old = json!({
            "id": "sub_1", "customer": "cus_1", "status": "active", "start": 5, "current_period_start": 10,
            "current_period_end": 20, "plan": { "id": "plan_1" }, "items": { "data": [] }, "metadata": null,
        });
        let read = Subscription::read(&old).unwrap();
        assert_eq!((read.period, read.started_at), (Some((at(10), at(20))), Some(at(5))));
        let item = SubscriptionItem { price: "plan_1".to_owned(), lookup_key: None, period: read.period };
        assert_eq!(read.items, [item]);
    }

    #[test]
    fn each_item_has_its_own_price_and_period_and_counts_unless_its_quantity_is_zero() {
        let object = json!({
            "id": "sub_1", "status": "canceled", "cancel_at": 15, "ended_at": 14, "default_payment_method": "pm_1",
            "pause_collection": { "behavior": "void" },
            "items": { "data": [
                { "current_period_start": 10, "current_period_end": 30, "price": { "id": "price_a" }, "quantity": 2 },
                { "current_period_start": 10, "current_period_end": 20, "price": "price_b" },
                { "current_period_start": 10, "current_period_end": 40, "price": { "id": "price_c" }, "quantity": 0 },
            ] },
        });
        let read = Subscription::read(&object).unwrap();
        let item = |price: &str, end| SubscriptionItem {
            price: price.to_owned(),
            lookup_key: None,
            period: Some((at(10), at(end))),
        };
        assert_eq!(read.items, [item("price_a", 30), item("price_b", 20)]);
        assert_eq!((read.period, read.cancel_at, read.ended_at), (Some((at(10), at(20))), Some(at(15)), Some(at(14))));
        assert_eq!((read.payment_method.as_deref(), read.is_collection_paused), (Some("pm_1"), true));
    }

    #[test]
    fn invoice_subscription_is_read_from_parent_or_from_the_old_field() {
        for object in [
            json!({ "id": "in_1", "parent": { "subscription_details": { "subscription": "sub_1" } } }),
            json!({ "id": "in_1", "parent": { "subscription_details": { "subscription": { "id": "sub_1" } } } }),
            json!({ "id": "in_1", "subscription": "sub_1" }),
            json!({ "id": "in_1", "parent": null, "subscription": { "id": "sub_1" } }),
        ] {
            let EventKind::Invoice(invoice) = event("invoice.paid", object).parse_kind().unwrap() else {
                panic!("an invoice")
            };
            assert_eq!((invoice.subscription.as_deref(), invoice.is_paid), (Some("sub_1"), Some(true)));
        }
    }

    #[test]
    fn unknown_status_maps_to_inactive() {
        let status = SubscriptionStatus::read("hibernating");
        assert_eq!(
            (status, status.billing_status(), status.profile_status()),
            (SubscriptionStatus::Unknown, "inactive", "unknown")
        );
        for status in ["incomplete", "trialing", "active", "past_due", "unpaid", "canceled", "paused"] {
            assert_eq!(SubscriptionStatus::read(status).as_str(), status);
        }
    }

    #[test]
    fn deleted_event_overrides_the_status_of_its_object() {
        let deleted = event("customer.subscription.deleted", json!({ "id": "sub_1", "status": "active" }));
        let EventKind::Subscription(read) = deleted.parse_kind().unwrap() else { panic!("a subscription") };
        assert_eq!(read.status, SubscriptionStatus::Canceled);
    }

    #[test]
    fn body_that_is_not_an_event_yields_a_distinct_error() {
        let read = |body: &str| Event::read(body.as_bytes()).unwrap_err();
        assert!(matches!(read("{"), EventParseError::NotJson(_)));
        let thin = r#"{"id":"evt_1","object":"v2.core.event","type":"v1.billing.meter.error_report_triggered"}"#;
        assert!(matches!(read(thin), EventParseError::Thin));
        for (body, missing) in [
            ("[]", "id"),
            ("1", "id"),
            (r#"{"object":"charge"}"#, "another object"),
            (r#"{"id":"","object":"event"}"#, "id"),
            (r#"{"id":"evt_1","object":"event","type":"x"}"#, "created"),
            (r#"{"id":"evt_1","object":"event","type":"x","created":1,"data":{}}"#, "data.object"),
            (r#"{"id":"evt_1","object":"event","type":"x","created":"now","data":{"object":{}}}"#, "created"),
        ] {
            assert!(matches!(read(body), EventParseError::NotAnEvent(name) if name == missing), "{body}");
        }
    }

    #[test]
    fn nul_characters_are_removed_from_the_payload() {
        let event = event("x", json!({ "name": "a\0b", "k\0": 1, "list": ["\0", { "deep": "\0c" }] }));
        assert_eq!(event.payload["data"]["object"], json!({ "name": "ab", "list": ["", { "deep": "c" }] }));
    }
}
