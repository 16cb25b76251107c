//! Contents of a document as a person looks at them: its file, and the text that was read from one page.

use chrono::{DateTime, Utc};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::DocumentError;
use crate::{db::TenantTx, files::FileFormat};

/// The stored file of a document.
#[derive(Debug)]
pub struct StoredFile {
    /// Storage key of the file.
    pub storage_key: String,
    /// Content type with which the file is sent. Markup is sent as plain text: no browser may run it.
    pub content_type: &'static str,
    /// Value of the header `Content-Disposition`: a PDF is shown, other files are saved under their names.
    pub disposition: String,
}

/// Finds the stored file of one document of the tenant. The file may not have arrived yet.
///
/// # Errors
/// Returns [`DocumentError::NotFound`], or any database error.
pub async fn stored_file(tx: &mut TenantTx, id: Uuid) -> Result<StoredFile, DocumentError> {
    let row = sqlx::query!(
        "select storage_key, filename, format from documents where customer_id = $1 and id = $2",
        tx.tenant(),
        id
    )
    .fetch_optional(tx)
    .await?
    .ok_or(DocumentError::NotFound)?;
    let format = row.format.as_deref().and_then(FileFormat::from_name).unwrap_or(FileFormat::Pdf);
    let disposition = match format {
        FileFormat::Pdf => "inline".to_owned(),
        _ => format!("attachment; filename*=UTF-8''{}", utf8_percent_encode(&row.filename, NON_ALPHANUMERIC)),
    };
    let content_type = match format {
        FileFormat::Html | FileFormat::Markdown | FileFormat::Csv | FileFormat::Text => "text/plain; charset=utf-8",
        FileFormat::Pdf | FileFormat::Docx | FileFormat::Xlsx => format.content_type(),
    };
    Ok(StoredFile { storage_key: row.storage_key, content_type, disposition })
}

/// A link to the file of a document.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "url": "https://lisa-documents.s3.eu-west-1.amazonaws.com/tenants/…?X-Amz-Expires=300&…",
    "expires_at": "2026-11-29T10:05:00Z",
}))]
pub struct FileLink {
    /// Address of the file, valid without a token. Whoever has the address reads the file until it expires.
    pub url: String,
    /// End of the link's validity.
    pub expires_at: DateTime<Utc>,
}

/// Reader of a page's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PageReader {
    /// The text is in the file.
    File,
    /// Text recognition (OCR) read an image.
    Ocr,
    /// A language model read an image.
    Model,
}

/// Text that was read from one page of a document, as answers know it.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(example = json!({
    "page": 2, "reader": "file", "confidence": null, "is_complete": true,
    "passages": ["Livraison à Abidjan sous 48 heures, 2 000 FCFA."],
}))]
pub struct PageText {
    /// Page number, from 1. For a file without pages, the number of its part.
    pub page: i32,
    /// Reader of the page.
    pub reader: PageReader,
    /// Confidence of text recognition, from 0 to 1; null where it did not read the page.
    pub confidence: Option<f32>,
    /// False when the page was not read, or not whole: answers do not know the rest.
    pub is_complete: bool,
    /// Passages in which the page is indexed, in the order of the file. One may begin on the page before or end on the
    /// next. Empty until the page is processed, and for a page without text.
    pub passages: Vec<String>,
}

/// Most passages that are shown of one page. A page of the densest table has some dozens.
const MAX_PASSAGES: i64 = 500;

/// Returns the text that was read from one page.
///
/// # Errors
/// Returns [`DocumentError::NotFound`] when the document or the page is not there, and any database error.
pub async fn page_text(tx: &mut TenantTx, id: Uuid, page: i32) -> Result<PageText, DocumentError> {
    let row = sqlx::query!(
        r#"
        select confidence, (scan.text is not null) as "is_scan!", $3 <> all (pages_unread) as "is_complete!",
            array(
                select text_chunk from document_chunks
                where customer_id = $1 and document_id = $2 and page_start <= $3 and page_end >= $3
                order by chunk_index
                limit $4
            ) as "passages!"
        from documents
            left join document_pages scan
                on scan.customer_id = $1 and scan.document_id = documents.id and scan.page = $3
        where documents.customer_id = $1 and documents.id = $2 and $3 between 1 and pages_total
        "#,
        tx.tenant(),
        id,
        page,
        MAX_PASSAGES
    )
    .fetch_optional(tx)
    .await?
    .ok_or(DocumentError::NotFound)?;
    let reader = match (row.is_scan, row.confidence) {
        (false, _) => PageReader::File,
        (true, Some(_)) => PageReader::Ocr,
        (true, None) => PageReader::Model,
    };
    Ok(PageText { page, reader, confidence: row.confidence, is_complete: row.is_complete, passages: row.passages })
}
