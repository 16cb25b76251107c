//! Makes exports: reads all that a company stores, page by page, writes it into a ZIP archive and stores the archive in the
//! bucket, part by part. So a large company needs no more memory than a small one.
//!
//! After a failed attempt, the next one begins anew: a ZIP archive cannot be continued in its middle. The archive is in
//! the bucket only when it is complete. Parts that a failed attempt does not delete are deleted by the bucket after a
//! day.

mod archive;
mod contents;

use std::time::Duration;

use serde_json::Value;
use shared::{
    db::{BillingDb, SystemDb},
    error::{ApiError, BoxError},
    function::{EventFunction, Function},
    jobs::ExportMessage,
    logging,
    privacy::exports::{self, BeginOutcome, HeldExport},
    queue::{Queue, SqsRecord},
    settings::Settings,
    storage::{self, Storage, StorageError},
    telemetry,
};
use tokio::time::Instant;
use uuid::Uuid;

use archive::ArchiveUpload;

/// The `export-worker` Lambda function.
pub const FUNCTION: Function = Function::event::<Deps>();

/// Maximum delay between two deliveries of a failed message.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(512);
/// Interval at which a worker extends its hold on the export. The hold ends after two minutes without an extension.
const HOLD_INTERVAL: Duration = Duration::from_secs(20);

/// Dependencies of the function. An export reads the tables of both databases, so it logs in as the system; every query
/// names the company.
#[derive(Debug, Clone)]
pub struct Deps {
    db: SystemDb,
    billing: BillingDb,
    storage: Storage,
    queue: Queue,
}

/// The reasons why an archive was not made.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    /// Another worker has the export, or the company is deleted.
    #[error("the export was lost to another worker, or its company is deleted")]
    Lost,
    /// The bucket did not answer.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The database did not answer.
    #[error(transparent)]
    Database(#[from] ApiError),
    /// The archive cannot be written.
    #[error("archive: {0}")]
    Archive(#[from] zip::result::ZipError),
    /// The archive cannot be written.
    #[error("archive: {0}")]
    Io(#[from] std::io::Error),
}

impl ExportError {
    /// Returns the value of `exports.error_code` when no attempt is left.
    fn code(&self) -> &'static str {
        match self {
            Self::Storage(_) => "storage_unavailable",
            Self::Lost | Self::Database(_) | Self::Archive(_) | Self::Io(_) => "attempts_used_up",
        }
    }
}

impl EventFunction for Deps {
    const NAME: &'static str = "export-worker";

    fn read(settings: &mut Settings) -> Self {
        Self {
            db: SystemDb::read(settings).with_background_timeout(),
            billing: BillingDb::read(settings).with_background_timeout(),
            storage: Storage::read(settings),
            queue: Queue::read(settings, "EXPORT_QUEUE_URL"),
        }
    }

    async fn handle(&self, event: Value) -> Result<Value, BoxError> {
        self.queue.process_batch(&event, MAX_RETRY_DELAY, |record| self.process_record(record)).await
    }
}

/// An export that this worker holds, with the state of the hold.
#[derive(Debug)]
struct Work {
    export: HeldExport,
    /// Identifier of the attempt.
    worker: Uuid,
    /// Time of the last extension of the hold.
    held_at: Instant,
}

impl Deps {
    async fn process_record(&self, record: SqsRecord<'_>) -> Result<(), BoxError> {
        let message: ExportMessage = serde_json::from_str(record.body)?;
        telemetry::record_tenant(message.customer_id);
        let worker = Uuid::new_v4();
        let begun = self.db.system_tx(async |tx| Ok(exports::begin(tx, message.export_id, worker).await?)).await?;
        let export = match begun {
            BeginOutcome::Begun(export) => export,
            BeginOutcome::GivenUp => {
                logging::metric("JobsGivenUp", 1.0);
                tracing::error!(export_id = %message.export_id, "given up: the last worker did not come to an end");
                return Ok(());
            }
            BeginOutcome::NothingToDo => {
                tracing::info!(export_id = %message.export_id, "nothing to do: ended, held by another worker, or deleted");
                return Ok(());
            }
        };
        let mut work = Work { export, worker, held_at: Instant::now() };
        match Box::pin(self.make_archive(&mut work)).await {
            Ok(size_bytes) => {
                let size = i64::try_from(size_bytes).unwrap_or(i64::MAX);
                let export = &work.export;
                let is_finished =
                    self.db.system_tx(async |tx| Ok(exports::finish(tx, export, worker, size).await?)).await?;
                tracing::info!(export_id = %work.export.id, size_bytes, is_finished, "the archive is stored");
                Ok(())
            }
            Err(ExportError::Lost) => {
                tracing::info!(export_id = %work.export.id, "not continued: another worker has it, or it is deleted");
                Ok(())
            }
            Err(error) => {
                let (export, code) = (&work.export, error.code());
                let given_back =
                    self.db.system_tx(async |tx| Ok(exports::give_back(tx, export, worker, code).await?)).await;
                if let Err(error) = given_back {
                    tracing::warn!(error = logging::chain(&error), "the hold on the export is left to run out");
                }
                Err(error.into())
            }
        }
    }

    /// Writes the archive and stores it. Returns its size in bytes. When the writing fails, or another worker has the
    /// export by then, the stored parts are deleted; when the completion fails, they are left to the bucket's lifecycle.
    async fn make_archive(&self, work: &mut Work) -> Result<u64, ExportError> {
        let key = storage::export_key(work.export.customer_id, work.export.id);
        let upload = self.storage.begin_upload(&key, "application/zip").await?;
        let mut archive = ArchiveUpload::new(upload, work.export.created_at);
        let written = async {
            Box::pin(self.write_contents(work, &mut archive)).await?;
            archive.write_end(&self.storage).await?;
            self.hold(work).await
        };
        if let Err(error) = written.await {
            let upload = archive.into_upload();
            if let Err(error) = self.storage.abort_upload(&upload).await {
                tracing::warn!(error = logging::chain(&error), "the parts are left to the bucket's lifecycle");
            }
            return Err(error);
        }
        let size = archive.size_bytes();
        self.storage.complete_upload(archive.into_upload()).await?;
        Ok(size)
    }

    /// Extends the hold on the export when [`HOLD_INTERVAL`] has passed since the last extension.
    async fn hold_on(&self, work: &mut Work) -> Result<(), ExportError> {
        if work.held_at.elapsed() < HOLD_INTERVAL { Ok(()) } else { self.hold(work).await }
    }

    /// Extends the hold on the export. Fails with [`ExportError::Lost`] when this worker does not hold it any more.
    async fn hold(&self, work: &mut Work) -> Result<(), ExportError> {
        let (export, worker) = (&work.export, work.worker);
        let is_held = self.db.system_tx(async |tx| Ok(exports::hold(tx, export, worker).await?)).await?;
        if !is_held {
            return Err(ExportError::Lost);
        }
        work.held_at = Instant::now();
        Ok(())
    }
}
