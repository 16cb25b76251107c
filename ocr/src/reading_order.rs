//! Reading order of the texts of a page: rows from top to bottom, columns of prose one after the other, rows of a table
//! across.

use crate::Line;

/// Share of the lower text's height by which two texts overlap in height to be in one row.
const MIN_ROW_OVERLAP: f32 = 0.5;

/// Narrowest space between two columns, as a share of the usual height of a text.
const MIN_GUTTER: f32 = 0.4;

/// Fewest texts of a column.
const MIN_COLUMN_LINES: usize = 3;

/// Fewest words of the usual text of a column.
const MIN_COLUMN_WORDS: usize = 4;

/// Share of a column's width that its texts fill.
const MIN_COLUMN_FILL: f32 = 0.6;

/// Share of texts that begin with a lower-case letter, from which a column is running text.
const MIN_RUNNING_SHARE: f32 = 0.25;

/// Share of texts beside none on the other side, from which two sides are columns rather than cells.
const MIN_UNALIGNED_SHARE: f32 = 0.5;

/// Most texts of a page that are searched for columns.
const MAX_LINES: usize = 1_000;

/// Deepest nesting of columns.
const MAX_DEPTH: u32 = 4;

/// Texts side by side, from left to right.
type Row = Vec<Line>;

/// Returns texts as rows in reading order.
pub(crate) fn rows(lines: Vec<Line>) -> Vec<Row> {
    let usual_height = usual_height(&lines);
    let is_small = lines.len() <= MAX_LINES;
    let rows = group(lines);
    let mut ordered = Vec::new();
    if is_small {
        arrange(rows, MIN_GUTTER * usual_height, 0, &mut ordered);
    } else {
        ordered = rows;
    }
    ordered
}

fn usual_height(lines: &[Line]) -> f32 {
    let mut heights: Vec<f32> = lines.iter().map(|line| line.place.height).collect();
    heights.sort_by(f32::total_cmp);
    heights.get(heights.len() / 2).copied().unwrap_or(0.0)
}

/// Groups texts into rows from top to bottom.
fn group(mut lines: Vec<Line>) -> Vec<Row> {
    lines.sort_by(|one, other| one.place.middle().total_cmp(&other.place.middle()));
    let mut rows: Vec<Row> = Vec::new();
    for line in lines {
        match rows.last_mut().filter(|row| is_beside(row, &line)) {
            Some(row) => row.push(line),
            None => rows.push(vec![line]),
        }
    }
    for row in &mut rows {
        row.sort_by(|one, other| one.place.left.total_cmp(&other.place.left));
    }
    rows
}

/// Returns true when a text overlaps in height with a text of a row, and with none of them in width.
fn is_beside(row: &Row, line: &Line) -> bool {
    let place = line.place;
    let overlap = |other: &Line| {
        let shared = place.bottom().min(other.place.bottom()) - place.top.max(other.place.top);
        shared / place.height.min(other.place.height).max(1.0)
    };
    let is_over = |other: &&Line| {
        let shared = place.right().min(other.place.right()) - place.left.max(other.place.left);
        shared > place.width.min(other.place.width) / 2.0
    };
    row.iter().any(|other| overlap(other) >= MIN_ROW_OVERLAP) && !row.iter().any(|other| is_over(&other))
}

/// Appends rows in reading order. Where consecutive rows hold two columns of prose, the left column comes first.
fn arrange(rows: Vec<Row>, min_gutter: f32, depth: u32, ordered: &mut Vec<Row>) {
    let mut rest = rows.as_slice();
    while let Some(first) = rest.first() {
        match columns(rest, min_gutter).filter(|_| depth < MAX_DEPTH) {
            Some(Columns { taken, left, right }) => {
                arrange(left, min_gutter, depth + 1, ordered);
                arrange(right, min_gutter, depth + 1, ordered);
                rest = &rest[taken..];
            }
            None => {
                ordered.push(first.clone());
                rest = &rest[1..];
            }
        }
    }
}

/// Two columns of prose.
struct Columns {
    /// Number of rows that they take.
    taken: usize,
    left: Vec<Row>,
    right: Vec<Row>,
}

/// Finds two columns that begin with the first row.
fn columns(rows: &[Row], min_gutter: f32) -> Option<Columns> {
    // Spaces that no text has crossed yet.
    let mut free = vec![(f32::NEG_INFINITY, f32::INFINITY)];
    let (mut left_end, mut right_start) = (f32::INFINITY, f32::NEG_INFINITY);
    let mut best = None;
    for (nth, row) in rows.iter().enumerate() {
        for line in row {
            let (start, end) = (line.place.left, line.place.right());
            free = free.into_iter().flat_map(|space| without(space, start, end, min_gutter)).collect();
            (left_end, right_start) = (left_end.min(end), right_start.max(start));
        }
        let is_between =
            |&(from, to): &(f32, f32)| from.is_finite() && to.is_finite() && from >= left_end && to <= right_start;
        match free.iter().copied().find(is_between) {
            Some(gutter) => best = Some((nth + 1, gutter)),
            None if best.is_some() => break,
            None => {}
        }
    }
    let (taken, (gutter, _)) = best?;
    let side = |is_left: bool| -> Vec<Row> {
        let is_inside = |line: &&Line| (line.place.right() <= gutter) == is_left;
        let rows = rows[..taken].iter().map(|row| row.iter().filter(is_inside).cloned().collect::<Row>());
        rows.filter(|row| !row.is_empty()).collect()
    };
    let (left, right) = (side(true), side(false));
    let aligned = (left.len() + right.len()).saturating_sub(taken);
    let unaligned = 1.0 - aligned as f32 / left.len().min(right.len()).max(1) as f32;
    let is_running = running_share(&left).min(running_share(&right)) >= MIN_RUNNING_SHARE;
    let are_columns = is_prose(&left) && is_prose(&right) && (is_running || unaligned >= MIN_UNALIGNED_SHARE);
    are_columns.then_some(Columns { taken, left, right })
}

