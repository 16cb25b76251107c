//! Each event, from its cause to the receiver: the values of the body, and that a repeated cause is no second event.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    net::TcpListener,
    process::Stdio,
    time::Duration,
};

use futures::future::join_all;
use local::fakes::webhook_receiver::{FakeReceiver, ReceivedWebhook};
use local_postgres::root;
use serde_json::{Value, json};
use shared::webhook_endpoints::EventType;
use uuid::Uuid;

use super::{
    super::{
        stripe::{event as stripe_event, subscription},
        support::{App, TenantUser, WAIT_TIMEOUT, WhatsAppFixture, fixture, small_pdf, wait_until},
    },
    Endpoint, Parked, URL, create_endpoint, deliveries, local_sites, wait_for_webhooks,
};

/// Starts the product with a receiver, a company and an endpoint for these events.
async fn listening(events: &[&str]) -> (App, FakeReceiver, TenantUser, Endpoint) {
    let receiver = FakeReceiver::start().await.unwrap();
    let app = App::with_settings(&[("OUTBOUND_LOCAL_SITES", &local_sites(&receiver))]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let endpoint = create_endpoint(&app, &tenant, URL, events).await;
    (app, receiver, tenant, endpoint)
}

/// Starts the product with fake WhatsApp, a receiver, a company and an endpoint for these events.
async fn listening_on_whatsapp(events: &[&str]) -> (WhatsAppFixture, FakeReceiver, Endpoint) {
    let receiver = FakeReceiver::start().await.unwrap();
    let whatsapp = WhatsAppFixture::with_settings(&[("OUTBOUND_LOCAL_SITES", &local_sites(&receiver))]).await;
    let endpoint = create_endpoint(&whatsapp.app, &whatsapp.tenant, URL, events).await;
    (whatsapp, receiver, endpoint)
}

/// The bodies of verified requests, after a check of what all bodies have.
#[track_caller]
fn bodies(endpoint: &Endpoint, requests: &[ReceivedWebhook]) -> Vec<Value> {
    let check = |request: &ReceivedWebhook| {
        let body = endpoint.verify(request);
        assert_eq!(body["version"], 1);
        let at: chrono::DateTime<chrono::Utc> = body["timestamp"].as_str().unwrap().parse().unwrap();
        assert!((chrono::Utc::now() - at).num_seconds() < 120, "{body}");
        let fields: BTreeSet<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, BTreeSet::from(["data", "id", "timestamp", "type", "version"]));
        body
    };
    requests.iter().map(check).collect()
}

/// Asserts that nothing more than `count` requests comes: all deliveries are done.
async fn assert_no_more(app: &App, receiver: &FakeReceiver, count: usize) {
    wait_until("all is delivered", WAIT_TIMEOUT, async || {
        (app.number("select count(*) from webhook_deliveries where status <> 'delivered'").await == 0).then_some(())
    })
    .await;
    assert_eq!(receiver.received().len(), count);
}

#[tokio::test]
async fn a_contacts_message_is_sent_once_as_the_api_shows_it() {
    let (whatsapp, receiver, endpoint) = listening_on_whatsapp(&["message.received"]).await;
    let message = json!({
        "id": 132, "name": "Awa Koné", "whatsapp_phone": "+2250700000000", "last_input_text": "Vous livrez à Bouaké ? 🚚",
        "message_id": "wamid.1",
    });
    for _ in 0..3 {
        whatsapp.deliver(&message).await.json_body(200);
    }
    let received = wait_for_webhooks(&receiver, 1).await;
    let body = bodies(&endpoint, &received).remove(0);
    assert_eq!(body["type"], "message.received");
    let id = body["data"]["id"].as_str().unwrap();
    let conversation = whatsapp.conversation_column(132, "id").await.unwrap();
    let expected = json!({
        "id": id, "conversation_id": conversation, "direction": "inbound", "author": "contact",
        "content": "Vous livrez à Bouaké ? 🚚", "attachment": null, "citations": null, "answered": null, "model": null,
        "sent_by": null, "answered_by": null, "skipped_reason": null, "sent_at": null, "error_code": null,
        "created_at": body["data"]["created_at"],
    });
    assert_eq!(body["data"], expected);
    let listed = whatsapp.app.get(&format!("/api/v1/messages?conversation_id={conversation}&sort=created_at"));
    let mut shown = listed.by(&whatsapp.tenant).await.json_body(200)["data"][0].take();
    // The answer may have been written since.
    shown["answered_by"] = Value::Null;
    // What a reader thought of it is for the reader alone.
    assert_eq!(shown.as_object_mut().unwrap().remove("own_feedback"), Some(Value::Null));
    assert_eq!(body["data"], shown);
    whatsapp.wait_for_reply_jobs().await;
    // What the bot answers, and the repetitions, are no messages of a contact.
    assert_no_more(&whatsapp.app, &receiver, 1).await;
    // Questions of the company itself are no messages of a contact either.
    whatsapp.app.ask(&whatsapp.tenant, "Vous livrez ?").await.data(200);
    assert_no_more(&whatsapp.app, &receiver, 1).await;
}

