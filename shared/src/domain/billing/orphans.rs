//! Paid subscriptions that are nobody's: without a user, or of a user who does not exist here. Administrators list them
//! and assign them, and a metric counts them.
//!
//! Trigger: `subscription_states_assigned` on `billing.subscription_states` (`billing.keep_assigned_user`), by which an
//! assigned user stays whatever Stripe's metadata say.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{notices, processor::Billing, states};
use crate::{
    audit::{self, NewAuditEntry},
    db::{BillingTx, SystemTx},
    error::ApiError,
    logging,
    paging::{List, Listing, Paging, list_page},
};

/// Time for which the owner of a new subscription may still be on the way, by the event of its checkout.
const OWNER_DELAY: TimeDelta = TimeDelta::minutes(10);

/// A paid subscription that is nobody's.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "sub_1TExample", "stripe_customer_id": "cus_1TExample", "status": "active", "plan": "pro",
    "price_id": "price_1TExample", "user_id": null, "current_period_end": "2026-12-23T09:30:06Z",
    "started_at": "2026-11-23T09:30:06Z",
}))]
pub struct UnassignedSubscription {
    /// Subscription at Stripe (`sub_…`).
    pub id: String,
    /// Customer at Stripe (`cus_…`).
    pub stripe_customer_id: Option<String>,
    /// Status at Stripe: `trialing`, `active`, `past_due`, `unpaid` or `paused`.
    pub status: String,
    /// Name of the paid plan.
    pub plan: String,
    /// Price at Stripe (`price_…`).
    pub price_id: Option<String>,
    /// User that Stripe's metadata name, who does not exist here; null when they name none.
    pub user_id: Option<String>,
    /// End of the paid period.
    pub current_period_end: Option<DateTime<Utc>>,
    /// Time at which the subscription began.
    pub started_at: DateTime<Utc>,
}

/// Sort orders of the list of subscriptions that are nobody's.
#[derive(Debug)]
pub struct UnassignedListing;

impl Listing for UnassignedListing {
    const NAME: &'static str = "unassigned-subscriptions";
    const SORTS: &'static [&'static str] = &["started_at"];
    const CREATED_AT: &'static str = "started_at";
}

/// The user of a subscription, as an administrator assigned it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "subscription_id": "sub_1TExample", "user_id": "5d0f3c52-8e7a-4b7e-9a55-6f0a2b1c3d4e",
}))]
pub struct Assignment {
    /// Subscription at Stripe (`sub_…`).
    pub subscription_id: String,
    /// `users.id`.
    pub user_id: Uuid,
}

/// The tenant that [`list_page!`] passes to a query. A billing transaction has none.
trait WithoutTenant {
    fn tenant(&self) -> Uuid;
}

impl WithoutTenant for BillingTx {
    fn tenant(&self) -> Uuid {
        Uuid::nil()
    }
}

impl Billing {
    /// Lists a page of the paid subscriptions that are nobody's.
    ///
    /// # Errors
    /// Returns 422 for an invalid cursor, or the database's error.
    pub async fn list_unassigned(&self, paging: &Paging) -> Result<List<UnassignedSubscription>, ApiError> {
        self.db.billing_tx(async |tx| list(tx, paging).await).await
    }

