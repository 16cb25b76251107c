//! Server-sent events (SSE): a response that is sent while it is being generated.

use std::{future::Future, panic::AssertUnwindSafe};

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::Response,
};
use bytes::Bytes;
use futures::{FutureExt, stream};
use serde::Serialize;
use tokio::sync::mpsc;
use tracing::Instrument;

use crate::{
    error::{ApiError, Result},
    logging, telemetry,
};

/// Events that are buffered for a slow client. When the buffer is full, [`SseSender::send`] waits.
const MAX_BUFFERED_EVENTS: usize = 16;

/// The sending side of one event stream.
#[derive(Debug, Clone)]
pub struct SseSender(mpsc::Sender<Result<Bytes>>);

/// The error of sending to a client that has disconnected.
#[derive(Debug, thiserror::Error)]
#[error("the client is gone")]
pub struct ClientDisconnected;

impl SseSender {
    /// Sends one event with `data` as JSON. Data that cannot be serialised is sent as the error `internal`.
    ///
    /// # Errors
    /// [`ClientDisconnected`].
    pub async fn send(&self, name: &str, data: &impl Serialize) -> Result<(), ClientDisconnected> {
        let frame = match serde_json::to_string(data) {
            Ok(data) => Ok(frame(name, &data)),
            Err(error) => Err(ApiError::internal().with_source(error)),
        };
        self.0.send(frame).await.map_err(|_gone| ClientDisconnected)
    }

    /// Waits until the client disconnects.
    pub async fn closed(&self) {
        self.0.closed().await;
    }
}

/// Responds with the events that `work` sends. The response ends when `work` ends. Lambda then freezes the process,
/// so `work` must store everything before it returns.
///
/// An error before the first event becomes an ordinary error response. An error after the first event becomes an
/// event `error`, whose data is the `error` object of an error body.
///
/// `work` goes on when the client disconnects, because it may have to refund what it reserved. It learns of the
/// disconnection by [`ClientDisconnected`].
///
/// # Errors
/// The error with which `work` ended before its first event; 500 when `work` ended without any event.
pub async fn stream_events<F>(request_id: String, work: impl FnOnce(SseSender) -> F) -> Result<Response>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let (events, mut frames) = mpsc::channel(MAX_BUFFERED_EVENTS);
    let work = AssertUnwindSafe(work(SseSender(events.clone()))).catch_unwind();
    // The span of the request ends with the work. It ends before the response does, after which the spans are exported.
    let work = telemetry::in_current_span(work);
    let work = async move {
        // The panic hook has logged a panic.
        if let Err(error) = work.await.unwrap_or_else(|_panic| Err(ApiError::internal())) {
            // An error of this send means that the client has disconnected; nobody is left to tell.
            let _ = events.send(Err(error)).await;
        }
    };
    #[expect(clippy::disallowed_methods, reason = "the response is not over before the work is: it holds its sender")]
    tokio::spawn(work.in_current_span());
    let first = frames.recv().await.unwrap_or_else(|| Err(ApiError::internal()))?;
    let span = tracing::Span::current();
    let rest = stream::unfold(frames, move |mut frames| {
        let (request_id, span) = (request_id.clone(), span.clone());
        async move {
            let frame = frames.recv().await?.unwrap_or_else(|error| {
                let _entered = span.enter();
                log_and_encode(&error, &request_id)
            });
            Some((frame, frames))
        }
    });
    let frames = futures::StreamExt::chain(stream::iter([first]), rest);
    let frames = futures::StreamExt::map(frames, Ok::<_, std::convert::Infallible>);
    let mut response = Response::new(Body::from_stream(frames));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    // Keeps nginx-like proxies from buffering the whole response.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// Logs an error, as `layers::finish` does for a response that is not streamed, and encodes it as an event `error`.
fn log_and_encode(error: &ApiError, request_id: &str) -> Bytes {
    let status = error.status.as_u16();
    if error.status.is_server_error() {
        tracing::error!(status, code = error.code, error = logging::chain(error), "the stream failed");
    } else {
        tracing::info!(status, code = error.code, "the stream was refused");
    }
    frame("error", &error.body(request_id)["error"].to_string())
}

/// Encodes one event. `data` is compact JSON, which has no line breaks; a line break would end the data.
fn frame(name: &str, data: &str) -> Bytes {
    format!("event: {name}\ndata: {data}\n\n").into()
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use serde_json::json;

    use super::*;

    async fn text(response: Response) -> String {
        String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn events_have_the_server_sent_events_format() {
        let response = stream_events("r".to_owned(), async |events: SseSender| {
            events.send("delta", &json!({ "text": "one\ntwo" })).await.unwrap();
            events.send("done", &json!({})).await.unwrap();
            Ok(())
        });
        let response = response.await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
        let expected = "event: delta\ndata: {\"text\":\"one\\ntwo\"}\n\nevent: done\ndata: {}\n\n";
        assert_eq!(text(response).await, expected);
    }

    #[tokio::test]
    async fn an_error_is_a_response_before_the_first_event_and_an_event_after_it() {
        let refused = stream_events("r".to_owned(), async |_: SseSender| Err(ApiError::not_found("document"))).await;
        assert_eq!(refused.unwrap_err().status.as_u16(), 404);
        let silent = stream_events("r".to_owned(), async |_: SseSender| Ok(())).await;
        assert_eq!(silent.unwrap_err().status.as_u16(), 500, "an answer without events is none");
        for panics in [false, true] {
            let response = stream_events("r-1".to_owned(), async move |events: SseSender| {
                events.send("delta", &json!(1)).await.unwrap();
                assert!(!panics, "as told");
                Err(ApiError::internal())
            });
            let text = text(response.await.unwrap()).await;
            let (_, error) = text.split_once("event: error\ndata: ").unwrap();
            assert!(error.contains(r#""code":"internal""#) && error.contains("r-1"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_disconnected_client_ends_the_wait_and_makes_sending_fail() {
        let (result_sender, send_failed) = tokio::sync::oneshot::channel();
        let response = stream_events("r".to_owned(), async |events: SseSender| {
            events.send("delta", &json!(1)).await.unwrap();
            events.closed().await;
            result_sender.send(events.send("delta", &json!(2)).await.is_err()).unwrap();
            Ok(())
        });
        drop(response.await.unwrap());
        assert!(send_failed.await.unwrap());
    }
}
