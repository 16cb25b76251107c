//! From `billing.subscriptions` to the app's schema: `users.is_pro`, `profiles`, `customers.plan_id`, the period's row of
//! `usage_periods`, and the audit log. An older projection never comes over a newer one.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::Billing;
use crate::{
    activities::{self, Activity},
    audit::{self, Entry},
    db::{BillingTx, SystemTx},
    error::ApiError,
    plans,
    stripe::Status,
};

/// What a subscription gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Entitlement {
    /// Where it stands at Stripe.
    pub status: Status,
    /// The plan that was bought.
    pub plan: String,
    /// `cus_…`
    pub customer: Option<String>,
    /// `sub_…`
    pub subscription: Option<String>,
    /// The paid period.
    pub period_start: Option<DateTime<Utc>>,
    /// Its end.
    pub period_end: Option<DateTime<Utc>>,
    /// Whether it ends with the period.
    pub cancel_at_period_end: bool,
    /// When it ends, where that is set.
    pub cancel_at: Option<DateTime<Utc>>,
    /// Grows with each change.
    pub version: i64,
}

/// Until when there is access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// There is none.
    None,
    /// Until then.
    Until(DateTime<Utc>),
    /// Until it is told otherwise: no period is known.
    Open,
}

impl Access {
    /// Whether there is access at a moment.
    #[must_use]
    pub fn holds_at(self, now: DateTime<Utc>) -> bool {
        match self {
            Self::None => false,
            Self::Until(end) => now < end,
            Self::Open => true,
        }
    }
}

impl Entitlement {
    /// Until when it gives access, with so much grace for a payment that failed and for a renewal that was not told.
    #[must_use]
    pub fn access(&self, grace: TimeDelta) -> Access {
        if self.plan == plans::FREE {
            return Access::None;
        }
        match self.status {
            Status::Trialing | Status::Active => {
                let renews = if self.cancel_at_period_end { TimeDelta::zero() } else { grace };
                let end = self.period_end.map(|end| end + renews);
                // Whichever comes first.
                match (end, self.cancel_at) {
                    (Some(end), Some(cancelled)) => Access::Until(end.min(cancelled)),
                    (Some(end), None) | (None, Some(end)) => Access::Until(end),
                    (None, None) => Access::Open,
                }
            }
            // A renewal that fails begins its period: nothing but the state itself is needed to know since when.
            Status::PastDue => self.period_start.map_or(Access::None, |start| Access::Until(start + grace)),
            Status::Incomplete
            | Status::IncompleteExpired
            | Status::Unpaid
            | Status::Canceled
            | Status::Paused
            | Status::Unknown => Access::None,
        }
    }

    /// `profiles.subscription_status` at a moment.
    fn shown_status(&self, has_access: bool) -> &'static str {
        let is_over = !has_access && (self.cancel_at_period_end || self.cancel_at.is_some());
        match self.status {
            // Stripe's word of it is still on its way.
            Status::Trialing | Status::Active if is_over => Status::Canceled.in_profile(),
            status => status.in_profile(),
        }
    }
}

/// What became of a projection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Projected {
    /// The app shows something else than before.
    Changed,
    /// It showed that already, or something newer.
    Unchanged,
    /// There is no such user yet: it is projected once there is.
    UserUnknown,
}

impl Billing {
    /// Projects a user's subscription.
    ///
    /// # Errors
    /// The databases'.
    pub async fn project(&self, user: &str, now: DateTime<Utc>) -> Result<Projected, ApiError> {
        let found = self.db.billing(async |tx| Ok::<_, ApiError>(find(tx, user).await?)).await?;
        let Some(entitlement) = found else { return Ok(Projected::Unchanged) };
        // Ids of another system are nobody's here.
        let Ok(id) = Uuid::try_parse(user) else { return Ok(Projected::UserUnknown) };
        let access = entitlement.access(self.grace);
        let projected =
            self.app.system(async |tx| Ok::<_, ApiError>(project(tx, id, &entitlement, access, now).await?)).await?;
        if projected != Projected::UserUnknown {
            self.db.billing(async |tx| Ok::<_, ApiError>(mark_projected(tx, user, entitlement.version).await?)).await?;
        }
        Ok(projected)
    }

    /// Projects the subscriptions of users who have signed in since: those that an import brought along, or that were
    /// bought before. Returns how many.
    ///
    /// # Errors
    /// The databases'.
    pub async fn project_pending(&self, now: DateTime<Utc>) -> Result<u64, ApiError> {
        const PAGE: i64 = 1_000;
        let (mut after, mut projected) = (String::new(), 0);
        loop {
            let pending = self.db.billing(async |tx| Ok::<_, ApiError>(unprojected(tx, &after, PAGE).await?)).await?;
            let Some(last) = pending.last() else { return Ok(projected) };
            after.clone_from(last);
            let ids: Vec<_> = pending.iter().filter_map(|user| Uuid::try_parse(user).ok()).collect();
            let known = self.app.system(async |tx| Ok::<_, ApiError>(known_users(tx, &ids).await?)).await?;
            for user in known {
                self.project(&user.to_string(), now).await?;
                projected += 1;
            }
        }
    }

