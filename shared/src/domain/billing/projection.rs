//! The projection of `billing.subscriptions` onto the app's schema: `users.is_pro`, `profiles`, `customers.plan_id`,
//! the period's row of `usage_periods`, and the audit log. An older version never overwrites a newer one.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::processor::Billing;
use crate::{
    activities::{self, Activity},
    audit::{self, NewAuditEntry},
    db::{BillingTx, SystemTx},
    error::ApiError,
    plans,
    stripe::SubscriptionStatus,
};

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
    fn profile_status(&self, has_access: bool) -> &'static str {
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

/// Result of a projection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProjectionOutcome {
    /// The app's schema changed.
    Changed,
    /// The app's schema had this version's data already, or a newer version's.
    Unchanged,
    /// No such user exists yet. The subscription is projected once the user exists.
    UserUnknown,
}

impl Billing {
    /// Projects a user's subscription onto the app's schema.
    ///
    /// # Errors
    /// Returns the error of either database.
    pub async fn project(&self, user: &str, now: DateTime<Utc>) -> Result<ProjectionOutcome, ApiError> {
        let entitlement = self.db.billing_tx(async |tx| Ok(find_entitlement(tx, user).await?)).await?;
        let Some(entitlement) = entitlement else { return Ok(ProjectionOutcome::Unchanged) };
        // A user id that is not a UUID is of an older system; no user has it here.
        let Ok(id) = Uuid::try_parse(user) else { return Ok(ProjectionOutcome::UserUnknown) };
        let access = entitlement.access(self.grace);
        let projected =
            self.app.system_tx(async |tx| Ok(write_projection(tx, id, &entitlement, access, now).await?)).await?;
        if projected != ProjectionOutcome::UserUnknown {
            self.db.billing_tx(async |tx| Ok(mark_projected(tx, user, entitlement.version).await?)).await?;
        }
        Ok(projected)
    }

    /// Projects the subscriptions of users who signed in after their subscription was imported or bought. Returns
    /// their number.
    ///
    /// # Errors
    /// Returns the error of either database.
    pub async fn project_pending(&self, now: DateTime<Utc>) -> Result<u64, ApiError> {
        /// Users per transaction.
        const PAGE_SIZE: i64 = 1_000;
        let (mut after, mut projected) = (String::new(), 0);
        loop {
            let pending = self.db.billing_tx(async |tx| Ok(users_to_project(tx, &after, PAGE_SIZE).await?)).await?;
            let Some(last) = pending.last() else { return Ok(projected) };
            after.clone_from(last);
            let ids: Vec<_> = pending.iter().filter_map(|user| Uuid::try_parse(user).ok()).collect();
            let existing = self.app.system_tx(async |tx| Ok(existing_users(tx, &ids).await?)).await?;
            for user in existing {
                self.project(&user.to_string(), now).await?;
                projected += 1;
            }
        }
    }

    /// Ends the access of users whose access has expired, at most `limit` of them. Returns the number of users who
    /// lost access.
    ///
    /// # Errors
    /// Returns the error of either database.
    pub async fn end_expired_access(&self, now: DateTime<Utc>, limit: i64) -> Result<u64, ApiError> {
        let expired = self.app.system_tx(async |tx| Ok(users_with_expired_access(tx, now, limit).await?)).await?;
        let mut ended = 0;
        for user in expired {
            if self.project(&user.to_string(), now).await? == ProjectionOutcome::Changed {
                ended += 1;
            }
        }
        Ok(ended)
    }
}

/// Reads a user's subscription that counts.
pub(super) async fn find_entitlement(tx: &mut BillingTx, user: &str) -> sqlx::Result<Option<Entitlement>> {
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

/// Marks a version as projected, unless a newer version exists.
async fn mark_projected(tx: &mut BillingTx, user: &str, version: i64) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        update billing.subscriptions set projected_version = $2
        where user_id = $1 and version = $2 and projected_version is distinct from $2
        "#,
        user,
        version
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Lists up to `limit` ids of users whose present version is not projected, in bytewise order, greater than `after`.
async fn users_to_project(tx: &mut BillingTx, after: &str, limit: i64) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"
        select user_id from billing.subscriptions
        where projected_version is distinct from version and user_id collate "C" > $1
        order by user_id collate "C" limit $2
        "#,
        after,
        limit
    )
    .fetch_all(tx)
    .await
}

/// Lists those of the ids that are of existing users.
async fn existing_users(tx: &mut SystemTx, ids: &[Uuid]) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!("select id from users where id = any($1)", ids).fetch_all(tx).await
}

/// Lists up to `limit` users whose access has expired and who still have it, the earliest expiry first.
async fn users_with_expired_access(tx: &mut SystemTx, now: DateTime<Utc>, limit: i64) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"
        select profile.id from profiles profile
        join users account on account.id = profile.id and account.is_pro
        where profile.subscription_access_until <= $1
        order by profile.subscription_access_until
        limit $2
        "#,
        now,
        limit
    )
    .fetch_all(tx)
    .await
}

