//! Verification of the citations in a model's text against the passages. Invented citations are removed from the
//! citations and from the text. A text that no passage supports is no answer.

use std::collections::HashSet;

use rust_stemmers::{Algorithm, Stemmer};
use unicode_segmentation::UnicodeSegmentation;

use super::{
    extractive,
    prompt::NOT_IN_DOCUMENTS,
    types::{AnswerStyle, CitedPassage, GroundedQuestion},
};
use crate::text::{Language, stop_words, whatsapp};

/// Maximum length of the content of a citation marker, in bytes. Longer bracketed text is no marker.
const MAX_MARKER_BYTES: usize = 60;
/// Minimum part of an answer's weighted words that a passage must contain to support an answer without markers.
const MIN_SUPPORT: f32 = 0.6;
/// Weight of a word of the question in choosing the quoted sentence; a word of the answer weighs 1.
const QUESTION_WORD_FACTOR: f32 = 0.1;
/// Weight of a number; a word weighs at most 1.
const NUMBER_WEIGHT: f32 = 2.0;

/// Verifies the citations in a model's text. Returns the text for display, with its markers renumbered for the
/// answer's style, and the cited passages in the order of their first citation.
///
/// Returns `None` for a refusal, for a text without words, and for a text without a valid citation that no passage
/// supports.
pub(super) fn verify(output: &str, question: &GroundedQuestion<'_>) -> Option<(String, Vec<CitedPassage>)> {
    let is_refusal = output.trim_start_matches(|char: char| !char.is_alphanumeric()).starts_with(NOT_IN_DOCUMENTS);
    if is_refusal {
        return None;
    }
    let output = output.replace(NOT_IN_DOCUMENTS, "");
    let matcher = PassageMatcher::new(question);
    let mut citations = CitationList::default();
    // The text with and without markers.
    let (mut shown, mut bare) = (String::new(), String::new());
    let mut rest = output.as_str();
    while let Some(at) = rest.find(['[', '【']) {
        let (before, from) = rest.split_at(at);
        shown.push_str(before);
        bare.push_str(before);
        let Some((numbers, after)) = parse_marker(from) else {
            let end = from.chars().next().map_or(0, char::len_utf8);
            shown.push_str(&from[..end]);
            bare.push_str(&from[..end]);
            rest = &from[end..];
            continue;
        };
        let claim = bare.unicode_sentences().last().unwrap_or_default();
        let valid: Vec<_> =
            numbers.into_iter().filter(|number| (1..=question.passages.len()).contains(number)).collect();
        let shows_markers = question.style != AnswerStyle::WhatsApp && !valid.is_empty();
        let shown_numbers = valid.into_iter().map(|number| {
            let source_number = citations.add(number - 1, claim);
            if question.style == AnswerStyle::PassageNumbers { number } else { source_number }
        });
        let markers: String = shown_numbers.map(|number| format!("[{number}]")).collect();
        if shows_markers {
            shown.push_str(&markers);
        } else {
            shown.truncate(shown.trim_end_matches(' ').len());
        }
        rest = after;
    }
    shown.push_str(rest);
    bare.push_str(rest);
    if !bare.contains(char::is_alphanumeric) {
        return None;
    }
    if citations.0.is_empty() {
        let passage = matcher.supporting_passage(&bare)?;
        citations.add(passage, &bare);
    }
    let shown = match question.style {
        AnswerStyle::SourceNumbers | AnswerStyle::PassageNumbers => shown.trim().to_owned(),
        AnswerStyle::WhatsApp => whatsapp::from_markdown(&shown),
    };
    let sources =
        citations.0.into_iter().map(|(passage, claim)| CitedPassage { passage, quote: matcher.quote(passage, &claim) });
    Some((shown, sources.collect()))
}

/// The cited passages in the order of their first citation, by index, each with the sentences that cite it.
#[derive(Default)]
struct CitationList(Vec<(usize, String)>);

