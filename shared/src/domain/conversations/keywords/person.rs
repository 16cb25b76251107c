//! Requests for a person in place of the bot.

use super::phrases::{REFUSALS, consists_of, is_question, normalize, phrases};

/// Built-in keywords for a person. They count as the whole message always, because the bot's own texts tell contacts
/// to write one; they count anywhere in a message, where they are no mention, only when the tenant has configured no
/// keywords.
const PERSON_KEYWORDS: &str = "humain,humaine,conseiller,conseillere,vraie personne,human,human being,real person";

/// Persons whose mention alone, apart from politeness, asks for one: "un conseiller svp".
const PERSON_MESSAGES: &str = "un conseiller,une conseillere,un humain,une vraie personne,une personne,un agent,agent,\
    quelqu un,quelqu un svp,qqn,personne,person,somebody,operator,operateur,operatrice,un operateur,une operatrice,\
    conseillers,agents,un conseiller humain,un agent humain,responsable,le responsable,un responsable,le patron,le gerant,service client,le service client,a human,\
    a human being,a person,a real person,an agent,live agent,an operator,customer service,customer support,someone";
/// Openings and endings of a question whether anybody is there, which together are the whole message.
const PRESENCE_OPENINGS: &str = "y a t il quelqu un,y a t il qqn,y a t il une personne,il y a quelqu un,il y a qqn,il y a une personne,\
    y a quelqu un,y a qqn,ya quelqu un,ya qqn,ya kelkun,y a kelkun,est ce qu il y a quelqu un,est ce qu il y a qqn,\
    c est quelqu un,quelqu un,qqn,kelkun,is anyone,is anybody,is someone,is somebody,is there anyone,is there anybody,\
    is there someone,is there somebody,anyone,anybody,someone,somebody,can anyone,can anybody,can someone,can somebody,\
    could someone,could somebody,est ce que quelqu un,personne";
const PRESENCE_ENDINGS: &str = "la,ici,en ligne,de disponible,disponible,au bout,au bout du fil,qui repond,qui peut repondre,\
    qui peut me repondre,qui peut m aider,peut me repondre,peut repondre,peut m aider,peut me parler,\
    peut me renseigner,peut s occuper de moi,pourrait me repondre,pourrait m aider,pour me repondre,pour repondre,\
    pour m aider,pour me renseigner,est la,est la bas,me repond,ne me repond,ne repond,me repondre,there,here,online,\
    available,answer,answer me,help,help me,reply,reply to me,talk to me,to answer,to answer me,to help,to help me";
/// Requests to be called, wherever they stand in a message.
const CALL_REQUESTS: &str = "appelez moi,appelle moi,appeler moi,appele moi,apelez moi,apelle moi,rappelez moi,rappelle moi,\
    rappeler moi,rapelez moi,rapelle moi,telephonez moi,telephone moi,contactez moi,contacte moi,recontactez moi,\
    joignez moi,qu on m appelle,qu on me rappelle,qu on me contacte,qu on me recontacte,que vous m appeliez,\
    que vous me rappeliez,que vous me contactiez,que quelqu un m appelle,que quelqu un me rappelle,\
    vous pouvez m appeler,vous pouvez me rappeler,pouvez vous m appeler,pouvez vous me rappeler,pouvez vous me contacter,\
    peux tu m appeler,tu peux m appeler,peut on m appeler,peut on me rappeler,pourriez vous m appeler,\
    pourriez vous me rappeler,merci de m appeler,merci de me rappeler,merci de me contacter,veuillez m appeler,\
    veuillez me rappeler,veuillez me contacter,etre appele,etre rappele,etre appelee,etre rappelee,etre recontacte,\
    etre recontactee,un rappel telephonique,call me,call me back,phone me,ring me,give me a call,give me a ring,\
    call me at,call me on,need a call,want a call,like a call,need a callback,want a callback,like to be called";
