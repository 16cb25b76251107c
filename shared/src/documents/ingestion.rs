//! What the ingest worker writes. Each step can be repeated, and two workers may do it at once: chunks are made
//! deterministically and their numbers are unique, so a second writer adds nothing.

use uuid::Uuid;

use super::Failure;
use crate::{
    db::{SystemTx, TenantTx},
    reembedding, text,
};

/// What is to be read, and how far an earlier worker came.
#[derive(Debug)]
pub struct Begun {
    /// The key of the file.
    pub storage_key: String,
    /// Of the file, as the client declared it.
    pub declared_sha256: Option<Vec<u8>>,
    /// The number of the first chunk that is missing.
    pub next_chunk: i32,
    /// The job, for a message that goes on with it.
    pub job_id: Option<Uuid>,
    /// The model that the tenant's chunks have.
    pub embedding_model: String,
}

/// What became of a batch of chunks, or of a document's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It is there.
    Yes,
    /// The document was deleted, or ended, in the meantime.
    Gone,
    /// The tenant went over to another embedding model: the document begins anew.
    OtherModel,
}

impl Stored {
    fn of(is_model: bool, is_there: bool) -> Self {
        match (is_model, is_there) {
            (false, _) => Self::OtherModel,
            (true, false) => Self::Gone,
            (true, true) => Self::Yes,
        }
    }
}

/// A chunk with its vector.
#[derive(Debug)]
pub struct NewChunk {
    /// Its number, from 0.
    pub index: i32,
    /// The first page it stands on, from 1.
    pub page_start: i32,
    /// The last page it stands on.
    pub page_end: i32,
    /// The text.
    pub text: String,
    /// Its embedding, of 1536 dimensions.
    pub embedding: Vec<f32>,
}

/// Begins, or takes up, the ingestion of a document; `None` when there is nothing to do: deleted, or done.
///
/// The embedding model is the tenant's; the one that is set becomes it with the first document. Chunks of another one are
/// thrown away: vectors of different models do not compare.
///
/// # Errors
/// The database's.
pub async fn begin(tx: &mut TenantTx, document: Uuid, set_model: &str) -> sqlx::Result<Option<Begun>> {
    let embedding_model = reembedding::model_or(tx, set_model).await?;
    let row = sqlx::query!(
        r#"
        with begun as (
            -- Its upload may arrive after all.
            update documents
            set status = 'pending', error_code = null, error = null, embedding_model = $3
            where customer_id = $1 and id = $2
              and (status = 'pending' or (status = 'failed' and error_code = 'not_uploaded'))
            returning id, storage_key, sha256
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
        select begun.storage_key, begun.sha256, (
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
    Ok(row.map(|row| Begun {
        storage_key: row.storage_key,
        declared_sha256: row.sha256,
        next_chunk: row.next_chunk,
        job_id: row.job_id,
        embedding_model,
    }))
}

/// Notes what the file turned out to hold, so that progress has a whole.
///
/// # Errors
/// The database's.
pub async fn pages_known(tx: &mut TenantTx, document: Uuid, pages: i32, bytes: i64) -> sqlx::Result<()> {
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

/// Stores a batch of chunks and moves the progress; chunks that are there already stay as they are.
///
/// # Errors
/// The database's.
pub async fn store_chunks(
    tx: &mut TenantTx,
    document: Uuid,
    language: text::Language,
    embedding_model: &str,
    chunks: &[NewChunk],
) -> sqlx::Result<Stored> {
    let indexes: Vec<_> = chunks.iter().map(|chunk| chunk.index).collect();
    let starts: Vec<_> = chunks.iter().map(|chunk| chunk.page_start).collect();
    let ends: Vec<_> = chunks.iter().map(|chunk| chunk.page_end).collect();
    let texts: Vec<_> = chunks.iter().map(|chunk| chunk.text.clone()).collect();
    let searched: Vec<_> = chunks.iter().map(|chunk| text::fold(&chunk.text)).collect();
    // One flat array for all vectors: arrays of arrays have no fixed shape in SQL.
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
                search_text, language, embedding, embedding_model)
            select document.id, $1, chunk.index, chunk.page_start, chunk.page_end, chunk.text, chunk.searched, $3,
                ($10::real[])[(chunk.place - 1) * 1536 + 1 : chunk.place * 1536]::vector, $4
            from document, unnest($5::integer[], $6::integer[], $7::integer[], $8::text[], $9::text[])
                with ordinality as chunk (index, page_start, page_end, text, searched, place)
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
        &embeddings
    )
    .fetch_one(tx)
    .await?;
    Ok(Stored::of(row.is_model, row.is_there))
}

/// Ends a document well: all chunks are there, and what was read of its pictures is in them. `unread` are the pages that
/// could not be read, or not to their end.
///
/// # Errors
/// The database's.
pub async fn finish(
    tx: &mut TenantTx,
    document: Uuid,
    embedding_model: &str,
    sha256: &[u8; 32],
    language: text::Language,
    beginning: &str,
    unread: &[i32],
) -> sqlx::Result<Stored> {
    let row = sqlx::query!(
        r#"
        with tenant as materialized (
            select id from customers where id = $1 and embedding_model = $6 for share
        ), finished as (
            update documents
            set status = 'processed', pages_done = pages_total, sha256 = $3, language = $4, content = $5,
                processed_at = now(),
                chunks = (select count(*) from document_chunks where customer_id = $1 and document_id = $2),
                metadata = metadata || jsonb_build_object('filename', filename, 'pages', pages_total, 'language', $4::text)
                    || case when cardinality($7::integer[]) > 0 then jsonb_build_object('unread_pages', $7::integer[])
                        else '{}' end
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
        beginning,
        embedding_model,
        unread
    )
    .fetch_one(tx)
    .await?;
    Ok(Stored::of(row.is_model, row.is_there))
}

/// Ends a document badly, with a reason that a person can act on. Its chunks, if it had any, go; pages that were read
/// stay, for another try.
///
/// # Errors
/// The database's.
pub async fn fail(tx: &mut TenantTx, document: Uuid, failure: Failure, detail: &str) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        with failed as (
            update documents set status = 'failed', error_code = $3, error = $4
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

/// A document that waits, as maintenance finds it.
#[derive(Debug)]
pub struct Pending {
    /// The key of its file.
    pub storage_key: String,
    /// Announced more than an hour ago, long after its upload URL ran out.
    pub is_overdue: bool,
}

/// A document, if it is still pending.
///
/// # Errors
/// The database's.
pub async fn find_pending(tx: &mut SystemTx, document: Uuid) -> sqlx::Result<Option<Pending>> {
    sqlx::query_as!(
        Pending,
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

/// Ends a document that nothing more will happen to.
///
/// # Errors
/// The database's.
pub async fn give_up(tx: &mut SystemTx, document: Uuid, failure: Failure) -> sqlx::Result<()> {
    sqlx::query!(
        "update documents set status = 'failed', error_code = $2 where id = $1 and status = 'pending'",
        document,
        failure.code()
    )
    .execute(tx)
    .await
    .map(drop)
}
