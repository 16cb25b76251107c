//! Reading order: rows of a page from top to bottom, columns of prose one after the other, rows of a table across.

use super::raw_page::{RawBlock, RawParagraph, RawTable};
use super::rules::Rules;
use super::segments::{Line, Row, Segment, Word, line, rows};
use super::{grid, tables};

/// Ratio to the usual line distance above which a line begins a paragraph.
const PARAGRAPH_STEP_RATIO: f32 = 1.3;

/// Plausible line distances within a paragraph, as multiples of the font size.
const PLAUSIBLE_STEPS: std::ops::Range<f32> = 0.9..4.0;

/// Ratio up to which two line distances count as equal.
const EQUAL_STEP_RATIO: f32 = 1.05;

/// Ratio of the smaller to the larger font size of two lines below which the second line begins a paragraph: one of
/// them is a heading.
const SAME_SIZE_RATIO: f32 = 0.93;

/// Longest mark that is raised or lowered, in characters.
const MAX_MARK_CHARS: usize = 6;

/// Height by which a mark is raised, as a share of the font size of the text beside it.
const RAISED: std::ops::Range<f32> = 0.15..0.75;

/// Depth by which a mark is lowered, as a share of the font size of the text beside it.
const LOWERED: std::ops::Range<f32> = 0.08..0.5;

/// Largest font size of a mark, relative to the text beside it.
const MAX_MARK_SIZE: f32 = 0.8;

/// Largest gap between a mark and the text beside it, as a share of the font size.
const MAX_MARK_GAP: f32 = 0.3;

/// Narrowest space between two columns, as a multiple of the font size.
const MIN_GUTTER: f32 = 0.8;

/// Fewest lines of a column.
const MIN_COLUMN_LINES: usize = 3;

/// Fewest words of the usual line of a column.
const MIN_COLUMN_WORDS: usize = 4;

/// Share of a column's width that its usual line fills.
const MIN_COLUMN_FILL: f32 = 0.6;

/// Largest distance between two lines of prose in a column, as a multiple of the font size.
const MAX_PROSE_STEP: f32 = 1.7;

/// Narrowest column, as a multiple of the font size.
const MIN_COLUMN_WIDTH: f32 = 9.0;

/// Share of lines that begin with a lower-case letter from which a column is running text.
const MIN_RUNNING_SHARE: f32 = 0.25;

/// Share of rows that have text on one side only, from which the sides are columns rather than cells.
const MIN_UNALIGNED_SHARE: f32 = 0.5;

/// Most rows of a page that are searched for columns.
const MAX_ROWS: usize = 600;

/// Arranges segments into lines in reading order, and finds the tables among them. `above` are the columns of a table at
/// the end of the page before.
pub(super) fn lines(mut segments: Vec<Segment>, rules: &Rules, above: Option<&[(f32, f32)]>) -> Vec<Line> {
    segments.retain(|segment| !segment.text.trim().is_empty() && segment.baseline.is_finite());
    attach_marks(&mut segments);
    let (mut ruled, mut places) = (Vec::new(), Vec::new());
    for grid in grid::find(rules) {
        let inside: Vec<Segment> = segments.iter().filter(|segment| grid.contains(segment)).cloned().collect();
        if let Some(table) = grid.table(&inside, &rules.shades) {
            segments.retain(|segment| !grid.contains(segment));
            let size = inside.first().map_or(1.0, |segment| segment.size);
            places.push((grid.top() + size, grid.sides(), size));
            ruled.push(table);
        }
    }
    let mut rows = rows(segments);
    for (nth, (baseline, (start, end), size)) in places.into_iter().enumerate() {
        let place = Segment { start, end, last_start: start, baseline, size, ..Segment::default() };
        let at = rows.partition_point(|row| row.baseline < baseline);
        rows.insert(at, Row { baseline, segments: vec![place], grid: Some(nth) });
    }
    let mut ordered = Vec::new();
    arrange(&rows, 0, &mut ordered);
    let mut lines = Vec::new();
    let mut at = 0;
    for (range, table) in tables::find(&ordered, rules, above) {
        lines.extend(ordered[at..range.start].iter().map(|row| line_or_table(row, &ruled)));
        let (first, last) = (&ordered[range.start], &ordered[range.end - 1]);
        let size = line(first).size;
        lines.push(table_line(table, (first.baseline, last.baseline), size));
        at = range.end;
    }
    lines.extend(ordered[at..].iter().map(|row| line_or_table(row, &ruled)));
    lines
}

