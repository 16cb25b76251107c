//! Questions that ask for a number, and texts that hold one. French and English, accents folded.

use crate::text;

/// Words of questions about prices, times and amounts.
const ASKING: &str = "combien cout coute coutent couter cher delai delais duree frais heure heures horaire horaires \
    montant prix quand tarif tarifs temps amount cost costs fee fees hours long many much often old price prices when";

/// Small numbers as they are written out. `un` and `one` are left out: they are articles and pronouns more often.
const WRITTEN_OUT: &str = "deux trois quatre cinq sept huit neuf dix onze douze treize quatorze quinze seize vingt \
    trente quarante cinquante soixante cent mille two three four five six seven eight nine ten eleven twelve \
    fourteen fifteen twenty thirty forty fifty sixty ninety hundred thousand gratuit gratuite offert offerte free";

/// Whether a folded question asks for a number.
pub(super) fn are_asked_for(folded: &str) -> bool {
    holds(folded, ASKING)
}

/// Whether a text holds one, in digits or written out; the number of a heading does not count.
pub(super) fn stand_in(text: &str) -> bool {
    let digits = text.split_whitespace().any(|word| {
        let is_heading =
            word.ends_with('.') && word.trim_end_matches('.').chars().all(|letter| letter.is_ascii_digit());
        !is_heading && word.contains(|letter: char| letter.is_ascii_digit())
    });
    digits || holds(&text::fold(text), WRITTEN_OUT)
}

fn holds(folded: &str, list: &str) -> bool {
    folded
        .split(|letter: char| !letter.is_alphanumeric())
        .any(|word| !word.is_empty() && list.split_whitespace().any(|known| known == word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_known_in_both_forms() {
        assert!(are_asked_for("combien coute la livraison ?") && are_asked_for("how long does it take?"));
        assert!(!are_asked_for("qui est le livreur ?"));
        assert!(stand_in("1 500 FCFA") && stand_in("quatorze jours") && stand_in("v2"));
        assert!(!stand_in("3. Retourner un article") && !stand_in("rien"));
    }
}
