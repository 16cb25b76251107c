//! A model of the sliding window without a clock. It finds the waiting time by bisection instead of a formula, so
//! that it shares no formula with the stores.

use super::stores::StoreCount;

/// A counter that allows `limit` calls per window.
#[derive(Debug, Clone, Copy)]
pub(super) struct SlidingWindowModel {
    limit: f64,
    window_s: f64,
    /// Time since the current window began, in windows; `None` before the first call.
    elapsed: Option<f64>,
    /// Calls in the current window.
    count: f64,
    /// Calls in the window before.
    previous: f64,
}

impl SlidingWindowModel {
    pub(super) fn new(limit: u32, window_s: u32) -> Self {
        Self { limit: limit.into(), window_s: window_s.into(), elapsed: None, count: 0.0, previous: 0.0 }
    }

    /// Lets time pass, in windows.
    pub(super) fn advance(&mut self, windows: f64) {
        self.elapsed = self.elapsed.map(|elapsed| elapsed + windows);
    }

    /// Counts a call, if one is left.
    pub(super) fn count_call(&mut self) -> StoreCount {
        let mut after = self.moved_to_now();
        let allowed = after.used() + 1.0 <= after.limit;
        if allowed {
            after.count += 1.0;
            *self = after;
        }
        StoreCount {
            allowed,
            remaining: (after.limit - after.used()).floor().max(0.0),
            reset_s: self.window_s * (1.0 - after.elapsed.unwrap_or_default()),
            retry_after_s: if allowed { 0.0 } else { self.window_s * self.wait() },
        }
    }

    /// The counter with its current window moved forward to the present time.
    fn moved_to_now(&self) -> Self {
        match self.elapsed {
            Some(elapsed) if elapsed < 1.0 => *self,
            Some(elapsed) if elapsed < 2.0 => {
                Self { elapsed: Some(elapsed - 1.0), count: 0.0, previous: self.count, ..*self }
            }
            _ => Self { elapsed: Some(0.0), count: 0.0, previous: 0.0, ..*self },
        }
    }

    /// Calls that count now: the previous window's by the share that is still inside the sliding window.
    fn used(&self) -> f64 {
        self.previous * (1.0 - self.elapsed.unwrap_or_default()) + self.count
    }

    /// Time until a call is allowed, in windows.
    fn wait(&self) -> f64 {
        let (mut early, mut late) = (0.0, 3.0);
        while late - early > 1e-9 {
            let middle = (early + late) / 2.0;
            let mut then = *self;
            then.advance(middle);
            let then = then.moved_to_now();
            if then.used() + 1.0 <= then.limit {
                late = middle;
            } else {
                early = middle;
            }
        }
        late
    }
}