/// Requests for somebody who takes a complaint, wherever they stand in a message that is no question.
const COMPLAINTS: &str = "me plaindre,porter plainte,deposer plainte,deposer une plainte,faire une plainte,j ai une plainte,\
    ai une reclamation,faire une reclamation,deposer une reclamation,poser une reclamation,une reclamation a faire,\
    to complain,have a complaint,make a complaint,file a complaint,lodge a complaint,got a complaint";
/// Questions whether a bot answers. Each is the whole message, apart from politeness.
const BOT_QUESTIONS: &str = "vous etes un robot,vous etes un bot,vous etes une machine,vous etes une ia,vous etes une intelligence artificielle,\
    vous etes un humain,vous etes humain,vous etes une personne,vous etes une vraie personne,vous etes une personne reelle,\
    vous etes un etre humain,vous etes reel,vous etes chatgpt,vous etes un robot ou un humain,\
    vous etes un humain ou un robot,vous etes un robot ou une personne,etes vous un robot,etes vous un bot,\
    etes vous une machine,etes vous une ia,etes vous un humain,etes vous humain,etes vous une personne,\
    etes vous une vraie personne,etes vous un etre humain,etes vous reel,etes vous un robot ou un humain,\
    est ce que vous etes un robot,est ce que vous etes un bot,est ce que vous etes un humain,\
    est ce que vous etes une personne,est ce que vous etes une vraie personne,tu es un robot,tu es un bot,tu es une ia,\
    tu es une machine,tu es un humain,tu es humain,tu es une vraie personne,tu es une personne,es tu un robot,es tu un bot,\
    es tu une ia,es tu un humain,es tu humain,es tu une vraie personne,t es un robot,t es un bot,t es une ia,t es un humain,\
    c est un robot,c est un bot,c est une machine,c est une ia,c est un robot qui repond,c est un robot qui me repond,\
    c est un humain,c est un humain qui repond,c est une vraie personne,c est une personne qui repond,est ce un robot,\
    est ce un bot,est ce un humain,est ce que c est un robot,est ce que c est un bot,est ce que c est une machine,\
    je parle a un robot,je parle a un bot,je parle a une machine,je parle a un humain,je parle a une vraie personne,\
    je parle a une personne,je parle a un robot ou a une personne,je parle a un robot ou a un humain,\
    je parle avec un robot,je parle avec un humain,est ce que je parle a un robot,est ce que je parle a un humain,\
    est ce que je parle a une personne,est ce que je parle a une vraie personne,je discute avec un robot,robot,un robot,\
    bot,un bot,vous etes qui,qui etes vous,tu es qui,qui es tu,c est qui,qui parle,a qui je parle,a qui ai je affaire,\
    are you a robot,are you a bot,are you a machine,are you an ai,are you ai,are you human,are you a human,\
    are you a person,are you a real person,are you real,are you a robot or a human,are you a bot or a human,\
    am i talking to a robot,am i talking to a bot,am i talking to a human,am i talking to a person,\
    am i talking to a real person,am i speaking to a robot,am i chatting with a bot,is this a bot,is this a robot,\
    is this a human,is this a real person,is it a bot,is it a robot,who are you,who is this,who am i talking to,\
    you are a robot,you are a bot,you re a bot,you re a robot";
/// Openings of a request for a person that count beside the tenant's own keywords.
const PERSON_REQUESTS: &str = "veu parle a,veux parle a,voudrai parle a,voudrais parle a,voudrait parle a,peu parle a,peux parle a,\
    veu parle avec,veux parle avec,veu parlai a,veux parlai a,parlez a,parler a,parler avec,parler au,discuter avec,echanger avec,joindre,contacter,passez moi,\
    passe moi,mettez moi en relation avec,mettez moi en contact avec,mettez moi en ligne avec,en relation avec,\
    en contact avec,talk to,talk with,speak to,speak with,chat with,get me,put me through to,connect me to,\
    connect me with,transfer me to";
/// Openings of a request for a person that are said of many things: the person is named with an article.
const WISHES: &str = "avoir,voir,donnez moi,appelez moi,appelez,besoin d,je veux,je voudrais,je souhaite,je prefere,\
    give me,i need,i want,i would like,i d like,i prefer";
