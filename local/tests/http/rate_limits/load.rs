//! A thousand calls at once.

use std::{collections::BTreeMap, sync::Arc};

use tokio::{sync::Semaphore, task::JoinSet};

use super::super::support::Store;
use super::{STATUS, both_stores, is_limited, leaves};

both_stores!(of_a_thousand_calls_at_once_exactly_as_many_are_served_as_are_allowed);

const CALLS: usize = 1_000;
/// Client, gateway and functions share this process: with a socket for each call, most of their time would be the
/// machine's, and the database's deadline would be over before a call is looked at.
const CONNECTIONS: usize = 100;
const LIMIT: u32 = 100;

async fn of_a_thousand_calls_at_once_exactly_as_many_are_served_as_are_allowed(store: Store) {
    let app = store.app(&[("RATE_LIMIT_USER", "100")]).await;
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
                leaves(&answer, LIMIT, left);
                remaining.push(left);
                answer.data(200);
            }
            429 => drop(is_limited(answer, LIMIT)),
            _ => {}
        }
    }
    assert_eq!(statuses, BTreeMap::from([(200, 100), (429, 900)]));
    remaining.sort_unstable();
    assert_eq!(remaining, (0..LIMIT).collect::<Vec<_>>(), "each was told its own place");
    app.get(STATUS).by(&other).await.data(200);
}
