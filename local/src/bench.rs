//! `cargo bench-lambda`: what a start and a warm request of a function cost, against a bare one in the same run. The real
//! bootstraps run as processes, one at a time, in turns, so that what disturbs the machine disturbs all alike.

mod bootstrap;
pub(crate) mod build;
pub(crate) mod figures;
mod layers;
mod scene;
mod stub;

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
    scene::Scene,
};

/// The package that the others are compared with.
const BARE: &str = "bare";
const PACKAGES: [&str; 4] = [BARE, "health", "quota", "query"];
/// Of the profiles after the first.
const COMPARED: [&str; 2] = ["quota", "query"];
/// The start that bare has too.
const GIVEN: &str = "settings given";
/// The start whose fetch is told apart, and is not held to the budget.
const FETCHED: &str = "secret fetched";
/// Rounds that are not counted: they fill the page cache.
const WARM_UP_ROUNDS: usize = 2;
/// Requests that are not counted as warm ones; the second memory figure is taken after them.
const WARM_UP_REQUESTS: usize = 200;

// What the figures are held to (docs/BENCHMARKS.md).
const MOST_START: f64 = 1.5;
const MOST_RSS_MB: f64 = 20.0;
const MOST_QUOTA_MS: f64 = 0.3;
const MOST_ZIPPED_MB: f64 = 5.0;

/// Measures cold starts, memory, processor time and size of release bootstraps. Prints Markdown.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The cargo profile. With several, quota and query of the others are compared with those of the first.
    #[arg(long = "profile", default_value = "release")]
    profiles: Vec<String>,
    /// Starts of each kind.
    #[arg(long, default_value_t = 30)]
    rounds: usize,
    /// Processes of each kind whose warm requests are measured.
    #[arg(long, default_value_t = 5)]
    warm_rounds: usize,
    /// Warm requests of each process.
    #[arg(long, default_value_t = 2_000)]
    requests: usize,
    /// Build nothing: take the programs as they are.
    #[arg(long)]
    as_built: bool,
    /// Measure the layers around a quota request, and nothing else.
    #[arg(long)]
    layers: bool,
    /// Fail when a figure of the first profile is beyond its budget.
    #[arg(long)]
    check: bool,
}

/// Builds, measures and prints.
///
/// # Errors
/// A build or a function that fails, or with `--check` a figure beyond its budget.
pub async fn run(arguments: Arguments) -> Result<()> {
    let scene = Box::pin(Scene::make()).await?;
    // Nothing else has work on this runtime, and the measurements wait for processes.
    tokio::task::block_in_place(|| measure(&arguments, &scene))
}

fn measure(arguments: &Arguments, scene: &Scene) -> Result<()> {
    if arguments.layers {
        return layers::measure(arguments, scene);
    }
    let mut programs = Vec::new();
    for (place, profile) in arguments.profiles.iter().enumerate() {
        let packages = if place == 0 { PACKAGES.as_slice() } else { &COMPARED };
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
    for miss in &misses {
        println!("beyond its budget: {miss}");
    }
    if arguments.check && !misses.is_empty() {
        bail!("{} figures are beyond their budgets", misses.len());
    }
    Ok(())
}

/// A bootstrap.
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

    /// Takes it out of the page cache. What a linker has written lies there in small pieces, and costs more to map than what
    /// is read, as a deployed function is.
    fn forget(&self) -> Result<()> {
        let file = File::open(&self.path)?;
        file.sync_all()?;
        posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
        Ok(())
    }

    fn cells(&self, what: &str) -> Vec<String> {
        vec![what.to_owned(), self.profile.clone()]
    }
}

/// Sizes of the programs. Returns what is beyond its budget.
fn sizes(programs: &[Program]) -> Result<Vec<String>> {
    let (mut rows, mut misses) = (Vec::new(), Vec::new());
    for program in programs {
        let (whole, zipped) = build::sizes(&program.path)?;
        let [whole, zipped] = [whole, zipped].map(|bytes| bytes as f64 / 1e6);
        let mut row = program.cells(program.package);
        row.extend([format!("{whole:.2}"), format!("{zipped:.2}")]);
        rows.push(row);
        if zipped > MOST_ZIPPED_MB {
            misses.push(format!("{} ({}): {zipped:.2} MB zipped", program.package, program.profile));
        }
    }
    table(&["program", "profile", "MB", "MB zipped"], &rows);
    Ok(misses)
}

