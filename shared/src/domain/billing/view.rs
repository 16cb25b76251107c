//! The subscription as its tenant sees it.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::db::TenantTx;

/// The subscription of a tenant's owner, as projected onto `profiles`.
#[derive(Debug)]
pub struct SubscriptionView {
    /// Email address of the owner.
    pub email: String,
    /// Customer at Stripe (`cus_…`).
    pub customer: Option<String>,
    /// Status, as `profiles.subscription_status` has it.
    pub status: String,
    /// Start of the paid period.
    pub period_start: Option<DateTime<Utc>>,
    /// End of the paid period.
    pub period_end: Option<DateTime<Utc>>,
    /// True when the subscription ends with the period.
    pub cancel_at_period_end: bool,
    /// Time at which the subscription ends or has ended.
    pub cancel_at: Option<DateTime<Utc>>,
}

/// Reads the subscription of a tenant's owner.
///
/// # Errors
/// Returns the database's error.
pub async fn subscription_view(tx: &mut TenantTx, owner: Uuid) -> sqlx::Result<SubscriptionView> {
    sqlx::query_as!(
        SubscriptionView,
        r#"
        select email, stripe_customer_id as customer, subscription_status as status,
            subscription_current_period_start as period_start, subscription_current_period_end as period_end,
            subscription_cancel_at_period_end as cancel_at_period_end, subscription_cancel_at as cancel_at
        from profiles where id = $1
        "#,
        owner
    )
    .fetch_one(tx)
    .await
}
