//! Answers without a model: quotes the sentences of the best passages that cover the question, with file and page.

mod numbers;

use std::collections::{BTreeSet, HashMap};

use rust_stemmers::{Algorithm, Stemmer};
use unicode_segmentation::UnicodeSegmentation;

use super::types::{CitedPassage, GroundedAnswer, GroundedQuestion, Passage, Usage};
use crate::text::{self, Language, stop_words};

/// Name of this method in the `model` field of an answer.
const MODEL: &str = "extractive-1";
/// Length from which a quote takes no further sentences, in characters. A heading alone would be too short.
const MIN_QUOTE_CHARS: usize = 240;
/// Maximum length of a quote, in characters.
const MAX_QUOTE_CHARS: usize = 700;
/// Maximum length of a stem, in characters: longer stems are truncated and so compared by their beginning.
const MAX_STEM_CHARS: usize = 6;
/// Maximum number of passages quoted in one answer.
const MAX_SOURCES: usize = 2;
/// Minimum part of the question's weight that a quote must cover to count as an answer.
const MIN_COVERAGE: f32 = 0.5;
/// Minimum score of a second quote, relative to the first.
const MIN_RELATIVE_SCORE: f32 = 0.85;
/// Factor for a quote without a number, when the question asks for one.
const NO_NUMBER_FACTOR: f32 = 0.6;
/// Weight factor of a word that asks for a number. Low, because a passage answers such a word with a number rather
/// than by repeating it.
const ASKING_WORD_FACTOR: f32 = 0.3;
/// Weight factor of a follow-up's own words, relative to the words of the question before it.
const FOLLOW_UP_WORD_FACTOR: f32 = 2.0;
/// Maximum bonus for a quote whose first sentence consists of the question's words, as a matching heading does.
const FIRST_SENTENCE_BONUS: f32 = 0.15;
/// Part of a quote's score that depends on its passage's retrieval score.
const RETRIEVAL_SHARE: f32 = 0.2;

/// Answers with quotes from the passages; the answer is `None` when no quote covers enough of the question.
pub(super) fn answer(question: &GroundedQuestion<'_>) -> GroundedAnswer {
    let GroundedQuestion { language, passages, .. } = *question;
    let terms = QuestionTerms::new(question);
    let best_score = passages.iter().map(|passage| passage.score).fold(f64::MIN_POSITIVE, f64::max);
    let mut quotes: Vec<_> = passages
        .iter()
        .enumerate()
        .filter_map(|(index, passage)| {
            let retrieval_factor = 1.0 - RETRIEVAL_SHARE * (1.0 - (passage.score / best_score) as f32);
            terms.best_quote(&passage.text).map(|quote| (index, quote.score * retrieval_factor, quote.text))
        })
        .collect();
    // The sort is stable: among equal scores, the passage that was retrieved first stays first.
    quotes.sort_by(|left, right| right.1.total_cmp(&left.1));
    let best = quotes.first().map_or(0.0, |(_, score, _)| *score);
    let mut seen = BTreeSet::new();
    let sources: Vec<_> = quotes
        .into_iter()
        .filter(|(_, score, quote)| *score >= best * MIN_RELATIVE_SCORE && seen.insert(quote.clone()))
        .take(MAX_SOURCES)
        .map(|(passage, _, quote)| CitedPassage { passage, quote })
        .collect();
    let answer = (!sources.is_empty()).then(|| {
        let lines = sources.iter().filter_map(|source| {
            let passage = passages.get(source.passage)?;
            Some(format_quote(&source.quote, passage, language))
        });
        lines.collect::<Vec<_>>().join("\n\n")
    });
    GroundedAnswer { answer, sources, model: MODEL.to_owned(), usage: Usage::default() }
}

/// Formats a quote with its source, in the quotation marks of the language.
fn format_quote(quote: &str, passage: &Passage, language: Language) -> String {
    let source = passage.source(quote, language);
    match language {
        Language::French => format!("« {quote} » ({source})"),
        _ => format!("“{quote}” ({source})"),
    }
}

/// The content words of a question, to be found in passages.
struct QuestionTerms {
    /// The content words' weights, by stem.
    terms: HashMap<String, Term>,
    /// True when the question asks for a price, a time or an amount.
    wants_number: bool,
    stemmer: Stemmer,
}

/// The weights of a content word.
struct Term {
    /// Weight of the word alone. Decides whether a passage answers the question at all.
    weight: f32,
    /// Weight that is higher for words found in few of the passages. Decides between passages. All passages were
    /// retrieved for the question's words, so this is no measure of how rare a word is in the documents.
    rarity_weight: f32,
}

/// Consecutive sentences of a passage.
struct Quote {
    /// Score of the quote as an answer, from 0 to slightly above 1.
    score: f32,
    text: String,
}

