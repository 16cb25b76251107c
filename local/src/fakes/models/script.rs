//! What a fake model server says, in the shape of whoever is asked.

use std::collections::VecDeque;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

/// What the server says to one call.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A text.
    Text(String),
    /// A call of a tool, whose arguments may be broken JSON.
    Tool {
        /// The tool.
        name: String,
        /// Its arguments, as the model wrote them.
        arguments: String,
    },
    /// A text that broke off because it grew too long.
    Cut(String),
    /// The filter declined.
    Blocked,
    /// A reply without anything in it.
    Empty,
    /// Status 200, and a body that is not JSON.
    NotJson,
    /// Status 200, and JSON of another shape.
    OtherJson,
    /// A refusal; null as the body means that of the provider for this status.
    Status {
        /// The HTTP status.
        status: u16,
        /// The body.
        body: Value,
        /// The header `retry-after`.
        retry_after_s: Option<u32>,
    },
    /// No answer at all, as long as the client waits.
    Hang,
}

/// Replies to come, and the one that is given when there are no more.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) queue: VecDeque<Reply>,
    pub(super) default: Reply,
}

impl Default for Script {
    fn default() -> Self {
        Self { queue: VecDeque::new(), default: Reply::Text("The documents say so [1].".to_owned()) }
    }
}

impl Script {
    pub(super) fn next(&mut self) -> Reply {
        self.queue.pop_front().unwrap_or_else(|| self.default.clone())
    }
}

/// Whose shape an answer has.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    OpenAi,
}

impl Shape {
    pub(super) fn of(_path: &str) -> Self {
        Self::OpenAi
    }
}

impl Reply {
    pub(super) fn response(self, shape: Shape, request: &Value) -> Response {
        match self {
            Self::NotJson => "<html>busy</html>".into_response(),
            Self::OtherJson => Json(json!({ "status": "fine" })).into_response(),
            Self::Status { status, body, retry_after_s } => {
                let body = if body.is_null() { refusal(shape, status) } else { body };
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let mut response = (status, Json(body)).into_response();
                if let Some(seconds) = retry_after_s {
                    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
                }
                response
            }
            said => match shape {
                Shape::OpenAi => Json(openai(&said, request)).into_response(),
            },
        }
    }
}

fn openai(said: &Reply, request: &Value) -> Value {
    let message = |content: Value| json!({ "role": "assistant", "content": content });
    let (message, ending) = match said {
        Reply::Text(text) => (message(json!(text)), "stop"),
        Reply::Cut(text) => (message(json!(text)), "length"),
        Reply::Blocked => (message(Value::Null), "content_filter"),
        Reply::Tool { name, arguments } => {
            let mut message = message(Value::Null);
            let function = json!({ "name": name, "arguments": arguments });
            message["tool_calls"] = json!([{ "id": "call_1", "type": "function", "function": function }]);
            (message, "tool_calls")
        }
        _ => (message(json!("")), "stop"),
    };
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_795_000_000, "model": request["model"],
        "choices": [{ "index": 0, "message": message, "logprobs": null, "finish_reason": ending }],
        "usage": { "prompt_tokens": 120, "completion_tokens": 30, "total_tokens": 150 },
    })
}

fn refusal(shape: Shape, status: u16) -> Value {
    match shape {
        Shape::OpenAi => {
            let code = (status == 404).then_some("model_not_found");
            json!({ "error": { "message": "no", "type": "error", "param": null, "code": code } })
        }
    }
}
