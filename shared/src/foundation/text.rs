//! Text normalisation for storage and for search, and language detection.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

mod garbled;
mod hyphens;
mod language;
mod media;
pub(crate) mod stop_words;
mod table_rows;
pub mod whatsapp;

pub use garbled::is_garbled;
pub use hyphens::KnownWords;
pub use language::{Language, detect_clear_language, detect_language, detect_likely_language, detect_message_language};
pub use media::unreadable_kind;
pub use table_rows::{TableCell, TableRow, is_table_row, label_columns};

use hyphens::{LINE_END_HYPHEN, is_hyphen};

/// Character that stands for a glyph whose meaning is not known.
const REPLACEMENT: char = '\u{fffd}';

/// Normalises text for storage and display: composed characters, without control characters, with words rejoined that
/// were divided at the end of a line. Ligatures, wide letters and other forms of letters become plain ones. Figures
/// stay as they are: `2½`, `10³` and `320¹` would become other figures. Keeps lines, separates paragraphs by one blank
/// line, and makes every other run of white space one space. Idempotent.
pub fn clean(raw: &str) -> String {
    clean_within(raw, &KnownWords::of(std::iter::once(raw)), usize::MAX).unwrap_or_default()
}

/// Normalises text as [`clean`] does. `words` are the words of the whole document, which decide about hyphens at the
/// ends of lines. Returns `None` when the text has more than `max_chars` characters in plain forms, in which one
/// character may become eighteen; it is not normalised further then.
pub fn clean_within(raw: &str, words: &KnownWords, max_chars: usize) -> Option<String> {
    let visible = raw.replace("\r\n", "\n");
    let marked = mark_private(&visible);
    let mut chars = marked.chars().filter_map(visible_char).flat_map(plain_forms).nfc();
    let plain: String = chars.by_ref().take(max_chars).collect();
    chars.next().is_none().then(|| tidy_lines(&join_hyphens(&plain, words)))
}

/// Folds text for search: lower case, without Latin accents and ligatures, with apostrophes and white space as single
/// spaces. A raised digit or a fraction after a digit stands apart from it. Documents and questions must both be
/// folded. Idempotent.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    // NFKC comes before lower case, since compatibility forms hide capitals. NFKD comes after it, since the lower
    // case of İ is an i with a combining dot.
    let lower = part_figures(text).nfkc().flat_map(char::to_lowercase).collect::<String>();
    for c in lower.nfkd().filter(|&c| !is_latin_accent(c)).nfc() {
        match c {
            'œ' => folded.push_str("oe"),
            'æ' => folded.push_str("ae"),
            'ß' => folded.push_str("ss"),
            'ø' => folded.push('o'),
            'ł' => folded.push('l'),
            'đ' => folded.push('d'),
            'ı' => folded.push('i'),
            '\u{2044}' => folded.push('/'),
            c if is_apostrophe(c) || c.is_whitespace() => {
                if !folded.is_empty() && !folded.ends_with(' ') {
                    folded.push(' ');
                }
            }
            c => folded.push(c),
        }
    }
    folded.truncate(folded.trim_end().len());
    folded
}

/// Puts a space between a digit and the raised, lowered or circled digit or the fraction after it.
fn part_figures(text: &str) -> String {
    let mut parted = String::with_capacity(text.len());
    let mut before = ' ';
    for c in text.chars() {
        let (is_mark, was_mark) = (is_figure_mark(c), is_figure_mark(before));
        if is_mark && !was_mark && before.is_numeric() || was_mark && !is_mark && c.is_numeric() {
            parted.push(' ');
        }
        parted.push(c);
        before = c;
    }
    parted
}

/// Returns true for superscript and subscript digits, fractions and circled digits.
fn is_figure_mark(c: char) -> bool {
    matches!(c, '²' | '³' | '¹' | '¼'..='¾' | '\u{2070}'..='\u{208e}' | '\u{2150}'..='\u{215f}' | '\u{2189}')
        || matches!(c, '\u{2460}'..='\u{249b}' | '\u{24ea}'..='\u{24ff}')
}