impl QuestionTerms {
    fn new(grounded: &GroundedQuestion<'_>) -> Self {
        let GroundedQuestion { text: question, standalone, language, passages, .. } = *grounded;
        let algorithm = if language == Language::French { Algorithm::French } else { Algorithm::English };
        let stemmer = Stemmer::create(algorithm);
        let passage_stems: Vec<BTreeSet<_>> =
            passages.iter().map(|passage| stems(&passage.text, &stemmer).collect()).collect();
        let folded = text::fold(standalone);
        let follow_up = text::fold(question);
        let is_in_follow_up = |word: &str| question != standalone && split_words(&follow_up).any(|other| other == word);
        let mut terms = HashMap::new();
        for word in split_words(&folded) {
            let asking_factor = if numbers::asks_for_number(word) { ASKING_WORD_FACTOR } else { 1.0 };
            let follow_up_factor = if is_in_follow_up(word) { FOLLOW_UP_WORD_FACTOR } else { 1.0 };
            let weight = stop_words::weight(word, language) * asking_factor * follow_up_factor;
            if weight > 0.0 {
                let stem = stem(word, &stemmer);
                let passages_with_stem = passage_stems.iter().filter(|stems| stems.contains(&stem)).count();
                let rarity = (1.0 + passages.len() as f32 / (1.0 + passages_with_stem as f32)).ln();
                terms.insert(stem, Term { weight, rarity_weight: weight * rarity });
            }
        }
        Self { terms, wants_number: numbers::asks_for_number(&folded), stemmer }
    }

    /// Finds the consecutive sentences with the best score; `None` when no quote reaches [`MIN_COVERAGE`].
    fn best_quote(&self, text: &str) -> Option<Quote> {
        let total_weight: f32 = self.terms.values().map(|term| term.weight).sum();
        let total_rarity_weight: f32 = self.terms.values().map(|term| term.rarity_weight).sum();
        let sentences: Vec<_> = text.unicode_sentences().map(str::trim).filter(|text| !text.is_empty()).collect();
        // Stems each sentence only once, although it is part of several quotes.
        let sentence_stems: Vec<Vec<_>> =
            sentences.iter().map(|sentence| stems(sentence, &self.stemmer).collect()).collect();
        let mut best: Option<Quote> = None;
        for start in 0..sentences.len() {
            let (quote, length) = leading_quote(&sentences[start..]);
            let (weight, rarity_weight) = self.covered_weights(&sentence_stems[start..start + length]);
            // The quotient is NaN (0 / 0) for a question without content words.
            if (weight / total_weight).is_nan() || weight / total_weight < MIN_COVERAGE {
                continue;
            }
            let coverage = rarity_weight / total_rarity_weight;
            let bonus = FIRST_SENTENCE_BONUS * self.density(&sentence_stems[start]);
            let has_number = !self.wants_number || numbers::contains_number(&quote);
            let score = (coverage + bonus) * if has_number { 1.0 } else { NO_NUMBER_FACTOR };
            if best.as_ref().is_none_or(|best| score > best.score) {
                best = Some(Quote { score, text: shorten(&quote) });
            }
        }
        best
    }

    /// Part of a sentence's words that are content words of the question, from 0 to 1.
    fn density(&self, stems: &[String]) -> f32 {
        let matching = stems.iter().filter(|stem| self.terms.contains_key(*stem)).count();
        matching as f32 / stems.len().max(1) as f32
    }

    /// Sums `weight` and `rarity_weight` of the question's words that occur in the sentences, given as stems.
    fn covered_weights(&self, sentences: &[Vec<String>]) -> (f32, f32) {
        let occurs = |stem: &String| sentences.iter().any(|stems| stems.contains(stem));
        let found = self.terms.iter().filter(|(stem, _)| occurs(stem));
        found.fold((0.0, 0.0), |(weight, rarity_weight), (_, term)| {
            (weight + term.weight, rarity_weight + term.rarity_weight)
        })
    }
}

/// Joins the first sentences until they reach [`MIN_QUOTE_CHARS`]; returns the text and the number of sentences.
fn leading_quote(sentences: &[&str]) -> (String, usize) {
    let mut quote = String::new();
    let mut length = 0;
    for sentence in sentences {
        if !quote.is_empty() {
            quote.push(' ');
        }
        quote.push_str(sentence);
        length += 1;
        if quote.chars().count() >= MIN_QUOTE_CHARS {
            break;
        }
    }
    (quote, length)
}

