//! Detection of questions that ask for a number and of texts that contain one, in French and English. The word lists
//! are without accents.

use crate::text;

/// Words of questions about prices, times and amounts.
const QUESTION_WORDS: &str = "combien cout coute coutent couter cher delai delais duree frais heure heures horaire horaires \
    montant prix quand tarif tarifs temps amount cost costs fee fees hours long many much often old price prices when";

/// Numbers in words, and words for a price of zero. `un` and `one` are left out, since they are more often articles
/// and pronouns.
const NUMBER_WORDS: &str = "deux trois quatre cinq sept huit neuf dix onze douze treize quatorze quinze seize vingt \
    trente quarante cinquante soixante cent mille two three four five six seven eight nine ten eleven twelve \
    fourteen fifteen twenty thirty forty fifty sixty ninety hundred thousand gratuit gratuite offert offerte free";

/// True when a question, folded by `text::fold`, asks for a number.
pub(super) fn asks_for_number(folded: &str) -> bool {
    contains_word(folded, QUESTION_WORDS)
}

/// True when a text contains a number, in digits or in words. The number of a heading, such as `3.`, does not count.
pub(super) fn contains_number(text: &str) -> bool {
    let digits = text.split_whitespace().any(|word| {
        let is_heading =
            word.ends_with('.') && word.trim_end_matches('.').chars().all(|letter| letter.is_ascii_digit());
        !is_heading && word.contains(|letter: char| letter.is_ascii_digit())
    });
    digits || contains_word(&text::fold(text), NUMBER_WORDS)
}

/// True when a folded text contains one of the words of `list`.
fn contains_word(folded: &str, list: &str) -> bool {
    folded
        .split(|letter: char| !letter.is_alphanumeric())
        .any(|word| !word.is_empty() && list.split_whitespace().any(|listed| listed == word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_detected_in_digits_and_in_words() {
        assert!(asks_for_number("combien coute la livraison ?") && asks_for_number("how long does it take?"));
        assert!(!asks_for_number("qui est le livreur ?"));
        assert!(contains_number("1 500 FCFA") && contains_number("quatorze jours") && contains_number("v2"));
        assert!(!contains_number("3. Retourner un article") && !contains_number("rien"));
    }
}
