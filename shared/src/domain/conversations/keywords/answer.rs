//! The answers yes and no, to an order that was proposed or to one that would be cancelled.

use super::phrases::{consists_of, is_question};

/// Words that agree and name nothing. Without a proposal, they say nothing.
const YES_WORDS: &str = "oui,ouais,oue,wi,ui,yes,yep,yeah,yup,ok,okay,okey,oki,d accord,daccord,d acc,dac,c est ca,\
    c est correct,c est exact,correct,exact,exactement,bien sur,absolument,volontiers,avec plaisir,that s right,\
    that is right,of course,sure,absolutely";
/// Phrases that agree to something: without a proposal, they are a wish that the bot has to answer.
const CONFIRMING_PHRASES: &str = "je confirme,je le confirme,je la confirme,je confirme la commande,je confirme ma commande,\
    confirme,confirmer,confirmez,on confirme,c est confirme,c est bon,c bon,c est parfait,valide,je valide,validez,\
    valider,parfait,entendu,ca marche,ca me va,allez y,vas y,go,go ahead,i confirm,confirm,confirmed,sounds good,do it";
/// Words that refuse and name nothing.
const NO_WORDS: &str = "non,no,nope,nan,pas du tout,laisse tomber,laissez tomber,laisse,laissez,never mind,nevermind,\
    pas maintenant,not now,no way";
/// Emoji that say yes when they are the whole message.
const AGREEING_EMOJI: &[char] = &['👍', '👌', '✅', '✔'];
/// Emoji that say no when they are the whole message.
const REFUSING_EMOJI: &[char] = &['👎', '❌', '🚫'];
/// Emoji that may come with a yes: they agree, thank or are glad. Any other one may doubt, joke or be angry.
const AFFIRMING_EMOJI: &[char] = &[
    '👍', '👌', '✅', '✔', '☑', '🆗', '💯', '🙏', '🤝', '👏', '🙌', '💪', '🫶', '🫡', '✌', '👋', '😊', '🙂', '😀',
    '😃', '😄', '😁', '😇', '😉', '😍', '🥰', '🤩', '🤗', '☺', '😎', '😋', '🥳', '🎉', '🎊', '✨', '⭐', '🌟', '🌹',
    '🌸', '💐', '❤', '♥', '❣', '🧡', '💛', '💚', '💙', '💜', '🤍', '🤎', '💖', '💕', '💗', '💓', '💞', '💝',
];
/// Words that cancel. They say no to a new order, and yes to a proposal to cancel one.
const CANCEL_PHRASES: &str = "annule,annuler,annulez,annulation,j annule,annule la,annulez la,annule tout,annulez tout,\
    annule ma commande,annulez ma commande,annuler ma commande,annule la commande,annulez la commande,je ne veux plus,je n en veux plus,cancel,cancel it,\
    cancel that,cancel the order,cancel my order";
/// Phrases that take back a wish. They say no to a proposal.
const CHANGES_OF_MIND: &str = "finalement non,non finalement,finalement pas,en fait non,non en fait,ah non,euh non,non c est bon,\
    plus maintenant,j ai change d avis,non j ai change d avis,finalement j ai change d avis,finalement je ne veux plus,\
    finalement je veux plus,je veux plus,je ne veux pas,je veux pas,j en veux plus,non je ne veux plus,non je veux plus,\
    non pas la peine,pas la peine,ce n est plus la peine,on laisse,on laisse tomber,on oublie,oublie,oubliez,\
    actually no,no actually,on second thought no,i changed my mind,changed my mind,no i changed my mind,\
    i don t want it anymore,i don t want it,forget it,no forget it";
