//! What counts is away: who has a token is served, nobody else is; and it is used again as soon as it is back.

use std::time::{Duration, Instant};

use super::super::support::{Answer, App, PASSWORD, Proxy, SOON, Store, Tenant, wait_until};
use super::{STATUS, both_stores, is_limited};

both_stores!(a_database_that_is_away_is_told_in_time);

const LONGEST: Duration = Duration::from_secs(5);

async fn served(app: &App, tenant: &Tenant) -> Answer {
    let answer = app.get(STATUS).by(tenant).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer
}

/// Nobody without a token is served, and none is told why.
async fn others_wait(app: &App, tenant: &Tenant) {
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
    assert_eq!(app.get("/health").await.bare(200)["status"], "healthy");
}

#[tokio::test]
async fn a_table_that_cannot_be_counted_in_serves_who_has_a_token_and_nobody_else() {
    let app = App::with(&[("RATE_LIMIT_USER", "2")]).await;
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
            assert_eq!(served(&app, &tenant).await.header("ratelimit-limit"), "", "it was not counted");
        }
        others_wait(&app, &tenant).await;
        app.sql(repair).await;
    }
    for _ in 0..2 {
        assert_eq!(served(&app, &tenant).await.header("ratelimit-limit"), "2");
    }
    is_limited(app.get(STATUS).by(&tenant).await, 2);
}

#[tokio::test]
async fn a_redis_that_is_away_lets_tokens_through_and_is_used_again_when_it_is_back() {
    let Some(mut store) = Store::redis().await else { return };
    let app = store.app(&[("RATE_LIMIT_USER", "2")]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.stack.start_functions().await.unwrap();
    let limited_again = async || {
        wait_until("calls are counted again", SOON, async || {
            let answer = app.get(STATUS).by(&tenant).await;
            (answer.status == 429).then(|| is_limited(answer, 2))
        })
        .await
    };
    limited_again().await;

    for is_silent in [false, true, false] {
        if is_silent {
            store.network().silence();
        } else {
            store.network().refuse().await;
        }
        for _ in 0..4 {
            let started = Instant::now();
            assert_eq!(served(&app, &tenant).await.header("ratelimit-limit"), "", "it was not counted");
            assert!(started.elapsed() < LONGEST, "{:?}", started.elapsed());
        }
        let started = Instant::now();
        app.log_in(&tenant.email, PASSWORD).await.refused(503, "unavailable");
        assert!(started.elapsed() < LONGEST, "{:?}", started.elapsed());
        others_wait(&app, &tenant).await;
        store.network().restore().await;
        limited_again().await;
        app.log_in(&tenant.email, PASSWORD).await.data(200);
    }

    // A new server knows neither the counts nor the script.
    store.restart().await;
    wait_until("the new server is used", SOON, async || {
        (served(&app, &tenant).await.header("ratelimit-limit") == "2").then_some(())
    })
    .await;
    limited_again().await;
}

async fn a_database_that_is_away_is_told_in_time(store: Store) {
    let network = Proxy::before_database().await;
    let app = store.app(&network.settings()).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    served(&app, &tenant).await;
    for is_silent in [true, false] {
        if is_silent {
            network.silence();
        } else {
            network.refuse().await;
        }
        let calls = [
            app.get(STATUS).by(&tenant),
            app.ask(&tenant, "Combien ?"),
            app.post("/api/v1/auth/refresh").json(&serde_json::json!({ "refresh_token": tenant.refresh_token })),
        ];
        let calls = calls.map(async |call| {
            let started = Instant::now();
            call.await.refused(503, "unavailable");
            assert!(started.elapsed() < LONGEST, "{:?}", started.elapsed());
        });
        futures::future::join_all(calls).await;
        network.restore().await;
        wait_until("the database is found again", SOON, async || {
            (app.get(STATUS).by(&tenant).await.status == 200).then_some(())
        })
        .await;
    }
}
