//! Strength of new passwords: common and leaked ones are refused, and those that are made of the account's own names.
//!
//! The crate zxcvbn estimates the number of guesses from lists of leaked passwords, names, words, dates, repetitions and
//! patterns of the keyboard.

use shared::{
    auth::passwords::Password,
    error::{ApiError, Result},
    text,
};
use zxcvbn::{Score, zxcvbn};

/// Number of characters up to which a password is estimated. Longer ones are on no list, and the estimate of a long text
/// takes long.
const MAX_ESTIMATED_CHARS: usize = 64;
/// Minimum length of a name, or of a word of a name, that makes a password guessable, in letters and digits.
const MIN_NAME_CHARS: usize = 4;
/// Number of letters beside a name from which a password is more than the name.
const MIN_OTHER_LETTERS: usize = 4;

/// Words that French-speaking customers use in passwords and that zxcvbn's lists rank low or lack, the rows of their
/// keyboards among them.
const COMMON_WORDS: [&str; 72] = [
    "motdepasse",
    "azertyuiop",
    "azerty",
    "qsdfghjklm",
    "qsdfgh",
    "wxcvbn",
    "bonjour",
    "bonsoir",
    "soleil",
    "jetaime",
    "doudou",
    "loulou",
    "chouchou",
    "cherie",
    "mamour",
    "amour",
    "bisous",
    "maison",
    "famille",
    "maman",
    "papa",
    "princesse",
    "marseille",
    "paris",
    "lyon",
    "toulouse",
    "bordeaux",
    "france",
    "abidjan",
    "yamoussoukro",
    "bouake",
    "korhogo",
    "cotedivoire",
    "ivoire",
    "dakar",
    "senegal",
    "bamako",
    "mali",
    "ouagadougou",
    "burkina",
    "niamey",
    "niger",
    "lome",
    "togo",
    "cotonou",
    "benin",
    "conakry",
    "guinee",
    "douala",
    "yaounde",
    "cameroun",
    "libreville",
    "gabon",
    "kinshasa",
    "brazzaville",
    "congo",
    "afrique",
    "elephant",
    "dieumerci",
    "dieuestgrand",
    "jesus",
    "allah",
    "drogba",
    "football",
    "boutique",
    "commerce",
    "entreprise",
    "whatsapp",
    "manychat",
    "lisa",
    "bienvenue",
    "secret",
];

/// Refuses a new password that is easy to guess. `names` are the address and the names that belong to the account.
///
/// # Errors
/// Returns 422 for `field`, with what to do about it.
pub(crate) fn check(field: &'static str, password: &Password, names: &[&str]) -> Result<()> {
    let typed = password.expose();
    if typed.chars().any(is_untypable) {
        return Err(ApiError::field(field, "must not have control characters or marks of the direction of writing"));
    }
    if is_made_of_names(typed, names) {
        return Err(refusal(field, "is made of the e-mail address or a name"));
    }
    if typed.chars().count() <= MAX_ESTIMATED_CHARS && is_easy_to_guess(typed, names) {
        return Err(refusal(field, "is easy to guess, or known from stolen lists"));
    }
    Ok(())
}

