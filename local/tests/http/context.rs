//! GET /api/v1/context: the Context Loader.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use axum::{body::Body, http::Request};
use serde_json::{Value, json};
use shared::function::Handler;
use tower::ServiceExt;
use uuid::Uuid;

use super::support::{App, TenantUser, TestResponse};

const PATH: &str = "/api/v1/context";

async fn for_user(app: &App, user: Uuid) -> TestResponse {
    app.get(&format!("{PATH}?user_id={user}")).by(app.service_token()).await
}

#[tokio::test]
async fn an_owner_gets_all_that_an_assistant_must_know() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let (tenant, company) = (owner.customer_id, &owner.company_id);
    let conversation = app.store_contact_message(&owner, "132", "Livrez-vous à Bouaké ?").await;
    app.store_bot_message(&owner, conversation, "Oui, en deux jours.").await;
    app.sql(&format!(
        "update company_rag_configs set prompt_rag = 'Sois bref.', ai_name = 'Awa', language = 'en'
             where company_id = '{company}';
         update customers set currency = 'EUR', timezone = 'Africa/Abidjan' where id = '{tenant}';
         update profiles set full_name = 'Awa Koné' where id = '{0}';
         update user_settings set free_quota_used = 7 where user_id = '{0}';
         insert into documents (customer_id, company_id, filename, bytes, storage_key, status, error_code)
         values ('{tenant}', '{company}', 'a.pdf', 1, 'k1', 'processed', null),
                ('{tenant}', '{company}', 'b.pdf', 1, 'k2', 'processed', null),
                ('{tenant}', '{company}', 'c.pdf', 1, 'k3', 'pending', null),
                ('{tenant}', '{company}', 'd.pdf', 1, 'k4', 'failed', 'corrupt')",
        owner.user_id
    ))
    .await;
    let got = app.get(PATH).by(&owner).await.data(200);
    let texts: Vec<_> =
        got["messages"].as_array().unwrap().iter().map(|one| (&one["author"], &one["content"])).collect();
    assert_eq!(
        texts,
        [(&json!("contact"), &json!("Livrez-vous à Bouaké ?")), (&json!("bot"), &json!("Oui, en deux jours."))]
    );
    assert_eq!(got["messages"][0]["conversation_id"], json!(conversation));
    let expected = json!({
        "user": { "id": owner.user_id, "email": owner.email, "full_name": "Awa Koné", "role": "owner" },
        "quota": {
            "is_pro": false, "free_quota_used": 7, "free_quota_limit": 8, "state": "warn_last_free",
            "paywall_should_show": false,
        },
        "plan": {
            "name": "free", "monthly_request_limit": null, "storage_limit_mb": 50, "subscription_status": "free",
            "current_period_end": null,
        },
        "tenant": {
            "id": tenant, "company_id": company, "name": "Comptoir Baobab", "language": "en", "currency": "EUR",
            "timezone": "Africa/Abidjan",
        },
        "mode": "rag",
        "prompts": {
            "ai_name": "Awa", "prompt_rag": "Sois bref.", "prompt_botlive_groq_70b": null,
            "prompt_botlive_deepseek_v3": null,
        },
        "messages": got["messages"],
        "documents": { "total": 4, "processed": 2, "pending": 1, "failed": 1 },
        "stream_url": format!("{}/api/v1/query/stream", app.stack.base_url()),
    });
    assert_eq!(got, expected);

    app.post("/api/v1/toggle-live-mode").by(&owner).json(&json!({ "enabled": true })).await.data(200);
    assert_eq!(app.get(PATH).by(&owner).await.data(200)["mode"], "live");
}

#[tokio::test]
async fn the_stream_is_where_the_context_says() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let url = app.get(PATH).by(&owner).await.data(200)["stream_url"].as_str().unwrap().to_owned();
    let answer = app.http().post(url).bearer_auth(&owner.token).json(&json!({ "question": "Bonjour ?" })).send().await;
    let answer = answer.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream; charset=utf-8");
}

#[tokio::test]
async fn the_last_ten_messages_are_shown_oldest_first() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    for number in 0..13 {
        app.store_contact_message(&owner, &format!("{number}"), &format!("message {number}")).await;
    }
    let got = app.get(PATH).by(&owner).await.data(200);
    let texts: Vec<_> = got["messages"].as_array().unwrap().iter().map(|one| one["content"].clone()).collect();
    let expected: Vec<_> = (3..13).map(|number| json!(format!("message {number}"))).collect();
    assert_eq!(texts, expected);
}

