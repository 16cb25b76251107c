//! `billing.stripe_events`: every event once, and how far it came.

use crate::{db::BillingTx, stripe::Event};

/// How far an event came before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    pub(super) is_applied: bool,
    pub(super) is_projected: bool,
}

/// Enters an event, or finds how far it came.
pub(super) async fn enter(tx: &mut BillingTx, event: &Event) -> sqlx::Result<Progress> {
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
        Progress,
        r#"
        select applied_at is not null as "is_applied!", projected_at is not null as "is_projected!"
        from billing.stripe_events where id = $1
        "#,
        event.id
    )
    .fetch_one(tx)
    .await
}

/// Marks an event as applied, in the transaction that applies it.
pub(super) async fn applied(tx: &mut BillingTx, event: &str) -> sqlx::Result<()> {
    sqlx::query!("update billing.stripe_events set applied_at = now(), error = null where id = $1", event)
        .execute(tx)
        .await
        .map(drop)
}

/// Marks an event as done.
pub(super) async fn finish(tx: &mut BillingTx, event: &str) -> sqlx::Result<()> {
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

/// Notes what is wrong with an event that cannot be applied.
pub(super) async fn fail(tx: &mut BillingTx, event: &str, error: &str) -> sqlx::Result<()> {
    sqlx::query!("update billing.stripe_events set error = $2 where id = $1", event, error).execute(tx).await.map(drop)
}

/// An event that was left on its way.
#[derive(Debug)]
pub(super) struct Unfinished {
    pub(super) id: String,
    pub(super) payload: serde_json::Value,
    pub(super) is_applied: bool,
}

/// Events that nobody is at work on any more, the oldest first, after one.
pub(super) async fn unfinished(tx: &mut BillingTx, after: &str, most: i64) -> sqlx::Result<Vec<Unfinished>> {
    sqlx::query_as!(
        Unfinished,
        r#"
        select id, payload, applied_at is not null as "is_applied!" from billing.stripe_events
        where projected_at is null and received_at < now() - interval '5 minutes' and id > $1
        order by id limit $2
        "#,
        after,
        most
    )
    .fetch_all(tx)
    .await
}
