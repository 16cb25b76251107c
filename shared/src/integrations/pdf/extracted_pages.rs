//! Pages of a document after the reading: cleaned, without repeated headers, and judged by how much was read.

use super::quality::{self, PageKind};
use super::{MIN_TEXT_LETTERS, PageText, PdfError, RawBlock, RawPage, count_letters, running_lines, table_text};
use crate::text::{self, KnownWords};

/// Extracted pages of a document, in page order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtractedPages {
    pages: Vec<PageText>,
    /// The kind of each page.
    kinds: Vec<PageKind>,
}

/// Maximum length of a document's cleaned text, in characters: more than two thousand full pages. Cleaning makes up to
/// eighteen characters of one, so the limit of the child's output does not bound it.
const MAX_TEXT_CHARS: usize = 6_400_000;

impl ExtractedPages {
    /// Cleans the text of raw pages and determines how much of each page was read.
    ///
    /// # Errors
    /// Returns [`PdfError::TooMuchText`] when the cleaned text has more than `max_chars` characters.
    fn from_raw(mut raw: Vec<RawPage>, max_chars: usize) -> Result<Self, PdfError> {
        running_lines::tell_apart(&mut raw);
        table_text::carry_over(&mut raw);
        let words = KnownWords::of(raw.iter().flat_map(|page| &page.blocks).map(RawBlock::text));
        let (mut pages, mut kinds) = (Vec::with_capacity(raw.len()), Vec::with_capacity(raw.len()));
        let mut chars_left = max_chars;
        for page in raw {
            let text = clean_page(&page, &words, &mut chars_left).ok_or(PdfError::TooMuchText { limit: max_chars })?;
            let (page, kind) = quality::judge(&page, text);
            pages.push(page);
            kinds.push(kind);
        }
        Ok(Self { pages, kinds })
    }

    /// Returns the pages unless none of them could be read.
    ///
    /// # Errors
    /// Returns `failure`, the last failure of a child process, or else [`PdfError::Corrupt`] when no page could be
    /// read.
    pub(super) fn require_readable(raw: Vec<RawPage>, failure: Option<PdfError>) -> Result<Self, PdfError> {
        if raw.iter().all(|page| page.is_failed) {
            return Err(failure.unwrap_or(PdfError::Corrupt));
        }
        Self::from_raw(raw, MAX_TEXT_CHARS)
    }

    /// Returns all pages, including blank ones.
    pub fn as_slice(&self) -> &[PageText] {
        &self.pages
    }

    /// Returns how each page was read, in page order.
    pub fn kinds(&self) -> &[PageKind] {
        &self.kinds
    }

    /// Returns, in ascending order, the numbers of the pages whose text is not in the file, or not readable there:
    /// pictures of text, also with only a few words such as a stamp, and text in fonts without a meaning.
    pub fn scans(&self) -> Vec<u32> {
        let pages = self.pages.iter().zip(&self.kinds);
        pages.filter(|(_, kind)| kind.is_unread()).map(|(page, _)| page.number).collect()
    }

    /// Replaces a page's text by the text read from its image. An empty text changes nothing.
    pub fn set_scan_text(&mut self, number: u32, text: &str) {
        let text = text::clean(text);
        if let Some(page) = self.pages.iter_mut().find(|page| page.number == number && !text.is_empty()) {
            page.text = text;
        }
    }

    /// Returns the pages unchanged when they hold any text.
    ///
    /// # Errors
    /// Returns [`PdfError::NoText`] when all pages together have fewer than four letters and digits.
    pub fn require_text(self) -> Result<Self, PdfError> {
        let letters: usize = self.pages.iter().map(|page| count_letters(&page.text)).sum();
        if letters < MIN_TEXT_LETTERS { Err(PdfError::NoText) } else { Ok(self) }
    }
}

