//! Retries of calls to one model: depending on the kind of error, after the delay that the provider requests, within
//! a deadline.

use std::time::Duration;

use rand::RngExt;
use tokio::time::{Instant, sleep};

use super::error::{ProviderError, RetryDecision};

/// Maximum number of calls, the first one included.
const MAX_ATTEMPTS: u32 = 3;
/// Maximum delay before the second attempt when the provider requests none; doubles with each further attempt.
const BASE_BACKOFF: Duration = Duration::from_millis(250);
/// Maximum delay before a retry. When the provider requests more, there is no retry.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(5);
/// Minimum remaining time for a call; with less, no call is made.
const MIN_CALL_TIME: Duration = Duration::from_millis(200);

/// The attempts and the time left for one model.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    deadline: Instant,
    attempts: u32,
}

impl RetryBudget {
    /// A budget with no attempts used, until `deadline`.
    pub(crate) fn until(deadline: Instant) -> Self {
        Self { deadline, attempts: 0 }
    }

    /// Returns the time left for the next call.
    ///
    /// # Errors
    /// Returns [`ProviderError::TimedOut`] when less than [`MIN_CALL_TIME`] is left.
    pub(crate) fn time_for_next_call(&self) -> Result<Duration, ProviderError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left < MIN_CALL_TIME { Err(ProviderError::TimedOut) } else { Ok(left) }
    }

    /// Waits before the next attempt, after `failure`.
    ///
    /// # Errors
    /// Returns `failure` when a retry would not help, when no attempts are left, or when the delay is too long for
    /// the deadline.
    pub(crate) async fn wait_before_retry(&mut self, failure: ProviderError) -> Result<(), ProviderError> {
        self.attempts += 1;
        let wait = retry_delay(self.attempts, failure.retry_after());
        let may_retry = failure.retry_decision() == RetryDecision::SameModel
            && self.attempts < MAX_ATTEMPTS
            && wait <= MAX_RETRY_DELAY;
        if !may_retry || self.deadline.saturating_duration_since(Instant::now()) < wait + MIN_CALL_TIME {
            return Err(failure);
        }
        sleep(wait).await;
        Ok(())
    }
}

/// Returns the delay after the given number of attempts: the delay that the provider requests plus jitter, or else a
/// random delay up to the backoff. The jitter keeps concurrent callers from retrying all at once.
fn retry_delay(attempts: u32, requested: Option<Duration>) -> Duration {
    let backoff = BASE_BACKOFF * 2_u32.saturating_pow(attempts.saturating_sub(1));
    let jitter = rand::rng().random_range(Duration::ZERO..=backoff);
    requested.map_or(jitter, |requested| requested.saturating_add(jitter / 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_delay_grows_and_honours_the_requested_delay() {
        for _ in 0..100 {
            assert!(retry_delay(1, None) <= BASE_BACKOFF);
            assert!(retry_delay(2, None) <= BASE_BACKOFF * 2);
            let requested = Duration::from_secs(2);
            assert!((requested..requested + BASE_BACKOFF).contains(&retry_delay(1, Some(requested))));
            assert!(retry_delay(1, Some(Duration::MAX)) > MAX_RETRY_DELAY);
        }
    }

    #[tokio::test]
    async fn retries_end_with_the_attempts_the_time_or_a_permanent_error() {
        let rate_limited = || ProviderError::RateLimited { retry_after: Some(Duration::ZERO) };
        let minute = Instant::now() + Duration::from_secs(60);
        let mut budget = RetryBudget::until(minute);
        for _ in 1..MAX_ATTEMPTS {
            budget.wait_before_retry(rate_limited()).await.unwrap();
        }
        assert!(matches!(budget.wait_before_retry(rate_limited()).await, Err(ProviderError::RateLimited { .. })));
        for failure in [
            ProviderError::NoSuchModel,
            ProviderError::TimedOut,
            ProviderError::Blocked(String::new()),
            ProviderError::RateLimited { retry_after: Some(Duration::from_secs(6)) },
        ] {
            assert!(RetryBudget::until(minute).wait_before_retry(failure).await.is_err());
        }
        let mut late = RetryBudget::until(Instant::now() + MIN_CALL_TIME / 2);
        assert!(matches!(late.time_for_next_call(), Err(ProviderError::TimedOut)));
        assert!(matches!(late.wait_before_retry(rate_limited()).await, Err(ProviderError::RateLimited { .. })));
    }
}
