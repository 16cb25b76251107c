//! Replies that come bit by bit, as server-sent events of each provider.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, MutexGuard},
    time::Duration,
};

use axum::{
    body::Body,
    http::header,
    response::{IntoResponse, Response},
};
use futures::stream;
use serde_json::{Value, json};

use super::{Inner, Reply, Shared, shape::Shape};

/// What a reply does next.
#[derive(Debug, Clone)]
pub enum Step {
    /// Says a piece of its text.
    Say(String),
    /// Waits for one `go_on` of the server.
    Wait,
    /// Waits so long, for those who watch.
    Pause(Duration),
    /// Fails in its middle, as the provider words it, and ends.
    Fail(u16),
    /// Closes the connection without an end.
    Cut,
    /// Ends too early, as if that were all.
    Stop,
}

/// Whether this reply is asked for bit by bit.
pub(super) fn is_wanted(path: &str, request: &Value) -> bool {
    path.contains(":streamGenerateContent?alt=sse") || request["stream"] == true
}

/// The steps of a reply that would otherwise come at once; `None` for one that is none of a model's.
pub(super) fn steps(reply: &Reply) -> Option<Vec<Step>> {
    let words = |text: &str| text.split_inclusive(' ').map(|word| Step::Say(word.to_owned())).collect();
    match reply {
        Reply::Steps(steps) => Some(steps.clone()),
        Reply::Text(text) | Reply::Cut(text) => Some(words(text)),
        Reply::Blocked | Reply::Empty | Reply::Tool { .. } => Some(Vec::new()),
        _ => None,
    }
}

/// One frame to send, or something else to do.
enum Act {
    Send(String),
    Wait,
    Pause(Duration),
    Cut,
}

/// Answers with the steps of a reply.
pub(super) fn response(
    shared: &Arc<Shared>,
    shape: Shape,
    reply: &Reply,
    steps: Vec<Step>,
    request: &Value,
) -> Response {
    let mut acts: VecDeque<_> = begin(shape, request).into_iter().map(Act::Send).collect();
    let is_broken = steps.iter().any(|step| matches!(step, Step::Fail(_) | Step::Cut | Step::Stop));
    acts.extend(steps.into_iter().filter_map(|step| match step {
        Step::Say(text) => Some(Act::Send(piece(shape, &text))),
        Step::Wait => Some(Act::Wait),
        Step::Pause(pause) => Some(Act::Pause(pause)),
        Step::Fail(status) => Some(Act::Send(failure(shape, status))),
        Step::Cut => Some(Act::Cut),
        Step::Stop => None,
    }));
    if !is_broken {
        acts.extend(end(shape, reply, request).into_iter().map(Act::Send));
    }
    let open = Open { shared: Arc::clone(shared), is_done: false };
    let frames = stream::unfold((acts, open), async |(mut acts, mut open)| {
        loop {
            let frame = match acts.pop_front() {
                Some(Act::Wait) => {
                    // It is never closed.
                    if let Ok(permit) = open.shared.goes_on.acquire().await {
                        permit.forget();
                    }
                    continue;
                }
                Some(Act::Pause(pause)) => {
                    tokio::time::sleep(pause).await;
                    continue;
                }
                Some(Act::Send(frame)) => Ok(frame),
                Some(Act::Cut) => {
                    open.is_done = true;
                    // What was said before goes out while this waits.
                    tokio::task::yield_now().await;
                    Err(io::Error::other("cut, as the script says"))
                }
                None => {
                    open.is_done = true;
                    return None;
                }
            };
            return Some((frame, (acts, open)));
        }
    });
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(frames)).into_response()
}

/// A reply that has not ended; a client that goes away before counts as one that abandoned it.
struct Open {
    shared: Arc<Shared>,
    is_done: bool,
}

impl Open {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.shared.inner()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.is_done {
            self.inner().abandoned += 1;
            self.shared.arrived.notify_waiters();
        }
    }
}

fn data(data: &Value) -> String {
    format!("data: {data}\n\n")
}

/// Anthropic names its events, too.
fn named(event: &Value) -> String {
    format!("event: {}\n{}", event["type"].as_str().unwrap_or_default(), data(event))
}

