//! `cargo bench-lambda --layers`: measures the CPU time of the layers around a quota request by comparing requests
//! that skip parts.
//!
//! A service's call for an unknown user passes all layers without a database query, so its excess over the bare
//! function is the cost of layers and token. The excess of a user's call over a service's call for the same quota is
//! the cost of rate limiting.

use anyhow::{Context, Result};

use super::{Arguments, BARE, BenchFixture, Program, Sample, WARM_UP_REQUESTS, build, machine, table};

/// A kind of request, with its expected status and its samples.
struct RequestKind {
    program: Program,
    what: &'static str,
    event: String,
    status: u16,
    cpu: Sample,
}

pub(super) fn measure(arguments: &Arguments, scene: &BenchFixture) -> Result<()> {
    let profile = arguments.profiles.first().context("no profile is given")?;
    if !arguments.as_built {
        build::build(profile, &[BARE, "quota"])?;
    }
    let folder = build::folder(profile)?;
    let kind = |package: &'static str, what, event, status| {
        let program = Program { profile: profile.clone(), package, path: folder.join(package) };
        RequestKind { program, what, event, status, cpu: Sample::default() }
    };
    let by_user = scene.event("quota", None)?;
    let by_service = scene.with_service_token(&by_user)?;
    let of_nobody = scene.with_service_token(&scene.event("quota", Some("/v1/quota/nobody"))?)?;
    let mut kinds = [
        kind(BARE, "bare, GET /health", scene.event("health", None)?, 200),
        kind("quota", "another back end, nobody's quota: 404", of_nobody, 404),
        kind("quota", "another back end, a user's quota", by_service, 200),
        kind("quota", "the user, the own quota", by_user, 200),
    ];
    for _ in 0..arguments.warm_rounds {
        for kind in &mut kinds {
            let bootstrap = kind.program.start(&scene.settings_with_secret_arn())?;
            let times = |count: usize| (0..count).try_for_each(|_| bootstrap.invoke(&kind.event, kind.status));
            times(WARM_UP_REQUESTS).context(kind.what)?;
            let before = bootstrap.cpu_ms()?;
            times(arguments.requests).context(kind.what)?;
            kind.cpu.add((bootstrap.cpu_ms()? - before) * 1e3 / arguments.requests as f64);
        }
    }
    let rows = kinds.each_ref().map(|kind| {
        vec![kind.what.to_owned(), format!("{:.0}", kind.cpu.median()), format!("{:.0}", kind.cpu.percentile(100))]
    });
    println!("{}\n", machine()?);
    table(&["warm request", "CPU, median µs", "most"], &rows);
    let [bare, nobody, service, user] = kinds.map(|kind| kind.cpu.median());
    let (around, counting) = (nobody - bare, user - service);
    let row = |what: &str, micros: f64| vec![what.to_owned(), format!("{micros:.0}")];
    table(
        &["part of the user's request", "CPU, µs"],
        &[
            row("runtime client and axum", bare),
            row("layers and token, without counting", around),
            row("counting the call, in PostgreSQL", counting),
            row("the quota itself", service - nobody),
            row("all layers together", around + counting),
        ],
    );
    Ok(())
}
