//! Courtesies of contacts in French and English: greetings, thanks, farewells, acknowledgements and emoji. A message
//! is a courtesy when every word of it belongs to one. It asks nothing, so it gets a fixed answer or none, from no
//! model, and costs nothing.

use std::sync::LazyLock;

use chrono::TimeDelta;

use super::keywords;
use crate::text;

/// Stands in place of a model's name when a courtesy was answered.
pub const MODEL: &str = "courtesy";
/// Time for which an answered courtesy stays the last word: another courtesy within it gets no answer.
pub const REPEAT_WINDOW: TimeDelta = TimeDelta::hours(1);
/// Time for which an answered call for attention stays the last word: "???", a number, a question for the bot itself.
pub const REPEAT_WINDOW_OF_CALLS: TimeDelta = TimeDelta::minutes(1);

/// Maximum number of words of a courtesy. A longer message is no mere courtesy.
const MAX_WORDS: usize = 30;

/// A message that only greets, thanks, takes leave or acknowledges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Courtesy {
    /// "Bonjour", "hi", "ça va ?", 👋.
    Greeting,
    /// "Merci beaucoup", "thx".
    Thanks,
    /// "Bonne journée", "bye".
    Farewell,
    /// "OK", "d’accord", "parfait", "non", 👍. Gets no answer.
    Acknowledgement,
    /// "???", "hein ?", "ok ?": the contact waits for something, and does not say for what.
    Attention,
    /// "1", "12", 2️⃣: a number, or the choice of a menu that nobody offered.
    Number,
    /// "Vous êtes un robot ?"
    Identity,
    /// A link, or a placeholder such as "[voice message]": something that cannot be read.
    Unreadable,
}

/// The meaning of a phrase within a courtesy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Greeting,
    /// A call such as "allô", which with a question mark asks whether anybody is there.
    Call,
    /// A question that nobody answers from documents: "ça va ?".
    SmallTalk,
    Thanks,
    Farewell,
    Acknowledgement,
    /// "Oui", which answers something; with a question mark, it asks whether anybody is there.
    Answer,
    /// "Hein ?"
    Nudge,
    /// "S’il vous plaît", which makes "super" or "top" a wish for a thing.
    Please,
    /// Words that belong to a courtesy and are none alone: "beaucoup", "monsieur".
    Filler,
    /// Words that belong to thanks only: "ok pour tout" is an answer.
    ThanksFiller,
}

const GREETINGS: &str = "bonjour,re bonjour,rebonjour,re,bjr,bjrr,bnjr,bonjr,bjour,bonjou,bonsoir,bsr,bnsr,bonsoi,salut,slt,salu,coucou,cc,\
    hello,helo,hallo,hola,hi,hy,hey,hiya,yo,good morning,good afternoon,good evening,good day,morning,gm,greetings,salam,\
    salam alaykoum,salam aleykoum,salam aleikoum,salam alaikum,salam aleykum,assalam alaykoum,assalamou alaykoum,\
    assalamou aleykoum,assalamu alaikum,as salam alaykoum,salamalekoum,salamaleikoum,salamalaykoum,akwaba,\
    bonne arrivee,bien le bonjour,mes salutations,salutations,\
    i ni sogoma,i ni sogo,i ni wula,i ni oula,i ni tile,i ni su,i ni sou,i ni baara,i ni fama,i ni san be san be,\
    aw ni sogoma,aw ni wula,aw ni oula,aw ni tile,aw ni su,aw ni sou,aw ni baara,aw ni fama,ani sogoma,ani wula,\
    ani tile,ani su,ini sogoma,inisogoma,ini wula,ini tile,ini su,anisogoma,i danse,aw danse,i ka kene,i ka kene wa,\
    aw ka kene,aw ka kene wa,here sira,here tilena,here sira wa,here tilena wa";
const CALLS: &str = "allo,alo,alloo,test,tests,un test,c est un test,ceci est un test,essai,un essai,testing,\
    just testing,just a test,this is a test,ping";
