//! The products that a message names, by their words: for an assistant without a language model.

use std::collections::BTreeSet;

use super::Product;
use crate::text::{self, Language, stop_words};

/// Model name of an answer that quotes the catalogue.
pub const QUOTE_MODEL: &str = "catalogue-1";
/// Maximum number of products that are quoted because a message names them.
const MAX_NAMED: usize = 5;
/// Words of a wish to buy or of a question for a price, folded.
const BUYING_WORDS: &str = "achat acheter achete buy commander commande cost cout coute coutent order prend prendre price prix \
    purchase souhaite tarif veux voudrais voudrait want";
/// Words that name the catalogue as a whole, folded.
const CATALOGUE_WORDS: &str = "article boutique catalog catalogue cost cout coute gamme item liste list offre offer price prix produit \
    product propose proposez sell selling shop store tarif vend vendez vendre";
/// Words that say nothing of the subject, folded.
const POLITE_WORDS: &str = "avez besoin bonjour bonsoir combien disponible dispo donner donnez envoyer envoyez have hello hi j merci \
    many montrez much need piece plait please salut show stp stock svp thank";

/// The products that a message names, and its intention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueMatch<'p> {
    /// Products that the message names, at most `MAX_NAMED`.
    pub named: Vec<&'p Product>,
    /// True when the message asks for a price or wishes to buy.
    pub wants_to_buy: bool,
    /// True when nothing but the catalogue can answer the message.
    pub is_about_catalogue: bool,
}

/// Compares a message with the names of the products. Plurals, case, accents and the order of words make no difference.
/// Of several products, those count that share the most words with the message.
#[must_use]
pub fn match_catalogue<'p>(catalogue: &'p [Product], message: &str, language: Language) -> CatalogueMatch<'p> {
    let words = content_words(message, language);
    let mut named: Vec<&Product> = Vec::new();
    let mut most = 0;
    let mut known = BTreeSet::new();
    for product in catalogue {
        let shared: BTreeSet<String> = content_words(&product.name, language).intersection(&words).cloned().collect();
        // A number alone, as in "250 g", names nothing.
        if !shared.iter().any(|word| word.chars().any(char::is_alphabetic) && !is_in(CATALOGUE_WORDS, word)) {
            continue;
        }
        if shared.len() > most {
            most = shared.len();
            named.clear();
        }
        if shared.len() == most {
            named.push(product);
            known.extend(shared);
        }
    }
    named.truncate(MAX_NAMED);
    let is_filler = |word: &String| {
        is_in(POLITE_WORDS, word)
            || is_in(BUYING_WORDS, word)
            || is_in(CATALOGUE_WORDS, word)
            || word.chars().all(char::is_numeric)
    };
    let has_subject = words.iter().any(|word| !is_filler(word) && !known.contains(word));
    let names_catalogue = words.iter().any(|word| is_in(CATALOGUE_WORDS, word));
    CatalogueMatch {
        wants_to_buy: words.iter().any(|word| is_in(BUYING_WORDS, word)),
        is_about_catalogue: !has_subject && (!named.is_empty() || names_catalogue),
        named,
    }
}

fn is_in(list: &str, word: &str) -> bool {
    list.split_whitespace().any(|listed| singular(listed) == word)
}

/// Returns the words of a text that are no stop words, folded and without the plural's letter.
fn content_words(text: &str, language: Language) -> BTreeSet<String> {
    let folded = text::fold(text);
    let words = folded.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    words.filter(|word| stop_words::weight(word, language) > 0.0).map(singular).map(str::to_owned).collect()
}

fn singular(word: &str) -> &str {
    match word.strip_suffix(['s', 'x']) {
        Some(stem) if stem.chars().count() >= 3 => stem,
        _ => word,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn catalogue() -> Vec<Product> {
        ["Café moulu 250 g", "Café moulu 1 kg", "Lampe solaire", "Thé vert", "Prix découverte"]
            .map(|name| Product {
                id: Uuid::new_v4(),
                name: name.to_owned(),
                description: None,
                price_cents: 100_000,
                currency: "XOF".to_owned(),
            })
            .to_vec()
    }

    fn matched(message: &str, language: Language) -> (Vec<String>, bool, bool) {
        let catalogue = catalogue();
        let found = match_catalogue(&catalogue, message, language);
        let names = found.named.iter().map(|product| product.name.clone()).collect();
        (names, found.wants_to_buy, found.is_about_catalogue)
    }

    #[test]
    fn the_products_with_the_most_common_words_are_named() {
        for (message, language, names) in [
            ("Combien coûte la lampe solaire ?", Language::French, &["Lampe solaire"][..]),
            ("vous avez des LAMPES SOLAIRES", Language::French, &["Lampe solaire"]),
            ("du cafe ?", Language::French, &["Café moulu 250 g", "Café moulu 1 kg"]),
            ("le café moulu 250 g svp", Language::French, &["Café moulu 250 g"]),
            ("How much is the Lampe solaire?", Language::English, &["Lampe solaire"]),
            ("Nous serons 250", Language::French, &[]),
            ("Quel est le prix ?", Language::French, &[]),
            ("Livrez-vous au Togo ?", Language::French, &[]),
        ] {
            assert_eq!(matched(message, language).0, names, "{message}");
        }
    }

    #[test]
    fn a_question_with_another_subject_is_not_about_the_catalogue() {
        for (message, is_about_catalogue) in [
            ("Combien coûte la lampe solaire ?", true),
            ("Je veux 2 lampes solaires", true),
            ("Quels sont vos prix ?", true),
            ("Bonjour, envoyez-moi le catalogue svp", true),
            ("Que vendez-vous ?", true),
            ("Quel est le prix de la livraison ?", false),
            ("La lampe solaire est-elle étanche ?", false),
            ("Bonjour", false),
            ("", false),
        ] {
            assert_eq!(matched(message, Language::French).2, is_about_catalogue, "{message}");
        }
        assert!(matched("What do you sell?", Language::English).2);
        assert!(matched("Je voudrais une lampe pour ma maison", Language::French).1);
    }
}
