//! The layers around every function: request id, one log line a request, errors in the envelope, CORS, panics.

use std::{
    any::Any,
    sync::{Arc, OnceLock},
    time::Instant,
};

use axum::{
    Router,
    body::{Body, HttpBody},
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Method, header, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use lambda_http::request::RequestContext;
use tower_http::{catch_panic::CatchPanicLayer, cors::CorsLayer};
use tracing::Instrument;
use uuid::Uuid;

use super::extract::{self, RequestId};
use crate::{error::ApiError, idempotency, logging, rate_limits::Standing, settings::Settings};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const RATE_REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RATE_RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// The origins that browsers may call from.
#[derive(Debug, Clone, Default)]
pub struct Cors {
    origins: Vec<HeaderValue>,
    any: bool,
}

impl Cors {
    /// Reads CORS_ORIGINS: a comma-separated list, `*`, or nothing for none.
    pub fn read(settings: &mut Settings) -> Self {
        let mut cors = Self::default();
        for origin in settings.list("CORS_ORIGINS") {
            if origin == "*" {
                cors.any = true;
            } else if let Ok(value) = HeaderValue::from_str(origin.trim_end_matches('/')) {
                cors.origins.push(value);
            } else {
                settings.problem("CORS_ORIGINS holds something that is not an origin");
            }
        }
        cors
    }

    fn layer(&self) -> CorsLayer {
        let layer = CorsLayer::new()
            .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
            .allow_headers([
                header::AUTHORIZATION,
                header::CONTENT_TYPE,
                HeaderName::from_static("x-customer-id"),
                HeaderName::from_static("idempotency-key"),
                REQUEST_ID,
            ])
            .expose_headers([
                REQUEST_ID,
                header::RETRY_AFTER,
                header::WWW_AUTHENTICATE,
                RATE_LIMIT,
                RATE_REMAINING,
                RATE_RESET,
                HeaderName::from_static(idempotency::REPLAYED),
            ])
            .max_age(std::time::Duration::from_secs(600));
        // Tokens travel in a header, never in a cookie: no credentials are allowed, so `*` is safe where it is wanted.
        if self.any { layer.allow_origin(tower_http::cors::Any) } else { layer.allow_origin(self.origins.clone()) }
    }
}

/// Where an extractor leaves how the caller's rate limit stands, for the response's headers.
#[derive(Debug, Clone, Default)]
pub(crate) struct RateSlot(pub(crate) Arc<OnceLock<Standing>>);

/// Leaves the standing where the response's headers are made.
pub(crate) fn note(parts: &Parts, standing: Standing) {
    if let Some(slot) = parts.extensions.get::<RateSlot>() {
        // The first one is the caller's own; it stays.
        let _ = slot.0.set(standing);
    }
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    function: &'static str,
    body_limit: usize,
}

/// Puts the layers around a function's router.
pub fn layers(router: Router, function: &'static str, body_limit: usize, cors: &Cors) -> Router {
    router
        .fallback(async || ApiError::not_found("route"))
        .method_not_allowed_fallback(async || ApiError::method_not_allowed())
        .layer(extract::own_limit())
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(body_limit, refuse_large))
        .layer(cors.layer())
        .layer(middleware::from_fn_with_state(Frame { function, body_limit }, finish))
}

/// Refuses a body that is too large before anybody looks at it, on routes that take none too. Lambda hands it over whole,
/// so its size is known; where it is not, [`extract::Bytes`] stops reading.
async fn refuse_large(State(limit): State<usize>, request: Request, next: Next) -> Response {
    let length = usize::try_from(request.body().size_hint().lower()).unwrap_or(usize::MAX);
    if length > limit { ApiError::payload_too_large(limit).into_response() } else { next.run(request).await }
}

fn panicked(_: Box<dyn Any + Send + 'static>) -> Response<Body> {
    // The panic's message went to the log by the panic hook; it may quote input, so it is not repeated.
    ApiError::internal().into_response()
}

/// Gives the request its id, runs it, writes the error's body, and logs one line.
async fn finish(State(frame): State<Frame>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let request_id = request_id(&request);
    let method = request.method().clone();
    let path = request
        .extensions()
        .get::<axum::extract::MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    extract::set_limit(&mut request, frame.body_limit);
    request.extensions_mut().insert(RequestId(request_id.clone()));
    let standing = RateSlot::default();
    request.extensions_mut().insert(standing.clone());
    let span = tracing::error_span!(
        "request",
        function = frame.function,
        request_id = request_id.as_str(),
        tenant_id = tracing::field::Empty,
    );
    let mut response = next.run(request).instrument(span.clone()).await;
    let error = response.extensions_mut().remove::<Arc<ApiError>>();
    let _entered = span.enter();
    if let Some(error) = &error {
        *response.body_mut() = Body::from(error.body(&request_id).to_string());
        response.headers_mut().remove(header::CONTENT_LENGTH);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        headers.insert(REQUEST_ID, value);
    }
    if let Some(standing) = error.as_ref().and_then(|error| error.standing).or_else(|| standing.0.get().copied()) {
        headers.insert(RATE_LIMIT, HeaderValue::from(standing.limit));
        headers.insert(RATE_REMAINING, HeaderValue::from(standing.remaining));
        headers.insert(RATE_RESET, HeaderValue::from(standing.reset_s));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=63072000"));

    let status = response.status().as_u16();
    let duration_ms = started.elapsed().as_secs_f64() * 1e3;
    match error {
        Some(error) if response.status().is_server_error() => tracing::error!(
            %method, path, status, duration_ms, code = error.code, error = logging::chain(error.as_ref()),
            "request failed",
        ),
        Some(error) => tracing::info!(%method, path, status, duration_ms, code = error.code, "request refused"),
        None => tracing::info!(%method, path, status, duration_ms, "request answered"),
    }
    response
}

/// API Gateway's own id, so that its access log and ours name a request alike. Never the client's.
fn request_id(request: &Request) -> String {
    match request.extensions().get::<RequestContext>() {
        Some(RequestContext::ApiGatewayV2(context)) => context.request_id.clone(),
        _ => None,
    }
    .unwrap_or_else(|| Uuid::new_v4().to_string())
}
