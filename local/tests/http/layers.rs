//! The layers around every function, tested with each operation of openapi.json and with unknown routes: standard
//! response headers and the limit of the body size.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{App, TenantUser, TestRequest, TestResponse};

/// Body size above the limit of every function and below the limit of the gateway.
const OVERSIZED_BODY_BYTES: usize = 5 * 1024 * 1024;

/// A request to an operation of openapi.json.
struct OperationProbe {
    name: String,
    method: Method,
    /// The path, with a random UUID for each parameter, or 1 for a number.
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
                let parameters = operation["parameters"].as_array();
                let is_number = parameters
                    .is_some_and(|all| all.iter().any(|one| one["in"] == "path" && one["schema"]["type"] == "integer"));
                let anything = if is_number { "1".to_owned() } else { Uuid::new_v4().to_string() };
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

    /// True when the response is a public, cacheable page, or one that a client asks for again by its `ETag`.
    fn is_cacheable(&self) -> bool {
        matches!(self.name.as_str(), "GET /docs" | "GET /openapi.json" | "GET /api/v1/changes" | "GET /api/v1/plans")
    }
}

/// Asserts the request id and the caching and security headers.
#[track_caller]
fn assert_standard_headers(name: &str, answer: &TestResponse, is_cacheable: bool) {
    assert!(!answer.header("x-request-id").is_empty(), "{name}: {answer:?}");
    assert_eq!(answer.header("x-content-type-options"), "nosniff", "{name}");
    assert!(answer.header("strict-transport-security").starts_with("max-age="), "{name}");
    let caching = answer.header("cache-control");
    assert!(
        if is_cacheable && answer.status < 400 { !caching.is_empty() } else { caching == "no-store" },
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
            assert_standard_headers(&operation.name, &answer, operation.is_cacheable());
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
async fn a_head_request_has_the_headers_of_get_and_no_body() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    // Different in each response.
    let passing = ["x-request-id", "date", "ratelimit-remaining", "ratelimit-reset"];
    let lasting = |answer: &TestResponse| {
        let mut headers = answer.headers.clone();
        passing.iter().for_each(|name| _ = headers.remove(*name));
        headers
    };
    let mut count = 0;
    for operation in OperationProbe::all().into_iter().filter(|operation| operation.method == Method::GET) {
        for by in [None, Some(&tenant)] {
            let got = operation.call(&app, by).await;
            let call = app.call(Method::HEAD, &operation.path);
            let head = match by {
                Some(tenant) => call.by(tenant).await,
                None => call.await,
            };
            assert_eq!((head.status, head.text.as_str()), (got.status, ""), "{}", operation.name);
            let mut expected = lasting(&got);
            // The health check's body has the time, and an error's the request id: neither changes the length.
            assert_eq!(
                expected.remove("content-length").unwrap(),
                head.headers["content-length"],
                "{}",
                operation.name
            );
            let mut headers = lasting(&head);
            headers.remove("content-length");
            assert_eq!(headers, expected, "{}", operation.name);
            count += 1;
        }
    }
    assert!(count > 20, "{count}");
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

/// Asserts that the details of a 413 name the two-step upload.
#[track_caller]
fn assert_two_steps(details: &Value) {
    let upload = &details["upload"];
    assert_eq!((&upload["method"], &upload["path"]), (&json!("POST"), &json!("/api/v1/documents/upload")));
    assert_eq!(upload["max_bytes"], 20_971_520);
}

/// Returns the text compressed with gzip.
fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_gzip_body_is_read_within_the_limit() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let question = json!({ "question": "Quels tarifs ?" }).to_string();
    let send = async |encoding: &str, body: Vec<u8>| {
        app.post("/api/v1/query").by(&tenant).header("content-encoding", encoding).raw_json(body).await
    };
    for encoding in ["gzip", "x-gzip", "GZIP", "identity, gzip"] {
        send(encoding, gzip(question.as_bytes())).await.data(200);
    }
    send("identity", question.clone().into_bytes()).await.data(200);
    // Two members, as a client that appends writes them.
    let (begin, end) = question.split_at(9);
    send("gzip", [gzip(begin.as_bytes()), gzip(end.as_bytes())].concat()).await.data(200);

    // A body of a few kilobytes that stands for a hundred megabytes.
    let bomb = gzip(&vec![b' '; 100_000_000]);
    assert!(bomb.len() < 200_000, "{}", bomb.len());
    let details = send("gzip", bomb).await.refused(413, "payload_too_large");
    assert_eq!(details["limit_bytes"], 262_144);
    assert_two_steps(&details);
    // The limit is exact for the decompressed body.
    let limit = |bytes: usize| gzip(&[question.as_bytes(), &vec![b' '; bytes - question.len()]].concat());
    send("gzip", limit(262_144)).await.data(200);
    send("gzip", limit(262_145)).await.refused(413, "payload_too_large");

    for broken in [question.clone().into_bytes(), gzip(question.as_bytes())[..20].to_vec(), Vec::new()] {
        send("gzip", broken).await.refused(400, "unreadable_body");
    }
    for encoding in ["br", "deflate", "zstd", "gzip, gzip", "gzip, br", "é"] {
        let refused = send(encoding, gzip(question.as_bytes())).await;
        assert_eq!(refused.header("accept-encoding"), "gzip, identity", "{encoding}");
        refused.refused(415, "unsupported_media_type");
    }
}

#[tokio::test]
async fn a_gzip_form_and_a_gzip_event_are_read_too() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let pdf = super::support::small_pdf("The delivery takes three days.");
    let mut form = b"--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.pdf\"\r\n\r\n".to_vec();
    form.extend_from_slice(&pdf);
    form.extend_from_slice(b"\r\n--b--\r\n");
    let sent = app.post("/api/v1/documents/upload").by(&tenant).header("content-encoding", "gzip");
    let data = sent.body("multipart/form-data; boundary=b", gzip(&form)).await.data(201);
    assert_eq!(data["document"]["filename"], "a.pdf");
    let secret = app.webhook_secret(&tenant).await;
    let message = json!({ "id": 132, "last_input_text": "Bonjour" }).to_string();
    let call = app.post("/api/v1/webhook/manychat").header("x-webhook-secret", secret);
    assert_eq!(call.header("content-encoding", "gzip").raw_json(gzip(message.as_bytes())).await.status, 200);
    assert_eq!(app.number("select count(*) from messages where direction = 'inbound'").await, 1);
}

