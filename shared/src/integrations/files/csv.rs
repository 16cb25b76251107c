//! Values separated by commas, semicolons, tabs or bars, as spreadsheets and web shops export them.

use ::csv::{ReaderBuilder, StringRecord};

use super::{
    collector::Blocks,
    encoding,
    error::{FileError, MAX_ROWS},
    format::FileFormat,
    place::PlaceKind,
    table::{Cell, Row},
};

/// Separators, in the order in which they count where several fit as well. French spreadsheets write semicolons, since
/// the comma is in their numbers.
const SEPARATORS: [u8; 4] = *b";\t,|";
/// Number of fields of a [`CsvRecord`] that are kept. No file that a person makes has more, and a file of separators alone
/// would take a hundred times its size of memory.
const MAX_FIELDS: usize = 1_000;
/// Number of records by which the separator is told.
const SAMPLE_RECORDS: usize = 50;

/// Reads the rows. The first one names the columns.
pub(super) fn read(bytes: &[u8], blocks: &mut Blocks) -> Result<(), FileError> {
    let text = encoding::decode(bytes);
    let (separator, text, skipped) = separator(&text);
    blocks.section(PlaceKind::Row, None, Vec::new());
    let mut rows: Vec<Row> = Vec::new();
    let mut lines = LineCounter { text, at: 0, line: skipped + 1 };
    for record in records(text, separator) {
        let record = record?;
        if rows.len() >= MAX_ROWS {
            return Err(FileError::TooManyRows);
        }
        let number = lines.line_of(record.position().map_or(0, |position| position.byte()));
        let row =
            Row { number, cells: record.iter().map(|field| Cell::new(field.trim())).collect(), is_heading: false };
        // A record of separators alone is an empty row of the sheet, which says nothing.
        if !row.is_blank() {
            rows.push(row);
        }
    }
    blocks.table(&rows, true)
}

/// Content types under which browsers and spreadsheets send CSV. API Gateway passes `text/csv` on as text, so a file in
/// another encoding than UTF-8 needs one of the others.
const TYPES: [&str; 4] = ["text/csv", "application/csv", "application/vnd.ms-excel", "application/octet-stream"];

/// Returns true for a content type, with parameters or without, of a CSV file.
#[must_use]
pub fn is_csv_type(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    TYPES.iter().any(|known| essence.eq_ignore_ascii_case(known))
}

/// A record of a CSV file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvRecord {
    /// Line of the file in which the record begins, from 1.
    pub line: u32,
    /// The first thousand fields, without white space at their ends.
    pub fields: Vec<String>,
    /// Number of all fields of the record.
    pub width: usize,
}

/// Reads the records of a CSV file in any encoding and with any separator that spreadsheets write. Records without a
/// value are left out.
///
/// # Errors
/// [`FileError::FormatMismatch`] for bytes that are no text, [`FileError::TooManyRows`] for more than `max_records`.
pub fn csv_records(bytes: &[u8], max_records: usize) -> Result<Vec<CsvRecord>, FileError> {
    if !encoding::is_text(bytes) {
        return Err(FileError::FormatMismatch(FileFormat::Csv));
    }
    let text = encoding::decode(bytes);
    let (separator, text, skipped) = separator(&text);
    let mut lines = LineCounter { text, at: 0, line: skipped + 1 };
    let mut found = Vec::new();
    for record in records(text, separator) {
        let record = record?;
        let line = lines.line_of(record.position().map_or(0, |position| position.byte()));
        if record.iter().all(|field| field.trim().is_empty()) {
            continue;
        }
        let fields = record.iter().take(MAX_FIELDS).map(|field| field.trim().to_owned()).collect();
        if found.len() >= max_records {
            return Err(FileError::TooManyRows);
        }
        found.push(CsvRecord { line, fields, width: record.len() });
    }
    Ok(found)
}

/// Checks that no character of a field was lost. A gateway that takes a file in another encoding for UTF-8 puts U+FFFD in
/// the place of each letter that it cannot read.
///
/// # Errors
/// Returns the message for the field.
pub fn ensure_decoded(field: &str) -> Result<(), String> {
    match field.contains(char::REPLACEMENT_CHARACTER) {
        true => Err("has characters that cannot be read: save the file as UTF-8".to_owned()),
        false => Ok(()),
    }
}

/// Counts the lines of a text. The reader's own count ends before the line feed of CR LF, and before empty lines.
struct LineCounter<'t> {
    text: &'t str,
    at: usize,
    line: u32,
}

impl LineCounter<'_> {
    /// Returns the number of the line in which the record from this byte begins. Records come in order.
    fn line_of(&mut self, byte: u64) -> u32 {
        let bytes = self.text.as_bytes();
        let from = usize::try_from(byte).unwrap_or(usize::MAX).min(bytes.len());
        let breaks =
            bytes.get(from..).unwrap_or_default().iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let passed = bytes.get(self.at..from + breaks).unwrap_or_default();
        let feeds = passed.iter().filter(|byte| **byte == b'\n').count();
        self.line = self.line.saturating_add(u32::try_from(feeds).unwrap_or(u32::MAX));
        self.at = from + breaks;
        self.line
    }
}

fn records(text: &str, separator: u8) -> impl Iterator<Item = Result<StringRecord, FileError>> {
    let reader =
        ReaderBuilder::new().delimiter(separator).has_headers(false).flexible(true).from_reader(text.as_bytes());
    reader.into_records().map(|record| record.map_err(|error| FileError::Corrupt(error.to_string())))
}

/// Returns the separator, the text without the line that names it, and the number of lines left out.
fn separator(text: &str) -> (u8, &str, u32) {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    // Excel's own line.
    if let Some(&[separator]) = first.trim_end().strip_prefix("sep=").map(str::as_bytes) {
        return (separator, rest, 1);
    }
    let mut best = (b',', 0);
    for separator in SEPARATORS {
        let widths: Vec<usize> =
            records(text, separator).take(SAMPLE_RECORDS).map_while(Result::ok).map(|record| record.len()).collect();
        // Rows of one width, more than one column: the more such rows, the better.
        let width = widths.iter().copied().max_by_key(|width| widths.iter().filter(|other| *other == width).count());
        let fitting = widths.iter().filter(|other| Some(**other) == width && **other > 1).count();
        if fitting > best.1 {
            best = (separator, fitting);
        }
    }
    (best.0, text, 0)
}
