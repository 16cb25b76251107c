//! Keywords of contacts, recognised by fixed lists and never by a model: stop, resume, yes, no, and a request for a
//! person. A keyword is the whole message, apart from politeness. A phrase that means nothing else counts anywhere in a
//! message.

use unicode_segmentation::UnicodeSegmentation;

use crate::text;

/// Opt-out keywords that WhatsApp users commonly expect. Each is a whole message, apart from politeness.
const STOP_KEYWORDS: &str = "stop,sotp,stpo,stop tout,stop all,stopall,stop everything,stop it,stop this,stop that,\
    stop now,stop a tout,stop ca,stop pub,stop pubs,stop publicite,stop sms,stop message,stop messages,stop whatsapp,\
    stop spam,stop notifications,stop messaging,stop texting,stop sending,arret,arrete,arretez,arreter,arretons,\
    arrete tout,arretez tout,arrete ca,arretez ca,arretez cela,je veux arreter,ca suffit arretez,desabonner,\
    desabonnement,desabonnez,desabonne,se desabonner,desinscrire,desinscription,desinscris,unsubscribe,optout,opt out,\
    opt me out,quit,end,plus de message,plus de messages,plus aucun message,plus de pub,plus de pubs,no more message,\
    no more messages,no more texts,enough messages,je veux stop,stop c est bon,enlevez moi,retirez moi,supprimez moi,remove me,delete me,take me off";
/// Phrases that ask for no more messages, wherever they stand in a message that is no question.
const STOP_PHRASES: &str = "me desabonner,me desabonne,me desinscrire,me desinscris,desabonnez moi,desabonne moi,\
    desinscrivez moi,desinscris moi,ne m ecrivez plus,ne m ecris plus,m ecrivez plus,n ecrivez plus,plus m ecrire,plus me contacter,plus me deranger,plus rien recevoir,\
    ne me contactez plus,ne me contacte plus,me contactez plus,ne me derangez plus,ne me derange plus,\
    arretez de m ecrire,arrete de m ecrire,arretez de me contacter,arrete de me contacter,arretez d ecrire,\
    arreter de m ecrire,arreter de me contacter,arreter de me deranger,arretez de me deranger,arrete de me deranger,arretez de m embeter,cessez de m ecrire,cesse de m ecrire,\
    cessez de me contacter,cessez de me deranger,plus etre contacte,plus etre contactee,plus que vous m ecriviez,\
    plus que vous me contactiez,retirez moi de votre liste,retirez moi de la liste,retirez moi de vos listes,\
    retirez moi de vos contacts,enlevez moi de votre liste,enlevez moi de la liste,enlevez moi de vos contacts,\
    supprimez moi de votre liste,supprimez moi de la liste,supprimez moi de vos contacts,retirez mon numero,\
    enlevez mon numero,supprimez mon numero,supprime mon numero,effacez mon numero,efface mon numero,\
    laissez moi tranquille,laisse moi tranquille,laissez moi en paix,fichez moi la paix,foutez moi la paix,\
    unsubscribe me,unsubscribe my number,want to unsubscribe,like to unsubscribe,wish to unsubscribe,opt me out,\
    want to opt out,like to opt out,wish to opt out,stop messaging me,stop texting me,stop writing me,\
    stop writing to me,stop contacting me,stop bothering me,stop spamming,stop harassing me,\
    quit messaging me,quit texting me,don t message me,don t text me,don t write me,don t write to me,\
    don t contact me,don t bother me,never contact me again,never message me again,do not message me,do not text me,\
    do not write to me,do not contact me,do not bother me,remove me from your list,remove me from the list,\
    remove me from this list,remove me from your contacts,remove my number,delete my number,take me off your list,\
    take me off the list,take me off this list,leave me alone,no longer want to be contacted,\
    not want to be contacted,don t want to be contacted,\
    stop je ne suis pas interesse,stop je ne suis plus interesse,stop je ne suis pas interessee,\
    stop je ne suis plus interessee,stop pas interesse,stop plus interesse,pas interesse stop,plus interesse stop,\
    pas interessee stop,plus interessee stop,stop not interested,stop i m not interested,stop i am not interested,\
    not interested stop,no longer interested stop";
