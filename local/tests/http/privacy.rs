//! Privacy: exports, the deletion of accounts, the purge, contacts, the departure of a support user, and retention.

mod account;
mod contacts;
mod departure;
mod exports;
mod purge;
mod retention;

use serde_json::{Value, json};

use super::support::App;

const ACCOUNT: &str = "/api/v1/privacy/account";
const RESTORE: &str = "/api/v1/privacy/account/restore";
const EXPORTS: &str = "/api/v1/privacy/exports";
const ME: &str = "/api/v1/privacy/me";

/// Runs maintenance once and returns its report.
async fn maintain(app: &App) -> Value {
    app.stack.invoke("maintenance", json!({})).await.unwrap()
}

/// Runs maintenance once as if it were this time, and returns its report.
async fn maintain_at(app: &App, time: chrono::DateTime<chrono::Utc>) -> Value {
    app.stack.invoke("maintenance", json!({ "time": time })).await.unwrap()
}
