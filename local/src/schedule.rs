//! Stands in for EventBridge: invokes a function on its schedule, and once at the start of the stack, so that work
//! that a restart interrupted is picked up soon.

use std::sync::Arc;

use chrono::{SecondsFormat, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{aws::REGION, lambda::Lambda, template::ScheduleEvent};

/// Invokes the function until the future is dropped.
pub async fn run(lambda: Arc<Lambda>, schedule: ScheduleEvent) {
    loop {
        // A failed run is repeated at the next scheduled time: the template allows no retries.
        if let Err(error) = lambda.invoke_measured(schedule.input.clone().unwrap_or_else(event)).await {
            tracing::error!(function = lambda.name(), %error, "the scheduled run failed");
        }
        let Some(wait) = schedule.schedule.wait(Utc::now()) else { return };
        tokio::time::sleep(wait).await;
    }
}

/// EventBridge's scheduled event.
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
