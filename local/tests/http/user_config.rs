//! GET, PUT and DELETE /api/v1/user-config: a user's data pod and its key.

use reqwest::Method;
use serde_json::{Value, json};
use shared::{
    db::BillingDb,
    sealed::{self, KeyRing},
    settings::{Settings, SettingsMap},
    user_configs::{self, DATA_POD_KEY_PURPOSE},
};
use sqlx::FromRow;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::support::{App, TenantUser, TestResponse};

const PATH: &str = "/api/v1/user-config";
const KEY: &str = "pod_0a1b2c3d4e5f1234";
const URL: &str = "https://pod.example.com/hub";

async fn put(app: &App, user: &TenantUser, body: &Value) -> TestResponse {
    app.call(Method::PUT, PATH).by(user).json(body).await
}

async fn show(app: &App, user: &TenantUser) -> Value {
    app.get(PATH).by(user).await.data(200)
}

/// The response to a service that asks for a user.
async fn reveal(app: &App, user: Uuid) -> TestResponse {
    app.get(&format!("{PATH}?user_id={user}")).by(app.service_token()).await
}

/// The audit entries of a user's configuration, oldest first.
#[derive(Debug, PartialEq, FromRow)]
struct Entry {
    customer_id: Uuid,
    actor: Option<Uuid>,
    action: String,
    object: String,
}

async fn entries(app: &App) -> Vec<Entry> {
    let select =
        "select customer_id, actor, action, object from audit_log where action like 'user_config.%' order by id";
    sqlx::query_as(select).fetch_all(&mut app.admin_db().await).await.unwrap()
}

#[tokio::test]
async fn the_key_is_sealed_and_shown_whole_to_a_service_only() {
    let app = App::start().await;
    let user = app.sign_up("Comptoir Baobab").await;
    let empty = json!({
        "user_id": user.user_id, "data_pod_url": null, "data_pod_api_key": null, "created_at": null,
        "updated_at": null,
    });
    assert_eq!(show(&app, &user).await, empty);
    assert_eq!(reveal(&app, user.user_id).await.data(200), empty);

    let made =
        put(&app, &user, &json!({ "data_pod_url": format!(" {URL} "), "data_pod_api_key": KEY })).await.data(200);
    assert_eq!(
        (&made["data_pod_url"], &made["data_pod_api_key"], &made["user_id"]),
        (&json!(URL), &json!("••••1234"), &json!(user.user_id))
    );
    assert_eq!(show(&app, &user).await, made);
    let revealed = reveal(&app, user.user_id).await.data(200);
    assert_eq!((&revealed["data_pod_url"], &revealed["data_pod_api_key"]), (&json!(URL), &json!(KEY)));
    // The row holds no part of the key but its last four characters.
    let row: String = sqlx::query_scalar("select config::text from billing.user_config config where user_id = $1")
        .bind(user.user_id.to_string())
        .fetch_one(&mut app.billing_db().await)
        .await
        .unwrap();
    assert!(!row.contains("0a1b2c3d4e5f") && !row.contains(&hex(KEY)), "{row}");

    let (tenant, object) = (user.customer_id, format!("user:{}", user.user_id));
    let entry =
        |actor, action: &str| Entry { customer_id: tenant, actor, action: action.to_owned(), object: object.clone() };
    assert_eq!(
        entries(&app).await,
        [entry(Some(user.user_id), "user_config.changed"), entry(None, "user_config.read")]
    );
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_support_user_without_a_company_of_its_own_has_a_configuration_of_its_own() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let support = app.sign_up_support(&owner).await;
    put(&app, &support, &json!({ "data_pod_url": URL, "data_pod_api_key": KEY })).await.data(200);
    assert_eq!(show(&app, &owner).await["data_pod_url"], Value::Null);
    assert_eq!(reveal(&app, support.user_id).await.data(200)["data_pod_api_key"], KEY);
    let chains: Vec<_> = entries(&app).await.into_iter().map(|entry| entry.customer_id).collect();
    assert_eq!(chains, [Uuid::nil(), Uuid::nil()], "the owner's audit log says nothing of another user's data pod");
}

