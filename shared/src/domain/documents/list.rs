//! List of a tenant's documents. Each of the four sort orders has its own statement, checked at compile time, and its
//! own index: no column name is inserted into SQL at run time.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Document, document::DocumentRow};
use crate::{
    db::TenantTx,
    error::ApiError,
    paging::{List, Listing, Paging, list_page},
    text::Language,
};

/// Sort orders and status filters of the document list.
#[derive(Debug)]
pub struct DocumentListing;

impl Listing for DocumentListing {
    const NAME: &'static str = "documents";
    const SORTS: &'static [&'static str] = &["upload_date", "filename"];
    const CREATED_AT: &'static str = "upload_date";
    const STATUSES: &'static [&'static str] = &["pending", "processed", "failed"];
}

/// Returns one page of the tenant's documents.
///
/// # Errors
/// Returns 422 for a cursor of the wrong form, and any database error.
pub async fn list(tx: &mut TenantTx, paging: &Paging, language: Language) -> Result<List<Document>, ApiError> {
    let page: Result<List<DocumentRow>, ApiError> = list_page!(tx, paging, DocumentRow {
        select: "id, filename, status, upload_date, bytes, pages_total, pages_done, pages_unread, error_code, sha256, replaces, format",
        from: "documents where customer_id = $1 and ($2::text is null or status = $2)",
        bind: [paging.status],
        order: [
            "upload_date": "upload_date" "timestamptz" DateTime<Utc> = upload_date,
            "filename": "filename" "text" String = filename,
        ],
        id: "id" "uuid" Uuid = id,
    });
    page.map(|page| page.map(|row| row.into_document(language)))
}

/// A document with pages that were not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct UnreadPages {
    /// Identifier of the document.
    pub document_id: Uuid,
    /// File name given at the upload.
    pub filename: String,
    /// Pages whose text was not read or not read whole, in ascending order.
    pub pages: Vec<i32>,
}

/// Returns the newest twenty of the tenant's processed documents with pages that were not read; of these documents
/// when `among` names some.
///
/// # Errors
/// Returns any database error.
pub async fn unread_pages(tx: &mut TenantTx, among: Option<&[Uuid]>) -> sqlx::Result<Vec<UnreadPages>> {
    sqlx::query_as!(
        UnreadPages,
        r#"
        select id as document_id, filename, pages_unread as pages
        from documents
        where customer_id = $1 and status = 'processed' and cardinality(pages_unread) > 0
          and ($2::uuid[] is null or id = any ($2))
        order by upload_date desc, id desc
        limit 20
        "#,
        tx.tenant(),
        among
    )
    .fetch_all(tx)
    .await
}
