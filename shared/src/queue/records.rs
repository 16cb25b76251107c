//! The messages of a batch, as Lambda hands them over.

use serde_json::Value;

use crate::function::BoxError;

/// One message of a batch.
#[derive(Debug)]
pub struct Record<'e> {
    /// Names the message where it fails alone.
    pub message_id: &'e str,
    /// Names this delivery.
    pub receipt_handle: &'e str,
    /// From 1.
    pub attempt: u32,
    /// What was sent.
    pub body: &'e str,
}

/// The messages of an event.
///
/// # Errors
/// An event that is not one of a queue: there is no record to fail alone.
pub fn records(event: &Value) -> Result<Vec<Record<'_>>, BoxError> {
    let records = event["Records"].as_array().ok_or("not an event of a queue")?;
    Ok(records
        .iter()
        .map(|record| Record {
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
