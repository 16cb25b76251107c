//! What the product stands on, tested below HTTP: transactions and their traps, tenancy as the database's catalog has
//! it, the quota's SQL under concurrency, and the real bootstraps of all functions.
//!
//! PostgreSQL, the stand-in for AWS and PgBouncer are started by the tests.

#[cfg(test)]
mod audit;
#[cfg(test)]
mod billing;
#[cfg(test)]
mod bootstraps;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod quota_sql;
#[cfg(test)]
mod rate_limits;
#[cfg(test)]
mod replies;
#[cfg(test)]
mod retrieval;
#[cfg(test)]
mod route;
#[cfg(test)]
mod seed;
#[cfg(test)]
mod tenancy;
#[cfg(test)]
mod transactions;
#[cfg(test)]
mod webhook;
