//! Simulated changes of subscriptions, and the signed events that report them.

use anyhow::{Context, Result, bail};
use chrono::Utc;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::stripe::signature;

use super::{PERIOD, StripeData, StripeServer, invoices::take_pending, new_id, seconds};

/// The API version of the events, the one that the product's client requests.
const VERSION: &str = "2026-09-30.endive";

/// A change to simulate.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StripeChange {
    /// The type of the event that reports the change, such as `checkout.session.completed`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The user's `users.id`.
    pub user: String,
    /// The plan that a checkout buys.
    #[serde(default = "pro")]
    pub plan: String,
    /// With `customer.subscription.updated`: the new value of the subscription's field.
    pub cancel_at_period_end: Option<bool>,
}

fn pro() -> String {
    "pro".to_owned()
}

/// A sent event and the webhook's status.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SentEvent {
    /// The event's id, `evt_…`.
    pub id: String,
    /// The event's type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The HTTP status of the answer; `None` without an answer.
    pub status: Option<u16>,
}

impl StripeServer {
    pub(super) async fn change(&self, change: &StripeChange) -> Result<Vec<SentEvent>> {
        let events = {
            let mut state = self.state();
            let events = apply(&mut state, change)?;
            self.keep(&state)?;
            events
        };
        self.send(events).await
    }

    /// Pays a Checkout Session.
    pub(super) async fn pay(&self, session: &str) -> Result<(Value, Vec<SentEvent>)> {
        let (paid, events) = {
            let mut state = self.state();
            let paid = pay(&mut state, session)?;
            self.keep(&state)?;
            paid
        };
        Ok((paid, self.send(events).await?))
    }

    pub(super) async fn send(&self, events: Vec<Value>) -> Result<Vec<SentEvent>> {
        let webhook = self.state().webhook.clone();
        let Some((url, secret)) = webhook else { bail!("the fake Stripe has no webhook URL to send events to") };
        let mut sent = Vec::new();
        for event in events {
            let body = event.to_string();
            let header = signature::sign(body.as_bytes(), &secret, Utc::now());
            let request = self.http.post(&url).header("stripe-signature", header);
            let answer = request.header("content-type", "application/json; charset=utf-8").body(body).send().await;
            let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
            sent.push(SentEvent {
                id: text("id"),
                kind: text("type"),
                status: answer.ok().map(|answer| answer.status().into()),
            });
        }
        Ok(sent)
    }
}

/// Builds an event for an object.
pub(super) fn event(kind: &str, object: &Value) -> Value {
    json!({
        "id": new_id("evt"), "object": "event", "api_version": VERSION, "created": seconds(Utc::now()),
        "livemode": false, "pending_webhooks": 1, "request": { "id": null, "idempotency_key": null }, "type": kind,
        "data": { "object": object },
    })
}

fn apply(state: &mut StripeData, change: &StripeChange) -> Result<Vec<Value>> {
    let user = change.user.as_str();
    let kind = change.kind.as_str();
    if kind == "checkout.session.completed" {
        let open = state.sessions.values().filter(|one| one["client_reference_id"] == user && one["status"] == "open");
        let newest = open.max_by_key(|one| one["created"].as_i64()).and_then(|one| one["id"].as_str());
        let session = match newest.map(str::to_owned) {
            Some(session) => session,
            None => open_session(state, user, &change.plan),
        };
        return Ok(pay(state, &session)?.1);
    }
    if kind == "customer.deleted" {
        let customer = state.customer(user, None);
        let ended = end_all(state, user);
        let gone = state.customers.get_mut(&customer).context("the customer is gone")?;
        gone["deleted"] = json!(true);
        let deleted = event(kind, gone);
        return Ok(ended.into_iter().chain([deleted]).collect());
    }
    apply_to_subscription(state, change)
}

