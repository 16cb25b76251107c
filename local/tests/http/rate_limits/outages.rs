//! Outages of the counters: calls with a valid token are served, other calls get 503, and counting resumes later.

use std::time::{Duration, Instant};

use super::super::support::{
    App, BackendProxy, CounterBackend, PASSWORD, TenantUser, TestResponse, WAIT_TIMEOUT, wait_until,
};
use super::{STATUS, assert_rate_limited, both_backends};

both_backends!(a_database_outage_causes_fast_503s);

const MAX_RESPONSE_TIME: Duration = Duration::from_secs(5);

/// Calls with the tenant's token and asserts status 200.
async fn assert_served(app: &App, tenant: &TenantUser) -> TestResponse {
    let answer = app.get(STATUS).by(tenant).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer
}

/// Asserts that calls without a valid token get a 503 that reveals no cause, and that the health check succeeds.
async fn assert_others_unavailable(app: &App, tenant: &TenantUser) {
    for answer in [
        app.get(STATUS).await,
        app.get(STATUS).by("nonsense").await,
        app.log_in(&tenant.email, PASSWORD).await,
        app.refresh(&tenant.refresh_token).await,
    ] {
        let text = answer.text.to_lowercase();
        for inside in ["rate", "redis", "postgres", "permission", "connection"] {
            assert!(!text.contains(inside), "{inside}: {text}");
        }
        answer.refused(503, "unavailable");
    }
    assert_eq!(app.get("/health").await.json_body(200)["status"], "healthy");
}

#[tokio::test]
async fn without_a_working_counter_table_only_calls_with_a_token_are_served() {
    let app = App::with_settings(&[("RATE_LIMIT_USER", "2")]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    for (sabotage, repair) in [
        ("alter table rate_limits rename to lost", "alter table lost rename to rate_limits"),
        (
            "revoke execute on function app.take_rate(text, integer, integer) from lisa_app, lisa_system",
            "grant execute on function app.take_rate(text, integer, integer) to lisa_app, lisa_system",
        ),
    ] {
        app.sql(sabotage).await;
        for _ in 0..4 {
            assert_eq!(assert_served(&app, &tenant).await.header("ratelimit-limit"), "", "it was not counted");
        }
        assert_others_unavailable(&app, &tenant).await;
        app.sql(repair).await;
    }
    for _ in 0..2 {
        assert_eq!(assert_served(&app, &tenant).await.header("ratelimit-limit"), "2");
    }
    assert_rate_limited(app.get(STATUS).by(&tenant).await, 2);
}

#[tokio::test]
async fn during_a_redis_outage_only_calls_with_a_token_are_served() {
    let Some(mut store) = CounterBackend::redis().await else { return };
    let app = store.start_app(&[("RATE_LIMIT_USER", "2")]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.stack.start_functions().await.unwrap();
    let limited_again = async || {
        wait_until("calls are counted again", WAIT_TIMEOUT, async || {
            let answer = app.get(STATUS).by(&tenant).await;
            (answer.status == 429).then(|| assert_rate_limited(answer, 2))
        })
        .await
    };
    limited_again().await;

    for is_silent in [false, true, false] {
        if is_silent {
            store.network().silence();
        } else {
            store.network().refuse().await.unwrap();
        }
        for _ in 0..4 {
            let started = Instant::now();
            assert_eq!(assert_served(&app, &tenant).await.header("ratelimit-limit"), "", "it was not counted");
            assert!(started.elapsed() < MAX_RESPONSE_TIME, "{:?}", started.elapsed());
        }
        let started = Instant::now();
        app.log_in(&tenant.email, PASSWORD).await.refused(503, "unavailable");
        assert!(started.elapsed() < MAX_RESPONSE_TIME, "{:?}", started.elapsed());
        assert_others_unavailable(&app, &tenant).await;
        store.network().restore().await.unwrap();
        limited_again().await;
        app.log_in(&tenant.email, PASSWORD).await.data(200);
    }

    // A restarted Redis has lost the counts and the script.
    store.restart().await;
    wait_until("the new server is used", WAIT_TIMEOUT, async || {
        (assert_served(&app, &tenant).await.header("ratelimit-limit") == "2").then_some(())
    })
    .await;
    limited_again().await;
}

async fn a_database_outage_causes_fast_503s(store: CounterBackend) {
    let network = BackendProxy::for_database().await;
    let app = store.start_app(&network.settings()).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    assert_served(&app, &tenant).await;
    for is_silent in [true, false] {
        if is_silent {
            network.silence();
        } else {
            network.refuse().await.unwrap();
        }
        let calls = [
            app.get(STATUS).by(&tenant),
            app.ask(&tenant, "Combien ?"),
            app.post("/api/v1/auth/refresh").json(&serde_json::json!({ "refresh_token": tenant.refresh_token })),
        ];
        let calls = calls.map(async |call| {
            let started = Instant::now();
            call.await.refused(503, "unavailable");
            assert!(started.elapsed() < MAX_RESPONSE_TIME, "{:?}", started.elapsed());
        });
        futures::future::join_all(calls).await;
        network.restore().await.unwrap();
        wait_until("the database is found again", WAIT_TIMEOUT, async || {
            (app.get(STATUS).by(&tenant).await.status == 200).then_some(())
        })
        .await;
    }
}
