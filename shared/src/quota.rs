//! The quota: `user_settings` counts the free requests of a lifetime, `reservations` what is taken and not yet spent.
//!
//! It belongs to the tenant's owner, for the API and for WhatsApp alike. A unit is taken by one statement before the
//! answer is made, and goes back, once, when there is none: by the function itself, or by maintenance if it was killed.
//! Where a plan is paid for, the unit is one of the period's instead, in `usage_periods`.

use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    db::{Db, SystemTx, TenantTx},
    error::ApiError,
    periods,
    plans::{self, Limit},
};

/// How many units are used, and what that means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({
    "is_pro": false, "free_quota_used": 1, "free_quota_limit": 8, "state": "normal", "paywall_should_show": false,
}))]
pub struct Quota {
    /// Whether a plan is paid for.
    pub is_pro: bool,
    /// Free requests used so far; never reset.
    pub free_quota_used: i32,
    /// Free requests in a lifetime.
    pub free_quota_limit: i32,
    /// Where that stands.
    pub state: State,
    /// `!is_pro and used >= limit`.
    pub paywall_should_show: bool,
}

/// Where the free quota stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// More than one is left.
    Normal,
    /// One is left.
    WarnLastFree,
    /// None is left.
    Blocked,
}

impl Quota {
    /// Judges the numbers.
    #[must_use]
    pub fn new(is_pro: bool, used: i32, limit: i32) -> Self {
        let state = match limit.saturating_sub(used) {
            ..=0 => State::Blocked,
            1 => State::WarnLastFree,
            _ => State::Normal,
        };
        let paywall_should_show = !is_pro && state == State::Blocked;
        Self { is_pro, free_quota_used: used, free_quota_limit: limit, state, paywall_should_show }
    }
}

/// A unit that is taken and neither spent nor returned.
#[derive(Debug)]
#[must_use = "a unit that is held must be spent or given back"]
pub struct Reservation {
    id: Uuid,
    /// The quota after the unit was taken.
    pub quota: Quota,
}

impl Reservation {
    /// The quota as it is once the unit is given back.
    #[must_use]
    pub fn quota_without(&self) -> Quota {
        let Quota { is_pro, free_quota_used, free_quota_limit, .. } = self.quota;
        Quota::new(is_pro, free_quota_used - i32::from(!is_pro), free_quota_limit)
    }
}

/// Why no unit could be taken.
#[derive(Debug, thiserror::Error)]
pub enum QuotaError {
    /// The free requests are used up.
    #[error("the free quota is used up")]
    Exceeded(Quota),
    /// The plan's requests of the period are used up, and more are not sold.
    #[error("the plan's requests of the period are used up")]
    PlanLimit(Limit),
    /// The database said so.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<QuotaError> for ApiError {
    fn from(error: QuotaError) -> Self {
        match error {
            QuotaError::Exceeded(quota) => {
                let message = "the free quota is used up: a plan lifts the limit";
                Self::new(StatusCode::PAYMENT_REQUIRED, "quota_exceeded", message)
                    .with_details(serde_json::json!(quota))
            }
            QuotaError::PlanLimit(limit) => limit.into(),
            QuotaError::Database(error) => error.into(),
        }
    }
}

/// The quota of the tenant's owner.
///
/// # Errors
/// The database's.
pub async fn status(tx: &mut TenantTx, owner: Uuid) -> sqlx::Result<Quota> {
    let row = sqlx::query!(
        r#"
        select account.is_pro and coalesce(profile.subscription_access_until > now(), true) as "is_pro!",
            settings.free_quota_used, settings.free_quota_limit
        from users account
        join user_settings settings on settings.user_id = account.id
        left join profiles profile on profile.id = account.id
        where account.id = $1
        "#,
        owner
    )
    .fetch_one(tx)
    .await?;
    Ok(Quota::new(row.is_pro, row.free_quota_used, row.free_quota_limit))
}

