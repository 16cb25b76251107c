//! Waiting for what happens by itself: looked at until it is there, with a deadline.

use std::time::{Duration, Instant};

/// For what takes no time but the machine's.
pub(crate) const SOON: Duration = Duration::from_secs(30);

const BETWEEN_LOOKS: Duration = Duration::from_millis(25);

/// Looks until there is something, and fails at the deadline.
pub(crate) async fn wait_until<T>(what: &str, deadline: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(started.elapsed() < deadline, "not within {deadline:?}: {what}");
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}