/// Wishes to cancel that name an order or say who wants it. They are said of an order that exists.
const CANCEL_WISHES: &str = "je veux annuler,je voudrais annuler,je souhaite annuler,j aimerais annuler,je dois annuler,\
    je prefere annuler,il faut annuler,veuillez annuler,merci d annuler,finalement annule,finalement annulez,\
    finalement j annule,je veux annuler ma commande,je voudrais annuler ma commande,je souhaite annuler ma commande,\
    j aimerais annuler ma commande,je dois annuler ma commande,je prefere annuler ma commande,\
    veuillez annuler ma commande,merci d annuler ma commande,il faut annuler ma commande,je veux annuler la commande,\
    je voudrais annuler la commande,je souhaite annuler la commande,veuillez annuler la commande,\
    merci d annuler la commande,j annule ma commande,j annule la commande,j annule tout,annulez ma commande,\
    annuler la commande,annuler commande,annulation commande,annulation de ma commande,annulation de la commande,\
    je veux l annuler,annulez la,je ne veux plus de ma commande,je ne veux plus ma commande,\
    je ne veux plus la commande,je ne veux plus commander,je n en veux plus,i want to cancel,i want to cancel my order,\
    i would like to cancel,i would like to cancel my order,i d like to cancel,i d like to cancel my order,\
    please cancel my order,i cancel my order,i cancel,cancel order,cancel everything";
/// Words that keep an order which a proposal would cancel.
const KEEP_PHRASES: &str = "garde,gardez,garde la,gardez la,je garde,je la garde,je garde ma commande,keep it,keep the order,\
    keep my order,i keep it";

/// Returns true when a message is a yes and nothing else. A question is no yes, nor is a yes with an emoji or a sign that
/// refuses, doubts or is angry. No typo is forgiven: "valise" would order, while a yes that is not recognised costs an answer of the model.
#[must_use]
pub fn is_yes(message: &str) -> bool {
    if !has_only_affirming_signs(message) {
        return false;
    }
    (says(message, &[YES_WORDS, CONFIRMING_PHRASES]) && !message.contains(REFUSING_EMOJI))
        || is_emoji(message, AGREEING_EMOJI, REFUSING_EMOJI)
}

/// Returns true when a message is a no and nothing else. A question is no no. No typo is forgiven.
#[must_use]
pub fn is_no(message: &str) -> bool {
    says(message, &[NO_WORDS, CANCEL_PHRASES, CANCEL_WISHES, CHANGES_OF_MIND])
        || is_emoji(message, REFUSING_EMOJI, AGREEING_EMOJI)
}

/// Returns true when a message is a yes to a proposal that cancels an order. "Annule" repeats the wish.
#[must_use]
pub fn confirms_cancellation(message: &str) -> bool {
    has_only_affirming_signs(message)
        && (is_yes(message)
            || (says(message, &[YES_WORDS, CONFIRMING_PHRASES, CANCEL_PHRASES, CANCEL_WISHES])
                && !message.contains(REFUSING_EMOJI)))
}

/// Returns true when a message is a no to a proposal that cancels an order. "Non, annule" is neither a yes nor a no.
#[must_use]
pub fn declines_cancellation(message: &str) -> bool {
    says(message, &[NO_WORDS, KEEP_PHRASES, CHANGES_OF_MIND]) || is_emoji(message, REFUSING_EMOJI, AGREEING_EMOJI)
}

/// Returns true when a message is a yes or a no and names nothing: "oui", "non merci", "yes please". With nothing to answer,
/// it says nothing. "Annule" and "je confirme" are wishes, and no bare answers.
#[must_use]
pub fn is_bare_answer(message: &str) -> bool {
    says(message, &[YES_WORDS, NO_WORDS]) && !contradicts_itself(message)
}

/// Returns true when a message asks to cancel an order: "annule", "je veux annuler ma commande". A question does not.
#[must_use]
pub fn asks_to_cancel(message: &str) -> bool {
    says(message, &[CANCEL_PHRASES, CANCEL_WISHES])
}

/// Returns true when a message agrees, and refuses by an emoji: "ok 👎".
pub(crate) fn contradicts_itself(message: &str) -> bool {
    message.contains(REFUSING_EMOJI)
        && (message.contains(AGREEING_EMOJI) || says(message, &[YES_WORDS, CONFIRMING_PHRASES]))
}

