//! Rows of tables as lines of text. A line holds a whole row with the names of its columns, so that it can be found,
//! quoted and understood alone:
//!
//! `Riz local de Man 25 kg — Unité : sac · Détail : 16 000 · Gros : 15 100`
//!
//! The spaces before the dash, the colons and the dots are no-break spaces (U+00A0). Cleaned text has no others, which
//! tells a row from prose with a dash. Readers of documents make such lines by [`TableRow`]; whoever quotes asks
//! [`is_table_row`] and takes the line whole, or takes it apart by [`TableRow::parse`]. Search text is folded, in which
//! a no-break space is a space.

use std::fmt;

/// Ends the label of a row.
const LABEL_END: &str = "\u{a0}— ";

/// Separates the cells of a row.
const CELL_SEPARATOR: &str = "\u{a0}· ";

/// Separates the name of a column from the cell.
const NAME_END: &str = "\u{a0}: ";

/// Fewest letters of a word that makes a label understood without the name of its column.
const MIN_WORD_LETTERS: usize = 3;

/// Longest heading of a section that is put before the labels of its rows, in characters.
const MAX_SECTION_CHARS: usize = 60;

/// Most columns that are part of the label: a category, a code and the item.
const MAX_LABEL_COLUMNS: usize = 3;

/// Returns true when a line of a chunk is a row of a table with the names of its columns.
#[must_use]
pub fn is_table_row(line: &str) -> bool {
    line.contains(LABEL_END)
}

/// A row of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableRow {
    /// Item of the row: `Riz local de Man 25 kg`.
    pub label: String,
    /// The other cells that are not empty, from left to right.
    pub cells: Vec<TableCell>,
}

/// A cell of a row, apart from its label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableCell {
    /// Name of the column; empty when the column has none.
    pub column: String,
    pub value: String,
}

impl TableRow {
    /// Makes a row from the cells of a table. The first `label_columns` cells, as [`label_columns`] counts them, are
    /// the label. Returns `None` for a row without a label or without another cell.
    #[must_use]
    pub fn new(headings: &[String], cells: &[String], label_columns: usize) -> Option<Self> {
        let (label, rest) = cells.split_at_checked(label_columns)?;
        let mut parts: Vec<String> = label.iter().map(|cell| one_line(cell)).filter(|cell| !cell.is_empty()).collect();
        // A label of figures alone, such as a quantity, says nothing without its column.
        if let [figure] = parts.as_slice()
            && !has_word(figure)
            && let Some(heading) = headings.first().map(|heading| one_line(heading)).filter(|name| !name.is_empty())
        {
            parts.insert(0, heading);
        }
        let cells = rest.iter().enumerate().filter_map(|(nth, cell)| {
            let column = headings.get(label_columns + nth).map(|name| one_line(name)).unwrap_or_default();
            let column = column.trim_end_matches([':', ' ']).to_owned();
            Some(TableCell { column, value: Some(one_line(cell)).filter(|cell| !cell.is_empty())? })
        });
        let mut joined = String::new();
        for part in &parts {
            // A category stands apart from the item, a code beside it.
            let is_category =
                joined.ends_with(char::is_alphabetic) && has_word(&joined) && parts.len() == label_columns;
            joined.push_str(if joined.is_empty() {
                ""
            } else if is_category {
                ", "
            } else {
                " "
            });
            joined.push_str(part);
        }
        let row = Self { label: joined, cells: cells.collect() };
        (!row.label.is_empty() && !row.cells.is_empty()).then_some(row)
    }

    /// Puts the heading that stands above the row before its label: rows of several sections may be equal.
    #[must_use]
    pub fn in_section(mut self, section: &str) -> Self {
        let is_title = section.chars().nth(MAX_SECTION_CHARS).is_none() && !section.ends_with(['.', ';', '!', '?']);
        if is_title && !section.is_empty() {
            self.label = format!("{}, {}", section.trim_end_matches([':', ' ']), self.label);
        }
        self
    }

    /// Reads a line of a chunk. Returns `None` for a line that is no row of a table.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let (label, cells) = line.split_once(LABEL_END)?;
        let cells = cells.split(CELL_SEPARATOR).map(|cell| {
            let (column, value) = cell.split_once(NAME_END).unwrap_or(("", cell));
            TableCell { column: column.to_owned(), value: value.to_owned() }
        });
        Some(Self { label: label.to_owned(), cells: cells.collect() })
    }

    /// Returns rows with the same label, whose lines have at most `max_chars` characters as far as whole cells allow.
    #[must_use]
    pub fn split(self, max_chars: usize) -> Vec<Self> {
        let mut rows: Vec<Self> = Vec::new();
        for cell in self.cells {
            let chars = cell.to_string().chars().count() + CELL_SEPARATOR.chars().count();
            match rows.last_mut().filter(|row| row.to_string().chars().count() + chars <= max_chars) {
                Some(row) => row.cells.push(cell),
                None => rows.push(Self { label: self.label.clone(), cells: vec![cell] }),
            }
        }
        rows
    }
}

