//! Counts the real pages of a document. pdfium trusts the `/Count` of a page tree and counts the pages only when
//! there is none. So the document is opened a second time with its counts made unreadable.

use super::guard::call_pdfium;
use pdfium_render::prelude::{PdfDocument, Pdfium};

/// Returns a copy of `document` with the pages that its page tree really has, when their number differs from the
/// document's count; otherwise `None`.
///
/// The copy is written by pdfium and not read from the file: the page tree may be compressed in the file, and pdfium
/// writes it uncompressed. Returns `None` for a document that cannot be copied.
pub(super) fn recount<'a>(library: &'a Pdfium, document: &PdfDocument<'_>) -> Option<PdfDocument<'a>> {
    let mut copy = call_pdfium(|| document.save_to_bytes()).ok()?;
    hide_counts(&mut copy);
    let counted = call_pdfium(|| library.load_pdf_from_byte_vec(copy, None)).ok()?;
    (counted.pages().len() != document.pages().len()).then_some(counted)
}

/// Renames every `/Count` key with a number as its value. All byte offsets stay valid for the cross-reference table.
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
    fn only_count_keys_with_a_number_are_renamed() {
        let mut pdf = b"<< /Type /Pages /Count 3 /Kids [] >> << /Count\n-1 /Country /CountX >> /Count".to_vec();
        hide_counts(&mut pdf);
        assert_eq!(pdf, b"<< /Type /Pages /Coun_ 3 /Kids [] >> << /Coun_\n-1 /Country /CountX >> /Count");
    }
}
