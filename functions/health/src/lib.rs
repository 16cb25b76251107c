//! `GET /health`: reports that the API is up and, with `?deep=1`, the state of its dependencies.

use std::{future::Future, time::Instant};

use axum::{
    extract::{FromRef, FromRequestParts, Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};
use shared::{
    auth::{Identity, Unmetered, VerificationKeys},
    db::Db,
    error::{ApiError, Result},
    function::{Function, HttpFunction},
    http::Query,
    logging,
    queue::Queue,
    rate_limits::RateLimits,
    routes,
    settings::{CommonSettings, Settings},
    storage::Storage,
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;

/// The `health` Lambda function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// The dependencies of the handler.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    environment: String,
    keys: VerificationKeys,
    limits: RateLimits,
    db: Db,
    storage: Storage,
    ingest_queue: Queue,
}

impl HttpFunction for Deps {
    const NAME: &'static str = "health";

    fn read(settings: &mut Settings) -> Self {
        let db = Db::read(settings);
        Self {
            environment: CommonSettings::read(settings).environment,
            keys: VerificationKeys::read(settings),
            limits: RateLimits::read(settings, &db),
            db,
            storage: Storage::read(settings),
            ingest_queue: Queue::read(settings, "INGEST_QUEUE_URL"),
        }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new().routes(routes!(health))
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct HealthParams {
    /// `1` also checks the dependencies. Requires a service token.
    #[param(minimum = 0, maximum = 1)]
    deep: Option<i32>,
}

/// State of the API. The object has no envelope, because the mobile app reads it in this form.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "status": "healthy", "environment": "dev", "version": "0.1.0", "timestamp": "2026-11-23T09:30:06Z",
}))]
struct Health {
    status: Condition,
    environment: String,
    version: &'static str,
    /// Time of the answer, in whole seconds.
    timestamp: DateTime<Utc>,
    /// State of each dependency; only with `deep=1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<Checks>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Condition {
    Healthy,
    Degraded,
}

#[derive(Debug, Serialize, ToSchema)]
struct Checks {
    database: Check,
    queue: Check,
    storage: Check,
}

#[derive(Debug, Serialize, ToSchema)]
struct Check {
    up: bool,
    latency_ms: f64,
}

/// Reports that the API is up. With `deep=1`, also checks the database, the queue and the storage.
#[utoipa::path(
    get, path = "/health", tag = "health", params(HealthParams), security((), ("bearer" = ["service"])),
    responses((status = 200, body = Health), (status = 503, description = "A dependency is down", body = Health)),
)]
async fn health(
    _: Unmetered,
    State(deps): State<Deps>,
    Query(params): Query<HealthParams>,
    request: Request,
) -> Result<Response> {
    if params.deep.is_some_and(|deep| !(0..=1).contains(&deep)) {
        return Err(ApiError::field("deep", "must be 0 or 1"));
    }
    let checks = if params.deep == Some(1) {
        let (mut parts, _) = request.into_parts();
        let Identity(claims) = Identity::from_request_parts(&mut parts, &deps).await?;
        if !claims.is_service() {
            return Err(ApiError::forbidden("forbidden", "only services may look deeper"));
        }
        Some(Box::pin(deps.check()).await)
    } else {
        None
    };
    let is_up = checks.as_ref().is_none_or(|checks| checks.database.up && checks.queue.up && checks.storage.up);
    let (code, status) = if is_up {
        (StatusCode::OK, Condition::Healthy)
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, Condition::Degraded)
    };
    let health = Health {
        status,
        environment: deps.environment,
        version: env!("CARGO_PKG_VERSION"),
        timestamp: shared::clock::now().trunc_subsecs(0),
        checks,
    };
    let mut response = (code, axum::Json(health)).into_response();
    if !is_up {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    Ok(response)
}

impl Deps {
    /// Checks all dependencies at the same time.
    async fn check(&self) -> Checks {
        let (database, queue, storage) =
            tokio::join!(check(self.db.ping()), check(self.ingest_queue.ping()), check(self.storage.ping()));
        Checks { database, queue, storage }
    }
}

/// Measures one check of a dependency, and logs its error.
async fn check<E: std::error::Error + 'static>(ping: impl Future<Output = std::result::Result<(), E>>) -> Check {
    let started = Instant::now();
    let outcome = ping.await;
    if let Err(error) = &outcome {
        tracing::warn!(error = logging::chain(error), "a dependency is down");
    }
    Check { up: outcome.is_ok(), latency_ms: started.elapsed().as_secs_f64() * 1e3 }
}
