//! The table `billing.duplicate_subscriptions`: paid subscriptions of users who have another one that counts. The owner
//! and the audit log are told, and the subscription is cancelled at Stripe, each once.

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use super::{notices, processor::Billing, states};
use crate::{
    activities::{self, Activity, ActivityStatus},
    audit::{self, NewAuditEntry},
    db::{BillingTx, SystemTx},
    error::ApiError,
    logging,
    stripe::{StripeClient, StripeError},
};

/// Attempts to cancel a subscription, about four hours in all. It then stays, with an alarm.
const MAX_ATTEMPTS: i32 = 10;

/// A subscription that is one too many.
#[derive(Debug)]
struct Duplicate {
    /// Id of the subscription (`sub_…`).
    id: String,
    user: String,
    /// Id of the subscription that counts.
    kept: String,
    is_reported: bool,
}

/// A claimed attempt to cancel a duplicate.
struct Attempt {
    /// Number of the attempt, from 1.
    number: i32,
    /// Number of the fetch that Stripe's answer belongs to.
    fetch: i64,
}

impl Billing {
    /// Finds the paid subscriptions of a user besides the one that counts, reports them, and cancels them when
    /// BILLING_CANCEL_DUPLICATES is true. [`Billing::settle_duplicates`] repeats a cancellation that fails at Stripe.
    ///
    /// # Errors
    /// Returns the error of either database.
    pub(super) async fn find_duplicates(&self, user: &str, now: DateTime<Utc>) -> Result<(), ApiError> {
        let found = self.db.billing_tx(async |tx| Ok(insert_found(tx, Some(user)).await?)).await?;
        self.settle(found, now).await.map(drop)
    }

    /// Finds the paid subscriptions of all users besides those that count. [`Billing::settle_duplicates`] settles them.
    ///
    /// # Errors
    /// Returns the database's error.
    pub(super) async fn find_all_duplicates(&self) -> Result<(), ApiError> {
        self.db.billing_tx(async |tx| Ok(insert_found(tx, None).await.map(drop)?)).await
    }

    /// Reports and cancels the duplicates that are due, at most `limit` of them. Returns their number.
    ///
    /// # Errors
    /// Returns the error of either database.
    pub async fn settle_duplicates(&self, now: DateTime<Utc>, limit: i64) -> Result<u64, ApiError> {
        let may_cancel = self.cancels_duplicates && self.stripe.is_some();
        let due = self.db.billing_tx(async |tx| Ok(list_due(tx, may_cancel, limit).await?)).await?;
        self.settle(due, now).await
    }

    async fn settle(&self, duplicates: Vec<Duplicate>, now: DateTime<Utc>) -> Result<u64, ApiError> {
        let mut settled = 0;
        for duplicate in duplicates {
            if !duplicate.is_reported {
                self.report(&duplicate).await?;
            }
            if let Some(stripe) = self.stripe.as_ref().filter(|_| self.cancels_duplicates) {
                self.cancel(stripe, &duplicate, now).await?;
            }
            settled += 1;
        }
        Ok(settled)
    }

    /// Reports a duplicate to the owner and in the audit log, once.
    async fn report(&self, duplicate: &Duplicate) -> Result<(), ApiError> {
        logging::metric("DuplicateSubscriptions", 1.0);
        tracing::warn!(subscription = duplicate.id, kept = duplicate.kept, "a user has paid two subscriptions");
        let notice = Notice {
            key: format!("duplicate:{}", duplicate.id),
            kind: "subscription_duplicate",
            title: "A second subscription was paid; only one counts",
            status: ActivityStatus::Warning,
            action: "subscription.duplicate_found",
        };
        let details = json!({
            "stripe_subscription_id": duplicate.id,
            "kept_subscription_id": duplicate.kept,
            "will_be_cancelled": self.cancels_duplicates && self.stripe.is_some(),
        });
        self.tell(&duplicate.user, &notice, details).await?;
        self.db.billing_tx(async |tx| Ok(mark_reported(tx, &duplicate.id).await?)).await
    }

