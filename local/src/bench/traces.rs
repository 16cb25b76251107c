//! `cargo bench-lambda --traces`: measures the CPU time that traces add to a request, and checks it against its budget.
//!
//! The collector is a stub on the loopback interface that answers at once, so the figures contain recording, encoding,
//! one HTTP request over a kept connection, and no TLS.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use anyhow::{Context, Result, bail};
use shared::settings::SettingsMap;

use super::{
    Arguments, BenchFixture, Program, Sample, WARM_UP_REQUESTS, build, machine,
    stub::{StubResponse, StubServer},
    table,
};

/// Budget of the processor time that traces add to a request, in milliseconds.
const MAX_ADDED_MS: f64 = 1.0;

/// A kind of request without and with traces.
struct TracedRequest {
    program: Program,
    what: &'static str,
    event: String,
    off: Sample,
    on: Sample,
    /// Bytes that one request exports.
    exported: Sample,
}

pub(super) fn measure(arguments: &Arguments, scene: &BenchFixture) -> Result<()> {
    let profile = arguments.profiles.first().context("no profile is given")?;
    if !arguments.as_built {
        build::build(profile, &["quota", "query"])?;
    }
    let folder = build::folder(profile)?;
    let bytes = Arc::new(AtomicUsize::new(0));
    let received = Arc::clone(&bytes);
    let collector = StubServer::start(move |request| {
        received.fetch_add(request.body.len(), Ordering::Relaxed);
        Some(StubResponse { status: "200 OK", headers: String::new(), body: String::new() })
    })?;
    let off = scene.settings_with_secret_arn();
    let mut on = off.clone();
    on.insert("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), format!("http://{}", collector.address()));
    let kind = |what, package, route| {
        let event = scene.event(package, route)?;
        let (off, on, exported) = (Sample::default(), Sample::default(), Sample::default());
        let program = Program { profile: profile.clone(), package, path: folder.join(package) };
        anyhow::Ok(TracedRequest { program, what, event, off, on, exported })
    };
    let mut kinds = [
        kind("quota, GET /api/v1/quota/status", "quota", Some("/api/v1/quota/status"))?,
        kind("query, POST /api/v1/query", "query", None)?,
    ];
    for _ in 0..arguments.warm_rounds {
        for kind in &mut kinds {
            kind.off.add(cpu_ms(arguments, kind, &off)?);
            bytes.store(0, Ordering::Relaxed);
            kind.on.add(cpu_ms(arguments, kind, &on)?);
            let requests = WARM_UP_REQUESTS + arguments.requests;
            kind.exported.add(bytes.load(Ordering::Relaxed) as f64 / requests as f64);
        }
    }
    report(&kinds, arguments.check)
}

/// The CPU time of a warm request, in milliseconds.
fn cpu_ms(arguments: &Arguments, kind: &TracedRequest, settings: &SettingsMap) -> Result<f64> {
    let bootstrap = kind.program.start(settings)?;
    let times = |count: usize| (0..count).try_for_each(|_| bootstrap.invoke(&kind.event, 200));
    times(WARM_UP_REQUESTS).context(kind.what)?;
    let before = bootstrap.cpu_ms()?;
    times(arguments.requests).context(kind.what)?;
    Ok((bootstrap.cpu_ms()? - before) / arguments.requests as f64)
}

fn report(kinds: &[TracedRequest], is_checked: bool) -> Result<()> {
    println!("{}\n", machine()?);
    let added = |kind: &TracedRequest| kind.on.median() - kind.off.median();
    let rows: Vec<_> = kinds
        .iter()
        .map(|kind| {
            vec![
                kind.what.to_owned(),
                format!("{:.3}", kind.off.median()),
                format!("{:.3}", kind.on.median()),
                format!("{:+.3}", added(kind)),
                format!("{:.0}", kind.exported.median()),
            ]
        })
        .collect();
    table(&["warm request", "CPU without traces, median ms", "with traces", "added", "bytes exported"], &rows);
    if let Some(kind) = kinds.iter().find(|kind| added(kind) > MAX_ADDED_MS).filter(|_| is_checked) {
        bail!("traces add {:.3} ms to {}", added(kind), kind.what);
    }
    Ok(())
}
