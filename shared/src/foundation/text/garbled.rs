//! Recognition of text whose letters are not those that a page displays: a font without a mapping gives its glyph
//! numbers for letters. Most files number the glyphs in the order of ASCII, with a constant difference; others in any
//! order.

use super::fold;
use super::language::Language;
use super::stop_words;
use std::collections::{HashMap, HashSet};

/// Fewest words of a text that is judged.
const MIN_WORDS: usize = 12;

/// Share of function words below which a text may be garbled. Price lists have few, prose a third.
const MAX_GARBLED_SHARE: f32 = 0.03;

/// Share of function words from which a shifted text is read rightly.
const MIN_READ_SHARE: f32 = 0.2;

/// Fewest different function words of a shifted text that is read rightly. A price list has some by chance.
const MIN_READ: usize = 6;

/// Number of characters that are judged.
const MAX_CHARS: usize = 800;

/// Frequent characters of a text that are tried as frequent letters.
const FREQUENT: usize = 5;

/// The most frequent letters of French and English, and the space.
const FREQUENT_LETTERS: &str = " eastinr";

/// Share of words with letters of several scripts from which a text is garbled.
const MAX_MIXED_SHARE: f32 = 0.25;

/// Fewest letters of a word that has a vowel in any language written in Latin letters, but for abbreviations.
const MIN_VOWEL_WORD_LETTERS: usize = 4;

/// Fewest such words of a text that is judged by its vowels.
const MIN_VOWEL_WORDS: usize = 20;

/// Share of such words without a vowel from which a text is garbled.
const MAX_VOWELLESS_SHARE: f32 = 0.35;

/// Returns true for figures, which are words when they are shifted.
fn is_figure(word: &str) -> bool {
    word.chars()
        .all(|c| c.is_ascii_digit() || c.is_ascii_punctuation() || matches!(c, '€' | '£' | '—' | '–' | '·' | '%'))
}

/// Returns true when a text as the file has it, before it is cleaned, consists of glyph numbers: hardly any of its
/// words is a French or English function word, and many are when all characters are shifted by the same number; or
/// its words mix scripts; or they lack vowels.
#[must_use]
pub fn is_garbled(raw: &str) -> bool {
    let words = raw.split_whitespace().filter(|word| !is_figure(word)).flat_map(|word| word.chars().chain([' ']));
    let sample: String = words.take(MAX_CHARS).collect();
    let found = FunctionWords::of(&sample);
    if found.words >= MIN_WORDS && found.share() > MAX_GARBLED_SHARE {
        return false;
    }
    mixes_scripts(&sample) || lacks_vowels(&sample) || is_shifted(&sample)
}

fn is_shifted(sample: &str) -> bool {
    let is_read = |text: &str| {
        let found = FunctionWords::of(text);
        found.words >= MIN_WORDS && found.different >= MIN_READ && found.share() >= MIN_READ_SHARE
    };
    let offsets = offsets(sample);
    offsets.into_iter().any(|offset| is_read(&shift(sample, offset)))
        || (1..96).any(|step| is_read(&rotate(sample, step)))
}

/// Returns the differences by which the most frequent characters would be frequent letters.
fn offsets(sample: &str) -> HashSet<i64> {
    let mut counts: HashMap<char, usize> = HashMap::new();
    sample.chars().filter(|c| !c.is_whitespace()).for_each(|c| *counts.entry(c).or_default() += 1);
    let mut counts: Vec<(char, usize)> = counts.into_iter().collect();
    counts.sort_unstable_by_key(|&(c, count)| (std::cmp::Reverse(count), c));
    let frequent = counts.iter().take(FREQUENT).map(|(c, _)| i64::from(u32::from(*c)));
    let offset = |code: i64| FREQUENT_LETTERS.chars().map(move |letter| code - i64::from(u32::from(letter)));
    frequent.flat_map(offset).filter(|offset| *offset != 0).collect()
}

/// Subtracts a number from all characters but white space. What is not ASCII afterwards becomes a space.
fn shift(text: &str, offset: i64) -> String {
    let shifted = |c: char| {
        let code = u8::try_from(i64::from(u32::from(c)) - offset).ok().map(char::from);
        if c.is_whitespace() { c } else { code.filter(|code| matches!(code, ' '..='~')).unwrap_or(' ') }
    };
    text.chars().map(shifted).collect()
}

/// Shifts printable ASCII characters, from the last one on to the first one.
fn rotate(text: &str, step: u32) -> String {
    let rotated = |c: char| match u32::from(c) {
        code @ 0x20..0x80 if c != ' ' => char::from_u32((code - 0x20 + step) % 96 + 0x20).unwrap_or(c),
        _ => c,
    };
    // In a shifted text, a space may be any character and stay one.
    text.chars().map(rotated).collect()
}

/// Returns true when many words have letters of more than one script.
fn mixes_scripts(sample: &str) -> bool {
    let words: Vec<HashSet<Script>> = sample
        .split(|c: char| !c.is_alphanumeric())
        .map(|word| word.chars().filter(|c| c.is_alphabetic()).map(Script::of).collect::<Vec<_>>())
        .filter(|letters| letters.len() > 1)
        .map(|letters| letters.into_iter().collect())
        .collect();
    let is_mixed = |scripts: &&HashSet<Script>| {
        let is_usual = scripts.contains(&Script::Chinese) && scripts.contains(&Script::Latin) && scripts.len() == 2;
        scripts.len() > 1 && !is_usual
    };
    let mixed = words.iter().filter(is_mixed).count();
    words.len() >= MIN_WORDS && mixed as f32 > MAX_MIXED_SHARE * words.len() as f32
}

