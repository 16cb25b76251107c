//! One route that answers JSON, and nothing else: what is left is the price of Lambda's runtime client and of axum.
//! Never deployed.

use axum::{Json, Router, routing::get};
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    lambda_http::run(Router::new().route("/health", get(async || Json(json!({ "status": "healthy" }))))).await
}
