//! What goes wrong inside a transaction must stay in it: the next caller gets a connection that is clean.

use std::{panic::AssertUnwindSafe, time::Duration};

use axum::http::StatusCode;
use futures::FutureExt;
use shared::{db::Db, error::ApiError};
use sqlx::{AssertSqlSafe, PgConnection, Row};
use uuid::Uuid;

use super::watch;
use crate::{
    route::{self, Route, both_ways},
    seed,
};

both_ways!(
    a_failing_begin_does_not_poison_the_pool,
    a_transaction_that_fails_leaves_nothing_behind,
    a_transaction_that_panics_leaves_nothing_behind,
    a_transaction_that_is_cancelled_leaves_nothing_behind,
    a_commit_leaves_neither_tenant_nor_role_behind,
    a_query_that_nobody_waits_for_is_ended_by_the_server,
    an_error_that_the_work_swallows_is_an_error_of_the_transaction,
    a_transaction_that_is_slower_than_its_deadline_answers_in_time,
);

/// Written by the work of a test, and looked for afterwards.
async fn write(tx: &mut shared::db::TenantTx) -> Result<(), ApiError> {
    sqlx::query("insert into jobs (customer_id, kind) values ($1, 'delete_object')")
        .bind(tx.tenant())
        .execute(tx)
        .await?;
    Ok(())
}

async fn written(admin: &mut PgConnection) -> i64 {
    sqlx::query_scalar("select count(*) from jobs").fetch_one(admin).await.unwrap()
}

/// The next caller sees its own tenant and nobody else's, and can write.
async fn assert_clean(db: &Db, admin: &mut PgConnection) {
    let next = seed::tenant(admin, "next", 8).await;
    let before = written(admin).await;
    let outcome: Result<(), ApiError> = db
        .tenant_tx(next.customer, async |tx| {
            let row = sqlx::query("select current_user::text as role, current_setting('app.customer_id') as tenant")
                .fetch_one(&mut *tx)
                .await?;
            assert_eq!(row.get::<String, _>("role"), "lisa_tenant");
            assert_eq!(row.get::<String, _>("tenant"), next.customer.to_string());
            write(tx).await
        })
        .await;
    outcome.unwrap_or_else(|error| panic!("{}", shared::logging::chain(&error)));
    assert_eq!(written(admin).await, before + 1);
    watch::until_nobody_is_in_a_transaction(admin, Duration::from_secs(5)).await;
}

async fn a_failing_begin_does_not_poison_the_pool(route: Route) {
    let mut admin = route.admin().await;
    let (name, url) = route.stranger();
    let make = format!("create role {name} login password 'stranger'; grant usage on schema app to {name}");
    sqlx::raw_sql(AssertSqlSafe(make)).execute(&mut admin).await.unwrap();
    // It may log in, but not take the role of a tenant: the second statement of the begin fails.
    let db = route::db(&url, 1);
    for _ in 0..3 {
        let refused: Result<(), ApiError> =
            db.tenant_tx(Uuid::nil(), async |_| panic!("there is no transaction")).await;
        let refusal = shared::logging::chain(&refused.unwrap_err());
        assert!(refusal.contains("permission denied to set role"), "{refusal}");
    }
    watch::until_nobody_is_in_a_transaction(&mut admin, Duration::from_secs(5)).await;

    sqlx::raw_sql(AssertSqlSafe(format!("grant lisa_tenant to {name}"))).execute(&mut admin).await.unwrap();
    assert_clean(&db, &mut admin).await;

    db.close().await;
    watch::kill_all(&mut admin).await;
    let remove = format!("revoke lisa_tenant from {name}; drop owned by {name}; drop role {name}");
    sqlx::raw_sql(AssertSqlSafe(remove)).execute(&mut admin).await.unwrap();
}

async fn a_transaction_that_fails_leaves_nothing_behind(route: Route) {
    let mut admin = route.admin().await;
    let tenant = seed::tenant(&mut admin, "a", 8).await;
    let db = route.db(1);
    let failed: Result<(), ApiError> = db
        .tenant_tx(tenant.customer, async |tx| {
            write(tx).await?;
            Err(ApiError::not_found("document"))
        })
        .await;
    assert_eq!(failed.unwrap_err().status, StatusCode::NOT_FOUND);
    assert_eq!(written(&mut admin).await, 0);
    assert_clean(&db, &mut admin).await;
}

