//! Many clients that share few server connections, as behind the pooler of a deployment.

use std::sync::Arc;

use shared::error::ApiError;
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::{sync::Barrier, task::JoinSet};
use uuid::Uuid;

use crate::{
    route::{self, DatabaseRoute},
    seed::{self, SeededTenant},
};

/// Number of concurrent clients.
const CLIENTS: usize = 16;
/// Transactions per client.
const ROUNDS: i32 = 25;

#[tokio::test]
async fn sixteen_clients_are_served_directly() {
    serve_sixteen(&DatabaseRoute::direct().await).await;
}

#[tokio::test]
async fn sixteen_clients_share_two_backends_of_a_transaction_pooler() {
    let Some(route) = DatabaseRoute::pooled(2).await else { return };
    serve_sixteen(&route).await;
}

/// Shows that the pooler of the test above would break named statements.
#[tokio::test]
async fn the_pooler_breaks_clients_with_named_statements() {
    let Some(route) = DatabaseRoute::pooled(2).await else { return };
    let url = route.url(&route.database.urls.admin);
    let mut clients = JoinSet::new();
    let ready = Arc::new(Barrier::new(CLIENTS));
    for _ in 0..CLIENTS {
        let (url, ready) = (url.clone(), Arc::clone(&ready));
        clients.spawn(async move {
            let pool: PgPool = PgPoolOptions::new().max_connections(1).connect_lazy(&url).unwrap();
            ready.wait().await;
            sqlx::query("select $1::integer").bind(1).execute(&pool).await.map(drop)
        });
    }
    let refusals: Vec<_> = clients.join_all().await.into_iter().filter_map(Result::err).collect();
    assert!(refusals.iter().any(|error| error.to_string().contains("prepared statement")), "{refusals:?}");
}

async fn serve_sixteen(route: &DatabaseRoute) {
    let mut admin = route.admin().await;
    let tenants = [seed::tenant(&mut admin, "a", 8).await, seed::tenant(&mut admin, "b", 8).await];
    let ready = Arc::new(Barrier::new(CLIENTS));
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        // Each client has its own pool, like each instance of a function.
        let (db, tenant, ready) = (route.db(1), tenants[number % 2].clone(), Arc::clone(&ready));
        clients.spawn(async move {
            ready.wait().await;
            for round in 0..ROUNDS {
                work(&db, &tenant, round).await;
            }
        });
    }
    clients.join_all().await;
    let jobs: i64 = sqlx::query_scalar("select count(*) from jobs").fetch_one(&mut admin).await.unwrap();
    assert_eq!(jobs, i64::try_from(CLIENTS).unwrap() * i64::from(ROUNDS));
}

/// Runs statements with different parameters and columns. All use the unnamed prepared statement, which is described
/// again for each.
async fn work(db: &shared::db::Db, tenant: &SeededTenant, round: i32) {
    let done: Result<(), ApiError> = db
        .tenant_tx(tenant.customer, async |tx| {
            let (number, text): (i32, String) =
                sqlx::query_as("select $1::integer, $2::text").bind(round).bind("é'").fetch_one(&mut *tx).await?;
            assert_eq!((number, text.as_str()), (round, "é'"));
            let ids = vec![tenant.customer, Uuid::nil()];
            let seen: i64 = sqlx::query_scalar("select count(*) from customers where id = any ($1::uuid[])")
                .bind(ids)
                .fetch_one(&mut *tx)
                .await?;
            assert_eq!(seen, 1);
            sqlx::query("insert into jobs (customer_id, kind, payload) values ($1, 'delete_object', $2)")
                .bind(tx.tenant())
                .bind(serde_json::json!({ "storage_key": round }))
                .execute(&mut *tx)
                .await?;
            let own: Vec<Uuid> = sqlx::query_scalar("select customer_id from jobs").fetch_all(&mut *tx).await?;
            assert!(own.iter().all(|customer| *customer == tenant.customer));
            Ok(())
        })
        .await;
    done.unwrap_or_else(|error| panic!("{}", shared::logging::chain(&error)));
    // A failing statement in between, like a unique violation in ordinary work.
    let refused: Result<(), ApiError> = db
        .tenant_tx(tenant.customer, async |tx| {
            sqlx::query("select 1 / $1::integer").bind(0).execute(tx).await.map(drop).map_err(ApiError::from)
        })
        .await;
    let refusal = shared::logging::chain(&refused.unwrap_err());
    // A division by zero.
    assert!(refusal.contains("(22012)"), "{refusal}");
    // The query that runs before the tenant is known.
    assert_eq!(db.user_role(tenant.owner).await.unwrap().as_deref(), Some("account_user"));
}

#[tokio::test]
async fn a_named_statement_is_refused_before_it_reaches_the_server() {
    let route = DatabaseRoute::direct().await;
    let db = route::db(&route.database.urls.app, 1);
    let refused: Result<(), ApiError> = db
        .tenant_tx(Uuid::nil(), async |tx| {
            let sql = sqlx::SqlSafeStr::into_sql_str("select 1");
            let refused = sqlx::Executor::prepare(&mut *tx, sql).await.unwrap_err();
            assert!(refused.to_string().contains("does not survive a transaction pooler"), "{refused}");
            Ok(())
        })
        .await;
    refused.unwrap();
}
