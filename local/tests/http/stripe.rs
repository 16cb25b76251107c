//! POST /api/v1/webhooks/stripe: signatures, subscription states, crashes and reconciliation.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    process::{Command, Stdio},
};

use chrono::{DateTime, TimeDelta, Utc};
use local::fakes::stripe::{FakeStripe, LIVE_KEY, StripeChange, StripeFault};
use local_postgres::{ProgressOutput, Python, root};
use serde_json::{Value, json};
use shared::stripe::{Event, EventKind, signature};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use super::support::{App, TenantUser, TestResponse};

const PATH: &str = "/api/v1/webhooks/stripe";
const DAY: i64 = 86_400;

/// A subscription object as the current API version of Stripe has it; `more` overrides fields.
pub(crate) fn subscription(tenant: &TenantUser, status: &str, more: Value) -> Value {
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

pub(crate) fn event(kind: &str, seconds_ago: i64, object: Value) -> Value {
    json!({
        "id": format!("evt_{}", Uuid::new_v4().simple()), "object": "event", "type": kind, "livemode": false,
        "created": Utc::now().timestamp() - seconds_ago, "data": { "object": object },
    })
}

fn change(kind: &str, tenant: &TenantUser) -> StripeChange {
    StripeChange {
        kind: kind.to_owned(),
        user: tenant.user_id.to_string(),
        plan: "pro".to_owned(),
        cancel_at_period_end: None,
    }
}

impl App {
    /// Posts a body with this `stripe-signature` header.
    async fn post_with_signature(&self, body: &str, header: Option<&str>) -> TestResponse {
        let call = self.post(PATH).body("application/json; charset=utf-8", body.to_owned());
        match header {
            Some(header) => call.header("stripe-signature", header).await,
            None => call.await,
        }
    }

    /// Delivers an event with a valid signature.
    pub(crate) async fn deliver_stripe_event(&self, event: &Value) -> TestResponse {
        let body = event.to_string();
        let header = signature::sign(body.as_bytes(), &self.stack.secrets.stripe_webhook_secret, Utc::now());
        self.post_with_signature(&body, Some(&header)).await
    }

    pub(crate) async fn billing_db(&self) -> PgConnection {
        PgConnection::connect(self.stack.database.billing_admin()).await.unwrap()
    }

    pub(crate) async fn billing_sql(&self, statements: &str) {
        sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut self.billing_db().await).await.unwrap();
    }

    pub(crate) async fn billing_number(&self, query: &str) -> i64 {
        let query = format!("select ({query})::bigint");
        sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&mut self.billing_db().await).await.unwrap()
    }

    /// The projected state of a user: is_pro, the profile's status and tier, and the name of the tenant's plan.
    async fn projected_state(&self, tenant: &TenantUser) -> (bool, String, Option<String>, String) {
        let query = "select is_pro, subscription_status, subscription_tier, plan.name
                     from users join profiles using (id) join customers on customers.user_id = users.id
                     join plans plan on plan.id = plan_id where users.id = $1";
        sqlx::query_as(query).bind(tenant.user_id).fetch_one(&mut self.admin_db().await).await.unwrap()
    }

    async fn is_pro(&self, tenant: &TenantUser) -> bool {
        let quota = self.get(&format!("/v1/quota/{}", tenant.user_id)).by(tenant).await.json_body(200);
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
async fn only_events_signed_by_stripe_are_accepted() {
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
        let answer = app.post_with_signature(&sent, header.as_deref()).await;
        assert_eq!(answer.status, 400, "{what}");
        answer.refused(400, "invalid_signature");
    }
    assert_eq!(app.billing_number("select count(*) from billing.stripe_events").await, 0);
    assert_eq!(app.projected_state(&tenant).await, free("free"));

    // One valid v1 signature among two is enough, and timestamps may be almost five minutes off.
    let two = format!("{time},v1={zeros},v1={v1}");
    assert_eq!(app.post_with_signature(&body, Some(&two)).await.data(200)["outcome"], "done");
    for seconds in [-290, 290] {
        assert_eq!(app.post_with_signature(&body, Some(&sign(seconds))).await.data(200)["outcome"], "repeated");
    }
    assert_eq!(app.projected_state(&tenant).await, pro("active"));
}

