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
    stripe::{Event, EventKind, Subscription, SubscriptionItem, SubscriptionStatus},
};

/// Plans by the ids of their prices at Stripe.
#[derive(Debug, Default)]
pub(super) struct PlanPrices(HashMap<String, String>);

impl PlanPrices {
    pub(super) fn new(prices: HashMap<String, String>) -> Self {
        Self(prices)
    }

    /// Chooses the plan of a subscription, and the price and the period that it is paid by.
    ///
    /// An item's price names a plan by its id or by its lookup key. Of several such items, the one of the best plan
    /// counts, whatever their order. The metadata that our checkout set count only while no price says otherwise:
    /// without a price, or where no price of a plan is stored here. Any other price gives the free plan, since the
    /// Stripe account may sell other products.
    pub(super) fn choose_plan<'s>(&self, subscription: &'s Subscription) -> PlanChoice<'s> {
        let known = subscription.items.iter().filter_map(|item| Some((self.plan_of(item)?, item)));
        let rank = |plan| plans::PAID.iter().position(|paid| *paid == plan);
        let best = known.max_by_key(|(plan, item)| (rank(*plan), item.period.map(|(_, end)| end), &item.price));
        if let Some((plan, item)) = best {
            let period = item.period.or(subscription.period);
            return PlanChoice { plan, price: Some(&item.price), period, is_price_unknown: false };
        }
        let is_price_unknown = subscription.items.iter().any(|item| !self.0.is_empty() || item.lookup_key.is_some());
        let metadata = subscription.plan.as_deref().filter(|_| !is_price_unknown);
        PlanChoice {
            plan: metadata.and_then(plans::find_paid).unwrap_or(plans::FREE),
            price: subscription.items.first().map(|item| item.price.as_str()),
            period: subscription.period,
            is_price_unknown,
        }
    }

    /// Returns a price of a live subscription whose prices belong to no plan.
    pub(super) fn unknown_price<'s>(&self, subscription: &'s Subscription) -> Option<&'s str> {
        let is_live = matches!(
            subscription.status,
            SubscriptionStatus::Trialing | SubscriptionStatus::Active | SubscriptionStatus::PastDue
        );
        let choice = self.choose_plan(subscription);
        choice.price.filter(|_| is_live && choice.is_price_unknown)
    }

    /// Finds the plan that an item's price belongs to.
    fn plan_of(&self, item: &SubscriptionItem) -> Option<&'static str> {
        let by_id = self.0.get(&item.price).and_then(|plan| plans::find_paid(plan));
        by_id.or_else(|| plan_of_lookup_key(item.lookup_key.as_deref()?))
    }
}

/// Finds the plan that a lookup key names, alone (`pro`) or with an interval (`pro_yearly`).
fn plan_of_lookup_key(key: &str) -> Option<&'static str> {
    const INTERVALS: [&str; 10] =
        ["week", "weekly", "month", "monthly", "quarter", "quarterly", "year", "yearly", "annual", "annually"];
    plans::find_paid(key).or_else(|| {
        let (plan, interval) = key.split_once(['_', '-'])?;
        plans::find_paid(plan).filter(|_| INTERVALS.contains(&interval))
    })
}

/// The plan of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PlanChoice<'s> {
    /// Name of the plan.
    pub(super) plan: &'static str,
    /// Price that the plan is paid by.
    pub(super) price: Option<&'s str>,
    /// Start and end of the paid period.
    pub(super) period: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// True when the subscription has prices, and none of them belongs to a plan.
    pub(super) is_price_unknown: bool,
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
    let choice = prices.choose_plan(subscription);
    let (start, end) = choice.period.unzip();
    sqlx::query!(
        r#"
        insert into billing.subscription_states as known (
            id, user_id, stripe_customer_id, status, plan, price_id, current_period_start, current_period_end,
            cancel_at_period_end, cancel_at, started_at, last_event_at, last_event_order, ended_at, is_price_unknown
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
        on conflict on constraint subscription_states_pkey do update
        set user_id = coalesce(excluded.user_id, known.user_id),
            stripe_customer_id = coalesce(excluded.stripe_customer_id, known.stripe_customer_id),
            status = excluded.status, plan = excluded.plan, price_id = excluded.price_id,
            current_period_start = excluded.current_period_start, current_period_end = excluded.current_period_end,
            cancel_at_period_end = excluded.cancel_at_period_end, cancel_at = excluded.cancel_at,
            started_at = excluded.started_at, is_imported = false, last_event_at = excluded.last_event_at,
            last_event_order = excluded.last_event_order, ended_at = excluded.ended_at,
            is_price_unknown = excluded.is_price_unknown, updated_at = now()
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
        choice.plan,
        choice.price,
        start,
        end,
        subscription.cancel_at_period_end,
        subscription.cancel_at,
        subscription.started_at.unwrap_or(event.created),
        event.created,
        event.order_key(subscription),
        subscription.ended_at,
        choice.is_price_unknown
    )
    .execute(&mut *tx)
    .await?;
    update_past_due_since(tx, &subscription.id).await
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
    let choice = prices.choose_plan(snapshot);
    let (start, end) = choice.period.unzip();
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
                ended_at = $14, is_price_unknown = $15, updated_at = now()
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
        choice.plan,
        choice.price,
        start,
        end,
        snapshot.cancel_at_period_end,
        snapshot.cancel_at,
        snapshot.started_at,
        event_at,
        number,
        snapshot.ended_at,
        choice.is_price_unknown
    )
    .fetch_optional(&mut *tx)
    .await?;
    update_past_due_since(tx, &snapshot.id).await?;
    Ok(row.is_some_and(|row| row.differs))
}

