//! Text of tables: each row as one line with the names of its columns. A table that continues on the next page without
//! its header takes the names from the page before.

use super::raw_page::{RawBlock, RawPage, RawRow, RawTable};
use crate::text::{self, TableRow};

/// Longest line of a row, in characters, as far as whole cells allow.
const MAX_ROW_CHARS: usize = 900;

/// Difference up to which the edges of a column on two pages are equal, in points.
const MAX_EDGE_STEP: f32 = 12.0;

/// Most blocks between a table and the edge of its page at which it is continued.
const MAX_BLOCKS_BETWEEN: usize = 2;

/// Gives tables that continue those of the page before the names of their columns and the category of their first
/// rows.
pub(super) fn carry_over(pages: &mut [RawPage]) {
    let mut before: Option<RawTable> = None;
    for page in pages {
        let count = page.blocks.len();
        for (at, block) in page.blocks.iter_mut().enumerate() {
            let RawBlock::Table(table) = block else { continue };
            if let Some(before) = before.take().filter(|before| at <= MAX_BLOCKS_BETWEEN && continues(before, table)) {
                table.continue_from(&before);
            }
            before = Some(table.clone()).filter(|table| !table.headings.is_empty());
        }
        let last = page.blocks.iter().rposition(|block| matches!(block, RawBlock::Table(_)));
        // A table in the middle of a page ends there.
        if last.is_none_or(|last| count - last - 1 > MAX_BLOCKS_BETWEEN) {
            before = None;
        }
    }
}

/// Returns true when a table without a header has the columns of another one.
fn continues(before: &RawTable, table: &RawTable) -> bool {
    table.headings.is_empty()
        && before.columns.len() == table.columns.len()
        && before.columns.iter().zip(&table.columns).all(|(one, other)| {
            let is_left = (one.0 - other.0).abs() <= MAX_EDGE_STEP;
            let is_right = (one.1 - other.1).abs() <= MAX_EDGE_STEP;
            let overlap = one.1.min(other.1) - one.0.max(other.0);
            is_left || is_right || overlap > 0.5 * (one.1 - one.0).min(other.1 - other.0)
        })
}

/// Returns the lines of a table whose columns have names. `clean` normalises a text; the function returns `None` when
/// `clean` does.
pub(super) fn lines(table: &RawTable, mut clean: impl FnMut(&str) -> Option<String>) -> Option<Vec<String>> {
    let mut lines: Vec<String> = clean(&table.header)?.lines().map(str::to_owned).collect();
    let headings: Option<Vec<String>> = table.headings.iter().map(|heading| clean(heading)).collect();
    let headings = headings?;
    let mut rows = Vec::with_capacity(table.rows.len());
    for row in &table.rows {
        rows.push(match row {
            RawRow::Cells(cells) => RawRow::Cells(cells.iter().map(|cell| clean(cell)).collect::<Option<_>>()?),
            RawRow::Section(section) => RawRow::Section(clean(section)?),
        });
    }
    let cells: Vec<Vec<String>> = rows
        .iter()
        .filter_map(|row| match row {
            RawRow::Cells(cells) => Some(cells.clone()),
            RawRow::Section(_) => None,
        })
        .collect();
    let has_category = table.has_category || table.is_first_carried;
    let label_columns = if has_category {
        let items: Vec<Vec<String>> = cells.iter().map(|row| row.iter().skip(1).cloned().collect()).collect();
        text::label_columns(&items) + 1
    } else {
        text::label_columns(&cells)
    };
    let mut section = clean(&table.section)?;
    let are_named = named_rows(&rows, label_columns);
    let unnamed = vec![String::new(); headings.len()];
    for (row, is_named) in rows.into_iter().zip(are_named) {
        let headings = if is_named { &headings } else { &unnamed };
        match row {
            RawRow::Cells(cells) => match TableRow::new(headings, &cells, label_columns) {
                Some(row) => {
                    lines.extend(row.in_section(&section).split(MAX_ROW_CHARS).iter().map(TableRow::to_string))
                }
                None => {
                    let filled: Vec<&str> =
                        cells.iter().map(|cell| cell.trim()).filter(|cell| !cell.is_empty()).collect();
                    lines.extend(Some(filled.join(" ")).filter(|line| !line.is_empty()));
                }
            },
            RawRow::Section(heading) => {
                section = heading.split_whitespace().collect::<Vec<_>>().join(" ");
                lines.push(section.clone());
            }
        }
    }
    Some(lines)
}

/// Returns for each row true when the names of the columns are its own. Below the heading of a section, rows that all
/// have a single figure, in the same column, are a list of another kind: supplements below the prices of rooms for one
/// and for two.
fn named_rows(rows: &[RawRow], label_columns: usize) -> Vec<bool> {
    let is_section = |row: &RawRow| matches!(row, RawRow::Section(_));
    let filled = |row: &RawRow| -> Vec<usize> {
        let RawRow::Cells(cells) = row else { return Vec::new() };
        let cells = cells.iter().enumerate().skip(label_columns);
        cells.filter(|(_, cell)| !cell.trim().is_empty()).map(|(column, _)| column).collect()
    };
    let groups: Vec<&[RawRow]> = rows.chunk_by(|_, below| !is_section(below)).collect();
    let has_several = groups.first().is_some_and(|group| {
        let several = group.iter().filter(|row| filled(row).len() > 1).count();
        several * 2 > group.iter().filter(|row| !is_section(row)).count()
    });
    let is_list = |group: &[RawRow]| {
        let mut columns: Vec<Vec<usize>> = group.iter().filter(|row| !is_section(row)).map(filled).collect();
        let rows = columns.len();
        columns.dedup();
        rows > 1 && matches!(columns.as_slice(), [column] if column.len() == 1)
    };
    let named = groups.iter().enumerate().flat_map(|(nth, group)| {
        let is_named = nth == 0 || !has_several || !group.first().is_some_and(is_section) || !is_list(group);
        std::iter::repeat_n(is_named, group.len())
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_single_prices_below_a_table_does_not_take_its_names() {
        let cells = |cells: [&str; 3]| RawRow::Cells(cells.map(str::to_owned).to_vec());
        let mut table = RawTable {
            header: "Chambre 1 personne 2 personnes".to_owned(),
            headings: ["Chambre", "1 personne", "2 personnes"].map(str::to_owned).to_vec(),
            rows: vec![
                cells(["Karité", "15 000", "18 000"]),
                cells(["Bungalow familial", "", "72 000"]),
                cells(["Baobab", "23 000", "27 000"]),
                RawRow::Section("Suppléments".to_owned()),
                cells(["Lit d'appoint", "", "7 500"]),
                cells(["Blanchisserie, le kilo", "", "2 000"]),
            ],
            ..RawTable::default()
        };
        let read =
            |table: &RawTable| lines(table, |text| Some(text.to_owned())).unwrap().join("\n").replace('\u{a0}', " ");
        assert_eq!(
            read(&table),
            "Chambre 1 personne 2 personnes\nKarité — 1 personne : 15 000 · 2 personnes : 18 000\n\
             Bungalow familial — 2 personnes : 72 000\nBaobab — 1 personne : 23 000 · 2 personnes : 27 000\nSuppléments\n\
             Suppléments, Lit d'appoint — 7 500\nSuppléments, Blanchisserie, le kilo — 2 000"
        );
        table.rows[4] = cells(["Lit d'appoint", "5 000", "7 500"]);
        assert!(read(&table).contains("Suppléments, Blanchisserie, le kilo — 2 personnes : 2 000"));
    }
}
