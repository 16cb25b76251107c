//! From lines of cells to rows: lines that wrap belong to the row above or below, as ruling lines, distances and the
//! widths of the columns tell.

use super::cells::{Cell, CellRow, FigureColumns, begins_within};

/// Share of a column's width that a line and the next word must fill for the line to be wrapped.
const MIN_WRAP_FILL: f32 = 0.9;

/// Width of a space, as a share of the font size.
const SPACE: f32 = 0.25;

/// Largest distance between two lines of a cell, as a multiple of the font size.
const MAX_LINE_STEP: f32 = 1.6;

/// Ratio of two distances from which the smaller one tells where a line belongs.
const MIN_DISTANCE_RATIO: f32 = 0.8;

/// Joins the lines of a table to rows. `bands` are the heights of ruling lines between rows, if there are any.
pub(super) fn rows(lines: Vec<CellRow>, columns: usize, bands: &[f32]) -> Vec<CellRow> {
    let figures = FigureColumns::of(lines.iter(), columns);
    let band = |line: &CellRow| bands.partition_point(|y| *y < line.baseline - 0.25 * size(line));
    let mut groups: Vec<Vec<CellRow>> = Vec::new();
    for line in lines {
        match groups.last_mut() {
            Some(group) if group.last().is_some_and(|last| band(last) == band(&line)) => group.push(line),
            _ => groups.push(vec![line]),
        }
    }
    // Lines between which no line of figures is alone do not separate rows.
    let is_row = |group: &Vec<CellRow>| group.iter().filter(|line| figures.have_figure(line)).count() <= 1;
    if bands.len() > 2 && groups.len() > 1 && groups.iter().all(is_row) {
        return groups.iter().map(|group| merged(group)).collect();
    }
    wrapped(groups.concat(), columns, &figures)
}

fn size(line: &CellRow) -> f32 {
    line.cells.iter().map(|cell| cell.size).fold(1.0, f32::max)
}

/// Joins lines to one row. The texts of a cell are joined from top to bottom.
fn merged(lines: &[CellRow]) -> CellRow {
    let mut row = CellRow::default();
    for line in lines {
        for cell in &line.cells {
            match row.cells.iter_mut().find(|above| (above.first, above.last) == (cell.first, cell.last)) {
                Some(above) => above.append(cell),
                None => row.cells.push(cell.clone()),
            }
        }
    }
    row.baseline = lines.first().map_or(0.0, |line| line.baseline);
    row.cells.sort_by_key(|cell| cell.first);
    row
}

/// Place of a line without figures.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Attachment {
    Above,
    Below,
    Alone,
}

/// Joins wrapped lines to the rows that have the figures.
fn wrapped(lines: Vec<CellRow>, columns: usize, figures: &FigureColumns) -> Vec<CellRow> {
    let first = lines.iter().position(|line| is_anchor(line, figures));
    let Some(first) = first else { return lines };
    let header = match figures.is_empty() {
        true => 0,
        false => lines[..first].iter().rposition(|line| figures.have_text(line)).map_or(0, |last| last + 1),
    };
    let widths = widths(&lines[header..], columns);
    let mut rows: Vec<CellRow> = lines[..header].to_vec();
    let body = &lines[header..];
    // The lines of the row that is being joined, and whether one of them has the figures.
    let (mut open, mut is_anchored): (Vec<CellRow>, bool) = (Vec::new(), false);
    for (nth, line) in body.iter().enumerate() {
        if is_anchor(line, figures) {
            if is_anchored {
                rows.push(merged(&std::mem::take(&mut open)));
            }
            is_anchored = true;
            open.push(line.clone());
            continue;
        }
        let next = body[nth + 1..].first();
        match attachment(line, &open, is_anchored, next, figures, &widths) {
            Attachment::Above => open.push(line.clone()),
            place => {
                if is_anchored || !open.is_empty() && place == Attachment::Alone {
                    rows.push(merged(&std::mem::take(&mut open)));
                }
                is_anchored = false;
                match place {
                    Attachment::Alone => rows.push(line.clone()),
                    _ => open.push(line.clone()),
                }
            }
        }
    }
    if !open.is_empty() {
        rows.push(merged(&open));
    }
    rows
}

/// Returns true for the line of a row that has its figures or, in a table without figures, its first cell.
fn is_anchor(line: &CellRow, figures: &FigureColumns) -> bool {
    if figures.is_empty() {
        return line.own(0).is_some() && line.filled() >= 2;
    }
    figures.are_in(line)
}

/// Returns the width of the widest line of each column.
fn widths(lines: &[CellRow], columns: usize) -> Vec<f32> {
    let width =
        |column: usize| lines.iter().filter_map(|line| line.own(column)).map(|cell| cell.width).fold(0.0, f32::max);
    (0..columns).map(width).collect()
}

/// Returns true when the lower of two lines continues the upper one: it does not begin like a text of its own, or its
/// first word has no room in the line above.
fn is_wrapped(upper: &Cell, lower: &Cell, widths: &[f32]) -> bool {
    let width = upper.width + SPACE * lower.size + lower.first_word;
    begins_within(&lower.text) || width > MIN_WRAP_FILL * widths.get(lower.first).copied().unwrap_or(0.0)
}

fn attachment(
    line: &CellRow,
    open: &[CellRow],
    is_anchored: bool,
    next: Option<&CellRow>,
    figures: &FigureColumns,
    widths: &[f32],
) -> Attachment {
    let size = size(line);
    let below = next.map_or(f32::INFINITY, |next| (next.baseline - line.baseline) / size);
    let above = open.last().map_or(f32::INFINITY, |last| (line.baseline - last.baseline) / size);
    let is_within_column = line.cells.iter().all(|cell| !cell.is_spanning());
    if !is_within_column {
        return Attachment::Alone;
    }
    let last_cell = |cell: &Cell| open.iter().rev().find_map(|above| above.own(cell.first));
    // A label of two lines whose figures stand between them.
    let next_lacks = next
        .is_some_and(|next| is_anchor(next, figures) && line.cells.iter().all(|cell| next.own(cell.first).is_none()));
    if next_lacks && below < MAX_LINE_STEP && below < MIN_DISTANCE_RATIO * above {
        return if open.is_empty() || is_anchored { Attachment::Below } else { Attachment::Above };
    }
    // A label of several lines whose figures stand beside one of the next ones.
    let goes_on =
        |cell: &Cell| next.and_then(|next| next.own(cell.first)).is_some_and(|below| is_wrapped(cell, below, widths));
    if below <= MAX_LINE_STEP && below < MIN_DISTANCE_RATIO * above && line.cells.iter().all(goes_on) {
        return if open.is_empty() || is_anchored { Attachment::Below } else { Attachment::Above };
    }
    let wraps = |cell: &Cell| match last_cell(cell) {
        Some(last) => is_wrapped(last, cell, widths),
        // The first line of the label stands below the figures.
        None => above < 1.0,
    };
    if !open.is_empty() && above <= MAX_LINE_STEP && above <= below * 1.3 && line.cells.iter().all(wraps) {
        return Attachment::Above;
    }
    let is_heading = line.cells.len() == 1 && line.own(0).is_some();
    if is_heading || open.is_empty() { Attachment::Alone } else { Attachment::Above }
}
