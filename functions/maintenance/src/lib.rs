//! Scheduled maintenance. Every minute: sends the queue messages of due replies and due webhooks. Every few minutes: refunds expired quota
//! reservations of killed functions, sends lost queue messages again, marks documents without an upload as failed,
//! deletes the files of deleted documents, bills ended periods, ends access that is no longer paid for, cancels
//! subscriptions that were paid twice, purges deleted accounts, and deletes rows past their retention. Every night: reconciles
//! subscriptions with Stripe.

mod privacy;
mod retention;

use std::{
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use futures::{FutureExt, future::BoxFuture};
use serde_json::{Value, json};
use shared::{
    accounts,
    billing::{Billing, ReconcileReport},
    conversations,
    db::{BillingDb, SystemDb, SystemTx},
    documents,
    error::BoxError,
    function::{EventFunction, Function},
    jobs::{self, DueJob, ExportMessage, IngestMessage, ReplyMessage, WebhookMessage},
    logging,
    privacy::exports,
    queue::Queue,
    quota,
    settings::Settings,
    storage::Storage,
    webhook_endpoints,
};
use uuid::Uuid;

use retention::Retention;

/// The `maintenance` Lambda function.
pub const FUNCTION: Function = Function::event::<Deps>();

/// Number of rows that one task handles per run. The next run handles the remaining rows.
const BATCH_SIZE: i64 = 200;
/// Batches of replies, and of webhooks, that one run sends at most.
const MAX_REPLY_BATCHES: usize = 10;
/// Time after which one run sends no further reply, and as long for webhooks. The next run comes a minute after this one.
const MAX_REPLY_TIME: Duration = Duration::from_secs(45);
/// Number of attempts of a job after which maintenance marks its document, messages or export as failed.
const MAX_JOB_ATTEMPTS: i32 = 12;
/// Number of attempts from which a job that fails again is reported by a metric, with an alarm. The sixth attempt comes
/// about an hour after the first, so the fault is none that ends by itself.
const STUCK_JOB_ATTEMPTS: i32 = 6;

/// Error of a job whose attempts are used up: a document that is not read, or a contact without an answer.
const GIVEN_UP: &str = "given up";

/// Dependencies of the function.
#[derive(Debug, Clone)]
pub struct Deps {
    db: SystemDb,
    storage: Storage,
    ingest_queue: Queue,
    reply_queue: Queue,
    webhook_queue: Queue,
    export_queue: Queue,
    billing: Billing,
    billing_db: BillingDb,
    retention: Retention,
    slots_per_tenant: i64,
}

impl EventFunction for Deps {
    const NAME: &'static str = "maintenance";

    fn read(settings: &mut Settings) -> Self {
        Self {
            db: SystemDb::read(settings).with_background_timeout(),
            storage: Storage::read(settings),
            ingest_queue: Queue::read(settings, "INGEST_QUEUE_URL"),
            reply_queue: Queue::read(settings, "REPLY_QUEUE_URL"),
            webhook_queue: Queue::read(settings, "WEBHOOK_QUEUE_URL"),
            export_queue: Queue::read(settings, "EXPORT_QUEUE_URL"),
            billing_db: BillingDb::read(settings).with_background_timeout(),
            billing: Billing::read(settings).with_background_timeout(),
            retention: Retention::read(settings),
            slots_per_tenant: documents::read_slots_per_tenant(settings),
        }
    }

    /// Runs all maintenance tasks; only the due replies and webhooks when the event's `task` is `replies`, or the reconciliation with
    /// Stripe when it is `reconcile`. Each task runs even when an earlier one failed.
    ///
    /// # Errors
    /// Returns the error of a failed task, after all tasks have run.
    #[expect(clippy::too_many_lines, reason = "some lines for each task")]
    async fn handle(&self, event: Value) -> Result<Value, BoxError> {
        let now = event_time(&event);
        if event["task"] == "replies" {
            let replies_run = run_task("due replies", self.resume_replies()).await;
            let webhooks_run = run_task("due webhooks", self.resume_webhooks()).await;
            return Ok(json!({ "jobs_taken": replies_run?, "webhooks_taken": webhooks_run? }));
        }
        if event["task"] == "reconcile" {
            let report = self.billing.reconcile(now).await?;
            log_reconcile(&report);
            return Ok(serde_json::to_value(report)?);
        }
        let replies_run = run_task("due replies", self.resume_replies()).await;
        let webhooks_run = run_task("due webhooks", self.resume_webhooks()).await;
        let refunded =
            run_task("reservations", self.db.system_tx(async |tx| Ok(quota::refund_expired(tx, BATCH_SIZE).await?)))
                .await;
        let ended = run_task("expired access", self.billing.end_expired_access(now, BATCH_SIZE)).await;
        let projected = run_task("pending projections", self.billing.project_pending(now)).await;
        let closed = run_task("ended periods", self.billing.close_periods(now)).await;
        let duplicates = run_task("duplicates", self.billing.settle_duplicates(now, BATCH_SIZE)).await;
        let unassigned = run_task("unassigned subscriptions", self.billing.count_unassigned()).await;
        let requeued = run_task("pending overages", self.billing.requeue_pending_overages()).await;
        let jobs_run = run_task("due jobs", self.run_due_jobs()).await;
        let turns = run_task("turns of documents", self.send_turns()).await;
        let counted = self.db.system_tx(async |tx| Ok(documents::count_missing_texts(tx, BATCH_SIZE).await?));
        let counted = run_task("missing texts", counted).await;
        let named = self.db.system_tx(async |tx| Ok(documents::fill_name_keys(tx, BATCH_SIZE).await?));
        let named = run_task("names of documents", named).await;
        let deleted_rows = run_task("stale rows", self.delete_stale_rows(now)).await;
        let failed = self.db.system_tx(async |tx| Ok(webhook_endpoints::fail_leftovers(tx, BATCH_SIZE).await?));
        let failed = run_task("webhooks of disabled endpoints", failed).await;
        let exports_expired = run_task("expired exports", self.remove_expired_exports(now)).await;
        let accounts_purged = run_task("purges", self.purge_accounts(now)).await;
        match run_task("reconcile", self.billing.continue_reconcile(now)).await {
            Ok(Some(report)) => log_reconcile(&report),
            Ok(None) => {}
            // Stripe may be unavailable for hours: the other tasks did their work, and this one is tried again.
            Err(error) => {
                tracing::warn!(error = logging::chain(error.as_ref()), "the reconcile goes on in the next run")
            }
        }
        let counters_ended = self.db.system_tx(async |tx| Ok(accounts::report_failed_sign_ins(tx).await?));
        let counters_ended = run_task("failed sign-ins", counters_ended).await;
        let (refunded, jobs_run, deleted_rows) = (refunded?, jobs_run? + replies_run?, deleted_rows?);
        let webhooks_run = webhooks_run?;
        let (ended, projected, closed) = (ended?, projected?, closed?);
        let (turns, counted, named) = (turns?, counted?, named?);
        let (duplicates, unassigned, requeued) = (duplicates?, unassigned?, requeued?);
        let (counters_ended, failed) = (counters_ended?, failed?);
        let (exports_expired, accounts_purged) = (exports_expired?, accounts_purged?);
        tracing::info!(
            reservations_returned = refunded,
            jobs_taken = jobs_run,
            webhooks_taken = webhooks_run,
            rows_removed = deleted_rows,
            subscriptions_ended = ended,
            subscriptions_projected = projected,
            periods_closed = closed.periods,
            records_made = closed.records,
            documents_continued = turns,
            texts_counted = counted,
            names_filled = named,
            duplicates_settled = duplicates,
            subscriptions_unassigned = unassigned,
            sign_in_counters_ended = counters_ended,
            overages_requeued = requeued,
            webhooks_failed = failed,
            exports_expired,
            accounts_purged,
            "maintenance done"
        );
        Ok(json!({
            "reservations_returned": refunded,
            "jobs_taken": jobs_run,
            "webhooks_taken": webhooks_run,
            "rows_removed": deleted_rows,
            "subscriptions_ended": ended,
            "subscriptions_projected": projected,
            "periods_closed": closed.periods,
            "records_made": closed.records,
            "duplicates_settled": duplicates,
            "subscriptions_unassigned": unassigned,
            "sign_in_counters_ended": counters_ended,
            "webhooks_failed": failed,
            "exports_expired": exports_expired,
            "accounts_purged": accounts_purged,
        }))
    }
}

/// Runs a task. A panic of the task is its error, so that the tasks after it run. The future is boxed, since those of
/// tasks are large.
fn run_task<'t, T, E: Into<BoxError>>(
    name: &'static str,
    task: impl Future<Output = Result<T, E>> + Send + 't,
) -> BoxFuture<'t, Result<T, BoxError>> {
    let caught = AssertUnwindSafe(task).catch_unwind();
    let outcome = caught.map(move |outcome| match outcome {
        Ok(outcome) => outcome.map_err(Into::into),
        Err(_panic) => {
            logging::metric("MaintenanceTaskPanics", 1.0);
            tracing::error!(task = name, "a maintenance task panicked; its place is in the log above");
            Err(format!("the task \"{name}\" panicked").into())
        }
    });
    outcome.boxed()
}