const RESUME_KEYWORDS: &str = "start,restart,unstop,reprendre,je veux reprendre,recommencer,je veux recommencer,resume,\
    subscribe,subscribe me,resubscribe,reabonner,reabonnement,reabonnez moi,me reabonner,je veux me reabonner";
const YES_PHRASES: &str = "oui,ouais,oue,wi,ui,yes,yep,yeah,yup,ok,okay,okey,oki,d accord,daccord,d acc,dac,\
    je confirme,je le confirme,je la confirme,je confirme la commande,je confirme ma commande,confirme,confirmer,\
    confirmez,on confirme,c est confirme,c est bon,c bon,c est ca,c est correct,c est exact,c est parfait,correct,exact,\
    exactement,valide,je valide,validez,valider,parfait,bien sur,absolument,volontiers,entendu,ca marche,ca me va,\
    allez y,vas y,avec plaisir,go,go ahead,i confirm,confirm,confirmed,that s right,that is right,of course,\
    sure,absolutely,sounds good,do it";
const NO_PHRASES: &str = "non,no,nope,nan,pas du tout,laisse tomber,laissez tomber,laisse,laissez,never mind,nevermind,\
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
/// Polite phrases that are ignored before, after and between the words of an answer.
const POLITE_PHRASES: &str = "merci,merci beaucoup,merci bien,svp,stp,s il vous plait,s il te plait,please,pls,thanks,\
    thank you,thx,bien,bonjour,bonsoir,salut,hello,hi,monsieur,madame";
/// Built-in keywords for a person. They count as the whole message always, because the bot's own texts tell contacts
/// to write one; they count anywhere in a message only when the tenant has configured no keywords.
const PERSON_KEYWORDS: &str =
    "humain,humaine,conseiller,conseillere,vraie personne,human,human being,real person,operator";

/// Persons whose mention alone, apart from politeness, asks for one: "un conseiller svp".
const PERSON_MESSAGES: &str = "un conseiller,une conseillere,un humain,une vraie personne,une personne,un agent,agent,\
    quelqu un,responsable,le responsable,un responsable,le patron,le gerant,service client,le service client,a human,\
    a human being,a person,a real person,an agent,live agent,an operator,customer service,customer support,someone";

/// Openings of an opt-out that end the sending or receiving, and must name what: without it, the sentence may be
/// about an order.
const STOP_SENDING: &str = "ne m envoyez plus,ne m envoie plus,m envoyez plus,m envoie plus,n envoyez plus,\
    arretez de m envoyer,arrete de m envoyer,arretez d envoyer,arrete d envoyer,cessez de m envoyer,\
    cesse de m envoyer,ne veux plus recevoir,veux plus recevoir,ne souhaite plus recevoir,ne voudrais plus recevoir,\
    ne desire plus recevoir,ne plus recevoir,ne plus m envoyer,plus m envoyer,arreter de m envoyer,arreter d envoyer,ne veux pas recevoir,ne souhaite pas recevoir,stop sending me,stop sending,\
    quit sending me,don t send me,do not send me,don t want to receive,do not want to receive,\
    no longer want to receive,no longer wish to receive,don t wish to receive,not wish to receive";
/// Openings of an opt-out that must name messages, because they are said of many things.
const STOP_OPENINGS: &str = "arretez,arrete,arretez avec,cessez,cesse,ne veux plus,veux plus,assez de,\
    marre de,j en ai marre de,stop a,stop aux,stop,stop with,stop all,no more,don t want,do not want,no longer want,\
    don t want any more,tired of,sick of";
/// Messages that an opt-out names. They follow one of the openings.
const MESSAGES: &str = "message,messages,de message,de messages,des messages,les messages,ces messages,ce message,des message,ces message,les message,vos message,\
    vos messages,de vos messages,tes messages,tous vos messages,tous ces messages,aucun message,sms,de sms,des sms,\
    les sms,ces sms,vos sms,de pub,de pubs,des pubs,les pubs,ces pubs,vos pubs,de vos pubs,de publicite,de publicites,\
    vos publicites,de spam,spam,vos promotions,de promotions,de promos,vos promos,vos notifications,\
    de notifications,any messages,any more messages,the messages,these messages,this message,all these messages,\
    your messages,texts,any texts,any more texts,your texts,these texts,ads,your ads,these ads,promotions,promos,\
    notifications";
