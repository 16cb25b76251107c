//! Announcements of documents, before their files are uploaded, and the lookup of a document that holds the announced
//! bytes already.

use std::time::Duration;

use uuid::Uuid;

use super::{
    Document, DocumentError, Filename,
    document::{DocumentRow, get},
    names,
};
use crate::{
    db::TenantTx,
    error::ApiError,
    files::FileFormat,
    periods::{self, StorageLimitError},
    storage,
    text::Language,
};

/// Validity of a presigned upload URL. An upload that began in time may end later, so what the URL may still bring is
/// waited for until an hour after the announcement.
pub const UPLOAD_URL_LIFETIME: Duration = Duration::from_secs(15 * 60);

/// A document to be announced.
#[derive(Debug)]
pub struct NewDocument {
    /// File name shown to the tenant.
    pub filename: Filename,
    /// Format that the name says.
    pub format: FileFormat,
    /// Size of the file, in bytes.
    pub bytes: i64,
    /// SHA-256 of the file; `None` when the client sent none.
    pub sha256: Option<[u8; 32]>,
    /// Older document of the tenant that this one replaces once it is processed.
    pub replaces: Option<Uuid>,
}

/// An announced document and the storage key for its file.
#[derive(Debug)]
pub struct PendingUpload {
    /// The announced document, in the status `pending`.
    pub document: Document,
    /// Storage key of the file.
    pub storage_key: String,
}

/// Error of an announcement.
#[derive(Debug, thiserror::Error)]
pub enum AnnounceError {
    /// The tenant's plan has no storage left for the file, or a database error.
    #[error(transparent)]
    Storage(#[from] StorageLimitError),
    /// The document to be replaced is not there, or a database error.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

impl From<sqlx::Error> for AnnounceError {
    fn from(error: sqlx::Error) -> Self {
        Self::Document(error.into())
    }
}

impl From<AnnounceError> for ApiError {
    fn from(error: AnnounceError) -> Self {
        match error {
            AnnounceError::Storage(error) => error.into(),
            AnnounceError::Document(error) => error.into(),
        }
    }
}

/// Announces a document: inserts its row, and the job by which maintenance recovers a lost upload or a lost bucket
/// event.
///
/// # Errors
/// Returns an error when the tenant's plan has no storage left for the file, or the document to be replaced is not
/// there, and any database error.
pub async fn announce(tx: &mut TenantTx, new: NewDocument, language: Language) -> Result<PendingUpload, AnnounceError> {
    if let Some(replaced) = new.replaces {
        // Before the lookup: another document may replace the same one now.
        names::lock_versions(tx).await?;
        get(tx, replaced, language).await?;
    }
    periods::check_storage_limit(tx, new.bytes).await?;
    let id = Uuid::now_v7();
    let storage_key = storage::document_key(tx.tenant(), id);
    let row = sqlx::query_as!(
        DocumentRow,
        r#"
        with document as (
            insert into documents (id, customer_id, company_id, filename, bytes, sha256, storage_key, name_key, replaces, format)
            values ($1, $2, app.current_company(), $3, $4, $5, $6, $7, array_remove(array[$8::uuid], null), $9)
            returning id, filename, status, upload_date, bytes, pages_total, pages_done, pages_unread, error_code, sha256, replaces, format
        ), job as (
            insert into jobs (customer_id, kind, payload, run_after)
            select $2, 'ingest', jsonb_build_object('document_id', id), now() + interval '5 minutes' from document
        )
        select * from document
        "#,
        id,
        tx.tenant(),
        new.filename.0,
        new.bytes,
        new.sha256.as_ref().map(<[u8; 32]>::as_slice),
        storage_key,
        names::name_key(&new.filename.0),
        new.replaces,
        new.format.as_str()
    )
    .fetch_one(tx)
    .await?;
    Ok(PendingUpload { document: row.into_document(language), storage_key })
}

/// Finds a processed document of the tenant with the bytes of `new`, so that nothing needs to be uploaded. A document
/// of the same name that has a newer version does not count, since whoever uploads it again wants it to be the newest;
/// nor does one that is older than the document that `new` replaces.
///
/// # Errors
/// Returns any database error.
pub async fn find_processed(
    tx: &mut TenantTx,
    new: &NewDocument,
    language: Language,
) -> sqlx::Result<Option<Document>> {
    let Some(sha256) = &new.sha256 else { return Ok(None) };
    let row = sqlx::query_as!(
        DocumentRow,
        r#"
        select id, filename, status, upload_date, bytes, pages_total, pages_done, pages_unread, error_code, sha256, replaces, format
        from documents
        where customer_id = $1 and sha256 = $2 and status = 'processed'
          and not exists (
              select from documents newer
              where newer.customer_id = $1 and newer.name_key = $3 and newer.status <> 'failed'
                and documents.name_key = $3 and newer.sha256 is distinct from documents.sha256
                and (newer.upload_date, newer.id) > (documents.upload_date, documents.id)
          )
          and not exists (
              select from documents replaced
              where replaced.customer_id = $1 and replaced.id = $4
                and (replaced.upload_date, replaced.id) > (documents.upload_date, documents.id)
          )
        order by upload_date
        limit 1
        "#,
        tx.tenant(),
        sha256.as_slice(),
        names::name_key(&new.filename.0),
        new.replaces
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|row| row.into_document(language)))
}
