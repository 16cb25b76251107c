//! What stands below the local stack: its folder, its Python environment and PostgreSQL.
//!
//! A package of its own that knows nothing of the product: `cargo prepare-sql` needs a database to make what the
//! product's checked SQL compiles against.

mod account;
mod child;
mod cluster;
mod folder;
mod pooler;
mod prepare;
mod progress;
mod python;
mod redis;
mod server;

pub use account::Account;
pub use child::{Child, free_port};
pub use cluster::Cluster;
pub use folder::{Folder, root, write_private};
pub use pooler::Pooler;
pub use prepare::prepare_sql;
pub use progress::Progress;
pub use python::Python;
pub use redis::Redis;
pub use server::{Postgres, migrate};
