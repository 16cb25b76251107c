//! `usage_periods`: what a tenant uses of its plan, a row a period. Requests are counted in [`crate::quota`]; the room that
//! files take is counted by the database, whoever adds or removes one, and held here.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{db::TenantTx, error::ApiError, plans::Limit};

const MIB: i64 = 1024 * 1024;

/// A period, with what is used in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// From.
    pub start: DateTime<Utc>,
    /// To.
    pub end: DateTime<Utc>,
    /// The plan whose terms hold in it.
    pub plan: String,
    /// Requests answered, and those under way.
    pub requests: i32,
    /// The limit that holds in it; `None` for none.
    pub request_limit: Option<i32>,
    /// Of each request over the limit.
    pub overage_cents_per_request: Option<i32>,
    /// What files take.
    pub bytes: i64,
    /// What models cost in it, in millionths of a US dollar.
    pub spent_micros: i64,
}

/// What models were asked, and what it cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ModelSpend {
    /// Tokens that were sent.
    pub prompt_tokens: i64,
    /// Tokens that were answered.
    pub completion_tokens: i64,
    /// In millionths of a US dollar.
    pub cost_micros: i64,
}

/// Why a tenant's room cannot be held.
#[derive(Debug, thiserror::Error)]
pub enum RoomError {
    /// The plan has no room for it.
    #[error("the plan has no room for the file")]
    Full(Limit),
    /// The database said so.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<RoomError> for ApiError {
    fn from(error: RoomError) -> Self {
        match error {
            RoomError::Full(limit) => limit.into(),
            RoomError::Database(error) => error.into(),
        }
    }
}

/// The period that it is now, made where nothing was used in it yet.
///
/// # Errors
/// The database's.
pub async fn current(tx: &mut TenantTx) -> sqlx::Result<Period> {
    match find(tx).await? {
        Some(period) => Ok(period),
        None => {
            open(tx).await?;
            find(tx).await?.ok_or(sqlx::Error::RowNotFound)
        }
    }
}

async fn find(tx: &mut TenantTx) -> sqlx::Result<Option<Period>> {
    sqlx::query_as!(
        Period,
        r#"
        select period.period_start as start, period.period_end as end, period.plan, period.requests, period.request_limit,
            period.overage_cents_per_request, period.bytes, period.spent_micros
        from app.own_period() own
        join usage_periods period on period.period_start = own.period_start
        where period.customer_id = $1
        "#,
        tx.tenant()
    )
    .fetch_optional(tx)
    .await
}

/// Makes the row of the period that it is now.
///
/// # Errors
/// The database's.
pub(crate) async fn open(tx: &mut TenantTx) -> sqlx::Result<()> {
    sqlx::query!("select app.open_own_period()").execute(tx).await.map(drop)
}

/// Holds room for a file that the same transaction adds: until it ends, the tenant's other uploads wait here.
///
/// # Errors
/// [`RoomError::Full`] with where the tenant stands, or the database's.
pub async fn hold_room(tx: &mut TenantTx, bytes: i64) -> Result<(), RoomError> {
    let (used, plan, limit_mb) = match lock(tx).await? {
        Some(found) => found,
        None => {
            open(tx).await?;
            lock(tx).await?.ok_or(sqlx::Error::RowNotFound)?
        }
    };
    let most = i64::from(limit_mb) * MIB;
    if used.saturating_add(bytes) > most {
        return Err(RoomError::Full(Limit { limit: "storage_bytes", plan, used, most, wanted: bytes }));
    }
    Ok(())
}

async fn lock(tx: &mut TenantTx) -> sqlx::Result<Option<(i64, String, i32)>> {
    let row = sqlx::query!(
        r#"
        select period.bytes, plan.name, plan.storage_limit_mb
        from app.own_period() own
        join usage_periods period on period.period_start = own.period_start
        join customers tenant on tenant.id = period.customer_id
        join plans plan on plan.id = tenant.plan_id
        where period.customer_id = $1
        for update of period
        "#,
        tx.tenant()
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|row| (row.bytes, row.name, row.storage_limit_mb)))
}

/// What models cost the tenant since a moment.
///
/// # Errors
/// The database's.
pub async fn model_spend(tx: &mut TenantTx, since: DateTime<Utc>) -> sqlx::Result<ModelSpend> {
    sqlx::query_as!(
        ModelSpend,
        r#"
        select prompt_tokens as "prompt_tokens!", completion_tokens as "completion_tokens!",
            cost_micros as "cost_micros!"
        from app.own_model_spend($1)
        "#,
        since
    )
    .fetch_one(tx)
    .await
}
