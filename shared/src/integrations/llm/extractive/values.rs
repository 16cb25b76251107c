//! The kinds of values that questions ask for, and their detection in texts, in French and English. Texts are folded.

/// The kind of value that a question asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueKind {
    Price,
    Phone,
    Address,
    /// The name of a person.
    Name,
    /// The times at which something is open or happens.
    Hours,
    /// A length of time.
    Duration,
    /// A length of time, a date or a time of the day.
    Time,
    Number,
}

/// A part of a folded text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'t> {
    Digits(&'t str),
    Word(&'t str),
    Sign(char),
}

const CURRENCIES: &str =
    "fcfa cfa f xof franc francs eur euro euros usd dollar dollars pound pounds gbp pence cents centimes";
const CURRENCY_SIGNS: [char; 3] = ['€', '£', '$'];
const FREE_WORDS: &str = "gratuit gratuite gratuits gratuites gratuitement offert offerte offerts offertes free";
/// Words of the head of a column or a section whose numbers are prices.
const PRICE_WORDS: &str = "prix tarif tarifs montant cout frais price prices fee fees cost rate rates";
const DAYS: &str = "lundi mardi mercredi jeudi vendredi samedi dimanche monday tuesday wednesday thursday friday saturday sunday \
    mondays tuesdays wednesdays thursdays fridays saturdays sundays weekend weekends feries";
const DAY_TIMES: &str = "midi minuit noon midnight";
const CLOSED_WORDS: &str = "ferme fermee fermes closed";
/// Words before an hour of the day: "8 heures" alone is a length of time.
const BEFORE_AN_HOUR: &str = "a de des jusqu jusque avant apres entre et vers au from to until at before after between";
const UNITS_OF_TIME: &str = "jour jours heure heures h minute minutes min semaine semaines mois an ans annee annees journee nuit \
    nuits day days hour hours hrs week weeks month months year years night nights seconds secondes";
/// Words between a number and its unit: "dix jours", "5 working days".
const BETWEEN: &str = "working business calendar ouvres ouvrables bons good full";
const MONTHS: &str = "janvier fevrier mars avril mai juin juillet aout septembre octobre novembre decembre january february march \
    april may june july august september october november december";
const MOMENTS: &str = "immediatement immediat aussitot veille lendemain immediately";
/// Numbers in words. `un` and `one` are left out, since they are more often articles and pronouns.
const NUMBER_WORDS: &str = "deux trois quatre cinq sept huit neuf dix onze douze treize quatorze quinze seize vingt trente \
    quarante cinquante soixante cent mille two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen \
    sixteen eighteen twenty thirty forty fifty sixty ninety hundred thousand half moitie";
const TITLES: &str = "m mme mlle monsieur madame dr docteur mr mrs ms maitre pr professeur";
const ADDRESS_WORDS: &str = "rue avenue av boulevard bd blvd quartier immeuble carrefour lot allee impasse route residence galerie \
    metro street road lane quay ave square floor building situe situee situes situees trouve trouvent located opposite commune \
    arrondissement face bp";
/// Places where a company receives its customers.
const PLACES: &str = "depot entrepot boutique magasin agence accueil secretariat guichet gare comptoir bureau point relais shop \
    store warehouse desk reception website site ligne online domicile clinique center centre office";

/// Returns true when a folded text contains a value of the kind.
pub(super) fn contains(kind: ValueKind, folded: &str) -> bool {
    let tokens = tokens(folded);
    match kind {
        ValueKind::Price => has_price(&tokens),
        ValueKind::Phone => has_phone(folded),
        ValueKind::Address => has_word(&tokens, ADDRESS_WORDS),
        ValueKind::Hours => has_clock_time(&tokens) || has_word(&tokens, DAYS) || has_word(&tokens, CLOSED_WORDS),
        ValueKind::Duration => has_duration(&tokens),
        ValueKind::Time => {
            has_duration(&tokens) || has_date(&tokens) || has_clock_time(&tokens) || has_word(&tokens, DAYS)
        }
        // Folded text shows no names.
        ValueKind::Name => has_word(&tokens, TITLES),
        ValueKind::Number => has_number(&tokens),
    }
}

/// Returns true when a folded text contains the most telling form of a value: a clock time beside mere days.
pub(super) fn contains_exactly(kind: ValueKind, folded: &str) -> bool {
    match kind {
        ValueKind::Hours => has_clock_time(&tokens(folded)),
        _ => contains(kind, folded),
    }
}

/// Returns true when a text contains an amount of money, rather than a word such as "free".
pub(super) fn contains_amount(folded: &str) -> bool {
    contains_digits(folded) && contains(ValueKind::Price, folded)
}

/// Returns true when a text, not folded, contains two capitalised words in a row, as the names of persons are.
pub(super) fn contains_full_name(text: &str) -> bool {
    let is_capitalised = |word: &str| {
        let mut letters = word.trim_matches(|c: char| !c.is_alphanumeric()).chars();
        letters.next().is_some_and(char::is_uppercase) && letters.next().is_some_and(char::is_lowercase)
    };
    let words: Vec<_> = text.split_whitespace().collect();
    words.windows(2).any(|pair| matches!(pair, [first, second] if is_capitalised(first) && is_capitalised(second)))
}

/// Returns true when a folded text names a place where a company receives its customers.
pub(super) fn names_place(folded: &str) -> bool {
    has_word(&tokens(folded), PLACES)
}

/// Returns true when the head of a folded column or section says that the numbers below are prices.
pub(super) fn heads_prices(folded: &str) -> bool {
    let tokens = tokens(folded);
    has_word(&tokens, PRICE_WORDS) || has_word(&tokens, "fcfa cfa xof eur euros") || folded.contains(CURRENCY_SIGNS)
}

/// Names of the days of the week, from Monday on, folded, without the plural's ending.
const WEEK: [(&str, &str); 7] = [
    ("lundi", "monday"),
    ("mardi", "tuesday"),
    ("mercredi", "wednesday"),
    ("jeudi", "thursday"),
    ("vendredi", "friday"),
    ("samedi", "saturday"),
    ("dimanche", "sunday"),
];
/// Words between the first and the last day of a range.
const UNTIL: &str = "au a to until through thru";
const EVERY_DAY: [&str; 6] = ["tous les jours", "chaque jour", "every day", "daily", "7 jours sur 7", "7/7"];

/// Returns true when a folded text is about every day.
pub(super) fn is_every_day(folded: &str) -> bool {
    EVERY_DAY.iter().any(|all| folded.contains(all))
}

/// Returns the days of the week that a folded text names, ranges included: bit 0 is Monday.
pub(super) fn days(folded: &str) -> u8 {
    let tokens = tokens(folded);
    let day = |token: &Token<'_>| match token {
        Token::Word(word) => {
            let word = word.strip_suffix('s').unwrap_or(word);
            WEEK.iter().position(|(french, english)| word == *french || word == *english)
        }
        _ => None,
    };
    let mut found = 0;
    for (at, token) in tokens.iter().enumerate() {
        if matches!(token, Token::Word("weekend" | "weekends")) {
            found |= 0b110_0000;
        }
        let Some(first) = day(token) else { continue };
        found |= 1 << first;
        let is_range = match tokens.get(at + 1) {
            Some(Token::Word(word)) => is_in(word, UNTIL),
            Some(Token::Sign(sign)) => matches!(sign, '-' | '–' | '—'),
            _ => false,
        };
        if let Some(last) = tokens.get(at + 2).and_then(day).filter(|_| is_range) {
            let length = (last + 7 - first) % 7;
            (0..=length).for_each(|step| found |= 1 << ((first + step) % 7));
        }
    }
    found
}

