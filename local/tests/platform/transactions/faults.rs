//! Failures inside a transaction. The next caller must get a clean connection.

use std::{panic::AssertUnwindSafe, time::Duration};

use axum::http::StatusCode;
use futures::FutureExt;
use shared::{db::Db, error::ApiError};
use sqlx::{AssertSqlSafe, PgConnection, Row};
use uuid::Uuid;

use super::watch;
use crate::{
    route::{self, DatabaseRoute, both_ways},
    seed,
};

both_ways!(
    a_failing_begin_does_not_poison_the_pool,
    a_failed_transaction_leaves_nothing_behind,
    a_panic_in_a_transaction_leaves_nothing_behind,
    a_cancelled_transaction_leaves_nothing_behind,
    a_commit_leaves_neither_tenant_nor_role_behind,
    the_server_ends_a_query_whose_client_is_gone,
    an_ignored_sql_error_fails_the_transaction,
    a_transaction_over_its_deadline_is_503_within_five_seconds,
);

/// Inserts a job in the transaction of a test, which the test counts afterwards.
async fn insert_job(tx: &mut shared::db::TenantTx) -> Result<(), ApiError> {
    sqlx::query("insert into jobs (customer_id, kind) values ($1, 'delete_object')")
        .bind(tx.tenant())
        .execute(tx)
        .await?;
    Ok(())
}

/// Number of rows of the table `jobs`.
async fn count_jobs(admin: &mut PgConnection) -> i64 {
    sqlx::query_scalar("select count(*) from jobs").fetch_one(admin).await.unwrap()
}

/// Checks that the next transaction has its own tenant's role and id and can write, and that no transaction stays
/// open.
async fn assert_clean(db: &Db, admin: &mut PgConnection) {
    let next = seed::tenant(admin, "next", 8).await;
    let before = count_jobs(admin).await;
    let outcome: Result<(), ApiError> = db
        .tenant_tx(next.customer, async |tx| {
            let row = sqlx::query("select current_user::text as role, current_setting('app.customer_id') as tenant")
                .fetch_one(&mut *tx)
                .await?;
            assert_eq!(row.get::<String, _>("role"), "lisa_tenant");
            assert_eq!(row.get::<String, _>("tenant"), next.customer.to_string());
            insert_job(tx).await
        })
        .await;
    outcome.unwrap_or_else(|error| panic!("{}", shared::logging::chain(&error)));
    assert_eq!(count_jobs(admin).await, before + 1);
    watch::wait_until_no_transaction_is_open(admin, Duration::from_secs(5)).await;
}

async fn a_failing_begin_does_not_poison_the_pool(route: DatabaseRoute) {
    let mut admin = route.admin().await;
    let (name, url) = route.unprivileged_login();
    let make = format!("create role {name} login password 'stranger'; grant usage on schema app to {name}");
    sqlx::raw_sql(AssertSqlSafe(make)).execute(&mut admin).await.unwrap();
    // The role may log in but not set the role of a tenant, so that the second statement of the begin fails.
    let db = route::db(&url, 1);
    for _ in 0..3 {
        let refused: Result<(), ApiError> =
            db.tenant_tx(Uuid::nil(), async |_| panic!("there is no transaction")).await;
        let refusal = shared::logging::chain(&refused.unwrap_err());
        assert!(refusal.contains("permission denied to set role"), "{refusal}");
    }
    watch::wait_until_no_transaction_is_open(&mut admin, Duration::from_secs(5)).await;

    sqlx::raw_sql(AssertSqlSafe(format!("grant lisa_tenant to {name}"))).execute(&mut admin).await.unwrap();
    assert_clean(&db, &mut admin).await;

    db.close().await;
    watch::kill_all_sessions(&mut admin).await;
    let remove = format!("revoke lisa_tenant from {name}; drop owned by {name}; drop role {name}");
    sqlx::raw_sql(AssertSqlSafe(remove)).execute(&mut admin).await.unwrap();
}

async fn a_failed_transaction_leaves_nothing_behind(route: DatabaseRoute) {
    let mut admin = route.admin().await;
    let tenant = seed::tenant(&mut admin, "a", 8).await;
    let db = route.db(1);
    let failed: Result<(), ApiError> = db
        .tenant_tx(tenant.customer, async |tx| {
            insert_job(tx).await?;
            Err(ApiError::not_found("document"))
        })
        .await;
    assert_eq!(failed.unwrap_err().status, StatusCode::NOT_FOUND);
    assert_eq!(count_jobs(&mut admin).await, 0);
    assert_clean(&db, &mut admin).await;
}

async fn a_panic_in_a_transaction_leaves_nothing_behind(route: DatabaseRoute) {
    let mut admin = route.admin().await;
    let tenant = seed::tenant(&mut admin, "a", 8).await;
    let db = route.db(1);
    let work = db.tenant_tx(tenant.customer, async |tx| -> Result<(), ApiError> {
        insert_job(tx).await?;
        panic!("on purpose")
    });
    AssertUnwindSafe(work).catch_unwind().await.unwrap_err();
    assert_eq!(count_jobs(&mut admin).await, 0);
    assert_clean(&db, &mut admin).await;
}

