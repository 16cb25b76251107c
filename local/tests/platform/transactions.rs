//! `shared::db` and its traps: what a transaction leaves behind when it fails, is dropped, or loses its connection.

mod connections;
mod faults;
mod shared_backends;
mod watch;