fn line_or_table(row: &Row, ruled: &[RawTable]) -> Line {
    match row.grid.and_then(|nth| ruled.get(nth)) {
        Some(table) => table_line(table.clone(), (row.baseline, row.baseline), line(row).size),
        None => line(row),
    }
}

fn table_line(table: RawTable, (baseline, last_baseline): (f32, f32), size: f32) -> Line {
    Line { text: table.text.clone(), baseline, last_baseline, size, table: Some(Box::new(table)) }
}

/// Puts raised and lowered marks, such as exponents and numbers of footnotes, onto the line of the text beside them.
/// Their digits become superscript or subscript digits, so that a price and the number of its footnote stay apart.
fn attach_marks(segments: &mut [Segment]) {
    let is_short = |text: &str| text.trim().chars().nth(MAX_MARK_CHARS).is_none();
    for nth in 0..segments.len() {
        if !is_short(&segments[nth].text) {
            continue;
        }
        let mark = &segments[nth];
        let host = segments.iter().enumerate().filter(|(other, _)| *other != nth).find_map(|(_, host)| {
            let gap = MAX_MARK_GAP * host.size;
            let follows = (mark.start - host.end).abs() <= gap;
            let precedes = (host.start - mark.end).abs() <= gap;
            let rise = (host.baseline - mark.baseline) / host.size;
            let is_small = mark.size <= MAX_MARK_SIZE * host.size;
            let is_digit = mark.text.chars().all(|c| c.is_ascii_digit());
            let same_size = mark.size <= 1.1 * host.size && is_digit && follows;
            let host_ends_in_digit = host.text.ends_with(|c: char| c.is_ascii_digit());
            let kind = if RAISED.contains(&rise) && (is_small || same_size && rise >= 0.25) {
                Some(MarkKind::Superscript)
            } else if LOWERED.contains(&-rise) && is_small {
                Some(MarkKind::Subscript)
            } else if rise.abs() < 0.1 && is_small && is_digit && host_ends_in_digit && follows && !mark.is_spaced {
                Some(MarkKind::Superscript)
            } else {
                None
            };
            kind.filter(|_| follows || precedes && rise > 0.0).map(|kind| (kind, host.baseline))
        });
        if let Some((kind, baseline)) = host {
            let mark = &mut segments[nth];
            mark.baseline = baseline;
            mark.text = kind.convert(&mark.text);
            mark.words = vec![Word { text: mark.text.clone(), start: mark.start, end: mark.end, is_spaced: false }];
        }
    }
}

#[derive(Clone, Copy)]
enum MarkKind {
    Superscript,
    Subscript,
}

impl MarkKind {
    /// Converts digits and signs, and a single letter that marks a footnote; keeps other letters, as those of `1er`.
    fn convert(self, text: &str) -> String {
        const PLAIN: &str = "0123456789+-−=()";
        const FOOTNOTES: [(&str, &str); 4] = [("a", "ᵃ"), ("b", "ᵇ"), ("c", "ᶜ"), ("d", "ᵈ")];
        const SUPERSCRIPT: &str = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾";
        const SUBSCRIPT: &str = "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎";
        let footnote = FOOTNOTES.iter().find(|(letter, _)| *letter == text.trim());
        if let (Self::Superscript, Some((_, mark))) = (self, footnote) {
            return (*mark).to_owned();
        }
        let marks = match self {
            Self::Superscript => SUPERSCRIPT,
            Self::Subscript => SUBSCRIPT,
        };
        let convert = |c| PLAIN.chars().position(|plain| plain == c).and_then(|at| marks.chars().nth(at)).unwrap_or(c);
        text.chars().map(convert).collect()
    }
}