/// Periods by which something is charged, folded: an hour, half a day, a day, a night, a week, a month, a year.
const PERIODS: [&str; 6] = [
    "heure heures hour hours hourly h",
    "jour jours journee journees day days daily",
    "nuit nuits nuitee nuitees night nights nightly",
    "semaine semaines week weeks weekly hebdomadaire",
    "mois month months monthly mensuel mensuelle mensualite",
    "an ans annee annees annuel annuelle year years yearly annual",
];

/// Returns the periods that a folded text names, one bit each.
pub(super) fn periods(folded: &str) -> u8 {
    let tokens = tokens(folded);
    let named = |words: &&str| tokens.iter().any(|token| matches!(token, Token::Word(word) if is_in(word, words)));
    PERIODS.iter().enumerate().filter(|(_, words)| named(words)).fold(0, |found, (bit, _)| found | 1 << bit)
}

/// Returns true when a folded text contains a number in digits.
pub(super) fn contains_digits(folded: &str) -> bool {
    folded.contains(|c: char| c.is_ascii_digit())
}

/// Returns true for a number in words.
pub(super) fn is_number_word(word: &str) -> bool {
    is_in(word, NUMBER_WORDS)
}

pub(super) fn is_in(word: &str, list: &str) -> bool {
    list.split_whitespace().any(|listed| listed == word)
}

