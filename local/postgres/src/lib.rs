//! The base of the local stack: the data folder, the Python environment, the embedding model, PostgreSQL, PgBouncer and
//! Redis.
//!
//! This package does not depend on the product's packages: `cargo prepare-sql` creates the `.sqlx` data that they need
//! to compile.

mod child;
mod cluster;
mod embedding_model;
mod folder;
mod pooler;
mod prepare;
mod progress;
mod python;
mod redis;
mod schema;
mod server;
mod server_user;

pub use child::{ChildProcess, free_port};
pub use cluster::Cluster;
pub use embedding_model::ensure_embedding_model;
pub use folder::{DataFolder, root, write_private};
pub use pooler::Pooler;
pub use prepare::prepare_sql;
pub use progress::ProgressOutput;
pub use python::Python;
pub use redis::Redis;
pub use server::{Postgres, migrate};
pub use server_user::ServerUser;
