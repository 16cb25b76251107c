//! Subscriptions below HTTP: the order of Stripe's events against a model, the close of periods under concurrency,
//! the reconciliation with Stripe, and the import of the old system's subscriptions.

mod import;
mod order;
mod period_close;
mod reconcile;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use local::{environment::DatabaseUrls, fakes::stripe::FakeStripe};
use serde_json::{Value, json};
use shared::{
    billing::{Billing, BillingEventOutcome},
    settings::{Settings, SettingsMap},
    stripe::Event,
};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

/// A day in seconds.
const DAY: i64 = 86_400;

/// Billing on the databases of `urls`. With `stripe`, it fetches the subscription of each event from Stripe.
fn billing(urls: &DatabaseUrls, stripe: Option<&FakeStripe>, connections: u32) -> Billing {
    let mut values: SettingsMap = BTreeMap::from([
        ("SYSTEM_DATABASE_URL".to_owned(), urls.system.clone()),
        ("DATABASE_MAX_CONNECTIONS".to_owned(), connections.to_string()),
    ]);
    if let Some(billing) = &urls.billing {
        values.insert("BACKEND_APP_DATABASE_URL".to_owned(), billing.system.clone());
    }
    values.extend(stripe.into_iter().flat_map(FakeStripe::settings));
    let mut settings = Settings::new(values);
    let billing = Billing::read(&mut settings);
    settings.finish().unwrap();
    billing.with_background_timeout()
}

/// The superuser's connection to the app's database.
async fn admin(urls: &DatabaseUrls) -> PgConnection {
    PgConnection::connect(&urls.admin).await.unwrap()
}

/// The superuser's connection to billing's database, which may be the app's.
async fn billing_admin(urls: &DatabaseUrls) -> PgConnection {
    PgConnection::connect(urls.billing_admin()).await.unwrap()
}

/// Runs SQL statements.
async fn run_sql(db: &mut PgConnection, statements: &str) {
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(db).await.unwrap();
}

/// Returns the number that a query selects.
async fn number(db: &mut PgConnection, query: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(format!("select ({query})::bigint"))).fetch_one(db).await.unwrap()
}

/// One hour ago, the start of the tests' periods, so that they are current.
fn one_hour_ago() -> DateTime<Utc> {
    Utc::now() - TimeDelta::hours(1)
}

/// A Stripe subscription in the newer API shape, with the period in its item. `period` is the start of the period;
/// times are Unix seconds.
fn subscription_object(id: &str, user: Uuid, status: &str, created: i64, period: i64, cancels: bool) -> Value {
    json!({
        "id": id, "object": "subscription", "customer": format!("cus_{}", user.simple()), "status": status,
        "created": created, "cancel_at_period_end": cancels, "metadata": { "user_id": user, "plan": "pro" },
        "items": { "data": [{
            "current_period_start": period, "current_period_end": period + 30 * DAY, "price": { "id": "price_unknown" },
        }] },
    })
}

/// A Stripe event of the type `kind`, created at the Unix second `at`.
fn event(id: &str, kind: &str, at: i64, object: &Value) -> Event {
    let payload = json!({
        "id": id, "object": "event", "type": kind, "created": at, "livemode": false, "data": { "object": object },
    });
    Event::read(payload.to_string().as_bytes()).unwrap()
}

/// Processes an event as the webhook does.
async fn receive(billing: &Billing, event: &Event, now: DateTime<Utc>) -> BillingEventOutcome {
    billing.receive(event, now).await.unwrap_or_else(|error| panic!("{}", shared::logging::chain(&error)))
}

/// A user's subscription as the databases of the app and of billing store it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct StoredSubscription {
    is_pro: bool,
    /// Status in the app's `profiles`.
    profile_status: String,
    /// Name of the app's plan.
    plan: String,
    /// Status in `billing.subscriptions`.
    status: String,
    period_start: Option<DateTime<Utc>>,
    /// True when the subscription ends with its period.
    cancels: bool,
    /// Stripe's id of the subscription.
    subscription: Option<String>,
}

async fn stored_subscription(app: &mut PgConnection, billing: &mut PgConnection, user: Uuid) -> StoredSubscription {
    let query = "select is_pro, subscription_status::text, plan.name from users join profiles using (id)
                 join customers on customers.user_id = users.id join plans plan on plan.id = plan_id where users.id = $1";
    let (is_pro, profile_status, plan) = sqlx::query_as(query).bind(user).fetch_one(app).await.unwrap();
    let query = "select status::text, current_period_start, cancel_at_period_end, stripe_subscription_id
                 from billing.subscriptions where user_id = $1";
    let (status, period_start, cancels, subscription) =
        sqlx::query_as(query).bind(user.to_string()).fetch_one(billing).await.unwrap();
    StoredSubscription { is_pro, profile_status, plan, status, period_start, cancels, subscription }
}
