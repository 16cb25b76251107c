//! Orders, as people of the company make, change and list them.

use std::collections::BTreeSet;

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use super::support::{App, TenantUser, TestRequest, TestResponse, WhatsAppFixture};

const ORDERS: &str = "/api/v1/orders";

fn order(name: &str, price: &str) -> Value {
    json!({ "customer_name": name, "items": [{ "name": "Article", "quantity": 1, "unit_price": price }] })
}

async fn place(app: &App, tenant: &TenantUser, order: &Value) -> Value {
    app.post(ORDERS).by(tenant).json(order).await.data(201)
}

fn patch(app: &App, tenant: &TenantUser, id: &Value, patch: Value) -> TestRequest {
    app.call(Method::PATCH, &format!("{ORDERS}/{}", id.as_str().unwrap())).by(tenant).json(&patch)
}

async fn product(app: &App, tenant: &TenantUser, name: &str, price: &str, currency: &str) -> Value {
    let product = json!({ "name": name, "price": price, "currency": currency });
    app.post("/api/v1/products").by(tenant).json(&product).await.data(201)["id"].clone()
}

/// The customers' names of a list, in its order.
async fn names(app: &App, tenant: &TenantUser, query: &str) -> Vec<String> {
    let list = app.get(&format!("{ORDERS}?{query}")).by(tenant).await.data(200);
    list.as_array().unwrap().iter().map(|row| row["customer_name"].as_str().unwrap_or("-").to_owned()).collect()
}

/// Revenue of all days as `bot_usage` and `order_days` have it, in hundredths.
async fn revenue(app: &App) -> (i64, i64) {
    let of =
        async |table: &str| app.number(&format!("select coalesce(sum(revenue) * 100, 0)::bigint from {table}")).await;
    (of("bot_usage").await, of("order_days").await)
}

#[tokio::test]
async fn an_order_has_prices_of_the_catalogue_and_an_exact_total() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let coffee = product(&app, &tenant, "Café moulu", "2500", "XOF").await;
    let items =
        json!([{ "product_id": coffee, "quantity": 3 }, { "name": "Livraison", "quantity": 1, "unit_price": "1500" }]);
    let placed = place(&app, &tenant, &json!({ "items": items, "customer_name": " Awa Koné " })).await;
    let id = placed["id"].as_str().unwrap();
    assert_eq!(
        placed,
        json!({
            "id": id, "number": id[..8].to_uppercase(), "conversation_id": null, "customer_name": "Awa Koné",
            "status": "pending", "currency": "XOF", "total_amount": "9000", "needs_review": false, "customer_notice": null,
            "items": [
                { "product_id": coffee, "name": "Café moulu", "quantity": 3, "unit_price": "2500" },
                { "product_id": null, "name": "Livraison", "quantity": 1, "unit_price": "1500" },
            ],
            "created_at": placed["created_at"], "updated_at": placed["updated_at"],
        })
    );
    let mut shown = placed.clone();
    shown.as_object_mut().unwrap().remove("customer_notice");
    assert_eq!(app.get(&format!("{ORDERS}/{id}")).by(&tenant).await.data(200), shown);
    assert_eq!(app.activities(&tenant).await, ["order_created"]);
    assert_eq!(app.number("select sum(orders_count) from bot_usage").await, 1);
    assert_eq!(revenue(&app).await, (0, 0));

    // Cents that binary fractions do not have, and a price of its own for a product.
    let items = json!([{ "name": "A", "quantity": 3, "unit_price": "0.10" }, { "name": "B", "quantity": 999, "unit_price": "19.99" }]);
    let euros = place(&app, &tenant, &json!({ "currency": "EUR", "items": items })).await;
    assert_eq!(euros["total_amount"], "19970.31");
    let cheaper = json!({ "items": [{ "product_id": coffee, "quantity": 1, "unit_price": "2000" }] });
    assert_eq!(place(&app, &tenant, &cheaper).await["total_amount"], "2000");
    // An item without a price waits for a person, who sets it.
    let open = place(&app, &tenant, &json!({ "items": [{ "name": "Sur mesure", "quantity": 1 }] })).await;
    assert_eq!((&open["needs_review"], &open["total_amount"]), (&json!(true), &json!("0")));
    let priced = json!({ "items": [{ "name": "Sur mesure", "quantity": 1, "unit_price": "700" }] });
    let priced = patch(&app, &tenant, &open["id"], priced).await.data(200);
    assert_eq!((&priced["needs_review"], &priced["total_amount"]), (&json!(false), &json!("700")));
}