/// Answers that ask, with a question mark, whether anybody is there.
const ANSWERS: &str = "oui,ouais,yes,yep,yeah";
const NUDGES: &str = "hein,quoi,what,huh";
const SMALL_TALK: &str = "ca va,cava,sa va,ca va bien,comment ca va,comment sa va,comment va,comment allez vous,\
    comment vas tu,comment tu vas,comment vous allez,vous allez bien,tu vas bien,tout va bien,la forme,quoi de neuf,\
    on dit quoi,et vous,et toi,how are you,how are u,how r u,how are you doing,how do you do,how is it going,\
    how s it going,how are things,what s up,whats up,wassup,sup,are you ok,hope you are well,hope you re well,\
    i hope you are well,j espere que vous allez bien,j espere que tu vas bien,and you";
const THANKS: &str = "merci,gracias,un grand merci,grand merci,un tres grand merci,un immense merci,mille merci,mercie,mersi,mercy,mercis,mci,mrc,mrci,meci,merc,meric,merki,remerciements,\
    je vous remercie,je te remercie,on vous remercie,nous vous remercions,vous remercie,thanks,thank you,thank u,thank,\
    thankyou,thx,thks,thnx,thanx,tks,tnx,tx,ty,tysm,tyvm,cheers,much appreciated,appreciated,i appreciate,\
    i appreciate it,we appreciate it,grateful,i am grateful,i m grateful,c est gentil,c est tres gentil,c est gentil de votre part,c est tres gentil de votre part,trop gentil,\
    tres gentil,vous etes gentil,vous etes tres gentil,you are very kind,you re very kind,so kind,so kind of you,\
    very kind of you,that s kind,dieu vous benisse,dieu te benisse,que dieu vous benisse,que dieu te benisse,\
    soyez beni,soyez benis,amen,amina,amine,god bless,god bless you,i ni ce,i ni tche,i ni tchie,aw ni ce,aw ni tche,aw ni tchie,ani ce,ani tche,ani tchie,\
    ini ce,ini tche,inice,initche,initchie,anitche,anitchie,barika,albarika,al barika";
const FAREWELLS: &str = "au revoir,aurevoir,orevoir,adieu,bye,bye bye,byebye,goodbye,good bye,ciao,tchao,tchin,\
    bonne journee,bonne fin de journee,bonne soiree,bonne fin de soiree,bonne nuit,bonne matinee,bonne apres midi,\
    bon apres midi,bon week end,bon weekend,bon we,bon dimanche,bon samedi,bonne semaine,bonne continuation,\
    bon courage,bonne chance,bon anniversaire,joyeux anniversaire,joyeuse fete,joyeuses fetes,joyeux ramadan,\
    joyeuses paques,bonne fete de paques,bonnes vacances,bon voyage,bon appetit,happy birthday,happy holidays,\
    happy easter,bonne fete,bonnes fetes,bonne annee,joyeux noel,bon ramadan,bonne reception,\
    bonne suite,excellente journee,excellente soiree,tres bonne journee,tres bonne soiree,passez une bonne journee,\
    passez une bonne soiree,passez une excellente journee,je vous souhaite une bonne journee,je vous souhaite une bonne soiree,\
    je vous souhaite une excellente journee,a bientot,a tres bientot,a plus,a plus tard,a tout a l heure,\
    a tantot,a toute,a demain,a la prochaine,a la revoyure,prenez soin de vous,prends soin de toi,cordialement,\
    bien cordialement,bien a vous,good night,gn,see you,see you soon,see you later,see you tomorrow,see ya,cu,later,\
    talk to you later,talk soon,take care,have a nice day,have a good day,have a great day,have a lovely day,\
    have a wonderful day,have a nice one,have a good one,have a nice evening,have a good evening,have a great evening,\
    have a nice weekend,have a good weekend,have a great weekend,have a good night,have a blessed day,nice day,\
    good luck,best regards,kind regards,warm regards,happy new year,merry christmas,all the best,eid mubarak,aid moubarak";
