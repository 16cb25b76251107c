//! /api/v1/admin/customers: companies as administrators see them, and their suspension.

use std::collections::BTreeMap;

use local::fakes::stripe::{StripeFault, StripeRequest};
use serde_json::{Value, json};
use shared::{
    administrators,
    db::SystemDb,
    settings::{Settings, SettingsMap},
};
use uuid::Uuid;

use super::{
    purchases::Shop,
    support::{App, TenantUser, TestResponse, WAIT_TIMEOUT, wait_until},
};

const LIST: &str = "/api/v1/admin/customers";

async fn set_suspended(app: &App, admin: &str, customer: Uuid, is_suspended: bool) -> TestResponse {
    let action = if is_suspended { "suspend" } else { "unsuspend" };
    app.post(&format!("{LIST}/{customer}/{action}")).by(admin).await
}

async fn names(app: &App, admin: &str, query: &str) -> Vec<String> {
    let list = app.get(&format!("{LIST}{query}")).by(admin).await.data(200);
    list.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a line for each search")]
async fn companies_are_listed_searched_and_paged() {
    let app = App::start().await;
    let admin = app.admin_token().await;
    let mut owners = Vec::new();
    for name in ["Comptoir Baobab", "Chez Koffi", "100 % Coton", "Lumaworks"] {
        owners.push(app.sign_up(name).await);
    }
    app.sql(&format!(
        "update customers set suspended_at = now() where id = '{}';
         update customers set deleted_at = now(), suspended_at = now() where id = '{}';
         insert into bot_usage (company_id, date, requests_count) values
             ('{2}', current_date, 5), ('{2}', current_date - 40, 9)",
        owners[1].customer_id, owners[2].customer_id, owners[0].customer_id
    ))
    .await;
    let list = app.get(LIST).by(&admin).await.data(200);
    let statuses: Vec<_> = list.as_array().unwrap().iter().map(|one| (&one["name"], &one["status"])).collect();
    let pair = |name: &str, status: &str| (json!(name), json!(status));
    let expected = [
        pair("Lumaworks", "active"),
        pair("100 % Coton", "deleted"),
        pair("Chez Koffi", "suspended"),
        pair("Comptoir Baobab", "active"),
    ];
    assert_eq!(statuses, expected.iter().map(|(name, status)| (name, status)).collect::<Vec<_>>());
    let first = &list[3];
    assert_eq!(
        *first,
        json!({
            "id": owners[0].customer_id, "company_id": owners[0].company_id, "name": "Comptoir Baobab",
            "owner_email": owners[0].email, "plan": "free", "status": "active", "requests_this_month": 5,
            "created_at": first["created_at"], "suspended_at": null, "deleted_at": null,
        })
    );
    for (query, expected) in [
        ("?search=KOFFI", vec!["Chez Koffi"]),
        ("?search=100%20%25", vec!["100 % Coton"]),
        ("?search=%25", vec!["100 % Coton"]),
        ("?search=_", vec![]),
        (&format!("?search={}", owners[3].email.to_uppercase()), vec!["Lumaworks"]),
        (&format!("?search={}", owners[0].customer_id), vec!["Comptoir Baobab"]),
        ("?search=comptoir-bao", vec!["Comptoir Baobab"]),
        ("?status=suspended", vec!["Chez Koffi"]),
        ("?status=active&search=o", vec!["Comptoir Baobab", "Lumaworks"]),
        ("?sort=created_at&limit=2", vec!["Comptoir Baobab", "Chez Koffi"]),
    ] {
        let mut found = names(&app, &admin, query).await;
        if !query.contains("sort") {
            found.sort();
        }
        assert_eq!(found, expected, "{query}");
    }
    let (mut seen, mut path) = (Vec::new(), format!("{LIST}?limit=1"));
    loop {
        let page = app.get(&path).by(&admin).await.body;
        seen.extend(page["data"].as_array().unwrap().iter().map(|one| one["name"].clone()));
        let Some(cursor) = page["meta"]["next_cursor"].as_str() else { break };
        path = format!("{LIST}?limit=1&cursor={cursor}");
    }
    assert_eq!(seen, ["Lumaworks", "100 % Coton", "Chez Koffi", "Comptoir Baobab"]);
    app.get(&format!("{LIST}?status=gone&sort=name")).by(&admin).await.invalid_fields(&["sort", "status"]);
    app.get(&format!("{LIST}?search=")).by(&admin).await.refused(422, "validation_failed");
    let listed = "select count(*) from audit_log where action = 'customers.listed' and actor is not null";
    assert!(app.number(listed).await > 10);
}

#[tokio::test]
async fn a_company_is_shown_with_plan_usage_and_the_cost_of_this_month() {
    let app = App::start().await;
    let (admin, owner) = (app.admin_token().await, app.sign_up("Comptoir Baobab").await);
    app.sign_up_support(&owner).await;
    app.announce(&owner, "guide.pdf", 100).await;
    let tenant = owner.customer_id;
    app.sql(&format!(
        "insert into bot_usage (company_id, date, requests_count, messages_count, conversations_count, orders_count)
             values ('{tenant}', (now() at time zone 'UTC')::date, 5, 20, 3, 1), ('{tenant}', current_date - 40, 9, 9, 9, 9);
         insert into llm_calls (customer_id, purpose, provider, model, prompt_tokens, completion_tokens, cost_micros, status,
             created_at)
         values ('{tenant}', 'answer', 'gemini', 'm', 100, 20, 1500, 'ok', now()),
                ('{tenant}', 'answer', 'gemini', 'm', 100, 20, 500, 'ok', date_trunc('month', now() at time zone 'UTC') at time zone 'UTC'),
                ('{tenant}', 'answer', 'gemini', 'm', 900, 90, 9000, 'ok', now() - interval '40 days')"
    ))
    .await;
    let path = format!("{LIST}/{tenant}");
    let shown = app.get(&path).by(&admin).await.data(200);
    let mut usage = shown["usage"].clone();
    let month = usage["month"].take();
    assert!(month.as_str().unwrap().ends_with("-01"));
    let expected = json!({
        "month": null, "requests": 5, "messages": 20, "conversations": 3, "orders": 1, "tokens": 240,
        "cost_micros": 2000, "documents": 1, "document_bytes": 100, "members": 2,
    });
    assert_eq!(usage, expected);
    assert_eq!(
        (&shown["plan"], &shown["status"], &shown["collection"], &shown["owner_id"], &shown["subscription_status"]),
        (&json!("free"), &json!("active"), &json!("active"), &json!(owner.user_id), &json!("free"))
    );
    app.get(&format!("{LIST}/{}", Uuid::new_v4())).by(&admin).await.refused(404, "not_found");
    app.get(&format!("{LIST}/x")).by(&admin).await.refused(404, "not_found");
    app.get(&path).by(&owner).await.refused(403, "forbidden");
    app.get(&path).by(app.service_token()).await.refused(403, "forbidden");
    let actions = app.audit_actions(&owner).await;
    assert_eq!(actions, [format!("customer.read_by_administrator customer:{tenant}")]);
}

/// The collection of the subscription of a user at the fake Stripe.
fn collection(shop: &Shop) -> Value {
    shop.stripe.subscription_of(shop.owner.user_id).unwrap()["pause_collection"].clone()
}

/// The calls that changed the collection.
fn changes(shop: &Shop) -> Vec<StripeRequest> {
    let all = shop.stripe.requests();
    all.into_iter().filter(|request| request.route.starts_with("POST /v1/subscriptions/")).collect()
}

async fn shop_with_subscription() -> (Shop, String) {
    let shop = Shop::open(&[]).await;
    shop.send_events();
    shop.buy("pro").await;
    let admin = shop.app.admin_token().await;
    (shop, admin)
}

#[tokio::test]
async fn a_suspension_stops_the_api_the_webhook_and_the_collection_and_ends_again() {
    let (shop, admin) = shop_with_subscription().await;
    let (app, owner) = (&shop.app, &shop.owner);
    let secret = app.webhook_secret(owner).await;
    let message = json!({ "id": 132, "last_input_text": "Bonjour", "first_name": "Awa" });
    let webhook =
        async || app.post("/api/v1/webhook/manychat").header("x-webhook-secret", &secret).json(&message).await;
    assert_eq!(webhook().await.status, 200);

    for _ in 0..2 {
        let suspended = set_suspended(app, &admin, owner.customer_id, true).await.data(200);
        assert_eq!((&suspended["status"], &suspended["collection"]), (&json!("suspended"), &json!("paused")));
    }
    assert_eq!(collection(&shop)["behavior"], "void");
    app.get("/api/v1/documents").by(owner).await.refused(403, "tenant_suspended");
    app.get("/api/v1/context").by(owner).await.refused(403, "tenant_suspended");
    webhook().await.refused(403, "tenant_suspended");
    let calls = changes(&shop);
    assert_eq!(calls.len(), 1, "a repetition changes nothing");
    assert_eq!(calls[0].fields, BTreeMap::from([("pause_collection[behavior]".to_owned(), "void".to_owned())]));
    assert!(calls[0].key.as_ref().is_some_and(|key| key.starts_with("collection-")));

    for _ in 0..2 {
        let active = set_suspended(app, &admin, owner.customer_id, false).await.data(200);
        assert_eq!((&active["status"], &active["collection"]), (&json!("active"), &json!("active")));
    }
    assert_eq!(collection(&shop), Value::Null);
    app.get("/api/v1/documents").by(owner).await.data(200);
    assert_eq!(webhook().await.status, 200);
    let calls = changes(&shop);
    assert_eq!((calls.len(), calls[1].fields["pause_collection"].as_str()), (2, ""));
    assert_ne!(calls[0].key, calls[1].key);
    let actions = app.audit_actions(owner).await;
    let of = |action: &str| actions.iter().filter(|line| line.starts_with(&format!("{action} "))).count();
    assert_eq!((of("customer.suspended"), of("customer.unsuspended")), (1, 1));
}

#[tokio::test]
async fn what_stripe_does_not_take_is_left_to_maintenance() {
    let (shop, admin) = shop_with_subscription().await;
    let (app, owner) = (&shop.app, &shop.owner);
    for faults in [[StripeFault::Refuse(500); 3], [StripeFault::LoseAnswer; 3]] {
        shop.stripe.fail_route("POST /v1/subscriptions/", &faults);
        let suspended = set_suspended(app, &admin, owner.customer_id, true).await.data(200);
        assert_eq!((&suspended["status"], &suspended["collection"]), (&json!("suspended"), &json!("pausing")));
        app.get("/api/v1/documents").by(owner).await.refused(403, "tenant_suspended");
        shop.stripe.stop_failing();
        run_due_jobs(app).await;
        assert_eq!(collection(&shop)["behavior"], "void");
        let shown = app.get(&format!("{LIST}/{}", owner.customer_id)).by(&admin).await.data(200);
        assert_eq!(shown["collection"], "paused");
        set_suspended(app, &admin, owner.customer_id, false).await.data(200);
        assert_eq!(collection(&shop), Value::Null);
    }
}

/// Lets the waiting time of jobs pass, and runs maintenance.
async fn run_due_jobs(app: &App) {
    app.sql("update jobs set run_after = now() where status = 'queued' and kind = 'collection'").await;
    app.stack.invoke("maintenance", json!({})).await.unwrap();
}

#[tokio::test]
async fn a_process_that_dies_during_the_call_loses_nothing() {
    let (shop, admin) = shop_with_subscription().await;
    // The call to Stripe takes effect, and its answer never comes: the process ends before.
    shop.stripe.fail_route("POST /v1/subscriptions/", &[StripeFault::HoldAnswer]);
    tokio::select! {
        answer = set_suspended(&shop.app, &admin, shop.owner.customer_id, true) => panic!("{}", answer.text),
        () = stripe_is_called(&shop) => {}
    }
    let Shop { app, stripe, owner } = shop;
    let shop = Shop { app: app.restart().await, stripe, owner };
    let state = "select count(*) from jobs where kind = 'collection' and status = ";
    assert_eq!(shop.app.number(&format!("{state} 'queued'")).await, 1);
    shop.stripe.stop_failing();
    run_due_jobs(&shop.app).await;
    assert_eq!(shop.app.number(&format!("{state} 'done'")).await, 1);
    assert_eq!((changes(&shop).len(), &collection(&shop)["behavior"]), (2, &json!("void")));
}

async fn stripe_is_called(shop: &Shop) {
    wait_until("Stripe is called", WAIT_TIMEOUT, async || (changes(shop).len() == 1).then_some(())).await;
}

#[tokio::test]
async fn the_last_state_wins_when_an_older_call_ends_later() {
    let (shop, admin) = shop_with_subscription().await;
    let (app, owner) = (&shop.app, &shop.owner);
    shop.stripe.fail_route("POST /v1/subscriptions/", &[StripeFault::HoldAnswer]);
    let suspend = set_suspended(app, &admin, owner.customer_id, true);
    let rest = async {
        stripe_is_called(&shop).await;
        let active = set_suspended(app, &admin, owner.customer_id, false).await.data(200);
        assert_eq!(active["collection"], "active");
        // Stripe applies the older call after the newer one.
        let id = shop.stripe.subscription_of(owner.user_id).unwrap()["id"].as_str().unwrap().to_owned();
        shop.stripe.change_subscription(&id, &json!({ "pause_collection": { "behavior": "void" } }));
        shop.stripe.release();
    };
    let (answer, ()) = tokio::join!(suspend, rest);
    assert_eq!(answer.data(200)["status"], "active");
    // The worker of the older call has noticed the change, and made the job due again.
    run_due_jobs(app).await;
    assert_eq!(collection(&shop), Value::Null);
    assert_eq!(app.number("select count(*) from jobs where kind = 'collection' and status = 'done'").await, 1);
}

#[tokio::test]
async fn a_subscription_that_is_bought_during_the_suspension_is_paused_too() {
    let shop = Shop::open(&[]).await;
    shop.send_events();
    let (app, owner, admin) = (&shop.app, &shop.owner, shop.app.admin_token().await);
    let suspended = set_suspended(app, &admin, owner.customer_id, true).await.data(200);
    assert_eq!(suspended["collection"], "paused", "without a subscription nothing is collected");
    shop.buy("pro").await;
    assert_eq!(collection(&shop), Value::Null);
    run_due_jobs(app).await;
    assert_eq!(collection(&shop)["behavior"], "void");
}

#[tokio::test]
async fn a_subscription_that_is_gone_at_stripe_holds_up_nothing() {
    let (shop, admin) = shop_with_subscription().await;
    let (app, owner) = (&shop.app, &shop.owner);
    let id = shop.stripe.subscription_of(owner.user_id).unwrap()["id"].as_str().unwrap().to_owned();
    // It has ended, and its event is still on the way.
    shop.stripe.change_subscription(&id, &json!({ "status": "canceled" }));
    assert_eq!(set_suspended(app, &admin, owner.customer_id, true).await.data(200)["collection"], "paused");
}

#[tokio::test]
async fn deleted_unknown_and_foreign_callers_are_refused() {
    let app = App::start().await;
    let (admin, owner) = (app.admin_token().await, app.sign_up("Comptoir Baobab").await);
    let other: TenantUser = app.sign_up("Chez Koffi").await;
    for is_suspended in [true, false] {
        set_suspended(&app, &admin, Uuid::new_v4(), is_suspended).await.refused(404, "not_found");
        set_suspended(&app, &owner.token, other.customer_id, is_suspended).await.refused(403, "forbidden");
        set_suspended(&app, &owner.token, owner.customer_id, is_suspended).await.refused(403, "forbidden");
    }
    app.sql(&format!("update customers set deleted_at = now() where id = '{}'", owner.customer_id)).await;
    set_suspended(&app, &admin, owner.customer_id, true).await.refused(409, "customer_deleted");
    assert_eq!(app.number("select count(*) from jobs where kind = 'collection'").await, 0);
    assert_eq!(app.number("select count(*) from customers where suspended_at is not null").await, 0);
}

#[tokio::test]
async fn of_concurrent_suspensions_one_changes_something() {
    let (shop, admin) = shop_with_subscription().await;
    let (app, owner) = (&shop.app, &shop.owner);
    let calls: Vec<_> = (0..4).map(|_| set_suspended(app, &admin, owner.customer_id, true)).collect();
    for answer in futures::future::join_all(calls).await {
        assert_eq!(answer.data(200)["status"], "suspended");
    }
    let actions = app.audit_actions(owner).await;
    assert_eq!(actions.iter().filter(|line| line.starts_with("customer.suspended ")).count(), 1);
    run_due_jobs(app).await;
    assert_eq!(changes(&shop).len(), 1);
    assert_eq!(collection(&shop)["behavior"], "void");
}

/// The users' role in `users`.
async fn role(app: &App, user: &TenantUser) -> String {
    let select = "select role from users where id = $1";
    sqlx::query_scalar(select).bind(user.user_id).fetch_one(&mut app.admin_db().await).await.unwrap()
}

#[tokio::test]
async fn an_operator_gives_the_role_of_an_administrator_and_takes_it_away() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let support = app.sign_up_support(&owner).await;
    let url = app.stack.database.system.clone();
    let mut settings = Settings::new(SettingsMap::from([("SYSTEM_DATABASE_URL".to_owned(), url)]));
    let db = SystemDb::read(&mut settings);
    settings.finish().unwrap();
    let grant =
        async |address: &str| db.system_tx(async |tx| Ok(administrators::grant(tx, address).await?)).await.unwrap();
    let revoke =
        async |address: &str| db.system_tx(async |tx| Ok(administrators::revoke(tx, address).await?)).await.unwrap();
    assert_eq!(grant("nobody@example.com").await, None);
    assert_eq!(revoke("").await, None);
    for (user, former) in [(&owner, "account_user"), (&support, "support_user")] {
        app.get(LIST).by(user).await.refused(403, "forbidden");
        for is_changed in [true, false] {
            let granted = grant(&format!(" {} ", user.email.to_uppercase())).await.unwrap();
            assert_eq!((granted.account.id, granted.is_changed), (user.user_id, is_changed));
            assert!(granted.account.is_administrator);
        }
        app.get(LIST).by(user).await.data(200);
        for is_changed in [true, false] {
            let revoked = revoke(&user.email).await.unwrap();
            assert_eq!((revoked.account.is_administrator, revoked.is_changed), (false, is_changed));
        }
        app.get(LIST).by(user).await.refused(403, "forbidden");
        assert_eq!(role(&app, user).await, former);
    }
    let entries = "select count(*) from audit_log where action in ('administrator.granted', 'administrator.revoked')";
    assert_eq!(app.number(entries).await, 4);
    app.sql(&format!("select app.end_account('{}')", support.user_id)).await;
    assert_eq!(grant(&support.email).await, None);
}

#[tokio::test]
async fn an_administrator_may_own_a_company_and_ask_its_documents() {
    let app = App::start().await;
    let admin = app.admin_token().await;
    let company = app.post("/api/v1/customers").by(&admin).json(&json!({ "name": "Régie Baobab" })).await.data(201);
    assert_eq!(company["name"], "Régie Baobab");
    let question = json!({ "question": "Combien coûte la livraison à Abidjan ?" });
    app.post("/api/v1/query").by(&admin).json(&question).await.data(200);
    let quota = app.get("/api/v1/quota/status").by(&admin).await.data(200);
    assert_eq!((&quota["free_quota_used"], &quota["free_quota_limit"]), (&json!(1), &json!(8)));
    assert_eq!(app.get("/api/v1/billing/usage").by(&admin).await.status, 200);
}