#[tokio::test]
async fn an_order_with_an_item_without_a_price_is_not_confirmed() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let open = place(&app, &tenant, &json!({ "items": [{ "name": "Sur mesure", "quantity": 3 }] })).await;
    let confirmed = json!({ "status": "confirmed" });
    patch(&app, &tenant, &open["id"], confirmed.clone()).await.refused(409, "order_needs_review");
    let unpriced = json!({ "status": "confirmed", "items": [{ "name": "Ourlet", "quantity": 1 }] });
    patch(&app, &tenant, &open["id"], unpriced).await.refused(409, "order_needs_review");
    let priced =
        json!({ "status": "confirmed", "items": [{ "name": "Sur mesure", "quantity": 3, "unit_price": "700" }] });
    let priced = patch(&app, &tenant, &open["id"], priced).await.data(200);
    assert_eq!((&priced["status"], &priced["total_amount"]), (&json!("confirmed"), &json!("2100")));
    assert_eq!(revenue(&app).await, (210_000, 210_000));
    let other = place(&app, &tenant, &json!({ "items": [{ "name": "Sur mesure", "quantity": 1 }] })).await;
    patch(&app, &tenant, &other["id"], json!({ "status": "cancelled" })).await.data(200);
}

#[tokio::test]
async fn an_order_counts_on_its_own_day_also_after_a_change_of_the_timezone() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let company = tenant.customer_id;
    app.sql(&format!("update customers set timezone = 'Africa/Abidjan' where id = '{company}'")).await;
    // As the company's own system, or a copy from an older one, writes it.
    app.sql(&format!(
        "insert into orders (company_id, customer_name, total_amount, currency, status, items, created_at) values
             ('{company}', 'Awa', 5000, 'XOF', 'delivered', '[]', '2025-03-01T23:30:00Z')"
    ))
    .await;
    let on_its_day = "from order_days where date = '2025-03-01'";
    assert_eq!(app.number(&format!("select delivered {on_its_day}")).await, 1);
    assert_eq!(app.number(&format!("select revenue::bigint {on_its_day}")).await, 5000);
    assert_eq!(app.number("select count(*) from order_days").await, 1);
    app.sql(&format!("update customers set timezone = 'Asia/Tokyo' where id = '{company}'")).await;
    app.sql("update orders set status = 'cancelled'").await;
    assert_eq!(app.number(&format!("select 10 * delivered + cancelled {on_its_day}")).await, 1);
    assert_eq!(app.number("select sum(revenue)::bigint from order_days").await, 0);
    app.sql("delete from orders").await;
    assert_eq!(app.number("select sum(delivered + cancelled) from order_days").await, 0);
}

