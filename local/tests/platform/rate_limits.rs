//! Both stores of the rate limits, called as the product calls them: against a model of the sliding window, by
//! concurrent calls, and in real time.

mod model;
mod stores;

use std::{
    cell::RefCell,
    time::{Duration, Instant},
};

use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use tokio::{runtime::Runtime, task::JoinSet};
use uuid::Uuid;

use self::{
    model::SlidingWindowModel,
    stores::{RateLimitStore, StoreCount},
};
use crate::route::DatabaseRoute;

/// Length of the window in seconds: so long that the duration of the test does not matter.
const WINDOW_S: u32 = 1_000_000;

/// The stores that are installed on this machine: PostgreSQL, and Redis where there is one.
async fn stores(route: &DatabaseRoute) -> Vec<RateLimitStore> {
    [Some(RateLimitStore::postgres(route).await), RateLimitStore::redis().await].into_iter().flatten().collect()
}

fn new_key() -> String {
    format!("user:{}", Uuid::new_v4())
}

/// One step of a generated history of a counter.
#[derive(Debug, Clone, Copy)]
enum CounterStep {
    /// Time passes, in quarters of a window.
    Pass(u32),
    /// Calls are made, as many as the number.
    Calls(u32),
}

fn steps() -> impl Strategy<Value = Vec<CounterStep>> {
    let step = prop_oneof![(1_u32..10).prop_map(CounterStep::Pass), (1_u32..12).prop_map(CounterStep::Calls)];
    proptest::collection::vec(step, 1..12)
}

