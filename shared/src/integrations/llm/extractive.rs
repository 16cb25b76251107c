//! Answers without a model: quotes the sentences or rows of the passages that answer the question, with document and
//! page.

mod matcher;
mod question;
mod spelling;
mod synonyms;
mod units;
mod values;
pub(super) mod words;

use self::{
    matcher::{Matcher, ScoredUnit, keep_stronger},
    question::{AnalyzedQuestion, SUBJECT_WEIGHT, Term},
    synonyms::Group,
    units::UnitKind,
    values::ValueKind,
    words::split_words,
};
use super::types::{CitedPassage, GroundedAnswer, GroundedQuestion, Passage, Role, Usage};
use crate::text::{self, Language};

/// Name of this method in the `model` field of an answer.
const MODEL: &str = "extractive-1";
/// Length up to which a quote takes further sentences of its paragraph, in characters. A short sentence alone often
/// lacks what limits it.
const MIN_QUOTE_CHARS: usize = 140;
/// Maximum length of a quote of several sentences, in characters.
const MAX_WINDOW_CHARS: usize = 420;
/// Maximum number of sentences that are scored together.
const MAX_WINDOW_UNITS: usize = 4;
/// Maximum length of a quote, in characters.
const MAX_QUOTE_CHARS: usize = 700;
/// Maximum number of rows of a table that are quoted together, when the question fits each.
const MAX_ROWS: usize = 5;
/// Minimum part of the question's weight that a quote must cover to count as an answer.
const MIN_COVERAGE: f32 = 0.52;
/// Minimum part of the question's weight that a quote must cover when no passage knows one of the question's subjects:
/// "recruit" in "Do you recruit couriers?" is half of the question.
const MIN_COVERAGE_WITHOUT_SUBJECT: f32 = 0.55;
/// Minimum part of a follow-up's own weight that a quote must cover.
const MIN_OWN_COVERAGE: f32 = 0.5;
/// Minimum part of the question's weight that a second quote covers and the first does not.
const MIN_ADDED_COVERAGE: f32 = 0.25;
/// Factor of a match in the heading above rather than in the quote.
const CONTEXT_FACTOR: f32 = 0.95;
/// Maximum bonus for a heading that consists of the question's words.
const HEADING_BONUS: f32 = 0.25;
/// Maximum bonus for a quote that consists of the question's words.
const DENSITY_BONUS: f32 = 0.1;
/// Bonus of the most telling form of a value, and of a value of the company itself.
const EXACT_BONUS: f32 = 0.05;
/// Bonus of the first sentence below a heading that covers the question.
const SECTION_START_BONUS: f32 = 0.08;
/// Minimum part of the question that a heading must cover for that bonus.
const MIN_HEADING_COVERAGE: f32 = 0.85;
/// Factor for a value that stands in a sentence without any of the question's words.
const APART_FACTOR: f32 = 0.7;
/// Bonus of a row of a price list, for a question that asks how much: sentences name prices in passing.
const PRICE_ROW_BONUS: f32 = 0.15;
/// Value of "free" for a question that asks how much: an amount answers it better.
const FREE_FACTOR: f32 = 0.8;
const CONTACT_BONUS: f32 = 0.1;
/// Deduction for each further sentence of a quote.
const UNIT_COST: f32 = 0.04;
/// Maximum number of sentences that are compared with the question by meaning. Each costs about 10 ms.
const MAX_CANDIDATES: usize = 48;
/// Minimum uncentred cosine of a sentence that answers by its meaning alone.
const MIN_SIMILARITY: f32 = 0.86;
/// Minimum uncentred cosine for a price, which is worse wrong than missing, and for a question in a document: any two
/// questions are alike.
const MIN_STRICT_SIMILARITY: f32 = 0.89;
/// Minimum lead over the next sentence when the passages do not know a subject of the question.
const MIN_LEAD: f32 = 0.012;
/// Minimum part of the question that such a sentence covers by words too, when a price is asked.
const MIN_PRICE_COVERAGE: f32 = 0.35;
/// Fewest words of such a sentence.
const MIN_CANDIDATE_WORDS: usize = 4;
/// Factor for a quote that the last answer already gave.
const REPEATED_FACTOR: f32 = 0.7;
/// Factor for a quote from a passage without one of the question's names and numbers.
const NO_NAME_FACTOR: f32 = 0.7;
/// Factor for a passage in another language than the question's: one in the same language is read more easily.
const OTHER_LANGUAGE_FACTOR: f32 = 0.85;
/// Part of a quote's score that depends on its passage's retrieval score.
const RETRIEVAL_SHARE: f32 = 0.2;
/// Words of headings and sentences that tell how to reach the company, folded.
const CONTACT_WORDS: &str = "joindre contacter contact contacts trouver adresse adresses situe magasin magasins boutique boutiques \
    telephone horaires standard appeler where find finding located location phone us call visit";

