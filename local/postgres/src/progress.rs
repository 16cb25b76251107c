//! Progress on standard error, one line per step with its duration.

use std::{
    io::Write,
    time::{Duration, Instant},
};

/// The output of progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgressOutput {
    /// Prints one line per step.
    Shown,
    /// Prints nothing; for tests and `--quiet`.
    Silent,
}

impl ProgressOutput {
    /// Begins a step. `ProgressStep::done` completes its line; without it, the line ends with "failed".
    #[must_use]
    pub fn step(self, what: &str) -> ProgressStep {
        self.write(&format!("  {what:<22} "));
        ProgressStep { progress: self, started: Instant::now(), open: true }
    }

    /// Prints a separate line.
    pub fn line(self, text: &str) {
        self.write(&format!("{text}\n"));
    }

    fn write(self, text: &str) {
        if self == Self::Shown {
            // Errors are ignored: the stack runs on when standard error is closed.
            let mut stderr = std::io::stderr().lock();
            let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
        }
    }
}

/// A step in progress.
#[derive(Debug)]
pub struct ProgressStep {
    progress: ProgressOutput,
    started: Instant,
    open: bool,
}

impl ProgressStep {
    /// Adds a remark to the step's line.
    pub fn note(&self, text: &str) {
        self.progress.write(&format!("{text} … "));
    }

    /// Completes the line with the result and the duration.
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

impl Drop for ProgressStep {
    fn drop(&mut self) {
        if self.open {
            self.progress.line("failed");
        }
    }
}
