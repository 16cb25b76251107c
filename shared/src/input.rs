//! Texts that people type: what every field refuses, so that PostgreSQL never has to.

use serde::{Deserialize, Deserializer};

/// A text that is empty, too long, or holds control characters.
#[derive(Debug, thiserror::Error)]
pub enum UnusableText {
    /// Fewer characters than the field wants, spaces at its ends not counted.
    #[error("must have at least {0} characters")]
    TooShort(usize),
    /// More characters than the field takes.
    #[error("must have at most {0} characters")]
    TooLong(usize),
    /// NUL, or a character that moves a cursor.
    #[error("must not contain control characters")]
    ControlCharacters,
}

/// A text of one line, without spaces at its ends, of `shortest` to `longest` characters.
///
/// # Errors
/// [`UnusableText`].
pub fn one_line(text: &str, shortest: usize, longest: usize) -> Result<String, UnusableText> {
    if text.chars().any(char::is_control) {
        return Err(UnusableText::ControlCharacters);
    }
    within(text.trim(), shortest, longest)
}

/// A text of several lines: line breaks and tabs stay, other control characters are dropped. They come from keyboards
/// and copied documents, and nobody can see them, so they are no reason to refuse what a person wrote.
///
/// # Errors
/// [`UnusableText`].
pub fn several_lines(text: &str, shortest: usize, longest: usize) -> Result<String, UnusableText> {
    let visible: String = text.chars().filter(|letter| matches!(letter, '\n' | '\t') || !letter.is_control()).collect();
    within(visible.trim(), shortest, longest)
}

fn within(text: &str, shortest: usize, longest: usize) -> Result<String, UnusableText> {
    match text.chars().count() {
        length if length < shortest => Err(UnusableText::TooShort(shortest)),
        length if length > longest => Err(UnusableText::TooLong(longest)),
        _ => Ok(text.to_owned()),
    }
}

/// For `#[serde(default, deserialize_with = "input::nullable")]`: a field of a patch that is left out is `None`, and one
/// that is null is `Some(None)`.
///
/// # Errors
/// Those of the value.
pub fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(value: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(value).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_stored_is_refused_or_dropped() {
        assert_eq!(one_line("  Awa ", 1, 5).unwrap(), "Awa");
        assert!(matches!(one_line("a\u{0}b", 1, 5), Err(UnusableText::ControlCharacters)));
        assert!(matches!(one_line("   ", 1, 5), Err(UnusableText::TooShort(1))));
        assert!(matches!(one_line("éééééé", 1, 5), Err(UnusableText::TooLong(5))));
        assert_eq!(several_lines("a\u{0}b\r\nc", 1, 9).unwrap(), "ab\nc");
    }
}
