//! Restores œ, which the recogniser confuses with æ, and whose capital it does not know.

/// Beginnings of what follows œ in French words, after any letters.
const AFTER_OE: [&str; 11] = ["u", "il", "soph", "dèm", "dem", "tus", "tal", "nolog", "dip", "strog", "liaque"];

/// Misreadings of words that begin with or contain a capital Œ, each with the word that is on the page. No misreading is
/// a word itself.
const CAPITALS: [(&str, &str); 16] = [
    ("euvre", "œuvre"),
    ("eil", "œil"),
    ("eillet", "œillet"),
    ("euf", "œuf"),
    ("esophage", "œsophage"),
    ("edème", "œdème"),
    ("ceur", "cœur"),
    ("cceur", "cœur"),
    ("sceur", "sœur"),
    ("cheur", "chœur"),
    ("chceur", "chœur"),
    ("vceu", "vœu"),
    ("neud", "nœud"),
    ("nceud", "nœud"),
    ("beuf", "bœuf"),
    ("mceur", "mœur"),
];

/// Replaces æ by œ where only œ makes a French word: cœur, œuvre, œil, œsophage, fœtus. Restores Œ in words that begin
/// with a capital.
pub(crate) fn correct(text: &str) -> String {
    let text = restore_small(text);
    let mut corrected = String::with_capacity(text.len());
    for part in text.split_inclusive(|character: char| !character.is_alphabetic()) {
        let word = part.trim_end_matches(|character: char| !character.is_alphabetic());
        corrected.push_str(&restore_capital(word));
        corrected.push_str(&part[word.len()..]);
    }
    corrected
}

/// Returns the word with its Œ, if it is one of [`CAPITALS`], with `ce` for an initial Œ, or in the plural.
fn restore_capital(word: &str) -> String {
    let lower = word.to_lowercase();
    let singular = lower.trim_end_matches(['s', 'x']);
    let is_capital = word.chars().next().is_some_and(char::is_uppercase);
    let known = CAPITALS.iter().find(|(read, _)| {
        singular == *read || read.starts_with('e') && singular.strip_prefix('c').is_some_and(|rest| rest == *read)
    });
    let Some((_, right)) = known.filter(|_| is_capital) else { return word.to_owned() };
    let right = format!("{right}{}", &lower[singular.len()..]);
    if word.chars().nth(1).is_some_and(char::is_uppercase) {
        return right.to_uppercase();
    }
    let mut letters = right.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

fn restore_small(text: &str) -> String {
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
            ("EUVRES ET MAIN-D'CEUVRE", "ŒUVRES ET MAIN-D'ŒUVRE"),
            ("CEUR, CCEUR, SCEURS, CHCEUR, VCEUX, NCEUD, BEUF", "CŒUR, CŒUR, SŒURS, CHŒUR, VŒUX, NŒUD, BŒUF"),
            ("Euvre d'un jour ; Eil de bœuf, Ceillets (3)", "Œuvre d'un jour ; Œil de bœuf, Œillets (3)"),
            ("je VEUX ceci, CECI, MEURS, SEUR, l'euvre, Seul", "je VEUX ceci, CECI, MEURS, SEUR, l'euvre, Seul"),
            ("æ", "æ"),
        ] {
            assert_eq!(correct(read), expected);
        }
    }
}
