//! Import of the old system's subscriptions. An imported subscription's state is valid until an event or a snapshot
//! of Stripe replaces it.

use chrono::{DateTime, Utc};

use super::{ids::new_id, processor::Billing, states};
use crate::{db::BillingTx, error::ApiError, stripe::SubscriptionStatus};

/// A validated row of the old system's table.
#[derive(Debug, Clone, PartialEq)]
pub struct OldSubscription {
    /// CUID2 of the row. `billing.subscriptions` keeps it when the row is the first of its user.
    pub id: String,
    /// `users.id`, or a user id of an even older system.
    pub user_id: String,
    /// Status in the old system: `active`, `inactive`, `cancelled` or `expired`.
    pub status: String,
    /// Name of the plan: `free`, `pro` or `business`.
    pub plan: String,
    /// Customer at Stripe (`cus_…`).
    pub stripe_customer_id: Option<String>,
    /// Subscription at Stripe (`sub_…`).
    pub stripe_subscription_id: Option<String>,
    /// Start of the paid period.
    pub current_period_start: Option<DateTime<Utc>>,
    /// End of the paid period.
    pub current_period_end: Option<DateTime<Utc>>,
    /// True when the subscription ends with the period.
    pub cancel_at_period_end: bool,
    /// Time at which the subscription was created.
    pub created_at: DateTime<Utc>,
}

/// Numbers of rows of an import.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportCounts {
    /// Rows that are new, or differ from the last import.
    pub written: u64,
    /// Rows that were imported before without a difference, or that Stripe's data has replaced since.
    pub unchanged: u64,
}

/// Imports the rows in one transaction: all or none.
///
/// # Errors
/// Returns the database's error.
pub async fn import(billing: &Billing, rows: &[OldSubscription]) -> Result<ImportCounts, ApiError> {
    billing
        .db
        .billing_tx(async |tx| {
            let mut imported = ImportCounts::default();
            for row in rows {
                if upsert(tx, row).await? {
                    imported.written += 1;
                } else {
                    imported.unchanged += 1;
                }
                states::choose_current(tx, &row.user_id).await?;
            }
            Ok(imported)
        })
        .await
}

/// Translates the old system's status to Stripe's.
fn stripe_status(row: &OldSubscription) -> SubscriptionStatus {
    match row.status.as_str() {
        "active" => SubscriptionStatus::Active,
        "cancelled" => SubscriptionStatus::Canceled,
        // An inactive row of the old system gave no access, and nothing is collected for it: it keeps nobody from buying.
        _ => SubscriptionStatus::IncompleteExpired,
    }
}

/// Inserts or updates the row's state. Returns true when something was written.
async fn upsert(tx: &mut BillingTx, row: &OldSubscription) -> sqlx::Result<bool> {
    let id = row.stripe_subscription_id.clone().unwrap_or_else(|| format!("import:{}", row.id));
    if let Some(customer) = &row.stripe_customer_id {
        states::link_customer(tx, customer, &row.user_id).await?;
    }
    // The row keeps its id in `billing.subscriptions` when it is the first of its user.
    let own_id = if row.id.is_empty() { new_id() } else { row.id.clone() };
    let written = sqlx::query!(
        r#"
        insert into billing.subscription_states as known (
            id, user_id, stripe_customer_id, status, plan, current_period_start, current_period_end,
            cancel_at_period_end, started_at, is_imported
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, true)
        on conflict on constraint subscription_states_pkey do update
        set user_id = excluded.user_id, stripe_customer_id = excluded.stripe_customer_id, status = excluded.status,
            plan = excluded.plan, current_period_start = excluded.current_period_start,
            current_period_end = excluded.current_period_end, cancel_at_period_end = excluded.cancel_at_period_end,
            started_at = excluded.started_at, updated_at = now()
        where known.is_imported
          and (known.user_id, known.stripe_customer_id, known.status, known.plan, known.current_period_start,
               known.current_period_end, known.cancel_at_period_end, known.started_at)
            is distinct from
            (excluded.user_id, excluded.stripe_customer_id, excluded.status, excluded.plan,
             excluded.current_period_start, excluded.current_period_end, excluded.cancel_at_period_end,
             excluded.started_at)
        "#,
        id,
        row.user_id,
        row.stripe_customer_id,
        stripe_status(row).as_str(),
        row.plan,
        row.current_period_start,
        row.current_period_end,
        row.cancel_at_period_end,
        row.created_at
    )
    .execute(&mut *tx)
    .await?
    .rows_affected();
    sqlx::query!(
        r#"
        insert into billing.subscriptions (id, user_id, created_at, state_id) values ($1, $2, $3, $4)
        on conflict do nothing
        "#,
        own_id,
        row.user_id,
        row.created_at,
        id
    )
    .execute(tx)
    .await?;
    Ok(written > 0)
}
