//! One document as its tenant sees it: read by its id, or from a snapshot of its row.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{DocumentError, DocumentFailure, DocumentStatus};
use crate::{db::TenantTx, files::FileFormat, text::Language};

/// A document as shown to its tenant.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0b9f2c34-5a1f-4a57-9a43-2f6e6f0f6f01", "filename": "guide-livraison.pdf", "format": "pdf",
    "status": "processed", "upload_date": "2026-11-23T09:30:06Z", "bytes": 5120, "pages_total": 2, "pages_done": 2, "pages_unread": [], "warning": null,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "error_code": null, "error": null, "replaces": [],
}))]
pub struct Document {
    /// Identifier of the document.
    pub id: Uuid,
    /// File name given at the upload.
    pub filename: String,
    /// Format of the file: `pdf`, `docx`, `xlsx`, `csv`, `txt`, `md` or `html`.
    pub format: String,
    /// Processing status.
    pub status: DocumentStatus,
    /// Time of the announcement, before the file arrived.
    pub upload_date: DateTime<Utc>,
    /// Size of the file, in bytes.
    pub bytes: i64,
    /// Number of pages; null until the file has been opened. A file without pages has the number of its parts: sheets, or
    /// texts under one heading.
    pub pages_total: Option<i32>,
    /// Number of pages processed so far: indexed, or, for scanned pages, read. Grows during processing.
    pub pages_done: i32,
    /// Pages whose text was not read or not read whole, in ascending order: scanned pages, and pages in fonts without a
    /// meaning. Answers know nothing of them. Empty until the document is processed.
    pub pages_unread: Vec<i32>,
    /// Warning about the unread pages and advice, in the caller's language; null when there are none.
    pub warning: Option<String>,
    /// Reason of the failure; null unless the status is `failed`.
    pub error_code: Option<DocumentFailure>,
    /// Explanation of the failure and advice, in the caller's language.
    pub error: Option<Cow<'static, str>>,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: Option<String>,
    /// Documents that this one replaces: they are deleted in the moment in which it is processed. Those that were
    /// deleted stay in the list.
    pub replaces: Vec<Uuid>,
}

/// Returns one document of the tenant.
///
/// # Errors
/// Returns [`DocumentError::NotFound`], or any database error.
pub async fn get(tx: &mut TenantTx, id: Uuid, language: Language) -> Result<Document, DocumentError> {
    let row = sqlx::query_as!(
        DocumentRow,
        r#"
        select id, filename, status, upload_date, bytes, pages_total, pages_done, pages_unread, error_code, sha256, replaces, format
        from documents
        where customer_id = $1 and id = $2
        "#,
        tx.tenant(),
        id
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.ok_or(DocumentError::NotFound)?.into_document(language))
}

/// A row of `documents`, as the queries of documents select it.
#[derive(Serialize)]
pub(super) struct DocumentRow {
    pub(super) id: Uuid,
    pub(super) filename: String,
    pub(super) status: String,
    pub(super) upload_date: DateTime<Utc>,
    pub(super) bytes: i64,
    pub(super) pages_total: Option<i32>,
    pub(super) pages_done: i32,
    pub(super) pages_unread: Vec<i32>,
    pub(super) error_code: Option<String>,
    pub(super) sha256: Option<Vec<u8>>,
    pub(super) replaces: Vec<Uuid>,
    pub(super) format: Option<String>,
}

impl DocumentRow {
    /// Returns the document as its tenant sees it, with its texts in `language`.
    pub(super) fn into_document(self, language: Language) -> Document {
        let failure = self.error_code.as_deref().and_then(DocumentFailure::from_code);
        Document {
            id: self.id,
            filename: self.filename,
            format: self.format.unwrap_or_else(|| FileFormat::Pdf.as_str().to_owned()),
            status: DocumentStatus::from_column(&self.status),
            upload_date: self.upload_date,
            bytes: self.bytes,
            pages_total: self.pages_total,
            pages_done: self.pages_done,
            warning: unread_warning(&self.pages_unread, language),
            pages_unread: self.pages_unread,
            error_code: failure,
            error: failure.map(|failure| failure.reason(language)),
            sha256: self.sha256.map(hex::encode),
            replaces: self.replaces,
        }
    }
}

/// A row of `documents`, as the SQL function `app.on_webhook_document` stores it.
#[derive(Deserialize)]
struct DocumentSnapshot {
    id: Uuid,
    filename: String,
    status: String,
    upload_date: DateTime<Utc>,
    bytes: i64,
    pages_total: Option<i32>,
    pages_done: i32,
    pages_unread: Vec<i32>,
    error_code: Option<String>,
    /// In hexadecimal.
    sha256: Option<String>,
    replaces: Vec<Uuid>,
    format: Option<String>,
    /// The company's language.
    language: Option<String>,
}

/// Returns the document of a snapshot of its row, with its texts in the company's language.
///
/// # Errors
/// The snapshot does not have the fields of a document.
pub fn from_snapshot(snapshot: &serde_json::Value) -> serde_json::Result<Document> {
    let snapshot = DocumentSnapshot::deserialize(snapshot)?;
    let language = Language::from_code(snapshot.language.as_deref().unwrap_or_default());
    let document = DocumentRow {
        id: snapshot.id,
        filename: snapshot.filename,
        status: snapshot.status,
        upload_date: snapshot.upload_date,
        bytes: snapshot.bytes,
        pages_total: snapshot.pages_total,
        pages_done: snapshot.pages_done,
        pages_unread: snapshot.pages_unread,
        error_code: snapshot.error_code,
        sha256: None,
        replaces: snapshot.replaces,
        format: snapshot.format,
    };
    Ok(Document { sha256: snapshot.sha256, ..document.into_document(language) })
}

/// Returns the warning about pages that were not read: in French, or in English for any other language.
fn unread_warning(pages: &[i32], language: Language) -> Option<String> {
    let list = pages.iter().map(i32::to_string).collect::<Vec<_>>().join(", ");
    let warning = match (pages.len(), language) {
        (0, _) => return None,
        (1, Language::French) => format!(
            "La page {list} n'a pas été lue en entier. Passez-la à la reconnaissance de texte (OCR) et renvoyez le fichier."
        ),
        (_, Language::French) => format!(
            "Les pages {list} n'ont pas été lues en entier. Passez-les à la reconnaissance de texte (OCR) et renvoyez le fichier."
        ),
        (1, _) => {
            format!("Page {list} was not read whole. Run text recognition (OCR) on it and upload the file again.")
        }
        _ => format!("Pages {list} were not read whole. Run text recognition (OCR) on them and upload the file again."),
    };
    Some(warning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_names_the_unread_pages() {
        assert_eq!(unread_warning(&[], Language::French), None);
        assert!(unread_warning(&[2], Language::French).unwrap().starts_with("La page 2 n'a pas été lue"));
        assert!(unread_warning(&[2, 5], Language::English).unwrap().starts_with("Pages 2, 5 were not read"));
    }
}
