//! Requests to receive no more messages, or to receive them again.

use std::borrow::Cow;

use super::phrases::{REFUSALS, consists_of, is_question, normalize, phrases};

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
    stop au,bloquez moi,bloque moi,bloquer moi,block me,please block me,je vous bloque,je te bloque,\
    je vais vous bloquer,je vais te bloquer,i will block you,i m blocking you,i am blocking you,\
    trop de messages stop,trop de message stop,trop de pub stop,stop too many messages,too many messages stop";
/// Phrases that ask to erase what is stored of the contact. They ask for no more messages as well, wherever they stand in a
/// message that is no question.
const ERASURE_PHRASES: &str = "supprimez mes donnees,supprime mes donnees,supprimer mes donnees,supprimez toutes mes donnees,\
    supprimer toutes mes donnees,effacez mes donnees,efface mes donnees,effacer mes donnees,effacez toutes mes donnees,\
    effacer toutes mes donnees,suppression de mes donnees,effacement de mes donnees,supprimez mes informations,\
    supprimer mes informations,effacez mes informations,effacer mes informations,supprimez mes infos,effacez mes infos,\
    supprimez mon compte,supprimer mon compte,effacez mon compte,supprimez mes messages,effacez mes messages,\
    detruisez mes donnees,droit a l oubli,droit a l effacement,delete my data,delete all my data,erase my data,\
    erase all my data,remove my data,delete my information,erase my information,delete my account,\
    delete my personal data,supprimez mes donnees personnelles,deletion of my data,right to be forgotten";
/// Emoji that ask for no more messages when nothing else but signs is in the message.
const STOP_EMOJI: &[char] = &['🛑', '⛔', '🔕'];
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
    reprenez,reprends,reprenons,on reprend,on peut reprendre,vous pouvez reprendre,tu peux reprendre,\
    je souhaite reprendre,je voudrais reprendre,j aimerais reprendre,je reprends,je veux recevoir vos messages,\
    reprenez les messages,reprendre les messages,reprenez vos messages,debloquez moi,debloque moi,unblock me,\
    reactiver,reactivez,reactivez moi,reabonne moi,start again,i want to resume,i want to start,i want to start again,\
    subscribe,subscribe me,resubscribe,reabonner,reabonnement,reabonnez moi,me reabonner,je veux me reabonner";
/// Words that may stand beside one of [`RESUME_KEYWORDS`].
const RESUME_FILLERS: &str = "oui,ouais,ok,okay,d accord,yes,finalement,en fait";
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
/// Subjects of a complaint that the company stopped writing: "you don't contact me anymore".
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

/// Returns true when a message asks to receive no more messages.
///
/// A message asks for it by a stop keyword, repeated or not, with nothing else but politeness; or by an opt-out phrase
/// in a message without a question mark.
#[must_use]
pub fn asks_to_stop(message: &str) -> bool {
    if consists_of(&without_short_code(message), &[STOP_KEYWORDS], true) || is_stop_sign(message) {
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
        && (phrases(STOP_PHRASES).chain(phrases(ERASURE_PHRASES)).any(has)
            || names(STOP_SENDING, &[MESSAGES, ANYTHING])
            || names(STOP_OPENINGS, &[MESSAGES]))
}

/// Returns true when a message asks to erase the contact's data, which is an opt-out as well. A person of the company has
/// to do it.
#[must_use]
pub fn asks_for_erasure(message: &str) -> bool {
    let words = format!(" {} ", normalize(message));
    asks_to_stop(message) && phrases(ERASURE_PHRASES).any(|phrase| words.contains(&format!(" {phrase} ")))
}

/// Returns a message that begins with "STOP" without the numbers in it: "STOP 36180" is what text messages tell people to
/// write.
fn without_short_code(message: &str) -> Cow<'_, str> {
    let words = normalize(message);
    if !words.starts_with("stop ") {
        return Cow::Borrowed(message);
    }
    let is_number = |word: &&str| !word.chars().all(char::is_numeric);
    Cow::Owned(words.split(' ').filter(is_number).collect::<Vec<_>>().join(" "))
}

/// Returns true when a message consists of signs, one of which is that for a stop. It is no question.
fn is_stop_sign(message: &str) -> bool {
    message.contains(STOP_EMOJI) && !message.chars().any(char::is_alphanumeric) && !is_question(message)
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
    !is_question(message)
        && consists_of(message, &[RESUME_KEYWORDS, RESUME_FILLERS], true)
        && !consists_of(message, &[RESUME_FILLERS], true)
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
    fn short_codes_signs_blocks_and_erasures_are_opt_outs() {
        for message in
            ["STOP 36180", "stop au 36180", "Bloquez moi", "bloque-moi stp", "block me", "🛑", "🛑🛑 !", "⛔"]
        {
            assert!(asks_to_stop(message) && !asks_for_erasure(message), "{message}");
        }
        for message in
            ["supprimez mes données", "Bonjour, veuillez effacer mes données personnelles", "Delete my data please"]
        {
            assert!(asks_to_stop(message) && asks_for_erasure(message), "{message}");
        }
        for message in ["Comment supprimer mes données ?", "🛑 ?", "36180", "bloquez la carte", "🚫", "stop 2 rue"]
        {
            assert!(!asks_to_stop(message) && !asks_for_erasure(message), "{message}");
        }
    }

    #[test]
    fn an_opt_in_counts_in_the_words_that_people_use() {
        for message in
            ["reprenez", "oui je veux reprendre", "Reprenez svp", "ok start", "je voudrais reprendre", "débloquez-moi"]
        {
            assert!(asks_to_resume(message), "{message}");
        }
        for message in ["oui", "reprendre ?", "reprenez ma commande", "ok merci"] {
            assert!(!asks_to_resume(message), "{message}");
        }
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
}
