//! Requests for a person in place of the bot.

use super::phrases::{REFUSALS, consists_of, normalize, phrases};

/// Built-in keywords for a person. They count as the whole message always, because the bot's own texts tell contacts
/// to write one; they count anywhere in a message only when the tenant has configured no keywords.
const PERSON_KEYWORDS: &str =
    "humain,humaine,conseiller,conseillere,vraie personne,human,human being,real person,operator";

/// Persons whose mention alone, apart from politeness, asks for one: "un conseiller svp".
const PERSON_MESSAGES: &str = "un conseiller,une conseillere,un humain,une vraie personne,une personne,un agent,agent,\
    quelqu un,responsable,le responsable,un responsable,le patron,le gerant,service client,le service client,a human,\
    a human being,a person,a real person,an agent,live agent,an operator,customer service,customer support,someone";
/// Openings of a request for a person that count beside the tenant's own keywords.
const PERSON_REQUESTS: &str = "parler a,parler avec,parler au,discuter avec,echanger avec,joindre,contacter,passez moi,\
    passe moi,mettez moi en relation avec,mettez moi en contact avec,mettez moi en ligne avec,en relation avec,\
    en contact avec,talk to,talk with,speak to,speak with,chat with,get me,put me through to,connect me to,\
    connect me with,transfer me to";
/// Openings of a request for a person that are said of many things: the person is named with an article.
const WISHES: &str = "avoir,voir,donnez moi,appelez moi,appelez,besoin d,je veux,je voudrais,je souhaite,je prefere,\
    give me,i need,i want,i would like,i d like,i prefer";
/// Persons that a request names. They follow one of [`PERSON_REQUESTS`] or [`WISHES`].
const PERSONS: &str = "quelqu un,qqn,qlq un,une personne,une personne reelle,une vraie personne,un humain,un vrai humain,\
    un etre humain,humain,un conseiller,une conseillere,votre conseiller,un agent,un vrai agent,un employe,un vendeur,\
    une vendeuse,un commercial,un responsable,le responsable,votre responsable,responsable,la responsable,le patron,\
    votre patron,ton patron,le boss,votre boss,ton boss,patron,la patronne,le chef,votre chef,le gerant,la gerante,votre gerant,gerant,le directeur,\
    la directrice,un manager,le manager,le service client,votre service client,service client,le service clientele,\
    un operateur,une operatrice,someone,somebody,a person,a real person,a live person,a human,a human being,\
    a real human,an agent,a live agent,a real agent,an operator,a representative,a manager,the manager,your manager,\
    the boss,your boss,the owner,customer service,customer support,customer care,support";
/// Goods whose name has the word for a person, and what is read in place of it.
const PERSONAL_GOODS: [(&str, &str); 3] =
    [(" human hair ", " hair "), (" cheveux humain ", " cheveux "), (" cheveu humain ", " cheveu ")];

/// Returns true when a message asks for a person. It does so when it contains one of `keywords`, the tenant's own;
/// or, when the tenant has none, one of the built-in keywords; or when the whole message is a built-in keyword; or when
/// it asks in a sentence: "passez-moi le patron", "I want to talk to someone".
#[must_use]
pub fn asks_for_a_person(message: &str, keywords: &[String]) -> bool {
    let is_built_in = consists_of(message, &[PERSON_KEYWORDS, PERSON_MESSAGES], true);
    let mut message = format!(" {} ", normalize(message));
    for (goods, other) in PERSONAL_GOODS {
        message = message.replace(goods, other);
    }
    if is_built_in || requests_a_person(&message) {
        return true;
    }
    let contains = |keyword: &str| {
        let keyword = normalize(keyword);
        !keyword.is_empty() && message.contains(&format!(" {keyword} "))
    };
    if keywords.is_empty() {
        phrases(PERSON_KEYWORDS).any(contains)
    } else {
        keywords.iter().any(|keyword| contains(keyword))
    }
}

/// Returns true when a normalized message, between spaces, has a request that is followed by a person, and not preceded
/// by a refusal.
fn requests_a_person(padded: &str) -> bool {
    let names = |opening: &str, is_wish: bool| {
        padded.match_indices(&format!(" {opening} ")).any(|(at, found)| {
            let before = padded[..at].rsplit(' ').take(3).any(|word| REFUSALS.contains(&word));
            let after = &padded[at + found.len()..];
            let named = |person: &str| {
                let rest = after.strip_prefix(person).and_then(|rest| rest.strip_prefix(' '));
                // "Le patron de couture" and "an agent for stains" are goods.
                let is_thing =
                    |rest: &str| ["de", "d", "for", "of"].contains(&rest.split(' ').next().unwrap_or_default());
                rest.is_some_and(|rest| !is_wish || (person.contains(' ') && !is_thing(rest)))
            };
            !before && phrases(PERSONS).any(named)
        })
    };
    phrases(PERSON_REQUESTS).any(|opening| names(opening, false)) || phrases(WISHES).any(|opening| names(opening, true))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            "CONSEILLER svp",
            "human please",
            "conseiler",
            "Mettez-moi en contact avec votre responsable",
            "je voudrais avoir quelqu’un au téléphone",
            "Je veux un vrai humain",
            "I need a real person",
            "Passe-moi le chef stp",
        ] {
            assert!(asks_for_a_person(message, &own), "{message}");
        }
        for message in [
            "Je ne veux pas parler à quelqu'un",
            "I don't want to talk to someone",
            "parler à mon mari d'abord",
            "Vous livrez à quelqu'un d'autre ?",
            "How do I join the support group?",
            "I need support for my old phone",
            "Je voudrais le patron de couture",
            "je ne veux pas d'un humain",
        ] {
            assert!(!asks_for_a_person(message, &own), "{message}");
        }
        for message in ["I want a human hair wig", "get me a human hair wig", "perruque human hair", "Human hair ?"] {
            assert!(!asks_for_a_person(message, &own) && !asks_for_a_person(message, &[]), "{message}");
        }
        assert!(asks_for_a_person("get me a human", &[]));
    }

    #[test]
    fn a_request_for_a_person_is_matched_by_whole_words_and_own_keywords_come_first() {
        assert!(asks_for_a_person("Je veux parler à un conseiller", &[]));
        assert!(asks_for_a_person("a HUMAN please", &[]));
        assert!(!asks_for_a_person("humanity", &[]));
        let own = ["service client".to_owned(), " ".to_owned()];
        assert!(asks_for_a_person("Le Service Client, vite", &own));
        assert!(!asks_for_a_person("j'ai vu un conseiller", &own) && asks_for_a_person("un conseiller svp", &own));
        assert!(asks_for_a_person("CONSEILLER", &own) && asks_for_a_person("human!", &own));
    }
}