/// Words that stand for any message after one of [`STOP_SENDING`].
const ANYTHING: &str = "rien,anything,anything else,anymore";
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
/// Words before a request or an opt-out that turn it into its opposite.
const REFUSALS: [&str; 6] = ["pas", "plus", "jamais", "not", "t", "never"];

/// Minimum length of a word in which one wrong letter is forgiven. Shorter words are too close to other words.
const MIN_FORGIVEN_CHARS: usize = 6;

/// Returns true when a message asks to receive no more messages.
///
/// It does so when it is a keyword and nothing else but politeness, repeated or not; or when it has a phrase that says
/// so and no question mark.
#[must_use]
pub fn asks_to_stop(message: &str) -> bool {
    if consists_of(message, &[STOP_KEYWORDS]) {
        return true;
    }
    // Many people leave the apostrophe out.
    let words = format!(" {} ", normalize(message)).replace(" dont ", " don t ");
    let has = |phrase: &str| {
        words.match_indices(&format!(" {phrase} ")).any(|(at, _)| {
            let before = words[..at].rsplit(' ').next().unwrap_or_default();
            // "Vous ne m'envoyez plus de messages" misses them.
            let is_complaint = (phrase.starts_with("ne m") && ["vous", "tu"].contains(&before))
                || (phrase.starts_with("m ") && ["ne", "n", "vous", "tu"].contains(&before));
            !is_complaint && (before == "plus" || !REFUSALS.contains(&before))
        })
    };
    let names = |openings: &str, things: &[&str]| {
        let things = || things.iter().flat_map(|things| phrases(things));
        phrases(openings)
            .filter(|opening| words.contains(&format!(" {opening} ")))
            .any(|opening| things().any(|thing| has(&format!("{opening} {thing}"))))
    };
    !is_question(message)
        && (phrases(STOP_PHRASES).any(has)
            || names(STOP_SENDING, &[MESSAGES, ANYTHING])
            || names(STOP_OPENINGS, &[MESSAGES]))
}

/// Returns true when a message asks to receive messages again.
#[must_use]
pub fn asks_to_resume(message: &str) -> bool {
    !is_question(message) && consists_of(message, &[RESUME_KEYWORDS])
}

/// Returns true when a message is a yes and nothing else. A question is no yes.
#[must_use]
pub fn is_yes(message: &str) -> bool {
    !is_question(message) && (consists_of(message, &[YES_PHRASES]) || is_emoji(message, AGREEING_EMOJI))
}

/// Returns true when a message is a no and nothing else. A question is no no.
#[must_use]
pub fn is_no(message: &str) -> bool {
    !is_question(message) && (consists_of(message, &[NO_PHRASES, CANCEL_PHRASES]) || is_emoji(message, REFUSING_EMOJI))
}

/// Returns true when a message is a yes to a proposal that cancels an order. "Annule" repeats the wish.
#[must_use]
pub fn confirms_cancellation(message: &str) -> bool {
    is_yes(message) || (!is_question(message) && consists_of(message, &[YES_PHRASES, CANCEL_PHRASES]))
}

/// Returns true when a message is a no to a proposal that cancels an order. "Non, annule" is neither a yes nor a no.
#[must_use]
pub fn declines_cancellation(message: &str) -> bool {
    !is_question(message) && (consists_of(message, &[NO_PHRASES, KEEP_PHRASES]) || is_emoji(message, REFUSING_EMOJI))
}

