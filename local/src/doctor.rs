//! `cargo doctor`: checks the settings of a deployment, or the running `cargo dev`, and all that they lead to. It says in
//! plain words what is wrong and what to do.
//!
//! The settings are read by the functions' own readers, so that a new setting is checked without a change here. Nothing is
//! changed but for one object of its own in the bucket, which is removed again, and a counter of its own in Redis,
//! `lisa:check`, which expires. No secret is printed.

mod aws;
mod database;
mod env_file;
mod keys;
mod models;
mod report;
mod settings;
mod stripe;

use std::{path::PathBuf, pin::Pin, time::Duration};

use anyhow::{Result, bail};
use clap::Args;
use futures::future::join_all;
use shared::settings::{Settings, SettingsMap};

use self::report::Outcome;
pub use self::report::{Finding, Report, Status};
use crate::{environment, running};

/// Checks a deployment's settings, or the running `cargo dev`, and all that they lead to: databases, queues, bucket, keys,
/// Stripe, models, sign-in, Redis. Says in plain words what is wrong and what to do.
///
/// Reads the settings from the environment, with the keys of the secrets that SECRET_ARN and --secret name. Exit code 1 when
/// a check found an error.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Read the settings from this file of lines NAME=value. AWS_* may stay in the environment.
    #[arg(long, value_name = "FILE", conflicts_with = "local")]
    env_file: Option<PathBuf>,
    /// Add the keys of this secret of Secrets Manager, by its name or ARN; may be repeated.
    #[arg(long = "secret", value_name = "NAME", conflicts_with = "local")]
    secrets: Vec<String>,
    /// Check the running `cargo dev`.
    #[arg(long)]
    local: bool,
    /// The demo file that `cargo dev` writes [default: that of the running `cargo dev`].
    #[arg(long, value_name = "FILE", requires = "local")]
    demo: Option<PathBuf>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    /// The longest time of each check, and of each of the bucket's three calls, in seconds.
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
}

/// Settings to check.
#[derive(Debug)]
pub struct Target {
    /// The settings of all functions together.
    pub settings: SettingsMap,
    /// Names in the settings' file that may be no settings; empty for an environment, which holds many others.
    pub names_in_file: Vec<String>,
    /// Names of secrets whose keys are added, besides that of SECRET_ARN.
    pub secrets: Vec<String>,
    /// The gateway of the local stack, without a slash at the end; `None` for a deployment.
    pub local_url: Option<String>,
    /// The longest time of each check, and of each call of the bucket's check.
    pub timeout: Duration,
}

impl Target {
    fn read(arguments: &Arguments) -> Result<Self> {
        let timeout = Duration::from_secs(arguments.timeout);
        if arguments.local {
            let stack = running::read_settings(arguments.demo.as_deref())?;
            let local_url = Some(stack.base_url);
            let (settings, names_in_file, secrets) = (stack.settings, Vec::new(), Vec::new());
            return Ok(Self { settings, names_in_file, secrets, local_url, timeout });
        }
        let mut settings = environment::deployment_settings()?;
        let mut names_in_file = Vec::new();
        if let Some(file) = &arguments.env_file {
            let from_file = env_file::read(file)?;
            names_in_file = from_file.keys().cloned().collect();
            settings.retain(|name, _| name.starts_with("AWS_"));
            settings.extend(from_file);
        }
        Ok(Self { settings, names_in_file, secrets: arguments.secrets.clone(), local_url: None, timeout })
    }

    /// True for the local stack.
    fn is_local(&self) -> bool {
        self.local_url.is_some()
    }

    /// The value of a setting, unless it is blank.
    fn get(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str).filter(|value| !value.trim().is_empty())
    }

    /// A reader of the settings, as the functions get one.
    fn reader(&self) -> Settings {
        Settings::new(self.settings.clone())
    }
}

/// Checks and prints the report.
///
/// # Errors
/// Fails when a check found an error, after printing the report, or when the settings cannot be read.
pub async fn run(arguments: Arguments) -> Result<()> {
    let target = Target::read(&arguments)?;
    let report = Box::pin(examine(target)).await;
    println!("{}", if arguments.json { report.to_json()? } else { report.to_text() });
    match report.count(Status::Error) {
        0 => Ok(()),
        1 => bail!("1 check found an error"),
        count => bail!("{count} checks found errors"),
    }
}

