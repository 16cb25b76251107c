//! Privacy: the export of all that a company stores, the deletion of its account and the purge 30 days later, the export and
//! deletion of one contact, the departure of a support user, and the retention of conversations. Owns the tables `exports`
//! and `purges`, and the columns `deleted_at`, `purge_started_at` and `conversation_retention_months` of `customers`.
//!
//! [`inventory`] says of every table whether an export holds it and whether a purge deletes it. docs/PRIVACY.md says why.

pub mod account;
pub mod archive;
pub mod contacts;
pub mod departure;
mod erasure;
pub mod exports;
pub mod inventory;
pub mod purge;
pub mod retention;
