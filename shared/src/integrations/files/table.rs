//! Tables: rows become lines with the names of their columns.

use unicode_segmentation::UnicodeSegmentation;

use super::block::Line;
use crate::text::{self, TableCell, TableRow, label_columns};

/// Longest line of a row, in characters. A longer row is divided between cells, each part with the row's label.
const MAX_LINE_CHARS: usize = 1_000;
/// Longest text of a cell in one line, in characters. A longer one is divided between sentences.
const MAX_CELL_CHARS: usize = 700;
/// Longest name of a column that is repeated with each cell, in characters.
const MAX_NAME_CHARS: usize = 100;
/// Fewest columns of a table of words whose first row names them without looking like names.
const MIN_NAMED_COLUMNS: usize = 3;

/// A cell as it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) text: String,
    /// True for bold text or a coloured cell, as headings have.
    pub(super) is_emphasized: bool,
}

impl Cell {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_emphasized: false }
    }

    fn is_filled(&self) -> bool {
        !self.text.trim().is_empty()
    }
}

/// A row of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) number: u32,
    pub(super) cells: Vec<Cell>,
    /// True for a row that the file marks as a heading.
    pub(super) is_heading: bool,
}

impl Row {
    pub(super) fn is_blank(&self) -> bool {
        !self.cells.iter().any(Cell::is_filled)
    }

    fn filled(&self) -> usize {
        self.cells.iter().filter(|cell| cell.is_filled()).count()
    }

    /// Returns true for a row with one text: a title, or a note over several columns. A heading over several columns
    /// leaves the first one empty.
    fn is_title(&self) -> bool {
        let mut filled = self.cells.iter().filter(|cell| cell.is_filled());
        let Some(first) = filled.next() else { return true };
        let is_first = self.cells.first().is_some_and(Cell::is_filled);
        filled.all(|cell| is_first && cell.text == first.text)
    }

    fn text(&self, column: usize) -> &str {
        self.cells.get(column).map_or("", |cell| cell.text.trim())
    }

    fn texts(&self) -> Vec<String> {
        self.cells.iter().map(|cell| clean(&cell.text)).collect()
    }
}

/// Returns the lines of a sheet's rows. Blank rows divide tables. `first_is_header` is true where the first row of a table
/// names its columns by convention.
pub(super) fn lines(rows: &[Row], first_is_header: bool) -> Vec<Line> {
    let tables = rows.split(Row::is_blank).filter(|table| !table.is_empty());
    let mut headings: Vec<String> = Vec::new();
    let mut lines = Vec::new();
    for table in tables {
        let titles = table.iter().take_while(|row| row.is_title()).count();
        let (titles, rest) = table.split_at(titles);
        lines.extend(titles.iter().map(plain_line));
        let header = header_rows(rest, first_is_header);
        let (header, data) = rest.split_at(header);
        // Rows after a blank one go on under the headings above, unless they have their own.
        if !header.is_empty() {
            headings = column_names(header);
            // Names that are cut are read whole once.
            if headings.iter().any(|name| name.ends_with('…')) {
                lines.extend(header.iter().map(plain_line));
            }
        } else if data.iter().any(|row| row.cells.len() > headings.len()) {
            headings.clear();
        }
        if data.is_empty() {
            lines.extend(header.iter().map(plain_line));
        }
        let texts: Vec<Vec<String>> = data.iter().filter(|row| row.filled() > 1).map(Row::texts).collect();
        let labels = label_columns(&texts);
        lines.extend(data.iter().flat_map(|row| row_lines(row, &headings, labels)));
    }
    lines
}

fn row_lines(row: &Row, headings: &[String], labels: usize) -> Vec<Line> {
    if row.is_title() && row.filled() > 1 {
        return vec![plain_line(row)];
    }
    // A table without an item in its first columns begins at its first filled cell.
    let first = row.cells.iter().position(Cell::is_filled).unwrap_or(0);
    let (from, labels) = if first >= labels { (first, 1) } else { (0, labels) };
    let texts = row.texts();
    let table_row = TableRow::new(
        headings.get(from..).unwrap_or_default(),
        texts.get(from..).unwrap_or_default(),
        labels.min(texts.len().saturating_sub(from)),
    );
    match table_row {
        Some(table_row) => {
            let table_row = TableRow { cells: table_row.cells.into_iter().flat_map(divided).collect(), ..table_row };
            let parts = table_row.split(MAX_LINE_CHARS).into_iter();
            parts.map(|part| Line { number: row.number, text: part.to_string(), is_row: true }).collect()
        }
        None => vec![plain_line(row)],
    }
}

