//! Stripe's webhook: POST /api/v1/webhooks/stripe.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    process::{Command, Stdio},
};

use chrono::{DateTime, TimeDelta, Utc};
use local::fakes::stripe::{FakeStripe, LIVE_KEY, StripeChange, StripeFault};
use local_postgres::{DataFolder, ProgressOutput, Python, root};
use serde_json::{Value, json};
use shared::stripe::{Event, EventKind, signature};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use super::support::{Answer, App, Tenant};

const PATH: &str = "/api/v1/webhooks/stripe";
const DAY: i64 = 86_400;

/// A subscription in the shape of these days.
fn subscription(tenant: &Tenant, status: &str, more: Value) -> Value {
    let start = Utc::now().timestamp() - 60;
    let mut object = json!({
        "id": format!("sub_{}", tenant.user_id.simple()), "object": "subscription", "status": status,
        "customer": format!("cus_{}", tenant.user_id.simple()), "created": start, "cancel_at_period_end": false,
        "metadata": { "user_id": tenant.user_id, "plan": "pro" },
        "items": { "data": [{
            "current_period_start": start, "current_period_end": start + 30 * DAY, "price": { "id": "price_x" },
        }] },
    });
    more.as_object().into_iter().flatten().for_each(|(name, value)| object[name] = value.clone());
    object
}

fn event(kind: &str, seconds_ago: i64, object: Value) -> Value {
    json!({
        "id": format!("evt_{}", Uuid::new_v4().simple()), "object": "event", "type": kind, "livemode": false,
        "created": Utc::now().timestamp() - seconds_ago, "data": { "object": object },
    })
}

fn change(kind: &str, tenant: &Tenant) -> StripeChange {
    StripeChange {
        kind: kind.to_owned(),
        user: tenant.user_id.to_string(),
        plan: "pro".to_owned(),
        cancel_at_period_end: None,
    }
}

impl App {
    async fn signed(&self, body: &str, header: Option<&str>) -> Answer {
        let call = self.post(PATH).body("application/json; charset=utf-8", body.to_owned());
        match header {
            Some(header) => call.header("stripe-signature", header).await,
            None => call.await,
        }
    }

    pub(crate) async fn deliver(&self, event: &Value) -> Answer {
        let body = event.to_string();
        let header = signature::sign(body.as_bytes(), &self.stack.secrets.stripe_webhook_secret, Utc::now());
        self.signed(&body, Some(&header)).await
    }

    async fn billing_db(&self) -> PgConnection {
        PgConnection::connect(self.stack.database.billing_admin()).await.unwrap()
    }

    async fn billing_sql(&self, statements: &str) {
        sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut self.billing_db().await).await.unwrap();
    }

    async fn billing_number(&self, query: &str) -> i64 {
        let query = format!("select ({query})::bigint");
        sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&mut self.billing_db().await).await.unwrap()
    }

    /// What the app shows of a user: is_pro, the profile's status and tier, the tenant's plan.
    async fn shown(&self, tenant: &Tenant) -> (bool, String, Option<String>, String) {
        let query = "select is_pro, subscription_status, subscription_tier, plan.name
                     from users join profiles using (id) join customers on customers.user_id = users.id
                     join plans plan on plan.id = plan_id where users.id = $1";
        sqlx::query_as(query).bind(tenant.user_id).fetch_one(&mut self.admin_db().await).await.unwrap()
    }

    async fn is_pro(&self, tenant: &Tenant) -> bool {
        let quota = self.get(&format!("/v1/quota/{}", tenant.user_id)).by(tenant).await.bare(200);
        assert!(!(quota["is_pro"] == true && quota["paywall_should_show"] == true), "{quota}");
        quota["is_pro"].as_bool().unwrap()
    }
}

fn pro(status: &str) -> (bool, String, Option<String>, String) {
    (true, status.to_owned(), Some("pro".to_owned()), "pro".to_owned())
}

fn free(status: &str) -> (bool, String, Option<String>, String) {
    (false, status.to_owned(), None, "free".to_owned())
}

