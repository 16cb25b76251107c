//! API Gateway's part, and that of Function URLs: HTTP on a loopback port, turned into events by the template's routes,
//! within their limits.

mod answer;
mod event;
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

use crate::lambda::{Failure, Lambda};

pub use routes::Routes;

/// What API Gateway takes of a request.
const LARGEST_BODY_BYTES: usize = 10 * 1024 * 1024;
/// What Lambda takes of an event or gives of an answer, as it says in its own errors.
const LARGEST_PAYLOAD_BYTES: usize = 6_291_556;
/// How long API Gateway waits for a function.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Serves the routes until it is dropped.
///
/// # Errors
/// Those of the listener.
pub async fn serve(listener: TcpListener, routes: Routes) -> Result<()> {
    let gateway = Router::new().fallback(handle).with_state(Arc::new(routes));
    let service = gateway.into_make_service_with_connect_info::<SocketAddr>();
    // Small pieces of a stream must not wait for each other's acknowledgement.
    let listener = listener.tap_io(|connection| {
        if let Err(error) = connection.set_nodelay(true) {
            tracing::warn!(%error, "a connection delays small pieces");
        }
    });
    axum::serve(listener, service).await.context("the gateway ended")
}

async fn handle(
    State(routes): State<Arc<Routes>>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let Some(route) = routes.find(request.method().as_str(), request.uri().path()) else {
        return refusal(StatusCode::NOT_FOUND, "Not Found");
    };
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST_BODY_BYTES).await else {
        return refusal(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    };
    let event = event::of(&head, &body, client, &route);
    if event.to_string().len() > LARGEST_PAYLOAD_BYTES {
        return refusal(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    }
    if route.lambda.streams() {
        // A Function URL waits as long as the function may run.
        return route.lambda.stream(event).await.unwrap_or_else(|error| failed(&route.lambda, &error));
    }
    answer(&route.lambda, event).await
}

async fn answer(lambda: &Lambda, event: serde_json::Value) -> Response<Body> {
    match tokio::time::timeout(TIMEOUT, lambda.invoke(event)).await {
        Ok(Ok(answer)) if answer.to_string().len() <= LARGEST_PAYLOAD_BYTES => answer::response(&answer)
            .unwrap_or_else(|error| {
                tracing::error!(function = lambda.name(), error = format!("{error:#}"), "the answer is malformed");
                refusal(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
            }),
        Ok(Ok(_)) => {
            tracing::error!(function = lambda.name(), "the answer is larger than Lambda's 6 MB");
            refusal(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
        }
        Ok(Err(error)) => failed(lambda, &error),
        Err(_) => {
            tracing::error!(function = lambda.name(), "no answer within the gateway's 30 s");
            refusal(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable")
        }
    }
}

fn failed(lambda: &Lambda, error: &Failure) -> Response<Body> {
    let at = lambda.name();
    match error {
        Failure::Start(..) => tracing::error!(function = at, %error, "the function does not start"),
        _ => tracing::error!(function = at, %error, "the function failed"),
    }
    refusal(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
}

/// What API Gateway answers by itself.
fn refusal(status: StatusCode, message: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(serde_json::json!({ "message": message }).to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
