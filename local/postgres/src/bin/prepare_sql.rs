//! `cargo prepare-sql [--check]`.

use clap::Parser;
use local_postgres::{Progress, prepare_sql};

/// Brings .sqlx up to date with the checked SQL in the code, by a database of its own.
#[derive(Debug, Parser)]
struct Arguments {
    /// Write nothing; fail when .sqlx is stale.
    #[arg(long)]
    check: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    prepare_sql(Arguments::parse().check, Progress::Shown).await
}