#[test]
fn both_stores_agree_with_the_sliding_window_model() {
    let runtime = Runtime::new().unwrap();
    let (_route, stores) = runtime.block_on(async {
        let route = DatabaseRoute::direct().await;
        let stores = stores(&route).await;
        (route, stores)
    });
    let cases = RefCell::new(0);
    let config = Config { cases: 60, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&(1_u32..9, steps()), |(most, steps)| {
        *cases.borrow_mut() += 1;
        runtime.block_on(compare_with_model(&stores, &new_key(), most, &steps))
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(*cases.borrow() >= 60);
}

/// Runs the steps on the stores and on the model, and compares each count.
async fn compare_with_model(
    stores: &[RateLimitStore],
    key: &str,
    most: u32,
    steps: &[CounterStep],
) -> Result<(), TestCaseError> {
    let mut model = SlidingWindowModel::new(most, WINDOW_S);
    for step in steps {
        match *step {
            CounterStep::Pass(quarters) => {
                model.advance(f64::from(quarters) / 4.0);
                for store in stores {
                    store.move_window_start_back(key, quarters * (WINDOW_S / 4)).await;
                }
            }
            CounterStep::Calls(calls) => {
                for _ in 0..calls {
                    let expected = model.count_call();
                    for store in stores {
                        check_equal(store, store.count_call(key, most, WINDOW_S).await, expected)?;
                    }
                }
            }
        }
    }
    while model.count_call().allowed {
        for store in stores {
            prop_assert!(store.count_call(key, most, WINDOW_S).await.allowed, "{}", store.name());
        }
    }
    for store in stores {
        check_retry_after(store, key, most).await?;
    }
    Ok(())
}

/// Compares the count of a store with the model's; times may differ by a thousandth of the window.
fn check_equal(store: &RateLimitStore, taken: StoreCount, expected: StoreCount) -> Result<(), TestCaseError> {
    let near = |one: f64, other: f64| (one - other).abs() < f64::from(WINDOW_S) * 1e-3;
    prop_assert!(
        (taken.allowed, taken.remaining) == (expected.allowed, expected.remaining)
            && near(taken.reset_s, expected.reset_s)
            && near(taken.retry_after_s, expected.retry_after_s),
        "{} says {taken:?} instead of {expected:?}",
        store.name()
    );
    Ok(())
}

/// Checks that a refused call is allowed after `retry_after_s`, and not a thousandth of the window earlier.
async fn check_retry_after(store: &RateLimitStore, key: &str, most: u32) -> Result<(), TestCaseError> {
    let refused = store.count_call(key, most, WINDOW_S).await;
    prop_assert!(!refused.allowed && refused.retry_after_s > 0.0, "{} says {refused:?}", store.name());
    let margin = WINDOW_S / 1_000;
    let too_early = refused.retry_after_s.ceil() as u32 - margin;
    store.move_window_start_back(key, too_early).await;
    prop_assert!(!store.count_call(key, most, WINDOW_S).await.allowed, "{} is early", store.name());
    store.move_window_start_back(key, margin).await;
    prop_assert!(store.count_call(key, most, WINDOW_S).await.allowed, "{} is late", store.name());
    Ok(())
}

#[tokio::test]
async fn a_thousand_concurrent_calls_are_allowed_exactly_up_to_the_limit() {
    let route = DatabaseRoute::direct().await;
    for store in stores(&route).await {
        let key = new_key();
        let mut calls = JoinSet::new();
        for _ in 0..1_000 {
            let (store, key) = (store.clone(), key.clone());
            calls.spawn(async move { store.count_call(&key, 100, WINDOW_S).await });
        }
        let (served, refused): (Vec<_>, Vec<_>) = calls.join_all().await.into_iter().partition(|taken| taken.allowed);
        assert_eq!((served.len(), refused.len()), (100, 900), "{}", store.name());
        let mut remaining: Vec<_> = served.iter().map(|taken| taken.remaining as u32).collect();
        remaining.sort_unstable();
        assert_eq!(remaining, (0..100).collect::<Vec<_>>(), "{}", store.name());
        assert!(refused.iter().all(|taken| taken.remaining == 0.0 && taken.retry_after_s > 0.0), "{}", store.name());
    }
}

#[tokio::test]
async fn the_window_slides_with_the_clock_of_the_store() {
    const SECONDS: u32 = 2;
    let route = DatabaseRoute::direct().await;
    for store in stores(&route).await {
        let key = new_key();
        let started = Instant::now();
        for remaining in [2.0, 1.0, 0.0] {
            let taken = store.count_call(&key, 3, SECONDS).await;
            assert!(taken.allowed && taken.remaining == remaining, "{} says {taken:?}", store.name());
        }
        // Three calls count until the window ends. After a third of the next window, the weighted count of the
        // previous one has dropped by one call.
        while !store.count_call(&key, 3, SECONDS).await.allowed {
            assert!(started.elapsed() < Duration::from_secs(30), "{} never lets go", store.name());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(started.elapsed() >= Duration::from_millis(2_650), "{}: {:?}", store.name(), started.elapsed());
    }
}

#[tokio::test]
async fn a_call_that_waits_for_the_removal_of_its_counter_starts_a_new_counter() {
    let route = DatabaseRoute::direct().await;
    let store = RateLimitStore::postgres(&route).await;
    let key = new_key();
    assert!(store.count_call(&key, 1, WINDOW_S).await.allowed);
    let mut admin = route.admin().await;
    // Maintenance removes old counters like this. The call still sees the row, waits for its lock, and finds it
    // removed.
    sqlx::raw_sql("begin; delete from rate_limits").execute(&mut admin).await.unwrap();
    let waits = async {
        let statement = "select count(*) from pg_stat_activity where datname = current_database()
                         and wait_event_type = 'Lock' and query like '%take_rate%'";
        let mut watcher = route.admin().await;
        let deadline = Instant::now() + Duration::from_secs(30);
        while sqlx::query_scalar::<_, i64>(statement).fetch_one(&mut watcher).await.unwrap() == 0 {
            assert!(Instant::now() < deadline, "the call does not wait");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        sqlx::raw_sql("commit").execute(&mut admin).await.unwrap();
    };
    let (taken, ()) = tokio::join!(store.count_call(&key, 1, WINDOW_S), waits);
    assert!(taken.allowed, "{taken:?}");
    assert!(!store.count_call(&key, 1, WINDOW_S).await.allowed);
}