/// Runs all checks, at the same time but for the secrets, whose keys the others need.
pub async fn examine(mut target: Target) -> Report {
    let timeout = target.timeout;
    let mut findings = bounded("secrets", timeout, Box::pin(settings::add_secrets(&mut target))).await;
    let target = &target;
    // Once, and before the others: it computes for a while, in which no connection would be served.
    let read = settings::read_by_functions(&target.settings);
    let checks: Vec<(&'static str, Check<'_>)> = vec![
        ("settings", Box::pin(async { settings::check(target, &read) })),
        ("API", Box::pin(check_gateway(target))),
        ("DATABASE_URL", Box::pin(database::check_connection(target, "DATABASE_URL"))),
        ("SYSTEM_DATABASE_URL", Box::pin(database::check_connection(target, "SYSTEM_DATABASE_URL"))),
        ("MIGRATE_DATABASE_URL", Box::pin(database::check_connection(target, "MIGRATE_DATABASE_URL"))),
        ("BACKEND_APP_DATABASE_URL", Box::pin(database::check_connection(target, "BACKEND_APP_DATABASE_URL"))),
        (
            "MIGRATE_BACKEND_APP_DATABASE_URL",
            Box::pin(database::check_connection(target, "MIGRATE_BACKEND_APP_DATABASE_URL")),
        ),
        ("TLS to the databases", Box::pin(async { database::check_tls(target) })),
        ("clock", Box::pin(database::check_clock(target))),
        ("migrations", Box::pin(database::check_migrations(target))),
        ("roles and row-level security", Box::pin(database::check_isolation(target))),
        ("bucket", Box::pin(aws::check_bucket(target))),
        ("queues", Box::pin(aws::check_queues(target, &read))),
        ("sealed keys", Box::pin(keys::check_sealed_keys(target))),
        ("tokens", Box::pin(keys::check_token_keys(target))),
        ("Supabase", Box::pin(keys::check_anon_key(target))),
        ("Stripe", Box::pin(stripe::check(target))),
        ("language models", Box::pin(models::check_language_models(target))),
        ("embeddings", Box::pin(models::check_embeddings(target))),
        ("Redis", Box::pin(keys::check_redis(target))),
    ];
    let checked = checks.into_iter().map(|(name, check)| {
        // The bucket's calls have timeouts of their own. This one is longer than all of them, so that it never comes between
        // an object and its removal.
        let factor = if name == "bucket" { aws::BUCKET_CALLS + 1 } else { 1 };
        bounded(name, target.timeout * factor, check)
    });
    findings.extend(join_all(checked).await.into_iter().flatten());
    let mut report = Report { findings };
    report.redact(&settings::secret_values(&target.settings, &read));
    report
}

/// A check under way.
type Check<'c> = Pin<Box<dyn Future<Output = Vec<Outcome>> + 'c>>;

/// Runs one check for its longest time at most.
async fn bounded(name: &'static str, timeout: Duration, check: Check<'_>) -> Vec<Finding> {
    let outcomes = tokio::time::timeout(timeout, check).await.unwrap_or_else(|_| {
        let what = format!("no answer within {} s", timeout.as_secs());
        vec![Outcome::error(
            what,
            "Is the address right, and do firewall and security groups let this machine in? \
                                    --timeout gives more time.",
        )]
    });
    outcomes.into_iter().map(|outcome| Finding::new(name, outcome)).collect()
}

/// Asks the gateway of the local stack.
async fn check_gateway(target: &Target) -> Vec<Outcome> {
    let Some(base_url) = &target.local_url else {
        return vec![Outcome::skipped("a deployment's API is asked by scripts/smoke.sh <ApiUrl>")];
    };
    let http = match reqwest::Client::builder().timeout(target.timeout).no_proxy().build() {
        Ok(http) => http,
        Err(error) => return vec![Outcome::error(format!("no HTTP client: {error}"), "")],
    };
    vec![match http.get(format!("{base_url}/health")).send().await {
        Ok(answer) if answer.status().is_success() => Outcome::Ok(format!("{base_url} answers")),
        Ok(answer) => Outcome::error(
            format!("{base_url}/health answers {}", answer.status().as_u16()),
            "The terminal of `cargo dev` shows the reason.",
        ),
        Err(_) => Outcome::error(
            format!("{base_url} does not answer"),
            "`cargo dev` is not running, or runs with another data folder: start it, or name its demo.json by --demo.",
        ),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_check_that_hangs_ends_at_its_time_as_an_error() {
        let findings = bounded("queues", Duration::from_secs(1), Box::pin(std::future::pending())).await;
        let [finding] = findings.as_slice() else { panic!("{findings:?}") };
        assert_eq!((finding.status, finding.message.as_str()), (Status::Error, "no answer within 1 s"));
    }
}
