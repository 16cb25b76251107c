//! Messages of the ingest queue: S3 bucket events, and job messages.

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;
use shared::{error::BoxError, jobs::IngestMessage, storage};
use uuid::Uuid;

/// A document to ingest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IngestTarget {
    /// `customers.id`.
    pub(crate) tenant: Uuid,
    /// `documents.id`.
    pub(crate) document: Uuid,
}

/// S3 event notification, with the fields that are used.
#[derive(Deserialize)]
struct S3Event {
    #[serde(rename = "Records")]
    records: Vec<S3Record>,
}

#[derive(Deserialize)]
struct S3Record {
    s3: S3Entity,
}

#[derive(Deserialize)]
struct S3Entity {
    object: S3Object,
}

#[derive(Deserialize)]
struct S3Object {
    key: String,
}

/// Parses a queue message into the documents to ingest. Returns none for S3's test event, and for objects that are
/// not documents.
///
/// # Errors
/// Returns an error when the message is neither a bucket event nor a job message.
pub(crate) fn parse_targets(body: &str) -> Result<Vec<IngestTarget>, BoxError> {
    let body: Value = serde_json::from_str(body)?;
    if body["Event"] == "s3:TestEvent" {
        return Ok(Vec::new());
    }
    if body["Records"].is_array() {
        let event = S3Event::deserialize(body)?;
        return Ok(event.records.iter().filter_map(|record| target_of_key(&record.s3.object.key)).collect());
    }
    let job = IngestMessage::deserialize(body)?;
    Ok(vec![IngestTarget { tenant: job.customer_id, document: job.document_id }])
}

/// Parses an object key of an S3 event. S3 encodes these keys like form fields: `%2F` for a slash, `+` for a space.
fn target_of_key(key: &str) -> Option<IngestTarget> {
    let key = key.replace('+', " ");
    let key = percent_decode_str(&key).decode_utf8().ok()?;
    let parsed = storage::parse_document_key(&key);
    if parsed.is_none() {
        tracing::warn!("an object that is no document arrived");
    }
    parsed.map(|(tenant, document)| IngestTarget { tenant, document })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TENANT: &str = "0b9f2c34-5a1f-4a57-9a43-2f6e6f0f6f01";
    const DOCUMENT: &str = "01939f2c-345a-7a57-9a43-2f6e6f0f6f02";

    fn documents(body: &Value) -> Result<Vec<IngestTarget>, BoxError> {
        super::parse_targets(&body.to_string())
    }

    #[test]
    fn bucket_events_and_job_messages_give_their_document() {
        let expected = vec![IngestTarget { tenant: TENANT.parse().unwrap(), document: DOCUMENT.parse().unwrap() }];
        let key = format!("tenants%2F{TENANT}%2F{DOCUMENT}.pdf");
        let event = json!({ "Records": [{ "s3": { "object": { "key": key, "size": 1 } } }] });
        assert_eq!(documents(&event).unwrap(), expected);
        let job = json!({ "job_id": DOCUMENT, "customer_id": TENANT, "document_id": DOCUMENT });
        assert_eq!(documents(&job).unwrap(), expected);
    }

    #[test]
    fn test_events_and_other_objects_give_no_document() {
        assert_eq!(documents(&json!({ "Event": "s3:TestEvent" })).unwrap(), []);
        let event = json!({ "Records": [{ "s3": { "object": { "key": "exports/a.zip" } } }] });
        assert_eq!(documents(&event).unwrap(), []);
    }

    #[test]
    fn malformed_messages_are_errors() {
        assert!(parse_targets("{").is_err());
        assert!(parse_targets("[]").is_err());
    }
}
