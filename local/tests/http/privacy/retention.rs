//! Retention of conversations, a setting of the company.

use chrono::{TimeDelta, Utc};
use serde_json::json;

use super::{
    super::support::{App, TenantUser},
    maintain, maintain_at,
};

const ME: &str = "/api/v1/customers/me";

async fn texts(app: &App, tenant: &TenantUser) -> Vec<String> {
    let select = "select content from messages where customer_id = $1 order by created_at::date, content";
    sqlx::query_scalar(select).bind(tenant.customer_id).fetch_all(&mut app.admin_db().await).await.unwrap()
}

/// Makes a conversation whose messages are so many days old.
async fn old_conversation(app: &App, tenant: &TenantUser, contact: &str, days: &[i32]) {
    let conversation = app.store_contact_message(tenant, contact, "now").await;
    app.sql(&format!("delete from messages where conversation_id = '{conversation}'")).await;
    for day in days {
        app.sql(&format!(
            "insert into messages (customer_id, conversation_id, direction, author, content, created_at)
             values ('{}', '{conversation}', 'inbound', 'contact', '{contact}: {day}', now() - interval '{day} days')",
            tenant.customer_id
        ))
        .await;
    }
    let newest = days.iter().min().unwrap();
    app.sql(&format!(
        "update conversations set last_message_at = now() - interval '{newest} days' where id = '{conversation}';
         insert into activities (company_id, conversation_id, type, title)
             values ('{}', '{conversation}', 'test', '{contact}');
         insert into orders (company_id, conversation_id, customer_name, total_amount, currency, items)
             values ('{0}', '{conversation}', 'Awa', 0, 'XOF', '[]')",
        tenant.customer_id
    ))
    .await;
}

#[tokio::test]
async fn messages_are_deleted_after_the_months_that_their_company_sets_and_idle_conversations_with_them() {
    let app = App::start().await;
    let (short, long) = (app.sign_up("Comptoir Baobab").await, app.sign_up("Lumaworks").await);
    for tenant in [&short, &long] {
        old_conversation(&app, tenant, "1", &[400, 370, 100, 5]).await;
        old_conversation(&app, tenant, "2", &[100, 95]).await;
    }
    assert_eq!(app.get(ME).by(&long).await.data(200)["conversation_retention_months"], 12);
    let changed =
        app.call(reqwest::Method::PATCH, ME).by(&short).json(&json!({ "conversation_retention_months": 3 })).await;
    assert_eq!(changed.data(200)["conversation_retention_months"], 3);

    maintain(&app).await;

    assert_eq!(texts(&app, &short).await, ["1: 5"]);
    assert_eq!(texts(&app, &long).await, ["1: 100", "2: 100", "2: 95", "1: 5"]);
    let count = |table: &str, column: &str, tenant: &TenantUser| {
        format!("select count(*) from {table} where {column} = '{}'", tenant.customer_id)
    };
    assert_eq!(app.number(&count("conversations", "customer_id", &short)).await, 1);
    assert_eq!(app.number(&count("activities", "company_id", &short)).await, 1);
    assert_eq!(app.number(&count("orders", "company_id", &short)).await, 2, "an order is a booking");
    assert_eq!(app.number(&count("conversations", "customer_id", &long)).await, 2);
    // A year later, by the clock of maintenance.
    maintain_at(&app, Utc::now() + TimeDelta::days(366)).await;
    assert_eq!(texts(&app, &long).await, Vec::<String>::new());
    assert_eq!(app.number("select count(*) from conversations").await, 0);
}

#[tokio::test]
async fn the_retention_is_one_month_to_five_years_and_its_change_is_recorded() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let patch = |value: serde_json::Value| {
        app.call(reqwest::Method::PATCH, ME).by(&owner).json(&json!({ "conversation_retention_months": value }))
    };
    for invalid in [json!(0), json!(-1), json!(61), json!("3"), json!(1.5)] {
        patch(invalid).await.invalid_fields(&["conversation_retention_months"]);
    }
    for valid in [1, 60, 12] {
        assert_eq!(patch(json!(valid)).await.data(200)["conversation_retention_months"], valid);
    }
    let fields = "select count(*) from audit_log where details::text like '%conversation_retention_months%'";
    assert_eq!(app.number(fields).await, 3);
}

#[tokio::test]
async fn a_message_that_arrives_at_the_moment_of_the_deletion_keeps_its_conversation() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    old_conversation(&app, &owner, "1", &[400]).await;
    // A message has locked the row and is not committed yet.
    let mut other = app.admin_db().await;
    sqlx::raw_sql("begin; update conversations set last_message_at = now()").execute(&mut other).await.unwrap();
    maintain(&app).await;
    sqlx::raw_sql("commit").execute(&mut other).await.unwrap();
    maintain(&app).await;
    assert_eq!(app.number("select count(*) from conversations").await, 1);
    assert_eq!(texts(&app, &owner).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_conversation_stays_until_the_last_of_its_old_messages_is_deleted() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    old_conversation(&app, &owner, "1", &[400]).await;
    // A run deletes 10,000 messages.
    app.sql(
        "insert into messages (customer_id, conversation_id, direction, author, content, created_at)
         select customer_id, id, 'inbound', 'contact', 'Bonjour', now() - interval '401 days'
         from conversations, generate_series(1, 10000)",
    )
    .await;
    let left = async || {
        let [messages, conversations] =
            ["messages", "conversations"].map(|table| format!("select count(*) from {table}"));
        (app.number(&messages).await, app.number(&conversations).await)
    };
    maintain(&app).await;
    assert_eq!(left().await, (1, 1), "what one run does not delete does not go by a cascade");
    maintain(&app).await;
    assert_eq!(left().await, (0, 0));
}
