//! Overages: terms that are never weakened inside a period, and the collection at Stripe.

use chrono::{DateTime, TimeDelta, Utc};
use local::fakes::stripe::{FakeStripe, StripeChange, StripeFault};
use serde_json::{Value, json};

use super::{
    billing::{start_with_stripe, usage},
    stripe::event,
    support::{App, TenantUser},
};

const DAY: i64 = 86_400;

/// A company that has bought a plan at the fake Stripe.
struct Subscriber {
    app: App,
    stripe: FakeStripe,
    tenant: TenantUser,
}

impl Subscriber {
    async fn buy(plan: &str) -> Self {
        let (app, stripe) = start_with_stripe().await;
        let url = format!("{}/api/v1/webhooks/stripe", app.stack.base_url());
        stripe.send_to(&url, &app.stack.secrets.stripe_webhook_secret);
        let tenant = app.sign_up("Comptoir Baobab").await;
        let subscriber = Self { app, stripe, tenant };
        subscriber.change("checkout.session.completed", plan).await;
        subscriber
    }

    /// Applies a change at Stripe. Its events are answered with 200.
    async fn change(&self, kind: &str, plan: &str) {
        let change = StripeChange {
            kind: kind.to_owned(),
            user: self.tenant.user_id.to_string(),
            plan: plan.to_owned(),
            cancel_at_period_end: None,
        };
        let sent = self.stripe.change(&change).await.unwrap();
        assert!(!sent.is_empty() && sent.iter().all(|sent| sent.status == Some(200)), "{kind}: {sent:?}");
    }

    fn subscription(&self) -> Value {
        self.stripe.subscription_of(self.tenant.user_id).unwrap()
    }

    fn customer(&self) -> String {
        self.subscription()["customer"].as_str().unwrap().to_owned()
    }

    /// Changes fields of the subscription at Stripe, and sends the event.
    async fn update(&self, fields: &Value) {
        self.stripe.change_subscription(self.subscription()["id"].as_str().unwrap(), fields);
        self.change("customer.subscription.updated", "pro").await;
    }

    /// Switches the subscription's plan in the portal.
    async fn switch_to(&self, plan: &str) {
        let mut items = self.subscription()["items"].clone();
        items["data"][0]["price"]["id"] = json!(format!("price_local_{plan}"));
        self.update(&json!({ "items": items })).await;
    }

    /// Adds requests to the current period, as if they had been answered.
    async fn add_requests(&self, requests: i64) {
        // The first call makes the row of a period that has just begun.
        usage(&self.app, &self.tenant).await;
        self.app
            .sql(&format!(
                "update usage_periods set requests = requests + {requests} where customer_id = '{0}' and period_start =
                     (select max(period_start) from usage_periods where customer_id = '{0}')",
                self.tenant.customer_id
            ))
            .await;
    }

    /// Runs maintenance as of a time in seconds from now. All periods that have ended by then are closed.
    async fn sweep_at(&self, seconds: i64) -> Value {
        let time = Utc::now() + TimeDelta::seconds(seconds);
        self.app.stack.invoke("maintenance", json!({ "time": time.to_rfc3339() })).await.unwrap()
    }

    /// Makes the jobs of overages due, and runs maintenance.
    async fn sweep_again(&self) -> Value {
        self.app
            .sql("update jobs set run_after = now() where kind = 'invoice_item' and status in ('queued', 'running')")
            .await;
        self.sweep_at(0).await
    }

    /// Ends all open periods an hour ago, so that the next sweep closes them.
    async fn end_periods(&self) {
        self.app
            .sql(
                "update usage_periods set period_start = period_start - interval '40 days',
                     period_end = least(period_end - interval '40 days', now() - interval '1 hour')
                 where closed_at is null",
            )
            .await;
    }

    async fn records(&self) -> Vec<Value> {
        let path = "/api/v1/billing/invoices?sort=period_start";
        self.app.get(path).by(&self.tenant).await.body["data"].as_array().unwrap().clone()
    }

    /// The overage of all records: requests and cents.
    async fn overage(&self) -> (i64, i64) {
        let records = self.records().await;
        let sum = |name: &str| records.iter().map(|record| record[name].as_i64().unwrap()).sum();
        (sum("overage_requests"), sum("overage_cents"))
    }