/// Returns true for a character that no keyboard types and no screen shows: NUL, a line break, a direction mark. Whoever
/// copies the password loses it, and is locked out.
fn is_untypable(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn refusal(field: &'static str, reason: &str) -> ApiError {
    ApiError::field(field, format!("{reason}: use four words that have nothing in common, or a password manager"))
}

/// Returns true when little is left of the password without the address or a name.
fn is_made_of_names(typed: &str, names: &[&str]) -> bool {
    let typed = letters_and_digits(typed);
    let local_parts = names.iter().filter_map(|name| name.split_once('@')).map(|(local, _)| local);
    names.iter().copied().chain(local_parts).map(letters_and_digits).any(|name| {
        let other = typed.replace(&name, "");
        name.chars().count() >= MIN_NAME_CHARS
            && other.len() < typed.len()
            && other.chars().filter(|letter| letter.is_alphabetic()).count() < MIN_OTHER_LETTERS
    })
}

fn letters_and_digits(name: &str) -> String {
    text::fold(name).chars().filter(|letter| letter.is_alphanumeric()).collect()
}

fn is_easy_to_guess(typed: &str, names: &[&str]) -> bool {
    let names: Vec<_> = names.iter().map(|name| text::fold(name)).collect();
    let words = names.iter().flat_map(|name| name.split(|letter: char| !letter.is_alphanumeric()));
    let words = words.filter(|word| word.chars().count() >= MIN_NAME_CHARS);
    let known: Vec<_> = words.chain(COMMON_WORDS).collect();
    // Neither an accent nor a space makes a word harder to guess.
    let folded = text::fold(typed);
    let joined = folded.replace(' ', "");
    let unrepeated = without_repeated_words(&folded);
    [typed, folded.as_str(), joined.as_str(), unrepeated.as_str()]
        .into_iter()
        .any(|form| zxcvbn(form, &known).score() < Score::Three)
}

/// Returns the letters and digits of a password without the words that it had before, and the password itself when no word
/// is repeated. A word said again, or set apart by signs, is hardly harder to guess, but is estimated so.
fn without_repeated_words(folded: &str) -> String {
    let mut known = Vec::new();
    let mut kept = String::new();
    let words = split_words(folded);
    for part in &words {
        let is_word = part.starts_with(char::is_alphabetic) && part.chars().count() >= MIN_NAME_CHARS;
        if is_word && known.contains(part) {
            continue;
        }
        known.push(*part);
        kept.push_str(part);
    }
    let is_unchanged = kept.len() == folded.len();
    if is_unchanged { kept } else { kept.chars().filter(|letter| letter.is_alphanumeric()).collect() }
}

/// Splits a text into runs of letters and runs of anything else.
fn split_words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_word = first.is_alphabetic();
        let end = rest.find(|letter: char| letter.is_alphabetic() != is_word).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        words.push(word);
        rest = after;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 3] = ["awa.kone@example.com", "Comptoir Baobab", "Awa Koné"];

    fn is_refused(typed: &str) -> bool {
        check("password", &Password::typed(typed.to_owned()).unwrap(), &NAMES).is_err()
    }

    #[test]
    fn common_and_leaked_passwords_are_refused() {
        for typed in [
            "password12345",
            "Password1!",
            "P@ssw0rd123",
            "passw0rd2026",
            "1234567890",
            "0123456789",
            "qwertyuiop",
            "1q2w3e4r5t",
            "1qaz2wsx3edc",
            "azertyuiop",
            "azerty123456",
            "qsdfghjklm",
            "wxcvbn123456",
            "motdepasse",
            "motdepasse123",
            "MotDePasse2026",
            "m0tdep@sse1",
            "iloveyou123",
            "jetaime2026",
            "Je t'aime 2026",
            "bonjour2026",
            "Soleil2024!",
            "Abidjan2026!",
            "marseille13",
            "Summer2026!",
            "Welcome2026",
            "letmein1234",
            "trustno1trustno1",
            "administrator",
            "changeme123",
            "football123",
            "xxxxxxxxxxxx",
            "abcdefghij",
            "01/01/1990",
            "2026-11-28",
            "abcabcabcabc",
            "dieumerci2025",
            "whatsapp2026",
        ] {
            assert!(is_refused(typed), "{typed}");
        }
    }

    #[test]
    fn a_common_word_that_is_repeated_is_refused() {
        for typed in [
            "Password123!Password",
            "Abidjan2026Abidjan",
            "abidjan-2026-ABIDJAN!",
            "Soleil2024Soleil2024",
            "Bonjour1Bonjour2Bonjour3",
            "motdepasse/Motdepasse",
            "Welcome2026!Welcome2026!",
        ] {
            assert!(is_refused(typed), "{typed}");
        }
        assert!(!is_refused("another horse, another battery") && !is_refused("vL9#qT2!xw vL9#qT2!xw"));
    }

    #[test]
    fn characters_that_nobody_can_type_are_refused() {
        for mark in ['\0', '\n', '\t', '\u{7f}', '\u{85}', '\u{202e}', '\u{200f}', '\u{2066}', '\u{2028}'] {
            let typed = format!("correct horse{mark} battery");
            let error = check("password", &Password::typed(typed).unwrap(), &NAMES).unwrap_err();
            assert!(error.details.unwrap()[0]["message"].as_str().unwrap().contains("control"), "{mark:?}");
        }
        // The joiner belongs to letters of some languages.
        assert!(!is_refused("نامه\u{200c}های بلند من"));
    }

    #[test]
    fn the_address_and_the_names_of_the_account_are_refused() {
        for typed in [
            "awa.kone@example.com",
            "AWA.KONE@EXAMPLE.COM",
            "awa.kone2026",
            "awakoneawakone",
            "Comptoir Baobab",
            "comptoirbaobab",
            "ComptoirBaobab2026!",
            "comptoir-baobab-ci",
            "C0mptoir Baobab",
            "baobab2026",
            "Awa Koné 225",
            "awa kone 1990",
            "baobaB rioTpmoc",
        ] {
            assert!(is_refused(typed), "{typed}");
        }
    }

    #[test]
    fn other_passwords_are_accepted() {
        let long = "x".repeat(1024);
        for typed in [
            "correct horse battery",
            "another horse, another battery",
            "staple battery horse",
            "trois girafes bleues",
            "le baobab chante sous la pluie",
            "vL9#qT2!xw",
            "kx7-pr2-mq9-zt4",
            "なんでもない文章です",
            long.as_str(),
        ] {
            assert!(!is_refused(typed), "{typed}");
        }
    }

    #[test]
    fn the_message_says_what_to_do() {
        let password = Password::typed("motdepasse123".to_owned()).unwrap();
        let error = check("new_password", &password, &NAMES).unwrap_err();
        assert_eq!(error.status, 422);
        let details = error.details.unwrap();
        assert_eq!(details[0]["field"], "new_password");
        assert!(details[0]["message"].as_str().unwrap().contains("use four words"), "{details}");
    }
}
