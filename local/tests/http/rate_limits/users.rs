//! Who has a token is counted as a user, whatever the token, the route and the address.

use serde_json::json;

use super::super::support::{App, Store, in_seconds};
use super::{STATUS, both_stores, is_limited, leaves};

both_stores!(
    each_user_has_calls_of_the_own_and_gets_them_back,
    calls_come_back_one_by_one_as_the_window_slides,
    other_back_ends_and_health_are_not_counted,
);

async fn each_user_has_calls_of_the_own_and_gets_them_back(store: Store) {
    let app = store.app(&[("RATE_LIMIT_USER", "3")]).await;
    let one = app.sign_up("Comptoir Baobab").await;
    let two = app.sign_up("Chez Koffi").await;
    for remaining in [2, 1, 0] {
        let answer = app.get(STATUS).by(&one).await;
        leaves(&answer, 3, remaining);
        answer.data(200);
    }
    // On any route, with any token of that user.
    let seconds = is_limited(app.get(STATUS).by(&one).await, 3);
    is_limited(app.get("/api/v1/documents").by(app.token(&one.claims())).await, 3);
    is_limited(app.ask(&one, "Combien ?").await, 3);
    app.get(STATUS).by(&two).await.data(200);

    store.wait(&app, seconds).await;
    app.get(STATUS).by(&one).await.data(200);
    assert_eq!(app.get(STATUS).by(&two).await.data(200)["free_quota_used"], 0, "a refused question costs nothing");
    assert!(store.counters(&app).await >= 2);
}

async fn calls_come_back_one_by_one_as_the_window_slides(store: Store) {
    let app = store.app(&[("RATE_LIMIT_USER", "6")]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let served = async || {
        let mut served = 0;
        while app.get(STATUS).by(&tenant).await.status == 200 {
            served += 1;
        }
        served
    };
    assert_eq!(served().await, 6);
    // Half of the next window: half of the calls are out of sight.
    store.wait(&app, 91).await;
    assert_eq!(served().await, 3);
    // Two windows without a call: all of them.
    store.wait(&app, 120).await;
    assert_eq!(served().await, 6);
}

async fn other_back_ends_and_health_are_not_counted(store: Store) {
    let app: App = store.app(&[("RATE_LIMIT_USER", "1"), ("RATE_LIMIT_ADDRESS", "1")]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let own = format!("/v1/quota/{}", tenant.user_id);
    // With and without a sub, as the two generations of Supabase's keys have it.
    let with_sub = json!({ "role": "service_role", "iss": "supabase", "exp": in_seconds(600), "sub": tenant.user_id });
    for token in [app.service_token(), app.token(&with_sub)] {
        for _ in 0..5 {
            let answer = app.get(&own).by(&token).await;
            assert_eq!(answer.header("ratelimit-limit"), "");
            answer.bare(200);
            app.get("/health?deep=1").by(&token).await.bare(200);
        }
    }
    for _ in 0..5 {
        let answer = app.get("/health").await;
        assert_eq!(answer.header("ratelimit-limit"), "");
        assert_eq!(answer.bare(200)["status"], "healthy");
    }
    // They took nothing of the user's.
    app.get(&own).by(&tenant).await.bare(200);
    is_limited(app.get(&own).by(&tenant).await, 1);
}
