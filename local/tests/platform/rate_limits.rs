//! Both stores of the rate limits, called as the product calls them: against a model of the sliding window, by many at
//! once, and in real time.

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
    model::Model,
    stores::{Store, StoreCount},
};
use crate::route::Route;

/// Seconds. So long that what the test itself takes is nothing beside it.
const WINDOW: u32 = 1_000_000;

/// The stores that there are on this machine.
async fn stores(route: &Route) -> Vec<Store> {
    [Some(Store::postgres(route).await), Store::redis().await].into_iter().flatten().collect()
}

fn new_key() -> String {
    format!("user:{}", Uuid::new_v4())
}

/// What happens to a counter.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// So many quarters of a window pass.
    Pass(u32),
    /// So many calls are made.
    Calls(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![(1_u32..10).prop_map(Step::Pass), (1_u32..12).prop_map(Step::Calls)];
    proptest::collection::vec(step, 1..12)
}

#[test]
fn both_stores_do_what_the_model_does() {
    let runtime = Runtime::new().unwrap();
    let (_route, stores) = runtime.block_on(async {
        let route = Route::direct().await;
        let stores = stores(&route).await;
        (route, stores)
    });
    let played = RefCell::new(0);
    let config = Config { cases: 60, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&(1_u32..9, steps()), |(most, steps)| {
        *played.borrow_mut() += 1;
        runtime.block_on(play(&stores, &new_key(), most, &steps))
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(*played.borrow() >= 60);
}

/// Plays the same on the stores and on the model.
async fn play(stores: &[Store], key: &str, most: u32, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut model = Model::new(most, WINDOW);
    for step in steps {
        match *step {
            Step::Pass(quarters) => {
                model.pass(f64::from(quarters) / 4.0);
                for store in stores {
                    store.rewind(key, quarters * (WINDOW / 4)).await;
                }
            }
            Step::Calls(calls) => {
                for _ in 0..calls {
                    let expected = model.take();
                    for store in stores {
                        agree(store, store.take(key, most, WINDOW).await, expected)?;
                    }
                }
            }
        }
    }
    while model.take().allowed {
        for store in stores {
            prop_assert!(store.take(key, most, WINDOW).await.allowed, "{}", store.name());
        }
    }
    for store in stores {
        waiting_as_told_is_enough(store, key, most).await?;
    }
    Ok(())
}

fn agree(store: &Store, taken: StoreCount, expected: StoreCount) -> Result<(), TestCaseError> {
    let near = |one: f64, other: f64| (one - other).abs() < f64::from(WINDOW) * 1e-3;
    prop_assert!(
        (taken.allowed, taken.remaining) == (expected.allowed, expected.remaining)
            && near(taken.reset_s, expected.reset_s)
            && near(taken.retry_after_s, expected.retry_after_s),
        "{} says {taken:?} instead of {expected:?}",
        store.name()
    );
    Ok(())
}

/// Whoever waits as long as told is served, and not a moment before.
async fn waiting_as_told_is_enough(store: &Store, key: &str, most: u32) -> Result<(), TestCaseError> {
    let refused = store.take(key, most, WINDOW).await;
    prop_assert!(!refused.allowed && refused.retry_after_s > 0.0, "{} says {refused:?}", store.name());
    let moment = WINDOW / 1_000;
    let shy = refused.retry_after_s.ceil() as u32 - moment;
    store.rewind(key, shy).await;
    prop_assert!(!store.take(key, most, WINDOW).await.allowed, "{} is early", store.name());
    store.rewind(key, moment).await;
    prop_assert!(store.take(key, most, WINDOW).await.allowed, "{} is late", store.name());
    Ok(())
}

#[tokio::test]
async fn of_a_thousand_calls_at_once_exactly_as_many_are_served_as_are_allowed() {
    let route = Route::direct().await;
    for store in stores(&route).await {
        let key = new_key();
        let mut calls = JoinSet::new();
        for _ in 0..1_000 {
            let (store, key) = (store.clone(), key.clone());
            calls.spawn(async move { store.take(&key, 100, WINDOW).await });
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
async fn the_window_slides_by_the_server_s_own_clock() {
    const SECONDS: u32 = 2;
    let route = Route::direct().await;
    for store in stores(&route).await {
        let key = new_key();
        let started = Instant::now();
        for remaining in [2.0, 1.0, 0.0] {
            let taken = store.take(&key, 3, SECONDS).await;
            assert!(taken.allowed && taken.remaining == remaining, "{} says {taken:?}", store.name());
        }
        // Three calls are in sight until the window's end; the first of them is out of it after a third of the next.
        while !store.take(&key, 3, SECONDS).await.allowed {
            assert!(started.elapsed() < Duration::from_secs(30), "{} never lets go", store.name());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(started.elapsed() >= Duration::from_millis(2_650), "{}: {:?}", store.name(), started.elapsed());
    }
}

#[tokio::test]
async fn a_counter_that_is_removed_meanwhile_begins_anew() {
    let route = Route::direct().await;
    let store = Store::postgres(&route).await;
    let key = new_key();
    assert!(store.take(&key, 1, WINDOW).await.allowed);
    let mut admin = route.admin().await;
    // As maintenance does it: seen by the call, and gone when it gets there.
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
    let (taken, ()) = tokio::join!(store.take(&key, 1, WINDOW), waits);
    assert!(taken.allowed, "{taken:?}");
    assert!(!store.take(&key, 1, WINDOW).await.allowed);
}
