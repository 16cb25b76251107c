//! Tenants' documents, from the upload to the last chunk. Owns the tables `documents`, `document_chunks`,
//! `document_pages` and `ingest_slots`.
//!
//! SQL functions: `app.takes_room`, and `app.word_keys` in an index. Trigger: `documents_bytes` on `documents`
//! (`app.count_bytes`), which counts into `usage_periods`.

mod contents;
mod ingestion;
mod list;
mod names;
mod scans;
mod slots;
mod text_limits;
mod versions;

use std::{borrow::Cow, time::Duration};

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

pub use contents::{FileLink, PageReader, PageText, StoredFile, page_text, stored_file};
pub use ingestion::{
    IngestState, NewChunk, PendingDocument, StoreOutcome, begin, fail, find_pending, finish, mark_failed,
    record_page_count, store_chunks,
};
pub use list::{DocumentListing, UnreadPages, list, unread_pages};
pub use names::fill_name_keys;
pub use scans::{
    PageClaim, PageTranscript, ScanCost, claim_page, page_transcripts, release_page, scan_cost, store_page,
};
pub use slots::{
    SlotClaim, SlotRequest, claim_slot, keep_slot, lock_slots, read_slots_per_tenant, release_slot, remove_ended_slots,
    take_all_turns,
};
pub use text_limits::{TextRefusal, count_missing_texts, count_text};
pub use versions::{SameName, replace, same_name};

use crate::{
    db::{Db, TenantTx},
    error::{ApiError, MAX_UPLOAD_MIB},
    files::{FileFormat, MAX_COLUMNS, MAX_ROWS, UnreadableKind},
    input, jobs, logging,
    pdf::MAX_PAGES,
    periods::{self, StorageLimitError},
    storage::{self, Storage},
    text::Language,
};

/// Maximum size of a document's file, in MiB.
pub const MAX_MIB: usize = MAX_UPLOAD_MIB;
/// Maximum size of a document's file, in bytes.
pub const MAX_BYTES: usize = MAX_MIB * 1024 * 1024;
/// Maximum length of a file name, in characters.
pub const MAX_FILENAME_CHARS: usize = 255;
/// Validity of a presigned upload URL. An upload that began in time may end later, so what the URL may still bring is
/// waited for until an hour after the announcement.
pub const UPLOAD_URL_LIFETIME: Duration = Duration::from_secs(15 * 60);

/// File name of 1 to 255 characters, without a path.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 255, example = "guide.pdf")]
pub struct Filename(String);

impl TryFrom<String> for Filename {
    type Error = input::UnusableText;

    fn try_from(name: String) -> Result<Self, input::UnusableText> {
        // Some browsers send the full path of the file.
        let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
        let name = input::one_line(name, 1, MAX_FILENAME_CHARS)?;
        // `.` and `..` are folders, and would end the path of a file that somebody stores by its name.
        if name.chars().all(|letter| letter == '.') { Err(input::UnusableText::OnlyDots) } else { Ok(Self(name)) }
    }
}

impl Filename {
    /// Returns the format that the name says.
    ///
    /// # Errors
    /// Returns the advice for kinds of files that are not read.
    pub fn format(&self) -> Result<FileFormat, UnreadableKind> {
        FileFormat::of_filename(&self.0)
    }
}

/// Processing status of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DocumentStatus {
    /// Waiting for the upload, or being processed.
    Pending,
    /// Indexed: answers can cite the document.
    Processed,
    /// Processing failed; `error_code` holds the reason.
    Failed,
}

impl DocumentStatus {
    fn from_column(text: &str) -> Self {
        match text {
            "processed" => Self::Processed,
            "failed" => Self::Failed,
            _ => Self::Pending,
        }
    }
}

/// Reason why a document could not be processed. A person can act on each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DocumentFailure {
    /// The file needs a password.
    Encrypted,
    /// The file is damaged beyond repair.
    Corrupt,
    /// The file has no text: images only, or empty pages.
    NoText,
    /// The file has more pages than [`crate::pdf::PdfLimits`] allows.
    TooManyPages,
    /// The file is larger than [`MAX_BYTES`], or holds more text than any real document.
    TooLarge,
    /// The text could not be extracted within a minute.
    TimedOut,
    /// The document was announced, but its file was never uploaded.
    NotUploaded,
    /// The embedding provider failed on every attempt.
    EmbeddingFailed,
    /// The vision models failed to read the scanned pages on every attempt.
    ScanFailed,
    /// Reading the scanned pages would exceed the cost limit of one document.
    ScanTooCostly,
    /// The company's model budget for this period ran out before all scanned pages were read. An account without a
    /// confirmed address or a plan may have none, and may read a number of documents a day.
    SpendCapReached,
    /// The file has another size than was announced. It is not kept.
    SizeMismatch,
    /// The file has more chunks of text than the plan allows for one document.
    TooMuchText,
    /// The texts of all documents together would have more characters than the plan allows.
    TextLimitReached,
    /// Processing failed on every attempt, for a reason outside the file.
    ProcessingFailed,
    /// The file is a dynamic XFA form: its pages only ask for another program.
    XfaForm,
    /// The file is a portfolio: its contents are attached files.
    Portfolio,
    /// The reader failed on the file, also in its plainer mode. The file may be sound.
    ReaderFailed,
    /// The content is of another format than the file name says.
    FormatMismatch,
    /// The tables have more rows or columns than [`crate::files`] allows.
    TooManyRows,
    /// The OCR models of the installation are missing or damaged, and the file has scanned pages.
    OcrUnavailable,
}

