//! One document, from its file to its last chunk. Every step can be repeated: a worker that is killed is followed by
//! another one that goes on where the chunks end.

use std::time::Duration;

use sha2::{Digest, Sha256};
use shared::{
    chunking::{self, Chunk},
    documents::{self, Begun, Failure, MAX_BYTES, NewChunk, Stored},
    error::ApiError,
    function::BoxError,
    jobs::JobMessage,
    logging,
    pdf::PdfError,
    storage::ReadError,
    text,
};
use tokio::time::Instant;

use crate::{Deps, notices::Target, scans::Scanned};

/// Chunks that are embedded and stored together: a batch is what a kill can lose.
const BATCH: usize = 32;
/// A tenant may go over to another embedding model while one of its documents is read, but hardly twice.
const BEGINNINGS: u32 = 3;
/// After this many deliveries the queue gives a message up.
const LAST_ATTEMPT: u32 = 5;
/// Of the document's text, kept on its row for lists.
const BEGINNING_CHARS: usize = 500;

/// How an attempt ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The document is in an end state, or gone.
    Here,
    /// Another invocation goes on, after so long.
    GoesOn(Duration),
    /// The tenant went over to another embedding model: it begins anew.
    OtherModel,
}

impl Ended {
    fn by(stored: Stored) -> Self {
        match stored {
            Stored::Yes | Stored::Gone => Self::Here,
            Stored::OtherModel => Self::OtherModel,
        }
    }
}

