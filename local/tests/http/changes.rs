//! The changes feed.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::support::{App, TenantUser, TestResponse};

const CHANGES: &str = "/api/v1/changes";

async fn changes(app: &App, tenant: &TenantUser, query: &str) -> TestResponse {
    app.get(&format!("{CHANGES}?{query}")).by(tenant).await
}

/// Kinds and cursor of a page.
fn read(page: TestResponse) -> (Vec<String>, String) {
    let body = page.json_body(200);
    let kinds = body["data"].as_array().unwrap().iter().map(|row| row["kind"].as_str().unwrap().to_owned()).collect();
    (kinds, body["meta"]["next_cursor"].as_str().unwrap().to_owned())
}

async fn place_order(app: &App, tenant: &TenantUser) -> Value {
    let order = json!({ "items": [{ "name": "Thé", "quantity": 1, "unit_price": "500" }] });
    app.post("/api/v1/orders").by(tenant).json(&order).await.data(201)["id"].clone()
}

#[tokio::test]
async fn every_kind_of_object_is_in_the_feed_and_another_companys_is_not() {
    let app = App::start().await;
    let (tenant, other) = (app.sign_up("Comptoir Baobab").await, app.sign_up("Lumaworks").await);
    let (kinds, begin) = read(changes(&app, &tenant, "cursor=now").await);
    assert_eq!(kinds, [""; 0]);
    app.store_contact_message(&tenant, "132", "Bonjour").await;
    let (kinds, next) = read(changes(&app, &tenant, &format!("cursor={begin}")).await);
    assert_eq!(kinds, ["conversation", "message"]);
    app.announce(&tenant, "guide.pdf", 100).await;
    assert_eq!(read(changes(&app, &tenant, &format!("cursor={next}")).await).0, ["document"]);

    let (_, cursor) = read(changes(&app, &tenant, "cursor=now").await);
    let order = place_order(&app, &tenant).await;
    let path = format!("/api/v1/orders/{}", order.as_str().unwrap());
    app.call(Method::PATCH, &path).by(&tenant).json(&json!({ "customer_name": "Awa" })).await.data(200);
    app.delete(&path).by(&tenant).await.no_content();
    let body = changes(&app, &tenant, &format!("cursor={cursor}")).await.json_body(200);
    let rows = body["data"].as_array().unwrap();
    let kinds: Vec<_> = rows.iter().map(|row| (row["kind"].as_str().unwrap(), row["is_deleted"] == true)).collect();
    assert_eq!(
        kinds,
        [
            ("order", false),
            ("activity", false),
            ("order", false),
            ("activity", false),
            ("order", true),
            ("activity", false)
        ]
    );
    assert!(rows.iter().filter(|row| row["kind"] == "order").all(|row| row["id"] == order));
    assert!(rows.is_sorted_by_key(|row| row["version"].as_i64()));
    assert_eq!(body["meta"]["has_more"], false);

    // From the beginning, in pages, each change once.
    let whole = changes(&app, &tenant, "").await.json_body(200)["data"].take();
    let (mut paged, mut query) = (Vec::new(), "limit=2".to_owned());
    loop {
        let page = changes(&app, &tenant, &query).await.json_body(200);
        paged.extend(page["data"].as_array().unwrap().clone());
        if page["meta"]["has_more"] == false {
            break;
        }
        query = format!("limit=2&cursor={}", page["meta"]["next_cursor"].as_str().unwrap());
    }
    assert_eq!(json!(paged), whole);
    assert_eq!(changes(&app, &other, "").await.json_body(200)["data"], json!([]));
    assert_eq!(read(changes(&app, &other, &format!("cursor={cursor}")).await).0, [""; 0]);
}

#[tokio::test]
async fn an_unchanged_feed_is_not_sent_again() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let (_, cursor) = read(changes(&app, &tenant, "cursor=now").await);
    let path = format!("{CHANGES}?cursor={cursor}");
    let first = app.get(&path).by(&tenant).await;
    let etag = first.header("etag").to_owned();
    assert!(etag.starts_with("W/\""), "{etag}");
    let same = app.get(&path).by(&tenant).header("if-none-match", &etag).await;
    assert_eq!((same.status, same.text.as_str(), same.header("etag")), (304, "", etag.as_str()));
    place_order(&app, &tenant).await;
    let changed = app.get(&path).by(&tenant).header("if-none-match", &etag).await;
    assert_ne!(changed.header("etag"), etag);
    assert_eq!(read(changed).0, ["order", "activity"]);
}

#[tokio::test]
async fn a_call_waits_for_a_change_and_no_longer_than_asked() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let (_, cursor) = read(changes(&app, &tenant, "cursor=now").await);
    let started = Instant::now();
    let query = format!("wait=20&cursor={cursor}");
    let (waited, _) = tokio::join!(changes(&app, &tenant, &query), place_order(&app, &tenant));
    assert_eq!(read(waited).0[0], "order");
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());

    let (_, cursor) = read(changes(&app, &tenant, "cursor=now").await);
    let started = Instant::now();
    assert_eq!(read(changes(&app, &tenant, &format!("wait=1&cursor={cursor}")).await).0, [""; 0]);
    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn wrong_parameters_and_old_cursors_are_refused_by_name() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("wait=21", "wait"),
        ("wait=-1", "wait"),
        ("cursor=4711", "cursor"),
        // {"n":1,"t":0}: of 1970.
        ("cursor=eyJuIjoxLCJ0IjowfQ", "cursor"),
    ] {
        changes(&app, &tenant, query).await.invalid_fields(&[field]);
    }
}

#[tokio::test]
async fn maintenance_deletes_changes_after_seven_days() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    place_order(&app, &tenant).await;
    app.sql("update changes set at = now() - interval '8 days' where kind = 'order'").await;
    app.stack.invoke("maintenance", json!({})).await.unwrap();
    assert_eq!(read(changes(&app, &tenant, "").await).0, ["activity"]);
}