#[tokio::test]
async fn an_event_signed_with_any_configured_secret_is_accepted() {
    let app = App::with_settings(&[("STRIPE_WEBHOOK_SECRET", "whsec_the_new_one_0001, whsec_the_old_one_0001")]).await;
    let body = event("invoice.created", 1, json!({ "id": "in_1" })).to_string();
    for (secret, status) in
        [("whsec_the_new_one_0001", 200), ("whsec_the_old_one_0001", 200), ("whsec_gone_00000000", 400)]
    {
        let header = signature::sign(body.as_bytes(), secret, Utc::now());
        assert_eq!(app.post_with_signature(&body, Some(&header)).await.status, status, "{secret}");
    }
}

/// Checks signatures in both directions against Stripe's Python library.
#[tokio::test]
async fn signatures_agree_with_the_stripe_python_library() {
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

    let python = Python::ensure(ProgressOutput::Silent).unwrap();
    let mut run = python.command();
    let run: &mut Command =
        run.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut run = run.spawn().unwrap();
    run.stdin.take().unwrap().write_all(request.as_bytes()).unwrap();
    let output = run.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let theirs: Value = serde_json::from_slice(&output.stdout).unwrap();

    for (name, status) in [("good", 200), ("other_secret", 400), ("other_body", 400), ("stale", 400), ("future", 400)] {
        assert_eq!(app.post_with_signature(&body, theirs[name].as_str()).await.status, status, "{name}");
    }
}

#[tokio::test]
async fn signed_non_events_are_refused_and_unknown_event_types_are_stored() {
    let app = App::start().await;
    let thin = json!({ "id": "evt_1", "object": "v2.core.event", "type": "v2.core.account.updated" });
    app.deliver_stripe_event(&thin).await.refused(400, "thin_event");
    app.deliver_stripe_event(&json!({ "object": "event" })).await.refused(400, "not_an_event");
    app.deliver_stripe_event(&json!([1])).await.refused(400, "not_an_event");
    let secret = app.stack.secrets.stripe_webhook_secret.clone();
    let header = signature::sign(b"{", &secret, Utc::now());
    app.post_with_signature("{", Some(&header)).await.refused(400, "malformed_json");

    let unknown = event("treasury.something.new", 1, json!({ "id": "x", "note": "NUL \0 goes" }));
    assert_eq!(app.deliver_stripe_event(&unknown).await.data(200)["outcome"], "unknown");
    assert_eq!(app.deliver_stripe_event(&unknown).await.data(200)["outcome"], "repeated");
    let noted = event("checkout.session.expired", 1, json!({ "id": "cs_1" }));
    assert_eq!(app.deliver_stripe_event(&noted).await.data(200)["outcome"], "noted");
    // An event of a known type without the required fields is stored, and Stripe need not deliver it again.
    let broken = event("customer.subscription.updated", 1, json!({ "status": "active" }));
    assert_eq!(app.deliver_stripe_event(&broken).await.data(200)["outcome"], "unreadable");
    assert_eq!(app.billing_number("select count(*) from billing.stripe_events where error is not null").await, 1);
    assert_eq!(app.billing_number("select count(*) from billing.stripe_events").await, 3);
}

