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
    /// Time at which the subscription ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// Time since which a payment is past due.
    pub past_due_since: Option<DateTime<Utc>>,
    /// True when the subscription's price belongs to no plan.
    pub is_price_unknown: bool,
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
                let renewal = self.period_end.map(|end| later(end, grace));
                earlier(renewal, self.end()).map_or(AccessWindow::Unlimited, AccessWindow::Until)
            }
            SubscriptionStatus::PastDue => {
                let since = self.past_due_since.or(self.period_start);
                since.map_or(AccessWindow::None, |since| {
                    let until = later(since, grace);
                    AccessWindow::Until(self.end().map_or(until, |end| end.min(until)))
                })
            }
            SubscriptionStatus::Incomplete
            | SubscriptionStatus::IncompleteExpired
            | SubscriptionStatus::Unpaid
            | SubscriptionStatus::Canceled
            | SubscriptionStatus::Paused
            | SubscriptionStatus::Unknown => AccessWindow::None,
        }
    }

    /// True when the customer pays for the subscription, or is about to.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.status, SubscriptionStatus::Trialing | SubscriptionStatus::Active | SubscriptionStatus::PastDue)
    }

    /// Returns the time at which the subscription ends or has ended; `None` when no end is set.
    fn end(&self) -> Option<DateTime<Utc>> {
        match self.status {
            SubscriptionStatus::Canceled | SubscriptionStatus::IncompleteExpired => self.ended_at,
            _ => earlier(self.cancel_at, self.period_end.filter(|_| self.cancel_at_period_end)),
        }
    }

    /// True when the subscription has ended at this time, also before Stripe's event of the end has arrived.
    fn is_over(&self, now: DateTime<Utc>) -> bool {
        match self.status {
            SubscriptionStatus::Canceled | SubscriptionStatus::IncompleteExpired => true,
            SubscriptionStatus::Trialing | SubscriptionStatus::Active => self.end().is_some_and(|end| end <= now),
            _ => false,
        }
    }

    /// Derives the columns of `profiles` at this time. A subscription that is over has no end to come: its period ends
    /// with it, and it is not about to be cancelled.
    pub(super) fn shown(&self, now: DateTime<Utc>) -> ShownSubscription {
        let (is_over, end) = (self.is_over(now), self.end());
        let period_end =
            if is_over { earlier(self.period_end, end).filter(|_| end.is_some()) } else { self.period_end };
        let period_start = self.period_start.filter(|start| !is_over || period_end.is_some_and(|end| *start < end));
        let status = match self.status {
            SubscriptionStatus::Trialing | SubscriptionStatus::Active if is_over => SubscriptionStatus::Canceled,
            status => status,
        };
        let ends_with_period =
            self.cancel_at_period_end || self.cancel_at.zip(self.period_end).is_some_and(|(at, end)| at <= end);
        ShownSubscription {
            status: status.profile_status(),
            period_start,
            period_end,
            cancel_at_period_end: ends_with_period && !is_over,
            cancel_at: end,
        }
    }
}

/// The time that is `by` later, or the last time that can be told when that is out of range.
fn later(time: DateTime<Utc>, by: TimeDelta) -> DateTime<Utc> {
    time.checked_add_signed(by).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// The earlier of two times, of which each may be missing.
fn earlier(one: Option<DateTime<Utc>>, other: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    [one, other].into_iter().flatten().min()
}

/// A subscription as `profiles` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ShownSubscription {
    /// `subscription_status`.
    pub(super) status: &'static str,
    /// Start of the paid period.
    pub(super) period_start: Option<DateTime<Utc>>,
    /// End of the paid period.
    pub(super) period_end: Option<DateTime<Utc>>,
    /// True when the subscription ends with the period.
    pub(super) cancel_at_period_end: bool,
    /// Time at which the subscription ends or has ended.
    pub(super) cancel_at: Option<DateTime<Utc>>,
}

