//! The replies of a fake model server.

use std::collections::VecDeque;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{provider_format::ProviderFormat, stream::StreamStep};

/// The reply to one call.
#[derive(Debug, Clone)]
pub enum FakeReply {
    /// A rule-based reply to the prompt (see `rule_based`), streamed word by word when the request asks for a stream.
    RuleBased,
    /// The instructions of the request, word by word, as a model gives them that obeys a hostile message.
    RepeatsInstructions,
    /// A text, preceded by the model's reasoning in the provider's format.
    Text(String),
    /// A tool call.
    Tool {
        /// The name of the tool.
        name: String,
        /// The arguments as the model wrote them; they may be malformed JSON.
        arguments: String,
    },
    /// A text in the pieces of a stream. Without a streaming request, the reply has no text.
    Stream(Vec<StreamStep>),
    /// A text that was truncated at the token limit.
    Truncated(String),
    /// A refusal by the provider's content filter.
    Blocked,
    /// A reply with reasoning only.
    Empty,
    /// Status 200 with a body that is not JSON.
    NotJson,
    /// Status 200 with JSON of another shape.
    OtherJson,
    /// An error in the provider's format.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The retry delay in seconds, in the place where the provider states it.
        retry_after_s: Option<u32>,
    },
    /// Gemini's daily quota is used up. The error states a retry delay of three seconds, which does not help.
    PerDay,
    /// No answer until the client gives up.
    Hang,
}

/// The behaviours that `PUT /_mode` can set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ModelServerMode {
    /// Replies normally.
    #[serde(rename = "ok")]
    Ok,
    /// Never answers.
    #[serde(rename = "hang")]
    Hang,
    /// Answers 429 with a retry delay of 34 s.
    #[serde(rename = "429")]
    RateLimited,
    /// Answers that the daily quota is used up.
    #[serde(rename = "day")]
    PerDay,
    /// Answers 529, overloaded.
    #[serde(rename = "529")]
    Overloaded,
    /// Closes the connection after some words.
    #[serde(rename = "cut")]
    Cut,
    /// Refuses by content filter.
    #[serde(rename = "blocked")]
    Blocked,
    /// Answers 200 with a body that is not JSON.
    #[serde(rename = "malformed")]
    Malformed,
}

impl From<ModelServerMode> for FakeReply {
    fn from(mode: ModelServerMode) -> Self {
        match mode {
            ModelServerMode::Ok => Self::RuleBased,
            ModelServerMode::Hang => Self::Hang,
            ModelServerMode::RateLimited => Self::Refused { status: 429, retry_after_s: Some(34) },
            ModelServerMode::PerDay => Self::PerDay,
            ModelServerMode::Overloaded => Self::Refused { status: 529, retry_after_s: None },
            ModelServerMode::Cut => Self::Stream(vec![StreamStep::Send("One moment, ".to_owned()), StreamStep::Cut]),
            ModelServerMode::Blocked => Self::Blocked,
            ModelServerMode::Malformed => Self::NotJson,
        }
    }
}

/// The queued replies and the default reply.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) queue: VecDeque<FakeReply>,
    pub(super) default: FakeReply,
}

impl Default for Script {
    fn default() -> Self {
        Self { queue: VecDeque::new(), default: FakeReply::Text("The documents say so [1].".to_owned()) }
    }
}

impl Script {
    pub(super) fn next(&mut self) -> FakeReply {
        self.queue.pop_front().unwrap_or_else(|| self.default.clone())
    }

    /// Takes the next reply if it is an error, and leaves replies of language models in the queue.
    pub(super) fn next_refusal(&mut self) -> Option<FakeReply> {
        let is_refusal = |reply: &mut FakeReply| {
            matches!(
                reply,
                FakeReply::Refused { .. }
                    | FakeReply::PerDay
                    | FakeReply::NotJson
                    | FakeReply::OtherJson
                    | FakeReply::Hang
            )
        };
        self.queue.pop_front_if(is_refusal)
    }
}

impl FakeReply {
    pub(super) fn response(self, shape: ProviderFormat, request: &Value) -> Response {
        let body = match self {
            Self::NotJson => return "<html>busy</html>".into_response(),
            Self::OtherJson => json!({ "status": "fine" }),
            Self::PerDay => return refused(shape, 429, Some(3), true),
            Self::Refused { status, retry_after_s } => return refused(shape, status, retry_after_s, false),
            reply => shape.reply(&reply, request),
        };
        Json(body).into_response()
    }
}

fn refused(shape: ProviderFormat, status: u16, retry_after_s: Option<u32>, is_per_day: bool) -> Response {
    let body = shape.refusal(status, retry_after_s, is_per_day);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Json(body)).into_response();
    if let Some(seconds) = retry_after_s.filter(|_| !shape.is_gemini()) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
