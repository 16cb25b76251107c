//! Follow-up questions. "And to Bouaké?" finds nothing by itself: it is searched together with what it goes on from.

use std::borrow::Cow;

use super::ranking;
use crate::{
    embeddings::words,
    llm::{Role, Turn},
    text::{self, Language},
};

/// How far back a question is traced.
const MOST_TURNS: usize = 3;
/// Of an earlier question, in characters.
const MOST_CHARS: usize = 500;
/// Words for a subject up to which a pronoun speaks of what was said before rather than of something in the same sentence.
const FEW: usize = 3;
/// How a follow-up begins, folded.
const BEGINNINGS: [&str; 12] = [
    "et",
    "and",
    "mais",
    "but",
    "sinon",
    "otherwise",
    "aussi",
    "also",
    "what about",
    "how about",
    "meme chose",
    "same",
];
/// Words that speak of what was said before, folded.
const PRONOUNS: [&str; 24] = [
    "il", "elle", "ils", "elles", "lui", "celui", "celle", "ceux", "celles", "ca", "cela", "ceci", "y", "it", "its",
    "they", "them", "their", "he", "she", "him", "those", "these", "ones",
];

/// The question as it is searched: with the questions before it, the oldest first, where it goes on from them; otherwise
/// as it is. No model is asked: one is told the conversation anyway when it answers, and searching costs no second call.
#[must_use]
pub fn standalone<'q>(question: &'q str, language: Language, history: &[Turn]) -> Cow<'q, str> {
    if !goes_on(question, language) {
        return Cow::Borrowed(question);
    }
    let mut asked = vec![question];
    for earlier in history.iter().rev().filter(|turn| turn.role == Role::User).take(MOST_TURNS) {
        asked.push(beginning(earlier.text.trim()));
        if !goes_on(&earlier.text, language) {
            break;
        }
    }
    if asked.len() == 1 {
        return Cow::Borrowed(question);
    }
    asked.reverse();
    Cow::Owned(asked.join(" "))
}

/// Whether a question cannot be understood without the one before it.
fn goes_on(question: &str, language: Language) -> bool {
    let folded = text::fold(question);
    let said: Vec<_> = ranking::split(&folded).collect();
    // What stands in questions about anything, as "how much" does, names no subject.
    let telling = said.iter().filter(|word| words::weight(word, language) >= 1.0).count();
    let begins = |beginning: &&str| {
        let mut words = beginning.split(' ');
        said.len() >= words.clone().count() && said.iter().zip(&mut words).all(|(said, word)| *said == word)
    };
    telling == 0 || BEGINNINGS.iter().any(begins) || telling <= FEW && said.iter().any(|word| PRONOUNS.contains(word))
}

fn beginning(text: &str) -> &str {
    text.char_indices().nth(MOST_CHARS).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(turns: &[(Role, &str)]) -> Vec<Turn> {
        turns.iter().map(|(role, text)| Turn { role: *role, text: (*text).to_owned() }).collect()
    }

    #[test]
    fn a_follow_up_is_searched_with_what_it_goes_on_from() {
        let history = said(&[
            (Role::User, "Quels sont vos horaires ?"),
            (Role::Assistant, "De 8 h à 18 h."),
            (Role::User, "Combien coûte la livraison à Abidjan ?"),
            (Role::Assistant, "1 500 F CFA."),
        ]);
        for follow_up in ["Et à Bouaké ?", "Combien ?", "Elle est gratuite le dimanche ?", "Pourquoi ?"] {
            let expected = format!("Combien coûte la livraison à Abidjan ? {follow_up}");
            assert_eq!(standalone(follow_up, Language::French, &history), expected);
        }
        let mut longer = history;
        longer.extend(said(&[(Role::User, "Et à Bouaké ?"), (Role::Assistant, "2 500 F CFA.")]));
        let expected = "Combien coûte la livraison à Abidjan ? Et à Bouaké ? Et le dimanche ?";
        assert_eq!(standalone("Et le dimanche ?", Language::French, &longer), expected);
        let english = said(&[(Role::User, "Do you ship to Ghana?"), (Role::Assistant, "Yes.")]);
        for follow_up in ["What about Togo?", "How long does it take?", "And how much?"] {
            let expected = format!("Do you ship to Ghana? {follow_up}");
            assert_eq!(standalone(follow_up, Language::English, &english), expected);
        }
    }

    #[test]
    fn what_stands_by_itself_is_searched_by_itself() {
        let history =
            said(&[(Role::User, "Combien coûte la livraison à Abidjan ?"), (Role::Assistant, "1 500 F CFA.")]);
        for question in [
            "Quels sont vos horaires ?",
            "La garantie couvre-t-elle les pannes de batterie du téléphone ?",
            "Puis-je payer par carte ?",
        ] {
            assert!(matches!(standalone(question, Language::French, &history), Cow::Borrowed(_)), "{question}");
        }
        assert_eq!(standalone("Et à Bouaké ?", Language::French, &[]), "Et à Bouaké ?");
    }

    #[test]
    fn only_the_beginning_of_what_was_asked_before_is_taken_and_only_from_a_few_turns() {
        let history = said(&[
            (Role::User, "Première question sur la livraison"),
            (Role::User, "et ?"),
            (Role::User, "et ?"),
            (Role::User, &format!("et {}", "é".repeat(2_000))),
        ]);
        let searched = standalone("et alors ?", Language::French, &history);
        assert!(!searched.contains("Première"), "{searched}");
        assert_eq!(searched.chars().count(), "et ? et ?  et alors ?".len() + MOST_CHARS);
    }
}
