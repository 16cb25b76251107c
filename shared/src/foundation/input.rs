//! Validation of texts that people type: length, control characters and characters that nobody sees. PostgreSQL would
//! refuse NUL with an error.

use serde::{Deserialize, Deserializer};

/// The reasons to refuse a text. The messages are for the field in a 422.
#[derive(Debug, thiserror::Error)]
pub enum UnusableText {
    /// Fewer characters than the minimum, without whitespace at the ends.
    #[error("{}", too_short(*.0))]
    TooShort(usize),
    /// More characters than the maximum, without whitespace at the ends.
    #[error("must have at most {}", counted(*.0, "character"))]
    TooLong(usize),
    /// A control character, for example NUL or a line break.
    #[error("must not contain control characters")]
    ControlCharacters,
    /// Dots alone, which stand for a folder.
    #[error("must be a name and not only dots")]
    OnlyDots,
}

fn too_short(least: usize) -> String {
    match least {
        1 => "must not be empty".to_owned(),
        least => format!("must have at least {}", counted(least, "character")),
    }
}

/// Returns a number with its noun: `1 character`, `2 characters`.
#[must_use]
pub fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Validates a text of one line, such as the name of a person, a company, a contact or a file, and removes whitespace at
/// its ends. The result has `min` to `max` characters.
///
/// One rule holds for all names. What nobody sees is removed: direction marks, which show a text in another order than
/// it has, and characters without a width. Line and paragraph separators become spaces. A text of which nothing is left
/// to see is empty.
///
/// # Errors
/// [`UnusableText`].
pub fn one_line(text: &str, min: usize, max: usize) -> Result<String, UnusableText> {
    if text.chars().any(char::is_control) {
        return Err(UnusableText::ControlCharacters);
    }
    let visible: String = text.chars().filter_map(visible_char).collect();
    let is_blank = visible.chars().all(|letter| letter.is_whitespace() || is_blank_char(letter));
    check_length(if is_blank { "" } else { visible.trim() }, min, max)
}

/// Returns a name from elsewhere as it is seen, by the rule of [`one_line`], without control characters. It may be empty.
#[must_use]
pub fn visible_name(text: &str) -> String {
    let visible: String = text.chars().filter(|letter| !letter.is_control()).filter_map(visible_char).collect();
    visible.trim().to_owned()
}

/// Maps a character of a name to itself, to a space for a line separator, or to nothing for what nobody sees.
fn visible_char(letter: char) -> Option<char> {
    match letter {
        '\u{2028}' | '\u{2029}' => Some(' '),
        // Direction marks, embeddings, overrides and isolates.
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => None,
        // Characters without a width: soft hyphen, zero-width space, word joiner, invisible operators, byte order mark,
        // annotations, tags. The joiners U+200C and U+200D stay: they belong to Persian, the Indic scripts and emoji.
        '\u{ad}' | '\u{180e}' | '\u{200b}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{feff}' => None,
        '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' => None,
        // No characters at all, by Unicode's definition.
        '\u{fdd0}'..='\u{fdef}' => None,
        letter if u32::from(letter) & 0xfffe == 0xfffe => None,
        letter => Some(letter),
    }
}

/// Returns true for characters that nobody sees: white space, control characters, and what names lose or have only beside
/// other characters.
pub(crate) fn is_invisible(letter: char) -> bool {
    letter.is_whitespace() || letter.is_control() || visible_char(letter).is_none() || is_blank_char(letter)
}

/// Returns the sign by which a spreadsheet takes a text for a formula (`=`, `+`, `-` or `@`), and what follows it; `None`
/// for another text. Characters that nobody sees may stand before the sign, which may have the width of East Asian letters.
pub(crate) fn formula_start(text: &str) -> Option<(char, &str)> {
    let text = text.trim_start_matches(is_invisible);
    let sign = match text.chars().next()? {
        '=' | '＝' => '=',
        '+' | '＋' => '+',
        '-' | '－' => '-',
        '@' | '＠' => '@',
        _ => return None,
    };
    let mut rest = text.chars();
    rest.next();
    Some((sign, rest.as_str()))
}

/// Returns true for a text that a spreadsheet runs: one that begins with `=` or `@`, or with a sign that no number or space
/// follows. A telephone number and a list may begin with a sign.
pub(crate) fn is_formula(text: &str) -> bool {
    match formula_start(text) {
        Some(('=' | '@', _)) => true,
        Some((_, rest)) => rest.starts_with(|next: char| !next.is_ascii_digit() && !next.is_whitespace()),
        None => false,
    }
}

/// Returns true for a text that a spreadsheet might run, also behind the apostrophes of a text that was escaped before.
fn needs_escape(text: &str) -> bool {
    let text = text.trim_start_matches('\'');
    formula_start(text).is_some() || text.starts_with(['\t', '\r'])
}

/// Characters at which a spreadsheet that expects other separators than commas begins a new cell, also within a text: a
/// French one expects semicolons.
const CELL_ENDS: [char; 4] = [';', '\t', '\n', '\r'];

