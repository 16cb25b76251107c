//! Connections that die: before a transaction, in its middle, at its end; and a database that does not answer at all.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::http::StatusCode;
use shared::error::ApiError;
use tokio::{net::TcpListener, sync::Barrier, task::JoinSet};
use uuid::Uuid;

use super::watch;
use crate::{
    proxy::{Fault, Proxy},
    route::{self, Route, both_ways},
    seed,
};

both_ways!(
    connections_that_died_between_transactions_are_replaced_unnoticed,
    a_connection_killed_in_mid_transaction_is_an_error_and_nothing_is_repeated,
);

async fn connections_that_died_between_transactions_are_replaced_unnoticed(route: Route) {
    const CONNECTIONS: usize = 4;
    let mut admin = route.admin().await;
    let tenant = seed::tenant(&mut admin, "a", 8).await;
    // More than one, as on the local stack: all of them die when the server is restarted.
    let db = route.db(u32::try_from(CONNECTIONS).unwrap());
    let fill = async || {
        let mut clients = JoinSet::new();
        let ready = Arc::new(Barrier::new(CONNECTIONS));
        for _ in 0..CONNECTIONS {
            let (db, ready) = (db.clone(), Arc::clone(&ready));
            clients.spawn(async move {
                // At once, so that the pool opens them all.
                ready.wait().await;
                let done: Result<(), ApiError> = db
                    .tenant_tx(tenant.customer, async |tx| {
                        sqlx::query("select pg_sleep(0.05)").execute(tx).await?;
                        Ok(())
                    })
                    .await;
                done
            });
        }
        clients.join_all().await
    };
    for outcome in fill().await {
        outcome.unwrap();
    }
    for _ in 0..3 {
        assert!(watch::kill_all(&mut admin).await > 0);
        // What finds out who is calling, and the transaction itself.
        assert_eq!(db.user_role(tenant.owner).await.unwrap().as_deref(), Some("account_user"));
        watch::kill_all(&mut admin).await;
        for outcome in fill().await {
            outcome.unwrap_or_else(|error| panic!("{}", shared::logging::chain(&error)));
        }
    }
}

