//! Stands in for CloudFront: the console's static files, at every path that no route of the API takes.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result};
use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderName, HeaderValue, Method, Response, header},
};
use serde::Deserialize;
use tower::ServiceExt;
use tower_http::{
    compression::CompressionLayer,
    services::{ServeDir, ServeFile},
};

/// First path segments of the API. A path below them that no route takes is answered by the API, not by a page.
const API_SEGMENTS: [&str; 2] = ["api", "v1"];
/// Folder of the files whose names contain a hash of their contents.
const HASHED_FILES: &str = "/assets/";

/// Response headers of the console's files, as `console/security-headers.json` states them.
#[derive(Debug, Deserialize)]
struct SecurityHeaders {
    /// Headers of every file without an entry of its own.
    files: BTreeMap<String, String>,
    /// Headers of the page that draws documents.
    #[serde(rename = "viewer.html")]
    viewer: BTreeMap<String, String>,
}

/// The console's built files with their response headers.
#[derive(Debug, Clone)]
pub struct ConsoleFiles {
    files: Router,
    headers: Vec<(HeaderName, HeaderValue)>,
    viewer_headers: Vec<(HeaderName, HeaderValue)>,
}

impl ConsoleFiles {
    /// Serves the files of `folder`, with the headers of the file `security_headers`. `upload_origin` is the origin of the
    /// bucket, which the content security policy allows.
    ///
    /// # Errors
    /// Fails when the headers cannot be read.
    pub fn new(folder: &Path, security_headers: &Path, upload_origin: &str) -> Result<Self> {
        let text = std::fs::read_to_string(security_headers)
            .with_context(|| format!("{} cannot be read", security_headers.display()))?;
        let parsed: SecurityHeaders =
            serde_json::from_str(&text).with_context(|| format!("{} is not understood", security_headers.display()))?;
        // An address without a file is a page of the console, which the script of index.html shows.
        let files = ServeDir::new(folder).fallback(ServeFile::new(folder.join("index.html")));
        let files = Router::new().fallback_service(files).layer(CompressionLayer::new());
        Ok(Self {
            files,
            headers: header_values(&parsed.files, upload_origin)?,
            viewer_headers: header_values(&parsed.viewer, upload_origin)?,
        })
    }

    /// Returns true when a request without a route in the API is answered with a file.
    pub(super) fn takes(method: &Method, path: &str) -> bool {
        let first = path.split('/').nth(1).unwrap_or_default();
        matches!(*method, Method::GET | Method::HEAD) && !API_SEGMENTS.contains(&first)
    }

    /// Answers with the file at the request's path, or with the console's page.
    pub(super) async fn serve(&self, request: Request) -> Response<Body> {
        let path = request.uri().path().to_owned();
        let Ok(mut response) = self.files.clone().oneshot(request).await;
        let headers = if path == "/viewer.html" { &self.viewer_headers } else { &self.headers };
        for (name, value) in headers {
            response.headers_mut().insert(name.clone(), value.clone());
        }
        let is_hashed = path.starts_with(HASHED_FILES) && response.status().is_success();
        // A page is asked for again each time: it names the files of the newest build.
        let cache = if is_hashed { "public, max-age=31536000, immutable" } else { "no-cache" };
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
        response
    }
}

fn header_values(headers: &BTreeMap<String, String>, upload_origin: &str) -> Result<Vec<(HeaderName, HeaderValue)>> {
    let parsed = headers.iter().map(|(name, value)| {
        let value = value.replace("{upload}", upload_origin);
        Ok((HeaderName::try_from(name)?, HeaderValue::try_from(value)?))
    });
    parsed.collect::<Result<_>>().context("console/security-headers.json has an invalid header")
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    const HEADERS: &str = r#"{
        "comment": "for the test",
        "files": { "Content-Security-Policy": "connect-src 'self' {upload}", "X-Content-Type-Options": "nosniff" },
        "viewer.html": { "Content-Security-Policy": "sandbox allow-scripts" }
    }"#;

    async fn get(path: &str) -> (u16, BTreeMap<String, String>, String) {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        std::fs::create_dir(folder.path().join("assets")).unwrap();
        write("index.html", "the console");
        write("viewer.html", "the viewer");
        write("assets/main-1a2b.js", "a script");
        write("headers.json", HEADERS);
        let headers = folder.path().join("headers.json");
        let files = ConsoleFiles::new(folder.path(), &headers, "http://127.0.0.1:5000").unwrap();
        let response = files.serve(Request::get(path).body(Body::empty()).unwrap()).await;
        let status = response.status().as_u16();
        let headers = response.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, headers, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_file_has_its_type_its_headers_and_a_long_life_when_its_name_holds_a_hash() {
        let (status, headers, body) = get("/assets/main-1a2b.js").await;
        assert_eq!((status, body.as_str()), (200, "a script"));
        assert_eq!(headers["content-type"], "text/javascript");
        assert_eq!(headers["cache-control"], "public, max-age=31536000, immutable");
        assert_eq!(headers["content-security-policy"], "connect-src 'self' http://127.0.0.1:5000");
        assert_eq!(headers["x-content-type-options"], "nosniff");
    }

    #[tokio::test]
    async fn a_page_of_the_console_is_its_index_and_is_asked_for_again() {
        for path in ["/", "/inbox/42?filter=waiting", "/documents"] {
            let (status, headers, body) = get(path).await;
            assert_eq!((status, body.as_str()), (200, "the console"), "{path}");
            assert_eq!(
                (headers["content-type"].as_str(), headers["cache-control"].as_str()),
                ("text/html", "no-cache")
            );
        }
    }

    #[tokio::test]
    async fn the_page_that_draws_documents_has_headers_of_its_own() {
        let (status, headers, body) = get("/viewer.html").await;
        assert_eq!((status, body.as_str()), (200, "the viewer"));
        assert_eq!(headers["content-security-policy"], "sandbox allow-scripts");
    }

    #[tokio::test]
    async fn no_path_leaves_the_folder() {
        let (_, _, body) = get("/../../../../etc/passwd").await;
        assert_eq!(body, "the console");
        let (_, _, body) = get("/%2e%2e/%2e%2e/%2e%2e/etc/passwd").await;
        assert_eq!(body, "the console");
    }

    #[test]
    fn the_api_keeps_its_paths_and_other_methods() {
        for (method, path, expected) in [
            (Method::GET, "/", true),
            (Method::HEAD, "/inbox", true),
            (Method::GET, "/apiary", true),
            (Method::POST, "/", false),
            (Method::GET, "/api/v1/unknown", false),
            (Method::GET, "/api", false),
            (Method::GET, "/v1/unknown", false),
        ] {
            assert_eq!(ConsoleFiles::takes(&method, path), expected, "{method} {path}");
        }
    }
}
