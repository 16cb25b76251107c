//! `cargo histories`: generates histories of conversations with bursts, crashes, repeated deliveries, takeovers,
//! opt-outs and changes of the plan. Checks the invariants on a model of the rules (`judge`), or with `--database`
//! compares the real product with the model after each event (`replay`).

mod contact;
mod event;
mod generator;
mod judge;
mod model;
mod picture;
mod replay;

use std::{
    num::NonZero,
    thread::{self, available_parallelism},
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use clap::Args;

pub use judge::Coverage;

use self::replay::Product;

/// The number of times that a history is repeated because the machine was too slow for it.
const MAX_SLOW_REPLAYS: u32 = 5;
/// The time from which a failed history shows a slow machine. The shortest limit of the product is the wait for a
/// connection to the database, 3 s; a history takes less than a second.
const SLOW_AFTER: Duration = Duration::from_secs(3);
/// The number of histories between two lines about the progress.
const PROGRESS_STEP: u64 = 500;

/// Generates histories from seeds and judges them. A history that fails prints the command that repeats it.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The number of histories.
    #[arg(long, default_value_t = 1_000_000)]
    count: u64,
    /// The seed of the first history; each further one has the next seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Replay the histories on a database and the real reply-worker.
    #[arg(long)]
    database: bool,
}

/// Judges the histories and prints their number, the time and the [`Coverage`].
///
/// # Errors
/// Fails with a history that breaks an invariant, or in which database and model differ, and the command that repeats
/// it.
pub async fn run(arguments: Arguments) -> Result<()> {
    let Arguments { count, seed, database } = arguments;
    let started = Instant::now();
    let coverage = if database {
        replay_on_database(seed, count).await?
    } else {
        tokio::task::block_in_place(|| judge_on_model(seed, count))?
    };
    println!("  {count} histories from seed {seed} hold, in {:.1} s", started.elapsed().as_secs_f64());
    println!("  {coverage:?}");
    Ok(())
}

/// Judges the histories of `count` seeds on the model, on all processors.
///
/// # Errors
/// Fails with the first seed of a thread whose history breaks an invariant.
pub fn judge_on_model(first_seed: u64, count: u64) -> Result<Coverage> {
    let threads = available_parallelism().map_or(1, NonZero::get) as u64;
    let end = first_seed + count;
    let judged: Vec<_> = thread::scope(|scope| {
        let judge = |nth: u64| {
            let seeds = (first_seed + nth..end).step_by(usize::try_from(threads).unwrap_or(1));
            scope.spawn(move || judge::judge_seeds(seeds))
        };
        let running: Vec<_> = (0..threads).map(judge).collect();
        running.into_iter().map(thread::ScopedJoinHandle::join).collect()
    });
    let mut coverage = Coverage::default();
    for outcome in judged {
        let outcome = outcome.map_err(|_panic| anyhow!("a thread panicked"))?;
        coverage.merge(&outcome.map_err(|(seed, problem)| failure(seed, "", &problem))?);
    }
    Ok(coverage)
}

/// Replays the histories of `count` seeds on a database of their own.
///
/// A history stops the clock of the database, but not that of a call: a worker gives up ManyChat after 10 s and the
/// database after 3 s, while the model holds a call as long as the history wants. A history that fails after
/// 3 s is repeated; one that is wrong fails every time.
///
/// # Errors
/// Fails with the first history in which the database and the model differ after an event, and with a history that was
/// too slow five times.
pub async fn replay_on_database(first_seed: u64, count: u64) -> Result<Coverage> {
    let mut product = Product::start().await?;
    let mut coverage = Coverage::default();
    for seed in first_seed..first_seed + count {
        let mut slow_replays = 0;
        let history = loop {
            let started = Instant::now();
            let replayed = Box::pin(product.replay(seed)).await;
            match replayed {
                Ok(history) => break history,
                Err(error) if started.elapsed() < SLOW_AFTER || slow_replays == MAX_SLOW_REPLAYS => {
                    return Err(failure(seed, " --database", &format!("{error:#}")));
                }
                Err(_) => {
                    slow_replays += 1;
                    eprintln!("  seed {seed} took {:.1} s: it is repeated", started.elapsed().as_secs_f64());
                    // The workers of the former run still hold its conversations.
                    product = Product::start().await?;
                }
            }
        };
        coverage.add(&history);
        let done = seed - first_seed + 1;
        if done.is_multiple_of(PROGRESS_STEP) {
            eprintln!("  {done} of {count} histories hold");
        }
    }
    Ok(coverage)
}

fn failure(seed: u64, option: &str, problem: &str) -> anyhow::Error {
    anyhow!("the history of seed {seed} fails: {problem}\nrepeat it: cargo histories --count 1 --seed {seed}{option}")
}
