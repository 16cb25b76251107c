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
/// Words that cancel. They say no to a new order, and yes to a proposal to cancel one.
const CANCEL_PHRASES: &str = "annule,annuler,annulez,annulation,j annule,annule la,annulez la,annule tout,annulez tout,\
    annule ma commande,annulez ma commande,annuler ma commande,annule la commande,annulez la commande,je ne veux plus,je n en veux plus,cancel,cancel it,\
    cancel that,cancel the order,cancel my order";
/// Words that keep an order which a proposal would cancel.
const KEEP_PHRASES: &str = "garde,gardez,garde la,gardez la,je garde,je la garde,je garde ma commande,keep it,keep the order,\
    keep my order,i keep it";

/// Returns true when a message is a yes and nothing else. A question is no yes, nor is a yes with an emoji that
/// refuses. No typo is forgiven: "valise" would order, while a yes that is not recognised costs an answer of the model.
#[must_use]
pub fn is_yes(message: &str) -> bool {
    (says(message, &[YES_WORDS, CONFIRMING_PHRASES]) && !message.contains(REFUSING_EMOJI))
        || is_emoji(message, AGREEING_EMOJI, REFUSING_EMOJI)
}

/// Returns true when a message is a no and nothing else. A question is no no. No typo is forgiven.
#[must_use]
pub fn is_no(message: &str) -> bool {
    says(message, &[NO_WORDS, CANCEL_PHRASES]) || is_emoji(message, REFUSING_EMOJI, AGREEING_EMOJI)
}

/// Returns true when a message is a yes to a proposal that cancels an order. "Annule" repeats the wish.
#[must_use]
pub fn confirms_cancellation(message: &str) -> bool {
    is_yes(message)
        || (says(message, &[YES_WORDS, CONFIRMING_PHRASES, CANCEL_PHRASES]) && !message.contains(REFUSING_EMOJI))
}

/// Returns true when a message is a no to a proposal that cancels an order. "Non, annule" is neither a yes nor a no.
#[must_use]
pub fn declines_cancellation(message: &str) -> bool {
    says(message, &[NO_WORDS, KEEP_PHRASES]) || is_emoji(message, REFUSING_EMOJI, AGREEING_EMOJI)
}

/// Returns true when a message is a yes or a no and names nothing: "oui", "non merci", "yes please". With nothing to answer,
/// it says nothing. "Annule" and "je confirme" are wishes, and no bare answers.
#[must_use]
pub fn is_bare_answer(message: &str) -> bool {
    says(message, &[YES_WORDS, NO_WORDS]) && !contradicts_itself(message)
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
