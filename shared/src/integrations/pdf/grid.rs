//! Tables whose cells are drawn with ruling lines.

use super::cell_lines;
use super::cells::{Cell, CellRow};
use super::display::Area;
use super::raw_page::RawTable;
use super::rules::{Rules, Stroke};
use super::segments::{self, Segment};
use super::table_rows::{self, Evidence};

/// Distance up to which two lines meet or are one line, in points.
const MAX_GAP: f32 = 3.0;

/// Most columns and rows of a table.
const MAX_COLUMNS: usize = 30;
const MAX_ROWS: usize = 300;

/// Longest text of a cell, in characters. Boxes with longer ones are a layout.
const MAX_CELL_CHARS: usize = 500;

/// Lines that cross each other.
#[derive(Debug)]
pub(super) struct Grid {
    /// Edges of the columns and of the rows, in ascending order.
    xs: Vec<f32>,
    ys: Vec<f32>,
    vertical: Vec<Stroke>,
    horizontal: Vec<Stroke>,
}

/// Finds the grids of a page.
pub(super) fn find(rules: &Rules) -> Vec<Grid> {
    let (vertical, horizontal) = (&rules.vertical, &rules.horizontal);
    let count = vertical.len() + horizontal.len();
    let mut group: Vec<usize> = (0..count).collect();
    let meets = |v: &Stroke, h: &Stroke| {
        (h.from - MAX_GAP..=h.to + MAX_GAP).contains(&v.at) && (v.from - MAX_GAP..=v.to + MAX_GAP).contains(&h.at)
    };
    for (nth, v) in vertical.iter().enumerate() {
        for (other, _) in horizontal.iter().enumerate().filter(|(_, h)| meets(v, h)) {
            let (one, two) = (root(&group, nth), root(&group, vertical.len() + other));
            group[one] = two;
        }
    }
    let mut roots: Vec<usize> = (0..count).map(|nth| root(&group, nth)).collect();
    roots.sort_unstable();
    roots.dedup();
    let member = |strokes: &[Stroke], shift: usize, of: usize| -> Vec<Stroke> {
        let members = strokes.iter().enumerate().filter(|(nth, _)| root(&group, nth + shift) == of);
        members.map(|(_, stroke)| *stroke).collect()
    };
    let grids = roots.into_iter().map(|of| Grid::new(member(vertical, 0, of), member(horizontal, vertical.len(), of)));
    grids.flatten().collect()
}

fn root(group: &[usize], mut nth: usize) -> usize {
    while group[nth] != nth {
        nth = group[nth];
    }
    nth
}

/// Returns places without those that are equal to the one before.
fn distinct(places: impl Iterator<Item = f32>) -> Vec<f32> {
    let mut places: Vec<f32> = places.collect();
    places.sort_by(f32::total_cmp);
    places.dedup_by(|b, a| *b - *a <= MAX_GAP);
    places
}

impl Grid {
    fn new(vertical: Vec<Stroke>, horizontal: Vec<Stroke>) -> Option<Self> {
        let ends = |strokes: &[Stroke]| {
            let from = strokes.iter().map(|stroke| stroke.from).fold(f32::INFINITY, f32::min);
            let to = strokes.iter().map(|stroke| stroke.to).fold(f32::NEG_INFINITY, f32::max);
            [from, to]
        };
        let xs = distinct(vertical.iter().map(|stroke| stroke.at).chain(ends(&horizontal)));
        let ys = distinct(horizontal.iter().map(|stroke| stroke.at).chain(ends(&vertical)));
        let has_cells = (3..=MAX_COLUMNS + 1).contains(&xs.len()) && (3..=MAX_ROWS + 1).contains(&ys.len());
        (has_cells && !vertical.is_empty() && !horizontal.is_empty()).then_some(Self { xs, ys, vertical, horizontal })
    }

    pub(super) fn top(&self) -> f32 {
        self.ys.first().copied().unwrap_or(0.0)
    }

    pub(super) fn sides(&self) -> (f32, f32) {
        (self.xs.first().copied().unwrap_or(0.0), self.xs.last().copied().unwrap_or(0.0))
    }

    fn column(&self, x: f32) -> Option<usize> {
        self.xs.partition_point(|edge| *edge <= x).checked_sub(1).filter(|column| column + 1 < self.xs.len())
    }

    fn band(&self, y: f32) -> Option<usize> {
        self.ys.partition_point(|edge| *edge <= y).checked_sub(1).filter(|band| band + 1 < self.ys.len())
    }

    /// Returns the column and the band in which a text stands.
    fn cell_of(&self, segment: &Segment) -> Option<(usize, usize)> {
        let column = self.column((segment.start + segment.end) / 2.0)?;
        Some((column, self.band(segment.baseline - 0.3 * segment.size)?))
    }

    /// Returns true when the middle of a text is within the grid.
    pub(super) fn contains(&self, segment: &Segment) -> bool {
        self.cell_of(segment).is_some()
    }

    /// Returns true when no line divides two cells side by side.
    fn is_open_right(&self, column: usize, band: usize) -> bool {
        let y = (self.ys[band] + self.ys[band + 1]) / 2.0;
        let edge = self.xs[column + 1];
        !self.vertical.iter().any(|stroke| (stroke.at - edge).abs() <= MAX_GAP && stroke.passes(y))
    }

