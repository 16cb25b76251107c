//! The layers around every function, tested with each operation of openapi.json and with unknown routes: standard
//! response headers and the limit of the body size.

use reqwest::Method;
use serde_json::Value;
use uuid::Uuid;

use super::support::{App, TenantUser, TestRequest, TestResponse};

/// Body size above the limit of every function and below the limit of the gateway.
const OVERSIZED_BODY_BYTES: usize = 5 * 1024 * 1024;

/// A request to an operation of openapi.json.
struct OperationProbe {
    name: String,
    method: Method,
    /// The path, with a random UUID for each parameter.
    path: String,
    takes_json: bool,
}

impl OperationProbe {
    fn all() -> Vec<Self> {
        let document: Value = serde_json::from_str(&local::openapi::document().unwrap()).unwrap();
        let mut all = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let method: Method = method.to_uppercase().parse().unwrap();
                let anything = Uuid::new_v4().to_string();
                let segments =
                    path.split('/').map(|segment| if segment.starts_with('{') { &anything } else { segment });
                all.push(Self {
                    name: format!("{method} {path}"),
                    method,
                    path: segments.collect::<Vec<_>>().join("/"),
                    takes_json: operation["requestBody"]["content"]["application/json"].is_object(),
                });
            }
        }
        assert!(all.len() > 10);
        all
    }

    fn call(&self, app: &App, by: Option<&TenantUser>) -> TestRequest {
        let call = app.call(self.method.clone(), &self.path);
        match by {
            Some(tenant) => call.by(tenant),
            None => call,
        }
    }

    /// True when the response is a public, cacheable page.
    fn is_static(&self) -> bool {
        matches!(self.name.as_str(), "GET /docs" | "GET /openapi.json")
    }
}

/// Asserts the request id and the caching and security headers.
#[track_caller]
fn assert_standard_headers(name: &str, answer: &TestResponse, is_static: bool) {
    assert!(!answer.header("x-request-id").is_empty(), "{name}: {answer:?}");
    assert_eq!(answer.header("x-content-type-options"), "nosniff", "{name}");
    assert!(answer.header("strict-transport-security").starts_with("max-age="), "{name}");
    let caching = answer.header("cache-control");
    assert!(
        if is_static && answer.status < 400 { !caching.is_empty() } else { caching == "no-store" },
        "{name}: {caching}"
    );
    assert_eq!(answer.header("server"), "", "{name}");
    if answer.status >= 400 {
        assert_eq!(answer.body["error"]["request_id"], answer.header("x-request-id"), "{name}");
    }
}

#[tokio::test]
async fn every_response_has_its_request_id_and_the_caching_and_security_headers() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let mut ids = Vec::new();
    for operation in OperationProbe::all() {
        for by in [None, Some(&tenant)] {
            // The headers are on every response: 2xx or 4xx, with or without a body.
            let answer = operation.call(&app, by).header("x-request-id", "mine").await;
            assert!(answer.status < 500, "{}: {}", operation.name, answer.text);
            assert_standard_headers(&operation.name, &answer, operation.is_static());
            ids.push(answer.header("x-request-id").to_owned());
        }
    }
    assert!(!ids.contains(&"mine".to_owned()), "an id is the gateway's, never the client's");
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "an id names one request");
    for (method, path) in [(Method::GET, "/nowhere"), (Method::DELETE, "/health"), (Method::OPTIONS, "/health")] {
        assert_standard_headers(path, &app.call(method, path).await, false);
    }
}

#[tokio::test]
async fn an_internal_error_has_the_standard_headers_too() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.sql("alter table user_settings rename to lost").await;
    let answer = app.get("/api/v1/quota/status").by(&tenant).await;
    assert_standard_headers("status", &answer, false);
    answer.refused(500, "internal");
}

#[tokio::test]
async fn a_too_large_body_is_refused_before_it_is_parsed() {
    let app = App::with_settings(&[("CORS_ORIGINS", "https://app.example.com")]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let secret = app.webhook_secret(&tenant).await;
    let rows = "select count(*) from idempotency_keys";
    for operation in OperationProbe::all() {
        let name = &operation.name;
        let send = async |bytes: usize| {
            let call = operation.call(&app, Some(&tenant)).header("origin", "https://app.example.com");
            let call = call.header("idempotency-key", "key").header("x-webhook-secret", &secret);
            call.raw_json("{".repeat(bytes)).await
        };
        let refused = send(OVERSIZED_BODY_BYTES).await;
        assert_standard_headers(name, &refused, false);
        assert_eq!(refused.header("access-control-allow-origin"), "https://app.example.com", "{name}");
        assert_eq!(refused.status, 413, "{name}: {}", refused.text);
        let details = refused.refused(413, "payload_too_large");
        let limit = usize::try_from(details["limit_bytes"].as_u64().unwrap()).unwrap();
        assert_eq!(send(limit + 1).await.status, 413, "{name}");
        // The limit is exact to the byte, and a body of that size is parsed.
        let looked_at = send(limit).await;
        assert_ne!(looked_at.status, 413, "{name}");
        if operation.takes_json {
            assert_eq!(looked_at.status, 400, "{name}: {}", looked_at.text);
        }
    }
    assert_eq!(app.number(rows).await, 0);
    app.post("/nowhere").raw_json("{".repeat(OVERSIZED_BODY_BYTES)).await.refused(413, "payload_too_large");
}
