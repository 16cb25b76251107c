//! How often and how long one model is tried: by the class of the failure, as long as the provider asks, within a
//! deadline.

use std::time::Duration;

use rand::RngExt;
use tokio::time::{Instant, sleep};

use super::transport::{Failure, Next};

/// Calls in all.
const ATTEMPTS: u32 = 3;
/// The first wait before another attempt, without what the provider asks for; it doubles.
const BACKOFF: Duration = Duration::from_millis(250);
/// A provider that asks for more is not waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// With less time than this left, nothing is asked.
const LEAST: Duration = Duration::from_millis(200);

/// What is left of it.
#[derive(Debug)]
pub(crate) struct Patience {
    deadline: Instant,
    attempts: u32,
}

impl Patience {
    pub(crate) fn until(deadline: Instant) -> Self {
        Self { deadline, attempts: 0 }
    }

    /// The time for the next call.
    ///
    /// # Errors
    /// [`Failure::TimedOut`] when there is too little for one.
    pub(crate) fn limit(&self) -> Result<Duration, Failure> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left < LEAST { Err(Failure::TimedOut) } else { Ok(left) }
    }

    /// Waits for the next attempt.
    ///
    /// # Errors
    /// The failure itself, where another attempt would not help, or comes too late.
    pub(crate) async fn after(&mut self, failure: Failure) -> Result<(), Failure> {
        self.attempts += 1;
        let wait = pause(self.attempts, failure.retry_after());
        let is_worth_it = failure.next() == Next::Retry && self.attempts < ATTEMPTS && wait <= LONGEST_WAIT;
        if !is_worth_it || self.deadline.saturating_duration_since(Instant::now()) < wait + LEAST {
            return Err(failure);
        }
        sleep(wait).await;
        Ok(())
    }
}

/// How long to wait after so many attempts: what the provider asks for, and a little more that is not the same for all
/// who wait; otherwise anything up to the backoff, for the same reason.
fn pause(attempts: u32, asked_for: Option<Duration>) -> Duration {
    let backoff = BACKOFF * 2_u32.saturating_pow(attempts.saturating_sub(1));
    let jitter = rand::rng().random_range(Duration::ZERO..=backoff);
    asked_for.map_or(jitter, |asked_for| asked_for.saturating_add(jitter / 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_grows_and_honours_what_is_asked_for() {
        for _ in 0..100 {
            assert!(pause(1, None) <= BACKOFF);
            assert!(pause(2, None) <= BACKOFF * 2);
            let asked = Duration::from_secs(2);
            assert!((asked..asked + BACKOFF).contains(&pause(1, Some(asked))));
            assert!(pause(1, Some(Duration::MAX)) > LONGEST_WAIT);
        }
    }

    #[tokio::test]
    async fn it_ends_with_the_attempts_with_the_time_and_with_what_does_not_pass() {
        let soon = || Failure::RateLimited { retry_after: Some(Duration::ZERO) };
        let minute = Instant::now() + Duration::from_secs(60);
        let mut patience = Patience::until(minute);
        for _ in 1..ATTEMPTS {
            patience.after(soon()).await.unwrap();
        }
        assert!(matches!(patience.after(soon()).await, Err(Failure::RateLimited { .. })));
        for failure in [
            Failure::NoSuchModel,
            Failure::TimedOut,
            Failure::Blocked(String::new()),
            Failure::RateLimited { retry_after: Some(Duration::from_secs(6)) },
        ] {
            assert!(Patience::until(minute).after(failure).await.is_err());
        }
        let mut late = Patience::until(Instant::now() + LEAST / 2);
        assert!(matches!(late.limit(), Err(Failure::TimedOut)));
        assert!(matches!(late.after(soon()).await, Err(Failure::RateLimited { .. })));
    }
}