/// The quota of any user, for callers that were already judged; `None` when there is no such user.
///
/// # Errors
/// The database's.
pub async fn of_user(db: &Db, user: Uuid) -> sqlx::Result<Option<Quota>> {
    use sqlx::Row;
    let rows = db.identify("app.quota_of", &[Some(user)]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let number = |name| row.try_get::<i32, _>(name);
    Ok(Some(Quota::new(row.try_get("is_pro")?, number("free_quota_used")?, number("free_quota_limit")?)))
}

/// Takes one unit, in one statement: safe under any concurrency. Commit before doing the work. A conversation has one
/// unit at a time: the one that a worker held when it died is its successor's.
///
/// # Errors
/// [`QuotaError::Exceeded`] or [`QuotaError::PlanLimit`] with the state, when none is left.
pub async fn reserve(tx: &mut TenantTx, owner: Uuid, conversation: Option<Uuid>) -> Result<Reservation, QuotaError> {
    let taken = match take(tx, owner, conversation).await? {
        // The period's first request.
        Taken { reservation_id: None, is_pro: true, has_period: false, is_over_cap: false, .. } => {
            periods::open(tx).await?;
            take(tx, owner, conversation).await?
        }
        taken => taken,
    };
    let quota = Quota::new(taken.is_pro, taken.used, taken.quota_limit);
    match taken.reservation_id {
        Some(id) => Ok(Reservation { id, quota }),
        None if taken.is_over_cap => {
            let spent = periods::current(tx).await?.spent_micros;
            let reached = plans::check_spend_cap(&plans::of_tenant(tx).await?, spent);
            // A cap that was raised in between leaves the state that was seen.
            Err(reached.err().map_or(QuotaError::Exceeded(quota), QuotaError::PlanLimit))
        }
        None if taken.is_pro => {
            let period = periods::current(tx).await?;
            let (used, most) = (period.requests.into(), period.request_limit.unwrap_or_default().into());
            Err(QuotaError::PlanLimit(Limit { limit: "requests", plan: period.plan, used, most, wanted: 1 }))
        }
        None => Err(QuotaError::Exceeded(quota)),
    }
}

struct Taken {
    reservation_id: Option<Uuid>,
    is_pro: bool,
    has_period: bool,
    is_over_cap: bool,
    used: i32,
    quota_limit: i32,
}

async fn take(tx: &mut TenantTx, owner: Uuid, conversation: Option<Uuid>) -> sqlx::Result<Taken> {
    sqlx::query_as!(
        Taken,
        r#"
        with account as (
            select users.is_pro and coalesce(profile.subscription_access_until > now(), true) as is_pro,
                settings.free_quota_used as used, settings.free_quota_limit as quota_limit
            from users
            join user_settings settings on settings.user_id = users.id
            left join profiles profile on profile.id = users.id
            where users.id = $2
        ), known as (
            update reservations set expires_at = now() + interval '2 minutes'
            where customer_id = $1 and conversation_id = $3 and state = 'held'
            returning id
        ), own as (
            select period_start from app.own_period()
        ), over_cap as (
            -- The cap holds between calls: the one that reaches it is still answered, and so are those under way.
            select from own
            join usage_periods period on period.customer_id = $1 and period.period_start = own.period_start
            join customers tenant on tenant.id = $1
            join plans plan on plan.id = tenant.plan_id
            where period.spent_micros >= coalesce(tenant.spend_cap_micros, plan.monthly_spend_cap_micros)
        ), taken as (
            update user_settings set free_quota_used = free_quota_used + 1
            where user_id = $2 and free_quota_used < free_quota_limit and not (select is_pro from account)
              and not exists (select from known) and not exists (select from over_cap)
            returning free_quota_used as used
        ), counted as (
            update usage_periods period set requests = period.requests + 1
            from own
            where period.customer_id = $1 and period.period_start = own.period_start and (select is_pro from account)
              and not exists (select from known) and not exists (select from over_cap)
              -- Over the limit only where that is sold.
              and (period.request_limit is null or period.requests < period.request_limit
                   or period.overage_cents_per_request is not null)
            returning period.period_start
        ), held as (
            insert into reservations (customer_id, user_id, kind, conversation_id, period_start, expires_at)
            select $1, $2, case when is_pro then 'plan' else 'free_quota' end, $3, (select period_start from counted),
                now() + interval '2 minutes'
            from account where exists (select from counted) or exists (select from taken)
            returning id
        )
        select
            coalesce((select id from known), (select id from held)) as reservation_id,
            account.is_pro as "is_pro!",
            exists (select from over_cap) as "is_over_cap!",
            exists (
                select from usage_periods period join own on own.period_start = period.period_start
                where period.customer_id = $1
            ) as "has_period!",
            -- Refused, while others were taking the last units: what this statement saw is already out of date.
            coalesce(
                (select used from taken),
                case when account.is_pro or exists (select from known) then account.used else account.quota_limit end
            ) as "used!",
            account.quota_limit as "quota_limit!"
        from account
        "#,
        tx.tenant(),
        owner,
        conversation
    )
    .fetch_one(tx)
    .await
}

/// Spends a unit: the answer was made.
///
/// # Errors
/// The database's; the unit then goes back when it expires.
pub async fn spend(tx: &mut TenantTx, reservation: &Reservation) -> sqlx::Result<()> {
    sqlx::query!(
        "update reservations set state = 'spent' where customer_id = $1 and id = $2 and state = 'held'",
        tx.tenant(),
        reservation.id
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Gives a unit back, once: there was no answer.
///
/// # Errors
/// The database's; the unit then goes back when it expires.
pub async fn give_back(tx: &mut TenantTx, reservation: &Reservation) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        with returned as (
            update reservations set state = 'returned'
            where customer_id = $1 and id = $2 and state = 'held'
            returning user_id, amount, kind, period_start
        ), uncounted as (
            update usage_periods period set requests = greatest(period.requests - returned.amount, 0)
            from returned
            where returned.kind = 'plan' and period.customer_id = $1 and period.period_start = returned.period_start
              and period.closed_at is null
        )
        update user_settings settings
        set free_quota_used = greatest(settings.free_quota_used - returned.amount, 0)
        from returned
        where settings.user_id = returned.user_id and returned.kind = 'free_quota'
        "#,
        tx.tenant(),
        reservation.id
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Gives back what functions that were killed still hold; at most `most` at a time. Returns how many.
///
/// # Errors
/// The database's.
pub async fn return_expired(tx: &mut SystemTx, most: i64) -> sqlx::Result<u64> {
    let row = sqlx::query!(
        r#"
        with expired as (
            select id from reservations
            where state = 'held' and expires_at < now()
            order by expires_at
            limit $1
            for update skip locked
        ), returned as (
            update reservations set state = 'returned'
            from expired where reservations.id = expired.id
            returning reservations.customer_id, reservations.user_id, reservations.amount, reservations.kind,
                reservations.period_start
        ), unused as (
            select customer_id, period_start, sum(amount)::integer as amount from returned
            where kind = 'plan' group by customer_id, period_start
        ), held_periods as (
            -- Locked in their order, as the owners below: two sweeps at once would otherwise wait for each other.
            select period.customer_id, period.period_start
            from usage_periods period join unused using (customer_id, period_start)
            order by period.customer_id, period.period_start
            for update of period
        ), uncounted as (
            update usage_periods period set requests = greatest(period.requests - unused.amount, 0)
            from unused join held_periods using (customer_id, period_start)
            where period.customer_id = unused.customer_id and period.period_start = unused.period_start
              and period.closed_at is null
        ), owed as (
            -- One row a user: an update from a join takes only one of several matching rows.
            select user_id, sum(amount)::integer as amount from returned where kind = 'free_quota' group by user_id
        ), held_settings as (
            select settings.user_id from user_settings settings join owed using (user_id)
            order by settings.user_id
            for update of settings
        ), credited as (
            update user_settings settings
            set free_quota_used = greatest(settings.free_quota_used - owed.amount, 0)
            from owed join held_settings using (user_id)
            where settings.user_id = owed.user_id
        )
        select count(*) as "count!" from returned
        "#,
        most
    )
    .fetch_one(tx)
    .await?;
    Ok(row.count.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_follows_the_numbers() {
        for (used, limit, state, paywall) in [
            (0, 8, State::Normal, false),
            (6, 8, State::Normal, false),
            (7, 8, State::WarnLastFree, false),
            (8, 8, State::Blocked, true),
            (9, 8, State::Blocked, true),
            (0, 0, State::Blocked, true),
            (0, 1, State::WarnLastFree, false),
        ] {
            let quota = Quota::new(false, used, limit);
            assert_eq!((quota.state, quota.paywall_should_show), (state, paywall), "{used}/{limit}");
        }
        assert!(!Quota::new(true, 8, 8).paywall_should_show);
    }
}
