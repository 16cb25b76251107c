//! Usage, invoices, checkout and portal (`/api/v1/billing/…`), and the limits of plans.

use local::fakes::stripe::{FakeStripe, StripeFault};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::support::{App, TenantUser, small_pdf};

const MIB: i64 = 1024 * 1024;

/// A product whose paid plans have prices at a fake Stripe.
pub(crate) async fn start_with_stripe() -> (App, FakeStripe) {
    let stripe = FakeStripe::start(None).await.unwrap();
    let settings = stripe.settings();
    let mut settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    settings.push(("BILLING_RETURN_URL", "https://app.example.com/billing"));
    let app = App::with_settings(&settings).await;
    app.sql("update plans set stripe_price_id = 'price_local_' || name where price_cents > 0").await;
    (app, stripe)
}

/// Gives a tenant a paid plan for thirty days from yesterday.
async fn give_paid_plan(app: &App, tenant: &TenantUser, plan: &str) {
    let (user, customer) = (tenant.user_id, tenant.customer_id);
    app.sql(&format!(
        "update users set is_pro = true where id = '{user}';
         update profiles set subscription_status = 'active', subscription_tier = '{plan}',
             subscription_current_period_start = now() - interval '1 day',
             subscription_current_period_end = now() + interval '29 days',
             subscription_access_until = now() + interval '36 days' where id = '{user}';
         update customers set plan_id = (select id from plans where name = '{plan}') where id = '{customer}'"
    ))
    .await;
}

pub(crate) async fn usage(app: &App, tenant: &TenantUser) -> Value {
    app.get("/api/v1/billing/usage").by(tenant).await.data(200)
}

async fn announce(app: &App, tenant: &TenantUser, bytes: i64) -> super::support::TestResponse {
    let body = json!({ "filename": "a.pdf", "size_bytes": bytes });
    app.post("/api/v1/documents/upload").by(tenant).json(&body).await
}

#[tokio::test]
async fn usage_shows_consumption_against_the_limits_of_the_plan() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let shown = usage(&app, &tenant).await;
    assert_eq!(shown["requests"], json!({ "used": 0, "limit": 8, "remaining": 8, "overage": 0, "overage_cents": 0 }));
    assert_eq!(shown["storage"], json!({ "used_bytes": 0, "limit_bytes": 50 * MIB }));
    assert_eq!(
        shown["models"],
        json!({ "prompt_tokens": 0, "completion_tokens": 0, "cost_micros": 0, "cap_micros": 500_000 })
    );
    assert_eq!((&shown["plan"]["name"], &shown["quota"]["is_pro"]), (&json!("free"), &json!(false)));
    assert!(shown["period"]["start"].as_str().unwrap().ends_with("-01T00:00:00Z"), "{shown}");

    let pdf = small_pdf("The delivery takes three days.");
    let size = i64::try_from(pdf.len()).unwrap();
    let id = app.upload_and_process(&tenant, "guide.pdf", pdf).await;
    app.ask(&tenant, "How long does the delivery take?").await.data(200);
    let shown = usage(&app, &tenant).await;
    assert_eq!((&shown["requests"]["used"], &shown["storage"]["used_bytes"]), (&json!(1), &json!(size)));

    give_paid_plan(&app, &tenant, "business").await;
    app.sql("update plans set monthly_request_limit = 2 where name = 'business'; delete from usage_periods").await;
    for _ in 0..3 {
        app.ask(&tenant, "How long does the delivery take?").await.data(200);
    }
    let shown = usage(&app, &tenant).await;
    assert_eq!(shown["requests"], json!({ "used": 3, "limit": 2, "remaining": 0, "overage": 1, "overage_cents": 2 }));
    assert_eq!(shown["storage"], json!({ "used_bytes": size, "limit_bytes": 5_000 * MIB }));
    app.delete(&format!("/api/v1/documents/{id}")).by(&tenant).await.no_content();
    assert_eq!(usage(&app, &tenant).await["storage"]["used_bytes"], 0);
}

