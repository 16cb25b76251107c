//! Versions: documents of one name, of which the newest goes first, and documents that replace older ones.
//!
//! A replacement takes effect in the transaction that finishes the new document. Until then, and when the new document
//! fails, the old one stays. Of several documents that replace the same one, each replaces its forerunners.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Document, DocumentError, DocumentStatus, StoredObject, names::lock_versions};
use crate::{db::TenantTx, golden_questions, text::Language};

/// Maximum number of same-named documents that are listed.
const MAX_SAME_NAME: i64 = 20;

/// A document of the same name that stands beside another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SameName {
    /// Identifier of the document, for `replaces`.
    pub id: Uuid,
    /// File name given at the upload.
    pub filename: String,
    /// `pending` or `processed`.
    pub status: DocumentStatus,
    /// Time of the announcement.
    pub upload_date: DateTime<Utc>,
}

/// Returns the tenant's other documents with the name of this one, the newest twenty. Leaves out failed ones, and those
/// that the document replaces.
///
/// # Errors
/// Returns any database error.
pub async fn same_name(tx: &mut TenantTx, document: Uuid) -> sqlx::Result<Vec<SameName>> {
    let rows = sqlx::query!(
        r#"
        select other.id, other.filename, other.status, other.upload_date
        from documents document
        join documents other on other.customer_id = document.customer_id and other.name_key = document.name_key
        where document.customer_id = $1 and document.id = $2 and other.id <> document.id and other.status <> 'failed'
          and not (other.id = any (document.replaces))
        order by other.upload_date desc, other.id desc
        limit $3
        "#,
        tx.tenant(),
        document,
        MAX_SAME_NAME
    )
    .fetch_all(tx)
    .await?;
    let same = rows.into_iter().map(|row| SameName {
        id: row.id,
        filename: row.filename,
        status: DocumentStatus::from_column(&row.status),
        upload_date: row.upload_date,
    });
    Ok(same.collect())
}

/// Lets a document replace an older one: at once when it is processed, otherwise when it will be. Repeating the call
/// changes nothing. Returns the document, and the files of documents that were deleted by it.
///
/// # Errors
/// Returns [`DocumentError::NotFound`] when either document is not there, [`DocumentError::NotOlder`], or any database
/// error.
pub async fn replace(
    tx: &mut TenantTx,
    document: Uuid,
    replaced: Uuid,
    language: Language,
) -> Result<(Document, Vec<StoredObject>), DocumentError> {
    lock_versions(tx).await?;
    let updated = sqlx::query_scalar!(
        r#"
        update documents set replaces = replaces || $3::uuid
        where customer_id = $1 and id = $2 and not ($3 = any (replaces))
          and exists (
              select from documents older
              where older.customer_id = $1 and older.id = $3
                and (older.upload_date, older.id) < (documents.upload_date, documents.id)
          )
        returning status
        "#,
        tx.tenant(),
        document,
        replaced
    )
    .fetch_optional(&mut *tx)
    .await?;
    let objects = match updated.as_deref() {
        Some("processed") => delete_replaced(tx, document).await?,
        Some(_) => Vec::new(),
        None => {
            let standing = super::get(tx, document, language).await?;
            if !standing.replaces.contains(&replaced) {
                // The lookup tells an unknown document from one that is not older.
                super::get(tx, replaced, language).await?;
                return Err(DocumentError::NotOlder);
            }
            return Ok((standing, Vec::new()));
        }
    };
    Ok((super::get(tx, document, language).await?, objects))
}

/// Deletes the documents that a processed document replaces, and lets the tenant's other unfinished documents that
/// replace one of them replace this one. Needs [`lock_versions`]. Returns the files.
///
/// # Errors
/// Returns any database error.
pub(super) async fn delete_replaced(tx: &mut TenantTx, document: Uuid) -> sqlx::Result<Vec<StoredObject>> {
    let replaced = sqlx::query_scalar!(
        r#"
        select older.id
        from documents document join documents older on older.id = any (document.replaces)
        where document.customer_id = $1 and document.id = $2 and older.customer_id = $1
        order by older.id
        "#,
        tx.tenant(),
        document
    )
    .fetch_all(&mut *tx)
    .await?;
    let mut objects = Vec::with_capacity(replaced.len());
    for older in replaced {
        // Before the deletion, which would delete the questions too.
        golden_questions::expect_newer_document(tx, older, document).await?;
        match super::delete(tx, older).await {
            Ok(object) => objects.push(object),
            // Deleted by its owner since the statement above.
            Err(DocumentError::NotFound | DocumentError::NotFailed | DocumentError::NotOlder) => {}
            Err(DocumentError::Database(error)) => return Err(error),
        }
        sqlx::query!(
            r#"
            update documents newer set replaces = newer.replaces || document.id
            from documents document
            where newer.customer_id = $1 and document.customer_id = $1 and document.id = $2
              and newer.status <> 'processed' and $3 = any (newer.replaces)
              and not (document.id = any (newer.replaces))
              and (document.upload_date, document.id) < (newer.upload_date, newer.id)
            "#,
            tx.tenant(),
            document,
            older
        )
        .execute(&mut *tx)
        .await?;
    }
    Ok(objects)
}
