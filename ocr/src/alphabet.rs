//! Characters that the documents of the product use: the recogniser knows 18,000, most of them Chinese.

/// Signs besides letters, digits and punctuation of Latin-1.
const SIGNS: &str = "ŒœŸ–—‘’“”„†‡•…‰‹›€™→−≤≥≠≈½¼¾⁰⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉✓✔□☐☑";

/// Returns true for a character of French and English texts, and of the other languages that Latin-1 was made for.
pub(crate) fn contains(character: char) -> bool {
    matches!(character, ' '..='~' | '¡'..='ÿ') || SIGNS.contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn french_is_contained_and_look_alikes_are_not() {
        assert!("Ça coûte 1 250,50 € — « l’œuf » à Noël, n° 7 ; 15 m² ½".chars().all(contains));
        assert!("ΟАﬁ●○，。\u{3000}".chars().all(|look_alike| !contains(look_alike)));
    }
}