/// Appends rows to `ordered`. Where consecutive rows hold two columns of prose, the left column comes first.
fn arrange(rows: &[Row], depth: usize, ordered: &mut Vec<Row>) {
    let mut at = 0;
    while at < rows.len() {
        let columns = if depth < 4 && rows.len() <= MAX_ROWS { columns(&rows[at..]) } else { None };
        match columns {
            Some((taken, left, right)) => {
                arrange(&left, depth + 1, ordered);
                arrange(&right, depth + 1, ordered);
                at += taken;
            }
            None => {
                ordered.push(rows[at].clone());
                at += 1;
            }
        }
    }
}

/// Finds two columns that begin with the first row. Returns the number of their rows, and the rows of each column.
fn columns(rows: &[Row]) -> Option<(usize, Vec<Row>, Vec<Row>)> {
    // Spaces that no segment has crossed yet.
    let mut free = vec![(f32::NEG_INFINITY, f32::INFINITY)];
    let (mut left_end, mut right_start) = (f32::INFINITY, f32::NEG_INFINITY);
    let mut best = None;
    for (nth, row) in rows.iter().enumerate() {
        for segment in &row.segments {
            free = free.into_iter().flat_map(|space| without(space, segment)).collect();
            left_end = left_end.min(segment.end);
            right_start = right_start.max(segment.start);
        }
        let gutter = free.iter().copied().find(|&(from, to)| {
            from.is_finite() && to.is_finite() && from >= left_end - 0.1 && to <= right_start + 0.1
        });
        match gutter {
            Some(gutter) => best = Some((nth + 1, gutter)),
            None if best.is_some() => break,
            None => {}
        }
    }
    let (taken, gutter) = best?;
    let side = |is_left: bool| -> Vec<Row> {
        let rows = rows[..taken].iter().map(|row| {
            let segments = row.segments.iter().filter(|segment| (segment.end <= gutter.0 + 0.1) == is_left);
            Row { baseline: row.baseline, segments: segments.cloned().collect(), grid: row.grid }
        });
        rows.filter(|row| !row.segments.is_empty()).collect()
    };
    let (left, right) = (side(true), side(false));
    let aligned = (left.len() + right.len()).saturating_sub(taken);
    let unaligned = 1.0 - aligned as f32 / left.len().min(right.len()).max(1) as f32;
    let is_running = running_share(&left).min(running_share(&right)) >= MIN_RUNNING_SHARE;
    let is_unaligned = unaligned >= MIN_UNALIGNED_SHARE;
    // Columns that hold tables and prose. The rows of one table would stand side by side.
    let are_mixed = || is_unaligned && holds_prose(&left) && holds_prose(&right);
    let are_columns = is_prose(&left) && is_prose(&right) && (is_running || is_unaligned) || are_mixed();
    are_columns.then_some((taken, left, right))
}

/// Returns the parts of a space beside a segment that are wide enough for a gutter.
fn without((from, to): (f32, f32), segment: &Segment) -> impl Iterator<Item = (f32, f32)> {
    let width = MIN_GUTTER * segment.size.min(14.0);
    let parts = if segment.end <= from || segment.start >= to {
        [(from, to), (0.0, 0.0)]
    } else {
        [(from, segment.start), (segment.end, to)]
    };
    parts.into_iter().filter(move |(from, to)| to - from >= width)
}

/// Returns true when rows are those of a column in which two lines of prose stand one below the other.
fn holds_prose(rows: &[Row]) -> bool {
    let start =
        rows.iter().filter_map(|row| row.segments.first()).map(|first| first.start).fold(f32::INFINITY, f32::min);
    let end = |row: &Row| row.segments.last().map_or(start, |last| last.end);
    let width = rows.iter().map(end).fold(f32::NEG_INFINITY, f32::max) - start;
    let is_wide = |row: &Row| end(row) - start >= MIN_COLUMN_FILL * width;
    let is_line = |row: &Row| row.grid.is_none() && is_wide(row) && count_words(&line(row).text) > MIN_COLUMN_WORDS;
    let is_pair = |pair: &[Row]| {
        let (above, below) = (line(&pair[0]), line(&pair[1]));
        step(&above, &below) <= MAX_PROSE_STEP && is_line(&pair[0]) && count_words(&below.text) > 1
    };
    let size = rows.iter().filter_map(|row| row.segments.first()).map(|first| first.size).fold(0.0, f32::max);
    rows.len() >= 2 * MIN_COLUMN_LINES && width >= MIN_COLUMN_WIDTH * size.min(14.0) && rows.windows(2).any(is_pair)
}

