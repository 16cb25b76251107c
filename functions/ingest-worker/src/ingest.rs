//! Ingestion of one document, from its file to its last chunk. Every step can be repeated: after a worker is killed,
//! another one continues after the last stored chunk.

use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use shared::{
    chunking::{self, Chunk},
    documents::{
        self, DocumentFailure, IngestState, MAX_BYTES, MAX_MIB, NewChunk, SlotClaim, SlotRequest, StoreOutcome,
        StoredObject,
    },
    error::BoxError,
    files::{self, FileFormat},
    jobs::IngestMessage,
    llm::ModelCall,
    logging, pdf, periods, plans, queue, section_chunks,
    storage::{self, ReadError},
    text,
    unconfirmed::AdmissionError,
    usage::{self, UsageDelta},
    webhook_endpoints,
};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    Deps, MAX_RETRY_DELAY,
    events::IngestTarget,
    outcome::{IngestError, IngestOutcome, MAX_RETRIES},
    scans::ScanProgress,
};

/// Number of chunks that are embedded and stored together. A killed worker loses at most one batch.
const CHUNKS_PER_BATCH: usize = 32;
/// Maximum number of starts of a document's ingestion in one invocation. A tenant may switch its embedding model
/// during an ingestion, but hardly twice.
const MAX_STARTS: u32 = 3;
/// Time until the slot of a worker expires: a little longer than the function's timeout, and far shorter than the
/// queue's visibility timeout of 1800 s.
const SLOT_TIMEOUT: Duration = Duration::from_secs(330);
/// Length of the text excerpt stored in the document's row for lists, in characters.
const MAX_EXCERPT_CHARS: usize = 500;

/// Text of a document's file.
struct ReadText {
    chunks: Vec<Chunk>,
    /// Pages that were not read, or not read whole.
    unread: Vec<i32>,
}

/// One invocation's work on a document.
#[derive(Debug, Clone, Copy)]
struct Work {
    target: IngestTarget,
    /// Identifier of the invocation, as the holder of a slot.
    worker: Uuid,
    /// Number of deliveries of the queue message, this one included.
    attempt: u32,
}

impl Deps {
    /// Ingests a document until it has a final status, was deleted or is left to another invocation. `attempt` counts
    /// the deliveries of the queue message, this one included.
    ///
    /// # Errors
    /// Returns an error when the queue must deliver the message again.
    pub(crate) async fn ingest(&self, target: IngestTarget, attempt: u32) -> Result<(), BoxError> {
        let started = Instant::now();
        let work = Work { target, worker: Uuid::new_v4(), attempt };
        for _ in 0..MAX_STARTS {
            let Some((state, attempts)) = self.begin(work).await? else { return Ok(()) };
            if attempts > MAX_RETRIES + 1 {
                let detail = format!("work began {attempts} times and never ended");
                return self.fail(work, DocumentFailure::TimedOut, &detail).await;
            }
            match self.process(work, &state, started).await {
                Ok(IngestOutcome::Done) => return self.release(work).await,
                Ok(IngestOutcome::Continue(after)) => return self.requeue(work, &state, after).await,
                Ok(IngestOutcome::ModelChanged) => {
                    tracing::info!(document_id = %target.document, "the tenant has another embedding model now");
                }
                Err(error) => return self.handle_failure(work, attempts, error).await,
            }
        }
        let error = IngestError::Transient("the tenant's embedding model does not stay".into());
        self.handle_failure(work, 1, error).await
    }

    /// Claims a slot and begins the document. Returns the state of the ingestion and the number of attempts; `None`
    /// when there is nothing to do, or another worker does it or will do it.
    async fn begin(&self, work: Work) -> Result<Option<(IngestState, i32)>, BoxError> {
        let Work { target, worker, .. } = work;
        let request = SlotRequest { worker, slots_per_tenant: self.slots_per_tenant, hold: SLOT_TIMEOUT };
        let model = self.embedders.current().model();
        let (claim, state) = self
            .db
            .tenant_tx(target.tenant, async |tx| {
                let claim = documents::claim_slot(tx, target.document, request).await?;
                let state = match claim {
                    SlotClaim::Granted { .. } => documents::begin(tx, target.document, model).await?,
                    _ => None,
                };
                Ok((claim, state))
            })
            .await?;
        let document_id = target.document;
        match claim {
            SlotClaim::Granted { attempts } => Ok(state.map(|state| (state, attempts))),
            SlotClaim::HeldByOther => {
                tracing::info!(%document_id, "nothing to do: another worker has the document");
                Ok(None)
            }
            SlotClaim::Waiting(next) => {
                tracing::info!(%document_id, "the document waits for its turn");
                self.send_turns(&next).await;
                Ok(None)
            }
            // The end of such a document has freed a slot, and whoever ended it may have died before it passed it on.
            SlotClaim::Finished { keeps_file: true } => {
                tracing::info!(%document_id, "nothing to do: done before");
                self.release(work).await?;
                Ok(None)
            }
            // Its upload URL was used after the document was deleted or refused.
            SlotClaim::NoDocument | SlotClaim::Finished { keeps_file: false } => {
                self.storage.delete(&storage::document_key(target.tenant, document_id)).await?;
                tracing::info!(%document_id, "a file that no document wants is deleted");
                self.release(work).await?;
                Ok(None)
            }
        }
    }