async fn a_cancelled_transaction_leaves_nothing_behind(route: DatabaseRoute) {
    let mut admin = route.admin().await;
    let tenant = seed::tenant(&mut admin, "a", 8).await;
    let db = route.db(1);
    // Cancelled between two statements, while the server waits for the client.
    let (reached, at) = tokio::sync::oneshot::channel();
    let work = db.tenant_tx(tenant.customer, async |tx| -> Result<(), ApiError> {
        insert_job(tx).await?;
        reached.send(()).unwrap();
        std::future::pending().await
    });
    tokio::select! {
        _ = work => panic!("it waits for ever"),
        reached = at => reached.unwrap(),
    }
    watch::wait_until_no_transaction_is_open(&mut admin, Duration::from_secs(2)).await;
    assert_eq!(count_jobs(&mut admin).await, 0);
    assert_clean(&db, &mut admin).await;
}

async fn a_commit_leaves_neither_tenant_nor_role_behind(route: DatabaseRoute) {
    let mut admin = route.admin().await;
    let tenant = seed::tenant(&mut admin, "a", 8).await;
    let db = route.db(1);
    let outcome: Result<(), ApiError> = db.tenant_tx(tenant.customer, async |tx| insert_job(tx).await).await;
    outcome.unwrap();
    // A rollback inside the work shows the state of the server connection outside of any transaction.
    let outcome: Result<(), ApiError> = db
        .tenant_tx(tenant.customer, async |tx| {
            let row = sqlx::raw_sql(
                "rollback; select current_user::text as role, session_user::text as login, \
                 coalesce(current_setting('app.customer_id', true), '') as tenant, \
                 current_setting('statement_timeout') as timeout",
            )
            .fetch_one(tx)
            .await?;
            assert_eq!(row.get::<String, _>("role"), "lisa_app");
            assert_eq!(row.get::<String, _>("login"), "lisa_app");
            assert_eq!(row.get::<String, _>("tenant"), "");
            assert_eq!(row.get::<String, _>("timeout"), "0");
            Ok(())
        })
        .await;
    outcome.unwrap();
    // Outside of a transaction the role lisa_app reads no table.
    let outcome: Result<(), ApiError> = db
        .tenant_tx(tenant.customer, async |tx| {
            let refused = sqlx::raw_sql("rollback; select * from jobs").execute(tx).await.unwrap_err();
            assert!(refused.to_string().contains("permission denied"), "{refused}");
            Ok(())
        })
        .await;
    outcome.unwrap();
    assert_clean(&db, &mut admin).await;
}

async fn the_server_ends_a_query_whose_client_is_gone(route: DatabaseRoute) {
    let mut admin = route.admin().await;
    let tenant = seed::tenant(&mut admin, "a", 8).await;
    let db = route.db(1);
    let work = db.tenant_tx(tenant.customer, async |tx| -> Result<(), ApiError> {
        insert_job(tx).await?;
        sqlx::query("select pg_sleep(60)").execute(tx).await?;
        Ok(())
    });
    let sleeps = |sessions: &[(i32, String, String)]| {
        sessions.iter().any(|(_, state, query)| state == "active" && query.contains("pg_sleep"))
    };
    tokio::select! {
        _ = work => panic!("it sleeps for a minute"),
        _ = watch::wait_until(&mut admin, Duration::from_secs(3), sleeps) => {}
    }
    // The client is gone, but the server does not check its socket during `pg_sleep`: its statement timeout ends the
    // query.
    watch::wait_until_no_transaction_is_open(&mut admin, Duration::from_millis(5_500)).await;
    assert_eq!(count_jobs(&mut admin).await, 0);
    assert_clean(&db, &mut admin).await;
}

async fn an_ignored_sql_error_fails_the_transaction(route: DatabaseRoute) {
    let mut admin = route.admin().await;
    let tenant = seed::tenant(&mut admin, "a", 8).await;
    let db = route.db(1);
    let outcome: Result<(), ApiError> = db
        .tenant_tx(tenant.customer, async |tx| {
            insert_job(tx).await?;
            sqlx::query("select 1 / 0").execute(&mut *tx).await.unwrap_err();
            Ok(())
        })
        .await;
    // PostgreSQL answers a plain commit of an aborted transaction with a rollback and no error.
    let error = outcome.unwrap_err();
    assert_eq!(error.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(shared::logging::chain(&error).contains("current transaction is aborted"), "{error:?}");
    assert_eq!(count_jobs(&mut admin).await, 0);
    assert_clean(&db, &mut admin).await;
}

async fn a_transaction_over_its_deadline_is_503_within_five_seconds(route: DatabaseRoute) {
    let mut admin = route.admin().await;
    let tenant = seed::tenant(&mut admin, "a", 8).await;
    let db = route.db(1);
    let started = std::time::Instant::now();
    let outcome: Result<(), ApiError> = db
        .tenant_tx(tenant.customer, async |tx| {
            insert_job(tx).await?;
            // Two statements, each within the server's statement timeout, together longer than the deadline.
            for _ in 0..2 {
                sqlx::query("select pg_sleep(3)").execute(&mut *tx).await?;
            }
            Ok(())
        })
        .await;
    assert_eq!(outcome.unwrap_err().status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    watch::wait_until_no_transaction_is_open(&mut admin, Duration::from_secs(5)).await;
    assert_eq!(count_jobs(&mut admin).await, 0);
    assert_clean(&db, &mut admin).await;
}
