//! A customer's question: the words that a passage must contain, and the kind of value that is asked for.

use rust_stemmers::{Algorithm, Stemmer};

use super::{
    spelling,
    synonyms::{self, Group},
    values::{self, ValueKind, is_in},
    words::split_words,
};
use crate::text::{self, Language, stop_words};

/// Weight of verbs that occur in questions about anything: "vous prenez", "do you offer".
const GENERAL_VERB_WEIGHT: f32 = 0.2;
/// Weight of words of customer service: what is wanted says more than of what.
const SERVICE_WEIGHT: f32 = 1.15;
const COMMON_SERVICE_WEIGHT: f32 = 0.7;
/// Weight of a number in the question.
const NUMBER_WEIGHT: f32 = 0.8;
/// Weight of the asked kind of value.
const KIND_WEIGHT: f32 = 0.6;
const NAME_KIND_WEIGHT: f32 = 1.0;
/// Weight factor of the words of the questions before a follow-up.
const EARLIER_FACTOR: f32 = 0.45;
/// Weight factor of the words beside the clause that asks for a value.
const ASIDE_FACTOR: f32 = 0.4;
/// Weight from which a word names a subject.
pub(super) const SUBJECT_WEIGHT: f32 = 0.9;

/// Words that ask, greet or are polite, and say nothing of the subject, folded.
const ASKING_WORDS: &str = "bonjour bonsoir bjr bsr slt salut coucou cc hello hi hey svp stp plait please pls plz merci thanks thank thx \
    monsieur madame mademoiselle mr mme chef boss avance voudrais voudrait vouloir veux veut voulez voulons aimerais aimerait \
    souhaite souhaiterais souhaitez desire savoir sais sait saurais connaitre dire dites dis renseigner renseignement \
    renseignements info infos information informations question besoin cherche possible peux peut pouvez puis pourrais pourrait \
    pourriez exactement environ y ya esque esqe esk est ce ke kel kelle kels kelles kan koi komen pk pkoi bcp tps c ca cest sa jai \
    ai donner donnez donne moyen faire fait faites fais quoi quel quelle quels quelles vraiment juste combien cas propos \
    concernant niveau besoins deja encore alors donc aussi si oui non bien trop tres want wanted wants like know tell could would \
    can need get got have has any there what whats which info about you your u ur guys looking find hear somebody anyone someone \
    should must may might will does do did is are was how when where who why long many much it its me my i we us our one ones \
    quand comment pourquoi bout serai serais sera vont etc partir apres avant chez ou qui que dont lequel laquelle un une le la les des du de et mais sinon";

/// Verbs that occur in questions about anything, folded.
const GENERAL_VERBS: &str = "prenez prendre prend prends pris passe passer passez mettre mettez met venir venez vient viens aller allez \
    va vais arriver arrive demander demande marcher marche fonctionne fonctionner proposez proposer propose offrez vendez vendre \
    vend vends avoir avez existe exister accepter acceptez accepte acceptent concerner dure durer durent prennent reste rester \
    attendre attend utiliser utilise utilisez commence commencer commencent finit finir finissent fini termine passent devient \
    apporter amener trouve trouver trouvez effectuer obtenir take takes taking last lasts make makes work works use used using \
    accept accepts offer offers provide provides sell sells serve come comes go goes going happen happens allowed allow till until \
    start starts begin begins end ends finish happened say says give gives given bring";

const PHONE_WORDS: &str = "numero num joindre contacter contact contacts appeler whatsapp ring reach standard";
/// Words that ask for a phone number when the question has no other subject: phones are also goods.
const WEAK_PHONE_WORDS: &str = "telephone tel telephonique phone call";
const ADDRESS_WORDS: &str =
    "adresse address situe situee situes situees located location localisation localise adress adresses";
const HOURS_WORDS: &str = "horaire horaires ouvert ouverte ouverts ouvertes ouvrez ouvre ouvrent ouverture ferme fermez fermes fermee \
    ferment fermeture open opens opening close closes closed closing";
