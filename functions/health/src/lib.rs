//! `GET /health`: is the API up; with `?deep=1`, are its dependencies.

use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::{
    function::{Function, HttpFunction},
    settings::{Common, Settings},
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// What it needs.
#[derive(Debug, Clone)]
pub struct Deps {
    environment: String,
}

impl HttpFunction for Deps {
    const NAME: &'static str = "health";

    fn read(settings: &mut Settings) -> Self {
        Self { environment: Common::read(settings).environment }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new().routes(routes!(health))
    }
}

/// A bare object, without the envelope: the mobile app reads it so.
#[derive(Debug, Serialize, ToSchema)]
struct Health {
    status: &'static str,
    environment: String,
    version: &'static str,
    timestamp: DateTime<Utc>,
}

/// Tells that the API is up.
#[utoipa::path(get, path = "/health", responses((status = 200, body = Health)))]
async fn health(axum::extract::State(deps): axum::extract::State<Deps>) -> axum::Json<Health> {
    axum::Json(Health {
        status: "healthy",
        environment: deps.environment,
        version: env!("CARGO_PKG_VERSION"),
        timestamp: Utc::now(),
    })
}
