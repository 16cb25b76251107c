//! Faults while companies work: the database and the pooler killed, storage and queues in trouble, clocks that differ, the
//! reader of documents at its limits. What was acknowledged is not lost, nothing is done twice, and nobody stays stuck.

mod aws;
mod clock;
mod database;
mod reader;
mod traffic;
mod unaided;

/// Returns true when the tests run with PgBouncer. These tests choose what stands before the database themselves.
fn is_through_pgbouncer() -> bool {
    super::support::pooler::is_used()
}
