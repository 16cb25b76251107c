//! List of a tenant's documents. Each of the four sort orders has its own statement, checked at compile time, and its
//! own index: no column name is inserted into SQL at run time.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Document, DocumentRow};
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
        select: "id, filename, status, upload_date, bytes, pages_total, pages_done, error_code, sha256",
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
