//! What must happen sooner or later, every few minutes: quota held by functions that were killed goes back, work that a
//! queue lost is sent again, uploads that never came are marked, files of deleted documents go, periods that are over are
//! billed, and what is paid for no longer ends. Every night, subscriptions are compared with Stripe's.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use shared::{
    billing::Billing,
    conversations,
    db::SystemDb,
    documents,
    error::ApiError,
    function::{BoxError, EventFunction, Function},
    idempotency,
    jobs::{self, DueJob, JobMessage, ReplyMessage},
    logging,
    queue::Queue,
    quota, rate_limits,
    settings::Settings,
    storage::Storage,
};
use uuid::Uuid;

/// The function.
pub const FUNCTION: Function = Function::event::<Deps>();

/// Rows a statement: what is left is taken by the next sweep.
const BATCH: i64 = 200;
/// What was sent again this often will not succeed.
const MOST_ATTEMPTS: i32 = 12;

/// What it needs.
#[derive(Debug, Clone)]
pub struct Deps {
    db: SystemDb,
    storage: Storage,
    ingest_queue: Queue,
    reply_queue: Queue,
    billing: Billing,
}

impl EventFunction for Deps {
    const NAME: &'static str = "maintenance";

    fn read(settings: &mut Settings) -> Self {
        Self {
            db: SystemDb::read(settings).patient(),
            storage: Storage::read(settings),
            ingest_queue: Queue::read(settings, "INGEST_QUEUE_URL"),
            reply_queue: Queue::read(settings, "REPLY_QUEUE_URL"),
            billing: Billing::read(settings).patient(),
        }
    }

    /// Every part runs, also when one before it failed; the failures are told at the end.
    async fn handle(&self, event: Value) -> Result<Value, BoxError> {
        let now = moment(&event);
        if event["task"] == "reconcile" {
            let report = self.billing.reconcile(now).await?;
            tracing::info!(
                checked = report.subscriptions_checked,
                repaired = report.repaired.len(),
                missing = report.missing.len(),
                projections_repaired = report.projections_repaired,
                events_finished = report.events_finished,
                events_left = report.events_left,
                "subscriptions compared with Stripe's"
            );
            return Ok(serde_json::to_value(report)?);
        }
        let returned = self.db.system(async |tx| Ok::<_, ApiError>(quota::return_expired(tx, BATCH).await?)).await;
        let ended = self.billing.end_access(now, BATCH).await;
        let projected = self.billing.project_pending(now).await;
        let closed = self.billing.close_periods(now).await;
        let swept = self.sweep().await;
        let removed = self.remove_stale().await;
        let (returned, swept, removed) = (returned?, swept?, removed?);
        let (ended, projected, closed) = (ended?, projected?, closed?);
        tracing::info!(
            reservations_returned = returned,
            jobs_taken = swept,
            rows_removed = removed,
            subscriptions_ended = ended,
            subscriptions_projected = projected,
            periods_closed = closed.periods,
            records_made = closed.records,
            "maintenance done"
        );
        Ok(json!({
            "reservations_returned": returned,
            "jobs_taken": swept,
            "rows_removed": removed,
            "subscriptions_ended": ended,
            "subscriptions_projected": projected,
            "periods_closed": closed.periods,
            "records_made": closed.records,
        }))
    }
}

/// The time that the scheduler's event was made for; now, where it says none.
fn moment(event: &Value) -> DateTime<Utc> {
    event["time"].as_str().and_then(|time| time.parse().ok()).unwrap_or_else(Utc::now)
}

impl Deps {
    /// Removes what nobody asks for any more: idempotency keys of yesterday, counters of callers that are gone.
    async fn remove_stale(&self) -> Result<u64, ApiError> {
        self.db
            .system(async |tx| {
                let keys = idempotency::remove_expired(tx, BATCH * 10).await?;
                Ok(keys + rate_limits::remove_idle(tx).await?)
            })
            .await
    }

    /// Takes the jobs that are due. One that fails is due again later, and does not keep the others.
    async fn sweep(&self) -> Result<usize, BoxError> {
        let due = self.db.system(async |tx| Ok::<_, ApiError>(jobs::take_due(tx, BATCH).await?)).await?;
        let taken = due.len();
        for job in due {
            let done = match job.kind.as_str() {
                "ingest" => self.take_up_ingestion(&job).await,
                "reply" => self.take_up_reply(&job).await,
                "delete_object" => self.delete_object(&job).await,
                "invoice_item" => self.billing.invoice(&job).await.map_err(BoxError::from),
                _ => Err("a job of an unknown kind".into()),
            };
            if let Err(error) = done {
                tracing::warn!(job_id = %job.id, error = logging::chain(error.as_ref()), "job left for the next sweep");
            }
        }
        Ok(taken)
    }

    /// A document that is still pending: its file is there, and then the queue lost it; or it is not, and after an hour
    /// it will not come.
    async fn take_up_ingestion(&self, job: &DueJob) -> Result<(), BoxError> {
        let document_id: Uuid = job.payload["document_id"].as_str().unwrap_or_default().parse()?;
        let pending =
            self.db.system(async |tx| Ok::<_, ApiError>(documents::find_pending(tx, document_id).await?)).await?;
        let Some(pending) = pending else { return self.end(job, None).await };
        if job.attempts > MOST_ATTEMPTS {
            self.db
                .system(async |tx| {
                    Ok::<_, ApiError>(documents::give_up(tx, document_id, documents::Failure::TimedOut).await?)
                })
                .await?;
            return self.end(job, Some("given up")).await;
        }
        if self.storage.exists(&pending.storage_key).await? {
            let message = JobMessage { job_id: job.id, customer_id: job.customer_id, document_id };
            self.ingest_queue.send(&message).await?;
        } else if pending.is_overdue {
            self.db
                .system(async |tx| {
                    Ok::<_, ApiError>(documents::give_up(tx, document_id, documents::Failure::NotUploaded).await?)
                })
                .await?;
            return self.end(job, Some("not uploaded")).await;
        }
        Ok(())
    }

    /// A conversation in which something waits and nobody looks: its worker ends the job.
    async fn take_up_reply(&self, job: &DueJob) -> Result<(), BoxError> {
        let (tenant, conversation) =
            (job.customer_id, job.payload["conversation_id"].as_str().unwrap_or_default().parse()?);
        if job.attempts > MOST_ATTEMPTS {
            self.db
                .system(async |tx| Ok::<_, ApiError>(conversations::give_up(tx, tenant, conversation).await?))
                .await?;
            return self.end(job, Some("given up")).await;
        }
        let message = ReplyMessage { customer_id: tenant, conversation_id: conversation, message_id: None };
        self.reply_queue.send(&message).await?;
        Ok(())
    }

    async fn delete_object(&self, job: &DueJob) -> Result<(), BoxError> {
        let key = job.payload["storage_key"].as_str().ok_or("a job without a storage key")?;
        self.storage.delete(key).await?;
        self.end(job, None).await
    }

    async fn end(&self, job: &DueJob, failure: Option<&str>) -> Result<(), BoxError> {
        self.db.system(async |tx| Ok::<_, ApiError>(jobs::end(tx, job.id, failure).await?)).await?;
        Ok(())
    }
}