/// Returns the plain form of a character that is only another form of letters: a ligature, a wide or narrow letter, a
/// letter of mathematics, a presentation form of Arabic or Hebrew.
fn plain_forms(c: char) -> impl Iterator<Item = char> {
    let is_form = matches!(c, '\u{fb00}'..='\u{fdff}' | '\u{fe30}'..='\u{fe6f}' | '\u{fe70}'..='\u{fefc}')
        || matches!(c, '\u{ff00}'..='\u{ffef}' | '\u{1d400}'..='\u{1d7ff}')
        || matches!(c, '\u{2e80}'..='\u{2fdf}' | '\u{f900}'..='\u{faff}' | '\u{2f800}'..='\u{2fa1f}')
        || matches!(c, 'ĳ' | 'Ĳ' | 'ŀ' | 'Ŀ' | 'ŉ' | 'Ǆ'..='ǌ' | 'Ǳ'..='ǳ' | 'ſ' | '\u{2010}' | '\u{2011}');
    let c = if matches!(c, '\u{2010}' | '\u{2011}') { '-' } else { c };
    let (form, same) = if is_form { (Some(c), None) } else { (None, Some(c)) };
    form.into_iter().nfkc().chain(same)
}

/// Replaces characters of private use beside letters and digits, where they stand for letters of a font without a
/// mapping. Alone, they are icons and bullets.
fn mark_private(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let is_letter = |at: Option<usize>| at.and_then(|at| chars.get(at)).is_some_and(|c| c.is_alphanumeric());
    let mark = |(at, &c): (usize, &char)| {
        let is_beside = is_letter(at.checked_sub(1)) || is_letter(Some(at + 1));
        if is_private(c) && is_beside { REPLACEMENT } else { c }
    };
    chars.iter().enumerate().map(mark).collect()
}

fn is_private(c: char) -> bool {
    matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..) && !matches!(c, '\u{f0a7}' | '\u{f0b7}' | '\u{f0d8}')
}

/// Maps a character to itself, to a line break, to a space for noise, or to nothing.
fn visible_char(c: char) -> Option<char> {
    match c {
        '\n' | LINE_END_HYPHEN => Some(c),
        '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some('\n'),
        // Bullets of the Symbol and Wingdings fonts, which word processors leave unmapped.
        '\u{f0a7}' | '\u{f0b7}' | '\u{f0d8}' => Some('•'),
        '\u{e000}'..='\u{f8ff}' | '\u{fff9}'..='\u{fffc}' | '\u{f0000}'.. => Some(' '),
        // Soft hyphens, zero-width and directional marks would split words for a search. The joiners U+200C and
        // U+200D stay, since they belong to the spelling of Persian and the Indic scripts.
        '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' => None,
        '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fdd0}'..='\u{fdef}' => None,
        c if c.is_whitespace() => Some(' '),
        c if c.is_control() => None,
        c if u32::from(c) & 0xfffe == 0xfffe => None,
        c => Some(c),
    }
}

/// Joins words that were divided at the end of a line. The hyphen stays where it belongs to the word: before a capital
/// or a digit (`Jean-Pierre`, `2023-2024`), and in compounds (`rendez-vous`).
fn join_hyphens(text: &str, words: &KnownWords) -> String {
    let mut joined = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|c| is_hyphen(c) || c == LINE_END_HYPHEN) {
        let (before, from) = rest.split_at(at);
        joined.push_str(before);
        let mut chars = from.chars();
        let hyphen = chars.next().map_or('-', |c| if c == LINE_END_HYPHEN { '-' } else { c });
        let after = chars.as_str();
        let line_break = after.trim_start_matches(' ').strip_prefix('\n');
        let next_line = line_break.map(|line| line.trim_start_matches(' '));
        let broken = next_line.is_some() || from.starts_with(LINE_END_HYPHEN);
        let continued = next_line.unwrap_or_else(|| after.trim_start_matches(' '));
        let word_before = joined.chars().next_back().is_some_and(char::is_alphanumeric);
        rest = match continued.chars().next() {
            Some(next) if broken && word_before && next.is_alphanumeric() => {
                let is_word = |c: char| c.is_alphanumeric() || is_hyphen(c);
                let first = joined.rsplit(|c| !is_word(c)).next().unwrap_or_default();
                let second = continued.split(|c| !is_word(c)).next().unwrap_or_default();
                let second = second.trim_end_matches(is_hyphen);
                if !next.is_lowercase() || words.keeps_hyphen(first, second) {
                    joined.push(hyphen);
                }
                continued
            }
            _ => {
                joined.push(hyphen);
                after
            }
        };
    }
    joined.push_str(rest);
    joined
}

/// Trims lines, and reduces each run of white space to one space and each run of blank lines to one.
fn tidy_lines(text: &str) -> String {
    let mut tidy = String::with_capacity(text.len());
    let mut blank = false;
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some(first) = words.next() else {
            blank = true;
            continue;
        };
        if !tidy.is_empty() {
            tidy.push_str(if blank { "\n\n" } else { "\n" });
        }
        blank = false;
        tidy.push_str(first);
        for word in words {
            tidy.push(' ');
            tidy.push_str(word);
        }
    }
    tidy
}