/// Writes the time since which a subscription is past due: the time of the first event with the status `past_due` after
/// the last event with another status. Stripe's object does not hold this time. It is computed from the events of the
/// ledger, regardless of their order of arrival.
async fn update_past_due_since(tx: &mut BillingTx, id: &str) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        with told as (
            select created, payload #>> '{data,object,status}' = 'past_due' as is_past_due
            from billing.stripe_events
            where type like 'customer.subscription.%' and payload #>> '{data,object,id}' = $1
        ), begun as (
            select min(told.created) as since
            from told, billing.subscription_states state
            where state.id = $1 and told.is_past_due and told.created <= state.last_event_at
              and not exists (
                  select from told other
                  where not other.is_past_due and other.created >= told.created
                    and other.created <= state.last_event_at
              )
        )
        update billing.subscription_states state
        set past_due_since = case
            -- The events that began it may be removed from the ledger, and those that are left are later.
            when state.status = 'past_due' and state.past_due_since is not null
                and not exists (
                    select from told
                    where told.created <= state.past_due_since
                       or not told.is_past_due and told.created <= state.last_event_at
                )
                then state.past_due_since
            when state.status = 'past_due' then coalesce(begun.since, state.past_due_since, state.last_event_at)
        end
        from begun
        where state.id = $1
          and (state.status = 'past_due' or state.past_due_since is not null)
        "#,
        id
    )
    .execute(tx)
    .await
    .map(drop)
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

