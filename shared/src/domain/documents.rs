//! Tenants' documents, from the upload to the last chunk. Owns the tables `documents`, `document_chunks`,
//! `document_pages` and `ingest_slots`.
//!
//! SQL functions: `app.takes_room`, and `app.word_keys` in an index. Trigger: `documents_bytes` on `documents`
//! (`app.count_bytes`), which counts into `usage_periods`.

mod announcement;
mod contents;
mod deletion;
mod document;
mod failure;
mod ingestion;
mod list;
mod names;
mod retry;
mod scans;
mod slots;
mod text_limits;
mod versions;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use announcement::{AnnounceError, NewDocument, PendingUpload, UPLOAD_URL_LIFETIME, announce, find_processed};
pub use contents::{FileLink, PageReader, PageText, StoredFile, page_text, stored_file};
pub use deletion::{StoredObject, delete, delete_files};
pub use document::{Document, from_snapshot, get};
pub use failure::DocumentFailure;
pub use ingestion::{
    IngestState, NewChunk, PendingDocument, StoreOutcome, begin, fail, find_pending, finish, mark_failed,
    record_page_count, store_chunks,
};
pub use list::{DocumentListing, UnreadPages, list, unread_pages};
pub use names::fill_name_keys;
pub use retry::retry;
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
    error::{ApiError, MAX_UPLOAD_MIB},
    files::{FileFormat, UnreadableKind},
    input,
};

/// Maximum size of a document's file, in MiB.
pub const MAX_MIB: usize = MAX_UPLOAD_MIB;
/// Maximum size of a document's file, in bytes.
pub const MAX_BYTES: usize = MAX_MIB * 1024 * 1024;
/// Maximum length of a file name, in characters.
pub const MAX_FILENAME_CHARS: usize = 255;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_a_filename_is_cut_off() {
        let name = |text: &str| Filename::try_from(text.to_owned()).map(|name| name.0);
        assert_eq!(name(r"C:\fakepath\guide.pdf").unwrap(), "guide.pdf");
        assert_eq!(name("../../etc/passwd").unwrap(), "passwd");
        assert!(name("a\u{0}.pdf").is_err() && name("").is_err() && name("x/").is_err());
    }
}