/// Returns true when a message is no question and consists of these phrases, with each letter right, and of politeness.
fn says(message: &str, lists: &[&str]) -> bool {
    !is_question(message) && consists_of(message, lists, false)
}

/// Returns true when all emoji and signs of a message may come with a yes. An opening bracket may be a sad face, and a
/// zero-width joiner makes a shaking head of a smile.
fn has_only_affirming_signs(message: &str) -> bool {
    let is_affirming = |letter: char| {
        letter.is_alphanumeric()
            || letter.is_whitespace()
            || AFFIRMING_EMOJI.contains(&letter)
            || matches!(letter, '.' | ',' | ';' | ':' | '!' | '¡' | '-' | '–' | '—' | '…' | '*' | ')' | '«' | '»')
            || matches!(letter, '\'' | '"' | '`' | '´' | '’' | '‘' | 'ʼ' | '“' | '”' | '‼' | '\u{ff01}' | '。' | '、' | '，')
            // Skin colours, the form of an emoji, accents, and what phones insert unseen.
            || matches!(letter, '\u{1f3fb}'..='\u{1f3ff}' | '\u{fe0e}' | '\u{fe0f}')
            || matches!(letter, '\u{300}'..='\u{304}' | '\u{308}' | '\u{327}')
            || matches!(letter, '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2060}' | '\u{feff}')
    };
    message.chars().all(is_affirming)
}

