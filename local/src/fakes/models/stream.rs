//! Streamed replies, as server-sent events of each provider.

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

use super::{FakeReply, ModelServer, ModelServerState, provider_format::ProviderFormat};

/// One step of a streamed reply.
#[derive(Debug, Clone)]
pub enum StreamStep {
    /// Sends a piece of the text.
    Send(String),
    /// Waits for [`super::FakeModels::resume`].
    Wait,
    /// Waits, so that a person can watch the stream.
    Pause(Duration),
    /// Sends an error with this status in the provider's format, and ends.
    Fail(u16),
    /// Closes the connection without an end event.
    Cut,
    /// Ends the body early, without an end event.
    Stop,
}

/// True when the request asks for a stream.
pub(super) fn wants_stream(path: &str, request: &Value) -> bool {
    path.contains(":streamGenerateContent?alt=sse") || request["stream"] == true
}

/// The steps of a reply; `None` for replies that are HTTP errors or not a model's.
pub(super) fn steps(reply: &FakeReply) -> Option<Vec<StreamStep>> {
    let words = |text: &str| text.split_inclusive(' ').map(|word| StreamStep::Send(word.to_owned())).collect();
    match reply {
        FakeReply::Stream(steps) => Some(steps.clone()),
        FakeReply::Text(text) | FakeReply::Truncated(text) => Some(words(text)),
        FakeReply::Blocked | FakeReply::Empty | FakeReply::Tool { .. } => Some(Vec::new()),
        _ => None,
    }
}

/// One action of the response body.
enum StreamAction {
    Send(String),
    Wait,
    Pause(Duration),
    Cut,
}

/// Builds the streamed response from the steps of a reply.
pub(super) fn response(
    shared: &Arc<ModelServer>,
    shape: ProviderFormat,
    reply: &FakeReply,
    steps: Vec<StreamStep>,
    request: &Value,
) -> Response {
    let mut actions: VecDeque<_> = begin(shape, request).into_iter().map(StreamAction::Send).collect();
    let is_broken = steps.iter().any(|step| matches!(step, StreamStep::Fail(_) | StreamStep::Cut | StreamStep::Stop));
    actions.extend(steps.into_iter().filter_map(|step| match step {
        StreamStep::Send(text) => Some(StreamAction::Send(piece(shape, &text))),
        StreamStep::Wait => Some(StreamAction::Wait),
        StreamStep::Pause(pause) => Some(StreamAction::Pause(pause)),
        StreamStep::Fail(status) => Some(StreamAction::Send(failure(shape, status))),
        StreamStep::Cut => Some(StreamAction::Cut),
        StreamStep::Stop => None,
    }));
    if !is_broken {
        actions.extend(end(shape, reply, request).into_iter().map(StreamAction::Send));
    }
    let open = UnfinishedStream { shared: Arc::clone(shared), is_done: false };
    let frames = stream::unfold((actions, open), async |(mut actions, mut open)| {
        loop {
            let frame = match actions.pop_front() {
                Some(StreamAction::Wait) => {
                    // The semaphore is never closed.
                    if let Ok(permit) = open.shared.resume_permits.acquire().await {
                        permit.forget();
                    }
                    continue;
                }
                Some(StreamAction::Pause(pause)) => {
                    tokio::time::sleep(pause).await;
                    continue;
                }
                Some(StreamAction::Send(frame)) => Ok(frame),
                Some(StreamAction::Cut) => {
                    open.is_done = true;
                    // Lets the frames sent before go out.
                    tokio::task::yield_now().await;
                    Err(io::Error::other("cut, as the script says"))
                }
                None => {
                    open.is_done = true;
                    return None;
                }
            };
            return Some((frame, (actions, open)));
        }
    });
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(frames)).into_response()
}

/// An unfinished stream. Dropping it before its end counts as an abandoned reply.
struct UnfinishedStream {
    shared: Arc<ModelServer>,
    is_done: bool,
}

impl UnfinishedStream {
    fn inner(&self) -> MutexGuard<'_, ModelServerState> {
        self.shared.inner()
    }
}

impl Drop for UnfinishedStream {
    fn drop(&mut self) {
        if !self.is_done {
            self.inner().abandoned += 1;
            self.shared.changed.notify_waiters();
        }
    }
}

fn data(data: &Value) -> String {
    format!("data: {data}\n\n")
}

/// A server-sent event with a name, as Anthropic sends it.
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
    // Google ends lines with CR LF.
    let event = json!({ "candidates": [candidate], "usageMetadata": usage, "modelVersion": "fake" });
    format!("data: {event}\r\n\r\n")
}

fn begin(shape: ProviderFormat, request: &Value) -> Vec<String> {
    match shape {
        ProviderFormat::Gemini => vec![candidate(&json!([{ "text": "**Considering** [9]", "thought": true }]), None)],
        ProviderFormat::Anthropic => {
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

fn piece(shape: ProviderFormat, text: &str) -> String {
    match shape {
        ProviderFormat::Gemini => candidate(&json!([{ "text": text }]), None),
        ProviderFormat::Anthropic => named(&json!({ "type": "content_block_delta", "index": 1,
            "delta": { "type": "text_delta", "text": text } })),
        _ => chunk(&json!({ "content": text }), None),
    }
}

fn failure(shape: ProviderFormat, status: u16) -> String {
    let body = shape.refusal(status, None, false);
    if shape == ProviderFormat::Anthropic { named(&body) } else { data(&body) }
}

fn end(shape: ProviderFormat, reply: &FakeReply, request: &Value) -> Vec<String> {
    let whole = shape.reply(reply, request);
    match shape {
        // A candidate without text carries the finish reason. A blocked prompt has no candidate.
        ProviderFormat::Gemini => match whole["candidates"][0]["finishReason"].as_str() {
            Some(ending) => vec![candidate(&json!([{ "text": "" }]), Some(ending))],
            None => vec![data(&whole)],
        },
        ProviderFormat::Anthropic => vec![
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