fn chunk(delta: &Value, ending: Option<&str>) -> String {
    let choice = json!({ "index": 0, "delta": delta, "logprobs": null, "finish_reason": ending });
    data(&json!({ "id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "m", "choices": [choice] }))
}

fn candidate(parts: &Value, ending: Option<&str>) -> String {
    let mut candidate = json!({ "content": { "role": "model", "parts": parts }, "index": 0 });
    if let Some(ending) = ending {
        candidate["finishReason"] = json!(ending);
    }
    let usage = json!({ "promptTokenCount": 120, "candidatesTokenCount": 20, "thoughtsTokenCount": 10,
        "totalTokenCount": 150 });
    // With the line ends that Google sends.
    let event = json!({ "candidates": [candidate], "usageMetadata": usage, "modelVersion": "fake" });
    format!("data: {event}\r\n\r\n")
}

fn begin(shape: Shape, request: &Value) -> Vec<String> {
    match shape {
        Shape::Gemini => vec![candidate(&json!([{ "text": "**Considering** [9]", "thought": true }]), None)],
        Shape::Anthropic => {
            let usage = json!({ "input_tokens": 100, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 20,
                "output_tokens": 1 });
            let message = json!({ "id": "msg_1", "type": "message", "role": "assistant", "content": [],
                "model": request["model"], "stop_reason": null, "stop_sequence": null, "usage": usage });
            let delta = json!({ "type": "thinking_delta", "thinking": "Considering [9]" });
            vec![
                named(&json!({ "type": "message_start", "message": message })),
                named(&json!({ "type": "content_block_start", "index": 0,
                    "content_block": { "type": "thinking", "thinking": "", "signature": "" } })),
                named(&json!({ "type": "ping" })),
                named(&json!({ "type": "content_block_delta", "index": 0, "delta": delta })),
                named(&json!({ "type": "content_block_stop", "index": 0 })),
                named(&json!({ "type": "content_block_start", "index": 1,
                    "content_block": { "type": "text", "text": "" } })),
            ]
        }
        _ => vec![
            ": PROCESSING\n\n".to_owned(),
            chunk(&json!({ "role": "assistant", "content": "" }), None),
            chunk(
                &json!({ "content": null, "reasoning_content": "Considering [9]", "reasoning": "Considering [9]" }),
                None,
            ),
        ],
    }
}

fn piece(shape: Shape, text: &str) -> String {
    match shape {
        Shape::Gemini => candidate(&json!([{ "text": text }]), None),
        Shape::Anthropic => named(&json!({ "type": "content_block_delta", "index": 1,
            "delta": { "type": "text_delta", "text": text } })),
        _ => chunk(&json!({ "content": text }), None),
    }
}

fn failure(shape: Shape, status: u16) -> String {
    let body = shape.refusal(status, None, false);
    if shape == Shape::Anthropic { named(&body) } else { data(&body) }
}

fn end(shape: Shape, reply: &Reply, request: &Value) -> Vec<String> {
    let whole = shape.reply(reply, request);
    match shape {
        // The whole reply without its text is how one ends, and how a prompt is blocked.
        Shape::Gemini => match whole["candidates"][0]["finishReason"].as_str() {
            Some(ending) => vec![candidate(&json!([{ "text": "" }]), Some(ending))],
            None => vec![data(&whole)],
        },
        Shape::Anthropic => vec![
            named(&json!({ "type": "content_block_stop", "index": 1 })),
            named(&json!({ "type": "message_delta", "usage": { "output_tokens": 30 },
                "delta": { "stop_reason": whole["stop_reason"], "stop_sequence": null } })),
            named(&json!({ "type": "message_stop" })),
        ],
        _ => {
            let mut frames = vec![chunk(&json!({}), whole["choices"][0]["finish_reason"].as_str())];
            if request["stream_options"]["include_usage"] == true {
                frames.push(data(&json!({ "id": "chatcmpl-1", "choices": [], "usage": whole["usage"] })));
            }
            frames.push("data: [DONE]\n\n".to_owned());
            frames
        }
    }
}
