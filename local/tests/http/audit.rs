//! The audit log: its entries, and `GET /api/v1/audit`.

use serde_json::{Value, json};
use sqlx::FromRow;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::support::{App, PASSWORD, TenantUser, TestResponse, new_email, small_pdf};

const AUDIT: &str = "/api/v1/audit";

/// A row of `audit_log`.
#[derive(Debug, PartialEq, FromRow)]
struct AuditRow {
    customer_id: Uuid,
    actor: Option<Uuid>,
    action: String,
    object: String,
    request_id: Option<String>,
    details: Value,
}

/// All rows of the audit log, oldest first.
async fn entries(app: &App) -> Vec<AuditRow> {
    let statement = "select customer_id, actor, action, object, request_id, details from audit_log order by id";
    sqlx::query_as(statement).fetch_all(&mut app.admin_db().await).await.unwrap()
}

/// The expected entry for an action of a user on the user's own account, in the request of this response.
fn account_entry(tenant: &TenantUser, action: &str, answer: &TestResponse) -> AuditRow {
    AuditRow {
        customer_id: tenant.customer_id,
        actor: Some(tenant.user_id),
        action: action.to_owned(),
        object: format!("user:{}", tenant.user_id),
        request_id: Some(answer.header("x-request-id").to_owned()),
        details: json!({}),
    }
}

#[tokio::test]
async fn sign_up_login_password_change_and_logout_are_logged_with_the_request_id() {
    let app = App::start().await;
    let body = json!({ "email": new_email(), "password": PASSWORD, "company_name": "Comptoir Baobab" });
    let signup = app.post("/api/v1/auth/signup").json(&body).await;
    let tenant = TenantUser::from_session(&signup.body["data"]);
    let failed = app.log_in(&tenant.email, "wrong horse battery").await;
    let login = app.log_in(&tenant.email, PASSWORD).await;
    let token = login.body["data"]["access_token"].as_str().unwrap();
    let change = json!({ "current_password": PASSWORD, "new_password": "another horse battery" });
    let changed = app.post("/api/v1/auth/password").by(token).json(&change).await;
    let logout = app.post("/api/v1/auth/logout").by(token).await;

    let expected = [
        ("auth.signup", &signup, 201),
        ("auth.login_failed", &failed, 401),
        ("auth.login", &login, 200),
        ("auth.password_changed", &changed, 204),
        ("auth.logout", &logout, 204),
    ];
    for (action, answer, status) in expected {
        assert_eq!(answer.status, status, "{action}: {}", answer.text);
    }
    let expected = expected.map(|(action, answer, _)| account_entry(&tenant, action, answer));
    assert_eq!(entries(&app).await, expected);
}

#[tokio::test]
async fn refused_account_requests_and_token_refreshes_are_not_logged() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let before = entries(&app).await;

    app.log_in(&new_email(), PASSWORD).await.refused(401, "invalid_credentials");
    let body = json!({ "email": tenant.email, "password": PASSWORD, "company_name": "Encore" });
    app.post("/api/v1/auth/signup").json(&body).await.refused(409, "email_taken");
    app.post("/api/v1/auth/logout").await.refused(401, "unauthorized");
    app.refresh(&tenant.refresh_token).await.data(200);

    assert_eq!(entries(&app).await, before);
}

