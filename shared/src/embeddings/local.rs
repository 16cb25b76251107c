//! An embedder that needs no model and no network: words, stems and character n-grams, hashed.

use super::DIMENSIONS;
use super::features::{Feature, features};

/// Each feature is spread over this many dimensions: the noise of features that meet by chance is
/// then evenly small, where one dimension each gives rare but full mistakes.
const SPREAD: u32 = 8;

/// The dimension that only documents use, for what their length is corrected by.
const LENGTH_DIMENSION: usize = 0;

/// The length that a document is corrected towards, before normalisation: somewhat more than that
/// of a full chunk.
const LONG_DOCUMENT: f32 = 24.0;

/// Embeds by hashing what a text is made of: what shares words, or parts of words, is near.
///
/// The vectors are the same on every machine: the hash is written out, sums are made in a fixed
/// order, and no function is used that rounds differently from one processor to the next.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalEmbedder;

impl LocalEmbedder {
    /// Changes whenever a change makes vectors that do not compare with older ones.
    pub const MODEL: &str = "local-ngram-1";

    /// Returns the vector of a document's passage; a text without words has one too.
    pub fn embed_document(self, text: &str) -> Vec<f32> {
        let mut vector = project(&features(text));
        // Dividing by the whole length would favour short passages. What is divided by is the
        // geometric mean of the length and that of a long document: the rest goes where no
        // question looks.
        let length = norm(&vector);
        if length < LONG_DOCUMENT {
            let square = length * LONG_DOCUMENT - length * length;
            vector[LENGTH_DIMENSION] = if length > 0.0 { square.sqrt() } else { 1.0 };
        }
        normalise(vector)
    }

    /// Returns the vector of a question; zero, hence near to nothing, where it has no words.
    pub fn embed_query(self, question: &str) -> Vec<f32> {
        normalise(project(&features(question)))
    }
}

fn project(features: &[Feature]) -> Vec<f32> {
    let mut vector = vec![0.0; DIMENSIONS];
    for feature in features {
        let mut state = feature.hash;
        for _ in 0..SPREAD {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let random = mix(state);
            let dimension = 1 + (((random >> 32) * (DIMENSIONS as u64 - 1)) >> 32);
            let sign = if random & 1 == 0 { 1.0 } else { -1.0 };
            vector[dimension as usize] += sign * feature.weight;
        }
    }
    let scale = 1.0 / (SPREAD as f32).sqrt();
    vector.iter_mut().for_each(|value| *value *= scale);
    vector
}

/// The finaliser of SplitMix64, by Vigna.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn norm(vector: &[f32]) -> f32 {
    vector.iter().map(|value| value * value).sum::<f32>().sqrt()
}

fn normalise(mut vector: Vec<f32>) -> Vec<f32> {
    let length = norm(&vector);
    if length > 0.0 {
        vector.iter_mut().for_each(|value| *value /= length);
    }
    vector
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(question: &str, document: &str) -> f32 {
        let question = LocalEmbedder.embed_query(question);
        let document = LocalEmbedder.embed_document(document);
        question.iter().zip(&document).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn vectors_have_their_length() {
        let document = LocalEmbedder.embed_document("Nous livrons à Abidjan en deux jours.");
        assert_eq!(document.len(), DIMENSIONS);
        assert!((norm(&document) - 1.0).abs() < 1e-5);
        assert!((norm(&LocalEmbedder.embed_document("…")) - 1.0).abs() < 1e-5);
        assert_eq!(norm(&LocalEmbedder.embed_query("?")), 0.0);
    }

    #[test]
    fn the_passage_that_answers_is_nearest() {
        let answer = "Les retours sont gratuits pendant quatorze jours après la livraison.";
        let other = "La lampe se recharge au soleil pendant huit heures avant l'usage.";
        for question in ["Peut-on retourner un article ?", "retour gratuit", "RETOURS livraisons"] {
            assert!(cosine(question, answer) > 2.0 * cosine(question, other).abs(), "{question}");
        }
    }

    #[test]
    fn accents_capitals_and_apostrophes_make_no_difference() {
        let plain = LocalEmbedder.embed_query("l'etat de la commande");
        assert_eq!(LocalEmbedder.embed_query("L’État de la COMMANDE"), plain);
    }

    #[test]
    fn vectors_never_change_under_the_same_name() {
        let vector = LocalEmbedder.embed_document("Le délai de livraison est de 3 jours.");
        let bytes = vector.iter().flat_map(|value| value.to_bits().to_le_bytes());
        let print = bytes.fold(0_u64, |print, byte| mix(print ^ u64::from(byte)));
        assert_eq!(print, 0x6adb_a7a3_7e1d_8502, "a new way to embed needs a new MODEL");
    }
}
