//! Calls are counted: by user, by address without a token, and sign-ins by account. In the database or in Redis, alike.

mod addresses;
mod load;
mod outages;
mod users;

use super::support::Answer;

const STATUS: &str = "/api/v1/quota/status";

/// Makes each of these functions, which take a `Store`, two tests: `in_postgres::…` and `in_redis::…`.
macro_rules! both_stores {
    ($($name:ident),* $(,)?) => {
        mod in_postgres {
            $(#[tokio::test]
            async fn $name() {
                let Some(store) = super::Store::postgres().await else { return };
                super::$name(store).await;
            })*
        }

        mod in_redis {
            $(#[tokio::test]
            async fn $name() {
                let Some(store) = super::Store::redis().await else { return };
                super::$name(store).await;
            })*
        }
    };
}
use both_stores;

/// Headers and envelope of a refusal, and the seconds to wait.
#[track_caller]
fn is_limited(answer: Answer, limit: u32) -> u32 {
    let number = |name: &str| answer.header(name).parse::<u32>().unwrap_or_else(|_| panic!("{name}: {answer:?}"));
    assert_eq!((number("ratelimit-limit"), number("ratelimit-remaining")), (limit, 0));
    let (reset, wait) = (number("ratelimit-reset"), number("retry-after"));
    assert!((1..=120).contains(&wait) && (wait..=120).contains(&reset), "{reset} {wait}");
    answer.refused(429, "rate_limited");
    wait
}

/// An answer with the headers of a call that was counted, as the one that leaves so many.
#[track_caller]
fn leaves(answer: &Answer, limit: u32, remaining: u32) {
    assert_eq!(answer.header("ratelimit-limit"), limit.to_string(), "{answer:?}");
    assert_eq!(answer.header("ratelimit-remaining"), remaining.to_string(), "{answer:?}");
    assert!((1..=60).contains(&answer.header("ratelimit-reset").parse::<u32>().unwrap()), "{answer:?}");
}
