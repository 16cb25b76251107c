//! A page as the child process reads it, before cleaning: paragraphs and tables in reading order.

use serde::{Deserialize, Serialize};

/// A page as the child process read it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct RawPage {
    pub(super) number: u32,
    /// Parts of the page, in reading order.
    #[serde(default)]
    pub(super) blocks: Vec<RawBlock>,
    /// True when images cover most of the page. Determined only for pages with little text; otherwise false.
    #[serde(default)]
    pub(super) is_covered: bool,
    /// True when a page shows something besides text. Determined only for pages without text.
    #[serde(default)]
    pub(super) has_picture: bool,
    /// True for a page that cannot be read.
    #[serde(default)]
    pub(super) is_failed: bool,
}

impl RawPage {
    /// Returns the text of the page, with blocks separated by a blank line.
    pub(super) fn text(&self) -> String {
        self.blocks.iter().map(RawBlock::text).collect::<Vec<_>>().join("\n\n")
    }
}

/// A part of a page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawBlock {
    Paragraph(RawParagraph),
    Table(RawTable),
}

impl RawBlock {
    /// Returns the text of the block as it stands on the page.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Paragraph(paragraph) => &paragraph.text,
            Self::Table(table) => &table.text,
        }
    }

    /// Forgets the place of a paragraph whose lines do not run across the page.
    pub(super) fn forget_place(&mut self) {
        if let Self::Paragraph(paragraph) = self {
            paragraph.place = None;
        }
    }
}

/// Lines that belong together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct RawParagraph {
    pub(super) text: String,
    /// Baselines of the first and the last line, as shares of the page's height from the top; `None` when not known.
    #[serde(default)]
    pub(super) place: Option<(f32, f32)>,
}

/// A table. Rows and columns are recognised by the child process; a table that continues one of the page before takes
/// the names of its columns from there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct RawTable {
    /// The lines of the table as they stand, for a table whose columns have no names.
    pub(super) text: String,
    /// Left and right edge of each column, in points on the display.
    pub(super) columns: Vec<(f32, f32)>,
    /// The lines above the first row as they stand; empty when the table has no header on this page.
    pub(super) header: String,
    /// Names of the columns; empty when the table has no header on this page.
    pub(super) headings: Vec<String>,
    pub(super) rows: Vec<RawRow>,
    /// True when an empty cell of the first column belongs to the cell above.
    #[serde(default)]
    pub(super) is_first_carried: bool,
    /// True when the first column is a category of the items in the second one.
    #[serde(default)]
    pub(super) has_category: bool,
    /// Heading of the first rows, from the page before.
    #[serde(default)]
    pub(super) section: String,
}

impl RawTable {
    /// Returns the heading of the rows that follow after the last one.
    pub(super) fn last_section(&self) -> &str {
        let section = self.rows.iter().rev().find_map(|row| match row {
            RawRow::Section(section) => Some(section.as_str()),
            RawRow::Cells(_) => None,
        });
        section.unwrap_or(&self.section)
    }

    /// Fills the empty cells of the first column, from `above` on.
    pub(super) fn carry_first(&mut self, above: Option<String>) {
        let mut above = above.unwrap_or_default();
        for row in &mut self.rows {
            match row {
                RawRow::Section(_) => above.clear(),
                RawRow::Cells(cells) => match cells.first_mut() {
                    Some(first) if first.trim().is_empty() => first.clone_from(&above),
                    Some(first) => above.clone_from(first),
                    None => {}
                },
            }
        }
    }

    fn last_first_cell(&self) -> Option<String> {
        match self.rows.last()? {
            RawRow::Cells(cells) => cells.first().cloned(),
            RawRow::Section(_) => None,
        }
    }

    /// Takes over the names of the columns and the category from the part of the table on the page before.
    pub(super) fn continue_from(&mut self, before: &Self) {
        self.headings.clone_from(&before.headings);
        // The header may be repeated above rows that do not tell it from one of them.
        if self.rows.first().is_some_and(|row| row.repeats(&before.headings)) {
            self.rows.remove(0);
        }
        self.section = before.last_section().to_owned();
        self.has_category |= before.has_category;
        if before.is_first_carried {
            self.is_first_carried = true;
            self.carry_first(before.last_first_cell());
        }
    }
}

/// A row of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawRow {
    /// The cells of a row, one for each column.
    Cells(Vec<String>),
    /// A line across the table: the heading of the rows below.
    Section(String),
}

impl RawRow {
    /// Returns true for a row whose cells are the names of the columns.
    fn repeats(&self, headings: &[String]) -> bool {
        let is_equal = |(cell, heading): (&String, &String)| cell.split_whitespace().eq(heading.split_whitespace());
        matches!(self, Self::Cells(cells) if cells.iter().zip(headings).all(is_equal))
    }
}
