//! The table `billing.subscription_states`, which holds the last known state of each subscription, and the choice of
//! the subscription that counts for a user.
//!
//! Events may arrive in any order, and repeatedly. The stored state is that of the last event by Stripe's time, and
//! within one second by [`Event::order_key`]. An ended subscription stays ended whatever the time, since Stripe never
//! resumes one. When Stripe's state is fetched, the snapshot of the fetch with the highest number is kept: the fetch
//! for the last event starts after the change that the event reports.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::ids::new_id;
use crate::{
    db::BillingTx,
    plans,
    stripe::{Event, EventKind, Subscription, SubscriptionStatus},
};

/// Plans by the ids of their prices at Stripe.
#[derive(Debug, Default)]
pub(super) struct PlanPrices(HashMap<String, String>);

impl PlanPrices {
    pub(super) fn new(prices: HashMap<String, String>) -> Self {
        Self(prices)
    }

    /// Finds the plan of a subscription: by a price's id, by a price's lookup key, or by the metadata that our
    /// checkout set. A subscription without any of these has the free plan, since the Stripe account may sell other
    /// products.
    fn plan_of(&self, subscription: &Subscription) -> &'static str {
        let prices = || subscription.prices.iter();
        let by_id = prices().find_map(|(price, _)| self.0.get(price).map(String::as_str));
        let by_lookup_key = || prices().find_map(|(_, key)| plans::find_paid(key.as_deref()?));
        let plan = by_id.and_then(plans::find_paid).or_else(by_lookup_key);
        plan.or_else(|| plans::find_paid(subscription.plan.as_deref()?)).unwrap_or(plans::FREE)
    }
}

/// Assigns the number of a fetch of a subscription, and inserts the subscription's row when none exists yet.
pub(super) async fn begin_fetch(tx: &mut BillingTx, id: &str, event_at: DateTime<Utc>) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"
        insert into billing.subscription_states as known (id, status, plan, started_at, fetches_begun)
        values ($1, 'unknown', 'free', $2, 1)
        on conflict on constraint subscription_states_pkey do update set fetches_begun = known.fetches_begun + 1
        returning fetches_begun
        "#,
        id,
        event_at
    )
    .fetch_one(tx)
    .await
}

/// Assigns the numbers of a fetch of every known subscription; returns them by the subscriptions' ids.
pub(super) async fn begin_all_fetches(tx: &mut BillingTx) -> sqlx::Result<HashMap<String, i64>> {
    let rows = sqlx::query!(
        r#"
        update billing.subscription_states set fetches_begun = fetches_begun + 1
        where not starts_with(id, 'import:') returning id, fetches_begun
        "#
    )
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.fetches_begun)).collect())
}

