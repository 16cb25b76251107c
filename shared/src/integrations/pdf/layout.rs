//! Builds the lines and paragraphs of a page from pdfium's characters, by their place on the page. The order in
//! which a file draws its text says nothing about the order in which it is read.

use super::display::{Area, Display};
use super::guard::call_pdfium;
use super::order;
use super::raw_page::RawBlock;
use super::rules::Rules;
use super::segments::{self, Line, Segment, Word};
use pdfium_render::prelude::{PdfPageText, PdfPageTextChar, PdfPageTextRenderMode};

/// Character that pdfium returns for the hyphen at the end of a line. The second part of the word follows
/// immediately, without a line break.
const LINE_END_HYPHEN: u32 = 0x2;

/// Character that stands for a glyph without a mapping to Unicode.
pub(super) const UNMAPPED: char = '\u{fffd}';

/// Difference of baselines, as a share of the font size, from which text is on another line.
const MAX_BASELINE_STEP: f32 = 0.12;

/// Ratio of the smaller to the larger font size below which a segment ends.
const MIN_SIZE_RATIO: f32 = 0.85;

/// Gap between two characters that ends a segment, as a share of the font size: a cell of a table or a column ends.
const MAX_GAP: f32 = 1.0;

/// Step backwards that ends a segment, as a share of the font size.
const MAX_STEP_BACK: f32 = 0.4;

/// Gap between two characters that ends a word, as a share of the font size.
const MIN_WORD_GAP: f32 = 0.15;

/// Height of a character's box, as a multiple of the font size.
const BOX_HEIGHT: f32 = 1.15;

/// Step between the angles of texts that are read together, in degrees.
const ANGLE_STEP: f32 = 15.0;

/// Share of letters written from right to left from which a page keeps the order of its file.
const MAX_RIGHT_TO_LEFT_SHARE: f32 = 0.3;

/// Average length of segments, in characters, below which a page keeps the order of its file: its text is written
/// from top to bottom, or its characters are placed one by one in a way that is not understood.
const MIN_SEGMENT_CHARS: f32 = 2.5;

/// A character of a page.
#[derive(Clone, Debug)]
pub(super) struct Glyph {
    /// Unicode value: a code point or a half of a surrogate pair. 0 for a glyph without a mapping.
    pub(super) value: u32,
    /// Box of the character on the display.
    pub(super) area: Area,
    /// Origin of the character on the display.
    pub(super) origin: (f32, f32),
    /// Font size, in points.
    pub(super) size: f32,
    /// Clockwise angle of the line on the display, in degrees.
    pub(super) angle: f32,
    pub(super) is_bold: bool,
    /// True when the reader has a font for the character, so that the picture of the page tells its visibility.
    pub(super) can_be_drawn: bool,
    /// True for the render mode that draws nothing. Determined only for characters that the reader cannot draw.
    pub(super) is_invisible: bool,
    pub(super) is_hidden: bool,
}

impl Glyph {
    /// Returns true for white space and line breaks.
    pub(super) fn is_blank(&self) -> bool {
        char::from_u32(self.value).is_some_and(char::is_whitespace)
    }

    pub(super) fn is_alphanumeric(&self) -> bool {
        char::from_u32(self.value).is_some_and(char::is_alphanumeric)
    }

    fn is_line_break(&self) -> bool {
        matches!(self.value, 0xa | 0xd)
    }
}

/// A text that is not among the characters of a page: the value of a form field without an appearance.
#[derive(Clone, Debug)]
pub(super) struct PlacedText {
    pub(super) text: String,
    pub(super) area: Area,
}

/// Returns the characters of a page in pdfium's order. Those outside of `part` of the display are marked as hidden.
pub(super) fn glyphs(text: &PdfPageText<'_>, display: &Display, part: &Area) -> Vec<Glyph> {
    let mut glyphs: Vec<Glyph> = Vec::new();
    for char in call_pdfium(|| text.chars()).iter() {
        let value = call_pdfium(|| char.unicode_value());
        let origin = origin(&char, display);
        let area = call_pdfium(|| char.loose_bounds()).map(|bounds| display.rect(&bounds)).unwrap_or_default();
        let middle = ((area.x0 + area.x1) / 2.0, (area.y0 + area.y1) / 2.0);
        // pdfium makes white space up between texts; its place and size mean nothing.
        let is_break = matches!(value, 0xa | 0xd);
        let angle = call_pdfium(|| char.angle_degrees()).map_or(0.0, |angle| display.angle(angle));
        let size = size(&char, &area, angle);
        let is_hidden = !is_break && !part.contains(middle);
        let (can_be_drawn, is_invisible) = drawing(&char, value);
        // The type of a word is that of its first character.
        let begins = glyphs.last().is_none_or(|last| last.is_blank() || (last.size - size).abs() > 0.1);
        let is_bold = if begins { is_bold(&char) } else { glyphs.last().is_some_and(|last| last.is_bold) };
        glyphs.push(Glyph { value, area, origin, size, angle, is_bold, can_be_drawn, is_invisible, is_hidden });
    }
    glyphs
}

