//! Access to tables, tested against the database's own catalog. A table that is added later is either covered by the
//! tests, or makes them fail.

mod adoption;
mod catalog;
mod direct_reads;
mod frontends;
mod grants;
mod isolation;
mod migrate;
mod realtime;
mod rows;
mod structure;
mod supabase;
