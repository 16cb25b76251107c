//! The error type of all HTTP handlers.
//!
//! Policy: a 4xx tells the caller what to do about it and has a stable `code`. A 5xx tells the caller nothing about
//! the inside. Its whole error chain is logged once, where the response is made (`http::layers::finish`), under the
//! request id that the client got. Each domain module has its own error enum, which converts into [`ApiError`] by an
//! exhaustive match.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

/// Maximum size of a file that is uploaded in two steps, in MiB.
pub const MAX_UPLOAD_MIB: usize = 20;
/// Beginnings of the paths that other services call.
const WEBHOOK_PATHS: [&str; 2] = ["/api/v1/webhook/", "/api/v1/webhooks/"];

/// Content encodings of a request body, in the form of the header `Accept-Encoding`.
const ACCEPTED_ENCODINGS: &str = "gzip, identity";

/// The result of a handler.
pub type Result<T, E = ApiError> = std::result::Result<T, E>;

/// An error of start-up or of an event. The code that runs the function logs its whole chain.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An error response: status, code for programs, sentence for people, and cause for the log.
#[derive(Debug)]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// The error code for programs: `snake_case`, stable.
    pub code: &'static str,
    /// One sentence for people, safe to show.
    pub message: String,
    /// Data for programs besides the code, for example the wrong fields of a 422.
    pub details: Option<Value>,
    /// Value of the header `Retry-After`, in seconds.
    pub retry_after_s: Option<u32>,
    /// State of the caller's rate limit, on a 429.
    pub rate_limit_status: Option<RateLimitStatus>,
    /// The cause. It is only logged, never sent.
    pub source: Option<BoxError>,
}

/// State of a caller's rate limit after a call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateLimitStatus {
    /// True when this call is within the limit.
    pub allowed: bool,
    /// Calls allowed per minute.
    pub limit: u32,
    /// Calls left now.
    pub remaining: u32,
    /// Seconds until the window ends; not before the next call is allowed.
    pub reset_s: u32,
    /// Seconds until the next call is allowed; 0 when this one is.
    pub retry_after_s: u32,
}

/// One wrong field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Path of the field, for example `items[0].name`.
    pub field: String,
    /// The rule that the field breaks, for example `is required`.
    pub message: String,
}

