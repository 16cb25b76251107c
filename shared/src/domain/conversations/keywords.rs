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
    no more messages,no more texts,enough messages,je veux stop,stop c est bon,enlevez moi,retirez moi,supprimez moi,remove me,delete me,take me off,\
    arretez de m envoyer ca,arrete de m envoyer ca,arretez de m envoyer cela,cessez de m envoyer ca,\
    stop sending me this,stop sending me that,stop sending this,ne m envoyez plus,ne m envoie plus,ne m envoyez plus ca,\
    je ne veux pas de message,je ne veux pas de messages,je veux pas de message,je veux pas de messages,\
    je ne veux pas de vos messages,je ne veux pas de pub,je ne veux pas de pubs,je veux pas de pub,je veux pas de pubs,\
    je ne veux pas de publicite,je ne veux pas de vos pubs,pas de message,pas de messages,pas de pub,pas de pubs,\
    pas de publicite,stop trop de message,stop trop de messages,stop trop de pub,stop trop de pubs,\
    trop de messages stop,trop de message stop,trop de pub stop,stop too many messages,too many messages stop";
/// Phrases that ask for no more messages, wherever they stand in a message that is no question.
const STOP_PHRASES: &str = "me desabonner,me desabonne,me desinscrire,me desinscris,desabonnez moi,desabonne moi,\
    desinscrivez moi,desinscris moi,ne m ecrivez plus,ne m ecris plus,m ecrivez plus,n ecrivez plus,plus m ecrire,plus me contacter,plus me deranger,plus rien recevoir,\
    ne me contactez plus,ne me contacte plus,me contactez plus,ne me derangez plus,ne me derange plus,\
    arretez de m ecrire,arrete de m ecrire,arretez de me contacter,arrete de me contacter,arretez d ecrire,\
    arreter de m ecrire,arreter de me contacter,arreter de me deranger,arretez de me deranger,arrete de me deranger,arretez de m embeter,arrete de m embeter,\
    arretez de me harceler,arrete de me harceler,arreter de me harceler,cessez de me harceler,cesse de me harceler,\
    cessez de m ecrire,cesse de m ecrire,\
    cessez de me contacter,cesse de me contacter,cessez de me deranger,cesse de me deranger,plus etre contacte,plus etre contactee,plus que vous m ecriviez,\
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
const STOP_OPENINGS: &str = "arretez,arrete,arreter,arretez avec,cessez,cesse,ne veux plus,veux plus,assez de,\
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
/// Those who stopped writing, in a complaint: "you don't contact me anymore".
const COMPANY: [&str; 12] = ["vous", "tu", "ils", "elles", "il", "elle", "you", "u", "they", "he", "she", "who"];
/// Openings of a phrase that are a complaint when they are said of the [`COMPANY`].
const MISSED: [&str; 12] = [
    "ne m ",
    "n ",
    "don t contact",
    "don t message",
    "don t text",
    "don t write",
    "don t send",
    "do not contact",
    "do not message",
    "do not text",
    "do not write",
    "do not send",
];
/// Verbs before "plus me contacter" that say it of someone else: "le livreur ne veut plus me contacter".
const WILL_OF_OTHERS: [&str; 8] = ["veut", "veulent", "voulez", "peut", "peuvent", "pouvez", "peux", "sait"];
/// Words before an opt-out that deny the wish for it.
const DENIALS: [&str; 5] = [" pas envie de", " pas besoin de", " pas l intention de", " pas voulu", " pas demande a"];
/// Words after an opt-out that ask for something instead: "I don't want promos just the price".
const INSTEAD: [&str; 4] = ["just", "only", "juste", "seulement"];
/// Words anywhere after an opt-out that ask for a call instead.
const CALLS: [&str; 4] = [" appelez moi ", " appelle moi ", " telephonez moi ", " call me "];
/// Words before a call that refuse it as well: "don't write to me or call me".
const CALL_REFUSALS: [&str; 4] = ["or", "ou", "t", "not"];
/// Things that a number can be removed from without an opt-out: "enlevez mon numéro de la commande".
const GOODS: [&str; 6] = ["commande", "colis", "facture", "livraison", "order", "parcel"];
/// Goods whose name has the word for a person, and what is read in place of it.
const PERSONAL_GOODS: [(&str, &str); 3] =
    [(" human hair ", " hair "), (" cheveux humain ", " cheveux "), (" cheveu humain ", " cheveu ")];

/// Words before a request or an opt-out that turn it into its opposite.
const REFUSALS: [&str; 6] = ["pas", "plus", "jamais", "not", "t", "never"];