const PRICE_WORDS: &str = "prix tarif tarifs coute coutent cout couts couter cher chere price prices cost costs costing fee fees priced \
    pricing";
/// Words that say no more of a question for a price than that it asks for one. Elsewhere they ask how to pay.
const PAYING_WORDS: &str = "charge revient revenir payer paye paie payez paies paient payent pay paid debourser regler faut falloir voulais voulait";
const NAME_WORDS: &str = "who name named nom prenom nomme appelle";
const TIME_WORDS: &str = "delai delais duree quand kan when";
/// Units after "combien de" and "how many" that ask for a length of time.
const TIME_UNITS: &str = "temps tps temp jour jours heure heures mois semaine semaines an ans annee annees minute minutes days hours \
    months weeks years minutes time";
/// Units after the age of a person, folded.
const AGE_UNITS: &str = "ans an year years yr yrs yo";
const NUMBER_WORDS: &str =
    "heavy old far tall big high wide deep fast taux pourcentage montant frais quantite poids age";
/// Words before or after which "ou" asks for a place rather than joining two things.
const AFTER_WHERE: &str =
    "est sont se faut puis peut peux trouve etes vous dois on dans exactement svp stp situe ca je";

/// A word of the question that a passage must contain.
#[derive(Debug)]
pub(super) struct Term {
    pub(super) word: String,
    pub(super) stem: String,
    pub(super) groups: Vec<Group>,
    pub(super) weight: f32,
    /// True for a word of the question itself rather than of the questions before it.
    pub(super) is_own: bool,
    /// True for a name or a number.
    pub(super) is_name: bool,
    /// True for a word that labels phone numbers and is also a thing that is sold.
    pub(super) is_phone: bool,
    /// True for a word beside the clause that asks: "it is for my daughter's birthday, how much is the hall?"
    pub(super) is_aside: bool,
}

/// A question, analysed.
pub(super) struct AnalyzedQuestion {
    pub(super) terms: Vec<Term>,
    pub(super) kind: Option<ValueKind>,
    pub(super) is_follow_up: bool,
    pub(super) stemmer: Stemmer,
}

impl AnalyzedQuestion {
    /// Analyses a question. `standalone` is the question together with those before it.
    pub(super) fn new(question: &str, standalone: &str, language: Language) -> Self {
        let stemmer = Stemmer::create(match language {
            Language::English => Algorithm::English,
            _ => Algorithm::French,
        });
        let is_follow_up = question != standalone;
        let mut analyzed = Self { terms: Vec::new(), kind: asked_kind(question), is_follow_up, stemmer };
        analyzed.add_terms(question, language, true);
        analyzed.mark_asides(question, language);
        if is_follow_up {
            let earlier = standalone.strip_suffix(question).unwrap_or(standalone);
            analyzed.kind = analyzed.kind.or_else(|| asked_kind(earlier));
            analyzed.add_terms(earlier, language, false);
        }
        analyzed
    }

    fn add_terms(&mut self, question: &str, language: Language, is_own: bool) {
        let names = names(question);
        let folded = synonyms::replace_phrases(&split_words(&text::fold(question)).collect::<Vec<_>>().join(" "));
        let words: Vec<&str> = split_words(&folded).collect();
        for (at, &word) in words.iter().enumerate() {
            let is_number = word.chars().all(|c| c.is_ascii_digit());
            // A document gives the age from which something is allowed, not the age of who asks.
            let is_age = |at: usize| {
                let number = words.get(at).is_some_and(|word| word.chars().all(|c| c.is_ascii_digit()));
                number && words.get(at + 1).is_some_and(|unit| is_in(unit, AGE_UNITS))
            };
            if is_age(at) || at > 0 && is_age(at - 1) {
                continue;
            }
            let is_name = is_number || names.iter().any(|name| name == word);
            let weight = if is_number { NUMBER_WEIGHT } else { self.weight(word, language) };
            let weight = if is_own { weight } else { weight * EARLIER_FACTOR };
            let stem = stem(word, &self.stemmer);
            if weight > 0.0 && !self.terms.iter().any(|term| term.stem == stem) {
                let is_phone =
                    word.starts_with("telephon") || is_in(word, "tel phone phones portable portables mobile mobiles");
                let groups = if is_number { Vec::new() } else { synonyms::groups(word) };
                self.terms.push(Term {
                    word: word.to_owned(),
                    stem,
                    groups,
                    weight,
                    is_own,
                    is_name,
                    is_phone,
                    is_aside: false,
                });
            }
        }
    }