/// Returns the parts of a space beside a text that are wide enough for a gutter.
fn without((from, to): (f32, f32), start: f32, end: f32, min_gutter: f32) -> impl Iterator<Item = (f32, f32)> {
    let parts = if end <= from || start >= to { [(from, to), (0.0, 0.0)] } else { [(from, start), (end, to)] };
    parts.into_iter().filter(move |(from, to)| to - from >= min_gutter.max(1.0))
}

/// Returns true when rows are the lines of a column of prose.
fn is_prose(rows: &[Row]) -> bool {
    let words = |row: &Row| row.iter().flat_map(|line| line.text.split_whitespace()).filter(has_letter).count();
    let mut words: Vec<usize> = rows.iter().map(words).collect();
    words.sort_unstable();
    let start = rows.iter().flatten().map(|line| line.place.left).fold(f32::INFINITY, f32::min);
    let ends = || rows.iter().filter_map(|row| row.last()).map(|line| line.place.right());
    let width = ends().fold(f32::NEG_INFINITY, f32::max) - start;
    let fill = ends().map(|end| end - start).sum::<f32>() / (width * rows.len() as f32).max(1.0);
    rows.len() >= MIN_COLUMN_LINES && words[words.len() / 2] >= MIN_COLUMN_WORDS && fill >= MIN_COLUMN_FILL
}

fn has_letter(word: &&str) -> bool {
    word.contains(char::is_alphabetic)
}

/// Returns the share of rows that begin within a sentence.
fn running_share(rows: &[Row]) -> f32 {
    let begins = |row: &&Row| row.first().and_then(|line| line.text.chars().next()).is_some_and(char::is_lowercase);
    rows.iter().filter(begins).count() as f32 / rows.len().max(1) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Place;

    /// A text of ten pixels a character.
    fn line(text: &str, left: f32, top: f32) -> Line {
        let place = Place { left, top, width: 10.0 * text.chars().count() as f32, height: 20.0 };
        Line { text: text.to_owned(), confidence: 1.0, place, row: 0 }
    }

    fn texts(lines: Vec<Line>) -> Vec<String> {
        let join = |row: Row| row.into_iter().map(|line| line.text).collect::<Vec<_>>().join(" | ");
        rows(lines).into_iter().map(join).collect()
    }

    #[test]
    fn columns_of_prose_are_read_one_after_the_other_below_their_heading() {
        let page = vec![
            line("we leave the parcel with the", 400.0, 102.0),
            line("Conditions of delivery for the whole country and beyond", 20.0, 50.0),
            line("Orders placed before noon are", 20.0, 100.0),
            line("sent on the day on which they", 20.0, 130.0),
            line("neighbour who signs for it in", 400.0, 131.0),
            line("come in, on every working day.", 20.0, 160.0),
            line("place of the customer himself.", 400.0, 161.0),
            line("1", 350.0, 300.0),
        ];
        assert_eq!(
            texts(page),
            [
                "Conditions of delivery for the whole country and beyond",
                "Orders placed before noon are",
                "sent on the day on which they",
                "come in, on every working day.",
                "we leave the parcel with the",
                "neighbour who signs for it in",
                "place of the customer himself.",
                "1",
            ]
        );
    }

    #[test]
    fn rows_of_a_table_are_read_across() {
        let page = vec![
            line("16 000", 400.0, 103.0),
            line("Riz local de Man 25 kg", 20.0, 100.0),
            line("Huile de palme rouge 20 litres", 20.0, 130.0),
            line("21 500", 400.0, 128.0),
            line("Attiéké frais de Dabou 1 kg", 20.0, 160.0),
            line("900", 400.0, 161.0),
        ];
        let expected = [
            "Riz local de Man 25 kg | 16 000",
            "Huile de palme rouge 20 litres | 21 500",
            "Attiéké frais de Dabou 1 kg | 900",
        ];
        assert_eq!(texts(page), expected);
    }

    #[test]
    fn texts_over_each_other_are_two_rows() {
        assert_eq!(
            texts(vec![line("second line", 20.0, 109.0), line("first line", 20.0, 100.0)]),
            ["first line", "second line"]
        );
    }
}