/// One way to start a program.
struct Start<'p> {
    program: &'p Program,
    what: &'static str,
    settings: SettingsMap,
    took: Sample,
    cpu: Sample,
    peak: Sample,
}

/// Starts: all settings given, with the secret fetched, and with the public keys of a Supabase project to be fetched at
/// the first request. Returns what is beyond its budget.
fn cold_starts(arguments: &Arguments, scene: &Scene, programs: &[Program]) -> Result<Vec<String>> {
    let mut starts = Vec::new();
    for program in programs {
        let mut add = |what, settings| {
            starts.push(Start {
                program,
                what,
                settings,
                took: Sample::default(),
                cpu: Sample::default(),
                peak: Sample::default(),
            });
        };
        add(GIVEN, scene.given());
        if program.package != BARE {
            add(FETCHED, scene.with_secret());
            let mut supabase = scene.given();
            supabase.insert("SUPABASE_URL".to_owned(), "https://bench.supabase.co".to_owned());
            add("settings given, SUPABASE_URL too", supabase);
        }
    }
    for program in programs {
        program.forget()?;
    }
    for round in 0..WARM_UP_ROUNDS + arguments.rounds {
        for start in &mut starts {
            let bootstrap = start.program.start(&start.settings)?;
            if round >= WARM_UP_ROUNDS {
                start.took.add(bootstrap.start.as_secs_f64() * 1e3);
                start.cpu.add(bootstrap.start_cpu.as_secs_f64() * 1e3);
                start.peak.add(bootstrap.peak_kib()? as f64 * 1024.0 / 1e6);
            }
        }
    }
    let (mut rows, mut misses) = (Vec::new(), Vec::new());
    for start in &starts {
        let given = |program: fn(&Start<'_>, &Start<'_>) -> bool| {
            let found = starts.iter().find(|other| other.what == GIVEN && program(other, start));
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
        if start.what != FETCHED && ratio > MOST_START {
            misses.push(format!("{}, {}: {ratio:.2} × bare to start", start.program.package, start.what));
        }
        if start.peak.median() > MOST_RSS_MB {
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
    Ok(misses)
}

/// One kind of warm request.
struct Warm<'p> {
    program: &'p Program,
    what: &'static str,
    event: String,
    cpu: Sample,
    peak: Sample,
}

/// Warm requests, one after the other, as one instance gets them. Returns what is beyond its budget.
fn warm_requests(arguments: &Arguments, scene: &Scene, programs: &[Program]) -> Result<Vec<String>> {
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
            warm.push(Warm { program, what, event, cpu: Sample::default(), peak: Sample::default() });
        }
    }
    for _ in 0..arguments.warm_rounds {
        for kind in &mut warm {
            let bootstrap = kind.program.start(&scene.with_secret())?;
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
        if kind.program.package == "quota" && cpu > MOST_QUOTA_MS {
            misses.push(format!("{}: {cpu:.3} ms of processor time", kind.what));
        }
        if peak > MOST_RSS_MB {
            misses.push(format!("{}: {peak:.1} MB after {WARM_UP_REQUESTS} requests", kind.what));
        }
    }
    let after = format!("peak RSS after {WARM_UP_REQUESTS}, MB");
    table(&["warm request", "profile", "CPU, median ms", "most", "× bare", &after], &rows);
    Ok(misses)
}

/// The machine in general terms.
pub(crate) fn machine() -> Result<String> {
    let cpus = fs::read_to_string("/proc/cpuinfo").context("/proc/cpuinfo cannot be read")?;
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("\t: a processor");
    let model = model.trim_start_matches(['\t', ' ', ':']);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = fs::read_to_string("/proc/meminfo").context("/proc/meminfo cannot be read")?;
    let kib: f64 = memory.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or_default();
    Ok(format!("{cores} cores ({model}), {:.0} GB of memory", kib * 1024.0 / 1e9))
}
