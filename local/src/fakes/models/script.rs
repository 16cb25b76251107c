//! What a fake model server says.

use std::collections::VecDeque;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{shape::Shape, stream::Step};

/// What the server says to one call.
#[derive(Debug, Clone)]
pub enum Reply {
    /// What a small model would say to the prompt, word by word where that is asked for.
    Talk,
    /// A text. What the model thought before it comes along, in the provider's own place.
    Text(String),
    /// A call of a tool, whose arguments may be broken JSON.
    Tool {
        /// The tool.
        name: String,
        /// Its arguments, as the model wrote them.
        arguments: String,
    },
    /// A text that comes bit by bit, where that is asked for; without an answer where it is not.
    Steps(Vec<Step>),
    /// A text that broke off because it grew too long.
    Cut(String),
    /// The filter declined.
    Blocked,
    /// A reply without anything in it but thoughts.
    Empty,
    /// Status 200, and a body that is not JSON.
    NotJson,
    /// Status 200, and JSON of another shape.
    OtherJson,
    /// A refusal as the provider words it; how long to wait stands where it puts that.
    Refused {
        /// The HTTP status.
        status: u16,
        /// How long to wait.
        retry_after_s: Option<u32>,
    },
    /// Gemini's quota of a day; its advice to come back in three seconds is no good.
    PerDay,
    /// No answer at all, as long as the client waits.
    Hang,
}

/// How a server behaves, as `PUT /_mode` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Mode {
    /// It talks.
    #[serde(rename = "ok")]
    Ok,
    /// It never answers.
    #[serde(rename = "hang")]
    Hang,
    /// It limits the rate of calls, for half a minute.
    #[serde(rename = "429")]
    RateLimited,
    /// The quota of the day is used up.
    #[serde(rename = "day")]
    PerDay,
    /// It is overloaded.
    #[serde(rename = "529")]
    Overloaded,
    /// It breaks off after some words.
    #[serde(rename = "cut")]
    Cut,
    /// It declines.
    #[serde(rename = "blocked")]
    Blocked,
    /// It answers with something that is not JSON.
    #[serde(rename = "malformed")]
    Malformed,
}

impl From<Mode> for Reply {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Ok => Self::Talk,
            Mode::Hang => Self::Hang,
            Mode::RateLimited => Self::Refused { status: 429, retry_after_s: Some(34) },
            Mode::PerDay => Self::PerDay,
            Mode::Overloaded => Self::Refused { status: 529, retry_after_s: None },
            Mode::Cut => Self::Steps(vec![Step::Say("One moment, ".to_owned()), Step::Cut]),
            Mode::Blocked => Self::Blocked,
            Mode::Malformed => Self::NotJson,
        }
    }
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

    /// The next reply, if it is none that a model for texts gives.
    pub(super) fn next_refusal(&mut self) -> Option<Reply> {
        let is_refusal = |reply: &mut Reply| {
            matches!(reply, Reply::Refused { .. } | Reply::PerDay | Reply::NotJson | Reply::OtherJson | Reply::Hang)
        };
        self.queue.pop_front_if(is_refusal)
    }
}

impl Reply {
    pub(super) fn response(self, shape: Shape, request: &Value) -> Response {
        let body = match self {
            Self::NotJson => return "<html>busy</html>".into_response(),
            Self::OtherJson => json!({ "status": "fine" }),
            Self::PerDay => return refused(shape, 429, Some(3), true),
            Self::Refused { status, retry_after_s } => return refused(shape, status, retry_after_s, false),
            said => shape.reply(&said, request),
        };
        Json(body).into_response()
    }
}

fn refused(shape: Shape, status: u16, retry_after_s: Option<u32>, is_per_day: bool) -> Response {
    let body = shape.refusal(status, retry_after_s, is_per_day);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Json(body)).into_response();
    if let Some(seconds) = retry_after_s.filter(|_| !shape.is_gemini()) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
