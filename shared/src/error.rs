//! The one error that a client sees.
//!
//! Policy: a 4xx says what the caller can do about it, with a stable `code`; a 5xx says nothing of the inside, and its
//! whole chain goes to the log, once, where the response is made (`http::finish`), under the request id that the client
//! got. Domain errors are enums beside their noun and turn into this one by an exhaustive match.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::rate_limits::Standing;

/// What handlers return.
pub type Result<T, E = ApiError> = std::result::Result<T, E>;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// A status, a code for programs, a sentence for people, and the cause for the log.
#[derive(Debug)]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// `snake_case`, stable.
    pub code: &'static str,
    /// One sentence, safe to show.
    pub message: String,
    /// What a program needs beside the code; the fields of a 422.
    pub details: Option<Value>,
    /// Seconds after which a repetition makes sense.
    pub retry_after_s: Option<u32>,
    /// Where the caller's rate limit stands, on a 429.
    pub standing: Option<Standing>,
    /// The cause, for the log alone.
    pub source: Option<Source>,
}

/// One wrong field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// The path of the field, as `items[0].name`.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

impl FieldError {
    /// Makes one.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl ApiError {
    /// An error with a status, a code and a sentence.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), details: None, retry_after_s: None, standing: None, source: None }
    }

    /// 400: the request cannot be read at all.
    pub fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 401: no token, or none that counts. One code for all reasons, so that nothing is learnt by probing.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "a valid bearer token is required")
    }

    /// 403: known, but not allowed.
    pub fn forbidden(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, message)
    }

    /// 405, where a path exists but not with this method.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path does not take this method")
    }

    /// 404: unknown, or somebody else's; the two are never told apart.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("{what} not found"))
    }

    /// 409: right in itself, wrong now.
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// 413: the body is larger than this route takes.
    #[must_use]
    pub fn payload_too_large(limit_bytes: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", "the request body is too large")
            .with_details(json!({ "limit_bytes": limit_bytes }))
    }

    /// 415: another content type is expected.
    pub fn unsupported_media_type(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
    }

    /// 422: read, but some fields are wrong.
    #[must_use]
    pub fn validation(fields: Vec<FieldError>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "validation_failed", "some fields are not valid")
            .with_details(json!(fields))
    }

    /// 422 for one field.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::validation(vec![FieldError::new(field, message)])
    }

    /// 503: something that this depends on is away; the same call may work in a moment.
    #[must_use]
    pub fn unavailable() -> Self {
        let mut error =
            Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "a dependency is down, please try again");
        error.retry_after_s = Some(5);
        error
    }

    /// Whether it is the error of a dependency that is away.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        self.status == StatusCode::SERVICE_UNAVAILABLE
    }

    /// 500.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "something went wrong on our side")
    }

    /// Adds details for programs.
    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }

    /// Adds the cause for the log.
    #[must_use]
    pub fn because(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The body as it is sent; `http::finish` is what knows the request id.
    #[must_use]
    pub fn body(&self, request_id: &str) -> Value {
        json!({
            "success": false,
            "error": {
                "code": self.code,
                "message": self.message,
                "details": self.details,
                "request_id": request_id,
            },
        })
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} {}: {}", self.status.as_u16(), self.code, self.message)
    }
}

impl std::error::Error for ApiError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        // The body is written by the layer that knows the request id; see http::finish.
        response.extensions_mut().insert(std::sync::Arc::new(self));
        response
    }
}

/// PostgreSQL's answers that mean "not now" rather than "not like this".
pub(crate) fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => true,
        sqlx::Error::Database(database) => database.code().is_some_and(|code| {
            // 08 connection, 53 resources, 57 operator intervention (shutdown, statement timeout),
            // 40 serialization and deadlock, 25P03 idle-in-transaction timeout, 55P03 lock timeout.
            ["08", "53", "57", "40"].iter().any(|class| code.starts_with(class))
                || matches!(code.as_ref(), "25P03" | "55P03")
        }),
        _ => false,
    }
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        if is_unavailable(&error) { Self::unavailable().because(error) } else { Self::internal().because(error) }
    }
}

/// The schema of every error body, for openapi.json.
#[derive(Serialize, ToSchema)]
pub struct ErrorBody {
    /// Always false.
    pub success: bool,
    /// What went wrong.
    pub error: ErrorDetail,
}

/// The inside of an error body.
#[derive(Serialize, ToSchema)]
pub struct ErrorDetail {
    /// Stable, for programs.
    #[schema(example = "validation_failed")]
    pub code: String,
    /// One sentence, for people.
    pub message: String,
    /// The fields of a 422, the state of a 402, else null.
    pub details: Option<Value>,
    /// The same as the header `x-request-id`: what to name when asking for help.
    pub request_id: String,
}
