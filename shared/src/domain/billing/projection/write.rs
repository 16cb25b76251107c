//! Writes a projection: one transaction on the app's schema, with the activity and the audit entry of the change.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::entitlement::{AccessWindow, Entitlement, ShownSubscription};
use crate::{
    activities::{self, Activity, ActivityStatus},
    audit::{self, NewAuditEntry},
    conversations,
    db::SystemTx,
    jobs, plans,
};

/// Result of a projection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProjectionOutcome {
    /// The app's schema changed.
    Changed,
    /// The app's schema had this version's data already, or a newer version's.
    Unchanged,
    /// No such user exists yet, or the user's account was deleted. The subscription is projected once the user exists.
    UserUnknown,
}

/// The state that a subscription gives a user.
struct Projection<'a> {
    user: Uuid,
    entitlement: &'a Entitlement,
    is_pro: bool,
    /// End of the access; `None` without access, and for access without a known end.
    until: Option<DateTime<Utc>>,
    /// Name of the plan whose limits apply.
    plan: &'a str,
    /// The subscription's columns of `profiles`.
    shown: ShownSubscription,
}

/// The stored state of a user, compared with a projection.
struct StoredState {
    is_pro: bool,
    subscription_version: i64,
    is_another_state: bool,
    is_another_plan: bool,
    is_deleted: bool,
}

/// Writes a subscription's projection at this time, when it differs from the stored one and is not older.
pub(super) async fn write_projection(
    tx: &mut SystemTx,
    user: Uuid,
    entitlement: &Entitlement,
    access: AccessWindow,
    now: DateTime<Utc>,
) -> sqlx::Result<ProjectionOutcome> {
    let projection = Projection::new(user, entitlement, access, now);
    let tenant =
        sqlx::query_scalar!("select id from customers where user_id = $1", user).fetch_optional(&mut *tx).await?;
    // Locks in the order of a request: the period, then the profile.
    if let Some(tenant) = tenant {
        lock_open_periods(tx, tenant).await?;
    }
    let Some(stored) = projection.lock_and_compare(tx).await? else { return Ok(ProjectionOutcome::UserUnknown) };
    let outcome = projection.write(tx, tenant, &stored, now).await?;
    // The rows of a deleted account stay and end with its access, but a subscription that is paid on is nobody's.
    Ok(if stored.is_deleted { ProjectionOutcome::UserUnknown } else { outcome })
}

/// Locks the tenant's periods that are not closed, and the creation of a new one.
async fn lock_open_periods(tx: &mut SystemTx, tenant: Uuid) -> sqlx::Result<()> {
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended($1::uuid::text, 10))", tenant)
        .execute(&mut *tx)
        .await?;
    sqlx::query!("select from usage_periods where customer_id = $1 and closed_at is null for update", tenant)
        .execute(tx)
        .await
        .map(drop)
}

/// Makes the job due that pauses the collection or cancels the subscription, when the tenant is suspended or deleted: a page
/// of Checkout that was open at that time may still have been paid.
async fn stop_if_closed(tx: &mut SystemTx, tenant: Uuid) -> sqlx::Result<()> {
    let is_closed = sqlx::query_scalar!(
        r#"
        select exists (
            select from customers where id = $1 and (suspended_at is not null or deleted_at is not null)
        ) as "is_closed!"
        "#,
        tenant
    );
    if is_closed.fetch_one(&mut *tx).await? { jobs::enqueue_collection(tx, tenant).await } else { Ok(()) }
}

impl<'a> Projection<'a> {
    fn new(user: Uuid, entitlement: &'a Entitlement, access: AccessWindow, now: DateTime<Utc>) -> Self {
        let is_pro = access.is_active_at(now);
        let until = match access {
            AccessWindow::Until(end) => Some(end),
            AccessWindow::None | AccessWindow::Unlimited => None,
        };
        let plan = if is_pro { entitlement.plan.as_str() } else { plans::FREE };
        Self { user, entitlement, is_pro, until, plan, shown: entitlement.shown(now) }
    }

