//! Files without pages: Word documents, spreadsheets, CSV, plain text, Markdown and HTML. Reads what such a file shows,
//! as lines under headings or rows of sheets, each with the place by which it is cited.
//!
//! [`read`] runs in the child process of [`crate::pdf`], under its limits of memory and time.

use serde::{Deserialize, Serialize};

mod archive;
mod csv;
mod docx;
mod format;
mod html;
mod markdown;
mod number_format;
mod place;
mod plain_text;
mod sheet;
mod table;
mod xml;

pub use format::{FileFormat, UnreadableKind, detect};
pub use place::{Place, PlaceKind, PlacedLine, PlacedPassage};

use crate::text;

/// Maximum number of rows of all tables of a file. Rows without a value do not count.
pub const MAX_ROWS: usize = 100_000;
/// Maximum number of columns of a table, up to the last one with a value.
pub const MAX_COLUMNS: usize = 512;
/// Maximum number of characters of a file's text.
const MAX_TEXT_CHARS: usize = 6_400_000;

/// A piece of a file, in reading order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Block {
    /// Begins a section: a sheet, or the text under a heading.
    Section(Section),
    /// A line of the section.
    Line(Line),
}

/// A part of a file that has a name of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// Kind of the places in the section.
    pub kind: PlaceKind,
    /// Name of the sheet, or the heading; `None` for the text before the first heading.
    pub name: Option<String>,
    /// Headings above the section, from the outermost to the section's own.
    pub headings: Vec<String>,
}

/// A paragraph, a list item or a row of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Number of the row, line or paragraph, from 1.
    pub number: u32,
    /// The text, in one line.
    pub text: String,
    /// True for a row of a table, which is never cut.
    pub is_row: bool,
}

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

/// Collects the blocks of a file within its limits.
#[derive(Default)]
struct Blocks {
    blocks: Vec<Block>,
    rows: usize,
    chars: usize,
}

impl Blocks {
    /// Begins a section. One without a line is dropped at the end.
    fn section(&mut self, kind: PlaceKind, name: Option<String>, headings: Vec<String>) {
        self.blocks.push(Block::Section(Section { kind, name, headings }));
    }

    /// Adds a paragraph or list item. Its text is normalised; an empty one is left out.
    fn paragraph(&mut self, number: u32, raw: &str) -> Result<(), FileError> {
        let text = text::clean(raw).split_whitespace().collect::<Vec<_>>().join(" ");
        self.line(Line { number, text, is_row: false })
    }

    /// Adds the lines of a table.
    fn table(&mut self, rows: &[table::Row], first_is_header: bool) -> Result<(), FileError> {
        self.rows += rows.len();
        if self.rows > MAX_ROWS || rows.iter().any(|row| row.cells.len() > MAX_COLUMNS) {
            return Err(FileError::TooManyRows);
        }
        table::lines(rows, first_is_header).into_iter().try_for_each(|line| self.line(line))
    }

    fn line(&mut self, line: Line) -> Result<(), FileError> {
        if line.text.is_empty() {
            return Ok(());
        }
        self.chars += line.text.chars().count();
        if self.chars > MAX_TEXT_CHARS {
            return Err(FileError::TooMuchText);
        }
        self.blocks.push(Block::Line(line));
        Ok(())
    }

    fn finish(self) -> Result<Vec<Block>, FileError> {
        let has_text = |block: &Block| match block {
            Block::Line(line) => line.text.chars().any(char::is_alphanumeric),
            Block::Section(section) => section.name.is_some() && section.kind == PlaceKind::Section,
        };
        if !self.blocks.iter().any(has_text) {
            return Err(FileError::NoText);
        }
        Ok(self.blocks)
    }
}

/// Returns text that stands above the line. Digits become raised ones, since `10` and a raised `3` are not 103.
fn raised(text: &str) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    with_digits(text, DIGITS)
}

/// Returns text that stands below the line, such as the 2 of H₂O.
fn lowered(text: &str) -> String {
    const DIGITS: [char; 10] = ['₀', '₁', '₂', '₃', '₄', '₅', '₆', '₇', '₈', '₉'];
    with_digits(text, DIGITS)
}

fn with_digits(text: &str, digits: [char; 10]) -> String {
    let digit = |c: char| c.to_digit(10).and_then(|digit| digits.get(digit as usize)).copied();
    text.chars().map(|c| digit(c).unwrap_or(c)).collect()
}

/// Text of the section tree of a document: opens sections as headings come.
#[derive(Default)]
struct Headings(Vec<(u32, String)>);

impl Headings {
    /// Opens the section of a heading of this level, 1 for the outermost.
    fn open(&mut self, level: u32, raw: &str, blocks: &mut Blocks) {
        let text = text::clean(raw).split_whitespace().collect::<Vec<_>>().join(" ");
        if text.is_empty() {
            return;
        }
        self.0.retain(|(outer, _)| *outer < level);
        self.0.push((level, text.clone()));
        blocks.section(PlaceKind::Section, Some(text), self.0.iter().map(|(_, heading)| heading.clone()).collect());
    }
}

#[cfg(test)]
mod tests;