#[tokio::test]
async fn a_handover_is_sent_with_its_reason_and_a_longer_one_is_not() {
    let (whatsapp, receiver, endpoint) = listening_on_whatsapp(&["conversation.handed_over"]).await;
    whatsapp.deliver_text(7, "Je veux parler à un conseiller").await.json_body(200);
    let received = wait_for_webhooks(&receiver, 1).await;
    let body = bodies(&endpoint, &received).remove(0);
    let id = whatsapp.conversation_column(7, "id").await.unwrap();
    let shown = whatsapp.app.get(&format!("/api/v1/conversations?conversation_id={id}")).by(&whatsapp.tenant);
    let shown = shown.await.json_body(200)["data"][0].take();
    let mut expected = shown.as_object().unwrap().clone();
    expected.retain(|name, _| !["last_message", "unanswered", "handled_by"].contains(&name.as_str()));
    assert_eq!((&body["type"], &body["data"]), (&json!("conversation.handed_over"), &json!(expected)));
    assert_eq!((&body["data"]["handler"], &body["data"]["handover_reason"]), (&json!("human"), &json!("keyword")));

    // A person takes it: another reason. The person's replies only restart the time.
    whatsapp.wait_for_texts(7, 1).await;
    let takeover = format!("/api/v1/conversations/{id}/takeover");
    for _ in 0..3 {
        whatsapp.app.post(&takeover).by(&whatsapp.tenant).await.data(200);
    }
    let reply = whatsapp.app.post(&format!("/api/v1/conversations/{id}/reply")).by(&whatsapp.tenant);
    reply.json(&json!({ "text": "Bonjour" })).await.data(201);
    let received = wait_for_webhooks(&receiver, 2).await;
    assert_eq!(bodies(&endpoint, &received)[1]["data"]["handover_reason"], "person");
    assert_no_more(&whatsapp.app, &receiver, 2).await;

    // After its end, a takeover is a new one.
    whatsapp.sql("update conversations set handover_until = now() - interval '1 second'").await;
    whatsapp.app.post(&takeover).by(&whatsapp.tenant).await.data(200);
    wait_for_webhooks(&receiver, 3).await;
    assert_no_more(&whatsapp.app, &receiver, 3).await;
}

