//! A response that is a stream of server-sent events.

use reqwest::Response;
use serde_json::Value;

use super::TestResponse;

/// An open stream of server-sent events. Dropping it closes the connection.
pub(crate) struct EventStream {
    response: Response,
    buffer: String,
}

/// One server-sent event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ServerSentEvent {
    pub(crate) name: String,
    pub(crate) data: Value,
}

impl EventStream {
    /// The stream of a response, or the read response when its status is not 200.
    pub(super) async fn from_response(response: Response) -> Result<Self, TestResponse> {
        if response.status() != 200 {
            return Err(TestResponse::from_response(response).await);
        }
        assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert!(response.headers().contains_key("x-request-id"));
        Ok(Self { response, buffer: String::new() })
    }

    /// Reads the next event; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<ServerSentEvent> {
        loop {
            if let Some((frame, rest)) = self.buffer.split_once("\n\n") {
                let (name, data) = frame.strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
                let event = ServerSentEvent { name: name.to_owned(), data: serde_json::from_str(data).unwrap() };
                self.buffer = rest.to_owned();
                return Some(event);
            }
            let Some(chunk) = self.response.chunk().await.unwrap() else {
                assert_eq!(self.buffer, "", "an event has no end");
                return None;
            };
            self.buffer.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// Reads the next event, asserts its name, and returns its data.
    pub(crate) async fn expect_event(&mut self, name: &str) -> Value {
        let event = self.next().await.unwrap_or_else(|| panic!("the stream ended before {name}"));
        assert_eq!(event.name, name, "{event:?}");
        event.data
    }

    /// Reads to the end and returns the joined texts of all `delta` events and the one other event, which must be the
    /// last.
    pub(crate) async fn read_to_end(mut self) -> (String, ServerSentEvent) {
        let mut text = String::new();
        loop {
            let event = self.next().await.expect("an end");
            if event.name != "delta" {
                assert_eq!(self.next().await, None, "something follows {event:?}");
                return (text, event);
            }
            text.push_str(event.data["text"].as_str().unwrap());
        }
    }
}
