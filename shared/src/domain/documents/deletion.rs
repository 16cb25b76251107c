//! Deletion of documents, and of their files, which storage holds apart from the rows.

use uuid::Uuid;

use super::DocumentError;
use crate::{
    db::{Db, TenantTx},
    error::ApiError,
    jobs, logging,
    storage::Storage,
};

/// A stored file whose document was deleted, with the job that deletes the file.
#[derive(Debug)]
pub struct StoredObject {
    /// Job to be told after the file was deleted, by [`jobs::object_was_deleted`].
    pub job: Uuid,
    /// Storage key of the file.
    pub storage_key: String,
}

/// Deletes a document with its chunks, and inserts the job that deletes its file. While the document's upload URL may
/// still bring a file, the job deletes the file again.
///
/// # Errors
/// Returns [`DocumentError::NotFound`], or any database error.
pub async fn delete(tx: &mut TenantTx, id: Uuid) -> Result<StoredObject, DocumentError> {
    let gone = sqlx::query!(
        r#"
        with gone as (
            delete from documents where customer_id = $1 and id = $2
            returning id, storage_key, upload_date + interval '1 hour' as upload_ends_at
        ), ended as (
            update jobs set status = 'done', updated_at = now()
            from gone
            where jobs.customer_id = $1 and kind = 'ingest' and payload ->> 'document_id' = gone.id::text
        )
        select storage_key, upload_ends_at as "upload_ends_at!" from gone
        "#,
        tx.tenant(),
        id
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or(DocumentError::NotFound)?;
    let job = jobs::enqueue_object_deletion(tx, &gone.storage_key, gone.upload_ends_at).await?;
    Ok(StoredObject { job, storage_key: gone.storage_key })
}

/// Deletes the files of deleted documents now. Maintenance deletes, by the job, a file that storage does not delete now.
///
/// # Errors
/// Returns any database error.
pub async fn delete_files(db: &Db, storage: &Storage, tenant: Uuid, objects: &[StoredObject]) -> Result<(), ApiError> {
    for object in objects {
        match storage.delete(&object.storage_key).await {
            // The file is deleted once more by the job, when the upload URL can bring nothing any more.
            Ok(()) => db.tenant_tx(tenant, async |tx| Ok(jobs::object_was_deleted(tx, object.job).await?)).await?,
            Err(error) => tracing::warn!(error = logging::chain(&error), "the file is left to maintenance"),
        }
    }
    Ok(())
}
