//! Tables without ruling lines between their columns: spaces that run through all rows with figures are the columns'
//! borders.

use super::cell_lines;
use super::cells::{CellRow, FigureColumns};
use super::display::Area;
use super::heading_lines;
use super::raw_page::{RawRow, RawTable};
use super::rules::Rules;
use super::segments::{self, Row, Segment};
use super::table_rows::{self, Evidence};
use std::ops::Range;

/// Narrowest border between two columns, as a multiple of the font size.
const MIN_BORDER: f32 = 0.45;

/// Gap between two texts of a row from which they are cells, as a multiple of the font size.
const MIN_CELL_GAP: f32 = 0.9;

/// Largest distance between two rows of a table, as a multiple of the font size.
const MAX_ROW_STEP: f32 = 4.5;

/// Largest distance between the header and the first row, and between the lines of the header, as a multiple of the
/// font size.
const MAX_HEADER_STEP: f32 = 3.0;

/// Most lines one after the other that have one cell only: wrapped lines and headings of sections.
const MAX_SINGLE_LINES: usize = 3;

/// Most rows above a row that continues the table of the page before.
const MAX_ROWS_ABOVE: usize = 4;

/// Share of the table's width up to which a line below the last row may be a wrapped line of it.
const MAX_WRAPPED_SHARE: f32 = 0.6;

/// Most columns of a table, and most lines.
const MAX_COLUMNS: usize = 24;
const MAX_LINES: usize = 300;

/// Share of a text or a column that must overlap for the text to stand in the column.
const MIN_OVERLAP: f32 = 0.25;

/// Share of the table's width from which a ruling line belongs to the table.
const MIN_RULE_SHARE: f32 = 0.6;

/// Finds the tables among consecutive rows. `above` are the columns of a table at the end of the page before. Returns
/// the rows that each table takes.
pub(super) fn find(rows: &[Row], rules: &Rules, above: Option<&[(f32, f32)]>) -> Vec<(Range<usize>, RawTable)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < rows.len() {
        let continued = above.filter(|_| at < MAX_ROWS_ABOVE && found.is_empty());
        let table = table_from(rows, at, rules);
        match table.or_else(|| Some((at..at + 1, last_row(&rows[at], continued?, rules)?))) {
            Some((range, table)) => {
                at = range.end;
                found.push((range, table));
            }
            None => at += 1,
        }
    }
    found
}

/// Returns the table of a single row that continues the table of the page before.
fn last_row(row: &Row, columns: &[(f32, f32)], rules: &Rules) -> Option<RawTable> {
    let line = cell_line(row, columns, &rules.shades);
    let has_figure = line.cells.last().is_some_and(|cell| cell.text.starts_with(|c: char| c.is_ascii_digit()));
    let is_row = has_figure
        && has_cells(row)
        && line.filled() * 3 >= columns.len() * 2
        && line.cells.iter().all(|cell| !cell.is_spanning());
    is_row.then(|| {
        let mut cells = vec![String::new(); columns.len()];
        line.cells.into_iter().for_each(|cell| cells[cell.first] = cell.text);
        let text = segments::line(row).text;
        RawTable { text, columns: columns.to_vec(), rows: vec![RawRow::Cells(cells)], ..RawTable::default() }
    })
}

/// Returns true for a row with several cells.
fn has_cells(row: &Row) -> bool {
    let gap = |pair: &[Segment]| pair[1].start - pair[0].end > MIN_CELL_GAP * pair[0].size.max(pair[1].size);
    row.segments.windows(2).any(gap)
}

fn size(row: &Row) -> f32 {
    row.segments.iter().map(|segment| segment.size).fold(1.0, f32::max)
}