/// Applies an event's own subscription object, unless a later event is applied already.
pub(super) async fn apply_event(
    tx: &mut BillingTx,
    subscription: &Subscription,
    prices: &PlanPrices,
    event: &Event,
) -> sqlx::Result<()> {
    let user = user_of(tx, subscription).await?;
    let (start, end) = subscription.period.unzip();
    sqlx::query!(
        r#"
        insert into billing.subscription_states as known (
            id, user_id, stripe_customer_id, status, plan, price_id, current_period_start, current_period_end,
            cancel_at_period_end, cancel_at, started_at, last_event_at, last_event_order
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
        on conflict on constraint subscription_states_pkey do update
        set user_id = coalesce(excluded.user_id, known.user_id),
            stripe_customer_id = coalesce(excluded.stripe_customer_id, known.stripe_customer_id),
            status = excluded.status, plan = excluded.plan, price_id = excluded.price_id,
            current_period_start = excluded.current_period_start, current_period_end = excluded.current_period_end,
            cancel_at_period_end = excluded.cancel_at_period_end, cancel_at = excluded.cancel_at,
            started_at = excluded.started_at, is_imported = false, last_event_at = excluded.last_event_at,
            last_event_order = excluded.last_event_order, updated_at = now()
        where known.is_imported or known.last_event_at is null or (
            excluded.status in ('canceled', 'incomplete_expired'),
            excluded.last_event_at, excluded.last_event_order collate "C"
        ) > (
            known.status in ('canceled', 'incomplete_expired'),
            known.last_event_at, known.last_event_order collate "C"
        )
        "#,
        subscription.id,
        user,
        subscription.customer,
        subscription.status.as_str(),
        prices.plan_of(subscription),
        subscription.prices.first().map(|(price, _)| price.as_str()),
        start,
        end,
        subscription.cancel_at_period_end,
        subscription.cancel_at,
        subscription.started_at.unwrap_or(event.created),
        event.created,
        event.order_key(subscription)
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Applies the snapshot of the fetch with this number, unless that of a later fetch is applied already. Returns true
/// when the stored state changed.
pub(super) async fn apply_snapshot(
    tx: &mut BillingTx,
    snapshot: &Subscription,
    prices: &PlanPrices,
    number: i64,
    event_at: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let user = user_of(tx, snapshot).await?;
    let (start, end) = snapshot.period.unzip();
    let row = sqlx::query!(
        r#"
        with before as (
            select * from billing.subscription_states where id = $1 for update
        ), after as (
            update billing.subscription_states known
            set user_id = coalesce($2, known.user_id),
                stripe_customer_id = coalesce($3, known.stripe_customer_id),
                status = $4, plan = $5, price_id = $6, current_period_start = $7, current_period_end = $8,
                cancel_at_period_end = $9, cancel_at = $10, started_at = coalesce($11, known.started_at),
                is_imported = false, last_event_at = greatest(known.last_event_at, $12), fetch_applied = $13,
                updated_at = now()
            from before
            where known.id = before.id and before.fetch_applied < $13
              and (before.is_imported or before.status not in ('canceled', 'incomplete_expired')
                   or $4 in ('canceled', 'incomplete_expired'))
            returning known.*
        )
        select (after.status, after.plan, after.user_id, after.stripe_customer_id, after.current_period_start,
                after.current_period_end, after.cancel_at_period_end, after.cancel_at)
            is distinct from
            (before.status, before.plan, before.user_id, before.stripe_customer_id, before.current_period_start,
             before.current_period_end, before.cancel_at_period_end, before.cancel_at) as "differs!"
        from after join before on before.id = after.id
        "#,
        snapshot.id,
        user,
        snapshot.customer,
        snapshot.status.as_str(),
        prices.plan_of(snapshot),
        snapshot.prices.first().map(|(price, _)| price.as_str()),
        start,
        end,
        snapshot.cancel_at_period_end,
        snapshot.cancel_at,
        snapshot.started_at,
        event_at,
        number
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.is_some_and(|row| row.differs))
}

/// Finds the id of a subscription's user: from its metadata, or else from its customer's link. A user in the metadata
/// is also linked to the customer.
async fn user_of(tx: &mut BillingTx, subscription: &Subscription) -> sqlx::Result<Option<String>> {
    match (&subscription.customer, &subscription.user) {
        (Some(customer), Some(user)) => {
            link_customer(tx, customer, user).await?;
            Ok(Some(user.clone()))
        }
        (Some(customer), None) => {
            sqlx::query_scalar!("select user_id from billing.stripe_customers where id = $1", customer)
                .fetch_optional(tx)
                .await
        }
        (None, user) => Ok(user.clone()),
    }
}

/// Links a customer to a user, unless the customer has a user already, and assigns the customer's subscriptions
/// without a user to the linked user. A link never changes.
pub(super) async fn link_customer(tx: &mut BillingTx, customer: &str, user: &str) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        insert into billing.stripe_customers (id, user_id) values ($1, $2)
        on conflict on constraint stripe_customers_pkey do nothing
        "#,
        customer,
        user
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        r#"
        update billing.subscription_states state set user_id = owner.user_id, updated_at = now()
        from billing.stripe_customers owner
        where owner.id = $1 and state.stripe_customer_id = owner.id and state.user_id is null
        "#,
        customer
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Marks a customer as deleted at Stripe. The next checkout creates a new customer.
pub(super) async fn mark_customer_deleted(tx: &mut BillingTx, customer: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "update billing.stripe_customers set deleted_at = now() where id = $1 and deleted_at is null",
        customer
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Lists the ids of the users that an event concerns.
pub(super) async fn affected_users(tx: &mut BillingTx, kind: &EventKind) -> sqlx::Result<Vec<String>> {
    let (subscription, customer) = match kind {
        EventKind::Subscription(subscription) => (Some(&subscription.id), subscription.customer.as_ref()),
        EventKind::Checkout { customer, subscription, .. } => (subscription.as_ref(), customer.as_ref()),
        EventKind::Invoice(invoice) => (invoice.subscription.as_ref(), invoice.customer.as_ref()),
        EventKind::CustomerDeleted(customer) => (None, Some(customer)),
        EventKind::NoEffect | EventKind::Unhandled => return Ok(Vec::new()),
    };
    sqlx::query_scalar!(
        r#"
        select user_id as "user_id!" from billing.subscription_states where id = $1 and user_id is not null
        union
        select user_id from billing.stripe_customers where id = $2
        "#,
        subscription,
        customer
    )
    .fetch_all(tx)
    .await
}

/// Writes the subscription that counts for a user into `billing.subscriptions`.
///
/// An active or trialing subscription of a paid plan comes first, then one that is past due, then one that Stripe may
/// still collect, then any other; among equals, the newest counts. So the end of an older subscription never ends a newer one, and a newer one that failed
/// never ends an older one.
pub(super) async fn choose_current(tx: &mut BillingTx, user: &str) -> sqlx::Result<()> {
    // Serialises the choices for one user: two concurrent events of two subscriptions would not see each other's
    // state.
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended($1, 20))", user).execute(&mut *tx).await?;
    let current = sqlx::query!(
        r#"
        select id, status from billing.subscription_states
        where user_id = $1 and (is_imported or last_event_at is not null)
        order by
            case
                when plan = 'free' then 0
                when status in ('active', 'trialing') then 3
                when status = 'past_due' then 2
                when status in ('incomplete', 'unpaid', 'paused', 'unknown') then 1
                else 0
            end desc,
            started_at desc, id collate "C" desc
        limit 1
        "#,
        user
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(current) = current else { return Ok(()) };
    sqlx::query!(
        r#"
        insert into billing.subscriptions as known (
            id, user_id, status, plan, stripe_customer_id, stripe_subscription_id, current_period_start,
            current_period_end, cancel_at_period_end, last_event_at, state_id
        )
        select $1, $2, $3, state.plan, case when owner.deleted_at is null then state.stripe_customer_id end,
            case when not starts_with(state.id, 'import:') then state.id end, state.current_period_start,
            state.current_period_end, state.cancel_at_period_end, state.last_event_at, state.id
        from billing.subscription_states state
        left join billing.stripe_customers owner on owner.id = state.stripe_customer_id
        where state.id = $4
        on conflict on constraint subscriptions_user_id_key do update
        set status = excluded.status, plan = excluded.plan, stripe_customer_id = excluded.stripe_customer_id,
            stripe_subscription_id = excluded.stripe_subscription_id,
            current_period_start = excluded.current_period_start, current_period_end = excluded.current_period_end,
            cancel_at_period_end = excluded.cancel_at_period_end, last_event_at = excluded.last_event_at,
            state_id = excluded.state_id, version = nextval('billing.subscription_versions'), updated_at = now()
        where (known.status, known.plan, known.stripe_customer_id, known.stripe_subscription_id,
               known.current_period_start, known.current_period_end, known.cancel_at_period_end, known.last_event_at,
               known.state_id)
            is distinct from
            (excluded.status, excluded.plan, excluded.stripe_customer_id, excluded.stripe_subscription_id,
             excluded.current_period_start, excluded.current_period_end, excluded.cancel_at_period_end,
             excluded.last_event_at, excluded.state_id)
        "#,
        new_id(),
        user,
        SubscriptionStatus::read(&current.status).billing_status(),
        current.id
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Reads the id of a subscription's user; `None` while it has no user.
pub(super) async fn find_user(tx: &mut BillingTx, id: &str) -> sqlx::Result<Option<String>> {
    let user = sqlx::query_scalar!("select user_id from billing.subscription_states where id = $1", id)
        .fetch_optional(tx)
        .await?;
    Ok(user.flatten())
}

/// Lists the subscriptions that are not ended, and of which neither Stripe's list nor an event has told anything since
/// a time.
pub(super) async fn list_not_compared_since(tx: &mut BillingTx, since: DateTime<Utc>) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"
        select id from billing.subscription_states
        where updated_at < $1 and status not in ('canceled', 'incomplete_expired', 'unknown')
          and not starts_with(id, 'import:')
        order by id
        "#,
        since
    )
    .fetch_all(tx)
    .await
}
