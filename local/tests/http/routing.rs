//! Unknown routes, wrong methods, and cross-origin requests of browsers.

use reqwest::Method;

use super::support::App;

#[tokio::test]
async fn an_unknown_path_returns_404_in_the_envelope() {
    let app = App::start().await;
    for path in ["/", "/api/v1", "/api/v1/unknown", "/api/v1/documents/", "/health/", "/api/v1/documents/a/b/c"] {
        app.get(path).await.refused(404, "not_found");
        app.post(path).raw_json("{").await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn a_wrong_method_returns_405_with_the_allowed_methods() {
    let app = App::start().await;
    for (method, path, allowed) in [
        (Method::DELETE, "/health", &["GET", "HEAD"][..]),
        (Method::GET, "/api/v1/auth/signup", &["POST"]),
        (Method::PUT, "/api/v1/documents/0b9f2c34-5a1f-4a57-9a43-2f6e6f0f6f01", &["GET", "HEAD", "DELETE"]),
        (Method::PATCH, "/v1/quota/0b9f2c34-5a1f-4a57-9a43-2f6e6f0f6f01", &["GET", "HEAD"]),
        // A path with a parameter would take these two: `upload` is no document's id.
        (Method::GET, "/api/v1/documents/upload", &["POST"]),
        (Method::DELETE, "/api/v1/documents/upload", &["POST"]),
        (Method::DELETE, "/api/v1/query", &["POST"]),
    ] {
        let answer = app.call(method.clone(), path).await;
        let allow = answer.header("allow").to_owned();
        answer.refused(405, "method_not_allowed");
        let mut offered: Vec<_> = allow.split(',').collect();
        offered.sort_unstable();
        let mut allowed = allowed.to_vec();
        allowed.sort_unstable();
        assert_eq!(offered, allowed, "{method} {path}");
    }
}

#[tokio::test]
async fn a_head_request_to_a_path_without_get_returns_405_without_a_body() {
    let app = App::start().await;
    for path in ["/api/v1/query", "/api/v1/documents/upload"] {
        let answer = app.call(Method::HEAD, path).await;
        assert_eq!((answer.status, answer.header("allow"), answer.text.as_str()), (405, "POST", ""), "{path}");
    }
}

#[tokio::test]
async fn browsers_may_call_from_the_configured_origins() {
    let app = App::with_settings(&[("CORS_ORIGINS", "https://app.example.com,https://admin.example.com")]).await;
    let preflight = |origin: &str| {
        app.call(Method::OPTIONS, "/api/v1/query")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type")
    };

    let allowed = preflight("https://admin.example.com").await;
    assert_eq!(allowed.status, 200, "{}", allowed.text);
    assert_eq!(allowed.header("access-control-allow-origin"), "https://admin.example.com");
    assert!(allowed.header("access-control-allow-methods").contains("POST"));
    let headers = allowed.header("access-control-allow-headers");
    for name in ["authorization", "content-type", "x-customer-id", "idempotency-key"] {
        assert!(headers.contains(name), "{headers}");
    }
    // Tokens are sent in a header, so browsers need no permission to send cookies.
    assert_eq!(allowed.header("access-control-allow-credentials"), "");

    let foreign = preflight("https://evil.example.com").await;
    assert_eq!(foreign.header("access-control-allow-origin"), "");

    // Scripts of an allowed origin can read error responses too.
    let refused = app.post("/api/v1/query").header("origin", "https://app.example.com").await;
    assert_eq!(refused.header("access-control-allow-origin"), "https://app.example.com");
    assert!(refused.header("access-control-expose-headers").contains("x-request-id"));
    refused.refused(401, "unauthorized");
}

#[tokio::test]
async fn without_the_cors_setting_no_origin_is_allowed() {
    let app = App::start().await;
    let answer = app.get("/health").header("origin", "https://app.example.com").await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
    answer.json_body(200);
}
