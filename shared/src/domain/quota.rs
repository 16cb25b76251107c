//! The request quota. `user_settings` counts an account's free requests over its lifetime, and `reservations` holds
//! the requests that are reserved for an answer.
//!
//! The quota belongs to the tenant's owner; requests of the API and of WhatsApp both count. One statement reserves a
//! request before the answer is generated. Without an answer the request is refunded once: by the function itself, or
//! by the maintenance function when the function was killed. With a paid plan, the request counts in the period's row
//! of `usage_periods` instead.
//!
//! SQL functions: `app.quota_of`, `app.has_paid_plan`. Triggers: `user_settings_credits` on `user_settings`
//! (`app.project_credits`) and `usage_periods_credits` on `usage_periods` (`app.project_plan_credits`). Both write
//! `profiles.credits_remaining`.

use std::time::Duration;

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    activities::{Activity, ActivityStatus},
    db::{Db, SystemTx, TenantTx},
    error::ApiError,
    notices, periods,
    plans::{self, LimitExceeded},
};

/// Time after which maintenance refunds a reserved request that was neither spent nor refunded.
const RESERVATION_TIMEOUT: Duration = Duration::from_secs(120);

/// Share of the overage cap at which the tenant is warned, in percent.
const OVERAGE_WARNING_PERCENT: i64 = 80;

/// The request quota of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({
    "is_pro": false, "free_quota_used": 1, "free_quota_limit": 8, "state": "normal", "paywall_should_show": false,
}))]
pub struct Quota {
    /// True when the account has a paid plan.
    pub is_pro: bool,
    /// Free requests used so far; never reset.
    pub free_quota_used: i32,
    /// Free requests over the account's lifetime.
    pub free_quota_limit: i32,
    /// State of the free quota.
    pub state: QuotaState,
    /// True when the app must show the paywall: `!is_pro` and `free_quota_used >= free_quota_limit`.
    pub paywall_should_show: bool,
}

/// State of the free quota. With a paid plan it is `normal`: the free requests do not limit then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum QuotaState {
    /// More than one free request is left, or the account has a paid plan.
    Normal,
    /// One free request is left.
    WarnLastFree,
    /// No free request is left.
    Blocked,
}

impl Quota {
    /// Derives the state from the plan and the numbers of free requests.
    #[must_use]
    pub fn new(is_pro: bool, used: i32, limit: i32) -> Self {
        let state = match limit.saturating_sub(used) {
            _ if is_pro => QuotaState::Normal,
            ..=0 => QuotaState::Blocked,
            1 => QuotaState::WarnLastFree,
            _ => QuotaState::Normal,
        };
        let paywall_should_show = state == QuotaState::Blocked;
        Self { is_pro, free_quota_used: used, free_quota_limit: limit, state, paywall_should_show }
    }
}

/// A request that is reserved, and neither spent nor refunded yet.
#[derive(Debug)]
#[must_use = "a reserved request must be spent or refunded"]
pub struct Reservation {
    id: Uuid,
    /// Quota with the reserved request counted.
    pub quota: Quota,
    /// True when an earlier attempt for the conversation reserved the request.
    pub is_resumed: bool,
}

impl Reservation {
    /// Quota as it will be after a refund of the request.
    #[must_use]
    pub fn quota_after_refund(&self) -> Quota {
        let Quota { is_pro, free_quota_used, free_quota_limit, .. } = self.quota;
        Quota::new(is_pro, free_quota_used - i32::from(!is_pro), free_quota_limit)
    }
}

/// Reason why no request could be reserved.
#[derive(Debug, thiserror::Error)]
pub enum QuotaError {
    /// The free requests are used up.
    #[error("the free quota is used up")]
    Exceeded(Quota),
    /// The plan's requests of the period are used up and it sells no overage, or the model spend has reached its cap.
    #[error("the plan's requests of the period are used up")]
    PlanLimit(LimitExceeded),
    /// The plan began and ended while the request was counted. Another try finds one or the other.
    #[error("the plan changed while the request was counted")]
    PlanChanged,
    /// A query failed.
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
            error @ QuotaError::PlanChanged => Self::unavailable().with_source(error),
            QuotaError::Database(error) => error.into(),
        }
    }
}

