//! A provider that fails again and again is left alone for a while. Kept in the function's memory, as an optimisation:
//! when every provider is left alone, they are asked all the same.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Failures in a row that open it.
const FAILURES: u32 = 5;
/// How long it then stays open before one call may try.
const PAUSE: Duration = Duration::from_secs(30);

/// Closed at first.
#[derive(Debug, Default)]
pub(super) struct Circuit(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    open_until: Option<Instant>,
}

impl Circuit {
    /// Whether a call may be made now. After a pause one caller may try; the others wait for what it learns, or for
    /// another pause, should it never tell.
    pub(super) fn admits(&self, now: Instant) -> bool {
        let mut state = self.state();
        match state.open_until {
            None => true,
            Some(until) if now < until => false,
            Some(_) => {
                state.open_until = Some(now + PAUSE);
                true
            }
        }
    }

    /// The provider works.
    pub(super) fn succeeded(&self) {
        *self.state() = State::default();
    }

    /// The provider does not work.
    pub(super) fn failed(&self, now: Instant) {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        if state.failures >= FAILURES {
            state.open_until = Some(now + PAUSE);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(now: Instant) -> Circuit {
        let circuit = Circuit::default();
        for _ in 0..FAILURES {
            assert!(circuit.admits(now));
            circuit.failed(now);
        }
        circuit
    }

    #[test]
    fn failures_in_a_row_open_it_and_only_those() {
        let now = Instant::now();
        let circuit = Circuit::default();
        for _ in 0..3 {
            for _ in 1..FAILURES {
                circuit.failed(now);
            }
            circuit.succeeded();
        }
        assert!(circuit.admits(now));
        assert!(!opened(now).admits(now));
    }

    #[test]
    fn after_a_pause_one_call_tries_and_closes_it() {
        let now = Instant::now();
        let circuit = opened(now);
        let later = now + PAUSE;
        assert!(circuit.admits(later));
        assert!(!circuit.admits(later), "one is enough");
        circuit.succeeded();
        assert!(circuit.admits(later) && circuit.admits(later));
    }

    #[test]
    fn a_try_that_fails_or_never_ends_opens_it_for_another_pause() {
        let now = Instant::now();
        let circuit = opened(now);
        assert!(circuit.admits(now + PAUSE));
        circuit.failed(now + PAUSE);
        assert!(!circuit.admits(now + PAUSE + PAUSE / 2));
        assert!(circuit.admits(now + PAUSE * 2), "and this one never tells");
        assert!(!circuit.admits(now + PAUSE * 2));
        assert!(circuit.admits(now + PAUSE * 3));
    }
}
