//! Segments (runs of characters on a line), rows of segments side by side, and the lines of text made of the rows.

use super::cells::Cell;
use super::display::Area;
use super::raw_page::RawTable;

/// Gap between two texts of a row from which a space separates them, as a share of the font size.
const MIN_SPACE: f32 = 0.15;

/// Distance of a text that is drawn twice, as a share of the font size.
const MAX_SHADOW: f32 = 0.25;

/// Difference of baselines up to which texts are in one row, as a share of the font size.
const MAX_ROW_STEP: f32 = 0.35;

/// A run of characters of one font size on one line.
#[derive(Clone, Debug, Default)]
pub(super) struct Segment {
    pub(super) text: String,
    /// Beginning and end along the line, in points.
    pub(super) start: f32,
    pub(super) end: f32,
    /// Beginning of the last character.
    pub(super) last_start: f32,
    /// Position across the lines, in points downwards.
    pub(super) baseline: f32,
    pub(super) size: f32,
    /// True when white space precedes the segment in the file.
    pub(super) is_spaced: bool,
    /// True for a text in Hebrew, Arabic or a neighbour of theirs.
    pub(super) is_right_to_left: bool,
    pub(super) is_bold: bool,
    /// Words, from left to right.
    pub(super) words: Vec<Word>,
}

/// A part of a segment without a space.
#[derive(Clone, Debug, Default)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) start: f32,
    pub(super) end: f32,
    /// True when white space precedes the word in the file.
    pub(super) is_spaced: bool,
}

impl Segment {
    /// Divides the segment where `divides` is true for the end of a word and the beginning of the next one.
    pub(super) fn split(&self, divides: impl Fn(f32, f32) -> bool) -> Vec<Self> {
        if self.is_right_to_left {
            return vec![self.clone()];
        }
        let parts: Vec<&[Word]> = self.words.chunk_by(|left, right| !divides(left.end, right.start)).collect();
        if parts.len() < 2 {
            return vec![self.clone()];
        }
        let part = |(nth, words): (usize, &[Word])| {
            let mut text = String::new();
            for (nth, word) in words.iter().enumerate() {
                if nth > 0 && word.is_spaced {
                    text.push(' ');
                }
                text.push_str(&word.text);
            }
            let (start, end) =
                (words.first().map_or(0.0, |word| word.start), words.last().map_or(0.0, |word| word.end));
            Self { text, start, end, is_spaced: nth > 0 || self.is_spaced, words: words.to_vec(), ..self.clone() }
        };
        parts.into_iter().enumerate().map(part).collect()
    }
}

/// A line of a page.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    pub(super) text: String,
    /// Position of the first character, in points downwards from the top of the page.
    pub(super) baseline: f32,
    /// Position of the end of the line. Lower than `baseline` where pdfium continues a hyphenated word on the same
    /// line.
    pub(super) last_baseline: f32,
    /// Font size, in points.
    pub(super) size: f32,
    /// A table in the place of a line.
    pub(super) table: Option<Box<RawTable>>,
}

/// Segments side by side.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub(super) baseline: f32,
    pub(super) segments: Vec<Segment>,
    /// Index of a ruled table in the place of the row.
    pub(super) grid: Option<usize>,
}

/// Returns the line of a single segment.
pub(super) fn line_of(segment: &Segment) -> Line {
    line(&Row { baseline: segment.baseline, segments: vec![segment.clone()], grid: None })
}

