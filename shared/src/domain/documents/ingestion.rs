//! Database writes of the ingest worker. Each write can be repeated, and two workers may run it at once: chunking is
//! deterministic and chunk numbers are unique, so a second writer adds nothing.

use uuid::Uuid;

use super::{DocumentFailure, StoredObject, names, versions};
use crate::{
    db::{SystemTx, TenantTx},
    files::{FileFormat, Place},
    reembedding, text,
};

/// State of a document's ingestion at its start, with the progress of earlier workers.
#[derive(Debug)]
pub struct IngestState {
    /// Storage key of the file.
    pub storage_key: String,
    /// Format that the file's name says.
    pub format: FileFormat,
    /// SHA-256 of the file as declared by the client; `None` when none was declared.
    pub declared_sha256: Option<Vec<u8>>,
    /// Size of the file as declared at the announcement, in bytes.
    pub declared_bytes: i64,
    /// Number of the first chunk that is not stored yet.
    pub next_chunk: i32,
    /// Ingestion job, for the queue message by which another invocation continues.
    pub job_id: Option<Uuid>,
    /// Embedding model of the tenant's chunks.
    pub embedding_model: String,
}

/// Outcome of storing a batch of chunks or of finishing a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreOutcome {
    /// The write took effect.
    Stored,
    /// The document was deleted, or is no longer pending.
    DocumentGone,
    /// The tenant switched to another embedding model: the ingestion must restart.
    ModelChanged,
}

impl StoreOutcome {
    fn from_checks(is_model: bool, is_there: bool) -> Self {
        match (is_model, is_there) {
            (false, _) => Self::ModelChanged,
            (true, false) => Self::DocumentGone,
            (true, true) => Self::Stored,
        }
    }
}

/// A chunk to be stored, with its embedding.
#[derive(Debug)]
pub struct NewChunk {
    /// Chunk number, from 0.
    pub index: i32,
    /// First page of the chunk, from 1.
    pub page_start: i32,
    /// Last page of the chunk, from 1.
    pub page_end: i32,
    /// Text of the chunk.
    pub text: String,
    /// Place in a file without pages; `None` for a page of a PDF.
    pub place: Option<Place>,
    /// Embedding of the text, of 1536 or 384 numbers, the same for all chunks of a model.
    pub embedding: Vec<f32>,
}

/// Starts or resumes the ingestion of a document. Returns `None` when the document was deleted or has reached a final
/// status.
///
/// Uses the tenant's embedding model. `configured_model` becomes the tenant's model with the tenant's first document.
/// Deletes the document's chunks of any other model, since vectors of different models are not comparable.
///
/// # Errors
/// Returns any database error.
pub async fn begin(tx: &mut TenantTx, document: Uuid, configured_model: &str) -> sqlx::Result<Option<IngestState>> {
    let embedding_model = reembedding::get_or_set_tenant_model(tx, configured_model).await?;
    let row = sqlx::query!(
        r#"
        with begun as (
            -- Its upload may arrive after all.
            update documents
            set status = 'pending', error_code = null, error = null, embedding_model = $3
            where customer_id = $1 and id = $2
              and (status = 'pending' or (status = 'failed' and error_code = 'not_uploaded'))
            returning id, storage_key, sha256, bytes, format
        ), stale as (
            delete from document_chunks
            where customer_id = $1 and document_id = (select id from begun) and embedding_model <> $3
        ), job as (
            -- Should this worker die, the queue delivers again; should the queue fail too, maintenance does.
            update jobs set status = 'running', run_after = now() + interval '10 minutes', updated_at = now()
            where customer_id = $1 and kind = 'ingest' and payload ->> 'document_id' = $2::uuid::text
              and exists (select from begun)
            returning id
        )
        select begun.storage_key, begun.sha256, begun.bytes, begun.format, (
            select coalesce(max(chunk_index) + 1, 0) from document_chunks
            where customer_id = $1 and document_id = begun.id and embedding_model = $3
        ) as "next_chunk!", (select id from job) as job_id
        from begun
        "#,
        tx.tenant(),
        document,
        embedding_model
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|row| IngestState {
        storage_key: row.storage_key,
        // Documents of before were PDF files.
        format: row.format.as_deref().and_then(FileFormat::from_name).unwrap_or(FileFormat::Pdf),
        declared_sha256: row.sha256,
        declared_bytes: row.bytes,
        next_chunk: row.next_chunk,
        job_id: row.job_id,
        embedding_model,
    }))
}

