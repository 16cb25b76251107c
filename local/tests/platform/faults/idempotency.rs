//! Equal requests at once: a key that is given back while others ask for it, and orders with one key on a machine that is
//! overloaded.

use futures::future::join_all;
use local::testing::{self, TestOptions};
use serde_json::{Value, json};
use shared::{
    error::ApiError,
    idempotency::{self, IdempotencyError, IdempotencyKey, IdempotencyOutcome},
};
use sqlx::Connection;
use uuid::Uuid;

use crate::{
    route::{self, DatabaseRoute},
    seed,
};

/// A request that fails gives its key back. One that comes between found neither the claim nor a row, and was a 500.
#[tokio::test]
async fn a_key_that_is_given_back_meanwhile_is_in_progress_or_free_and_never_an_error() {
    const ROUNDS: usize = 400;
    let route = DatabaseRoute::direct().await;
    let tenant = seed::tenant(&mut route.admin().await, "a", 8).await.customer;
    let db = route::db(&route.database.urls.app, 4);
    let key = || IdempotencyKey(Some("key".to_owned()));
    let ask = async || -> Result<bool, ApiError> {
        let mut is_owner = false;
        for _ in 0..ROUNDS {
            let begun = db
                .tenant_tx(tenant, async |tx| match idempotency::begin(tx, key(), "/x", &json!({})).await {
                    Ok(IdempotencyOutcome::Run(claim)) => Ok(Some(claim)),
                    Ok(IdempotencyOutcome::Replay(_)) => panic!("nothing was finished"),
                    Err(IdempotencyError::InProgress) => Ok(None),
                    Err(error) => Err(error.into()),
                })
                .await?;
            if let Some(claim) = begun {
                is_owner = true;
                db.tenant_tx(tenant, async |tx| Ok(claim.release(tx).await?)).await?;
            }
        }
        Ok(is_owner)
    };
    let outcomes = join_all((0..4).map(|_| ask())).await;
    let owners = outcomes
        .into_iter()
        .map(|outcome| outcome.unwrap_or_else(|error| panic!("{}", shared::logging::chain(&error))));
    assert!(owners.filter(|is_owner| *is_owner).count() > 0);
}

/// Five equal orders at once, many times. Returns the answers that are neither the order nor a refusal that names a time.
async fn orders_with_one_key(rounds: usize, disturbers: usize) -> Vec<String> {
    let stack = testing::stack(TestOptions::default()).await.unwrap();
    let (url, http) = (stack.base_url(), reqwest::Client::builder().no_proxy().build().unwrap());
    let signup = json!({
        "email": format!("{}@example.com", Uuid::new_v4().simple()), "password": "correct horse battery",
        "company_name": "Comptoir Baobab",
    });
    let session: Value =
        http.post(format!("{url}/api/v1/auth/signup")).json(&signup).send().await.unwrap().json().await.unwrap();
    let token = session["data"]["access_token"].as_str().unwrap();
    let order = json!({ "items": [{ "name": "Café", "quantity": 2, "unit_price": "2500" }] });
    let (mut wrong, mut refused) = (Vec::new(), 0);
    for round in 0..rounds {
        let post = async |key: String| {
            let request = http.post(format!("{url}/api/v1/orders")).bearer_auth(token).json(&order);
            let answer = request.header("idempotency-key", key).send().await.unwrap();
            let (status, retry_after) = (answer.status().as_u16(), answer.headers().contains_key("retry-after"));
            (status, retry_after, answer.text().await.unwrap())
        };
        let equal = join_all((0..5).map(|_| post(format!("round-{round}"))));
        let others = join_all((0..disturbers).map(|number| post(format!("other-{round}-{number}"))));
        let (equal, _) = tokio::join!(equal, others);
        let mut orders: Vec<String> = Vec::new();
        for (status, retry_after, text) in equal {
            match status {
                201 => {
                    let body: Value = serde_json::from_str(&text).unwrap();
                    orders.push(body["data"]["id"].as_str().unwrap().to_owned());
                }
                409 if text.contains("idempotency_in_progress") => {}
                503 if retry_after && text.contains("\"unavailable\"") => refused += 1,
                _ => wrong.push(format!("round {round}: {status} {text}")),
            }
        }
        orders.dedup();
        assert!(orders.len() <= 1, "{orders:?}");
    }
    println!("{} equal orders beside {} others: {refused} refused with 503", 5 * rounds, disturbers * rounds);
    let mut admin = sqlx::PgConnection::connect(&stack.database.admin).await.unwrap();
    let twice = "select count(*) from (select 1 from idempotency_keys where state <> 'finished') unfinished";
    assert_eq!(sqlx::query_scalar::<_, i64>(twice).fetch_one(&mut admin).await.unwrap(), 0);
    let keys = "select (select count(*) from orders) - (select count(*) from idempotency_keys)";
    assert_eq!(sqlx::query_scalar::<_, i64>(keys).fetch_one(&mut admin).await.unwrap(), 0, "one order a key");
    wrong
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_orders_at_once_are_one_order_and_every_refusal_says_when_to_come_again() {
    assert_eq!(orders_with_one_key(6, 30).await, [""; 0]);
}

/// Looks for an answer that a client cannot understand, for minutes and under load.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; the test above has six rounds"]
async fn a_thousand_equal_orders_under_load_are_understood() {
    assert_eq!(orders_with_one_key(200, 120).await, [""; 0]);
}
