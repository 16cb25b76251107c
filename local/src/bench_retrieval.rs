//! `cargo bench-retrieval`: measures the latency of searches among many chunks of many tenants, and the recall that
//! approximate search loses. The chunks are generated from a seed and kept, so that the next run measures at once.

mod chunk_generator;
mod dataset;
mod measure;
mod plan;
mod vectors;

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use local_postgres::{Cluster, DataFolder, Postgres, ProgressOutput, Python, ensure_embedding_model, root};
use sqlx::{Connection, PgConnection};

use self::{dataset::Dataset, vectors::Vectors};
use crate::{bench, dev::migrate, environment::DatabaseUrls, eval::set::QuestionSet, secrets::LocalSecrets};

/// PostgreSQL settings of a dedicated server with about 24 GB of memory. Commits do not wait for the disk while the
/// data is loaded.
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
/// The first run generates the chunks, which takes a while, and keeps them. A run after an interrupted one continues
/// the loading.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The question sets from whose paragraphs the chunks are made: contexts.jsonl and questions.jsonl of each, in
    /// the format of `cargo eval`.
    #[arg(required = true, num_args = 2.., value_names = ["CONTEXTS", "QUESTIONS"])]
    files: Vec<PathBuf>,
    /// The number of chunks of all tenants together.
    #[arg(long, default_value_t = 1_000_000)]
    chunks: usize,
    /// The number of tenants: one with 200,000 chunks, some with 50,000, more with 10,000 and 1,000, the others with
    /// few.
    #[arg(long, default_value_t = 1_000)]
    tenants: usize,
    /// The seed of the generated data.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The embedding model of the vectors.
    #[arg(long, value_enum, default_value_t = Model::Local)]
    model: Model,
    /// The folder of the chunks, about 12 kB each with the local embedder, 6 kB with e5 [default:
    /// target/bench-retrieval, and target/bench-retrieval-e5].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Generate the chunks again.
    #[arg(long)]
    reset: bool,
    /// The number of searches of each kind, per size of tenant.
    #[arg(long, default_value_t = 300)]
    searches: usize,
    /// The number of questions, per size of tenant, that are also compared with all chunks to measure the recall.
    #[arg(long, default_value_t = 50)]
    compared: usize,
    /// The number of connections that search the largest tenant during the second measurement.
    #[arg(long, default_value_t = 1)]
    neighbours: usize,
    /// Fail when a figure exceeds its budget.
    #[arg(long)]
    check: bool,
}

/// An embedding model that needs no key.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Model {
    /// The local embedder, 1,536 numbers.
    Local,
    /// multilingual-e5-small, 384 numbers. Chunks get mixed vectors of the paragraphs that they are made of.
    E5,
}

impl Model {
    /// The name of the default folder in target/.
    fn folder(self) -> &'static str {
        match self {
            Self::Local => "bench-retrieval",
            Self::E5 => "bench-retrieval-e5",
        }
    }

    fn vectors(self, sets: &[QuestionSet], seed: u64) -> Result<Vectors> {
        match self {
            Self::Local => Ok(Vectors::Local),
            Self::E5 => {
                let file = ensure_embedding_model(ProgressOutput::Silent)?;
                Vectors::of_e5(&file, sets, seed)
            }
        }
    }
}

/// Loads missing data, measures and prints.
///
/// # Errors
/// Fails when a server does not start, the folder holds other data, or with `--check` a figure exceeds its budget.
pub async fn run(arguments: Arguments) -> Result<()> {
    ensure!(arguments.tenants > 0 && arguments.chunks >= 10 * arguments.tenants, "a tenant has ten chunks or more");
    ensure!(arguments.files.len().is_multiple_of(2), "a question set is two files: contexts, then questions");
    let sets =
        arguments.files.chunks(2).map(|files| QuestionSet::read(&files[0], &files[1])).collect::<Result<Vec<_>>>()?;
    let vectors = arguments.model.vectors(&sets, arguments.seed)?;
    let sizes = plan::sizes(arguments.chunks, arguments.tenants);
    let load = Arc::new(Dataset { seed: arguments.seed, sizes, sets, vectors });

    let path = arguments.data.clone().unwrap_or_else(|| root().join("target").join(arguments.model.folder()));
    let mut data = DataFolder::open(Some(&path))?;
    data.lock()?;
    if arguments.reset {
        data.reset()?;
    }
    let python = Python::ensure(ProgressOutput::Silent)?;
    let cluster = Cluster::persistent(&data, &python, ProgressOutput::Silent)?.with_settings(&SETTINGS);
    let postgres = Postgres::start(cluster, ProgressOutput::Silent).await?;
    let secrets = LocalSecrets::open(&data)?;
    postgres.create_database(DATABASE).await.context("the database cannot be created")?;
    let database = DatabaseUrls {
        app: postgres.url("lisa_app", &secrets.app_password, DATABASE),
        system: postgres.url("lisa_system", &secrets.system_password, DATABASE),
        admin: postgres.admin_url(DATABASE),
        billing: None,
    };
    migrate(&database).await?;
    load.run(&database.admin).await?;

    let mut admin = PgConnection::connect(&database.admin).await?;
    println!("{}; PostgreSQL with {}\n", bench::machine()?, SETTINGS[..5].join(", "));
    dataset::describe(&load, &mut admin).await?;
    let misses = measure::run(&arguments, &load, &database).await?;
    bench::report_misses(&misses, arguments.check)
}