/// Minimum length of a word in which one wrong letter is forgiven. Shorter words are too close to other words.
const MIN_FORGIVEN_CHARS: usize = 6;
/// Minimum length of a word in which any letter may be held down. "Noon" and "naan" are no "non".
const MIN_HELD_CHARS: usize = 4;
/// Length of a run of one letter that no word has, so that the key was held down.
const MIN_HELD_RUN: usize = 3;

/// Returns true when a message asks to receive no more messages.
///
/// It does so when it is a keyword and nothing else but politeness, repeated or not; or when it has a phrase that says
/// so and no question mark.
#[must_use]
pub fn asks_to_stop(message: &str) -> bool {
    if consists_of(message, &[STOP_KEYWORDS], true) {
        return true;
    }
    // Many people leave the apostrophe out.
    let words = format!(" {} ", normalize(message)).replace(" dont ", " don t ");
    let has = |phrase: &str| {
        words
            .match_indices(&format!(" {phrase} "))
            .any(|(at, found)| is_meant(&words[..at], phrase, &words[at + found.len()..]))
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

/// Returns true when a phrase of an opt-out is one, between the words before and after it. "Vous ne m'envoyez plus de
/// messages" misses them.
fn is_meant(before: &str, phrase: &str, after: &str) -> bool {
    let last = before.rsplit(' ').next().unwrap_or_default();
    let is_complaint = (MISSED.iter().any(|opening| phrase.starts_with(opening)) && COMPANY.contains(&last))
        || (phrase.starts_with("m ") && (["ne", "n"].contains(&last) || COMPANY.contains(&last)))
        || (phrase.starts_with("plus m") && WILL_OF_OTHERS.contains(&last));
    let is_denied =
        (last != "plus" && REFUSALS.contains(&last)) || DENIALS.iter().any(|denial| before.ends_with(denial));
    let is_about_goods = (phrase.ends_with("mon numero") || phrase.ends_with("my number"))
        && after.split(' ').take(4).any(|word| GOODS.contains(&word));
    let is_wish = phrase.contains("want") || phrase.contains("veux");
    let padded = format!(" {after}");
    let asks_for = |call: &str| {
        let word_before = |at: usize| padded[..at].rsplit(' ').next().unwrap_or_default();
        padded.find(call).is_some_and(|at| !CALL_REFUSALS.contains(&word_before(at)))
    };
    let asks_instead = (is_wish && after.split(' ').next().is_some_and(|word| INSTEAD.contains(&word)))
        || CALLS.into_iter().any(asks_for);
    !is_complaint && !is_denied && !is_about_goods && !asks_instead
}

/// Returns true when a message asks to receive messages again.
#[must_use]
pub fn asks_to_resume(message: &str) -> bool {
    !is_question(message) && consists_of(message, &[RESUME_KEYWORDS], true)
}

/// Returns true when a message is a yes and nothing else. A question is no yes, nor is a yes with an emoji that
/// refuses. No typo is forgiven: "valise" would order, while a yes that is not recognised costs an answer of the model.
#[must_use]
pub fn is_yes(message: &str) -> bool {
    (says(message, &[YES_PHRASES]) && !message.contains(REFUSING_EMOJI))
        || is_emoji(message, AGREEING_EMOJI, REFUSING_EMOJI)
}

/// Returns true when a message is a no and nothing else. A question is no no. No typo is forgiven.
#[must_use]
pub fn is_no(message: &str) -> bool {
    says(message, &[NO_PHRASES, CANCEL_PHRASES]) || is_emoji(message, REFUSING_EMOJI, AGREEING_EMOJI)
}

/// Returns true when a message is a yes to a proposal that cancels an order. "Annule" repeats the wish.
#[must_use]
pub fn confirms_cancellation(message: &str) -> bool {
    is_yes(message) || (says(message, &[YES_PHRASES, CANCEL_PHRASES]) && !message.contains(REFUSING_EMOJI))
}

/// Returns true when a message is a no to a proposal that cancels an order. "Non, annule" is neither a yes nor a no.
#[must_use]
pub fn declines_cancellation(message: &str) -> bool {
    says(message, &[NO_PHRASES, KEEP_PHRASES]) || is_emoji(message, REFUSING_EMOJI, AGREEING_EMOJI)
}

/// Returns true when a message agrees, and refuses by an emoji: "ok 👎".
pub(super) fn contradicts_itself(message: &str) -> bool {
    message.contains(REFUSING_EMOJI) && (message.contains(AGREEING_EMOJI) || says(message, &[YES_PHRASES]))
}

/// Returns true when a message is no question and consists of these phrases, with each letter right, and of politeness.
fn says(message: &str, lists: &[&str]) -> bool {
    !is_question(message) && consists_of(message, lists, false)
}

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

/// The phrases of a list.
fn phrases(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim)
}

/// Returns true when a message consists of phrases of these lists and of politeness, with at least one of the former.
/// `forgives` accepts typos in the phrases; in politeness they are always accepted.
fn consists_of(message: &str, lists: &[&str], forgives: bool) -> bool {
    let words = normalize(message);
    let words: Vec<_> = words.split(' ').filter(|word| !word.is_empty()).collect();
    let longest = |rest: &[&str], list: &str, forgives: bool| {
        let found = phrases(list).map(|phrase| phrase.split(' ').collect::<Vec<_>>());
        found.filter(|phrase| begins_with(rest, phrase, forgives)).map(|phrase| phrase.len()).max()
    };
    let (mut rest, mut is_said) = (words.as_slice(), false);
    while !rest.is_empty() {
        let said = lists.iter().filter_map(|list| longest(rest, list, forgives)).max();
        let polite = longest(rest, POLITE_PHRASES, true);
        is_said |= said.is_some();
        match said.max(polite) {
            Some(length) => rest = &rest[length..],
            None => return false,
        }
    }
    is_said
}

/// Returns true when a message consists of emoji and signs, one of which is listed, and none of which is opposed. It is
/// no question.
fn is_emoji(message: &str, listed: &[char], opposed: &[char]) -> bool {
    let is_without_words = !message.chars().any(char::is_alphanumeric) && !is_question(message);
    is_without_words && message.contains(listed) && !message.contains(opposed)
}

/// Returns true when the words begin with those of a phrase. `forgives` accepts one wrong letter in a long word.
pub(super) fn begins_with(words: &[&str], phrase: &[&str], forgives: bool) -> bool {
    words.len() >= phrase.len() && words.iter().zip(phrase).all(|(typed, known)| is_same_word(typed, known, forgives))
}

/// Returns true when a typed word is a known one: equal, with letters held down ("merciiii"), or, if `forgives`, with
/// one wrong letter in a long word ("bonjoru").
fn is_same_word(typed: &str, known: &str, forgives: bool) -> bool {
    typed == known
        || has_held_letters(typed, known)
        || (forgives && known.len() >= MIN_FORGIVEN_CHARS && is_within_one_typo(typed, known))
}

/// Returns true when a typed word is a known one with letters held down. In a short word they are at its end, or make a
/// run that no word has.
fn has_held_letters(typed: &str, known: &str) -> bool {
    let has_long_run = || {
        let letters: Vec<char> = typed.chars().collect();
        letters.windows(MIN_HELD_RUN).any(|run| run.iter().all(|letter| *letter == run[0]))
    };
    typed.len() > known.len()
        && without_repetition(typed) == without_repetition(known)
        && (known.len() >= MIN_HELD_CHARS || typed.starts_with(known) || has_long_run())
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
    #[expect(clippy::too_many_lines, reason = "a list of phrases")]
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
            "arrêtez de m'envoyer ça",
            "Ne m'envoyez plus !",
            "je ne veux pas de messages",
            "Bonjour, je ne veux pas de pub",
            "pas de message svp",
            "pas de pub",
            "Stop, trop de messages",
            "arrêtez de me harceler",
            "cesse de me contacter",
            "merci d'arrêter vos messages",
            "je ne veux plus rien recevoir",
            "enlevez mon numéro de votre liste",
            "I don't want to be contacted",
            "don't contact me again, don't call me",
            "please don't write to me or call me",
            "arrêtez de m'écrire, ne m'appelez plus",
            "stop messaging me, I only asked once",
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
            "Vous n'envoyez plus vos promos",
            "pourquoi vous n'envoyez plus les messages",
            "vous n'écrivez plus",
            "you don't contact me anymore",
            "you dont contact me anymore",
            "they don't message me",
            "if you don't contact me I cancel",
            "le livreur ne veut plus me contacter",
            "I don't want promos just the price",
            "je n'ai pas envie de me désabonner",
            "enlevez mon numéro de la commande",
            "je ne veux pas de message, appelez-moi plutôt pour ma commande",
            "je ne veux plus de messages, appelez-moi plutôt",
            "je ne veux pas arrêter vos messages",
            "don't message me, call me",
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
        for message in ["I want a human hair wig", "get me a human hair wig", "perruque human hair", "Human hair ?"] {
            assert!(!asks_for_a_person(message, &own) && !asks_for_a_person(message, &[]), "{message}");
        }
        assert!(asks_for_a_person("get me a human", &[]));
    }

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