#[tokio::test]
async fn all_fixture_events_parse_and_are_accepted() {
    let app = App::start().await;
    let mut kinds = BTreeSet::new();
    let mut files = 0;
    for entry in fs::read_dir(root().join("local/fixtures/stripe")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let event = Event::read(text.as_bytes()).unwrap();
        match event.parse_kind().unwrap() {
            EventKind::Subscription(read) => {
                assert!(read.period.is_some() && read.customer.is_some() && !read.items.is_empty(), "{read:?}");
            }
            EventKind::Invoice(read) => assert!(read.id.is_some() && read.customer.is_some(), "{read:?}"),
            _ => {}
        }
        kinds.insert(event.kind.clone());
        // All fixture files have one event id.
        let mut body: Value = serde_json::from_str(&text).unwrap();
        body["id"] = json!(format!("evt_{files}"));
        assert_eq!(app.deliver_stripe_event(&body).await.status, 200, "{}", event.kind);
        files += 1;
    }
    assert_eq!(files, 18);
    assert!(kinds.len() > 12, "{kinds:?}");
    assert_eq!(app.billing_number("select count(*) from billing.stripe_events where projected_at is null").await, 0);
}

#[tokio::test]
async fn webhook_calls_are_limited_by_stripe_account() {
    let app = App::with_settings(&[("RATE_LIMIT_WEBHOOK", "2"), ("RATE_LIMIT_ADDRESS", "3")]).await;
    let noted = || event("invoice.created", 1, json!({ "id": "in_1" }));
    for remaining in ["1", "0"] {
        let answer = app.deliver_stripe_event(&noted()).await;
        assert_eq!((answer.status, answer.header("ratelimit-remaining")), (200, remaining));
    }
    app.deliver_stripe_event(&noted()).await.refused(429, "rate_limited");
    let mut other = noted();
    other["account"] = json!("acct_2");
    assert_eq!(app.deliver_stripe_event(&other).await.status, 200);
    // Calls with an invalid signature are limited by address.
    for _ in 0..3 {
        app.post_with_signature("{}", Some("t=1,v1=00")).await.refused(400, "invalid_signature");
    }
    app.post_with_signature("{}", Some("t=1,v1=00")).await.refused(429, "rate_limited");
}

/// A call over the address's limit is refused whatever its signature, so a body costs no more hashes than the limit.
#[tokio::test]
async fn the_address_is_counted_before_a_body_is_hashed() {
    let app = App::with_settings(&[("RATE_LIMIT_WEBHOOK_ADDRESS", "3")]).await;
    let noted = event("invoice.created", 1, json!({ "id": "in_1" })).to_string();
    let secret = app.stack.secrets.stripe_webhook_secret.clone();
    let right = signature::sign(noted.as_bytes(), &secret, Utc::now());
    let time = right.split(',').next().unwrap();
    // A header that is refused by itself is not counted here: nothing is hashed for it.
    for header in ["t=1,v1=00", &format!("{time},v1=00"), &format!("t={},v1={}", i64::MAX, "0".repeat(64))] {
        app.post_with_signature(&noted, Some(header)).await.refused(400, "invalid_signature");
    }
    let many = format!("{time}{}", format!(",v1={}", "0".repeat(64)).repeat(40));
    for _ in 0..2 {
        app.post_with_signature(&noted, Some(&many)).await.refused(400, "invalid_signature");
    }
    app.post_with_signature(&noted, Some(&right)).await.data(200);
    app.post_with_signature(&noted, Some(&right)).await.refused(429, "rate_limited");
}