/// Inserts a model call of this cost into the ledger `llm_calls`, at the SQL time `when`.
pub(crate) async fn add_model_call(app: &App, tenant: &TenantUser, micros: i64, when: &str) {
    app.sql(&format!(
        "insert into llm_calls (customer_id, purpose, provider, model, prompt_tokens, completion_tokens, cost_micros,
             latency_ms, status, created_at)
         values ('{}', 'query', 'p', 'm', 100, 20, {micros}, 1, 'ok', {when})",
        tenant.customer_id
    ))
    .await;
}

#[tokio::test]
async fn usage_shows_the_model_cost_of_the_current_period_only() {
    let app = App::start().await;
    let (tenant, other) = (app.sign_up("Comptoir Baobab").await, app.sign_up("Chez Koffi").await);
    for tenant in [&tenant, &other] {
        for when in ["now()", "now()", "now() - interval '40 days'"] {
            add_model_call(&app, tenant, 7, when).await;
        }
    }
    let shown = usage(&app, &tenant).await;
    assert_eq!(
        shown["models"],
        json!({ "prompt_tokens": 200, "completion_tokens": 40, "cost_micros": 14, "cap_micros": 500_000 })
    );
}

#[tokio::test]
async fn a_query_is_refused_when_the_model_spend_cap_is_reached() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.upload_and_process(&tenant, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    let ask = || app.ask(&tenant, "How long does the delivery take?");
    add_model_call(&app, &tenant, 499_999, "now()").await;
    ask().await.data(200);
    add_model_call(&app, &tenant, 1, "now()").await;
    let details = ask().await.refused(402, "plan_limit");
    let reached = json!({
        "limit": "model_spend_micros", "plan": "free", "used": 500_000, "most": 500_000, "wanted": 1,
    });
    assert_eq!(details, reached);
    let quota = app.get("/api/v1/quota/status").by(&tenant).await.data(200);
    assert_eq!(quota["free_quota_used"], 1, "a refusal takes nothing");

    // A paid plan has its own cap, and a tenant can have another cap. Spending before the change still counts.
    give_paid_plan(&app, &tenant, "business").await;
    ask().await.data(200);
    app.sql("update customers set spend_cap_micros = 10; delete from usage_periods").await;
    ask().await.data(200);
    add_model_call(&app, &tenant, 10, "now()").await;
    let details = ask().await.refused(402, "plan_limit");
    assert_eq!((&details["limit"], &details["most"]), (&json!("model_spend_micros"), &json!(10)));
    assert_eq!(app.number("select requests::bigint from usage_periods").await, 1);
}

#[tokio::test]
async fn concurrent_queries_stop_exactly_at_the_limit_of_a_plan_without_overage() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.sql("update plans set monthly_request_limit = 5 where name = 'pro'").await;
    give_paid_plan(&app, &tenant, "pro").await;
    let mut asking = JoinSet::new();
    for _ in 0..12 {
        let call = app.ask(&tenant, "Combien ?").into_future();
        asking.spawn(call);
    }
    let answers = asking.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 5);
    for refusal in answers.into_iter().filter(|answer| answer.status != 200) {
        let details = refusal.refused(402, "plan_limit");
        assert_eq!(details, json!({ "limit": "requests", "plan": "pro", "used": 5, "most": 5, "wanted": 1 }));
    }
    assert_eq!(usage(&app, &tenant).await["requests"]["remaining"], 0);
    let credits = format!("select credits_remaining from profiles where id = '{}'", tenant.user_id);
    assert_eq!(app.number(&credits).await, 0);
    let quota = app.get("/api/v1/quota/status").by(&tenant).await.data(200);
    assert_eq!((&quota["is_pro"], &quota["free_quota_used"]), (&json!(true), &json!(0)));

    // An expired reservation of an unanswered question is refunded to its period.
    app.sql("update usage_periods set requests = 4; update reservations set state = 'held', expires_at = now() - interval '1 second'
             where id in (select id from reservations limit 2)").await;
    app.stack.invoke("maintenance", json!({})).await.unwrap();
    assert_eq!(usage(&app, &tenant).await["requests"]["used"], 2);
}