#[tokio::test]
async fn a_paid_plan_is_never_blocked() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    app.sql(&format!("update user_settings set free_quota_used = 8 where user_id = '{}'", owner.user_id)).await;
    assert_eq!(app.get(PATH).by(&owner).await.data(200)["quota"]["state"], "blocked");
    app.sql(&format!(
        "update users set is_pro = true where id = '{0}';
         update profiles set subscription_status = 'active', subscription_access_until = now() + interval '9 days',
             subscription_current_period_end = '2027-01-02T03:04:05Z' where id = '{0}';
         update customers set plan_id = (select id from plans where name = 'pro') where user_id = '{0}'",
        owner.user_id
    ))
    .await;
    let got = app.get(PATH).by(&owner).await.data(200);
    assert_eq!((&got["quota"]["state"], &got["quota"]["is_pro"]), (&json!("normal"), &json!(true)));
    let plan = json!({
        "name": "pro", "monthly_request_limit": 2000, "storage_limit_mb": 500, "subscription_status": "active",
        "current_period_end": "2027-01-02T03:04:05Z",
    });
    assert_eq!(got["plan"], plan);
}

#[tokio::test]
async fn a_service_asks_for_a_user_and_reads_by_others_than_the_owner_are_audited() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let support = app.sign_up_support(&owner).await;
    let own = app.get(PATH).by(&owner).await.data(200);
    assert_eq!(for_user(&app, owner.user_id).await.data(200), own);
    let shown = app.get(PATH).by(&support).await.data(200);
    assert_eq!((&shown["user"]["email"], &shown["user"]["role"]), (&json!(support.email), &json!("support")));
    // The quota is the owner's.
    assert_eq!((&shown["quota"], &shown["tenant"]), (&own["quota"], &own["tenant"]));
    let entries: Vec<(Option<Uuid>, String)> = sqlx::query_as(
        "select actor, object from audit_log where action = 'context.read' and customer_id = $1 order by id",
    )
    .bind(owner.customer_id)
    .fetch_all(&mut app.admin_db().await)
    .await
    .unwrap();
    let expected =
        [(None, format!("user:{}", owner.user_id)), (Some(support.user_id), format!("user:{}", support.user_id))];
    assert_eq!(entries, expected);

    // A user of two companies is asked for with the header.
    let other = app.sign_up("Chez Koffi").await;
    app.sql(&format!(
        "insert into customer_members (customer_id, user_id, role) values ('{}', '{}', 'support')",
        other.customer_id, support.user_id
    ))
    .await;
    for_user(&app, support.user_id).await.refused(422, "tenant_required");
    let path = format!("{PATH}?user_id={}", support.user_id);
    let named = app.get(&path).by(app.service_token()).header("x-customer-id", other.customer_id.to_string());
    assert_eq!(named.await.data(200)["tenant"]["name"], "Chez Koffi");
    let foreign = app.get(&path).by(app.service_token()).header("x-customer-id", Uuid::new_v4().to_string());
    foreign.await.refused(404, "not_found");
}

