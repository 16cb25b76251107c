//! `cargo fuzz-targets`: feeds mutated inputs to the code that reads what strangers send. A target fails by a panic, by
//! a property that does not hold, or by an input that takes too long. The failing input is saved. Once the defect is
//! mended, add the input to the target's corpus in `local/fixtures/fuzz`.
//!
//! Coverage-guided fuzzers need a nightly compiler. Here, an input with a new outcome joins the corpus of the run, so that
//! mutations go on from it.

mod mutator;
mod targets;

use std::{
    collections::BTreeSet,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::Args;
use local_postgres::root;
use nix::time::{ClockId, clock_gettime};

use self::{mutator::Mutator, targets::Target};

/// Inputs of a run at most, so that a long run keeps its memory.
const MAX_CORPUS: usize = 4_096;
/// The longest processor time that one input may take, outside of tests.
const MAX_INPUT_TIME: Duration = Duration::from_secs(5);

/// Feeds mutated inputs to the fuzz targets, one target after the other.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The minutes for each target.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Run these targets only [default: all targets].
    targets: Vec<String>,
    /// The seed of the mutations.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs the targets and prints the figures.
///
/// # Errors
/// Fails with the first target that does not hold, and for a name that is no target.
pub fn run(arguments: &Arguments) -> Result<()> {
    let targets = targets::all()?;
    for name in &arguments.targets {
        if !targets.iter().any(|target| target.name == name) {
            bail!(
                "there is no target {name}: {}",
                targets.iter().map(|target| target.name).collect::<Vec<_>>().join(", ")
            );
        }
    }
    // The panics of targets are reported with their input.
    panic::set_hook(Box::new(|_| {}));
    let wanted =
        |target: &&Target| arguments.targets.is_empty() || arguments.targets.iter().any(|name| name == target.name);
    for target in targets.iter().filter(wanted) {
        let until = Instant::now() + Duration::from_secs(arguments.minutes * 60);
        let figures = fuzz(target, arguments.seed, |_| Instant::now() < until, MAX_INPUT_TIME)?;
        println!("  {:<20} {figures:?}", target.name);
    }
    Ok(())
}

/// Runs every target on its corpus and on `mutations` mutated inputs.
///
/// # Errors
/// Fails with the first target that does not hold.
pub fn check_all(mutations: u64) -> Result<Vec<(&'static str, FuzzFigures)>> {
    let check = |target: &Target| Ok((target.name, fuzz(target, 1, |count| count < mutations, Duration::MAX)?));
    targets::all()?.iter().map(check).collect()
}

/// The figures of a target's run.
#[derive(Debug, Clone, Copy)]
pub struct FuzzFigures {
    /// Number of inputs of the corpus.
    pub corpus: usize,
    /// Number of mutated inputs.
    pub mutations: u64,
    /// Number of different outcomes.
    pub outcomes: usize,
    /// The longest processor time that an input took.
    pub slowest: Duration,
}

/// Runs a target on its corpus, then on mutated inputs as long as `goes_on` returns true for their number.
fn fuzz(target: &Target, seed: u64, goes_on: impl Fn(u64) -> bool, max_time: Duration) -> Result<FuzzFigures> {
    let mut corpus = read_corpus(target)?;
    let mut figures = FuzzFigures { corpus: corpus.len(), mutations: 0, outcomes: 0, slowest: Duration::ZERO };
    let mut outcomes = BTreeSet::new();
    for input in &corpus {
        outcomes.insert(try_input(target, input, max_time, &mut figures)?);
    }
    let mut mutator = Mutator::new(seed, &corpus);
    while goes_on(figures.mutations) {
        figures.mutations += 1;
        let input = mutator.mutate(&corpus);
        if outcomes.insert(try_input(target, &input, max_time, &mut figures)?) && corpus.len() < MAX_CORPUS {
            corpus.push(input);
        }
    }
    figures.outcomes = outcomes.len();
    Ok(figures)
}

/// Returns the processor time of this thread. Time on the clock would also count what other programs take.
fn processor_time() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

/// Runs a target on one input, and returns its outcome.
fn try_input(target: &Target, input: &[u8], max_time: Duration, figures: &mut FuzzFigures) -> Result<String> {
    let started = processor_time()?;
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let took = processor_time()?.saturating_sub(started);
    figures.slowest = figures.slowest.max(took);
    let problem = match outcome {
        Ok(Ok(outcome)) if took <= max_time => return Ok(outcome),
        Ok(Ok(_)) => format!("it takes {took:?} of processor time"),
        Ok(Err(problem)) => problem,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            format!("it panics: {}", text.unwrap_or("without a text"))
        }
    };
    let path = save(target, input)?;
    bail!("target {} fails on {}: {problem}", target.name, path.display())
}

/// Saves an input that fails.
fn save(target: &Target, input: &[u8]) -> Result<PathBuf> {
    let folder = root().join("target/fuzz").join(target.name);
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    let path = folder.join(format!("{:016x}", hasher.finish()));
    fs::write(&path, input).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(path)
}

/// Reads the files of a target's folders, in the order of their names, and adds the inputs that it makes itself.
fn read_corpus(target: &Target) -> Result<Vec<Vec<u8>>> {
    let mut inputs = Vec::new();
    for folder in [format!("fuzz/{}", target.name).as_str()].iter().chain(target.fixtures) {
        let folder = root().join("local/fixtures").join(folder);
        let entries = fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))?;
        let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
        paths.retain(|path| path.is_file() && is_small(path));
        paths.sort();
        for path in paths {
            inputs.push(fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?);
        }
    }
    inputs.extend(target.made.iter().cloned());
    if inputs.is_empty() {
        bail!("the corpus of {} is empty", target.name);
    }
    Ok(inputs)
}

/// True for a file that is short enough to be mutated often.
fn is_small(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.len() <= mutator::MAX_INPUT_BYTES as u64)
}
