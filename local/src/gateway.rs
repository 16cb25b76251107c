//! Stands in for API Gateway and Lambda Function URLs: turns HTTP requests on a loopback port into events, following
//! the template's routes and the limits of AWS.

mod event;
mod response;
mod routes;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{ConnectInfo, Request, State},
    http::{HeaderValue, Response, StatusCode, header},
    serve::ListenerExt,
};
use tokio::net::TcpListener;

use crate::lambda::{InvocationError, Lambda};

pub use routes::RouteTable;

/// API Gateway's limit for a request body.
const MAX_BODY_BYTES: usize = 10 * 1024 * 1024;
/// Lambda's limit for an event and for an answer, as stated in Lambda's own error messages.
const MAX_PAYLOAD_BYTES: usize = 6_291_556;
/// API Gateway's limit for the duration of an invocation.
const INTEGRATION_TIMEOUT: Duration = Duration::from_secs(30);

/// Serves the routes until the future is dropped.
///
/// # Errors
/// Fails when the listener fails.
pub async fn serve(listener: TcpListener, routes: RouteTable) -> Result<()> {
    let gateway = Router::new().fallback(handle).with_state(Arc::new(routes));
    let service = gateway.into_make_service_with_connect_info::<SocketAddr>();
    // Without TCP_NODELAY, small pieces of a stream wait for the acknowledgement of the piece before.
    let listener = listener.tap_io(|connection| {
        if let Err(error) = connection.set_nodelay(true) {
            tracing::warn!(%error, "a connection delays small pieces");
        }
    });
    axum::serve(listener, service).await.context("the gateway ended")
}

async fn handle(
    State(routes): State<Arc<RouteTable>>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let Some(route) = routes.find(request.method().as_str(), request.uri().path()) else {
        return error_response(StatusCode::NOT_FOUND, "Not Found");
    };
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
        return error_response(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    };
    let event = event::from_request(&head, &body, client, &route);
    if event.to_string().len() > MAX_PAYLOAD_BYTES {
        return error_response(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    }
    if route.lambda.streams() {
        // A Function URL has no timeout of its own: the function's timeout applies.
        return route.lambda.stream(event).await.unwrap_or_else(|error| function_error_response(&route.lambda, &error));
    }
    invoke(&route.lambda, event).await
}

async fn invoke(lambda: &Lambda, event: serde_json::Value) -> Response<Body> {
    match tokio::time::timeout(INTEGRATION_TIMEOUT, lambda.invoke(event)).await {
        Ok(Ok(answer)) if answer.to_string().len() <= MAX_PAYLOAD_BYTES => response::from_answer(&answer)
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
