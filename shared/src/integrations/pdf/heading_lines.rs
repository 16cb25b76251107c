//! Headers of tables without ruling lines: names that stand close together are divided, and names of groups are spread
//! over their columns.

use super::cells::{Cell, CellRow, begins_within};
use super::display::Area;
use super::segments::{self, Row, Segment};

/// Cost of a column that has a name of its own and belongs to no group, as a share of its width.
const UNGROUPED_COST: f32 = 0.15;

/// Cost of a distance between left edges, compared with one between middles.
const LEFT_COST: f32 = 3.0;

/// Largest distance between the middle of a group's name and the middle of its columns, as a share of the columns'
/// width.
const MAX_OFFSET: f32 = 0.3;

/// Divides names that stand over several columns, unless lines below them name these columns.
pub(super) fn divide_names(lines: &mut [CellRow], rows: &[Row], columns: &[(f32, f32)], shades: &[Area]) {
    for nth in 0..lines.len() {
        let (line, below) =
            lines[nth..].split_first_mut().map_or((None, &[][..]), |(line, below)| (Some(line), &*below));
        let Some(line) = line else { continue };
        let mut cells = Vec::new();
        for cell in std::mem::take(&mut line.cells) {
            let is_group = below.iter().any(|line| (cell.first..=cell.last).any(|column| line.own(column).is_some()));
            match rows.get(nth).filter(|_| cell.is_spanning() && !is_group) {
                Some(row) => cells.extend(divided(&cell, row, columns, shades).unwrap_or_else(|| vec![cell])),
                None => cells.push(cell),
            }
        }
        line.cells = cells;
    }
}

/// Divides a name at the spaces that are nearest to the borders of its columns.
fn divided(cell: &Cell, row: &Row, columns: &[(f32, f32)], shades: &[Area]) -> Option<Vec<Cell>> {
    let is_inside = |segment: &&Segment| {
        let middle = (segment.start + segment.end) / 2.0;
        (cell.start - 0.1..=cell.start + cell.width + 0.1).contains(&middle)
    };
    let segments: Vec<Segment> = row.segments.iter().filter(is_inside).cloned().collect();
    let words: Vec<(f32, f32)> =
        segments.iter().flat_map(|segment| &segment.words).map(|word| (word.start, word.end)).collect();
    let breaks: Vec<f32> = words.windows(2).map(|pair| (pair[0].1 + pair[1].0) / 2.0).collect();
    let mut chosen = Vec::new();
    for column in cell.first..cell.last {
        let border = (columns[column].1 + columns[column + 1].0) / 2.0;
        let nearest = breaks.iter().copied().min_by(|a, b| (a - border).abs().total_cmp(&(b - border).abs()))?;
        chosen.push(nearest);
    }
    chosen.dedup();
    if chosen.len() != cell.last - cell.first {
        return None;
    }
    let mut parts: Vec<Vec<Segment>> = vec![Vec::new(); chosen.len() + 1];
    let is_chosen = |left: f32, right: f32| chosen.iter().any(|at| (left..=right).contains(at));
    for part in segments.iter().flat_map(|segment| segment.split(is_chosen)) {
        let middle = (part.start + part.end) / 2.0;
        parts[chosen.iter().filter(|at| **at < middle).count()].push(part);
    }
    let cells = parts.into_iter().zip(cell.first..).filter(|(part, _)| !part.is_empty());
    let cells: Vec<Cell> = cells.map(|(part, column)| segments::cell(part, column, column, shades)).collect();
    // Each part must stand over its column.
    let stands = |cell: &Cell| {
        let (from, to) = columns[cell.first];
        cell.start < to && cell.start + cell.width > from
    };
    (cells.len() == chosen.len() + 1 && cells.iter().all(stands)).then_some(cells)
}