/// Delivers the events of a subscription from checkout to cancellation, without an API key. The checkout event comes
/// after that of the subscription.
async fn check_subscription_lifecycle(app: &App) {
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.sql("update user_settings set free_quota_used = free_quota_limit").await;
    assert!(!app.is_pro(&tenant).await);
    let mut unnamed = subscription(&tenant, "active", json!({}));
    unnamed["metadata"] = json!({ "plan": "pro" });
    app.deliver_stripe_event(&event("customer.subscription.created", 50, unnamed.clone())).await.data(200);
    assert_eq!(app.projected_state(&tenant).await, free("free"), "nobody knows whose it is");
    let checkout = json!({
        "id": "cs_1", "mode": "subscription", "customer": unnamed["customer"], "subscription": unnamed["id"],
        "client_reference_id": tenant.user_id,
    });
    app.deliver_stripe_event(&event("checkout.session.completed", 49, checkout)).await.data(200);
    assert_eq!(app.projected_state(&tenant).await, pro("active"));
    assert!(app.is_pro(&tenant).await);
    let entries = app.get("/api/v1/audit").by(&tenant).await;
    assert_eq!(entries.body["data"][0]["action"], "subscription.changed");
    assert_eq!(entries.body["data"][0]["details"]["is_pro"], true);

    app.deliver_stripe_event(&event("customer.subscription.updated", 40, subscription(&tenant, "past_due", json!({}))))
        .await
        .data(200);
    assert_eq!(app.projected_state(&tenant).await, pro("past_due"), "the grace");
    app.deliver_stripe_event(&event("customer.subscription.updated", 30, subscription(&tenant, "unpaid", json!({}))))
        .await
        .data(200);
    assert_eq!(app.projected_state(&tenant).await, free("unpaid"));
    let ended = event("customer.subscription.deleted", 20, subscription(&tenant, "canceled", json!({})));
    app.deliver_stripe_event(&ended).await.data(200);
    assert_eq!(app.projected_state(&tenant).await, free("cancelled"));
    // Neither a stale event nor a newer one reactivates a deleted subscription.
    for seconds_ago in [35, 1] {
        let stale = event("customer.subscription.updated", seconds_ago, subscription(&tenant, "active", json!({})));
        app.deliver_stripe_event(&stale).await.data(200);
        assert_eq!(app.projected_state(&tenant).await, free("cancelled"));
    }
    assert!(!app.is_pro(&tenant).await);
    let versions =
        app.billing_number("select count(*) from billing.subscriptions where projected_version = version").await;
    assert_eq!(versions, 1);
}

#[tokio::test]
async fn a_subscription_goes_from_checkout_to_cancellation_in_one_database() {
    check_subscription_lifecycle(&App::start().await).await;
}

#[tokio::test]
async fn a_subscription_goes_from_checkout_to_cancellation_in_two_databases() {
    check_subscription_lifecycle(&App::with_two_databases(&[]).await).await;
}

/// Points at which the work is killed: true for the billing database, and the trigger whose statement is held.
const KILL_POINTS: [(bool, &str); 7] = [
    (true, "before insert on billing.stripe_events for each row"),
    (true, "before insert or update on billing.subscription_states for each row"),
    (true, "before insert or update on billing.subscriptions for each row"),
    (true, "before update on billing.stripe_events for each row when (old.applied_at is null)"),
    (false, "before update on users for each row"),
    (false, "before update on customers for each row"),
    (true, "before update on billing.stripe_events for each row when (new.projected_at is not null)"),
];

