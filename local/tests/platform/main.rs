//! What the product stands on, tested below HTTP: transactions and their traps, tenancy as the database's catalog has
//! it, the quota's SQL under concurrency, and the real bootstraps of all functions.
//!
//! PostgreSQL, the stand-in for AWS and PgBouncer are started by the tests.

mod bootstraps;
mod contract;
mod proxy;
mod quota_sql;
mod route;
mod seed;
mod tenancy;
mod transactions;