#[tokio::test]
async fn a_conversation_that_waits_for_quota_is_sent_once_until_somebody_answers() {
    let (whatsapp, receiver, endpoint) = listening_on_whatsapp(&["conversation.waiting"]).await;
    whatsapp.sql("update user_settings set free_quota_used = free_quota_limit").await;
    for text in ["Vous livrez ?", "Et à Bouaké ?", "Toujours pas ?"] {
        whatsapp.deliver_text(1, text).await.json_body(200);
        whatsapp.wait_for_reply_jobs().await;
    }
    let received = wait_for_webhooks(&receiver, 1).await;
    let body = bodies(&endpoint, &received).remove(0);
    assert_eq!(body["type"], "conversation.waiting");
    let id = whatsapp.conversation_column(1, "id").await.unwrap();
    assert_eq!(
        (&body["data"]["id"], &body["data"]["contact_id"], &body["data"]["waiting_reason"], &body["data"]["handler"]),
        (&json!(id), &json!("1"), &json!("quota"), &json!("bot"))
    );
    assert_no_more(&whatsapp.app, &receiver, 1).await;
    let reply = whatsapp.app.post(&format!("/api/v1/conversations/{id}/reply")).by(&whatsapp.tenant);
    reply.json(&json!({ "text": "Oui, demain." })).await.data(201);
    whatsapp.app.post(&format!("/api/v1/conversations/{id}/release")).by(&whatsapp.tenant).await.data(200);
    whatsapp.wait_for_reply_jobs().await;
    whatsapp.deliver_text(1, "Et le prix ?").await.json_body(200);
    wait_for_webhooks(&receiver, 2).await;
    // Another contact is another conversation.
    whatsapp.deliver_text(2, "Vous livrez ?").await.json_body(200);
    wait_for_webhooks(&receiver, 3).await;
    whatsapp.wait_for_reply_jobs().await;
    assert_no_more(&whatsapp.app, &receiver, 3).await;
}

#[tokio::test]
async fn orders_are_sent_as_the_api_shows_them_and_one_change_is_one_event() {
    let (app, receiver, tenant, endpoint) = listening(&["order.created", "order.updated"]).await;
    let new = json!({
        "customer_name": "Awa Koné", "items": [{ "name": "Café moulu 250 g", "quantity": 2, "unit_price": "2500" }, { "name": "Thé", "quantity": 1 }],
    });
    let id = app.post("/api/v1/orders").by(&tenant).json(&new).await.data(201)["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/orders/{id}");
    let created = app.get(&path).by(&tenant).await.data(200);
    wait_for_webhooks(&receiver, 1).await;
    // The status, the items and the name in one request.
    let patch = json!({
        "status": "confirmed", "customer_name": "Awa K.", "items": [{ "name": "Thé", "quantity": 3, "unit_price": "1000" }],
    });
    app.call(reqwest::Method::PATCH, &path).by(&tenant).json(&patch).await.data(200);
    let updated = app.get(&path).by(&tenant).await.data(200);
    let received = bodies(&endpoint, &wait_for_webhooks(&receiver, 2).await);
    assert_eq!((&received[0]["type"], &received[0]["data"]), (&json!("order.created"), &created));
    assert_eq!((&received[1]["type"], &received[1]["data"]), (&json!("order.updated"), &updated));
    assert_eq!((&updated["status"], &updated["total_amount"]), (&json!("confirmed"), &json!("3000")));
    assert_ne!(received[0]["id"], received[1]["id"]);
    // A change that changes nothing, and one that is rolled back, are no events.
    app.sql(&format!("update orders set status = status, updated_at = now() where id = '{id}'")).await;
    app.sql(&format!("begin; update orders set status = 'preparing' where id = '{id}'; rollback")).await;
    let refused = app.call(reqwest::Method::PATCH, &path).by(&tenant).json(&json!({ "status": "pending" })).await;
    refused.refused(409, "wrong_order_step");
    assert_no_more(&app, &receiver, 2).await;
    // A frontend that writes past the API causes an event, too.
    app.sql(&format!("update orders set status = 'preparing' where id = '{id}'")).await;
    app.stack.invoke("maintenance", json!({ "task": "replies" })).await.unwrap();
    let received = bodies(&endpoint, &wait_for_webhooks(&receiver, 3).await);
    assert_eq!(received[2]["data"]["status"], "preparing");
}

