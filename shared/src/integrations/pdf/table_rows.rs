//! From the cells of a table to its columns' names and its rows: which lines are the header, which are headings of
//! sections.

use super::cells::{Cell, CellRow, FigureColumns, is_amount, names_measure};
use super::raw_page::{RawRow, RawTable};

/// Most rows of a header.
const MAX_HEADER_ROWS: usize = 4;

/// Fewest rows below the header.
const MIN_ROWS: usize = 2;

/// Share of the rows with several cells from which lines are a table.
const MIN_FILLED_SHARE: f32 = 0.5;

/// Longest name of a column, in characters.
const MAX_HEADING_CHARS: usize = 80;

/// Longest heading of a section, in characters.
const MAX_SECTION_CHARS: usize = 100;

/// The evidence, besides figures and names, that lines are a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// Ruling lines show the cells.
    Ruled,
    /// The places of words alone show the columns.
    Aligned,
}

/// Makes a table of its rows. `text` are its lines as they stand. Returns `None` when the rows are no table.
pub(super) fn table(columns: &[(f32, f32)], rows: &[CellRow], evidence: Evidence, text: String) -> Option<RawTable> {
    let figures = FigureColumns::of(rows.iter(), columns.len());
    let header_rows = header_rows(rows, &figures);
    let body = rows.get(header_rows..)?;
    let filled = body.iter().filter(|row| row.filled() >= 2).count();
    if filled < MIN_ROWS.min(rows.len()) || (filled as f32) < MIN_FILLED_SHARE * body.len() as f32 {
        return None;
    }
    let header = &rows[..header_rows];
    let mut headings = headings(header, columns.len(), evidence);
    if !are_certain(&headings, header, body, &figures, evidence) {
        headings.clear();
    }
    if figures.is_empty() && headings.is_empty() && evidence == Evidence::Aligned {
        return None;
    }
    let lines = |rows: &[CellRow]| rows.iter().map(CellRow::text).collect::<Vec<_>>().join("\n");
    let mut table = RawTable {
        text: if evidence == Evidence::Ruled { lines(rows) } else { text },
        columns: columns.to_vec(),
        header: if headings.is_empty() { String::new() } else { lines(header) },
        rows: body.iter().map(|row| raw_row(row, columns.len(), &figures)).collect(),
        headings,
        ..RawTable::default()
    };
    // Without names, the first lines are rows that continue the page before, if they are of a table at all.
    if table.headings.is_empty() && header_rows > 0 {
        table.rows.clear();
    }
    table.has_category = body.iter().flat_map(|row| &row.cells).any(|cell| cell.is_repeated && cell.covers(0));
    table.is_first_carried = carries_first(&table.rows);
    if table.is_first_carried {
        table.carry_first(None);
    }
    Some(table)
}

/// Returns the number of rows that name the columns: those before the first figures, as far as they have texts in the
/// columns of figures; or those in another style.
fn header_rows(rows: &[CellRow], figures: &FigureColumns) -> usize {
    let is_styled = |row: &&CellRow| !row.cells.is_empty() && row.cells.iter().all(|cell| cell.is_styled);
    let styled = rows.iter().take_while(is_styled).count();
    let styled_below = rows[styled..].iter().filter(is_styled).count();
    // A styled first row of figures may name years or weights.
    let by_style = (1..=MAX_HEADER_ROWS).contains(&styled) && styled_below * 3 < rows.len() - styled;
    let first = if figures.is_empty() { None } else { rows.iter().position(|row| figures.are_in(row)) };
    match first {
        Some(first) if first > 0 && first <= MAX_HEADER_ROWS + 2 => {
            rows[..first].iter().rposition(|row| figures.have_text(row)).map_or(0, |last| last + 1)
        }
        _ if by_style && rows[..styled].iter().any(|row| row.filled() >= 2) => styled,
        _ => 0,
    }
}

/// Joins the texts above each column. A text above several columns belongs to each of them, one above all to none.
fn headings(header: &[CellRow], columns: usize, evidence: Evidence) -> Vec<String> {
    // Without ruling lines, a name over several columns that have no names below may be that of one of them.
    let is_clear = |nth: usize, cell: &Cell| {
        let mut below = header[nth + 1..].iter();
        !cell.is_spanning()
            || evidence == Evidence::Ruled
            || below.any(|row| (cell.first..=cell.last).any(|column| row.own(column).is_some()))
    };
    let name = |column: usize| {
        let cells = header.iter().enumerate().flat_map(|(nth, row)| row.cells.iter().map(move |cell| (nth, cell)));
        let cells = cells.filter(|(nth, cell)| is_clear(*nth, cell)).map(|(_, cell)| cell);
        let cells = cells
            .filter(|cell| !cell.is_repeated && cell.covers(column) && (cell.first, cell.last) != (0, columns - 1));
        cells.flat_map(|cell| cell.text.split_whitespace()).collect::<Vec<_>>().join(" ")
    };
    (0..columns).map(name).collect()
}