/// Analyses a question. What its clauses beside the asking one mention counts only as far as a passage knows it.
fn analyze(question: &GroundedQuestion<'_>) -> AnalyzedQuestion {
    let mut analyzed = AnalyzedQuestion::new(question.text, question.standalone, question.language);
    if analyzed.terms.iter().any(|term| term.is_aside) {
        let known = Matcher::new(&analyzed, question.passages).known();
        analyzed.forget_asides(|at| known.get(at).copied().unwrap_or(true));
    }
    analyzed
}

/// Answers with quotes from the passages; the answer is `None` when no quote covers enough of the question.
pub(super) fn answer(question: &GroundedQuestion<'_>) -> GroundedAnswer {
    let analyzed = analyze(question);
    let sources = Scorer::new(&analyzed, question).best_quotes();
    with_text(question, sources)
}

/// A sentence or row that may answer a question by its meaning, although its words differ.
#[derive(Debug)]
pub struct QuoteCandidate {
    window: Window,
    /// The text whose similarity to the question decides.
    pub text: String,
}

/// Returns the sentences and rows of the best passages that contain the asked kind of value, the best passage first.
#[must_use]
pub fn quote_candidates(question: &GroundedQuestion<'_>) -> Vec<QuoteCandidate> {
    let analyzed = analyze(question);
    let scorer = Scorer::new(&analyzed, question);
    let candidates = (0..scorer.passages.len()).flat_map(|passage| scorer.candidates(passage));
    candidates.take(MAX_CANDIDATES).collect()
}

/// Answers with the candidate that is most similar to the question, given the uncentred cosine of each by the embedded
/// model. The answer is `None` when none is similar enough.
#[must_use]
pub fn answer_by_similarity(
    question: &GroundedQuestion<'_>,
    candidates: &[QuoteCandidate],
    similarities: &[f32],
) -> GroundedAnswer {
    let analyzed = analyze(question);
    let scorer = Scorer::new(&analyzed, question);
    let best = candidates.iter().zip(similarities).max_by(|left, right| left.1.total_cmp(right.1));
    let best = best.filter(|(candidate, similarity)| {
        let is_strict = analyzed.kind == Some(ValueKind::Price) || candidate.text.ends_with('?');
        let others = candidates.iter().zip(similarities).filter(|(other, _)| other.text != candidate.text);
        let second = others.map(|(_, similarity)| *similarity).fold(0.0, f32::max);
        // Where the passages do not know what the question is about, every sentence is a little like it.
        let is_unclear = scorer.has_unknown_subject() && **similarity - second < MIN_LEAD;
        **similarity >= if is_strict || is_unclear { MIN_STRICT_SIMILARITY } else { MIN_SIMILARITY }
    });
    let sources = best.map(|(candidate, _)| scorer.cite(&candidate.window, &[])).into_iter().collect();
    with_text(question, sources)
}