    /// Status, failure and invoice of the one record with an overage.
    async fn collection(&self) -> (String, Option<String>, Option<String>) {
        let records = self.records().await;
        let record = records.iter().find(|record| record["overage_cents"] != 0).unwrap();
        let text = |name: &str| record[name].as_str().map(str::to_owned);
        (text("status").unwrap(), text("failure"), text("stripe_invoice_id"))
    }
}

#[tokio::test]
async fn a_downgrade_on_the_last_day_keeps_the_overage() {
    let subscriber = Subscriber::buy("business").await;
    subscriber.add_requests(50_000).await;
    subscriber.switch_to("pro").await;
    // The rest of the period has the terms of the weaker plan.
    let shown = usage(&subscriber.app, &subscriber.tenant).await;
    assert_eq!((&shown["plan"]["name"], &shown["requests"]["used"]), (&json!("pro"), &json!(0)));
    assert_eq!((&shown["requests"]["limit"], &shown["requests"]["overage_cents"]), (&json!(2000), &json!(0)));
    let credits = format!("select credits_remaining from profiles where id = '{}'", subscriber.tenant.user_id);
    assert_eq!(subscriber.app.number(&credits).await, 2000);
    subscriber.sweep_at(40 * DAY).await;

    let records = subscriber.records().await;
    let [record] = &records[..] else { panic!("{records:?}") };
    assert_eq!(
        (&record["plan"], &record["requests"], &record["overage_requests"], &record["overage_cents"]),
        (&json!("business"), &json!(50_000), &json!(30_000), &json!(60_000))
    );
    assert_eq!(record["amount_cents"], 9900);
    let items = subscriber.stripe.invoice_items();
    assert_eq!(items.iter().map(|item| &item["amount"]).collect::<Vec<_>>(), [60_000]);
}