/// Returns true when the names of the columns are certain enough to be put beside each cell.
fn are_certain(
    headings: &[String],
    header: &[CellRow],
    body: &[CellRow],
    figures: &FigureColumns,
    evidence: Evidence,
) -> bool {
    let named = headings.iter().filter(|heading| !heading.is_empty()).count();
    let is_long = |heading: &String| heading.chars().nth(MAX_HEADING_CHARS).is_some();
    let is_prose = |heading: &String| heading.ends_with(['.', ';', '?', '!']) && heading.split_whitespace().count() > 4;
    let holds_amount = header.iter().flat_map(|row| &row.cells).any(|cell| is_amount(&cell.text));
    if named < 2 || holds_amount || headings.iter().any(|heading| is_long(heading) || is_prose(heading)) {
        return false;
    }
    // Two columns of texts without figures may be addresses side by side.
    if figures.is_empty() && evidence == Evidence::Aligned && headings.len() < 3 {
        return false;
    }
    // All columns of figures have a name, apart from a few.
    let unnamed = figures.iter().filter(|column| headings[*column].is_empty()).count();
    if unnamed * 3 > figures.iter().count() {
        return false;
    }
    let is_styled = header.iter().flat_map(|row| &row.cells).all(|cell| cell.is_styled);
    let rows = body.iter().filter(|row| figures.have_figure(row)).count();
    // A pair of label and value above other such pairs is no header.
    let names_figures = figures.iter().any(|column| names_measure(&headings[column]));
    let is_usual = headings.len() > 2 && evidence == Evidence::Ruled || figures.iter().count() > 1;
    is_styled || names_figures || is_usual && rows >= MIN_ROWS
}

fn raw_row(row: &CellRow, columns: usize, figures: &FigureColumns) -> RawRow {
    if let [cell] = row.cells.as_slice()
        && is_section(cell, columns, figures)
    {
        return RawRow::Section(cell.text.clone());
    }
    let mut cells = vec![String::new(); columns];
    for cell in &row.cells {
        for (column, text) in cells.iter_mut().enumerate().take(cell.last + 1).skip(cell.first) {
            // A figure over several columns counts in each, a text such as `Total` in the first one.
            if column == cell.first || figures.contains(cell.first) && figures.contains(column) {
                if !text.is_empty() {
                    text.push(' ');
                }
                text.push_str(&cell.text);
            }
        }
    }
    RawRow::Cells(cells)
}

/// Returns true for the only cell of a row when it is the heading of those below. An item whose other cells are empty
/// looks like one, unless its style tells.
fn is_section(cell: &Cell, columns: usize, figures: &FigureColumns) -> bool {
    let is_upper =
        cell.text.chars().filter(|c| c.is_uppercase()).count() > 3 && !cell.text.contains(char::is_lowercase);
    let is_across = cell.is_spanning() || cell.first == 0 && (cell.is_styled || is_upper || cell.text.ends_with(':'));
    let is_short = cell.text.chars().nth(MAX_SECTION_CHARS).is_none();
    columns > 1 && is_across && is_short && !figures.is_figure(&cell.text)
}

/// Returns true when the empty cells of the first column belong to the cell above: it is a category, filled in the
/// first row and empty in others, and the second column names the items.
fn carries_first(rows: &[RawRow]) -> bool {
    let cells: Vec<&Vec<String>> = rows
        .iter()
        .filter_map(|row| match row {
            RawRow::Cells(cells) => Some(cells),
            RawRow::Section(_) => None,
        })
        .collect();
    let Some(first) = cells.first() else { return false };
    let is_item = |text: &String| text.contains(char::is_alphabetic);
    let empty: Vec<&&Vec<String>> = cells.iter().filter(|row| row[0].is_empty()).collect();
    first.len() > 2
        && !first[0].is_empty()
        && !empty.is_empty()
        && empty.iter().all(|row| is_item(&row[1]))
        && cells.iter().filter(|row| is_item(&row[1])).count() * 3 >= cells.len() * 2
}
