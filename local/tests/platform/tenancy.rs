//! Access to tables, tested against the database's own catalog. A table that is added later is either covered by the
//! tests, or makes them fail.

mod adoption;
mod catalog;
mod direct_reads;
mod frontends;
mod grants;
mod isolation;
mod migrate;
mod privacy;
mod realtime;
mod rows;
mod structure;
mod supabase;

/// Columns of `orders` that front ends receive through Realtime.
const PUBLISHED_ORDER_COLUMNS: [&str; 11] = [
    "id",
    "company_id",
    "conversation_id",
    "customer_name",
    "total_amount",
    "currency",
    "status",
    "items",
    "needs_review",
    "created_at",
    "updated_at",
];
