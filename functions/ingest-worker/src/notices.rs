//! What the queue carries: events of the bucket, and messages about jobs.

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;
use shared::{function::BoxError, jobs::JobMessage, storage};
use uuid::Uuid;

/// A document to ingest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) tenant: Uuid,
    pub(crate) document: Uuid,
}

/// An S3 event notification, as far as it matters.
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

/// The documents that a message is about. None for S3's test event, and for objects that are no documents.
pub(crate) fn documents(body: &str) -> Result<Vec<Target>, BoxError> {
    let body: Value = serde_json::from_str(body)?;
    if body["Event"] == "s3:TestEvent" {
        return Ok(Vec::new());
    }
    if body["Records"].is_array() {
        let event = S3Event::deserialize(body)?;
        return Ok(event.records.iter().filter_map(|record| target(&record.s3.object.key)).collect());
    }
    let job = JobMessage::deserialize(body)?;
    Ok(vec![Target { tenant: job.customer_id, document: job.document_id }])
}

/// Keys in S3 events are encoded as form fields are: `%2F` for a slash, `+` for a space.
fn target(key: &str) -> Option<Target> {
    let key = key.replace('+', " ");
    let key = percent_decode_str(&key).decode_utf8().ok()?;
    let parsed = storage::parse_document_key(&key);
    if parsed.is_none() {
        tracing::warn!("an object that is no document arrived");
    }
    parsed.map(|(tenant, document)| Target { tenant, document })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TENANT: &str = "0b9f2c34-5a1f-4a57-9a43-2f6e6f0f6f01";
    const DOCUMENT: &str = "01939f2c-345a-7a57-9a43-2f6e6f0f6f02";

    fn documents(body: &Value) -> Result<Vec<Target>, BoxError> {
        super::documents(&body.to_string())
    }

    #[test]
    fn both_kinds_of_messages_name_their_document() {
        let expected = vec![Target { tenant: TENANT.parse().unwrap(), document: DOCUMENT.parse().unwrap() }];
        let key = format!("tenants%2F{TENANT}%2F{DOCUMENT}.pdf");
        let event = json!({ "Records": [{ "s3": { "object": { "key": key, "size": 1 } } }] });
        assert_eq!(documents(&event).unwrap(), expected);
        let job = json!({ "job_id": DOCUMENT, "customer_id": TENANT, "document_id": DOCUMENT });
        assert_eq!(documents(&job).unwrap(), expected);
    }

    #[test]
    fn what_is_no_document_is_passed_over() {
        assert_eq!(documents(&json!({ "Event": "s3:TestEvent" })).unwrap(), []);
        let event = json!({ "Records": [{ "s3": { "object": { "key": "exports/a.zip" } } }] });
        assert_eq!(documents(&event).unwrap(), []);
    }

    #[test]
    fn poison_fails_alone() {
        assert!(super::documents("{").is_err());
        assert!(super::documents("[]").is_err());
    }
}
