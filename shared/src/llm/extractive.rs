//! Answers without a model: the sentences of the best passages that cover the question, quoted with file and page.

mod numbers;

use std::collections::{BTreeSet, HashMap};

use rust_stemmers::{Algorithm, Stemmer};
use unicode_segmentation::UnicodeSegmentation;

use super::{Ask, Completion, Source, Usage};
use crate::{
    embeddings::words,
    text::{self, Language},
};

/// The name that answers carry.
const MODEL: &str = "extractive-1";
/// A quote takes in further sentences until it has this many characters: a heading alone says nothing.
const QUOTE_CHARS: usize = 240;
/// A quote is cut after this many characters.
const LONGEST_QUOTE: usize = 700;
/// Stems that begin alike for so many characters count as one.
const STEM_CHARS: usize = 6;
/// Passages quoted in one answer.
const MOST_SOURCES: usize = 2;
/// The part of the question's weight that a quote must cover to count as an answer.
const ENOUGH: f32 = 0.5;
/// A second quote must be nearly as good as the first.
const NEARLY: f32 = 0.85;
/// What a quote without a number is worth to a question that asks for one.
const WITHOUT_NUMBER: f32 = 0.6;
/// What a word that asks for a number weighs: the number answers it, not the word.
const ASKING_WEIGHT: f32 = 0.3;
/// What a follow-up's own word weighs, against one of the question it goes on from.
const NEWEST_WEIGHT: f32 = 2.0;
/// What it is worth to come to the point at once: to begin with a heading of just the question's words, at best.
const AT_ONCE: f32 = 0.15;
/// What the best retrieved passage is worth above one that was hardly found.
const PRIOR: f32 = 0.2;

/// Answers from passages, or says that they do not say.
pub(super) fn answer(ask: &Ask<'_>) -> Completion {
    let Ask { language, passages, .. } = *ask;
    let question = Asked::new(ask);
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
    terms: HashMap<String, Term>,
    /// Whether it asks for a price, a time, an amount.
    wants_number: bool,
    stemmer: Stemmer,
}

/// What a word of a question weighs.
struct Term {
    /// By itself: this decides whether a question is answered at all.
    weight: f32,
    /// Among the passages at hand: words that stand in few of them tell which one it is. They were all retrieved for the
    /// question's words, so this says nothing about how rare a word is in the documents.
    telling: f32,
}

/// A part of a passage.
struct Quote {
    /// How well it may answer, from 0 to somewhat over 1.
    worth: f32,
    text: String,
}

impl Asked {
    fn new(ask: &Ask<'_>) -> Self {
        let Ask { question, standalone, language, passages, .. } = *ask;
        let algorithm = if language == Language::French { Algorithm::French } else { Algorithm::English };
        let stemmer = Stemmer::create(algorithm);
        let standing: Vec<BTreeSet<_>> =
            passages.iter().map(|passage| stems(&passage.text, &stemmer).collect()).collect();
        let folded = text::fold(standalone);
        let newest = text::fold(question);
        let is_new = |word: &str| question != standalone && split(&newest).any(|new| new == word);
        let mut terms = HashMap::new();
        for word in split(&folded) {
            let asking = if numbers::are_asked_for(word) { ASKING_WEIGHT } else { 1.0 };
            let new = if is_new(word) { NEWEST_WEIGHT } else { 1.0 };
            let weight = words::weight(word, language) * asking * new;
            if weight > 0.0 {
                let stem = stem(word, &stemmer);
                let seen = standing.iter().filter(|stems| stems.contains(&stem)).count();
                let rarity = (1.0 + passages.len() as f32 / (1.0 + seen as f32)).ln();
                terms.insert(stem, Term { weight, telling: weight * rarity });
            }
        }
        Self { terms, wants_number: numbers::are_asked_for(&folded), stemmer }
    }

    /// The sentences in a row that cover most of the question; `None` where they cover too little.
    fn best_quote(&self, text: &str) -> Option<Quote> {
        let total: f32 = self.terms.values().map(|term| term.weight).sum();
        let all_telling: f32 = self.terms.values().map(|term| term.telling).sum();
        let sentences: Vec<_> = text.unicode_sentences().map(str::trim).filter(|text| !text.is_empty()).collect();
        // Once a sentence: each stands in several quotes.
        let sentence_stems: Vec<Vec<_>> =
            sentences.iter().map(|sentence| stems(sentence, &self.stemmer).collect()).collect();
        let mut best: Option<Quote> = None;
        for start in 0..sentences.len() {
            let (quote, length) = from(&sentences[start..]);
            let (covered, telling) = self.covered(&sentence_stems[start..start + length]);
            // Not a question of any words: 0 / 0 is not enough either.
            if (covered / total).is_nan() || covered / total < ENOUGH {
                continue;
            }
            let covered = telling / all_telling;
            let at_once = AT_ONCE * self.density(&sentence_stems[start]);
            let has_number = !self.wants_number || numbers::stand_in(&quote);
            let worth = (covered + at_once) * if has_number { 1.0 } else { WITHOUT_NUMBER };
            if best.as_ref().is_none_or(|best| worth > best.worth) {
                best = Some(Quote { worth, text: shorten(&quote) });
            }
        }
        best
    }

