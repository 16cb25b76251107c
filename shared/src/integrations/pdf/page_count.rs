//! Counts the real pages of a document. pdfium trusts the `/Count` of a page tree and counts the pages only when
//! there is none. So the document is opened a second time with its counts made unreadable.

use super::guard::call_pdfium;
use pdfium_render::prelude::{PdfDocument, Pdfium};

/// Facts about a file that pdfium's interface does not tell.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FileFacts {
    /// True when the file has layers, which may be off.
    pub(super) has_layers: bool,
    /// True when the file is a portfolio, whose contents are its attachments.
    pub(super) is_portfolio: bool,
}

/// Returns a copy of `document` with the pages that its page tree really has, when their number differs from the
/// document's count; otherwise `None`. Returns also the facts that the copy shows.
///
/// The copy is written by pdfium and not read from the file: the page tree may be compressed in the file, and pdfium
/// writes it uncompressed. Returns no copy for a document that cannot be copied.
pub(super) fn recount<'a>(library: &'a Pdfium, document: &PdfDocument<'_>) -> (FileFacts, Option<PdfDocument<'a>>) {
    let Ok(mut copy) = call_pdfium(|| document.save_to_bytes()) else { return (FileFacts::default(), None) };
    let facts =
        FileFacts { has_layers: has_name(&copy, b"/OCProperties"), is_portfolio: has_name(&copy, b"/Collection") };
    hide_counts(&mut copy);
    let counted = call_pdfium(|| library.load_pdf_from_byte_vec(copy, None)).ok();
    (facts, counted.filter(|counted| counted.pages().len() != document.pages().len()))
}

/// Returns true when the name occurs in the file, and not only as the beginning of a longer name.
fn has_name(pdf: &[u8], name: &[u8]) -> bool {
    let ends = |at: usize| pdf.get(at + name.len()).is_none_or(|byte| !byte.is_ascii_alphanumeric());
    pdf.windows(name.len()).enumerate().any(|(at, window)| window == name && ends(at))
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
    use super::{has_name, hide_counts};

    #[test]
    fn only_count_keys_with_a_number_are_renamed() {
        let mut pdf = b"<< /Type /Pages /Count 3 /Kids [] >> << /Count\n-1 /Country /CountX >> /Count".to_vec();
        hide_counts(&mut pdf);
        assert_eq!(pdf, b"<< /Type /Pages /Coun_ 3 /Kids [] >> << /Coun_\n-1 /Country /CountX >> /Count");
    }

    #[test]
    fn a_name_is_found_whole() {
        assert!(has_name(b"<< /Collection << >> >>", b"/Collection"));
        assert!(!has_name(b"<< /CollectionItem 1 >>", b"/Collection"));
    }
}