impl CitationList {
    /// Adds a citation and returns the passage's number in this list, starting at 1.
    fn add(&mut self, passage: usize, claim: &str) -> usize {
        let at = self.0.iter().position(|(listed, _)| *listed == passage).unwrap_or_else(|| {
            self.0.push((passage, String::new()));
            self.0.len() - 1
        });
        let (_, claims) = &mut self.0[at];
        claims.push(' ');
        claims.push_str(claim);
        at + 1
    }
}

/// The meaning of a bracket at the beginning of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Bracket<'t> {
    /// A citation marker: its numbers, and the text after it.
    Marker(Vec<usize>, &'t str),
    /// Ordinary text.
    Text,
    /// Undecided, because the text ends before the bracket is closed.
    Incomplete,
}

/// Parses the bracket at the beginning of a text.
pub(super) fn parse_bracket(text: &str) -> Bracket<'_> {
    let closing = if text.starts_with('【') { '】' } else { ']' };
    match parse_marker(text) {
        Some((numbers, after)) => Bracket::Marker(numbers, after),
        None if text.contains(closing) || text.len() > MAX_MARKER_BYTES + '【'.len_utf8() => Bracket::Text,
        None => Bracket::Incomplete,
    }
}

/// Removes an incomplete citation marker from the end of a text.
pub(super) fn strip_incomplete_marker(text: &str) -> &str {
    match text.rfind(['[', '【']) {
        Some(at) if is_incomplete_marker(&text[at..]) => text[..at].trim_end(),
        _ => text,
    }
}

/// True when a text that begins with a bracket ends inside a citation marker.
pub(super) fn is_incomplete_marker(text: &str) -> bool {
    let inside = text.trim_start_matches(['[', '【']);
    let numbers = without_prefix(inside.split('†').next().unwrap_or_default().to_lowercase().trim());
    !inside.contains([']', '】'])
        && inside.len() <= MAX_MARKER_BYTES
        && numbers.chars().all(|char| char.is_ascii_digit() || " ,;&-–^".contains(char))
}

/// Removes `^`, or the word that some models write before the number, from the content of a marker.
fn without_prefix(inside: &str) -> String {
    let inside = inside.trim_start_matches('^');
    let mut words = ["passages", "passage", "sources", "source"].into_iter();
    words.find_map(|word| inside.strip_prefix(word)).unwrap_or(inside).to_owned()
}

/// Parses a citation marker at the beginning of a text; returns its numbers and the text after it. Models write
/// `[1]`, `[1, 2]`, `[1-3]`, `[^1]`, `[passage 1]` and `【1†source】`; any other bracketed text is no marker.
fn parse_marker(text: &str) -> Option<(Vec<usize>, &str)> {
    let (inside, after) = match text.strip_prefix('【') {
        Some(inside) => inside.split_once('】')?,
        None => text.strip_prefix('[')?.split_once(']')?,
    };
    if inside.len() > MAX_MARKER_BYTES {
        return None;
    }
    let inside = without_prefix(inside.split('†').next().unwrap_or_default().to_lowercase().trim());
    let mut numbers = Vec::new();
    for part in inside.split([',', ';', '&']) {
        let mut ends = part.split(['-', '–']).map(|end| parse_number(end.trim().trim_start_matches('^')));
        match (ends.next(), ends.next(), ends.next()) {
            (Some(Some(number)), None, None) => numbers.push(number),
            (Some(Some(first)), Some(Some(last)), None) if first <= last && last - first <= 20 => {
                numbers.extend(first..=last);
            }
            _ => return None,
        }
    }
    Some((numbers, after))
}

/// Parses a number; one too large for `usize` becomes `usize::MAX`, which is no passage.
fn parse_number(digits: &str) -> Option<usize> {
    let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(usize::MAX))
}

/// Finds the passages and sentences that support a claim, by shared words.
struct PassageMatcher<'a> {
    question: &'a GroundedQuestion<'a>,
    stemmer: Stemmer,
}

impl<'a> PassageMatcher<'a> {
    fn new(question: &'a GroundedQuestion<'a>) -> Self {
        let algorithm = if question.language == Language::French { Algorithm::French } else { Algorithm::English };
        Self { question, stemmer: Stemmer::create(algorithm) }
    }

