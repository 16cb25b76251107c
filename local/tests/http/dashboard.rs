//! The dashboard's figures.

use reqwest::Method;
use serde_json::{Value, json};

use super::support::{App, TenantUser, WhatsAppFixture};

const STATS: &str = "/api/v1/dashboard/stats";

async fn stats(app: &App, tenant: &TenantUser, query: &str) -> Value {
    app.get(&format!("{STATS}?{query}")).by(tenant).await.data(200)
}

async fn move_order(app: &App, tenant: &TenantUser, id: &Value, status: &str) {
    let path = format!("/api/v1/orders/{}", id.as_str().unwrap());
    app.call(Method::PATCH, &path).by(tenant).json(&json!({ "status": status })).await.data(200);
}

#[tokio::test]
async fn a_company_without_activity_has_thirty_days_of_zeros() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let support = app.sign_up_support(&tenant).await;
    let empty = stats(&app, &support, "").await;
    assert_eq!(empty["days"].as_array().unwrap().len(), 30);
    assert_eq!((&empty["from"], &empty["to"]), (&empty["days"][0]["date"], &empty["days"][29]["date"]));
    assert_eq!(
        empty["totals"],
        json!({
            "conversations": 0, "messages": 0, "requests": 0, "orders": 0, "revenue": [], "tokens": 0, "cost_micros": 0,
            "unanswered": 0, "bot_answers": 0, "person_answers": 0, "handovers": 0, "thumbs_up": 0, "thumbs_down": 0,
            "share_answered_by_bot": null, "first_answer": null,
            "orders_by_status": { "pending": 0, "confirmed": 0, "preparing": 0, "delivered": 0, "cancelled": 0 },
        })
    );
    for (query, field) in [
        ("from=2026-11-02&to=2026-11-01", "to"),
        ("from=2025-01-01&to=2026-01-02", "from"),
        ("from=today", "from"),
        ("to=2026-11-01T00:00:00Z", "to"),
    ] {
        app.get(&format!("{STATS}?{query}")).by(&tenant).await.invalid_fields(&[field]);
    }
    assert_eq!(stats(&app, &tenant, "from=2025-01-01&to=2026-01-01").await["days"].as_array().unwrap().len(), 366);
}

#[tokio::test]
async fn days_and_totals_are_those_of_the_counters_in_range() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let other = app.sign_up("Lumaworks").await;
    for (owner, date, factor) in
        [(&tenant, "2026-11-01", 1), (&tenant, "2026-11-03", 10), (&other, "2026-11-01", 1_000)]
    {
        let company = owner.customer_id;
        app.sql(&format!(
            "insert into bot_usage (company_id, date, conversations_count, messages_count, requests_count, orders_count,
                 tokens, cost_micros, bot_answers, person_answers, unanswered, handovers, thumbs_up, thumbs_down)
             values ('{company}', '{date}', {factor}, 2 * {factor}, 3 * {factor}, 4 * {factor}, 5 * {factor},
                 6 * {factor}, 7 * {factor}, 8 * {factor}, 9 * {factor}, 10 * {factor}, 11 * {factor}, 12 * {factor});
             insert into order_days (company_id, date, currency, pending, confirmed, preparing, delivered, cancelled, revenue)
             values ('{company}', '{date}', 'XOF', {factor}, 2 * {factor}, 3 * {factor}, 4 * {factor}, 5 * {factor},
                 1500 * {factor}), ('{company}', '{date}', 'EUR', 0, 0, 0, 0, 0, -12.50 * {factor});
             insert into first_answer_times (company_id, date, bucket, answers)
             values ('{company}', '{date}', 10, 9 * {factor}), ('{company}', '{date}', 40, {factor})"
        ))
        .await;
    }
    let range = stats(&app, &tenant, "from=2026-11-01&to=2026-11-03").await;
    let revenue =
        |xof: &str, eur: &str| json!([{ "currency": "EUR", "amount": eur }, { "currency": "XOF", "amount": xof }]);
    // 0.25 s × 1.25^9.5 and 0.25 s × 1.25^39.5, rounded.
    let waits = json!({ "answers": 110, "median_s": 2.1, "p95_s": 1_682.2 });
    assert_eq!(
        range["totals"],
        json!({
            "conversations": 11, "messages": 22, "requests": 33, "orders": 44, "revenue": revenue("16500", "-137.50"),
            "tokens": 55, "cost_micros": 66, "bot_answers": 77, "person_answers": 88, "unanswered": 99, "handovers": 110,
            "thumbs_up": 121, "thumbs_down": 132, "share_answered_by_bot": 0.2917, "first_answer": waits,
            "orders_by_status": { "pending": 11, "confirmed": 22, "preparing": 33, "delivered": 44, "cancelled": 55 },
        })
    );
    assert_eq!(
        range["days"][0],
        json!({
            "date": "2026-11-01", "conversations": 1, "messages": 2, "requests": 3, "orders": 4,
            "revenue": revenue("1500", "-12.50"), "tokens": 5, "cost_micros": 6, "bot_answers": 7, "person_answers": 8,
            "unanswered": 9, "handovers": 10, "thumbs_up": 11, "thumbs_down": 12,
        })
    );
    assert_eq!((&range["days"][1]["orders"], &range["days"][2]["orders"]), (&json!(0), &json!(40)));
    assert_eq!(stats(&app, &tenant, "from=2026-11-02&to=2026-11-02").await["totals"]["orders"], 0);
}

