//! Limits of the plan on the text of documents: chunks of one document, characters of all.

use uuid::Uuid;

use super::DocumentFailure;
use crate::db::{SystemTx, TenantTx};

/// Reason why a document's text is refused, with a detail for the log.
#[derive(Debug)]
pub struct TextRefusal {
    /// Code of the failed document.
    pub failure: DocumentFailure,
    /// The limit and the present numbers.
    pub detail: String,
}

/// Counts a document's text of `chunks` chunks and `chars` characters, unless a limit of the tenant's plan forbids it.
/// The tenant's other documents wait until the end of the transaction, so that two of them cannot share one rest.
///
/// # Errors
/// Returns any database error.
pub async fn count_text(
    tx: &mut TenantTx,
    document: Uuid,
    chunks: i64,
    chars: i64,
) -> sqlx::Result<Result<(), TextRefusal>> {
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended($1::uuid::text, 29))", tx.tenant())
        .execute(&mut *tx)
        .await?;
    let plan = sqlx::query!(
        r#"
        select plan.name, plan.max_document_chunks, plan.max_text_chars, (
            select coalesce(sum(chars), 0)::bigint from documents
            where customer_id = $1 and id <> $2 and status <> 'failed'
              -- Deleted when this one is processed.
              and not exists (select from documents newer where newer.id = $2 and documents.id = any (newer.replaces))
        ) as "used!"
        from customers tenant join plans plan on plan.id = tenant.plan_id
        where tenant.id = $1
        "#,
        tx.tenant(),
        document
    )
    .fetch_one(&mut *tx)
    .await?;
    if chunks > plan.max_document_chunks.into() {
        let (name, limit) = (plan.name, plan.max_document_chunks);
        let detail = format!("{chunks} chunks; the plan {name} has {limit} for a document");
        return Ok(Err(TextRefusal { failure: DocumentFailure::TooMuchText, detail }));
    }
    if plan.used.saturating_add(chars) > plan.max_text_chars {
        let (name, used, limit) = (plan.name, plan.used, plan.max_text_chars);
        let detail = format!("{chars} characters beside {used}; the plan {name} has {limit} for all documents");
        return Ok(Err(TextRefusal { failure: DocumentFailure::TextLimitReached, detail }));
    }
    sqlx::query!(
        "update documents set chars = $3 where customer_id = $1 and id = $2 and status = 'pending'",
        tx.tenant(),
        document,
        chars
    )
    .execute(tx)
    .await?;
    Ok(Ok(()))
}

/// Counts the text of at most `limit` documents that were processed before texts were counted. Returns their number.
///
/// # Errors
/// Returns any database error.
pub async fn count_missing_texts(tx: &mut SystemTx, limit: i64) -> sqlx::Result<u64> {
    sqlx::query!(
        r#"
        update documents set chars = (
            select coalesce(sum(length(text_chunk)), 0) from document_chunks where document_id = documents.id
        )
        where id in (select id from documents where chars is null and status = 'processed' limit $1)
        "#,
        limit
    )
    .execute(tx)
    .await
    .map(|done| done.rows_affected())
}