impl DocumentFailure {
    const ALL: [Self; 21] = [
        Self::Encrypted,
        Self::Corrupt,
        Self::NoText,
        Self::TooManyPages,
        Self::TooLarge,
        Self::TimedOut,
        Self::NotUploaded,
        Self::EmbeddingFailed,
        Self::ScanFailed,
        Self::ScanTooCostly,
        Self::SpendCapReached,
        Self::SizeMismatch,
        Self::TooMuchText,
        Self::TextLimitReached,
        Self::ProcessingFailed,
        Self::XfaForm,
        Self::Portfolio,
        Self::ReaderFailed,
        Self::FormatMismatch,
        Self::TooManyRows,
        Self::OcrUnavailable,
    ];

    /// Returns the error code, as stored in `documents.error_code` and shown in the API.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Encrypted => "encrypted",
            Self::Corrupt => "corrupt",
            Self::NoText => "no_text",
            Self::TooManyPages => "too_many_pages",
            Self::TooLarge => "too_large",
            Self::TimedOut => "timed_out",
            Self::NotUploaded => "not_uploaded",
            Self::EmbeddingFailed => "embedding_failed",
            Self::ScanFailed => "scan_failed",
            Self::ScanTooCostly => "scan_too_costly",
            Self::SpendCapReached => "spend_cap_reached",
            Self::SizeMismatch => "size_mismatch",
            Self::TooMuchText => "too_much_text",
            Self::TextLimitReached => "text_limit_reached",
            Self::ProcessingFailed => "processing_failed",
            Self::XfaForm => "xfa_form",
            Self::Portfolio => "portfolio",
            Self::ReaderFailed => "reader_failed",
            Self::FormatMismatch => "format_mismatch",
            Self::TooManyRows => "too_many_rows",
            Self::OcrUnavailable => "ocr_unavailable",
        }
    }

    /// Returns the failure with this error code; `None` for an unknown code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|failure| failure.code() == code)
    }

    /// Returns the explanation and advice for the document's owner: in French, or in English for any other language.
    #[must_use]
    pub fn reason(self, language: Language) -> Cow<'static, str> {
        match language {
            Language::French => self.reason_in_french(),
            _ => self.reason_in_english(),
        }
    }

    fn reason_in_french(self) -> Cow<'static, str> {
        let text = match self {
            Self::TooManyPages => {
                return format!("Le fichier a plus de {MAX_PAGES} pages. Divisez-le et envoyez les parties.").into();
            }
            Self::TooLarge => {
                return format!("Le fichier dépasse {MAX_MIB} Mo. Compressez-le ou divisez-le.").into();
            }
            Self::TooManyRows => {
                return format!("Les tableaux du fichier ont plus de {MAX_ROWS} lignes ou {MAX_COLUMNS} colonnes. Divisez-le et envoyez les parties.").into();
            }
            Self::FormatMismatch => {
                "Le contenu du fichier n'est pas du type que son nom indique. Renvoyez-le avec la bonne extension, ou exportez-le à nouveau."
            }
            Self::Encrypted => {
                "Le fichier est protégé par un mot de passe. Enregistrez-le sans mot de passe et renvoyez-le."
            }
            Self::Corrupt => {
                "Le fichier est endommagé ou illisible. Exportez-le à nouveau depuis sa source et renvoyez-le."
            }
            Self::NoText => {
                "Le fichier contient des images mais pas de texte. Passez-le à la reconnaissance de texte (OCR) et renvoyez-le."
            }
            Self::TimedOut => "Le fichier est trop long à lire. Exportez-le à nouveau sous une forme plus simple.",
            Self::NotUploaded => "Le fichier n'est jamais arrivé. Envoyez-le à nouveau.",
            Self::EmbeddingFailed => "Le texte n'a pas pu être indexé pour l'instant. Réessayez plus tard.",
            Self::ScanFailed => "Les pages numérisées n'ont pas pu être lues pour l'instant. Réessayez plus tard.",
            Self::ScanTooCostly => {
                "Le fichier a trop de pages numérisées. Divisez-le, ou passez-le à la reconnaissance de texte (OCR), et renvoyez-le."
            }
            Self::SpendCapReached => {
                "Le budget de la période est épuisé avant la lecture de tout le document. Réessayez à la prochaine période, ou demain si votre adresse n'est pas confirmée, confirmez-la ou changez de formule : les pages déjà lues le restent."
            }
            Self::SizeMismatch => "Le fichier n'a pas la taille annoncée. Envoyez-le à nouveau avec sa taille exacte.",
            Self::TooMuchText => {
                "Le fichier contient plus de texte que la formule n'en permet pour un document. Divisez-le ou changez de formule."
            }
            Self::TextLimitReached => {
                "Les documents contiennent ensemble autant de texte que la formule en permet. Supprimez un document ou changez de formule, puis réessayez."
            }
            Self::ProcessingFailed => "Le fichier n'a pas pu être traité pour l'instant. Réessayez plus tard.",
            Self::XfaForm => {
                "Le fichier est un formulaire dynamique (XFA), que seuls certains programmes affichent. Ouvrez-le, imprimez-le dans un fichier PDF et envoyez celui-ci."
            }
            Self::Portfolio => {
                "Le fichier est un porte-documents PDF, qui contient d'autres fichiers. Enregistrez-les et envoyez-les un par un."
            }
            Self::ReaderFailed => {
                "Notre lecteur a échoué sur ce fichier, qui n'est peut-être pas en cause. Imprimez-le dans un nouveau fichier PDF et envoyez celui-ci."
            }
            Self::OcrUnavailable => {
                "La lecture des pages numérisées est en panne chez nous ; le fichier n'est pas en cause. Signalez-le nous et réessayez plus tard."
            }
        };
        text.into()
    }

    fn reason_in_english(self) -> Cow<'static, str> {
        let text = match self {
            Self::TooManyPages => {
                return format!("The file has more than {MAX_PAGES} pages. Split it and upload the parts.").into();
            }
            Self::TooLarge => {
                return format!("The file is larger than {MAX_MIB} MB. Compress or split it.").into();
            }
            Self::TooManyRows => {
                return format!("The tables of the file have more than {MAX_ROWS} rows or {MAX_COLUMNS} columns. Split it and upload the parts.").into();
            }
            Self::FormatMismatch => {
                "The content of the file is not of the type that its name says. Upload it with the right extension, or export it again."
            }
            Self::Encrypted => "The file is protected by a password. Save it without one and upload it again.",
            Self::Corrupt => {
                "The file is damaged or not readable. Export it again from its source and upload it again."
            }
            Self::NoText => "The file holds images but no text. Run text recognition (OCR) on it and upload it again.",
            Self::TimedOut => "The file took too long to read. Export it again in a simpler form.",
            Self::NotUploaded => "The file never arrived. Upload it again.",
            Self::EmbeddingFailed => "The text could not be indexed for now. Try again later.",
            Self::ScanFailed => "The scanned pages could not be read for now. Try again later.",
            Self::ScanTooCostly => {
                "The file has too many scanned pages. Split it, or run text recognition (OCR) on it, and upload it again."
            }
            Self::SpendCapReached => {
                "This period's budget ran out before the whole document was read. Try again next period, or tomorrow if your address is not confirmed, confirm it or change the plan: pages already read stay read."
            }
            Self::SizeMismatch => "The file does not have the announced size. Upload it again with its exact size.",
            Self::TooMuchText => {
                "The file holds more text than the plan allows for one document. Split it or change the plan."
            }
            Self::TextLimitReached => {
                "The documents together hold as much text as the plan allows. Delete a document or change the plan, then try again."
            }
            Self::ProcessingFailed => "The file could not be processed for now. Try again later.",
            Self::XfaForm => {
                "The file is a dynamic form (XFA), which only some programs display. Open it, print it to a PDF file and upload that."
            }
            Self::Portfolio => "The file is a PDF portfolio of other files. Save them and upload them one by one.",
            Self::ReaderFailed => {
                "Our reader failed on this file, which may be sound. Print it to a new PDF file and upload that."
            }
            Self::OcrUnavailable => {
                "Our reading of scanned pages is out of order; the file is not to blame. Tell us and try again later."
            }
        };
        text.into()
    }
}

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