/// Makes the answer of its quotes.
fn with_text(question: &GroundedQuestion<'_>, sources: Vec<CitedPassage>) -> GroundedAnswer {
    let answer = (!sources.is_empty()).then(|| {
        let lines = sources.iter().filter_map(|source| {
            let passage = question.passages.get(source.passage)?;
            Some(format_quote(&source.quote, passage, question.language))
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

/// A passage with its units, and how strongly they match the question's terms.
struct ScoredPassage {
    units: Vec<ScoredUnit>,
    /// The strongest match of each term anywhere in the passage.
    strengths: Vec<f32>,
    retrieval_factor: f32,
}

/// Consecutive units of a passage as an answer.
#[derive(Clone, Debug)]
struct Window {
    passage: usize,
    start: usize,
    /// Past the last unit.
    end: usize,
    score: f32,
    coverage: f32,
    /// The strength of the match of each term, with the context.
    strengths: Vec<f32>,
}

/// Finds the quotes that answer a question.
struct Scorer<'q> {
    question: &'q AnalyzedQuestion,
    passages: Vec<ScoredPassage>,
    /// The last answer of the conversation, folded, when the question is a follow-up.
    last_answer: Option<String>,
    /// Bits of the days of the week that both the question and at least one unit name. A unit with other days only is
    /// no answer.
    days: u8,
    /// The periods that the question names, for a price.
    periods: u8,
}

impl<'q> Scorer<'q> {
    fn new(analyzed: &'q AnalyzedQuestion, question: &GroundedQuestion<'_>) -> Self {
        let best_score = question.passages.iter().map(|passage| passage.score).fold(f64::MIN_POSITIVE, f64::max);
        let matcher = Matcher::new(analyzed, question.passages);
        let passages = question.passages.iter().map(|passage| {
            let units: Vec<_> = units::split(&passage.text).into_iter().map(|unit| matcher.scored(unit)).collect();
            let mut strengths = matcher.strengths(&text::fold(&passage.text));
            keep_stronger(&mut strengths, &matcher.strengths(&text::fold(&passage.display_title())));
            let retrieval_factor = 1.0 - RETRIEVAL_SHARE * (1.0 - (passage.score / best_score) as f32);
            let is_foreign = is_other_language(question.language, text::detect_language(&passage.text));
            let retrieval_factor = retrieval_factor * if is_foreign { OTHER_LANGUAGE_FACTOR } else { 1.0 };
            ScoredPassage { units, strengths, retrieval_factor }
        });
        let passages = passages.collect();
        let last = question.history.iter().rev().find(|turn| turn.role == Role::Assistant);
        let last_answer = last.filter(|_| analyzed.is_follow_up).map(|turn| text::fold(&turn.text));
        let asked = text::fold(question.text);
        let mut scorer = Self { question: analyzed, passages, last_answer, days: 0, periods: 0 };
        let named = |unit: &ScoredUnit| values::days(&unit.folded);
        let known = scorer.passages.iter().flat_map(|passage| &passage.units).fold(0, |days, unit| days | named(unit));
        scorer.days = values::days(&asked) & known;
        if analyzed.kind == Some(ValueKind::Price) {
            scorer.periods = values::periods(&asked);
        }
        scorer
    }

    /// Returns true when a text is about other days of the week, or prices of other periods, than the question.
    fn is_about_others(&self, folded: &str, folded_context: &str) -> bool {
        let days = values::days(folded);
        let periods = values::periods(folded) | values::periods(folded_context);
        self.days != 0 && days != 0 && self.days & days == 0 && !values::is_every_day(folded)
            || self.periods != 0 && periods != 0 && self.periods & periods == 0
    }

    /// Returns the best quote, with those of the same rank, and a second one that adds to it.
    fn best_quotes(&self) -> Vec<CitedPassage> {
        let mut windows: Vec<_> = (0..self.passages.len()).flat_map(|passage| self.windows(passage)).collect();
        // The sort is stable: among equal scores, the passage that was retrieved first stays first.
        windows.sort_by(|left, right| right.score.total_cmp(&left.score));
        let Some(best) = windows.first() else { return Vec::new() };
        let rows = self.equal_rows(best, &windows);
        if rows.len() > MAX_ROWS {
            return Vec::new();
        }
        let mut sources = vec![self.cite(best, &rows)];
        if let Some(second) = windows.iter().find(|window| self.adds_to(best, window)) {
            sources.push(self.cite(second, &[]));
        }
        sources
    }

    /// Returns the windows of a passage that cover enough of the question.
    fn windows(&self, index: usize) -> Vec<Window> {
        let Some(passage) = self.passages.get(index) else { return Vec::new() };
        let units = &passage.units;
        let mut windows = Vec::new();
        for start in 0..units.len() {
            let mut chars = 0;
            for end in start..units.len().min(start + MAX_WINDOW_UNITS) {
                let (first, last) = (&units[start].unit, &units[end].unit);
                chars += last.text.chars().count();
                let is_alone = first.kind == UnitKind::Row || last.kind == UnitKind::Row;
                let is_apart = first.block != last.block || first.section != last.section;
                if end > start && (is_alone || is_apart || chars > MAX_WINDOW_CHARS) {
                    break;
                }
                windows.extend(self.score(index, passage, start, end + 1));
            }
        }
        windows
    }

    /// Returns the units of a passage that may answer by their meaning.
    fn candidates(&self, index: usize) -> Vec<QuoteCandidate> {
        let Some(passage) = self.passages.get(index) else { return Vec::new() };
        let lacks_name = |(term, strength): (&Term, &f32)| term.is_name && term.is_own && *strength == 0.0;
        if self.question.terms.iter().zip(&passage.strengths).any(lacks_name) {
            return Vec::new();
        }
        let candidate = |(at, unit): (usize, &ScoredUnit)| {
            let mut strengths = unit.context_strengths.clone();
            keep_stronger(&mut strengths, &unit.strengths);
            let coverage = self.term_coverage(&strengths);
            // A line without a figure or the end of a sentence is a heading more often than an answer.
            let is_heading = unit.unit.kind == UnitKind::Row && !values::contains_digits(&unit.folded);
            if self.is_about_others(&unit.folded, &unit.folded_context)
                || is_heading && !text::is_table_row(&unit.unit.text)
            {
                return None;
            }
            if let Some(kind) = self.question.kind {
                let value = self.value(kind, std::slice::from_ref(unit), &unit.folded, &unit.folded_context);
                if value == 0.0 || kind == ValueKind::Price && coverage < MIN_PRICE_COVERAGE {
                    return None;
                }
            }
            let window = Window { passage: index, start: at, end: at + 1, score: 0.0, coverage, strengths };
            (unit.words >= MIN_CANDIDATE_WORDS).then(|| QuoteCandidate { window, text: unit.unit.text.clone() })
        };
        passage.units.iter().enumerate().filter_map(candidate).collect()
    }

    /// Scores consecutive units; `None` when they do not cover enough of the question.
    fn score(&self, index: usize, passage: &ScoredPassage, start: usize, end: usize) -> Option<Window> {
        let units = passage.units.get(start..end)?;
        let first = units.first()?;
        let folded = units.iter().map(|unit| unit.folded.as_str()).collect::<Vec<_>>().join(" ");
        let mut strengths =
            first.context_strengths.iter().map(|strength| strength * CONTEXT_FACTOR).collect::<Vec<_>>();
        let mut inside = vec![0.0; strengths.len()];
        units.iter().for_each(|unit| keep_stronger(&mut inside, &unit.strengths));
        keep_stronger(&mut strengths, &inside);
        if self.question.kind != Some(ValueKind::Phone) && values::contains(ValueKind::Phone, &folded) {
            // "Telephone: 07 00 …" is no offer of phones.
            let labels = self.question.terms.iter().zip(&mut strengths).filter(|(term, _)| term.is_phone);
            labels.for_each(|(_, strength)| *strength = 0.0);
        }
        if self.is_about_others(&folded, &first.folded_context) {
            return None;
        }
        let coverage = self.coverage(&strengths, &folded, units)?;
        let density = |strengths: &[f32], words: usize| {
            let matched = strengths.iter().filter(|strength| **strength > 0.0).count();
            (matched as f32 / words.max(1) as f32).min(1.0)
        };
        let words = units.iter().map(|unit| unit.words).sum();
        let heading_words = split_words(&first.folded_context).count();
        let mut score = coverage
            + HEADING_BONUS * density(&first.context_strengths, heading_words)
            + DENSITY_BONUS * density(&inside, words)
            - UNIT_COST * (units.len() - 1) as f32;
        let is_section_start =
            start == 0 || passage.units.get(start - 1).is_some_and(|above| above.unit.section != first.unit.section);
        if is_section_start && self.term_coverage(&first.context_strengths) >= MIN_HEADING_COVERAGE {
            score += SECTION_START_BONUS;
        }
        if let Some(kind) = self.question.kind {
            if kind == ValueKind::Price && text::is_table_row(&first.unit.text) && values::contains_amount(&folded) {
                score += PRICE_ROW_BONUS;
            }
            if values::contains_exactly(kind, &folded) {
                score += EXACT_BONUS;
            }
            let is_contact = |folded: &str| split_words(folded).any(|word| values::is_in(word, CONTACT_WORDS));
            if matches!(kind, ValueKind::Phone | ValueKind::Address | ValueKind::Hours)
                && (is_contact(&folded) || is_contact(&first.folded_context))
            {
                score += CONTACT_BONUS;
            }
        }
        let lacks_name = |(term, strength): (&Term, &f32)| term.is_name && term.is_own && *strength == 0.0;
        if self.question.terms.iter().zip(&passage.strengths).any(lacks_name) {
            score *= NO_NAME_FACTOR;
            if score < MIN_COVERAGE {
                return None;
            }
        }
        if self.last_answer.as_ref().is_some_and(|last| last.contains(&folded)) {
            score *= REPEATED_FACTOR;
        }
        score *= passage.retrieval_factor;
        Some(Window { passage: index, start, end, score, coverage, strengths })
    }

    /// Returns the part of the question that a window covers; `None` when that is too little for an answer.
    fn coverage(&self, strengths: &[f32], folded: &str, units: &[ScoredUnit]) -> Option<f32> {
        let first = units.first()?;
        let AnalyzedQuestion { terms, kind, is_follow_up, .. } = self.question;
        let weigh = |is_counted: fn(&Term) -> bool| {
            let counted = terms.iter().zip(strengths).filter(|(term, _)| is_counted(term));
            counted.fold((0.0, 0.0), |(all, covered), (term, strength)| {
                (all + term.weight, covered + term.weight * strength)
            })
        };
        let (mut all, mut covered) = weigh(|_| true);
        if let Some(kind) = kind {
            let value = self.value(*kind, units, folded, &first.folded_context);
            let is_enough = matches!(kind, ValueKind::Phone | ValueKind::Address | ValueKind::Hours);
            // A wrong price with a right source is worse than none.
            if value == 0.0 && (*kind == ValueKind::Price || all == 0.0) || all == 0.0 && !is_enough {
                return None;
            }
            // A name is not given for what the passages do not know.
            if *kind == ValueKind::Name && self.has_unknown_subject() {
                return None;
            }
            let lacks = |(term, strength): (&Term, &f32)| {
                term.is_own && !term.is_aside && term.weight >= SUBJECT_WEIGHT && *strength == 0.0
            };
            if *kind == ValueKind::Price && terms.iter().zip(strengths).any(lacks) {
                return None;
            }
            all += self.question.kind_weight();
            covered += self.question.kind_weight() * value;
        }
        let (own, own_covered) = weigh(|term| term.is_own);
        let has_own = !is_follow_up || own == 0.0 || own_covered / own >= MIN_OWN_COVERAGE;
        // The quotient is NaN (0 / 0) for a question without content words.
        let minimum = if self.has_unknown_subject() { MIN_COVERAGE_WITHOUT_SUBJECT } else { MIN_COVERAGE };
        (has_own && covered / all >= minimum).then_some(covered / all)
    }

    /// Returns true when a subject of the question is in none of the passages.
    fn has_unknown_subject(&self) -> bool {
        let is_unknown = |at: usize| self.passages.iter().all(|passage| passage.strengths.get(at) == Some(&0.0));
        (0..).zip(&self.question.terms).any(|(at, term)| term.weight >= SUBJECT_WEIGHT && is_unknown(at))
    }

    /// Returns how well a text has the asked kind of value, from 0 to 1.
    fn value(&self, kind: ValueKind, units: &[ScoredUnit], folded: &str, folded_context: &str) -> f32 {
        let is_table_row = units.iter().any(|unit| text::is_table_row(&unit.unit.text));
        let is_headed = || values::heads_prices(folded_context) || is_table_row && values::heads_prices(folded);
        let is_price_cell = || values::contains_digits(folded) && is_headed();
        let is_free = kind == ValueKind::Price && !values::contains_amount(folded) && values::contains(kind, folded);
        let has_name = || units.iter().any(|unit| values::contains_full_name(&unit.unit.text));
        let is_apart = |unit: &ScoredUnit| {
            values::contains(kind, &unit.folded)
                && unit.strengths.iter().chain(&unit.context_strengths).all(|strength| *strength == 0.0)
        };
        let is_related = |unit: &ScoredUnit| values::contains(kind, &unit.folded) && !is_apart(unit);
        // "Free" is the price of what its own sentence names.
        let names_all = |unit: &ScoredUnit| {
            let others = units.iter().flat_map(|other| other.strengths.iter().enumerate());
            others
                .filter(|(_, strength)| **strength > 0.0)
                .all(|(at, _)| unit.strengths[at] > 0.0 || unit.context_strengths[at] > 0.0)
        };
        let is_free_together = || {
            let is_own = |unit: &ScoredUnit| names_all(unit) && !self.names_other_service(&unit.folded);
            units.iter().any(|unit| values::contains(kind, &unit.folded) && is_own(unit))
        };
        if is_free {
            // "Free" is the price of something else when the question's words are in all passages.
            if self.has_telling_term() && is_free_together() { FREE_FACTOR } else { 0.0 }
        } else if units.len() > 1
            && !self.question.terms.is_empty()
            && units.iter().any(is_apart)
            && !units.iter().any(is_related)
        {
            APART_FACTOR
        } else if values::contains(kind, folded) || kind == ValueKind::Name && has_name() {
            1.0
        } else if kind == ValueKind::Price && is_price_cell() {
            0.9
        } else if kind == ValueKind::Address && values::names_place(folded) {
            0.7
        } else {
            0.0
        }
    }

    /// Returns true when a text names a service, and the question does not: that a repair is free is no price of a lamp.
    fn names_other_service(&self, folded: &str) -> bool {
        let services: Vec<Group> = split_words(folded).flat_map(synonyms::services).collect();
        let is_asked = |group: &Group| self.question.terms.iter().any(|term| term.groups.contains(group));
        !services.is_empty() && !services.iter().any(is_asked)
    }

    /// Returns the part of the question's words that have a match.
    fn term_coverage(&self, strengths: &[f32]) -> f32 {
        let covered: f32 =
            self.question.terms.iter().zip(strengths).map(|(term, strength)| term.weight * strength).sum();
        covered / self.question.content_weight().max(f32::MIN_POSITIVE)
    }

    /// Returns true when a subject of the question is not in all passages.
    fn has_telling_term(&self) -> bool {
        let is_telling = |at: usize| self.passages.iter().any(|passage| passage.strengths.get(at) == Some(&0.0));
        self.passages.len() < 3
            || (0..).zip(&self.question.terms).any(|(at, term)| term.weight >= SUBJECT_WEIGHT && is_telling(at))
    }

    /// Returns the rows of the best row's table that cover as much of the question, in the order of the table.
    fn equal_rows(&self, best: &Window, windows: &[Window]) -> Vec<usize> {
        let unit = |window: &Window| self.passages.get(window.passage)?.units.get(window.start);
        let Some(best_unit) = unit(best).filter(|unit| unit.unit.kind == UnitKind::Row) else { return Vec::new() };
        let is_equal = |window: &&Window| {
            window.passage == best.passage
                && window.coverage >= best.coverage - 0.001
                && unit(window)
                    .is_some_and(|unit| unit.unit.kind == UnitKind::Row && unit.unit.section == best_unit.unit.section)
        };
        let mut rows: Vec<_> = windows.iter().filter(is_equal).map(|window| window.start).collect();
        rows.sort_unstable();
        rows
    }

    /// Returns true when a window covers words of the question that the best one leaves open.
    fn adds_to(&self, best: &Window, window: &Window) -> bool {
        let all = self.question.content_weight();
        let terms = self.question.terms.iter().zip(best.strengths.iter().zip(&window.strengths));
        let added: f32 = terms.map(|(term, (best, other))| term.weight * (other - best).max(0.0)).sum();
        self.question.kind.is_none() && added / all >= MIN_ADDED_COVERAGE
    }

    /// Quotes a window, or the rows of a table.
    fn cite(&self, window: &Window, rows: &[usize]) -> CitedPassage {
        let units = self.passages.get(window.passage).map_or(&[][..], |passage| &passage.units);
        let texts = |range: &mut dyn Iterator<Item = usize>, separator: &str| {
            range.filter_map(|at| units.get(at)).map(|unit| unit.unit.text.as_str()).collect::<Vec<_>>().join(separator)
        };
        let quote = if rows.is_empty() {
            let (start, end) = completed(units, window.start, window.end);
            texts(&mut (start..end), " ")
        } else {
            texts(&mut rows.iter().copied(), "\n")
        };
        CitedPassage { passage: window.passage, quote: shorten_lines(&quote) }
    }
}

/// Extends a quote to what it cannot be read without: the sentence that a pronoun refers to, the list that a colon
/// announces, and further sentences of the paragraph up to [`MIN_QUOTE_CHARS`].
fn completed(units: &[ScoredUnit], mut start: usize, mut end: usize) -> (usize, usize) {
    let chars = |start: usize, end: usize| {
        units.get(start..end).map_or(0, |units| units.iter().map(|unit| unit.unit.text.chars().count() + 1).sum())
    };
    let unit = |at: usize| units.get(at).map(|unit| &unit.unit);
    let is_together = |left: usize, right: usize| match (unit(left), unit(right)) {
        (Some(left), Some(right)) => {
            left.block == right.block && left.section == right.section && left.kind == right.kind
        }
        _ => false,
    };
    let is_sentence = |at: usize| unit(at).is_some_and(|unit| unit.kind == UnitKind::Sentence);
    let refers_back = units.get(start).is_some_and(|unit| {
        split_words(&unit.folded)
            .next()
            .is_some_and(|word| values::is_in(word, "il elle ils elles celui celle cela ceux it they this"))
    });
    if start > 0 && refers_back && is_together(start - 1, start) && chars(start - 1, end) <= MAX_WINDOW_CHARS {
        start -= 1;
    }
    while is_sentence(end - 1)
        && is_together(end - 1, end)
        && chars(start, end) < MIN_QUOTE_CHARS
        && chars(start, end + 1) <= MAX_WINDOW_CHARS
    {
        end += 1;
    }
    let announces = unit(end - 1).is_some_and(|unit| unit.text.ends_with(':'));
    let section = unit(end - 1).map(|unit| unit.section);
    while announces
        && unit(end).map(|unit| unit.section) == section
        && chars(start, end + 1) <= MAX_QUOTE_CHARS
        && unit(end).is_some()
    {
        end += 1;
    }
    (start, end)
}

/// Returns true when two languages are known and differ.
fn is_other_language(question: Language, passage: Language) -> bool {
    question != passage && question != Language::Other && passage != Language::Other
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

/// Joins each line of a quote as [`shorten`] does.
fn shorten_lines(quote: &str) -> String {
    let lines: Vec<_> = quote.lines().map(shorten).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests;