fn log_reconcile(report: &ReconcileReport) {
    tracing::info!(
        checked = report.subscriptions_checked,
        repaired = report.repaired.len(),
        missing = report.missing.len(),
        projections_repaired = report.projections_repaired,
        events_finished = report.events_finished,
        events_left = report.events_left,
        "subscriptions compared with Stripe's"
    );
}

/// Returns the scheduled time of the event, or the current time when the event holds none.
fn event_time(event: &Value) -> DateTime<Utc> {
    event["time"].as_str().and_then(|time| time.parse().ok()).unwrap_or_else(shared::clock::now)
}

impl Deps {
    /// Sends the messages of waiting documents whose turn it is, and returns their number. For workers that died before
    /// they sent them.
    async fn send_turns(&self) -> Result<usize, BoxError> {
        let take =
            async |tx: &mut SystemTx| Ok(documents::take_all_turns(tx, self.slots_per_tenant, BATCH_SIZE).await?);
        let turns = self.db.system_tx(take).await?;
        for message in &turns {
            self.ingest_queue.send(message).await?;
        }
        Ok(turns.len())
    }

    /// Runs the jobs that are due and returns their number. A failed job stays due for a later run and does not stop
    /// the others.
    async fn run_due_jobs(&self) -> Result<usize, BoxError> {
        let due = self.db.system_tx(async |tx| Ok(jobs::claim_due(tx, BATCH_SIZE).await?)).await?;
        let taken = due.len();
        for job in due {
            let done = match job.kind.as_str() {
                "ingest" => self.resume_ingestion(&job).await,
                "delete_object" => self.delete_object(&job).await,
                "export" => self.resume_export(&job).await,
                "collection" => self.billing.run_collection_job(&job).await.map_err(BoxError::from),
                "invoice_item" => self.billing.run_invoice_item_job(&job).await.map_err(BoxError::from),
                _ => Err("a job of an unknown kind".into()),
            };
            if let Err(error) = done {
                tracing::warn!(job_id = %job.id, error = logging::chain(error.as_ref()), "job left for the next sweep");
                if job.attempts >= STUCK_JOB_ATTEMPTS {
                    logging::metric("JobsStuck", 1.0);
                }
            }
        }
        Ok(taken)
    }