/// A row of `documents`, as the queries of this module select it.
#[derive(Serialize)]
struct DocumentRow {
    id: Uuid,
    filename: String,
    status: String,
    upload_date: DateTime<Utc>,
    bytes: i64,
    pages_total: Option<i32>,
    pages_done: i32,
    pages_unread: Vec<i32>,
    error_code: Option<String>,
    sha256: Option<Vec<u8>>,
    replaces: Vec<Uuid>,
    format: Option<String>,
}

impl DocumentRow {
    fn into_document(self, language: Language) -> Document {
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

/// Error of an operation on a document.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// The document does not exist or belongs to another tenant.
    #[error("no such document")]
    NotFound,
    /// The document has not failed, so it cannot be retried.
    #[error("the document did not fail")]
    NotFailed,
    /// The document to be replaced was not uploaded before the other one.
    #[error("the document is not older")]
    NotOlder,
    /// A database error.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<DocumentError> for ApiError {
    fn from(error: DocumentError) -> Self {
        match error {
            DocumentError::NotFound => Self::not_found("document"),
            DocumentError::NotFailed => {
                Self::new(StatusCode::CONFLICT, "not_failed", "only a document that failed can be tried again")
            }
            DocumentError::NotOlder => {
                Self::new(StatusCode::CONFLICT, "not_older", "only a document that was uploaded before can be replaced")
            }
            DocumentError::Database(error) => error.into(),
        }
    }
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

/// Sets a failed document to pending again and returns the queue message for its job. Deletes the document's chunks;
/// keeps the scanned pages that were read.
///
/// # Errors
/// Returns [`DocumentError::NotFound`], [`DocumentError::NotFailed`], or any database error.
pub async fn retry(
    tx: &mut TenantTx,
    id: Uuid,
    language: Language,
) -> Result<(Document, jobs::IngestMessage), DocumentError> {
    let row = sqlx::query_as!(
        DocumentRow,
        r#"
        update documents
        set status = 'pending', error_code = null, error = null, pages_total = null, pages_done = 0, chars = null,
            pages_unread = '{}'
        where customer_id = $1 and id = $2 and status = 'failed'
        returning id, filename, status, upload_date, bytes, pages_total, pages_done, pages_unread, error_code, sha256, replaces, format
        "#,
        tx.tenant(),
        id
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else {
        // The lookup tells an unknown document from one that has not failed.
        return get(tx, id, language).await.and(Err(DocumentError::NotFailed));
    };
    let job_id = sqlx::query_scalar!(
        r#"
        with stale as (
            delete from document_chunks where customer_id = $1 and document_id = $2
        ), unread as (
            update document_pages set attempts = 0, claimed_until = null
            where customer_id = $1 and document_id = $2 and text is null
        ), earlier as (
            delete from ingest_slots where customer_id = $1 and document_id = $2
        )
        insert into jobs (customer_id, kind, payload)
        values ($1, 'ingest', jsonb_build_object('document_id', $2::uuid))
        on conflict ((payload ->> 'document_id')) where kind = 'ingest'
        do update set status = 'queued', attempts = 0, run_after = now() + interval '5 minutes', updated_at = now()
        returning id
        "#,
        tx.tenant(),
        id
    )
    .fetch_one(&mut *tx)
    .await?;
    let message = jobs::IngestMessage { job_id, customer_id: tx.tenant(), document_id: id };
    Ok((row.into_document(language), message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_a_code_and_two_explanations() {
        for failure in DocumentFailure::ALL {
            assert_eq!(DocumentFailure::from_code(failure.code()), Some(failure));
            assert_eq!(serde_json::to_value(failure).unwrap(), failure.code());
            assert_ne!(failure.reason(Language::French), failure.reason(Language::English));
        }
        let reason = |failure: DocumentFailure| failure.reason(Language::French);
        assert!(reason(DocumentFailure::TooManyPages).contains("plus de 200 pages"));
        assert!(reason(DocumentFailure::TooLarge).contains("dépasse 20 Mo"));
    }

    #[test]
    fn a_warning_names_the_unread_pages() {
        assert_eq!(unread_warning(&[], Language::French), None);
        assert!(unread_warning(&[2], Language::French).unwrap().starts_with("La page 2 n'a pas été lue"));
        assert!(unread_warning(&[2, 5], Language::English).unwrap().starts_with("Pages 2, 5 were not read"));
    }

    #[test]
    fn a_path_in_a_filename_is_cut_off() {
        let name = |text: &str| Filename::try_from(text.to_owned()).map(|name| name.0);
        assert_eq!(name(r"C:\fakepath\guide.pdf").unwrap(), "guide.pdf");
        assert_eq!(name("../../etc/passwd").unwrap(), "passwd");
        assert!(name("a\u{0}.pdf").is_err() && name("").is_err() && name("x/").is_err());
    }
}
