//! Hyphens at the ends of lines: whether one belongs to its word, as in `rendez-vous`, or only divides it, as in
//! `livrai-son`. The other words of the document decide, then lists of French and English compounds.

use std::collections::HashSet;

/// Character that pdfium emits in place of a hyphen at the end of a line.
pub(super) const LINE_END_HYPHEN: char = '\u{2}';

/// First parts of compounds, with any second part.
const FIRST_PARTS: &str = "demi semi quasi garde porte chef self well e arrière";

/// First parts of compounds, with the second parts that make one. Other second parts are the rest of a divided word.
const COMPOUNDS: &[(&str, &str)] = &[
    ("rendez allez venez prenez voulez pouvez avez êtes appelez contactez", "vous"),
    ("peut", "être"),
    ("après", "midi vente demain"),
    ("avant", "hier garde première propos dernier"),
    ("au par ci là", "delà dessus dessous devant joint jointe joints après contre bas haut"),
    ("celui celle ceux celles", "ci là"),
    ("lui elle eux elles moi toi nous vous soi", "même mêmes"),
    ("grand grands", "mère père mères pères parents chose route place rue"),
    ("sous", "traitance traitant traitants total totaux sol main verre"),
    ("non", "respect paiement remboursable remboursables conforme conformité livraison fumeur"),
    ("haut bas", "parleur parleurs débit côté"),
    ("vis", "à"),
    ("week", "end ends"),
    ("libre", "service"),
    ("est", "ce il elle"),
    ("a", "t"),
    ("check sign log", "in out up"),
    ("follow pick set back", "up ups"),
    ("drop", "off"),
    ("full part real long short", "time term"),
    ("long short", "term"),
    ("t", "shirt shirts"),
];

/// Words within compounds of three parts, such as `vis-à-vis`.
const MIDDLE_PARTS: &str = "à de d en sur sous des du et au la le les of to in the by and";

/// Words for numbers, which hyphens join.
const NUMBERS: &str = "vingt trente quarante cinquante soixante quatre dix cent un deux trois cinq six sept huit neuf \
    onze douze treize quatorze quinze seize vingts twenty thirty forty fifty sixty seventy eighty ninety one two \
    three four five seven eight nine";

/// Fewest letters of both parts of a compound whose parts are words of the document.
const MIN_PART_CHARS: usize = 3;

/// The words of a document, in lower case.
#[derive(Clone, Debug, Default)]
pub struct KnownWords {
    words: HashSet<String>,
    /// Words with a hyphen that is not at the end of a line.
    compounds: HashSet<String>,
}

impl KnownWords {
    /// Collects the words of texts. Words that the end of a line divides are left out.
    #[must_use]
    pub fn of<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut known = Self::default();
        for line in texts.flat_map(str::lines) {
            let line = line.trim_end();
            for (nth, token) in line.split_whitespace().enumerate() {
                // The first word of a line may be the second part of a divided one.
                if nth == 0 && !token.contains('-') || token.contains(LINE_END_HYPHEN) {
                    continue;
                }
                known.add(token);
            }
        }
        known
    }

    fn add(&mut self, token: &str) {
        for word in token.split(|c: char| !c.is_alphanumeric() && !is_hyphen(c)) {
            let word = word.trim_matches(is_hyphen);
            if word.is_empty() || token.ends_with(is_hyphen) {
                continue;
            }
            let word = word.to_lowercase().replace('‐', "-");
            if word.contains('-') {
                self.compounds.insert(word)
            } else {
                self.words.insert(word)
            };
        }
    }

    /// Returns true when the hyphen between two parts belongs to the word. `before` may hold hyphens itself.
    pub(super) fn keeps_hyphen(&self, before: &str, after: &str) -> bool {
        let (before, after) = (before.to_lowercase(), after.to_lowercase());
        let whole = format!("{before}-{after}");
        if self.compounds.contains(&whole) || self.compounds.iter().any(|word| word.starts_with(&format!("{whole}-"))) {
            return true;
        }
        let first = before.rsplit('-').next().unwrap_or(&before);
        let second = after.split('-').next().unwrap_or(&after);
        if self.words.contains(&format!("{first}{second}")) {
            return false;
        }
        let has = |list: &str, word: &str| list.split_whitespace().any(|listed| listed == word);
        has(FIRST_PARTS, first) && second.chars().count() >= MIN_PART_CHARS
            || before.contains('-') && has(MIDDLE_PARTS, first)
            || has(MIDDLE_PARTS, second) && after.contains('-')
            || has(NUMBERS, first) && has(NUMBERS, second)
            || COMPOUNDS.iter().any(|(firsts, seconds)| has(firsts, first) && has(seconds, second))
            || first.chars().count() >= MIN_PART_CHARS
                && second.chars().count() >= MIN_PART_CHARS
                && self.words.contains(first)
                && self.words.contains(second)
    }
}

pub(super) fn is_hyphen(c: char) -> bool {
    matches!(c, '-' | '‐')
}
