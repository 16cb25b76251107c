//! Purchases: one live subscription a user, whatever is bought twice, and payments that are taken back.

use std::fs;

use chrono::Utc;
use local::fakes::stripe::{FakeStripe, StripeChange, StripeFault};
use local_postgres::root;
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{App, TenantUser};

const CHECKOUT: &str = "/api/v1/billing/checkout";
const PORTAL: &str = "/api/v1/billing/portal";
/// The time that the events of `local/fixtures/field/stripe` take for now.
const FIELD_NOW: i64 = 1_795_900_000;

/// An event of `local/fixtures/field/stripe`, with this user, the prices of the plans, and its times moved to now.
pub(crate) fn field_event(name: &str, user: Uuid) -> Value {
    let text = fs::read_to_string(root().join("local/fixtures/field/stripe").join(name)).unwrap();
    let text = text.replace("USER_ID", &user.to_string());
    let text = text.replace("PRICE_PRO", "price_local_pro").replace("PRICE_BUSINESS", "price_local_business");
    let mut event = serde_json::from_str(&text).unwrap();
    move_times(&mut event, Utc::now().timestamp() - FIELD_NOW);
    event
}

fn move_times(value: &mut Value, seconds: i64) {
    match value {
        Value::Number(number) => {
            if let Some(time) = number.as_i64().filter(|time| *time > 1_500_000_000) {
                *value = json!(time + seconds);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| move_times(item, seconds)),
        Value::Object(fields) => fields.values_mut().for_each(|field| move_times(field, seconds)),
        _ => {}
    }
}

/// A product whose paid plans have prices at a fake Stripe that sends its events.
pub(crate) struct Shop {
    pub(crate) app: App,
    pub(crate) stripe: FakeStripe,
    pub(crate) owner: TenantUser,
}

impl Shop {
    pub(crate) async fn open(more: &[(&str, &str)]) -> Self {
        let stripe = FakeStripe::start(None).await.unwrap();
        let settings = stripe.settings();
        let mut settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        settings.push(("BILLING_RETURN_URL", "https://app.example.com/billing"));
        settings.extend(more);
        let app = App::with_settings(&settings).await;
        app.sql("update plans set stripe_price_id = 'price_local_' || name where price_cents > 0").await;
        let owner = app.sign_up("Comptoir Baobab").await;
        Self { app, stripe, owner }
    }

    /// Lets the fake Stripe send its events.
    pub(crate) fn send_events(&self) {
        let url = format!("{}/api/v1/webhooks/stripe", self.app.stack.base_url());
        self.stripe.send_to(&url, &self.app.stack.secrets.stripe_webhook_secret);
    }

    async fn check_out(&self) -> super::support::TestResponse {
        self.app.post(CHECKOUT).by(&self.owner).json(&json!({ "plan": "pro" })).await
    }

    /// Pays the page of a checkout, and returns whether it could be paid.
    async fn pay(&self, link: &Value) -> bool {
        let no_redirect = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
        let http = no_redirect.timeout(std::time::Duration::from_secs(30)).build().unwrap();
        http.post(link["url"].as_str().unwrap()).send().await.unwrap().status().is_redirection()
    }

    /// Buys a plan on a page that the product did not open.
    pub(crate) async fn buy(&self, plan: &str) {
        self.change("checkout.session.completed", plan).await;
    }

    async fn change(&self, kind: &str, plan: &str) {
        let change = StripeChange {
            kind: kind.to_owned(),
            user: self.owner.user_id.to_string(),
            plan: plan.to_owned(),
            cancel_at_period_end: None,
        };
        let sent = self.stripe.change(&change).await.unwrap();
        assert!(sent.iter().all(|sent| sent.status == Some(200)), "{sent:?}");
    }

    /// Ids of the subscriptions that are live at Stripe.
    fn live(&self) -> Vec<String> {
        let all = self.stripe.subscriptions();
        let live = all.iter().filter(|one| one["status"] != "canceled");
        live.map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    }

    async fn counting(&self) -> String {
        let id = "select stripe_subscription_id from billing.subscriptions where user_id = $1";
        let user = self.owner.user_id.to_string();
        sqlx::query_scalar(id).bind(user).fetch_one(&mut self.app.billing_db().await).await.unwrap()
    }

    /// Number of audit entries of the tenant with this action.
    async fn audited(&self, action: &str) -> i64 {
        let tenant = self.owner.customer_id;
        let count = format!("select count(*) from audit_log where customer_id = '{tenant}' and action = '{action}'");
        self.app.number(&count).await
    }

    /// Number of activities of the tenant of this type.
    async fn told(&self, kind: &str) -> usize {
        self.app.activities(&self.owner).await.iter().filter(|told| *told == kind).count()
    }

    async fn is_pro(&self) -> bool {
        self.app.get("/api/v1/quota/status").by(&self.owner).await.data(200)["is_pro"] == true
    }
}

#[tokio::test]
async fn a_subscription_that_stripe_may_still_collect_leads_to_the_portal_instead_of_a_second_one() {
    for (file, status) in [
        ("past_due_beyond_grace.json", "past_due"),
        ("unpaid.json", "unpaid"),
        ("unpaid.json", "paused"),
        ("unpaid.json", "incomplete"),
    ] {
        let shop = Shop::open(&[]).await;
        let mut event = field_event(file, shop.owner.user_id);
        event["data"]["object"]["status"] = json!(status);
        shop.app.deliver_stripe_event(&event).await.data(200);
        // The grace of a late payment begins with this event.
        assert_eq!(shop.is_pro().await, status == "past_due", "{status}");
        let answer = shop.check_out().await;
        assert!(answer.body["error"]["message"].as_str().unwrap().contains("portal"), "{}", answer.text);
        let details = answer.refused(409, "subscription_open");
        assert_eq!(details, json!({ "status": status, "portal": PORTAL, "can_open_portal": true }));
        let opened = shop.stripe.requests().iter().filter(|one| one.route == "POST /v1/checkout/sessions").count();
        assert_eq!(opened, 0, "{status}");

        // Once it is over, another plan can be bought.
        event["id"] = json!("evt_over");
        event["type"] = json!("customer.subscription.deleted");
        shop.app.deliver_stripe_event(&event).await.data(200);
        shop.check_out().await.data(200);
    }
}

#[tokio::test]
async fn an_ended_subscription_that_is_newer_does_not_hide_one_that_is_unpaid() {
    let shop = Shop::open(&[]).await;
    let unpaid = field_event("unpaid.json", shop.owner.user_id);
    shop.app.deliver_stripe_event(&unpaid).await.data(200);
    let mut ended = unpaid.clone();
    ended["id"] = json!("evt_ended");
    ended["type"] = json!("customer.subscription.deleted");
    ended["data"]["object"]["id"] = json!("sub_newer");
    ended["data"]["object"]["created"] = json!(Utc::now().timestamp() - 60);
    shop.app.deliver_stripe_event(&ended).await.data(200);
    shop.check_out().await.refused(409, "subscription_open");
}

#[tokio::test]
async fn the_next_checkout_expires_the_open_page() {
    let shop = Shop::open(&[]).await;
    shop.send_events();
    let first = shop.check_out().await.data(200);
    let second = shop.check_out().await.data(200);
    assert_ne!(first, second);
    assert!(!shop.pay(&first).await, "the first page is closed");
    assert!(shop.pay(&second).await);
    assert_eq!(shop.live().len(), 1);
    assert!(shop.is_pro().await);
    let details = shop.check_out().await.refused(409, "already_subscribed");
    assert_eq!((&details["status"], &details["portal"]), (&json!("active"), &json!(PORTAL)));
    let statuses = "select count(*) from checkout_sessions where status = 'expired'";
    assert_eq!(shop.app.number(statuses).await, 1);

    // After an outage of Stripe in between, nothing was opened, and the next call expires the page all the same.
    shop.change("customer.subscription.deleted", "pro").await;
    let third = shop.check_out().await.data(200);
    shop.stripe.fail([StripeFault::Refuse(503); 3]);
    shop.check_out().await.refused(503, "unavailable");
    shop.check_out().await.data(200);
    assert!(!shop.pay(&third).await);
}

#[tokio::test]
async fn of_two_checkouts_at_once_one_page_can_be_paid() {
    let shop = Shop::open(&[]).await;
    shop.send_events();
    let (one, other) = tokio::join!(shop.check_out(), shop.check_out());
    let (one, other) = (one.data(200), other.data(200));
    let paid = [shop.pay(&one).await, shop.pay(&other).await];
    assert_eq!(paid.iter().filter(|paid| **paid).count(), 1, "{paid:?}");
    assert_eq!(shop.live().len(), 1);
}

#[tokio::test]
async fn a_checkout_that_was_paid_but_not_reported_yet_cannot_be_bought_again() {
    let shop = Shop::open(&[]).await;
    let link = shop.check_out().await.data(200);
    // The fake Stripe has no webhook to report the payment to.
    shop.pay(&link).await;
    assert_eq!(shop.live().len(), 1);
    let details = shop.check_out().await.refused(409, "checkout_completed");
    assert_eq!(details["portal"], PORTAL);
    // It was cancelled on the same day: the paid page keeps nobody from buying again.
    let mut over = shop.stripe.subscriptions().remove(0);
    over["status"] = json!("canceled");
    shop.stripe.put_subscription(over);
    shop.check_out().await.data(200);
}

#[tokio::test]
async fn of_two_paid_subscriptions_one_counts_and_the_other_is_cancelled_and_told_once() {
    let shop = Shop::open(&[]).await;
    shop.send_events();
    shop.buy("pro").await;
    shop.buy("business").await;
    assert_eq!(shop.live(), [shop.counting().await]);
    assert!(shop.is_pro().await);
    for _ in 0..2 {
        // Neither later events nor maintenance tell or cancel anything again.
        shop.change("customer.subscription.created", "pro").await;
        shop.app.stack.invoke("maintenance", json!({})).await.unwrap();
    }
    for kind in ["subscription_duplicate", "subscription_duplicate_cancelled"] {
        assert_eq!(shop.told(kind).await, 1, "{kind}");
    }
    for action in ["subscription.duplicate_found", "subscription.duplicate_cancelled"] {
        assert_eq!(shop.audited(action).await, 1, "{action}");
    }
    let cancelled = shop.stripe.requests().iter().filter(|one| one.route.starts_with("DELETE ")).count();
    assert_eq!((shop.live().len(), cancelled), (1, 1));
}

#[tokio::test]
async fn a_weaker_plan_that_is_paid_later_does_not_take_the_place_of_a_better_one() {
    let shop = Shop::open(&[]).await;
    shop.send_events();
    shop.buy("business").await;
    let better = shop.counting().await;
    shop.buy("pro").await;
    assert_eq!((shop.counting().await, shop.live()), (better.clone(), vec![better]));
    let subscription = shop.app.get("/api/v1/billing/subscription").by(&shop.owner).await.data(200);
    assert_eq!(subscription["plan"], "business", "{subscription}");
}

/// Delivers a paid checkout of a page that the product did not open: the buyer wrote the user's id.
async fn pay_by_link(shop: &Shop, customer: &str, subscription: &str) {
    let start = Utc::now().timestamp() - 60;
    let bought = json!({
        "id": subscription, "object": "subscription", "status": "active", "customer": customer, "created": start,
        "cancel_at_period_end": false, "metadata": {},
        "items": { "data": [{
            "current_period_start": start, "current_period_end": start + 30 * 86_400,
            "price": { "id": "price_local_pro" },
        }] },
    });
    shop.stripe.put_subscription(bought.clone());
    shop.app.deliver_stripe_event(&event("customer.subscription.created", bought)).await.data(200);
    let session = json!({
        "id": format!("cs_{subscription}"), "mode": "subscription", "customer": customer,
        "subscription": subscription, "client_reference_id": shop.owner.user_id, "metadata": {},
    });
    shop.app.deliver_stripe_event(&event("checkout.session.completed", session)).await.data(200);
}

#[tokio::test]
async fn a_payment_link_makes_a_first_customer_of_a_user_and_no_second_one() {
    let shop = Shop::open(&[]).await;
    shop.send_events();
    pay_by_link(&shop, "cus_first", "sub_first").await;
    assert_eq!(shop.counting().await, "sub_first");

    pay_by_link(&shop, "cus_stranger", "sub_stranger").await;
    shop.app.stack.invoke("maintenance", json!({})).await.unwrap();
    assert_eq!(shop.counting().await, "sub_first");
    assert_eq!(shop.live(), ["sub_first", "sub_stranger"], "nothing is cancelled at Stripe");
    let nobodys = "select count(*) from billing.subscription_states where id = 'sub_stranger' and user_id is null";
    assert_eq!(shop.app.billing_number(nobodys).await, 1);
    let linked = "select count(*) from billing.stripe_customers where id = 'cus_stranger'";
    assert_eq!(shop.app.billing_number(linked).await, 0, "the portal stays the user's own");
}

#[tokio::test]
async fn a_period_that_ends_in_a_far_age_stops_neither_the_event_nor_maintenance() {
    let shop = Shop::open(&[]).await;
    let start = Utc::now().timestamp() - 60;
    for end in [8_210_266_876_799_i64, 253_402_300_799, i64::MAX] {
        let object = json!({
            "id": format!("sub_{end}"), "object": "subscription", "status": "active", "customer": "cus_far",
            "created": start, "cancel_at_period_end": false, "metadata": { "user_id": shop.owner.user_id },
            "items": { "data": [{
                "current_period_start": start, "current_period_end": end, "price": { "id": "price_local_pro" },
            }] },
        });
        shop.stripe.put_subscription(object.clone());
        shop.app.deliver_stripe_event(&event("customer.subscription.updated", object)).await.data(200);
        shop.app.stack.invoke("maintenance", json!({})).await.unwrap();
    }
    assert!(shop.is_pro().await);
}

#[tokio::test]
async fn with_the_setting_off_the_second_subscription_is_only_told() {
    let shop = Shop::open(&[("BILLING_CANCEL_DUPLICATES", "false")]).await;
    shop.send_events();
    shop.buy("pro").await;
    shop.buy("pro").await;
    shop.app.stack.invoke("maintenance", json!({})).await.unwrap();
    assert_eq!(shop.live().len(), 2);
    assert_eq!((shop.told("subscription_duplicate").await, shop.audited("subscription.duplicate_found").await), (1, 1));
    assert_eq!(shop.told("subscription_duplicate_cancelled").await, 0);
}

#[tokio::test]
async fn a_cancellation_that_stripe_refuses_is_repeated_with_an_end() {
    let shop = Shop::open(&[]).await;
    shop.send_events();
    shop.buy("pro").await;
    // The event of the purchase asks for the subscription first, then for the cancellation, three times.
    let refuse = StripeFault::Refuse(503);
    shop.stripe.fail([StripeFault::Serve, refuse, refuse, refuse]);
    shop.buy("pro").await;
    assert_eq!((shop.live().len(), shop.told("subscription_duplicate").await), (2, 1));
    shop.app.stack.invoke("maintenance", json!({})).await.unwrap();
    assert_eq!(shop.live().len(), 2, "not due yet");
    let due = "update billing.duplicate_subscriptions set next_attempt_at = now()";
    shop.app.billing_sql(due).await;
    // Stripe cancels it, and the answer is lost.
    shop.stripe.fail([StripeFault::LoseAnswer]);
    shop.app.stack.invoke("maintenance", json!({})).await.unwrap();
    assert_eq!(shop.live(), [shop.counting().await]);
    assert_eq!(shop.told("subscription_duplicate_cancelled").await, 1);

    // The tenth attempt is the last one.
    shop.stripe.fail([StripeFault::Serve, refuse, refuse, refuse]);
    shop.buy("pro").await;
    assert_eq!(shop.live().len(), 2);
    shop.app.billing_sql(&format!("{due}, attempts = 9 where status = 'open'")).await;
    shop.stripe.fail([StripeFault::Refuse(400)]);
    shop.app.stack.invoke("maintenance", json!({})).await.unwrap();
    assert_eq!((shop.live().len(), shop.told("subscription_duplicate_left").await), (2, 1));
    shop.app.billing_sql(due).await;
    shop.app.stack.invoke("maintenance", json!({})).await.unwrap();
    assert_eq!((shop.live().len(), shop.told("subscription_duplicate_left").await), (2, 1), "given up");
}

#[tokio::test]
async fn a_second_subscription_is_kept_when_the_first_ends_before_it_is_cancelled() {
    let shop = Shop::open(&[]).await;
    shop.send_events();
    shop.buy("pro").await;
    let refuse = StripeFault::Refuse(503);
    shop.stripe.fail([StripeFault::Serve, refuse, refuse, refuse]);
    shop.buy("pro").await;
    let counted = shop.counting().await;
    let mut over = shop.stripe.subscriptions().into_iter().find(|one| one["id"] == counted.as_str()).unwrap();
    over["status"] = json!("canceled");
    shop.stripe.put_subscription(over.clone());
    let event = json!({
        "id": "evt_over", "object": "event", "type": "customer.subscription.deleted", "livemode": false,
        "created": Utc::now().timestamp(), "data": { "object": over },
    });
    shop.app.deliver_stripe_event(&event).await.data(200);
    shop.app.billing_sql("update billing.duplicate_subscriptions set next_attempt_at = now()").await;
    shop.app.stack.invoke("maintenance", json!({})).await.unwrap();
    assert_eq!(shop.live(), [shop.counting().await]);
    assert_ne!(shop.counting().await, counted);
    assert!(shop.is_pro().await);
}

fn event(kind: &str, object: Value) -> Value {
    json!({
        "id": format!("evt_{}", Uuid::new_v4().simple()), "object": "event", "type": kind, "livemode": false,
        "created": Utc::now().timestamp(), "data": { "object": object },
    })
}

#[tokio::test]
async fn disputes_and_refunds_are_activities_of_the_owner_once() {
    let shop = Shop::open(&[]).await;
    let subscription = field_event("unpaid.json", shop.owner.user_id);
    shop.app.deliver_stripe_event(&subscription).await.data(200);
    let charge = json!({
        "id": "ch_1", "object": "charge", "customer": subscription["data"]["object"]["customer"], "amount": 2900,
        "amount_refunded": 500, "currency": "eur", "status": "succeeded",
    });
    shop.stripe.put_charge(charge.clone());
    let refund = json!({ "id": "re_1", "charge": "ch_1", "amount": 500, "currency": "eur", "status": "succeeded" });
    let dispute =
        |status: &str| json!({ "id": "dp_1", "charge": "ch_1", "amount": 2900, "currency": "eur", "status": status });
    for sent in [
        event("charge.refunded", charge),
        event("refund.created", refund.clone()),
        event("refund.updated", refund),
        event("charge.dispute.created", dispute("needs_response")),
        event("charge.dispute.funds_withdrawn", dispute("needs_response")),
        event("charge.dispute.closed", dispute("lost")),
    ] {
        assert_eq!(shop.app.deliver_stripe_event(&sent).await.data(200)["outcome"], "done", "{}", sent["type"]);
        assert_eq!(shop.app.deliver_stripe_event(&sent).await.data(200)["outcome"], "repeated");
    }
    let told = shop.app.activities(&shop.owner).await;
    let told: Vec<_> = told.iter().filter(|kind| kind.starts_with("payment_")).map(String::as_str).collect();
    assert_eq!(told, ["payment_refunded", "payment_disputed", "payment_dispute_closed"]);
    for action in ["payment.refunded", "payment.disputed", "payment.dispute_closed"] {
        assert_eq!(shop.audited(action).await, 1, "{action}");
    }
    // A charge of nobody's is accepted, and an outage of Stripe is not.
    let other = json!({ "id": "dp_2", "charge": "ch_2", "amount": 1, "currency": "eur", "status": "needs_response" });
    shop.stripe.fail([StripeFault::Refuse(503); 3]);
    let sent = event("charge.dispute.created", other);
    shop.app.deliver_stripe_event(&sent).await.refused(503, "unavailable");
    shop.app.deliver_stripe_event(&sent).await.data(200);
    assert_eq!(shop.told("payment_disputed").await, 1);
}