    /// Cancels a duplicate at Stripe, unless another call cancels it or the subscription is no duplicate any more.
    async fn cancel(&self, stripe: &StripeClient, duplicate: &Duplicate, now: DateTime<Utc>) -> Result<(), ApiError> {
        let claimed = self.db.billing_tx(async |tx| Ok(claim_attempt(tx, duplicate, now).await?)).await?;
        let Some(attempt) = claimed else { return Ok(()) };
        let details = json!({ "stripe_subscription_id": duplicate.id, "kept_subscription_id": duplicate.kept });
        match stripe.cancel_subscription(&duplicate.id).await {
            Ok(cancelled) => {
                let notice = Notice {
                    key: format!("duplicate-cancelled:{}", duplicate.id),
                    kind: "subscription_duplicate_cancelled",
                    title: "The second subscription was cancelled; its payment was not refunded",
                    status: ActivityStatus::Warning,
                    action: "subscription.duplicate_cancelled",
                };
                self.tell(&duplicate.user, &notice, details).await?;
                let prices = self.prices().await?;
                self.db
                    .billing_tx(async |tx| {
                        if let Some(cancelled) = &cancelled {
                            states::apply_snapshot(tx, cancelled, &prices, attempt.fetch, now).await?;
                            states::choose_current(tx, &duplicate.user).await?;
                        }
                        Ok(end(tx, &duplicate.id, "cancelled", None).await?)
                    })
                    .await?;
                // The one that counted may have ended while this one was cancelled.
                self.project(&duplicate.user, now).await.map(drop)
            }
            Err(error) => self.record_failure(duplicate, attempt.number, &error, details).await,
        }
    }

    /// Records a failed attempt. After the last one the duplicate stays at Stripe, and the owner is told.
    async fn record_failure(
        &self,
        duplicate: &Duplicate,
        attempt: i32,
        error: &StripeError,
        details: serde_json::Value,
    ) -> Result<(), ApiError> {
        let reason = logging::chain(error);
        tracing::warn!(subscription = duplicate.id, attempt, error = reason, "a second subscription is not cancelled");
        if attempt < MAX_ATTEMPTS {
            return Ok(());
        }
        logging::metric("DuplicateSubscriptionsLeft", 1.0);
        let notice = Notice {
            key: format!("duplicate-left:{}", duplicate.id),
            kind: "subscription_duplicate_left",
            title: "The second subscription could not be cancelled and is still charged",
            status: ActivityStatus::Error,
            action: "subscription.duplicate_left",
        };
        self.tell(&duplicate.user, &notice, details).await?;
        self.db.billing_tx(async |tx| Ok(end(tx, &duplicate.id, "failed", Some(&reason)).await?)).await
    }

    /// Writes an activity for the user's tenant and an audit entry, once for the notice's key.
    pub(super) async fn tell(&self, user: &str, notice: &Notice, details: serde_json::Value) -> Result<bool, ApiError> {
        let user = Uuid::try_parse(user).ok();
        self.app.system_tx(async |tx| Ok(notice.write(tx, user, &details).await?)).await
    }
}

/// Message about a payment to the company's activities and to the audit log.
pub(super) struct Notice {
    /// Key under which it is told once.
    pub(super) key: String,
    /// Type of the activity.
    pub(super) kind: &'static str,
    /// Title of the activity.
    pub(super) title: &'static str,
    pub(super) status: ActivityStatus,
    /// Action of the audit entry.
    pub(super) action: &'static str,
}

impl Notice {
    /// Writes the activity and the audit entry, once. Returns true when the user has a tenant that was told.
    async fn write(&self, tx: &mut SystemTx, user: Option<Uuid>, details: &serde_json::Value) -> sqlx::Result<bool> {
        let tenant =
            sqlx::query_scalar!("select id from customers where user_id = $1", user).fetch_optional(&mut *tx).await?;
        if !notices::claim(tx, &self.key).await? {
            return Ok(tenant.is_some());
        }
        if let Some(tenant) = tenant {
            let (kind, title, status) = (self.kind, self.title, self.status);
            let activity = Activity { kind, title, status, conversation: None, metadata: details.clone() };
            activities::record_for(tx, tenant, &activity).await?;
        }
        let entry = NewAuditEntry {
            actor: None,
            action: self.action,
            object: user.map_or_else(|| "user:unknown".to_owned(), |user| format!("user:{user}")),
            request_id: None,
            details: details.clone(),
        };
        audit::record_for(tx, tenant, &entry).await?;
        Ok(tenant.is_some())
    }
}

