//! Phrases in messages, compared word by word: without accents and capitals, with letters held down, and with typos
//! where these are forgiven.

use unicode_segmentation::UnicodeSegmentation;

use crate::text;

/// Polite phrases that are ignored before, after and between the words of an answer.
const POLITE_PHRASES: &str = "merci,merci beaucoup,merci bien,svp,stp,s il vous plait,s il te plait,please,pls,thanks,\
    thank you,thx,bien,bonjour,bonsoir,salut,hello,hi,monsieur,madame";
/// Words before a request or an opt-out that turn it into its opposite.
pub(crate) const REFUSALS: [&str; 6] = ["pas", "plus", "jamais", "not", "t", "never"];

/// Minimum length of a word in which one wrong letter is forgiven. Shorter words are too close to other words.
const MIN_FORGIVEN_CHARS: usize = 6;
/// Minimum length of a word in which any letter may be held down. "Noon" and "naan" are no "non".
const MIN_HELD_CHARS: usize = 4;
/// Length of a run of one letter that no word has, so that the key was held down.
const MIN_HELD_RUN: usize = 3;

/// The phrases of a list.
pub(crate) fn phrases(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim)
}

/// Returns true when a message consists of phrases of these lists and of politeness, with at least one of the former.
/// `forgives` accepts typos in the phrases; in politeness they are always accepted.
pub(crate) fn consists_of(message: &str, lists: &[&str], forgives: bool) -> bool {
    let words = normalize(message);
    let words: Vec<_> = words.split(' ').filter(|word| !word.is_empty()).collect();
    let longest = |rest: &[&str], list: &str, forgives: bool| {
        let found = phrases(list).map(|phrase| phrase.split(' ').collect::<Vec<_>>());
        found.filter(|phrase| begins_with(rest, phrase, forgives)).map(|phrase| phrase.len()).max()
    };
    let (mut rest, mut is_said) = (words.as_slice(), false);
    while !rest.is_empty() {
        let said = lists.iter().filter_map(|list| longest(rest, list, forgives)).max();
        let polite = longest(rest, POLITE_PHRASES, true);
        is_said |= said.is_some();
        match said.max(polite) {
            Some(length) => rest = &rest[length..],
            None => return false,
        }
    }
    is_said
}

/// Returns true when the words begin with those of a phrase. `forgives` accepts one wrong letter in a long word.
pub(crate) fn begins_with(words: &[&str], phrase: &[&str], forgives: bool) -> bool {
    words.len() >= phrase.len() && words.iter().zip(phrase).all(|(typed, known)| is_same_word(typed, known, forgives))
}

/// Returns true when a typed word is a known one: equal, with letters held down ("merciiii"), or, if `forgives`, with
/// one wrong letter in a long word ("bonjoru").
fn is_same_word(typed: &str, known: &str, forgives: bool) -> bool {
    typed == known
        || has_held_letters(typed, known)
        || (forgives && known.len() >= MIN_FORGIVEN_CHARS && is_within_one_typo(typed, known))
}

/// Returns true when a typed word is a known one with letters held down. In a short word they are at its end, or make a
/// run that no word has.
fn has_held_letters(typed: &str, known: &str) -> bool {
    let has_long_run = || {
        let letters: Vec<char> = typed.chars().collect();
        letters.windows(MIN_HELD_RUN).any(|run| run.iter().all(|letter| *letter == run[0]))
    };
    typed.len() > known.len()
        && without_repetition(typed) == without_repetition(known)
        && (known.len() >= MIN_HELD_CHARS || typed.starts_with(known) || has_long_run())
}

/// Returns a word with each run of one letter as one letter; a word of one letter only as two.
fn without_repetition(word: &str) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    letters.dedup();
    if letters.len() == 1 && word.chars().count() > 1 {
        letters.push(letters[0]);
    }
    letters.into_iter().collect()
}

/// Returns true when one letter more, less or other, or two neighbours exchanged, make one word the other.
fn is_within_one_typo(typed: &str, known: &str) -> bool {
    let (typed, known): (Vec<char>, Vec<char>) = (typed.chars().collect(), known.chars().collect());
    let common = typed.iter().zip(&known).take_while(|(left, right)| left == right).count();
    let (typed, known) = (&typed[common..], &known[common..]);
    let ends = typed.iter().rev().zip(known.iter().rev()).take_while(|(left, right)| left == right).count();
    match (&typed[..typed.len() - ends], &known[..known.len() - ends]) {
        ([] | [_], [] | [_]) => true,
        ([first, second], [third, fourth]) => (first, second) == (fourth, third),
        _ => false,
    }
}

/// Question marks: those of all scripts, small, full-width, turned and reversed ones, and emoji.
pub(super) const QUESTION_MARKS: &[char] = &[
    '?',
    '¿',
    '\u{37e}',
    '\u{55e}',
    '\u{61f}',
    '\u{1367}',
    '\u{1945}',
    '\u{203d}',
    '⁇',
    '⁈',
    '⁉',
    '\u{2370}',
    '❓',
    '❔',
    '\u{2a7b}',
    '\u{2a7c}',
    '\u{2cfa}',
    '\u{2cfb}',
    '\u{2e18}',
    '\u{2e2e}',
    '\u{2e54}',
    '\u{a60f}',
    '\u{a6f7}',
    '\u{fe16}',
    '\u{fe56}',
    '\u{ff1f}',
    '\u{fffd}',
    '\u{11143}',
    '\u{1e95f}',
    '\u{1fbc4}',
    '\u{e003f}',
];

/// Returns true when a message has a question mark. The replacement character may have been one.
pub(crate) fn is_question(message: &str) -> bool {
    message.contains(QUESTION_MARKS)
}

/// Returns the words of a message, case-folded and without accents, with single spaces between them.
pub(crate) fn normalize(message: &str) -> String {
    let folded = text::fold(message);
    // Contacts type apostrophes in several ways or leave them out, so they count as spaces.
    let folded = folded.replace(['\'', '’'], " ");
    // "S.V.P." and "S.T.O.P" are words.
    let is_spelled = |word: &str| word.contains('.') && word.split('.').all(|letter| letter.chars().count() <= 1);
    let words =
        folded.unicode_words().map(|word| if is_spelled(word) { word.replace('.', "") } else { word.to_owned() });
    words.collect::<Vec<_>>().join(" ")
}
