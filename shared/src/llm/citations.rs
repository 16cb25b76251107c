//! The citations in what a model says, held against the passages it was given. One that it invented goes from the
//! citations and from the text; a text that rests on no passage is no answer.

use std::collections::HashSet;

use rust_stemmers::{Algorithm, Stemmer};
use unicode_segmentation::UnicodeSegmentation;

use super::{Ask, Source, Style, extractive, prompt::NOT_IN_DOCUMENTS};
use crate::{
    embeddings::words,
    text::{Language, whatsapp},
};

/// The longest thing in brackets that is looked at.
const LONGEST_MARKER: usize = 60;
/// The part of an answer's words that a passage must have, to be what an answer without a marker rests on.
const ENOUGH: f32 = 0.6;
/// What it is worth that a sentence has a word of the question, against one of the answer.
const OF_THE_QUESTION: f32 = 0.1;
/// What a number is worth, against a word.
const NUMBER: f32 = 2.0;

/// The text as it is shown and the passages that it rests on, in the order in which it names them; `None` where the
/// passages do not say, or what was said is not from them.
pub(super) fn check(said: &str, ask: &Ask<'_>) -> Option<(String, Vec<Source>)> {
    let is_a_refusal = said.trim_start_matches(|char: char| !char.is_alphanumeric()).starts_with(NOT_IN_DOCUMENTS);
    if is_a_refusal {
        return None;
    }
    let said = said.replace(NOT_IN_DOCUMENTS, "");
    let matcher = Matcher::new(ask);
    let mut cited = Cited::default();
    let (mut shown, mut bare) = (String::new(), String::new());
    let mut rest = said.as_str();
    while let Some(at) = rest.find(['[', '【']) {
        let (before, from) = rest.split_at(at);
        shown.push_str(before);
        bare.push_str(before);
        let Some((numbers, after)) = marker(from) else {
            let end = from.chars().next().map_or(0, char::len_utf8);
            shown.push_str(&from[..end]);
            bare.push_str(&from[..end]);
            rest = &from[end..];
            continue;
        };
        let claim = bare.unicode_sentences().last().unwrap_or_default();
        let places: Vec<_> = numbers.into_iter().filter(|number| (1..=ask.passages.len()).contains(number)).collect();
        let shows = ask.style != Style::WhatsApp && !places.is_empty();
        let shown_numbers = places.into_iter().map(|number| {
            let listed = cited.add(number - 1, claim);
            if ask.style == Style::AsGiven { number } else { listed }
        });
        let markers: String = shown_numbers.map(|number| format!("[{number}]")).collect();
        if shows {
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
    if cited.0.is_empty() {
        let place = matcher.support(&bare)?;
        cited.add(place, &bare);
    }
    let shown = match ask.style {
        Style::Plain | Style::AsGiven => shown.trim().to_owned(),
        Style::WhatsApp => whatsapp::formatted(&shown),
    };
    let sources = cited.0.into_iter().map(|(passage, claim)| Source { passage, quote: matcher.quote(passage, &claim) });
    Some((shown, sources.collect()))
}

/// The passages that were cited, in order, each with what was said of it.
#[derive(Default)]
struct Cited(Vec<(usize, String)>);

impl Cited {
    /// The number under which the passage is shown.
    fn add(&mut self, passage: usize, claim: &str) -> usize {
        let at = self.0.iter().position(|(known, _)| *known == passage).unwrap_or_else(|| {
            self.0.push((passage, String::new()));
            self.0.len() - 1
        });
        let (_, claims) = &mut self.0[at];
        claims.push(' ');
        claims.push_str(claim);
        at + 1
    }
}

/// What a bracket at the beginning of a text is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Bracket<'t> {
    /// A marker with these numbers, and what follows it.
    Marker(Vec<usize>, &'t str),
    /// A character like others.
    Text,
    /// It may become either: the text ends too early.
    Open,
}

/// Looks at the bracket that a text begins with.
pub(super) fn bracket(text: &str) -> Bracket<'_> {
    let closing = if text.starts_with('【') { '】' } else { ']' };
    match marker(text) {
        Some((numbers, after)) => Bracket::Marker(numbers, after),
        None if text.contains(closing) || text.len() > LONGEST_MARKER + '【'.len_utf8() => Bracket::Text,
        None => Bracket::Open,
    }
}

/// The text without a marker that breaks off at its end.
pub(super) fn without_half_a_marker(text: &str) -> &str {
    match text.rfind(['[', '【']) {
        Some(at) if breaks_off(&text[at..]) => text[..at].trim_end(),
        _ => text,
    }
}

/// Whether a text that begins with a bracket is the first part of a marker, and ends in it: half of a marker is none.
pub(super) fn breaks_off(text: &str) -> bool {
    let inside = text.trim_start_matches(['[', '【']);
    let numbers = without_word(inside.split('†').next().unwrap_or_default().to_lowercase().trim());
    !inside.contains([']', '】'])
        && inside.len() <= LONGEST_MARKER
        && numbers.chars().all(|char| char.is_ascii_digit() || " ,;&-–^".contains(char))
}

/// What is inside a marker, without the word that some models put before the number.
fn without_word(inside: &str) -> String {
    let inside = inside.trim_start_matches('^');
    let mut words = ["passages", "passage", "sources", "source"].into_iter();
    words.find_map(|word| inside.strip_prefix(word)).unwrap_or(inside).to_owned()
}

/// The numbers of a marker at the beginning of a text, and what follows it. Models write `[1]`, `[1, 2]`, `[1-3]`,
/// `[^1]`, `[passage 1]` and `【1†source】`; whatever else stands in brackets is text.
fn marker(text: &str) -> Option<(Vec<usize>, &str)> {
    let (inside, after) = match text.strip_prefix('【') {
        Some(inside) => inside.split_once('】')?,
        None => text.strip_prefix('[')?.split_once(']')?,
    };
    if inside.len() > LONGEST_MARKER {
        return None;
    }
    let inside = without_word(inside.split('†').next().unwrap_or_default().to_lowercase().trim());
    let mut numbers = Vec::new();
    for part in inside.split([',', ';', '&']) {
        let mut ends = part.split(['-', '–']).map(|end| number(end.trim().trim_start_matches('^')));
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

/// A number, also one that is larger than any of ours can be.
fn number(digits: &str) -> Option<usize> {
    let is_one = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    is_one.then(|| digits.parse().unwrap_or(usize::MAX))
}

/// Finds what of a passage a statement rests on.
struct Matcher<'a> {
    ask: &'a Ask<'a>,
    stemmer: Stemmer,
}

impl<'a> Matcher<'a> {
    fn new(ask: &'a Ask<'a>) -> Self {
        let algorithm = if ask.language == Language::French { Algorithm::French } else { Algorithm::English };
        Self { ask, stemmer: Stemmer::create(algorithm) }
    }

    /// The stems of a text that say what it is about, each with its weight.
    fn telling(&self, text: &str) -> Vec<(String, f32)> {
        let folded = crate::text::fold(text);
        let mut seen = HashSet::new();
        let weighed = extractive::split(&folded).filter_map(|word| {
            let weight =
                if word.chars().all(char::is_numeric) { NUMBER } else { words::weight(word, self.ask.language) };
            let stem = extractive::stem(word, &self.stemmer);
            (weight > 0.0 && seen.insert(stem.clone())).then_some((stem, weight))
        });
        weighed.collect()
    }

    fn covered(&self, telling: &[(String, f32)], text: &str) -> f32 {
        let standing: HashSet<_> = extractive::stems(text, &self.stemmer).collect();
        telling.iter().filter(|(stem, _)| standing.contains(stem)).map(|(_, weight)| weight).sum()
    }

    /// The passage that has most of what was said, if that is enough to have said it from there.
    fn support(&self, said: &str) -> Option<usize> {
        let telling = self.telling(said);
        let total: f32 = telling.iter().map(|(_, weight)| weight).sum();
        let covered = self.ask.passages.iter().map(|passage| self.covered(&telling, &passage.text));
        let (place, covered) = covered.enumerate().max_by(|left, right| left.1.total_cmp(&right.1))?;
        (total > 0.0 && covered / total >= ENOUGH).then_some(place)
    }

    /// The sentence of a passage that has most of what was said of it; of equals, the first.
    fn quote(&self, place: usize, claim: &str) -> String {
        let Some(passage) = self.ask.passages.get(place) else { return String::new() };
        let (said, asked) = (self.telling(claim), self.telling(self.ask.standalone));
        let sentences = passage.text.unicode_sentences().map(str::trim).filter(|sentence| !sentence.is_empty());
        let worth = |sentence: &str| self.covered(&said, sentence) + OF_THE_QUESTION * self.covered(&asked, sentence);
        let best = sentences.fold(None, |best: Option<(f32, &str)>, sentence| {
            let worth = worth(sentence);
            Some(best.filter(|(most, _)| *most >= worth).unwrap_or((worth, sentence)))
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
            page_start: 1,
            page_end: 1,
            chunks: 0..=0,
            text: text.to_owned(),
            score: 1.0,
        }
    }

    fn checked(said: &str, style: Style) -> Option<(String, Vec<Source>)> {
        let passages = [
            passage("Le magasin ouvre à huit heures. Il ferme le dimanche."),
            passage("Bienvenue chez nous. La livraison à Abidjan coûte 1 500 FCFA. Elle prend deux jours."),
            passage("La garantie dure deux ans."),
        ];
        let ask = Ask {
            question: "Combien coûte la livraison ?",
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
        check(said, &ask)
    }

    fn plain(said: &str) -> (String, Vec<usize>) {
        let (text, sources) = checked(said, Style::Plain).unwrap();
        (text, sources.into_iter().map(|source| source.passage).collect())
    }

    #[test]
    fn citations_are_numbered_as_they_are_listed() {
        let said =
            "Elle coûte 1 500 FCFA [2]. La garantie dure deux ans [3][2], et le magasin ferme le dimanche [1, 3].";
        let expected =
            "Elle coûte 1 500 FCFA [1]. La garantie dure deux ans [2][1], et le magasin ferme le dimanche [3][2].";
        assert_eq!(plain(said), (expected.to_owned(), vec![1, 2, 0]));
    }

    #[test]
    fn an_invented_citation_goes_from_the_citations_and_from_the_text() {
        for said in
            ["Elle coûte 1 500 FCFA [2][9].", "Elle coûte 1 500 FCFA [2] [0].", "Elle coûte 1 500 FCFA [2,77][2024]."]
        {
            assert_eq!(plain(said), ("Elle coûte 1 500 FCFA [1].".to_owned(), vec![1]), "{said}");
        }
    }

    #[test]
    fn every_way_to_write_a_marker_is_understood_and_other_brackets_are_text() {
        for marker in ["[2]", "[^2]", "[ 2 ]", "【2】", "【2†source】", "[passage 2]", "[Source 2]", "[2-2]"] {
            assert_eq!(plain(&format!("Deux jours {marker}.")), ("Deux jours [1].".to_owned(), vec![1]), "{marker}");
        }
        let (text, sources) = plain("Deux [ou trois] jours [2]. [Voir] [a");
        assert_eq!((text.as_str(), sources), ("Deux [ou trois] jours [1]. [Voir] [a", vec![1]));
        assert_eq!(plain("De tout [1-3].").1, [0, 1, 2]);
    }

    #[test]
    fn a_marker_that_breaks_off_at_the_end_goes_from_the_text() {
        for half in ["[", "[9", "[2, ", "[^1", "[1-", "【", "【2†sour", "[passage 1", "[Source "] {
            assert_eq!(without_half_a_marker(&format!("Deux jours [2] {half}")), "Deux jours [2]", "{half}");
        }
        for whole in ["Deux jours [2]", "Deux [ou trois", "Deux [9] jours", "[a", "Deux jours"] {
            assert_eq!(without_half_a_marker(whole), whole);
        }
    }

    #[test]
    fn the_quote_is_the_sentence_that_says_it() {
        let (_, sources) = checked("Livraison : 1 500 FCFA [2]", Style::Plain).unwrap();
        assert_eq!(sources[0].quote, "La livraison à Abidjan coûte 1 500 FCFA.");
        let (_, sources) = checked("Comptez deux jours. [2]", Style::Plain).unwrap();
        assert_eq!(sources[0].quote, "Elle prend deux jours.");
    }

    #[test]
    fn whatsapp_shows_no_markers_and_no_markdown() {
        let said =
            "## Prix\n**1 500 FCFA** [2]【3】.\n| Ville | Prix |\n|---|:--:|\n| Abidjan | 1 500 [2] |\n- a [1]\n";
        let (text, sources) = checked(said, Style::WhatsApp).unwrap();
        assert_eq!(text, "*Prix*\n*1 500 FCFA*.\nVille – Prix\nAbidjan – 1 500\n- a");
        assert_eq!(sources.len(), 3);
    }

    #[test]
    fn what_is_not_from_the_passages_is_no_answer() {
        for said in [
            "NOT_IN_DOCUMENTS",
            "**NOT_IN_DOCUMENTS**.",
            "  \"NOT_IN_DOCUMENTS\" [1]",
            "La capitale de la Mongolie est Oulan-Bator.",
            "La capitale de la Mongolie est Oulan-Bator [7].",
            "[2]",
            "",
        ] {
            assert_eq!(checked(said, Style::Plain), None, "{said}");
        }
    }

    #[test]
    fn an_answer_whose_markers_were_forgotten_is_cited_by_what_it_says() {
        let (text, sources) = checked("La livraison à Abidjan coûte 1 500 FCFA.", Style::Plain).unwrap();
        assert_eq!(text, "La livraison à Abidjan coûte 1 500 FCFA.");
        assert_eq!((sources.len(), sources[0].passage), (1, 1));
    }
}
