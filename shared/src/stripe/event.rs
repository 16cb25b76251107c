//! Stripe's events and the objects in them, read leniently: every API version of the last years sends its own shape, and
//! new values come without notice. Since 2025-03-31.basil periods are on a subscription's items and an invoice names its
//! subscription under `parent`; the new place is read first, then the old one.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

/// A subscription's status, as Stripe has it. The one table of what each means.
///
/// | Stripe | `billing.subscriptions` | `profiles.subscription_status` | access |
/// | --- | --- | --- | --- |
/// | `trialing`, `active` | active | trialing, active | until the period ends, and the grace in which a renewal may be told |
/// | `past_due` | active | past_due | for the grace, from the period's start |
/// | `incomplete`, `unpaid`, `paused` | inactive | the same | no |
/// | `canceled` | cancelled | cancelled | no |
/// | `incomplete_expired` | expired | expired | no |
/// | anything else | inactive | unknown | no |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "they are Stripe's words")]
pub enum Status {
    Incomplete,
    IncompleteExpired,
    Trialing,
    Active,
    PastDue,
    Unpaid,
    Canceled,
    Paused,
    /// One that came after this was written.
    Unknown,
}

impl Status {
    /// Reads Stripe's word.
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

    /// Stripe's word.
    #[must_use]
    pub fn word(self) -> &'static str {
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

    /// `billing.subscriptions.status`.
    #[must_use]
    pub fn in_subscriptions(self) -> &'static str {
        match self {
            Self::Trialing | Self::Active | Self::PastDue => "active",
            Self::Incomplete | Self::Unpaid | Self::Paused | Self::Unknown => "inactive",
            Self::Canceled => "cancelled",
            Self::IncompleteExpired => "expired",
        }
    }

    /// `profiles.subscription_status`.
    #[must_use]
    pub fn in_profile(self) -> &'static str {
        match self {
            Self::Canceled => "cancelled",
            Self::IncompleteExpired => "expired",
            other => other.word(),
        }
    }

    /// Whether Stripe never leaves it again.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Canceled | Self::IncompleteExpired)
    }

    /// Which of two events of one second, whose order nobody tells, is taken for the later one: a subscription's life
    /// leads this way.
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

/// What Stripe sent.
#[derive(Debug, Clone)]
pub struct Event {
    /// `evt_…`, the same at each delivery.
    pub id: String,
    /// `customer.subscription.updated` and the like.
    pub kind: String,
    /// When it happened, in whole seconds.
    pub created: DateTime<Utc>,
    /// Whose it is, where several accounts send here.
    pub account: Option<String>,
    /// All of it, as it may be stored.
    pub payload: Value,
}

/// Why a body is no event.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// Not JSON.
    #[error("the body is not JSON")]
    NotJson(#[source] serde_json::Error),
    /// JSON, but something else; what is wrong with it.
    #[error("the body is not an event: {0}")]
    NotAnEvent(&'static str),
    /// A thin event, which names an object instead of holding it.
    #[error("the body is a thin event")]
    Thin,
}

/// What an event says, as far as it concerns us.
#[derive(Debug, Clone, PartialEq)]
pub enum Happening {
    /// A subscription's state.
    Subscription(Box<Subscription>),
    /// A checkout went through: whose customer it is.
    Checkout {
        /// `cus_…`
        customer: Option<String>,
        /// What we gave as `client_reference_id`.
        user: Option<String>,
        /// `sub_…`, where one was bought.
        subscription: Option<String>,
    },
    /// An invoice was paid or not.
    Invoice(Invoice),
    /// A customer was deleted, and its subscriptions with it.
    CustomerDeleted(String),
    /// Nothing changes by it; it is in the ledger.
    Noted,
    /// A type that is not handled.
    Unknown,
}

/// A subscription, whatever the version of its shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscription {
    /// `sub_…`
    pub id: String,
    /// `cus_…`
    pub customer: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// When it began; which of a user's subscriptions is the newer one.
    pub started_at: Option<DateTime<Utc>>,
    /// The paid period.
    pub period: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// Whether it ends with the period.
    pub cancel_at_period_end: bool,
    /// When it ends, where that is set.
    pub cancel_at: Option<DateTime<Utc>>,
    /// Its prices, with the key that they may be looked up by.
    pub prices: Vec<(String, Option<String>)>,
    /// `metadata.plan`, which our checkout gives.
    pub plan: Option<String>,
    /// `metadata.user_id`, which our checkout gives.
    pub user: Option<String>,
}

/// An invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoice {
    /// `in_…`
    pub id: Option<String>,
    /// `cus_…`
    pub customer: Option<String>,
    /// `sub_…`, of a subscription's invoice.
    pub subscription: Option<String>,
    /// Whether it is paid; `None` while that is open.
    pub is_paid: Option<bool>,
    /// Which of our `billing_records` are among its lines.
    pub records: Vec<Uuid>,
}

