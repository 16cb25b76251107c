//! `cargo bench-lambda`: measures cold starts and warm requests of functions against a bare function in the same run.
//! The release bootstraps run as processes, one at a time and in turns, so that disturbances of the machine affect
//! all alike.

mod bootstrap;
pub(crate) mod build;
pub(crate) mod figures;
mod fixture;
mod layers;
mod stub;
mod traces;

use std::{
    fs::{self, File},
    path::PathBuf,
};

use anyhow::{Context, Result, bail};
use clap::Args;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use shared::settings::SettingsMap;

use self::{
    bootstrap::Bootstrap,
    figures::{Sample, table},
    fixture::BenchFixture,
};

/// The package of the bare function, the baseline.
const BARE: &str = "bare";
const PACKAGES: [&str; 4] = [BARE, "health", "quota", "query"];
/// The packages that are measured with every profile after the first.
const COMPARED_PACKAGES: [&str; 2] = ["quota", "query"];
/// The kind of cold start that the bare function has too.
const ALL_SETTINGS_GIVEN: &str = "settings given";
/// The kind of cold start with a fetched secret. Shown in its own row, and exempt from the budget.
const SECRET_FETCHED: &str = "secret fetched";
/// Uncounted rounds of cold starts, which fill the page cache.
const WARM_UP_ROUNDS: usize = 2;
/// Uncounted requests before the warm ones. The second memory figure is taken after them.
const WARM_UP_REQUESTS: usize = 200;

// The budgets of the figures (docs/BENCHMARKS.md).
const MAX_START_RATIO: f64 = 1.5;
const MAX_RSS_MB: f64 = 20.0;
const MAX_QUOTA_CPU_MS: f64 = 0.3;
const MAX_ZIPPED_MB: f64 = 5.0;

/// Measures cold starts, memory, CPU time and size of release bootstraps. Prints Markdown.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The cargo profile. Given several times, quota and query are also measured with the further profiles.
    #[arg(long = "profile", default_value = "release")]
    profiles: Vec<String>,
    /// The number of cold starts of each kind.
    #[arg(long, default_value_t = 30)]
    rounds: usize,
    /// The number of processes of each kind whose warm requests are measured.
    #[arg(long, default_value_t = 5)]
    warm_rounds: usize,
    /// The number of warm requests per process.
    #[arg(long, default_value_t = 2_000)]
    requests: usize,
    /// Do not build; measure the programs as they are.
    #[arg(long)]
    as_built: bool,
    /// Measure only the layers around a quota request.
    #[arg(long)]
    layers: bool,
    /// Measure only what traces add to a request.
    #[arg(long, conflicts_with = "layers")]
    traces: bool,
    /// Fail when a figure of the first profile exceeds its budget.
    #[arg(long)]
    check: bool,
}

/// Builds and measures the programs, and prints the tables.
///
/// # Errors
/// Fails when a build or a function fails, or with `--check` when a figure exceeds its budget.
pub async fn run(arguments: Arguments) -> Result<()> {
    let scene = Box::pin(BenchFixture::create()).await?;
    // Blocking is fine: nothing else runs on this runtime, and the measurements wait for processes.
    tokio::task::block_in_place(|| measure(&arguments, &scene))
}

fn measure(arguments: &Arguments, scene: &BenchFixture) -> Result<()> {
    if arguments.layers {
        return layers::measure(arguments, scene);
    }
    if arguments.traces {
        return traces::measure(arguments, scene);
    }
    let mut programs = Vec::new();
    for (place, profile) in arguments.profiles.iter().enumerate() {
        let packages = if place == 0 { PACKAGES.as_slice() } else { &COMPARED_PACKAGES };
        if !arguments.as_built {
            eprintln!("  building with the profile {profile}: minutes, the first time");
            build::build(profile, packages)?;
        }
        let folder = build::folder(profile)?;
        programs.extend(packages.iter().map(|&package| Program {
            profile: profile.clone(),
            package,
            path: folder.join(package),
        }));
    }
    println!("{}\n", machine()?);
    let mut misses = sizes(&programs)?;
    misses.extend(cold_starts(arguments, scene, &programs)?);
    misses.extend(warm_requests(arguments, scene, &programs)?);
    report_misses(&misses, arguments.check)
}

/// Prints the figures over budget.
///
/// # Errors
/// Fails when there are any and `is_checked` is true.
pub(crate) fn report_misses(misses: &[String], is_checked: bool) -> Result<()> {
    for miss in misses {
        println!("over budget: {miss}");
    }
    if is_checked && !misses.is_empty() {
        bail!("{} figures are over budget", misses.len());
    }
    Ok(())
}

