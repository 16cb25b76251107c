//! Collects what a file shows as blocks, within the limits of a file.

use std::collections::HashSet;

use super::{
    block::{Block, Line, Section},
    error::{FileError, MAX_COLUMNS, MAX_ROWS, MAX_TEXT_CHARS},
    place::PlaceKind,
    table,
};
use crate::text;

/// Collects the blocks of a file within its limits.
#[derive(Default)]
pub(super) struct Blocks {
    blocks: Vec<Block>,
    rows: usize,
    chars: usize,
}

impl Blocks {
    /// Begins a section. One without a line is dropped at the end.
    pub(super) fn section(&mut self, kind: PlaceKind, name: Option<String>, headings: Vec<String>) {
        self.blocks.push(Block::Section(Section { kind, name, headings }));
    }

    /// Adds a paragraph or list item. Its text is normalised; an empty one is left out.
    pub(super) fn paragraph(&mut self, number: u32, raw: &str) -> Result<(), FileError> {
        let text = text::clean(raw).split_whitespace().collect::<Vec<_>>().join(" ");
        self.line(Line { number, text, is_row: false })
    }

    /// Adds the lines of a table.
    pub(super) fn table(&mut self, rows: &[table::Row], first_is_header: bool) -> Result<(), FileError> {
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

    /// Returns the number of blocks so far.
    pub(super) fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Of the blocks from this index on, keeps each line with a letter once. A page's number alone says nothing.
    pub(super) fn keep_distinct_lines(&mut self, from: usize) {
        let mut seen = HashSet::new();
        let mut lines = self.blocks.split_off(from);
        lines.retain(|block| match block {
            Block::Line(line) => line.text.chars().any(char::is_alphabetic) && seen.insert(line.text.clone()),
            Block::Section(_) => false,
        });
        self.blocks.append(&mut lines);
    }

    /// Returns the blocks.
    ///
    /// # Errors
    /// Returns [`FileError::NoText`] when no line has a letter or digit.
    pub(super) fn finish(self) -> Result<Vec<Block>, FileError> {
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

/// Text of the section tree of a document: opens sections as headings come.
#[derive(Default)]
pub(super) struct Headings(Vec<(u32, String)>);

impl Headings {
    /// Opens the section of a heading of this level, 1 for the outermost.
    pub(super) fn open(&mut self, level: u32, raw: &str, blocks: &mut Blocks) {
        let text = text::clean(raw).split_whitespace().collect::<Vec<_>>().join(" ");
        if text.is_empty() {
            return;
        }
        self.0.retain(|(outer, _)| *outer < level);
        self.0.push((level, text.clone()));
        blocks.section(PlaceKind::Section, Some(text), self.0.iter().map(|(_, heading)| heading.clone()).collect());
    }
}