/// Returns true for the combining marks of Latin letters. The combining marks of other scripts belong to the
/// spelling.
fn is_latin_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}') && is_combining_mark(c)
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '’' | '‘' | 'ʼ' | '′' | '`' | '´')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn control_characters_and_noise_disappear() {
        assert_eq!(clean("a\0b\u{7}c\u{fffe}\u{feff}d"), "abcd");
        assert_eq!(clean("\u{e000} prix \u{e001} 5 000"), "prix 5 000");
        assert_eq!(clean("\u{f0b7} premier point"), "• premier point");
    }

    #[test]
    fn compatibility_forms_become_plain_characters() {
        assert_eq!(clean("eﬃcace\u{a0}: ５ ｋｇ, e\u{301}te\u{301}"), "efficace : 5 kg, été");
    }

    #[test]
    fn words_hyphenated_at_a_line_end_are_joined() {
        assert_eq!(clean("la livrai-\r\nson"), "la livraison");
        assert_eq!(clean("la livrai\u{2}\nson"), "la livraison");
        assert_eq!(clean("la livrai\u{2}son"), "la livraison");
        assert_eq!(clean("la livrai\u{ad}son"), "la livraison");
    }

    #[test]
    fn figures_stay_and_stand_apart_for_search() {
        let text = "2½ heures, 10³ germes, 15 m², 320¹ euros, 3①";
        assert_eq!(clean(text), text);
        assert_eq!(fold(text), "2 1/2 heures, 10 3 germes, 15 m2, 320 1 euros, 3 1");
        assert_eq!(fold("½5 H₂O"), "1/2 5 h2o");
    }

    #[test]
    fn glyphs_without_a_meaning_are_kept() {
        assert_eq!(clean("certi\u{fffd}cat \u{fffd} pro\u{e001}l"), "certi\u{fffd}cat \u{fffd} pro\u{fffd}l");
    }

    #[test]
    fn compounds_keep_their_hyphen_at_a_line_end() {
        assert_eq!(clean("sur rendez-\nvous, peut-\nêtre"), "sur rendez-vous, peut-être");
        assert_eq!(clean("le garde\u{2}meuble, la demi\u{2}journée"), "le garde-meuble, la demi-journée");
        assert_eq!(clean("vis-à-\nvis, c'est-à-\ndire, vingt-\ndeux"), "vis-à-vis, c'est-à-dire, vingt-deux");
        assert_eq!(clean("Un taille-crayon. Le taille-\ncrayon"), "Un taille-crayon. Le taille-crayon");
        assert_eq!(clean("une valeur, la va-\nleur, un mer-\nci"), "une valeur, la valeur, un merci");
        assert_eq!(clean("Le chou et la fleur. Un chou-\nfleur"), "Le chou et la fleur. Un chou-fleur");
    }

    #[test]
    fn hyphens_of_names_and_numbers_stay() {
        assert_eq!(clean("Jean\u{2}\nPierre"), "Jean-Pierre");
        assert_eq!(clean("2023-\n2024"), "2023-2024");
        assert_eq!(clean("- un\n- deux"), "- un\n- deux");
        assert_eq!(clean("porte-monnaie"), "porte-monnaie");
    }

    #[test]
    fn lines_and_paragraphs_are_kept() {
        assert_eq!(clean("  Titre \n\n\n  une\tligne \r\ndeux \n"), "Titre\n\nune ligne\ndeux");
    }

    #[test]
    fn folding_lowers_case_and_removes_latin_accents() {
        assert_eq!(fold("L'Œuf d’Été,  à\nNoël"), "l oeuf d ete, a noel");
        assert_eq!(fold("Straße İstanbul Łódź"), "strasse istanbul lodz");
        assert_eq!(fold("한국 がぎ"), "한국 がぎ");
    }

    proptest! {
        #[test]
        fn cleaning_twice_changes_nothing(raw in "[\\PC\u{0}-\u{20}\u{ad}-]{0,80}") {
            let once = clean(&raw);
            prop_assert_eq!(clean(&once), once.clone());
            prop_assert!(!once.contains('\0'));
        }

        #[test]
        fn folding_twice_changes_nothing(raw in ".{0,80}") {
            let once = fold(&raw);
            prop_assert_eq!(fold(&once), once.clone());
        }
    }
}