#[tokio::test]
async fn documents_are_sent_as_the_api_shows_them_when_they_are_done_or_failed() {
    let (app, receiver, tenant, endpoint) = listening(&["document.processed", "document.failed"]).await;
    let good = app.upload_and_process(&tenant, "guide.pdf", small_pdf("La livraison coûte 1 500 F.")).await;
    wait_for_webhooks(&receiver, 1).await;
    let bad = app.upload(&tenant, "clé.pdf", fixture("encrypted_user_password.pdf")).await;
    app.wait_for_end_state(&tenant, bad).await;
    let received = bodies(&endpoint, &wait_for_webhooks(&receiver, 2).await);
    for (body, kind, id) in [(&received[0], "document.processed", good), (&received[1], "document.failed", bad)] {
        let shown = app.get(&format!("/api/v1/documents/{id}")).by(&tenant).header("accept-language", "fr");
        assert_eq!((&body["type"], &body["data"]), (&json!(kind), &shown.await.data(200)));
    }
    assert_eq!((&received[0]["data"]["status"], &received[0]["data"]["pages_done"]), (&json!("processed"), &json!(1)));
    assert_eq!(received[1]["data"]["error_code"], "encrypted");
    assert!(received[1]["data"]["error"].as_str().unwrap().contains("mot de passe"), "in the company's language");
    // A retry that fails again is another event.
    app.post(&format!("/api/v1/documents/{bad}/retry")).by(&tenant).await;
    let received = bodies(&endpoint, &wait_for_webhooks(&receiver, 3).await);
    assert_eq!((&received[2]["data"]["id"], &received[2]["type"]), (&json!(bad), &json!("document.failed")));
    assert_ne!(received[2]["id"], received[1]["id"]);
    assert_no_more(&app, &receiver, 3).await;
}

#[tokio::test]
async fn the_free_quota_warns_of_the_last_request_and_tells_its_end_once_each() {
    let parked = Parked::start().await;
    let (app, endpoint) = (&parked.app, parked.endpoint(&["quota.warning", "quota.exhausted"]).await);
    app.sql("update user_settings set free_quota_used = 5").await;
    for _ in 0..2 {
        app.ask(&parked.tenant, "Combien ?").await.data(200);
    }
    parked.work(&endpoint).await;
    let [warning] = bodies(&endpoint, &parked.receiver.received()).try_into().unwrap();
    let data = |used: u32| {
        json!({
            "limit": "free_requests", "used": used, "most": 8, "plan": "free", "period_start": null, "period_end": null,
        })
    };
    assert_eq!((&warning["type"], &warning["data"]), (&json!("quota.warning"), &data(7)));
    app.ask(&parked.tenant, "Combien ?").await.data(200);
    app.ask(&parked.tenant, "Combien ?").await.refused(402, "quota_exceeded");
    // A refunded request is used again.
    app.sql("update user_settings set free_quota_used = 6").await;
    for _ in 0..2 {
        app.ask(&parked.tenant, "Combien ?").await.data(200);
    }
    parked.work(&endpoint).await;
    let received = bodies(&endpoint, &parked.receiver.received());
    assert_eq!(received.len(), 2, "{received:?}");
    assert_eq!((&received[1]["type"], &received[1]["data"]), (&json!("quota.exhausted"), &data(8)));
}

#[tokio::test]
async fn the_plans_quota_and_the_model_costs_warn_at_80_percent_once_a_period() {
    let parked = Parked::start().await;
    let (app, endpoint) = (&parked.app, parked.endpoint(&["quota.warning", "quota.exhausted"]).await);
    let tenant = parked.tenant.customer_id;
    app.sql(&format!(
        "update customers set plan_id = (select id from plans where name = 'pro') where id = '{tenant}';
         update usage_periods set request_limit = 10, overage_cents_per_request = null;
         update customers set spend_cap_micros = 1000 where id = '{tenant}'"
    ))
    .await;
    assert_eq!(app.number("select count(*) from usage_periods").await, 1);
    for _ in 0..2 {
        for _ in 0..10 {
            app.sql("update usage_periods set requests = requests + 1").await;
        }
        app.sql("update usage_periods set requests = 7").await;
    }
    for spent in [799, 800, 950, 1_000, 1_200, 100, 900] {
        app.sql(&format!("update usage_periods set spent_micros = {spent}")).await;
    }
    parked.work(&endpoint).await;
    let mut received: Vec<_> = bodies(&endpoint, &parked.receiver.received())
        .into_iter()
        .map(|body| (body["type"].as_str().unwrap().to_owned(), body["data"].clone()))
        .collect();
    received.sort_unstable_by_key(|(kind, data)| (data["limit"].to_string(), kind.clone()));
    let period = received[0].1.clone();
    let data = |limit: &str, used: u32, most: u32| {
        json!({
            "limit": limit, "used": used, "most": most, "plan": "pro", "period_start": period["period_start"],
            "period_end": period["period_end"],
        })
    };
    let expected = [
        ("quota.exhausted", data("model_spend", 1_000, 1_000)),
        ("quota.warning", data("model_spend", 800, 1_000)),
        ("quota.exhausted", data("plan_requests", 10, 10)),
        ("quota.warning", data("plan_requests", 8, 10)),
    ];
    assert_eq!(received, expected.map(|(kind, data)| (kind.to_owned(), data)));
    assert!(period["period_start"].is_string() && period["period_end"].is_string());

    // Requests over the plan are sold: the end is the company's cap.
    app.sql(
        "update usage_periods set requests = 9, overage_cents_per_request = 2;
         update customers set overage_cap_requests = 3;
         update usage_periods set requests = 12;
         update usage_periods set requests = 13",
    )
    .await;
    parked.work(&endpoint).await;
    let received = bodies(&endpoint, &parked.receiver.received());
    assert_eq!(received.len(), 5);
    assert_eq!(
        (&received[4]["type"], &received[4]["data"]),
        (&json!("quota.exhausted"), &data("plan_requests", 13, 13))
    );
}

