//! Plain text: its paragraphs by the numbers of their lines.

use super::{collector::Blocks, encoding::decode, error::FileError, place::PlaceKind};

/// Shortest line that may go on in the next one, in characters: a line that an editor has wrapped.
const MIN_WRAPPED_CHARS: usize = 50;

/// Reads the paragraphs. Lines that an editor has wrapped are joined.
pub(super) fn read(bytes: &[u8], blocks: &mut Blocks) -> Result<(), FileError> {
    blocks.section(PlaceKind::Line, None, Vec::new());
    let text = decode(bytes);
    let mut open: Option<(u32, String)> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        match &mut open {
            Some((_, paragraph)) if goes_on(paragraph, line) => {
                paragraph.push('\n');
                paragraph.push_str(line);
            }
            _ => {
                if let Some((first, paragraph)) = open.take() {
                    blocks.paragraph(first, &paragraph)?;
                }
                open = (!line.is_empty()).then(|| (number, line.to_owned()));
            }
        }
    }
    open.map_or(Ok(()), |(first, paragraph)| blocks.paragraph(first, &paragraph))
}

/// Returns true when a line continues the paragraph above it.
fn goes_on(paragraph: &str, line: &str) -> bool {
    let last = paragraph.lines().next_back().unwrap_or_default();
    let is_item = line.starts_with(['-', '*', '•', '–', '—']);
    !line.is_empty()
        && !is_item
        && last.chars().count() >= MIN_WRAPPED_CHARS
        && !last.ends_with(['.', '!', '?', ':', ';'])
        && line.starts_with(|c: char| !c.is_uppercase())
}
