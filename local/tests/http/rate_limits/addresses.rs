//! Limits of calls without a valid token, by the address that the gateway saw, and of sign-ins by account.

use reqwest::Method;
use serde_json::{Value, json};

use super::super::support::{App, CounterBackend, PASSWORD, TestRequest, new_email};
use super::{STATUS, assert_rate_limited, assert_remaining, both_backends};

both_backends!(
    calls_without_a_valid_token_are_limited_by_address,
    sign_ins_to_one_account_are_limited,
    failed_sign_ins_from_another_address_do_not_lock_an_account,
);

const OTHER_ADDRESS: [u8; 4] = [127, 0, 0, 2];

async fn calls_without_a_valid_token_are_limited_by_address(store: CounterBackend) {
    let app = store.start_app(&[("RATE_LIMIT_ADDRESS", "6")]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let missing = app.get(STATUS).await;
    assert_remaining(&missing, 6, 4);
    missing.refused(401, "unauthorized");
    app.get(STATUS).by("nonsense").await.refused(401, "unauthorized");
    let foreign = app.token_signed_with(&tenant.claims(), &jsonwebtoken::Header::default(), "somebody else's secret");
    app.get("/api/v1/documents").by(foreign).await.refused(401, "unauthorized");
    let mut expired = tenant.claims();
    expired["exp"] = json!(1_000_000_000);
    // A token that was valid once is not counted: an office whose tokens end together is no attacker.
    app.get(STATUS).by(app.token(&expired)).await.refused(401, "token_expired");
    app.get(STATUS).by("more nonsense").await.refused(401, "unauthorized");
    app.refresh("nonsense").await.refused(401, "invalid_refresh_token");

    assert_rate_limited(app.get(STATUS).await, 6);
    assert_rate_limited(app.get(STATUS).by("another").await, 6);
    assert_rate_limited(app.refresh("nonsense").await, 6);
    assert_rate_limited(app.log_in(&tenant.email, PASSWORD).await, 6);
    // Addresses in request headers are ignored.
    for name in ["x-forwarded-for", "x-real-ip", "forwarded", "true-client-ip", "cf-connecting-ip"] {
        assert_rate_limited(app.get(STATUS).header(name, "192.0.2.1").await, 6);
    }
    // Calls with a token and calls from another address are not limited.
    app.get(STATUS).by(&tenant).await.data(200);
    assert_remaining(&app.call_from(OTHER_ADDRESS, Method::GET, STATUS).await, 6, 5);
    let seconds = assert_rate_limited(app.get(STATUS).await, 6);
    store.age_windows(&app, seconds).await;
    app.get(STATUS).await.refused(401, "unauthorized");
}

async fn sign_ins_to_one_account_are_limited(store: CounterBackend) {
    let app = store.start_app(&[("RATE_LIMIT_SIGN_IN", "3")]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let other = app.sign_up("Chez Koffi").await;
    for guess in ["wrong horse battery", "wrong again"] {
        app.log_in(&tenant.email.to_uppercase(), guess).await.refused(401, "invalid_credentials");
    }
    let refused = app.log_in(&format!(" {} ", tenant.email), PASSWORD).await;
    assert!(!refused.text.contains(&tenant.email));
    let seconds = assert_rate_limited(refused, 3);
    let body = json!({ "email": tenant.email, "password": PASSWORD, "company_name": "Again" });
    assert_rate_limited(app.post("/api/v1/auth/signup").json(&body).await, 3);

    app.log_in(&other.email, PASSWORD).await.data(200);
    app.log_in(&new_email(), PASSWORD).await.refused(401, "invalid_credentials");
    store.age_windows(&app, seconds).await;
    app.log_in(&tenant.email, PASSWORD).await.data(200);
}

async fn failed_sign_ins_from_another_address_do_not_lock_an_account(store: CounterBackend) {
    let app = store.start_app(&[("RATE_LIMIT_SIGN_IN", "2")]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let body = |password: &str| json!({ "email": tenant.email, "password": password });
    for _ in 0..2 {
        log_in_elsewhere(&app, &body("wrong horse battery")).await.refused(401, "invalid_credentials");
    }
    assert_rate_limited(log_in_elsewhere(&app, &body(PASSWORD)).await, 2);
    app.log_in(&tenant.email, PASSWORD).await.data(200);
}

fn log_in_elsewhere(app: &App, body: &Value) -> TestRequest {
    app.call_from(OTHER_ADDRESS, Method::POST, "/api/v1/auth/login").json(body)
}
