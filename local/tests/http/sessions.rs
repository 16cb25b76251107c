//! Login, refresh, logout and the change of the password, with accounts kept here.

use serde_json::json;
use tokio::task::JoinSet;

use super::support::{Answer, App, PASSWORD, Tenant};

const NEW_PASSWORD: &str = "another horse, another battery";

async fn change_password(app: &App, tenant: &Tenant, current: &str, new: &str) -> Answer {
    let body = json!({ "current_password": current, "new_password": new });
    app.post("/api/v1/auth/password").by(tenant).json(&body).await
}

#[tokio::test]
async fn signing_in_gives_tokens_that_work_and_are_renewed() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;

    let first = Tenant::of(&app.log_in(&tenant.email.to_uppercase(), PASSWORD).await.data(200));
    let second = Tenant::of(&app.refresh(&first.refresh_token).await.data(200));
    let third = Tenant::of(&app.refresh(&second.refresh_token).await.data(200));

    for session in [&first, &second, &third] {
        assert_eq!((session.user_id, session.customer_id), (tenant.user_id, tenant.customer_id));
        app.get("/api/v1/quota/status").by(session).await.data(200);
    }
    assert_ne!(first.refresh_token, second.refresh_token);
    assert_ne!(second.refresh_token, third.refresh_token);
}

#[tokio::test]
async fn a_refresh_token_that_comes_again_ends_its_family_and_no_other() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let other = Tenant::of(&app.log_in(&tenant.email, PASSWORD).await.data(200));
    let next = Tenant::of(&app.refresh(&tenant.refresh_token).await.data(200));

    app.refresh(&tenant.refresh_token).await.refused(401, "invalid_refresh_token");

    app.refresh(&next.refresh_token).await.refused(401, "invalid_refresh_token");
    app.refresh(&other.refresh_token).await.data(200);
}

#[tokio::test]
async fn of_two_refreshes_at_once_one_wins() {
    let app = App::start().await;
    for _ in 0..5 {
        let tenant = app.sign_up("Comptoir Baobab").await;
        let (one, two) = tokio::join!(app.refresh(&tenant.refresh_token), app.refresh(&tenant.refresh_token));
        let (won, lost) = if one.status == 200 { (one, two) } else { (two, one) };
        lost.refused(401, "invalid_refresh_token");
        // The other one may have been a thief: nobody goes on with this session.
        let next = Tenant::of(&won.data(200));
        app.refresh(&next.refresh_token).await.refused(401, "invalid_refresh_token");
    }
}

#[tokio::test]
async fn refresh_tokens_that_are_none_are_refused_alike() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let foreign = "A".repeat(tenant.refresh_token.len());
    for token in ["", "x", "é", "nul\u{0}", &foreign, &tenant.token, &"A".repeat(10_000)] {
        app.refresh(token).await.refused(401, "invalid_refresh_token");
    }
    app.post("/api/v1/auth/refresh").json(&json!({})).await.names(&["refresh_token"]);
    app.sql("update refresh_sessions set expires_at = now() - interval '1 second'").await;
    app.refresh(&tenant.refresh_token).await.refused(401, "invalid_refresh_token");
}

#[tokio::test]
async fn signing_out_ends_the_session_for_refresh_and_no_other() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let other = Tenant::of(&app.log_in(&tenant.email, PASSWORD).await.data(200));

    app.post("/api/v1/auth/logout").by(&tenant).await.empty();
    app.post("/api/v1/auth/logout").by(&tenant).await.empty();

    app.refresh(&tenant.refresh_token).await.refused(401, "invalid_refresh_token");
    app.refresh(&other.refresh_token).await.data(200);
    app.post("/api/v1/auth/logout").await.refused(401, "unauthorized");
}

#[tokio::test]
async fn a_new_password_ends_all_sessions_and_the_old_one() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let other = Tenant::of(&app.log_in(&tenant.email, PASSWORD).await.data(200));

    change_password(&app, &tenant, "wrong horse battery", NEW_PASSWORD).await.names(&["current_password"]);
    change_password(&app, &tenant, PASSWORD, "short").await.names(&["new_password"]);
    change_password(&app, &tenant, PASSWORD, NEW_PASSWORD).await.empty();

    for session in [&tenant, &other] {
        app.refresh(&session.refresh_token).await.refused(401, "invalid_refresh_token");
    }
    app.log_in(&tenant.email, PASSWORD).await.refused(401, "invalid_credentials");
    app.log_in(&tenant.email, NEW_PASSWORD).await.data(200);
    let body = json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD });
    app.post("/api/v1/auth/password").json(&body).await.refused(401, "unauthorized");
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_are_answered_alike() {
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
    app.post("/api/v1/auth/login").json(&json!({ "email": tenant.email })).await.names(&["password"]);
    app.post("/api/v1/auth/login").json(&json!({ "password": PASSWORD })).await.names(&["email"]);
}

#[tokio::test]
async fn many_sign_ins_at_once_all_succeed() {
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