fn has_word(tokens: &[Token<'_>], list: &str) -> bool {
    tokens.iter().any(|token| matches!(token, Token::Word(word) if is_in(word, list)))
}

/// Splits a folded text at the borders of digits, letters and signs, without white space.
fn tokens(folded: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut rest = folded;
    while let Some(first) = rest.chars().next() {
        let run = |is: fn(char) -> bool| rest.find(|c: char| !is(c)).unwrap_or(rest.len());
        let end = if first.is_ascii_digit() {
            let end = run(|c| c.is_ascii_digit());
            found.push(Token::Digits(&rest[..end]));
            end
        } else if first.is_alphabetic() {
            let end = run(char::is_alphabetic);
            found.push(Token::Word(&rest[..end]));
            end
        } else {
            if !first.is_whitespace() {
                found.push(Token::Sign(first));
            }
            first.len_utf8()
        };
        rest = &rest[end..];
    }
    found
}

fn has_price(tokens: &[Token<'_>]) -> bool {
    let has_amount = tokens.windows(2).any(|pair| match pair {
        [Token::Digits(_), Token::Word(word)] => is_in(word, CURRENCIES),
        [Token::Digits(_), Token::Sign(sign)] | [Token::Sign(sign), Token::Digits(_)] => CURRENCY_SIGNS.contains(sign),
        [Token::Word("sans" | "aucun" | "without"), Token::Word("frais" | "supplement" | "charge")] => true,
        _ => false,
    });
    // "Gluten-free" is no price.
    let is_free = |at: usize, word: &str| {
        is_in(word, FREE_WORDS) && !(at > 0 && matches!(tokens.get(at - 1), Some(Token::Sign('-'))))
    };
    has_amount || tokens.iter().enumerate().any(|(at, token)| matches!(token, Token::Word(word) if is_free(at, word)))
}

/// Returns true for a run of 8 to 15 digits that begins with `+` or `0` or stands in pairs or in the American form.
fn has_phone(folded: &str) -> bool {
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, ' ' | '.' | '-' | '(' | ')' | '+' | '/');
    folded.split(|c: char| !is_part(c)).any(|run| {
        let run = run.trim_matches(|c: char| !c.is_ascii_digit() && c != '+');
        let digits = run.chars().filter(char::is_ascii_digit).count();
        let groups: Vec<_> =
            run.split(|c: char| !c.is_ascii_digit()).filter(|group| !group.is_empty()).map(str::len).collect();
        (8..=15).contains(&digits)
            && (run.starts_with(['+', '0']) || groups.iter().all(|group| *group == 2) || groups == [3, 3, 4])
    })
}

fn has_clock_time(tokens: &[Token<'_>]) -> bool {
    let hour = |digits: &str| digits.parse::<u8>().is_ok_and(|hour| hour <= 24);
    let before = |at: usize| at.checked_sub(1).and_then(|at| tokens.get(at));
    tokens.iter().enumerate().any(|(at, token)| match token {
        Token::Word(word) => is_in(word, DAY_TIMES),
        Token::Digits(digits) if hour(digits) => match tokens.get(at + 1) {
            Some(Token::Word("h" | "am" | "pm")) => true,
            Some(Token::Word("heures" | "heure")) => {
                matches!(before(at), Some(Token::Word(word)) if is_in(word, BEFORE_AN_HOUR))
                    || matches!(tokens.get(at + 2..at + 4), Some([Token::Word("sur"), Token::Digits("24")]))
            }
            Some(Token::Word("hours")) => matches!(tokens.get(at + 2), Some(Token::Word("a"))),
            Some(Token::Sign('.' | ':')) => matches!(
                tokens.get(at + 2..at + 4),
                Some([Token::Digits(_), Token::Word("am" | "pm")])
            ) || matches!(tokens.get(at + 1..at + 3), Some([Token::Sign(':'), Token::Digits(minutes)]) if minutes.len() == 2),
            Some(Token::Sign('/')) => matches!(tokens.get(at + 2), Some(Token::Digits("7" | "24"))),
            _ => false,
        },
        _ => false,
    })
}

/// Returns true for a number with a unit of time: "dix jours", "5 working days".
fn has_duration(tokens: &[Token<'_>]) -> bool {
    let is_word = |token: Option<&Token<'_>>, list: &str| matches!(token, Some(Token::Word(word)) if is_in(word, list));
    let is_number = |token: &Token<'_>| match token {
        Token::Digits(_) => true,
        Token::Word(word) => is_number_word(word) || is_in(word, "un une one a an"),
        Token::Sign(_) => false,
    };
    tokens.iter().enumerate().any(|(at, token)| {
        let (before, next) = (at.checked_sub(1).and_then(|at| tokens.get(at)), tokens.get(at + 1));
        // "De 9 a 18 heures" is a time of the day.
        let is_clock = is_word(next, "h heures heure") && is_word(before, "a de des jusqu jusque entre et au");
        let has_unit =
            is_word(next, UNITS_OF_TIME) || is_word(next, BETWEEN) && is_word(tokens.get(at + 2), UNITS_OF_TIME);
        let is_same_day = is_word(Some(token), "meme same jour") && is_word(next, "jour day meme");
        is_number(token) && has_unit && !is_clock || is_word(Some(token), MOMENTS) || is_same_day
    })
}

/// Returns true for a month with a day or a year, and for a year.
fn has_date(tokens: &[Token<'_>]) -> bool {
    let is_month = |token: Option<&Token<'_>>| matches!(token, Some(Token::Word(word)) if is_in(word, MONTHS));
    let is_year = |digits: &str| digits.len() == 4 && (digits.starts_with('1') || digits.starts_with("20"));
    tokens.iter().enumerate().any(|(at, token)| match token {
        Token::Digits(digits) => is_year(digits) || is_month(tokens.get(at + 1)),
        Token::Word(_) => is_month(Some(token)) && matches!(tokens.get(at + 1), Some(Token::Digits(_))),
        Token::Sign(_) => false,
    })
}

/// Returns true for a number in digits or in words. The number of a heading or of a list, such as `3.`, does not count.
fn has_number(tokens: &[Token<'_>]) -> bool {
    tokens.iter().enumerate().any(|(at, token)| match token {
        Token::Digits(_) => at > 0 || !matches!(tokens.get(1), Some(Token::Sign('.' | ')')) | None),
        Token::Word(word) => is_in(word, NUMBER_WORDS),
        Token::Sign(_) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(kind: ValueKind, texts: &[&str], expected: bool) {
        for text in texts {
            assert_eq!(contains(kind, text), expected, "{kind:?} {text}");
        }
    }

    #[test]
    fn prices_have_a_currency_or_are_free() {
        let prices = ["pagne 18 500 fcfa", "£6.50", "15,80 €", "1 500 f cfa", "la livraison est offerte", "sans frais"];
        all(ValueKind::Price, &prices, true);
        all(ValueKind::Price, &["48 heures", "gluten-free", "quatorze jours", "page 3"], false);
    }

    #[test]
    fn phone_numbers_are_told_from_amounts_and_years() {
        let phones = ["+225 07 00 00 00 00", "tel. 01632 960 145", "27 20 30 40 50", "555-010-1234"];
        all(ValueKind::Phone, &phones, true);
        all(ValueKind::Phone, &["12 000 000 fcfa", "2026-2027", "lot 114", "de 8 h 30 a 19 h"], false);
    }

    #[test]
    fn hours_are_clock_times_or_days() {
        let hours = [
            "de 8 h 30 a 19 h",
            "from 6 pm",
            "8.30 am",
            "de 8 heures a 19 heures",
            "24 heures sur 24",
            "ferme le lundi",
        ];
        all(ValueKind::Hours, &hours, true);
        all(ValueKind::Hours, &["sous 48 heures", "dix jours", "24 cm"], false);
        assert!(contains_exactly(ValueKind::Hours, "a 18:30") && !contains_exactly(ValueKind::Hours, "le lundi"));
    }

    #[test]
    fn times_are_lengths_and_dates() {
        let lengths =
            ["quatorze jours apres", "5 working days", "twenty-four months", "le jour meme", "sous 48 heures"];
        all(ValueKind::Duration, &lengths, true);
        let dates = ["le 7 septembre", "en 1998", "de 9 a 18 heures", "le lundi"];
        all(ValueKind::Time, &dates, true);
        all(ValueKind::Duration, &dates, false);
        all(ValueKind::Time, &["18 500 fcfa", "tous les jours", "rue 24"], false);
    }

    #[test]
    fn numbers_are_digits_or_words() {
        all(ValueKind::Number, &["1 500", "quatorze", "v2"], true);
        all(ValueKind::Number, &["3. retourner un article", "rien"], false);
    }
}