async fn a_connection_killed_in_mid_transaction_is_an_error_and_nothing_is_repeated(route: Route) {
    let mut admin = route.admin().await;
    let tenant = seed::tenant(&mut admin, "a", 8).await;
    let db = route.db(1);
    let mut runs = 0;
    let outcome: Result<(), ApiError> = db
        .tenant_tx(tenant.customer, async |tx| {
            runs += 1;
            sqlx::query("insert into jobs (customer_id, kind) values ($1, 'delete_object')")
                .bind(tx.tenant())
                .execute(&mut *tx)
                .await?;
            assert!(watch::kill_all(&mut admin).await > 0);
            sqlx::query("select 1").execute(&mut *tx).await?;
            Ok(())
        })
        .await;
    assert_eq!(outcome.unwrap_err().status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(runs, 1);
    assert_eq!(jobs(&mut admin).await, 0);
    let next: Result<(), ApiError> = db.tenant_tx(tenant.customer, async |_| Ok(())).await;
    next.unwrap();
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_an_error_and_is_not_repeated() {
    let route = Route::direct().await;
    let mut admin = route.admin().await;
    let tenant = seed::tenant(&mut admin, "a", 8).await;
    let proxy = Proxy::start(&route.database.urls.app, Fault::AnswerLost("commit")).await;
    let db = route::db(&proxy.url(&route.database.urls.app), 1);
    let runs = AtomicUsize::new(0);
    let outcome: Result<(), ApiError> = db
        .tenant_tx(tenant.customer, async |tx| {
            runs.fetch_add(1, Ordering::Relaxed);
            sqlx::query("insert into jobs (customer_id, kind) values ($1, 'delete_object')")
                .bind(tx.tenant())
                .execute(&mut *tx)
                .await?;
            Ok(())
        })
        .await;
    assert_eq!(outcome.unwrap_err().status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(runs.into_inner(), 1);
    assert_eq!(proxy.faults(), 1);
    // The server did commit: whoever repeats such a call must be able to. This handle never does.
    assert_eq!(jobs(&mut admin).await, 1);
}

#[tokio::test]
async fn a_lost_answer_to_the_begin_is_made_up_for_by_a_second_begin() {
    let route = Route::direct().await;
    let mut admin = route.admin().await;
    let tenant = seed::tenant(&mut admin, "a", 8).await;
    let proxy = Proxy::start(&route.database.urls.app, Fault::AnswerLost("begin")).await;
    let db = route::db(&proxy.url(&route.database.urls.app), 1);
    let outcome: Result<(), ApiError> = db.tenant_tx(tenant.customer, async |_| Ok(())).await;
    outcome.unwrap();
    assert_eq!(proxy.faults(), 1);
    watch::until_nobody_is_in_a_transaction(&mut admin, Duration::from_secs(2)).await;
}

#[tokio::test]
async fn a_database_that_takes_connections_and_says_nothing_is_503_within_five_seconds() {
    let hole = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = |role: &str| format!("postgresql://{role}:x@{}/lisa", hole.local_addr().unwrap());
    let (db, system) = (route::db(&url("lisa_app"), 1), route::system(&url("lisa_system"), 1));
    let started = Instant::now();
    let tenant = async {
        let outcome: Result<(), ApiError> = db.tenant_tx(Uuid::nil(), async |_| Ok(())).await;
        (outcome.unwrap_err().status, started.elapsed())
    };
    let system = async {
        let outcome: Result<(), ApiError> = system.system_tx(async |_| Ok(())).await;
        (outcome.unwrap_err().status, started.elapsed())
    };
    let other = route::db(&url("lisa_app"), 1);
    let identify = async {
        let error = ApiError::from(other.ping().await.unwrap_err());
        (error.status, started.elapsed())
    };
    let (tenant, system, identify) = tokio::join!(tenant, system, identify);
    for (status, elapsed) in [tenant, system, identify] {
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(elapsed < Duration::from_secs(5), "{elapsed:?}");
    }
}

/// As when a firewall has forgotten the connection of a function that was frozen for long.
#[tokio::test]
async fn an_open_connection_that_falls_silent_is_503_within_five_seconds() {
    let route = Route::direct().await;
    let mut admin = route.admin().await;
    let tenant = seed::tenant(&mut admin, "a", 8).await;
    let proxy = Proxy::start(&route.database.urls.app, Fault::Silent("begin")).await;
    let (db, system) =
        (route::db(&proxy.url(&route.database.urls.app), 1), route::system(&proxy.url(&route.database.urls.system), 1));
    let started = Instant::now();
    let tenant = async {
        let outcome: Result<(), ApiError> = db.tenant_tx(tenant.customer, async |_| Ok(())).await;
        (outcome.unwrap_err().status, started.elapsed())
    };
    let system = async {
        let outcome: Result<(), ApiError> = system.system_tx(async |_| Ok(())).await;
        (outcome.unwrap_err().status, started.elapsed())
    };
    let (tenant, system) = tokio::join!(tenant, system);
    for (status, elapsed) in [tenant, system] {
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(elapsed < Duration::from_secs(5), "{elapsed:?}");
    }
}

#[tokio::test]
async fn a_database_that_is_away_is_503_within_five_seconds_and_its_return_needs_no_restart() {
    let route = Route::direct().await;
    let mut admin = route.admin().await;
    let tenant = seed::tenant(&mut admin, "a", 8).await;
    let proxy = Proxy::start(&route.database.urls.app, Fault::None).await;
    let db = route::db(&proxy.url(&route.database.urls.app), 2);
    let ask = async || -> Result<(), ApiError> { db.tenant_tx(tenant.customer, async |_| Ok(())).await };
    ask().await.unwrap();
    let address = proxy.stop().await;
    let started = Instant::now();
    assert_eq!(ask().await.unwrap_err().status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    let _proxy = Proxy::start_at(address, &route.database.urls.app, Fault::None).await;
    ask().await.unwrap();
}

async fn jobs(admin: &mut sqlx::PgConnection) -> i64 {
    sqlx::query_scalar("select count(*) from jobs").fetch_one(admin).await.unwrap()
}
