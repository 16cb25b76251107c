//! Standalone form of follow-up questions. "And to Bouaké?" finds nothing alone, so it is searched together with the
//! questions before it.

use std::borrow::Cow;

use super::ranking;
use crate::{
    conversations::courtesies,
    llm::{Role, Turn},
    text::stop_words,
    text::{self, Language},
};

/// Most earlier questions that a follow-up is joined with.
const MAX_EARLIER_QUESTIONS: usize = 3;
/// Most characters taken of each earlier question.
const MAX_EARLIER_QUESTION_CHARS: usize = 500;
/// Most content words of a question whose pronoun is taken to refer to an earlier question. In a longer question, the
/// pronoun more likely refers to a word of the same sentence.
const MAX_CONTENT_WORDS_WITH_PRONOUN: usize = 3;
/// Opening words of follow-up questions, folded.
const FOLLOW_UP_OPENERS: [&str; 12] = [
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
/// Pronouns that may refer to an earlier question, folded.
const PRONOUNS: [&str; 24] = [
    "il", "elle", "ils", "elles", "lui", "celui", "celle", "ceux", "celles", "ca", "cela", "ceci", "y", "it", "its",
    "they", "them", "their", "he", "she", "him", "those", "these", "ones",
];

/// Returns the standalone question that is searched: a follow-up joined with the questions before it, the oldest
/// first; any other question unchanged. No model rewrites the question: the answering model gets the conversation
/// anyway, and a search should not cost a second model call.
#[must_use]
pub fn standalone_question<'q>(question: &'q str, language: Language, history: &[Turn]) -> Cow<'q, str> {
    if !is_follow_up(question, language) {
        return Cow::Borrowed(question);
    }
    let mut asked = vec![question];
    for earlier in history.iter().rev().filter(|turn| is_question(turn)).take(MAX_EARLIER_QUESTIONS) {
        asked.push(truncated(earlier.text.trim()));
        if !is_follow_up(&earlier.text, language) {
            break;
        }
    }
    if asked.len() == 1 {
        return Cow::Borrowed(question);
    }
    asked.reverse();
    Cow::Owned(asked.join(" "))
}

/// Returns true for a question of the user. A courtesy between two questions is none.
fn is_question(turn: &Turn) -> bool {
    turn.role == Role::User && courtesies::recognize(&turn.text, &[]).is_none()
}

/// Returns true when a question cannot be understood without an earlier one.
fn is_follow_up(question: &str, language: Language) -> bool {
    let folded = text::fold(question);
    let words_asked: Vec<_> = ranking::split_words(&folded).collect();
    // Only words of full weight name a subject: "how much" occurs in questions about anything.
    let content_words = words_asked.iter().filter(|word| stop_words::weight(word, language) >= 1.0).count();
    let opens_with = |opener: &&str| {
        let mut words = opener.split(' ');
        words_asked.len() >= words.clone().count()
            && words_asked.iter().zip(&mut words).all(|(asked, word)| *asked == word)
    };
    content_words == 0
        || FOLLOW_UP_OPENERS.iter().any(opens_with)
        || content_words <= MAX_CONTENT_WORDS_WITH_PRONOUN && words_asked.iter().any(|word| PRONOUNS.contains(word))
}

/// Returns the first [`MAX_EARLIER_QUESTION_CHARS`] characters of a question.
fn truncated(text: &str) -> &str {
    text.char_indices().nth(MAX_EARLIER_QUESTION_CHARS).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history_of(turns: &[(Role, &str)]) -> Vec<Turn> {
        turns.iter().map(|(role, text)| Turn { role: *role, text: (*text).to_owned() }).collect()
    }

    #[test]
    fn follow_up_is_joined_with_the_questions_before_it() {
        let history = history_of(&[
            (Role::User, "Quels sont vos horaires ?"),
            (Role::Assistant, "De 8 h à 18 h."),
            (Role::User, "Combien coûte la livraison à Abidjan ?"),
            (Role::Assistant, "1 500 F CFA."),
        ]);
        for follow_up in ["Et à Bouaké ?", "Combien ?", "Elle est gratuite le dimanche ?", "Pourquoi ?"] {
            let expected = format!("Combien coûte la livraison à Abidjan ? {follow_up}");
            assert_eq!(standalone_question(follow_up, Language::French, &history), expected);
        }
        let mut longer = history;
        longer.extend(history_of(&[(Role::User, "Et à Bouaké ?"), (Role::Assistant, "2 500 F CFA.")]));
        let expected = "Combien coûte la livraison à Abidjan ? Et à Bouaké ? Et le dimanche ?";
        assert_eq!(standalone_question("Et le dimanche ?", Language::French, &longer), expected);
        longer.extend(history_of(&[(Role::User, "Merci beaucoup"), (Role::Assistant, "Avec plaisir !")]));
        assert_eq!(standalone_question("Et le dimanche ?", Language::French, &longer), expected);
        let english = history_of(&[(Role::User, "Do you ship to Ghana?"), (Role::Assistant, "Yes.")]);
        for follow_up in ["What about Togo?", "How long does it take?", "And how much?"] {
            let expected = format!("Do you ship to Ghana? {follow_up}");
            assert_eq!(standalone_question(follow_up, Language::English, &english), expected);
        }
    }

    #[test]
    fn standalone_question_is_searched_unchanged() {
        let history =
            history_of(&[(Role::User, "Combien coûte la livraison à Abidjan ?"), (Role::Assistant, "1 500 F CFA.")]);
        for question in [
            "Quels sont vos horaires ?",
            "La garantie couvre-t-elle les pannes de batterie du téléphone ?",
            "Puis-je payer par carte ?",
        ] {
            assert!(
                matches!(standalone_question(question, Language::French, &history), Cow::Borrowed(_)),
                "{question}"
            );
        }
        assert_eq!(standalone_question("Et à Bouaké ?", Language::French, &[]), "Et à Bouaké ?");
    }

    #[test]
    fn earlier_questions_are_truncated_and_limited_in_number() {
        let history = history_of(&[
            (Role::User, "Première question sur la livraison"),
            (Role::User, "et ?"),
            (Role::User, "et ?"),
            (Role::User, &format!("et {}", "é".repeat(2_000))),
        ]);
        let searched = standalone_question("et alors ?", Language::French, &history);
        assert!(!searched.contains("Première"), "{searched}");
        assert_eq!(searched.chars().count(), "et ? et ?  et alors ?".len() + MAX_EARLIER_QUESTION_CHARS);
    }
}
