//! The command `cargo prepare-sql [--check]`.

use clap::Parser;
use local_postgres::{ProgressOutput, prepare_sql};

/// Updates .sqlx from the checked SQL in the code, and migrations/schema.sql from the migrations, using a temporary
/// database.
#[derive(Debug, Parser)]
struct Arguments {
    /// Write nothing; fail when .sqlx/ or migrations/schema.sql is out of date.
    #[arg(long)]
    check: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    prepare_sql(Arguments::parse().check, ProgressOutput::Shown).await
}
