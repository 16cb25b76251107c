//! The routes: endpoints, their limits and secrets, and who may see them.

use futures::future::join_all;
use serde_json::{Value, json};

use super::{
    super::support::{App, TenantUser},
    ENDPOINTS, Endpoint, Parked, URL, create_endpoint,
};

#[tokio::test]
async fn an_endpoint_is_created_listed_changed_and_deleted() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let body = json!({ "url": format!(" {URL}#top "), "description": " Order desk ", "events": ["order.updated", "order.created"] });
    let mut created = app.post(ENDPOINTS).by(&tenant).json(&body).await.data(201);
    let endpoint = Endpoint::read(&created);
    assert!(endpoint.secret.starts_with("whsec_") && endpoint.secret.len() == 50, "{created}");
    assert!(created["created_at"].is_string());
    let expected = json!({
        "id": endpoint.id, "url": URL, "description": "Order desk", "events": ["order.created", "order.updated"],
        "enabled": true, "disabled_at": null, "disabled_reason": null, "failing_since": null,
        "previous_secret_expires_at": null, "created_at": created["created_at"], "updated_at": created["updated_at"],
    });
    created.as_object_mut().unwrap().remove("secret");
    assert_eq!(created, expected);
    assert_eq!(app.get(&endpoint.path("")).by(&tenant).await.data(200), expected, "the secret is shown once");
    assert_eq!(app.get(ENDPOINTS).by(&tenant).await.json_body(200)["data"], json!([expected]));
    let stored =
        format!("select count(*) from webhook_endpoints where position('{}'::bytea in secret) > 0", endpoint.secret);
    assert_eq!(app.number(&stored).await, 0, "it is sealed");

    let patch = json!({ "url": "https://hooks.example.com:8443/new", "description": null, "events": [] });
    let changed = app.call(reqwest::Method::PATCH, &endpoint.path("")).by(&tenant).json(&patch).await.data(200);
    assert_eq!(
        (&changed["url"], &changed["description"], &changed["events"], &changed["enabled"]),
        (&patch["url"], &Value::Null, &json!([]), &json!(true))
    );
    app.delete(&endpoint.path("")).by(&tenant).await.no_content();
    app.delete(&endpoint.path("")).by(&tenant).await.refused(404, "not_found");
    let object = format!("webhook_endpoint:{}", endpoint.id);
    let actions = ["created", "changed", "deleted"].map(|action| format!("webhook_endpoint.{action} {object}"));
    assert_eq!(app.audit_actions(&tenant).await, actions);
}

#[tokio::test]
async fn urls_and_fields_that_cannot_be_are_refused_by_their_names() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    for url in [
        "http://hooks.example.com/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://localhost/",
        "https://hooks.internal/",
        "https://hooks.example.com:22/",
        "https://user:password@hooks.example.com/",
        "hooks",
    ] {
        app.post(ENDPOINTS).by(&tenant).json(&json!({ "url": url })).await.invalid_fields(&["url"]);
    }
    for (field, value) in
        [("description", json!("")), ("description", json!("é".repeat(201))), ("secret", json!("whsec_mine"))]
    {
        let body = json!({ "url": URL, field: value });
        app.post(ENDPOINTS).by(&tenant).json(&body).await.invalid_fields(&[field]);
    }
    for events in [json!(["order.deleted"]), json!(["webhook.test"]), json!("order.created")] {
        let body = json!({ "url": URL, "events": events });
        let details = app.post(ENDPOINTS).by(&tenant).json(&body).await.refused(422, "validation_failed");
        assert!(details[0]["field"].as_str().unwrap().starts_with("events"), "{details}");
    }
    assert_eq!(app.number("select count(*) from webhook_endpoints").await, 0);
    let endpoint = create_endpoint(&app, &tenant, URL, &[]).await;
    let patch = app.call(reqwest::Method::PATCH, &endpoint.path("")).by(&tenant);
    patch.json(&json!({ "url": "https://10.0.0.1/" })).await.invalid_fields(&["url"]);
    let replay = app.post(&endpoint.path("/replay")).by(&tenant);
    replay.json(&json!({ "since": "yesterday" })).await.invalid_fields(&["since"]);
    let rotation = app.post(&endpoint.path("/secret")).by(&tenant);
    rotation.json(&json!({ "previous_valid_s": 604_801 })).await.invalid_fields(&["previous_valid_s"]);
}

