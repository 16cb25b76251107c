//! `GET /openapi.json` and `GET /docs`: the API's documentation for programs and for people. Both files are compiled
//! in. The handlers use no database and have no rate limit.

use std::sync::LazyLock;

use axum::{
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};
use shared::{
    auth::Unmetered,
    function::{Function, HttpFunction},
    routes,
    settings::Settings,
};
use utoipa_axum::router::OpenApiRouter;

/// The `docs` Lambda function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// The OpenAPI document. A test compares the file with the code.
const OPENAPI: &str = include_str!("../../../openapi.json");
const HTML: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// `Cache-Control`: clients see a new deployment within 5 minutes, and revalidate an old copy with `If-None-Match`.
const CACHE_CONTROL: &str = "public, max-age=300";

static DOCUMENT: LazyLock<Asset> = LazyLock::new(|| Asset::new("application/json", OPENAPI.to_owned()));
static PAGE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("text/html; charset=utf-8", HTML.replace("{style}", STYLE).replace("{script}", SCRIPT))
});

/// `Content-Security-Policy` of the page. It allows only the page's own script and style, by their hashes, and
/// requests only to this API. So an API response that the page shows can neither run code nor send the token
/// elsewhere.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; img-src data:; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        hash(SCRIPT),
        hash(STYLE),
    )
});

/// The dependencies of the handlers: none.
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

/// Returns this OpenAPI 3.1 document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "docs",
    responses(
        (
            status = 200, description = "The document", body = Object,
            example = json!({ "openapi": "3.1.0", "info": { "title": "Lisa", "version": "0.1.0" }, "paths": {} }),
        ),
        (status = 304, description = "Unchanged since the `ETag` in `If-None-Match`"),
    ),
)]
async fn document(_: Unmetered, headers: HeaderMap) -> Response {
    DOCUMENT.respond(&headers)
}

/// Returns a web page to read and try the API.
#[utoipa::path(
    get, path = "/docs", tag = "docs",
    responses(
        (
            status = 200, description = "The page", body = String, content_type = "text/html",
            example = "<!doctype html><html lang=\"en\">…</html>",
        ),
        (status = 304, description = "Unchanged since the `ETag` in `If-None-Match`"),
    ),
)]
async fn page(_: Unmetered, headers: HeaderMap) -> Response {
    const NO_REFERRER: (HeaderName, &str) = (header::REFERRER_POLICY, "no-referrer");
    ([(header::CONTENT_SECURITY_POLICY, POLICY.as_str()), NO_REFERRER], PAGE.respond(&headers)).into_response()
}

/// A compiled-in file with its response headers.
struct Asset {
    content_type: &'static str,
    body: String,
    etag: String,
}

impl Asset {
    fn new(content_type: &'static str, body: String) -> Self {
        Self { content_type, etag: format!("\"{}\"", hash(&body)), body }
    }

    /// Returns 304 when `If-None-Match` has the file's `ETag`, otherwise the file.
    fn respond(&self, headers: &HeaderMap) -> Response {
        let if_none_match =
            headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let caching = [(header::ETAG, self.etag.as_str()), (header::CACHE_CONTROL, CACHE_CONTROL)];
        // A cache on the way may have made the ETag a weak one (`W/`).
        if if_none_match.split(',').any(|tag| tag.trim().trim_start_matches("W/") == self.etag) {
            return (StatusCode::NOT_MODIFIED, caching).into_response();
        }
        (caching, [(header::CONTENT_TYPE, self.content_type)], self.body.clone()).into_response()
    }
}

/// Returns the SHA-256 of a text, in the form of a Content-Security-Policy.
fn hash(text: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(text)))
}