    /// Ends the document or keeps its slot for the next attempt, depending on the error.
    async fn handle_failure(&self, work: Work, attempts: i32, error: IngestError) -> Result<(), BoxError> {
        if let Some((failure, detail)) = error.final_failure(attempts) {
            return self.fail(work, failure, &detail).await;
        }
        let delay = queue::retry_delay(work.attempt, MAX_RETRY_DELAY);
        let kept = self
            .db
            .tenant_tx(work.target.tenant, async |tx| {
                Ok(documents::keep_slot(tx, work.target.document, work.worker, delay, error.counts()).await?)
            })
            .await;
        if let Err(error) = kept {
            tracing::warn!(error = logging::chain(&error), "a slot is left to expire");
        }
        Err(error.into())
    }

    /// Sends the messages of the documents whose turn it is. Maintenance sends those that are lost here.
    async fn send_turns(&self, next: &[IngestMessage]) {
        for message in next {
            self.queue.send_or_log(message, Duration::ZERO).await;
        }
    }

    async fn process(&self, work: Work, state: &IngestState, started: Instant) -> Result<IngestOutcome, IngestError> {
        let target = work.target;
        let (file, sha256) = self.read_file(state).await?;
        self.admit(target).await?;
        let ReadText { chunks, unread } = match state.format {
            FileFormat::Pdf => match self.read_pages(target, &file, started).await? {
                Ok(read) => read,
                Err(interrupted) => return Ok(interrupted),
            },
            format => self.read_sections(target, format, &file).await?,
        };
        self.count_text(target, &chunks).await?;
        let language = text::detect_language(&language_sample(&chunks));
        let first_missing = usize::try_from(state.next_chunk).unwrap_or_default();
        let model = state.embedding_model.as_str();
        let stored = self.index(target, language, model, chunks.get(first_missing..).unwrap_or_default()).await?;
        if stored != StoreOutcome::Stored {
            return Ok(IngestOutcome::from_store(stored));
        }
        let excerpt: String = chunks.iter().flat_map(|chunk| chunk.text.chars()).take(MAX_EXCERPT_CHARS).collect();
        let db = &self.db;
        let (stored, replaced) =
            webhook_endpoints::tenant_tx_with_events(db, &self.webhook_queue, target.tenant, async |tx| {
                Ok(documents::finish(tx, target.document, model, &sha256, language, &excerpt, &unread).await?)
            })
            .await?;
        if stored == StoreOutcome::Stored {
            let (unread, chunks) = (unread.len(), chunks.len());
            let replaced = replaced.len();
            tracing::info!(document_id = %target.document, format = %state.format, unread, chunks, replaced, "document processed");
        }
        self.delete_replaced_files(target, &replaced).await;
        Ok(IngestOutcome::from_store(stored))
    }

    /// Reads the pages of a PDF. Returns the outcome of the attempt when another invocation must go on with its scans.
    async fn read_pages(
        &self,
        target: IngestTarget,
        file: &Bytes,
        started: Instant,
    ) -> Result<Result<ReadText, IngestOutcome>, IngestError> {
        let mut pages = self.extractor.extract(file).await?;
        self.record_page_count(target, pages.as_slice().len(), file.len()).await?;
        let unread = match self.read_scans(target, file, &mut pages, started).await? {
            ScanProgress::Complete(unread) => unread,
            ScanProgress::Interrupted(ended) => return Ok(Err(ended)),
        };
        let chunks = chunking::chunk(pages.require_text()?.as_slice());
        Ok(Ok(ReadText { chunks, unread }))
    }

    /// Reads the sections of a file without pages.
    async fn read_sections(
        &self,
        target: IngestTarget,
        format: FileFormat,
        file: &Bytes,
    ) -> Result<ReadText, IngestError> {
        let blocks = self.extractor.read_file(format, file).await?;
        self.record_page_count(target, section_chunks::count_sections(&blocks), file.len()).await?;
        Ok(ReadText { chunks: section_chunks::chunk(&blocks), unread: Vec::new() })
    }

