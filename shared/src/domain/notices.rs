//! Table `tenant_notices`: the notices that a tenant gets once in a day or in a period. The transaction that writes the
//! row sends the notice, so of several transactions at once one sends it. The column `customers.muted_notices` has the
//! notices that a tenant does not want; `activities` records none of them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    activities::{self, Activity},
    db::{SystemTx, TenantTx},
};

/// A notice that a company may mute, by the type of its activity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// Contacts wait because the company has no ManyChat key.
    ManychatKeyMissing,
    /// A message of ManyChat could not be read.
    WebhookBodyUnread,
    /// ManyChat sends texts that are not escaped.
    WebhookBodyRepaired,
    /// One free answer is left.
    QuotaLastFree,
    /// The free answers are used up.
    QuotaUsedUp,
    /// Contacts are not answered, because no answers are left.
    QuotaBlocked,
    /// A contact waits, because no answers are left.
    ContactNotAnswered,
    /// A contact writes more than is answered.
    ContactLimited,
    /// The requests over the plan have reached 80 % of their cap.
    OverageCapNear,
    /// The requests over the plan have reached their cap.
    OverageCapReached,
}

impl NoticeKind {
    const ALL: [Self; 10] = [
        Self::ManychatKeyMissing,
        Self::WebhookBodyUnread,
        Self::WebhookBodyRepaired,
        Self::QuotaLastFree,
        Self::QuotaUsedUp,
        Self::QuotaBlocked,
        Self::ContactNotAnswered,
        Self::ContactLimited,
        Self::OverageCapNear,
        Self::OverageCapReached,
    ];

    /// Returns the type of the notice's activity.
    const fn as_str(self) -> &'static str {
        match self {
            Self::ManychatKeyMissing => "manychat_key_missing",
            Self::WebhookBodyUnread => "webhook_body_unread",
            Self::WebhookBodyRepaired => "webhook_body_repaired",
            Self::QuotaLastFree => "quota_last_free",
            Self::QuotaUsedUp => "quota_used_up",
            Self::QuotaBlocked => "quota_blocked",
            Self::ContactNotAnswered => "contact_not_answered",
            Self::ContactLimited => "contact_limited",
            Self::OverageCapNear => "overage_cap_near",
            Self::OverageCapReached => "overage_cap_reached",
        }
    }
}

/// Notices by their type: true for those that the company wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "BTreeMap<String, bool>")]
#[schema(value_type = std::collections::HashMap<String, bool>, example = json!({ "contact_limited": false }))]
pub struct NoticeSwitches(BTreeMap<NoticeKind, bool>);

impl TryFrom<BTreeMap<String, bool>> for NoticeSwitches {
    type Error = String;

    fn try_from(switches: BTreeMap<String, bool>) -> Result<Self, String> {
        let known = |(name, is_on): (String, bool)| {
            let kind = NoticeKind::ALL.into_iter().find(|kind| kind.as_str() == name);
            kind.map(|kind| (kind, is_on))
                .ok_or_else(|| format!("must be named {}", NoticeKind::ALL.map(NoticeKind::as_str).join(", ")))
        };
        switches.into_iter().map(known).collect::<Result<_, _>>().map(Self)
    }
}

impl NoticeSwitches {
    /// Returns all notices, off where `muted` names them.
    pub(crate) fn of(muted: &[String]) -> Self {
        let is_on = |kind: NoticeKind| !muted.iter().any(|muted| muted == kind.as_str());
        Self(NoticeKind::ALL.into_iter().map(|kind| (kind, is_on(kind))).collect())
    }
}

/// Returns the types of the notices that are muted after a switch, in a fixed order.
pub(crate) fn switch(muted: &[String], switches: &NoticeSwitches) -> Vec<String> {
    let NoticeSwitches(mut all) = NoticeSwitches::of(muted);
    all.extend(switches.0.iter().map(|(kind, is_on)| (*kind, *is_on)));
    all.into_iter().filter(|(_, is_on)| !is_on).map(|(kind, _)| kind.as_str().to_owned()).collect()
}

/// Records an activity of the transaction's tenant, once per kind of activity and day in the tenant's timezone. Returns
/// true when it is the day's first.
///
/// # Errors
/// A database error.
pub async fn record_once_a_day(tx: &mut TenantTx, activity: &Activity) -> sqlx::Result<bool> {
    let first = sqlx::query_scalar!(
        r#"
        insert into tenant_notices (customer_id, kind, since)
        select id, $2, date_trunc('day', now() at time zone timezone) at time zone timezone from customers where id = $1
        on conflict on constraint tenant_notices_pkey do nothing
        returning true as "first!"
        "#,
        tx.tenant(),
        activity.kind
    )
    .fetch_optional(&mut *tx)
    .await?;
    record_if(tx, first.is_some(), activity).await
}

/// Records an activity of the transaction's tenant, once per kind of activity and period that began at `since`. Returns
/// true when it is the period's first.
///
/// # Errors
/// A database error.
pub async fn record_once_since(tx: &mut TenantTx, since: DateTime<Utc>, activity: &Activity) -> sqlx::Result<bool> {
    let first = sqlx::query_scalar!(
        r#"
        insert into tenant_notices (customer_id, kind, since) values ($1, $2, $3)
        on conflict on constraint tenant_notices_pkey do nothing
        returning true as "first!"
        "#,
        tx.tenant(),
        activity.kind,
        since
    )
    .fetch_optional(&mut *tx)
    .await?;
    record_if(tx, first.is_some(), activity).await
}

async fn record_if(tx: &mut TenantTx, is_first: bool, activity: &Activity) -> sqlx::Result<bool> {
    if is_first {
        activities::record(tx, activity).await?;
    }
    Ok(is_first)
}

/// Deletes the notices of days and periods that are over: those older than 70 days. Returns their number.
///
/// # Errors
/// A database error.
pub async fn remove_old(tx: &mut SystemTx, limit: i64) -> sqlx::Result<u64> {
    sqlx::query!(
        r#"
        delete from tenant_notices where ctid in (
            select ctid from tenant_notices where created_at < now() - interval '70 days' order by created_at limit $1
        )
        "#,
        limit
    )
    .execute(tx)
    .await
    .map(|done| done.rows_affected())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_types_are_those_of_the_activities() {
        for kind in NoticeKind::ALL {
            assert_eq!(json!(kind), json!(kind.as_str()));
        }
    }

    #[test]
    fn a_switch_changes_the_given_notices_only() {
        let switches = |body| serde_json::from_value::<NoticeSwitches>(body).unwrap();
        let muted = switch(&[], &switches(json!({ "quota_used_up": false, "contact_limited": false })));
        assert_eq!(muted, ["quota_used_up", "contact_limited"]);
        assert_eq!(switch(&muted, &switches(json!({ "quota_used_up": true }))), ["contact_limited"]);
        assert_eq!(switch(&muted, &switches(json!({}))), muted);
        assert!(serde_json::from_value::<NoticeSwitches>(json!({ "nothing": true })).is_err());
    }
}