#[tokio::test]
async fn concurrent_uploads_never_exceed_the_storage_limit() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.sql("update plans set storage_limit_mb = 10 where name = 'free'").await;
    let mut uploads = JoinSet::new();
    for _ in 0..8 {
        let body = json!({ "filename": "a.pdf", "size_bytes": 3 * MIB });
        uploads.spawn(app.post("/api/v1/documents/upload").by(&tenant).json(&body).into_future());
    }
    let answers = uploads.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 3);
    let refused = answers.into_iter().find(|answer| answer.status != 201).unwrap();
    let details = refused.refused(402, "plan_limit");
    assert_eq!(
        details,
        json!({ "limit": "storage_bytes", "plan": "free", "used": 9 * MIB, "most": 10 * MIB, "wanted": 3 * MIB })
    );
    assert_eq!(announce(&app, &tenant, MIB).await.status, 201);
    announce(&app, &tenant, 1).await.refused(402, "plan_limit");
    // An upload that never arrived frees its storage again, and so does a deleted document.
    app.sql(
        "update documents set status = 'failed', error_code = 'not_uploaded'
             where id = (select id from documents where bytes > 2000000 limit 1)",
    )
    .await;
    assert_eq!(usage(&app, &tenant).await["storage"]["used_bytes"], 7 * MIB);
    app.sql("delete from documents where id = (select id from documents where status = 'pending' and bytes > 2000000 limit 1)").await;
    assert_eq!(usage(&app, &tenant).await["storage"]["used_bytes"], 4 * MIB);
    assert_eq!(announce(&app, &tenant, 6 * MIB).await.status, 201);
    announce(&app, &tenant, 1).await.refused(402, "plan_limit");
}

#[tokio::test]
async fn one_idempotency_key_creates_one_checkout_session_that_names_its_user() {
    let (app, stripe) = start_with_stripe().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let call = || app.post("/api/v1/billing/checkout").by(&tenant).json(&json!({ "plan": "pro" }));
    // Stripe's first response is lost. The retry with the same key finds the session that was created.
    stripe.fail([StripeFault::LoseAnswer]);
    let first = call().header("idempotency-key", "k1").await.data(200);
    let again = call().header("idempotency-key", "k1").await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.data(200), first);
    let asked = stripe.requests();
    assert_eq!(asked.len(), 2, "one call, tried twice");
    assert_eq!(asked[0].key, asked[1].key);
    let fields = &asked[0].fields;
    for (name, value) in [
        ("mode", "subscription"),
        ("line_items[0][price]", "price_local_pro"),
        ("line_items[0][quantity]", "1"),
        ("client_reference_id", &tenant.user_id.to_string()),
        ("subscription_data[metadata][user_id]", &tenant.user_id.to_string()),
        ("subscription_data[metadata][plan]", "pro"),
        ("customer_email", &tenant.email),
        ("success_url", "https://app.example.com/billing?checkout=success"),
        ("cancel_url", "https://app.example.com/billing?checkout=cancelled"),
    ] {
        assert_eq!(fields.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert_eq!(asked[0].version.as_deref(), Some("2026-09-30.endive"));
    let other = call().header("idempotency-key", "k2").await.data(200);
    assert_ne!(other, first);
    // Idempotency keys are separate for each tenant.
    let neighbour = app.sign_up("Chez Koffi").await;
    let body = json!({ "plan": "pro" });
    let theirs = app.post("/api/v1/billing/checkout").by(&neighbour).header("idempotency-key", "k1").json(&body).await;
    assert_ne!(theirs.data(200), first);
}

#[tokio::test]
async fn a_stripe_failure_is_reported_without_the_text_of_stripe() {
    let (app, stripe) = start_with_stripe().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let call = || {
        app.post("/api/v1/billing/checkout").by(&tenant).header("idempotency-key", "k").json(&json!({ "plan": "pro" }))
    };
    stripe.fail([StripeFault::Refuse(503); 3]);
    call().await.refused(503, "unavailable");
    assert_eq!(stripe.requests().len(), 3, "three tries and no more");
    stripe.fail([StripeFault::Refuse(400)]);
    call().await.refused(500, "internal");
    assert_eq!(stripe.requests().len(), 4, "a refusal is not repeated");
    // The failed requests did not use up the idempotency key.
    call().await.data(200);

    app.sql("update plans set stripe_price_id = null").await;
    let unsold = app.post("/api/v1/billing/checkout").by(&tenant).json(&json!({ "plan": "business" })).await;
    unsold.refused(409, "plan_not_sold");
    let unknown = app.post("/api/v1/billing/checkout").by(&tenant).json(&json!({ "plan": "free" })).await;
    unknown.invalid_fields(&["plan"]);
    app.post("/api/v1/billing/portal").by(&tenant).await.refused(409, "no_subscription");
    give_paid_plan(&app, &tenant, "pro").await;
    app.post("/api/v1/billing/checkout")
        .by(&tenant)
        .json(&json!({ "plan": "pro" }))
        .await
        .refused(409, "already_subscribed");
}

#[tokio::test]
async fn without_a_stripe_key_checkout_and_portal_are_refused() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let checkout = app.post("/api/v1/billing/checkout").by(&tenant).json(&json!({ "plan": "pro" })).await;
    checkout.refused(409, "payments_not_configured");
    app.post("/api/v1/billing/portal").by(&tenant).await.refused(409, "payments_not_configured");
    let shown = app.get("/api/v1/billing/subscription").by(&tenant).await.data(200);
    assert_eq!((&shown["plan"], &shown["status"], &shown["is_pro"]), (&json!("free"), &json!("free"), &json!(false)));
}

