//! Feature-hashing embedder without a model or network: stems and character n-grams.

use super::dimensions::DIMENSIONS;
use super::features::{Feature, features};

/// Dimensions that each feature is spread over. Hash collisions then add small, even noise; with one dimension per
/// feature, collisions are rarer but confuse two features completely.
const DIMENSIONS_PER_FEATURE: u32 = 8;

/// Dimension of the length correction. Only document vectors use it.
const LENGTH_DIMENSION: usize = 0;

/// Norm of a long document's vector before normalisation, somewhat above the norm of a full chunk. The length
/// correction raises shorter documents towards it.
const LONG_DOCUMENT_NORM: f32 = 24.0;

/// Embeds by feature hashing: texts that share words, or n-grams of words, are near each other.
///
/// The vectors are identical on every machine: the hash function is fixed, sums are made in a fixed order, and every
/// floating-point function used rounds alike on all processors.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalEmbedder;

impl LocalEmbedder {
    /// Stored model name. Must change with any change that makes new vectors incomparable with older ones.
    pub const MODEL: &str = "local-ngram-1";

    /// Returns the vector of a document's passage, never the zero vector, even for a text without words.
    pub fn embed_document(self, text: &str) -> Vec<f32> {
        let mut vector = project(&features(text));
        // Dividing by the whole norm would favour short passages. The divisor is the geometric mean of the norm and
        // that of a long document. The added square goes into a dimension that is zero in every question's vector.
        let length = norm(&vector);
        if length < LONG_DOCUMENT_NORM {
            let square = length * LONG_DOCUMENT_NORM - length * length;
            vector[LENGTH_DIMENSION] = if length > 0.0 { square.sqrt() } else { 1.0 };
        }
        normalize(vector)
    }

    /// Returns the vector of a question. A question without words gets the zero vector, which is near no chunk.
    pub fn embed_query(self, question: &str) -> Vec<f32> {
        normalize(project(&features(question)))
    }
}

/// Sums the features into a vector, each with pseudo-random dimensions and signs.
fn project(features: &[Feature]) -> Vec<f32> {
    let mut vector = vec![0.0; DIMENSIONS];
    for feature in features {
        let mut state = feature.hash;
        for _ in 0..DIMENSIONS_PER_FEATURE {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let random = splitmix64(state);
            let dimension = 1 + (((random >> 32) * (DIMENSIONS as u64 - 1)) >> 32);
            let sign = if random & 1 == 0 { 1.0 } else { -1.0 };
            vector[dimension as usize] += sign * feature.weight;
        }
    }
    let scale = 1.0 / (DIMENSIONS_PER_FEATURE as f32).sqrt();
    vector.iter_mut().for_each(|value| *value *= scale);
    vector
}

/// Finaliser of the SplitMix64 generator by Sebastiano Vigna.
fn splitmix64(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn norm(vector: &[f32]) -> f32 {
    vector.iter().map(|value| value * value).sum::<f32>().sqrt()
}

fn normalize(mut vector: Vec<f32>) -> Vec<f32> {
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
    fn vectors_have_all_dimensions_and_norm_1() {
        let document = LocalEmbedder.embed_document("Nous livrons à Abidjan en deux jours.");
        assert_eq!(document.len(), DIMENSIONS);
        assert!((norm(&document) - 1.0).abs() < 1e-5);
        assert!((norm(&LocalEmbedder.embed_document("…")) - 1.0).abs() < 1e-5);
        assert_eq!(norm(&LocalEmbedder.embed_query("?")), 0.0);
    }

    #[test]
    fn passage_with_the_answer_is_nearest() {
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
    fn vectors_are_unchanged_under_the_same_model_name() {
        let vector = LocalEmbedder.embed_document("Le délai de livraison est de 3 jours.");
        let bytes = vector.iter().flat_map(|value| value.to_bits().to_le_bytes());
        let fingerprint = bytes.fold(0_u64, |fingerprint, byte| splitmix64(fingerprint ^ u64::from(byte)));
        assert_eq!(fingerprint, 0x6adb_a7a3_7e1d_8502, "a new way to embed needs a new MODEL");
    }
}