#[tokio::test]
async fn wrong_fields_are_refused_by_name() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let euros = product(&app, &tenant, "Stylo", "1.50", "EUR").await;
    let item = |item: Value| json!({ "items": [item] });
    let many = vec![json!({ "name": "A", "quantity": 1 }); 51];
    for (body, fields) in [
        (json!({}), &["items"][..]),
        (json!({ "items": [] }), &["items"]),
        (json!({ "items": many }), &["items"]),
        (item(json!({ "name": "A", "quantity": 0 })), &["items[0].quantity"]),
        (item(json!({ "name": "A", "quantity": 1_000 })), &["items[0].quantity"]),
        (item(json!({ "name": "A", "quantity": 1.5 })), &["items[0].quantity"]),
        (item(json!({ "name": " ", "quantity": 1 })), &["items[0].name"]),
        (item(json!({ "quantity": 1 })), &["items[0].name"]),
        (item(json!({ "name": "A", "quantity": 1, "unit_price": 5 })), &["items[0].unit_price"]),
        (item(json!({ "name": "A", "quantity": 1, "unit_price": "1.50" })), &["items[0].unit_price"]),
        (item(json!({ "name": "A", "quantity": 1, "unit_price": "-1" })), &["items[0].unit_price"]),
        (item(json!({ "name": "A", "quantity": 1, "price": "1" })), &["items[0].price"]),
        (item(json!({ "name": "A", "quantity": 2, "unit_price": "999999999999" })), &["items"]),
        (item(json!({ "product_id": euros, "quantity": 1 })), &["items[0].product_id"]),
        (
            json!({ "items": [{ "name": "A", "quantity": 1 }], "currency": "CFA", "status": "confirmed" }),
            &["currency", "status"],
        ),
        (json!({ "items": [{ "name": "A", "quantity": 1 }], "customer_name": "" }), &["customer_name"]),
    ] {
        app.post(ORDERS).by(&tenant).json(&body).await.invalid_fields(fields);
    }
    app.post(ORDERS).by(&tenant).raw_json("{").await.refused(400, "malformed_json");
    assert_eq!(app.number("select count(*) from orders").await, 0);
    let placed = place(&app, &tenant, &order("Awa", "100")).await;
    patch(&app, &tenant, &placed["id"], json!({ "status": "paid" })).await.invalid_fields(&["status"]);
    patch(&app, &tenant, &placed["id"], json!({ "total_amount": "1" })).await.invalid_fields(&["total_amount"]);
    for (query, field) in [
        ("status=paid", "status"),
        ("sort=customer_name", "sort"),
        ("limit=0", "limit"),
        ("from=yesterday", "from"),
        ("from=2026-11-02&to=2026-11-01", "to"),
        ("search=", "search"),
        ("cursor=x", "cursor"),
    ] {
        app.get(&format!("{ORDERS}?{query}")).by(&tenant).await.invalid_fields(&[field]);
    }
}

#[tokio::test]
async fn orders_products_and_conversations_of_another_company_are_not_found() {
    let app = App::start().await;
    let (tenant, other) = (app.sign_up("Comptoir Baobab").await, app.sign_up("Lumaworks").await);
    let placed = place(&app, &tenant, &order("Awa", "100")).await;
    let path = format!("{ORDERS}/{}", placed["id"].as_str().unwrap());
    app.get(&path).by(&other).await.refused(404, "not_found");
    app.delete(&path).by(&other).await.refused(404, "not_found");
    patch(&app, &other, &placed["id"], json!({ "status": "confirmed" })).await.refused(404, "not_found");
    assert_eq!(names(&app, &other, "search=awa").await, [""; 0]);

    let foreign = product(&app, &other, "Stylo", "100", "XOF").await;
    let body = json!({ "items": [{ "product_id": foreign, "quantity": 1 }] });
    app.post(ORDERS).by(&tenant).json(&body).await.refused(404, "not_found");
    patch(&app, &tenant, &placed["id"], body).await.refused(404, "not_found");
    let conversation = app.store_contact_message(&other, "132", "Bonjour").await;
    for notify in [true, false] {
        let body = json!({
            "items": [{ "name": "A", "quantity": 1 }], "conversation_id": conversation, "notify_customer": notify,
        });
        app.post(ORDERS).by(&tenant).json(&body).await.refused(404, "not_found");
    }
    assert_eq!(app.number("select count(*) from orders").await, 1);
}