#[tokio::test]
async fn another_users_configuration_is_not_found_and_a_service_must_name_a_known_user() {
    let app = App::start().await;
    let (user, other) = (app.sign_up("Comptoir Baobab").await, app.sign_up("Chez Koffi").await);
    put(&app, &user, &json!({ "data_pod_url": URL, "data_pod_api_key": KEY })).await.data(200);
    app.get(&format!("{PATH}?user_id={}", user.user_id)).by(&other).await.refused(404, "not_found");
    app.get(&format!("{PATH}?user_id={}", user.user_id)).by(app.admin_token().await).await.refused(404, "not_found");
    let own = app.get(&format!("{PATH}?user_id={}", user.user_id)).by(&user).await.data(200);
    assert_eq!(own["data_pod_api_key"], "••••1234");

    app.get(PATH).by(app.service_token()).await.invalid_fields(&["user_id"]);
    app.get(&format!("{PATH}?user_id=x")).by(app.service_token()).await.invalid_fields(&["user_id"]);
    reveal(&app, Uuid::new_v4()).await.refused(404, "not_found");
    for method in [Method::PUT, Method::DELETE] {
        let call = app.call(method, PATH).by(app.service_token());
        call.json(&json!({ "data_pod_url": URL })).await.refused(403, "forbidden");
    }
    // A deleted account has no configuration any more, for anybody.
    app.sql(&format!("select app.end_account('{}')", user.user_id)).await;
    reveal(&app, user.user_id).await.refused(404, "not_found");
    app.get(PATH).by(&user).await.refused(401, "unauthorized");
    put(&app, &user, &json!({ "data_pod_url": URL })).await.refused(401, "unauthorized");
    assert_eq!(entries(&app).await.len(), 1);
}

#[tokio::test]
async fn wrong_bodies_are_refused_by_field_and_change_nothing() {
    let app = App::start().await;
    let user = app.sign_up("Comptoir Baobab").await;
    app.call(Method::PUT, PATH).by(&user).raw_json("{").await.refused(400, "malformed_json");
    app.call(Method::PUT, PATH).by(&user).body("text/plain", "{}").await.refused(415, "unsupported_media_type");
    put(&app, &user, &json!({})).await.invalid_fields(&["data_pod_url"]);
    put(&app, &user, &json!({ "data_pod_url": URL, "plan": "pro" })).await.invalid_fields(&["plan"]);
    put(&app, &user, &json!({ "data_pod_url": null })).await.invalid_fields(&["data_pod_url"]);
    for url in [
        "http://pod.example.com",
        "ftp://pod.example.com",
        "https://localhost/hub",
        "https://127.0.0.1/hub",
        "https://10.1.2.3",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://2130706433/",
        "https://pod.internal/",
        "https://user:secret@pod.example.com/",
        "https://pod.example.com:22/",
        "pod.example.com",
        "",
    ] {
        put(&app, &user, &json!({ "data_pod_url": url })).await.invalid_fields(&["data_pod_url"]);
    }
    let long = "k".repeat(501);
    for key in
        [json!(""), json!("short"), json!("with a space in it"), json!("clé-très-secrète"), json!(long), json!(7)]
    {
        let body = json!({ "data_pod_url": URL, "data_pod_api_key": key });
        put(&app, &user, &body).await.invalid_fields(&["data_pod_api_key"]);
    }
    assert_eq!(show(&app, &user).await["created_at"], Value::Null);
    assert_eq!(entries(&app).await, []);
}

#[tokio::test]
async fn a_key_is_kept_for_its_server_only_and_null_removes_it() {
    let app = App::start().await;
    let user = app.sign_up("Comptoir Baobab").await;
    put(&app, &user, &json!({ "data_pod_url": URL, "data_pod_api_key": KEY })).await.data(200);
    // The URL of the same server keeps the key.
    let moved = put(&app, &user, &json!({ "data_pod_url": "https://pod.example.com/v2" })).await.data(200);
    assert_eq!(moved["data_pod_api_key"], "••••1234");
    assert_eq!(reveal(&app, user.user_id).await.data(200)["data_pod_api_key"], KEY);
    // With a stolen session, the key could be sent to another server.
    let elsewhere = json!({ "data_pod_url": "https://evil.example.org/" });
    put(&app, &user, &elsewhere).await.invalid_fields(&["data_pod_api_key"]);
    assert_eq!(show(&app, &user).await, moved);
    let new = json!({ "data_pod_url": "https://pod.example.org/", "data_pod_api_key": "another_key_5678" });
    assert_eq!(put(&app, &user, &new).await.data(200)["data_pod_api_key"], "••••5678");
    let removed = put(&app, &user, &json!({ "data_pod_url": URL, "data_pod_api_key": null })).await.data(200);
    assert_eq!(removed["data_pod_api_key"], Value::Null);
    assert_eq!(reveal(&app, user.user_id).await.data(200)["data_pod_api_key"], Value::Null);

    for _ in 0..2 {
        app.delete(PATH).by(&user).await.no_content();
    }
    assert_eq!(show(&app, &user).await["data_pod_url"], Value::Null);
    let actions: Vec<_> = entries(&app).await.into_iter().map(|entry| entry.action).collect();
    let expected = ["changed", "changed", "read", "changed", "changed", "read", "deleted"];
    assert_eq!(actions, expected.map(|action| format!("user_config.{action}")));
}