/// Spreads the names of groups over the columns that have names of their own below.
pub(super) fn spread_groups(lines: &mut [CellRow], columns: &[(f32, f32)]) {
    for nth in 0..lines.len().saturating_sub(1) {
        let (above, below) = lines.split_at_mut(nth + 1);
        let Some(line) = above.last_mut() else { continue };
        let is_named = |column: usize| below.iter().any(|line| line.own(column).is_some());
        // A text without a name below is itself the name of its column.
        let is_group = |cell: &&mut Cell| cell.is_spanning() || is_named(cell.first);
        let mut cells: Vec<&mut Cell> = line.cells.iter_mut().filter(is_group).collect();
        let continues = |cell: &Cell| {
            let next = below.first().and_then(|line| line.own(cell.first));
            !cell.is_spanning() && next.is_some_and(|next| begins_within(&next.text))
        };
        let first_group = cells.first().map_or(0.0, |cell| cell.start);
        // The item to the left of the first group belongs to none.
        let named: Vec<bool> = (0..columns.len())
            .map(|column| is_named(column) && (column > 0 || columns[column].1 > first_group))
            .collect();
        if cells.is_empty() || cells.iter().any(|cell| continues(cell)) || cells.len() * 2 > count(&named) {
            continue;
        }
        // The middle of a column is that of its figures and its name.
        let edges: Vec<(f32, f32)> = (0..columns.len())
            .map(|column| {
                let names = below.iter().filter_map(|line| line.own(column));
                names.fold(columns[column], |(from, to), cell| (from.min(cell.start), to.max(cell.start + cell.width)))
            })
            .collect();
        let groups: Vec<(f32, f32)> = cells.iter().map(|cell| (cell.start, cell.start + cell.width)).collect();
        if let Some(spans) = spans(&groups, &edges, &named) {
            for (cell, (first, last)) in cells.iter_mut().zip(spans) {
                (cell.first, cell.last) = (first, last);
            }
        }
    }
}

fn count(named: &[bool]) -> usize {
    named.iter().filter(|named| **named).count()
}

/// Finds the columns of each group so that the middles agree best and few named columns are left out. Returns `None`
/// when a name is not in the middle of its columns.
fn spans(groups: &[(f32, f32)], columns: &[(f32, f32)], named: &[bool]) -> Option<Vec<(usize, usize)>> {
    // The cheapest way to place the groups from one on in the columns from one on.
    let mut best: Vec<Vec<(f32, Option<usize>)>> =
        vec![vec![(f32::INFINITY, None); columns.len() + 1]; groups.len() + 1];
    best[groups.len()].iter_mut().for_each(|place| place.0 = 0.0);
    let first_group = groups.first()?.0;
    let skip = |column: usize| {
        let (from, to) = columns[column];
        if named[column] && to > first_group { UNGROUPED_COST * (to - from) } else { 0.0 }
    };
    for column in (0..columns.len()).rev() {
        best[groups.len()][column].0 = best[groups.len()][column + 1].0 + skip(column);
    }
    for group in (0..groups.len()).rev() {
        for first in (0..columns.len()).rev() {
            best[group][first] = (best[group][first + 1].0 + skip(first), None);
            for last in first..columns.len() {
                if !named[last] {
                    break;
                }
                let cost = offset(groups[group], columns[first].0, columns[last].1) + best[group + 1][last + 1].0;
                if cost < best[group][first].0 {
                    best[group][first] = (cost, Some(last));
                }
            }
        }
    }
    let (mut spans, mut column) = (Vec::new(), 0);
    while spans.len() < groups.len() && column < columns.len() {
        match best[spans.len()][column].1 {
            Some(last) => {
                spans.push((column, last));
                column = last + 1;
            }
            None => column += 1,
        }
    }
    let fits = |(group, &(first, last)): (&(f32, f32), &(usize, usize))| {
        let (from, to) = (columns[first].0, columns[last].1);
        offset(*group, from, to) <= MAX_OFFSET * (to - from)
    };
    (spans.len() == groups.len() && groups.iter().zip(&spans).all(fits)).then_some(spans)
}

/// Distance between the middles of a name and of columns, or between their left edges, which must agree better.
fn offset((start, end): (f32, f32), from: f32, to: f32) -> f32 {
    ((start + end) / 2.0 - (from + to) / 2.0).abs().min(LEFT_COST * (start - from).abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_groups_take_the_columns_around_their_middle() {
        let columns = [(50.0, 150.0), (200.0, 230.0), (250.0, 280.0), (300.0, 330.0), (350.0, 380.0)];
        let named = [false, true, true, true, true];
        assert_eq!(spans(&[(225.0, 255.0), (325.0, 355.0)], &columns, &named), Some(vec![(1, 2), (3, 4)]));
        assert_eq!(spans(&[(270.0, 310.0)], &columns, &named), Some(vec![(1, 4)]));
        // A name over the first column alone.
        assert_eq!(spans(&[(205.0, 225.0)], &columns, &named), Some(vec![(1, 1)]));
    }
}
