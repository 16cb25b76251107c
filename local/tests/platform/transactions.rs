//! Transactions of `shared::db` that fail, are dropped, or lose their connection: they must leave nothing behind.

mod connections;
mod faults;
mod shared_backends;
mod watch;