/// A script or, for scripts whose letters stand in one block of Unicode, that block.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Script {
    Latin,
    Greek,
    Cyrillic,
    Arabic,
    /// Chinese, Japanese and Korean.
    Chinese,
    Block(u32),
}

impl Script {
    fn of(c: char) -> Self {
        match u32::from(c) {
            0..=0x2ff | 0x1d00..=0x1dbf | 0x1e00..=0x1eff | 0x2070..=0x214f | 0x2c60..=0x2c7f | 0xa720..=0xa7ff => {
                Self::Latin
            }
            0xfb00..=0xfb06 | 0xff21..=0xff5a => Self::Latin,
            0x370..=0x3ff | 0x1f00..=0x1fff => Self::Greek,
            0x400..=0x52f | 0x1c80..=0x1c8f | 0x2de0..=0x2dff | 0xa640..=0xa69f => Self::Cyrillic,
            0x600..=0x6ff | 0x750..=0x77f | 0x870..=0x8ff | 0xfb50..=0xfdff | 0xfe70..=0xfeff => Self::Arabic,
            0x1100..=0x11ff | 0x2e80..=0xa4cf | 0xa960..=0xa97f | 0xac00..=0xd7ff | 0xf900..=0xfaff => Self::Chinese,
            0xff61..=0xffdf | 0x1b000..=0x1b16f | 0x20000..=0x3ffff => Self::Chinese,
            // Ge'ez and the syllables of Canada take several blocks.
            code @ 0x1200..0x1400 => Self::Block(code / 0x200),
            code @ 0x1400..0x1680 => Self::Block(code / 0x1000),
            code => Self::Block(code / 0x80),
        }
    }
}

/// Returns true when many words in Latin letters have no vowel.
fn lacks_vowels(sample: &str) -> bool {
    let folded = fold(sample);
    let words = folded.split(|c: char| !c.is_alphanumeric());
    let words = words.filter(|word| word.chars().all(|c| c.is_ascii_lowercase()));
    let words: Vec<&str> = words.filter(|word| word.len() >= MIN_VOWEL_WORD_LETTERS).collect();
    let vowelless = words.iter().filter(|word| !word.contains(['a', 'e', 'i', 'o', 'u', 'y'])).count();
    words.len() >= MIN_VOWEL_WORDS && vowelless as f32 > MAX_VOWELLESS_SHARE * words.len() as f32
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

    /// Adds a number to all characters, as fonts do whose glyphs have the order of ASCII.
    fn numbered(text: &str, offset: i64) -> String {
        text.chars()
            .map(|c| char::from_u32(u32::try_from(i64::from(u32::from(c)) + offset).unwrap()).unwrap())
            .collect()
    }

    #[test]
    fn a_shifted_text_is_recognised_whatever_its_script() {
        for step in [3, 67, 93] {
            assert!(is_garbled(&rotate(TEXT, step)), "{step}");
        }
        // Control characters and spaces, Latin with accents, Cyrillic, Arabic, Chinese.
        for offset in [-29, 0x80, 0x3c0, 0x5e0, 0x4e00] {
            assert!(is_garbled(&numbered(TEXT, offset)), "{offset}");
        }
    }

    #[test]
    fn glyphs_in_any_order_are_recognised() {
        // Letters of several scripts within words.
        let mixed = "ƹήটҧ ϋϛ һƃǂ ȥǂ ΰചʽ ඕɢӆ ϟłϳȇ һӎήʽ ŋҧ θǩ ߓψ ˁtϣ ϧȱ ƹφ";
        assert!(is_garbled(mixed));
        // Letters of one script, each standing for another one.
        let order = "qzxjkvbpgmwcftldrhsnyuoiea".as_bytes();
        let swap = |c: char| if c.is_ascii_lowercase() { char::from(order[usize::from(c as u8 - b'a')]) } else { c };
        let long = format!("{TEXT} Une demande ecrite suffit pour obtenir un remboursement complet sous dix jours.");
        assert!(is_garbled(&long.to_lowercase().chars().map(swap).collect::<String>()));
    }

    #[test]
    fn texts_that_can_be_read_are_not_garbled() {
        let prices: String = (1..90)
            .map(|n| format!("Riz local {} kg sac {} {:03} {},{}\n", n, n * 7 % 90, n * 50, n * 3, n * 11 % 100))
            .collect();
        for text in [
            prices,
            TEXT.to_owned(),
            "Riz local 25 kg 16 000 Huile 5 L 8 500 Sucre roux 1 kg 900 ".repeat(5),
            "Η παράδοση γίνεται σε τρεις ημέρες και η επιστροφή είναι δωρεάν. ".repeat(6),
            "Доставка занимает три дня, возврат бесплатный в течение месяца. ".repeat(6),
            "配送は三日かかります。LED電球は在庫があります。返品は無料です。".repeat(6),
            "يتم التسليم في غضون ثلاثة أيام ويمكن إرجاع المنتج مجانا. ".repeat(6),
            "REF XK23 TTC HT KG 25 BSR NTC DVD HTML JPG SQL ".repeat(6),
            "Yɛrɛ bɛ taa sugu la ka malo san, a sɔngɔ ye dɔrɔmɛ kɛmɛ duuru ye. ".repeat(6),
            "Strč prst skrz krk a vlk zmrzl, hrst zrn, doručení trvá tři dny a vrácení je zdarma. ".repeat(4),
        ] {
            assert!(!is_garbled(&text), "{text}");
        }
    }
}
