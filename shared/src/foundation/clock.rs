//! The clock of this process, through one door, so that a test can move it.
//!
//! The database compares due times, leases and quotas with its own clock. Maintenance compares the retention of
//! messages, the expiry of exports, the purges and the periods of billing with the scheduled time of its event. This
//! clock serves everything else: tokens, signatures, cursors, times that a response names, and delays of queue
//! messages.

use chrono::{DateTime, TimeDelta, Utc};

tokio::task_local! {
    /// Difference to the system's clock.
    static OFFSET: TimeDelta;
}

/// Returns the time.
#[must_use]
pub fn now() -> DateTime<Utc> {
    let now = Utc::now();
    OFFSET.try_with(|offset| now + *offset).unwrap_or(now)
}

/// Runs work with a clock that differs from the system's. Only the local stack does, for tests.
pub async fn with_offset<T>(offset: TimeDelta, work: impl Future<Output = T>) -> T {
    OFFSET.scope(offset, work).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_clock_is_moved_for_the_work_alone() {
        let moved = with_offset(TimeDelta::hours(1), async { now() }).await;
        let ahead = moved - Utc::now();
        assert!(ahead > TimeDelta::minutes(59) && ahead <= TimeDelta::hours(1), "{ahead}");
        assert!((now() - Utc::now()).abs() < TimeDelta::minutes(1));
    }
}
