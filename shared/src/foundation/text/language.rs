//! Language of a text, as far as full-text search and answers distinguish languages.

use super::fold;
use whatlang::Lang;

/// Up to this many characters, function words detect the language more reliably than trigrams.
const MAX_SHORT_TEXT_CHARS: usize = 200;

/// French function words that no neighbouring language shares, with accents folded.
const FRENCH_WORDS: &str = "au aux avec avez bonjour c ce ces cet cette combien comment d dans des \
    donc du elle elles est et etait il ils j je l le les leur leurs lui mais merci nous ou par pas \
    peut peux pour pourquoi qu quand quel quelle quelles quels qui quoi s sans ses sont sous suis \
    sur une vers votre vos vous y";

/// English function words that no neighbouring language shares.
const ENGLISH_WORDS: &str = "about and are at been but by can did do does for from has have hello \
    how i if in is it its many much my of or she should that the their there they this to was we \
    were what when where which who whom whose why will with would you your";

/// French words of short messages to a shop that are no English words, with accents folded.
const FRENCH_MESSAGE_WORDS: &str = "svp stp sil plait slt bjr bsr bonsoir salut coucou rebonjour revoir journee soiree \
    nuit oui ouais non dac daccord accord prix tarif tarifs coute coutent cout couts cher chers gratuit gratuite \
    dispo livraison livraisons livrez livrer livre livreur commande commandes commander commandez acheter achat \
    vendez vendre vente payer paiement payez especes boutique magasin horaire horaires ouvert ouverts ouverte ouvrez \
    ferme fermez fermeture heure heures jour jours semaine mois matin soir midi lundi mardi mercredi jeudi vendredi \
    samedi dimanche demain hier aujourd hui maintenant adresse quartier ville trouve trouvez situe situes numero \
    telephone disponible disponibles taille tailles couleur couleurs rouge bleu noir blanc vert retour retours \
    remboursement rembourser garantie echange facture recu colis produit produits article articles besoin veux \
    voudrais voulez souhaite cherche faire avoir aussi tres bien beaucoup tout tous toute moi toi mon ma mes notre nos \
    ta tes je tu un une les deja encore toujours jamais moins alors";

/// English words of short messages to a shop that are no French words.
const ENGLISH_MESSAGE_WORDS: &str = "please pls plz thanks thank thx hi hey hiya bye goodbye welcome sorry morning \
    afternoon evening tonight today tomorrow yesterday now yes yeah yep no nope not price prices cost costs cheap \
    expensive free delivery deliver deliveries delivered shipping ship shipped order orders ordering buy buying sell \
    selling pay paying shop opening open opened close closed closing hour hours day days week weeks \
    month address where located phone number available size sizes color colour colors red blue black \
    white green return returns refund refunds warranty exchange invoice receipt parcel product products item items \
    need want like looking get got give need any all more less always never my our us so very good great nice \
    okay understood someone somebody";

/// Words that contacts of every language write. They do not show which language a contact speaks.
const SHARED_WORDS: &str = "hello helo hallo hi hey hy hiya yo ok okay okey oki bye goodbye cool super top lol stop start yes yeah \
    yep no nope please pls plz sorry thanks thank thx";
/// Minimum number of words of a message that shows its language clearly.
const MIN_CLEAR_WORDS: usize = 3;

/// A language that full-text search and answers distinguish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Language {
    French,
    English,
    Other,
}

impl Language {
    /// Returns the ISO 639-1 code, or `other`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::French => "fr",
            Self::English => "en",
            Self::Other => "other",
        }
    }

    /// Parses an ISO 639 code with or without region (`fr`, `fra`, `fr-CI`, `en_US`). Any other code gives `Other`.
    pub fn from_code(code: &str) -> Self {
        let primary = code.split(['-', '_']).next().unwrap_or_default();
        match primary.trim().to_ascii_lowercase().as_str() {
            "fr" | "fra" | "fre" => Self::French,
            "en" | "eng" => Self::English,
            _ => Self::Other,
        }
    }
}

/// Detects the language of a question or a document. A long text is classified by its trigrams when they are
/// reliable. Any other text is classified by its function words, and by reliable trigrams when these are undecided.
pub fn detect_language(text: &str) -> Language {
    let guess = || whatlang::detect(text).filter(whatlang::Info::is_reliable);
    let by_trigrams = |guess: whatlang::Info| match guess.lang() {
        Lang::Fra => Language::French,
        Lang::Eng => Language::English,
        _ => Language::Other,
    };
    if text.chars().nth(MAX_SHORT_TEXT_CHARS).is_some()
        && let Some(sure) = guess()
    {
        return by_trigrams(sure);
    }
    by_function_words(text).or_else(|| guess().map(by_trigrams)).unwrap_or(Language::Other)
}

