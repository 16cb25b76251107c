//! `cargo bench-retrieval`: how long searches take among many chunks of many tenants, and what is lost by not comparing
//! them all. The chunks are made by a seed and kept, so that the next run measures at once.

mod load;
mod measure;
mod plan;
mod texts;

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use local_postgres::{Cluster, Folder, Postgres, Progress, Python, root};
use sqlx::{Connection, PgConnection};

use self::load::Load;
use crate::{bench, dev::migrate, environment::Database, eval::set::Set, kept::Kept};

/// Of a server with about 24 GB of memory that is its own. While it loads, commits do not wait.
const SETTINGS: [&str; 10] = [
    "shared_buffers=8GB",
    "effective_cache_size=16GB",
    "work_mem=8MB",
    "random_page_cost=1.1",
    "effective_io_concurrency=200",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_wal_size=1GB",
    "checkpoint_timeout=30min",
    "autovacuum=off",
];
const DATABASE: &str = "bench_retrieval";

/// Measures searches among many chunks of many tenants. Prints Markdown.
///
/// The first run makes the chunks, which takes a while, and keeps them; a run that was killed is gone on with.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Question sets, whose paragraphs chunks are made of: contexts.jsonl and questions.jsonl of each, as of `cargo eval`.
    #[arg(required = true, num_args = 2.., value_names = ["CONTEXTS", "QUESTIONS"])]
    files: Vec<PathBuf>,
    /// Chunks, of all tenants together.
    #[arg(long, default_value_t = 1_000_000)]
    chunks: usize,
    /// Tenants: one of 200,000 chunks, some of 50,000, more of 10,000 and 1,000, the others of few.
    #[arg(long, default_value_t = 1_000)]
    tenants: usize,
    /// What is generated depends on this number alone.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The folder that keeps the chunks, about 12 kB each [default: target/bench-retrieval].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Make the chunks anew.
    #[arg(long)]
    reset: bool,
    /// Searches of each kind, for each size of tenants.
    #[arg(long, default_value_t = 300)]
    searches: usize,
    /// Questions of each size whose nearest chunks are looked for among all, to tell the recall.
    #[arg(long, default_value_t = 50)]
    compared: usize,
    /// Connections that search the largest tenant all the while, the second time.
    #[arg(long, default_value_t = 1)]
    neighbours: usize,
    /// Fail when a figure is beyond its budget.
    #[arg(long)]
    check: bool,
}

/// Loads what is missing, measures and prints.
///
/// # Errors
/// A server that does not start, a folder that holds something else, or with `--check` a figure beyond its budget.
pub async fn run(arguments: Arguments) -> Result<()> {
    ensure!(arguments.tenants > 0 && arguments.chunks >= 10 * arguments.tenants, "a tenant has ten chunks or more");
    ensure!(arguments.files.len().is_multiple_of(2), "a question set is two files: contexts, then questions");
    let sets = arguments.files.chunks(2).map(|files| Set::read(&files[0], &files[1])).collect::<Result<Vec<_>>>()?;
    let load = Arc::new(Load { seed: arguments.seed, sizes: plan::sizes(arguments.chunks, arguments.tenants), sets });

    let path = arguments.data.clone().unwrap_or_else(|| root().join("target/bench-retrieval"));
    let mut data = Folder::open(Some(&path))?;
    data.lock()?;
    if arguments.reset {
        data.reset()?;
    }
    let python = Python::ensure(&Folder::open(None)?, Progress::Silent)?;
    let cluster = Cluster::kept(&data, &python, Progress::Silent)?.with_settings(&SETTINGS);
    let postgres = Postgres::start(cluster, Progress::Silent).await?;
    let kept = Kept::open(&data)?;
    postgres.create_database(DATABASE).await.context("the database cannot be made")?;
    let database = Database {
        app: postgres.url("lisa_app", &kept.app_password, DATABASE),
        system: postgres.url("lisa_system", &kept.system_password, DATABASE),
        admin: postgres.admin_url(DATABASE),
        billing: None,
    };
    migrate(&database).await?;
    load.run(&database.admin).await?;

    let mut admin = PgConnection::connect(&database.admin).await?;
    println!("{}; PostgreSQL with {}\n", bench::machine()?, SETTINGS[..5].join(", "));
    load::describe(&load, &mut admin).await?;
    let misses = measure::run(&arguments, &load, &database).await?;
    for miss in &misses {
        println!("beyond its budget: {miss}");
    }
    if arguments.check && !misses.is_empty() {
        bail!("{} figures are beyond their budgets", misses.len());
    }
    Ok(())
}
