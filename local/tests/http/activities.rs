//! The company's activities.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::support::{App, TenantUser};

const ACTIVITIES: &str = "/api/v1/activities";

/// Stores activities with these types, statuses and times.
async fn store(app: &App, tenant: &TenantUser, activities: &[(&str, &str, &str)]) {
    for (kind, status, at) in activities {
        app.sql(&format!(
            "insert into activities (company_id, type, title, status, created_at)
             values ('{}', '{kind}', 'A title', '{status}', '{at}')",
            tenant.customer_id
        ))
        .await;
    }
}

async fn types(app: &App, tenant: &TenantUser, query: &str) -> Vec<String> {
    let list = app.get(&format!("{ACTIVITIES}?{query}")).by(tenant).await.data(200);
    list.as_array().unwrap().iter().map(|row| row["type"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn activities_are_listed_newest_first_and_filtered() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let other = app.sign_up("Lumaworks").await;
    app.sql("update customers set timezone = 'Europe/Paris'").await;
    store(
        &app,
        &tenant,
        &[
            ("order_created", "success", "2026-11-01T22:59:59Z"),
            ("bot_failed", "error", "2026-11-01T23:00:00Z"),
            ("order_created", "warning", "2026-11-02T10:00:00.123456Z"),
        ],
    )
    .await;
    store(&app, &other, &[("mode_changed", "info", "2026-11-01T00:00:00Z")]).await;

    assert_eq!(types(&app, &tenant, "").await, ["order_created", "bot_failed", "order_created"]);
    assert_eq!(types(&app, &tenant, "limit=1").await, ["order_created"]);
    assert_eq!(types(&app, &tenant, "type=bot_failed").await, ["bot_failed"]);
    assert_eq!(types(&app, &tenant, "type=order_created&status=success").await, ["order_created"]);
    assert_eq!(types(&app, &tenant, "type=mode_changed").await, [""; 0]);
    // A time is in its range itself; a day begins in the company's timezone.
    assert_eq!(types(&app, &tenant, "since=2026-11-02T10:00:00.123456Z").await, ["order_created"]);
    assert_eq!(types(&app, &tenant, "since=2026-11-02T10:00:00.123457Z").await, [""; 0]);
    assert_eq!(types(&app, &tenant, "since=2026-11-02").await, ["order_created", "bot_failed"]);
    assert_eq!(types(&app, &other, "").await, ["mode_changed"]);
    for (query, field) in
        [("type=Order", "type"), ("since=now", "since"), ("status=bad", "status"), ("limit=101", "limit")]
    {
        app.get(&format!("{ACTIVITIES}?{query}")).by(&tenant).await.invalid_fields(&[field]);
    }
}

#[tokio::test]
async fn an_activity_of_an_order_names_it_and_its_maker() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let support = app.sign_up_support(&tenant).await;
    let order = json!({ "items": [{ "name": "Thé", "quantity": 1, "unit_price": "100" }] });
    let order = app.post("/api/v1/orders").by(&support).json(&order).await.data(201)["id"].clone();
    let list = app.get(ACTIVITIES).by(&support).await.data(200);
    assert_eq!(
        list,
        json!([{
            "id": list[0]["id"], "type": "order_created", "title": "A person of the company has made an order",
            "description": null, "status": "success", "conversation_id": null,
            "metadata": { "order_id": order, "user_id": support.user_id }, "created_at": list[0]["created_at"],
        }])
    );
    assert_eq!(app.audit_actions(&tenant).await, [format!("activities.read tenant:{}", tenant.customer_id)]);
}

#[tokio::test]
async fn a_cursor_walks_every_activity_once_while_activities_come_in() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    // Some at one time.
    let insert = format!(
        "insert into activities (company_id, type, title, created_at)
         select '{}', 'numbered', 'A title', timestamptz '2026-11-01' + n / 3 * interval '1 second'
         from generate_series(1, 23) n",
        tenant.customer_id
    );
    app.sql(&insert).await;
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = app.get(&format!("{ACTIVITIES}?limit=5{cursor}")).by(&tenant).await.json_body(200);
        seen.extend(page["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()));
        app.sql(&insert.replace("numbered", "later").replace("timestamptz '2026-11-01'", "now()")).await;
        let Some(next) = page["meta"]["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
        assert_ne!(page["meta"]["total"], Value::Null);
    }
    assert_eq!((seen.len(), seen.iter().collect::<BTreeSet<_>>().len()), (23, 23));
}
