//! The subscription that counts for a user, and the access that it gives.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{db::BillingTx, plans, stripe::SubscriptionStatus};

/// A user's subscription that counts, with the data that decides about access.
#[derive(Debug, Clone, PartialEq)]
pub struct Entitlement {
    /// Status at Stripe.
    pub status: SubscriptionStatus,
    /// Name of the bought plan.
    pub plan: String,
    /// Customer at Stripe (`cus_…`).
    pub customer: Option<String>,
    /// Subscription at Stripe (`sub_…`).
    pub subscription: Option<String>,
    /// Start of the paid period.
    pub period_start: Option<DateTime<Utc>>,
    /// End of the paid period.
    pub period_end: Option<DateTime<Utc>>,
    /// True when the subscription ends with the period.
    pub cancel_at_period_end: bool,
    /// Time at which the subscription ends, when one is set.
    pub cancel_at: Option<DateTime<Utc>>,
    /// Version of the row of `billing.subscriptions`. It grows with each change.
    pub version: i64,
}

/// Time until which a subscription gives access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessWindow {
    /// No access.
    None,
    /// Access until this time, exclusive.
    Until(DateTime<Utc>),
    /// Access without a known end, until an event sets one: neither a period nor an end is known.
    Unlimited,
}

impl AccessWindow {
    /// Returns true when there is access at this time.
    #[must_use]
    pub fn is_active_at(self, now: DateTime<Utc>) -> bool {
        match self {
            Self::None => false,
            Self::Until(end) => now < end,
            Self::Unlimited => true,
        }
    }
}

impl Entitlement {
    /// Derives the access from the status and the period. `grace` extends the access after a failed payment, and
    /// after a period's end without a renewal event.
    #[must_use]
    pub fn access(&self, grace: TimeDelta) -> AccessWindow {
        if self.plan == plans::FREE {
            return AccessWindow::None;
        }
        match self.status {
            SubscriptionStatus::Trialing | SubscriptionStatus::Active => {
                let grace = if self.cancel_at_period_end { TimeDelta::zero() } else { grace };
                let end = self.period_end.map(|end| end + grace);
                // The earlier of the two ends.
                match (end, self.cancel_at) {
                    (Some(end), Some(cancelled)) => AccessWindow::Until(end.min(cancelled)),
                    (Some(end), None) | (None, Some(end)) => AccessWindow::Until(end),
                    (None, None) => AccessWindow::Unlimited,
                }
            }
            // Stripe starts the new period even when its payment fails, so the grace runs from the period's start.
            SubscriptionStatus::PastDue => {
                self.period_start.map_or(AccessWindow::None, |start| AccessWindow::Until(start + grace))
            }
            SubscriptionStatus::Incomplete
            | SubscriptionStatus::IncompleteExpired
            | SubscriptionStatus::Unpaid
            | SubscriptionStatus::Canceled
            | SubscriptionStatus::Paused
            | SubscriptionStatus::Unknown => AccessWindow::None,
        }
    }

    /// Status for `profiles.subscription_status`, given the present access.
    pub(super) fn profile_status(&self, has_access: bool) -> &'static str {
        let is_over = !has_access && (self.cancel_at_period_end || self.cancel_at.is_some());
        match self.status {
            // The subscription has ended, but Stripe's event of the end has not arrived yet.
            SubscriptionStatus::Trialing | SubscriptionStatus::Active if is_over => {
                SubscriptionStatus::Canceled.profile_status()
            }
            status => status.profile_status(),
        }
    }
}

/// Reads a user's subscription that counts.
pub(in crate::domain::billing) async fn find_entitlement(
    tx: &mut BillingTx,
    user: &str,
) -> sqlx::Result<Option<Entitlement>> {
    let row = sqlx::query!(
        r#"
        select state.status, chosen.plan, chosen.stripe_customer_id, chosen.stripe_subscription_id,
            chosen.current_period_start, chosen.current_period_end, chosen.cancel_at_period_end, state.cancel_at,
            chosen.version
        from billing.subscriptions chosen
        join billing.subscription_states state on state.id = chosen.state_id
        where chosen.user_id = $1
        "#,
        user
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|row| Entitlement {
        status: SubscriptionStatus::read(&row.status),
        plan: row.plan,
        customer: row.stripe_customer_id,
        subscription: row.stripe_subscription_id,
        period_start: row.current_period_start,
        period_end: row.current_period_end,
        cancel_at_period_end: row.cancel_at_period_end,
        cancel_at: row.cancel_at,
        version: row.version,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_000_000, 0).unwrap() + TimeDelta::days(day)
    }

    fn entitlement(status: SubscriptionStatus) -> Entitlement {
        Entitlement {
            status,
            plan: "pro".to_owned(),
            customer: None,
            subscription: None,
            period_start: Some(at(0)),
            period_end: Some(at(30)),
            cancel_at_period_end: false,
            cancel_at: None,
            version: 1,
        }
    }

    #[test]
    fn each_status_gives_its_access() {
        let grace = TimeDelta::days(7);
        for (status, access) in [
            (SubscriptionStatus::Active, AccessWindow::Until(at(37))),
            (SubscriptionStatus::Trialing, AccessWindow::Until(at(37))),
            (SubscriptionStatus::PastDue, AccessWindow::Until(at(7))),
            (SubscriptionStatus::Incomplete, AccessWindow::None),
            (SubscriptionStatus::IncompleteExpired, AccessWindow::None),
            (SubscriptionStatus::Unpaid, AccessWindow::None),
            (SubscriptionStatus::Canceled, AccessWindow::None),
            (SubscriptionStatus::Paused, AccessWindow::None),
            (SubscriptionStatus::Unknown, AccessWindow::None),
        ] {
            assert_eq!(entitlement(status).access(grace), access, "{status:?}");
            assert_eq!(
                Entitlement { plan: "free".to_owned(), ..entitlement(status) }.access(grace),
                AccessWindow::None
            );
        }
    }

    #[test]
    fn subscription_cancelled_at_period_end_gives_access_until_then_without_grace() {
        let cancelled = Entitlement { cancel_at_period_end: true, ..entitlement(SubscriptionStatus::Active) };
        let access = cancelled.access(TimeDelta::days(7));
        assert!(access.is_active_at(at(30) - TimeDelta::seconds(1)));
        assert!(!access.is_active_at(at(30)));
        assert_eq!((cancelled.profile_status(true), cancelled.profile_status(false)), ("active", "cancelled"));
        let dated = Entitlement { cancel_at: Some(at(12)), ..entitlement(SubscriptionStatus::Active) };
        assert_eq!(dated.access(TimeDelta::days(7)), AccessWindow::Until(at(12)));
        let open = Entitlement { period_start: None, period_end: None, ..entitlement(SubscriptionStatus::Active) };
        assert_eq!(open.access(TimeDelta::days(7)), AccessWindow::Unlimited);
        assert!(AccessWindow::Unlimited.is_active_at(at(10_000)));
    }
}