/// Cleans the blocks of a page, and subtracts their characters from `chars_left`. Returns `None` when there are more.
fn clean_page(page: &RawPage, words: &KnownWords, chars_left: &mut usize) -> Option<String> {
    let mut clean = |raw: &str| {
        let text = text::clean_within(raw, words, *chars_left)?;
        *chars_left -= text.chars().count().min(*chars_left);
        Some(text)
    };
    let mut blocks = Vec::with_capacity(page.blocks.len());
    for block in &page.blocks {
        blocks.push(match block {
            RawBlock::Table(table) if !table.headings.is_empty() => table_text::lines(table, &mut clean)?.join("\n"),
            block => clean(block.text())?,
        });
    }
    blocks.retain(|block| !block.is_empty());
    Some(blocks.join("\n\n"))
}

#[cfg(test)]
mod tests {
    use super::super::raw_page::RawParagraph;
    use super::*;

    fn pages(texts: &[(&str, bool)]) -> ExtractedPages {
        let raw = (1..).zip(texts).map(|(number, &(text, is_covered))| RawPage {
            number,
            blocks: vec![paragraph(text)],
            is_covered,
            has_picture: is_covered,
            is_failed: false,
        });
        ExtractedPages::from_raw(raw.collect(), MAX_TEXT_CHARS).unwrap()
    }

    fn paragraph(text: &str) -> RawBlock {
        RawBlock::Paragraph(RawParagraph { text: text.to_owned(), place: None })
    }

    fn texts(pages: &ExtractedPages) -> Vec<&str> {
        pages.as_slice().iter().map(|page| page.text.as_str()).collect()
    }

    #[test]
    fn raw_pages_are_cleaned() {
        let pages = pages(&[("", false), ("la livrai\u{2}\r\nson ", false)]).require_text().unwrap();
        assert_eq!(texts(&pages), ["", "la livraison"]);
    }

    #[test]
    fn a_word_of_another_page_decides_about_a_hyphen() {
        let pages = pages(&[("Le taille-\ncrayon est neuf.", false), ("Un taille-crayon.", false)]);
        assert_eq!(texts(&pages)[0], "Le taille-crayon est neuf.");
    }

    #[test]
    fn text_is_limited_after_cleaning_over_all_pages() {
        // One character that is eighteen in plain forms.
        let raw = |count: u32| {
            let page = |number| RawPage { number, blocks: vec![paragraph("\u{fdfa}")], ..RawPage::default() };
            (1..=count).map(page).collect()
        };
        assert_eq!(ExtractedPages::from_raw(raw(2), 36).unwrap().as_slice()[1].text.chars().count(), 18);
        let refused = ExtractedPages::from_raw(raw(2), 35).unwrap_err();
        assert_eq!((refused.code(), refused.to_string().contains("35")), (Some("too_much_text"), true));
    }

    #[test]
    fn pages_with_only_page_numbers_give_the_no_text_error() {
        let pages = pages(&[("- 1 -", false), ("- 2 -", false), ("", false)]).require_text();
        assert!(matches!(pages, Err(PdfError::NoText)));
    }

    #[test]
    fn each_page_says_how_much_of_it_was_read() {
        let fax = "21/11/2026 14:05 FAX +225 01 02 03 04 PAGE 2/7";
        let page = "The delivery takes three days. ".repeat(5);
        let pages = pages(&[
            ("- 1 -", true),
            (fax, true),
            // A title, on its own or over a picture that takes little of the page.
            (fax, false),
            // Recognised by the scanner.
            (&page, true),
            ("", false),
            ("Certi\u{fffd}cat de conformité : le certi\u{fffd}cat \u{fffd}nal est remis.", false),
        ]);
        use PageKind::{Blank, Scan, Text, Unreadable};
        assert_eq!(pages.kinds(), [Scan, Scan, Text, Text, Blank, Unreadable]);
        assert_eq!(pages.scans(), [1, 2, 6]);
    }

    #[test]
    fn a_scan_text_replaces_the_stamp_and_an_empty_one_keeps_it() {
        let mut pages = pages(&[("- 1 -", true), ("- 2 -", true)]);
        pages.set_scan_text(1, "- 1 -\r\nThe deliv-\nery");
        pages.set_scan_text(2, " ");
        pages.set_scan_text(3, "nowhere");
        assert_eq!(texts(&pages), ["- 1 -\nThe delivery", "- 2 -"]);
        pages.require_text().unwrap();
    }
}