/// Returns true when rows are the lines of a column of prose.
fn is_prose(rows: &[Row]) -> bool {
    let texts: Vec<String> = rows.iter().map(|row| line(row).text).collect();
    let mut words: Vec<usize> = texts.iter().map(|text| count_words(text)).collect();
    words.sort_unstable();
    let start =
        rows.iter().filter_map(|row| row.segments.first()).map(|first| first.start).fold(f32::INFINITY, f32::min);
    let ends = || rows.iter().filter_map(|row| row.segments.last()).map(|last| last.end);
    let width = ends().fold(f32::NEG_INFINITY, f32::max) - start;
    let fill = ends().map(|end| end - start).sum::<f32>() / (width * rows.len() as f32).max(1.0);
    let size = rows.iter().filter_map(|row| row.segments.first()).map(|first| first.size).fold(0.0, f32::max);
    rows.len() >= MIN_COLUMN_LINES
        && words[words.len() / 2] >= MIN_COLUMN_WORDS
        && fill >= MIN_COLUMN_FILL
        && width >= MIN_COLUMN_WIDTH * size.min(14.0)
}

/// Counts words. Scripts without spaces count four characters as a word.
fn count_words(text: &str) -> usize {
    let ideographs = text.chars().filter(|c| (0x2e80..0xfb00).contains(&u32::from(*c))).count();
    text.split_whitespace().filter(|word| word.chars().any(char::is_alphabetic)).count().max(ideographs / 4)
}

/// Returns the share of rows that begin within a sentence.
fn running_share(rows: &[Row]) -> f32 {
    let begins = |row: &&Row| {
        let first = row.segments.first().and_then(|first| first.text.trim_start().chars().next());
        first.is_some_and(|c| c.is_lowercase() || (0x2e80..0xfb00).contains(&u32::from(c)))
    };
    rows.iter().filter(begins).count() as f32 / rows.len().max(1) as f32
}

/// Joins lines into paragraphs. `height` is that of the page.
pub(super) fn join(lines: &[Line], height: f32) -> Vec<RawBlock> {
    let usual = usual_step(lines);
    let mut blocks: Vec<RawBlock> = Vec::new();
    let mut above: Option<&Line> = None;
    for line in lines.iter().filter(|line| !line.text.trim().is_empty()) {
        if let Some(table) = &line.table {
            blocks.push(RawBlock::Table((**table).clone()));
            above = Some(line);
            continue;
        }
        let baseline = (line.baseline / height.max(1.0)).clamp(0.0, 1.0);
        match (blocks.last_mut(), above) {
            (Some(RawBlock::Paragraph(paragraph)), Some(above)) if !begins_paragraph(above, line, usual) => {
                paragraph.text.push('\n');
                paragraph.text.push_str(&line.text);
                paragraph.place = paragraph.place.map(|(top, _)| (top, baseline));
            }
            _ => blocks
                .push(RawBlock::Paragraph(RawParagraph { text: line.text.clone(), place: Some((baseline, baseline)) })),
        }
        above = Some(line);
    }
    blocks
}

/// Returns true when `line` begins a paragraph. A line higher than the one before is in the next column and continues
/// the paragraph.
fn begins_paragraph(above: &Line, line: &Line, usual_step: f32) -> bool {
    let sizes = (above.size.min(line.size), above.size.max(line.size));
    step(above, line) > (usual_step * PARAGRAPH_STEP_RATIO).min(PLAUSIBLE_STEPS.end)
        || sizes.0 < sizes.1 * SAME_SIZE_RATIO
}

