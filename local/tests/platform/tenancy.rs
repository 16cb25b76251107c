//! Who may touch what, held against the database's own catalog: a table that is added later is covered, or fails.

mod catalog;
mod front;
mod grants;
mod isolation;
mod migrate;
mod rows;
mod structure;
mod supabase;