    /// The part of a sentence's words that are the question's.
    fn density(&self, stems: &[String]) -> f32 {
        let asked = stems.iter().filter(|stem| self.terms.contains_key(*stem)).count();
        asked as f32 / stems.len().max(1) as f32
    }

    /// The weight of the question's words that stand in sentences, by themselves and among the passages.
    fn covered(&self, sentences: &[Vec<String>]) -> (f32, f32) {
        let stands = |stem: &String| sentences.iter().any(|stems| stems.contains(stem));
        let found = self.terms.iter().filter(|(stem, _)| stands(stem));
        found.fold((0.0, 0.0), |(weight, telling), (_, term)| (weight + term.weight, telling + term.telling))
    }
}

/// The first sentences, as many as make a quote, and how many those are.
fn from(sentences: &[&str]) -> (String, usize) {
    let mut quote = String::new();
    let mut length = 0;
    for sentence in sentences {
        if !quote.is_empty() {
            quote.push(' ');
        }
        quote.push_str(sentence);
        length += 1;
        if quote.chars().count() >= QUOTE_CHARS {
            break;
        }
    }
    (quote, length)
}

pub(super) fn split(folded: &str) -> impl Iterator<Item = &str> {
    folded.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty())
}

pub(super) fn stems(text: &str, stemmer: &Stemmer) -> impl Iterator<Item = String> {
    let folded = text::fold(text);
    split(&folded).map(|word| stem(word, stemmer)).collect::<Vec<_>>().into_iter()
}

/// The stem, and of it the beginning: French stemming leaves `acceptez` and `acceptons` apart, which begin alike.
pub(super) fn stem(word: &str, stemmer: &Stemmer) -> String {
    stemmer.stem(word).chars().take(STEM_CHARS).collect()
}

/// One line of at most [`LONGEST_QUOTE`] characters, cut between words.
pub(super) fn shorten(quote: &str) -> String {
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
    use tokio::time::Instant;
    use uuid::Uuid;

    use super::{super::Style, *};
    use crate::retrieval::Passage;

    fn passage(text: &str, page: i32) -> Passage {
        Passage {
            chunk_id: Uuid::nil(),
            document_id: Uuid::nil(),
            filename: "guide.pdf".to_owned(),
            page_start: page,
            page_end: page,
            chunks: 0..=0,
            text: text.to_owned(),
            score: 1.0,
        }
    }

    fn answered(question: &str, language: Language, passages: &[Passage]) -> Completion {
        going_on_from(question, question, language, passages)
    }

    fn going_on_from(question: &str, standalone: &str, language: Language, passages: &[Passage]) -> Completion {
        answer(&Ask {
            question,
            standalone,
            history: &[],
            language,
            instructions: None,
            assistant: "Lisa",
            company: "Comptoir Baobab",
            style: Style::Plain,
            passages,
            deadline: Instant::now(),
        })
    }

    #[test]
    fn of_a_follow_up_its_own_words_are_answered() {
        let passages = [
            passage("La livraison à Abidjan coûte 1 500 francs.", 1),
            passage("La livraison à Bouaké coûte 2 500 francs.", 2),
        ];
        let standalone = "Combien coûte la livraison à Abidjan ? Et à Bouaké ?";
        let completion = going_on_from("Et à Bouaké ?", standalone, Language::French, &passages);
        assert_eq!(completion.sources[0].passage, 1, "{completion:?}");
    }

    #[test]
    fn the_sentence_that_answers_is_quoted_with_its_page() {
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
    fn who_asks_for_an_amount_gets_a_passage_with_one() {
        let passages = [
            passage("Ce guide dit ce que coûte la livraison, à Abidjan et ailleurs.", 1),
            passage("Frais de livraison\nAbidjan 24 heures 1 500 FCFA\nDakar 6 jours 12 000 FCFA", 2),
        ];
        let completion = answered("Combien coûte la livraison à Abidjan ?", Language::French, &passages);
        assert_eq!(completion.sources[0].passage, 1);
    }

    #[test]
    fn a_section_about_it_is_quoted_before_a_mention() {
        let passages = [
            passage("Keep this manual of 2026: the warranty card is on the last page.", 1),
            passage("Warranty\nWe repair the lamp free of charge for two years.", 4),
        ];
        let completion = answered("How long is the warranty?", Language::English, &passages);
        assert_eq!(completion.sources[0].passage, 1);
    }

    #[test]
    fn what_the_passages_do_not_say_is_not_answered() {
        let passages = [passage("The lamp charges in six hours of sun.", 3)];
        for question in ["What is the capital of Mongolia?", "?", "What is it?"] {
            let completion = answered(question, Language::English, &passages);
            assert_eq!((completion.answer, completion.sources.len()), (None, 0), "{question}");
        }
        assert_eq!(answered("How long does the lamp charge?", Language::English, &[]).answer, None);
    }

    #[test]
    fn long_quotes_are_cut_between_words() {
        let short = shorten(&"word ".repeat(400));
        assert!(short.chars().count() <= LONGEST_QUOTE + 1 && short.ends_with("word…"), "{short}");
    }
}
