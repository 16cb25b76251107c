//! Reading of a request's body within the gateway's limit.

use std::time::Duration;

use axum::{
    body::Body,
    http::{header, request::Parts},
};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

/// The time that a client may take for the next piece of its body.
const STALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes that are read in all of a body over the limit. Most clients read the answer only after they have sent their
/// body, and would see a broken connection in its place.
const MAX_DISCARDED_BYTES: usize = 256 * 1024 * 1024;

/// The reasons for which a body is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyError {
    /// The body is larger than the limit.
    TooLarge,
    /// The client stopped sending.
    Stalled,
    /// The body is not encoded as its headers say, or the client has gone.
    Broken,
}

/// Reads a body of at most `limit` bytes. What exceeds the limit is read and dropped.
pub(super) async fn read(head: &Parts, mut body: Body, limit: usize) -> Result<Bytes, BodyError> {
    let declared =
        head.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > limit) && head.headers.contains_key(header::EXPECT) {
        // The client waits for a permission to send its body.
        return Err(BodyError::TooLarge);
    }
    let mut kept = BytesMut::new();
    let mut bytes = 0_usize;
    loop {
        let frame = tokio::time::timeout(STALL_TIMEOUT, body.frame()).await;
        match frame.map_err(|_elapsed| BodyError::Stalled)? {
            None if bytes > limit => return Err(BodyError::TooLarge),
            None => return Ok(kept.freeze()),
            Some(Err(_)) => return Err(BodyError::Broken),
            Some(Ok(frame)) => {
                let Ok(data) = frame.into_data() else { continue };
                bytes = bytes.saturating_add(data.len());
                if bytes > MAX_DISCARDED_BYTES {
                    return Err(BodyError::TooLarge);
                }
                if bytes > limit {
                    kept = BytesMut::new();
                } else {
                    kept.extend_from_slice(&data);
                }
            }
        }
    }
}
