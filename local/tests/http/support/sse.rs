//! An answer that comes as server-sent events.

use reqwest::Response;
use serde_json::Value;

use super::Answer;

/// An answer that is being told. Dropped, its connection is closed.
pub(crate) struct Stream {
    response: Response,
    buffer: String,
}

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) data: Value,
}

impl Stream {
    /// The stream, or the answer that came in its place.
    pub(super) async fn begin(response: Response) -> Result<Self, Answer> {
        if response.status() != 200 {
            return Err(Answer::read(response).await);
        }
        assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert!(response.headers().contains_key("x-request-id"));
        Ok(Self { response, buffer: String::new() })
    }

    /// The next event; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((frame, rest)) = self.buffer.split_once("\n\n") {
                let (name, data) = frame.strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
                let event = Event { name: name.to_owned(), data: serde_json::from_str(data).unwrap() };
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

    /// The data of the next event, which must have this name.
    pub(crate) async fn expect(&mut self, name: &str) -> Value {
        let event = self.next().await.unwrap_or_else(|| panic!("the stream ended before {name}"));
        assert_eq!(event.name, name, "{event:?}");
        event.data
    }

    /// The texts of all `delta` until another event, and that one, which must be the last.
    pub(crate) async fn rest(mut self) -> (String, Event) {
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
