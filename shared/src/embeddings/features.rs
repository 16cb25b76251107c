//! What a text is made of, each with its weight.

use super::words;
use crate::text::{detect_language, fold};
use rust_stemmers::{Algorithm, Stemmer};
use std::collections::HashMap;

/// The lengths of the parts of words, in characters, marks of beginning and end included.
const GRAMS: std::ops::RangeInclusive<usize> = 3..=5;

/// The weight of all parts of a word together, where the word itself weighs 1.
const GRAMS_WEIGHT: f32 = 1.2;

/// How fast repetition wears off: twice the same is not twice as much.
const REPETITION: f32 = 0.5;

/// Words are cut after this many characters: no language has longer ones, hostile files do.
const WORD_CHARS: usize = 40;

/// One feature of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Feature {
    pub(super) hash: u64,
    pub(super) weight: f32,
}

/// Returns the features of a text by ascending hash: sums over them must not depend on an order
/// that changes from run to run.
pub(super) fn features(text: &str) -> Vec<Feature> {
    let language = detect_language(text);
    let stemmers = [Stemmer::create(Algorithm::French), Stemmer::create(Algorithm::English)];
    let mut found = Found::default();
    let folded = fold(text);
    for word in folded.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let weight = words::weight(word, language);
        if weight > 0.0 {
            let word: String = word.chars().take(WORD_CHARS).collect();
            found.stems(&word, weight, &stemmers);
            found.grams(&word, weight);
        }
    }
    found.sorted()
}

/// How often each feature was found, and its weight.
#[derive(Default)]
struct Found(HashMap<u64, (f32, f32)>);

impl Found {
    fn add(&mut self, hash: u64, weight: f32) {
        let (count, heaviest) = self.0.entry(hash).or_default();
        *count += 1.0;
        *heaviest = heaviest.max(weight);
    }

    /// Adds the French and the English stem: a short question does not tell its language, and what
    /// it is compared with was perhaps stemmed by the other.
    fn stems(&mut self, word: &str, weight: f32, stemmers: &[Stemmer; 2]) {
        // The stemmers are made for letters, and both languages are written in ASCII once folded.
        if !word.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return self.add(hash(b"w", word.as_bytes()), weight);
        }
        let [french, english] = stemmers.each_ref().map(|stemmer| stemmer.stem(word));
        if french == english {
            self.add(hash(b"w", french.as_bytes()), weight);
        } else {
            let half = weight * std::f32::consts::FRAC_1_SQRT_2;
            self.add(hash(b"w", french.as_bytes()), half);
            self.add(hash(b"w", english.as_bytes()), half);
        }
    }

    /// Adds the parts of a word, which relate it to its other forms and to its misspellings.
    fn grams(&mut self, word: &str, weight: f32) {
        let marked = format!("^{word}$");
        let starts: Vec<usize> = marked.char_indices().map(|(at, _)| at).chain([marked.len()]).collect();
        let chars = starts.len() - 1;
        let count: usize = GRAMS.map(|length| (chars + 1).saturating_sub(length)).sum();
        let weight = weight * GRAMS_WEIGHT / (count as f32).sqrt();
        for length in GRAMS {
            for window in starts.windows(length + 1) {
                self.add(hash(b"g", &marked.as_bytes()[window[0]..window[length]]), weight);
            }
        }
    }

    fn sorted(self) -> Vec<Feature> {
        let worn = |count: f32| count * (1.0 + REPETITION) / (count + REPETITION);
        let weighed = |(hash, (count, weight))| Feature { hash, weight: weight * worn(count) };
        let mut features: Vec<Feature> = self.0.into_iter().map(weighed).collect();
        features.sort_unstable_by_key(|feature| feature.hash);
        features
    }
}

/// FNV-1a with 64 bits, over the kind of a feature and its text.
fn hash(kind: &[u8], text: &[u8]) -> u64 {
    let step = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    kind.iter().chain(text).fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv_1a() {
        assert_eq!(hash(b"", b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash(b"foo", b"bar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn repetition_wears_off() {
        let heaviest = |text| features(text).iter().map(|f| f.weight).fold(0.0, f32::max);
        let (once, thrice) = (heaviest("xylophone"), heaviest("xylophone xylophone xylophone"));
        assert!(thrice > once && thrice < 2.0 * once);
    }

    #[test]
    fn no_word_is_too_strange() {
        for text in ["", "日本語のテキスト", "\u{301}", &"é".repeat(100_000), "a1b2c3", "'s"] {
            assert!(features(text).len() < 500, "{text}");
        }
    }
}
