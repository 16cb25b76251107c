//! The messages of an SQS event, as Lambda delivers a batch.

use serde_json::Value;

use crate::error::BoxError;

/// One SQS message of a batch.
#[derive(Debug)]
pub struct SqsRecord<'e> {
    /// Message id. A partial batch response names failed messages by it.
    pub message_id: &'e str,
    /// Id of this delivery, for changing the message's visibility timeout.
    pub receipt_handle: &'e str,
    /// Number of this delivery, from 1.
    pub attempt: u32,
    /// Body of the message.
    pub body: &'e str,
}

/// Returns the messages of an SQS event.
///
/// # Errors
/// The event is not an SQS event. The whole invocation fails, because no single message can.
pub fn records(event: &Value) -> Result<Vec<SqsRecord<'_>>, BoxError> {
    let records = event["Records"].as_array().ok_or("not an event of a queue")?;
    Ok(records
        .iter()
        .map(|record| SqsRecord {
            message_id: record["messageId"].as_str().unwrap_or_default(),
            receipt_handle: record["receiptHandle"].as_str().unwrap_or_default(),
            attempt: record["attributes"]["ApproximateReceiveCount"]
                .as_str()
                .and_then(|count| count.parse().ok())
                .unwrap_or(1),
            body: record["body"].as_str().unwrap_or_default(),
        })
        .collect())
}
