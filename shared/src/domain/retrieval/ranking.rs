//! Ranking of candidates by a fused score: full-text rank, BM25 over character n-grams, and vector similarity.
//! N-grams match inflected forms of a word; vectors match synonyms.

use super::query::HybridQuery;
use crate::llm::Passage;
use crate::{
    text::stop_words,
    text::{self, Language},
};

/// Length of an n-gram, in characters. The boundary marks `^` and `$` count as characters.
const NGRAM_CHARS: u32 = 4;
/// Saturation of term frequency in BM25; the usual value.
const BM25_K1: f64 = 1.2;
/// Strength of length normalisation in BM25; the usual value.
const BM25_B: f64 = 0.75;
/// Weight of n-gram BM25 for a follow-up's own words, added to BM25 for the standalone question: those words are what
/// is new in it.
const FOLLOW_UP_WORDS_WEIGHT: f64 = 0.5;

/// A passage found by full text, by vectors or by both, with its scores.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) passage: Passage,
    /// Full-text rank; 0 when only the vector search found the passage.
    pub(super) rank: f64,
    /// Cosine similarity to the question's vector.
    pub(super) similarity: f64,
}

/// Returns the folded content words of a question, for full-text search. A question of stop words alone is returned
/// whole.
#[must_use]
pub fn content_words(question: &str, language: Language) -> String {
    let folded = text::fold(question);
    let content_words: Vec<_> = split_words(&folded).filter(|word| stop_words::weight(word, language) > 0.0).collect();
    if content_words.is_empty() { folded } else { content_words.join(" ") }
}

/// Ranks candidates by the fused score, the best first. Each of the three scores is divided by its maximum; full-text
/// rank and n-gram BM25 weigh 1 each, and similarity weighs [`HybridQuery::vector_weight`].
pub(super) fn order(search: &HybridQuery<'_>, candidates: Vec<Candidate>) -> Vec<Passage> {
    let HybridQuery { question, standalone, language, vector_weight, .. } = *search;
    let ranks = max_normalized(candidates.iter().map(|candidate| candidate.rank).collect());
    let own_words_bm25 = (question != standalone).then(|| max_normalized(ngram_bm25(question, language, &candidates)));
    let bm25 = max_normalized(ngram_bm25(standalone, language, &candidates));
    let similarities = max_normalized(candidates.iter().map(|candidate| candidate.similarity).collect());
    let scores = ranks.into_iter().zip(bm25).zip(similarities);
    let mut passages: Vec<_> = candidates
        .into_iter()
        .zip(scores)
        .map(|(candidate, ((rank, bm25), similarity))| Passage {
            score: rank + bm25 + vector_weight * similarity,
            ..candidate.passage
        })
        .collect();
    if let Some(own_words_bm25) = own_words_bm25 {
        passages
            .iter_mut()
            .zip(own_words_bm25)
            .for_each(|(passage, bm25)| passage.score += FOLLOW_UP_WORDS_WEIGHT * bm25);
    }
    // Ties are broken by id, so that the order is reproducible.
    passages.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.chunk_id.cmp(&b.chunk_id)));
    passages
}

/// Divides scores by their maximum. Negative scores become 0.
fn max_normalized(scores: Vec<f64>) -> Vec<f64> {
    let highest = scores.iter().copied().fold(0.0, f64::max);
    let normalized = |score: f64| if highest > 0.0 { score.max(0.0) / highest } else { 0.0 };
    scores.into_iter().map(normalized).collect()
}

/// Computes BM25 of each candidate over the n-grams of the question's content words. Document frequency is counted
/// among the candidates, since the score has to tell these apart.
fn ngram_bm25(question: &str, language: Language, candidates: &[Candidate]) -> Vec<f64> {
    let query = QueryNgrams::new(question, language);
    if query.ngrams.is_empty() {
        return vec![0.0; candidates.len()];
    }
    let mut lengths = Vec::with_capacity(candidates.len());
    let mut counts = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        let (mut length, mut count) = (0.0, vec![0.0; query.ngrams.len()]);
        let mut count_ngram = |ngram| {
            length += 1.0;
            if let Some(position) = query.position(ngram) {
                count[position] += 1.0;
            }
        };
        for word in split_words(&candidate.passage.text) {
            // Folding is slow, and most words are ASCII, for which lower case is enough.
            if word.is_ascii() {
                for_each_ngram(word.chars().map(|c| c.to_ascii_lowercase()), &mut count_ngram);
            } else {
                split_words(&text::fold(word)).for_each(|word| for_each_ngram(word.chars(), &mut count_ngram));
            }
        }
        lengths.push(length);
        counts.push(count);
    }
    let total = candidates.len() as f64;
    let mean = lengths.iter().sum::<f64>() / total;
    let idf: Vec<f64> = (0..query.ngrams.len())
        .map(|index| {
            let document_frequency = counts.iter().filter(|count| count[index] > 0.0).count() as f64;
            (1.0 + (total - document_frequency + 0.5) / (document_frequency + 0.5)).ln()
        })
        .collect();
    counts
        .iter()
        .zip(lengths)
        .map(|(count, length)| {
            let saturation = BM25_K1 * (1.0 - BM25_B + BM25_B * length / mean);
            count.iter().zip(&idf).map(|(count, idf)| idf * count / (count + saturation)).sum()
        })
        .collect()
}

/// N-grams of a question's content words.
struct QueryNgrams {
    /// Sorted, without duplicates.
    ngrams: Vec<u128>,
    /// One bit per n-gram, by its hash: rejects most n-grams of a passage without a binary search.
    bits: [u64; Self::BITS / 64],
}

impl QueryNgrams {
    const BITS: usize = 4096;