#[tokio::test]
async fn a_change_of_the_subscription_is_sent_from_the_projection_once() {
    let parked = Parked::start().await;
    let (app, endpoint) = (&parked.app, parked.endpoint(&["subscription.changed"]).await);
    let object = subscription(&parked.tenant, "active", json!({}));
    let item = &object["items"]["data"][0];
    let (start, end) = (item["current_period_start"].as_i64().unwrap(), item["current_period_end"].as_i64().unwrap());
    let event = stripe_event("customer.subscription.created", 10, object.clone());
    for _ in 0..2 {
        app.deliver_stripe_event(&event).await.data(200);
    }
    parked.work(&endpoint).await;
    let [body] = bodies(&endpoint, &parked.receiver.received()).try_into().unwrap();
    let time = |seconds: i64| chrono::DateTime::from_timestamp(seconds, 0).unwrap();
    let expected = json!({
        "plan": "pro", "status": "active", "current_period_start": time(start), "current_period_end": time(end),
        "cancel_at_period_end": false, "cancel_at": null, "access_until": time(end + 7 * 86_400),
    });
    assert_eq!((&body["type"], &body["data"]), (&json!("subscription.changed"), &expected));

    let cancelled = subscription(&parked.tenant, "canceled", json!({}));
    app.deliver_stripe_event(&stripe_event("customer.subscription.deleted", 5, cancelled)).await.data(200);
    parked.work(&endpoint).await;
    let received = bodies(&endpoint, &parked.receiver.received());
    assert_eq!(received.len(), 2, "{received:?}");
    assert_eq!(received[1]["data"]["plan"], "free");
    // A profile that its user changes is no change of the subscription.
    let patch = app.call(reqwest::Method::PATCH, "/api/v1/profiles/me").by(&parked.tenant);
    patch.json(&json!({ "full_name": "Awa" })).await.data(200);
    parked.work(&endpoint).await;
    assert_eq!(parked.receiver.received().len(), 2);
}

#[tokio::test]
async fn the_test_event_reaches_an_endpoint_whatever_it_asks_for() {
    let (app, receiver, tenant, endpoint) = listening(&["quota.exhausted"]).await;
    let delivery = app.post(&endpoint.path("/test")).by(&tenant).await.data(201);
    let body = bodies(&endpoint, &wait_for_webhooks(&receiver, 1).await).remove(0);
    assert_eq!((&body["type"], &body["id"]), (&json!("webhook.test"), &delivery["event_id"]));
    assert_eq!(body["data"], json!({ "message": "This is a test event." }));
}