#[tokio::test]
async fn only_what_stripe_signed_is_taken() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let secret = app.stack.secrets.stripe_webhook_secret.clone();
    let body = event("customer.subscription.created", 1, subscription(&tenant, "active", json!({}))).to_string();
    let sign = |seconds: i64| signature::sign(body.as_bytes(), &secret, Utc::now() + TimeDelta::seconds(seconds));
    let right = sign(0);
    let (time, v1) = right.split_once(",v1=").unwrap();
    let zeros = "0".repeat(64);
    for (what, header, sent) in [
        ("no header", None, body.clone()),
        ("an empty header", Some(String::new()), body.clone()),
        ("another secret", Some(signature::sign(body.as_bytes(), "whsec_another", Utc::now())), body.clone()),
        ("another body", Some(right.clone()), body.replace("active", "trialing")),
        ("a stale timestamp", Some(sign(-310)), body.clone()),
        ("a future timestamp", Some(sign(310)), body.clone()),
        ("only v0", Some(format!("{time},v0={v1}")), body.clone()),
        ("a wrong v1", Some(format!("{time},v1={zeros}")), body.clone()),
    ] {
        let answer = app.signed(&sent, header.as_deref()).await;
        assert_eq!(answer.status, 400, "{what}");
        answer.refused(400, "invalid_signature");
    }
    assert_eq!(app.billing_number("select count(*) from billing.stripe_events").await, 0);
    assert_eq!(app.shown(&tenant).await, free("free"));

    // Two v1 with one right, and almost five minutes either way.
    let two = format!("{time},v1={zeros},v1={v1}");
    assert_eq!(app.signed(&body, Some(&two)).await.data(200)["outcome"], "done");
    for seconds in [-290, 290] {
        assert_eq!(app.signed(&body, Some(&sign(seconds))).await.data(200)["outcome"], "repeated");
    }
    assert_eq!(app.shown(&tenant).await, pro("active"));
}

#[tokio::test]
async fn any_of_several_secrets_may_have_signed() {
    let app = App::with(&[("STRIPE_WEBHOOK_SECRET", "whsec_the_new_one_0001, whsec_the_old_one_0001")]).await;
    let body = event("invoice.created", 1, json!({ "id": "in_1" })).to_string();
    for (secret, status) in
        [("whsec_the_new_one_0001", 200), ("whsec_the_old_one_0001", 200), ("whsec_gone_00000000", 400)]
    {
        let header = signature::sign(body.as_bytes(), secret, Utc::now());
        assert_eq!(app.signed(&body, Some(&header)).await.status, status, "{secret}");
    }
}

/// Stripe's own library for Python signs and checks: neither knows of our code.
#[tokio::test]
async fn stripes_own_library_and_ours_agree() {
    const SCRIPT: &str = r#"
import json, sys, time
import stripe
request = json.load(sys.stdin)
body, secret, header = request["body"], request["secret"], request["header"]
stripe.Webhook.construct_event(body.encode(), header, secret)
now = int(time.time())
def sign(text, key, at):
    return f"t={at},v1={stripe.WebhookSignature._compute_signature(f'{at}.{text}', key)}"
print(json.dumps({
    "good": sign(body, secret, now),
    "other_secret": sign(body, "whsec_another", now),
    "other_body": sign(body + " ", secret, now),
    "stale": sign(body, secret, now - 400),
    "future": sign(body, secret, now + 400),
}))
"#;
    let app = App::start().await;
    let secret = app.stack.secrets.stripe_webhook_secret.clone();
    let body = event("invoice.created", 1, json!({ "id": "in_1", "description": "Ünïcödé ✓ F CFA" })).to_string();
    let ours = signature::sign(body.as_bytes(), &secret, Utc::now());
    let request = json!({ "body": body, "secret": secret, "header": ours }).to_string();

    let python = Python::ensure(&DataFolder::open(None).unwrap(), ProgressOutput::Silent).unwrap();
    let mut run = python.command();
    let run: &mut Command =
        run.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut run = run.spawn().unwrap();
    run.stdin.take().unwrap().write_all(request.as_bytes()).unwrap();
    let output = run.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let theirs: Value = serde_json::from_slice(&output.stdout).unwrap();

    for (name, status) in [("good", 200), ("other_secret", 400), ("other_body", 400), ("stale", 400), ("future", 400)] {
        assert_eq!(app.signed(&body, theirs[name].as_str()).await.status, status, "{name}");
    }
}

