//! Words as people type them: inflected and derived forms, words spelt by ear, typing mistakes.

/// Endings of inflected and derived forms, of French and English. `accept` and `acceptons`, `consult` and
/// `consultation` differ by one of them.
const ENDINGS: &str = "a able ables ad age ages aire aires aison aisons al ale ales ance ances and ant ante antes at ation ations \
    e ed ee ees ement ements en ence ences ent er es est eur eurs euse euses ez i ie ier iere ieres iers if ifs in ing ings ion on \
    ions ir iss issage issement issez it ite ites ive ives ment ments on ons or ors s t te tes tion tions ture u ure ures y d \
    r rs ie ies ipt iption ct ction uct iste istes ique iques ly ness";
/// Fewest characters that two forms of a word have in common.
const MIN_COMMON_CHARS: usize = 4;
/// Fewest characters of a word that may be a typing mistake of another, and of one with two mistakes.
const MIN_MISSPELT_CHARS: usize = 5;
const MIN_TWICE_MISSPELT_CHARS: usize = 8;
/// Characters of a word in which two letters may have changed places, and nothing else.
const MIN_TRANSPOSED_CHARS: usize = 4;
/// Fewest characters of the sounds by which a word is recognised.
const MIN_SOUND_CHARS: usize = 4;

/// Returns true when two stems are forms of one word: equal, or the longer one adds an ending to the shorter.
pub(super) fn is_same_family(left: &str, right: &str) -> bool {
    let (short, long) = if left.len() <= right.len() { (left, right) } else { (right, left) };
    if short == long {
        return true;
    }
    let common = short.chars().zip(long.chars()).take_while(|(a, b)| a == b).count();
    let is_ending = |rest: String| rest.is_empty() || ENDINGS.split_whitespace().any(|ending| ending == rest);
    common >= MIN_COMMON_CHARS
        && common + 2 >= short.chars().count()
        && is_ending(short.chars().skip(common).collect())
        && is_ending(long.chars().skip(common).collect())
}

/// Returns true when a folded word is most likely another one, typed by ear or with a mistake.
pub(super) fn is_misspelt(typed: &str, word: &str) -> bool {
    if !typed.chars().all(char::is_alphabetic)
        || !word.chars().all(char::is_alphabetic)
        || typed.len().abs_diff(word.len()) > 3
    {
        return false;
    }
    let (sound, other) = (sound(typed), sound(word));
    if sound == other && sound.chars().count() >= MIN_SOUND_CHARS {
        return true;
    }
    let chars = typed.chars().count().min(word.chars().count());
    if chars == MIN_TRANSPOSED_CHARS {
        return typed.chars().next() == word.chars().next() && is_transposed(typed, word);
    }
    let allowed = match chars {
        ..MIN_MISSPELT_CHARS => return false,
        MIN_MISSPELT_CHARS..MIN_TWICE_MISSPELT_CHARS => 1,
        _ => 2,
    };
    // A mistake in the first letter is rare, and most words that differ there are others.
    typed.chars().next() == word.chars().next() && strsim::osa_distance(typed, word) <= allowed
}

/// Returns true when two neighbouring letters changed places.
fn is_transposed(typed: &str, word: &str) -> bool {
    let letters = |word: &str| {
        let mut letters: Vec<char> = word.chars().collect();
        letters.sort_unstable();
        letters
    };
    letters(typed) == letters(word) && strsim::osa_distance(typed, word) == 1
}

/// Returns true when a folded word is the colloquial beginning of another: "radio" of "radiographie".
pub(super) fn is_short_form(typed: &str, word: &str) -> bool {
    typed.len() >= MIN_COMMON_CHARS
        && typed.ends_with(['a', 'e', 'i', 'o', 'u'])
        && word.len() >= typed.len() + 3
        && word.starts_with(typed)
}

/// Returns the sounds of a folded French word, roughly: letters that sound alike become one, double and silent letters
/// go. `livrezon` and `livraison` have the same sounds.
pub(super) fn sound(word: &str) -> String {
    let mut sound = word.to_owned();
    for ending in ["er", "ez", "et"] {
        if let Some(head) = word.strip_suffix(ending) {
            sound = format!("{head}e");
        }
    }
    for (written, heard) in [
        ("eaux", "o"),
        ("eau", "o"),
        ("aux", "o"),
        ("au", "o"),
        ("ph", "f"),
        ("qu", "k"),
        ("ck", "k"),
        ("ch", "0"),
        ("gu", "g"),
        ("ge", "j"),
        ("ain", "in"),
        ("ein", "in"),
        ("ai", "e"),
        ("ei", "e"),
        ("ee", "e"),
        ("om", "on"),
        ("am", "an"),
        ("em", "an"),
        ("en", "an"),
        ("im", "in"),
        ("ym", "in"),
        ("yn", "in"),
        ("ss", "s"),
        ("ci", "si"),
        ("ce", "se"),
        ("c", "k"),
        ("q", "k"),
        ("z", "s"),
        ("x", "s"),
        ("y", "i"),
        ("h", ""),
    ] {
        sound = sound.replace(written, heard);
    }
    let mut single: Vec<char> = sound.chars().collect();
    single.dedup();
    while single.len() > 2 && matches!(single.last(), Some('e' | 's' | 't' | 'd' | 'p')) {
        single.pop();
    }
    single.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_word_are_one_family() {
        for (left, right) in
            [("accept", "accepton"), ("consult", "consultation"), ("inscr", "inscript"), ("livr", "livr")]
        {
            assert!(is_same_family(left, right), "{left} {right}");
        }
        for (left, right) in [("chaussur", "chausset"), ("pagn", "pain"), ("comment", "command"), ("port", "portabl5")]
        {
            assert!(!is_same_family(left, right), "{left} {right}");
        }
    }

    #[test]
    fn words_typed_by_ear_or_with_a_mistake_are_recognised() {
        for (typed, word) in [
            ("livrezon", "livraison"),
            ("conbien", "combien"),
            ("remboursment", "remboursement"),
            ("chausure", "chaussures"),
            ("telefone", "telephone"),
            ("waranty", "warranty"),
            ("adress", "adresse"),
        ] {
            assert!(is_misspelt(typed, word), "{typed} {word}: {} {}", sound(typed), sound(word));
        }
        for (typed, word) in
            [("prix", "prise"), ("moto", "photo"), ("robe", "robot"), ("bogolan", "bagage"), ("75", "55")]
        {
            assert!(!is_misspelt(typed, word), "{typed} {word}");
        }
    }
}
