//! From pdfium's characters to lines and paragraphs. pdfium breaks lines but knows no paragraphs:
//! they show in the distance between lines and in the size of the type.

use super::child::guarded;
use pdfium_render::prelude::{PdfPage, PdfPageText, PdfPageTextChar, PdfRect, PdfiumError};

/// A paragraph begins where the distance to the line above is this much larger than is usual.
const PARAGRAPH_STEP: f32 = 1.3;

/// Distances between the lines of a paragraph, as multiples of the type's size. Less is a superscript.
const PLAUSIBLE_STEPS: std::ops::Range<f32> = 0.9..4.0;

/// Distances that differ by less than this ratio are the same.
const ALIKE: f32 = 1.05;

/// Type of another size than this ratio begins a paragraph: a heading, or what follows it.
const SAME_SIZE: f32 = 0.93;

/// What pdfium gives for the hyphen of a divided word, whose other part follows at once.
const LINE_END_HYPHEN: u32 = 2;

/// One line of a page, as pdfium ordered them.
#[derive(Debug, Default)]
struct Line {
    text: String,
    /// Where its first character stands, in points upwards from the page's foot.
    baseline: f32,
    /// Where it ends: a word that is divided goes on below, without a line break from pdfium.
    last_baseline: f32,
    /// The size of its first character, in points.
    size: f32,
}

/// Returns the text of a page: lines as they are, paragraphs separated by a blank line. Lines that
/// stand outside the page, where nobody sees them, are left out.
pub(super) fn text(page: &PdfPage<'_>) -> Result<String, PdfiumError> {
    let mut lines = lines(&guarded(|| page.text())?);
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

/// Characters come as UTF-32 or as halves of a surrogate pair, as the file had them.
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

/// A line that stands higher than the one before is in the next column, where paragraphs go on.
fn begins_paragraph(above: &Line, line: &Line, usual_step: f32) -> bool {
    let sizes = (above.size.min(line.size), above.size.max(line.size));
    step(above, line) > usual_step * PARAGRAPH_STEP || sizes.0 < sizes.1 * SAME_SIZE
}

/// Returns the smallest distance between two lines that is common on the page, for type of size 1;
/// infinite where there is nothing to compare. Tables and lists may stand wider.
fn usual_step(lines: &[Line]) -> f32 {
    let steps = lines.windows(2).map(|pair| step(&pair[0], &pair[1]));
    let mut steps: Vec<f32> = steps.filter(|step| PLAUSIBLE_STEPS.contains(step)).collect();
    steps.sort_by(f32::total_cmp);
    let common = (steps.len() / 10).max(2);
    let alike = |steps: &&[f32]| steps[common - 1] <= steps[0] * ALIKE;
    steps.windows(common).find(alike).map_or(f32::INFINITY, |steps| steps[0])
}

/// Returns how far below `above` a line stands, as a multiple of its type's size.
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
    fn distance_and_size_show_paragraphs() {
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
    fn the_next_column_goes_on_with_the_paragraph() {
        let page = [line("a", 100.0, 10.0), line("b", 88.0, 10.0), line("c", 700.0, 10.0), line("d", 688.0, 10.0)];
        assert_eq!(join(&page), "a\nb\nc\nd");
    }

    #[test]
    fn surrogates_meet_again_and_lone_ones_are_replaced() {
        let mut units = vec![];
        for value in [0xd83d, 0xde00, 0x1f600, 0xd83d, 0x61] {
            push_utf16(&mut units, value);
        }
        assert_eq!(String::from_utf16_lossy(&units), "😀😀\u{fffd}a");
    }
}