impl Event {
    /// Whether it is about real money, not Stripe's test mode.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.payload["livemode"] == true
    }

    /// Reads a body.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn read(body: &[u8]) -> Result<Self, Unreadable> {
        let payload: Value = serde_json::from_slice(body).map_err(Unreadable::NotJson)?;
        match payload["object"].as_str() {
            Some("event") | None => {}
            Some(other) if other.starts_with("v2.") => return Err(Unreadable::Thin),
            Some(_) => return Err(Unreadable::NotAnEvent("another object")),
        }
        Self::of(payload)
    }

    /// The event that was stored.
    ///
    /// # Errors
    /// [`Unreadable::NotAnEvent`].
    pub fn of(mut payload: Value) -> Result<Self, Unreadable> {
        remove_nul(&mut payload);
        let text = |name: &'static str| {
            payload[name]
                .as_str()
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
                .ok_or(Unreadable::NotAnEvent(name))
        };
        let (id, kind) = (text("id")?, text("type")?);
        if id.len() > 255 {
            return Err(Unreadable::NotAnEvent("id"));
        }
        let created = seconds(&payload["created"]).ok_or(Unreadable::NotAnEvent("created"))?;
        if !payload["data"]["object"].is_object() {
            return Err(Unreadable::NotAnEvent("data.object"));
        }
        let account = text("account").ok();
        Ok(Self { id, kind, created, account, payload })
    }

    /// What it says. An object without what makes it one is [`Unreadable`], of a type that we know.
    ///
    /// # Errors
    /// [`Unreadable::NotAnEvent`], with what is missing.
    pub fn happening(&self) -> Result<Happening, Unreadable> {
        let object = &self.payload["data"]["object"];
        Ok(match self.kind.as_str() {
            "customer.subscription.created"
            | "customer.subscription.updated"
            | "customer.subscription.deleted"
            | "customer.subscription.paused"
            | "customer.subscription.resumed"
            | "customer.subscription.trial_will_end" => {
                let mut subscription = Subscription::read(object).ok_or(Unreadable::NotAnEvent("data.object.id"))?;
                if self.kind == "customer.subscription.deleted" {
                    subscription.status = Status::Canceled;
                }
                Happening::Subscription(Box::new(subscription))
            }
            "checkout.session.completed" | "checkout.session.async_payment_succeeded" => Happening::Checkout {
                customer: id(&object["customer"]),
                user: text(&object["client_reference_id"]).or_else(|| text(&object["metadata"]["user_id"])),
                subscription: id(&object["subscription"]),
            },
            "invoice.paid" => Happening::Invoice(Invoice::read(object, Some(true))),
            "invoice.payment_failed" | "invoice.finalization_failed" => {
                Happening::Invoice(Invoice::read(object, Some(false)))
            }
            "invoice.payment_action_required" => Happening::Invoice(Invoice::read(object, None)),
            "customer.deleted" => {
                Happening::CustomerDeleted(id(object).ok_or(Unreadable::NotAnEvent("data.object.id"))?)
            }
            "checkout.session.async_payment_failed" | "checkout.session.expired" => Happening::Noted,
            _ => Happening::Unknown,
        })
    }

    /// The place of a subscription's state among the events of its second, as a text that sorts. The state alone decides,
    /// and between equal states the event's id, so that the order of arrival does not.
    #[must_use]
    pub fn order(&self, state: &Subscription) -> String {
        let rank = if self.kind == "customer.subscription.created" { 0 } else { state.status.rank() };
        let period = state.period.map_or(0, |(start, _)| start.timestamp().max(0));
        format!("{rank}:{period:012}:{}", self.id)
    }
}