#[tokio::test]
async fn an_endpoint_gets_the_events_that_it_asks_for_and_all_endpoints_one_id() {
    let parked = Parked::start().await;
    let app = &parked.app;
    let filters: [&[&str]; 3] = [&["order.created"], &[], &["document.failed", "order.updated"]];
    let endpoints = join_all(filters.iter().enumerate().map(async |(number, events)| {
        create_endpoint(app, &parked.tenant, &format!("https://hooks.example.com/{number}"), events).await
    }))
    .await;
    parked.order().await;
    for endpoint in &endpoints {
        parked.work(endpoint).await;
    }
    let received = parked.receiver.received();
    let by_path: BTreeMap<_, _> =
        received.iter().map(|request| (request.path.clone(), request.header("webhook-id"))).collect();
    assert_eq!(by_path.keys().collect::<Vec<_>>(), ["/0", "/1"]);
    assert_eq!(by_path["/0"], by_path["/1"]);
    assert_eq!(app.number("select count(*) from webhook_deliveries").await, 2);
}

#[tokio::test]
async fn a_company_without_an_endpoint_has_no_deliveries() {
    let parked = Parked::start().await;
    parked.order().await;
    parked.app.ask(&parked.tenant, "Combien ?").await.data(200);
    assert_eq!(parked.app.number("select count(*) from webhook_deliveries").await, 0);
    assert_eq!(parked.app.drain_queue(&parked.queue).await, Vec::<Value>::new());
}

#[test]
fn every_event_is_documented_with_its_data() {
    let openapi: Value = serde_json::from_str(&local::openapi::document().unwrap()).unwrap();
    let webhooks = openapi["webhooks"].as_object().unwrap();
    assert_eq!(webhooks.len(), EventType::ALL.len());
    let manual = std::fs::read_to_string(root().join("docs/WEBHOOKS.md")).unwrap();
    for event in EventType::ALL {
        let body = &webhooks[event.as_str()]["post"]["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(body["properties"]["type"]["const"], event.as_str());
        let data = body["properties"]["data"]["$ref"].as_str().unwrap();
        assert!(openapi.pointer(data.trim_start_matches('#')).is_some_and(Value::is_object), "{data}");
        assert!(manual.contains(&format!("| `{}` |", event.as_str())), "{}", event.as_str());
    }
    for promised in ["5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h", "five days", "10 seconds"] {
        assert!(manual.contains(promised), "{promised}");
    }
}

/// The first block of code of a language in docs/WEBHOOKS.md.
fn documented_code(language: &str) -> String {
    let manual = std::fs::read_to_string(root().join("docs/WEBHOOKS.md")).unwrap();
    let (_, code) = manual.split_once(&format!("```{language}\n")).unwrap();
    code.split_once("```").unwrap().0.to_owned()
}

/// The receiver of the manual, pasted into a file, behind the product.
#[tokio::test]
async fn the_documented_python_receiver_accepts_what_the_product_sends_and_nothing_else() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let sites = format!("hooks.example.com=127.0.0.1:{port}");
    let app = App::with_settings(&[("OUTBOUND_LOCAL_SITES", &sites)]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let endpoint = create_endpoint(&app, &tenant, URL, &[]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("receiver.py");
    std::fs::File::create(&file).unwrap().write_all(documented_code("python").as_bytes()).unwrap();
    let mut python = tokio::process::Command::new("python3")
        .arg(&file)
        .env("WEBHOOK_SECRET", &endpoint.secret)
        .env("PORT", port.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let forged = |id: &str| {
        let request = app.http().post(format!("http://127.0.0.1:{port}/"));
        let request = request.header("webhook-id", id).header("webhook-timestamp", chrono::Utc::now().timestamp());
        request.header("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=").body("{}").send()
    };
    let status = wait_until("the receiver listens", Duration::from_secs(20), async || {
        forged(&Uuid::new_v4().to_string()).await.ok().map(|answer| answer.status())
    })
    .await;
    assert_eq!(status, 400);
    app.post(&endpoint.path("/test")).by(&tenant).await.data(201);
    let delivered = wait_until("the receiver took the event", WAIT_TIMEOUT, async || {
        let listed = deliveries(&app, &tenant, &endpoint).await;
        (listed[0]["attempts"] != 0 && listed[0]["response_status"].is_i64()).then(|| listed[0].clone())
    })
    .await;
    assert_eq!((&delivered["status"], &delivered["response_status"]), (&json!("delivered"), &json!(204)));
    python.kill().await.unwrap();
}
