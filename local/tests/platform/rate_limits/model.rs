//! What a sliding window is, without a clock. How long to wait is found by trying, not by a formula.

use super::stores::StoreCount;

/// A counter of so many calls a window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Model {
    most: f64,
    window_s: f64,
    /// Windows since the current one began; none has, before the first call.
    elapsed: Option<f64>,
    count: f64,
    previous: f64,
}

impl Model {
    pub(super) fn new(most: u32, window_s: u32) -> Self {
        Self { most: most.into(), window_s: window_s.into(), elapsed: None, count: 0.0, previous: 0.0 }
    }

    /// So many windows pass.
    pub(super) fn pass(&mut self, windows: f64) {
        self.elapsed = self.elapsed.map(|elapsed| elapsed + windows);
    }

    /// Takes a call, if there is one.
    pub(super) fn take(&mut self) -> StoreCount {
        let mut after = self.now();
        let allowed = after.used() + 1.0 <= after.most;
        if allowed {
            after.count += 1.0;
            *self = after;
        }
        StoreCount {
            allowed,
            remaining: (after.most - after.used()).floor().max(0.0),
            reset_s: self.window_s * (1.0 - after.elapsed.unwrap_or_default()),
            retry_after_s: if allowed { 0.0 } else { self.window_s * self.wait() },
        }
    }

    /// As it stands when it is looked at: the window that the moment is in, and the one before.
    fn now(&self) -> Self {
        match self.elapsed {
            Some(elapsed) if elapsed < 1.0 => *self,
            Some(elapsed) if elapsed < 2.0 => {
                Self { elapsed: Some(elapsed - 1.0), count: 0.0, previous: self.count, ..*self }
            }
            _ => Self { elapsed: Some(0.0), count: 0.0, previous: 0.0, ..*self },
        }
    }

    fn used(&self) -> f64 {
        self.previous * (1.0 - self.elapsed.unwrap_or_default()) + self.count
    }

    /// Windows until a call is allowed.
    fn wait(&self) -> f64 {
        let (mut early, mut late) = (0.0, 3.0);
        while late - early > 1e-9 {
            let middle = (early + late) / 2.0;
            let mut then = *self;
            then.pass(middle);
            let then = then.now();
            if then.used() + 1.0 <= then.most {
                late = middle;
            } else {
                early = middle;
            }
        }
        late
    }
}