    /// Resumes the ingestion of a document that is still pending. When its file exists, the queue lost the message,
    /// and it is sent again. When the file is missing an hour after the announcement, the document is marked as not
    /// uploaded.
    async fn resume_ingestion(&self, job: &DueJob) -> Result<(), BoxError> {
        let document_id: Uuid = job.payload["document_id"].as_str().unwrap_or_default().parse()?;
        let pending = self.db.system_tx(async |tx| Ok(documents::find_pending(tx, document_id).await?)).await?;
        let Some(pending) = pending else { return self.end_job(job, None).await };
        if job.attempts > MAX_JOB_ATTEMPTS {
            self.db
                .system_tx(async |tx| {
                    Ok(documents::mark_failed(tx, document_id, documents::DocumentFailure::TimedOut).await?)
                })
                .await?;
            return self.end_job(job, Some(GIVEN_UP)).await;
        }
        if self.storage.exists(&pending.storage_key).await? {
            let message = IngestMessage { job_id: job.id, customer_id: job.customer_id, document_id };
            self.ingest_queue.send(&message).await?;
        } else if pending.is_overdue {
            self.db
                .system_tx(async |tx| {
                    Ok(documents::mark_failed(tx, document_id, documents::DocumentFailure::NotUploaded).await?)
                })
                .await?;
            return self.end_job(job, Some("not uploaded")).await;
        }
        Ok(())
    }