#[tokio::test]
async fn what_is_signed_but_no_event_is_refused_and_unknown_types_are_noted() {
    let app = App::start().await;
    let thin = json!({ "id": "evt_1", "object": "v2.core.event", "type": "v2.core.account.updated" });
    app.deliver(&thin).await.refused(400, "thin_event");
    app.deliver(&json!({ "object": "event" })).await.refused(400, "not_an_event");
    app.deliver(&json!([1])).await.refused(400, "not_an_event");
    let secret = app.stack.secrets.stripe_webhook_secret.clone();
    let header = signature::sign(b"{", &secret, Utc::now());
    app.signed("{", Some(&header)).await.refused(400, "malformed_json");

    let unknown = event("treasury.something.new", 1, json!({ "id": "x", "note": "NUL \0 goes" }));
    assert_eq!(app.deliver(&unknown).await.data(200)["outcome"], "unknown");
    assert_eq!(app.deliver(&unknown).await.data(200)["outcome"], "repeated");
    let noted = event("checkout.session.expired", 1, json!({ "id": "cs_1" }));
    assert_eq!(app.deliver(&noted).await.data(200)["outcome"], "noted");
    // Of a known type, without what makes it one: kept, and not asked for again.
    let broken = event("customer.subscription.updated", 1, json!({ "status": "active" }));
    assert_eq!(app.deliver(&broken).await.data(200)["outcome"], "unreadable");
    assert_eq!(app.billing_number("select count(*) from billing.stripe_events where error is not null").await, 1);
    assert_eq!(app.billing_number("select count(*) from billing.stripe_events").await, 3);
}

#[tokio::test]
async fn the_events_of_the_corpus_all_parse_and_are_taken() {
    let app = App::start().await;
    let mut kinds = BTreeSet::new();
    let mut files = 0;
    for entry in fs::read_dir(root().join("local/fixtures/stripe")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let event = Event::read(text.as_bytes()).unwrap();
        match event.parse_kind().unwrap() {
            EventKind::Subscription(read) => {
                assert!(read.period.is_some() && read.customer.is_some() && !read.prices.is_empty(), "{read:?}");
            }
            EventKind::Invoice(read) => assert!(read.id.is_some() && read.customer.is_some(), "{read:?}"),
            _ => {}
        }
        kinds.insert(event.kind.clone());
        // The corpus has one id for all.
        let mut body: Value = serde_json::from_str(&text).unwrap();
        body["id"] = json!(format!("evt_{files}"));
        assert_eq!(app.deliver(&body).await.status, 200, "{}", event.kind);
        files += 1;
    }
    assert_eq!(files, 18);
    assert!(kinds.len() > 12, "{kinds:?}");
    assert_eq!(app.billing_number("select count(*) from billing.stripe_events where projected_at is null").await, 0);
}

#[tokio::test]
async fn a_webhooks_calls_are_counted_by_its_account() {
    let app = App::with(&[("RATE_LIMIT_WEBHOOK", "2"), ("RATE_LIMIT_ADDRESS", "3")]).await;
    let noted = || event("invoice.created", 1, json!({ "id": "in_1" }));
    for remaining in ["1", "0"] {
        let answer = app.deliver(&noted()).await;
        assert_eq!((answer.status, answer.header("ratelimit-remaining")), (200, remaining));
    }
    app.deliver(&noted()).await.refused(429, "rate_limited");
    let mut other = noted();
    other["account"] = json!("acct_2");
    assert_eq!(app.deliver(&other).await.status, 200);
    // Who cannot sign is counted by address.
    for _ in 0..3 {
        app.signed("{}", Some("t=1,v1=00")).await.refused(400, "invalid_signature");
    }
    app.signed("{}", Some("t=1,v1=00")).await.refused(429, "rate_limited");
}