#[tokio::test]
async fn the_status_moves_along_its_steps_and_revenue_follows() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let support = app.sign_up_support(&tenant).await;
    let placed = place(&app, &tenant, &order("Awa", "2500")).await;
    let details =
        patch(&app, &tenant, &placed["id"], json!({ "status": "delivered" })).await.refused(409, "wrong_order_step");
    assert_eq!(details, json!({ "status": "pending", "allowed": ["confirmed", "cancelled"] }));
    for (status, cents) in [("confirmed", 250_000), ("preparing", 250_000), ("cancelled", 0)] {
        let moved = patch(&app, &support, &placed["id"], json!({ "status": status })).await.data(200);
        assert_eq!(moved["status"], status);
        assert_eq!(revenue(&app).await, (cents, cents), "{status}");
    }
    patch(&app, &tenant, &placed["id"], json!({ "status": "pending" })).await.refused(409, "wrong_order_step");
    let items = json!([{ "name": "B", "quantity": 1, "unit_price": "1" }]);
    let details = patch(&app, &tenant, &placed["id"], json!({ "items": items })).await.refused(409, "order_closed");
    assert_eq!(details, json!({ "status": "cancelled" }));
    assert_eq!(
        app.activities(&tenant).await,
        ["order_created", "order_confirmed", "order_preparing", "order_cancelled"]
    );

    // Items and status in one call; the total of a confirmed order counts as it is now.
    let placed = place(&app, &tenant, &order("Koffi", "1000")).await;
    patch(&app, &tenant, &placed["id"], json!({ "status": "confirmed", "items": items })).await.data(200);
    assert_eq!(revenue(&app).await, (100, 100));
    patch(&app, &tenant, &placed["id"], json!({ "items": order("", "800")["items"] })).await.data(200);
    assert_eq!(revenue(&app).await, (80_000, 80_000));
    let renamed = patch(&app, &tenant, &placed["id"], json!({ "customer_name": null })).await.data(200);
    assert_eq!((&renamed["customer_name"], &renamed["status"]), (&Value::Null, &json!("confirmed")));
}

#[tokio::test]
async fn only_pending_and_cancelled_orders_are_deleted() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let placed = place(&app, &tenant, &order("Awa", "2500")).await;
    let path = format!("{ORDERS}/{}", placed["id"].as_str().unwrap());
    patch(&app, &tenant, &placed["id"], json!({ "status": "confirmed" })).await.data(200);
    let details = app.delete(&path).by(&tenant).await.refused(409, "order_in_progress");
    assert_eq!(details, json!({ "status": "confirmed" }));
    patch(&app, &tenant, &placed["id"], json!({ "status": "cancelled" })).await.data(200);
    app.delete(&path).by(&tenant).await.no_content();
    app.get(&path).by(&tenant).await.refused(404, "not_found");
    app.delete(&path).by(&tenant).await.refused(404, "not_found");
    assert_eq!(app.activities(&tenant).await.last().map(String::as_str), Some("order_deleted"));
    assert_eq!(
        app.number("select sum(pending + confirmed + preparing + delivered + cancelled) from order_days").await,
        0
    );
}

#[tokio::test]
async fn an_idempotency_key_makes_one_order() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let call = |body: &Value| app.post(ORDERS).by(&tenant).header("idempotency-key", "order-1").json(body);
    let answers: Vec<TestResponse> = join_all((0..6).map(|_| async { call(&order("Awa", "2500")).await })).await;
    let first = call(&order("Awa", "2500")).await;
    assert_eq!(first.header("idempotency-replayed"), "true");
    let first = first.data(201);
    for answer in answers {
        match answer.status {
            201 => assert_eq!(answer.data(201), first),
            _ => drop(answer.refused(409, "idempotency_in_progress")),
        }
    }
    call(&order("Awa", "2600")).await.refused(409, "idempotency_key_reused");
    assert_eq!(app.number("select count(*) from orders").await, 1);
    assert_eq!(app.number("select sum(orders_count) from bot_usage").await, 1);
}

#[tokio::test]
async fn of_several_people_who_move_an_order_at_once_each_step_is_made_once() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let placed = place(&app, &tenant, &order("Awa", "2500")).await;
    let calls = ["confirmed", "cancelled"].repeat(5).into_iter();
    let answers = join_all(calls.map(|status| {
        let call = patch(&app, &tenant, &placed["id"], json!({ "status": status }));
        async move { (status, call.await) }
    }))
    .await;
    let made: Vec<_> = answers.iter().filter(|(_, answer)| answer.status == 200).map(|(status, _)| *status).collect();
    assert!(made.iter().filter(|status| **status == "cancelled").count() == 1 && made.len() <= 2, "{made:?}");
    for (_, answer) in answers.into_iter().filter(|(_, answer)| answer.status != 200) {
        answer.refused(409, "wrong_order_step");
    }
    assert_eq!(revenue(&app).await, (0, 0));
    assert_eq!(app.activities(&tenant).await.len(), 1 + made.len());
}

