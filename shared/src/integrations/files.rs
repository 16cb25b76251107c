//! Files without pages: Word documents, spreadsheets, CSV, plain text, Markdown and HTML. Reads what such a file shows,
//! as lines under headings or rows of sheets, each with the place by which it is cited.
//!
//! [`read`] runs in the child process of [`crate::pdf`], under its limits of memory and time.

mod archive;
mod block;
mod collector;
mod csv;
mod docx;
mod encoding;
mod error;
mod format;
mod html;
mod markdown;
mod marks;
mod number_format;
mod place;
mod plain_text;
mod sheet;
mod table;
mod xml;

pub use block::{Block, Line, Section};
use collector::Blocks;
pub use csv::{CsvRecord, csv_records, ensure_decoded, is_csv_type};
pub use error::{FileError, MAX_COLUMNS, MAX_ROWS};
pub use format::{FileFormat, UnreadableKind, detect};
pub use place::{Place, PlaceKind, PlacedLine, PlacedPassage};

/// Reads a file of a format without pages.
///
/// # Errors
/// Returns the reason why the file is not read.
pub fn read(format: FileFormat, bytes: &[u8]) -> Result<Vec<Block>, FileError> {
    if detect(bytes, format) != Some(format) {
        return Err(refusal(format, bytes));
    }
    let mut blocks = Blocks::default();
    match format {
        FileFormat::Pdf => return Err(FileError::FormatMismatch(format)),
        FileFormat::Docx => docx::read(bytes, &mut blocks)?,
        FileFormat::Xlsx => sheet::read(bytes, &mut blocks)?,
        FileFormat::Csv => csv::read(bytes, &mut blocks)?,
        FileFormat::Text => plain_text::read(bytes, &mut blocks)?,
        FileFormat::Markdown => markdown::read(bytes, &mut blocks)?,
        FileFormat::Html => html::read(bytes, &mut blocks)?,
    }
    blocks.finish()
}

/// Returns why a file is not of the format that its name says.
fn refusal(format: FileFormat, bytes: &[u8]) -> FileError {
    match detect(bytes, format) {
        None if format::is_encrypted_office(bytes) => FileError::Encrypted,
        None if format::is_damaged(bytes, format) => FileError::Corrupt("no such file can be opened".to_owned()),
        _ => FileError::FormatMismatch(format),
    }
}

#[cfg(test)]
mod tests;