#[tokio::test]
async fn figures_come_from_counters_and_no_message_or_order_is_read() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let body = json!({ "items": [{ "name": "Thé", "quantity": 1, "unit_price": "500" }] });
    for status in ["confirmed", "cancelled"] {
        let order = app.post("/api/v1/orders").by(&tenant).json(&body).await.data(201)["id"].clone();
        move_order(&app, &tenant, &order, status).await;
    }
    let before = stats(&app, &tenant, "").await;
    assert_eq!(before["totals"]["revenue"], json!([{ "currency": "XOF", "amount": "500" }]));
    assert_eq!(
        before["totals"]["orders_by_status"],
        json!({ "pending": 0, "confirmed": 1, "preparing": 0, "delivered": 0, "cancelled": 1 })
    );
    // Without the right to read them, a query that touched them would fail.
    app.sql("revoke select on messages, conversations, orders, feedback, llm_calls, documents from lisa_tenant").await;
    assert_eq!(stats(&app, &tenant, "").await, before);
}

#[tokio::test]
async fn answers_handovers_thumbs_and_waits_are_counted_where_they_happen() {
    let whatsapp = WhatsAppFixture::with_settings(&[("LLM_PROVIDER", "extractive")]).await;
    whatsapp.remove_part_spacing().await;
    let (app, tenant) = (&whatsapp.app, &whatsapp.tenant);
    whatsapp.upload_document("La livraison a Abidjan coute 1500 francs et prend deux jours.").await;
    let totals = async || stats(app, tenant, "").await["totals"].take();
    whatsapp.deliver_text(1, "Combien coûte la livraison à Abidjan ?").await.json_body(200);
    whatsapp.wait_for_texts(1, 1).await;
    whatsapp.deliver_text(2, "Quelle est la capitale du Pérou ?").await.json_body(200);
    whatsapp.wait_for_texts(2, 1).await;
    whatsapp.wait_for_reply_jobs().await;
    // Its job stays until a person gives the conversation back.
    whatsapp.deliver_text(3, "Je veux parler à un conseiller").await.json_body(200);
    whatsapp.wait_for_texts(3, 1).await;
    let counted = totals().await;
    for (figure, count) in
        [("bot_answers", 1), ("unanswered", 1), ("handovers", 1), ("person_answers", 0), ("requests", 2)]
    {
        assert_eq!(counted[figure], count, "{figure}: {counted}");
    }
    assert_eq!((&counted["share_answered_by_bot"], &counted["first_answer"]["answers"]), (&json!(0.5), &json!(3)));

    // A contact who has waited for ten minutes is answered by a person.
    whatsapp.deliver_text(3, "Vous êtes là ?").await.json_body(200);
    whatsapp
        .sql("update messages set created_at = now() - interval '10 minutes' where content = 'Vous êtes là ?'")
        .await;
    let conversation: uuid::Uuid = sqlx::query_scalar("select id from conversations where contact_id = '3'")
        .fetch_one(&mut app.admin_db().await)
        .await
        .unwrap();
    let reply = app.post(&format!("/api/v1/conversations/{conversation}/reply")).by(tenant);
    reply.json(&json!({ "text": "Oui, bonjour." })).await.data(201);
    let answer = "select id from messages where author = 'bot' and answered";
    let answer: uuid::Uuid = sqlx::query_scalar(answer).fetch_one(&mut app.admin_db().await).await.unwrap();
    for is_helpful in [true, false, false] {
        let thumb = json!({ "is_helpful": is_helpful });
        app.post(&format!("/api/v1/messages/{answer}/feedback")).by(tenant).json(&thumb).await.data(200);
    }
    let counted = totals().await;
    for (figure, count) in [("person_answers", 1), ("thumbs_up", 0), ("thumbs_down", 1), ("bot_answers", 1)] {
        assert_eq!(counted[figure], count, "{figure}: {counted}");
    }
    let slowest = counted["first_answer"]["p95_s"].as_f64().unwrap();
    assert!((530.0..680.0).contains(&slowest), "{slowest}: ten minutes, exact to an eighth");
    assert_eq!(counted["first_answer"]["answers"], 4);
}