#[tokio::test]
async fn a_product_is_never_deleted_under_an_order_that_names_it() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    for round in 0..6 {
        let id = product(&app, &tenant, &format!("Article {round}"), "100", "XOF").await;
        let body = json!({ "items": [{ "product_id": id, "quantity": 1 }] });
        let path = format!("/api/v1/products/{}", id.as_str().unwrap());
        let (ordered, deleted) = tokio::join!(async { app.post(ORDERS).by(&tenant).json(&body).await }, async {
            app.delete(&path).by(&tenant).await
        });
        deleted.no_content();
        let product = app.get(&path).by(&tenant).await;
        match ordered.status {
            201 => assert!(product.data(200)["archived_at"].is_string()),
            409 => drop(ordered.refused(409, "product_archived")),
            _ => {
                ordered.refused(404, "not_found");
                product.refused(404, "not_found");
            }
        }
    }
    // An archived product stays in an order that has it, and comes into no other.
    let id = product(&app, &tenant, "Savon", "100", "XOF").await;
    let body = json!({ "items": [{ "product_id": id, "quantity": 1 }] });
    let placed = place(&app, &tenant, &body).await;
    app.delete(&format!("/api/v1/products/{}", id.as_str().unwrap())).by(&tenant).await.no_content();
    let two = json!({ "items": [{ "product_id": id, "quantity": 2 }] });
    assert_eq!(patch(&app, &tenant, &placed["id"], two).await.data(200)["total_amount"], "200");
    let details = app.post(ORDERS).by(&tenant).json(&body).await.refused(409, "product_archived");
    assert_eq!(details, json!({ "product_id": id }));
}

#[tokio::test]
async fn lists_are_filtered_searched_and_sorted() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.sql("update customers set timezone = 'Africa/Abidjan'").await;
    for (name, price, at) in [
        ("Awa Koné", "300", "2026-11-01T00:00:00Z"),
        ("Koffi", "100", "2026-11-01T23:59:59Z"),
        ("M. KONE fils", "200", "2026-11-02T00:00:00Z"),
    ] {
        let id = place(&app, &tenant, &order(name, price)).await["id"].clone();
        app.sql(&format!("update orders set created_at = '{at}' where id = '{}'", id.as_str().unwrap())).await;
    }
    assert_eq!(names(&app, &tenant, "").await, ["M. KONE fils", "Koffi", "Awa Koné"]);
    assert_eq!(names(&app, &tenant, "sort=total_amount").await, ["Koffi", "M. KONE fils", "Awa Koné"]);
    assert_eq!(names(&app, &tenant, "sort=-updated_at").await, ["M. KONE fils", "Koffi", "Awa Koné"]);
    assert_eq!(names(&app, &tenant, "search=kone").await, ["M. KONE fils", "Awa Koné"]);
    assert_eq!(names(&app, &tenant, "search=%25").await, [""; 0]);
    assert_eq!(names(&app, &tenant, "from=2026-11-01&to=2026-11-01").await, ["Koffi", "Awa Koné"]);
    assert_eq!(names(&app, &tenant, "from=2026-11-01T23:59:59Z&to=2026-11-02T00:00:00Z").await, ["Koffi"]);
    // A day is one of the company's timezone.
    app.sql("update customers set timezone = 'Europe/Paris'").await;
    assert_eq!(names(&app, &tenant, "from=2026-11-02&to=2026-11-02").await, ["M. KONE fils", "Koffi"]);
    assert_eq!(names(&app, &tenant, "status=confirmed").await, [""; 0]);
    assert_eq!(names(&app, &tenant, "status=pending&search=Koffi").await, ["Koffi"]);
    let audited = app.sign_up_support(&tenant).await;
    names(&app, &audited, "").await;
    assert_eq!(app.number("select count(*) from audit_log where action = 'orders.read'").await, 1);
}

