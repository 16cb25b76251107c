//! The order of what was found. A word counts as much as it is rare, and so do the parts of words, which find its other
//! forms; the vectors add what is said in other words.

use super::{Passage, Search};
use crate::{
    embeddings::words,
    text::{self, Language},
};

/// The length of the parts of words, in characters, marks of beginning and end included.
const GRAM: u32 = 4;
/// Of BM25: how fast repetition wears off, and how much length counts. The usual values.
const SATURATION: f64 = 1.2;
const LENGTH: f64 = 0.75;
/// What the parts of a follow-up's own words count beside those of the whole: they are what is new in it.
const NEWEST_WEIGHT: f64 = 0.5;

/// A passage that was found, and why.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) passage: Passage,
    /// By full text; 0 where it was found by its vector alone.
    pub(super) rank: f64,
    /// The cosine with the question's vector.
    pub(super) nearness: f64,
}

/// The question as full text is asked: folded, and without words that say nothing about its subject, as long as there are
/// others.
#[must_use]
pub fn telling_words(question: &str, language: Language) -> String {
    let folded = text::fold(question);
    let telling: Vec<_> = split(&folded).filter(|word| words::weight(word, language) > 0.0).collect();
    if telling.is_empty() { folded } else { telling.join(" ") }
}

/// The candidates, the best first, each with its score: 1 each for the best by words and by their parts, and the weight of
/// vectors for the nearest.
pub(super) fn order(search: &Search<'_>, candidates: Vec<Candidate>) -> Vec<Passage> {
    let Search { question, standalone, language, vector_weight, .. } = *search;
    let ranks = shares(candidates.iter().map(|candidate| candidate.rank).collect());
    let newest = (question != standalone).then(|| shares(parts(question, language, &candidates)));
    let parts = shares(parts(standalone, language, &candidates));
    let nearness = shares(candidates.iter().map(|candidate| candidate.nearness).collect());
    let scores = ranks.into_iter().zip(parts).zip(nearness);
    let mut passages: Vec<_> = candidates
        .into_iter()
        .zip(scores)
        .map(|(candidate, ((rank, part), nearness))| Passage {
            score: rank + part + vector_weight * nearness,
            ..candidate.passage
        })
        .collect();
    if let Some(newest) = newest {
        passages.iter_mut().zip(newest).for_each(|(passage, part)| passage.score += NEWEST_WEIGHT * part);
    }
    // Among equals, always in the same order.
    passages.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.chunk_id.cmp(&b.chunk_id)));
    passages
}

/// Scores as parts of the highest one; what is below nothing counts as nothing.
fn shares(scores: Vec<f64>) -> Vec<f64> {
    let highest = scores.iter().copied().fold(0.0, f64::max);
    let share = |score: f64| if highest > 0.0 { score.max(0.0) / highest } else { 0.0 };
    scores.into_iter().map(share).collect()
}

/// BM25 of each candidate over the parts of the question's words. How rare a part is, is counted among the candidates:
/// those are what it has to tell apart.
fn parts(question: &str, language: Language, candidates: &[Candidate]) -> Vec<f64> {
    let wanted = Wanted::of(question, language);
    if wanted.parts.is_empty() {
        return vec![0.0; candidates.len()];
    }
    let mut lengths = Vec::with_capacity(candidates.len());
    let mut counts = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        let (mut length, mut count) = (0.0, vec![0.0; wanted.parts.len()]);
        let mut note = |part| {
            length += 1.0;
            if let Some(place) = wanted.place(part) {
                count[place] += 1.0;
            }
        };
        for word in split(&candidate.passage.text) {
            // Folding is dear, and of most words it would only make the letters small.
            if word.is_ascii() {
                each_part(word.chars().map(|c| c.to_ascii_lowercase()), &mut note);
            } else {
                split(&text::fold(word)).for_each(|word| each_part(word.chars(), &mut note));
            }
        }
        lengths.push(length);
        counts.push(count);
    }
    let total = candidates.len() as f64;
    let mean = lengths.iter().sum::<f64>() / total;
    let rarity: Vec<f64> = (0..wanted.parts.len())
        .map(|index| {
            let holders = counts.iter().filter(|count| count[index] > 0.0).count() as f64;
            (1.0 + (total - holders + 0.5) / (holders + 0.5)).ln()
        })
        .collect();
    counts
        .iter()
        .zip(lengths)
        .map(|(count, length)| {
            let dampened = SATURATION * (1.0 - LENGTH + LENGTH * length / mean);
            count.iter().zip(&rarity).map(|(count, rarity)| rarity * count / (count + dampened)).sum()
        })
        .collect()
}

/// The parts of the question's words.
struct Wanted {
    /// In their order, each once.
    parts: Vec<u128>,
    /// A bit for each, by its hash: most parts of a passage are none of these, which is seen sooner here.
    bits: [u64; Self::BITS / 64],
}

impl Wanted {
    const BITS: usize = 4096;

