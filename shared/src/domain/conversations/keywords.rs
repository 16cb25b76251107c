//! Keywords of contacts, recognised by fixed lists and never by a model: stop, resume, yes, no, and a request for a
//! person. A keyword is the whole message, apart from politeness. A phrase that means nothing else counts anywhere in a
//! message.

use unicode_segmentation::UnicodeSegmentation;

use crate::text;

/// Opt-out keywords that WhatsApp users commonly expect.
const STOP_KEYWORDS: &[&str] = &[
    "stop",
    "arret",
    "arrete",
    "arretez",
    "arreter",
    "arretons",
    "desabonner",
    "desabonnement",
    "desabonnez",
    "desinscrire",
    "desinscription",
    "unsubscribe",
    "optout",
    "opt out",
    "stop tout",
    "stop all",
    "plus de messages",
    "no more messages",
];
/// Phrases that ask for no more messages, wherever they stand in a message that is no question.
const STOP_PHRASES: &[&str] = &[
    "me desabonner",
    "me desinscrire",
    "desabonnez moi",
    "desabonne moi",
    "desinscrivez moi",
    "desinscris moi",
    "ne m ecrivez plus",
    "ne m ecris plus",
    "ne me contactez plus",
    "ne me contacte plus",
    "arretez de m ecrire",
    "arrete de m ecrire",
    "arretez de me contacter",
    "ne veux plus de messages",
    "ne veux plus de vos messages",
    "retirez moi de votre liste",
    "retirez moi de la liste",
    "enlevez moi de votre liste",
    "enlevez moi de la liste",
    "supprimez mon numero",
    "effacez mon numero",
    "laissez moi tranquille",
    "unsubscribe me",
    "want to unsubscribe",
    "like to unsubscribe",
    "opt me out",
    "want to opt out",
    "like to opt out",
    "stop messaging me",
    "stop texting me",
    "stop writing me",
    "stop writing to me",
    "stop contacting me",
    "don t message me",
    "don t text me",
    "don t write me",
    "don t write to me",
    "don t contact me",
    "do not message me",
    "do not text me",
    "do not write to me",
    "do not contact me",
    "remove me from your list",
    "remove me from the list",
    "take me off your list",
    "take me off the list",
    "leave me alone",
];
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

/// Openings of an opt-out that must name messages: without them, the sentence may be about an order.
const STOP_SENDING: &[&str] = &[
    "ne m envoyez plus",
    "ne m envoie plus",
    "arretez de m envoyer",
    "arrete de m envoyer",
    "ne veux plus recevoir",
    "ne souhaite plus recevoir",
    "ne voudrais plus recevoir",
    "stop sending me",
    "don t send me",
    "do not send me",
];
/// Messages that an opt-out names. They follow one of [`STOP_SENDING`].
const UNWANTED: &[&str] = &[
    "de message",
    "de messages",
    "des messages",
    "ces messages",
    "vos messages",
    "rien",
    "de pub",
    "de pubs",
    "des pubs",
    "vos pubs",
    "de publicite",
    "de publicites",
    "vos publicites",
    "messages",
    "any messages",
    "any more messages",
    "these messages",
    "your messages",
    "ads",
    "your ads",
];
/// Openings of a request for a person that count beside the tenant's own keywords.
const PERSON_REQUESTS: &[&str] = &[
    "parler a",
    "parler avec",
    "parler au",
    "discuter avec",
    "echanger avec",
    "joindre",
    "passez moi",
    "passe moi",
    "mettez moi en relation avec",
    "talk to",
    "talk with",
    "speak to",
    "speak with",
    "chat with",
    "get me",
    "put me through to",
    "connect me to",
    "connect me with",
];
/// Persons that a request names. They follow one of [`PERSON_REQUESTS`].
const PERSONS: &[&str] = &[
    "quelqu un",
    "une personne",
    "une vraie personne",
    "un humain",
    "un etre humain",
    "un conseiller",
    "une conseillere",
    "un agent",
    "un employe",
    "un vendeur",
    "une vendeuse",
    "un responsable",
    "le responsable",
    "responsable",
    "la responsable",
    "le patron",
    "patron",
    "la patronne",
    "le gerant",
    "la gerante",
    "gerant",
    "le service client",
    "service client",
    "someone",
    "somebody",
    "a person",
    "a real person",
    "a human",
    "a human being",
    "an agent",
    "a live agent",
    "a representative",
    "a manager",
    "the manager",
    "your manager",
    "the boss",
    "your boss",
    "the owner",
    "customer service",
    "customer support",
    "support",
];
/// Words before a request for a person that turn it into its opposite.
const REFUSALS: &[&str] = &["pas", "plus", "jamais", "not", "t", "never"];

/// Returns true when a message asks to receive no more messages.
///
/// It does so when it is a keyword and nothing else but politeness, repeated or not; or when it has a phrase that says
/// so and no question mark.
#[must_use]
pub fn asks_to_stop(message: &str) -> bool {
    let words = without_politeness(message);
    let mut repeated = words.split(' ');
    let is_one_word = repeated.next().is_some_and(|first| repeated.all(|word| word == first));
    let keyword = if is_one_word { words.split(' ').next().unwrap_or_default() } else { words.as_str() };
    if STOP_KEYWORDS.contains(&keyword) {
        return true;
    }
    let padded = format!(" {words} ");
    let has_phrase = STOP_PHRASES.iter().any(|phrase| padded.contains(&format!(" {phrase} ")));
    let names_messages = STOP_SENDING
        .iter()
        .any(|opening| UNWANTED.iter().any(|messages| padded.contains(&format!(" {opening} {messages} "))));
    !is_question(message) && (has_phrase || names_messages)
}