/// Detects whether a message is French or English, for the fixed texts that answer it. Trigrams say nothing about
/// "prix attiéké svp", so a short message is classified by its function words and by the words that contacts of shops
/// use. Returns `None` where both or neither language is seen: the caller then knows better, from the conversation or
/// from the company.
#[must_use]
pub fn detect_message_language(text: &str) -> Option<Language> {
    let by_words = by_words(text, &[FRENCH_WORDS, FRENCH_MESSAGE_WORDS], &[ENGLISH_WORDS, ENGLISH_MESSAGE_WORDS]);
    let is_long = text.chars().nth(MAX_SHORT_TEXT_CHARS).is_some();
    let guessed = || Some(detect_language(text)).filter(|language| is_long && *language != Language::Other);
    by_words.or_else(guessed)
}

/// Detects the language of a sentence that is clearly French or English: it has at least three words, two of which are
/// words of the language, one of these a function word, and they are more than twice those of the other language. Words
/// that contacts of every language write do not count. "Ok thanks" and "iPhone black" show no language.
#[must_use]
pub fn detect_clear_language(text: &str) -> Option<Language> {
    let is_long = text.chars().nth(MAX_SHORT_TEXT_CHARS).is_some();
    let words: Vec<_> = words_of(text).into_iter().filter(|(word, _)| !is_listed(&[SHARED_WORDS], word)).collect();
    if words.len() < MIN_CLEAR_WORDS {
        return None;
    }
    let count = |lists: &[&str], is_ascii_only: bool| {
        words.iter().filter(|(word, is_ascii)| (*is_ascii || !is_ascii_only) && is_listed(lists, word)).count()
    };
    let french = (count(&[FRENCH_WORDS], false), count(&[FRENCH_WORDS, FRENCH_MESSAGE_WORDS], false));
    let english = (count(&[ENGLISH_WORDS], true), count(&[ENGLISH_WORDS, ENGLISH_MESSAGE_WORDS], true));
    let is_clear = |(grammar, all): (usize, usize), other: usize| grammar > 0 && all > 1 && all > 2 * other;
    if is_clear(french, english.1) {
        Some(Language::French)
    } else if is_clear(english, french.1) {
        Some(Language::English)
    } else {
        Some(detect_language(text)).filter(|language| is_long && *language != Language::Other)
    }
}

/// Detects the language of a message as [`detect_message_language`] does, without the words that contacts of every
/// language write: "Hello" shows no language.
#[must_use]
pub fn detect_likely_language(text: &str) -> Option<Language> {
    let is_shared = |word: &&str| is_listed(&[SHARED_WORDS], &fold(word.trim_matches(|c: char| !c.is_alphanumeric())));
    detect_message_language(&text.split_whitespace().filter(|word| !is_shared(word)).collect::<Vec<_>>().join(" "))
}

/// Returns the language with more function words in the text; `None` for a tie.
fn by_function_words(text: &str) -> Option<Language> {
    by_words(text, &[FRENCH_WORDS], &[ENGLISH_WORDS])
}

/// Returns the language with more words of its lists in the text; `None` for a tie.
fn by_words(text: &str, french_words: &[&str], english_words: &[&str]) -> Option<Language> {
    let (mut french, mut english) = (0, 0);
    for (folded, is_ascii) in words_of(text) {
        french += usize::from(is_listed(french_words, &folded));
        // An accented word is not English: « thé » is not "the".
        english += usize::from(is_ascii && is_listed(english_words, &folded));
    }
    match french.cmp(&english) {
        std::cmp::Ordering::Greater => Some(Language::French),
        std::cmp::Ordering::Less => Some(Language::English),
        std::cmp::Ordering::Equal => None,
    }
}

fn is_listed(lists: &[&str], word: &str) -> bool {
    lists.iter().any(|list| list.split_whitespace().any(|known| known == word))
}