/// Splits a text, folded by `text::fold`, into words.
pub(super) fn split_words(folded: &str) -> impl Iterator<Item = &str> {
    folded.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// Returns the stems of a text's words, in order.
pub(super) fn stems(text: &str, stemmer: &Stemmer) -> impl Iterator<Item = String> {
    let folded = text::fold(text);
    split_words(&folded).map(|word| stem(word, stemmer)).collect::<Vec<_>>().into_iter()
}

/// Returns a word's stem, truncated to [`MAX_STEM_CHARS`]. French stemming yields different stems for `acceptez` and
/// `acceptons`; their beginnings are equal.
pub(super) fn stem(word: &str, stemmer: &Stemmer) -> String {
    stemmer.stem(word).chars().take(MAX_STEM_CHARS).collect()
}

/// Joins a quote into one line of at most [`MAX_QUOTE_CHARS`] characters and an ellipsis, truncated between words.
pub(super) fn shorten(quote: &str) -> String {
    let line = quote.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_QUOTE_CHARS) {
        None => line,
        Some((end, _)) => {
            let head = &line[..end];
            format!("{}…", head.rsplit_once(' ').map_or(head, |(words, _)| words))
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;
    use uuid::Uuid;

    use crate::retrieval::Passage;
    use {super::super::types::AnswerStyle, super::*};

    fn passage(text: &str, page: i32) -> Passage {
        Passage {
            chunk_id: Uuid::nil(),
            document_id: Uuid::nil(),
            filename: "guide.pdf".to_owned(),
            version: None,
            place: None,
            page_start: page,
            page_end: page,
            chunk_indexes: 0..=0,
            text: text.to_owned(),
            score: 1.0,
        }
    }

    fn answered(question: &str, language: Language, passages: &[Passage]) -> GroundedAnswer {
        follow_up_answer(question, question, language, passages)
    }

    fn follow_up_answer(question: &str, standalone: &str, language: Language, passages: &[Passage]) -> GroundedAnswer {
        answer(&GroundedQuestion {
            text: question,
            standalone,
            history: &[],
            language,
            instructions: None,
            assistant: "Lisa",
            company: "Comptoir Baobab",
            style: AnswerStyle::SourceNumbers,
            passages,
            deadline: Instant::now(),
        })
    }

    #[test]
    fn a_follow_up_is_answered_by_its_own_words() {
        let passages = [
            passage("La livraison à Abidjan coûte 1 500 francs.", 1),
            passage("La livraison à Bouaké coûte 2 500 francs.", 2),
        ];
        let standalone = "Combien coûte la livraison à Abidjan ? Et à Bouaké ?";
        let completion = follow_up_answer("Et à Bouaké ?", standalone, Language::French, &passages);
        assert_eq!(completion.sources[0].passage, 1, "{completion:?}");
    }

    #[test]
    fn the_answering_sentence_is_quoted_with_file_and_page() {
        let passages = [
            passage("Le magasin ouvre à huit heures. Il ferme le dimanche.", 1),
            passage("Bienvenue. La livraison à Abidjan coûte 1 500 FCFA. Elle prend deux jours.", 2),
        ];
        let completion = answered("Combien coûte la livraison à Abidjan ?", Language::French, &passages);
        assert_eq!(
            completion.answer.unwrap(),
            "« La livraison à Abidjan coûte 1 500 FCFA. Elle prend deux jours. » (guide.pdf, p. 2)"
        );
        assert_eq!(completion.sources[0].passage, 1);
    }

    #[test]
    fn a_question_about_an_amount_prefers_a_passage_with_a_number() {
        let passages = [
            passage("Ce guide dit ce que coûte la livraison, à Abidjan et ailleurs.", 1),
            passage("Frais de livraison\nAbidjan 24 heures 1 500 FCFA\nDakar 6 jours 12 000 FCFA", 2),
        ];
        let completion = answered("Combien coûte la livraison à Abidjan ?", Language::French, &passages);
        assert_eq!(completion.sources[0].passage, 1);
    }

    #[test]
    fn a_section_about_the_subject_is_preferred_to_a_mention() {
        let passages = [
            passage("Keep this manual of 2026: the warranty card is on the last page.", 1),
            passage("Warranty\nWe repair the lamp free of charge for two years.", 4),
        ];
        let completion = answered("How long is the warranty?", Language::English, &passages);
        assert_eq!(completion.sources[0].passage, 1);
    }

    #[test]
    fn a_question_not_covered_by_the_passages_gets_no_answer() {
        let passages = [passage("The lamp charges in six hours of sun.", 3)];
        for question in ["What is the capital of Mongolia?", "?", "What is it?"] {
            let completion = answered(question, Language::English, &passages);
            assert_eq!((completion.answer, completion.sources.len()), (None, 0), "{question}");
        }
        assert_eq!(answered("How long does the lamp charge?", Language::English, &[]).answer, None);
    }

    #[test]
    fn long_quotes_are_truncated_between_words() {
        let short = shorten(&"word ".repeat(400));
        assert!(short.chars().count() <= MAX_QUOTE_CHARS + 1 && short.ends_with("word…"), "{short}");
    }
}
