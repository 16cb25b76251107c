//! Rate limits by user, by address for calls without a valid token, and by account for sign-ins. Most tests run with
//! the counters in PostgreSQL and with the counters in Redis.

mod addresses;
mod load;
mod outages;
mod users;

use super::support::TestResponse;

const STATUS: &str = "/api/v1/quota/status";

/// Makes two tests of each given function, `in_postgres::…` and `in_redis::…`, which differ in the counters' backend.
macro_rules! both_backends {
    ($($name:ident),* $(,)?) => {
        mod in_postgres {
            $(#[tokio::test]
            async fn $name() {
                let Some(store) = super::CounterBackend::postgres().await else { return };
                super::$name(store).await;
            })*
        }

        mod in_redis {
            $(#[tokio::test]
            async fn $name() {
                let Some(store) = super::CounterBackend::redis().await else { return };
                super::$name(store).await;
            })*
        }
    };
}
use both_backends;

/// Asserts the headers and the envelope of a refused call, and returns the seconds to wait.
#[track_caller]
fn assert_rate_limited(answer: TestResponse, limit: u32) -> u32 {
    let number = |name: &str| answer.header(name).parse::<u32>().unwrap_or_else(|_| panic!("{name}: {answer:?}"));
    assert_eq!((number("ratelimit-limit"), number("ratelimit-remaining")), (limit, 0));
    let (reset, wait) = (number("ratelimit-reset"), number("retry-after"));
    assert!((1..=120).contains(&wait) && (wait..=120).contains(&reset), "{reset} {wait}");
    answer.refused(429, "rate_limited");
    wait
}

/// Asserts the headers of a counted call, after which `remaining` of `limit` calls remain.
#[track_caller]
fn assert_remaining(answer: &TestResponse, limit: u32, remaining: u32) {
    assert_eq!(answer.header("ratelimit-limit"), limit.to_string(), "{answer:?}");
    assert_eq!(answer.header("ratelimit-remaining"), remaining.to_string(), "{answer:?}");
    assert!((1..=60).contains(&answer.header("ratelimit-reset").parse::<u32>().unwrap()), "{answer:?}");
}