/// Persons that a request names. They follow one of [`PERSON_REQUESTS`] or [`WISHES`].
const PERSONS: &str = "kelkun,kelk un,kelkin,kelqun,kelqu un,quelqun,quelquun,quelcun,quelquin,quelques un,qqun,qq1,qlqn,\
    quelqu un,qqn,qlq un,une personne,une personne reelle,une vraie personne,un humain,un vrai humain,\
    un etre humain,humain,un conseiller,une conseillere,votre conseiller,un agent,un vrai agent,un employe,un vendeur,\
    une vendeuse,un commercial,un responsable,le responsable,votre responsable,responsable,la responsable,le patron,\
    votre patron,ton patron,le boss,votre boss,ton boss,patron,la patronne,le chef,votre chef,le gerant,la gerante,votre gerant,gerant,le directeur,\
    la directrice,un manager,le manager,le service client,votre service client,service client,le service clientele,\
    un operateur,une operatrice,someone,somebody,a person,a real person,a live person,a human,a human being,\
    a real human,an agent,a live agent,a real agent,an operator,a representative,a manager,the manager,your manager,\
    the boss,your boss,the owner,customer service,customer support,customer care,support";
/// Names of goods that contain a word for a person, each with its replacement before keywords are searched.
const PERSONAL_GOODS: [(&str, &str); 3] =
    [(" human hair ", " hair "), (" cheveux humain ", " cheveux "), (" cheveu humain ", " cheveu ")];

/// Words after a keyword that report about a person instead of asking for one: "votre conseiller m'a dit".
const REPORTS: [&str; 18] = [
    "m", "ma", "a", "as", "avait", "etait", "dit", "disait", "t", "ta", "nous", "told", "said", "says", "was", "had",
    "has", "hier",
];
/// Words before a keyword that tell of a person: "j'ai vu un conseiller".
const ENCOUNTERS: &str = "j ai vu,j ai eu,j ai parle a,j ai parle avec,j ai rencontre,j ai contacte,j ai appele,j ai deja vu,j ai deja eu,\
    j ai deja parle a,on a vu,on a eu,selon,d apres,par,i saw,i met,i spoke to,i spoke with,i talked to,i called,\
    according to,by";

/// Returns true when a message asks for a person. It does so when it contains one of `keywords`, the tenant's own;
/// or, when the tenant has none, one of the built-in keywords; or when the whole message is a built-in keyword; or when
/// it asks in a sentence: "passez-moi le patron", "I want to talk to someone", "rappelez-moi"; or when it complains, or
/// asks whether anybody is there. A keyword in a report is a mention and no request: "votre conseiller m'a dit…".
#[must_use]
pub fn asks_for_a_person(message: &str, keywords: &[String]) -> bool {
    let is_question = is_question(message);
    let is_built_in = consists_of(message, &[PERSON_KEYWORDS, PERSON_MESSAGES], true) || asks_for_presence(message);
    let mut message = format!(" {} ", normalize(message));
    for (goods, other) in PERSONAL_GOODS {
        message = message.replace(goods, other);
    }
    let complains = || !is_question && phrases(COMPLAINTS).any(|complaint| is_said(&message, complaint));
    if is_built_in || requests_a_person(&message) || requests_a_call(&message) || complains() {
        return true;
    }
    let contains = |keyword: &str| {
        let keyword = normalize(keyword);
        let is_request = |(at, found): (usize, &str)| !is_mention(&message[..at], &message[at + found.len()..]);
        !keyword.is_empty() && message.match_indices(&format!(" {keyword} ")).any(is_request)
    };
    if keywords.is_empty() {
        phrases(PERSON_KEYWORDS).any(contains)
    } else {
        keywords.iter().any(|keyword| contains(keyword))
    }
}

/// Returns true when a message asks whether a bot answers, or who does: "vous êtes un robot ?".
#[must_use]
pub fn asks_whether_a_bot_answers(message: &str) -> bool {
    let is_short = ["robot", "un robot", "bot", "un bot"].contains(&normalize(message).as_str());
    (!is_short || is_question(message)) && consists_of(message, &[BOT_QUESTIONS], false)
}