#[tokio::test]
async fn a_wrong_field_is_described_in_plain_words() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let message = |details: Value| details[0]["message"].as_str().unwrap().to_owned();
    for (body, expected) in [
        (json!({ "question": "" }), "must not be empty"),
        (json!({ "question": 5 }), "must be a text"),
        (json!({ "question": "x", "top_k": 300 }), "must be a whole number from 0 to 255"),
        (json!({ "question": "x", "top_k": 21 }), "must be between 1 and 20"),
        (json!({ "question": "x", "document_ids": "x" }), "must be a list"),
        (json!({ "question": "x", "document_ids": [] }), "must name 1 to 100 documents"),
        (json!({ "question": "x", "conversation_id": "x" }), "must be a UUID"),
        (json!({}), "is required"),
    ] {
        let details = app.post("/api/v1/query").by(&tenant).json(&body).await.refused(422, "validation_failed");
        assert_eq!(message(details), expected, "{body}");
    }
    for (query, expected) in [
        ("page=x", "must be a whole number"),
        ("page=99999999999999999999", "must be a whole number of fewer digits"),
        ("limit=101", "must be between 1 and 100"),
    ] {
        let details =
            app.get(&format!("/api/v1/documents?{query}")).by(&tenant).await.refused(422, "validation_failed");
        assert_eq!(message(details), expected, "{query}");
    }
    let details = app.get("/health?deep=2").await.refused(422, "validation_failed");
    assert_eq!(message(details), "must be 0 or 1");
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
        let refused_text = refused.text.clone();
        let details = refused.refused(413, "payload_too_large");
        let limit = usize::try_from(details["limit_bytes"].as_u64().unwrap()).unwrap();
        if ["/api/v1/webhook/manychat", "/api/v1/webhooks/stripe"].contains(&operation.path.as_str()) {
            assert_eq!(details, json!({ "limit_bytes": limit }), "{name}");
            assert!(!refused_text.contains("PDF"), "{name}: {refused_text}");
        } else {
            assert_two_steps(&details);
        }
        assert_eq!(send(limit + 1).await.status, 413, "{name}");
        // The limit is exact to the byte, and a body of that size is parsed.
        let looked_at = send(limit).await;
        assert_ne!(looked_at.status, 413, "{name}");
        if operation.path.starts_with("/api/v1/admin/") {
            assert_eq!(looked_at.status, 403, "{name}: {}", looked_at.text);
        } else if operation.takes_json {
            assert_eq!(looked_at.status, 400, "{name}: {}", looked_at.text);
        }
    }
    assert_eq!(app.number(rows).await, 0);
    app.post("/nowhere").raw_json("{".repeat(OVERSIZED_BODY_BYTES)).await.refused(413, "payload_too_large");
    // The gateway's own answer, to a webhook's body that is larger than any function takes.
    let huge = app.post("/api/v1/webhook/manychat").raw_json("{".repeat(10 * 1024 * 1024 + 1)).await;
    assert_eq!(huge.refused(413, "payload_too_large"), json!({ "limit_bytes": 10_485_760 }));
}