/// Records the page count and the size in bytes found in the file. Progress is shown relative to the page count.
///
/// # Errors
/// Returns any database error.
pub async fn record_page_count(tx: &mut TenantTx, document: Uuid, pages: i32, bytes: i64) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        update documents set pages_total = $3, bytes = $4
        where customer_id = $1 and id = $2 and status = 'pending'
        "#,
        tx.tenant(),
        document,
        pages,
        bytes
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Stores a batch of chunks and advances the document's progress. Chunks that are stored already stay unchanged.
///
/// # Errors
/// Returns any database error.
#[expect(clippy::too_many_lines, reason = "one statement")]
pub async fn store_chunks(
    tx: &mut TenantTx,
    document: Uuid,
    language: text::Language,
    embedding_model: &str,
    chunks: &[NewChunk],
) -> sqlx::Result<StoreOutcome> {
    let indexes: Vec<_> = chunks.iter().map(|chunk| chunk.index).collect();
    let starts: Vec<_> = chunks.iter().map(|chunk| chunk.page_start).collect();
    let ends: Vec<_> = chunks.iter().map(|chunk| chunk.page_end).collect();
    let texts: Vec<_> = chunks.iter().map(|chunk| chunk.text.clone()).collect();
    let searched: Vec<_> = chunks.iter().map(|chunk| text::fold(&chunk.text)).collect();
    let length = chunks.first().map_or(0, |chunk| chunk.embedding.len()) as i64;
    let places: Vec<String> = chunks
        .iter()
        .map(|chunk| chunk.place.as_ref().map_or(Ok(String::new()), serde_json::to_string))
        .collect::<Result<_, _>>()
        .map_err(|error| sqlx::Error::Encode(error.into()))?;
    // One flat array for all vectors: SQL has no array of arrays with varying lengths.
    let embeddings: Vec<f32> = chunks.iter().flat_map(|chunk| chunk.embedding.iter().copied()).collect();
    let row = sqlx::query!(
        r#"
        with tenant as materialized (
            -- Locked, so that it does not go over to another model meanwhile (crate::reembedding).
            select id from customers where id = $1 and embedding_model = $4 for share
        ), document as (
            -- Locked, so that it is not deleted between this look and the chunks.
            select documents.id from documents join tenant on documents.customer_id = tenant.id
            where documents.customer_id = $1 and documents.id = $2 and documents.status = 'pending'
            for no key update of documents
        ), stored as (
            insert into document_chunks (document_id, customer_id, chunk_index, page_start, page_end, text_chunk,
                search_text, language, embedding, short_embedding, short_bits, embedding_model, file_place)
            select document.id, $1, chunk.index, chunk.page_start, chunk.page_end, chunk.text, chunk.searched, $3,
                case when $12 = 1536 then made.numbers::vector end,
                case when $12 = 384 then made.numbers::vector end,
                case when $12 = 384 then binary_quantize(made.numbers::vector)::bit(384) end,
                $4, nullif(chunk.place, '')::jsonb
            from document, unnest($5::integer[], $6::integer[], $7::integer[], $8::text[], $9::text[], $11::text[])
                with ordinality as chunk (index, page_start, page_end, text, searched, place, nth)
            cross join lateral (
                select ($10::real[])[(chunk.nth - 1) * $12 + 1 : chunk.nth * $12] as numbers
            ) made
            on conflict on constraint document_chunks_document_id_index_key do nothing
        ), moved as (
            update documents
            -- The last page of this batch may go on in the next one.
            set pages_done = greatest(pages_done, (select max(page_end) - 1 from unnest($7::integer[]) as page_end))
            where customer_id = $1 and id = (select id from document)
        )
        select exists (select from tenant) as "is_model!", exists (select from document) as "is_there!"
        "#,
        tx.tenant(),
        document,
        language.as_str(),
        embedding_model,
        &indexes,
        &starts,
        &ends,
        &texts,
        &searched,
        &embeddings,
        &places,
        length
    )
    .fetch_one(tx)
    .await?;
    Ok(StoreOutcome::from_checks(row.is_model, row.is_there))
}