fn is_bold(char: &PdfPageTextChar<'_>) -> bool {
    let name = call_pdfium(|| char.font_name()).to_lowercase();
    ["bold", "black", "heavy", "demi"].iter().any(|mark| name.contains(mark))
}

/// Returns true for characters that pdfium can draw without a font of the file: those of WinAnsi.
fn has_standard_font(value: u32) -> bool {
    let Some(value) = char::from_u32(value) else { return false };
    let is_letter = matches!(value, '!'..='ÿ' | 'Œ' | 'œ' | 'Š' | 'š' | 'Ÿ' | 'Ž' | 'ž' | 'ƒ');
    is_letter || matches!(value, '–' | '—' | '‘'..='‚' | '“'..='„' | '†'..='•' | '…' | '‰' | '‹' | '›' | '€' | '™')
}

/// Returns whether the reader can draw a character, and, if it cannot, whether it is drawn at all.
fn drawing(char: &PdfPageTextChar<'_>, value: u32) -> (bool, bool) {
    if has_standard_font(value) {
        return (true, false);
    }
    let Ok(text) = call_pdfium(|| char.text_object()) else { return (false, false) };
    let is_embedded = call_pdfium(|| text.font().is_embedded()).unwrap_or(false);
    let is_invisible = call_pdfium(|| text.render_mode()) == PdfPageTextRenderMode::Invisible;
    (is_embedded, is_invisible)
}

/// Returns the font size of a character. The binding scales it by the upright part of the text's matrix, which is
/// nothing for text on its side; the height of the character's box tells it then.
fn size(char: &PdfPageTextChar<'_>, area: &Area, angle: f32) -> f32 {
    let scaled = call_pdfium(|| char.scaled_font_size()).value.abs();
    if scaled >= 0.5 {
        return scaled;
    }
    let is_upright = (angle / 90.0).round() as i32 % 2 == 0;
    if is_upright { area.height() / BOX_HEIGHT } else { area.width() / BOX_HEIGHT }
}

fn origin(char: &PdfPageTextChar<'_>, display: &Display) -> (f32, f32) {
    call_pdfium(|| char.origin()).map_or((0.0, 0.0), |(x, y)| display.point(x.value, y.value))
}

/// Returns the paragraphs and tables of a page, whose height is given in points. `above` are the columns of a table at
/// the end of the page before.
pub(super) fn blocks(
    glyphs: &[Glyph],
    placed: &[PlacedText],
    rules: &Rules,
    above: Option<&[(f32, f32)]>,
    height: f32,
) -> Vec<RawBlock> {
    let visible: Vec<&Glyph> = glyphs.iter().filter(|glyph| !glyph.is_hidden).collect();
    let mut groups = by_angle(&visible);
    if groups.is_empty() && !placed.is_empty() {
        groups.push((0.0, Vec::new()));
    }
    let mut blocks = Vec::new();
    let no_rules = Rules::default();
    for (nth, (angle, glyphs)) in groups.iter().enumerate() {
        let mut lines = Vec::new();
        let mut segments = segments(glyphs, *angle);
        if nth == 0 {
            segments.extend(placed.iter().map(placed_segment));
        }
        if keeps_file_order(glyphs, &segments) {
            lines.extend(file_lines(glyphs, *angle));
            lines.extend(placed.iter().filter(|_| nth == 0).map(|text| segments::line_of(&placed_segment(text))));
        } else {
            // The ruling lines are those of the text that runs across the page.
            lines.extend(order::lines(segments, if *angle == 0.0 { rules } else { &no_rules }, above));
        }
        let mut joined = order::join(&lines, height);
        if *angle != 0.0 {
            joined.iter_mut().for_each(RawBlock::forget_place);
        }
        blocks.extend(joined);
    }
    blocks
}

/// Returns the paragraphs of a page in the order of its file.
pub(super) fn plain_blocks(glyphs: &[Glyph], height: f32) -> Vec<RawBlock> {
    let visible: Vec<&Glyph> = glyphs.iter().filter(|glyph| !glyph.is_hidden).collect();
    order::join(&file_lines(&visible, 0.0), height)
}