impl FieldError {
    /// An error of `field` with a message.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl ApiError {
    /// An error with a status, a code and a sentence.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            details: None,
            retry_after_s: None,
            rate_limit_status: None,
            source: None,
        }
    }

    /// 400: the request cannot be parsed.
    pub fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 401: no token, or an invalid one. All reasons but one have one code, so that probing reveals nothing.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "a valid bearer token is required")
    }

    /// 401: the token was valid and has expired. The code tells a client to exchange its refresh token.
    #[must_use]
    pub fn token_expired() -> Self {
        let message = "the access token has expired: exchange the refresh token for a new one";
        Self::new(StatusCode::UNAUTHORIZED, "token_expired", message)
    }

    /// 403: the caller is identified, but not allowed to do this.
    pub fn forbidden(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, message)
    }

    /// 405: the path exists, but not with this method.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path does not take this method")
    }

    /// 404: `what` does not exist or belongs to another tenant. The response never distinguishes the two cases.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("{what} not found"))
    }

    /// 409: the request is valid, but conflicts with the current state.
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// 410: the object existed and can no longer be used. The code tells why.
    pub fn gone(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, code, message)
    }

    /// 413: the body is larger than `limit_bytes`. Every 413 but those of webhooks has this form. It names the limit, and
    /// the way for a larger file.
    #[must_use]
    pub fn payload_too_large(limit_bytes: usize) -> Self {
        let message = format!(
            "the request body is larger than {limit_bytes} bytes: a PDF of up to {MAX_UPLOAD_MIB} MiB is uploaded in two \
             steps, which details.upload names"
        );
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", message).with_details(json!({
            "limit_bytes": limit_bytes,
            "upload": {
                "method": "POST",
                "path": "/api/v1/documents/upload",
                "max_bytes": MAX_UPLOAD_MIB * 1024 * 1024,
                "steps": "send filename and size_bytes as JSON, then PUT the file to the returned upload.url with its headers",
            },
        }))
    }

    /// 413 for the route `path`: the body is larger than `limit_bytes`. Who calls a webhook has no file to upload, so it is
    /// told the limit only.
    #[must_use]
    pub fn payload_too_large_at(path: &str, limit_bytes: usize) -> Self {
        if !WEBHOOK_PATHS.iter().any(|beginning| path.starts_with(beginning)) {
            return Self::payload_too_large(limit_bytes);
        }
        let message = format!("the request body is larger than {limit_bytes} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", message)
            .with_details(json!({ "limit_bytes": limit_bytes }))
    }

    /// 415: the content type is not the expected one.
    pub fn unsupported_media_type(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
    }

    /// 415: the body is compressed in a way that is not read. The response has the header `Accept-Encoding`.
    #[must_use]
    pub fn unsupported_encoding() -> Self {
        Self::unsupported_media_type("the content encoding must be gzip or identity")
            .with_details(json!({ "accept_encoding": ACCEPTED_ENCODINGS }))
    }

    /// 422: the request was parsed, but `fields` are not valid.
    #[must_use]
    pub fn validation(fields: Vec<FieldError>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "validation_failed", "some fields are not valid")
            .with_details(json!(fields))
    }

    /// 422 with one wrong field.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::validation(vec![FieldError::new(field, message)])
    }

    /// 503: a dependency is down. `Retry-After` is 5 s.
    #[must_use]
    pub fn unavailable() -> Self {
        let mut error =
            Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "a dependency is down, please try again");
        error.retry_after_s = Some(5);
        error
    }

    /// Returns true for a 503, the error of a dependency that is down.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        self.status == StatusCode::SERVICE_UNAVAILABLE
    }

    /// 500: a defect or an unexpected answer of a dependency.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "something went wrong on our side")
    }

    /// Sets the details for programs.
    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }

    /// Sets the cause, which is only logged.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The JSON body of the response. Called by `http::layers::finish`, which has the request id.
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
        if self.details.as_ref().is_some_and(|details| details["accept_encoding"].is_string()) {
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(ACCEPTED_ENCODINGS));
        }
        // `http::layers::finish` takes the error from the extensions and writes the body, because it has the request
        // id.
        response.extensions_mut().insert(std::sync::Arc::new(self));
        response
    }
}

/// Returns true for database errors that a later attempt may not meet: no connection, overload, timeouts, conflicts
/// with other transactions.
pub(crate) fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => true,
        sqlx::Error::Database(database) => database.code().is_some_and(|code| {
            // SQLSTATE classes: 08 connection, 53 insufficient resources, 57 operator intervention (shutdown,
            // statement timeout), 40 serialization failure and deadlock. Codes: 25P03 idle-in-transaction timeout,
            // 55P03 lock timeout.
            ["08", "53", "57", "40"].iter().any(|class| code.starts_with(class))
                || matches!(code.as_ref(), "25P03" | "55P03")
        }),
        _ => false,
    }
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        if is_unavailable(&error) {
            Self::unavailable().with_source(error)
        } else {
            Self::internal().with_source(error)
        }
    }
}

/// The body of every error response.
#[derive(Serialize, ToSchema)]
pub struct ErrorBody {
    /// Always false.
    pub success: bool,
    /// The error.
    pub error: ErrorDetail,
}

/// The error of an error response.
#[derive(Serialize, ToSchema)]
pub struct ErrorDetail {
    /// Error code for programs; stable.
    #[schema(example = "validation_failed")]
    pub code: String,
    /// One sentence for people.
    pub message: String,
    /// The wrong fields of a 422, the quota or plan limit of a 402, the size limit and the two-step upload of a
    /// 413; otherwise null.
    pub details: Option<Value>,
    /// Id of the request, equal to the header `x-request-id`. Quote it when asking for support.
    pub request_id: String,
}
