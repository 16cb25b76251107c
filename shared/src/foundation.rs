//! The ground floor: settings, logging, the database handles, HTTP conventions, sign-in, errors and the helpers that
//! every route uses. Names nothing of the floors above.

pub mod audit;
pub mod auth;
pub mod aws;
pub mod cache;
pub mod clock;
pub mod db;
pub mod error;
pub mod error_reports;
pub mod function;
pub mod http;
pub mod idempotency;
pub mod input;
pub mod jobs;
pub mod logging;
pub mod paging;
pub mod rate_limits;
pub(crate) mod redis_connection;
pub mod sealed;
pub mod settings;
pub mod task_progress;
pub mod telemetry;
pub mod text;