/// Groups characters by the angle of their line. The most frequent angle comes first.
fn by_angle<'a>(glyphs: &[&'a Glyph]) -> Vec<(f32, Vec<&'a Glyph>)> {
    let mut groups: Vec<(f32, Vec<&Glyph>)> = Vec::new();
    let mut last = None;
    for &glyph in glyphs {
        // White space that pdfium makes up has no angle of its own.
        let angle = match last {
            Some(angle) if glyph.is_blank() => angle,
            _ => ((glyph.angle / ANGLE_STEP).round() * ANGLE_STEP).rem_euclid(360.0),
        };
        last = Some(angle);
        match groups.iter_mut().find(|(other, _)| (other - angle).abs() < 1.0) {
            Some((_, group)) => group.push(glyph),
            None => groups.push((angle, vec![glyph])),
        }
    }
    groups.sort_by_key(|(_, group)| std::cmp::Reverse(group.len()));
    groups
}

/// Place of a character along its line and across it.
struct Place {
    start: f32,
    end: f32,
    baseline: f32,
}

fn place(glyph: &Glyph, angle: f32) -> Place {
    let (sin, cos) = angle.to_radians().sin_cos();
    let along = |x: f32, y: f32| x * cos + y * sin;
    let Area { x0, y0, x1, y1 } = glyph.area;
    let corners = [along(x0, y0), along(x0, y1), along(x1, y0), along(x1, y1)];
    let (x, y) = glyph.origin;
    Place {
        start: corners.into_iter().fold(f32::INFINITY, f32::min),
        end: corners.into_iter().fold(f32::NEG_INFINITY, f32::max),
        baseline: y * cos - x * sin,
    }
}

/// Divides characters into runs of one font size on one line, without large gaps.
fn segments(glyphs: &[&Glyph], angle: f32) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    let mut units = Units::default();
    let mut open: Option<Segment> = None;
    let mut is_spaced = false;
    let finish = |open: &mut Option<Segment>, units: &mut Units, segments: &mut Vec<Segment>| {
        if let Some(mut segment) = open.take() {
            end_word(&mut segment, units);
            segment.text = joined(&segment.words);
            segments.push(segment);
        }
    };
    for glyph in glyphs {
        if glyph.is_blank() {
            // The distance between two texts tells whether a line break means a space.
            is_spaced |= !glyph.is_line_break();
            continue;
        }
        let place = place(glyph, angle);
        let is_mark = char::from_u32(glyph.value).is_some_and(unicode_normalization::char::is_combining_mark);
        let goes_on = open.as_ref().is_some_and(|segment| is_mark || continues(segment, glyph, &place));
        if !goes_on {
            finish(&mut open, &mut units, &mut segments);
            open = Some(Segment {
                start: place.start,
                end: place.end,
                baseline: place.baseline,
                size: glyph.size.max(1.0),
                is_spaced,
                is_right_to_left: is_right_to_left(glyph.value),
                is_bold: glyph.is_bold,
                words: vec![Word { start: place.start, end: place.end, ..Word::default() }],
                ..Segment::default()
            });
        } else if let Some(segment) = &mut open
            && (is_spaced || place.start - segment.end > MIN_WORD_GAP * glyph.size)
        {
            end_word(segment, &mut units);
            segment.words.push(Word { start: place.start, end: place.end, is_spaced, ..Word::default() });
        }
        is_spaced = false;
        units.push(glyph.value);
        if let Some(segment) = &mut open {
            if let Some(word) = segment.words.last_mut() {
                word.end = word.end.max(place.end);
            }
            if segment.is_right_to_left {
                segment.start = segment.start.min(place.start);
            }
            segment.end = segment.end.max(place.end);
            segment.last_start = place.start;
        }
        if glyph.value == LINE_END_HYPHEN {
            finish(&mut open, &mut units, &mut segments);
        }
    }
    finish(&mut open, &mut units, &mut segments);
    segments
}

/// Ends the last word of a segment.
fn end_word(segment: &mut Segment, units: &mut Units) {
    if let Some(word) = segment.words.last_mut() {
        word.text = units.take();
    }
}

fn joined(words: &[Word]) -> String {
    let mut text = String::new();
    for (nth, word) in words.iter().enumerate() {
        if nth > 0 && word.is_spaced {
            text.push(' ');
        }
        text.push_str(&word.text);
    }
    text
}

