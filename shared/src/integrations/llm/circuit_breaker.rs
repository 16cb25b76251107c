//! A circuit breaker per provider: after repeated failures the provider gets no calls for a while. The state lives in
//! the function's memory and is only an optimisation: when the breakers of all providers are open, they are called
//! nevertheless.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Number of consecutive failures that opens the breaker.
const FAILURE_THRESHOLD: u32 = 5;
/// Time for which the breaker stays open before it admits one trial call.
const OPEN_DURATION: Duration = Duration::from_secs(30);

/// A circuit breaker, closed at first.
#[derive(Debug, Default)]
pub(super) struct CircuitBreaker(Mutex<BreakerState>);

#[derive(Debug, Default)]
struct BreakerState {
    /// Consecutive failures.
    failures: u32,
    /// The time of the next trial call; `None` while the breaker is closed.
    open_until: Option<Instant>,
}

impl CircuitBreaker {
    /// Returns true when a call may be made now. After [`OPEN_DURATION`] one trial call is admitted. Further calls
    /// are refused until it succeeds, or until another [`OPEN_DURATION`] has passed in case it never reports a
    /// result.
    pub(super) fn admits_call(&self, now: Instant) -> bool {
        let mut state = self.state();
        match state.open_until {
            None => true,
            Some(until) if now < until => false,
            Some(_) => {
                state.open_until = Some(now + OPEN_DURATION);
                true
            }
        }
    }

    /// Records a success and closes the breaker.
    pub(super) fn record_success(&self) {
        *self.state() = BreakerState::default();
    }

    /// Records a failure, and opens the breaker at [`FAILURE_THRESHOLD`].
    pub(super) fn record_failure(&self, now: Instant) {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        if state.failures >= FAILURE_THRESHOLD {
            state.open_until = Some(now + OPEN_DURATION);
        }
    }

    fn state(&self) -> MutexGuard<'_, BreakerState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(now: Instant) -> CircuitBreaker {
        let circuit = CircuitBreaker::default();
        for _ in 0..FAILURE_THRESHOLD {
            assert!(circuit.admits_call(now));
            circuit.record_failure(now);
        }
        circuit
    }

    #[test]
    fn only_consecutive_failures_open_the_breaker() {
        let now = Instant::now();
        let circuit = CircuitBreaker::default();
        for _ in 0..3 {
            for _ in 1..FAILURE_THRESHOLD {
                circuit.record_failure(now);
            }
            circuit.record_success();
        }
        assert!(circuit.admits_call(now));
        assert!(!opened(now).admits_call(now));
    }

    #[test]
    fn one_successful_trial_call_closes_an_open_breaker() {
        let now = Instant::now();
        let circuit = opened(now);
        let later = now + OPEN_DURATION;
        assert!(circuit.admits_call(later));
        assert!(!circuit.admits_call(later), "one trial call is enough");
        circuit.record_success();
        assert!(circuit.admits_call(later) && circuit.admits_call(later));
    }

    #[test]
    fn a_trial_call_that_fails_or_never_ends_keeps_the_breaker_open() {
        let now = Instant::now();
        let circuit = opened(now);
        assert!(circuit.admits_call(now + OPEN_DURATION));
        circuit.record_failure(now + OPEN_DURATION);
        assert!(!circuit.admits_call(now + OPEN_DURATION + OPEN_DURATION / 2));
        assert!(circuit.admits_call(now + OPEN_DURATION * 2), "this trial call never reports a result");
        assert!(!circuit.admits_call(now + OPEN_DURATION * 2));
        assert!(circuit.admits_call(now + OPEN_DURATION * 3));
    }
}
