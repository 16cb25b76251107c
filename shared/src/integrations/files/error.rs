//! Limits of files without pages, and the reasons why a file is not read.

use serde::{Deserialize, Serialize};

use super::format::FileFormat;

/// Maximum number of rows of all tables of a file. Rows without a value do not count.
pub const MAX_ROWS: usize = 100_000;
/// Maximum number of columns of a table, up to the last one with a value.
pub const MAX_COLUMNS: usize = 512;
/// Maximum number of characters of a file's text.
pub(super) const MAX_TEXT_CHARS: usize = 6_400_000;

/// Reason why a file is not read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum FileError {
    /// The file needs a password.
    #[error("the file needs a password")]
    Encrypted,
    /// The file is damaged.
    #[error("the file is damaged: {0}")]
    Corrupt(String),
    /// The content is of another format than the name says.
    #[error("the content is not of the format {0}")]
    FormatMismatch(FileFormat),
    /// The file holds no text.
    #[error("the file holds no text")]
    NoText,
    /// The file unpacks to more than `archive::MAX_UNPACKED_BYTES`.
    #[error("the file unpacks to more than {0} bytes")]
    TooLarge(u64),
    /// The tables have more rows than [`MAX_ROWS`] or more columns than [`MAX_COLUMNS`].
    #[error("the tables have more than {MAX_ROWS} rows or {MAX_COLUMNS} columns")]
    TooManyRows,
    /// The text has more characters than any real document.
    #[error("the text has more than {MAX_TEXT_CHARS} characters")]
    TooMuchText,
}

impl FileError {
    /// Returns the error code stored with the failed document.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Encrypted => "encrypted",
            Self::Corrupt(_) => "corrupt",
            Self::FormatMismatch(_) => "format_mismatch",
            Self::NoText => "no_text",
            Self::TooLarge(_) => "too_large",
            Self::TooManyRows => "too_many_rows",
            Self::TooMuchText => "too_much_text",
        }
    }
}