#[tokio::test]
async fn refused_passwords_add_two_entries_an_hour_and_action() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let support = app.sign_up_support(&tenant).await;
    let before = entries(&app).await.len();
    let change = json!({ "current_password": "wrong horse battery", "new_password": "another horse battery" });
    let first = app.log_in(&tenant.email, "wrong horse battery").await;
    let mut guesses = JoinSet::new();
    for email in [&tenant.email, &support.email, &new_email()].into_iter().cycle().take(30) {
        let body = json!({ "email": email, "password": "wrong horse battery" });
        guesses.spawn(app.post("/api/v1/auth/login").json(&body).into_future());
    }
    for answer in guesses.join_all().await {
        answer.refused(401, "invalid_credentials");
    }
    let first_change = app.post("/api/v1/auth/password").by(&tenant).json(&change).await;
    app.post("/api/v1/auth/password").by(&tenant).json(&change).await.invalid_fields(&["current_password"]);
    let begun = [
        account_entry(&tenant, "auth.login_failed", &first),
        account_entry(&tenant, "auth.password_change_failed", &first_change),
    ];
    assert_eq!(entries(&app).await[before..], begun);

    // Maintenance logs the numbers when the hour is over, once.
    app.stack.invoke("maintenance", json!({})).await.unwrap();
    assert_eq!(entries(&app).await.len(), before + 2);
    app.sql("update failed_sign_ins set window_start = window_start - interval '1 hour'").await;
    for _ in 0..2 {
        app.stack.invoke("maintenance", json!({})).await.unwrap();
    }
    let all = entries(&app).await;
    let mut ends: Vec<_> = all[before + 2..]
        .iter()
        .map(|entry| {
            assert_eq!((entry.customer_id, entry.actor), (tenant.customer_id, None));
            assert_eq!(entry.object, format!("customer:{}", tenant.customer_id));
            (entry.action.as_str(), entry.details["failures"].as_i64().unwrap())
        })
        .collect();
    ends.sort_unstable();
    assert_eq!(ends, [("auth.login_failed", 21), ("auth.password_change_failed", 2)]);
    assert_eq!(app.number("select count(*) from failed_sign_ins").await, 0);

    // A failure in a later hour begins a new entry, also when maintenance has not run in between.
    for _ in 0..3 {
        app.log_in(&tenant.email, "wrong horse battery").await.refused(401, "invalid_credentials");
    }
    app.sql("update failed_sign_ins set window_start = window_start - interval '1 hour'").await;
    let next = app.log_in(&tenant.email, "wrong horse battery").await;
    let later = entries(&app).await;
    let [_, end, begin] = &later[all.len()..] else { panic!("{later:?}") };
    assert_eq!((end.actor, end.details["failures"].as_i64()), (None, Some(3)));
    assert_eq!(*begin, account_entry(&tenant, "auth.login_failed", &next));
    assert_eq!(app.number("select count(*) from app.audit_faults()").await, 0);
}

#[tokio::test]
async fn reads_by_a_support_user_are_logged_and_reads_by_the_owner_are_not() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let support = app.sign_up_support(&tenant).await;
    let guide = app.upload_and_process(&tenant, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    let question = "How long does the delivery take?";
    let document = format!("/api/v1/documents/{guide}");
    let before = entries(&app).await.len();
    app.get(&document).by(&tenant).await.data(200);
    app.ask(&tenant, question).header("idempotency-key", "owner").await.data(200);
    assert_eq!(entries(&app).await.len(), before, "the owner's own");

    let read = app.get(&document).by(&support).await;
    let asked = app.ask(&support, question).await;
    // Repeating the owner's request with its idempotency key is also a read of documents.
    let repeated = app.ask(&support, question).header("idempotency-key", "owner").await;
    assert_eq!(repeated.header("idempotency-replayed"), "true", "{}", repeated.text);
    app.get(&format!("/api/v1/documents/{}", Uuid::new_v4())).by(&support).await.refused(404, "not_found");

    let by_support = |action: &str, object: String, details: Value, answer: &TestResponse| AuditRow {
        customer_id: tenant.customer_id,
        actor: Some(support.user_id),
        action: action.to_owned(),
        object,
        request_id: Some(answer.header("x-request-id").to_owned()),
        details,
    };
    let (company, cited) = (format!("tenant:{}", tenant.customer_id), json!({ "documents": [guide] }));
    let expected = [
        by_support("document.read", format!("document:{guide}"), json!({}), &read),
        by_support("documents.queried", company.clone(), cited.clone(), &asked),
        by_support("documents.queried", company, cited, &repeated),
    ];
    assert_eq!(entries(&app).await[before..], expected);
}

#[tokio::test]
async fn a_support_user_reads_nothing_when_the_audit_entry_cannot_be_written() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let support = app.sign_up_support(&tenant).await;
    let guide = app.upload_and_process(&tenant, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    let document = format!("/api/v1/documents/{guide}");
    let used = "select sum(free_quota_used) from user_settings";
    app.sql("revoke execute on function app.audit_own(uuid, text, text, text, jsonb) from lisa_tenant").await;

    assert!(!app.get(&document).by(&support).await.text.contains("three days"));
    app.get(&document).by(&support).await.refused(500, "internal");
    app.ask(&support, "How long does the delivery take?").await.refused(500, "internal");
    app.get(&document).by(&tenant).await.data(200);

    app.sql("revoke execute on function app.audit(uuid, uuid, text, text, text, jsonb) from lisa_system").await;
    app.log_in(&tenant.email, PASSWORD).await.refused(500, "internal");
    assert!(app.number(used).await <= 1);
}