/// A built bootstrap.
struct Program {
    profile: String,
    package: &'static str,
    path: PathBuf,
}

impl Program {
    fn start(&self, settings: &SettingsMap) -> Result<Bootstrap> {
        let log = self.path.with_file_name(format!("bench-{}.log", self.package));
        Bootstrap::start(&self.path, settings, &log).with_context(|| format!("{} ({})", self.package, self.profile))
    }

    /// Evicts the program from the page cache. A file that a linker has just written is cached in small pieces, which
    /// cost more to map than a file read from disk, as a deployed function is.
    fn evict_from_page_cache(&self) -> Result<()> {
        let file = File::open(&self.path)?;
        file.sync_all()?;
        posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
        Ok(())
    }

    fn cells(&self, what: &str) -> Vec<String> {
        vec![what.to_owned(), self.profile.clone()]
    }
}

/// Measures the sizes of the programs. Returns the figures over budget.
fn sizes(programs: &[Program]) -> Result<Vec<String>> {
    let (mut rows, mut misses) = (Vec::new(), Vec::new());
    for program in programs {
        let (whole, zipped) = build::sizes(&program.path)?;
        let [whole, zipped] = [whole, zipped].map(|bytes| bytes as f64 / 1e6);
        let mut row = program.cells(program.package);
        row.extend([format!("{whole:.2}"), format!("{zipped:.2}")]);
        rows.push(row);
        if zipped > MAX_ZIPPED_MB {
            misses.push(format!("{} ({}): {zipped:.2} MB zipped", program.package, program.profile));
        }
    }
    table(&["program", "profile", "MB", "MB zipped"], &rows);
    Ok(misses)
}

/// A kind of cold start of a program, with its samples.
struct ColdStart<'p> {
    program: &'p Program,
    what: &'static str,
    settings: SettingsMap,
    took: Sample,
    cpu: Sample,
    peak: Sample,
}

/// Measures cold starts: with all settings given, with the secret fetched, and with a Supabase project whose public
/// keys are fetched at the first request. Returns the figures over budget.
fn cold_starts(arguments: &Arguments, scene: &BenchFixture, programs: &[Program]) -> Result<Vec<String>> {
    let mut starts = Vec::new();
    for program in programs {
        let mut add = |what, settings| {
            starts.push(ColdStart {
                program,
                what,
                settings,
                took: Sample::default(),
                cpu: Sample::default(),
                peak: Sample::default(),
            });
        };
        add(ALL_SETTINGS_GIVEN, scene.complete_settings());
        if program.package != BARE {
            add(SECRET_FETCHED, scene.settings_with_secret_arn());
            let mut supabase = scene.complete_settings();
            supabase.insert("SUPABASE_URL".to_owned(), "https://bench.supabase.co".to_owned());
            add("settings given, SUPABASE_URL too", supabase);
        }
    }
    measure_starts(arguments.rounds, programs, &mut starts)?;
    Ok(report_starts(&starts))
}