    fn new(question: &str, language: Language) -> Self {
        let mut ngrams = Vec::new();
        for word in split_words(&text::fold(question)).filter(|word| stop_words::weight(word, language) > 0.0) {
            for_each_ngram(word.chars(), |ngram| ngrams.push(ngram));
        }
        ngrams.sort_unstable();
        ngrams.dedup();
        let mut bits = [0; Self::BITS / 64];
        for ngram in &ngrams {
            let bit = Self::bit(*ngram);
            bits[bit / 64] |= 1 << (bit % 64);
        }
        Self { ngrams, bits }
    }

    /// Returns the index of an n-gram in `ngrams`.
    fn position(&self, ngram: u128) -> Option<usize> {
        let bit = Self::bit(ngram);
        if self.bits[bit / 64] & (1 << (bit % 64)) == 0 {
            return None;
        }
        self.ngrams.binary_search(&ngram).ok()
    }

    /// Returns an n-gram's bit by Fibonacci hashing: after multiplication by 2^64/φ, with the golden ratio φ, the
    /// upper bits depend on all lower ones.
    fn bit(ngram: u128) -> usize {
        let folded = ngram as u64 ^ (ngram >> 64) as u64;
        (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - Self::BITS.ilog2())) as usize
    }
}

/// Returns the words of a text: its runs of letters and digits.
pub(super) fn split_words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// Calls `take` with each n-gram of a word, its characters packed into a number. A shorter word is passed whole.
fn for_each_ngram(word: impl Iterator<Item = char>, mut take: impl FnMut(u128)) {
    const BITS: u32 = 21;
    const MASK: u128 = (1 << (BITS * NGRAM_CHARS)) - 1;
    let mut ngram = 0;
    let mut length = 0;
    for c in std::iter::once('^').chain(word).chain(std::iter::once('$')) {
        ngram = (ngram << BITS | u128::from(u32::from(c))) & MASK;
        length += 1;
        if length >= NGRAM_CHARS {
            take(ngram);
        }
    }
    if length < NGRAM_CHARS {
        take(ngram);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn candidate(number: u128, text: &str, rank: f64, nearness: f64) -> Candidate {
        let passage = Passage {
            chunk_id: Uuid::from_u128(number),
            document_id: Uuid::from_u128(number),
            filename: "guide.pdf".to_owned(),
            version: None,
            place: None,
            title: None,
            page_start: 1,
            page_end: 1,
            chunk_indexes: 0..=0,
            text: text.to_owned(),
            score: 0.0,
        };
        Candidate { passage, rank, similarity: nearness }
    }

    fn ranked(question: &str, candidates: Vec<Candidate>) -> Vec<u128> {
        ranked_follow_up(question, question, candidates)
    }

    fn ranked_follow_up(question: &str, standalone: &str, candidates: Vec<Candidate>) -> Vec<u128> {
        let language = Language::French;
        let search = HybridQuery {
            question,
            standalone,
            language,
            embedding: &[],
            model: "",
            vector_weight: 0.5,
            documents: None,
            limit: 10,
        };
        let passages = order(&search, candidates);
        passages.iter().map(|passage| passage.chunk_id.as_u128()).collect()
    }

    #[test]
    fn inflected_form_of_a_rare_word_outweighs_a_common_word() {
        let candidates = || {
            vec![
                candidate(1, "La commande est livrée avec une facture.", 0.5, 0.0),
                candidate(2, "Le remboursement suit le retour de la commande.", 0.5, 0.0),
                candidate(3, "La commande se passe par téléphone.", 0.5, 0.0),
            ]
        };
        assert_eq!(ranked("rembourser une commande", candidates())[0], 2);
        assert_eq!(ranked("Commandes facturées ?", candidates())[0], 1);
    }

    #[test]
    fn passage_without_shared_words_ranks_after_those_with_them() {
        let candidates = vec![
            candidate(1, "The weather is fine.", 0.0, 0.9),
            candidate(2, "Delivery takes three days.", 0.4, 0.8),
            candidate(3, "Delivery is free.", 0.3, 0.0),
        ];
        assert_eq!(ranked("delivery days", candidates), [2, 3, 1]);
    }

    #[test]
    fn without_words_the_vectors_decide_the_order() {
        let candidates = vec![candidate(1, "b", 0.0, 0.2), candidate(2, "a", 0.0, 0.3)];
        assert_eq!(ranked("?", candidates), [2, 1]);
        assert_eq!(ranked("delivery", Vec::new()), [0_u128; 0]);
    }

    #[test]
    fn own_words_of_a_follow_up_weigh_most() {
        let candidates = || {
            vec![
                candidate(1, "La livraison coûte 1 500 francs pour Abidjan.", 0.5, 0.5),
                candidate(2, "La livraison coûte 2 500 francs pour Bouaké.", 0.5, 0.5),
                candidate(3, "Bouaké a un magasin.", 0.2, 0.1),
            ]
        };
        let standalone = "Combien coûte la livraison à Abidjan ? Et à Bouaké ?";
        assert_eq!(ranked_follow_up("Et à Bouaké ?", standalone, candidates()), [2, 1, 3]);
    }

    #[test]
    fn content_words_leave_out_stop_words() {
        assert_eq!(content_words("Où est-ce que l’on retourne un colis ?", Language::French), "retourne colis");
        assert_eq!(content_words("Qui es-tu ?", Language::French), "qui es-tu ?");
    }

    #[test]
    fn equal_scores_are_ordered_by_chunk_id() {
        let same = |number| candidate(number, "La livraison est offerte.", 0.2, 0.0);
        assert_eq!(ranked("livraison", vec![same(1), same(2), same(3)]), [1, 2, 3]);
    }
}
