//! Words of a contact that are judged by the product itself, never by a model: leave me alone, answer me again, yes, no,
//! a person please. Only a message that says nothing else counts, but for the last.

use unicode_segmentation::UnicodeSegmentation;

use crate::text;

/// What every WhatsApp user may expect to work.
const STOP: &[&str] = &["stop", "arret", "arreter", "desabonner", "desinscrire", "unsubscribe"];
const RESUME: &[&str] = &["start", "reprendre", "recommencer", "resume", "subscribe"];
const YES: &[&str] = &[
    "oui",
    "ouais",
    "yes",
    "yep",
    "ok",
    "okay",
    "d accord",
    "je confirme",
    "confirme",
    "confirmer",
    "c est bon",
    "valide",
    "je valide",
    "i confirm",
    "confirm",
    "parfait",
    "go",
    "oui ok",
    "oui je confirme",
    "oui c est bon",
    "oui d accord",
    "yes please",
    "ok je confirme",
    "oui parfait",
    "yes i confirm",
];
const NO: &[&str] = &["non", "no", "annule", "annuler", "cancel", "non annule", "laisse tomber", "never mind", "nope"];
/// Said before or after a yes or a no without changing it.
const POLITE: &[&str] = &["merci", "svp", "s il vous plait", "s il te plait", "please", "thanks", "thank you", "bien"];
/// Anywhere in a message where the tenant has configured none, and always as the whole message: the bot says to write one.
const PERSON: &[&str] = &["humain", "conseiller", "conseillere", "vraie personne", "human", "real person", "operator"];

/// Whether a message asks to be left alone.
#[must_use]
pub fn asks_to_stop(message: &str) -> bool {
    STOP.contains(&plain(message).as_str())
}

/// Whether a message asks to be answered again.
#[must_use]
pub fn asks_to_resume(message: &str) -> bool {
    RESUME.contains(&plain(message).as_str())
}

/// Whether a message says yes, and nothing else.
#[must_use]
pub fn is_yes(message: &str) -> bool {
    YES.contains(&bare(message).as_str())
}

/// Whether a message says no, and nothing else.
#[must_use]
pub fn is_no(message: &str) -> bool {
    NO.contains(&bare(message).as_str())
}

/// Whether a message asks for a person, by one of these words, or by one that anybody uses: anywhere in it where there are
/// none of the tenant's own, else as all that it says.
#[must_use]
pub fn asks_for_a_person(message: &str, keywords: &[String]) -> bool {
    let message = plain(message);
    if PERSON.contains(&message.as_str()) {
        return true;
    }
    let message = format!(" {message} ");
    let says = |keyword: &str| {
        let keyword = plain(keyword);
        !keyword.is_empty() && message.contains(&format!(" {keyword} "))
    };
    if keywords.is_empty() {
        PERSON.iter().any(|keyword| says(keyword))
    } else {
        keywords.iter().any(|word| says(word))
    }
}

/// Folded words with single spaces between them.
fn plain(message: &str) -> String {
    let folded = text::fold(message);
    // An apostrophe joins words here, but is typed in many ways, or not at all.
    let folded = folded.replace(['\'', '’'], " ");
    folded.unicode_words().collect::<Vec<_>>().join(" ")
}

/// Without the words that are only polite.
fn bare(message: &str) -> String {
    let mut bare = plain(message);
    while let Some(shorter) = POLITE.iter().find_map(|polite| {
        let rest = bare.strip_suffix(polite).or_else(|| bare.strip_prefix(polite))?;
        (!rest.is_empty() && rest.len() < bare.len()).then(|| rest.trim().to_owned())
    }) {
        bare = shorter;
    }
    bare
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_word_itself_stops() {
        for message in ["STOP", " stop. ", "Arrêt", "ARRET!", "unsubscribe"] {
            assert!(asks_to_stop(message), "{message}");
        }
        for message in ["stop talking about coffee", "bus stop", "", "ne pas arrêter"] {
            assert!(!asks_to_stop(message), "{message}");
        }
        assert!(asks_to_resume("Reprendre") && !asks_to_resume("reprendre ma commande"));
    }

    #[test]
    fn a_yes_is_a_yes_and_nothing_more() {
        for message in
            ["Oui", "oui merci !", "OK", "D'accord", "d’accord svp", "Je confirme.", "Yes, please", "oui\nmerci"]
        {
            assert!(is_yes(message), "{message}");
        }
        for message in ["oui mais deux cafés", "oui ?? combien", "ouistiti", "", "merci", "non", "ok 3"] {
            assert!(!is_yes(message), "{message}");
        }
        for message in ["Non", "non merci", "Annule", "No, thanks"] {
            assert!(is_no(message), "{message}");
        }
        assert!(!is_no("non, plutôt deux") && !is_no("notre"));
    }

    #[test]
    fn a_person_is_asked_for_in_whole_words() {
        assert!(asks_for_a_person("Je veux parler à un conseiller", &[]));
        assert!(asks_for_a_person("a HUMAN please", &[]));
        assert!(!asks_for_a_person("humanity", &[]));
        let own = ["service client".to_owned(), " ".to_owned()];
        assert!(asks_for_a_person("Le Service Client, vite", &own));
        assert!(!asks_for_a_person("un conseiller", &own));
        assert!(asks_for_a_person("CONSEILLER", &own) && asks_for_a_person("human!", &own));
    }
}