    /// Returns `profiles.subscription_tier`: the plan, while it is paid for.
    fn tier(&self) -> Option<&'a str> {
        self.is_pro.then_some(self.plan)
    }

    /// Locks the user's rows until the transaction ends and compares them with the projection. Returns `None` when
    /// there is no such user.
    async fn lock_and_compare(&self, tx: &mut SystemTx) -> sqlx::Result<Option<StoredState>> {
        sqlx::query_as!(
            StoredState,
            r#"
            select account.is_pro, profile.subscription_version,
                (account.is_pro, profile.subscription_status, profile.subscription_tier,
                 profile.subscription_current_period_start, profile.subscription_current_period_end,
                 profile.subscription_cancel_at_period_end, profile.subscription_cancel_at,
                 profile.subscription_access_until)
                is distinct from ($2, $3::text, $4::text, $5::timestamptz, $6::timestamptz, $7::boolean,
                                  $11::timestamptz, $8::timestamptz)
                or profile.stripe_customer_id is distinct from $9 as "is_another_state!",
                exists (
                    select from customers tenant join plans plan on plan.id = tenant.plan_id
                    where tenant.user_id = account.id and plan.name <> $10
                ) as "is_another_plan!",
                account.deleted_at is not null as "is_deleted!"
            from users account join profiles profile on profile.id = account.id
            where account.id = $1
            for update of account, profile
            "#,
            self.user,
            self.is_pro,
            self.shown.status,
            self.tier(),
            self.shown.period_start,
            self.shown.period_end,
            self.shown.cancel_at_period_end,
            self.until,
            self.entitlement.customer,
            self.plan,
            self.shown.cancel_at
        )
        .fetch_optional(tx)
        .await
    }

    /// Writes what differs from the stored state, unless that is newer.
    async fn write(
        &self,
        tx: &mut SystemTx,
        tenant: Option<Uuid>,
        stored: &StoredState,
        now: DateTime<Utc>,
    ) -> sqlx::Result<ProjectionOutcome> {
        if stored.subscription_version > self.entitlement.version {
            return Ok(ProjectionOutcome::Unchanged);
        }
        let differs = stored.is_another_state || stored.is_another_plan;
        if differs {
            self.update_account(tx).await?;
            self.update_plan(tx).await?;
        } else {
            self.update_version(tx).await?;
        }
        if let Some(tenant) = tenant.filter(|_| self.is_pro) {
            // A period without requests needs its row too, since it is billed.
            sqlx::query!("select app.open_period($1, $2)", tenant, now).execute(&mut *tx).await?;
        }
        if !differs {
            return Ok(ProjectionOutcome::Unchanged);
        }
        self.update_credits(tx, now).await?;
        if let Some(tenant) = tenant {
            stop_if_closed(tx, tenant).await?;
        }
        if let Some(tenant) = tenant.filter(|_| self.is_pro && (stored.is_another_plan || !stored.is_pro)) {
            conversations::queue_over_quota(tx, tenant).await?;
        }
        self.record_change(tx, tenant, stored).await?;
        Ok(ProjectionOutcome::Changed)
    }

    /// Writes `users.is_pro` and the subscription's columns of `profiles`.
    async fn update_account(&self, tx: &mut SystemTx) -> sqlx::Result<()> {
        sqlx::query!("update users set is_pro = $2 where id = $1 and is_pro <> $2", self.user, self.is_pro)
            .execute(&mut *tx)
            .await?;
        sqlx::query!(
            r#"
            update profiles profile
            set subscription_status = $2, subscription_tier = $3, subscription_current_period_start = $4,
                subscription_current_period_end = $5, subscription_cancel_at_period_end = $6,
                subscription_access_until = $7, subscription_version = $8, subscription_cancel_at = $10,
                updated_at = now(),
                -- One customer is one user's: whoever had it first.
                stripe_customer_id = case
                    when not exists (select from profiles other where other.stripe_customer_id = $9 and other.id <> $1)
                    then $9
                end
            where profile.id = $1
            "#,
            self.user,
            self.shown.status,
            self.tier(),
            self.shown.period_start,
            self.shown.period_end,
            self.shown.cancel_at_period_end,
            self.until,
            self.entitlement.version,
            self.entitlement.customer,
            self.shown.cancel_at
        )
        .execute(tx)
        .await
        .map(drop)
    }

    /// Writes the version of a projection that changes nothing else. A projection of an older version that is still on
    /// its way then changes nothing either.
    async fn update_version(&self, tx: &mut SystemTx) -> sqlx::Result<()> {
        sqlx::query!(
            "update profiles set subscription_version = $2 where id = $1 and subscription_version < $2",
            self.user,
            self.entitlement.version
        )
        .execute(tx)
        .await
        .map(drop)
    }

    /// Writes the plan of the user's tenant.
    async fn update_plan(&self, tx: &mut SystemTx) -> sqlx::Result<()> {
        sqlx::query!(
            r#"
            update customers tenant set plan_id = plan.id
            from plans plan where plan.name = $2 and tenant.user_id = $1 and tenant.plan_id <> plan.id
            "#,
            self.user,
            self.plan
        )
        .execute(tx)
        .await
        .map(drop)
    }

    /// Writes `profiles.credits_remaining`: the requests that are left in the period, or of the free quota.
    async fn update_credits(&self, tx: &mut SystemTx, now: DateTime<Utc>) -> sqlx::Result<()> {
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
            self.user,
            self.is_pro,
            now
        )
        .execute(tx)
        .await
        .map(drop)
    }

    /// Records the change: an activity for the tenant when its plan changed, and an audit entry in any case.
    async fn record_change(&self, tx: &mut SystemTx, tenant: Option<Uuid>, stored: &StoredState) -> sqlx::Result<()> {
        let is_price_unknown = self.entitlement.is_price_unknown && self.entitlement.is_live();
        if let Some(tenant) = tenant.filter(|_| stored.is_another_plan || is_price_unknown) {
            let (kind, title, status) = if is_price_unknown {
                ("subscription_price_unknown", "The subscription's price belongs to no plan", ActivityStatus::Error)
            } else if self.is_pro {
                ("subscription_changed", "The plan is paid for", ActivityStatus::Success)
            } else {
                ("subscription_changed", "The plan is the free one", ActivityStatus::Warning)
            };
            let metadata = serde_json::json!({ "plan": self.plan, "status": self.shown.status });
            let activity = Activity { kind, title, status, conversation: None, metadata };
            activities::record_for(tx, tenant, &activity).await?;
        }
        let entry = NewAuditEntry {
            actor: None,
            action: "subscription.changed",
            object: format!("user:{}", self.user),
            request_id: None,
            details: serde_json::json!({
                "is_pro": self.is_pro,
                "was_pro": stored.is_pro,
                "plan": self.plan,
                "status": self.shown.status,
                "is_price_unknown": self.entitlement.is_price_unknown,
                "stripe_subscription_id": self.entitlement.subscription,
                "version": self.entitlement.version,
            }),
        };
        audit::record_for(tx, tenant, &entry).await
    }
}
