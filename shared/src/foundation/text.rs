//! Text normalisation for storage and for search, and language detection.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

mod language;
mod media;
pub(crate) mod stop_words;
pub mod whatsapp;

pub use language::{Language, detect_clear_language, detect_language, detect_likely_language, detect_message_language};
pub use media::unreadable_kind;

/// Character that pdfium emits in place of a hyphen at the end of a line.
const LINE_END_HYPHEN: char = '\u{2}';

/// Normalises text for storage and display: NFKC, without control characters, with words rejoined that were
/// hyphenated at the end of a line. Keeps lines, separates paragraphs by one blank line, and makes every other run of
/// white space one space. Idempotent.
pub fn clean(raw: &str) -> String {
    clean_within(raw, usize::MAX).unwrap_or_default()
}

/// Normalises text as [`clean`] does. Returns `None` when the text has more than `max_chars` characters in NFKC, in
/// which one character may become eighteen; it is not normalised further then.
pub fn clean_within(raw: &str, max_chars: usize) -> Option<String> {
    let visible = raw.replace("\r\n", "\n");
    let mut chars = visible.chars().filter_map(visible_char).nfkc();
    let normal: String = chars.by_ref().take(max_chars).collect();
    chars.next().is_none().then(|| tidy_lines(&join_hyphens(&normal)))
}

/// Folds text for search: lower case, without Latin accents and ligatures, with apostrophes and white space as single
/// spaces. Documents and questions must both be folded. Idempotent.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    // NFKC comes before lower case, since compatibility forms hide capitals. NFKD comes after it, since the lower
    // case of İ is an i with a combining dot.
    let lower = text.nfkc().flat_map(char::to_lowercase);
    for c in lower.nfkd().filter(|&c| !is_latin_accent(c)).nfc() {
        match c {
            'œ' => folded.push_str("oe"),
            'æ' => folded.push_str("ae"),
            'ß' => folded.push_str("ss"),
            'ø' => folded.push('o'),
            'ł' => folded.push('l'),
            'đ' => folded.push('d'),
            'ı' => folded.push('i'),
            c if is_apostrophe(c) || c.is_whitespace() => {
                if !folded.is_empty() && !folded.ends_with(' ') {
                    folded.push(' ');
                }
            }
            c => folded.push(c),
        }
    }
    folded.truncate(folded.trim_end().len());
    folded
}

/// Maps a character to itself, to a line break, to a space for noise, or to nothing.
fn visible_char(c: char) -> Option<char> {
    match c {
        '\n' | LINE_END_HYPHEN => Some(c),
        '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some('\n'),
        // Bullets of the Symbol and Wingdings fonts, which word processors leave unmapped.
        '\u{f0a7}' | '\u{f0b7}' | '\u{f0d8}' => Some('•'),
        '\u{e000}'..='\u{f8ff}' | '\u{fff9}'..='\u{fffd}' | '\u{f0000}'.. => Some(' '),
        // Soft hyphens, zero-width and directional marks would split words for a search. The joiners U+200C and
        // U+200D stay, since they belong to the spelling of Persian and the Indic scripts.
        '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' => None,
        '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fdd0}'..='\u{fdef}' => None,
        '\t' => Some(' '),
        c if c.is_control() => None,
        c if u32::from(c) & 0xfffe == 0xfffe => None,
        c => Some(c),
    }
}

