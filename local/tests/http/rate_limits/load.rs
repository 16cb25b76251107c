//! A thousand concurrent calls of one user.

use std::{collections::BTreeMap, sync::Arc};

use tokio::{sync::Semaphore, task::JoinSet};

use super::super::support::CounterBackend;
use super::{STATUS, assert_rate_limited, assert_remaining, both_backends};

both_backends!(of_a_thousand_concurrent_calls_exactly_the_limit_is_served);

const CALLS: usize = 1_000;
/// Calls that are open at a time. Client, gateway and functions share this process: with one socket a call, most time
/// goes to the operating system, and the database deadline passes before a call is handled.
const CONNECTIONS: usize = 100;
const LIMIT: u32 = 100;

async fn of_a_thousand_concurrent_calls_exactly_the_limit_is_served(store: CounterBackend) {
    let app = store.start_app(&[("RATE_LIMIT_USER", "100")]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let other = app.sign_up("Chez Koffi").await;
    let mut calls = JoinSet::new();
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    for _ in 0..CALLS {
        let (call, connections) = (app.get(STATUS).by(&tenant), Arc::clone(&connections));
        calls.spawn(async move {
            let _connection = connections.acquire().await.unwrap();
            call.await
        });
    }
    let mut statuses = BTreeMap::new();
    let mut remaining = Vec::new();
    for answer in calls.join_all().await {
        *statuses.entry(answer.status).or_insert(0) += 1;
        match answer.status {
            200 => {
                let left = answer.header("ratelimit-remaining").parse().unwrap();
                assert_remaining(&answer, LIMIT, left);
                remaining.push(left);
                answer.data(200);
            }
            429 => drop(assert_rate_limited(answer, LIMIT)),
            _ => {}
        }
    }
    assert_eq!(statuses, BTreeMap::from([(200, 100), (429, 900)]));
    remaining.sort_unstable();
    assert_eq!(remaining, (0..LIMIT).collect::<Vec<_>>(), "each was told its own place");
    app.get(STATUS).by(&other).await.data(200);
}