    fn of(question: &str, language: Language) -> Self {
        let mut parts = Vec::new();
        for word in split(&text::fold(question)).filter(|word| words::weight(word, language) > 0.0) {
            each_part(word.chars(), |part| parts.push(part));
        }
        parts.sort_unstable();
        parts.dedup();
        let mut bits = [0; Self::BITS / 64];
        for part in &parts {
            let bit = Self::bit(*part);
            bits[bit / 64] |= 1 << (bit % 64);
        }
        Self { parts, bits }
    }

    /// Which of the parts it is.
    fn place(&self, part: u128) -> Option<usize> {
        let bit = Self::bit(part);
        if self.bits[bit / 64] & (1 << (bit % 64)) == 0 {
            return None;
        }
        self.parts.binary_search(&part).ok()
    }

    /// By the golden ratio, as Fibonacci hashing does: the upper bits depend on all of the lower ones.
    fn bit(part: u128) -> usize {
        let folded = part as u64 ^ (part >> 64) as u64;
        (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - Self::BITS.ilog2())) as usize
    }
}

/// The words of a text.
pub(super) fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// Calls `take` with each part of a word, its characters packed into a number; with the whole word, where it is shorter.
fn each_part(word: impl Iterator<Item = char>, mut take: impl FnMut(u128)) {
    const BITS: u32 = 21;
    const MASK: u128 = (1 << (BITS * GRAM)) - 1;
    let mut part = 0;
    let mut length = 0;
    for c in std::iter::once('^').chain(word).chain(std::iter::once('$')) {
        part = (part << BITS | u128::from(u32::from(c))) & MASK;
        length += 1;
        if length >= GRAM {
            take(part);
        }
    }
    if length < GRAM {
        take(part);
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
            page_start: 1,
            page_end: 1,
            chunks: 0..=0,
            text: text.to_owned(),
            score: 0.0,
        };
        Candidate { passage, rank, nearness }
    }

    fn found(question: &str, candidates: Vec<Candidate>) -> Vec<u128> {
        found_going_on_from(question, question, candidates)
    }

    fn found_going_on_from(question: &str, standalone: &str, candidates: Vec<Candidate>) -> Vec<u128> {
        let language = Language::French;
        let search = Search {
            question,
            standalone,
            language,
            embedding: &[],
            model: "",
            vector_weight: 0.5,
            documents: None,
            most: 10,
        };
        let passages = order(&search, candidates);
        passages.iter().map(|passage| passage.chunk_id.as_u128()).collect()
    }

    #[test]
    fn another_form_of_a_rare_word_counts_more_than_a_common_one() {
        let candidates = || {
            vec![
                candidate(1, "La commande est livrée avec une facture.", 0.5, 0.0),
                candidate(2, "Le remboursement suit le retour de la commande.", 0.5, 0.0),
                candidate(3, "La commande se passe par téléphone.", 0.5, 0.0),
            ]
        };
        assert_eq!(found("rembourser une commande", candidates())[0], 2);
        assert_eq!(found("Commandes facturées ?", candidates())[0], 1);
    }

    #[test]
    fn what_is_near_without_a_word_in_common_comes_after_what_has_them() {
        let candidates = vec![
            candidate(1, "The weather is fine.", 0.0, 0.9),
            candidate(2, "Delivery takes three days.", 0.4, 0.8),
            candidate(3, "Delivery is free.", 0.3, 0.0),
        ];
        assert_eq!(found("delivery days", candidates), [2, 3, 1]);
    }

    #[test]
    fn without_words_the_vectors_decide_and_without_anything_nothing_is_found() {
        let candidates = vec![candidate(1, "b", 0.0, 0.2), candidate(2, "a", 0.0, 0.3)];
        assert_eq!(found("?", candidates), [2, 1]);
        assert_eq!(found("delivery", Vec::new()), [0_u128; 0]);
    }

    #[test]
    fn of_a_follow_up_its_own_words_count_most() {
        let candidates = || {
            vec![
                candidate(1, "La livraison coûte 1 500 francs pour Abidjan.", 0.5, 0.5),
                candidate(2, "La livraison coûte 2 500 francs pour Bouaké.", 0.5, 0.5),
                candidate(3, "Bouaké a un magasin.", 0.2, 0.1),
            ]
        };
        let standalone = "Combien coûte la livraison à Abidjan ? Et à Bouaké ?";
        assert_eq!(found_going_on_from("Et à Bouaké ?", standalone, candidates()), [2, 1, 3]);
    }

    #[test]
    fn full_text_is_asked_for_what_tells_something() {
        assert_eq!(telling_words("Où est-ce que l’on retourne un colis ?", Language::French), "retourne colis");
        assert_eq!(telling_words("Qui es-tu ?", Language::French), "qui es-tu ?");
    }

    #[test]
    fn equals_keep_their_order() {
        let same = |number| candidate(number, "La livraison est offerte.", 0.2, 0.0);
        assert_eq!(found("livraison", vec![same(1), same(2), same(3)]), [1, 2, 3]);
    }
}
