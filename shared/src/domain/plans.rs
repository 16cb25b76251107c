//! The table `plans`: each plan with its limits, its price and the id of the price that checkout sells. The table
//! `plan_prices` holds the plan's other prices at Stripe: other intervals, and prices that were sold before.
//!
//! SQL function: `app.public_plans`. Triggers: `customers_plan_changed` on `customers` (`app.on_plan_changed`), which opens a period of the new plan, and
//! `plans_price_kept` on `plans` (`app.keep_plan_price`), which keeps a price that is no longer sold.

use std::collections::HashMap;

use axum::http::StatusCode;
use serde::Serialize;
use sqlx::Row;
use utoipa::ToSchema;

use crate::{
    db::{Db, SystemTx, TenantTx},
    error::ApiError,
};

/// Name of the plan of accounts that pay for none.
pub const FREE: &str = "free";
/// Names of the plans that can be bought.
pub const PAID: [&str; 2] = ["pro", "business"];

/// Returns the static name of a plan that can be bought; `None` for any other name.
#[must_use]
pub fn find_paid(name: &str) -> Option<&'static str> {
    PAID.into_iter().find(|plan| *plan == name)
}

/// A plan with its limits and prices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({
    "name": "pro", "monthly_request_limit": 2000, "storage_limit_mb": 500, "price_cents": 2900, "currency": "EUR",
    "overage_cents_per_request": null, "monthly_spend_cap_micros": 15_000_000,
}))]
pub struct Plan {
    /// `free`, `pro` or `business`.
    pub name: String,
    /// Requests per period; null when the lifetime quota limits instead.
    pub monthly_request_limit: Option<i32>,
    /// Storage for files, in MiB.
    pub storage_limit_mb: i32,
    /// Price per month, in minor units of the currency.
    pub price_cents: i32,
    /// ISO 4217 code of the plan's prices.
    pub currency: String,
    /// Price of each request over the limit, in minor units; null when such requests are refused.
    pub overage_cents_per_request: Option<i32>,
    /// Maximum cost of model calls per period, in millionths of a US dollar; null without a cap.
    pub monthly_spend_cap_micros: Option<i64>,
}

/// Reads the plan of the transaction's tenant. The tenant's own spend cap, when set, replaces the plan's.
///
/// # Errors
/// Returns the database's error.
pub async fn of_tenant(tx: &mut TenantTx) -> sqlx::Result<Plan> {
    sqlx::query_as!(
        Plan,
        r#"
        select plan.name, plan.monthly_request_limit, plan.storage_limit_mb, plan.price_cents, plan.currency,
            plan.overage_cents_per_request,
            coalesce(tenant.spend_cap_micros, plan.monthly_spend_cap_micros) as monthly_spend_cap_micros
        from customers tenant join plans plan on plan.id = tenant.plan_id
        where tenant.id = $1
        "#,
        tx.tenant()
    )
    .fetch_one(tx)
    .await
}

/// A plan as anybody sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({
    "name": "pro", "price_cents": 2900, "currency": "EUR", "monthly_request_limit": 2000, "storage_limit_mb": 500,
    "overage_cents_per_request": null, "is_sold": true,
}))]
pub struct PublicPlan {
    /// `free`, `pro` or `business`.
    name: String,
    /// Price per month, in minor units of the currency.
    price_cents: i32,
    /// ISO 4217 code of the plan's prices.
    currency: String,
    /// Requests per period; null when the lifetime quota limits instead.
    monthly_request_limit: Option<i32>,
    /// Storage for files, in MiB.
    storage_limit_mb: i32,
    /// Price of each request over the limit, in minor units; null when such requests are refused.
    overage_cents_per_request: Option<i32>,
    /// True when the plan can be bought.
    is_sold: bool,
}