/// Starts every program once a round, in turn, and adds what is measured to its samples.
fn measure_starts(rounds: usize, programs: &[Program], starts: &mut [ColdStart<'_>]) -> Result<()> {
    for program in programs {
        program.evict_from_page_cache()?;
    }
    for round in 0..WARM_UP_ROUNDS + rounds {
        for start in starts.iter_mut() {
            let bootstrap = start.program.start(&start.settings)?;
            if round >= WARM_UP_ROUNDS {
                start.took.add(bootstrap.start.as_secs_f64() * 1e3);
                start.cpu.add(bootstrap.start_cpu.as_secs_f64() * 1e3);
                start.peak.add(bootstrap.peak_kib()? as f64 * 1024.0 / 1e6);
            }
        }
    }
    Ok(())
}

/// Prints the table of cold starts. Returns the figures over budget.
fn report_starts(starts: &[ColdStart<'_>]) -> Vec<String> {
    let (mut rows, mut misses) = (Vec::new(), Vec::new());
    for start in starts {
        let given = |program: fn(&ColdStart<'_>, &ColdStart<'_>) -> bool| {
            let found = starts.iter().find(|other| other.what == ALL_SETTINGS_GIVEN && program(other, start));
            found.map_or(f64::NAN, |other| other.took.median())
        };
        let took = start.took.median();
        let ratio = took / given(|other, _| other.program.package == BARE);
        let more = took - given(|other, start| std::ptr::eq(other.program, start.program));
        let mut row = start.program.cells(&format!("{}, {}", start.program.package, start.what));
        row.extend([
            format!("{took:.2}"),
            format!("{:.2}", start.took.percentile(95)),
            format!("{ratio:.2}"),
            format!("{more:+.2}"),
            format!("{:.2}", start.cpu.median()),
            format!("{:.1}", start.peak.median()),
        ]);
        rows.push(row);
        if start.what != SECRET_FETCHED && ratio > MAX_START_RATIO {
            misses.push(format!("{}, {}: {ratio:.2} × bare to start", start.program.package, start.what));
        }
        if start.peak.median() > MAX_RSS_MB {
            misses.push(format!("{}, {}: {:.1} MB at start", start.program.package, start.what, start.peak.median()));
        }
    }
    let heads = [
        "start",
        "profile",
        "median ms",
        "p95 ms",
        "× bare",
        "ms over settings given",
        "CPU, median ms",
        "peak RSS, MB",
    ];
    table(&heads, &rows);
    misses
}

/// A kind of warm request, with its samples.
struct WarmRequest<'p> {
    program: &'p Program,
    what: &'static str,
    event: String,
    cpu: Sample,
    peak: Sample,
}

/// Measures warm requests, one after the other, as one Lambda instance gets them. Returns the figures over budget.
fn warm_requests(arguments: &Arguments, scene: &BenchFixture, programs: &[Program]) -> Result<Vec<String>> {
    let mut warm = Vec::new();
    for program in programs {
        let events: &[(&'static str, &str, Option<&str>)] = match program.package {
            "health" => &[("health, GET /health", "health", None)],
            "quota" => &[
                ("quota, GET /v1/quota/{public_user_id}", "quota", None),
                ("quota, GET /api/v1/quota/status", "quota", Some("/api/v1/quota/status")),
            ],
            "query" => &[("query, POST /api/v1/query", "query", None)],
            _ => &[("bare, GET /health", "health", None)],
        };
        for &(what, function, route) in events {
            let event = scene.event(function, route)?;
            warm.push(WarmRequest { program, what, event, cpu: Sample::default(), peak: Sample::default() });
        }
    }
    for _ in 0..arguments.warm_rounds {
        for kind in &mut warm {
            let bootstrap = kind.program.start(&scene.settings_with_secret_arn())?;
            let times = |count: usize| (0..count).try_for_each(|_| bootstrap.invoke(&kind.event, 200));
            times(WARM_UP_REQUESTS).context(kind.what)?;
            kind.peak.add(bootstrap.peak_kib()? as f64 * 1024.0 / 1e6);
            let before = bootstrap.cpu_ms()?;
            times(arguments.requests).context(kind.what)?;
            kind.cpu.add((bootstrap.cpu_ms()? - before) / arguments.requests as f64);
        }
    }
    let (mut rows, mut misses) = (Vec::new(), Vec::new());
    for kind in &warm {
        let bare = warm.iter().find(|other| other.program.package == BARE);
        let (cpu, peak) = (kind.cpu.median(), kind.peak.median());
        let mut row = kind.program.cells(kind.what);
        row.extend([
            format!("{cpu:.3}"),
            format!("{:.3}", kind.cpu.percentile(100)),
            format!("{:.2}", cpu / bare.map_or(f64::NAN, |bare| bare.cpu.median())),
            format!("{peak:.1}"),
        ]);
        rows.push(row);
        if kind.program.package == "quota" && cpu > MAX_QUOTA_CPU_MS {
            misses.push(format!("{}: {cpu:.3} ms of processor time", kind.what));
        }
        if peak > MAX_RSS_MB {
            misses.push(format!("{}: {peak:.1} MB after {WARM_UP_REQUESTS} requests", kind.what));
        }
    }
    let after = format!("peak RSS after {WARM_UP_REQUESTS}, MB");
    table(&["warm request", "profile", "CPU, median ms", "most", "× bare", &after], &rows);
    Ok(misses)
}

/// Describes the machine: cores, processor and memory.
pub(crate) fn machine() -> Result<String> {
    let cpus = fs::read_to_string("/proc/cpuinfo").context("/proc/cpuinfo cannot be read")?;
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("\t: a processor");
    let model = model.trim_start_matches(['\t', ' ', ':']);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = fs::read_to_string("/proc/meminfo").context("/proc/meminfo cannot be read")?;
    let kib: f64 = memory.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or_default();
    Ok(format!("{cores} cores ({model}), {:.0} GB of memory", kib * 1024.0 / 1e9))
}
