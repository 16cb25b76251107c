//! EventBridge → function: runs a function on its schedule, and once at the start of the stack, so that what a restart
//! lost is found soon.

use std::sync::Arc;

use chrono::{SecondsFormat, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{aws::REGION, lambda::Lambda, template::ScheduleEvent};

/// Runs the function until this is dropped.
pub async fn run(lambda: Arc<Lambda>, schedule: ScheduleEvent) {
    loop {
        // Failures are tried again at the next run: the template allows no retries of its own.
        if let Err(error) = lambda.invoke(schedule.input.clone().unwrap_or_else(event)).await {
            tracing::error!(function = lambda.name(), %error, "the scheduled run failed");
        }
        let Some(wait) = schedule.schedule.wait(Utc::now()) else { return };
        tokio::time::sleep(wait).await;
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