impl Subscription {
    /// Reads the object; `None` when it has no id.
    #[must_use]
    pub fn read(object: &Value) -> Option<Self> {
        let items = || object["items"]["data"].as_array().into_iter().flatten();
        let period_of =
            |holder: &Value| Some((seconds(&holder["current_period_start"])?, seconds(&holder["current_period_end"])?));
        // An item of its own interval may end earlier: the subscription renews with the first.
        let newest = items().filter_map(period_of).min_by_key(|(_, end)| *end);
        let prices = items().chain([object]).filter_map(|item| {
            let price = [&item["price"], &item["plan"]].into_iter().find_map(|price| Some((id(price)?, price)))?;
            Some((price.0, text(&price.1["lookup_key"])))
        });
        let mut prices: Vec<_> = prices.collect();
        prices.dedup();
        Some(Self {
            id: text(&object["id"])?,
            customer: id(&object["customer"]),
            status: Status::read(object["status"].as_str().unwrap_or_default()),
            started_at: ["created", "start_date", "start"].iter().find_map(|name| seconds(&object[*name])),
            period: newest.or_else(|| period_of(object)),
            cancel_at_period_end: object["cancel_at_period_end"].as_bool().unwrap_or_default(),
            cancel_at: seconds(&object["cancel_at"]),
            prices,
            plan: text(&object["metadata"]["plan"]),
            user: text(&object["metadata"]["user_id"]),
        })
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

/// A reference, which is an id or, expanded, the object itself.
fn id(value: &Value) -> Option<String> {
    text(value).or_else(|| text(&value["id"]))
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn seconds(value: &Value) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(value.as_i64()?, 0)
}

/// PostgreSQL stores no NUL.
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
    fn the_period_is_found_on_the_items_and_else_on_the_subscription() {
        let new = json!({
            "id": "sub_1", "customer": { "id": "cus_1", "object": "customer" }, "status": "active",
            "created": 1_790_000_000,
            "items": { "data": [
                { "current_period_start": 1_795_000_000, "current_period_end": 1_797_592_000,
                  "price": { "id": "price_1", "lookup_key": "pro" } },
            ] },
            "metadata": { "user_id": "u", "plan": "pro" },
        });
        let Happening::Subscription(read) = event("customer.subscription.updated", new).happening().unwrap() else {
            panic!("a subscription")
        };
        assert_eq!(read.period, Some((at(1_795_000_000), at(1_797_592_000))));
        assert_eq!(read.customer.as_deref(), Some("cus_1"));
        assert_eq!(read.prices, [("price_1".to_owned(), Some("pro".to_owned()))]);
        assert_eq!((read.user.as_deref(), read.plan.as_deref()), (Some("u"), Some("pro")));

        let old = json!({
            "id": "sub_1", "customer": "cus_1", "status": "active", "start": 5, "current_period_start": 10,
            "current_period_end": 20, "plan": { "id": "plan_1" }, "items": { "data": [] }, "metadata": null,
        });
        let read = Subscription::read(&old).unwrap();
        assert_eq!((read.period, read.started_at), (Some((at(10), at(20))), Some(at(5))));
        assert_eq!(read.prices, [("plan_1".to_owned(), None)]);
    }

    #[test]
    fn an_invoice_names_its_subscription_in_either_place() {
        for object in [
            json!({ "id": "in_1", "parent": { "subscription_details": { "subscription": "sub_1" } } }),
            json!({ "id": "in_1", "parent": { "subscription_details": { "subscription": { "id": "sub_1" } } } }),
            json!({ "id": "in_1", "subscription": "sub_1" }),
            json!({ "id": "in_1", "parent": null, "subscription": { "id": "sub_1" } }),
        ] {
            let Happening::Invoice(invoice) = event("invoice.paid", object).happening().unwrap() else {
                panic!("an invoice")
            };
            assert_eq!((invoice.subscription.as_deref(), invoice.is_paid), (Some("sub_1"), Some(true)));
        }
    }

    #[test]
    fn a_status_that_nobody_knows_yet_gives_no_access() {
        let status = Status::read("hibernating");
        assert_eq!((status, status.in_subscriptions(), status.in_profile()), (Status::Unknown, "inactive", "unknown"));
        for status in ["incomplete", "trialing", "active", "past_due", "unpaid", "canceled", "paused"] {
            assert_eq!(Status::read(status).word(), status);
        }
    }

    #[test]
    fn what_is_deleted_is_cancelled_whatever_the_object_says() {
        let deleted = event("customer.subscription.deleted", json!({ "id": "sub_1", "status": "active" }));
        let Happening::Subscription(read) = deleted.happening().unwrap() else { panic!("a subscription") };
        assert_eq!(read.status, Status::Canceled);
    }

    #[test]
    fn bodies_that_are_no_events_are_told_apart() {
        let read = |body: &str| Event::read(body.as_bytes()).unwrap_err();
        assert!(matches!(read("{"), Unreadable::NotJson(_)));
        let thin = r#"{"id":"evt_1","object":"v2.core.event","type":"v1.billing.meter.error_report_triggered"}"#;
        assert!(matches!(read(thin), Unreadable::Thin));
        for (body, missing) in [
            ("[]", "id"),
            ("1", "id"),
            (r#"{"object":"charge"}"#, "another object"),
            (r#"{"id":"","object":"event"}"#, "id"),
            (r#"{"id":"evt_1","object":"event","type":"x"}"#, "created"),
            (r#"{"id":"evt_1","object":"event","type":"x","created":1,"data":{}}"#, "data.object"),
            (r#"{"id":"evt_1","object":"event","type":"x","created":"now","data":{"object":{}}}"#, "created"),
        ] {
            assert!(matches!(read(body), Unreadable::NotAnEvent(name) if name == missing), "{body}");
        }
    }

    #[test]
    fn nothing_that_the_database_refuses_is_kept() {
        let event = event("x", json!({ "name": "a\0b", "k\0": 1, "list": ["\0", { "deep": "\0c" }] }));
        assert_eq!(event.payload["data"]["object"], json!({ "name": "ab", "list": ["", { "deep": "c" }] }));
    }
}