    async fn record_page_count(&self, target: IngestTarget, pages: usize, bytes: usize) -> Result<(), IngestError> {
        let (pages, bytes) = (i32::try_from(pages).unwrap_or(i32::MAX), i64::try_from(bytes).unwrap_or(i64::MAX));
        self.db
            .tenant_tx(target.tenant, async |tx| {
                Ok(documents::record_page_count(tx, target.document, pages, bytes).await?)
            })
            .await?;
        Ok(())
    }

    /// Deletes the files of documents that were replaced. Their jobs delete what is left here.
    async fn delete_replaced_files(&self, target: IngestTarget, objects: &[StoredObject]) {
        if let Err(error) = documents::delete_files(&self.db, &self.storage, target.tenant, objects).await {
            tracing::warn!(error = logging::chain(&error), "replaced files are left to maintenance");
        }
    }

    /// Reads the document's file and checks that it has the announced size and hash, and that a PDF begins as one. Returns it with its
    /// SHA-256.
    async fn read_file(&self, state: &IngestState) -> Result<(Bytes, [u8; 32]), IngestError> {
        let refused = |failure, detail: &str| Err(IngestError::Permanent(failure, detail.to_owned()));
        let file = match self.storage.get(&state.storage_key, MAX_BYTES).await {
            Ok(file) => file,
            Err(ReadError::TooLarge) => {
                return Err(IngestError::Permanent(DocumentFailure::TooLarge, format!("over {MAX_MIB} MiB")));
            }
            // A later upload begins the document again.
            Err(ReadError::Missing) => {
                return refused(DocumentFailure::NotUploaded, "no file is stored");
            }
            Err(error) => return Err(IngestError::Storage(error.into())),
        };
        if i64::try_from(file.len()).ok() != Some(state.declared_bytes) {
            let detail = format!("{} bytes came, {} were announced", file.len(), state.declared_bytes);
            return Err(IngestError::Permanent(DocumentFailure::SizeMismatch, detail));
        }
        if state.format == FileFormat::Pdf && !pdf::is_pdf(&file) {
            return match files::detect(&file, FileFormat::Pdf) {
                Some(found) => refused(DocumentFailure::FormatMismatch, &format!("is of the format {found}")),
                None => refused(DocumentFailure::Corrupt, "does not begin as a PDF"),
            };
        }
        let sha256: [u8; 32] = Sha256::digest(&file).into();
        if state.declared_sha256.as_ref().is_some_and(|declared| declared != &sha256) {
            return refused(DocumentFailure::Corrupt, "the file differs from the announced SHA-256");
        }
        Ok((file, sha256))
    }

    /// Counts the document among the requests of accounts without a confirmed address or a plan.
    async fn admit(&self, target: IngestTarget) -> Result<(), IngestError> {
        let admitted = self.db.tenant_tx(target.tenant, async |tx| {
            match self.unconfirmed.admit_document(tx, target.document, false).await {
                Ok(()) => Ok(Ok(())),
                Err(AdmissionError::Database(error)) => Err(error.into()),
                Err(refusal) => Ok(Err(IngestError::Permanent(DocumentFailure::SpendCapReached, refusal.to_string()))),
            }
        });
        admitted.await?
    }

    /// Counts the document's text within the limits of the tenant's plan, before anything is paid for it.
    async fn count_text(&self, target: IngestTarget, chunks: &[Chunk]) -> Result<(), IngestError> {
        let chars: usize = chunks.iter().map(|chunk| chunk.text.chars().count()).sum();
        let (chunks, chars) = (i64::try_from(chunks.len()), i64::try_from(chars));
        let (chunks, chars) = (chunks.unwrap_or(i64::MAX), chars.unwrap_or(i64::MAX));
        let counted = self
            .db
            .tenant_tx(target.tenant, async |tx| Ok(documents::count_text(tx, target.document, chunks, chars).await?))
            .await?;
        counted.map_err(|refusal| IngestError::Permanent(refusal.failure, refusal.detail))
    }

    /// Releases the slot, and sends a new message for the document's job, to be delivered after `after`. Its deliveries
    /// are counted from 1.
    async fn requeue(&self, work: Work, state: &IngestState, after: Duration) -> Result<(), BoxError> {
        let target = work.target;
        let job_id = state.job_id.ok_or("the document has no job")?;
        let message = IngestMessage { job_id, customer_id: target.tenant, document_id: target.document };
        self.release(work).await?;
        self.queue.send_after(&message, after).await?;
        tracing::info!(document_id = %target.document, after_s = after.as_secs(), "another invocation goes on");
        Ok(())
    }