/// From the checkout to the end, without Stripe being asked; the checkout may be heard of last.
async fn a_life(app: &App) {
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.sql("update user_settings set free_quota_used = free_quota_limit").await;
    assert!(!app.is_pro(&tenant).await);
    let mut unnamed = subscription(&tenant, "active", json!({}));
    unnamed["metadata"] = json!({ "plan": "pro" });
    app.deliver(&event("customer.subscription.created", 50, unnamed.clone())).await.data(200);
    assert_eq!(app.shown(&tenant).await, free("free"), "nobody knows whose it is");
    let checkout = json!({
        "id": "cs_1", "mode": "subscription", "customer": unnamed["customer"], "subscription": unnamed["id"],
        "client_reference_id": tenant.user_id,
    });
    app.deliver(&event("checkout.session.completed", 49, checkout)).await.data(200);
    assert_eq!(app.shown(&tenant).await, pro("active"));
    assert!(app.is_pro(&tenant).await);
    let entries = app.get("/api/v1/audit").by(&tenant).await;
    assert_eq!(entries.body["data"][0]["action"], "subscription.changed");
    assert_eq!(entries.body["data"][0]["details"]["is_pro"], true);

    app.deliver(&event("customer.subscription.updated", 40, subscription(&tenant, "past_due", json!({}))))
        .await
        .data(200);
    assert_eq!(app.shown(&tenant).await, pro("past_due"), "the grace");
    app.deliver(&event("customer.subscription.updated", 30, subscription(&tenant, "unpaid", json!({}))))
        .await
        .data(200);
    assert_eq!(app.shown(&tenant).await, free("unpaid"));
    let ended = event("customer.subscription.deleted", 20, subscription(&tenant, "canceled", json!({})));
    app.deliver(&ended).await.data(200);
    assert_eq!(app.shown(&tenant).await, free("cancelled"));
    // A stale one, and one that claims to be newer than the end.
    for seconds_ago in [35, 1] {
        let stale = event("customer.subscription.updated", seconds_ago, subscription(&tenant, "active", json!({})));
        app.deliver(&stale).await.data(200);
        assert_eq!(app.shown(&tenant).await, free("cancelled"));
    }
    assert!(!app.is_pro(&tenant).await);
    let versions =
        app.billing_number("select count(*) from billing.subscriptions where projected_version = version").await;
    assert_eq!(versions, 1);
}

#[tokio::test]
async fn a_subscription_lives_and_ends_in_one_database() {
    a_life(&App::start().await).await;
}

#[tokio::test]
async fn a_subscription_lives_and_ends_in_two_databases() {
    a_life(&App::with_two_databases(&[]).await).await;
}

/// Where the work is stopped: the database of billing or the app's, and what then waits.
const STOPS: [(bool, &str); 7] = [
    (true, "before insert on billing.stripe_events for each row"),
    (true, "before insert or update on billing.subscription_states for each row"),
    (true, "before insert or update on billing.subscriptions for each row"),
    (true, "before update on billing.stripe_events for each row when (old.applied_at is null)"),
    (false, "before update on users for each row"),
    (false, "before update on customers for each row"),
    (true, "before update on billing.stripe_events for each row when (new.projected_at is not null)"),
];

/// Killed at each step with the statement under way, and delivered again.
async fn killed_everywhere(mut app: App) {
    for (place, (in_billing, trigger)) in STOPS.into_iter().enumerate() {
        let tenant = app.sign_up("Comptoir Baobab").await;
        let created = event("customer.subscription.created", 30, subscription(&tenant, "active", json!({})));
        let url = if in_billing { app.stack.database.billing_admin() } else { &app.stack.database.admin }.to_owned();
        let mut hold = app.hold_in(&url, trigger).await;
        {
            let delivering = app.deliver(&created);
            tokio::select! {
                answer = delivering => panic!("{trigger}: {answer:?}"),
                () = hold.is_met() => {}
            }
        }
        app = app.restart().await;
        hold.release().await;
        let mut db = PgConnection::connect(&url).await.unwrap();
        sqlx::raw_sql("drop function public.hold() cascade").execute(&mut db).await.unwrap();
        assert_eq!(app.deliver(&created).await.data(200)["outcome"], "done", "{trigger}");
        assert_eq!(app.shown(&tenant).await, pro("active"), "{trigger}");
        assert_eq!(app.deliver(&created).await.data(200)["outcome"], "repeated", "{trigger}");
        let changes = format!(
            "select count(*) from audit_log where action = 'subscription.changed' and customer_id = '{}'",
            tenant.customer_id
        );
        assert_eq!(app.number(&changes).await, 1, "{trigger}: told once");
        let done = "select count(*) from billing.stripe_events where projected_at is not null and error is null";
        assert_eq!(app.billing_number(done).await, i64::try_from(place).unwrap() + 1);
    }
}

#[tokio::test]
async fn an_event_that_was_killed_at_any_step_is_taken_up_in_one_database() {
    killed_everywhere(App::start().await).await;
}

#[tokio::test]
async fn an_event_that_was_killed_at_any_step_is_taken_up_in_two_databases() {
    killed_everywhere(App::with_two_databases(&[]).await).await;
}