/// Returns true when a message consists of emoji and signs, one of which is listed, and none of which is opposed. It is
/// no question.
fn is_emoji(message: &str, listed: &[char], opposed: &[char]) -> bool {
    let is_without_words = !message.chars().any(char::is_alphanumeric) && !is_question(message);
    is_without_words && message.contains(listed) && !message.contains(opposed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_neither_a_yes_nor_a_no() {
        for message in ["Oui ?", "ok?", "yes?"] {
            assert!(!is_yes(message), "{message}");
        }
        assert!(!is_no("Non ?") && is_no("Non !"));
    }

    #[test]
    fn a_word_that_resembles_an_answer_is_none() {
        for message in
            ["valise", "raccord", "accord", "étendu", "annuel", "baisse", "baissez", "caisse", "noon", "naan", "gare"]
        {
            assert!(!is_yes(message) && !is_no(message), "{message}");
            assert!(!confirms_cancellation(message) && !declines_cancellation(message), "{message}");
        }
        for message in ["ouiii", "ouii", "okkk", "ooook", "nooon", "parfaiiit", "d'accorddd", "oui madme"] {
            assert!(is_yes(message) || is_no(message), "{message}");
        }
    }

    #[test]
    fn question_marks_of_all_kinds_make_a_yes_none() {
        for mark in super::super::phrases::QUESTION_MARKS {
            for message in [format!("oui {mark}"), format!("ok{mark}"), format!("{mark} oui"), format!("👍{mark}")] {
                assert!(!is_yes(&message) && !is_no(&message) && !confirms_cancellation(&message), "{message}");
            }
        }
    }

    #[test]
    fn only_emoji_that_agree_may_come_with_a_yes() {
        for sign in [
            "🤔",
            "🤷",
            "🤷🏾‍♂️",
            "😡",
            "🤬",
            "😠",
            "😕",
            "🙄",
            "😒",
            "😂",
            "🤣",
            "😭",
            "😢",
            "😅",
            "🤨",
            "😬",
            "💔",
            "🙂‍↔️",
            "🖕",
            "✋",
            "⛔",
            "⚠️",
            ":(",
            ":/",
            ":-|",
            "#",
            "%",
            "/",
        ] {
            for message in
                [format!("oui {sign}"), format!("ok{sign}"), format!("👍 {sign}"), format!("{sign} je confirme")]
            {
                assert!(!is_yes(&message) && !confirms_cancellation(&message), "{message}");
            }
            assert!(!confirms_cancellation(&format!("annule {sign}")), "{sign}");
        }
        for message in [
            "oui 👍🏾",
            "Oui ! 🙏",
            "ok 😊",
            "oui ❤️",
            "d’accord ✅✅",
            "oui :)",
            "👍🙏",
            "oui…",
            "OK!!",
            "c’est c\u{327}a",
            "oui\u{200b}",
            "« oui »",
        ] {
            assert!(is_yes(message), "{message}");
        }
        assert!(is_no("non 😡") && is_no("non 🤷"));
    }

    #[test]
    fn a_change_of_mind_is_a_no_and_a_wish_to_cancel_is_recognised() {
        for message in
            ["finalement non", "Non finalement", "J’ai changé d’avis", "actually no", "ah non", "je veux annuler"]
        {
            assert!(is_no(message) && !is_yes(message), "{message}");
        }
        for message in [
            "annule",
            "Annuler ma commande",
            "je veux annuler ma commande",
            "Bonjour, je voudrais annuler ma commande svp",
            "annulez la commande",
            "I want to cancel my order please",
        ] {
            assert!(asks_to_cancel(message) && confirms_cancellation(message), "{message}");
        }
        for message in ["Puis-je annuler ma commande ?", "comment annuler", "non", "annuler le thé", "annuler ?"] {
            assert!(!asks_to_cancel(message), "{message}");
        }
        assert!(declines_cancellation("finalement non") && !confirms_cancellation("finalement non"));
    }

    #[test]
    fn an_emoji_that_refuses_makes_a_yes_none() {
        for message in ["👍👎", "✅❌", "ok 👎", "oui ❌"] {
            assert!(!is_yes(message) && !is_no(message) && !confirms_cancellation(message), "{message}");
            assert!(contradicts_itself(message), "{message}");
        }
        assert!(is_no("👎❌") && is_no("non ❌") && !contradicts_itself("👎") && !contradicts_itself("non ❌"));
    }

    #[test]
    fn an_answer_to_a_cancellation_repeats_it_or_keeps_the_order() {
        for message in ["oui", "Annule", "oui annulez svp", "Cancel it", "👍"] {
            assert!(confirms_cancellation(message) && !declines_cancellation(message), "{message}");
        }
        for message in ["non", "Non merci", "non gardez la", "keep it please", "👎"] {
            assert!(declines_cancellation(message) && !confirms_cancellation(message), "{message}");
        }
        for message in ["non annule", "annuler ?", "merci", "garde deux cafés"] {
            assert!(!confirms_cancellation(message) && !declines_cancellation(message), "{message}");
        }
        assert!(is_no("Annulez tout") && !is_yes("annule"));
    }

    #[test]
    fn a_yes_or_no_counts_only_without_further_words() {
        for message in [
            "Oui",
            "oui merci !",
            "OK",
            "D'accord",
            "d’accord svp",
            "Je confirme.",
            "Yes, please",
            "oui\nmerci",
            "ouiii",
            "oui oui",
            "Oui, c’est bon, merci beaucoup",
            "👍🏾",
            "✅",
        ] {
            assert!(is_yes(message), "{message}");
        }
        for message in ["oui mais deux cafés", "oui ?? combien", "ouistiti", "", "merci", "non", "ok 3"] {
            assert!(!is_yes(message), "{message}");
        }
        for message in ["Non", "non merci", "Annule", "No, thanks"] {
            assert!(is_no(message), "{message}");
        }
        assert!(!is_no("non, plutôt deux") && !is_no("notre"));
        assert!(!is_yes("oui bienvenue"), "a part of a word is no politeness");
    }

    #[test]
    fn a_bare_answer_names_nothing() {
        for message in [
            "oui",
            "OUI !",
            "ouiii",
            "Oui merci beaucoup",
            "ok",
            "yes please",
            "non",
            "Nope",
            "bonjour, oui",
            "oui oui",
        ] {
            assert!(is_bare_answer(message), "{message}");
        }
        for message in [
            "oui ?",
            "oui 👎",
            "je confirme",
            "annule",
            "je ne veux plus",
            "oui deux cafés",
            "valider",
            "merci",
            "",
            "non, plutôt deux",
            "go",
        ] {
            assert!(!is_bare_answer(message), "{message}");
        }
    }
}
