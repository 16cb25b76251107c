//! Route of the changes feed. A call may wait for the next change.

use std::time::Duration;

use axum::{
    extract::{FromRef, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use shared::{
    auth::{Caller, SupportUser, VerificationKeys},
    changes::{self, Change, ChangeCursor},
    db::Db,
    error::{ApiError, FieldError, Result},
    function::{Function, HttpFunction},
    http::Query,
    rate_limits::RateLimits,
    routes,
    settings::Settings,
};
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;

/// The `changes` Lambda function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// Maximum number of changes in a response, and the number by default.
const MAX_LIMIT: i32 = 100;
/// Maximum time in seconds for which a call waits for a change. API Gateway ends a call after 30 s.
const MAX_WAIT_S: u64 = 20;
/// Time between two looks for a change. A look takes an index of the database less than a millisecond.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// The cursor of the present end of the feed.
const NOW: &str = "now";

/// Dependencies of the function.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    db: Db,
    keys: VerificationKeys,
    limits: RateLimits,
}

impl HttpFunction for Deps {
    const NAME: &'static str = "changes";

    fn read(settings: &mut Settings) -> Self {
        let db = Db::read(settings);
        Self { limits: RateLimits::read(settings, &db), keys: VerificationKeys::read(settings), db }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new().routes(routes!(list))
    }
}

/// The query parameters.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ChangesQuery {
    /// `meta.next_cursor` of the response before, or `now` for the present end of the feed. Without it, the feed begins
    /// with the oldest change of the last seven days.
    #[param(min_length = 1, pattern = "^[A-Za-z0-9_-]+$")]
    cursor: Option<String>,
    /// Maximum number of changes.
    #[param(minimum = 1, maximum = 100, default = 100)]
    limit: Option<i32>,
    /// Seconds for which the call waits for a change when there is none yet.
    #[param(minimum = 0, maximum = 20, default = 0)]
    wait: Option<u64>,
}

/// Changes after a cursor.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "success": true,
    "data": [{
        "kind": "order", "id": "3f1d2c4b-0c7e-4a53-8a4e-5d2f9b1c5a69", "version": 4711, "is_deleted": false,
        "at": "2026-11-23T09:30:06Z",
    }],
    "meta": { "next_cursor": "eyJuIjo0NzExLCJ0IjoxNzk1NDI2MjA2fQ", "has_more": false },
}))]
struct Changes {
    /// Always true.
    success: bool,
    /// The changes in their order. An object that changed twice is there twice.
    data: Vec<Change>,
    meta: ChangesMeta,
}

/// Place of the changes in the feed.
#[derive(Debug, Serialize, ToSchema)]
struct ChangesMeta {
    /// Cursor of the next call, valid for seven days.
    next_cursor: String,
    /// True when there may be more changes already.
    has_more: bool,
}

/// The validated query.
struct ChangesRequest {
    /// `None` for the present end.
    cursor: Option<ChangeCursor>,
    limit: i32,
    wait: Duration,
}

impl ChangesQuery {
    fn validate(self) -> Result<ChangesRequest> {
        let (now, mut wrong) = (shared::clock::now(), Vec::new());
        let cursor = match self.cursor.as_deref() {
            None => Some(ChangeCursor::beginning(now)),
            Some(NOW) => None,
            Some(text) => ChangeCursor::decode(text, now)
                .map_err(|error| wrong.push(FieldError::new("cursor", error.to_string())))
                .ok(),
        };
        let limit = self.limit.unwrap_or(MAX_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            wrong.push(FieldError::new("limit", format!("must be between 1 and {MAX_LIMIT}")));
        }
        let wait_s = self.wait.unwrap_or(0);
        if wait_s > MAX_WAIT_S {
            wrong.push(FieldError::new("wait", format!("must be between 0 and {MAX_WAIT_S}")));
        }
        if wrong.is_empty() {
            Ok(ChangesRequest { cursor, limit, wait: Duration::from_secs(wait_s) })
        } else {
            Err(ApiError::validation(wrong))
        }
    }
}

/// Returns what changed in the company after a cursor, each change exactly once. Changes are those of conversations,
/// messages, documents, orders and activities. With `If-None-Match`, the answer is 304 when nothing did. With `wait`, the
/// call waits for a change.
#[utoipa::path(
    get, path = "/api/v1/changes", tag = "changes",
    params(
        ChangesQuery,
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of an earlier response to this address"),
    ),
    responses((status = 200, body = Changes), (status = 304, description = "Nothing has changed")),
)]
async fn list(
    caller: Caller<SupportUser>,
    State(db): State<Db>,
    Query(query): Query<ChangesQuery>,
    headers: HeaderMap,
) -> Result<Response> {
    let request = query.validate()?;
    let deadline = Instant::now() + request.wait;
    let Some(cursor) = request.cursor else {
        let end = db.tenant_tx(caller.tenant(), async |tx| changes::end(tx, shared::clock::now()).await).await?;
        return Ok(respond(&headers, end, Vec::new(), request.limit));
    };
    loop {
        let found =
            db.tenant_tx(caller.tenant(), async |tx| Ok(changes::list(tx, cursor, request.limit).await?)).await?;
        let left = deadline.saturating_duration_since(Instant::now());
        if !found.is_empty() || left.is_zero() {
            return Ok(respond(&headers, cursor, found, request.limit));
        }
        // No connection is held meanwhile.
        tokio::time::sleep(POLL_INTERVAL.min(left)).await;
    }
}

/// Makes the response with the changes after a cursor.
fn respond(headers: &HeaderMap, cursor: ChangeCursor, found: Vec<Change>, limit: i32) -> Response {
    let last = found.last().map_or(cursor.version(), |change| change.version);
    // Weak: the cursor in the body has the time of the response.
    let etag = format!("W/\"{}-{last}\"", cursor.version());
    let is_known = headers.get_all(header::IF_NONE_MATCH).iter().any(|value| {
        let tags = value.to_str().unwrap_or_default().split(',');
        tags.map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag.trim_start_matches("W/"))
    });
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let next_cursor = ChangeCursor::after(last, shared::clock::now()).encode();
        let has_more = i32::try_from(found.len()).unwrap_or(i32::MAX) >= limit;
        axum::Json(Changes { success: true, data: found, meta: ChangesMeta { next_cursor, has_more } }).into_response()
    };
    let headers = response.headers_mut();
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(header::ETAG, etag);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response
}