#[tokio::test]
async fn the_portal_opens_for_a_tenant_with_a_stripe_customer() {
    let (app, stripe) = start_with_stripe().await;
    stripe
        .send_to(&format!("{}/api/v1/webhooks/stripe", app.stack.base_url()), &app.stack.secrets.stripe_webhook_secret);
    let tenant = app.sign_up("Comptoir Baobab").await;
    let bought = local::fakes::stripe::StripeChange {
        kind: "checkout.session.completed".to_owned(),
        user: tenant.user_id.to_string(),
        plan: "business".to_owned(),
        cancel_at_period_end: None,
    };
    stripe.change(&bought).await.unwrap();
    let shown = app.get("/api/v1/billing/subscription").by(&tenant).await.data(200);
    assert_eq!(
        (&shown["plan"], &shown["status"], &shown["is_pro"], &shown["can_open_portal"]),
        (&json!("business"), &json!("active"), &json!(true), &json!(true))
    );
    let link = app.post("/api/v1/billing/portal").by(&tenant).await.data(200);
    assert!(link["url"].as_str().unwrap().contains("/portal/cus_"), "{link}");
    let asked = stripe.requests().pop().unwrap();
    assert_eq!(asked.route, "POST /v1/billing_portal/sessions");
    assert_eq!(asked.fields["return_url"], "https://app.example.com/billing");
    assert!(asked.key.is_some());
}