fn continues(segment: &Segment, glyph: &Glyph, place: &Place) -> bool {
    let size = glyph.size.max(1.0);
    let (small, large) = (segment.size.min(size), segment.size.max(size));
    let goes_right =
        place.start - segment.end <= MAX_GAP * large && place.start >= segment.last_start - MAX_STEP_BACK * large;
    // pdfium returns Arabic and Hebrew in the order in which they are spoken: each letter to the left of the last.
    let goes_left = segment.is_right_to_left
        && (is_right_to_left(glyph.value) || !glyph.is_alphanumeric())
        && segment.start - place.end <= MAX_GAP * large
        && place.end <= segment.start + MAX_STEP_BACK * large;
    small >= MIN_SIZE_RATIO * large
        && (segment.baseline - place.baseline).abs() <= MAX_BASELINE_STEP * large
        && (goes_right || goes_left)
}

fn placed_segment(placed: &PlacedText) -> Segment {
    let (start, end) = (placed.area.x0, placed.area.x1);
    let size = (placed.area.height() * 0.7).clamp(1.0, 12.0);
    Segment {
        text: placed.text.clone(),
        start,
        end,
        last_start: start,
        baseline: placed.area.y1 - 0.25 * placed.area.height().min(16.0),
        size,
        is_spaced: true,
        is_right_to_left: placed.text.chars().any(|c| is_right_to_left(c.into())),
        is_bold: false,
        words: vec![Word { text: placed.text.clone(), start, end, is_spaced: true }],
    }
}

fn keeps_file_order(glyphs: &[&Glyph], segments: &[Segment]) -> bool {
    let letters = glyphs.iter().filter(|glyph| glyph.is_alphanumeric()).count() as f32;
    let right_to_left = glyphs.iter().filter(|glyph| is_right_to_left(glyph.value)).count() as f32;
    let ideographs = glyphs.iter().filter(|glyph| (0x2e80..0xfb00).contains(&glyph.value)).count() as f32;
    let chars: usize = segments.iter().map(|segment| segment.text.chars().count()).sum();
    right_to_left > MAX_RIGHT_TO_LEFT_SHARE * letters
        || ideographs > 0.5 * letters && (chars as f32) < MIN_SEGMENT_CHARS * segments.len() as f32
}

/// Returns true for Hebrew, Arabic and their neighbours.
fn is_right_to_left(value: u32) -> bool {
    (0x590..0x900).contains(&value) || (0xfb1d..0xfe00).contains(&value) || (0xfe70..0xff00).contains(&value)
}

/// Returns the lines as pdfium breaks them, in the order of the file.
fn file_lines(glyphs: &[&Glyph], angle: f32) -> Vec<Line> {
    let mut lines = vec![];
    let mut line = Line::default();
    let mut units = Units::default();
    let mut is_divided = false;
    let mut is_empty = true;
    for glyph in glyphs {
        if glyph.is_line_break() {
            if !std::mem::replace(&mut is_empty, true) {
                line.text = units.take();
                lines.push(std::mem::take(&mut line));
            }
            continue;
        }
        let baseline = place(glyph, angle).baseline;
        if is_empty {
            line = Line { baseline, last_baseline: baseline, size: glyph.size, ..Line::default() };
        } else if is_divided {
            line.last_baseline = baseline;
        }
        is_empty = false;
        is_divided = glyph.value == LINE_END_HYPHEN;
        units.push(glyph.value);
    }
    line.text = units.take();
    lines.push(line);
    lines
}

/// Text as UTF-16. pdfium returns UTF-32 code points or halves of surrogate pairs, depending on the file.
#[derive(Default)]
struct Units(Vec<u16>);

impl Units {
    fn push(&mut self, value: u32) {
        match (u16::try_from(value), char::from_u32(value)) {
            (Ok(0 | 0xfffe | 0xffff), _) => self.0.push(UNMAPPED as u16),
            (Ok(unit), _) => self.0.push(unit),
            (Err(_), Some(char)) => self.0.extend_from_slice(char.encode_utf16(&mut [0; 2])),
            (Err(_), None) => self.0.push(UNMAPPED as u16),
        }
    }

    fn take(&mut self) -> String {
        String::from_utf16_lossy(&std::mem::take(&mut self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surrogate_pairs_are_joined_and_what_has_no_mapping_is_kept() {
        let mut units = Units::default();
        [0xd83d, 0xde00, 0x1f600, 0xd83d, 0x61, 0].into_iter().for_each(|value| units.push(value));
        assert_eq!(units.take(), "😀😀\u{fffd}a\u{fffd}");
    }
}
