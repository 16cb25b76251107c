//! Ingestion of one document, from its file to its last chunk. Every step can be repeated: after a worker is killed,
//! another one continues after the last stored chunk.

use std::time::Duration;

use sha2::{Digest, Sha256};
use shared::{
    chunking::{self, Chunk},
    documents::{self, DocumentFailure, IngestState, MAX_BYTES, MAX_MIB, NewChunk, StoreOutcome},
    error::BoxError,
    jobs::IngestMessage,
    logging, pdf,
    storage::ReadError,
    text,
};
use tokio::time::Instant;

use crate::{
    Deps,
    events::IngestTarget,
    outcome::{IngestError, IngestOutcome},
    scans::ScanProgress,
};

/// Number of chunks that are embedded and stored together. A killed worker loses at most one batch.
const CHUNKS_PER_BATCH: usize = 32;
/// Maximum number of starts of a document's ingestion in one invocation. A tenant may switch its embedding model
/// during an ingestion, but hardly twice.
const MAX_STARTS: u32 = 3;
/// Number of deliveries after which the queue moves a message to the dead-letter queue.
const MAX_DELIVERIES: u32 = 5;
/// Length of the text excerpt stored in the document's row for lists, in characters.
const MAX_EXCERPT_CHARS: usize = 500;

impl Deps {
    /// Ingests a document until it has a final status, was deleted or is left to another invocation. `attempt` counts
    /// the deliveries of the queue message, this one included.
    ///
    /// # Errors
    /// Returns an error when the queue must deliver the message again.
    pub(crate) async fn ingest(&self, target: IngestTarget, attempt: u32) -> Result<(), BoxError> {
        let started = Instant::now();
        for _ in 0..MAX_STARTS {
            let model = self.embedders.current().model();
            let state = self
                .db
                .tenant_tx(target.tenant, async |tx| Ok(documents::begin(tx, target.document, model).await?))
                .await?;
            let Some(state) = state else {
                tracing::info!(document_id = %target.document, "nothing to do: deleted, or done before");
                return Ok(());
            };
            match self.process(target, &state, started).await {
                Ok(IngestOutcome::Done) => return Ok(()),
                Ok(IngestOutcome::Continue(after)) => return self.requeue(target, &state, after).await,
                Ok(IngestOutcome::ModelChanged) => {
                    tracing::info!(document_id = %target.document, "the tenant has another embedding model now");
                }
                Err(IngestError::Permanent(failure, detail)) => return self.fail(target, failure, &detail).await,
                Err(IngestError::Embedding(error)) if attempt >= MAX_DELIVERIES => {
                    return self.fail(target, DocumentFailure::EmbeddingFailed, &logging::chain(error.as_ref())).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(IngestError::Transient("the tenant's embedding model does not stay".into()).into())
    }

    async fn process(
        &self,
        target: IngestTarget,
        state: &IngestState,
        started: Instant,
    ) -> Result<IngestOutcome, IngestError> {
        let file = match self.storage.get(&state.storage_key, MAX_BYTES).await {
            Ok(file) => file,
            Err(ReadError::TooLarge) => {
                return Err(IngestError::Permanent(DocumentFailure::TooLarge, format!("over {MAX_MIB} MiB")));
            }
            Err(error) => return Err(IngestError::Transient(error.into())),
        };
        if !pdf::is_pdf(&file) {
            return Err(IngestError::Permanent(DocumentFailure::Corrupt, "does not begin as a PDF".to_owned()));
        }
        let sha256: [u8; 32] = Sha256::digest(&file).into();
        if state.declared_sha256.as_ref().is_some_and(|declared| declared != &sha256) {
            return Err(IngestError::Permanent(
                DocumentFailure::Corrupt,
                "the file differs from the announced SHA-256".to_owned(),
            ));
        }
        let mut pages = self.extractor.extract(&file).await?;
        let total = i32::try_from(pages.as_slice().len()).unwrap_or(i32::MAX);
        let bytes = i64::try_from(file.len()).unwrap_or(i64::MAX);
        self.db
            .tenant_tx(target.tenant, async |tx| {
                Ok(documents::record_page_count(tx, target.document, total, bytes).await?)
            })
            .await?;
        let unread = match self.read_scans(target, &file, &mut pages, started).await? {
            ScanProgress::Complete(unread) => unread,
            ScanProgress::Interrupted(ended) => return Ok(ended),
        };
        let pages = pages.require_text()?;
        let chunks = chunking::chunk(pages.as_slice());
        let language = text::detect_language(&language_sample(&chunks));
        let first_missing = usize::try_from(state.next_chunk).unwrap_or_default();
        let model = state.embedding_model.as_str();
        let stored = self.index(target, language, model, chunks.get(first_missing..).unwrap_or_default()).await?;
        if stored != StoreOutcome::Stored {
            return Ok(IngestOutcome::from_store(stored));
        }
        let excerpt: String = chunks.iter().flat_map(|chunk| chunk.text.chars()).take(MAX_EXCERPT_CHARS).collect();
        let stored = self
            .db
            .tenant_tx(target.tenant, async |tx| {
                let stored =
                    documents::finish(tx, target.document, model, &sha256, language, &excerpt, &unread).await?;
                Ok(stored)
            })
            .await?;
        if stored == StoreOutcome::Stored {
            let (unread, chunks) = (unread.len(), chunks.len());
            tracing::info!(document_id = %target.document, pages = total, unread, chunks, "document processed");
        }
        Ok(IngestOutcome::from_store(stored))
    }

    /// Sends a new message for the document's job, to be delivered after `after`. Its deliveries are counted from 1.
    async fn requeue(&self, target: IngestTarget, state: &IngestState, after: Duration) -> Result<(), BoxError> {
        let job_id = state.job_id.ok_or("the document has no job")?;
        let message = IngestMessage { job_id, customer_id: target.tenant, document_id: target.document };
        self.queue.send_after(&message, after).await?;
        tracing::info!(document_id = %target.document, after_s = after.as_secs(), "another invocation goes on");
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
        for batch in chunks.chunks(CHUNKS_PER_BATCH) {
            let texts: Vec<_> = batch.iter().map(|chunk| chunk.text.clone()).collect();
            let embeddings = self
                .embedders
                .embed_documents(model, &texts)
                .await
                .map_err(|error| IngestError::Embedding(error.into()))?;
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

    async fn fail(&self, target: IngestTarget, failure: DocumentFailure, detail: &str) -> Result<(), BoxError> {
        tracing::info!(document_id = %target.document, code = failure.code(), detail, "document failed");
        self.db
            .tenant_tx(target.tenant, async |tx| Ok(documents::fail(tx, target.document, failure, detail).await?))
            .await?;
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
        embedding,
    }
}

/// Returns about twenty chunks from the whole document for detecting its language. Covers are often in another
/// language.
fn language_sample(chunks: &[Chunk]) -> String {
    let step = chunks.len().div_ceil(20).max(1);
    chunks.iter().step_by(step).map(|chunk| chunk.text.as_str()).collect::<Vec<_>>().join("\n")
}