#[tokio::test]
async fn a_cursor_walks_every_order_once_while_orders_come_in_and_change() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let mut expected = BTreeSet::new();
    for price in 0..25 {
        let placed = place(&app, &tenant, &order("Awa", &(price % 5).to_string())).await;
        expected.insert(placed["id"].as_str().unwrap().to_owned());
    }
    for sort in ["created_at", "-created_at", "total_amount", "-total_amount"] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = app.get(&format!("{ORDERS}?sort={sort}&limit=4{cursor}")).by(&tenant).await.json_body(200);
            seen.extend(page["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()));
            place(&app, &tenant, &order("Koffi", "3")).await;
            patch(&app, &tenant, &json!(seen[0]), json!({ "customer_name": "Awa K." })).await.data(200);
            let Some(next) = page["meta"]["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        let once: BTreeSet<_> = seen.iter().cloned().collect();
        assert_eq!(once.len(), seen.len(), "{sort}: an order came twice");
        assert!(expected.is_subset(&once), "{sort}: an order is missing");
        expected.extend(once);
        // Orders that came in behind the cursor are not in the walk.
        let all = app.get(&format!("{ORDERS}?limit=100")).by(&tenant).await.data(200);
        expected.extend(all.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()));
    }
}

#[tokio::test]
async fn the_customer_is_told_where_asked() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.remove_part_spacing().await;
    let (app, tenant) = (&whatsapp.app, &whatsapp.tenant);
    let conversation = app.store_contact_message(tenant, "132", "Bonjour").await;
    whatsapp
        .sql("update messages set skipped_reason = 'courtesy'; update conversations set last_inbound_at = now()")
        .await;
    let body = |notify: bool| {
        json!({
            "items": [{ "name": "Thé", "quantity": 2, "unit_price": "500" }], "conversation_id": conversation,
            "notify_customer": notify,
        })
    };
    let silent = place(app, tenant, &body(false)).await;
    assert_eq!(silent["customer_notice"], Value::Null);
    patch(app, tenant, &silent["id"], json!({ "status": "confirmed" })).await.data(200);
    let told = place(app, tenant, &body(true)).await;
    assert_eq!(told["customer_notice"], "queued");
    let number = told["number"].as_str().unwrap();
    let change = json!({
        "items": [{ "name": "Thé", "quantity": 3, "unit_price": "500" }], "status": "confirmed", "notify_customer": true,
    });
    assert_eq!(patch(app, tenant, &told["id"], change).await.data(200)["customer_notice"], "queued");
    let texts = "select string_agg(replace(content, '\u{a0}', ' '), ' | ' order by created_at) from messages
                 where author = 'system'";
    let texts: String = sqlx::query_scalar(texts).fetch_one(&mut app.admin_db().await).await.unwrap();
    assert_eq!(
        texts,
        format!(
            "Merci ! Votre commande {number} est enregistrée. Total : 1 000 F CFA. | C’est fait : votre commande {number} \
             est modifiée. Total : 1 500 F CFA.\nVotre commande {number} est confirmée."
        )
    );
    let got = whatsapp.wait_for_texts(132, 2).await;
    assert!(got[1].ends_with("est confirmée."), "{got:?}");

    whatsapp.sql("update conversations set last_inbound_at = now() - interval '25 hours'").await;
    let late =
        patch(app, tenant, &told["id"], json!({ "status": "preparing", "notify_customer": true })).await.data(200);
    assert_eq!((&late["status"], &late["customer_notice"]), (&json!("preparing"), &json!("whatsapp_window_closed")));
    whatsapp.sql("update conversations set opted_out_at = now()").await;
    assert_eq!(place(app, tenant, &body(true)).await["customer_notice"], "contact_opted_out");
    let alone = json!({ "items": [{ "name": "Thé", "quantity": 1 }], "notify_customer": true });
    assert_eq!(place(app, tenant, &alone).await["customer_notice"], "no_conversation");
    assert_eq!(whatsapp.number("select count(*) from messages where author = 'system'").await, 2);
}