#[tokio::test]
async fn the_audit_log_holds_no_personal_data() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let support = app.sign_up_support(&tenant).await;
    let guide = app.upload_and_process(&tenant, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    app.ask(&support, "How long does the delivery take?").await.data(200);
    app.get(&format!("/api/v1/documents/{guide}")).by(&support).await.data(200);
    app.log_in(&tenant.email, "wrong horse battery").await.refused(401, "invalid_credentials");
    app.log_in(&support.email, PASSWORD).await.data(200);

    let select = "select string_agg(entry::text, ' ') from audit_log entry";
    let log: String = sqlx::query_scalar(select).fetch_one(&mut app.admin_db().await).await.unwrap();
    let log = log.to_lowercase();
    for text in [&tenant.email, &support.email, "@", "horse", "comptoir", "baobab", "delivery", "guide", "127.0.0.1"] {
        assert!(!log.contains(text), "{text}: {log}");
    }
}

/// Reads all pages by their cursors, and calls `between` after each page but the last.
async fn read_all_pages(app: &App, tenant: &TenantUser, sort: &str, mut between: impl AsyncFnMut()) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = app.get(&format!("{AUDIT}?limit=3&sort={sort}{cursor}")).by(tenant).await.json_body(200);
        all.extend(page["data"].as_array().unwrap().clone());
        let Some(next) = page["meta"]["next_cursor"].as_str() else { return all };
        cursor = format!("&cursor={next}");
        between().await;
    }
}

#[tokio::test]
async fn the_cursor_lists_every_entry_once_while_new_entries_arrive() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let other = app.sign_up("Chez Koffi").await;
    for _ in 0..6 {
        app.log_in(&tenant.email, PASSWORD).await.data(200);
        app.log_in(&other.email, PASSWORD).await.data(200);
    }
    let ids = |entries: &[Value]| entries.iter().map(|entry| entry["id"].as_i64().unwrap()).collect::<Vec<_>>();
    let query = format!("select array_agg(id order by id) from audit_log where customer_id = '{}'", tenant.customer_id);
    let own = async || -> Vec<i64> {
        sqlx::query_scalar(sqlx::AssertSqlSafe(query.clone())).fetch_one(&mut app.admin_db().await).await.unwrap()
    };
    let mut expected = own().await;
    assert_eq!(expected.len(), 7);

    let page = app.get(&format!("{AUDIT}?limit=5&page=2")).by(&tenant).await.json_body(200);
    assert_eq!(page["meta"], json!({ "page": 2, "limit": 5, "total": 7, "total_pages": 2, "next_cursor": null }));
    assert_eq!(page["data"].as_array().unwrap().len(), 2);
    let entry = &page["data"][1];
    assert_eq!((&entry["action"], &entry["actor"]), (&json!("auth.signup"), &json!(tenant.user_id)));
    assert!(entry["at"].as_str().unwrap().ends_with('Z') && entry["request_id"].is_string());
    // The hash chain of the log is not part of the response.
    assert_eq!(entry.as_object().unwrap().len(), 7, "{entry}");

    let newer = async || drop(app.log_in(&tenant.email, PASSWORD).await.data(200));
    let descending = read_all_pages(&app, &tenant, "-at", newer).await;
    expected.reverse();
    assert_eq!(ids(&descending), expected);
    let ascending = read_all_pages(&app, &tenant, "at", async || {}).await;
    assert_eq!(ids(&ascending), own().await);
}

#[tokio::test]
async fn only_the_owner_reads_the_audit_log() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let other = app.sign_up("Chez Koffi").await;
    let support = app.sign_up_support(&tenant).await;
    app.get(AUDIT).await.refused(401, "unauthorized");
    app.get(AUDIT).by(&support).await.refused(403, "forbidden");
    app.get(AUDIT).by(app.service_token()).await.refused(403, "forbidden");
    let foreign_tenant = tenant.customer_id.to_string();
    app.get(AUDIT).by(&other).header("x-customer-id", &foreign_tenant).await.refused(404, "not_found");
    for field in
        ["sort=action", "sort=-id", "page=0", "limit=101", "status=x", "cursor=x", "cursor=eyJzb3J0IjoiLWF0In0"]
    {
        let name = field.split('=').next().unwrap();
        app.get(&format!("{AUDIT}?{field}")).by(&tenant).await.invalid_fields(&[name]);
    }
    // A cursor made by another company reads the caller's own log.
    for _ in 0..2 {
        app.log_in(&tenant.email, PASSWORD).await.data(200);
    }
    let page = app.get(&format!("{AUDIT}?limit=1")).by(&tenant).await.json_body(200);
    let cursor = page["meta"]["next_cursor"].as_str().unwrap();
    let page = app.get(&format!("{AUDIT}?cursor={cursor}")).by(&other).await.json_body(200);
    for entry in page["data"].as_array().unwrap() {
        assert_eq!(entry["actor"], json!(other.user_id));
    }
}