    /// Returns true when no line divides a cell from the one below.
    fn is_open_below(&self, column: usize, band: usize) -> bool {
        let x = (self.xs[column] + self.xs[column + 1]) / 2.0;
        let edge = self.ys[band + 1];
        !self.horizontal.iter().any(|stroke| (stroke.at - edge).abs() <= MAX_GAP && stroke.passes(x))
    }

    /// Returns the merged cell that contains a cell, as first and last column and first and last band.
    fn region(&self, column: usize, band: usize) -> (usize, usize, usize, usize) {
        let (mut first, mut last, mut top, mut bottom) = (column, column, band, band);
        while first > 0 && self.is_open_right(first - 1, band) {
            first -= 1;
        }
        while last + 2 < self.xs.len() && self.is_open_right(last, band) {
            last += 1;
        }
        while top > 0 && (first..=last).all(|column| self.is_open_below(column, top - 1)) {
            top -= 1;
        }
        while bottom + 2 < self.ys.len() && (first..=last).all(|column| self.is_open_below(column, bottom)) {
            bottom += 1;
        }
        (first, last, top, bottom)
    }

    /// Makes a table of the texts within the grid. Returns `None` when they are no table.
    pub(super) fn table(&self, segments: &[Segment], shades: &[Area]) -> Option<RawTable> {
        let segments: Vec<Segment> = segments.iter().flat_map(|segment| self.split(segment)).collect();
        let mut lines: Vec<CellRow> = Vec::new();
        let mut tall: Vec<(usize, usize, CellRow)> = Vec::new();
        for row in segments::rows(segments) {
            let mut cells: Vec<(usize, usize, usize, usize, Vec<Segment>)> = Vec::new();
            for segment in row.segments {
                let Some((column, band)) = self.cell_of(&segment) else { continue };
                let (first, last, top, bottom) = self.region(column, band);
                match cells.iter_mut().find(|cell| (cell.0, cell.2) == (first, top)) {
                    Some(cell) => cell.4.push(segment),
                    None => cells.push((first, last, top, bottom, vec![segment])),
                }
            }
            let mut line = CellRow { cells: Vec::new(), baseline: row.baseline };
            for (first, last, top, bottom, segments) in cells {
                let cell = segments::cell(segments, first, last, shades);
                if bottom > top && self.has_row_lines(top, bottom) {
                    match tall.iter_mut().find(|tall| tall.0 == top && tall.2.cells[0].first == first) {
                        Some(above) => above.2.cells[0].append(&cell),
                        None => tall.push((top, bottom, CellRow { cells: vec![cell], baseline: row.baseline })),
                    }
                } else {
                    line.cells.push(cell);
                }
            }
            if !line.cells.is_empty() {
                lines.push(line);
            }
        }
        let mut rows = cell_lines::rows(lines, self.xs.len() - 1, &self.ys);
        for (top, bottom, row) in tall {
            self.repeat(&mut rows, (top, bottom), row);
        }
        let is_layout = |row: &CellRow| row.cells.iter().any(|cell| cell.text.chars().nth(MAX_CELL_CHARS).is_some());
        if rows.iter().any(is_layout) {
            return None;
        }
        let columns: Vec<(f32, f32)> = self.xs.windows(2).map(|edges| (edges[0], edges[1])).collect();
        table_rows::table(&columns, &rows, Evidence::Ruled, String::new())
    }

    /// Returns true when ruling lines divide other columns between two bands.
    fn has_row_lines(&self, top: usize, bottom: usize) -> bool {
        (top..bottom).all(|band| (0..self.xs.len() - 1).any(|column| !self.is_open_below(column, band)))
    }

    /// Puts a cell that is merged over several bands into each of their rows.
    fn repeat(&self, rows: &mut Vec<CellRow>, (top, bottom): (usize, usize), merged: CellRow) {
        let Some(cell) = merged.cells.into_iter().next() else { return };
        let band = |row: &CellRow| self.ys.partition_point(|y| *y < row.baseline - 0.25 * cell.size).saturating_sub(1);
        let inside: Vec<usize> = (0..rows.len()).filter(|&nth| (top..=bottom).contains(&band(&rows[nth]))).collect();
        for (nth, &at) in inside.iter().enumerate() {
            rows[at].cells.push(Cell { is_repeated: nth > 0, ..cell.clone() });
            rows[at].cells.sort_by_key(|cell| cell.first);
        }
        if inside.is_empty() {
            let at = rows.partition_point(|row| row.baseline < merged.baseline);
            rows.insert(at, CellRow { cells: vec![cell], baseline: merged.baseline });
        }
    }

    /// Divides a text where a ruling line passes between its words.
    fn split(&self, segment: &Segment) -> Vec<Segment> {
        let y = segment.baseline - 0.3 * segment.size;
        let divides = |left: f32, right: f32| {
            self.vertical.iter().any(|stroke| (left - 0.5..=right + 0.5).contains(&stroke.at) && stroke.passes(y))
        };
        segment.split(divides)
    }
}
