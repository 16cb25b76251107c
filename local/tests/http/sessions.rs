//! Login, refresh, logout and password change, with accounts in the product's own database.

use serde_json::json;
use tokio::task::JoinSet;

use super::support::{App, PASSWORD, TenantUser, TestResponse};

const NEW_PASSWORD: &str = "another horse, another battery";

async fn change_password(app: &App, tenant: &TenantUser, current: &str, new: &str) -> TestResponse {
    let body = json!({ "current_password": current, "new_password": new });
    app.post("/api/v1/auth/password").by(tenant).json(&body).await
}

#[tokio::test]
async fn sign_in_returns_tokens_that_work_and_can_be_refreshed() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;

    let first = TenantUser::from_session(&app.log_in(&tenant.email.to_uppercase(), PASSWORD).await.data(200));
    let second = TenantUser::from_session(&app.refresh(&first.refresh_token).await.data(200));
    let third = TenantUser::from_session(&app.refresh(&second.refresh_token).await.data(200));

    for session in [&first, &second, &third] {
        assert_eq!((session.user_id, session.customer_id), (tenant.user_id, tenant.customer_id));
        app.get("/api/v1/quota/status").by(session).await.data(200);
    }
    assert_ne!(first.refresh_token, second.refresh_token);
    assert_ne!(second.refresh_token, third.refresh_token);
}

#[tokio::test]
async fn a_reused_refresh_token_ends_its_own_session_only() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let other = TenantUser::from_session(&app.log_in(&tenant.email, PASSWORD).await.data(200));
    let next = TenantUser::from_session(&app.refresh(&tenant.refresh_token).await.data(200));

    app.refresh(&tenant.refresh_token).await.refused(401, "invalid_refresh_token");

    app.refresh(&next.refresh_token).await.refused(401, "invalid_refresh_token");
    app.refresh(&other.refresh_token).await.data(200);
}

#[tokio::test]
async fn of_two_concurrent_refreshes_one_succeeds_and_the_session_ends() {
    let app = App::start().await;
    for _ in 0..5 {
        let tenant = app.sign_up("Comptoir Baobab").await;
        let (one, two) = tokio::join!(app.refresh(&tenant.refresh_token), app.refresh(&tenant.refresh_token));
        let (won, lost) = if one.status == 200 { (one, two) } else { (two, one) };
        lost.refused(401, "invalid_refresh_token");
        // The refresh token may have been stolen, so its session ends for both.
        let next = TenantUser::from_session(&won.data(200));
        app.refresh(&next.refresh_token).await.refused(401, "invalid_refresh_token");
    }
}

#[tokio::test]
async fn invalid_refresh_tokens_all_get_the_same_error() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let foreign = "A".repeat(tenant.refresh_token.len());
    for token in ["", "x", "é", "nul\u{0}", &foreign, &tenant.token, &"A".repeat(10_000)] {
        app.refresh(token).await.refused(401, "invalid_refresh_token");
    }
    app.post("/api/v1/auth/refresh").json(&json!({})).await.invalid_fields(&["refresh_token"]);
    app.sql("update refresh_sessions set expires_at = now() - interval '1 second'").await;
    app.refresh(&tenant.refresh_token).await.refused(401, "invalid_refresh_token");
}

#[tokio::test]
async fn sign_out_ends_its_own_session_only() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let other = TenantUser::from_session(&app.log_in(&tenant.email, PASSWORD).await.data(200));

    app.post("/api/v1/auth/logout").by(&tenant).await.no_content();
    app.post("/api/v1/auth/logout").by(&tenant).await.no_content();

    app.refresh(&tenant.refresh_token).await.refused(401, "invalid_refresh_token");
    app.refresh(&other.refresh_token).await.data(200);
    app.post("/api/v1/auth/logout").await.refused(401, "unauthorized");
}

#[tokio::test]
async fn a_password_change_ends_all_sessions_and_the_old_password() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let other = TenantUser::from_session(&app.log_in(&tenant.email, PASSWORD).await.data(200));

    change_password(&app, &tenant, "wrong horse battery", NEW_PASSWORD).await.invalid_fields(&["current_password"]);
    change_password(&app, &tenant, PASSWORD, "short").await.invalid_fields(&["new_password"]);
    change_password(&app, &tenant, PASSWORD, NEW_PASSWORD).await.no_content();

    for session in [&tenant, &other] {
        app.refresh(&session.refresh_token).await.refused(401, "invalid_refresh_token");
    }
    app.log_in(&tenant.email, PASSWORD).await.refused(401, "invalid_credentials");
    app.log_in(&tenant.email, NEW_PASSWORD).await.data(200);
    let body = json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD });
    app.post("/api/v1/auth/password").json(&body).await.refused(401, "unauthorized");
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_email_get_the_same_answer() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let mut answers = Vec::new();
    for (email, password) in [
        (tenant.email.as_str(), "wrong horse battery"),
        (&tenant.email, ""),
        (&tenant.email, &"x".repeat(5000)),
        ("nobody@example.com", PASSWORD),
        ("no address", PASSWORD),
        ("", ""),
        ("nul\u{0}@example.com", PASSWORD),
        (&tenant.email, "nul\u{0}"),
    ] {
        let mut answer = app.log_in(email, password).await;
        let message = answer.body["error"]["message"].clone();
        assert_eq!(answer.status, 401, "{email:?}: {}", answer.text);
        answer.headers.remove("www-authenticate");
        answers.push((answer.status, answer.body["error"]["code"].clone(), message));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    app.log_in("nobody@example.com", PASSWORD).await.refused(401, "invalid_credentials");
    app.post("/api/v1/auth/login").json(&json!({ "email": tenant.email })).await.invalid_fields(&["password"]);
    app.post("/api/v1/auth/login").json(&json!({ "password": PASSWORD })).await.invalid_fields(&["email"]);
}

#[tokio::test]
async fn concurrent_sign_ins_all_succeed() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let mut calls = JoinSet::new();
    for _ in 0..20 {
        let body = json!({ "email": tenant.email, "password": PASSWORD });
        calls.spawn(app.post("/api/v1/auth/login").json(&body).into_future());
    }
    for answer in calls.join_all().await {
        answer.data(200);
    }
}
