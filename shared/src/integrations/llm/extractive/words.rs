//! Words of a text and their stems.

use rust_stemmers::Stemmer;

use crate::text;

/// Maximum length of a stem, in characters: longer stems are truncated and so compared by their beginning.
const MAX_STEM_CHARS: usize = 6;

/// Splits a text, folded by `text::fold`, into words.
pub(in super::super) fn split_words(folded: &str) -> impl Iterator<Item = &str> {
    folded.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// Returns the stems of a text's words, in order.
pub(in super::super) fn short_stems(text: &str, stemmer: &Stemmer) -> impl Iterator<Item = String> {
    let folded = text::fold(text);
    split_words(&folded).map(|word| short_stem(word, stemmer)).collect::<Vec<_>>().into_iter()
}

/// Returns a word's stem, truncated to [`MAX_STEM_CHARS`]. French stemming yields different stems for `acceptez` and
/// `acceptons`; their beginnings are equal.
pub(in super::super) fn short_stem(word: &str, stemmer: &Stemmer) -> String {
    stemmer.stem(word).chars().take(MAX_STEM_CHARS).collect()
}
