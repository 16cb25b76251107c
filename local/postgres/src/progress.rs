//! One line a step, on standard error: what is being done, and how long it took.

use std::{
    io::Write,
    time::{Duration, Instant},
};

/// Where progress goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// A line a step.
    Shown,
    /// Nothing; for tests and `--quiet`.
    Silent,
}

impl Progress {
    /// Begins a step. Its line is completed by [`Step::done`], or cut short when the step fails.
    #[must_use]
    pub fn step(self, what: &str) -> Step {
        self.write(&format!("  {what:<22} "));
        Step { progress: self, started: Instant::now(), open: true }
    }

    /// Writes a line of its own.
    pub fn line(self, text: &str) {
        self.write(&format!("{text}\n"));
    }

    fn write(self, text: &str) {
        if self == Self::Shown {
            // Nobody reading is no reason to stop.
            let mut stderr = std::io::stderr().lock();
            let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
        }
    }
}

/// A step under way.
#[derive(Debug)]
pub struct Step {
    progress: Progress,
    started: Instant,
    open: bool,
}

impl Step {
    /// Says more about what is under way, in the same line.
    pub fn note(&self, text: &str) {
        self.progress.write(&format!("{text} … "));
    }

    /// Ends the line.
    pub fn done(mut self, outcome: &str) {
        self.open = false;
        let elapsed = self.started.elapsed();
        if elapsed < Duration::from_millis(100) {
            self.progress.line(outcome);
        } else {
            self.progress.line(&format!("{outcome} ({:.1} s)", elapsed.as_secs_f64()));
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if self.open {
            self.progress.line("failed");
        }
    }
}
