//! Ingests stored PDFs: extracts their text, splits it into chunks and stores them with embeddings. A vision model
//! reads scanned pages when SCANNED_PDFS is `vision`.
//!
//! One queue delivers the bucket's events and the job messages of maintenance and of retries. Only the records of a
//! batch that failed are delivered again.

mod events;
mod ingest;
mod outcome;
mod scans;

use std::time::Duration;

use serde_json::{Value, json};
use shared::{
    db::Db,
    embeddings::EmbedderRegistry,
    error::BoxError,
    function::{EventFunction, Function},
    logging,
    pdf::Extractor,
    queue::{Queue, SqsRecord, records},
    settings::Settings,
    storage::Storage,
};
use tracing::Instrument;

use scans::ScanReader;

/// The `ingest-worker` Lambda function.
pub const FUNCTION: Function = Function::event::<Deps>();

/// Dependencies of the function.
#[derive(Debug, Clone)]
pub struct Deps {
    db: Db,
    storage: Storage,
    queue: Queue,
    extractor: Extractor,
    embedders: EmbedderRegistry,
    scans: Option<ScanReader>,
}

impl EventFunction for Deps {
    const NAME: &'static str = "ingest-worker";

    fn read(settings: &mut Settings) -> Self {
        // The default is this program itself, at its path in a Lambda deployment.
        let program = settings.text("PDF_EXTRACTOR", "/var/task/bootstrap");
        let library = settings.text("PDFIUM_LIBRARY", "/opt/lib/libpdfium.so");
        Self {
            db: Db::read(settings),
            storage: Storage::read(settings),
            queue: Queue::read(settings, "INGEST_QUEUE_URL"),
            extractor: Extractor::new(program, library),
            embedders: EmbedderRegistry::read(settings),
            scans: ScanReader::read(settings),
        }
    }

    async fn handle(&self, event: Value) -> Result<Value, BoxError> {
        let mut failures = Vec::new();
        for record in records(&event)? {
            let span =
                tracing::error_span!("record", message_id = record.message_id, tenant_id = tracing::field::Empty);
            if let Err(error) = self.process_record(&record).instrument(span.clone()).await {
                let _entered = span.enter();
                tracing::error!(attempt = record.attempt, error = logging::chain(error.as_ref()), "record failed");
                self.delay_retry(&record).await;
                failures.push(json!({ "itemIdentifier": record.message_id }));
            }
        }
        Ok(json!({ "batchItemFailures": failures }))
    }
}

impl Deps {
    async fn process_record(&self, record: &SqsRecord<'_>) -> Result<(), BoxError> {
        for document in events::parse_targets(record.body)? {
            tracing::Span::current().record("tenant_id", tracing::field::display(document.tenant));
            self.ingest(document, record.attempt).await?;
        }
        Ok(())
    }

    /// Delays the record's next delivery to 2^n seconds, where n is the number of deliveries so far, at most 9. The
    /// queue's own visibility timeout is meant for workers that die.
    async fn delay_retry(&self, record: &SqsRecord<'_>) {
        let delay = Duration::from_secs(2_u64.saturating_pow(record.attempt.min(9)));
        if let Err(error) = self.queue.change_visibility(record.receipt_handle, delay).await {
            tracing::warn!(error = logging::chain(&error), "the next attempt waits for the queue's own time");
        }
    }
}
