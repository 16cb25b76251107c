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

/// Returns the language with more function words in the text; `None` for a tie.
fn by_function_words(text: &str) -> Option<Language> {
    let (mut french, mut english) = (0, 0);
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let folded = fold(word);
        french += usize::from(FRENCH_WORDS.split(' ').any(|known| known == folded));
        // An accented word is not English: « thé » is not "the".
        english += usize::from(word.is_ascii() && ENGLISH_WORDS.split(' ').any(|known| known == folded));
    }
    match french.cmp(&english) {
        std::cmp::Ordering::Greater => Some(Language::French),
        std::cmp::Ordering::Less => Some(Language::English),
        std::cmp::Ordering::Equal => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