    /// Returns the stems of a text's content words and numbers, each with its weight.
    fn weighted_stems(&self, text: &str) -> Vec<(String, f32)> {
        let folded = crate::text::fold(text);
        let mut seen = HashSet::new();
        let weighted = extractive::words::split_words(&folded).filter_map(|word| {
            let is_number = word.chars().all(char::is_numeric);
            let weight = if is_number { NUMBER_WEIGHT } else { stop_words::weight(word, self.question.language) };
            let stem = extractive::words::short_stem(word, &self.stemmer);
            (weight > 0.0 && seen.insert(stem.clone())).then_some((stem, weight))
        });
        weighted.collect()
    }

    /// Sums the weights of the stems that occur in `text`.
    fn covered_weight(&self, weighted_stems: &[(String, f32)], text: &str) -> f32 {
        let text_stems: HashSet<_> = extractive::words::short_stems(text, &self.stemmer).collect();
        weighted_stems.iter().filter(|(stem, _)| text_stems.contains(stem)).map(|(_, weight)| weight).sum()
    }

    /// Returns the index of the passage that covers most of the answer; `None` when it covers less than
    /// [`MIN_SUPPORT`].
    fn supporting_passage(&self, answer: &str) -> Option<usize> {
        let stems = self.weighted_stems(answer);
        let total: f32 = stems.iter().map(|(_, weight)| weight).sum();
        let covered = self.question.passages.iter().map(|passage| self.covered_weight(&stems, &passage.text));
        let (index, covered) = covered.enumerate().max_by(|left, right| left.1.total_cmp(&right.1))?;
        (total > 0.0 && covered / total >= MIN_SUPPORT).then_some(index)
    }