/// Kills the app at each of [`KILL_POINTS`] during the delivery of an event, and delivers the event again.
async fn check_kill_at_every_step(mut app: App) {
    for (place, (in_billing, trigger)) in KILL_POINTS.into_iter().enumerate() {
        let tenant = app.sign_up("Comptoir Baobab").await;
        let created = event("customer.subscription.created", 30, subscription(&tenant, "active", json!({})));
        let url = if in_billing { app.stack.database.billing_admin() } else { &app.stack.database.admin }.to_owned();
        let mut hold = app.hold_statements_in(&url, trigger).await;
        {
            let delivering = app.deliver_stripe_event(&created);
            tokio::select! {
                answer = delivering => panic!("{trigger}: {answer:?}"),
                () = hold.wait_for_held_statement() => {}
            }
        }
        app = app.restart().await;
        hold.release().await;
        let mut db = PgConnection::connect(&url).await.unwrap();
        sqlx::raw_sql("drop function public.hold() cascade").execute(&mut db).await.unwrap();
        assert_eq!(app.deliver_stripe_event(&created).await.data(200)["outcome"], "done", "{trigger}");
        assert_eq!(app.projected_state(&tenant).await, pro("active"), "{trigger}");
        assert_eq!(app.deliver_stripe_event(&created).await.data(200)["outcome"], "repeated", "{trigger}");
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
async fn an_event_killed_at_any_step_is_completed_by_redelivery_in_one_database() {
    check_kill_at_every_step(App::start().await).await;
}

#[tokio::test]
async fn an_event_killed_at_any_step_is_completed_by_redelivery_in_two_databases() {
    check_kill_at_every_step(App::with_two_databases(&[]).await).await;
}

#[tokio::test]
async fn a_failed_step_returns_500_and_reconciliation_completes_the_event() {
    let app = App::with_two_databases(&[]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let created = event("customer.subscription.created", 30, subscription(&tenant, "active", json!({})));
    app.sql("alter table profiles rename column subscription_version to gone").await;
    app.deliver_stripe_event(&created).await.refused(500, "internal");
    assert_eq!(app.billing_number("select count(*) from billing.stripe_events where applied_at is not null").await, 1);
    app.deliver_stripe_event(&created).await.refused(500, "internal");
    app.sql("alter table profiles rename column gone to subscription_version").await;
    assert_eq!(app.projected_state(&tenant).await, free("free"));

    app.billing_sql("update billing.stripe_events set received_at = now() - interval '1 hour'").await;
    let report = app.stack.invoke("maintenance", json!({ "task": "reconcile" })).await.unwrap();
    assert_eq!((&report["events_finished"], &report["events_left"]), (&json!(1), &json!(0)), "{report}");
    assert_eq!(app.projected_state(&tenant).await, pro("active"));
    assert_eq!(app.deliver_stripe_event(&created).await.data(200)["outcome"], "repeated");
}

#[tokio::test]
async fn with_an_api_key_the_state_at_stripe_counts_and_an_outage_returns_503() {
    let stripe = FakeStripe::start(None).await.unwrap();
    let settings = stripe.settings();
    let mut settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    settings.push(("BILLING_RETURN_URL", "https://app.example.com/billing"));
    let app = App::with_settings(&settings).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    stripe.put_subscription(subscription(&tenant, "canceled", json!({})));
    // The event is stale: at Stripe the subscription is over.
    let stale = event("customer.subscription.updated", 1, subscription(&tenant, "active", json!({})));
    stripe.fail([StripeFault::Refuse(503), StripeFault::Refuse(503), StripeFault::Refuse(503)]);
    app.deliver_stripe_event(&stale).await.refused(503, "unavailable");
    assert_eq!(app.billing_number("select count(*) from billing.stripe_events where applied_at is null").await, 1);
    stripe.fail([StripeFault::Refuse(429)]);
    app.deliver_stripe_event(&stale).await.data(200);
    assert_eq!(app.projected_state(&tenant).await, free("cancelled"));
    let asked = stripe.requests();
    assert_eq!(asked.len(), 5, "three tries, then two");
    assert!(asked.iter().all(|one| one.version.as_deref() == Some("2026-09-30.endive") && one.key.is_none()));

    // An invoice event updates its subscription too.
    stripe.put_subscription(subscription(
        &tenant,
        "active",
        json!({ "id": "sub_new", "created": Utc::now().timestamp() }),
    ));
    let invoice = json!({
        "id": "in_1", "customer": format!("cus_{}", tenant.user_id.simple()),
        "parent": { "subscription_details": { "subscription": "sub_new" } },
    });
    app.deliver_stripe_event(&event("invoice.paid", 1, invoice)).await.data(200);
    assert_eq!(app.projected_state(&tenant).await, pro("active"));
    // A subscription that does not exist at Stripe is taken from the signed event, because a redelivery would not
    // find it either.
    let other = app.sign_up("Autre Maison").await;
    let told = |status| subscription(&other, status, json!({ "id": "sub_told" }));
    app.deliver_stripe_event(&event("customer.subscription.updated", 5, told("active"))).await.data(200);
    assert_eq!(app.projected_state(&other).await, pro("active"));
    assert_eq!(app.activities(&other).await, ["subscription_changed"]);
    app.deliver_stripe_event(&event("customer.subscription.deleted", 1, told("canceled"))).await.data(200);
    assert_eq!(app.projected_state(&other).await, free("cancelled"));
    app.deliver_stripe_event(&event("customer.subscription.updated", 3, told("active"))).await.data(200);
    assert_eq!(app.projected_state(&other).await, free("cancelled"), "told late");
    let unpaid = json!({ "id": "in_2", "parent": { "subscription_details": { "subscription": "sub_nowhere" } } });
    app.deliver_stripe_event(&event("invoice.payment_failed", 1, unpaid)).await.data(200);
    assert_eq!(app.billing_number("select count(*) from billing.stripe_events where projected_at is null").await, 0);
}

#[tokio::test]
async fn with_a_live_key_a_test_mode_event_grants_nothing() {
    let stripe = FakeStripe::start(None).await.unwrap();
    let mut settings = stripe.settings();
    settings.insert("STRIPE_SECRET_KEY".to_owned(), LIVE_KEY.to_owned());
    let mut settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    settings.push(("BILLING_RETURN_URL", "https://app.example.com/billing"));
    let app = App::with_settings(&settings).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let mut played = event("customer.subscription.created", 5, subscription(&tenant, "active", json!({})));
    app.deliver_stripe_event(&played).await.data(200);
    assert!(!app.projected_state(&tenant).await.0);
    played["id"] = json!("evt_real");
    played["livemode"] = json!(true);
    app.deliver_stripe_event(&played).await.data(200);
    assert_eq!(app.projected_state(&tenant).await, pro("active"));
}

#[tokio::test]
async fn a_subscription_cancelled_at_period_end_is_pro_until_the_period_ends() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let object = subscription(&tenant, "active", json!({ "cancel_at_period_end": true }));
    let end = object["items"]["data"][0]["current_period_end"].as_i64().unwrap();
    app.deliver_stripe_event(&event("customer.subscription.updated", 1, object)).await.data(200);
    let at = |seconds: i64| json!({ "time": DateTime::from_timestamp(end + seconds, 0).unwrap().to_rfc3339() });

    let report = app.stack.invoke("maintenance", at(-1)).await.unwrap();
    assert_eq!((&report["subscriptions_ended"], app.is_pro(&tenant).await), (&json!(0), true));
    let report = app.stack.invoke("maintenance", at(0)).await.unwrap();
    assert_eq!((&report["subscriptions_ended"], app.is_pro(&tenant).await), (&json!(1), false));
    assert_eq!(app.projected_state(&tenant).await, free("cancelled"));
    let again = app.stack.invoke("maintenance", at(1)).await.unwrap();
    assert_eq!(again["subscriptions_ended"], 0);
}

#[tokio::test]
async fn expired_access_is_refused_before_maintenance_has_run() {
    let app = App::with_settings(&[("FREE_QUOTA_LIMIT", "0")]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.deliver_stripe_event(&event("customer.subscription.updated", 1, subscription(&tenant, "active", json!({}))))
        .await
        .data(200);
    assert!(app.is_pro(&tenant).await);
    app.sql("update profiles set subscription_access_until = now() - interval '1 second'").await;
    assert!(!app.is_pro(&tenant).await);
    assert_eq!(app.get("/api/v1/quota/status").by(&tenant).await.data(200)["paywall_should_show"], true);
    app.ask(&tenant, "Combien ?").await.refused(402, "quota_exceeded");
}

#[tokio::test]
async fn a_new_tenant_goes_from_free_to_pro_and_back() {
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
    // The payment page redirects to a return URL that does not exist.
    let _ = paid.await;
    assert!(app.is_pro(&tenant).await);
    assert!(started.elapsed().as_secs_f64() < 1.0, "{:?}", started.elapsed());
    assert_eq!(app.projected_state(&tenant).await, pro("active"));
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
        assert_eq!(app.projected_state(&tenant).await, expected, "{kind}");
    }
    app.ask(&tenant, "Combien ?").await.refused(402, "quota_exceeded");
    let customers = app.number("select count(*) from profiles where stripe_customer_id is not null").await;
    assert_eq!(customers, 0, "the deleted customer is forgotten");
}