    /// Releases the document's slot to the tenant's next document.
    async fn release(&self, work: Work) -> Result<(), BoxError> {
        let next = self
            .db
            .tenant_tx(work.target.tenant, async |tx| {
                Ok(documents::release_slot(tx, work.target.document, work.worker, self.slots_per_tenant).await?)
            })
            .await?;
        self.send_turns(&next).await;
        Ok(())
    }

    /// Embeds and stores chunks batch by batch. Stops at the first batch that is not stored.
    async fn index(
        &self,
        target: IngestTarget,
        language: text::Language,
        model: &str,
        chunks: &[Chunk],
    ) -> Result<StoreOutcome, IngestError> {
        let is_billed = self.embedders.for_model(model).is_billed();
        for batch in chunks.chunks(CHUNKS_PER_BATCH) {
            let texts: Vec<_> = batch.iter().map(|chunk| chunk.text.clone()).collect();
            if is_billed {
                self.check_spend_cap(target).await?;
            }
            let mut calls = Vec::new();
            let embedded = self.embedders.embed_documents(model, &texts, &mut calls).await;
            self.record_calls(target, &calls).await?;
            let embeddings = embedded.map_err(|error| IngestError::Embedding(error.into()))?;
            let rows: Vec<_> =
                batch.iter().zip(embeddings).map(|(chunk, embedding)| new_chunk(chunk, embedding)).collect();
            let stored = self
                .db
                .tenant_tx(target.tenant, async |tx| {
                    Ok(documents::store_chunks(tx, target.document, language, model, &rows).await?)
                })
                .await?;
            if stored != StoreOutcome::Stored {
                return Ok(stored);
            }
        }
        Ok(StoreOutcome::Stored)
    }

    /// Checks that the tenant may still spend on models in this period. The check runs between calls.
    async fn check_spend_cap(&self, target: IngestTarget) -> Result<(), IngestError> {
        let checked = self
            .db
            .tenant_tx(target.tenant, async |tx| {
                let spent_micros = periods::current(tx).await?.spent_micros;
                Ok(plans::check_spend_cap(&plans::of_tenant(tx).await?, spent_micros))
            })
            .await?;
        checked.map_err(|limit| {
            let detail = format!("{} of {} micro-USD of the period are spent", limit.used, limit.most);
            IngestError::Permanent(DocumentFailure::SpendCapReached, detail)
        })
    }

    /// Records calls of an embedding model. In a transaction of its own: the calls cost also when the chunks are not
    /// stored, and the period's row is not locked together with the document's.
    async fn record_calls(&self, target: IngestTarget, calls: &[ModelCall]) -> Result<(), IngestError> {
        if calls.is_empty() {
            return Ok(());
        }
        self.db
            .tenant_tx(target.tenant, async |tx| {
                usage::record_calls(tx, None, "ingest", calls).await?;
                usage::add(tx, &UsageDelta::default().with_calls(calls)).await?;
                Ok(())
            })
            .await?;
        Ok(())
    }

    /// Marks the document as failed and releases its slot. A file that was refused for its size is deleted.
    async fn fail(&self, work: Work, failure: DocumentFailure, detail: &str) -> Result<(), BoxError> {
        let Work { target, worker, .. } = work;
        tracing::info!(document_id = %target.document, code = failure.code(), detail, "document failed");
        let db = &self.db;
        let next = webhook_endpoints::tenant_tx_with_events(db, &self.webhook_queue, target.tenant, async |tx| {
            documents::lock_slots(tx).await?;
            documents::fail(tx, target.document, failure, detail).await?;
            Ok(documents::release_slot(tx, target.document, worker, self.slots_per_tenant).await?)
        })
        .await?;
        self.send_turns(&next).await;
        if failure == DocumentFailure::SizeMismatch {
            // After an error here the queue delivers again, and the file of the failed document is deleted then.
            self.storage.delete(&storage::document_key(target.tenant, target.document)).await?;
        }
        Ok(())
    }
}

fn new_chunk(chunk: &Chunk, embedding: Vec<f32>) -> NewChunk {
    let number = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    NewChunk {
        index: number(chunk.index),
        page_start: number(chunk.page_start),
        page_end: number(chunk.page_end),
        text: chunk.text.clone(),
        place: chunk.place.clone(),
        embedding,
    }
}

/// Returns about twenty chunks from the whole document for detecting its language. Covers are often in another
/// language.
fn language_sample(chunks: &[Chunk]) -> String {
    let step = chunks.len().div_ceil(20).max(1);
    chunks.iter().step_by(step).map(|chunk| chunk.text.as_str()).collect::<Vec<_>>().join("\n")
}
