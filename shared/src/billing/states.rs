//! `billing.subscription_states`, each subscription as it was last heard of, and the choice among a user's.
//!
//! Whatever the order in which events arrive, and however often, the state is that of the last one: by its time, within a
//! second by [`Event::order`], and an end by any, since Stripe never takes a subscription up again. Where Stripe is asked,
//! the answer to the last question counts: the last event's question is asked after what it tells of.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::new_id;
use crate::{
    db::BillingTx,
    plans,
    stripe::{Event, Happening, Status, Subscription},
};

/// Which plan a price of Stripe's is for.
#[derive(Debug, Default)]
pub(super) struct Prices(HashMap<String, String>);

impl Prices {
    pub(super) fn new(prices: HashMap<String, String>) -> Self {
        Self(prices)
    }

    /// The plan that was bought: by its price, by the price's lookup key, or by what our checkout wrote down. A price that
    /// is of none buys nothing here: the account may sell other things.
    fn plan_of(&self, subscription: &Subscription) -> &'static str {
        let prices = || subscription.prices.iter();
        let by_price = prices().find_map(|(price, _)| self.0.get(price).map(String::as_str));
        let by_key = || prices().find_map(|(_, key)| plans::paid(key.as_deref()?));
        let named = by_price.and_then(plans::paid).or_else(by_key);
        named.or_else(|| plans::paid(subscription.plan.as_deref()?)).unwrap_or(plans::FREE)
    }
}

/// Numbers a question to Stripe about a subscription, which may be one that nobody has heard of yet.
pub(super) async fn begin_fetch(tx: &mut BillingTx, id: &str, heard_at: DateTime<Utc>) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"
        insert into billing.subscription_states as known (id, status, plan, started_at, fetches_begun)
        values ($1, 'unknown', 'free', $2, 1)
        on conflict on constraint subscription_states_pkey do update set fetches_begun = known.fetches_begun + 1
        returning fetches_begun
        "#,
        id,
        heard_at
    )
    .fetch_one(tx)
    .await
}

/// Numbers a question about every subscription at once; by their ids.
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

/// Applies what an event says, unless a later one was applied before.
pub(super) async fn apply_told(
    tx: &mut BillingTx,
    told: &Subscription,
    prices: &Prices,
    event: &Event,
) -> sqlx::Result<()> {
    let user = user_of(tx, told).await?;
    let (start, end) = told.period.unzip();
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
        told.id,
        user,
        told.customer,
        told.status.word(),
        prices.plan_of(told),
        told.prices.first().map(|(price, _)| price.as_str()),
        start,
        end,
        told.cancel_at_period_end,
        told.cancel_at,
        told.started_at.unwrap_or(event.created),
        event.created,
        event.order(told)
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Applies Stripe's answer to a question of this number, unless that to a later one was applied before. Returns whether
/// anything is another than before.
pub(super) async fn apply_fetched(
    tx: &mut BillingTx,
    fetched: &Subscription,
    prices: &Prices,
    number: i64,
    heard_at: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let user = user_of(tx, fetched).await?;
    let (start, end) = fetched.period.unzip();
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
        fetched.id,
        user,
        fetched.customer,
        fetched.status.word(),
        prices.plan_of(fetched),
        fetched.prices.first().map(|(price, _)| price.as_str()),
        start,
        end,
        fetched.cancel_at_period_end,
        fetched.cancel_at,
        fetched.started_at,
        heard_at,
        number
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.is_some_and(|row| row.differs))
}

/// Whose a subscription is: its metadata say so, or its customer is known. What the metadata say is known from then on of
/// the customer too.
async fn user_of(tx: &mut BillingTx, subscription: &Subscription) -> sqlx::Result<Option<String>> {
    match (&subscription.customer, &subscription.user) {
        (Some(customer), Some(user)) => {
            link(tx, customer, user).await?;
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

/// Notes whose a customer is, for good, and gives that user the subscriptions of it that were nobody's.
pub(super) async fn link(tx: &mut BillingTx, customer: &str, user: &str) -> sqlx::Result<()> {
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

/// Notes that a customer is no more: the next checkout makes a new one.
pub(super) async fn customer_deleted(tx: &mut BillingTx, customer: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "update billing.stripe_customers set deleted_at = now() where id = $1 and deleted_at is null",
        customer
    )
    .execute(tx)
    .await
    .map(drop)
}

/// The users whom an event concerns.
pub(super) async fn affected(tx: &mut BillingTx, happening: &Happening) -> sqlx::Result<Vec<String>> {
    let (subscription, customer) = match happening {
        Happening::Subscription(subscription) => (Some(&subscription.id), subscription.customer.as_ref()),
        Happening::Checkout { customer, subscription, .. } => (subscription.as_ref(), customer.as_ref()),
        Happening::Invoice(invoice) => (invoice.subscription.as_ref(), invoice.customer.as_ref()),
        Happening::CustomerDeleted(customer) => (None, Some(customer)),
        Happening::Noted | Happening::Unknown => return Ok(Vec::new()),
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

/// Puts the subscription that counts into `billing.subscriptions`: of those that give access, or else of all, the newest.
/// So an older one never ends a newer one, and a newer one that came to nothing does not end an older one either.
pub(super) async fn choose(tx: &mut BillingTx, user: &str) -> sqlx::Result<()> {
    // Two events of two subscriptions at once would each choose without the other.
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended($1, 20))", user).execute(&mut *tx).await?;
    let best = sqlx::query!(
        r#"
        select id, status from billing.subscription_states
        where user_id = $1 and (is_imported or last_event_at is not null)
        order by
            case
                when plan = 'free' then 0
                when status in ('active', 'trialing') then 2
                when status = 'past_due' then 1
                else 0
            end desc,
            started_at desc, id collate "C" desc
        limit 1
        "#,
        user
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(best) = best else { return Ok(()) };
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
        Status::read(&best.status).in_subscriptions(),
        best.id
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Whose a subscription is.
pub(super) async fn owner(tx: &mut BillingTx, id: &str) -> sqlx::Result<Option<String>> {
    let found = sqlx::query_scalar!("select user_id from billing.subscription_states where id = $1", id)
        .fetch_optional(tx)
        .await?;
    Ok(found.flatten())
}

/// Those of these subscriptions that are not over, as far as we know.
pub(super) async fn living(tx: &mut BillingTx, ids: &[String]) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"
        select id from billing.subscription_states
        where id = any($1) and status not in ('canceled', 'incomplete_expired', 'unknown')
        order by id
        "#,
        ids
    )
    .fetch_all(tx)
    .await
}
