//! Validation of texts that people type: length and control characters. PostgreSQL would refuse NUL with an error.

use serde::{Deserialize, Deserializer};

/// The reasons to refuse a text. The messages are for the field in a 422.
#[derive(Debug, thiserror::Error)]
pub enum UnusableText {
    /// Fewer characters than the minimum, without whitespace at the ends.
    #[error("must have at least {0} characters")]
    TooShort(usize),
    /// More characters than the maximum, without whitespace at the ends.
    #[error("must have at most {0} characters")]
    TooLong(usize),
    /// A control character, for example NUL or a line break.
    #[error("must not contain control characters")]
    ControlCharacters,
}

/// Validates a text of one line and removes whitespace at its ends. The result has `min` to `max` characters.
///
/// # Errors
/// [`UnusableText`].
pub fn one_line(text: &str, min: usize, max: usize) -> Result<String, UnusableText> {
    if text.chars().any(char::is_control) {
        return Err(UnusableText::ControlCharacters);
    }
    check_length(text.trim(), min, max)
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
    fn control_characters_are_refused_in_one_line_and_removed_from_several() {
        assert_eq!(one_line("  Awa ", 1, 5).unwrap(), "Awa");
        assert!(matches!(one_line("a\u{0}b", 1, 5), Err(UnusableText::ControlCharacters)));
        assert!(matches!(one_line("   ", 1, 5), Err(UnusableText::TooShort(1))));
        assert!(matches!(one_line("éééééé", 1, 5), Err(UnusableText::TooLong(5))));
        assert_eq!(several_lines("a\u{0}b\r\nc", 1, 9).unwrap(), "ab\nc");
    }
}