#[tokio::test]
async fn a_step_that_fails_is_a_5xx_and_the_night_takes_it_up() {
    let app = App::with_two_databases(&[]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let created = event("customer.subscription.created", 30, subscription(&tenant, "active", json!({})));
    app.sql("alter table profiles rename column subscription_version to gone").await;
    app.deliver(&created).await.refused(500, "internal");
    assert_eq!(app.billing_number("select count(*) from billing.stripe_events where applied_at is not null").await, 1);
    app.deliver(&created).await.refused(500, "internal");
    app.sql("alter table profiles rename column gone to subscription_version").await;
    assert_eq!(app.shown(&tenant).await, free("free"));

    app.billing_sql("update billing.stripe_events set received_at = now() - interval '1 hour'").await;
    let report = app.stack.invoke("maintenance", json!({ "task": "reconcile" })).await.unwrap();
    assert_eq!((&report["events_finished"], &report["events_left"]), (&json!(1), &json!(0)), "{report}");
    assert_eq!(app.shown(&tenant).await, pro("active"));
    assert_eq!(app.deliver(&created).await.data(200)["outcome"], "repeated");
}

#[tokio::test]
async fn where_stripe_may_be_asked_its_word_counts_and_its_absence_is_a_5xx() {
    let stripe = FakeStripe::start(None).await.unwrap();
    let settings = stripe.settings();
    let mut settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    settings.push(("BILLING_RETURN_URL", "https://app.example.com/billing"));
    let app = App::with(&settings).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    stripe.put_subscription(subscription(&tenant, "canceled", json!({})));
    // The event is stale: at Stripe the subscription is over.
    let stale = event("customer.subscription.updated", 1, subscription(&tenant, "active", json!({})));
    stripe.fail([StripeFault::Refuse(503), StripeFault::Refuse(503), StripeFault::Refuse(503)]);
    app.deliver(&stale).await.refused(503, "unavailable");
    assert_eq!(app.billing_number("select count(*) from billing.stripe_events where applied_at is null").await, 1);
    stripe.fail([StripeFault::Refuse(429)]);
    app.deliver(&stale).await.data(200);
    assert_eq!(app.shown(&tenant).await, free("cancelled"));
    let asked = stripe.requests();
    assert_eq!(asked.len(), 5, "three tries, then two");
    assert!(asked.iter().all(|one| one.version.as_deref() == Some("2026-09-30.endive") && one.key.is_none()));

    // An invoice is about its subscription too.
    stripe.put_subscription(subscription(
        &tenant,
        "active",
        json!({ "id": "sub_new", "created": Utc::now().timestamp() }),
    ));
    let invoice = json!({
        "id": "in_1", "customer": format!("cus_{}", tenant.user_id.simple()),
        "parent": { "subscription_details": { "subscription": "sub_new" } },
    });
    app.deliver(&event("invoice.paid", 1, invoice)).await.data(200);
    assert_eq!(app.shown(&tenant).await, pro("active"));
    // One that Stripe does not have it will not have at the next delivery: what was signed counts.
    let other = app.sign_up("Autre Maison").await;
    let told = |status| subscription(&other, status, json!({ "id": "sub_told" }));
    app.deliver(&event("customer.subscription.updated", 5, told("active"))).await.data(200);
    assert_eq!(app.shown(&other).await, pro("active"));
    assert_eq!(app.activities(&other).await, ["subscription_changed"]);
    app.deliver(&event("customer.subscription.deleted", 1, told("canceled"))).await.data(200);
    assert_eq!(app.shown(&other).await, free("cancelled"));
    app.deliver(&event("customer.subscription.updated", 3, told("active"))).await.data(200);
    assert_eq!(app.shown(&other).await, free("cancelled"), "told late");
    let unpaid = json!({ "id": "in_2", "parent": { "subscription_details": { "subscription": "sub_nowhere" } } });
    app.deliver(&event("invoice.payment_failed", 1, unpaid)).await.data(200);
    assert_eq!(app.billing_number("select count(*) from billing.stripe_events where projected_at is null").await, 0);
}

#[tokio::test]
async fn what_is_played_in_test_mode_buys_nothing_where_the_money_is_real() {
    let stripe = FakeStripe::start(None).await.unwrap();
    let mut settings = stripe.settings();
    settings.insert("STRIPE_SECRET_KEY".to_owned(), LIVE_KEY.to_owned());
    let mut settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    settings.push(("BILLING_RETURN_URL", "https://app.example.com/billing"));
    let app = App::with(&settings).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let mut played = event("customer.subscription.created", 5, subscription(&tenant, "active", json!({})));
    app.deliver(&played).await.data(200);
    assert!(!app.shown(&tenant).await.0);
    played["id"] = json!("evt_real");
    played["livemode"] = json!(true);
    app.deliver(&played).await.data(200);
    assert_eq!(app.shown(&tenant).await, pro("active"));
}

#[tokio::test]
async fn who_cancels_at_the_periods_end_is_pro_until_then_and_not_after() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let object = subscription(&tenant, "active", json!({ "cancel_at_period_end": true }));
    let end = object["items"]["data"][0]["current_period_end"].as_i64().unwrap();
    app.deliver(&event("customer.subscription.updated", 1, object)).await.data(200);
    let at = |seconds: i64| json!({ "time": DateTime::from_timestamp(end + seconds, 0).unwrap().to_rfc3339() });

    let report = app.stack.invoke("maintenance", at(-1)).await.unwrap();
    assert_eq!((&report["subscriptions_ended"], app.is_pro(&tenant).await), (&json!(0), true));
    let report = app.stack.invoke("maintenance", at(0)).await.unwrap();
    assert_eq!((&report["subscriptions_ended"], app.is_pro(&tenant).await), (&json!(1), false));
    assert_eq!(app.shown(&tenant).await, free("cancelled"));
    let again = app.stack.invoke("maintenance", at(1)).await.unwrap();
    assert_eq!(again["subscriptions_ended"], 0);
}