/// Returns the words of a text, folded, and whether each is ASCII as it was written. A Dioula greeting, which begins with
/// "i ni" or "aw ni", has no words of another language: its "i" is not the English one.
fn words_of(text: &str) -> Vec<(String, bool)> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let words: Vec<_> = words.map(|word| (fold(word), word.is_ascii())).collect();
    match words.as_slice() {
        [(first, _), (second, _), rest @ ..] if ["i", "aw", "an"].contains(&first.as_str()) && second == "ni" => {
            rest.get(1..).unwrap_or_default().to_vec()
        }
        _ => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sentence_shows_a_language_clearly() {
        for text in [
            "how much is it",
            "Do you deliver?",
            "My parcel is broken",
            "Where is your shop please?",
            "I want to order two bags",
        ] {
            assert_eq!(detect_clear_language(text), Some(Language::English), "{text}");
        }
        for text in
            ["Vous livrez à Bouaké ?", "c'est combien", "je veux le iPhone black", "ok mais vous livrez quand ?"]
        {
            assert_eq!(detect_clear_language(text), Some(Language::French), "{text}");
        }
        for text in [
            "okay",
            "ok thanks",
            "ok thanks a lot",
            "bye",
            "yes",
            "yes please",
            "iPhone black",
            "Nike white size 42",
            "delivery price",
            "I ni sogoma",
            "I ni tchié",
            "hello ok merci",
            "",
            "attiéké",
        ] {
            assert_eq!(detect_clear_language(text), None, "{text}");
        }
    }

    #[test]
    fn a_likely_language_is_no_greeting_of_the_world() {
        for text in ["Hello", "hi", "Hi !", "ok", "Hello, bye", "I ni sogoma", "Aw ni tché"] {
            assert_eq!(detect_likely_language(text), None, "{text}");
        }
        assert_eq!(detect_likely_language("prix attiéké svp"), Some(Language::French));
        assert_eq!(detect_likely_language("Hello, delivery price?"), Some(Language::English));
        assert_eq!(detect_likely_language("Bonjour"), Some(Language::French));
        assert_eq!(detect_message_language("i ni sogoma"), None);
    }

    #[test]
    fn short_french_and_english_questions_are_distinguished() {
        for question in ["Livraison à Bouaké ?", "Quel est le délai ?", "c'est combien"] {
            let detected = detect_language(question);
            assert_ne!(detected, Language::English, "{question}");
        }
        assert_eq!(detect_language("Quel est le délai ?"), Language::French);
        assert_eq!(detect_language("c'est combien"), Language::French);
        assert_ne!(detect_language("Un thé"), Language::English);
        assert_eq!(detect_language("how much is it"), Language::English);
        assert_eq!(detect_language("Do you deliver?"), Language::English);
    }

    #[test]
    fn the_language_of_a_message_is_detected_from_few_words() {
        for message in [
            "prix attiéké svp",
            "Attiéké prix ?",
            "slt livraison Bouaké",
            "dispo demain",
            "Merci",
            "Bonjour",
            "horaires",
            "Quel est le délai ?",
            "Livraison à Bouaké ?",
        ] {
            assert_eq!(detect_message_language(message), Some(Language::French), "{message}");
        }
        for message in
            ["attiéké price please", "Thanks", "Hello", "delivery to Bouaké?", "opening hours", "order status"]
        {
            assert_eq!(detect_message_language(message), Some(Language::English), "{message}");
        }
        for message in [
            "attiéké",
            "Bouaké ?",
            "👍",
            "12 345",
            "",
            "iPhone 15",
            "Hello, merci",
            "location",
            "stock",
            "sale",
            "store",
            "¿Cuánto cuesta el envío?",
        ] {
            assert_eq!(detect_message_language(message), None, "{message}");
        }
    }

    #[test]
    fn undecidable_text_is_other() {
        for text in ["", "???", "12 345", "OK", "商品の返品について教えてください"] {
            assert_eq!(detect_language(text), Language::Other, "{text}");
        }
    }

    #[test]
    fn longer_spanish_text_is_other() {
        let spanish = "El plazo de entrega es de tres días laborables en la capital y de una \
            semana en las demás ciudades. Los gastos de envío dependen del peso del paquete y se \
            muestran antes del pago. Puede devolver el producto en un plazo de catorce días.";
        assert_eq!(detect_language(spanish), Language::Other);
    }

    #[test]
    fn codes_are_parsed_with_and_without_region() {
        assert_eq!(Language::from_code("fr-CI"), Language::French);
        assert_eq!(Language::from_code("EN_us"), Language::English);
        assert_eq!(Language::from_code("de"), Language::Other);
        assert_eq!(Language::from_code(Language::French.as_str()), Language::French);
    }
}