/// Joins words that were hyphenated at the end of a line. The hyphen stays before a capital or a digit, where it
/// belongs to the word: `Jean-Pierre`, `2023-2024`.
fn join_hyphens(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['-', '‐', LINE_END_HYPHEN]) {
        let (before, from) = rest.split_at(at);
        joined.push_str(before);
        let mut chars = from.chars();
        let hyphen = chars.next().map_or('-', |c| if c == LINE_END_HYPHEN { '-' } else { c });
        let after = chars.as_str();
        let line_break = after.trim_start_matches(' ').strip_prefix('\n');
        let next_line = line_break.map(|line| line.trim_start_matches(' '));
        let broken = next_line.is_some() || from.starts_with(LINE_END_HYPHEN);
        let continued = next_line.unwrap_or_else(|| after.trim_start_matches(' '));
        let word_before = joined.chars().next_back().is_some_and(char::is_alphanumeric);
        rest = match continued.chars().next() {
            Some(next) if broken && word_before && next.is_lowercase() => continued,
            Some(next) if broken && word_before && next.is_alphanumeric() => {
                joined.push(hyphen);
                continued
            }
            _ => {
                joined.push(hyphen);
                after
            }
        };
    }
    joined.push_str(rest);
    joined
}

/// Trims lines, and reduces each run of white space to one space and each run of blank lines to one.
fn tidy_lines(text: &str) -> String {
    let mut tidy = String::with_capacity(text.len());
    let mut blank = false;
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some(first) = words.next() else {
            blank = true;
            continue;
        };
        if !tidy.is_empty() {
            tidy.push_str(if blank { "\n\n" } else { "\n" });
        }
        blank = false;
        tidy.push_str(first);
        for word in words {
            tidy.push(' ');
            tidy.push_str(word);
        }
    }
    tidy
}

/// Returns true for the combining marks of Latin letters. The combining marks of other scripts belong to the
/// spelling.
fn is_latin_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}') && is_combining_mark(c)
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '’' | '‘' | 'ʼ' | '′' | '`' | '´')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn control_characters_and_noise_disappear() {
        assert_eq!(clean("a\0b\u{7}c\u{fffe}\u{feff}d"), "abcd");
        assert_eq!(clean("prix \u{fffd}\u{fffd}\u{e000} 5 000"), "prix 5 000");
        assert_eq!(clean("\u{f0b7} premier point"), "• premier point");
    }

    #[test]
    fn compatibility_forms_become_plain_characters() {
        assert_eq!(clean("eﬃcace\u{a0}: ５ ｋｇ, e\u{301}te\u{301}"), "efficace : 5 kg, été");
    }

    #[test]
    fn words_hyphenated_at_a_line_end_are_joined() {
        assert_eq!(clean("la livrai-\r\nson"), "la livraison");
        assert_eq!(clean("la livrai\u{2}\nson"), "la livraison");
        assert_eq!(clean("la livrai\u{2}son"), "la livraison");
        assert_eq!(clean("la livrai\u{ad}son"), "la livraison");
    }

    #[test]
    fn hyphens_of_names_and_numbers_stay() {
        assert_eq!(clean("Jean\u{2}\nPierre"), "Jean-Pierre");
        assert_eq!(clean("2023-\n2024"), "2023-2024");
        assert_eq!(clean("- un\n- deux"), "- un\n- deux");
        assert_eq!(clean("porte-monnaie"), "porte-monnaie");
    }

    #[test]
    fn lines_and_paragraphs_are_kept() {
        assert_eq!(clean("  Titre \n\n\n  une\tligne \r\ndeux \n"), "Titre\n\nune ligne\ndeux");
    }

    #[test]
    fn folding_lowers_case_and_removes_latin_accents() {
        assert_eq!(fold("L'Œuf d’Été,  à\nNoël"), "l oeuf d ete, a noel");
        assert_eq!(fold("Straße İstanbul Łódź"), "strasse istanbul lodz");
        assert_eq!(fold("한국 がぎ"), "한국 がぎ");
    }

    proptest! {
        #[test]
        fn cleaning_twice_changes_nothing(raw in "[\\PC\u{0}-\u{20}\u{ad}-]{0,80}") {
            let once = clean(&raw);
            prop_assert_eq!(clean(&once), once.clone());
            prop_assert!(!once.contains('\0'));
        }

        #[test]
        fn folding_twice_changes_nothing(raw in ".{0,80}") {
            let once = fold(&raw);
            prop_assert_eq!(fold(&once), once.clone());
        }
    }
}
