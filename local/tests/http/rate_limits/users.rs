//! Limits of calls with a token, by user: all tokens, routes and addresses of a user share one limit.

use serde_json::json;

use super::super::support::{App, CounterBackend, unix_time_in};
use super::{STATUS, assert_rate_limited, assert_remaining, both_backends};

both_backends!(
    each_user_has_a_separate_limit_that_resets,
    calls_become_available_again_as_the_window_slides,
    service_tokens_and_health_checks_are_not_counted,
);

async fn each_user_has_a_separate_limit_that_resets(store: CounterBackend) {
    let app = store.start_app(&[("RATE_LIMIT_USER", "3")]).await;
    let one = app.sign_up("Comptoir Baobab").await;
    let two = app.sign_up("Chez Koffi").await;
    for remaining in [2, 1, 0] {
        let answer = app.get(STATUS).by(&one).await;
        assert_remaining(&answer, 3, remaining);
        answer.data(200);
    }
    // The limit holds on any route and with any token of the user.
    let seconds = assert_rate_limited(app.get(STATUS).by(&one).await, 3);
    assert_rate_limited(app.get("/api/v1/documents").by(app.token(&one.claims())).await, 3);
    assert_rate_limited(app.ask(&one, "Combien ?").await, 3);
    app.get(STATUS).by(&two).await.data(200);

    store.age_windows(&app, seconds).await;
    app.get(STATUS).by(&one).await.data(200);
    assert_eq!(app.get(STATUS).by(&two).await.data(200)["free_quota_used"], 0, "a refused question costs nothing");
    assert!(store.counter_count(&app).await >= 2);
}

async fn calls_become_available_again_as_the_window_slides(store: CounterBackend) {
    let app = store.start_app(&[("RATE_LIMIT_USER", "6")]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let served = async || {
        let mut served = 0;
        while app.get(STATUS).by(&tenant).await.status == 200 {
            served += 1;
        }
        served
    };
    assert_eq!(served().await, 6);
    // At half of the next window, half of the calls no longer count.
    store.age_windows(&app, 91).await;
    assert_eq!(served().await, 3);
    // After two windows without a call, no call counts any more.
    store.age_windows(&app, 120).await;
    assert_eq!(served().await, 6);
}

async fn service_tokens_and_health_checks_are_not_counted(store: CounterBackend) {
    let app: App = store.start_app(&[("RATE_LIMIT_USER", "1"), ("RATE_LIMIT_ADDRESS", "1")]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let own = format!("/v1/quota/{}", tenant.user_id);
    // Supabase's service keys of one generation have a `sub` claim, those of the other have none.
    let with_sub =
        json!({ "role": "service_role", "iss": "supabase", "exp": unix_time_in(600), "sub": tenant.user_id });
    for token in [app.service_token(), app.token(&with_sub)] {
        for _ in 0..5 {
            let answer = app.get(&own).by(&token).await;
            assert_eq!(answer.header("ratelimit-limit"), "");
            answer.json_body(200);
            app.get("/health?deep=1").by(&token).await.json_body(200);
        }
    }
    for _ in 0..5 {
        let answer = app.get("/health").await;
        assert_eq!(answer.header("ratelimit-limit"), "");
        assert_eq!(answer.json_body(200)["status"], "healthy");
    }
    // The service calls did not use the user's limit.
    app.get(&own).by(&tenant).await.json_body(200);
    assert_rate_limited(app.get(&own).by(&tenant).await, 1);
}
