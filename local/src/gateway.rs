//! Stands in for API Gateway and Lambda Function URLs: turns HTTP requests on a loopback port into events, following
//! the template's routes and the limits of AWS. Serves the console's files beside them, as CloudFront does.
//!
//! A 413 has the product's own form, so that one form is tested everywhere. API Gateway's own 413 is a bare message.

mod body;
mod connection;
mod console;
mod event;
mod response;
mod routes;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use axum::{
    body::Body,
    extract::Request,
    http::{HeaderName, HeaderValue, Method, Response, StatusCode, Version, header, request::Parts, uri::Authority},
};
use shared::error::ApiError;
use tokio::{net::TcpListener, task::JoinSet};
use url::Url;
use uuid::Uuid;

use self::body::BodyError;
use crate::{
    lambda::{InvocationError, Lambda},
    metrics,
};

pub use console::ConsoleFiles;
pub use routes::RouteTable;

/// API Gateway's limit for a request body.
const MAX_BODY_BYTES: usize = 10 * 1024 * 1024;
/// Lambda's limit for an event and for an answer, as stated in Lambda's own error messages.
const MAX_PAYLOAD_BYTES: usize = 6_291_556;
/// API Gateway's limit for the request line and the headers together.
const MAX_HEAD_BYTES: usize = 10_240;
/// API Gateway's limit for the duration of an invocation.
const INTEGRATION_TIMEOUT: Duration = Duration::from_secs(30);
/// The pause after which a failed accept is repeated, for example while no file descriptor is free.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// The routes of the API, and the console if it is there.
#[derive(Debug)]
pub struct Site {
    /// Routes of the API.
    pub routes: RouteTable,
    /// Files of the console; `None` when it was not built.
    pub console: Option<ConsoleFiles>,
}

/// Serves the site until the future is dropped, which also ends its connections.
///
/// # Errors
/// None at present: a failed accept is repeated.
pub async fn serve(listener: TcpListener, site: Site) -> Result<()> {
    let site = Arc::new(site);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, client)) => _ = connections.spawn(connection::serve(stream, client, Arc::clone(&site))),
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
                }
            },
            // Forgets the connections that have ended.
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

async fn handle(site: &Site, client: SocketAddr, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    if !is_well_formed(&head) {
        return error_response(StatusCode::BAD_REQUEST, "Bad Request");
    }
    if head_bytes(&head) > MAX_HEAD_BYTES {
        return error_response(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "Request Header Fields Too Large");
    }
    // The body is read before a route is looked for: a client that still sends would not read the answer.
    let body = match body::read(&head, body, MAX_BODY_BYTES).await {
        Ok(body) => body,
        Err(BodyError::TooLarge) => return too_large_response(&head, MAX_BODY_BYTES),
        Err(BodyError::Stalled) => return error_response(StatusCode::REQUEST_TIMEOUT, "Request Timeout"),
        Err(BodyError::Broken) => return error_response(StatusCode::BAD_REQUEST, "Bad Request"),
    };
    let Some(route) = site.routes.find(head.method.as_str(), head.uri.path()) else {
        return error_response(StatusCode::NOT_FOUND, "Not Found");
    };
    if let Some(console) = &site.console
        && route.is_default()
        && ConsoleFiles::takes(&head.method, head.uri.path())
    {
        return console.serve(Request::from_parts(head, Body::empty())).await;
    }
    let event = event::from_request(&head, &body, client, &route);
    let event_bytes = event.to_string().len();
    if event_bytes > MAX_PAYLOAD_BYTES {
        return too_large_response(&head, event::max_body_bytes(&event, event_bytes, MAX_PAYLOAD_BYTES));
    }
    if route.lambda.streams() {
        // A Function URL has no timeout of its own: the function's timeout applies. The gateway does not count its requests.
        let streamed = route.lambda.stream_measured(event).await;
        return streamed.unwrap_or_else(|error| function_error_response(&route.lambda, &error));
    }
    let started = Instant::now();
    let response = invoke(&route.lambda, event, &head.method).await;
    metrics::record_request(response.status().as_u16(), started.elapsed());
    response
}

/// True for a request that API Gateway passes on: a path, one valid `Host` (in HTTP/1.0 also none), and header values
/// that are text.
fn is_well_formed(head: &Parts) -> bool {
    let mut hosts = head.headers.get_all(header::HOST).iter();
    let has_host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().is_ok_and(is_host),
        (None, _) => head.version == Version::HTTP_10,
        _ => false,
    };
    has_host
        && head.uri.path().starts_with('/')
        && head.method != Method::CONNECT
        && head.headers.values().all(|value| std::str::from_utf8(value.as_bytes()).is_ok())
}

/// True for a host with an optional port, and nothing else of a URL.
fn is_host(text: &str) -> bool {
    let is_authority = text.parse::<Authority>().is_ok_and(|authority| !authority.as_str().contains('@'));
    is_authority && Url::parse(&format!("http://{text}/")).is_ok_and(|url| url.has_host())
}

/// The length of the request line and of the headers.
fn head_bytes(head: &Parts) -> usize {
    let target = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    let headers = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len());
    head.method.as_str().len() + target + headers.sum::<usize>()
}

async fn invoke(lambda: &Lambda, event: serde_json::Value, method: &Method) -> Response<Body> {
    match tokio::time::timeout(INTEGRATION_TIMEOUT, lambda.invoke_measured(event)).await {
        Ok(Ok(answer)) if answer.to_string().len() <= MAX_PAYLOAD_BYTES => response::from_answer(&answer, method)
            .unwrap_or_else(|error| {
                tracing::error!(function = lambda.name(), error = format!("{error:#}"), "the answer is malformed");
                error_response(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
            }),
        Ok(Ok(_)) => {
            tracing::error!(function = lambda.name(), "the answer is larger than Lambda's 6 MB");
            error_response(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
        }
        Ok(Err(error)) => function_error_response(lambda, &error),
        Err(_) => {
            tracing::error!(function = lambda.name(), "no answer within the gateway's 30 s");
            error_response(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable")
        }
    }
}

fn function_error_response(lambda: &Lambda, error: &InvocationError) -> Response<Body> {
    let name = lambda.name();
    match error {
        InvocationError::Start(..) => tracing::error!(function = name, %error, "the function does not start"),
        _ => tracing::error!(function = name, %error, "the function failed"),
    }
    error_response(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
}

/// An error response that API Gateway itself makes.
fn error_response(status: StatusCode, message: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(serde_json::json!({ "message": message }).to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The response to a body that the gateway does not take, in the form of the functions' own.
fn too_large_response(head: &Parts, limit_bytes: usize) -> Response<Body> {
    const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
    let error = ApiError::payload_too_large_at(head.uri.path(), limit_bytes);
    let request_id = Uuid::new_v4().to_string();
    let mut response = Response::new(Body::from(error.body(&request_id).to_string()));
    *response.status_mut() = error.status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(request_id) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, request_id);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_with_an_optional_port() {
        for host in ["localhost", "127.0.0.1:9000", "[::1]:9000", "api.example.com", "xn--bcher-kva.ch"] {
            assert!(is_host(host), "{host}");
        }
        for host in
            ["", " ", "a b", "a@b", "a/b", "a?b", "a#b", "[::1", "a:port", "a:99999999", "exa<mple", "%zz", "a\\b"]
        {
            assert!(!is_host(host), "{host:?}");
        }
    }
}
