//! Calls are counted: by user, by address without a token, and sign-ins by account.

use serde_json::json;

use super::support::{Answer, App, PASSWORD, new_address};

const STATUS: &str = "/api/v1/quota/status";

/// Headers and envelope of a refusal, and the seconds to wait.
#[track_caller]
fn is_limited(answer: Answer, limit: u32) -> u32 {
    let number = |name: &str| answer.header(name).parse::<u32>().unwrap();
    assert_eq!((number("ratelimit-limit"), number("ratelimit-remaining")), (limit, 0));
    let (reset, wait) = (number("ratelimit-reset"), number("retry-after"));
    assert!((1..=60).contains(&reset) && (1..=120).contains(&wait), "{reset} {wait}");
    answer.refused(429, "rate_limited");
    wait
}

/// As if the window had been begun so many seconds earlier.
async fn wait(app: &App, seconds: u32) {
    app.sql(&format!("update rate_limits set window_start = window_start - interval '{seconds} seconds'")).await;
}

#[tokio::test]
async fn each_user_has_calls_of_the_own_and_gets_them_back() {
    let app = App::with(&[("RATE_LIMIT_USER", "3")]).await;
    let one = app.sign_up("Comptoir Baobab").await;
    let two = app.sign_up("Chez Koffi").await;
    for remaining in [2, 1, 0] {
        let answer = app.get(STATUS).by(&one).await;
        assert_eq!(answer.header("ratelimit-limit"), "3");
        assert_eq!(answer.header("ratelimit-remaining"), remaining.to_string());
        answer.data(200);
    }
    // On any route, with any token of that user.
    let seconds = is_limited(app.get(STATUS).by(&one).await, 3);
    is_limited(app.get("/api/v1/documents").by(app.token(&one.claims())).await, 3);
    is_limited(app.ask(&one, "Combien ?").await, 3);
    app.get(STATUS).by(&two).await.data(200);
    // Services speak for many.
    for _ in 0..5 {
        app.get("/health?deep=1").by(app.service_token()).await.bare(200);
    }

    wait(&app, seconds).await;
    app.get(STATUS).by(&one).await.data(200);
    assert_eq!(app.get(STATUS).by(&two).await.data(200)["free_quota_used"], 0, "a refused question costs nothing");
}

#[tokio::test]
async fn of_many_calls_at_once_exactly_as_many_are_served_as_are_allowed() {
    let app = App::with(&[("RATE_LIMIT_USER", "10")]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let calls = (0..40).map(|_| app.get(STATUS).by(&tenant).into_future());
    let answers = futures::future::join_all(calls).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 10);
    assert_eq!(answers.iter().filter(|answer| answer.status == 429).count(), 30);
}

#[tokio::test]
async fn who_tries_tokens_is_counted_by_address() {
    let app = App::with(&[("RATE_LIMIT_ADDRESS", "4")]).await;
    app.get(STATUS).await.refused(401, "unauthorized");
    app.get(STATUS).by("nonsense").await.refused(401, "unauthorized");
    app.get("/api/v1/documents").by("a.b.c").await.refused(401, "unauthorized");
    app.refresh("nonsense").await.refused(401, "invalid_refresh_token");
    is_limited(app.get(STATUS).by("another").await, 4);
    // An address that the client only claims is nobody's.
    is_limited(app.get(STATUS).header("x-forwarded-for", "192.0.2.1").await, 4);
    is_limited(app.refresh("nonsense").await, 4);
}

#[tokio::test]
async fn passwords_are_not_guessed_in_a_hurry() {
    let app = App::with(&[("RATE_LIMIT_SIGN_IN", "3")]).await;
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
    wait(&app, seconds).await;
    app.log_in(&tenant.email, PASSWORD).await.data(200);
}

#[tokio::test]
async fn a_count_that_fails_serves_who_has_a_token_and_nobody_else() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.sql("alter table rate_limits rename to lost").await;
    app.get(STATUS).by(&tenant).await.data(200);
    let answer = app.log_in(&tenant.email, PASSWORD).await;
    assert!(!answer.text.contains("rate_limits"), "{}", answer.text);
    answer.refused(503, "unavailable");
    app.get(STATUS).await.refused(503, "unavailable");
}