fn table_from(rows: &[Row], at: usize, rules: &Rules) -> Option<(Range<usize>, RawTable)> {
    if !has_cells(&rows[at]) {
        return None;
    }
    let end = end_of_run(rows, at);
    let columns = columns(&rows[at..end])?;
    let lines = |range: &Range<usize>| -> Vec<CellRow> {
        rows[range.clone()].iter().map(|row| cell_line(row, &columns, &rules.shades)).collect()
    };
    let figures = FigureColumns::of(lines(&(at..end)).iter(), columns.len());
    let range = trimmed(rows, at..end, &lines(&(at..end)), &figures);
    let mut lines = lines(&range);
    let bands = bands(rules, &columns, &rows[range.clone()]);
    style_ruled_header(&mut lines, &bands, &figures);
    let header = header_lines(&lines, &figures);
    heading_lines::divide_names(&mut lines[..header], &rows[range.clone()], &columns, &rules.shades);
    heading_lines::spread_groups(&mut lines[..header], &columns);
    let text = rows[range.clone()].iter().map(|row| segments::line(row).text).collect::<Vec<_>>().join("\n");
    let table = table_rows::table(&columns, &cell_lines::rows(lines, columns.len(), &bands), Evidence::Aligned, text)?;
    // A table on the page before may name the columns of rows that begin the page.
    (!table.headings.is_empty() || !table.rows.is_empty()).then_some((range, table))
}

/// Returns the end of the rows that may belong to one table.
fn end_of_run(rows: &[Row], at: usize) -> usize {
    let (mut end, mut singles) = (at + 1, 0);
    for nth in at + 1..rows.len().min(at + MAX_LINES) {
        let step = (rows[nth].baseline - rows[nth - 1].baseline) / size(&rows[nth]);
        if !(0.0..=MAX_ROW_STEP).contains(&step) {
            break;
        }
        singles = if has_cells(&rows[nth]) { 0 } else { singles + 1 };
        if singles > MAX_SINGLE_LINES {
            break;
        }
        if singles == 0 {
            end = nth + 1;
        }
    }
    // Wrapped lines may follow the last row. Prose is wider.
    let side = |pick: fn(f32, f32) -> f32, of: fn(&Segment) -> f32, first: f32| {
        rows[at..end].iter().flat_map(|row| &row.segments).map(of).fold(first, pick)
    };
    let left = side(f32::min, |segment| segment.start, f32::INFINITY);
    let width = side(f32::max, |segment| segment.end, f32::NEG_INFINITY) - left;
    let follows = |nth: &usize| {
        let row = &rows[*nth];
        let step = (row.baseline - rows[nth - 1].baseline) / size(row);
        let ends = row.segments.last().map_or(left, |segment| segment.end);
        !has_cells(row) && (0.0..=1.5).contains(&step) && ends - left < MAX_WRAPPED_SHARE * width
    };
    end + (end..rows.len()).take(MAX_SINGLE_LINES).take_while(follows).count()
}

/// Returns the left and right edges of the columns' texts.
fn columns(rows: &[Row]) -> Option<Vec<(f32, f32)>> {
    let has_figure = |row: &&Row| {
        let last = row.segments.iter().skip(1);
        has_cells(row)
            && last.into_iter().any(|segment| segment.text.trim_start().starts_with(|c: char| c.is_ascii_digit()))
    };
    let mut typical: Vec<&Row> = rows.iter().filter(has_figure).collect();
    if typical.len() < 2 {
        typical = rows.iter().filter(|row| has_cells(row)).collect();
    }
    if typical.len() < 2 {
        return None;
    }
    let border = |row: &Row| MIN_BORDER * size(row);
    let least = typical.iter().map(|row| border(row)).fold(f32::INFINITY, f32::min);
    let blocks: Vec<(f32, f32)> = typical.iter().flat_map(|row| blocks(row, border(row))).collect();
    let mut edges: Vec<(f32, i32)> = blocks.iter().flat_map(|&(from, to)| [(from, 1), (to, -1)]).collect();
    edges.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
    let tolerance = i32::try_from(typical.len() / 10).unwrap_or(0);
    let (mut depth, mut free_from, mut borders) = (0, None, Vec::new());
    for (x, change) in edges {
        depth += change;
        if depth <= tolerance {
            free_from.get_or_insert(x);
        } else if let Some(from) = free_from.take()
            && x - from >= least
        {
            borders.push((from + x) / 2.0);
        }
    }
    let column_of = |&(from, to): &(f32, f32)| borders.partition_point(|border| *border < (from + to) / 2.0);
    // The first border is the left edge of the first column, if texts begin there.
    let mut columns: Vec<Option<(f32, f32)>> = vec![None; borders.len() + 1];
    for block in &blocks {
        let column = &mut columns[column_of(block)];
        let (from, to) = column.unwrap_or(*block);
        *column = Some((from.min(block.0), to.max(block.1)));
    }
    let columns: Vec<(f32, f32)> = columns.into_iter().flatten().collect();
    (2..=MAX_COLUMNS).contains(&columns.len()).then_some(columns)
}