    /// Returns the sentence of a passage that covers most of the claim; among equals, the first.
    fn quote(&self, index: usize, claim: &str) -> String {
        let Some(passage) = self.question.passages.get(index) else { return String::new() };
        let claim_stems = self.weighted_stems(claim);
        let question_stems = self.weighted_stems(self.question.standalone);
        let sentences = passage.text.unicode_sentences().map(str::trim).filter(|sentence| !sentence.is_empty());
        let score = |sentence: &str| {
            self.covered_weight(&claim_stems, sentence)
                + QUESTION_WORD_FACTOR * self.covered_weight(&question_stems, sentence)
        };
        let best = sentences.fold(None, |best: Option<(f32, &str)>, sentence| {
            let score = score(sentence);
            Some(best.filter(|(best_score, _)| *best_score >= score).unwrap_or((score, sentence)))
        });
        extractive::shorten(best.map_or("", |(_, sentence)| sentence))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;
    use uuid::Uuid;

    use super::*;
    use crate::retrieval::Passage;

    fn passage(text: &str) -> Passage {
        Passage {
            chunk_id: Uuid::nil(),
            document_id: Uuid::nil(),
            filename: "guide.pdf".to_owned(),
            version: None,
            place: None,
            title: None,
            page_start: 1,
            page_end: 1,
            chunk_indexes: 0..=0,
            text: text.to_owned(),
            score: 1.0,
        }
    }

    fn checked(output: &str, style: AnswerStyle) -> Option<(String, Vec<CitedPassage>)> {
        let passages = [
            passage("Le magasin ouvre à huit heures. Il ferme le dimanche."),
            passage("Bienvenue chez nous. La livraison à Abidjan coûte 1 500 FCFA. Elle prend deux jours."),
            passage("La garantie dure deux ans."),
        ];
        let question = GroundedQuestion {
            text: "Combien coûte la livraison ?",
            standalone: "Combien coûte la livraison ?",
            history: &[],
            language: Language::French,
            instructions: None,
            assistant: "Lisa",
            company: "Comptoir Baobab",
            style,
            passages: &passages,
            deadline: Instant::now(),
        };
        verify(output, &question)
    }

    fn plain(output: &str) -> (String, Vec<usize>) {
        let (text, sources) = checked(output, AnswerStyle::SourceNumbers).unwrap();
        (text, sources.into_iter().map(|source| source.passage).collect())
    }

    #[test]
    fn markers_are_renumbered_in_the_order_of_the_sources() {
        let output =
            "Elle coûte 1 500 FCFA [2]. La garantie dure deux ans [3][2], et le magasin ferme le dimanche [1, 3].";
        let expected =
            "Elle coûte 1 500 FCFA [1]. La garantie dure deux ans [2][1], et le magasin ferme le dimanche [3][2].";
        assert_eq!(plain(output), (expected.to_owned(), vec![1, 2, 0]));
    }

    #[test]
    fn an_invented_citation_is_removed_from_the_sources_and_the_text() {
        for output in
            ["Elle coûte 1 500 FCFA [2][9].", "Elle coûte 1 500 FCFA [2] [0].", "Elle coûte 1 500 FCFA [2,77][2024]."]
        {
            assert_eq!(plain(output), ("Elle coûte 1 500 FCFA [1].".to_owned(), vec![1]), "{output}");
        }
    }

    #[test]
    fn all_forms_of_markers_are_parsed_and_other_brackets_are_text() {
        for marker in ["[2]", "[^2]", "[ 2 ]", "【2】", "【2†source】", "[passage 2]", "[Source 2]", "[2-2]"] {
            assert_eq!(plain(&format!("Deux jours {marker}.")), ("Deux jours [1].".to_owned(), vec![1]), "{marker}");
        }
        let (text, sources) = plain("Deux [ou trois] jours [2]. [Voir] [a");
        assert_eq!((text.as_str(), sources), ("Deux [ou trois] jours [1]. [Voir] [a", vec![1]));
        assert_eq!(plain("De tout [1-3].").1, [0, 1, 2]);
    }

    #[test]
    fn an_incomplete_marker_at_the_end_is_removed() {
        for half in ["[", "[9", "[2, ", "[^1", "[1-", "【", "【2†sour", "[passage 1", "[Source "] {
            assert_eq!(strip_incomplete_marker(&format!("Deux jours [2] {half}")), "Deux jours [2]", "{half}");
        }
        for whole in ["Deux jours [2]", "Deux [ou trois", "Deux [9] jours", "[a", "Deux jours"] {
            assert_eq!(strip_incomplete_marker(whole), whole);
        }
    }

    #[test]
    fn the_quote_is_the_sentence_that_supports_the_claim() {
        let (_, sources) = checked("Livraison : 1 500 FCFA [2]", AnswerStyle::SourceNumbers).unwrap();
        assert_eq!(sources[0].quote, "La livraison à Abidjan coûte 1 500 FCFA.");
        let (_, sources) = checked("Comptez deux jours. [2]", AnswerStyle::SourceNumbers).unwrap();
        assert_eq!(sources[0].quote, "Elle prend deux jours.");
    }

    #[test]
    fn whatsapp_shows_no_markers_and_no_markdown() {
        let output =
            "## Prix\n**1 500 FCFA** [2]【3】.\n| Ville | Prix |\n|---|:--:|\n| Abidjan | 1 500 [2] |\n- a [1]\n";
        let (text, sources) = checked(output, AnswerStyle::WhatsApp).unwrap();
        assert_eq!(text, "*Prix*\n*1 500 FCFA*.\nVille – Prix\nAbidjan – 1 500\n- a");
        assert_eq!(sources.len(), 3);
    }

    #[test]
    fn a_refusal_or_an_unsupported_text_is_no_answer() {
        for output in [
            "NOT_IN_DOCUMENTS",
            "**NOT_IN_DOCUMENTS**.",
            "  \"NOT_IN_DOCUMENTS\" [1]",
            "La capitale de la Mongolie est Oulan-Bator.",
            "La capitale de la Mongolie est Oulan-Bator [7].",
            "[2]",
            "",
        ] {
            assert_eq!(checked(output, AnswerStyle::SourceNumbers), None, "{output}");
        }
    }

    #[test]
    fn an_answer_without_markers_cites_the_passage_that_supports_it() {
        let (text, sources) = checked("La livraison à Abidjan coûte 1 500 FCFA.", AnswerStyle::SourceNumbers).unwrap();
        assert_eq!(text, "La livraison à Abidjan coûte 1 500 FCFA.");
        assert_eq!((sources.len(), sources[0].passage), (1, 1));
    }
}
