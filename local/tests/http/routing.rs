//! Unknown routes, wrong methods, and cross-origin requests of browsers.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::Value;

use super::support::App;

/// The paths of openapi.json, with a UUID for each parameter, and the methods that each serves.
fn documented_methods() -> BTreeMap<String, BTreeSet<String>> {
    let document: Value = serde_json::from_str(&local::openapi::document().unwrap()).unwrap();
    let paths = document["paths"].as_object().unwrap().iter().map(|(path, item)| {
        let id =
            |segment| if str::starts_with(segment, '{') { "0b9f2c34-5a1f-4a57-9a43-2f6e6f0f6f01" } else { segment };
        let path = path.split('/').map(id).collect::<Vec<_>>().join("/");
        let mut methods: BTreeSet<_> = item.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        if methods.contains("GET") {
            methods.insert("HEAD".to_owned());
        }
        (path, methods)
    });
    paths.collect()
}

/// The methods in the header `Allow`.
fn allowed(allow: &str) -> BTreeSet<String> {
    allow.split(',').map(|method| method.trim().to_owned()).collect()
}

#[tokio::test]
async fn every_path_refuses_other_methods_with_its_own_in_allow() {
    let app = App::start().await;
    for (path, methods) in documented_methods() {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "QUERY", "PROPFIND"] {
            if methods.contains(method) {
                continue;
            }
            let answer = app.call(method.parse().unwrap(), &path).await;
            assert_eq!((answer.status, allowed(answer.header("allow"))), (405, methods.clone()), "{method} {path}");
            if method != "HEAD" {
                answer.refused(405, "method_not_allowed");
            }
        }
    }
}

#[tokio::test]
async fn an_options_request_that_is_no_preflight_returns_the_methods_of_the_path() {
    let app = App::with_settings(&[("CORS_ORIGINS", "https://app.example.com")]).await;
    // The stream's URL leads to its function, whose router refuses OPTIONS with the methods in Allow.
    for (path, mut methods) in documented_methods().into_iter().filter(|(path, _)| path != "/api/v1/query/stream") {
        methods.insert("OPTIONS".to_owned());
        let answer = app.call(Method::OPTIONS, &path).header("origin", "https://app.example.com").await;
        assert_eq!((answer.status, answer.text.as_str()), (204, ""), "{path}");
        assert_eq!(allowed(answer.header("allow")), methods, "{path}");
        assert_eq!(answer.header("content-type"), "", "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "https://app.example.com", "{path}");
    }
    for path in ["/nowhere", "/api/v1/orders/a/b"] {
        app.call(Method::OPTIONS, path).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn browsers_may_send_every_documented_header() {
    let app = App::with_settings(&[("CORS_ORIGINS", "https://app.example.com")]).await;
    let preflight = app
        .call(Method::OPTIONS, "/api/v1/changes")
        .header("origin", "https://app.example.com")
        .header("access-control-request-method", "GET")
        .await;
    let permitted = preflight.header("access-control-allow-headers").to_owned();
    let permitted: BTreeSet<_> = permitted.split(',').map(str::to_owned).collect();
    let document: Value = serde_json::from_str(&local::openapi::document().unwrap()).unwrap();
    let operations =
        document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values());
    let parameters = operations.flat_map(|operation| operation["parameters"].as_array().into_iter().flatten());
    let headers = parameters.filter(|parameter| parameter["in"] == "header").map(|parameter| parameter["name"].clone());
    let mut headers: BTreeSet<_> = headers.map(|name| name.as_str().unwrap().to_lowercase()).collect();
    assert!(headers.contains("if-none-match") && headers.contains("idempotency-key"), "{headers:?}");
    // Stripe signs no requests of browsers. The session's cookie is for the console's own origin alone.
    headers.remove("stripe-signature");
    headers.remove("x-session");
    assert_eq!(headers.difference(&permitted).collect::<Vec<_>>(), Vec::<&String>::new());
    let answer = app.get("/health").header("origin", "https://app.example.com").await;
    assert!(answer.header("access-control-expose-headers").contains("etag"), "a client asks again by the ETag");
}

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