    /// Counts the paid subscriptions that are nobody's and whose owner is no longer on the way. A number above 0 is also
    /// a metric, which raises an alarm.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn count_unassigned(&self) -> Result<i64, ApiError> {
        let count = self.db.billing_tx(async |tx| Ok(count_older_than(tx, OWNER_DELAY).await?)).await?;
        if count > 0 {
            logging::metric("SubscriptionsWithoutUser", count as f64);
        }
        Ok(count)
    }

    /// Logs that a subscription is paid and nobody's, after an event about it. `user` is the user who does not exist
    /// here, if the subscription names one.
    ///
    /// # Errors
    /// Returns the database's error.
    pub(super) async fn report_unassigned(&self, subscription: &str, user: Option<&str>) -> Result<(), ApiError> {
        let is_unassigned = self
            .db
            .billing_tx(async |tx| {
                if let Some(user) = user {
                    forget_projection(tx, user).await?;
                }
                Ok(is_unassigned(tx, subscription).await?)
            })
            .await?;
        if is_unassigned {
            tracing::warn!(subscription, "a paid subscription is nobody's: an administrator can assign it");
        }
        Ok(())
    }

    /// Forgets that a user's subscription was projected, after the user is gone: the subscription is nobody's then.
    ///
    /// # Errors
    /// Returns the database's error.
    pub(super) async fn forget_projection(&self, user: &str) -> Result<(), ApiError> {
        self.db.billing_tx(async |tx| Ok(forget_projection(tx, user).await?)).await
    }

    /// Assigns a subscription that is nobody's to a user. A repetition by the same administrator continues an
    /// assignment that was interrupted.
    ///
    /// # Errors
    /// Returns 404 for an unknown subscription or user; 409 when the subscription is somebody's or over, or when the
    /// user has a live one.
    pub async fn assign(
        &self,
        administrator: Uuid,
        request_id: &str,
        subscription: &str,
        user: Uuid,
        now: DateTime<Utc>,
    ) -> Result<Assignment, ApiError> {
        let is_known = self.app.system_tx(async |tx| Ok(user_exists(tx, user).await?)).await?;
        if !is_known {
            return Err(ApiError::not_found("user"));
        }
        // The user whom Stripe's metadata or an earlier assignment names is in the app's database, or is gone.
        let former = self.db.billing_tx(async |tx| Ok(states::find_user(tx, subscription).await?)).await?;
        if let Some(former) = former.as_deref().and_then(|name| name.parse().ok()).filter(|former| *former != user)
            && self.app.system_tx(async |tx| Ok(user_exists(tx, former).await?)).await?
        {
            return Err(assigned_already());
        }
        let change = NewAssignment { administrator, subscription, user, former: former.as_deref() };
        self.db.billing_tx(async |tx| assign_in_billing(tx, &change).await).await?;
        self.project(&user.to_string(), now).await?;
        self.app
            .system_tx(async |tx| Ok(record_assignment(tx, administrator, request_id, subscription, user).await?))
            .await?;
        Ok(Assignment { subscription_id: subscription.to_owned(), user_id: user })
    }
}

async fn list(tx: &mut BillingTx, paging: &Paging) -> Result<List<UnassignedSubscription>, ApiError> {
    list_page!(tx, paging, UnassignedSubscription {
        select: "id, stripe_customer_id, status, plan, price_id, user_id, current_period_end, started_at",
        from: "billing.subscription_states state
            where $1::uuid is not null and plan <> 'free' and not is_imported and last_event_at is not null
              and status in ('trialing', 'active', 'past_due', 'unpaid', 'paused')
              and (user_id is null or exists (
                  select from billing.subscriptions chosen
                  where chosen.user_id = state.user_id and chosen.projected_version is null
              ))",
        bind: [],
        order: ["started_at": "started_at" "timestamptz" DateTime<Utc> = started_at],
        id: "id" "text" String = id,
    })
}

async fn count_older_than(tx: &mut BillingTx, delay: TimeDelta) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"
        select count(*) as "count!" from billing.subscription_states state
        where plan <> 'free' and not is_imported and last_event_at is not null
          and status in ('trialing', 'active', 'past_due', 'unpaid', 'paused')
          and updated_at < now() - make_interval(secs => $1)
          and (user_id is null or exists (
              select from billing.subscriptions chosen
              where chosen.user_id = state.user_id and chosen.projected_version is null
          ))
        "#,
        delay.num_seconds() as f64
    )
    .fetch_one(tx)
    .await
}

async fn is_unassigned(tx: &mut BillingTx, subscription: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"
        select exists (
            select from billing.subscription_states state
            where id = $1 and plan <> 'free' and status in ('trialing', 'active', 'past_due', 'unpaid', 'paused')
              and (user_id is null or exists (
                  select from billing.subscriptions chosen
                  where chosen.user_id = state.user_id and chosen.projected_version is null
              ))
        ) as "is_unassigned!"
        "#,
        subscription
    )
    .fetch_one(tx)
    .await
}

/// Forgets that a user's subscription was projected, after the user is gone.
async fn forget_projection(tx: &mut BillingTx, user: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "update billing.subscriptions set projected_version = null where user_id = $1 and projected_version is not null",
        user
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Returns true for a user whose account was not deleted.
async fn user_exists(tx: &mut SystemTx, user: Uuid) -> sqlx::Result<bool> {
    let exists = sqlx::query_scalar!(
        r#"select exists (select from users where id = $1 and deleted_at is null) as "exists!""#,
        user
    );
    exists.fetch_one(tx).await
}

/// An assignment before it is written.
struct NewAssignment<'a> {
    administrator: Uuid,
    subscription: &'a str,
    user: Uuid,
    /// The user that the subscription had, who does not exist. An assignment that changed it meanwhile counts.
    former: Option<&'a str>,
}