const ACKNOWLEDGEMENTS: &str = "ok,okay,okey,oki,oki doki,okidoki,ok dja,dja,okok,okk,kk,k,dac,dacc,d acc,d accord,daccord,dacord,d acord,\
    ca marche,sa marche,ca roule,ca me va,ca me convient,c est bon,c bon,c est note,note,c est noted,bien note,\
    c est bien note,c note,c est notee,c noter,bien recu,bien recue,j ai bien recu,j ai recu,recu,recue,recu 5 sur 5,received,\
    rien,rien du tout,pour rien,rien merci,nothing,non,nan,no,nope,non rien,non non,non stop,non je ne veux rien,laisse,\
    laissez,laisse tomber,laissez tomber,c est pas grave,ce n est pas grave,pas grave,tant pis,ne t en fais pas,\
    ne vous en faites pas,never mind,nevermind,je vais reflechir,je vais y reflechir,je reflechis,je reflechirai,\
    j y reflechis,laissez moi reflechir,je vais voir,je vais voir ca,je vois ca,on va voir,on verra,a voir,\
    je vais en parler,je vais y penser,je vous reviens,je vous revient,je te reviens,je reviens,je reviens vers vous,\
    je reviendrai,je reviendrai vers vous,je vous reviendrai,je vous recontacte,je vous recontacterai,je repasse,\
    je repasserai,je vous ecris,je vous ecrirai,je vous ecris plus tard,je vous fais signe,je vous ferai signe,\
    je vous dis,je vous dirai,je vous tiens au courant,je vous tiens informe,je vous confirme plus tard,\
    on est ensemble,on reste ensemble,nous sommes ensemble,on se tient au courant,on reste en contact,on se capte,\
    ya foye,y a foye,ya fohi,y a fohi,i will think about it,i ll think about it,let me think,let me think about it,\
    i will get back to you,i ll get back to you,i will let you know,i ll let you know,will let you know,we ll see,\
    c est bien recu,compris,bien compris,c est compris,\
    j ai compris,je comprends,je vois,vu,bien vu,c est vu,entendu,bien entendu,inchallah,inch allah,insha allah,inshallah,inshaallah,incha allah,in challah,in chaallah,in cha allah,in shallah,\
    in sha allah,si dieu le veut,si dieu veut,s il plait a dieu,god willing,par la grace de dieu,dieu merci,\
    alhamdoulilah,alhamdulillah,al hamdoulilah,machallah,mashallah,ravi,ravie,enchante,enchantee,yako,c est entendu,bien,tres bien,c est bien,c est tres bien,\
    parfait,c est parfait,super,c est super,genial,c est genial,excellent,formidable,magnifique,impeccable,nickel,top,\
    au top,cool,c est cool,bravo,felicitations,bon travail,pas de souci,pas de soucis,aucun souci,pas de probleme,\
    aucun probleme,y a pas de souci,y a pas de probleme,ya pas de souci,ya pas drap,y a pas drap,de rien,\
    je vous en prie,je t en prie,avec plaisir,c est rien,ca ira,c est tout,c est tout bon,tout est bon,rien d autre,\
    oui merci,oui ca va,oui c est bon,yes thanks,yes thank you,non merci,non ca va,non ca ira,non c est bon,ah,oh,eh,euh,hum,hmm,hm,mm,aha,ahah,ah bon,haha,hahaha,hahahaha,hehe,\
    hihi,lol,mdr,ptdr,understood,i understand,got it,i got it,noted,well noted,well received,i see,alright,\
    all right,fine,that s fine,great,that s great,nice,perfect,that s perfect,awesome,amazing,wonderful,lovely,good,\
    very good,sounds good,good job,well done,all good,no problem,no worries,np,you re welcome,you are welcome,welcome,\
    my pleasure,that s all,that is all,nothing else,no thanks,no thank you,no thx,sorry,desole,desolee,pardon,excusez moi,\
    excuse moi,toutes mes excuses,my bad";
