//! Server-sent events: an answer that is told while it is made.

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
    logging,
};

/// Events that wait until the client takes them; then whoever sends more waits.
const WAITING: usize = 16;

/// Where the events of one answer go.
#[derive(Debug, Clone)]
pub struct Events(mpsc::Sender<Result<Bytes>>);

/// The client is gone: nobody takes any further event.
#[derive(Debug, thiserror::Error)]
#[error("the client is gone")]
pub struct Gone;

impl Events {
    /// Sends one event, its data as JSON.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn send(&self, name: &str, data: &impl Serialize) -> Result<(), Gone> {
        let frame = match serde_json::to_string(data) {
            Ok(data) => Ok(frame(name, &data)),
            Err(error) => Err(ApiError::internal().because(error)),
        };
        self.0.send(frame).await.map_err(|_gone| Gone)
    }

    /// Waits until the client is gone.
    pub async fn closed(&self) {
        self.0.closed().await;
    }
}

/// Answers with what `work` sends. The answer ends with it, and so, on Lambda, does everything: what must be kept is kept
/// before the last event. A failure before the first event is an answer like any other; afterwards it is an event
/// `error` with what such a body has for `error`.
///
/// A client that goes away does not end the work, which has things to give back: it learns of it by [`Gone`].
///
/// # Errors
/// What the work failed with before its first event.
pub async fn stream<F>(request_id: String, work: impl FnOnce(Events) -> F) -> Result<Response>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let (events, mut sent) = mpsc::channel(WAITING);
    let work = AssertUnwindSafe(work(Events(events.clone()))).catch_unwind();
    let work = async move {
        // The panic's message went to the log by the panic hook.
        if let Err(error) = work.await.unwrap_or_else(|_panic| Err(ApiError::internal())) {
            // Nobody need be told who is gone.
            let _ = events.send(Err(error)).await;
        }
    };
    #[expect(clippy::disallowed_methods, reason = "the response is not over before the work is: it holds its sender")]
    tokio::spawn(work.in_current_span());
    let first = sent.recv().await.unwrap_or_else(|| Err(ApiError::internal()))?;
    let span = tracing::Span::current();
    let rest = stream::unfold(sent, move |mut sent| {
        let (request_id, span) = (request_id.clone(), span.clone());
        async move {
            let frame = sent.recv().await?.unwrap_or_else(|error| {
                let _entered = span.enter();
                told(&error, &request_id)
            });
            Some((frame, sent))
        }
    });
    let frames = futures::StreamExt::chain(stream::iter([first]), rest);
    let frames = futures::StreamExt::map(frames, Ok::<_, std::convert::Infallible>);
    let mut response = Response::new(Body::from_stream(frames));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    // For proxies that would collect the whole.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// Logs the failure, as `layers::finish` does where there is no stream, and words it as an event.
fn told(error: &ApiError, request_id: &str) -> Bytes {
    let status = error.status.as_u16();
    if error.status.is_server_error() {
        tracing::error!(status, code = error.code, error = logging::chain(error), "the stream failed");
    } else {
        tracing::info!(status, code = error.code, "the stream was refused");
    }
    frame("error", &error.body(request_id)["error"].to_string())
}

/// JSON has no line breaks of its own, which would end the data.
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
    async fn events_have_the_shape_that_browsers_read() {
        let response = stream("r".to_owned(), async |events: Events| {
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
    async fn a_failure_is_an_answer_before_the_first_event_and_an_event_after_it() {
        let refused = stream("r".to_owned(), async |_: Events| Err(ApiError::not_found("document"))).await;
        assert_eq!(refused.unwrap_err().status.as_u16(), 404);
        let silent = stream("r".to_owned(), async |_: Events| Ok(())).await;
        assert_eq!(silent.unwrap_err().status.as_u16(), 500, "an answer without events is none");
        for panics in [false, true] {
            let response = stream("r-1".to_owned(), async move |events: Events| {
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
    async fn the_work_learns_that_the_client_is_gone() {
        let (tells, told) = tokio::sync::oneshot::channel();
        let response = stream("r".to_owned(), async |events: Events| {
            events.send("delta", &json!(1)).await.unwrap();
            events.closed().await;
            tells.send(events.send("delta", &json!(2)).await.is_err()).unwrap();
            Ok(())
        });
        drop(response.await.unwrap());
        assert!(told.await.unwrap());
    }
}