/// Puts an apostrophe before a text that a spreadsheet might run, and before each part of it that would be a formula in a
/// cell of its own. The apostrophes are removed at an import.
#[must_use]
pub fn escape_formulas(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 1);
    for (place, part) in text.split_inclusive(CELL_ENDS).enumerate() {
        if (place == 0 && needs_escape(part)) || is_formula(part.trim_start_matches('\'')) {
            escaped.push('\'');
        }
        escaped.push_str(part);
    }
    escaped
}

/// Removes what [`escape_formulas`] has added.
#[must_use]
pub fn unescape_formulas(text: &str) -> String {
    let is_escaped =
        |place: usize, rest: &&str| (place == 0 && needs_escape(rest)) || is_formula(rest.trim_start_matches('\''));
    let parts = text.split_inclusive(CELL_ENDS).enumerate();
    parts.map(|(place, part)| part.strip_prefix('\'').filter(|rest| is_escaped(place, rest)).unwrap_or(part)).collect()
}

/// Returns true for characters that belong to a name only beside others: joiners, combining marks without a letter,
/// variation selectors, and letters that are drawn as an empty place.
fn is_blank_char(letter: char) -> bool {
    matches!(
        letter,
        '\u{200c}' | '\u{200d}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}'
    ) || unicode_normalization::char::is_combining_mark(letter)
}

/// Validates a text of several lines and removes whitespace at its ends. The result has `min` to `max` characters.
///
/// Line feeds and tabs are kept; other control characters are removed. They come from keyboards and copied documents
/// and are invisible, so they are no reason to refuse the text.
///
/// # Errors
/// [`UnusableText::TooShort`] or [`UnusableText::TooLong`].
pub fn several_lines(text: &str, min: usize, max: usize) -> Result<String, UnusableText> {
    let visible: String = text.chars().filter(|letter| matches!(letter, '\n' | '\t') || !letter.is_control()).collect();
    check_length(visible.trim(), min, max)
}

fn check_length(text: &str, min: usize, max: usize) -> Result<String, UnusableText> {
    match text.chars().count() {
        length if length < min => Err(UnusableText::TooShort(min)),
        length if length > max => Err(UnusableText::TooLong(max)),
        _ => Ok(text.to_owned()),
    }
}

/// Deserialises a nullable field of a PATCH body. With `#[serde(default, deserialize_with = "input::nullable")]`, an
/// absent field is `None`, and a field that is null is `Some(None)`.
///
/// # Errors
/// Any error of deserialising `T`.
pub fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(value: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(value).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formula_behind_a_character_that_nobody_sees_is_one() {
        for text in ["=1+1", "\u{200b}=1+1", "\u{feff}@SUM(A1)", "\u{a0}=1", "＝1+1", "\u{2060}+A1"] {
            assert!(is_formula(text) && needs_escape(text), "{text:?}");
        }
    }

    #[test]
    fn control_characters_are_refused_in_one_line_and_removed_from_several() {
        assert_eq!(one_line("  Awa ", 1, 5).unwrap(), "Awa");
        assert!(matches!(one_line("a\u{0}b", 1, 5), Err(UnusableText::ControlCharacters)));
        assert!(matches!(one_line("   ", 1, 5), Err(UnusableText::TooShort(1))));
        assert!(matches!(one_line("éééééé", 1, 5), Err(UnusableText::TooLong(5))));
        assert_eq!(several_lines("a\u{0}b\r\nc", 1, 9).unwrap(), "ab\nc");
    }

    #[test]
    fn a_name_keeps_only_what_is_seen() {
        for (name, kept) in [
            ("facture\u{202e}fdp.exe", "facturefdp.exe"),
            ("\u{200f}Awa\u{2069}", "Awa"),
            ("Awa\u{2028}Koné", "Awa Koné"),
            ("A\u{200b}w\u{feff}a", "Awa"),
            ("👩\u{200d}🍳 Awa", "👩\u{200d}🍳 Awa"),
            ("می\u{200c}خواهم", "می\u{200c}خواهم"),
            ("e\u{301}", "e\u{301}"),
        ] {
            assert_eq!(one_line(name, 1, 20).unwrap(), kept, "{name:?}");
        }
        for name in
            ["\u{200b}\u{200b}", "\u{202e}", "\u{200d}\u{fe0f}", "\u{3164}", " \u{2800} ", "\u{301}", "\u{2028}"]
        {
            assert!(matches!(one_line(name, 1, 20), Err(UnusableText::TooShort(1))), "{name:?}");
        }
    }

    #[test]
    fn a_name_from_elsewhere_is_shown_as_it_is_seen() {
        assert_eq!(visible_name(" Panier\u{202e}\u{0} de\u{2028}fruits\u{200b}"), "Panier de fruits");
    }

    #[test]
    fn messages_are_english_in_the_singular_too() {
        for (error, message) in [
            (UnusableText::TooShort(1), "must not be empty"),
            (UnusableText::TooShort(2), "must have at least 2 characters"),
            (UnusableText::TooLong(1), "must have at most 1 character"),
            (UnusableText::TooLong(255), "must have at most 255 characters"),
        ] {
            assert_eq!(error.to_string(), message);
        }
    }
}
