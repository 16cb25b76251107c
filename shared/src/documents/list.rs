//! The list of documents. Four orders, four statements: an order is part of the SQL that is checked, never a text that
//! is put into it, and each has its index.

use chrono::{DateTime, Utc};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::{Document, Row};
use crate::{
    db::TenantTx,
    error::ApiError,
    paging::{COUNTED_EXACTLY, List, Listing, Paging},
    text::Language,
};

/// The orders and states of the list.
#[derive(Debug)]
pub struct DocumentListing;

impl Listing for DocumentListing {
    const SORTS: &'static [&'static str] = &["upload_date", "filename"];
    const CREATED_AT: &'static str = "upload_date";
    const STATUSES: &'static [&'static str] = &["pending", "processed", "failed"];
}

/// One order: the column, the comparison that continues after a row, and the direction.
macro_rules! fetch {
    ($tx:expr, $paging:expr, $after:expr, $column:tt, $type:tt, $beyond:tt, $direction:tt) => {{
        let (value, id) = $after.unzip();
        sqlx::query_as!(
            Row,
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
            $paging.fetched(),
            $paging.offset
        )
        .fetch_all(&mut *$tx)
        .await
        .map_err(|error| $paging.failed(error))?
    }};
}

/// A page of the tenant's documents.
///
/// # Errors
/// 422 for a cursor that was tampered with; the database's.
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
        COUNTED_EXACTLY + 1
    )
    .fetch_one(tx)
    .await?;
    let documents = rows.into_iter().map(|row| row.shown_in(language)).collect();
    let by_name = paging.sort == "filename";
    paging.page(documents, counted, |last: &Document| {
        if by_name { place(&last.filename, last.id) } else { place(last.upload_date, last.id) }
    })
}

fn after<T: DeserializeOwned>(paging: &Paging) -> Result<Option<(T, Uuid)>, ApiError> {
    paging.after()
}

fn place(value: impl Serialize, id: Uuid) -> serde_json::Value {
    serde_json::json!([value, id])
}