async fn a_transaction_that_panics_leaves_nothing_behind(route: Route) {
    let mut admin = route.admin().await;
    let tenant = seed::tenant(&mut admin, "a", 8).await;
    let db = route.db(1);
    let work = db.tenant_tx(tenant.customer, async |tx| -> Result<(), ApiError> {
        write(tx).await?;
        panic!("on purpose")
    });
    AssertUnwindSafe(work).catch_unwind().await.unwrap_err();
    assert_eq!(written(&mut admin).await, 0);
    assert_clean(&db, &mut admin).await;
}

async fn a_transaction_that_is_cancelled_leaves_nothing_behind(route: Route) {
    let mut admin = route.admin().await;
    let tenant = seed::tenant(&mut admin, "a", 8).await;
    let db = route.db(1);
    // Between two statements, where the server waits for the client.
    let (reached, at) = tokio::sync::oneshot::channel();
    let work = db.tenant_tx(tenant.customer, async |tx| -> Result<(), ApiError> {
        write(tx).await?;
        reached.send(()).unwrap();
        std::future::pending().await
    });
    tokio::select! {
        _ = work => panic!("it waits for ever"),
        reached = at => reached.unwrap(),
    }
    watch::until_nobody_is_in_a_transaction(&mut admin, Duration::from_secs(2)).await;
    assert_eq!(written(&mut admin).await, 0);
    assert_clean(&db, &mut admin).await;
}

async fn a_commit_leaves_neither_tenant_nor_role_behind(route: Route) {
    let mut admin = route.admin().await;
    let tenant = seed::tenant(&mut admin, "a", 8).await;
    let db = route.db(1);
    let outcome: Result<(), ApiError> = db.tenant_tx(tenant.customer, async |tx| write(tx).await).await;
    outcome.unwrap();
    // The same server connection, outside of any transaction: the work ends the one it is in.
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
    // And as lisa_app itself it reads nothing.
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

async fn a_query_that_nobody_waits_for_is_ended_by_the_server(route: Route) {
    let mut admin = route.admin().await;
    let tenant = seed::tenant(&mut admin, "a", 8).await;
    let db = route.db(1);
    let work = db.tenant_tx(tenant.customer, async |tx| -> Result<(), ApiError> {
        write(tx).await?;
        sqlx::query("select pg_sleep(60)").execute(tx).await?;
        Ok(())
    });
    let sleeps = |sessions: &[(i32, String, String)]| {
        sessions.iter().any(|(_, state, query)| state == "active" && query.contains("pg_sleep"))
    };
    tokio::select! {
        _ = work => panic!("it sleeps for a minute"),
        _ = watch::until(&mut admin, Duration::from_secs(3), sleeps) => {}
    }
    // The client has gone; the server does not look at its socket while it sleeps.
    watch::until_nobody_is_in_a_transaction(&mut admin, Duration::from_millis(5_500)).await;
    assert_eq!(written(&mut admin).await, 0);
    assert_clean(&db, &mut admin).await;
}

async fn an_error_that_the_work_swallows_is_an_error_of_the_transaction(route: Route) {
    let mut admin = route.admin().await;
    let tenant = seed::tenant(&mut admin, "a", 8).await;
    let db = route.db(1);
    let outcome: Result<(), ApiError> = db
        .tenant_tx(tenant.customer, async |tx| {
            write(tx).await?;
            sqlx::query("select 1 / 0").execute(&mut *tx).await.unwrap_err();
            Ok(())
        })
        .await;
    // A bare commit would have rolled back, and said that all is well.
    let error = outcome.unwrap_err();
    assert_eq!(error.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(shared::logging::chain(&error).contains("current transaction is aborted"), "{error:?}");
    assert_eq!(written(&mut admin).await, 0);
    assert_clean(&db, &mut admin).await;
}

async fn a_transaction_that_is_slower_than_its_deadline_answers_in_time(route: Route) {
    let mut admin = route.admin().await;
    let tenant = seed::tenant(&mut admin, "a", 8).await;
    let db = route.db(1);
    let started = std::time::Instant::now();
    let outcome: Result<(), ApiError> = db
        .tenant_tx(tenant.customer, async |tx| {
            write(tx).await?;
            // Two statements, each within the server's limit, together over it.
            for _ in 0..2 {
                sqlx::query("select pg_sleep(3)").execute(&mut *tx).await?;
            }
            Ok(())
        })
        .await;
    assert_eq!(outcome.unwrap_err().status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    watch::until_nobody_is_in_a_transaction(&mut admin, Duration::from_secs(5)).await;
    assert_eq!(written(&mut admin).await, 0);
    assert_clean(&db, &mut admin).await;
}