/// Returns true when the words around a keyword tell of a person, whom the contact does not ask for.
fn is_mention(before: &str, after: &str) -> bool {
    const ARTICLES: [&str; 9] = [" un", " une", " le", " la", " votre", " vos", " a", " the", " your"];
    let next = after.split(' ').next().unwrap_or_default();
    let before = ARTICLES.iter().find_map(|article| before.strip_suffix(article)).unwrap_or(before);
    REPORTS.contains(&next) || phrases(ENCOUNTERS).any(|met| before.ends_with(&format!(" {met}")))
}

/// Returns true when a message asks whether anybody is there, and nothing else.
fn asks_for_presence(message: &str) -> bool {
    const CALLS: &str = "allo,alo,alloo";
    consists_of(message, &[PRESENCE_OPENINGS, PRESENCE_ENDINGS, CALLS], false)
        && !consists_of(message, &[PRESENCE_ENDINGS, CALLS], false)
}

/// Returns true when a normalized message, between spaces, has a phrase that no refusal stands beside.
fn is_said(padded: &str, phrase: &str) -> bool {
    padded.match_indices(&format!(" {phrase} ")).any(|(at, found)| {
        let is_refused = padded[..at].rsplit(' ').take(3).any(|word| REFUSALS.contains(&word));
        let next = padded[at + found.len()..].split(' ').next().unwrap_or_default();
        !is_refused && !["pas", "plus", "jamais"].contains(&next)
    })
}

/// Returns true when a normalized message, between spaces, asks for a call.
fn requests_a_call(padded: &str) -> bool {
    phrases(CALL_REQUESTS).any(|request| is_said(padded, request))
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
    fn requests_for_a_call_complaints_and_calls_into_the_void_ask_for_a_person() {
        let own = ["service après-vente".to_owned()];
        for message in [
            "Appelez-moi",
            "Rappelez moi au 0707070707",
            "je voudrais qu'on m'appelle",
            "Pouvez-vous me rappeler svp ?",
            "call me back please",
            "Y a-t-il quelqu'un ?",
            "Il y a quelqu’un ?",
            "Quelqu'un peut me répondre ?",
            "allô y a quelqu'un",
            "is anyone there?",
            "Can someone help me?",
            "je veu parlé a kelkun",
            "je veux parler a kelkun",
            "operateur",
            "Opérateur svp",
            "Je veux me plaindre",
            "J’ai une réclamation",
            "I want to complain",
            "personne",
        ] {
            assert!(asks_for_a_person(message, &own) && asks_for_a_person(message, &[]), "{message}");
        }
        for message in [
            "Votre conseiller m'a dit 3000 FCFA, c'est vrai ?",
            "Un conseiller m’avait dit 3000",
            "j'ai vu un conseiller hier",
            "Quel opérateur mobile acceptez-vous ?",
            "Je m'appelle Awa",
            "Ne m'appelez plus",
            "ne m'appelez pas, écrivez",
            "Appelez-moi pas",
            "Comment faire une réclamation ?",
            "Pour combien de personnes ?",
            "Le livreur appelle avant ?",
            "vous êtes un robot ?",
            "Y a-t-il quelqu'un à la boutique le dimanche ?",
        ] {
            assert!(!asks_for_a_person(message, &[]) && !asks_for_a_person(message, &own), "{message}");
        }
        assert!(asks_for_a_person("besoin d'un conseiller vite", &[]));
    }

    #[test]
    fn a_question_for_the_bot_itself_is_recognised() {
        for message in
            ["vous êtes un robot ?", "Es-tu un humain ?", "Bonjour, je parle à un robot ?", "are you a bot?", "robot ?"]
        {
            assert!(asks_whether_a_bot_answers(message), "{message}");
        }
        for message in ["robot", "robot de cuisine ?", "vous êtes où ?", "vous êtes ouvert ?", "", "je veux un robot"]
        {
            assert!(!asks_whether_a_bot_answers(message), "{message}");
        }
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