#[tokio::test]
async fn the_api_knows_that_the_time_is_over_before_maintenance_has_said_so() {
    let app = App::with(&[("FREE_QUOTA_LIMIT", "0")]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.deliver(&event("customer.subscription.updated", 1, subscription(&tenant, "active", json!({})))).await.data(200);
    assert!(app.is_pro(&tenant).await);
    app.sql("update profiles set subscription_access_until = now() - interval '1 second'").await;
    assert!(!app.is_pro(&tenant).await);
    assert_eq!(app.get("/api/v1/quota/status").by(&tenant).await.data(200)["paywall_should_show"], true);
    app.ask(&tenant, "Combien ?").await.refused(402, "quota_exceeded");
}

#[tokio::test]
async fn a_newcomer_walks_from_free_to_pro_and_back() {
    let stripe = FakeStripe::start(None).await.unwrap();
    let settings = stripe.settings();
    let mut settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    settings.push(("BILLING_RETURN_URL", "https://app.example.com/billing"));
    let app = App::with_two_databases(&settings).await;
    app.sql("update plans set stripe_price_id = 'price_local_' || name where price_cents > 0").await;
    stripe.send_to(&format!("{}{PATH}", app.stack.base_url()), &app.stack.secrets.stripe_webhook_secret);
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.sql("update user_settings set free_quota_used = free_quota_limit").await;
    app.ask(&tenant, "Combien ?").await.refused(402, "quota_exceeded");

    let link = app.post("/api/v1/billing/checkout").by(&tenant).json(&json!({ "plan": "pro" })).await.data(200);
    let paid = app.http().post(link["url"].as_str().unwrap()).send();
    let started = std::time::Instant::now();
    // It leads back to a page that is not there.
    let _ = paid.await;
    assert!(app.is_pro(&tenant).await);
    assert!(started.elapsed().as_secs_f64() < 1.0, "{:?}", started.elapsed());
    assert_eq!(app.shown(&tenant).await, pro("active"));
    app.ask(&tenant, "Combien ?").await.data(200);

    for (kind, expected) in [
        ("invoice.payment_failed", pro("past_due")),
        ("invoice.paid", pro("active")),
        ("customer.subscription.paused", free("paused")),
        ("customer.subscription.resumed", pro("active")),
        ("customer.subscription.trial_will_end", pro("active")),
        ("invoice.payment_action_required", pro("active")),
        ("customer.subscription.deleted", free("cancelled")),
        ("checkout.session.completed", pro("active")),
        ("customer.deleted", free("cancelled")),
    ] {
        let sent = stripe.change(&change(kind, &tenant)).await.unwrap();
        assert!(!sent.is_empty() && sent.iter().all(|sent| sent.status == Some(200)), "{kind}: {sent:?}");
        assert_eq!(app.shown(&tenant).await, expected, "{kind}");
    }
    app.ask(&tenant, "Combien ?").await.refused(402, "quota_exceeded");
    let customers = app.number("select count(*) from profiles where stripe_customer_id is not null").await;
    assert_eq!(customers, 0, "the deleted customer is forgotten");
}
