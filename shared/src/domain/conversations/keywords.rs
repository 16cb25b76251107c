//! Keywords of contacts, recognised by fixed lists and never by a model: stop, resume, yes, no, and a request for a
//! person. The whole message must be the keyword, except for a request for a person.

use unicode_segmentation::UnicodeSegmentation;

use crate::text;

/// Opt-out keywords that WhatsApp users commonly expect.
const STOP_KEYWORDS: &[&str] = &["stop", "arret", "arreter", "desabonner", "desinscrire", "unsubscribe"];
const RESUME_KEYWORDS: &[&str] = &["start", "reprendre", "recommencer", "resume", "subscribe"];
const YES_PHRASES: &[&str] = &[
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
const NO_PHRASES: &[&str] =
    &["non", "no", "annule", "annuler", "cancel", "non annule", "laisse tomber", "never mind", "nope"];
/// Polite phrases that are ignored before or after a yes or a no.
const POLITE_PHRASES: &[&str] =
    &["merci", "svp", "s il vous plait", "s il te plait", "please", "thanks", "thank you", "bien"];
/// Built-in keywords for a person. They count as the whole message always, because the bot's own texts tell contacts
/// to write one; they count anywhere in a message only when the tenant has configured no keywords.
const PERSON_KEYWORDS: &[&str] =
    &["humain", "conseiller", "conseillere", "vraie personne", "human", "real person", "operator"];

/// Returns true when a message asks to receive no more messages.
#[must_use]
pub fn asks_to_stop(message: &str) -> bool {
    STOP_KEYWORDS.contains(&normalize(message).as_str())
}

/// Returns true when a message asks to receive messages again.
#[must_use]
pub fn asks_to_resume(message: &str) -> bool {
    RESUME_KEYWORDS.contains(&normalize(message).as_str())
}

/// Returns true when a message is a yes and nothing else.
#[must_use]
pub fn is_yes(message: &str) -> bool {
    YES_PHRASES.contains(&without_politeness(message).as_str())
}

/// Returns true when a message is a no and nothing else.
#[must_use]
pub fn is_no(message: &str) -> bool {
    NO_PHRASES.contains(&without_politeness(message).as_str())
}

/// Returns true when a message asks for a person. It does so when it contains one of `keywords`, the tenant's own;
/// or, when the tenant has none, one of the built-in keywords; or when the whole message is a built-in keyword.
#[must_use]
pub fn asks_for_a_person(message: &str, keywords: &[String]) -> bool {
    let message = normalize(message);
    if PERSON_KEYWORDS.contains(&message.as_str()) {
        return true;
    }
    let message = format!(" {message} ");
    let contains = |keyword: &str| {
        let keyword = normalize(keyword);
        !keyword.is_empty() && message.contains(&format!(" {keyword} "))
    };
    if keywords.is_empty() {
        PERSON_KEYWORDS.iter().any(|keyword| contains(keyword))
    } else {
        keywords.iter().any(|keyword| contains(keyword))
    }
}

/// Returns the words of a message, case-folded and without accents, with single spaces between them.
fn normalize(message: &str) -> String {
    let folded = text::fold(message);
    // Contacts type apostrophes in several ways or leave them out, so they count as spaces.
    let folded = folded.replace(['\'', '’'], " ");
    folded.unicode_words().collect::<Vec<_>>().join(" ")
}

/// Returns the normalized message without polite phrases at its start and end.
fn without_politeness(message: &str) -> String {
    let mut rest = normalize(message);
    while let Some(shorter) = POLITE_PHRASES.iter().find_map(|polite| {
        let stripped = rest.strip_suffix(polite).or_else(|| rest.strip_prefix(polite))?;
        (!stripped.is_empty() && stripped.len() < rest.len()).then(|| stripped.trim().to_owned())
    }) {
        rest = shorter;
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_keyword_counts_only_as_the_whole_message() {
        for message in ["STOP", " stop. ", "Arrêt", "ARRET!", "unsubscribe"] {
            assert!(asks_to_stop(message), "{message}");
        }
        for message in ["stop talking about coffee", "bus stop", "", "ne pas arrêter"] {
            assert!(!asks_to_stop(message), "{message}");
        }
        assert!(asks_to_resume("Reprendre") && !asks_to_resume("reprendre ma commande"));
    }

    #[test]
    fn a_yes_or_no_counts_only_without_further_words() {
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
    fn a_request_for_a_person_is_matched_by_whole_words_and_own_keywords_come_first() {
        assert!(asks_for_a_person("Je veux parler à un conseiller", &[]));
        assert!(asks_for_a_person("a HUMAN please", &[]));
        assert!(!asks_for_a_person("humanity", &[]));
        let own = ["service client".to_owned(), " ".to_owned()];
        assert!(asks_for_a_person("Le Service Client, vite", &own));
        assert!(!asks_for_a_person("un conseiller", &own));
        assert!(asks_for_a_person("CONSEILLER", &own) && asks_for_a_person("human!", &own));
    }
}
