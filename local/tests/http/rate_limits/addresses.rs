//! Who has no token is counted by the address that the gateway saw, and sign-ins by account besides.

use reqwest::Method;
use serde_json::{Value, json};

use super::super::support::{App, Call, PASSWORD, Store, new_address};
use super::{STATUS, both_stores, is_limited, leaves};

both_stores!(
    who_tries_tokens_is_counted_by_address,
    passwords_are_not_guessed_in_a_hurry,
    an_account_is_not_locked_by_somebody_elsewhere,
);

const ELSEWHERE: [u8; 4] = [127, 0, 0, 2];

async fn who_tries_tokens_is_counted_by_address(store: Store) {
    let app = store.app(&[("RATE_LIMIT_ADDRESS", "6")]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let missing = app.get(STATUS).await;
    leaves(&missing, 6, 4);
    missing.refused(401, "unauthorized");
    app.get(STATUS).by("nonsense").await.refused(401, "unauthorized");
    let foreign = app.token_by(&tenant.claims(), &jsonwebtoken::Header::default(), "somebody else's secret");
    app.get("/api/v1/documents").by(foreign).await.refused(401, "unauthorized");
    let mut expired = tenant.claims();
    expired["exp"] = json!(1_000_000_000);
    app.get(STATUS).by(app.token(&expired)).await.refused(401, "unauthorized");
    app.refresh("nonsense").await.refused(401, "invalid_refresh_token");

    is_limited(app.get(STATUS).await, 6);
    is_limited(app.get(STATUS).by("another").await, 6);
    is_limited(app.refresh("nonsense").await, 6);
    is_limited(app.log_in(&tenant.email, PASSWORD).await, 6);
    // An address that the client only claims is nobody's.
    for name in ["x-forwarded-for", "x-real-ip", "forwarded", "true-client-ip", "cf-connecting-ip"] {
        is_limited(app.get(STATUS).header(name, "192.0.2.1").await, 6);
    }
    // Neither those with a token nor those elsewhere are meant.
    app.get(STATUS).by(&tenant).await.data(200);
    leaves(&app.call_from(ELSEWHERE, Method::GET, STATUS).await, 6, 5);
    let seconds = is_limited(app.get(STATUS).await, 6);
    store.wait(&app, seconds).await;
    app.get(STATUS).await.refused(401, "unauthorized");
}

async fn passwords_are_not_guessed_in_a_hurry(store: Store) {
    let app = store.app(&[("RATE_LIMIT_SIGN_IN", "3")]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let other = app.sign_up("Chez Koffi").await;
    for guess in ["wrong horse battery", "wrong again"] {
        app.log_in(&tenant.email.to_uppercase(), guess).await.refused(401, "invalid_credentials");
    }
    let refused = app.log_in(&format!(" {} ", tenant.email), PASSWORD).await;
    assert!(!refused.text.contains(&tenant.email));
    let seconds = is_limited(refused, 3);
    let body = json!({ "email": tenant.email, "password": PASSWORD, "company_name": "Again" });
    is_limited(app.post("/api/v1/auth/signup").json(&body).await, 3);

    app.log_in(&other.email, PASSWORD).await.data(200);
    app.log_in(&new_address(), PASSWORD).await.refused(401, "invalid_credentials");
    store.wait(&app, seconds).await;
    app.log_in(&tenant.email, PASSWORD).await.data(200);
}

async fn an_account_is_not_locked_by_somebody_elsewhere(store: Store) {
    let app = store.app(&[("RATE_LIMIT_SIGN_IN", "2")]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let body = |password: &str| json!({ "email": tenant.email, "password": password });
    for _ in 0..2 {
        log_in_elsewhere(&app, &body("wrong horse battery")).await.refused(401, "invalid_credentials");
    }
    is_limited(log_in_elsewhere(&app, &body(PASSWORD)).await, 2);
    app.log_in(&tenant.email, PASSWORD).await.data(200);
}

fn log_in_elsewhere(app: &App, body: &Value) -> Call {
    app.call_from(ELSEWHERE, Method::POST, "/api/v1/auth/login").json(body)
}
