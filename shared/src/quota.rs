//! The quota: `user_settings` counts the free requests of a lifetime, `reservations` what is taken and not yet spent.
//!
//! It belongs to the tenant's owner, for the API and for WhatsApp alike. A unit is taken by one statement before the
//! answer is made, and goes back, once, when there is none: by the function itself, or by maintenance if it was killed.

use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    db::{Db, SystemTx, TenantTx},
    error::ApiError,
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

/// Why no unit could be taken.
#[derive(Debug, thiserror::Error)]
pub enum QuotaError {
    /// The free requests are used up.
    #[error("the free quota is used up")]
    Exceeded(Quota),
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
        select account.is_pro, settings.free_quota_used, settings.free_quota_limit
        from users account
        join user_settings settings on settings.user_id = account.id
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
/// [`QuotaError::Exceeded`] with the state, when none is left.
pub async fn reserve(tx: &mut TenantTx, owner: Uuid, conversation: Option<Uuid>) -> Result<Reservation, QuotaError> {
    let row = sqlx::query!(
        r#"
        with account as (
            select users.is_pro, settings.free_quota_used as used, settings.free_quota_limit as quota_limit
            from users join user_settings settings on settings.user_id = users.id
            where users.id = $2
        ), known as (
            update reservations set expires_at = now() + interval '2 minutes'
            where customer_id = $1 and conversation_id = $3 and state = 'held'
            returning id
        ), taken as (
            update user_settings set free_quota_used = free_quota_used + 1
            where user_id = $2 and free_quota_used < free_quota_limit and not (select is_pro from account)
              and not exists (select from known)
            returning free_quota_used as used
        ), held as (
            insert into reservations (customer_id, user_id, kind, conversation_id, expires_at)
            select $1, $2, case when is_pro then 'plan' else 'free_quota' end, $3, now() + interval '2 minutes'
            from account where (is_pro or exists (select from taken)) and not exists (select from known)
            returning id
        )
        select
            coalesce((select id from known), (select id from held)) as reservation_id,
            account.is_pro as "is_pro!",
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
    .await?;
    let quota = Quota::new(row.is_pro, row.used, row.quota_limit);
    row.reservation_id.map(|id| Reservation { id, quota }).ok_or(QuotaError::Exceeded(quota))
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
            returning user_id, amount, kind
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
            returning reservations.user_id, reservations.amount, reservations.kind
        ), owed as (
            -- One row a user: an update from a join takes only one of several matching rows.
            select user_id, sum(amount)::integer as amount from returned where kind = 'free_quota' group by user_id
        ), credited as (
            update user_settings settings
            set free_quota_used = greatest(settings.free_quota_used - owed.amount, 0)
            from owed where settings.user_id = owed.user_id
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