/// Divides a long cell between sentences into several of the same column.
fn divided(cell: TableCell) -> Vec<TableCell> {
    if cell.value.chars().nth(MAX_CELL_CHARS).is_none() {
        return vec![cell];
    }
    let mut parts = vec![String::new()];
    for sentence in cell.value.split_sentence_bounds() {
        let is_full = |part: &&mut String| part.chars().count() + sentence.chars().count() > MAX_CELL_CHARS;
        match parts.last_mut().filter(|part| !is_full(part)) {
            Some(part) => part.push_str(sentence),
            None => parts.push(sentence.to_owned()),
        }
    }
    let filled = parts.into_iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty());
    filled.map(|value| TableCell { column: cell.column.clone(), value }).collect()
}

/// Returns a row without names: a title, a note, or headings of nothing.
fn plain_line(row: &Row) -> Line {
    let mut texts = row.texts();
    texts.retain(|text| !text.is_empty());
    texts.dedup();
    Line { number: row.number, text: texts.join(" "), is_row: true }
}

/// Returns the number of rows at the beginning that name the columns.
fn header_rows(rows: &[Row], first_is_header: bool) -> usize {
    let marked = rows.iter().take_while(|row| row.is_heading).count();
    if marked > 0 {
        return marked;
    }
    let Some((first, below)) = rows.split_first() else { return 0 };
    if below.is_empty() || first.filled() < 2 || !names_columns(first) {
        return 0;
    }
    let columns = first.cells.len();
    let is_named = |column: usize| {
        let filled: Vec<&str> = below.iter().map(|row| row.text(column)).filter(|text| !text.is_empty()).collect();
        let figures = filled.iter().filter(|text| is_figure(text)).count();
        !first.text(column).is_empty() && !is_figure(first.text(column)) && figures * 2 > filled.len()
    };
    let stands_out = is_emphasized(first) && !below.first().is_some_and(is_emphasized);
    let is_header = first_is_header || stands_out || first.filled() >= MIN_NAMED_COLUMNS || (0..columns).any(is_named);
    if !is_header {
        return 0;
    }
    // A heading over several columns is repeated in each, and the row below tells them apart.
    let spans = first.cells.windows(2).any(|pair| pair[0].is_filled() && pair[0].text == pair[1].text);
    let has_second = spans && below.len() > 1 && below.first().is_some_and(names_columns);
    1 + usize::from(has_second)
}

/// Returns true for a row whose cells may name columns: words, or years.
fn names_columns(row: &Row) -> bool {
    let mut filled = row.cells.iter().filter(|cell| cell.is_filled());
    let has_words = row.cells.iter().any(|cell| cell.is_filled() && !is_figure(&cell.text));
    has_words && filled.all(|cell| !is_figure(&cell.text) || is_year(&cell.text))
}

fn is_emphasized(row: &Row) -> bool {
    row.filled() > 0 && row.cells.iter().filter(|cell| cell.is_filled()).all(|cell| cell.is_emphasized)
}

/// Joins the headings of each column, from the top.
fn column_names(header: &[Row]) -> Vec<String> {
    let columns = header.iter().map(|row| row.cells.len()).max().unwrap_or(0);
    let name = |column| {
        let mut parts: Vec<String> = header.iter().map(|row| clean(row.text(column))).collect();
        parts.retain(|part| !part.is_empty());
        parts.dedup();
        let name = parts.join(" ");
        match name.char_indices().nth(MAX_NAME_CHARS) {
            Some((end, _)) => format!("{}…", name[..end].trim_end()),
            None => name,
        }
    };
    (0..columns).map(name).collect()
}