/// Reads a user's subscription that counts.
pub(in crate::domain::billing) async fn find_entitlement(
    tx: &mut BillingTx,
    user: &str,
) -> sqlx::Result<Option<Entitlement>> {
    let row = sqlx::query!(
        r#"
        select state.status, chosen.plan, chosen.stripe_customer_id, chosen.stripe_subscription_id,
            chosen.current_period_start, chosen.current_period_end, chosen.cancel_at_period_end, chosen.cancel_at,
            chosen.ended_at, chosen.past_due_since, chosen.is_price_unknown, chosen.version
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
        ended_at: row.ended_at,
        past_due_since: row.past_due_since,
        is_price_unknown: row.is_price_unknown,
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
            ended_at: None,
            past_due_since: None,
            is_price_unknown: false,
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
        let shown = |seconds| cancelled.shown(at(30) - TimeDelta::seconds(seconds));
        assert_eq!(
            (shown(1).status, shown(1).cancel_at_period_end, shown(1).cancel_at),
            ("active", true, Some(at(30)))
        );
        assert_eq!((shown(0).status, shown(0).cancel_at_period_end), ("cancelled", false));
        let dated = Entitlement { cancel_at: Some(at(12)), ..entitlement(SubscriptionStatus::Active) };
        assert_eq!(dated.access(TimeDelta::days(7)), AccessWindow::Until(at(12)));
        let open = Entitlement { period_start: None, period_end: None, ..entitlement(SubscriptionStatus::Active) };
        assert_eq!(open.access(TimeDelta::days(7)), AccessWindow::Unlimited);
        assert!(AccessWindow::Unlimited.is_active_at(at(10_000)));
    }
    #[test]
    fn end_date_is_shown_with_and_without_the_end_of_the_period() {
        for (cancel_at, with_period) in [(at(30), true), (at(12), true), (at(300), false)] {
            let entitlement = Entitlement { cancel_at: Some(cancel_at), ..entitlement(SubscriptionStatus::Active) };
            let shown = entitlement.shown(at(1));
            assert_eq!((shown.status, shown.cancel_at), ("active", Some(cancel_at)));
            assert_eq!(shown.cancel_at_period_end, with_period, "{cancel_at}");
            assert_eq!(shown.period_end, Some(at(30)));
        }
        let going_on = entitlement(SubscriptionStatus::Active).shown(at(1));
        assert_eq!((going_on.cancel_at_period_end, going_on.cancel_at), (false, None));
    }

    #[test]
    fn cancelled_subscription_shows_no_end_or_period_to_come() {
        let cancelled = Entitlement {
            cancel_at_period_end: true,
            cancel_at: Some(at(30)),
            ended_at: Some(at(10)),
            ..entitlement(SubscriptionStatus::Canceled)
        };
        let shown = cancelled.shown(at(11));
        assert_eq!((shown.status, shown.cancel_at_period_end), ("cancelled", false));
        assert_eq!((shown.period_start, shown.period_end, shown.cancel_at), (Some(at(0)), Some(at(10)), Some(at(10))));
        // An imported subscription has no time of its end.
        let imported = Entitlement { ended_at: None, ..cancelled }.shown(at(11));
        assert_eq!((imported.period_start, imported.period_end, imported.cancel_at), (None, None, None));
    }

    #[test]
    fn grace_runs_from_the_beginning_of_past_due_and_not_beyond_the_end() {
        let grace = TimeDelta::days(7);
        let late = Entitlement { past_due_since: Some(at(20)), ..entitlement(SubscriptionStatus::PastDue) };
        assert_eq!(late.access(grace), AccessWindow::Until(at(27)));
        let ending = Entitlement { cancel_at: Some(at(22)), ..late.clone() };
        assert_eq!(ending.access(grace), AccessWindow::Until(at(22)));
        let with_period = Entitlement { past_due_since: Some(at(28)), cancel_at_period_end: true, ..late };
        assert_eq!(with_period.access(grace), AccessWindow::Until(at(30)));
    }
}
