//! `GET /openapi.json` and `GET /docs`: what the API is, for programs and for people. Both are compiled in; nothing is
//! read, and nothing is counted.

use std::sync::LazyLock;

use axum::{
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};
use shared::{
    auth::Open,
    function::{Function, HttpFunction},
    routes,
    settings::Settings,
};
use utoipa_axum::router::OpenApiRouter;

/// The function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// A test holds the file against the code.
const OPENAPI: &str = include_str!("../../../openapi.json");
const HTML: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// A deployment is seen within minutes, and asked for with an `If-None-Match` that costs nothing.
const CACHE: &str = "public, max-age=300";

static DOCUMENT: LazyLock<Asset> = LazyLock::new(|| Asset::new("application/json", OPENAPI.to_owned()));
static PAGE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("text/html; charset=utf-8", HTML.replace("{style}", STYLE).replace("{script}", SCRIPT))
});

/// Only the page's own script and style, by their hashes, and only this API: an answer that is shown can neither run
/// anything nor tell the token to anybody.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; img-src data:; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        hash(SCRIPT),
        hash(STYLE),
    )
});

/// It needs nothing.
#[derive(Debug, Clone)]
pub struct Deps;

impl HttpFunction for Deps {
    const NAME: &'static str = "docs";

    fn read(_: &mut Settings) -> Self {
        Self
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new().routes(routes!(document)).routes(routes!(page))
    }
}

/// This document: OpenAPI 3.1.
#[utoipa::path(
    get, path = "/openapi.json", tag = "docs",
    responses(
        (status = 200, description = "The document", body = Object),
        (status = 304, description = "Unchanged since the `ETag` in `If-None-Match`"),
    ),
)]
async fn document(_: Open, headers: HeaderMap) -> Response {
    DOCUMENT.answer(&headers)
}

/// A page to read and try the API.
#[utoipa::path(
    get, path = "/docs", tag = "docs",
    responses(
        (status = 200, description = "The page", body = String, content_type = "text/html"),
        (status = 304, description = "Unchanged since the `ETag` in `If-None-Match`"),
    ),
)]
async fn page(_: Open, headers: HeaderMap) -> Response {
    const NO_REFERRER: (HeaderName, &str) = (header::REFERRER_POLICY, "no-referrer");
    ([(header::CONTENT_SECURITY_POLICY, POLICY.as_str()), NO_REFERRER], PAGE.answer(&headers)).into_response()
}

/// A file as it is served.
struct Asset {
    kind: &'static str,
    body: String,
    etag: String,
}

impl Asset {
    fn new(kind: &'static str, body: String) -> Self {
        Self { kind, etag: format!("\"{}\"", hash(&body)), body }
    }

    fn answer(&self, headers: &HeaderMap) -> Response {
        let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let caching = [(header::ETAG, self.etag.as_str()), (header::CACHE_CONTROL, CACHE)];
        // Caches on the way may have weakened it.
        if known.split(',').any(|tag| tag.trim().trim_start_matches("W/") == self.etag) {
            return (StatusCode::NOT_MODIFIED, caching).into_response();
        }
        (caching, [(header::CONTENT_TYPE, self.kind)], self.body.clone()).into_response()
    }
}

/// As a Content-Security-Policy names it.
fn hash(text: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(text)))
}