/// Returns the beginnings and ends of a row's texts between spaces of at least `border`.
fn blocks(row: &Row, border: f32) -> Vec<(f32, f32)> {
    let mut blocks: Vec<(f32, f32)> = Vec::new();
    let words = row.segments.iter().flat_map(|segment| &segment.words);
    for word in words {
        match blocks.last_mut().filter(|block| word.start - block.1 < border) {
            Some(block) => block.1 = block.1.max(word.end),
            None => blocks.push((word.start, word.end)),
        }
    }
    blocks
}

/// Divides a row into cells.
fn cell_line(row: &Row, columns: &[(f32, f32)], shades: &[Area]) -> CellRow {
    let border = MIN_BORDER * size(row);
    let parts = row.segments.iter().flat_map(|segment| segment.split(|left, right| right - left >= border));
    let mut groups: Vec<Vec<Segment>> = Vec::new();
    for part in parts {
        match groups.last_mut() {
            Some(group) if group.last().is_some_and(|last| part.start - last.end < border) => group.push(part),
            _ => groups.push(vec![part]),
        }
    }
    let is_whole = groups.len() == columns.len();
    let mut cells: Vec<(usize, usize, Vec<Segment>)> = Vec::new();
    for (nth, group) in groups.into_iter().enumerate() {
        let start = group.iter().map(|part| part.start).fold(f32::INFINITY, f32::min);
        let end = group.iter().map(|part| part.end).fold(f32::NEG_INFINITY, f32::max);
        // The names of all columns stand in their order, however wide they are.
        let (first, last) = if is_whole { (nth, nth) } else { span(start, end, columns) };
        match cells.last_mut().filter(|cell| cell.1 >= first) {
            Some(cell) => {
                cell.1 = cell.1.max(last);
                cell.2.extend(group);
            }
            None => cells.push((first, last, group)),
        }
    }
    let cells = cells.into_iter().map(|(first, last, parts)| segments::cell(parts, first, last, shades));
    CellRow { cells: cells.collect(), baseline: row.baseline }
}

/// Returns the first and the last column over which a text stands.
fn span(start: f32, end: f32, columns: &[(f32, f32)]) -> (usize, usize) {
    let overlaps = |&(from, to): &(f32, f32)| {
        let overlap = end.min(to) - start.max(from);
        overlap > MIN_OVERLAP * (end - start).min(to - from)
    };
    let over = |is: &dyn Fn(&(f32, f32)) -> bool| columns.iter().position(is).zip(columns.iter().rposition(is));
    let middle = (start + end) / 2.0;
    over(&overlaps).unwrap_or_else(|| {
        let distance = |&(from, to): &(f32, f32)| (from - middle).max(middle - to);
        let nearest = (0..columns.len()).min_by(|&a, &b| distance(&columns[a]).total_cmp(&distance(&columns[b])));
        let nearest = nearest.unwrap_or(0);
        (nearest, nearest)
    })
}

