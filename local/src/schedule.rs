//! EventBridge → function: runs a function at its rate, the first time at the start of the stack, so that what a restart
//! lost is found soon.

use std::sync::Arc;

use chrono::{SecondsFormat, Utc};
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

use crate::{aws::REGION, lambda::Lambda, template::Rate};

/// Runs the function until this is dropped.
pub async fn run(lambda: Arc<Lambda>, Rate(period): Rate) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // Failures are tried again at the next tick: the template allows no retries of its own.
        if let Err(error) = lambda.invoke(event()).await {
            tracing::error!(function = lambda.name(), %error, "the scheduled run failed");
        }
    }
}

/// The event of a schedule.
#[must_use]
pub fn event() -> Value {
    json!({
        "version": "0",
        "id": Uuid::new_v4(),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "123456789012",
        "time": Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
        "region": REGION,
        "resources": [format!("arn:aws:events:{REGION}:123456789012:rule/local")],
        "detail": {},
    })
}
