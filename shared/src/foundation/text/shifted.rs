//! Recognition of text whose letters are not those that a page displays: a font without a mapping gives its glyph
//! numbers for letters, which are shifted by a constant in most files.

use super::fold;
use super::language::Language;
use super::stop_words;
use std::collections::HashSet;

/// Fewest words of a text that is judged.
const MIN_WORDS: usize = 12;

/// Share of function words below which a text may be shifted. Price lists have few, prose a third.
const MAX_SHIFTED_SHARE: f32 = 0.03;

/// Share of function words from which a shifted text is read rightly.
const MIN_READ_SHARE: f32 = 0.15;

/// Fewest different function words of a shifted text that is read rightly. A price list has some by chance.
const MIN_READ: usize = 5;

/// Number of characters that are judged.
const MAX_CHARS: usize = 800;

/// Returns true when hardly any word of a text is a French or English function word, and many are when all its
/// characters are shifted by the same number.
#[must_use]
pub fn is_shifted(text: &str) -> bool {
    let sample: String = text.chars().take(MAX_CHARS).collect();
    let is_ascii = sample.chars().filter(|c| c.is_ascii()).count() * 10 > sample.chars().count() * 9;
    let found = FunctionWords::of(&sample);
    if !is_ascii || found.words < MIN_WORDS || found.share() > MAX_SHIFTED_SHARE {
        return false;
    }
    (1..96).any(|step| {
        let found = FunctionWords::of(&shift(&sample, step));
        found.different >= MIN_READ && found.share() >= MIN_READ_SHARE
    })
}

/// Shifts printable ASCII characters, from the last one on to the first one.
fn shift(text: &str, step: u32) -> String {
    let shifted = |c: char| match u32::from(c) {
        code @ 0x20..0x80 if c != ' ' => char::from_u32((code - 0x20 + step) % 96 + 0x20).unwrap_or(c),
        _ => c,
    };
    // In a shifted text, a space may be any character and stay one.
    text.chars().map(shifted).collect()
}

/// French and English function words among the words of a text.
struct FunctionWords {
    words: usize,
    function: usize,
    different: usize,
}

impl FunctionWords {
    fn of(text: &str) -> Self {
        let folded = fold(text);
        let words: Vec<&str> = folded.split(|c: char| !c.is_alphanumeric()).filter(|word| word.len() > 1).collect();
        let is_function = |word: &&&str| {
            [Language::French, Language::English].iter().any(|language| stop_words::weight(word, *language) == 0.0)
        };
        let function: Vec<&str> = words.iter().filter(is_function).copied().collect();
        let different: HashSet<&str> = function.iter().copied().collect();
        Self { words: words.len(), function: function.len(), different: different.len() }
    }

    fn share(&self) -> f32 {
        self.function as f32 / self.words.max(1) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Les retours se font dans les quatorze jours qui suivent la livraison. Le client garde la \
        preuve de son achat et contacte le service avant de renvoyer un article.";

    #[test]
    fn a_shifted_text_is_recognised_and_others_are_not() {
        assert!(!is_shifted(TEXT));
        for step in [3, 67, 93] {
            assert!(is_shifted(&shift(TEXT, step)), "{step}");
        }
        assert!(!is_shifted(&"Riz local 25 kg 16 000 Huile 5 L 8 500 Sucre roux 1 kg 900 ".repeat(5)));
        assert!(!is_shifted(&"Η παράδοση γίνεται σε τρεις ημέρες. ".repeat(6)));
    }
}