/// Returns true when a message asks for a person. It does so when it contains one of `keywords`, the tenant's own;
/// or, when the tenant has none, one of the built-in keywords; or when the whole message is a built-in keyword; or when
/// it asks in a sentence: "passez-moi le patron", "I want to talk to someone".
#[must_use]
pub fn asks_for_a_person(message: &str, keywords: &[String]) -> bool {
    let is_built_in = consists_of(message, &[PERSON_KEYWORDS, PERSON_MESSAGES]);
    let message = normalize(message);
    if is_built_in || requests_a_person(&message) {
        return true;
    }
    let message = format!(" {message} ");
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

/// Returns true when a normalized message has a request that is followed by a person, and not preceded by a refusal.
fn requests_a_person(message: &str) -> bool {
    let padded = format!(" {message} ");
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

/// The phrases of a list.
fn phrases(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim)
}

/// Returns true when a message consists of phrases of these lists and of politeness, with at least one of the former.
fn consists_of(message: &str, lists: &[&str]) -> bool {
    let words = normalize(message);
    let words: Vec<_> = words.split(' ').filter(|word| !word.is_empty()).collect();
    let longest = |rest: &[&str], list: &str| {
        let found = phrases(list).map(|phrase| phrase.split(' ').collect::<Vec<_>>());
        found.filter(|phrase| begins_with(rest, phrase)).map(|phrase| phrase.len()).max()
    };
    let (mut rest, mut is_said) = (words.as_slice(), false);
    while !rest.is_empty() {
        let said = lists.iter().filter_map(|list| longest(rest, list)).max();
        let polite = longest(rest, POLITE_PHRASES);
        is_said |= said.is_some();
        match said.max(polite) {
            Some(length) => rest = &rest[length..],
            None => return false,
        }
    }
    is_said
}

/// Returns true when a message consists of emoji and signs, one of which is listed.
fn is_emoji(message: &str, listed: &[char]) -> bool {
    !message.chars().any(char::is_alphanumeric) && message.contains(listed)
}

/// Returns true when the words begin with those of a phrase.
pub(super) fn begins_with(words: &[&str], phrase: &[&str]) -> bool {
    words.len() >= phrase.len() && words.iter().zip(phrase).all(|(typed, known)| is_same_word(typed, known))
}

/// Returns true when a typed word is a known one: equal, with letters held down ("merciiii"), or with one wrong letter
/// in a long word ("bonjoru").
fn is_same_word(typed: &str, known: &str) -> bool {
    typed == known
        || (typed.len() > known.len() && without_repetition(typed) == without_repetition(known))
        || (known.len() >= MIN_FORGIVEN_CHARS && is_within_one_typo(typed, known))
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

/// Returns true when a message has a question mark.
pub(super) fn is_question(message: &str) -> bool {
    message.contains(['?', '\u{ff1f}', '\u{61f}', '⁇', '⁈', '⁉', '❓', '❔', '‽'])
}

/// Returns the words of a message, case-folded and without accents, with single spaces between them.
pub(super) fn normalize(message: &str) -> String {
    let folded = text::fold(message);
    // Contacts type apostrophes in several ways or leave them out, so they count as spaces.
    let folded = folded.replace(['\'', '’'], " ");
    // "S.V.P." and "S.T.O.P" are words.
    let is_spelled = |word: &str| word.contains('.') && word.split('.').all(|letter| letter.chars().count() <= 1);
    let words =
        folded.unicode_words().map(|word| if is_spelled(word) { word.replace('.', "") } else { word.to_owned() });
    words.collect::<Vec<_>>().join(" ")
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
        assert!(asks_to_resume("Reprendre") && asks_to_resume("START please"));
        assert!(!asks_to_resume("reprendre ma commande") && !asks_to_resume("start ?"));
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
            "Bonjour, stop svp",
            "stoppp !!",
            "stop s'il te plaît",
            "Je me désabonne",
            "desabonez moi, je veux me désabonner",
            "Arrêtez vos messages svp",
            "cessez de m'écrire",
            "Je ne souhaite plus recevoir vos promotions",
            "je ne veux plus être contacté",
            "Fichez-moi la paix",
            "unsubscribe me please",
            "dont contact me",
            "No more messages please",
            "I don't want your messages anymore",
            "Please remove my number",
            "S.T.O.P s.v.p.",
            "merci de ne plus m'écrire",
            "Je ne suis pas intéressé, stop",
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
            "Je ne veux pas me désabonner",
            "please don't stop messaging me",
            "Vous ne m'envoyez plus de messages",
            "Je ne veux plus rien, annulez ma commande",
            "Où est l'arrêt de bus ?",
            "Does the bus stop near your shop?",
            "stop by tomorrow",
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
    }

    #[test]
    fn a_question_is_neither_a_yes_nor_a_no() {
        for message in ["Oui ?", "ok?", "yes?"] {
            assert!(!is_yes(message), "{message}");
        }
        assert!(!is_no("Non ?") && is_no("Non !"));
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
