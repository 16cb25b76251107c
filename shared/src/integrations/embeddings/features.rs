//! Weighted features of a text for [`super::LocalEmbedder`]: stems and character n-grams, hashed.

use crate::text::stop_words;
use crate::text::{detect_language, fold};
use rust_stemmers::{Algorithm, Stemmer};
use std::collections::HashMap;

/// Lengths of the n-grams, in characters. The boundary marks `^` and `$` count as characters.
const NGRAM_LENGTHS: std::ops::RangeInclusive<usize> = 3..=5;

/// Weight of all n-grams of a word together, where the word itself weighs 1.
const NGRAMS_WEIGHT: f32 = 1.2;

/// Saturation of term frequency, as `k1` in BM25: a feature that occurs twice weighs less than twice as much.
const FREQUENCY_SATURATION: f32 = 0.5;

/// Longest word, in characters; longer words are truncated. Only hostile files have longer words.
const MAX_WORD_CHARS: usize = 40;

/// One hashed feature of a text, with its weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Feature {
    pub(super) hash: u64,
    pub(super) weight: f32,
}

/// Returns the features of a text by ascending hash. The fixed order makes floating-point sums over them
/// reproducible: a hash map's order changes from run to run.
pub(super) fn features(text: &str) -> Vec<Feature> {
    let language = detect_language(text);
    let stemmers = [Stemmer::create(Algorithm::French), Stemmer::create(Algorithm::English)];
    let mut counts = FeatureCounts::default();
    let folded = fold(text);
    for word in folded.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let weight = stop_words::weight(word, language);
        if weight > 0.0 {
            let word: String = word.chars().take(MAX_WORD_CHARS).collect();
            counts.add_stems(&word, weight, &stemmers);
            counts.add_ngrams(&word, weight);
        }
    }
    counts.into_features()
}

/// Count and highest weight of each feature, by its hash.
#[derive(Default)]
struct FeatureCounts(HashMap<u64, (f32, f32)>);

impl FeatureCounts {
    fn add(&mut self, hash: u64, weight: f32) {
        let (count, heaviest) = self.0.entry(hash).or_default();
        *count += 1.0;
        *heaviest = heaviest.max(weight);
    }

    /// Adds the French and the English stem of a word. The language of a short question is uncertain, so the document
    /// may have been stemmed by the other stemmer.
    fn add_stems(&mut self, word: &str, weight: f32, stemmers: &[Stemmer; 2]) {
        // The stemmers take letters only, and folded French and English are ASCII.
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

    /// Adds the n-grams of a word. Inflected forms and misspellings of the word share some of them.
    fn add_ngrams(&mut self, word: &str, weight: f32) {
        let marked = format!("^{word}$");
        let starts: Vec<usize> = marked.char_indices().map(|(at, _)| at).chain([marked.len()]).collect();
        let chars = starts.len() - 1;
        let count: usize = NGRAM_LENGTHS.map(|length| (chars + 1).saturating_sub(length)).sum();
        let weight = weight * NGRAMS_WEIGHT / (count as f32).sqrt();
        for length in NGRAM_LENGTHS {
            for window in starts.windows(length + 1) {
                self.add(hash(b"g", &marked.as_bytes()[window[0]..window[length]]), weight);
            }
        }
    }

    /// Returns the features with saturated weights, by ascending hash.
    fn into_features(self) -> Vec<Feature> {
        let saturated = |count: f32| count * (1.0 + FREQUENCY_SATURATION) / (count + FREQUENCY_SATURATION);
        let weighed = |(hash, (count, weight))| Feature { hash, weight: weight * saturated(count) };
        let mut features: Vec<Feature> = self.0.into_iter().map(weighed).collect();
        features.sort_unstable_by_key(|feature| feature.hash);
        features
    }
}

/// Hashes the kind of a feature and its text by 64-bit FNV-1a.
fn hash(kind: &[u8], text: &[u8]) -> u64 {
    let step = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    kind.iter().chain(text).fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_is_fnv_1a() {
        assert_eq!(hash(b"", b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash(b"foo", b"bar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn repeated_word_weighs_less_than_proportionally() {
        let heaviest = |text| features(text).iter().map(|f| f.weight).fold(0.0, f32::max);
        let (once, thrice) = (heaviest("xylophone"), heaviest("xylophone xylophone xylophone"));
        assert!(thrice > once && thrice < 2.0 * once);
    }

    #[test]
    fn unusual_words_give_a_bounded_number_of_features() {
        for text in ["", "日本語のテキスト", "\u{301}", &"é".repeat(100_000), "a1b2c3", "'s"] {
            assert!(features(text).len() < 500, "{text}");
        }
    }
}