#[tokio::test]
async fn a_company_has_five_endpoints_at_most_and_one_for_a_url() {
    let app = App::start().await;
    let (tenant, other) = (app.sign_up("Comptoir Baobab").await, app.sign_up("Chez Koffi").await);
    let create = |tenant: &TenantUser, number: usize| {
        let body = json!({ "url": format!("https://hooks.example.com/{number}") });
        app.post(ENDPOINTS).by(tenant).json(&body)
    };
    let answers = join_all((0..12).map(|number| create(&tenant, number).into_future())).await;
    let mut created = 0;
    for answer in answers {
        if answer.status == 201 {
            created += 1;
        } else {
            let details = answer.refused(409, "too_many_webhook_endpoints");
            assert_eq!(details, json!({ "webhook_endpoints": 5, "most": 5 }));
        }
    }
    assert_eq!(created, 5);
    // The maximum of five and the rule of one endpoint per URL hold for each company alone.
    create(&other, 0).await.data(201);
    create(&other, 0).await.refused(409, "webhook_url_taken");
    let second = Endpoint::read(&create(&other, 1).await.data(201));
    let patch = app.call(reqwest::Method::PATCH, &second.path("")).by(&other);
    patch.json(&json!({ "url": "https://hooks.example.com/0" })).await.refused(409, "webhook_url_taken");
}

#[tokio::test]
async fn another_companys_endpoint_is_not_found_and_support_may_not_see_any() {
    let parked = Parked::start().await;
    let (app, endpoint) = (&parked.app, parked.endpoint(&[]).await);
    let other = app.sign_up("Chez Koffi").await;
    let support = app.sign_up_support(&parked.tenant).await;
    let since = json!({ "since": chrono::Utc::now() });
    for (user, status, code) in [(&other, 404, "not_found"), (&support, 403, "forbidden")] {
        app.get(&endpoint.path("")).by(user).await.refused(status, code);
        app.get(&endpoint.path("/deliveries")).by(user).await.refused(status, code);
        let patch = app.call(reqwest::Method::PATCH, &endpoint.path("")).by(user);
        patch.json(&json!({ "enabled": false })).await.refused(status, code);
        app.delete(&endpoint.path("")).by(user).await.refused(status, code);
        app.post(&endpoint.path("/secret")).by(user).json(&json!({})).await.refused(status, code);
        app.post(&endpoint.path("/test")).by(user).await.refused(status, code);
        app.post(&endpoint.path("/replay")).by(user).json(&since).await.refused(status, code);
    }
    assert_eq!(app.get(ENDPOINTS).by(&other).await.json_body(200)["data"], json!([]));
    // What happens at the other company is not sent here.
    let order = json!({ "items": [{ "name": "Thé", "quantity": 1, "unit_price": "500" }] });
    app.post("/api/v1/orders").by(&other).json(&order).await.data(201);
    assert_eq!(app.number("select count(*) from webhook_deliveries").await, 0);
    parked.work(&endpoint).await;
    assert_eq!(parked.receiver.received().len(), 0);
    assert_eq!(parked.shown(&endpoint).await["enabled"], true);
}

#[tokio::test]
async fn while_a_secret_is_rotated_both_verify_and_afterwards_only_the_new_one() {
    let parked = Parked::start().await;
    let (app, old) = (&parked.app, parked.endpoint(&[]).await);
    let send = async || {
        app.post(&old.path("/test")).by(&parked.tenant).await.data(201);
        parked.work(&old).await;
        parked.receiver.received().pop().unwrap()
    };
    let rotate = |body: Value| app.post(&old.path("/secret")).by(&parked.tenant).json(&body);
    let rotated = rotate(json!({})).await.data(201);
    let new = Endpoint::read(&rotated);
    assert_eq!(new.id, old.id);
    assert_ne!(new.secret, old.secret);
    let hours = "select round(extract(epoch from previous_secret_expires_at - now()) / 3600) from webhook_endpoints";
    assert_eq!(app.number(hours).await, 24);
    let both = send().await;
    assert_eq!(both.header("webhook-signature").split(' ').count(), 2);
    old.verify(&both);
    new.verify(&both);
    // A repeated click must not end the secret that the receiver still has.
    let details = rotate(json!({ "previous_valid_s": 60 })).await.refused(409, "webhook_secret_rotating");
    assert_eq!(details["previous_secret_expires_at"], rotated["previous_secret_expires_at"]);

    app.sql("update webhook_endpoints set previous_secret_expires_at = now() - interval '1 second'").await;
    let one = send().await;
    new.verify(&one);
    let refused = standardwebhooks::Webhook::new(&old.secret).unwrap().verify(&one.body, &one.headers);
    assert!(refused.is_err(), "the old secret has ended");
    assert_eq!(parked.shown(&old).await["previous_secret_expires_at"], Value::Null);
    app.stack.invoke("maintenance", json!({})).await.unwrap();
    assert_eq!(app.number("select count(*) from webhook_endpoints where previous_secret is not null").await, 0);

    // A secret that leaked ends at once.
    let latest = Endpoint::read(&rotate(json!({ "previous_valid_s": 0 })).await.data(201));
    let one = send().await;
    latest.verify(&one);
    assert!(standardwebhooks::Webhook::new(&new.secret).unwrap().verify(&one.body, &one.headers).is_err());
}
