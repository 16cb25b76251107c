//! Tells œ from æ, which the recogniser confuses: French words have œ, but for a few from Latin.

/// Beginnings of what follows œ in French words, after any letters.
const AFTER_OE: [&str; 11] = ["u", "il", "soph", "dèm", "dem", "tus", "tal", "nolog", "dip", "strog", "liaque"];

/// Replaces æ by œ where only œ makes a French word: cœur, œuvre, œil, œsophage, fœtus.
pub(crate) fn correct(text: &str) -> String {
    let mut corrected = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['æ', 'Æ']) {
        let (before, found) = rest.split_at(at);
        corrected.push_str(before);
        let mut following = found.chars();
        let sign = following.next().unwrap_or('æ');
        rest = following.as_str();
        let next: String = rest.chars().take(8).flat_map(char::to_lowercase).collect();
        let is_oe = AFTER_OE.iter().any(|beginning| next.starts_with(beginning));
        corrected.push(match sign {
            'æ' if is_oe => 'œ',
            'Æ' if is_oe => 'Œ',
            sign => sign,
        });
    }
    corrected.push_str(rest);
    corrected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_with_oe_are_corrected_and_latin_ones_are_kept() {
        for (read, expected) in [
            ("Le cæur, l'æuvre, la sæur, un bæuf et deux æufs", "Le cœur, l'œuvre, la sœur, un bœuf et deux œufs"),
            ("MAIN-D'ÆUVRE, Æuvre, VÆUX", "MAIN-D'ŒUVRE, Œuvre, VŒUX"),
            ("l'æil, l'æillet, l'æsophage, un fætus, un ædème", "l'œil, l'œillet, l'œsophage, un fœtus, un œdème"),
            (
                "ex æquo, curriculum vitæ, et cætera, nævus, Lætitia",
                "ex æquo, curriculum vitæ, et cætera, nævus, Lætitia",
            ),
            ("encyclopædia, Cæsar, archæology, Æsop", "encyclopædia, Cæsar, archæology, Æsop"),
            ("æ", "æ"),
        ] {
            assert_eq!(correct(read), expected);
        }
    }
}