#[tokio::test]
async fn of_concurrent_changes_one_wins_whole() {
    let app = App::start().await;
    let user = app.sign_up("Comptoir Baobab").await;
    let mut calls = JoinSet::new();
    for number in 0..6 {
        let body = json!({
            "data_pod_url": format!("https://pod{number}.example.com/"), "data_pod_api_key": format!("key_of_pod_{number}"),
        });
        let call = app.call(Method::PUT, PATH).by(&user).json(&body);
        calls.spawn(async move { call.await.status });
    }
    assert_eq!(calls.join_all().await, [200; 6]);
    let found = reveal(&app, user.user_id).await.data(200);
    let number = found["data_pod_url"].as_str().unwrap().chars().find(char::is_ascii_digit).unwrap();
    assert_eq!(found["data_pod_api_key"], format!("key_of_pod_{number}"));
    assert_eq!(
        sqlx::query_scalar::<_, i64>("select count(*) from billing.user_config")
            .fetch_one(&mut app.billing_db().await)
            .await
            .unwrap(),
        1
    );
}

#[tokio::test]
async fn a_read_that_cannot_be_recorded_shows_no_key() {
    let app = App::start().await;
    let user = app.sign_up("Comptoir Baobab").await;
    put(&app, &user, &json!({ "data_pod_url": URL, "data_pod_api_key": KEY })).await.data(200);
    app.sql("alter table audit_log add constraint audit_log_no_reads check (action <> 'user_config.read') not valid")
        .await;
    let answer = reveal(&app, user.user_id).await;
    assert!(!answer.text.contains(KEY), "{}", answer.text);
    assert_eq!(answer.status, 500);
}

#[tokio::test]
async fn billing_in_a_second_database_holds_the_configuration() {
    let app = App::with_two_databases(&[]).await;
    let user = app.sign_up("Comptoir Baobab").await;
    put(&app, &user, &json!({ "data_pod_url": URL, "data_pod_api_key": KEY })).await.data(200);
    assert_eq!(reveal(&app, user.user_id).await.data(200)["data_pod_api_key"], KEY);
    assert_eq!(entries(&app).await.len(), 2);
}

#[tokio::test]
async fn keys_are_sealed_again_with_a_new_sealing_key() {
    const NEW_KEY: &str = "new:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let app = App::start().await;
    let user = app.sign_up("Comptoir Baobab").await;
    put(&app, &user, &json!({ "data_pod_url": URL, "data_pod_api_key": KEY })).await.data(200);
    let read = |keys: String| {
        let mut settings = Settings::new(SettingsMap::from([
            ("SYSTEM_DATABASE_URL".to_owned(), app.stack.database.system.clone()),
            ("SEALING_KEYS".to_owned(), keys),
        ]));
        let read = (BillingDb::read(&mut settings), KeyRing::read(&mut settings));
        settings.finish().unwrap();
        read
    };
    let (billing, ring) = read(format!("{NEW_KEY},{}", app.stack.secrets.sealing_keys));
    let list = async |after: Uuid| {
        billing.billing_tx(async |tx| Ok(user_configs::sealed_keys(tx, after, 10).await?)).await.unwrap()
    };
    let all = list(Uuid::nil()).await;
    assert_eq!((all.len(), all[0].user), (1, user.user_id));
    assert!(list(user.user_id).await.is_empty());
    let resealed = sealed::reseal(&ring, all[0].user, DATA_POD_KEY_PURPOSE, &all[0].sealed).unwrap().unwrap();
    for is_replaced in [true, false] {
        let done =
            billing.billing_tx(async |tx| Ok(user_configs::replace_sealed_key(tx, &all[0], &resealed).await?)).await;
        assert_eq!(done.unwrap(), is_replaced, "a key that was changed meanwhile stays");
    }
    let (_, new_ring) = read(NEW_KEY.to_owned());
    let stored = &list(Uuid::nil()).await[0].sealed;
    assert_eq!(new_ring.open(user.user_id, DATA_POD_KEY_PURPOSE, stored).unwrap().expose(), KEY);
    // The key is bound to its user.
    assert!(new_ring.open(user.customer_id, DATA_POD_KEY_PURPOSE, stored).is_err());
}
