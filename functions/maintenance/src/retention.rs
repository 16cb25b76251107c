//! Retention: for how long rows are kept that nothing needs any more. They are deleted in bounded batches.

use chrono::{DateTime, Utc};
use shared::{
    accounts, changes, documents,
    error::{ApiError, BoxError},
    idempotency, invitations, jobs, logging, notices, password_resets, privacy, quota, rate_limits,
    settings::Settings,
    tenants, unread_bodies, usage, webhook_endpoints,
};

use crate::Deps;

/// Number of rows that one statement deletes.
const BATCH_SIZE: i64 = 2_000;
/// Number of batches of one table in one run. The next run, five minutes later, deletes the rest.
const MAX_BATCHES: u32 = 5;
/// Least retention of Stripe's events, in days. Stripe can deliver an event again for so long.
const MIN_STRIPE_EVENT_DAYS: u16 = 30;

/// Days for which rows are kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retention {
    session_days: i32,
    link_days: i32,
    reservation_days: i32,
    job_days: i32,
    model_call_days: i32,
    stripe_event_days: i32,
    webhook_delivery_days: i32,
}

impl Retention {
    /// Reads the settings of the form `…_RETENTION_DAYS`.
    pub(crate) fn read(settings: &mut Settings) -> Self {
        let stripe_event_days = settings.number("STRIPE_EVENT_RETENTION_DAYS", 90_u16);
        if stripe_event_days < MIN_STRIPE_EVENT_DAYS {
            settings.problem(format_args!("STRIPE_EVENT_RETENTION_DAYS is less than {MIN_STRIPE_EVENT_DAYS}"));
        }
        let mut days = |name, default: u16| {
            let days = settings.number(name, default);
            if days == 0 {
                settings.problem(format_args!("{name} is 0"));
            }
            days.into()
        };
        Self {
            session_days: days("SESSION_RETENTION_DAYS", 30),
            link_days: days("LINK_RETENTION_DAYS", 30),
            reservation_days: days("RESERVATION_RETENTION_DAYS", 90),
            job_days: days("JOB_RETENTION_DAYS", 30),
            model_call_days: days("MODEL_CALL_RETENTION_DAYS", 400),
            stripe_event_days: stripe_event_days.into(),
            webhook_delivery_days: days("WEBHOOK_DELIVERY_RETENTION_DAYS", 30),
        }
    }
}

/// Runs `remove` until a batch is not full, at most [`MAX_BATCHES`] times, and returns the number of deleted rows.
async fn in_batches<F>(remove: impl Fn() -> F) -> Result<u64, ApiError>
where
    F: Future<Output = Result<u64, ApiError>>,
{
    let mut removed = 0;
    for _ in 0..MAX_BATCHES {
        let batch = remove().await?;
        removed += batch;
        if i64::try_from(batch).unwrap_or(i64::MAX) < BATCH_SIZE {
            break;
        }
    }
    Ok(removed)
}

