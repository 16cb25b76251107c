//! Subscriptions below HTTP: the order of events against a model, closing under concurrency, the comparison with Stripe,
//! and the import of the old system's.

mod closing;
mod import;
mod order;
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

const DAY: i64 = 86_400;

/// Billing on these databases, which asks Stripe where there is one.
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

async fn admin(urls: &DatabaseUrls) -> PgConnection {
    PgConnection::connect(&urls.admin).await.unwrap()
}

async fn billing_admin(urls: &DatabaseUrls) -> PgConnection {
    PgConnection::connect(urls.billing_admin()).await.unwrap()
}

async fn run(db: &mut PgConnection, statements: &str) {
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(db).await.unwrap();
}

async fn number(db: &mut PgConnection, query: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(format!("select ({query})::bigint"))).fetch_one(db).await.unwrap()
}

/// A moment that all tests share: today, so that periods are current.
fn base() -> DateTime<Utc> {
    Utc::now() - TimeDelta::hours(1)
}

/// A subscription object of the new shape.
fn object(id: &str, user: Uuid, status: &str, created: i64, period: i64, cancels: bool) -> Value {
    json!({
        "id": id, "object": "subscription", "customer": format!("cus_{}", user.simple()), "status": status,
        "created": created, "cancel_at_period_end": cancels, "metadata": { "user_id": user, "plan": "pro" },
        "items": { "data": [{
            "current_period_start": period, "current_period_end": period + 30 * DAY, "price": { "id": "price_unknown" },
        }] },
    })
}

fn event(id: &str, kind: &str, at: i64, object: &Value) -> Event {
    let payload = json!({
        "id": id, "object": "event", "type": kind, "created": at, "livemode": false, "data": { "object": object },
    });
    Event::read(payload.to_string().as_bytes()).unwrap()
}

async fn receive(billing: &Billing, event: &Event, now: DateTime<Utc>) -> BillingEventOutcome {
    billing.receive(event, now).await.unwrap_or_else(|error| panic!("{}", shared::logging::chain(&error)))
}

/// What the app and billing hold of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    is_pro: bool,
    profile_status: String,
    plan: String,
    status: String,
    period_start: Option<DateTime<Utc>>,
    cancels: bool,
    subscription: Option<String>,
}

async fn held(app: &mut PgConnection, billing: &mut PgConnection, user: Uuid) -> Held {
    let query = "select is_pro, subscription_status::text, plan.name from users join profiles using (id)
                 join customers on customers.user_id = users.id join plans plan on plan.id = plan_id where users.id = $1";
    let (is_pro, profile_status, plan) = sqlx::query_as(query).bind(user).fetch_one(app).await.unwrap();
    let query = "select status::text, current_period_start, cancel_at_period_end, stripe_subscription_id
                 from billing.subscriptions where user_id = $1";
    let (status, period_start, cancels, subscription) =
        sqlx::query_as(query).bind(user.to_string()).fetch_one(billing).await.unwrap();
    Held { is_pro, profile_status, plan, status, period_start, cancels, subscription }
}