/// A step inside a period: a change of the plan, or requests.
enum Step {
    Switch(&'static str),
    Requests(i64),
}

#[tokio::test]
async fn no_sequence_of_plans_loses_an_overage_or_renews_a_limit() {
    use Step::{Requests, Switch};
    for (first, steps, overage, left) in [
        // Back to the stronger plan: its limit is used up, and nothing is billed twice.
        ("business", vec![Requests(50_000), Switch("pro"), Switch("business"), Requests(10)], 30_010, 0),
        ("business", vec![Requests(50_000), Switch("pro"), Requests(5), Switch("business"), Requests(10)], 30_015, 0),
        (
            "business",
            vec![
                Requests(15_000),
                Switch("pro"),
                Switch("business"),
                Requests(4_000),
                Switch("pro"),
                Switch("business"),
            ],
            0,
            1_000,
        ),
        ("business", vec![Requests(21_000), Switch("pro"), Switch("pro"), Requests(1_500)], 1_000, 500),
        (
            "business",
            vec![Requests(21_000), Switch("pro"), Requests(1_500), Switch("business"), Switch("pro")],
            2_500,
            2_000,
        ),
        // An upgrade keeps what was used, and its limit counts from the period's start.
        ("pro", vec![Requests(2_000), Switch("business"), Requests(18_500)], 500, 0),
        ("pro", vec![Requests(500), Switch("business"), Requests(500), Switch("pro"), Requests(100)], 0, 1_400),
        // What was used of the weaker plan before an upgrade stays used.
        ("pro", vec![Requests(2_000), Switch("business"), Switch("pro")], 0, 0),
        ("pro", vec![Requests(500), Switch("business"), Switch("pro"), Switch("business"), Switch("pro")], 0, 1_500),
    ] {
        let subscriber = Subscriber::buy(first).await;
        let mut text = first.to_owned();
        for step in steps {
            match step {
                Switch(plan) => subscriber.switch_to(plan).await,
                Requests(requests) => subscriber.add_requests(requests).await,
            }
            text += &match step {
                Switch(plan) => format!(" {plan}"),
                Requests(requests) => format!(" {requests}"),
            };
        }
        let shown = usage(&subscriber.app, &subscriber.tenant).await;
        assert_eq!(shown["requests"]["remaining"], left, "{text}: {shown}");
        subscriber.sweep_at(40 * DAY).await;
        assert_eq!(subscriber.overage().await, (overage, 2 * overage), "{text}");
        let amounts: i64 =
            subscriber.records().await.iter().map(|record| record["amount_cents"].as_i64().unwrap()).sum();
        assert_eq!(amounts, 9900, "{text}: the price of the dearest plan");
    }
}

#[tokio::test]
async fn an_overage_survives_every_other_change_of_the_subscription() {
    let start = Utc::now().timestamp();
    let moved = |start: i64, days: i64| {
        json!({ "object": "list", "data": [{
            "id": "si_1", "current_period_start": start, "current_period_end": start + days * DAY,
            "price": { "id": "price_local_business" },
        }] })
    };
    let unknown = json!({ "data": [{
        "current_period_start": start, "current_period_end": start + 30 * DAY, "price": { "id": "price_unknown" },
    }] });
    for (what, fields) in [
        ("unpaid", json!({ "status": "unpaid" })),
        ("paused", json!({ "status": "paused" })),
        ("an unknown price", json!({ "items": unknown })),
        ("the period moved", json!({ "items": moved(start, 30) })),
        ("by the year", json!({ "items": moved(start, 365) })),
        ("a shorter period", json!({ "items": moved(start - 1, 3) })),
        ("ended", json!({ "cancel_at": start - 1 })),
    ] {
        let subscriber = Subscriber::buy("business").await;
        // The period began an hour ago, so that a new one begins later.
        let hour = json!({ "items": moved(start - 3600, 30) });
        subscriber.update(&hour).await;
        subscriber
            .app
            .sql("delete from usage_periods where plan = 'business' and period_start > now() - interval '30 minutes'")
            .await;
        subscriber.add_requests(25_000).await;
        subscriber.update(&fields).await;
        subscriber.add_requests(0).await;
        subscriber.sweep_at(40 * DAY).await;
        assert_eq!(subscriber.overage().await, (5_000, 10_000), "{what}");
    }
}

#[tokio::test]
async fn a_resumed_subscription_does_not_begin_its_limit_anew() {
    let subscriber = Subscriber::buy("pro").await;
    subscriber.add_requests(1_990).await;
    for status in ["unpaid", "active", "paused", "active"] {
        subscriber.update(&json!({ "status": status })).await;
    }
    let shown = usage(&subscriber.app, &subscriber.tenant).await;
    assert_eq!((&shown["requests"]["used"], &shown["requests"]["remaining"]), (&json!(1_990), &json!(10)));
}

#[tokio::test]
async fn a_new_subscription_after_a_cancellation_keeps_the_old_overage() {
    let subscriber = Subscriber::buy("business").await;
    subscriber.add_requests(25_000).await;
    subscriber.change("customer.subscription.deleted", "business").await;
    let shown = usage(&subscriber.app, &subscriber.tenant).await;
    assert_eq!(shown["plan"]["name"], "free");
    subscriber.change("checkout.session.completed", "pro").await;
    subscriber.add_requests(100).await;
    subscriber.sweep_at(40 * DAY).await;
    assert_eq!(subscriber.overage().await, (5_000, 10_000));
}

#[tokio::test]
async fn changed_settings_of_a_plan_count_from_the_next_period() {
    let subscriber = Subscriber::buy("business").await;
    subscriber.add_requests(25_000).await;
    subscriber
        .app
        .sql("update plans set monthly_request_limit = 90000, overage_cents_per_request = null where name = 'business'")
        .await;
    // The period's end moves, too.
    let mut items = subscriber.subscription()["items"].clone();
    let end = items["data"][0]["current_period_end"].as_i64().unwrap() + 3 * DAY;
    items["data"][0]["current_period_end"] = json!(end);
    subscriber.update(&json!({ "items": items })).await;
    let shown = usage(&subscriber.app, &subscriber.tenant).await;
    assert_eq!(shown["period"]["end"].as_str().unwrap().parse::<DateTime<Utc>>().unwrap().timestamp(), end);
    assert_eq!(shown["requests"]["limit"], 20_000);
    subscriber.sweep_at(40 * DAY).await;
    assert_eq!(subscriber.overage().await, (5_000, 10_000));
}

#[tokio::test]
async fn an_upgrade_keeps_an_overage_that_is_due_already() {
    let subscriber = Subscriber::buy("pro").await;
    subscriber
        .app
        .sql("update plans set overage_cents_per_request = 3 where name = 'pro'; delete from usage_periods")
        .await;
    subscriber.add_requests(2_100).await;
    subscriber.switch_to("business").await;
    subscriber.add_requests(20_001).await;
    subscriber.sweep_at(40 * DAY).await;
    let records = subscriber.records().await;
    let cents: Vec<_> = records.iter().map(|record| record["overage_cents"].as_i64().unwrap()).collect();
    assert_eq!(cents, [300, 2]);
}

#[tokio::test]
async fn a_stale_or_repeated_event_changes_no_terms() {
    // Without an API key, the events themselves count.
    let app = App::start().await;
    app.sql("update plans set stripe_price_id = 'price_local_' || name where price_cents > 0").await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let start = Utc::now().timestamp() - 3600;
    let told = |seconds_ago: i64, plan: &str| {
        let object = json!({
            "id": "sub_1", "object": "subscription", "status": "active", "customer": "cus_1", "created": start,
            "metadata": { "user_id": tenant.user_id },
            "items": { "data": [{
                "current_period_start": start, "current_period_end": start + 30 * DAY,
                "price": { "id": format!("price_local_{plan}") },
            }] },
        });
        event("customer.subscription.updated", seconds_ago, object)
    };
    let business = told(100, "business");
    app.deliver_stripe_event(&business).await.data(200);
    app.sql("update usage_periods set requests = 50000 where plan = 'business'").await;
    let (stale, downgrade) = (told(200, "pro"), told(50, "pro"));
    for event in [&stale, &downgrade, &downgrade, &business, &stale, &told(60, "business")] {
        app.deliver_stripe_event(event).await.data(200);
    }
    assert_eq!(usage(&app, &tenant).await["requests"]["limit"], 2_000);
    assert_eq!(app.number("select count(*) from usage_periods where plan <> 'free'").await, 2);
    let time = (Utc::now() + TimeDelta::days(40)).to_rfc3339();
    app.stack.invoke("maintenance", json!({ "time": time })).await.unwrap();
    assert_eq!(app.number("select sum(overage_cents) from billing_records").await, 60_000);
}

#[tokio::test]
async fn the_overage_of_a_cancelled_subscription_is_invoiced_and_paid() {
    let subscriber = Subscriber::buy("business").await;
    let id = subscriber.subscription()["id"].as_str().unwrap().to_owned();
    subscriber.stripe.change_subscription(&id, &json!({ "default_payment_method": "pm_card" }));
    subscriber.add_requests(20_150).await;
    subscriber.change("customer.subscription.deleted", "business").await;
    subscriber.sweep_at(3600).await;

    let invoices = subscriber.stripe.invoices();
    let [invoice] = &invoices[..] else { panic!("{invoices:?}") };
    assert_eq!((&invoice["status"], &invoice["amount_due"]), (&json!("open"), &json!(300)));
    assert_eq!((&invoice["auto_advance"], &invoice["currency"]), (&json!(true), &json!("eur")));
    assert_eq!(invoice["default_payment_method"], "pm_card");
    let id = invoice["id"].as_str().unwrap().to_owned();
    assert_eq!(subscriber.collection().await, ("invoiced".to_owned(), None, Some(id.clone())));

    subscriber.stripe.collect_invoices(false).await.unwrap();
    assert_eq!(
        subscriber.collection().await,
        ("failed".to_owned(), Some("payment_failed".to_owned()), Some(id.clone()))
    );
    subscriber.stripe.collect_invoices(true).await.unwrap();
    assert_eq!(subscriber.collection().await, ("paid".to_owned(), None, Some(id)));
    // Nothing is left to do.
    subscriber.sweep_again().await;
    assert_eq!((subscriber.stripe.invoices().len(), subscriber.stripe.invoice_items().len()), (1, 1));
}

/// Each call's answer is lost in turn, and Stripe has forgotten the keys when the next attempt comes.
#[tokio::test]
async fn an_invoice_is_made_once_whatever_answer_is_lost() {
    const LOST: [StripeFault; 3] = [StripeFault::LoseAnswer, StripeFault::Refuse(503), StripeFault::Refuse(503)];
    for lost_route in ["POST /v1/invoiceitems", "GET /v1/subscriptions", "POST /v1/invoices", "finalize"] {
        let subscriber = Subscriber::buy("business").await;
        subscriber.add_requests(20_150).await;
        subscriber.change("customer.subscription.deleted", "business").await;
        subscriber.stripe.fail_route(lost_route, &LOST);
        subscriber.sweep_at(3600).await;
        assert_eq!(subscriber.collection().await.0, "closed", "{lost_route}");
        subscriber.stripe.forget_keys();
        subscriber.sweep_again().await;
        subscriber.stripe.forget_keys();
        subscriber.app.sql("update jobs set status = 'queued', run_after = now() where kind = 'invoice_item'").await;
        subscriber.sweep_again().await;

        let invoices = subscriber.stripe.invoices();
        assert_eq!((invoices.len(), subscriber.stripe.invoice_items().len()), (1, 1), "{lost_route}");
        assert_eq!((&invoices[0]["status"], &invoices[0]["amount_due"]), (&json!("open"), &json!(300)), "{lost_route}");
        assert_eq!(subscriber.collection().await.2.as_deref(), invoices[0]["id"].as_str(), "{lost_route}");
    }
}

#[tokio::test]
async fn an_overage_waits_only_for_an_invoice_that_will_come() {
    let now = Utc::now().timestamp();
    let yearly = json!({ "object": "list", "data": [{
        "id": "si_1", "current_period_start": now - 3600, "current_period_end": now + 300 * DAY,
        "price": { "id": "price_local_business" },
    }] });
    for (fields, is_invoiced) in [
        (json!({}), false),
        (json!({ "status": "past_due" }), false),
        (json!({ "cancel_at": now + 300 * DAY }), false),
        (json!({ "cancel_at_period_end": true }), true),
        (json!({ "cancel_at": now + 20 * DAY }), true),
        (json!({ "items": yearly }), true),
        (json!({ "pause_collection": { "behavior": "void" } }), true),
        (json!({ "status": "unpaid" }), true),
    ] {
        let subscriber = Subscriber::buy("business").await;
        subscriber.add_requests(20_150).await;
        subscriber.end_periods().await;
        subscriber.update(&fields).await;
        subscriber.sweep_at(0).await;
        let (status, failure, invoice) = subscriber.collection().await;
        assert_eq!((status.as_str(), failure, invoice.is_some()), ("invoiced", None, is_invoiced), "{fields}");
        assert_eq!(subscriber.stripe.invoices().len(), usize::from(is_invoiced), "{fields}");
    }
}

#[tokio::test]
async fn an_item_that_waits_is_invoiced_when_its_subscription_ends() {
    let subscriber = Subscriber::buy("business").await;
    subscriber.add_requests(20_150).await;
    subscriber.end_periods().await;
    subscriber.sweep_at(0).await;
    subscriber.sweep_again().await;
    assert_eq!(subscriber.collection().await, ("invoiced".to_owned(), None, None));
    assert_eq!(subscriber.stripe.invoices().len(), 0);

    subscriber.change("customer.subscription.deleted", "business").await;
    subscriber.sweep_at(0).await;
    subscriber.sweep_again().await;
    let invoices = subscriber.stripe.invoices();
    assert_eq!((invoices.len(), &invoices[0]["status"]), (1, &json!("open")));
    assert_eq!(subscriber.stripe.invoice_items().len(), 1);
    assert_eq!(subscriber.collection().await.2.as_deref(), invoices[0]["id"].as_str());
}

#[tokio::test]
async fn an_item_on_the_invoice_of_a_renewal_is_paid_with_it() {
    let subscriber = Subscriber::buy("business").await;
    subscriber.add_requests(20_150).await;
    subscriber.end_periods().await;
    subscriber.sweep_at(0).await;
    subscriber.change("invoice.paid", "business").await;
    assert_eq!(subscriber.collection().await.0, "paid");
    assert_eq!(subscriber.stripe.invoices().len(), 0);
}

#[tokio::test]
async fn what_stripe_refuses_for_good_ends_after_a_few_attempts_and_is_told() {
    for (fields, failure) in
        [(json!({ "deleted": true }), "customer_deleted"), (json!({ "currency": "usd" }), "other_currency")]
    {
        let subscriber = Subscriber::buy("business").await;
        subscriber.add_requests(20_150).await;
        subscriber.end_periods().await;
        subscriber.stripe.change_customer(&subscriber.customer(), &fields);
        subscriber.sweep_at(0).await;
        for _ in 0..3 {
            subscriber.sweep_again().await;
            assert_eq!(subscriber.collection().await.0, "closed", "{failure}");
        }
        subscriber.sweep_again().await;
        assert_eq!(subscriber.collection().await, ("failed".to_owned(), Some(failure.to_owned()), None));
        let asked = subscriber.stripe.requests().len();
        subscriber.sweep_again().await;
        assert_eq!(subscriber.stripe.requests().len(), asked, "{failure}: nobody asks again");
        let activities = subscriber.app.activities(&subscriber.tenant).await;
        assert_eq!(activities.last().map(String::as_str), Some("overage_not_collected"));
        let audit = subscriber.app.audit_actions(&subscriber.tenant).await;
        assert!(audit.last().unwrap().starts_with("overage.not_collected billing_record:"), "{audit:?}");
        let failed = "select count(*) from jobs where kind = 'invoice_item' and status = 'failed'";
        assert_eq!(subscriber.app.number(failed).await, 1);

        // An operator has mended the cause and queues the job again.
        subscriber.stripe.change_customer(&subscriber.customer(), &json!({ "deleted": false, "currency": "eur" }));
        subscriber
            .app
            .sql(
                "update billing_records set status = 'closed', failure = null where status = 'failed';
                 update jobs set status = 'queued', attempts = 0, run_after = now() where kind = 'invoice_item'",
            )
            .await;
        subscriber.sweep_at(0).await;
        assert_eq!(subscriber.collection().await.0, "invoiced");
        assert_eq!(subscriber.stripe.invoice_items().len(), 1);
    }
}

#[tokio::test]
async fn a_refused_api_key_or_an_outage_is_not_the_end_of_an_overage() {
    for status in [401, 503] {
        let subscriber = Subscriber::buy("business").await;
        subscriber.add_requests(20_150).await;
        subscriber.end_periods().await;
        for _ in 0..7 {
            subscriber.stripe.fail_route("invoiceitems", &[StripeFault::Refuse(status); 3]);
            subscriber.sweep_again().await;
            subscriber.stripe.stop_failing();
        }
        assert_eq!(subscriber.collection().await.0, "closed", "{status}");
        // A week later it is.
        subscriber.app.sql("update jobs set attempts = 168 where kind = 'invoice_item'").await;
        subscriber.stripe.fail_route("invoiceitems", &[StripeFault::Refuse(status); 3]);
        subscriber.sweep_again().await;
        assert_eq!(subscriber.collection().await.1.as_deref(), Some("unavailable"), "{status}");
    }
}

#[tokio::test]
async fn an_invoice_falls_back_on_the_customers_payment_method_and_a_void_one_is_told() {
    let subscriber = Subscriber::buy("business").await;
    let id = subscriber.subscription()["id"].as_str().unwrap().to_owned();
    subscriber.stripe.change_subscription(&id, &json!({ "default_payment_method": "pm_detached" }));
    subscriber.add_requests(20_150).await;
    subscriber.change("customer.subscription.deleted", "business").await;
    // The answer to the finalisation is lost, and an operator voids the invoice meanwhile.
    subscriber
        .stripe
        .fail_route("finalize", &[StripeFault::LoseAnswer, StripeFault::Refuse(503), StripeFault::Refuse(503)]);
    subscriber.sweep_at(3600).await;
    let invoices = subscriber.stripe.invoices();
    assert_eq!((invoices.len(), &invoices[0]["default_payment_method"]), (1, &Value::Null));
    subscriber.stripe.change_invoice(invoices[0]["id"].as_str().unwrap(), &json!({ "status": "void" }));
    subscriber.sweep_again().await;
    assert_eq!(subscriber.collection().await, ("failed".to_owned(), Some("invoice_void".to_owned()), None));
}
