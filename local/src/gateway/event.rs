//! Converts an HTTP request to the event of an API Gateway HTTP API, payload format version 2.0.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::http::{HeaderMap, header, request::Parts};
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::Utc;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use uuid::Uuid;

use super::routes::RouteMatch;

const DOMAIN: &str = "localhost";

pub(super) fn from_request(head: &Parts, body: &[u8], client: SocketAddr, route: &RouteMatch) -> Value {
    let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
    let user_agent = text(&head.headers, &header::USER_AGENT);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    // A Function URL has no routes; its events name `$default`.
    let key = if route.lambda.streams() { "$default" } else { &route.key };
    let mut event = json!({
        "version": "2.0",
        "routeKey": key,
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers(head, client),
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "local",
            "domainName": DOMAIN,
            "domainPrefix": "local",
            "http": {
                "method": head.method.as_str(),
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": client.ip(),
                "userAgent": user_agent,
            },
            "requestId": Uuid::new_v4(),
            "routeKey": key,
            "stage": "$default",
            "time": Utc::now().format("%d/%b/%Y:%H:%M:%S %z").to_string(),
            "timeEpoch": u64::try_from(now).unwrap_or_default(),
        },
        "isBase64Encoded": false,
    });
    // API Gateway leaves empty parts out.
    if let Some(cookies) = cookies(&head.headers) {
        event["cookies"] = cookies;
    }
    if !query.is_empty() {
        event["queryStringParameters"] = json!(parameters(query));
    }
    if !route.parameters.is_empty() {
        event["pathParameters"] = json!(route.parameters);
    }
    if !body.is_empty() {
        match std::str::from_utf8(body) {
            Ok(body) if is_text(&text(&head.headers, &header::CONTENT_TYPE)) && !is_encoded(&head.headers) => {
                event["body"] = json!(body);
            }
            _ => {
                event["body"] = json!(BASE64_STANDARD.encode(body));
                event["isBase64Encoded"] = json!(true);
            }
        }
    }
    event
}

/// The largest body that would have fitted an event like `event`, which has `event_bytes` bytes and exceeds `limit`.
pub(super) fn max_body_bytes(event: &Value, event_bytes: usize, limit: usize) -> usize {
    let rest_bytes = event_bytes.saturating_sub(event["body"].to_string().len().saturating_sub(2));
    let most = limit.saturating_sub(rest_bytes);
    // Base64 makes four characters of three bytes.
    if event["isBase64Encoded"] == true { most / 4 * 3 } else { most }
}

/// True for a compressed body, which is passed as base64 whatever its content type.
fn is_encoded(headers: &HeaderMap) -> bool {
    !matches!(text(headers, &header::CONTENT_ENCODING).trim().to_ascii_lowercase().as_str(), "" | "identity")
}

/// True when API Gateway passes a body of this content type as text. Everything else, forms included, is passed as
/// base64.
fn is_text(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.is_empty()
        || kind.starts_with("text/")
        || matches!(kind.as_str(), "application/json" | "application/javascript" | "application/xml")
        || kind.ends_with("+json")
        || kind.ends_with("+xml")
}

/// The headers of the event: lower-case names, repeated headers joined by a comma, no cookies. The headers that the
/// gateway sets itself override the client's, so that they cannot be forged.
fn headers(head: &Parts, client: SocketAddr) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::<String, String>::new();
    for (name, value) in &head.headers {
        if name == header::COOKIE {
            continue;
        }
        let value = String::from_utf8_lossy(value.as_bytes());
        headers
            .entry(name.as_str().to_owned())
            .and_modify(|joined| {
                joined.push(',');
                joined.push_str(&value);
            })
            .or_insert_with(|| value.into_owned());
    }
    headers.insert("x-forwarded-for".to_owned(), client.ip().to_string());
    headers.insert("x-forwarded-proto".to_owned(), "http".to_owned());
    headers
}

fn cookies(headers: &HeaderMap) -> Option<Value> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let cookies: Vec<_> = all.flat_map(|value| value.split("; ")).collect();
    (!cookies.is_empty()).then(|| json!(cookies))
}

fn parameters(query: &str) -> BTreeMap<String, String> {
    let decoded = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let mut parameters = BTreeMap::<String, String>::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decoded(value);
        parameters
            .entry(decoded(name))
            .and_modify(|joined| {
                joined.push(',');
                joined.push_str(&value);
            })
            .or_insert(value);
    }
    parameters
}

fn text(headers: &HeaderMap, name: &header::HeaderName) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use axum::http::Request;
    use shared::settings::SettingsMap;

    use super::*;
    use crate::lambda::Lambda;

    fn event(request: Request<&[u8]>) -> Value {
        let (head, body) = request.into_parts();
        let lambda = Arc::new(Lambda::new(health::FUNCTION, Duration::from_secs(1), SettingsMap::new()));
        let parameters = [("id".to_owned(), "a b".to_owned())].into();
        let route = RouteMatch { key: "POST /a/{id}".to_owned(), parameters, lambda };
        from_request(&head, body, SocketAddr::from(([127, 0, 0, 1], 50_000)), &route)
    }

    #[test]
    fn a_request_becomes_an_event() {
        let request = Request::post("/a/a%20b?x=1&y=%C3%A9&x=2")
            .header("Content-Type", "application/json")
            .header("X-Twice", "one")
            .header("X-Twice", "two")
            .header("Cookie", "a=1; b=2")
            .header("X-Forwarded-For", "1.2.3.4")
            .body(r#"{"q":"é"}"#.as_bytes());
        let event = event(request.unwrap());
        assert_eq!(event["rawPath"], "/a/a%20b");
        assert_eq!(event["rawQueryString"], "x=1&y=%C3%A9&x=2");
        assert_eq!(event["queryStringParameters"], json!({"x": "1,2", "y": "é"}));
        assert_eq!(event["pathParameters"], json!({"id": "a b"}));
        assert_eq!(event["cookies"], json!(["a=1", "b=2"]));
        let headers = json!({"content-type": "application/json", "x-twice": "one,two", "x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "http"});
        assert_eq!(event["headers"], headers);
        assert_eq!(event["isBase64Encoded"], false);
        assert_eq!(event["requestContext"]["http"]["sourceIp"], "127.0.0.1");
        assert_eq!(event["requestContext"]["routeKey"], "POST /a/{id}");
    }

    #[test]
    fn body_that_is_not_text_is_encoded_as_base64() {
        for (kind, body, encoded) in [
            ("application/json", b"{}".as_slice(), false),
            ("application/problem+json; charset=utf-8", b"{}", false),
            ("text/plain", b"\xff", true),
            ("application/pdf", b"%PDF-", true),
            ("application/x-www-form-urlencoded", b"a=1", true),
        ] {
            let event = event(Request::post("/a/b").header("content-type", kind).body(body).unwrap());
            assert_eq!(event["isBase64Encoded"], encoded, "{kind}");
        }
        assert!(event(Request::post("/a/b").body(b"".as_slice()).unwrap()).get("body").is_none());
    }
}
