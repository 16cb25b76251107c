//! Orders against a model: totals, status steps, revenue and the counters of the days.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use shared::{
    db::Db,
    error::ApiError,
    orders::{self, OrderDetails},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{route::DatabaseRoute, seed};

/// The greatest total, in hundredths.
const MAX_TOTAL: i128 = 99_999_999_999_999;
const STATUSES: [&str; 5] = ["pending", "confirmed", "preparing", "delivered", "cancelled"];

/// The allowed steps.
fn is_allowed(from: &str, to: &str) -> bool {
    matches!(
        (from, to),
        ("pending", "confirmed")
            | ("confirmed", "preparing")
            | ("preparing", "delivered")
            | ("pending" | "confirmed" | "preparing", "cancelled")
    )
}

fn counts(status: &str) -> bool {
    ["confirmed", "preparing", "delivered"].contains(&status)
}

async fn create(db: &Db, tenant: Uuid, order: Value) -> Result<Value, ApiError> {
    let order = serde_json::from_value(order).unwrap();
    db.tenant_tx(tenant, async |tx| orders::create_by_company(tx, &order).await).await.map(|order| shown(&order))
}

async fn edit(db: &Db, tenant: Uuid, id: Uuid, patch: Value) -> Result<Value, ApiError> {
    let patch = serde_json::from_value(patch).unwrap();
    db.tenant_tx(tenant, async |tx| orders::edit(tx, id, &patch).await).await.map(|order| shown(&order))
}

fn shown(order: &OrderDetails) -> Value {
    serde_json::to_value(order).unwrap()
}

/// Random items, and their total in hundredths.
fn items(random: &mut StdRng) -> (Value, i128) {
    let mut total = 0;
    let items: Vec<Value> = (0..random.random_range(1..=5))
        .map(|_| {
            // Most prices are small; some are near the greatest.
            let digits = *[2, 4, 6, 14].get(random.random_range(0..4)).unwrap();
            let cents = random.random_range(0..10_i128.pow(digits));
            let quantity = random.random_range(1..=999_i64);
            if random.random_bool(0.1) {
                return json!({ "name": "on demand", "quantity": quantity });
            }
            total += cents * i128::from(quantity);
            let price = format!("{}.{:02}", cents / 100, cents % 100);
            json!({ "name": "article", "quantity": quantity, "unit_price": price })
        })
        .collect();
    (json!(items), total)
}

fn decimal(cents: i128) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

#[tokio::test]
async fn totals_are_exact_or_refused() {
    let route = DatabaseRoute::direct().await;
    let tenant = seed::tenant(&mut route.admin().await, "shop", 8).await.customer;
    let (db, mut random) = (route.db(1), StdRng::seed_from_u64(15));
    let mut refused = 0;
    for _ in 0..200 {
        let (items, total) = items(&mut random);
        let needs_review = items.as_array().unwrap().iter().any(|item| item["unit_price"].is_null());
        match create(&db, tenant, json!({ "currency": "EUR", "items": items })).await {
            Ok(order) => {
                assert!(total <= MAX_TOTAL, "{items}");
                assert_eq!(order["total_amount"], decimal(total), "{items}");
                assert_eq!(order["needs_review"], needs_review);
            }
            Err(error) => {
                assert!(total > MAX_TOTAL, "{items}: {error}");
                assert_eq!(error.details.unwrap()[0]["field"], "items");
                refused += 1;
            }
        }
    }
    assert!((20..180).contains(&refused), "{refused}: the test tries both kinds");
}

/// An order as the model has it.
#[derive(Debug, Clone)]
struct ModelOrder {
    status: &'static str,
    cents: i128,
}