/// Reads all plans, the cheapest first.
///
/// # Errors
/// Returns the database's error.
pub async fn list_public(db: &Db) -> sqlx::Result<Vec<PublicPlan>> {
    let rows = db.call_app_function("app.public_plans", &[]).await?;
    let plan = |row: &sqlx::postgres::PgRow| {
        Ok(PublicPlan {
            name: row.try_get("name")?,
            price_cents: row.try_get("price_cents")?,
            currency: row.try_get("currency")?,
            monthly_request_limit: row.try_get("monthly_request_limit")?,
            storage_limit_mb: row.try_get("storage_limit_mb")?,
            overage_cents_per_request: row.try_get("overage_cents_per_request")?,
            is_sold: row.try_get("is_sold")?,
        })
    };
    rows.iter().map(plan).collect()
}

/// Reads the id of a plan's price at Stripe; `None` for a plan that is not sold.
///
/// # Errors
/// Returns the database's error.
pub async fn stripe_price_id(tx: &mut TenantTx, plan: &str) -> sqlx::Result<Option<String>> {
    let price_id =
        sqlx::query_scalar!("select stripe_price_id from plans where name = $1", plan).fetch_optional(tx).await?;
    Ok(price_id.flatten())
}

/// Reads the names of the plans with a price, by the ids of all their prices at Stripe.
///
/// # Errors
/// Returns the database's error.
pub async fn names_by_price_id(tx: &mut SystemTx) -> sqlx::Result<HashMap<String, String>> {
    // A price that checkout sells now belongs to the plan that it is sold for.
    let rows = sqlx::query!(
        r#"
        select other.stripe_price_id as "price!", plan.name as "name!"
        from plan_prices other join plans plan on plan.id = other.plan_id
        where not exists (select from plans sold where sold.stripe_price_id = other.stripe_price_id)
        union all
        select stripe_price_id, name from plans where stripe_price_id <> ''
        "#
    )
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.price, row.name)).collect())
}

/// A limit of the plan that a request would exceed. It is the `details` of the error `plan_limit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LimitExceeded {
    /// Name of the limit: `requests`, `overage_requests`, `storage_bytes` or `model_spend_micros`.
    pub limit: &'static str,
    /// Name of the plan.
    pub plan: String,
    /// Amount used so far, in the limit's unit.
    pub used: i64,
    /// The limit.
    pub most: i64,
    /// Amount that was requested.
    pub wanted: i64,
}

impl From<LimitExceeded> for ApiError {
    fn from(limit: LimitExceeded) -> Self {
        let message = match limit.limit {
            "storage_bytes" => "the plan has no room for this file",
            "model_spend_micros" => "what models may cost in this period is used up",
            "overage_requests" => "the requests over the plan have reached the company's cap for this period",
            _ => "the plan's requests of this period are used up",
        };
        Self::new(StatusCode::PAYMENT_REQUIRED, "plan_limit", message).with_details(serde_json::json!(limit))
    }
}

/// Checks that a tenant's model spend of the period, in millionths of a US dollar, is below its plan's cap.
///
/// The check runs between calls. The call that reaches the cap is still answered.
///
/// # Errors
/// Returns [`LimitExceeded`] when the spend has reached the cap.
pub fn check_spend_cap(plan: &Plan, spent_micros: i64) -> Result<(), LimitExceeded> {
    match plan.monthly_spend_cap_micros {
        Some(cap) if spent_micros >= cap => {
            let plan = plan.name.clone();
            Err(LimitExceeded { limit: "model_spend_micros", plan, used: spent_micros, most: cap, wanted: 1 })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spend_cap_is_exceeded_once_the_spend_equals_the_cap() {
        let mut plan = Plan {
            name: "pro".to_owned(),
            monthly_request_limit: Some(2000),
            storage_limit_mb: 500,
            price_cents: 2900,
            currency: "EUR".to_owned(),
            overage_cents_per_request: None,
            monthly_spend_cap_micros: Some(100),
        };
        assert_eq!(check_spend_cap(&plan, 99), Ok(()));
        let exceeded = check_spend_cap(&plan, 100).unwrap_err();
        assert_eq!((exceeded.used, exceeded.most), (100, 100));
        assert_eq!(ApiError::from(exceeded).code, "plan_limit");
        plan.monthly_spend_cap_micros = None;
        assert_eq!(check_spend_cap(&plan, i64::MAX), Ok(()));
    }
}
