//! The refresh token in a cookie, which a page on the API's own origin asks for with `X-Session: cookie`.

use serde_json::{Value, json};

use super::support::{App, FakeSupabase, PASSWORD, TenantUser, TestResponse, new_email};

const REFRESH: &str = "/api/v1/auth/refresh";

/// The `lisa_refresh` cookie of a response: its value, and its attributes as the browser gets them.
fn cookie(response: &TestResponse) -> (String, Vec<String>) {
    let mut parts = response.header("set-cookie").split("; ").map(str::to_owned);
    let first = parts.next().unwrap();
    let value = first.strip_prefix("lisa_refresh=").unwrap_or_else(|| panic!("{first}")).to_owned();
    (value, parts.collect())
}

async fn log_in(app: &App, email: &str) -> TestResponse {
    let body = json!({ "email": email, "password": PASSWORD });
    app.post("/api/v1/auth/login").header("x-session", "cookie").json(&body).await
}

/// Refreshes as a browser does that holds this cookie, among others.
async fn refresh(app: &App, value: &str) -> TestResponse {
    let cookies = format!("theme=dark; lisa_refresh={value}; other=1");
    app.post(REFRESH).header("x-session", "cookie").header("cookie", cookies).await
}

#[tokio::test]
async fn a_page_signs_in_refreshes_and_signs_out_without_seeing_the_token() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;

    let signed_in = log_in(&app, &tenant.email).await;
    let (first, attributes) = cookie(&signed_in);
    for expected in ["HttpOnly", "SameSite=Strict", "Path=/api/v1/auth", "Max-Age=2592000"] {
        assert!(attributes.iter().any(|attribute| attribute == expected), "{expected} in {attributes:?}");
    }
    // The test comes by plain HTTP, for which a browser would not keep a secure cookie.
    assert!(!attributes.iter().any(|attribute| attribute == "Secure"), "{attributes:?}");
    assert!(!signed_in.text.contains(&first), "the token is in the body");
    let session = signed_in.data(200);
    assert_eq!(session["refresh_token"], Value::Null);

    let refreshed = refresh(&app, &first).await;
    let (second, _) = cookie(&refreshed);
    assert_ne!(first, second);
    let session = refreshed.data(200);
    assert_eq!(session["user"]["email"], tenant.email);
    let token = session["access_token"].as_str().unwrap().to_owned();
    app.get("/api/v1/quota/status").by(&token).await.data(200);

    let signed_out = app.post("/api/v1/auth/logout").by(&token).header("x-session", "cookie").await;
    let (value, attributes) = cookie(&signed_out);
    assert_eq!((value.as_str(), attributes.contains(&"Max-Age=0".to_owned())), ("", true), "{attributes:?}");
    signed_out.no_content();
    let refused = refresh(&app, &second).await;
    assert_eq!(cookie(&refused).0, "", "a useless cookie is cleared");
    refused.refused(401, "invalid_refresh_token");
}

#[tokio::test]
async fn a_sign_up_can_start_with_the_cookie() {
    let app = App::start().await;
    let body = json!({ "email": new_email(), "password": PASSWORD, "company_name": "Comptoir Baobab" });
    let signed_up = app.post("/api/v1/auth/signup").header("x-session", "cookie").json(&body).await;
    let (value, _) = cookie(&signed_up);
    assert_eq!(signed_up.data(201)["refresh_token"], Value::Null);
    refresh(&app, &value).await.data(200);
}

#[tokio::test]
async fn a_cookie_alone_refreshes_nothing() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let (value, _) = cookie(&log_in(&app, &tenant.email).await);
    let with_cookie = format!("lisa_refresh={value}");

    // A form of another site can send the cookie, but no header of its own, and no JSON.
    app.post(REFRESH).header("cookie", &with_cookie).json(&json!({})).await.invalid_fields(&["refresh_token"]);
    let unknown = app.post(REFRESH).header("cookie", &with_cookie).header("x-session", "body").await;
    unknown.invalid_fields(&["X-Session"]);
    app.post(REFRESH).header("x-session", "cookie").await.refused(401, "invalid_refresh_token");
    refresh(&app, &value).await.data(200);
}