#[tokio::test]
async fn any_sequence_of_changes_keeps_status_revenue_and_counters() {
    let route = DatabaseRoute::direct().await;
    let mut admin = route.admin().await;
    let tenant = seed::tenant(&mut admin, "shop", 8).await.customer;
    let (db, mut random) = (route.db(1), StdRng::seed_from_u64(1_515));
    let mut model: BTreeMap<Uuid, ModelOrder> = BTreeMap::new();
    for _ in 0..400 {
        let ids: Vec<Uuid> = model.keys().copied().collect();
        let chosen = (!ids.is_empty() && random.random_bool(0.9)).then(|| ids[random.random_range(0..ids.len())]);
        let Some(id) = chosen else {
            let cents = random.random_range(1..1_000_000_i128);
            let items = json!([{ "name": "article", "quantity": 1, "unit_price": decimal(cents) }]);
            let order = create(&db, tenant, json!({ "currency": "EUR", "items": items })).await.unwrap();
            let id = order["id"].as_str().unwrap().parse().unwrap();
            model.insert(id, ModelOrder { status: "pending", cents });
            continue;
        };
        change_at_random(&db, tenant, id, &mut model, &mut random).await;
    }
    assert_counters(&mut admin, &model).await;
}

/// Makes one random change, and checks that exactly what the model allows is done.
async fn change_at_random(
    db: &Db,
    tenant: Uuid,
    id: Uuid,
    model: &mut BTreeMap<Uuid, ModelOrder>,
    random: &mut StdRng,
) {
    let known = model.get_mut(&id).unwrap();
    match random.random_range(0..10) {
        0..6 => {
            let to = STATUSES[random.random_range(0..STATUSES.len())];
            let changed = edit(db, tenant, id, json!({ "status": to })).await;
            match (is_allowed(known.status, to), changed) {
                (true, Ok(order)) => {
                    assert_eq!(order["status"], to);
                    known.status = to;
                }
                (false, Err(error)) => {
                    assert_eq!((error.status.as_u16(), error.code), (409, "wrong_order_step"));
                    let allowed: Vec<_> = STATUSES.into_iter().filter(|to| is_allowed(known.status, to)).collect();
                    assert_eq!(error.details, Some(json!({ "status": known.status, "allowed": allowed })));
                }
                (is_allowed, changed) => panic!("{} to {to}: {is_allowed} {changed:?}", known.status),
            }
        }
        6..9 => {
            let cents = random.random_range(1..1_000_000_i128);
            let items = json!([{ "name": "article", "quantity": 1, "unit_price": decimal(cents) }]);
            let is_open = !["delivered", "cancelled"].contains(&known.status);
            match edit(db, tenant, id, json!({ "items": items })).await {
                Ok(order) => {
                    assert!(is_open);
                    assert_eq!(order["total_amount"], decimal(cents));
                    known.cents = cents;
                }
                Err(error) => assert_eq!((is_open, error.code), (false, "order_closed")),
            }
        }
        _ => {
            let deleted = db.tenant_tx(tenant, async |tx| orders::delete(tx, id).await).await;
            let is_deletable = ["pending", "cancelled"].contains(&known.status);
            match deleted {
                Ok(_) => {
                    assert!(is_deletable);
                    model.remove(&id);
                }
                Err(error) => assert_eq!((is_deletable, error.code), (false, "order_in_progress")),
            }
        }
    }
}

/// Compares the counters in the database with the model.
async fn assert_counters(admin: &mut PgConnection, model: &BTreeMap<Uuid, ModelOrder>) {
    let revenue: i128 = model.values().filter(|order| counts(order.status)).map(|order| order.cents).sum();
    let usage: String =
        sqlx::query_scalar("select sum(revenue)::text from bot_usage").fetch_one(&mut *admin).await.unwrap();
    let days = "select sum(revenue)::text, sum(pending), sum(confirmed), sum(preparing), sum(delivered), sum(cancelled)
                from order_days";
    let days: (String, i64, i64, i64, i64, i64) = sqlx::query_as(days).fetch_one(admin).await.unwrap();
    let number = |status: &str| i64::try_from(model.values().filter(|order| order.status == status).count()).unwrap();
    assert_eq!(
        (usage.as_str(), days),
        (
            decimal(revenue).as_str(),
            (
                decimal(revenue),
                number("pending"),
                number("confirmed"),
                number("preparing"),
                number("delivered"),
                number("cancelled")
            )
        )
    );
    assert!(revenue > 0 && number("cancelled") > 0, "the test reaches every state");
}