/// Links the customer of a paid checkout to the user that it names, and returns true when it is linked.
///
/// A session that we opened (`is_ours`) says the truth. A buyer who pays by a payment link chooses the id that the
/// session names: that customer becomes the user's only while the user has no other one. Otherwise a stranger's
/// subscription would count as the user's, and the user's portal would show the stranger's.
pub(super) async fn link_buyer(tx: &mut BillingTx, customer: &str, user: &str, is_ours: bool) -> sqlx::Result<bool> {
    // The lock of choose_current: of two first customers at once, one is linked.
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended($1, 20))", user).execute(&mut *tx).await?;
    let may_link = sqlx::query_scalar!(
        r#"
        select $3 or not exists (
            select from billing.stripe_customers
            where user_id = $2 and id <> $1 and deleted_at is null
        ) as "may_link!"
        "#,
        customer,
        user,
        is_ours
    )
    .fetch_one(&mut *tx)
    .await?;
    if may_link {
        link_customer(tx, customer, user).await?;
    }
    Ok(may_link)
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
/// still collect, then any other. Of two that are alive, the one of the better plan counts, as of two items of one
/// subscription; among equals, the newest. So the end of an older subscription never ends a newer one, a newer one that
/// failed never ends an older one, and a weaker one never takes the place of a better one that is paid.
#[expect(clippy::too_many_lines, reason = "the columns of one statement")]
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
            case
                when status in ('active', 'trialing', 'past_due') then coalesce(array_position($2::text[], plan), 0)
                else 0
            end desc,
            started_at desc, id collate "C" desc
        limit 1
        "#,
        user,
        &plans::PAID.map(str::to_owned)
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(current) = current else { return Ok(()) };
    sqlx::query!(
        r#"
        insert into billing.subscriptions as known (
            id, user_id, status, plan, stripe_customer_id, stripe_subscription_id, current_period_start,
            current_period_end, cancel_at_period_end, last_event_at, state_id, cancel_at, past_due_since, ended_at,
            is_price_unknown
        )
        select $1, $2, $3, state.plan, case when owner.deleted_at is null then state.stripe_customer_id end,
            case when not starts_with(state.id, 'import:') then state.id end, state.current_period_start,
            state.current_period_end, state.cancel_at_period_end, state.last_event_at, state.id, state.cancel_at,
            state.past_due_since, coalesce(
                state.ended_at,
                case when state.status in ('canceled', 'incomplete_expired') then state.last_event_at end
            ), state.is_price_unknown
        from billing.subscription_states state
        left join billing.stripe_customers owner on owner.id = state.stripe_customer_id
        where state.id = $4
        on conflict on constraint subscriptions_user_id_key do update
        set status = excluded.status, plan = excluded.plan, stripe_customer_id = excluded.stripe_customer_id,
            stripe_subscription_id = excluded.stripe_subscription_id,
            current_period_start = excluded.current_period_start, current_period_end = excluded.current_period_end,
            cancel_at_period_end = excluded.cancel_at_period_end, last_event_at = excluded.last_event_at,
            state_id = excluded.state_id, cancel_at = excluded.cancel_at, past_due_since = excluded.past_due_since,
            ended_at = excluded.ended_at, is_price_unknown = excluded.is_price_unknown,
            version = nextval('billing.subscription_versions'), updated_at = now()
        where (known.status, known.plan, known.stripe_customer_id, known.stripe_subscription_id,
               known.current_period_start, known.current_period_end, known.cancel_at_period_end, known.last_event_at,
               known.state_id, known.cancel_at, known.past_due_since, known.ended_at, known.is_price_unknown)
            is distinct from
            (excluded.status, excluded.plan, excluded.stripe_customer_id, excluded.stripe_subscription_id,
             excluded.current_period_start, excluded.current_period_end, excluded.cancel_at_period_end,
             excluded.last_event_at, excluded.state_id, excluded.cancel_at, excluded.past_due_since,
             excluded.ended_at, excluded.is_price_unknown)
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn prices() -> PlanPrices {
        let prices = [("price_pro", "pro"), ("price_pro_year", "pro"), ("price_business", "business")];
        PlanPrices::new(prices.into_iter().map(|(price, plan)| (price.to_owned(), plan.to_owned())).collect())
    }

    fn item(price: &str, key: Value, end: i64) -> Value {
        let price = json!({ "id": price, "lookup_key": key });
        json!({ "price": price, "current_period_start": 1, "current_period_end": end })
    }

    fn subscription(items: &[Value], metadata: Value) -> Subscription {
        let object = json!({ "id": "sub_1", "status": "active", "items": { "data": items }, "metadata": metadata });
        Subscription::read(&object).unwrap()
    }

    #[test]
    fn best_plan_counts_with_its_own_period_whatever_the_order_of_the_items() {
        let items = [
            item("price_pro", Value::Null, 9),
            item("price_business", Value::Null, 5),
            item("price_of_an_addition", Value::Null, 2),
            item("price_business", Value::Null, 7),
        ];
        for place in 0..items.len() {
            let mut items = items.to_vec();
            items.rotate_left(place);
            for metadata in [json!({}), json!({ "plan": "pro" })] {
                let subscription = subscription(&items, metadata);
                let prices = prices();
                let choice = prices.choose_plan(&subscription);
                assert_eq!((choice.plan, choice.price), ("business", Some("price_business")));
                assert_eq!(choice.period.unwrap().1.timestamp(), 7);
                assert_eq!(prices.unknown_price(&subscription), None);
            }
        }
    }

    #[test]
    fn metadata_count_only_while_no_price_says_otherwise() {
        let pro = || json!({ "plan": "pro" });
        let other = || item("price_other", Value::Null, 9);
        for (prices, items, metadata, plan, is_price_unknown) in [
            (prices(), vec![], pro(), "pro", false),
            (prices(), vec![other()], pro(), "free", true),
            (prices(), vec![item("price_other", json!("starter_monthly"), 9)], pro(), "free", true),
            (prices(), vec![item("price_pro_year", Value::Null, 9)], json!({ "plan": "business" }), "pro", false),
            (prices(), vec![item("price_other", json!("business"), 9)], pro(), "business", false),
            (prices(), vec![item("price_other", json!("pro_yearly"), 9)], json!({}), "pro", false),
            (prices(), vec![item("price_other", json!("pro-quarterly"), 9)], json!({}), "pro", false),
            (prices(), vec![item("price_other", json!("pro_audio"), 9)], json!({}), "free", true),
            (prices(), vec![], json!({ "plan": "gold" }), "free", false),
            // Without a stored price, only a lookup key says otherwise.
            (PlanPrices::default(), vec![other()], pro(), "pro", false),
            (PlanPrices::default(), vec![item("price_other", json!("starter_monthly"), 9)], pro(), "free", true),
        ] {
            let subscription = subscription(&items, metadata);
            let choice = prices.choose_plan(&subscription);
            assert_eq!((choice.plan, choice.is_price_unknown), (plan, is_price_unknown), "{subscription:?}");
            assert_eq!(prices.unknown_price(&subscription).is_some(), is_price_unknown);
        }
    }
}
