//! Polling for an asynchronous result, with a deadline.

use std::time::{Duration, Instant};

/// Default deadline of [`wait_until`], for work that takes only the time of the machine.
pub(crate) const WAIT_TIMEOUT: Duration = Duration::from_secs(30);

/// Time between two polls.
const POLL_INTERVAL: Duration = Duration::from_millis(25);

/// Polls until `look` returns a value, and returns the value.
///
/// # Panics
/// Panics with the description `what` when `deadline` has passed.
pub(crate) async fn wait_until<T>(what: &str, deadline: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(started.elapsed() < deadline, "not within {deadline:?}: {what}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
