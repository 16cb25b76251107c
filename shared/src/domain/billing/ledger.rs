//! The ledger `billing.stripe_events`: one row per event, with the processing steps that are done.

use crate::{db::BillingTx, stripe::Event};

/// Processing steps that are done for an event.
#[derive(Debug, Clone, Copy)]
pub(super) struct EventProgress {
    pub(super) is_applied: bool,
    pub(super) is_projected: bool,
}

/// Inserts an event unless the ledger has it, and returns the steps that are done.
pub(super) async fn insert(tx: &mut BillingTx, event: &Event) -> sqlx::Result<EventProgress> {
    sqlx::query!(
        r#"
        insert into billing.stripe_events (id, type, created, payload) values ($1, $2, $3, $4)
        on conflict on constraint stripe_events_pkey do nothing
        "#,
        event.id,
        event.kind,
        event.created,
        event.payload
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query_as!(
        EventProgress,
        r#"
        select applied_at is not null as "is_applied!", projected_at is not null as "is_projected!"
        from billing.stripe_events where id = $1
        "#,
        event.id
    )
    .fetch_one(tx)
    .await
}

/// Marks an event as applied. Must run in the transaction that applies it.
pub(super) async fn mark_applied(tx: &mut BillingTx, event: &str) -> sqlx::Result<()> {
    sqlx::query!("update billing.stripe_events set applied_at = now(), error = null where id = $1", event)
        .execute(tx)
        .await
        .map(drop)
}

/// Marks an event as projected, which is the last step.
pub(super) async fn mark_projected(tx: &mut BillingTx, event: &str) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        update billing.stripe_events set projected_at = now(), error = null
        where id = $1 and projected_at is null
        "#,
        event
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Stores the reason why an event cannot be parsed.
pub(super) async fn record_error(tx: &mut BillingTx, event: &str, error: &str) -> sqlx::Result<()> {
    sqlx::query!("update billing.stripe_events set error = $2 where id = $1", event, error).execute(tx).await.map(drop)
}

/// An event of the ledger that is not projected yet.
#[derive(Debug)]
pub(super) struct UnfinishedEvent {
    pub(super) id: String,
    pub(super) payload: serde_json::Value,
    pub(super) is_applied: bool,
}

/// Lists up to `limit` events that are not projected 5 minutes after their arrival, by id, with ids greater than
/// `after`.
pub(super) async fn list_unfinished(tx: &mut BillingTx, after: &str, limit: i64) -> sqlx::Result<Vec<UnfinishedEvent>> {
    sqlx::query_as!(
        UnfinishedEvent,
        r#"
        select id, payload, applied_at is not null as "is_applied!" from billing.stripe_events
        where projected_at is null and received_at < now() - interval '5 minutes' and id > $1
        order by id limit $2
        "#,
        after,
        limit
    )
    .fetch_all(tx)
    .await
}

/// Deletes at most `limit` events that were projected and arrived more than `days` ago. Returns their number. The
/// events of a subscription that is past due stay: its grace is computed from them.
pub(super) async fn remove_old(tx: &mut BillingTx, days: i32, limit: i64) -> sqlx::Result<u64> {
    sqlx::query!(
        r#"
        delete from billing.stripe_events where id in (
            select event.id from billing.stripe_events event
            where event.projected_at is not null and event.received_at < now() - make_interval(days => $1)
              and not exists (
                  select from billing.subscription_states state
                  where state.id = event.payload #>> '{data,object,id}' and state.past_due_since is not null
              )
            order by event.received_at
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