    /// Marks the words of all clauses but the one that asks for the value, if the asking clause has a subject.
    fn mark_asides(&mut self, question: &str, language: Language) {
        let Some(kind) = self.kind else { return };
        let clauses: Vec<&str> = question.split([',', '.', ';', '!', '?', '\n']).collect();
        let asking: Vec<&&str> = clauses.iter().filter(|clause| asked_kind(clause) == Some(kind)).collect();
        let [asking] = asking.as_slice() else { return };
        let folded = synonyms::replace_phrases(&split_words(&text::fold(asking)).collect::<Vec<_>>().join(" "));
        let words: Vec<&str> = split_words(&folded).collect();
        if words.iter().all(|word| self.weight(word, language) < SUBJECT_WEIGHT) {
            return;
        }
        for term in self.terms.iter_mut().filter(|term| !term.is_name && !words.contains(&term.word.as_str())) {
            term.is_aside = true;
            term.weight *= ASIDE_FACTOR;
        }
    }

    /// Forgets the words beside the clause that asks of which `is_known` does not hold.
    pub(super) fn forget_asides(&mut self, is_known: impl Fn(usize) -> bool) {
        let mut at = 0..;
        self.terms.retain(|term| !term.is_aside || at.next().is_none_or(&is_known));
    }

    /// Returns the weight of a word of the question: 0 for a word that asks, or that the kind of value stands for.
    fn weight(&self, word: &str, language: Language) -> f32 {
        let by_language = match language {
            // A short message often shows no language.
            Language::Other => {
                stop_words::weight(word, Language::French).min(stop_words::weight(word, Language::English))
            }
            language => stop_words::weight(word, language),
        };
        if is_in(word, ASKING_WORDS) || by_language == 0.0 || self.kind.is_some_and(|kind| asks_for(word, kind)) {
            return 0.0;
        }
        if is_in(word, GENERAL_VERBS) || values::is_number_word(word) {
            return GENERAL_VERB_WEIGHT;
        }
        // A word of customer service is a subject there, however common elsewhere.
        match synonyms::is_listed(word) {
            true if by_language >= 1.0 => SERVICE_WEIGHT,
            true => by_language.max(COMMON_SERVICE_WEIGHT),
            false => by_language,
        }
    }

    /// Returns the weight of the asked kind of value.
    pub(super) fn kind_weight(&self) -> f32 {
        match self.kind {
            None => 0.0,
            Some(ValueKind::Name) => NAME_KIND_WEIGHT,
            Some(_) => KIND_WEIGHT,
        }
    }

    /// Returns the sum of the weights of the terms.
    pub(super) fn content_weight(&self) -> f32 {
        self.terms.iter().map(|term| term.weight).sum()
    }
}

/// Returns a word's stem, whole.
pub(super) fn stem(word: &str, stemmer: &Stemmer) -> String {
    stemmer.stem(word).into_owned()
}