    /// Sends the queue messages of the replies that are due, and returns their number. When the queue does not take a
    /// message, or after [`MAX_REPLY_TIME`], the rest of the batch is due again at once: the next run comes within a
    /// minute, and the replies are not counted as attempted.
    async fn resume_replies(&self) -> Result<usize, BoxError> {
        let stops_at = Instant::now() + MAX_REPLY_TIME;
        let mut taken = 0;
        for _ in 0..MAX_REPLY_BATCHES {
            if Instant::now() >= stops_at {
                break;
            }
            let due = self.db.system_tx(async |tx| Ok(jobs::claim_due_replies(tx, BATCH_SIZE).await?)).await?;
            for (index, job) in due.iter().enumerate() {
                let sent = if Instant::now() < stops_at { self.resume_reply(job).await } else { Ok(false) };
                match sent {
                    Ok(true) => taken += 1,
                    Ok(false) => {
                        let unsent = &due[index..];
                        self.db.system_tx(async |tx| Ok(jobs::return_claims(tx, unsent).await?)).await?;
                        return Ok(taken);
                    }
                    Err(error) => {
                        tracing::warn!(job_id = %job.id, error = logging::chain(error.as_ref()), "reply left for later");
                    }
                }
            }
            if due.len() < usize::try_from(BATCH_SIZE).unwrap_or(usize::MAX) {
                break;
            }
        }
        Ok(taken)
    }

    /// Sends the queue messages of endpoints with webhooks that are due, and returns their number. When the queue does not
    /// take a message, or after [`MAX_REPLY_TIME`], the rest is due again at once.
    async fn resume_webhooks(&self) -> Result<usize, BoxError> {
        let stops_at = Instant::now() + MAX_REPLY_TIME;
        let mut taken = 0;
        for _ in 0..MAX_REPLY_BATCHES {
            let claim = async |tx: &mut SystemTx| Ok(webhook_endpoints::claim_due_endpoints(tx, BATCH_SIZE).await?);
            let due = self.db.system_tx(claim).await?;
            for (index, message) in due.iter().enumerate() {
                if Instant::now() < stops_at && self.send_webhook(message).await {
                    taken += 1;
                    continue;
                }
                let unsent = &due[index..];
                self.db.system_tx(async |tx| Ok(webhook_endpoints::return_endpoints(tx, unsent).await?)).await?;
                return Ok(taken);
            }
            if due.len() < usize::try_from(BATCH_SIZE).unwrap_or(usize::MAX) {
                break;
            }
        }
        Ok(taken)
    }

    /// Sends the queue message of an endpoint. Returns false when the queue does not take it.
    async fn send_webhook(&self, message: &WebhookMessage) -> bool {
        self.webhook_queue.send_or_log(message, Duration::ZERO).await
    }

    /// Resumes the reply in a conversation with pending messages and no active worker. The reply worker ends the job.
    /// Returns false when the queue does not take the message.
    async fn resume_reply(&self, job: &DueJob) -> Result<bool, BoxError> {
        let (tenant, conversation) =
            (job.customer_id, job.payload["conversation_id"].as_str().unwrap_or_default().parse()?);
        if job.attempts > MAX_JOB_ATTEMPTS {
            self.db.system_tx(async |tx| Ok(conversations::mark_failed(tx, tenant, conversation).await?)).await?;
            self.end_job(job, Some(GIVEN_UP)).await?;
            return Ok(true);
        }
        let message = ReplyMessage { customer_id: tenant, conversation_id: conversation, message_id: None };
        Ok(self.reply_queue.send_or_log(&message, Duration::ZERO).await)
    }

    /// Sends the queue message of an export again: the queue has lost it, or the worker died. The export fails after
    /// [`MAX_JOB_ATTEMPTS`] messages without a worker that extended its hold, which sets the job's attempts to 0.
    async fn resume_export(&self, job: &DueJob) -> Result<(), BoxError> {
        let export_id: Uuid = job.payload["export_id"].as_str().unwrap_or_default().parse()?;
        if job.attempts > MAX_JOB_ATTEMPTS {
            logging::metric("JobsGivenUp", 1.0);
            return Ok(self.db.system_tx(async |tx| Ok(exports::give_up(tx, export_id).await?)).await?);
        }
        let message = ExportMessage { customer_id: job.customer_id, export_id };
        Ok(self.export_queue.send(&message).await?)
    }

    /// Deletes the file of a deleted document. The job ends when the upload URL can bring no file any more.
    async fn delete_object(&self, job: &DueJob) -> Result<(), BoxError> {
        let key = job.payload["storage_key"].as_str().ok_or("a job without a storage key")?;
        self.storage.delete(key).await?;
        self.db.system_tx(async |tx| Ok(jobs::any_object_was_deleted(tx, job.id).await?)).await?;
        Ok(())
    }

    /// Ends a job; `failure` is the error to be stored, if any.
    async fn end_job(&self, job: &DueJob, failure: Option<&str>) -> Result<(), BoxError> {
        if failure == Some(GIVEN_UP) {
            logging::metric("JobsGivenUp", 1.0);
        }
        self.db.system_tx(async |tx| Ok(jobs::end(tx, job.id, failure).await?)).await?;
        Ok(())
    }
}