/// Returns true when a message asks to receive messages again.
#[must_use]
pub fn asks_to_resume(message: &str) -> bool {
    RESUME_KEYWORDS.contains(&normalize(message).as_str())
}

/// Returns true when a message is a yes and nothing else. A question is no yes.
#[must_use]
pub fn is_yes(message: &str) -> bool {
    !is_question(message) && YES_PHRASES.contains(&without_politeness(message).as_str())
}

/// Returns true when a message is a no and nothing else. A question is no no.
#[must_use]
pub fn is_no(message: &str) -> bool {
    !is_question(message) && NO_PHRASES.contains(&without_politeness(message).as_str())
}

/// Returns true when a message asks for a person. It does so when it contains one of `keywords`, the tenant's own;
/// or, when the tenant has none, one of the built-in keywords; or when the whole message is a built-in keyword; or when
/// it asks in a sentence: "passez-moi le patron", "I want to talk to someone".
#[must_use]
pub fn asks_for_a_person(message: &str, keywords: &[String]) -> bool {
    let message = normalize(message);
    if PERSON_KEYWORDS.contains(&message.as_str()) || requests_a_person(&message) {
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

/// Returns true when a normalized message has a request that is followed by a person, and not preceded by a refusal.
fn requests_a_person(message: &str) -> bool {
    let padded = format!(" {message} ");
    PERSON_REQUESTS.iter().any(|request| {
        padded.match_indices(&format!(" {request} ")).any(|(at, found)| {
            let before = padded[..at].rsplit(' ').take(3).any(|word| REFUSALS.contains(&word));
            let after = &padded[at + found.len()..];
            !before && PERSONS.iter().any(|person| after.starts_with(&format!("{person} ")))
        })
    })
}

/// Returns true when a message has a question mark.
fn is_question(message: &str) -> bool {
    message.contains(['?', '\u{ff1f}', '\u{61f}'])
}

/// Returns the words of a message, case-folded and without accents, with single spaces between them.
fn normalize(message: &str) -> String {
    let folded = text::fold(message);
    // Contacts type apostrophes in several ways or leave them out, so they count as spaces.
    let folded = folded.replace(['\'', '’'], " ");
    folded.unicode_words().collect::<Vec<_>>().join(" ")
}

/// Returns the normalized message without polite phrases at its start and end. A message of politeness alone keeps its
/// last phrase.
fn without_politeness(message: &str) -> String {
    let mut rest = normalize(message);
    while let Some(shorter) = POLITE_PHRASES.iter().find_map(|polite| {
        let after = rest.strip_prefix(polite).and_then(|rest| rest.strip_prefix(' '));
        let before = || rest.strip_suffix(polite).and_then(|rest| rest.strip_suffix(' '));
        after.or_else(before).map(str::to_owned)
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
        for message in
            ["STOP merci", "Stop please", "stop svp", "arrêtez", "arrêtez s'il vous plaît", "stop stop", "Opt out"]
        {
            assert!(asks_to_stop(message), "{message}");
        }
        assert!(asks_to_resume("Reprendre") && !asks_to_resume("reprendre ma commande"));
    }

    #[test]
    fn an_opt_out_counts_in_the_words_that_people_use() {
        for message in [
            "Je veux me désabonner",
            "Bonjour, désabonnez-moi svp",
            "Ne m'écrivez plus !",
            "arrêtez de m’envoyer vos pubs",
            "Je ne veux plus recevoir de messages",
            "unsubscribe me please",
            "Please don't contact me again.",
            "I'd like to opt out",
        ] {
            assert!(asks_to_stop(message), "{message}");
        }
        for message in [
            "arrêtez-vous à Yopougon ?",
            "Puis-je annuler ma commande ?",
            "Comment me désabonner de la newsletter ?",
            "The bus stop in front of your shop, is it open?",
            "Je n'ai plus de messages de votre livreur",
            "Votre service est en arrêt",
            "I don't want to stop the delivery",
            "Je ne veux plus recevoir la commande, annulez",
            "Ne m'envoyez plus la robe bleue mais la rouge",
            "stop sending me the red one, I want the blue one",
        ] {
            assert!(!asks_to_stop(message), "{message}");
        }
    }

    #[test]
    fn a_request_for_a_person_counts_in_the_words_that_people_use() {
        let own = ["service après-vente".to_owned()];
        for message in [
            "Je veux parler à quelqu'un",
            "passez-moi le patron",
            "Bonjour, je voudrais parler au responsable svp",
            "I want to talk to someone",
            "Can I speak with a human being?",
            "Puis-je parler à un conseiller ?",
        ] {
            assert!(asks_for_a_person(message, &own), "{message}");
        }
        for message in [
            "Je ne veux pas parler à quelqu'un",
            "I don't want to talk to someone",
            "parler à mon mari d'abord",
            "Vous livrez à quelqu'un d'autre ?",
            "How do I join the support group?",
        ] {
            assert!(!asks_for_a_person(message, &own), "{message}");
        }
    }

    #[test]
    fn a_question_is_neither_a_yes_nor_a_no() {
        for message in ["Oui ?", "ok?", "yes?"] {
            assert!(!is_yes(message), "{message}");
        }
        assert!(!is_no("Non ?") && is_no("Non !"));
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
        assert_eq!(without_politeness("bienvenue"), "bienvenue", "a part of a word is no politeness");
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
