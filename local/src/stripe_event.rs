//! `cargo stripe-event`: makes something happen at the fake Stripe of the running `cargo dev`, which then sends signed
//! events as Stripe does.

use anyhow::{Context, Result, bail};
use clap::Args;
use reqwest::Client;
use serde_json::Value;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::{
    fakes::stripe::{Change, Sent},
    operator,
};

/// Makes something happen at the fake Stripe of the running `cargo dev`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The event that tells of it: checkout.session.completed, customer.subscription.updated or .deleted, .paused,
    /// .resumed, .trial_will_end, invoice.paid (a renewal), invoice.payment_failed, customer.deleted.
    #[arg(value_name = "TYPE")]
    kind: String,
    /// Whose: an address, or a `users.id`.
    #[arg(long)]
    user: String,
    /// What a checkout buys.
    #[arg(long, default_value = "pro")]
    plan: String,
    /// With customer.subscription.updated: whether the subscription ends with its period.
    #[arg(long)]
    cancel_at_period_end: Option<bool>,
    #[command(flatten)]
    connection: operator::Connection,
}

/// Has it happen, and tells how each event was answered.
///
/// # Errors
/// No fake Stripe, no such user, or an event that was not taken.
pub async fn run(arguments: Arguments) -> Result<()> {
    let demo = arguments.connection.read_demo()?;
    let stripe = demo["stripe_url"].as_str().context("the running `cargo dev` asks Stripe itself, not a fake one")?;
    let user = find_user(&demo, &arguments.user).await?;
    let change = Change {
        kind: arguments.kind,
        user: user.to_string(),
        plan: arguments.plan,
        cancel_at_period_end: arguments.cancel_at_period_end,
    };
    let http = Client::builder().timeout(std::time::Duration::from_secs(60)).no_proxy().build()?;
    let answer = http.post(format!("{stripe}/events")).json(&change).send().await;
    let answer = answer.context("the fake Stripe does not answer: is `cargo dev` running?")?;
    if !answer.status().is_success() {
        let refusal: Value = answer.json().await.context("the fake Stripe says nothing")?;
        bail!("{}", refusal["error"].as_str().unwrap_or("the fake Stripe refuses"));
    }
    let sent: Vec<Sent> = answer.json().await.context("the fake Stripe's answer cannot be read")?;
    for event in &sent {
        let status = event.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
        println!("  {:<36} {}  {status}", event.kind, event.id);
    }
    if sent.iter().any(|event| event.status != Some(200)) {
        bail!("not every event was taken: the log of `cargo dev` says why");
    }
    Ok(())
}

async fn find_user(demo: &Value, named: &str) -> Result<Uuid> {
    if let Ok(id) = Uuid::try_parse(named) {
        return Ok(id);
    }
    let url = demo["admin_database_url"].as_str().context("the demo file names no database")?;
    let mut admin = PgConnection::connect(url).await.context("the database is away")?;
    let found = sqlx::query_scalar("select id from users where lower(email) = lower($1)").bind(named);
    let found: Option<Uuid> = found.fetch_optional(&mut admin).await.context("the user cannot be looked up")?;
    admin.close().await.context("the database connection cannot be closed")?;
    found.with_context(|| format!("there is no user {named}"))
}
