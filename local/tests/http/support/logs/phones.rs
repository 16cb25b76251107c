//! Phone numbers in log lines. A number is found as digits, whatever stands between them.

use std::collections::HashSet;

/// Minimum number of digits of a planted number and of its forms.
const MIN_DIGITS: usize = 9;
/// Maximum number of digits of a number, with the two zeros before a country's code.
const MAX_DIGITS: usize = 17;
/// Maximum length of the code of a country.
const MAX_COUNTRY_DIGITS: usize = 3;
/// Maximum number of characters between two digits of one number, as in `) - `.
const MAX_SEPARATORS: usize = 3;

/// Returns the digits of a number in each form that names it: as it is, after `00`, and as within its country, with and
/// without a zero. Nothing for a text with too few digits.
pub(super) fn forms(phone: &str) -> Vec<String> {
    let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
    let number = digits.strip_prefix("00").unwrap_or(&digits);
    if !(MIN_DIGITS..=MAX_DIGITS).contains(&number.len()) {
        return Vec::new();
    }
    let mut forms = vec![number.to_owned(), format!("00{number}")];
    for country in 1..=MAX_COUNTRY_DIGITS {
        let (_, national) = number.split_at(country);
        if national.len() >= MIN_DIGITS {
            forms.extend([national.to_owned(), format!("0{national}")]);
        }
    }
    forms
}

/// Returns the parts of a text that read as phone numbers: at least nine digits, after `+` or beginning with a zero.
pub(super) fn in_text(text: &str) -> Vec<String> {
    let is_number = |run: &Run| run.is_after_plus || run.groups.concat().starts_with('0');
    runs(text).into_iter().filter(is_number).map(|run| run.groups.concat()).collect()
}

/// Returns the first of these numbers that a line has.
pub(super) fn find(line: &str, phones: &HashSet<String>) -> Option<String> {
    runs(line).into_iter().find_map(|run| {
        (0..run.groups.len()).find_map(|first| {
            let mut digits = String::new();
            run.groups[first..].iter().find_map(|group| {
                digits.push_str(group);
                phones.contains(&digits).then(|| digits.clone())
            })
        })
    })
}

/// Groups of digits with nothing but separators between them.
#[derive(Default)]
struct Run {
    groups: Vec<String>,
    is_after_plus: bool,
}

/// Returns the runs of a text that have enough digits for a number. Digits beside a letter belong to no run: they are
/// part of an id.
fn runs(text: &str) -> Vec<Run> {
    let mut runs = vec![Run::default()];
    let mut rest = text;
    let mut before = None;
    while let Some(letter) = rest.chars().next() {
        let token = token(rest);
        rest = &rest[token.len()..];
        let run = runs.last_mut().expect("never empty");
        if letter.is_ascii_digit() {
            let is_part_of_id = |beside: char| beside.is_alphabetic() || beside == '_';
            if before.is_some_and(is_part_of_id) || rest.starts_with(is_part_of_id) {
                runs.push(Run::default());
            } else {
                run.groups.push(token.to_owned());
            }
        } else if token.starts_with("%2B") || token.starts_with("%2b") || letter == '+' {
            runs.push(Run { is_after_plus: true, ..Run::default() });
        } else if !is_separator(token) {
            runs.push(Run::default());
        }
        before = token.chars().next_back().filter(|_| !token.starts_with('%'));
    }
    runs.retain(|run| run.groups.iter().map(String::len).sum::<usize>() >= MIN_DIGITS);
    runs
}

/// Returns the beginning of a text that is read at once: digits, separators, a character in the form `%20`, or one letter.
fn token(text: &str) -> &str {
    let digits = text.len() - text.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    let separators = text.len() - text.trim_start_matches(SEPARATORS).len();
    let is_encoded = text.starts_with('%') && text.as_bytes().iter().skip(1).take(2).all(u8::is_ascii_hexdigit);
    let letter = text.chars().next().map_or(0, char::len_utf8);
    let length = if is_encoded { text.len().min(3) } else { digits.max(separators).max(letter) };
    &text[..length]
}

const SEPARATORS: [char; 9] = [' ', '-', '.', '/', '(', ')', '\u{a0}', '\u{2011}', '\u{202f}'];

fn is_separator(token: &str) -> bool {
    token == "%20"
        || (token.chars().count() <= MAX_SEPARATORS && token.chars().all(|letter| SEPARATORS.contains(&letter)))
}

#[test]
fn a_number_is_found_in_every_usual_form_and_no_other_number_is() {
    let phones: HashSet<String> = forms("+225 07 00 00 01 32").into_iter().collect();
    for line in [
        r#"{"phone":"+2250700000132"}"#,
        r#"{"phone":"Some(\"+225 07 00 00 01 32\")"}"#,
        "002250700000132",
        "a message of 2250700000132 came",
        "0700000132",
        "07 00 00 01 32, 5 messages",
        "3 of +225\u{a0}07-00.00/01 32 5",
        "(225) 07 00 00 01 32",
        "/api/v1/messages?user_phone=%2B2250700000132&page=1",
        "user_phone=%2B225%2007%2000%2000%2001%2032",
        "user:2250700000132",
    ] {
        assert!(find(line, &phones).is_some(), "{line}");
    }
    for line in [
        "+2250700000133",
        "12250700000132",
        "2026-11-29T22:38:28.700000132Z",
        "a2250700000132b",
        "0b9f2c34-5a1f-4a57-9a43-2250700000132f6f01",
        "225, 0700, 000132",
    ] {
        assert_eq!(find(line, &phones), None, "{line}");
    }
}

#[test]
fn numbers_in_a_text_are_recognised_and_prices_are_not() {
    let text = "Appelez le 07 55 44 33 22 ou +33 6 12 34 56 78 : 12 000 000 F le 01/02/2026";
    assert_eq!(in_text(text), ["0755443322", "33612345678"]);
    assert!(forms("le 01/02/2026").is_empty());
}
