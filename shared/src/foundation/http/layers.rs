//! The layers around every function's router: request id, one log line per request, error bodies, rate limit headers,
//! CORS, body limit, panics.

use std::{
    any::Any,
    sync::{Arc, OnceLock},
    time::Instant,
};

use axum::{
    Extension, Router,
    body::{Body, HttpBody},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use lambda_http::request::RequestContext;
use tower_http::{catch_panic::CatchPanicLayer, cors::CorsLayer};
use tracing::Instrument;
use utoipa::openapi::OpenApi;
use uuid::Uuid;

use super::{
    Edge,
    extract::{self, ReceivedAt, RequestId},
    query_parameters::QueryParameters,
};
use crate::{
    db,
    error::{ApiError, RateLimitStatus},
    idempotency, logging,
    settings::Settings,
    telemetry::{self, SpanKind, Telemetry},
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const RATE_LIMIT_LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const RATE_LIMIT_REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RATE_LIMIT_RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// The origins from which browsers may call the API.
#[derive(Debug, Clone, Default)]
pub struct Cors {
    origins: Vec<HeaderValue>,
    any: bool,
}

impl Cors {
    /// Reads CORS_ORIGINS: a comma-separated list of origins, or `*` for any. When it is not set, no origin is
    /// allowed.
    pub fn read(settings: &mut Settings) -> Self {
        let mut cors = Self::default();
        for origin in settings.list("CORS_ORIGINS", &[]) {
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
                header::IF_NONE_MATCH,
                HeaderName::from_static("x-customer-id"),
                HeaderName::from_static("idempotency-key"),
                REQUEST_ID,
            ])
            .expose_headers([
                REQUEST_ID,
                header::ETAG,
                header::RETRY_AFTER,
                header::WWW_AUTHENTICATE,
                RATE_LIMIT_LIMIT,
                RATE_LIMIT_REMAINING,
                RATE_LIMIT_RESET,
                HeaderName::from_static(idempotency::REPLAYED),
            ])
            .max_age(std::time::Duration::from_secs(600));
        // Tokens are sent in a header, never in a cookie. No CORS credentials are allowed, so `*` is safe.
        if self.any { layer.allow_origin(tower_http::cors::Any) } else { layer.allow_origin(self.origins.clone()) }
    }
}

/// A request extension in which an extractor stores the state of the caller's rate limit, for the headers of the
/// response.
#[derive(Debug, Clone, Default)]
pub(crate) struct RateLimitSlot(pub(crate) Arc<OnceLock<RateLimitStatus>>);

/// Stores `status` in the request's [`RateLimitSlot`].
pub(crate) fn record_rate_limit(parts: &Parts, status: RateLimitStatus) {
    if let Some(slot) = parts.extensions.get::<RateLimitSlot>() {
        // A slot is set once: the first status is the one of the caller.
        let _ = slot.0.set(status);
    }
}

#[derive(Debug, Clone)]
struct FunctionLayer {
    function: &'static str,
    body_limit: usize,
    edge: Edge,
    telemetry: Telemetry,
}

/// Options of the layers around a function's router.
#[derive(Debug)]
pub struct LayerOptions {
    /// Name of the function, for the log.
    pub function: &'static str,
    /// Maximum length of a request's body, in bytes.
    pub body_limit: usize,
    /// The origins that may call.
    pub cors: Cors,
    /// The content delivery network in front of the API.
    pub edge: Edge,
    /// The function's traces.
    pub telemetry: Telemetry,
    /// Builds the description of the function's routes.
    pub describe: fn() -> OpenApi,
}

/// Adds the layers to a function's router.
pub fn layers(router: Router, options: LayerOptions) -> Router {
    let LayerOptions { function, body_limit, cors, edge, telemetry, describe } = options;
    router
        .fallback(async || ApiError::not_found("route"))
        .method_not_allowed_fallback(async || ApiError::method_not_allowed())
        .layer(extract::disable_axum_limit())
        .layer(Extension(QueryParameters::new(describe)))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(body_limit, refuse_large))
        .layer(cors.layer())
        .layer(middleware::from_fn(answer_options))
        .layer(middleware::from_fn_with_state(FunctionLayer { function, body_limit, edge, telemetry }, finish))
}

/// Rejects a request whose body is too large before anything reads the body, also on routes that take none. Lambda
/// passes the whole body, so its size is known. Where it is not known, [`extract::Bytes`] enforces the limit while it
/// reads.
async fn refuse_large(State(limit): State<usize>, request: Request, next: Next) -> Response {
    let length = usize::try_from(request.body().size_hint().lower()).unwrap_or(usize::MAX);
    if length > limit {
        return ApiError::payload_too_large_at(request.uri().path(), limit).into_response();
    }
    next.run(request).await
}