/// Groups segments into rows from top to bottom, each from left to right.
pub(super) fn rows(mut segments: Vec<Segment>) -> Vec<Row> {
    segments.sort_by(|a, b| a.baseline.total_cmp(&b.baseline));
    let mut rows: Vec<Row> = Vec::new();
    for segment in segments {
        let fits = |row: &Row| {
            let size = row.segments.iter().map(|other| other.size).fold(segment.size, f32::min);
            segment.baseline - row.baseline <= MAX_ROW_STEP * size
        };
        match rows.last_mut().filter(|row| fits(row)) {
            Some(row) => row.segments.push(segment),
            None => rows.push(Row { baseline: segment.baseline, segments: vec![segment], grid: None }),
        }
    }
    for row in &mut rows {
        row.segments.sort_by(|a, b| a.start.total_cmp(&b.start));
        // Bold type and shadows are made by drawing a text twice.
        row.segments.dedup_by(|b, a| a.text == b.text && (b.start - a.start).abs() < MAX_SHADOW * a.size);
    }
    rows
}

/// Turns the parts of a row that are read from right to left: texts in such a script, and the figures between them.
/// In a row without other letters, they are the whole row.
fn spoken_order(segments: &[Segment]) -> Vec<&Segment> {
    let mut ordered: Vec<&Segment> = segments.iter().collect();
    let is_left_to_right = |segment: &&Segment| !segment.is_right_to_left && segment.text.contains(char::is_alphabetic);
    let is_mixed = ordered.iter().any(is_left_to_right);
    for part in ordered.split_mut(is_left_to_right) {
        let first = part.iter().position(|segment| segment.is_right_to_left);
        let last = part.iter().rposition(|segment| segment.is_right_to_left);
        if let (Some(first), Some(last)) = (first, last) {
            let turned = if is_mixed { &mut part[first..=last] } else { part };
            turned.reverse();
            // The groups of digits of one figure stay from left to right.
            let is_one_figure = |right: &&Segment, left: &&Segment| {
                !right.is_right_to_left && !left.is_right_to_left && right.start - left.end <= right.size
            };
            turned.chunk_by_mut(is_one_figure).for_each(<[&Segment]>::reverse);
        }
    }
    ordered
}

/// Joins the segments of a row.
pub(super) fn line(row: &Row) -> Line {
    let mut text = String::new();
    let mut above: Option<&Segment> = None;
    for segment in spoken_order(&row.segments) {
        if let Some(before) = above {
            let gap = (segment.start - before.end).max(before.start - segment.end);
            if gap > MIN_SPACE * before.size.max(segment.size) || segment.is_spaced && gap > -MIN_SPACE * segment.size {
                text.push(' ');
            }
        }
        text.push_str(&segment.text);
        above = Some(segment);
    }
    // The size of a line is that of most of its characters.
    let longest = row.segments.iter().max_by_key(|segment| segment.text.chars().count());
    let size = longest.map_or(1.0, |segment| segment.size);
    Line { text, baseline: row.baseline, last_baseline: row.baseline, size, table: None }
}

/// Makes a line of a cell from its segments.
pub(super) fn cell(segments: Vec<Segment>, first: usize, last: usize, shades: &[Area]) -> Cell {
    let start = segments.iter().map(|segment| segment.start).fold(f32::INFINITY, f32::min);
    let end = segments.iter().map(|segment| segment.end).fold(f32::NEG_INFINITY, f32::max);
    let chars = |segments: &mut dyn Iterator<Item = &Segment>| -> usize {
        segments.map(|segment| segment.text.chars().count()).sum()
    };
    let bold = chars(&mut segments.iter().filter(|segment| segment.is_bold));
    let is_bold = bold * 2 > chars(&mut segments.iter());
    let first_word =
        segments.first().and_then(|segment| segment.words.first()).map_or(0.0, |word| word.end - word.start);
    let baseline = segments.first().map_or(0.0, |segment| segment.baseline);
    let row = line(&Row { baseline, segments, grid: None });
    let middle = ((start + end) / 2.0, baseline - 0.3 * row.size);
    let is_shaded = shades.iter().any(|shade| shade.contains(middle));
    Cell {
        first,
        last,
        text: row.text,
        start,
        width: end - start,
        size: row.size,
        first_word,
        is_styled: is_bold || is_shaded,
        is_repeated: false,
    }
}
