//! The baseline of `cargo bench-lambda`: a function with one route that answers JSON. Its cost is that of Lambda's
//! runtime client and axum. It is never deployed.

use axum::{Json, Router, routing::get};
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    lambda_http::run(Router::new().route("/health", get(async || Json(json!({ "status": "healthy" }))))).await
}
