//! `cargo bench-lambda --layers`: what stands around a quota request, in processor time, found by leaving parts out.
//!
//! A call for nobody's quota by another back end goes through all layers and asks the database nothing; over the bare
//! program it is what the layers and the token cost. What a user's call takes more than another back end's for the same
//! quota is what counting takes.

use anyhow::{Context, Result};

use super::{Arguments, BARE, Program, Sample, Scene, WARM_UP_REQUESTS, build, machine, table};

/// A call, and what it is answered.
struct Kind {
    program: Program,
    what: &'static str,
    event: String,
    status: u16,
    cpu: Sample,
}

pub(super) fn measure(arguments: &Arguments, scene: &Scene) -> Result<()> {
    let profile = arguments.profiles.first().context("no profile is given")?;
    if !arguments.as_built {
        build::build(profile, &[BARE, "quota"])?;
    }
    let folder = build::folder(profile)?;
    let kind = |package: &'static str, what, event, status| {
        let program = Program { profile: profile.clone(), package, path: folder.join(package) };
        Kind { program, what, event, status, cpu: Sample::default() }
    };
    let by_user = scene.event("quota", None)?;
    let by_service = scene.by_service(&by_user)?;
    let of_nobody = scene.by_service(&scene.event("quota", Some("/v1/quota/nobody"))?)?;
    let mut kinds = [
        kind(BARE, "bare, GET /health", scene.event("health", None)?, 200),
        kind("quota", "another back end, nobody's quota: 404", of_nobody, 404),
        kind("quota", "another back end, a user's quota", by_service, 200),
        kind("quota", "the user, the own quota", by_user, 200),
    ];
    for _ in 0..arguments.warm_rounds {
        for kind in &mut kinds {
            let bootstrap = kind.program.start(&scene.with_secret())?;
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
