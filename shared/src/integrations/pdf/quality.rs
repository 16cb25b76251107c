//! Completeness of a page's text: in the file and readable, missing because the page is a scan, or without a meaning.

use super::{MIN_COVERED_PAGE_LETTERS, MIN_TEXT_LETTERS, PageText, RawPage, count_letters, layout::UNMAPPED};
use crate::text;
use serde::{Deserialize, Serialize};

/// Share of glyphs without a meaning from which a page is not read whole.
const MAX_UNMAPPED_SHARE: f32 = 0.01;

/// Number of glyphs without a meaning from which a page is not read whole, however long it is.
const MAX_UNMAPPED: usize = 10;

/// Kind of a page, by the text that was read from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageKind {
    /// The text is in the file.
    Text,
    /// The page is a picture of text.
    Scan,
    /// The page cannot be read, or glyphs of its text have no meaning.
    Unreadable,
    /// The page shows nothing.
    Blank,
}

impl PageKind {
    /// Returns true for a page whose text was not read from the file, or not all of it.
    #[must_use]
    pub const fn is_unread(self) -> bool {
        matches!(self, Self::Scan | Self::Unreadable)
    }
}

/// Judges how much of a page its cleaned text is.
pub(super) fn judge(page: &RawPage, mut text: String) -> (PageText, PageKind) {
    let RawPage { number, is_covered, has_picture, is_failed, .. } = *page;
    let raw = page.text();
    let letters = count_letters(&text);
    let unmapped = count_unmapped(&text);
    let unmapped_share = unmapped as f32 / (letters + unmapped).max(1) as f32;
    let is_unmapped = unmapped >= MAX_UNMAPPED || unmapped > 0 && unmapped_share >= MAX_UNMAPPED_SHARE;
    let is_garbled = !is_failed && !is_unmapped && text::is_garbled(&raw);
    if is_garbled {
        text.clear();
    }
    let kind = if is_failed || is_unmapped || is_garbled {
        PageKind::Unreadable
    } else if letters < MIN_TEXT_LETTERS {
        if has_picture { PageKind::Scan } else { PageKind::Blank }
    } else if is_covered && letters < MIN_COVERED_PAGE_LETTERS {
        PageKind::Scan
    } else {
        PageKind::Text
    };
    (PageText { number, text }, kind)
}

/// Counts glyphs without a meaning, except at the beginning of a line, where they are bullets.
fn count_unmapped(text: &str) -> usize {
    let count = |line: &str| line.trim_start_matches([UNMAPPED, ' ']).matches(UNMAPPED).count();
    let within = |line: &str| {
        // A word may begin with one.
        let first = line.trim_start_matches(UNMAPPED);
        line.len() > first.len() && first.starts_with(char::is_alphanumeric)
    };
    text.lines().map(|line| count(line) + usize::from(within(line))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bullets_without_a_meaning_are_not_counted_and_letters_are() {
        assert_eq!(count_unmapped("\u{fffd} un point\n\u{fffd} un autre"), 0);
        assert_eq!(count_unmapped("le certi\u{fffd}cat \u{fffd}nal\n\u{fffd}che du produit"), 3);
    }
}
