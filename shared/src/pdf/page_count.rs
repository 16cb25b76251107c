//! How many pages a document really has. pdfium believes a page tree's `/Count`; where there is
//! none, it counts. So the document is opened once more with its counts made unreadable.

use super::child::guarded;
use pdfium_render::prelude::{PdfDocument, Pdfium};

/// Returns a copy of `document` whose pages are those of its page tree, if these are not as many
/// as the document says.
///
/// The copy is taken from pdfium rather than from the file, since there the page tree may be
/// compressed; pdfium writes it in plain. A document that cannot be copied keeps its own count.
pub(super) fn recount<'a>(library: &'a Pdfium, document: &PdfDocument<'_>) -> Option<PdfDocument<'a>> {
    let mut copy = guarded(|| document.save_to_bytes()).ok()?;
    hide_counts(&mut copy);
    let counted = guarded(|| library.load_pdf_from_byte_vec(copy, None)).ok()?;
    (counted.pages().len() != document.pages().len()).then_some(counted)
}

/// Renames every `/Count` before a number; all bytes stay where the cross-references expect them.
fn hide_counts(pdf: &mut [u8]) {
    const KEY: &[u8] = b"/Count";
    let mut at = 0;
    while let Some(found) = pdf[at..].windows(KEY.len()).position(|window| window == KEY) {
        let end = at + found + KEY.len();
        let value = pdf[end..].iter().find(|byte| !byte.is_ascii_whitespace());
        if value.is_some_and(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-')) {
            pdf[end - 1] = b'_';
        }
        at = end;
    }
}

#[cfg(test)]
mod tests {
    use super::hide_counts;

    #[test]
    fn only_counts_are_hidden() {
        let mut pdf = b"<< /Type /Pages /Count 3 /Kids [] >> << /Count\n-1 /Country /CountX >> /Count".to_vec();
        hide_counts(&mut pdf);
        assert_eq!(pdf, b"<< /Type /Pages /Coun_ 3 /Kids [] >> << /Coun_\n-1 /Country /CountX >> /Count");
    }
}
