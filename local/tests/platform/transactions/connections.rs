//! Connections that are lost before, during or at the end of a transaction, and a database that does not answer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::http::StatusCode;
use local::testing::{FaultProxy, MessageFault};
use shared::error::ApiError;
use tokio::{net::TcpListener, sync::Barrier, task::JoinSet};
use uuid::Uuid;

use super::watch;
use crate::{
    route::{self, DatabaseRoute, both_ways},
    seed,
};

both_ways!(
    connections_killed_between_transactions_are_replaced_without_an_error,
    a_connection_killed_during_a_transaction_is_an_error_and_the_work_runs_once,
);

async fn connections_killed_between_transactions_are_replaced_without_an_error(route: DatabaseRoute) {
    const CONNECTIONS: usize = 4;
    let mut admin = route.admin().await;
    let tenant = seed::tenant(&mut admin, "a", 8).await;
    // More than one connection, as on the local stack, where a restart of the server closes all of them.
    let db = route.db(u32::try_from(CONNECTIONS).unwrap());
    let fill = async || {
        let mut clients = JoinSet::new();
        let ready = Arc::new(Barrier::new(CONNECTIONS));
        for _ in 0..CONNECTIONS {
            let (db, ready) = (db.clone(), Arc::clone(&ready));
            clients.spawn(async move {
                // All start together, so that the pool opens every connection.
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
        assert!(watch::kill_all_sessions(&mut admin).await > 0);
        // Both the query that identifies the caller and the transaction must replace the connection.
        assert_eq!(db.user_role(tenant.owner).await.unwrap().as_deref(), Some("account_user"));
        watch::kill_all_sessions(&mut admin).await;
        for outcome in fill().await {
            outcome.unwrap_or_else(|error| panic!("{}", shared::logging::chain(&error)));
        }
    }
}

async fn a_connection_killed_during_a_transaction_is_an_error_and_the_work_runs_once(route: DatabaseRoute) {
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
            assert!(watch::kill_all_sessions(&mut admin).await > 0);
            sqlx::query("select 1").execute(&mut *tx).await?;
            Ok(())
        })
        .await;
    assert_eq!(outcome.unwrap_err().status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(runs, 1);
    assert_eq!(count_jobs(&mut admin).await, 0);
    let next: Result<(), ApiError> = db.tenant_tx(tenant.customer, async |_| Ok(())).await;
    next.unwrap();
}

#[tokio::test]
async fn a_lost_commit_answer_is_an_error_and_the_work_runs_once() {
    let route = DatabaseRoute::direct().await;
    let mut admin = route.admin().await;
    let tenant = seed::tenant(&mut admin, "a", 8).await;
    let proxy = FaultProxy::with_fault(&route.database.urls.app, MessageFault::AnswerLost("commit")).await.unwrap();
    let db = route::db(&proxy.url(&route.database.urls.app).unwrap(), 1);
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
    assert_eq!(proxy.fault_count(), 1);
    // The server did commit. The handle never repeats a commit; the caller may repeat, and must make that safe.
    assert_eq!(count_jobs(&mut admin).await, 1);
}

#[tokio::test]
async fn a_lost_begin_answer_is_followed_by_a_second_begin() {
    let route = DatabaseRoute::direct().await;
    let mut admin = route.admin().await;
    let tenant = seed::tenant(&mut admin, "a", 8).await;
    let proxy = FaultProxy::with_fault(&route.database.urls.app, MessageFault::AnswerLost("begin")).await.unwrap();
    let db = route::db(&proxy.url(&route.database.urls.app).unwrap(), 1);
    let outcome: Result<(), ApiError> = db.tenant_tx(tenant.customer, async |_| Ok(())).await;
    outcome.unwrap();
    assert_eq!(proxy.fault_count(), 1);
    watch::wait_until_no_transaction_is_open(&mut admin, Duration::from_secs(2)).await;
}

#[tokio::test]
async fn a_database_that_accepts_connections_but_never_answers_is_503_within_five_seconds() {
    let silent_server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = |role: &str| format!("postgresql://{role}:x@{}/lisa", silent_server.local_addr().unwrap());
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
    let ping = async {
        let error = ApiError::from(other.ping().await.unwrap_err());
        (error.status, started.elapsed())
    };
    let (tenant, system, ping) = tokio::join!(tenant, system, ping);
    for (status, elapsed) in [tenant, system, ping] {
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(elapsed < Duration::from_secs(5), "{elapsed:?}");
    }
}

/// Such connections occur when a firewall has dropped the connection of a function that was frozen for long.
#[tokio::test]
async fn an_open_connection_that_falls_silent_is_503_within_five_seconds() {
    let route = DatabaseRoute::direct().await;
    let mut admin = route.admin().await;
    let tenant = seed::tenant(&mut admin, "a", 8).await;
    let proxy = FaultProxy::with_fault(&route.database.urls.app, MessageFault::Silent("begin")).await.unwrap();
    let (db, system) = (
        route::db(&proxy.url(&route.database.urls.app).unwrap(), 1),
        route::system(&proxy.url(&route.database.urls.system).unwrap(), 1),
    );
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
async fn an_unreachable_database_is_503_within_five_seconds_and_is_used_again_when_it_returns() {
    let route = DatabaseRoute::direct().await;
    let mut admin = route.admin().await;
    let tenant = seed::tenant(&mut admin, "a", 8).await;
    let proxy = FaultProxy::to_server_of(&route.database.urls.app).await.unwrap();
    let db = route::db(&proxy.url(&route.database.urls.app).unwrap(), 2);
    let run_transaction = async || -> Result<(), ApiError> { db.tenant_tx(tenant.customer, async |_| Ok(())).await };
    run_transaction().await.unwrap();
    proxy.refuse().await.unwrap();
    let started = Instant::now();
    assert_eq!(run_transaction().await.unwrap_err().status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    proxy.restore().await.unwrap();
    run_transaction().await.unwrap();
}

/// Number of rows of the table `jobs`.
async fn count_jobs(admin: &mut sqlx::PgConnection) -> i64 {
    sqlx::query_scalar("select count(*) from jobs").fetch_one(admin).await.unwrap()
}
