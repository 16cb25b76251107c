//! The sliding window, as both stores count it.

/// Length of the sliding window.
pub(super) const WINDOW_S: u32 = 60;

/// The answer of a store: its count of one caller's window, before rounding.
#[derive(Debug, Clone, Copy)]
pub(super) struct WindowCount {
    pub(super) allowed: bool,
    pub(super) remaining: f64,
    pub(super) reset_s: f64,
    pub(super) retry_after_s: f64,
}