/// Inserts the paid subscriptions of a user, or of all users, besides the one that counts. Returns the user's that are
/// not settled.
async fn insert_found(tx: &mut BillingTx, user: Option<&str>) -> sqlx::Result<Vec<Duplicate>> {
    sqlx::query!(
        r#"
        insert into billing.duplicate_subscriptions as known (subscription_id, user_id, kept_subscription_id)
        select other.id, chosen.user_id, kept.id
        from billing.subscriptions chosen
        join billing.subscription_states kept on kept.id = chosen.state_id
        join billing.subscription_states other on other.user_id = chosen.user_id and other.id <> kept.id
        where ($1::text is null or chosen.user_id = $1)
          and kept.plan <> 'free' and kept.status in ('active', 'trialing', 'past_due') and not kept.is_imported
          and other.plan <> 'free' and other.status in ('active', 'trialing', 'past_due') and not other.is_imported
        on conflict on constraint duplicate_subscriptions_pkey do update
        set status = 'open', kept_subscription_id = excluded.kept_subscription_id, attempts = 0,
            next_attempt_at = now(), updated_at = now()
        where known.status = 'kept'
        "#,
        user
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query_as!(
        Duplicate,
        r#"
        select subscription_id as id, user_id as user, kept_subscription_id as kept,
            reported_at is not null as "is_reported!"
        from billing.duplicate_subscriptions
        where user_id = $1 and (status = 'open' or reported_at is null)
        order by subscription_id
        "#,
        user
    )
    .fetch_all(tx)
    .await
}

/// Lists the duplicates that are due, of all users.
async fn list_due(tx: &mut BillingTx, may_cancel: bool, limit: i64) -> sqlx::Result<Vec<Duplicate>> {
    sqlx::query_as!(
        Duplicate,
        r#"
        select subscription_id as id, user_id as user, kept_subscription_id as kept,
            reported_at is not null as "is_reported!"
        from billing.duplicate_subscriptions
        where (reported_at is null or ($1 and status = 'open')) and next_attempt_at <= now()
        order by next_attempt_at
        limit $2
        "#,
        may_cancel,
        limit
    )
    .fetch_all(tx)
    .await
}

async fn mark_reported(tx: &mut BillingTx, id: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "update billing.duplicate_subscriptions set reported_at = coalesce(reported_at, now()) where subscription_id = $1",
        id
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Claims an attempt to cancel a duplicate; `None` when it is not due, or is no longer one too many. The next attempt
/// is due in 2^attempts minutes, at most an hour.
async fn claim_attempt(tx: &mut BillingTx, duplicate: &Duplicate, now: DateTime<Utc>) -> sqlx::Result<Option<Attempt>> {
    // The lock of choose_current: no other subscription begins to count meanwhile.
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended($1, 20))", duplicate.user).execute(&mut *tx).await?;
    let claimed = sqlx::query_scalar!(
        r#"
        update billing.duplicate_subscriptions
        set attempts = attempts + 1, updated_at = now(),
            next_attempt_at = now() + least(interval '1 minute' * power(2, least(attempts + 1, 10)), interval '1 hour')
        where subscription_id = $1 and status = 'open' and next_attempt_at <= now()
        returning attempts
        "#,
        duplicate.id
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(number) = claimed else { return Ok(None) };
    let is_one_too_many = sqlx::query_scalar!(
        r#"
        select exists (
            select from billing.subscriptions chosen
            join billing.subscription_states kept on kept.id = chosen.state_id
            join billing.subscription_states other on other.user_id = chosen.user_id and other.id <> kept.id
            where chosen.user_id = $1 and other.id = $2
              and kept.plan <> 'free' and kept.status in ('active', 'trialing', 'past_due') and not kept.is_imported
              and other.plan <> 'free' and other.status in ('active', 'trialing', 'past_due')
        ) as "is_one_too_many!"
        "#,
        duplicate.user,
        duplicate.id
    )
    .fetch_one(&mut *tx)
    .await?;
    if !is_one_too_many {
        end(tx, &duplicate.id, "kept", None).await?;
        return Ok(None);
    }
    let fetch = states::begin_fetch(tx, &duplicate.id, now).await?;
    Ok(Some(Attempt { number, fetch }))
}

/// Ends a duplicate with this status.
async fn end(tx: &mut BillingTx, id: &str, status: &str, error: Option<&str>) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        update billing.duplicate_subscriptions set status = $2, error = $3, updated_at = now()
        where subscription_id = $1 and status = 'open'
        "#,
        id,
        status,
        error
    )
    .execute(tx)
    .await
    .map(drop)
}
