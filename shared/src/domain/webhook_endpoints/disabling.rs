//! Switching an endpoint off: by its owner, by its server's answer 410, or after five days without a success.

use serde_json::json;
use uuid::Uuid;

use crate::{
    activities::{self, Activity, ActivityStatus},
    audit::{self, NewAuditEntry},
    db::{SystemTx, TenantTx},
};

/// The reason why an endpoint is off (`webhook_endpoints.disabled_reason`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DisableReason {
    /// The owner switched it off.
    Owner,
    /// The endpoint's server answered 410.
    Gone,
    /// The endpoint's server has accepted nothing for five days.
    Failing,
}

impl DisableReason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }
}

/// Switches an endpoint off that the caller has locked; does nothing when the endpoint is off already. Its pending
/// deliveries fail; a delivery that a worker is sending gets the worker's result. For every reason but
/// [`DisableReason::Owner`], an activity and an audit entry tell the company.
pub(super) async fn disable(tx: &mut TenantTx, endpoint: Uuid, reason: DisableReason) -> sqlx::Result<()> {
    let changed = sqlx::query!(
        r#"
        update webhook_endpoints set disabled_at = clock_timestamp(), disabled_reason = $3
        where customer_id = $1 and id = $2 and disabled_at is null
        "#,
        tx.tenant(),
        endpoint,
        reason.as_str()
    );
    if changed.execute(&mut *tx).await?.rows_affected() == 0 {
        return Ok(());
    }
    fail_pending(tx, endpoint).await?;
    let title = match reason {
        DisableReason::Owner => return Ok(()),
        DisableReason::Gone => "A webhook endpoint answered that it is gone, and is switched off",
        DisableReason::Failing => "A webhook endpoint took nothing for five days, and is switched off",
    };
    let details = json!({ "webhook_endpoint_id": endpoint, "reason": reason.as_str() });
    let activity = Activity {
        kind: "webhook_endpoint_disabled",
        title,
        status: ActivityStatus::Error,
        conversation: None,
        metadata: details.clone(),
    };
    activities::record(tx, &activity).await?;
    let entry = NewAuditEntry {
        actor: None,
        action: "webhook_endpoint.disabled",
        object: format!("webhook_endpoint:{endpoint}"),
        request_id: None,
        details,
    };
    audit::record(tx, &entry).await
}

/// Fails the pending deliveries of an endpoint, except those that a worker is sending.
pub(super) async fn fail_pending(tx: &mut TenantTx, endpoint: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        update webhook_deliveries set status = 'failed', error_code = 'endpoint_disabled', claimed_until = null
        where customer_id = $1 and endpoint_id = $2 and status = 'pending'
          and (claimed_until is null or claimed_until <= now())
        "#,
        tx.tenant(),
        endpoint
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Fails at most `limit` pending deliveries of endpoints that are off, of all tenants, and returns their number. A
/// delivery is pending there when its worker died after the endpoint was switched off, or when its event was committed
/// after that. Maintenance calls this every five minutes.
///
/// # Errors
/// A database error.
pub async fn fail_leftovers(tx: &mut SystemTx, limit: i64) -> sqlx::Result<u64> {
    sqlx::query!(
        r#"
        update webhook_deliveries delivery set status = 'failed', error_code = 'endpoint_disabled', claimed_until = null
        from (
            select leftover.id from webhook_endpoints endpoint
            cross join lateral (
                select id from webhook_deliveries
                where endpoint_id = endpoint.id and status = 'pending'
                  and (claimed_until is null or claimed_until <= now())
                limit $1
            ) leftover
            where endpoint.disabled_at is not null
            limit $1
        ) found
        where delivery.id = found.id and delivery.status = 'pending'
          and (delivery.claimed_until is null or delivery.claimed_until <= now())
        "#,
        limit
    )
    .execute(tx)
    .await
    .map(|done| done.rows_affected())
}