const PLEASE: &str = "svp,stp,s il vous plait,s il te plait,please,pls,plz";
const FILLERS: &str = "a,a vous,a toi,a tous,a toutes,a tout le monde,a vous aussi,a toi aussi,a toute l equipe,\
    a l equipe,vous,toi,tous,tout,beaucoup,bcp,bcq,bien,infiniment,vraiment,sincerement,enormement,grandement,\
    mille fois,tres,trop,si,quand meme,tout de meme,malgre tout,d avance,par avance,bon,et,alors,donc,aussi,egalement,\
    monsieur,madame,mademoiselle,messieurs,mesdames,mr,mme,mlle,m,chef,boss,patron,patronne,cher,chere,chers,\
    frere,mon frere,soeur,ma soeur,grand frere,tonton,tantie,tata,mon ami,mes amis,la famille,famille,l equipe,la team,\
    team,lisa,pour votre aide,pour ton aide,\
    pour l aide,pour votre reponse,pour ta reponse,pour la reponse,pour vos reponses,de votre reponse,pour votre retour,\
    pour ce retour,de votre retour,pour l info,pour les infos,pour ces infos,pour l information,pour les informations,\
    pour ces informations,pour votre information,pour vos informations,pour les renseignements,pour ces renseignements,\
    pour le renseignement,pour la precision,pour les precisions,pour ces precisions,pour l explication,\
    pour les explications,pour vos explications,pour votre temps,pour votre patience,pour votre comprehension,\
    pour votre gentillesse,pour votre disponibilite,pour votre rapidite,pour la rapidite,pour votre promptitude,pour votre reactivite,d avoir repondu,de m avoir repondu,\
    d avoir repondu rapidement,abondamment,hein,oh,le boss,le chef,precieuse,rapide,claire,pour votre service,\
    pour le service,pour votre accueil,so,so much,very,very much,a lot,lots,a million,a bunch,many,much,you,u,you too,\
    to you,to you too,sir,madam,ma am,maam,dear,team,guys,everyone,everybody,all,there,and,really,indeed,then,oh,\
    in advance,for your help,for the help,for helping,for helping me,for your time,for the info,\
    for the information,for your answer,for the answer,for your reply,for the reply,for your response,\
    for your patience,for your support,my friend,brother,sister,bro,sis,i m fine,i am fine,\
    je vais bien,moi aussi,moi ca va";
const THANKS_FILLERS: &str = "encore,encore une fois,pour tout,pour ca,pour cela,for everything,for that,for this,again,\
    once again";
/// Smileys written with letters and signs, which would otherwise be read as words.
const EMOTICONS: [&str; 16] =
    [":d", ":-d", "=d", "xd", ":p", ":-p", ";p", "<3", "</3", ":o", ":-o", ":s", ":'d", ":3", "=p", "xp"];

/// The phrases of all parts with their words, the longest first.
static PHRASES: LazyLock<Vec<(Vec<&'static str>, Part)>> = LazyLock::new(|| {
    let lists = [
        (GREETINGS, Part::Greeting),
        (CALLS, Part::Call),
        (ANSWERS, Part::Answer),
        (NUDGES, Part::Nudge),
        (SMALL_TALK, Part::SmallTalk),
        (THANKS, Part::Thanks),
        (FAREWELLS, Part::Farewell),
        (ACKNOWLEDGEMENTS, Part::Acknowledgement),
        (PLEASE, Part::Please),
        (FILLERS, Part::Filler),
        (THANKS_FILLERS, Part::ThanksFiller),
    ];
    let mut phrases: Vec<_> = lists
        .iter()
        .flat_map(|(phrases, part)| phrases.split(',').map(|phrase| (phrase.trim().split(' ').collect(), *part)))
        .collect();
    phrases.sort_by_key(|(words, _): &(Vec<&str>, Part)| std::cmp::Reverse(words.len()));
    phrases
});

/// Returns the courtesy that a message is, and `None` when it says anything else. `names` are those of the assistant and
/// the company, by which a contact may address them.
///
/// A question mark after nothing but courtesies, or alone, asks for attention, except after a greeting or small talk. A
/// message without a letter, a digit or a question mark consists of emoji or signs, and acknowledges.
#[must_use]
pub fn recognize(message: &str, names: &[&str]) -> Option<Courtesy> {
    if text::unreadable_kind(message).is_some() {
        return Some(Courtesy::Unreadable);
    }
    if keywords::asks_whether_a_bot_answers(message) {
        return Some(Courtesy::Identity);
    }
    let message = without_emoticons(message);
    let asks = keywords::is_question(&message);
    let is_clear = !keywords::contradicts_itself(&message);
    if !message.chars().any(char::is_alphanumeric) {
        let meaning = match (asks, message.contains('👋')) {
            (true, _) => Courtesy::Attention,
            (false, true) => Courtesy::Greeting,
            (false, false) => Courtesy::Acknowledgement,
        };
        return is_clear.then_some(meaning);
    }
    if !message.chars().any(char::is_alphabetic) {
        return Some(Courtesy::Number);
    }
    let parts = parts_of(&message, names)?;
    let has = |part: Part| parts.contains(&part);
    let only_greets = parts.iter().all(|part| matches!(part, Part::Greeting | Part::Filler | Part::Please));
    if asks && !has(Part::SmallTalk) && !only_greets {
        let says_something = parts.iter().any(|part| !matches!(part, Part::Filler | Part::Please | Part::ThanksFiller));
        return (says_something && !has(Part::Please) && is_clear).then_some(Courtesy::Attention);
    }
    if has(Part::Answer) {
        None
    } else if has(Part::Thanks) {
        Some(Courtesy::Thanks)
    } else if has(Part::ThanksFiller) && has(Part::Acknowledgement) {
        None
    } else if has(Part::Farewell) {
        Some(Courtesy::Farewell)
    } else if has(Part::Greeting) || has(Part::SmallTalk) || has(Part::Call) {
        Some(Courtesy::Greeting)
    } else if has(Part::Nudge) && !has(Part::Acknowledgement) {
        (!has(Part::Please)).then_some(Courtesy::Attention)
    } else {
        (has(Part::Acknowledgement) && !has(Part::Please) && is_clear).then_some(Courtesy::Acknowledgement)
    }
}