/// Returns the folded names in a question: words with a capital that do not begin it, unless most words have one.
fn names(question: &str) -> Vec<String> {
    let words: Vec<&str> = question.split_whitespace().collect();
    let has_capital = |word: &&str| word.chars().find(|c| c.is_alphanumeric()).is_some_and(char::is_uppercase);
    if words.iter().filter(|word| has_capital(word)).count() * 2 > words.len() {
        return Vec::new();
    }
    let begins =
        |at: usize| at == 0 || words.get(at - 1).is_some_and(|before| before.ends_with(['.', '!', '?', ',', ':']));
    let named = words.iter().enumerate().filter(|(at, word)| !begins(*at) && has_capital(word));
    named.flat_map(|(_, word)| split_words(&text::fold(word)).map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// Returns true for a word that asks for the kind of value and that a passage answers with the value itself.
fn asks_for(word: &str, kind: ValueKind) -> bool {
    let list = match kind {
        ValueKind::Price => PRICE_WORDS,
        ValueKind::Phone => PHONE_WORDS,
        ValueKind::Address => ADDRESS_WORDS,
        ValueKind::Hours => HOURS_WORDS,
        ValueKind::Time | ValueKind::Duration => TIME_WORDS,
        ValueKind::Name => NAME_WORDS,
        ValueKind::Number => "",
    };
    if kind == ValueKind::Phone && is_in(word, WEAK_PHONE_WORDS)
        || kind == ValueKind::Price && is_in(word, PAYING_WORDS)
    {
        return true;
    }
    is_in(word, list)
        || matches!(kind, ValueKind::Time | ValueKind::Duration | ValueKind::Hours)
            && (is_in(word, TIME_UNITS) || is_in(word, TIME_WORDS))
}

/// Returns the kind of value that a question asks for, `None` for any other question.
fn asked_kind(question: &str) -> Option<ValueKind> {
    let folded = text::fold(question);
    let words: Vec<&str> = split_words(&folded).collect();
    let has = |list: &str| {
        words.iter().any(|word| {
            is_in(word, list)
                || word.chars().count() >= 5
                    && list.split_whitespace().any(|listed| listed.len() >= 5 && spelling::is_misspelt(word, listed))
        })
    };
    let is_pair = |first: &str, second: &str| has_pair(&words, first, second);
    let counts = words.iter().any(|word| *word == "combien" || spelling::is_misspelt(word, "combien"));
    let counted = |units: &str| {
        is_pair("combien conbien combient de d many long how", units)
            || words
                .windows(3)
                .any(|three| spelling::sound(three[0]) == spelling::sound("combien") && is_in(three[2], units))
    };
    if asks_for_phone(&words, &has) {
        return Some(ValueKind::Phone);
    }
    if has(ADDRESS_WORDS) || asks_for_place(question, &words) {
        return Some(ValueKind::Address);
    }
    if is_pair("quelle kelle quel kel what which quels quelles", "heure heures jour jours time hours days")
        || has(HOURS_WORDS)
    {
        return Some(ValueKind::Hours);
    }
    if (counts || is_pair("how", "many long")) && counted(TIME_UNITS)
        || is_pair("how", "long soon")
        || has("delai delais duree")
    {
        return Some(ValueKind::Duration);
    }
    if has(PRICE_WORDS) || is_pair("how", "much") && !is_pair("much", "of") || is_pair("you u they", "charge") {
        return Some(ValueKind::Price);
    }
    if counts {
        let is_number = is_pair("combien conbien", "de d");
        return Some(if is_number { ValueKind::Number } else { ValueKind::Price });
    }
    if asks_when(&words) {
        return Some(ValueKind::Time);
    }
    if has("who") || is_pair("qui", "est sont a ont") || is_pair("nom name", "de du des d of") || is_pair("s", "name") {
        return Some(ValueKind::Name);
    }
    (has(NUMBER_WORDS) || is_pair("how", "many")).then_some(ValueKind::Number)
}

/// Returns true when a word of the first list stands before one of the second.
fn has_pair(words: &[&str], first: &str, second: &str) -> bool {
    words.windows(2).any(|pair| is_in(pair[0], first) && is_in(pair[1], second))
}

/// Returns true when a question asks for a phone number. `has` finds a word of a list, typos included.
fn asks_for_phone(words: &[&str], has: &impl Fn(&str) -> bool) -> bool {
    let is_reference = has_pair(words, "de of serie", "commande suivi serie facture order tracking serial");
    let has_other_subject = || {
        words.iter().any(|word| {
            let is_stop =
                stop_words::weight(word, Language::French).min(stop_words::weight(word, Language::English)) < 0.9;
            !is_stop
                && !is_in(word, ASKING_WORDS)
                && !is_in(word, WEAK_PHONE_WORDS)
                && !is_in(word, PHONE_WORDS)
                && *word != "number"
        })
    };
    let is_number_of_phone =
        has_pair(words, "phone telephone contact", "number") || has_pair(words, "number", "to call ring");
    !is_reference && (has(PHONE_WORDS) || is_number_of_phone || has(WEAK_PHONE_WORDS) && !has_other_subject())
}

/// Returns true for "quand" and "when" at the beginning, at the end or after the verb. Elsewhere they join clauses.
fn asks_when(words: &[&str]) -> bool {
    let is_when = |word: Option<&&str>| word.is_some_and(|word| is_in(word, "quand kan when"));
    let joins = words
        .windows(2)
        .any(|pair| matches!(pair, [before, word] if is_in(before, "c est jusqu depuis a") && is_when(Some(word))));
    is_when(words.first()) || is_when(words.last()) || joins
}

/// Returns true for "où", also without its accent, and for "where".
fn asks_for_place(question: &str, words: &[&str]) -> bool {
    if words.contains(&"where") || question.to_lowercase().contains("où") {
        return true;
    }
    let last = words.len().checked_sub(1);
    words.iter().enumerate().any(|(at, word)| {
        let next = words.get(at + 1);
        let follows_verb = at.checked_sub(1).is_some_and(|before| is_in(words[before], "c est etes situe situes"));
        let begins = at == 0 && next.is_some_and(|next| is_in(next, AFTER_WHERE));
        *word == "ou" && (Some(at) == last || follows_verb || begins)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(questions: &[&str], expected: Option<ValueKind>) {
        for question in questions {
            assert_eq!(asked_kind(question), expected, "{question}");
        }
    }

    fn subjects(question: &str) -> Vec<String> {
        let analyzed = AnalyzedQuestion::new(question, question, Language::French);
        analyzed.terms.into_iter().filter(|term| term.weight > GENERAL_VERB_WEIGHT).map(|term| term.word).collect()
    }

    #[test]
    fn the_kind_of_value_is_understood_as_people_write() {
        kinds(
            &["c combien le riz", "Quel est le tarif ?", "how much is it", "conbien pour un sac"],
            Some(ValueKind::Price),
        );
        kinds(&["votre numero svp", "what is your phone number?", "vous joindre au tel"], Some(ValueKind::Phone));
        kinds(
            &["Où se trouve le dépôt ?", "c ou la boutique", "vous êtes situés où", "where are you"],
            Some(ValueKind::Address),
        );
        kinds(&["vous ouvrez quand", "a kelle heure", "Are you open on Sunday?"], Some(ValueKind::Hours));
        kinds(
            &["combien de jours", "Quel est le délai ?", "how long is it", "en combien de temps"],
            Some(ValueKind::Duration),
        );
        kinds(&["Quand serai-je livré ?", "je reçois mon colis quand", "When do you deliver?"], Some(ValueKind::Time));
        kinds(&["Qui est le directeur ?", "what is the name of the chef"], Some(ValueKind::Name));
        kinds(&["combien de places", "how many seats"], Some(ValueKind::Number));
        kinds(&["vous avez du riz ou du maïs ?", "Do you sell rice?", "mon numéro de commande"], None);
    }

    #[test]
    fn greetings_and_asking_words_are_no_subject() {
        assert_eq!(subjects("Bonjour, je voudrais savoir le prix du riz s'il vous plaît, merci d'avance"), ["riz"]);
        assert_eq!(subjects("c combien le foulard"), ["foulard"]);
        assert_eq!(subjects("Votre numéro de téléphone ?"), [""; 0]);
    }

    #[test]
    fn names_and_numbers_are_marked() {
        let analyzed = AnalyzedQuestion::new(
            "Livrez-vous à Lomé sous 3 jours ?",
            "Livrez-vous à Lomé sous 3 jours ?",
            Language::French,
        );
        let marked: Vec<_> = analyzed.terms.iter().filter(|term| term.is_name).map(|term| term.word.as_str()).collect();
        assert_eq!(marked, ["lome", "3"]);
    }
}