/// How an attempt went wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// The document's own fault: it ends here, with a reason for its owner.
    #[error("{0:?}: {1}")]
    Final(Failure, String),
    /// Somebody else's: the next attempt may succeed.
    #[error("not now")]
    Transient(#[source] BoxError),
    /// The embedding provider's: the same, but the owner is told in the end.
    #[error("embedding failed")]
    Embedding(#[source] BoxError),
}

impl From<ApiError> for Trouble {
    fn from(error: ApiError) -> Self {
        Self::Transient(error.into())
    }
}

impl From<PdfError> for Trouble {
    fn from(error: PdfError) -> Self {
        match error.code().and_then(Failure::from_code) {
            Some(failure) => Self::Final(failure, error.to_string()),
            None => Self::Transient(error.into()),
        }
    }
}

impl Deps {
    /// Brings a document to an end state, or fails to be called again.
    pub(crate) async fn ingest(&self, target: Target, attempt: u32) -> Result<(), BoxError> {
        let started = Instant::now();
        for _ in 0..BEGINNINGS {
            let model = self.embedders.current().model();
            let begun = self
                .db
                .tenant(target.tenant, async |tx| {
                    Ok::<_, ApiError>(documents::begin(tx, target.document, model).await?)
                })
                .await?;
            let Some(begun) = begun else {
                tracing::info!(document_id = %target.document, "nothing to do: deleted, or done before");
                return Ok(());
            };
            match self.read(target, &begun, started).await {
                Ok(Ended::Here) => return Ok(()),
                Ok(Ended::GoesOn(after)) => return self.go_on(target, &begun, after).await,
                Ok(Ended::OtherModel) => {
                    tracing::info!(document_id = %target.document, "the tenant has another embedding model now");
                }
                Err(Trouble::Final(failure, detail)) => return self.fail(target, failure, &detail).await,
                Err(Trouble::Embedding(error)) if attempt >= LAST_ATTEMPT => {
                    return self.fail(target, Failure::EmbeddingFailed, &logging::chain(error.as_ref())).await;
                }
                Err(trouble) => return Err(trouble.into()),
            }
        }
        Err(Trouble::Transient("the tenant's embedding model does not stay".into()).into())
    }

    async fn read(&self, target: Target, begun: &Begun, started: Instant) -> Result<Ended, Trouble> {
        let file = match self.storage.get(&begun.storage_key, MAX_BYTES).await {
            Ok(file) => file,
            Err(ReadError::TooLarge) => return Err(Trouble::Final(Failure::TooLarge, "over 20 MiB".to_owned())),
            Err(error) => return Err(Trouble::Transient(error.into())),
        };
        if !documents::is_pdf(&file) {
            return Err(Trouble::Final(Failure::Corrupt, "does not begin as a PDF".to_owned()));
        }
        let sha256: [u8; 32] = Sha256::digest(&file).into();
        if begun.declared_sha256.as_ref().is_some_and(|declared| declared != &sha256) {
            return Err(Trouble::Final(Failure::Corrupt, "the bytes are not those that were announced".to_owned()));
        }
        let mut pages = self.extractor.extract(&file).await?;
        let total = i32::try_from(pages.as_slice().len()).unwrap_or(i32::MAX);
        let bytes = i64::try_from(file.len()).unwrap_or(i64::MAX);
        self.db
            .tenant(target.tenant, async |tx| {
                Ok::<_, ApiError>(documents::pages_known(tx, target.document, total, bytes).await?)
            })
            .await?;
        let unread = match self.read_scans(target, &file, &mut pages, started).await? {
            Scanned::AllBut(unread) => unread,
            Scanned::Not(ended) => return Ok(ended),
        };
        let pages = pages.with_text()?;
        let chunks = chunking::chunk(pages.as_slice());
        let language = text::detect_language(&sample(&chunks));
        let missing = usize::try_from(begun.next_chunk).unwrap_or_default();
        let model = begun.embedding_model.as_str();
        let stored = self.index(target, language, model, chunks.get(missing..).unwrap_or_default()).await?;
        if stored != Stored::Yes {
            return Ok(Ended::by(stored));
        }
        let beginning: String = chunks.iter().flat_map(|chunk| chunk.text.chars()).take(BEGINNING_CHARS).collect();
        let stored = self
            .db
            .tenant(target.tenant, async |tx| {
                let stored =
                    documents::finish(tx, target.document, model, &sha256, language, &beginning, &unread).await?;
                Ok::<_, ApiError>(stored)
            })
            .await?;
        if stored == Stored::Yes {
            let (unread, chunks) = (unread.len(), chunks.len());
            tracing::info!(document_id = %target.document, pages = total, unread, chunks, "document processed");
        }
        Ok(Ended::by(stored))
    }

    /// Sends the job again, by a message whose deliveries count anew.
    async fn go_on(&self, target: Target, begun: &Begun, after: Duration) -> Result<(), BoxError> {
        let job_id = begun.job_id.ok_or("the document has no job")?;
        let message = JobMessage { job_id, customer_id: target.tenant, document_id: target.document };
        self.queue.send_after(&message, after).await?;
        tracing::info!(document_id = %target.document, after_s = after.as_secs(), "another invocation goes on");
        Ok(())
    }

    /// Embeds and stores chunks batch by batch, as long as they are stored.
    async fn index(
        &self,
        target: Target,
        language: text::Language,
        model: &str,
        chunks: &[Chunk],
    ) -> Result<Stored, Trouble> {
        for batch in chunks.chunks(BATCH) {
            let texts: Vec<_> = batch.iter().map(|chunk| chunk.text.clone()).collect();
            let embeddings = self
                .embedders
                .embed_documents(model, &texts)
                .await
                .map_err(|error| Trouble::Embedding(error.into()))?;
            let rows: Vec<_> = batch.iter().zip(embeddings).map(|(chunk, embedding)| row(chunk, embedding)).collect();
            let stored = self
                .db
                .tenant(target.tenant, async |tx| {
                    Ok::<_, ApiError>(documents::store_chunks(tx, target.document, language, model, &rows).await?)
                })
                .await?;
            if stored != Stored::Yes {
                return Ok(stored);
            }
        }
        Ok(Stored::Yes)
    }

    async fn fail(&self, target: Target, failure: Failure, detail: &str) -> Result<(), BoxError> {
        tracing::info!(document_id = %target.document, code = failure.code(), detail, "document failed");
        self.db
            .tenant(target.tenant, async |tx| {
                Ok::<_, ApiError>(documents::fail(tx, target.document, failure, detail).await?)
            })
            .await?;
        Ok(())
    }
}

fn row(chunk: &Chunk, embedding: Vec<f32>) -> NewChunk {
    let number = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    NewChunk {
        index: number(chunk.index),
        page_start: number(chunk.page_start),
        page_end: number(chunk.page_end),
        text: chunk.text.clone(),
        embedding,
    }
}

/// Enough text to tell the language by, from the whole document: covers are often in another one.
fn sample(chunks: &[Chunk]) -> String {
    let step = chunks.len().div_ceil(20).max(1);
    chunks.iter().step_by(step).map(|chunk| chunk.text.as_str()).collect::<Vec<_>>().join("\n")
}
