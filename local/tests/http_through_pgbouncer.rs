//! All tests of `http`, with PgBouncer in transaction mode between the functions and PostgreSQL.

#[path = "http/main.rs"]
mod http;