#[tokio::test]
async fn others_and_closed_companies_are_refused() {
    let app = App::start().await;
    let (owner, other) = (app.sign_up("Comptoir Baobab").await, app.sign_up("Chez Koffi").await);
    let support = app.sign_up_support(&owner).await;
    let path = |user: &TenantUser| format!("{PATH}?user_id={}", user.user_id);
    app.get(&path(&owner)).by(&other).await.refused(404, "not_found");
    app.get(&path(&owner)).by(&support).await.refused(404, "not_found");
    app.get(&path(&owner)).by(&owner).await.data(200);
    app.get(&path(&owner)).by(app.admin_token().await).await.refused(404, "not_found");
    app.get(PATH).by(app.admin_token().await).await.refused(403, "forbidden");
    let named = app.get(PATH).by(&other).header("x-customer-id", owner.customer_id.to_string());
    named.await.refused(404, "not_found");
    app.get(PATH).by(app.service_token()).await.invalid_fields(&["user_id"]);
    app.get(&format!("{PATH}?user_id=1")).by(app.service_token()).await.invalid_fields(&["user_id"]);
    app.get(&format!("{PATH}?user_id={}&x=1", owner.user_id))
        .by(app.service_token())
        .await
        .refused(422, "validation_failed");
    for_user(&app, Uuid::new_v4()).await.refused(404, "not_found");

    let no_company = app.sign_up("Personne").await;
    app.sql(&format!("delete from customer_members where user_id = '{}'", no_company.user_id)).await;
    app.get(PATH).by(&no_company).await.refused(422, "tenant_required");
    for_user(&app, no_company.user_id).await.refused(422, "tenant_required");
    for (column, code) in [("suspended_at", "tenant_suspended"), ("deleted_at", "tenant_deleted")] {
        app.sql(&format!("update customers set {column} = now() where id = '{}'", owner.customer_id)).await;
        app.get(PATH).by(&owner).await.refused(403, code);
        for_user(&app, owner.user_id).await.refused(403, code);
        app.sql(&format!("update customers set {column} = null where id = '{}'", owner.customer_id)).await;
    }
    app.sql(&format!("select app.end_account('{}')", no_company.user_id)).await;
    for_user(&app, no_company.user_id).await.refused(404, "not_found");
    app.get(PATH).by(&no_company).await.refused(401, "unauthorized");
}

/// The statements that one request sends, as sqlx logs them.
struct StatementLog(Arc<Mutex<Vec<String>>>);

struct Summary(String);

impl tracing::field::Visit for Summary {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        if field.name() == "summary" {
            self.0 = format!("{value:?}");
        }
    }

    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        if field.name() == "summary" {
            value.clone_into(&mut self.0);
        }
    }
}

impl tracing::Subscriber for StatementLog {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let mut summary = Summary(String::new());
        event.record(&mut summary);
        self.0.lock().unwrap().push(summary.0.split_whitespace().collect::<Vec<_>>().join(" "));
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn a_context_costs_one_statement_beyond_the_transactions_own() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let support = app.sign_up_support(&owner).await;
    let settings: [(&str, &str); 2] =
        [("DATABASE_URL", &app.stack.database.app), ("JWT_SECRET", &app.stack.secrets.jwt_secret)];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let Handler::Http(router) = context::FUNCTION.start(settings).await.unwrap().handler else {
        panic!("context answers HTTP requests")
    };
    let log = Arc::new(Mutex::new(Vec::new()));
    let dispatch = tracing::Dispatch::new(StatementLog(log.clone()));
    // While there is one dispatcher only, tracing asks the default one of the thread that comes first to a place in the
    // code, and keeps "not wanted" for all threads. Threads of other tests have no default one.
    let _second = tracing::Dispatch::new(StatementLog(log.clone()));
    let _guard = tracing::dispatcher::set_default(&dispatch);
    for caller in [&owner, &support] {
        let request = Request::get(PATH).header("authorization", format!("Bearer {}", caller.token));
        let answer = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 200);
        let statements = std::mem::take(&mut *log.lock().unwrap());
        // The rate limit and the membership come before the transaction.
        let before = |text: &String| text.starts_with("select * from app.");
        let of_transaction = |text: &String| text.starts_with("begin;") || text == "select 1; commit";
        assert_eq!(statements.iter().filter(|text| before(text)).count(), 2, "{statements:?}");
        let own: Vec<_> = statements.iter().filter(|text| !before(text) && !of_transaction(text)).collect();
        assert!(own.len() == 1 && own[0].starts_with("select member.email"), "{statements:?}");
    }
    let read = "select count(*) from audit_log where action = 'context.read'";
    assert_eq!(app.number(read).await, 1, "the support user's read is recorded by the same statement");
}

#[tokio::test]
async fn a_read_that_cannot_be_recorded_shows_nothing() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    app.store_contact_message(&owner, "1", "un secret").await;
    app.sql("alter table audit_log add constraint audit_log_no_reads check (action <> 'context.read') not valid").await;
    let answer = for_user(&app, owner.user_id).await;
    assert!(answer.status == 500 && !answer.text.contains("secret"), "{}", answer.text);
    let own: Value = app.get(PATH).by(&owner).await.data(200);
    assert_eq!(own["messages"][0]["content"], "un secret");
}
