//! A stored PDF becomes chunks with embeddings; scanned pages are read by a model where that is set. Takes the events of the bucket, and the messages of maintenance and of
//! retries, from one queue; a record that fails is delivered again alone.

mod ingest;
mod notices;
mod scans;

use std::time::Duration;

use serde_json::{Value, json};
use shared::{
    db::Db,
    embeddings::Embedders,
    function::{BoxError, EventFunction, Function},
    logging,
    pdf::Extractor,
    queue::{Queue, Record, records},
    settings::Settings,
    storage::Storage,
};
use tracing::Instrument;

use scans::Scans;

/// The function.
pub const FUNCTION: Function = Function::event::<Deps>();

/// What it needs.
#[derive(Debug, Clone)]
pub struct Deps {
    db: Db,
    storage: Storage,
    queue: Queue,
    extractor: Extractor,
    embedders: Embedders,
    scans: Option<Scans>,
}

impl EventFunction for Deps {
    const NAME: &'static str = "ingest-worker";

    fn read(settings: &mut Settings) -> Self {
        // The program itself, where it is deployed as a Lambda bootstrap.
        let program = settings.text("PDF_EXTRACTOR", "/var/task/bootstrap");
        let library = settings.text("PDFIUM_LIBRARY", "/opt/lib/libpdfium.so");
        Self {
            db: Db::read(settings),
            storage: Storage::read(settings),
            queue: Queue::read(settings, "INGEST_QUEUE_URL"),
            extractor: Extractor::new(program, library),
            embedders: Embedders::read(settings),
            scans: Scans::read(settings),
        }
    }

    async fn handle(&self, event: Value) -> Result<Value, BoxError> {
        let mut failures = Vec::new();
        for record in records(&event)? {
            let span =
                tracing::error_span!("record", message_id = record.message_id, tenant_id = tracing::field::Empty);
            if let Err(error) = self.take(&record).instrument(span.clone()).await {
                let _entered = span.enter();
                tracing::error!(attempt = record.attempt, error = logging::chain(error.as_ref()), "record failed");
                self.put_off(&record).await;
                failures.push(json!({ "itemIdentifier": record.message_id }));
            }
        }
        Ok(json!({ "batchItemFailures": failures }))
    }
}

impl Deps {
    async fn take(&self, record: &Record<'_>) -> Result<(), BoxError> {
        for document in notices::documents(record.body)? {
            tracing::Span::current().record("tenant_id", tracing::field::display(document.tenant));
            self.ingest(document, record.attempt).await?;
        }
        Ok(())
    }

    /// The next attempt comes after 2^n seconds instead of the queue's own time, which is made for workers that die.
    async fn put_off(&self, record: &Record<'_>) {
        let delay = Duration::from_secs(2_u64.saturating_pow(record.attempt.min(9)));
        if let Err(error) = self.queue.put_off(record.receipt_handle, delay).await {
            tracing::warn!(error = logging::chain(&error), "the next attempt waits for the queue's own time");
        }
    }
}
