//! Tests below HTTP: transactions and their failures, tenancy in the database's catalog, the quota's SQL under
//! concurrency, and the Lambda programs of all functions.
//!
//! The tests start PostgreSQL, PgBouncer and the stand-in for AWS themselves.

#[cfg(test)]
mod audit;
#[cfg(test)]
mod billing;
#[cfg(test)]
mod bootstraps;
#[cfg(test)]
mod changes;
#[cfg(test)]
mod console;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod cursors;
#[cfg(test)]
mod documented_tests;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod grants_of_functions;
#[cfg(test)]
mod histories;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod openapi;
#[cfg(test)]
mod orders;
#[cfg(test)]
mod quota_sql;
#[cfg(test)]
mod rate_limits;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod replies;
#[cfg(test)]
mod retrieval;
#[cfg(test)]
mod route;
#[cfg(test)]
mod seed;
#[cfg(test)]
mod structure;
#[cfg(test)]
mod tenancy;
#[cfg(test)]
mod transactions;
#[cfg(test)]
mod webhook;
