//! Another attempt at a document whose processing failed.

use uuid::Uuid;

use super::{
    Document, DocumentError,
    document::{DocumentRow, get},
};
use crate::{db::TenantTx, jobs, text::Language};

/// Sets a failed document to pending again and returns the queue message for its job. Deletes the document's chunks;
/// keeps the scanned pages that were read.
///
/// # Errors
/// Returns [`DocumentError::NotFound`], [`DocumentError::NotFailed`], or any database error.
pub async fn retry(
    tx: &mut TenantTx,
    id: Uuid,
    language: Language,
) -> Result<(Document, jobs::IngestMessage), DocumentError> {
    let row = sqlx::query_as!(
        DocumentRow,
        r#"
        update documents
        set status = 'pending', error_code = null, error = null, pages_total = null, pages_done = 0, chars = null,
            pages_unread = '{}'
        where customer_id = $1 and id = $2 and status = 'failed'
        returning id, filename, status, upload_date, bytes, pages_total, pages_done, pages_unread, error_code, sha256, replaces, format
        "#,
        tx.tenant(),
        id
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else {
        // The lookup tells an unknown document from one that has not failed.
        return get(tx, id, language).await.and(Err(DocumentError::NotFailed));
    };
    let job_id = sqlx::query_scalar!(
        r#"
        with stale as (
            delete from document_chunks where customer_id = $1 and document_id = $2
        ), unread as (
            update document_pages set attempts = 0, claimed_until = null
            where customer_id = $1 and document_id = $2 and text is null
        ), earlier as (
            delete from ingest_slots where customer_id = $1 and document_id = $2
        )
        insert into jobs (customer_id, kind, payload)
        values ($1, 'ingest', jsonb_build_object('document_id', $2::uuid))
        on conflict ((payload ->> 'document_id')) where kind = 'ingest'
        do update set status = 'queued', attempts = 0, run_after = now() + interval '5 minutes', updated_at = now()
        returning id
        "#,
        tx.tenant(),
        id
    )
    .fetch_one(&mut *tx)
    .await?;
    let message = jobs::IngestMessage { job_id, customer_id: tx.tenant(), document_id: id };
    Ok((row.into_document(language), message))
}