/// Writes a subscription's projection at this time, when it differs from the stored one and is not older.
async fn write_projection(
    tx: &mut SystemTx,
    user: Uuid,
    entitlement: &Entitlement,
    access: AccessWindow,
    now: DateTime<Utc>,
) -> sqlx::Result<ProjectionOutcome> {
    let is_pro = access.is_active_at(now);
    let until = match access {
        AccessWindow::Until(end) => Some(end),
        AccessWindow::None | AccessWindow::Unlimited => None,
    };
    let plan = if is_pro { entitlement.plan.as_str() } else { plans::FREE };
    let tenant =
        sqlx::query_scalar!("select id from customers where user_id = $1", user).fetch_optional(&mut *tx).await?;
    if let Some(tenant) = tenant {
        // Locks in the order of a request: the period, then the profile.
        sqlx::query!("select pg_advisory_xact_lock(hashtextextended($1::uuid::text, 10))", tenant)
            .execute(&mut *tx)
            .await?;
        sqlx::query!("select from usage_periods where customer_id = $1 and closed_at is null for update", tenant)
            .execute(&mut *tx)
            .await?;
    }
    let Some(before) = sqlx::query!(
        r#"
        select account.is_pro, profile.subscription_version,
            (account.is_pro, profile.subscription_status, profile.subscription_tier,
             profile.subscription_current_period_start, profile.subscription_current_period_end,
             profile.subscription_cancel_at_period_end, profile.subscription_access_until)
            is distinct from ($2, $3::text, $4::text, $5::timestamptz, $6::timestamptz, $7::boolean, $8::timestamptz)
            or profile.stripe_customer_id is distinct from $9 as "is_another_state!",
            exists (
                select from customers tenant join plans plan on plan.id = tenant.plan_id
                where tenant.user_id = account.id and plan.name <> $10
            ) as "is_another_plan!"
        from users account join profiles profile on profile.id = account.id
        where account.id = $1
        for update of account, profile
        "#,
        user,
        is_pro,
        entitlement.profile_status(is_pro),
        is_pro.then_some(plan),
        entitlement.period_start,
        entitlement.period_end,
        entitlement.cancel_at_period_end,
        until,
        entitlement.customer,
        plan
    )
    .fetch_optional(&mut *tx)
    .await?
    else {
        return Ok(ProjectionOutcome::UserUnknown);
    };
    if before.subscription_version > entitlement.version {
        return Ok(ProjectionOutcome::Unchanged);
    }
    let differs = before.is_another_state || before.is_another_plan;
    if differs {
        sqlx::query!("update users set is_pro = $2 where id = $1 and is_pro <> $2", user, is_pro)
            .execute(&mut *tx)
            .await?;
        sqlx::query!(
            r#"
            update profiles profile
            set subscription_status = $2, subscription_tier = $3, subscription_current_period_start = $4,
                subscription_current_period_end = $5, subscription_cancel_at_period_end = $6,
                subscription_access_until = $7, subscription_version = $8, updated_at = now(),
                -- One customer is one user's: whoever had it first.
                stripe_customer_id = case
                    when not exists (select from profiles other where other.stripe_customer_id = $9 and other.id <> $1)
                    then $9
                end
            where profile.id = $1
            "#,
            user,
            entitlement.profile_status(is_pro),
            is_pro.then_some(plan),
            entitlement.period_start,
            entitlement.period_end,
            entitlement.cancel_at_period_end,
            until,
            entitlement.version,
            entitlement.customer
        )
        .execute(&mut *tx)
        .await?;
        sqlx::query!(
            r#"
            update customers tenant set plan_id = plan.id
            from plans plan where plan.name = $2 and tenant.user_id = $1 and tenant.plan_id <> plan.id
            "#,
            user,
            plan
        )
        .execute(&mut *tx)
        .await?;
    }
    if let Some(tenant) = tenant.filter(|_| is_pro) {
        // A period without requests needs its row too, since it is billed.
        sqlx::query!("select app.open_period($1, $2)", tenant, now).execute(&mut *tx).await?;
    }
    if !differs {
        return Ok(ProjectionOutcome::Unchanged);
    }
    sqlx::query!(
        r#"
        update profiles profile
        set credits_remaining = case when $2 then coalesce((
                select greatest(period.request_limit - period.requests, 0)
                from customers tenant, app.period_of(tenant.id, $3) current
                join usage_periods period on period.period_start = current.period_start
                where tenant.user_id = $1 and period.customer_id = tenant.id
            ), 0)
            else greatest(settings.free_quota_limit - settings.free_quota_used, 0) end
        from user_settings settings
        where profile.id = $1 and settings.user_id = $1
        "#,
        user,
        is_pro,
        now
    )
    .execute(&mut *tx)
    .await?;
    if let Some(tenant) = tenant.filter(|_| before.is_another_plan) {
        let activity = Activity {
            kind: "subscription_changed",
            title: if is_pro { "The plan is paid for" } else { "The plan is the free one" },
            status: if is_pro { activities::ActivityStatus::Success } else { activities::ActivityStatus::Warning },
            conversation: None,
            metadata: serde_json::json!({ "plan": plan, "status": entitlement.profile_status(is_pro) }),
        };
        activities::record_for(tx, tenant, &activity).await?;
    }
    let entry = NewAuditEntry {
        actor: None,
        action: "subscription.changed",
        object: format!("user:{user}"),
        request_id: None,
        details: serde_json::json!({
            "is_pro": is_pro,
            "was_pro": before.is_pro,
            "plan": plan,
            "status": entitlement.profile_status(is_pro),
            "stripe_subscription_id": entitlement.subscription,
            "version": entitlement.version,
        }),
    };
    audit::record_for(tx, tenant, &entry).await?;
    Ok(ProjectionOutcome::Changed)
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