impl fmt::Display for TableRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)?;
        for (nth, cell) in self.cells.iter().enumerate() {
            f.write_str(if nth == 0 { LABEL_END } else { CELL_SEPARATOR })?;
            cell.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for TableCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.column.is_empty() {
            f.write_str(&self.column)?;
            f.write_str(NAME_END)?;
        }
        f.write_str(&self.value)
    }
}

/// Returns how many of the first columns are the label of the rows: the item, with the category and the code before
/// it. At least one column is none.
#[must_use]
pub fn label_columns(rows: &[Vec<String>]) -> usize {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let share = |column: usize, is: &dyn Fn(&str) -> bool| {
        let cells: Vec<&str> = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.trim()).collect();
        let filled = cells.iter().filter(|cell| !cell.is_empty()).count();
        cells.iter().filter(|cell| !cell.is_empty() && is(cell)).count() as f32 / filled.max(1) as f32
    };
    let is_text = |column: usize| share(column, &|cell| has_word(cell) && !begins_with_digit(cell)) > 0.5;
    let is_code = |column: usize| share(column, &|cell| is_code(cell)) > 0.5;
    // A category stands on several rows.
    let is_category = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).filter(|cell| !cell.trim().is_empty());
        let mut cells: Vec<&String> = cells.collect();
        let filled = cells.len();
        cells.sort_unstable();
        cells.dedup();
        is_text(column) && filled > 1 && cells.len() * 2 <= filled
    };
    let most = MAX_LABEL_COLUMNS.min(columns.saturating_sub(1)).max(1);
    let mut count = 1;
    while count < most && (is_code(count - 1) || is_category(count - 1)) && (is_text(count) || is_code(count)) {
        count += 1;
    }
    // Codes without an item after them are values.
    while count > 1 && !is_text(count - 1) {
        count -= 1;
    }
    count
}

fn begins_with_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

/// Returns true for a number or a code of one word, such as `A102` or `12`.
fn is_code(cell: &str) -> bool {
    !cell.contains(char::is_whitespace) && cell.contains(|c: char| c.is_ascii_digit()) && cell.chars().count() <= 16
}

fn has_word(text: &str) -> bool {
    text.split(|c: char| !c.is_alphabetic()).any(|word| word.chars().count() >= MIN_WORD_LETTERS)
}

/// Joins the lines of a cell, without the separators of a row.
fn one_line(cell: &str) -> String {
    cell.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text;

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn a_row_is_one_line_and_comes_back_from_it() {
        let headings = strings(&["Réf.", "Désignation", "Unité", "Détail", "Gros"]);
        let cells = strings(&["A102", "Riz local de\nMan 25 kg", "sac", "16 000", "15 100"]);
        let row = TableRow::new(&headings, &cells, 2).unwrap();
        let line = row.to_string();
        let expected = "A102 Riz local de Man 25 kg — Unité : sac · Détail : 16 000 · Gros : 15 100";
        assert_eq!(line.replace('\u{a0}', " "), expected);
        assert_eq!(TableRow::parse(&line), Some(row));
        assert!(is_table_row(&line) && !is_table_row("Le riz — prix : 16 000 · gros : 15 100"));
        assert!(!is_table_row(&text::clean(&line)), "cleaned text has no no-break space");
        assert_eq!(text::fold(&line), text::fold(expected));
    }

    #[test]
    fn figures_as_a_label_keep_the_name_of_their_column() {
        let headings = strings(&["Quantité", "Prix :", ""]);
        let row = |cells: &[&str]| TableRow::new(&headings, &strings(cells), 1).map(|row| row.to_string());
        let line = |cells: &[&str]| row(cells).unwrap_or_default().replace('\u{a0}', " ");
        assert_eq!(line(&["1 à 10", "500", "net"]), "Quantité 1 à 10 — Prix : 500 · net");
        assert_eq!(line(&["Riz 25 kg", "", "net"]), "Riz 25 kg — net");
        assert_eq!((row(&["", "500", ""]), row(&["Riz", "", ""])), (None, None));
    }

    #[test]
    fn a_category_and_a_code_before_the_item_belong_to_the_label() {
        let count = |rows: &[&[&str]]| label_columns(&rows.iter().map(|row| strings(row)).collect::<Vec<_>>());
        assert_eq!(count(&[&["A102", "Riz local", "16 000"], &["A110", "Huile", "8 500"]]), 2);
        assert_eq!(count(&[&["Riz", "A1", "Riz local", "16 000"], &["Riz", "A2", "Riz long", "8 500"]]), 3);
        assert_eq!(count(&[&["Riz local", "sac", "16 000"], &["Huile", "bidon", "8 500"]]), 1);
        assert_eq!(count(&[&["1", "500"], &["2", "900"]]), 1);
        assert_eq!(count(&[&["1", "500", "450"], &["2", "900", "800"]]), 1);
    }

    #[test]
    fn a_long_row_is_divided_between_cells_with_its_label() {
        let headings = strings(&["Ville", "Lundi", "Mardi"]);
        let row = TableRow::new(&headings, &strings(&["Man", "de 8 h à 12 h", "fermé"]), 1).unwrap();
        let lines: Vec<String> = row.split(25).iter().map(|row| row.to_string().replace('\u{a0}', " ")).collect();
        assert_eq!(lines, ["Man — Lundi : de 8 h à 12 h", "Man — Mardi : fermé"]);
    }
}
