//! List of a tenant's documents. Each of the four sort orders has its own statement, checked at compile time, and its
//! own index: no column name is inserted into SQL at run time.

use chrono::{DateTime, Utc};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::{Document, DocumentRow};
use crate::{
    db::TenantTx,
    error::ApiError,
    paging::{List, Listing, MAX_COUNTED_ROWS, Paging},
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

/// Fetches one page in one sort order, given by the column, its type, the comparison that continues after the
/// cursor's row, and the direction.
macro_rules! fetch {
    ($tx:expr, $paging:expr, $after:expr, $column:tt, $type:tt, $beyond:tt, $direction:tt) => {{
        let (value, id) = $after.unzip();
        sqlx::query_as!(
            DocumentRow,
            "select id, filename, status, upload_date, bytes, pages_total, pages_done, error_code, sha256
             from documents
             where customer_id = $1 and ($2::text is null or status = $2)
               and ($3::"
                + $type
                + " is null or ("
                + $column
                + ", id) "
                + $beyond
                + " ($3, $4::uuid))
             order by "
                + $column
                + " "
                + $direction
                + ", id "
                + $direction
                + "
             limit $5 offset $6",
            $tx.tenant(),
            $paging.status,
            value,
            id,
            $paging.rows_to_fetch(),
            $paging.offset
        )
        .fetch_all(&mut *$tx)
        .await
        .map_err(|error| $paging.query_error(error))?
    }};
}

/// Returns one page of the tenant's documents.
///
/// # Errors
/// Returns 422 for a cursor of the wrong form, and any database error.
pub async fn list(tx: &mut TenantTx, paging: &Paging, language: Language) -> Result<List<Document>, ApiError> {
    let rows = match (paging.sort, paging.descending) {
        ("filename", true) => fetch!(tx, paging, after::<String>(paging)?, "filename", "text", "<", "desc"),
        ("filename", false) => fetch!(tx, paging, after::<String>(paging)?, "filename", "text", ">", "asc"),
        (_, true) => fetch!(tx, paging, after::<DateTime<Utc>>(paging)?, "upload_date", "timestamptz", "<", "desc"),
        (_, false) => fetch!(tx, paging, after::<DateTime<Utc>>(paging)?, "upload_date", "timestamptz", ">", "asc"),
    };
    let counted = sqlx::query_scalar!(
        r#"
        select count(*) as "count!" from (
            select from documents where customer_id = $1 and ($2::text is null or status = $2) limit $3
        ) counted
        "#,
        tx.tenant(),
        paging.status,
        MAX_COUNTED_ROWS + 1
    )
    .fetch_one(tx)
    .await?;
    let documents = rows.into_iter().map(|row| row.into_document(language)).collect();
    let by_name = paging.sort == "filename";
    paging.page(documents, counted, |last: &Document| {
        if by_name { cursor_value(&last.filename, last.id) } else { cursor_value(last.upload_date, last.id) }
    })
}

fn after<T: DeserializeOwned>(paging: &Paging) -> Result<Option<(T, Uuid)>, ApiError> {
    paging.after()
}

fn cursor_value(value: impl Serialize, id: Uuid) -> serde_json::Value {
    serde_json::json!([value, id])
}
