//! Faults while companies use the product: the database and the pooler are killed, storage and queues fail, the
//! functions' clock is wrong, the reader of documents meets its limits. The tests assert that acknowledged requests are
//! not lost, that nothing is done twice, and that no company stays stuck.

mod aws;
mod clock;
mod database;
mod reader;
mod traffic;
mod unaided;

/// Returns true when the tests run through PgBouncer (`TEST_POOLER=1`). The tests of this module then return at once: they
/// choose by themselves whether a pooler is in front of the database.
fn is_through_pgbouncer() -> bool {
    super::support::pooler::is_used()
}
