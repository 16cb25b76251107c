//! Ingests stored files: extracts their text, splits it into chunks and stores them with embeddings. Scanned pages are
//! read by OCR or a vision model, as SCANNED_PDFS says.
//!
//! One queue delivers the bucket's events and the job messages of maintenance and of retries. Only the records of a
//! batch that failed are delivered again. At most INGEST_SLOTS_PER_TENANT documents of one tenant are worked on at
//! once, so that a tenant with many slow files does not hold up the others.

mod events;
mod ingest;
mod outcome;
mod scans;

use std::time::Duration;

use serde_json::Value;
use shared::{
    db::Db,
    documents,
    embeddings::EmbedderRegistry,
    error::BoxError,
    function::{EventFunction, Function},
    pdf::{Extractor, SandboxPolicy},
    queue::{Queue, SqsRecord},
    settings::Settings,
    storage::Storage,
    telemetry,
    unconfirmed::UnconfirmedLimits,
};

use scans::ScanReader;

/// The `ingest-worker` Lambda function.
pub const FUNCTION: Function = Function::event::<Deps>();

/// Maximum delay between two deliveries of a failed message.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(512);

/// Dependencies of the function.
#[derive(Debug, Clone)]
pub struct Deps {
    db: Db,
    storage: Storage,
    queue: Queue,
    webhook_queue: Queue,
    extractor: Extractor,
    embedders: EmbedderRegistry,
    scans: Option<ScanReader>,
    slots_per_tenant: i64,
    unconfirmed: UnconfirmedLimits,
}

impl EventFunction for Deps {
    const NAME: &'static str = "ingest-worker";

    fn read(settings: &mut Settings) -> Self {
        // The default is this program itself, at its path in a Lambda deployment.
        let program = settings.text("PDF_EXTRACTOR", "/var/task/bootstrap");
        let library = settings.text("PDFIUM_LIBRARY", "/opt/lib/libpdfium.so");
        let sandbox = SandboxPolicy::read(settings);
        Self {
            db: Db::read(settings),
            storage: Storage::read(settings),
            queue: Queue::read(settings, "INGEST_QUEUE_URL"),
            webhook_queue: Queue::read(settings, "WEBHOOK_QUEUE_URL"),
            extractor: Extractor::new(program, library).with_sandbox(sandbox),
            embedders: EmbedderRegistry::read(settings),
            scans: ScanReader::read(settings),
            slots_per_tenant: documents::read_slots_per_tenant(settings),
            unconfirmed: UnconfirmedLimits::read(settings),
        }
    }

    async fn handle(&self, event: Value) -> Result<Value, BoxError> {
        self.queue.process_batch(&event, MAX_RETRY_DELAY, |record| self.process_record(record)).await
    }
}

impl Deps {
    async fn process_record(&self, record: SqsRecord<'_>) -> Result<(), BoxError> {
        for document in events::parse_targets(record.body)? {
            telemetry::record_tenant(document.tenant);
            Box::pin(self.ingest(document, record.attempt)).await?;
        }
        Ok(())
    }
}