/// Returns true when a courtesy accepts what was said before, alone or with thanks: "ok merci", "ça va merci", 👍.
/// After a question of the bot, it is an answer. "Merci" alone accepts nothing.
#[must_use]
pub fn accepts(message: &str, names: &[&str]) -> bool {
    match recognize(message, names) {
        None => return false,
        Some(Courtesy::Acknowledgement) => return true,
        Some(Courtesy::Greeting | Courtesy::Thanks | Courtesy::Farewell) => {}
        Some(Courtesy::Attention | Courtesy::Number | Courtesy::Identity | Courtesy::Unreadable) => return false,
    }
    let message = without_emoticons(message);
    let parts = parts_of(&message, names).unwrap_or_default();
    let has = |part: Part| parts.contains(&part);
    let is_well = has(Part::SmallTalk) && !has(Part::Greeting) && !keywords::is_question(&message);
    has(Part::Acknowledgement) || is_well
}

/// Returns a message without [`EMOTICONS`].
fn without_emoticons(message: &str) -> String {
    let tokens = message.split_whitespace().filter(|token| !EMOTICONS.contains(&token.to_lowercase().as_str()));
    tokens.collect::<Vec<_>>().join(" ")
}

/// Divides a message without `names` into phrases and returns the part of each; `None` when a word belongs to no phrase.
fn parts_of(message: &str, names: &[&str]) -> Option<Vec<Part>> {
    let mut words = format!(" {} ", keywords::normalize(message));
    for name in names {
        words = words.replace(&format!(" {} ", keywords::normalize(name)), " ");
    }
    let mut words: Vec<_> = words.split_whitespace().collect();
    // "Test 123".
    if words.first().is_some_and(|word| ["test", "essai"].contains(word)) {
        words.retain(|word| !word.chars().all(char::is_numeric));
    }
    if words.len() > MAX_WORDS {
        return None;
    }
    let mut parts = Vec::new();
    let mut rest = words.as_slice();
    while !rest.is_empty() {
        // A product such as "raccord" must not be silenced for its likeness to "d'accord".
        let matches = |phrase: &[&str], part| keywords::begins_with(rest, phrase, part != Part::Acknowledgement);
        let (phrase, part) = PHRASES.iter().find(|(phrase, part)| matches(phrase, *part))?;
        parts.push(*part);
        rest = &rest[phrase.len()..];
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(messages: &[&str], expected: Option<Courtesy>) {
        for message in messages {
            assert_eq!(recognize(message, &[]), expected, "{message}");
        }
    }

    #[test]
    fn courtesies_are_recognised_as_people_type_them() {
        let greetings =
            ["Bonjour", "bjr", "slt", "cc", "Bonsoir !", "Bonjour à tous", "bonjoru", "BONJOURRRR", "hellooo"];
        all(&greetings, Some(Courtesy::Greeting));
        let small_talk =
            ["Bonjour, ça va ?", "How are you?", "Hi there", "Good morning sir", "Allô", "👋", "Bonjour ?"];
        all(&small_talk, Some(Courtesy::Greeting));
        all(&["salam aleykoum", "on dit quoi ?", "akwaba", "Salut chef"], Some(Courtesy::Greeting));
        let thanks =
            ["Merci beaucoup !", "mercii", "Thanks a lot, have a nice day", "ok merci", "thx", "ok thank you 🙏"];
        all(&thanks, Some(Courtesy::Thanks));
        let more =
            ["merci pour les informations, bonne soirée", "Merci d’avance", "Je vous remercie infiniment", "tysm"];
        all(&more, Some(Courtesy::Thanks));
        all(&["Bonne journée à vous", "bye bye", "À bientôt", "see you tomorrow"], Some(Courtesy::Farewell));
        let noted =
            ["ok", "OK.", "okkk", "d'accord", "D’accord, c’est noté", "Parfait", "👍", "👍🏿👍🏾", "😂😂", "❤️", ":)"];
        all(&noted, Some(Courtesy::Acknowledgement));
        all(&["^^", "...", "mdr xD", "non merci", "got it", "🙏🏽"], Some(Courtesy::Acknowledgement));
    }

    #[test]
    fn what_asks_nothing_is_no_question() {
        let calls = [
            "?", "???", "❓", "!?", "Hein ?", "hein", "quoi ?", "what?", "oui ?", "ok ?", "merci ?", "Allô ?", "non ?",
        ];
        all(&calls, Some(Courtesy::Attention));
        all(&["1", "12", "1️⃣", "2.", "3)", "0707070707", "15 000", "1 2"], Some(Courtesy::Number));
        all(&["test", "Test 1", "essai"], Some(Courtesy::Greeting));
        let noted = [
            "non",
            "Non !",
            "non stop",
            "c noté",
            "rien",
            "reçu",
            "Ok je vais réfléchir",
            "je vous reviens",
            "on est ensemble",
            "d'accord je vous tiens au courant",
            "tant pis",
        ];
        all(&noted, Some(Courtesy::Acknowledgement));
        all(&["Merci quand même", "In challah merci", "I ni tchié", "Aw ni tché"], Some(Courtesy::Thanks));
        all(&["Joyeux anniversaire", "Bon anniversaire à vous"], Some(Courtesy::Farewell));
        all(&["I ni sogoma", "Aw ni sogoma", "I ni wula"], Some(Courtesy::Greeting));
        all(&["https://example.com/a.ogg", "[voice message]"], Some(Courtesy::Unreadable));
        all(&["vous êtes un robot ?", "Je parle à un robot ou à une personne ?"], Some(Courtesy::Identity));
        all(&["oui", "reçu svp", "non je veux le rouge", "test de grossesse", "2 cafés", "quoi de plus"], None);
    }

    #[test]
    fn an_acceptance_counts_with_thanks_and_thanks_alone_do_not() {
        let accepted =
            ["D'accord merci", "ok merci", "ok parfait merci", "ça va merci", "ok ça va", "ok", "👍", "ça va"];
        for message in accepted {
            assert!(accepts(message, &[]), "{message}");
        }
        for message in
            ["merci", "Merci beaucoup", "bonjour ça va", "ça va ?", "au revoir", "bonjour", "ok pour ça", "prix"]
        {
            assert!(!accepts(message, &[]), "{message}");
        }
        assert!(accepts("ok merci Awa", &["Awa"]));
    }

    #[test]
    fn words_of_thanks_without_thanks_and_words_that_resemble_a_farewell_are_no_courtesy() {
        all(&["ok pour ça", "ok pour tout", "ok encore", "Regarde", "regardes", "regards"], None);
        all(&["merci pour tout", "merci encore", "ok merci pour ça", "thanks again"], Some(Courtesy::Thanks));
        all(&["hello again"], Some(Courtesy::Greeting));
        all(&["best regards", "Kind regards"], Some(Courtesy::Farewell));
    }

    #[test]
    fn a_courtesy_before_a_question_is_a_question() {
        let questions = [
            "Bonjour, vous livrez à Bouaké ?",
            "Merci, et le retour ?",
            "ok et pour Korhogo ?",
            "Bonjour vous livrez",
            "merci de me livrer demain",
            "bonjour prix attiéké",
            "ok mais combien",
            "thanks, what about returns",
            "je veux commander, merci",
            "oui",
            "monsieur",
            "vous",
            "et",
            "col",
            "top svp",
            "un reçu svp",
            "商品",
            "raccord",
            "étendu",
            "ok 👎",
            "👍👎",
        ];
        all(&questions, None);
        assert_eq!(recognize(&"merci ".repeat(MAX_WORDS + 1), &[]), None);
        for message in ["Bonjour Awa", "Merci Maison Awa !"] {
            assert_eq!(recognize(message, &[]), None, "{message}");
            assert!(recognize(message, &["Maison Awa", "Awa"]).is_some(), "{message}");
        }
        assert_eq!(recognize("Awa ?", &["Awa"]), None);
    }
}
