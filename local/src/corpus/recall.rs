//! The word recall of extracted text against a reference text.

use std::collections::HashMap;

use shared::text;

/// The share of the reference's words that `found` contains, counting repetitions; 1 for a reference without words.
pub(super) fn word_recall(reference: &str, found: &str) -> f64 {
    let mut left = count(found);
    let wanted = count(reference);
    let total: usize = wanted.values().sum();
    let hit: usize = wanted.iter().map(|(word, times)| left.remove(word).unwrap_or(0).min(*times)).sum();
    if total == 0 { 1.0 } else { hit as f64 / total as f64 }
}

/// Counts the folded words. Scripts without spaces are counted by character.
fn count(raw: &str) -> HashMap<String, usize> {
    let mut words = HashMap::new();
    let folded = text::fold(&text::clean(raw));
    for word in folded.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()) {
        if word.chars().any(is_unspaced) {
            word.chars().for_each(|letter| *words.entry(letter.to_string()).or_default() += 1);
        } else {
            *words.entry(word.to_owned()).or_default() += 1;
        }
    }
    words
}

/// True for Thai, Japanese and Chinese characters, whose words no spaces separate.
fn is_unspaced(letter: char) -> bool {
    matches!(letter, '\u{0e00}'..='\u{0e7f}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_words_count_as_often_as_they_occur() {
        assert_eq!(word_recall("a b b c", "B a x"), 0.5);
        assert_eq!(word_recall("", "x"), 1.0);
        assert_eq!(word_recall("東京都", "東京"), 2.0 / 3.0);
    }
}
