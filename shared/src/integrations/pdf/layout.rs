//! Builds lines and paragraphs from pdfium's characters. pdfium breaks lines but does not detect paragraphs; these
//! are derived from the distance between lines and from the font size.

use super::guard::call_pdfium;
use pdfium_render::prelude::{PdfPage, PdfPageText, PdfPageTextChar, PdfRect, PdfiumError};

/// Ratio to the usual line distance above which a line begins a paragraph.
const PARAGRAPH_STEP_RATIO: f32 = 1.3;

/// Plausible line distances within a paragraph, as multiples of the font size. A smaller distance is a superscript.
const PLAUSIBLE_STEPS: std::ops::Range<f32> = 0.9..4.0;

/// Ratio up to which two line distances count as equal.
const EQUAL_STEP_RATIO: f32 = 1.05;

/// Ratio of the smaller to the larger font size of two lines below which the second line begins a paragraph: one of
/// them is a heading.
const SAME_SIZE_RATIO: f32 = 0.93;

/// Character that pdfium returns for the hyphen at the end of a line. The second part of the word follows
/// immediately, without a line break.
const LINE_END_HYPHEN: u32 = 2;

/// A line of a page. Lines keep pdfium's order.
#[derive(Debug, Default)]
struct Line {
    text: String,
    /// Vertical position of the first character, in points upwards from the bottom of the page.
    baseline: f32,
    /// Vertical position of the end of the line. Lower than `baseline` after a hyphenated word, which pdfium
    /// continues on the next line without a line break.
    last_baseline: f32,
    /// Font size of the first character, in points.
    size: f32,
}

/// Returns the text of a page, with paragraphs separated by a blank line. Omits lines outside the visible area of the
/// page.
pub(super) fn text(page: &PdfPage<'_>) -> Result<String, PdfiumError> {
    let mut lines = lines(&call_pdfium(|| page.text())?);
    let visible = page.boundaries().bounding()?.bounds;
    lines.retain(|line| is_within(&visible, line));
    Ok(join(&lines))
}

fn is_within(visible: &PdfRect, line: &Line) -> bool {
    let (bottom, top) = (visible.bottom().value, visible.top().value);
    (bottom..=top).contains(&line.baseline)
}

fn lines(page: &PdfPageText<'_>) -> Vec<Line> {
    let mut lines = vec![];
    let mut line = Line::default();
    let mut units = vec![];
    let mut finish = |line: &mut Line, units: &mut Vec<u16>| {
        line.text = String::from_utf16_lossy(units);
        units.clear();
        lines.push(std::mem::take(line));
    };
    let mut divided = false;
    for char in page.chars().iter() {
        match char.unicode_value() {
            0 => {}
            0xa | 0xd => {
                if !units.is_empty() {
                    finish(&mut line, &mut units);
                }
            }
            value => {
                if units.is_empty() {
                    line.baseline = baseline(&char);
                    line.last_baseline = line.baseline;
                    line.size = char.scaled_font_size().value;
                } else if divided {
                    line.last_baseline = baseline(&char);
                }
                divided = value == LINE_END_HYPHEN;
                push_utf16(&mut units, value);
            }
        }
    }
    finish(&mut line, &mut units);
    lines
}

/// Appends a character as UTF-16. pdfium returns UTF-32 code points or halves of surrogate pairs, depending on the
/// file. Values that are neither are dropped.
fn push_utf16(units: &mut Vec<u16>, value: u32) {
    match (u16::try_from(value), char::from_u32(value)) {
        (Ok(unit), _) => units.push(unit),
        (Err(_), Some(char)) => units.extend_from_slice(char.encode_utf16(&mut [0; 2])),
        (Err(_), None) => {}
    }
}

fn baseline(char: &PdfPageTextChar<'_>) -> f32 {
    char.origin_y().map_or(0.0, |points| points.value)
}

fn join(lines: &[Line]) -> String {
    let usual = usual_step(lines);
    let mut text = String::new();
    let mut above: Option<&Line> = None;
    for line in lines.iter().filter(|line| !line.text.trim().is_empty()) {
        if let Some(above) = above {
            text.push_str(if begins_paragraph(above, line, usual) { "\n\n" } else { "\n" });
        }
        text.push_str(&line.text);
        above = Some(line);
    }
    text
}

/// Returns true when `line` begins a paragraph. A line higher than the one before is in the next column and continues
/// the paragraph.
fn begins_paragraph(above: &Line, line: &Line, usual_step: f32) -> bool {
    let sizes = (above.size.min(line.size), above.size.max(line.size));
    step(above, line) > usual_step * PARAGRAPH_STEP_RATIO || sizes.0 < sizes.1 * SAME_SIZE_RATIO
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
    (above.last_baseline - line.baseline) / line.size
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str, baseline: f32, size: f32) -> Line {
        Line { text: text.to_owned(), baseline, last_baseline: baseline, size }
    }

    #[test]
    fn a_larger_distance_or_another_font_size_begins_a_paragraph() {
        let page = [
            line("Livraison", 700.0, 16.0),
            line("Nous livrons", 680.0, 10.0),
            line("à Abidjan.", 668.0, 10.0),
            line("Ailleurs,", 648.0, 10.0),
            line("en cinq jours.", 636.0, 10.0),
        ];
        let expected = "Livraison\n\nNous livrons\nà Abidjan.\n\nAilleurs,\nen cinq jours.";
        assert_eq!(join(&page), expected);
    }

    #[test]
    fn a_new_column_continues_the_paragraph() {
        let page = [line("a", 100.0, 10.0), line("b", 88.0, 10.0), line("c", 700.0, 10.0), line("d", 688.0, 10.0)];
        assert_eq!(join(&page), "a\nb\nc\nd");
    }

    #[test]
    fn surrogate_pairs_are_joined_and_lone_surrogates_replaced() {
        let mut units = vec![];
        for value in [0xd83d, 0xde00, 0x1f600, 0xd83d, 0x61] {
            push_utf16(&mut units, value);
        }
        assert_eq!(String::from_utf16_lossy(&units), "😀😀\u{fffd}a");
    }
}