    /// Ends what is paid for no longer, at most `most` at a time. Returns how many lost access.
    ///
    /// # Errors
    /// The databases'.
    pub async fn end_access(&self, now: DateTime<Utc>, most: i64) -> Result<u64, ApiError> {
        let over = self.app.system(async |tx| Ok::<_, ApiError>(over(tx, now, most).await?)).await?;
        let mut ended = 0;
        for user in over {
            if self.project(&user.to_string(), now).await? == Projected::Changed {
                ended += 1;
            }
        }
        Ok(ended)
    }
}

pub(super) async fn find(tx: &mut BillingTx, user: &str) -> sqlx::Result<Option<Entitlement>> {
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
        status: Status::read(&row.status),
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

async fn unprojected(tx: &mut BillingTx, after: &str, most: i64) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"
        select user_id from billing.subscriptions
        where projected_version is distinct from version and user_id collate "C" > $1
        order by user_id collate "C" limit $2
        "#,
        after,
        most
    )
    .fetch_all(tx)
    .await
}

async fn known_users(tx: &mut SystemTx, ids: &[Uuid]) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!("select id from users where id = any($1)", ids).fetch_all(tx).await
}

async fn over(tx: &mut SystemTx, now: DateTime<Utc>, most: i64) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"
        select profile.id from profiles profile
        join users account on account.id = profile.id and account.is_pro
        where profile.subscription_access_until <= $1
        order by profile.subscription_access_until
        limit $2
        "#,
        now,
        most
    )
    .fetch_all(tx)
    .await
}

/// Writes what a subscription gives at a moment, where that is something else than what stands there.
async fn project(
    tx: &mut SystemTx,
    user: Uuid,
    entitlement: &Entitlement,
    access: Access,
    now: DateTime<Utc>,
) -> sqlx::Result<Projected> {
    let is_pro = access.holds_at(now);
    let until = match access {
        Access::Until(end) => Some(end),
        Access::None | Access::Open => None,
    };
    let plan = if is_pro { entitlement.plan.as_str() } else { plans::FREE };
    let tenant =
        sqlx::query_scalar!("select id from customers where user_id = $1", user).fetch_optional(&mut *tx).await?;
    if let Some(tenant) = tenant {
        // In the order in which a request takes them: the period, then the profile that shows it.
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
        entitlement.shown_status(is_pro),
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
        return Ok(Projected::UserUnknown);
    };
    if before.subscription_version > entitlement.version {
        return Ok(Projected::Unchanged);
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
            entitlement.shown_status(is_pro),
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
        // Also of a period in which nothing will be asked: it is billed all the same.
        sqlx::query!("select app.open_period($1, $2)", tenant, now).execute(&mut *tx).await?;
    }
    if !differs {
        return Ok(Projected::Unchanged);
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
            status: if is_pro { activities::Status::Success } else { activities::Status::Warning },
            conversation: None,
            metadata: serde_json::json!({ "plan": plan, "status": entitlement.shown_status(is_pro) }),
        };
        activities::record_for(tx, tenant, &activity).await?;
    }
    let entry = Entry {
        actor: None,
        action: "subscription.changed",
        object: format!("user:{user}"),
        request_id: None,
        details: serde_json::json!({
            "is_pro": is_pro,
            "was_pro": before.is_pro,
            "plan": plan,
            "status": entitlement.shown_status(is_pro),
            "stripe_subscription_id": entitlement.subscription,
            "version": entitlement.version,
        }),
    };
    audit::record_for(tx, tenant, &entry).await?;
    Ok(Projected::Changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_000_000, 0).unwrap() + TimeDelta::days(day)
    }

    fn entitlement(status: Status) -> Entitlement {
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
    fn access_follows_the_status() {
        let grace = TimeDelta::days(7);
        for (status, access) in [
            (Status::Active, Access::Until(at(37))),
            (Status::Trialing, Access::Until(at(37))),
            (Status::PastDue, Access::Until(at(7))),
            (Status::Incomplete, Access::None),
            (Status::IncompleteExpired, Access::None),
            (Status::Unpaid, Access::None),
            (Status::Canceled, Access::None),
            (Status::Paused, Access::None),
            (Status::Unknown, Access::None),
        ] {
            assert_eq!(entitlement(status).access(grace), access, "{status:?}");
            assert_eq!(Entitlement { plan: "free".to_owned(), ..entitlement(status) }.access(grace), Access::None);
        }
    }

    #[test]
    fn what_is_cancelled_at_its_periods_end_holds_until_then_and_not_a_second_longer() {
        let cancelled = Entitlement { cancel_at_period_end: true, ..entitlement(Status::Active) };
        let access = cancelled.access(TimeDelta::days(7));
        assert!(access.holds_at(at(30) - TimeDelta::seconds(1)));
        assert!(!access.holds_at(at(30)));
        assert_eq!((cancelled.shown_status(true), cancelled.shown_status(false)), ("active", "cancelled"));
        let dated = Entitlement { cancel_at: Some(at(12)), ..entitlement(Status::Active) };
        assert_eq!(dated.access(TimeDelta::days(7)), Access::Until(at(12)));
        let open = Entitlement { period_start: None, period_end: None, ..entitlement(Status::Active) };
        assert_eq!(open.access(TimeDelta::days(7)), Access::Open);
        assert!(Access::Open.holds_at(at(10_000)));
    }
}
