//! Answers without a model: the sentences of the best passages that cover the question, quoted with file and page.

use std::collections::{BTreeSet, HashMap};

use rust_stemmers::{Algorithm, Stemmer};
use unicode_segmentation::UnicodeSegmentation;

use super::{Completion, Source, Usage};
use crate::{
    embeddings::words,
    retrieval::Passage,
    text::{self, Language},
};

/// The name that answers carry.
const MODEL: &str = "extractive-1";
/// Sentences quoted of one passage.
const WINDOW: usize = 3;
/// A quote is cut after this many characters.
const LONGEST_QUOTE: usize = 700;
/// Passages quoted in one answer.
const MOST_SOURCES: usize = 2;
/// The part of the question's weight that a quote must cover to count as an answer.
const ENOUGH: f32 = 0.5;
/// A second quote must cover nearly as much as the first.
const NEARLY: f32 = 0.85;

/// Answers from passages, or says that they do not say.
pub(super) fn answer(question: &str, language: Language, passages: &[Passage]) -> Completion {
    let terms = Terms::of(question, language, passages);
    let mut quotes: Vec<_> = passages
        .iter()
        .enumerate()
        .filter_map(|(place, passage)| terms.best_quote(&passage.text).map(|(covered, quote)| (place, covered, quote)))
        .filter(|(_, covered, _)| *covered >= ENOUGH)
        .collect();
    // The sort is stable: of equals, the better retrieved comes first.
    quotes.sort_by(|left, right| right.1.total_cmp(&left.1));
    let best = quotes.first().map_or(0.0, |(_, covered, _)| *covered);
    let mut said = BTreeSet::new();
    let sources: Vec<_> = quotes
        .into_iter()
        .filter(|(_, covered, quote)| *covered >= best * NEARLY && said.insert(quote.clone()))
        .take(MOST_SOURCES)
        .map(|(passage, _, quote)| Source { passage, quote })
        .collect();
    let answer = (!sources.is_empty()).then(|| {
        let lines = sources.iter().filter_map(|source| {
            let passage = passages.get(source.passage)?;
            Some(quoted(&source.quote, &passage.filename, passage.page_start, language))
        });
        lines.collect::<Vec<_>>().join("\n\n")
    });
    Completion { answer, sources, model: MODEL.to_owned(), usage: Usage::default() }
}

fn quoted(quote: &str, filename: &str, page: i32, language: Language) -> String {
    match language {
        Language::French => format!("« {quote} » ({filename}, p. {page})"),
        _ => format!("“{quote}” ({filename}, p. {page})"),
    }
}

/// The words of a question that say what it is about, each with its weight.
struct Terms {
    weights: HashMap<String, f32>,
    stemmer: Stemmer,
}

impl Terms {
    /// Words that stand in few of the passages say more than those that stand in all.
    fn of(question: &str, language: Language, passages: &[Passage]) -> Self {
        let algorithm = if language == Language::French { Algorithm::French } else { Algorithm::English };
        let stemmer = Stemmer::create(algorithm);
        let standing: Vec<BTreeSet<_>> =
            passages.iter().map(|passage| stems(&passage.text, &stemmer).collect()).collect();
        let folded = text::fold(question);
        let mut weights = HashMap::new();
        for word in split(&folded) {
            let weight = words::weight(word, language);
            if weight > 0.0 {
                let stem = stemmer.stem(word).into_owned();
                let seen = standing.iter().filter(|stems| stems.contains(&stem)).count();
                let rarity = (1.0 + passages.len() as f32 / (1.0 + seen as f32)).ln();
                weights.insert(stem, weight * rarity);
            }
        }
        Self { weights, stemmer }
    }

    /// The sentences in a row that cover most of the question, and the part that they cover.
    fn best_quote(&self, text: &str) -> Option<(f32, String)> {
        let total: f32 = self.weights.values().sum();
        if total <= 0.0 {
            return None;
        }
        let sentences: Vec<_> = text.unicode_sentences().map(str::trim).filter(|text| !text.is_empty()).collect();
        let mut best: Option<(f32, String)> = None;
        for length in 1..=WINDOW {
            for window in sentences.windows(length) {
                let quote = window.join(" ");
                let covered = self.covered(&quote) / total;
                // A longer quote has to earn its length.
                if best.as_ref().is_none_or(|(most, _)| covered > most + 0.05) {
                    best = Some((covered, quote));
                }
            }
        }
        best.map(|(covered, quote)| (covered, shorten(&quote)))
    }

    fn covered(&self, text: &str) -> f32 {
        let standing: BTreeSet<_> = stems(text, &self.stemmer).collect();
        self.weights.iter().filter(|(stem, _)| standing.contains(*stem)).map(|(_, weight)| weight).sum()
    }
}

fn split(folded: &str) -> impl Iterator<Item = &str> {
    folded.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty())
}

fn stems(text: &str, stemmer: &Stemmer) -> impl Iterator<Item = String> {
    let folded = text::fold(text);
    split(&folded).map(|word| stemmer.stem(word).into_owned()).collect::<Vec<_>>().into_iter()
}

/// One line of at most [`LONGEST_QUOTE`] characters, cut between words.
fn shorten(quote: &str) -> String {
    let line = quote.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST_QUOTE) {
        None => line,
        Some((end, _)) => {
            let head = &line[..end];
            format!("{}…", head.rsplit_once(' ').map_or(head, |(words, _)| words))
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn passage(text: &str, page: i32) -> Passage {
        Passage {
            chunk_id: Uuid::nil(),
            document_id: Uuid::nil(),
            filename: "guide.pdf".to_owned(),
            page_start: page,
            text: text.to_owned(),
            score: 1.0,
        }
    }

    #[test]
    fn the_sentence_that_answers_is_quoted_with_its_page() {
        let passages = [
            passage("Le magasin ouvre à huit heures. Il ferme le dimanche.", 1),
            passage("Bienvenue. La livraison à Abidjan coûte 1 500 FCFA. Elle prend deux jours.", 2),
        ];
        let completion = answer("Combien coûte la livraison à Abidjan ?", Language::French, &passages);
        assert_eq!(completion.answer.unwrap(), "« La livraison à Abidjan coûte 1 500 FCFA. » (guide.pdf, p. 2)");
        assert_eq!(completion.sources[0].passage, 1);
    }

    #[test]
    fn what_the_passages_do_not_say_is_not_answered() {
        let passages = [passage("The lamp charges in six hours of sun.", 3)];
        for question in ["What is the capital of Mongolia?", "?", "What is it?"] {
            let completion = answer(question, Language::English, &passages);
            assert_eq!((completion.answer, completion.sources.len()), (None, 0), "{question}");
        }
        assert_eq!(answer("How long does the lamp charge?", Language::English, &[]).answer, None);
    }

    #[test]
    fn long_quotes_are_cut_between_words() {
        let short = shorten(&"word ".repeat(400));
        assert!(short.chars().count() <= LONGEST_QUOTE + 1 && short.ends_with("word…"), "{short}");
    }
}
