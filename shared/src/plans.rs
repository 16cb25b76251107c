//! `plans`: what may be bought, what it limits, and what it costs.

use std::collections::HashMap;

use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    db::{SystemTx, TenantTx},
    error::ApiError,
};

/// The plan of whoever pays for none.
pub const FREE: &str = "free";
/// Those that may be bought.
pub const PAID: [&str; 2] = ["pro", "business"];

/// The name of a plan that may be bought.
#[must_use]
pub fn paid(name: &str) -> Option<&'static str> {
    PAID.into_iter().find(|plan| *plan == name)
}

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({
    "name": "pro", "monthly_request_limit": 2000, "storage_limit_mb": 500, "price_cents": 2900, "currency": "EUR",
    "overage_cents_per_request": null, "monthly_spend_cap_micros": 15_000_000,
}))]
pub struct Plan {
    /// `free`, `pro` or `business`.
    pub name: String,
    /// Requests a period; null where the lifetime quota limits instead.
    pub monthly_request_limit: Option<i32>,
    /// In MiB.
    pub storage_limit_mb: i32,
    /// A month, in minor units.
    pub price_cents: i32,
    /// Of all amounts.
    pub currency: String,
    /// Of each request over the limit; null where these are refused.
    pub overage_cents_per_request: Option<i32>,
    /// What models may cost a period, in millionths of a US dollar; null without a cap.
    pub monthly_spend_cap_micros: Option<i64>,
}

/// The plan of the transaction's tenant, with the tenant's own spend cap where it has one.
///
/// # Errors
/// The database's.
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

/// The price of a plan at Stripe; `None` for a plan that is not sold.
///
/// # Errors
/// The database's.
pub async fn price(tx: &mut TenantTx, plan: &str) -> sqlx::Result<Option<String>> {
    let found =
        sqlx::query_scalar!("select stripe_price_id from plans where name = $1", plan).fetch_optional(tx).await?;
    Ok(found.flatten())
}

/// The plans by their prices at Stripe.
///
/// # Errors
/// The database's.
pub async fn prices(tx: &mut SystemTx) -> sqlx::Result<HashMap<String, String>> {
    let rows = sqlx::query!(r#"select stripe_price_id as "price!", name from plans where stripe_price_id is not null"#)
        .fetch_all(tx)
        .await?;
    Ok(rows.into_iter().map(|row| (row.price, row.name)).collect())
}

/// Something that the plan does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// `requests`, `storage_bytes` or `model_spend_micros`.
    pub limit: &'static str,
    /// The plan that limits.
    pub plan: String,
    /// What is used.
    pub used: i64,
    /// What there is.
    pub most: i64,
    /// What was asked for.
    pub wanted: i64,
}

impl From<Limit> for ApiError {
    fn from(limit: Limit) -> Self {
        let message = match limit.limit {
            "storage_bytes" => "the plan has no room for this file",
            "model_spend_micros" => "what models may cost in this period is used up",
            _ => "the plan's requests of this period are used up",
        };
        Self::new(StatusCode::PAYMENT_REQUIRED, "plan_limit", message).with_details(serde_json::json!(limit))
    }
}

/// Whether models may still be asked for a tenant of this plan that has spent so much in its period. The cap holds
/// between calls: the one that reaches it is still answered.
///
/// # Errors
/// [`Limit`].
pub fn check_spend_cap(plan: &Plan, spent_micros: i64) -> Result<(), Limit> {
    match plan.monthly_spend_cap_micros {
        Some(cap) if spent_micros >= cap => {
            let plan = plan.name.clone();
            Err(Limit { limit: "model_spend_micros", plan, used: spent_micros, most: cap, wanted: 1 })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spend_cap_is_reached_at_its_last_micro() {
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
        let reached = check_spend_cap(&plan, 100).unwrap_err();
        assert_eq!((reached.used, reached.most), (100, 100));
        assert_eq!(ApiError::from(reached).code, "plan_limit");
        plan.monthly_spend_cap_micros = None;
        assert_eq!(check_spend_cap(&plan, i64::MAX), Ok(()));
    }
}
