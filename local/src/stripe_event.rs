//! `cargo stripe-event`: changes something at the fake Stripe of the running `cargo dev`, which then sends signed
//! events as Stripe does.

use anyhow::{Context, Result, bail};
use clap::Args;
use reqwest::Client;
use serde_json::Value;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::{
    fakes::stripe::{SentEvent, StripeChange},
    operator,
};

/// Makes the fake Stripe of the running `cargo dev` change something and send the events.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The event type: checkout.session.completed, customer.subscription.updated, .deleted, .paused, .resumed or
    /// .trial_will_end, invoice.paid (a renewal), invoice.payment_failed, customer.deleted.
    #[arg(value_name = "TYPE")]
    kind: String,
    /// The user, by email address or `users.id`.
    #[arg(long)]
    user: String,
    /// The plan that a checkout buys.
    #[arg(long, default_value = "pro")]
    plan: String,
    /// With customer.subscription.updated: sets whether the subscription ends with its period.
    #[arg(long)]
    cancel_at_period_end: Option<bool>,
    #[command(flatten)]
    connection: operator::ConnectionArguments,
}

/// Applies the change and prints the webhook's status for each event.
///
/// # Errors
/// Fails without a fake Stripe, for an unknown user, and when the webhook does not accept an event.
pub async fn run(arguments: Arguments) -> Result<()> {
    let demo = arguments.connection.read_demo()?;
    let stripe = demo["stripe_url"].as_str().context("the running `cargo dev` uses Stripe itself, not the fake one")?;
    let user = find_user(&demo, &arguments.user).await?;
    let change = StripeChange {
        kind: arguments.kind,
        user: user.to_string(),
        plan: arguments.plan,
        cancel_at_period_end: arguments.cancel_at_period_end,
    };
    let http = Client::builder().timeout(std::time::Duration::from_secs(60)).no_proxy().build()?;
    let answer = http.post(format!("{stripe}/events")).json(&change).send().await;
    let answer = answer.context("the fake Stripe does not answer: is `cargo dev` running?")?;
    if !answer.status().is_success() {
        let refusal: Value = answer.json().await.context("the fake Stripe's answer cannot be read")?;
        bail!("{}", refusal["error"].as_str().unwrap_or("the fake Stripe refuses"));
    }
    let sent: Vec<SentEvent> = answer.json().await.context("the fake Stripe's answer cannot be read")?;
    for event in &sent {
        let status = event.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
        println!("  {:<36} {}  {status}", event.kind, event.id);
    }
    if sent.iter().any(|event| event.status != Some(200)) {
        bail!("the webhook did not accept every event: see the log of `cargo dev`");
    }
    Ok(())
}

async fn find_user(demo: &Value, named: &str) -> Result<Uuid> {
    if let Ok(id) = Uuid::try_parse(named) {
        return Ok(id);
    }
    let url = demo["admin_database_url"].as_str().context("the demo file names no database")?;
    let mut admin = PgConnection::connect(url).await.context("cannot connect to the database")?;
    let found = sqlx::query_scalar("select id from users where lower(email) = lower($1)").bind(named);
    let found: Option<Uuid> = found.fetch_optional(&mut admin).await.context("the user cannot be looked up")?;
    admin.close().await.context("the database connection cannot be closed")?;
    found.with_context(|| format!("there is no user {named}"))
}