/// Reads the quota of the tenant's owner.
///
/// # Errors
/// Returns the database's error.
pub async fn status(tx: &mut TenantTx, owner: Uuid) -> sqlx::Result<Quota> {
    let row = sqlx::query!(
        r#"
        select app.has_paid_plan(account.is_pro, profile.subscription_access_until) as "is_pro!",
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

/// Reads the quota of any user; `None` when there is no such user. The caller must already be authorised to see it.
///
/// # Errors
/// Returns the database's error.
pub async fn of_user(db: &Db, user: Uuid) -> sqlx::Result<Option<Quota>> {
    use sqlx::Row;
    let rows = db.call_app_function("app.quota_of", &[Some(user)]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let number = |name| row.try_get::<i32, _>(name);
    Ok(Some(Quota::new(row.try_get("is_pro")?, number("free_quota_used")?, number("free_quota_limit")?)))
}

/// Reserves one request for an answer.
///
/// One statement checks and counts the request, which is safe under any concurrency. Commit before the work begins. A
/// conversation has at most one reservation. When a worker dies, its successor gets that reservation.
///
/// # Errors
/// Returns [`QuotaError::Exceeded`] or [`QuotaError::PlanLimit`] with the present numbers when no request is left.
pub async fn reserve(tx: &mut TenantTx, conversation: Option<Uuid>) -> Result<Reservation, QuotaError> {
    let mut row = try_reserve(tx, conversation, true).await?;
    if row.needs_period() {
        periods::open_current(tx).await?;
        // The free quota is locked before a period, never after it: otherwise two transactions wait for each other.
        row = try_reserve(tx, conversation, false).await?;
        if row.reservation_id.is_none() && !row.is_pro {
            return Err(QuotaError::PlanChanged);
        }
    }
    // The statement saw the account as it was when the statement began. A plan that was bought since is in force.
    if row.reservation_id.is_none() && !row.is_pro && status(tx, row.owner).await?.is_pro {
        periods::open_current(tx).await?;
        row = try_reserve(tx, conversation, true).await?;
    }
    let quota = Quota::new(row.is_pro, row.used, row.quota_limit);
    match row.reservation_id {
        Some(id) => {
            report_overage(tx, &row).await?;
            Ok(Reservation { id, quota, is_resumed: row.is_resumed })
        }
        None if row.is_over_cap => {
            let spent_micros = periods::current(tx).await?.spent_micros;
            let checked = plans::check_spend_cap(&plans::of_tenant(tx).await?, spent_micros);
            // The check passes when the cap was raised in between; the error then holds the quota read before.
            Err(checked.err().map_or(QuotaError::Exceeded(quota), QuotaError::PlanLimit))
        }
        None if row.is_pro => {
            let period = periods::current(tx).await?;
            if let (Some(cap), Some(limit)) = (row.overage_cap, period.request_limit) {
                let (used, most) = (i64::from(period.requests) - i64::from(limit), cap.into());
                let limit = LimitExceeded { limit: "overage_requests", plan: period.plan, used, most, wanted: 1 };
                return Err(QuotaError::PlanLimit(limit));
            }
            let (used, most) = (period.requests.into(), period.request_limit.unwrap_or_default().into());
            Err(QuotaError::PlanLimit(LimitExceeded { limit: "requests", plan: period.plan, used, most, wanted: 1 }))
        }
        None => Err(QuotaError::Exceeded(quota)),
    }
}

/// Tells the tenant, once a period, that the requests over its plan's limit have reached 80 % and 100 % of its cap.
async fn report_overage(tx: &mut TenantTx, row: &ReserveRow) -> sqlx::Result<()> {
    let (Some(since), Some(used), Some(cap)) = (row.period_start, row.overage, row.overage_cap) else { return Ok(()) };
    let (used, cap) = (i64::from(used), i64::from(cap));
    if used <= 0 || used * 100 < cap * OVERAGE_WARNING_PERCENT {
        return Ok(());
    }
    let (kind, title, status) = if used >= cap {
        let title =
            "The requests over the plan have reached their cap: contacts are not answered until the next period";
        ("overage_cap_reached", title, ActivityStatus::Error)
    } else {
        ("overage_cap_near", "The requests over the plan have reached 80 % of their cap", ActivityStatus::Warning)
    };
    let metadata = serde_json::json!({ "overage_requests": used, "overage_cap_requests": cap });
    let activity = Activity { kind, title, status, conversation: None, metadata };
    notices::record_once_since(tx, since, &activity).await.map(drop)
}

/// Result of [`try_reserve`]; without a `reservation_id`, no request was reserved.
struct ReserveRow {
    /// The tenant's owner, whose quota is reserved.
    owner: Uuid,
    reservation_id: Option<Uuid>,
    is_resumed: bool,
    is_pro: bool,
    /// Start of the period, where requests over the limit are sold.
    period_start: Option<DateTime<Utc>>,
    /// Requests over the limit, this one included; `None` when this one was not counted in the period.
    overage: Option<i32>,
    /// Maximum number of requests over the limit, where they are sold.
    overage_cap: Option<i32>,
    has_period: bool,
    is_over_cap: bool,
    used: i32,
    quota_limit: i32,
}

impl ReserveRow {
    /// Returns true before the period's first request, while its row does not exist yet.
    fn needs_period(&self) -> bool {
        self.reservation_id.is_none() && self.is_pro && !self.has_period && !self.is_over_cap
    }
}

#[expect(clippy::too_many_lines, reason = "one statement, so that no two calls take the last request")]
async fn try_reserve(
    tx: &mut TenantTx,
    conversation: Option<Uuid>,
    takes_free_quota: bool,
) -> sqlx::Result<ReserveRow> {
    sqlx::query_as!(
        ReserveRow,
        r#"
        with account as (
            -- The owner of now: the ownership may have been transferred since the caller was identified.
            select users.id, app.has_paid_plan(users.is_pro, profile.subscription_access_until) as is_pro,
                settings.free_quota_used as used, settings.free_quota_limit as quota_limit
            from users
            join user_settings settings on settings.user_id = users.id
            left join profiles profile on profile.id = users.id
            where users.id = (select app.current_owner())
        ), known as (
            update reservations set expires_at = now() + make_interval(secs => $3)
            where customer_id = $1 and conversation_id = $2 and state = 'held'
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
        ), terms as (
            select period.period_start, period.request_limit,
                coalesce(tenant.overage_cap_requests, period.request_limit) as overage_cap
            from own
            join usage_periods period on period.customer_id = $1 and period.period_start = own.period_start
            join customers tenant on tenant.id = $1
            where period.overage_cents_per_request is not null and period.request_limit is not null
        ), taken as (
            update user_settings set free_quota_used = free_quota_used + 1
            where user_id = (select id from account) and free_quota_used < free_quota_limit and not (select is_pro from account)
              and not exists (select from known) and not exists (select from over_cap) and $4
            returning free_quota_used as used
        ), counted as (
            update usage_periods period set requests = period.requests + 1
            -- Joined, not asked by a subquery: PostgreSQL runs a subquery on `terms` again when it has waited for the
            -- row of another call, and then finds the row of `terms` twice.
            from own left join terms on true
            where period.customer_id = $1 and period.period_start = own.period_start and (select is_pro from account)
              and not exists (select from known) and not exists (select from over_cap)
              -- Over the limit only where that is sold, and up to the tenant's cap.
              and (period.request_limit is null or period.requests < period.request_limit
                   or period.requests < terms.request_limit::bigint + terms.overage_cap)
            returning period.period_start, period.requests
        ), held as (
            insert into reservations (customer_id, user_id, kind, conversation_id, period_start, expires_at)
            select $1, id, case when is_pro then 'plan' else 'free_quota' end, $2, (select period_start from counted),
                now() + make_interval(secs => $3)
            from account where exists (select from counted) or exists (select from taken)
            returning id
        )
        select
            coalesce((select id from known), (select id from held)) as reservation_id,
            exists (select from known) as "is_resumed!",
            account.id as owner,
            account.is_pro as "is_pro!",
            (select period_start from terms) as period_start,
            (select requests from counted) - (select request_limit from terms) as overage,
            (select overage_cap from terms) as overage_cap,
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
        conversation,
        RESERVATION_TIMEOUT.as_secs_f64(),
        takes_free_quota
    )
    .fetch_one(tx)
    .await
}

/// Charges a reserved request, after the answer was generated: its state becomes `spent`.
///
/// # Errors
/// Returns the database's error. The reservation then expires, and maintenance refunds the request.
pub async fn charge(tx: &mut TenantTx, reservation: &Reservation) -> sqlx::Result<()> {
    sqlx::query!(
        "update reservations set state = 'spent' where customer_id = $1 and id = $2 and state = 'held'",
        tx.tenant(),
        reservation.id
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Refunds a reserved request, after no answer was generated. A second call changes nothing.
///
/// # Errors
/// Returns the database's error. The reservation then expires, and maintenance refunds the request.
pub async fn refund(tx: &mut TenantTx, reservation: &Reservation) -> sqlx::Result<()> {
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

/// Refunds the request of an answer that did not reach its contact: the newest one that was spent for the conversation
/// before the answer was written. Refunds nothing for a message that cost nothing, and nothing of a closed period. The
/// caller makes sure that it is called once for a message, and holds the lock on the conversation.
///
/// # Errors
/// Returns the database's error.
pub async fn refund_undelivered(tx: &mut TenantTx, conversation: Uuid, answer: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        with paid as (
            select reservation.id from reservations reservation
            join messages answer on answer.id = $3 and answer.conversation_id = $2
            where reservation.customer_id = $1 and reservation.conversation_id = $2 and reservation.state = 'spent'
              and reservation.created_at <= answer.created_at and answer.answered is not null and answer.author = 'bot'
            order by reservation.created_at desc
            limit 1
        ), returned as (
            update reservations set state = 'returned' from paid
            where reservations.customer_id = $1 and reservations.id = paid.id
            returning reservations.user_id, reservations.amount, reservations.kind, reservations.period_start
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
        conversation,
        answer
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Refunds the expired reservations of functions that were killed, at most `limit` of them. Returns their number.
///
/// # Errors
/// Returns the database's error.
pub async fn refund_expired(tx: &mut SystemTx, limit: i64) -> sqlx::Result<u64> {
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
        ), held_settings as (
            -- First of all rows that are counted in, of all owners and in their order, as a request locks them. Otherwise
            -- two sweeps, or a sweep and a request during a purchase, would wait for each other.
            select settings.user_id from user_settings settings
            where settings.user_id in (select user_id from returned)
            order by settings.user_id
            for update of settings
        ), unused as (
            -- The count makes all of these locks come before the first period's.
            select customer_id, period_start, sum(amount)::integer as amount
            from returned cross join (select count(*) from held_settings) all_held
            where kind = 'plan' group by customer_id, period_start
        ), held_periods as (
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
        ), credited as (
            update user_settings settings
            set free_quota_used = greatest(settings.free_quota_used - owed.amount, 0)
            from owed join held_settings using (user_id)
            where settings.user_id = owed.user_id
        )
        select count(*) as "count!" from returned
        "#,
        limit
    )
    .fetch_one(tx)
    .await?;
    Ok(row.count.unsigned_abs())
}

/// Deletes at most `limit` reservations that were made more than `days` ago and are spent or returned. Returns their
/// number.
///
/// # Errors
/// Returns the database's error.
pub async fn remove_ended_reservations(tx: &mut SystemTx, days: i32, limit: i64) -> sqlx::Result<u64> {
    sqlx::query!(
        r#"
        delete from reservations where id in (
            select id from reservations where state <> 'held' and created_at < now() - make_interval(days => $1)
            order by created_at
            limit $2
        )
        "#,
        days,
        limit
    )
    .execute(tx)
    .await
    .map(|done| done.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_is_derived_from_used_and_limit() {
        for (used, limit, state, paywall) in [
            (0, 8, QuotaState::Normal, false),
            (6, 8, QuotaState::Normal, false),
            (7, 8, QuotaState::WarnLastFree, false),
            (8, 8, QuotaState::Blocked, true),
            (9, 8, QuotaState::Blocked, true),
            (0, 0, QuotaState::Blocked, true),
            (0, 1, QuotaState::WarnLastFree, false),
        ] {
            let quota = Quota::new(false, used, limit);
            assert_eq!((quota.state, quota.paywall_should_show), (state, paywall), "{used}/{limit}");
        }
        for used in 0..10 {
            let paid = Quota::new(true, used, 8);
            assert_eq!((paid.state, paid.paywall_should_show), (QuotaState::Normal, false), "{used}");
        }
    }
}