#[tokio::test]
async fn an_ended_period_becomes_one_billing_record_and_its_overage_one_stripe_invoice_item() {
    let (app, stripe) = start_with_stripe().await;
    stripe
        .send_to(&format!("{}/api/v1/webhooks/stripe", app.stack.base_url()), &app.stack.secrets.stripe_webhook_secret);
    let tenant = app.sign_up("Comptoir Baobab").await;
    let bought = local::fakes::stripe::StripeChange {
        kind: "checkout.session.completed".to_owned(),
        user: tenant.user_id.to_string(),
        plan: "business".to_owned(),
        cancel_at_period_end: None,
    };
    stripe.change(&bought).await.unwrap();
    app.sql(
        "update usage_periods set requests = 20150, period_start = period_start - interval '30 days',
                 period_end = now() - interval '1 hour' where plan = 'business'",
    )
    .await;
    // Stripe's response to the first creation of the item is lost, and the next try comes after Stripe has forgotten
    // the idempotency key.
    stripe.fail([StripeFault::LoseAnswer, StripeFault::Refuse(503), StripeFault::Refuse(503)]);
    let report = app.stack.invoke("maintenance", json!({})).await.unwrap();
    assert_eq!((&report["periods_closed"], &report["records_made"]), (&json!(1), &json!(1)), "{report}");
    let invoices = app.get("/api/v1/billing/invoices").by(&tenant).await.body;
    assert_eq!((&invoices["data"][0]["status"], &invoices["meta"]["total"]), (&json!("closed"), &json!(1)));
    stripe.forget_keys();
    app.sql("update jobs set run_after = now() where kind = 'invoice_item'").await;
    app.stack.invoke("maintenance", json!({})).await.unwrap();
    app.sql("update jobs set run_after = now(), status = 'queued' where kind = 'invoice_item'").await;
    app.stack.invoke("maintenance", json!({})).await.unwrap();

    let items = stripe.invoice_items();
    assert_eq!(items.len(), 1, "{items:?}");
    assert_eq!((&items[0]["amount"], &items[0]["currency"]), (&json!(300), &json!("eur")));
    let record = app.get("/api/v1/billing/invoices").by(&tenant).await.body["data"][0].clone();
    assert_eq!(
        (
            &record["status"],
            &record["requests"],
            &record["overage_requests"],
            &record["overage_cents"],
            &record["amount_cents"]
        ),
        (&json!("invoiced"), &json!(20150), &json!(150), &json!(300), &json!(9900))
    );
    // The invoice with this item is paid.
    let paid = json!({
        "id": format!("evt_{}", uuid::Uuid::new_v4().simple()), "object": "event", "type": "invoice.paid",
        "created": chrono::Utc::now().timestamp(),
        "data": { "object": {
            "id": "in_9", "customer": items[0]["customer"],
            "lines": { "data": [{ "metadata": { "billing_record_id": record["id"] } }] },
        } },
    });
    // The invoice of another customer says nothing about the record.
    let mut foreign = paid.clone();
    foreign["id"] = json!("evt_foreign");
    foreign["data"]["object"]["customer"] = json!("cus_stranger");
    app.deliver_stripe_event(&foreign).await.data(200);
    let listed = app.get("/api/v1/billing/invoices?status=paid").by(&tenant).await;
    assert_eq!(listed.body["data"], json!([]));
    app.deliver_stripe_event(&paid).await.data(200);
    let record = app.get("/api/v1/billing/invoices?status=paid").by(&tenant).await.body["data"][0].clone();
    assert_eq!(record["stripe_invoice_id"], "in_9");
}

#[tokio::test]
async fn the_cursor_lists_every_invoice() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.sql(&format!(
        "insert into billing_records (customer_id, period_start, period_end, plan, requests, amount_cents,
             overage_requests, overage_cents, currency)
         select '{}', now() - number * interval '30 days', now() - (number - 1) * interval '30 days', 'pro', number, 2900,
             0, 0, 'EUR' from generate_series(1, 7) number",
        tenant.customer_id
    ))
    .await;
    for sort in ["-period_start", "period_start"] {
        let mut seen = Vec::new();
        let mut path = format!("/api/v1/billing/invoices?limit=3&sort={sort}");
        loop {
            let page = app.get(&path).by(&tenant).await.body;
            seen.extend(page["data"].as_array().unwrap().iter().map(|one| one["requests"].as_i64().unwrap()));
            let Some(cursor) = page["meta"]["next_cursor"].as_str() else { break };
            path = format!("/api/v1/billing/invoices?limit=3&sort={sort}&cursor={cursor}");
        }
        let mut expected: Vec<_> = (1..=7).collect();
        if sort == "period_start" {
            expected.reverse();
        }
        assert_eq!(seen, expected);
    }
    app.get("/api/v1/billing/invoices?status=gone&sort=plan").by(&tenant).await.invalid_fields(&["sort", "status"]);
    let other = app.sign_up("Chez Koffi").await;
    assert_eq!(app.get("/api/v1/billing/invoices").by(&other).await.body["data"], json!([]));
}
