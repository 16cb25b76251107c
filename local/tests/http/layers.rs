//! What stands around every function: each operation of openapi.json, and what no function serves.

use reqwest::Method;
use serde_json::Value;
use uuid::Uuid;

use super::support::{Answer, App, Call, Tenant};

/// More than any function takes, and less than the gateway does.
const HUGE: usize = 5 * 1024 * 1024;

/// An operation of openapi.json.
struct Operation {
    name: String,
    method: Method,
    /// With something in the place of each parameter.
    path: String,
    takes_json: bool,
}

impl Operation {
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

    fn call(&self, app: &App, by: Option<&Tenant>) -> Call {
        let call = app.call(self.method.clone(), &self.path);
        match by {
            Some(tenant) => call.by(tenant),
            None => call,
        }
    }

    /// Pages that are the same for everybody.
    fn is_static(&self) -> bool {
        matches!(self.name.as_str(), "GET /docs" | "GET /openapi.json")
    }
}

#[track_caller]
fn has_the_headers(name: &str, answer: &Answer, is_static: bool) {
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
async fn every_answer_has_its_id_and_is_neither_kept_nor_guessed_at() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let mut ids = Vec::new();
    for operation in Operation::all() {
        for by in [None, Some(&tenant)] {
            // Whatever it answers: 2xx, 4xx, without a body or with one.
            let answer = operation.call(&app, by).header("x-request-id", "mine").await;
            assert!(answer.status < 500, "{}: {}", operation.name, answer.text);
            has_the_headers(&operation.name, &answer, operation.is_static());
            ids.push(answer.header("x-request-id").to_owned());
        }
    }
    assert!(!ids.contains(&"mine".to_owned()), "an id is the gateway's, never the client's");
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "an id names one request");
    for (method, path) in [(Method::GET, "/nowhere"), (Method::DELETE, "/health"), (Method::OPTIONS, "/health")] {
        has_the_headers(path, &app.call(method, path).await, false);
    }
}

#[tokio::test]
async fn an_outage_has_them_too() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.sql("alter table user_settings rename to lost").await;
    let answer = app.get("/api/v1/quota/status").by(&tenant).await;
    has_the_headers("status", &answer, false);
    answer.refused(500, "internal");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_anybody_looks_at_it() {
    let app = App::with(&[("CORS_ORIGINS", "https://app.example.com")]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let secret = app.webhook_secret(&tenant).await;
    let rows = "select count(*) from idempotency_keys";
    for operation in Operation::all() {
        let name = &operation.name;
        let send = async |bytes: usize| {
            let call = operation.call(&app, Some(&tenant)).header("origin", "https://app.example.com");
            let call = call.header("idempotency-key", "key").header("x-webhook-secret", &secret);
            call.raw_json("{".repeat(bytes)).await
        };
        let refused = send(HUGE).await;
        has_the_headers(name, &refused, false);
        assert_eq!(refused.header("access-control-allow-origin"), "https://app.example.com", "{name}");
        assert_eq!(refused.status, 413, "{name}: {}", refused.text);
        let details = refused.refused(413, "payload_too_large");
        let limit = usize::try_from(details["limit_bytes"].as_u64().unwrap()).unwrap();
        assert_eq!(send(limit + 1).await.status, 413, "{name}");
        // To the byte; and what fits is looked at.
        let looked_at = send(limit).await;
        assert_ne!(looked_at.status, 413, "{name}");
        if operation.takes_json {
            assert_eq!(looked_at.status, 400, "{name}: {}", looked_at.text);
        }
    }
    assert_eq!(app.number(rows).await, 0);
    app.post("/nowhere").raw_json("{".repeat(HUGE)).await.refused(413, "payload_too_large");
}