impl Deps {
    /// Deletes the rows of all tables that are past their retention, and returns their number. Removes the sealed values
    /// of webhook secrets. A table that fails does not stop the others.
    ///
    /// # Errors
    /// Returns the error of the first table that failed, after all tables.
    #[expect(clippy::too_many_lines, reason = "one entry for each table")]
    pub(crate) async fn delete_stale_rows(&self, now: DateTime<Utc>) -> Result<u64, BoxError> {
        let (db, keep) = (&self.db, self.retention);
        let parts = [
            (
                "idempotency_keys",
                in_batches(|| async {
                    db.system_tx(async |tx| Ok(idempotency::remove_expired(tx, BATCH_SIZE).await?)).await
                })
                .await,
            ),
            ("rate_limits", db.system_tx(async |tx| Ok(rate_limits::remove_idle(tx).await?)).await),
            ("ingest_slots", db.system_tx(async |tx| Ok(documents::remove_ended_slots(tx, BATCH_SIZE).await?)).await),
            (
                "refresh_sessions",
                in_batches(|| async {
                    let remove = accounts::remove_expired_sessions;
                    db.system_tx(async |tx| Ok(remove(tx, keep.session_days, BATCH_SIZE).await?)).await
                })
                .await,
            ),
            (
                "invitations",
                in_batches(|| async {
                    let remove = invitations::remove_expired;
                    db.system_tx(async |tx| Ok(remove(tx, keep.link_days, BATCH_SIZE).await?)).await
                })
                .await,
            ),
            (
                "password_resets",
                in_batches(|| async {
                    let remove = password_resets::remove_expired;
                    db.system_tx(async |tx| Ok(remove(tx, keep.link_days, BATCH_SIZE).await?)).await
                })
                .await,
            ),
            (
                "reservations",
                in_batches(|| async {
                    let remove = quota::remove_ended_reservations;
                    db.system_tx(async |tx| Ok(remove(tx, keep.reservation_days, BATCH_SIZE).await?)).await
                })
                .await,
            ),
            (
                "jobs",
                in_batches(|| async {
                    db.system_tx(async |tx| Ok(jobs::remove_ended(tx, keep.job_days, BATCH_SIZE).await?)).await
                })
                .await,
            ),
            (
                "llm_calls",
                in_batches(|| async {
                    let remove = usage::remove_old_calls;
                    db.system_tx(async |tx| Ok(remove(tx, keep.model_call_days, BATCH_SIZE).await?)).await
                })
                .await,
            ),
            (
                "unread_webhook_bodies",
                in_batches(|| async {
                    db.system_tx(async |tx| Ok(unread_bodies::remove_old(tx, BATCH_SIZE).await?)).await
                })
                .await,
            ),
            (
                "messages",
                in_batches(|| async {
                    let remove = privacy::retention::remove_old_messages;
                    db.system_tx(async |tx| Ok(remove(tx, now, BATCH_SIZE).await?)).await
                })
                .await,
            ),
            (
                "conversations",
                in_batches(|| async {
                    let remove = privacy::retention::remove_old_conversations;
                    db.system_tx(async |tx| Ok(remove(tx, now, BATCH_SIZE).await?)).await
                })
                .await,
            ),
            (
                "tenant_notices",
                in_batches(|| async { db.system_tx(async |tx| Ok(notices::remove_old(tx, BATCH_SIZE).await?)).await })
                    .await,
            ),
            (
                "changes",
                in_batches(|| async { db.system_tx(async |tx| Ok(changes::remove_old(tx, BATCH_SIZE).await?)).await })
                    .await,
            ),
            (
                "webhook_secrets",
                in_batches(|| async {
                    db.system_tx(async |tx| Ok(tenants::remove_sealed_secrets(tx, BATCH_SIZE).await?)).await
                })
                .await
                // Only values are removed, so no row counts as deleted.
                .map(|_| 0),
            ),
            (
                "webhook_deliveries",
                in_batches(|| async {
                    let remove = webhook_endpoints::remove_old;
                    db.system_tx(async |tx| Ok(remove(tx, keep.webhook_delivery_days, BATCH_SIZE).await?)).await
                })
                .await,
            ),
            (
                "webhook_endpoints",
                db.system_tx(async |tx| Ok(webhook_endpoints::remove_previous_secrets(tx).await?))
                    .await
                    // Only values are removed, so no row counts as deleted.
                    .map(|_| 0),
            ),
            (
                "stripe_events",
                in_batches(|| async { self.billing.remove_old_events(keep.stripe_event_days, BATCH_SIZE).await }).await,
            ),
        ];
        let mut removed = 0;
        let mut first_error = None;
        for (table, outcome) in parts {
            match outcome {
                Ok(rows) => removed += rows,
                Err(error) => {
                    tracing::warn!(table, error = logging::chain(&error), "old rows are left for the next run");
                    first_error = first_error.or(Some(error));
                }
            }
        }
        first_error.map_or(Ok(removed), |error| Err(error.into()))
    }
}