fn assigned_already() -> ApiError {
    ApiError::conflict("subscription_assigned", "the subscription is somebody's already")
}

/// Writes the user of a subscription, and chooses the subscription that counts for the user.
async fn assign_in_billing(tx: &mut BillingTx, change: &NewAssignment<'_>) -> Result<(), ApiError> {
    let NewAssignment { administrator, subscription, user, former } = *change;
    let name = user.to_string();
    // The lock of choose_current. Two assignments to one user wait for each other, and the second one sees the first.
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended($1, 20))", name).execute(&mut *tx).await?;
    let found = sqlx::query!(
        r#"
        select user_id, assigned_user_id, stripe_customer_id,
            plan <> 'free' and status in ('trialing', 'active', 'past_due', 'unpaid', 'paused') as "is_live!"
        from billing.subscription_states where id = $1 for update
        "#,
        subscription
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(found) = found else { return Err(ApiError::not_found("subscription")) };
    if found.assigned_user_id.as_ref() == Some(&name) {
        return Ok(());
    }
    if found.user_id.as_deref() != former {
        return Err(assigned_already());
    }
    if !found.is_live {
        return Err(ApiError::conflict("subscription_ended", "the subscription is over, or of no paid plan"));
    }
    if has_live_subscription(tx, &name, subscription).await? {
        return Err(ApiError::conflict("already_subscribed", "the user has a live subscription already"));
    }
    sqlx::query!(
        r#"
        update billing.subscription_states
        set assigned_user_id = $2, assigned_by = $3, assigned_at = now(), updated_at = now()
        where id = $1
        "#,
        subscription,
        name,
        administrator.to_string()
    )
    .execute(&mut *tx)
    .await?;
    move_customer(tx, found.stripe_customer_id.as_deref(), found.user_id.as_deref(), subscription, &name).await?;
    states::choose_current(tx, &name).await?;
    Ok(())
}

/// Returns true when the user has another subscription that Stripe collects, or may collect again.
async fn has_live_subscription(tx: &mut BillingTx, user: &str, except: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"
        select exists (
            select from billing.subscription_states
            where user_id = $1 and id <> $2 and plan <> 'free'
              and status in ('trialing', 'active', 'past_due', 'unpaid', 'paused', 'incomplete')
        ) as "exists!"
        "#,
        user,
        except
    )
    .fetch_one(tx)
    .await
}

/// Links the subscription's customer to the user, and removes what was kept for the user who does not exist.
async fn move_customer(
    tx: &mut BillingTx,
    customer: Option<&str>,
    former: Option<&str>,
    subscription: &str,
    user: &str,
) -> sqlx::Result<()> {
    if let Some(customer) = customer {
        sqlx::query!(
            r#"
            insert into billing.stripe_customers as known (id, user_id) values ($1, $2)
            on conflict on constraint stripe_customers_pkey do update set user_id = excluded.user_id
            where known.user_id = $3
            "#,
            customer,
            user,
            former
        )
        .execute(&mut *tx)
        .await?;
    }
    sqlx::query!("delete from billing.subscriptions where user_id = $1 and state_id = $2", former, subscription)
        .execute(tx)
        .await
        .map(drop)
}

/// Records an assignment in the audit log of the user's tenant, once.
async fn record_assignment(
    tx: &mut SystemTx,
    administrator: Uuid,
    request_id: &str,
    subscription: &str,
    user: Uuid,
) -> sqlx::Result<()> {
    let tenant =
        sqlx::query_scalar!("select id from customers where user_id = $1", user).fetch_optional(&mut *tx).await?;
    if !notices::claim(tx, &format!("assigned:{subscription}:{user}")).await? {
        return Ok(());
    }
    let entry = NewAuditEntry {
        actor: Some(administrator),
        action: "subscription.assigned",
        object: format!("user:{user}"),
        request_id: Some(request_id),
        details: json!({ "stripe_subscription_id": subscription }),
    };
    audit::record_for(tx, tenant, &entry).await
}
