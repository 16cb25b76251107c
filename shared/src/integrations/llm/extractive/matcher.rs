//! Matches of a question's words in the passages: the word itself, a form of it, another word of its meaning, a typing
//! mistake.

use std::collections::HashMap;

use rust_stemmers::Stemmer;

use super::{
    question::{self, AnalyzedQuestion, Term},
    spelling,
    synonyms::{self, Group},
    units::Unit,
    values::{self, ValueKind},
    words::split_words,
};
use crate::{llm::types::Passage, text};

/// Strength of a match by another word of the term's meaning. The word itself, or a form of it, has the strength 1.
const SYNONYM: f32 = 0.9;
const MISSPELT: f32 = 0.85;
/// Words that "24 hours a day" and "24/7" answer.
const ALWAYS_OPEN_WORDS: &str = "nuit nuits soir night nights evening dimanche dimanches sunday sundays weekend";

/// A unit with the matches of the question's terms.
pub(super) struct ScoredUnit {
    pub(super) unit: Unit,
    pub(super) folded: String,
    pub(super) folded_context: String,
    /// The strength of the match of each term in the text, and in the context.
    pub(super) strengths: Vec<f32>,
    pub(super) context_strengths: Vec<f32>,
    /// Number of words, for the density.
    pub(super) words: usize,
}

/// Sets each strength to the larger one of itself and its counterpart in `others`.
pub(super) fn keep_stronger(strengths: &mut [f32], others: &[f32]) {
    strengths.iter_mut().zip(others).for_each(|(strength, other)| *strength = strength.max(*other));
}

/// Matches words of passages with the terms of a question.
pub(super) struct Matcher<'q> {
    terms: &'q [Term],
    /// The strength of the match of each word of the passages with each term. Words that match none are left out.
    words: HashMap<String, Vec<f32>>,
}

impl<'q> Matcher<'q> {
    pub(super) fn new(question: &'q AnalyzedQuestion, passages: &[Passage]) -> Self {
        let terms = question.terms.as_slice();
        let mut words: HashMap<String, Vec<f32>> = HashMap::new();
        for passage in passages {
            for text in [&passage.text, &passage.display_title()] {
                for word in split_words(&text::fold(text)) {
                    if !words.contains_key(word) {
                        words.insert(word.to_owned(), exact_strengths(terms, word, &question.stemmer));
                    }
                }
            }
        }
        for (at, term) in terms.iter().enumerate() {
            // Only a word that no passage has is taken for a mistake.
            if words.values().any(|strengths| strengths[at] > 0.0) {
                continue;
            }
            // An elided article is often typed as a part of the word.
            let bare = term.word.strip_prefix(['l', 'd', 'j', 'n', 'm', 's', 'c']).unwrap_or(&term.word);
            let is_meant = |word: &str| {
                word == bare && bare.len() > 3
                    || spelling::is_misspelt(&term.word, word)
                    || spelling::is_short_form(&term.word, word)
            };
            let mut is_found = false;
            for (_, strengths) in words.iter_mut().filter(|(word, _)| is_meant(word)) {
                strengths[at] = MISSPELT;
                is_found = true;
            }
            // "Housse" is near "house", and so to "maison". Such a guess is too far for a price.
            let may_guess = question.kind != Some(ValueKind::Price);
            if !is_found && may_guess && term.groups.is_empty() && !term.is_name {
                let groups = synonyms::groups_of_similar(|word| spelling::is_misspelt(&term.word, word));
                let is_meant = |word: &str| synonyms::groups(word).iter().any(|group| groups.contains(group));
                words
                    .iter_mut()
                    .filter(|(word, _)| is_meant(word))
                    .for_each(|(_, strengths)| strengths[at] = MISSPELT * SYNONYM);
            }
        }
        words.retain(|_, strengths| strengths.iter().any(|strength| *strength > 0.0));
        Self { terms, words }
    }

    /// Returns for each term true when a passage has it.
    pub(super) fn known(&self) -> Vec<bool> {
        (0..self.terms.len()).map(|at| self.words.values().any(|strengths| strengths[at] > 0.0)).collect()
    }

    /// Returns the strongest match of each term in a folded text.
    pub(super) fn strengths(&self, folded: &str) -> Vec<f32> {
        let mut strengths = vec![0.0; self.terms.len()];
        for matches in split_words(folded).filter_map(|word| self.words.get(word)) {
            keep_stronger(&mut strengths, matches);
        }
        if ["24 heures sur 24", "24h/24", "24 h/24", "24/7", "24 hours a day"]
            .iter()
            .any(|always| folded.contains(always))
        {
            let answered =
                self.terms.iter().zip(&mut strengths).filter(|(term, _)| values::is_in(&term.word, ALWAYS_OPEN_WORDS));
            answered.for_each(|(_, strength)| *strength = strength.max(SYNONYM));
        }
        strengths
    }

    pub(super) fn scored(&self, unit: Unit) -> ScoredUnit {
        let (folded, folded_context) = (text::fold(&unit.text), text::fold(&unit.context));
        let (strengths, context_strengths) = (self.strengths(&folded), self.strengths(&folded_context));
        let words = split_words(&folded).count();
        ScoredUnit { unit, folded, folded_context, strengths, context_strengths, words }
    }
}

/// Returns how strongly a word matches each term: 1 for a form of it, [`SYNONYM`] for another word of its meaning.
fn exact_strengths(terms: &[Term], word: &str, stemmer: &Stemmer) -> Vec<f32> {
    let stem = question::stem(word, stemmer);
    let groups: Vec<Group> = synonyms::groups(word);
    let strength = |term: &Term| {
        if term.word == word || spelling::is_same_family(&term.stem, &stem) {
            1.0
        } else if term.groups.iter().any(|group| groups.contains(group)) {
            SYNONYM
        } else {
            0.0
        }
    };
    terms.iter().map(strength).collect()
}
