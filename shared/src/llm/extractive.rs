//! Answers without a model: the sentences of the best passages that cover the question, quoted with file and page.

mod numbers;

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
/// A quote takes in further sentences until it has this many characters: a heading alone says nothing.
const QUOTE_CHARS: usize = 240;
/// A quote is cut after this many characters.
const LONGEST_QUOTE: usize = 700;
/// Passages quoted in one answer.
const MOST_SOURCES: usize = 2;
/// The part of the question's weight that a quote must cover to count as an answer.
const ENOUGH: f32 = 0.5;
/// A second quote must be nearly as good as the first.
const NEARLY: f32 = 0.85;
/// What a quote without a number is worth to a question that asks for one.
const WITHOUT_NUMBER: f32 = 0.6;
/// What the best retrieved passage is worth above one that was hardly found.
const PRIOR: f32 = 0.2;

/// Answers from passages, or says that they do not say.
pub(super) fn answer(question: &str, language: Language, passages: &[Passage]) -> Completion {
    let question = Asked::new(question, language, passages);
    let best_score = passages.iter().map(|passage| passage.score).fold(f64::MIN_POSITIVE, f64::max);
    let mut quotes: Vec<_> = passages
        .iter()
        .enumerate()
        .filter_map(|(place, passage)| {
            let prior = 1.0 - PRIOR * (1.0 - (passage.score / best_score) as f32);
            question.best_quote(&passage.text).map(|quote| (place, quote.worth * prior, quote.text))
        })
        .collect();
    // The sort is stable: of equals, the better retrieved comes first.
    quotes.sort_by(|left, right| right.1.total_cmp(&left.1));
    let best = quotes.first().map_or(0.0, |(_, worth, _)| *worth);
    let mut said = BTreeSet::new();
    let sources: Vec<_> = quotes
        .into_iter()
        .filter(|(_, worth, quote)| *worth >= best * NEARLY && said.insert(quote.clone()))
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

/// A question, as it is looked for in passages.
struct Asked {
    /// The stems of the words that say what it is about.
    weights: HashMap<String, f32>,
    /// Whether it asks for a price, a time, an amount.
    wants_number: bool,
    stemmer: Stemmer,
}

/// A part of a passage.
struct Quote {
    /// How well it may answer, from 0 to somewhat over 1.
    worth: f32,
    text: String,
}

impl Asked {
    /// Words that stand in few of the passages say more than those that stand in all.
    fn new(question: &str, language: Language, passages: &[Passage]) -> Self {
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
        Self { weights, wants_number: numbers::are_asked_for(&folded), stemmer }
    }

    /// The sentences in a row that cover most of the question; `None` where they cover too little.
    fn best_quote(&self, text: &str) -> Option<Quote> {
        let total: f32 = self.weights.values().sum();
        let sentences: Vec<_> = text.unicode_sentences().map(str::trim).filter(|text| !text.is_empty()).collect();
        let mut best: Option<Quote> = None;
        for start in 0..sentences.len() {
            let quote = from(&sentences[start..]);
            let covered = self.covered(&quote) / total;
            if covered.is_nan() || covered < ENOUGH {
                continue;
            }
            // Of quotes that cover as much, the one that comes to the point at once.
            let at_once = 0.1 * self.covered(sentences[start]) / total;
            let has_number = !self.wants_number || numbers::stand_in(&quote);
            let worth = (covered + at_once) * if has_number { 1.0 } else { WITHOUT_NUMBER };
            if best.as_ref().is_none_or(|best| worth > best.worth) {
                best = Some(Quote { worth, text: shorten(&quote) });
            }
        }
        best
    }

    fn covered(&self, text: &str) -> f32 {
        let standing: BTreeSet<_> = stems(text, &self.stemmer).collect();
        self.weights.iter().filter(|(stem, _)| standing.contains(*stem)).map(|(_, weight)| weight).sum()
    }
}

/// The first sentences, as many as make a quote.
fn from(sentences: &[&str]) -> String {
    let mut quote = String::new();
    for sentence in sentences {
        if !quote.is_empty() {
            quote.push(' ');
        }
        quote.push_str(sentence);
        if quote.chars().count() >= QUOTE_CHARS {
            break;
        }
    }
    quote
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
        assert_eq!(
            completion.answer.unwrap(),
            "« La livraison à Abidjan coûte 1 500 FCFA. Elle prend deux jours. » (guide.pdf, p. 2)"
        );
        assert_eq!(completion.sources[0].passage, 1);
    }

    #[test]
    fn who_asks_for_an_amount_gets_a_passage_with_one() {
        let passages = [
            passage("Ce guide dit ce que coûte la livraison, à Abidjan et ailleurs.", 1),
            passage("Frais de livraison\nAbidjan 24 heures 1 500 FCFA\nDakar 6 jours 12 000 FCFA", 2),
        ];
        let completion = answer("Combien coûte la livraison à Abidjan ?", Language::French, &passages);
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