/// Returns the smallest line distance that is common on the page, as a multiple of the font size; infinite when there
/// are too few lines to compare. Tables and lists may have larger distances.
fn usual_step(lines: &[Line]) -> f32 {
    let steps = lines.windows(2).map(|pair| step(&pair[0], &pair[1]));
    let mut steps: Vec<f32> = steps.filter(|step| PLAUSIBLE_STEPS.contains(step)).collect();
    steps.sort_by(f32::total_cmp);
    let common = (steps.len() / 10).max(2);
    let alike = |steps: &&[f32]| steps[common - 1] <= steps[0] * EQUAL_STEP_RATIO;
    steps.windows(common).find(alike).map_or(f32::INFINITY, |steps| steps[0])
}

/// Returns the distance from `above` down to `line`, as a multiple of the font size of `line`.
fn step(above: &Line, line: &Line) -> f32 {
    (line.baseline - above.last_baseline) / line.size
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str, baseline: f32, size: f32) -> Line {
        Line { text: text.to_owned(), baseline, last_baseline: baseline, size, table: None }
    }

    fn segment(text: &str, start: f32, baseline: f32, size: f32) -> Segment {
        let end = start + 0.5 * size * text.chars().count() as f32;
        let words = vec![Word { text: text.to_owned(), start, end, is_spaced: false }];
        Segment { text: text.to_owned(), start, end, last_start: end, baseline, size, words, ..Segment::default() }
    }

    fn joined(lines: &[Line]) -> String {
        join(lines, 842.0).iter().map(RawBlock::text).collect::<Vec<_>>().join("\n\n")
    }

    fn texts(segments: Vec<Segment>) -> Vec<String> {
        lines(segments, &Rules::default(), None).into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn a_larger_distance_or_another_font_size_begins_a_paragraph() {
        let page = [
            line("Livraison", 100.0, 16.0),
            line("Nous livrons", 120.0, 10.0),
            line("à Abidjan.", 132.0, 10.0),
            line("Ailleurs,", 152.0, 10.0),
            line("en cinq jours.", 164.0, 10.0),
        ];
        let expected = "Livraison\n\nNous livrons\nà Abidjan.\n\nAilleurs,\nen cinq jours.";
        assert_eq!(joined(&page), expected);
    }

    #[test]
    fn a_new_column_continues_the_paragraph() {
        let page = [line("a", 700.0, 10.0), line("b", 712.0, 10.0), line("c", 100.0, 10.0), line("d", 112.0, 10.0)];
        assert_eq!(joined(&page), "a\nb\nc\nd");
    }

    #[test]
    fn cells_are_read_by_rows_from_the_top() {
        let cells = vec![
            segment("900", 200.0, 130.0, 10.0),
            segment("Prix", 200.0, 100.0, 10.0),
            segment("Riz", 50.0, 115.0, 10.0),
            segment("Article", 50.0, 100.0, 10.0),
            segment("Sel", 50.0, 130.0, 10.0),
            segment("16 000", 200.0, 115.0, 10.0),
        ];
        assert_eq!(texts(cells), ["Article Prix\nRiz 16 000\nSel 900"]);
    }

    #[test]
    fn texts_from_right_to_left_are_turned_and_the_figures_between_them_are_not() {
        let row = |last: &str| {
            let mut row = vec![
                segment("ثج", 50.0, 100.0, 10.0),
                segment("18", 65.0, 100.0, 10.0),
                segment("000", 78.0, 100.0, 10.0),
                segment("ابت", 98.0, 100.0, 10.0),
                segment(last, 300.0, 100.0, 10.0),
            ];
            (row[0].is_right_to_left, row[3].is_right_to_left) = (true, true);
            texts(row).remove(0)
        };
        assert_eq!(row("FCFA"), "ابت 18 000 ثج FCFA");
        assert_eq!(row("25"), "25 ابت 18 000 ثج");
    }

    #[test]
    fn a_raised_digit_becomes_a_mark_and_a_raised_word_stays() {
        let marked = |mark: &str| texts(vec![segment("320", 50.0, 100.0, 10.0), segment(mark, 65.0, 96.0, 6.0)]);
        assert_eq!(marked("1"), ["320¹"]);
        assert_eq!(marked("er"), ["320er"]);
    }
}