fn clean(text: &str) -> String {
    text::clean(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns true for an amount, a percentage or a date: digits with separators, and at most a currency.
fn is_figure(text: &str) -> bool {
    const UNITS: &[&str] = &["fcfa", "xof", "xaf", "cfa", "eur", "usd", "f", "€", "$", "£", "%"];
    let folded = text.to_lowercase();
    let mut rest = folded.as_str().trim();
    for unit in UNITS {
        rest = rest.strip_suffix(unit).or_else(|| rest.strip_prefix(unit)).unwrap_or(rest).trim();
    }
    let is_date = rest.matches(['/', '-']).count() == 2;
    rest.contains(|c: char| c.is_ascii_digit())
        && rest.char_indices().all(|(at, c)| {
            c.is_ascii_digit()
                || c.is_whitespace()
                || matches!(c, '.' | ',')
                || at == 0 && matches!(c, '-' | '+')
                || is_date && matches!(c, '/' | '-')
        })
}

fn is_year(text: &str) -> bool {
    text.trim().parse::<u32>().is_ok_and(|year| (1900..2200).contains(&year))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[&[&str]]) -> Vec<Row> {
        let row = |(number, cells): (u32, &&[&str])| Row {
            number,
            cells: cells.iter().map(|&text| Cell::new(text)).collect(),
            is_heading: false,
        };
        (1..).zip(rows).map(row).collect()
    }

    fn texts(rows: &[Row]) -> Vec<String> {
        lines(rows, false)
            .into_iter()
            .map(|line| format!("{} {}", line.number, line.text.replace('\u{a0}', " ")))
            .collect()
    }

    #[test]
    fn each_row_has_the_names_of_its_columns() {
        let rows = table(&[
            &["Prix au 1er mars", "Prix au 1er mars", "Prix au 1er mars"],
            &["Article", "Détail", "Gros"],
            &["Riz local de Man 25 kg", "16 000", "15 100"],
            &["Huile rouge 5 L", "", "8 500 FCFA"],
            &["Promotion", "Promotion", "Promotion"],
            &["", "", ""],
            &["Sel 1 kg", "300", "250"],
        ]);
        assert_eq!(
            texts(&rows),
            [
                "1 Prix au 1er mars",
                "3 Riz local de Man 25 kg — Détail : 16 000 · Gros : 15 100",
                "4 Huile rouge 5 L — Gros : 8 500 FCFA",
                "5 Promotion",
                "7 Sel 1 kg — Détail : 300 · Gros : 250",
            ]
        );
    }

    #[test]
    fn two_rows_of_headings_are_joined() {
        let rows = table(&[
            &["Ville", "Prix", "Prix", "Délai"],
            &["", "Moto", "Camion", ""],
            &["Abidjan", "1 500", "4 000", "24 h"],
        ]);
        assert_eq!(texts(&rows), ["3 Abidjan — Prix Moto : 1 500 · Prix Camion : 4 000 · Délai : 24 h"]);
    }

    #[test]
    fn pairs_of_words_have_no_heading_and_years_are_headings() {
        assert_eq!(
            texts(&table(&[&["Adresse", "Cocody"], &["Courriel", "a@b.ci"]])),
            ["1 Adresse — Cocody", "2 Courriel — a@b.ci"]
        );
        assert_eq!(
            texts(&table(&[&["Produit", "2025", "2026"], &["Riz", "15 000", "16 000"]])),
            ["2 Riz — 2025 : 15 000 · 2026 : 16 000"]
        );
        assert_eq!(
            texts(&table(&[&["Zone", "0-5 kg", "5-10 kg"], &["Abidjan", "1500", "2000"]])),
            ["2 Abidjan — 0-5 kg : 1500 · 5-10 kg : 2000"]
        );
        assert_eq!(texts(&table(&[&["Riz", "500"], &["Sel", "300"]])), ["1 Riz — 500", "2 Sel — 300"]);
    }

    #[test]
    fn a_long_cell_is_divided_and_loses_nothing() {
        let answer = "Nous répondons à chaque question dans la journée. ".repeat(40);
        let texts = texts(&table(&[&["Question", "Réponse", "Page"], &["Quand ?", &answer, "12"]]));
        assert!(texts.len() > 2 && texts.iter().all(|text| text.starts_with("2 Quand ? — ") && text.len() < 1_300));
        assert_eq!(texts.iter().map(|text| text.matches("journée").count()).sum::<usize>(), 40);
        assert_eq!(texts.iter().filter(|text| text.contains("Page : 12")).count(), 1);
    }

    #[test]
    fn figures_are_told_from_words() {
        for figure in ["16 000", "16\u{202f}000 FCFA", "1.500,50 €", "12 %", "$5", "-3,5", "29/11/2026", "1 500 F"] {
            assert!(is_figure(figure), "{figure}");
        }
        for word in ["Prix", "0-5 kg", "24 h", "A102", "fermé", "F", ""] {
            assert!(!is_figure(word), "{word}");
        }
    }
}
