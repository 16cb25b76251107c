//! The subscriptions of the old system: each counts until Stripe says something of it.

use chrono::{DateTime, Utc};

use super::{Billing, new_id, states};
use crate::{db::BillingTx, error::ApiError, stripe::Status};

/// A row of the old table, judged.
#[derive(Debug, Clone, PartialEq)]
pub struct OldSubscription {
    /// CUID2; kept.
    pub id: String,
    /// `users.id`, or an id of the system before that.
    pub user_id: String,
    /// `active`, `inactive`, `cancelled` or `expired`.
    pub status: String,
    /// `free`, `pro` or `business`.
    pub plan: String,
    /// `cus_…`
    pub stripe_customer_id: Option<String>,
    /// `sub_…`
    pub stripe_subscription_id: Option<String>,
    /// The paid period.
    pub current_period_start: Option<DateTime<Utc>>,
    /// Its end.
    pub current_period_end: Option<DateTime<Utc>>,
    /// Whether it ends with the period.
    pub cancel_at_period_end: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// What an import did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Imported {
    /// Rows that are new, or another than at the last import.
    pub written: u64,
    /// Rows that were there, or of which Stripe has told since.
    pub unchanged: u64,
}

/// Imports rows, all or none.
///
/// # Errors
/// The database's.
pub async fn import(billing: &Billing, rows: &[OldSubscription]) -> Result<Imported, ApiError> {
    billing
        .db
        .billing(async |tx| {
            let mut imported = Imported::default();
            for row in rows {
                if write(tx, row).await? {
                    imported.written += 1;
                } else {
                    imported.unchanged += 1;
                }
                states::choose(tx, &row.user_id).await?;
            }
            Ok(imported)
        })
        .await
}

/// Stripe's word for what the old system kept.
fn status(row: &OldSubscription) -> Status {
    match row.status.as_str() {
        "active" => Status::Active,
        "cancelled" => Status::Canceled,
        "expired" => Status::IncompleteExpired,
        _ => Status::Paused,
    }
}

async fn write(tx: &mut BillingTx, row: &OldSubscription) -> sqlx::Result<bool> {
    let id = row.stripe_subscription_id.clone().unwrap_or_else(|| format!("import:{}", row.id));
    if let Some(customer) = &row.stripe_customer_id {
        states::link(tx, customer, &row.user_id).await?;
    }
    // The row keeps its id, if it is the first of its user.
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
        status(row).word(),
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