/// Marks a document as processed and deletes its scanned-page transcripts, whose text is in the chunks; the confidence
/// of pages read by OCR stays in `documents.metadata`. `unread` lists the pages whose text was not read, or not read
/// whole; `excerpt` is the start of the text, for lists.
///
/// Deletes the documents that this one replaces, and returns their files.
///
/// # Errors
/// Returns any database error.
pub async fn finish(
    tx: &mut TenantTx,
    document: Uuid,
    embedding_model: &str,
    sha256: &[u8; 32],
    language: text::Language,
    excerpt: &str,
    unread: &[i32],
) -> sqlx::Result<(StoreOutcome, Vec<StoredObject>)> {
    names::lock_versions(tx).await?;
    let row = sqlx::query!(
        r#"
        with tenant as materialized (
            select id from customers where id = $1 and embedding_model = $6 for share
        ), finished as (
            update documents
            set status = 'processed', pages_done = pages_total, sha256 = $3, language = $4, content = $5,
                processed_at = now(), pages_unread = $7::integer[],
                chunks = (select count(*) from document_chunks where customer_id = $1 and document_id = $2),
                metadata = metadata || jsonb_build_object('filename', filename, 'pages', pages_total, 'language', $4::text)
                    || case when cardinality($7::integer[]) > 0 then jsonb_build_object('unread_pages', $7::integer[])
                        else '{}' end
                    || coalesce((select jsonb_build_object('ocr_confidence',
                            jsonb_object_agg(page, round(confidence::numeric, 3)))
                        from document_pages
                        where customer_id = $1 and document_id = $2 and confidence is not null
                        having count(*) > 0), '{}')
            where customer_id = $1 and id = $2 and status = 'pending' and exists (select from tenant)
            returning id
        ), read as (
            delete from document_pages where customer_id = $1 and document_id = (select id from finished)
        ), job as (
            update jobs set status = 'done', last_error = null, updated_at = now()
            where customer_id = $1 and kind = 'ingest' and payload ->> 'document_id' = $2::uuid::text
              and exists (select from tenant)
        )
        select exists (select from tenant) as "is_model!", exists (select from finished) as "is_there!"
        "#,
        tx.tenant(),
        document,
        sha256.as_slice(),
        language.as_str(),
        excerpt,
        embedding_model,
        unread
    )
    .fetch_one(&mut *tx)
    .await?;
    let outcome = StoreOutcome::from_checks(row.is_model, row.is_there);
    let replaced = match outcome {
        StoreOutcome::Stored => versions::delete_replaced(tx, document).await?,
        StoreOutcome::DocumentGone | StoreOutcome::ModelChanged => Vec::new(),
    };
    Ok((outcome, replaced))
}

/// Marks a pending document as failed and ends its job. Deletes the document's chunks; keeps the transcripts of
/// scanned pages for a retry. `detail` is stored in `documents.error`.
///
/// # Errors
/// Returns any database error.
pub async fn fail(tx: &mut TenantTx, document: Uuid, failure: DocumentFailure, detail: &str) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        with failed as (
            update documents set status = 'failed', error_code = $3, error = $4, chars = null
            where customer_id = $1 and id = $2 and status = 'pending'
            returning id
        ), stale as (
            delete from document_chunks where customer_id = $1 and document_id = (select id from failed)
        )
        update jobs set status = 'done', last_error = $3, updated_at = now()
        where customer_id = $1 and kind = 'ingest' and payload ->> 'document_id' = $2::uuid::text
          and exists (select from failed)
        "#,
        tx.tenant(),
        document,
        failure.code(),
        detail
    )
    .execute(tx)
    .await
    .map(drop)
}

/// A pending document, as maintenance needs it.
#[derive(Debug)]
pub struct PendingDocument {
    /// Storage key of the file.
    pub storage_key: String,
    /// True when the document was announced more than an hour ago, long after its upload URL expired.
    pub is_overdue: bool,
}

/// Finds a document of any tenant that is still pending.
///
/// # Errors
/// Returns any database error.
pub async fn find_pending(tx: &mut SystemTx, document: Uuid) -> sqlx::Result<Option<PendingDocument>> {
    sqlx::query_as!(
        PendingDocument,
        r#"
        select storage_key, upload_date < now() - interval '1 hour' as "is_overdue!"
        from documents
        where id = $1 and status = 'pending'
        "#,
        document
    )
    .fetch_optional(tx)
    .await
}

/// Marks a pending document of any tenant as failed. Its chunks and its job stay.
///
/// # Errors
/// Returns any database error.
pub async fn mark_failed(tx: &mut SystemTx, document: Uuid, failure: DocumentFailure) -> sqlx::Result<()> {
    sqlx::query!(
        "update documents set status = 'failed', error_code = $2 where id = $1 and status = 'pending'",
        document,
        failure.code()
    )
    .execute(tx)
    .await
    .map(drop)
}