/// Leaves out lines above the header and below the last row.
fn trimmed(rows: &[Row], run: Range<usize>, lines: &[CellRow], figures: &FigureColumns) -> Range<usize> {
    let first = lines.iter().position(|line| figures.are_in(line));
    let Some(first) = first else { return run };
    let mut start = run.start + first;
    while start > run.start && (rows[start].baseline - rows[start - 1].baseline) / size(&rows[start]) <= MAX_HEADER_STEP
    {
        start -= 1;
    }
    // The name of a group of columns stands alone above them.
    let above = start.checked_sub(1).filter(|above| start == run.start && !has_cells(&rows[*above]));
    let is_group = |above: &usize| {
        let (row, first_figures) = (&rows[*above], figures.iter().next().unwrap_or(0));
        let step = (rows[start].baseline - row.baseline) / size(&rows[start]);
        let begins = row.segments.first().map_or(0.0, |segment| segment.start);
        let label_end = lines.iter().filter_map(|line| line.own(0)).map(|cell| cell.start + cell.width);
        first_figures > 0 && (0.0..=2.6).contains(&step) && begins > label_end.fold(0.0, f32::max)
    };
    start - usize::from(above.as_ref().is_some_and(is_group))..run.end
}

/// Returns the number of lines that name the columns.
fn header_lines(lines: &[CellRow], figures: &FigureColumns) -> usize {
    let first = lines.iter().position(|line| figures.are_in(line)).unwrap_or(0);
    lines[..first].iter().rposition(|line| figures.have_text(line)).map_or(0, |last| last + 1)
}

/// Returns the heights of the ruling lines across the table.
fn bands(rules: &Rules, columns: &[(f32, f32)], rows: &[Row]) -> Vec<f32> {
    let (Some(left), Some(right)) = (columns.first(), columns.last()) else { return Vec::new() };
    let (Some(top), Some(bottom)) = (rows.first(), rows.last()) else { return Vec::new() };
    let heights = top.baseline - 2.5 * size(top)..bottom.baseline + 2.5 * size(bottom);
    let width = right.1 - left.0;
    let mut covered: Vec<(f32, f32)> = Vec::new();
    for stroke in rules.horizontal.iter().filter(|stroke| heights.contains(&stroke.at)) {
        let overlap = (stroke.to.min(right.1) - stroke.from.max(left.0)).max(0.0);
        match covered.iter_mut().find(|(at, _)| (at - stroke.at).abs() < 2.0) {
            Some((_, sum)) => *sum += overlap,
            None => covered.push((stroke.at, overlap)),
        }
    }
    let wide = covered.into_iter().filter(|(_, overlap)| *overlap >= MIN_RULE_SHARE * width);
    let mut bands: Vec<f32> = wide.map(|(at, _)| at).collect();
    bands.sort_by(f32::total_cmp);
    bands
}

/// Marks the header as styled when a ruling line divides it from the rows, and no line divides the rows.
fn style_ruled_header(lines: &mut [CellRow], bands: &[f32], figures: &FigureColumns) {
    let Some(first) = lines.iter().position(|line| figures.are_in(line)).filter(|first| *first > 0) else {
        return;
    };
    let (above, below) = (lines[first - 1].baseline, lines[first].baseline);
    let last = lines.last().map_or(below, |line| line.baseline);
    let is_divided = bands.iter().any(|y| (above - 1.0..below).contains(y));
    let within = bands.iter().filter(|y| (below + 1.0..last - 1.0).contains(*y)).count();
    if is_divided && within * 3 < lines.len() - first {
        lines[..first].iter_mut().flat_map(|line| &mut line.cells).for_each(|cell| cell.is_styled = true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stands_over_the_columns_that_it_overlaps() {
        let columns = [(0.0, 100.0), (150.0, 180.0), (200.0, 230.0)];
        assert_eq!(span(155.0, 225.0, &columns), (1, 2));
        assert_eq!(span(140.0, 185.0, &columns), (1, 1));
        assert_eq!(span(110.0, 120.0, &columns), (0, 0));
        assert_eq!(span(186.0, 196.0, &columns), (2, 2));
    }
}
