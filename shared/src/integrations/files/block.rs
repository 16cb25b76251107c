//! Pieces of a file without pages: sections and their lines.

use serde::{Deserialize, Serialize};

use super::place::PlaceKind;

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