/// Applies a change of the user's newest subscription, and returns its events.
fn apply_to_subscription(state: &mut StripeData, change: &StripeChange) -> Result<Vec<Value>> {
    let (user, kind) = (change.user.as_str(), change.kind.as_str());
    let newest = state.subscription_of(user).and_then(|one| one["id"].as_str()).map(str::to_owned);
    let id = newest.with_context(|| format!("user {user} has no subscription: complete a checkout first"))?;
    // A renewal's invoice contains the pending items.
    let customer = state.subscriptions.get(&id).and_then(|one| one["customer"].as_str()).unwrap_or_default().to_owned();
    let invoice_id = new_id("in");
    let lines = if kind == "invoice.paid" { take_pending(state, &customer, "eur", &invoice_id) } else { Vec::new() };
    let subscription = state.subscriptions.get_mut(&id).context("the subscription is gone")?;
    let invoice = |paid: bool, subscription: &Value| {
        json!({
            "id": invoice_id, "object": "invoice", "customer": subscription["customer"],
            "status": if paid { "paid" } else { "open" }, "lines": { "object": "list", "data": lines },
            "parent": { "type": "subscription_details", "subscription_details": { "subscription": id } },
        })
    };
    Ok(match kind {
        "customer.subscription.created" | "customer.subscription.trial_will_end" => vec![event(kind, subscription)],
        "customer.subscription.updated" => {
            if let Some(cancels) = change.cancel_at_period_end {
                subscription["cancel_at_period_end"] = json!(cancels);
            }
            vec![event(kind, subscription)]
        }
        "customer.subscription.deleted" => {
            end(subscription);
            vec![event(kind, subscription)]
        }
        "customer.subscription.paused" | "customer.subscription.resumed" => {
            subscription["status"] = json!(if kind.ends_with("paused") { "paused" } else { "active" });
            vec![event(kind, subscription)]
        }
        "invoice.paid" => {
            // A renewal: the next period begins at the end of the current one.
            let item = &mut subscription["items"]["data"][0];
            let end = item["current_period_end"].as_i64().unwrap_or_default();
            item["current_period_start"] = json!(end);
            item["current_period_end"] = json!(end + PERIOD.num_seconds());
            subscription["status"] = json!("active");
            vec![event("customer.subscription.updated", subscription), event(kind, &invoice(true, subscription))]
        }
        "invoice.payment_failed" => {
            subscription["status"] = json!("past_due");
            vec![event("customer.subscription.updated", subscription), event(kind, &invoice(false, subscription))]
        }
        "invoice.payment_action_required" | "invoice.finalization_failed" => {
            vec![event(kind, &invoice(false, subscription))]
        }
        other => bail!("the fake Stripe does not support {other}"),
    })
}

fn open_session(state: &mut StripeData, user: &str, plan: &str) -> String {
    let id = new_id("cs_test");
    let session = json!({
        "id": id, "object": "checkout.session", "mode": "subscription", "status": "open", "client_reference_id": user,
        "customer": null, "created": seconds(Utc::now()), "_price": format!("price_local_{plan}"),
        "_metadata": { "user_id": user, "plan": plan },
    });
    state.sessions.insert(id.clone(), session);
    id
}

/// Pays a session: creates its subscription. Returns the session and the events, in an order that Stripe often uses.
fn pay(state: &mut StripeData, id: &str) -> Result<(Value, Vec<Value>)> {
    let session = state.sessions.get(id).cloned().with_context(|| format!("there is no Checkout Session {id}"))?;
    if session["status"] != "open" {
        bail!("the Checkout Session {id} is not open: it was paid, or has expired");
    }
    let user = session["client_reference_id"].as_str().unwrap_or_default();
    let customer = match session["customer"].as_str() {
        Some(customer) => customer.to_owned(),
        None => state.customer(user, session["customer_email"].as_str()),
    };
    let now = Utc::now();
    let subscription = json!({
        "id": new_id("sub"), "object": "subscription", "customer": customer, "status": "active",
        "created": seconds(now), "start_date": seconds(now), "cancel_at_period_end": false, "cancel_at": null,
        "canceled_at": null, "ended_at": null, "metadata": session["_metadata"], "livemode": false,
        "items": { "object": "list", "data": [{
            "id": new_id("si"), "object": "subscription_item", "quantity": 1,
            "current_period_start": seconds(now), "current_period_end": seconds(now + PERIOD),
            "price": { "id": session["_price"], "object": "price", "lookup_key": null },
        }] },
    });
    let subscription_id = subscription["id"].as_str().unwrap_or_default().to_owned();
    state.subscriptions.insert(subscription_id.clone(), subscription.clone());
    let mut paid = session;
    paid["status"] = json!("complete");
    paid["payment_status"] = json!("paid");
    paid["customer"] = json!(customer);
    paid["subscription"] = json!(subscription_id);
    state.sessions.insert(id.to_owned(), paid.clone());
    let invoice = json!({
        "id": new_id("in"), "object": "invoice", "customer": customer, "status": "paid",
        "lines": { "object": "list", "data": [] },
        "parent": { "type": "subscription_details", "subscription_details": { "subscription": subscription_id } },
    });
    let events = vec![
        event("customer.subscription.created", &subscription),
        event("invoice.paid", &invoice),
        event("checkout.session.completed", &paid),
    ];
    Ok((paid, events))
}

pub(super) fn end(subscription: &mut Value) {
    let now = seconds(Utc::now());
    subscription["status"] = json!("canceled");
    subscription["canceled_at"] = json!(now);
    subscription["ended_at"] = json!(now);
}

fn end_all(state: &mut StripeData, user: &str) -> Vec<Value> {
    let own = state.subscriptions.values_mut().filter(|one| one["metadata"]["user_id"] == user);
    own.filter(|one| one["status"] != "canceled")
        .map(|one| {
            end(one);
            event("customer.subscription.deleted", one)
        })
        .collect()
}