/// Answers an `OPTIONS` request that is no CORS preflight: 204 with the path's methods in `Allow`, and 404 for a path that
/// does not exist.
async fn answer_options(mut request: Request, next: Next) -> Response {
    let is_preflight = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if request.method() != Method::OPTIONS || is_preflight {
        return next.run(request).await;
    }
    // The CORS layer answers every OPTIONS request by itself, and so does not ask the router. No route takes TRACE, so the
    // router refuses it with the methods of the path.
    *request.method_mut() = Method::TRACE;
    let mut response = next.run(request).await;
    let allowed = response.headers().get(header::ALLOW).and_then(|allowed| allowed.to_str().ok());
    let allowed = allowed.and_then(|allowed| HeaderValue::try_from(format!("{allowed},OPTIONS")).ok());
    if let (StatusCode::METHOD_NOT_ALLOWED, Some(allowed)) = (response.status(), allowed) {
        response.extensions_mut().remove::<Arc<ApiError>>();
        *response.status_mut() = StatusCode::NO_CONTENT;
        *response.body_mut() = Body::empty();
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_TYPE);
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(header::ALLOW, allowed);
    }
    response
}

/// Turns a panic into a 500.
fn panicked(_: Box<dyn Any + Send + 'static>) -> Response<Body> {
    // The panic hook has logged the place of the panic. Its message may quote input, so it is not repeated here.
    ApiError::internal().into_response()
}

/// The outermost layer: gives the request its id, runs it, writes the body of an error and the common headers, and
/// logs one line.
async fn finish(State(layer): State<FunctionLayer>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    request.extensions_mut().insert(ReceivedAt(started.into()));
    let request_id = request_id(&request);
    let method = logged_method(request.method());
    let path = request
        .extensions()
        .get::<axum::extract::MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    extract::set_body_limit(&mut request, layer.body_limit);
    if let Some(client) = layer.edge.client(request.headers()) {
        request.extensions_mut().insert(client);
    }
    request.extensions_mut().insert(RequestId(request_id.clone()));
    let slot = RateLimitSlot::default();
    request.extensions_mut().insert(slot.clone());
    let trace = request_trace(&layer.telemetry, &request, &method, &path, &request_id);
    let span = tracing::error_span!(
        "request",
        function = layer.function,
        request_id = request_id.as_str(),
        tenant_id = tracing::field::Empty,
        trace_id = trace.trace_id(),
    );
    let work = telemetry::in_span(&trace, db::with_shared_wait(next.run(request)));
    let mut response = work.instrument(span.clone()).await;
    let error = response.extensions_mut().remove::<Arc<ApiError>>();
    let _entered = span.enter();
    if let Some(error) = &error {
        *response.body_mut() = Body::from(error.body(&request_id).to_string());
        response.headers_mut().remove(header::CONTENT_LENGTH);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    let rate_limit = error.as_ref().and_then(|error| error.rate_limit_status).or_else(|| slot.0.get().copied());
    set_common_headers(response.headers_mut(), &request_id, rate_limit);

    let status = response.status().as_u16();
    trace.set("http.response.status_code", status);
    if let Some(error) = error.as_ref().filter(|_| response.status().is_server_error()) {
        trace.fail(error.code);
    }
    let duration_ms = started.elapsed().as_secs_f64() * 1e3;
    match error {
        Some(error) if response.status().is_server_error() => tracing::error!(
            %method,
            path,
            status,
            duration_ms,
            code = error.code,
            error = logging::chain(error.as_ref()),
            "request failed",
        ),
        Some(error) => tracing::info!(%method, path, status, duration_ms, code = error.code, "request refused"),
        None => tracing::info!(%method, path, status, duration_ms, "request answered"),
    }
    response
}

/// Sets the headers that every answer has.
fn set_common_headers(headers: &mut HeaderMap, request_id: &str, rate_limit: Option<RateLimitStatus>) {
    if let Ok(value) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, value);
    }
    if let Some(rate_limit) = rate_limit {
        headers.insert(RATE_LIMIT_LIMIT, HeaderValue::from(rate_limit.limit));
        headers.insert(RATE_LIMIT_REMAINING, HeaderValue::from(rate_limit.remaining));
        headers.insert(RATE_LIMIT_RESET, HeaderValue::from(rate_limit.reset_s));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=63072000"));
}

/// Opens the span of a request in the trace of its headers. It has the route instead of the path, which carries ids.
fn request_trace(
    telemetry: &Telemetry,
    request: &Request,
    method: &str,
    route: &str,
    request_id: &str,
) -> telemetry::Span {
    let parent = telemetry::parent_of_request(request.headers());
    let trace = telemetry.root_span(format!("{method} {route}"), SpanKind::Server, parent);
    if trace.is_recorded() {
        trace.set("http.request.method", method.to_owned());
        trace.set("http.route", route.to_owned());
        trace.set("lisa.request_id", request_id.to_owned());
    }
    trace
}

/// Returns the method for the log: one of HTTP's, or the beginning of a made-up one, which may be long.
fn logged_method(method: &Method) -> String {
    const MAX_CHARS: usize = 16;
    method.as_str().chars().take(MAX_CHARS).collect()
}

/// Returns API Gateway's request id, so that its access log and ours use one id; a random one outside API Gateway. An
/// id that the client sends is never used.
fn request_id(request: &Request) -> String {
    match request.extensions().get::<RequestContext>() {
        Some(RequestContext::ApiGatewayV2(context)) => context.request_id.clone(),
        _ => None,
    }
    .unwrap_or_else(|| Uuid::new_v4().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_up_method_is_cut_for_the_log() {
        assert_eq!(logged_method(&Method::OPTIONS), "OPTIONS");
        let long: Method = "M".repeat(10_000).parse().unwrap();
        assert_eq!(logged_method(&long), "M".repeat(16));
    }
}