#[tokio::test]
async fn no_other_origin_may_ask_for_the_cookie() {
    let app = App::with_settings(&[("CORS_ORIGINS", "*")]).await;
    let preflight = app
        .call(reqwest::Method::OPTIONS, REFRESH)
        .header("origin", "https://evil.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "x-session")
        .await;
    let allowed = preflight.headers.get("access-control-allow-headers").map_or("", |value| value.to_str().unwrap());
    assert!(!allowed.to_lowercase().contains("x-session"), "{allowed}");
    assert_eq!(preflight.headers.get("access-control-allow-credentials"), None);
}

#[tokio::test]
async fn two_tabs_that_refresh_at_once_get_the_same_session() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let (first, _) = cookie(&log_in(&app, &tenant.email).await);

    let (one, two) = tokio::join!(refresh(&app, &first), refresh(&app, &first));
    let (next, same) = (cookie(&one).0, cookie(&two).0);
    assert_eq!(next, same, "the browser keeps either answer");
    one.data(200);
    two.data(200);
    // A page that is loaded again before the answer arrived.
    assert_eq!(cookie(&refresh(&app, &first).await).0, next);

    let (third, _) = cookie(&refresh(&app, &next).await);
    assert_ne!(third, next);
    // The grandparent of the valid token is a theft, however early it comes.
    refresh(&app, &first).await.refused(401, "invalid_refresh_token");
    refresh(&app, &third).await.refused(401, "invalid_refresh_token");
}

#[tokio::test]
async fn a_cookie_that_was_replaced_long_ago_ends_the_session() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let (first, _) = cookie(&log_in(&app, &tenant.email).await);
    let (next, _) = cookie(&refresh(&app, &first).await);
    app.sql("update refresh_sessions set rotated_at = rotated_at - interval '29 seconds'").await;
    // A repetition does not prolong the time for repetitions.
    assert_eq!(cookie(&refresh(&app, &first).await).0, next);
    app.sql("update refresh_sessions set rotated_at = rotated_at - interval '2 seconds'").await;

    refresh(&app, &first).await.refused(401, "invalid_refresh_token");
    refresh(&app, &next).await.refused(401, "invalid_refresh_token");
}

#[tokio::test]
async fn a_token_in_a_body_stays_valid_once() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let next = TenantUser::from_session(&app.refresh(&tenant.refresh_token).await.data(200));
    app.refresh(&tenant.refresh_token).await.refused(401, "invalid_refresh_token");
    app.refresh(&next.refresh_token).await.refused(401, "invalid_refresh_token");
}

#[tokio::test]
async fn an_account_of_a_supabase_project_can_use_the_cookie() {
    let project = FakeSupabase::start().await;
    let app = App::with_settings(&project.settings()).await;
    let email = new_email();
    let body = json!({ "email": email, "password": PASSWORD, "company_name": "Comptoir Baobab" });
    app.post("/api/v1/auth/signup").json(&body).await.data(201);

    let signed_in = log_in(&app, &email).await;
    let (value, _) = cookie(&signed_in);
    assert_eq!(signed_in.data(200)["refresh_token"], Value::Null);
    let refreshed = refresh(&app, &value).await;
    assert_ne!(cookie(&refreshed).0, "");
    assert_eq!(refreshed.data(200)["user"]["email"], email);
}

#[tokio::test]
async fn the_pages_of_an_office_do_not_share_the_limit_of_their_address() {
    let app = App::with_settings(&[("RATE_LIMIT_ADDRESS", "5"), ("RATE_LIMIT_USER", "4")]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let mut cookies = Vec::new();
    for _ in 0..3 {
        cookies.push(cookie(&log_in(&app, &tenant.email).await).0);
    }
    for value in &cookies {
        for _ in 0..4 {
            refresh(&app, value).await.data(200);
        }
        refresh(&app, value).await.refused(429, "rate_limited");
    }
    // A made-up cookie counts for its address, whose limit sign-up and sign-ins have nearly used up.
    refresh(&app, "made-up").await.refused(401, "invalid_refresh_token");
    refresh(&app, "made-up").await.refused(429, "rate_limited");
}
