//! Numbers of a sheet as it shows them: by the cell's number format and the language of the sheet.

use std::collections::HashMap;

use ssfmt::{DateSystem, FormatOptions, Locale, NumberFormat};

use crate::text::Language;

/// Format of a cell without one.
const GENERAL: &str = "General";

/// Formats that Excel shows in the form of the reader's country, by their numbers: a date, and a date with its time.
const COUNTRY_DATE: u32 = 14;
const COUNTRY_DATE_TIME: u32 = 22;

/// Shows numbers by their formats. Each format is parsed once.
pub(super) struct NumberDisplay {
    options: FormatOptions,
    language: Language,
    parsed: HashMap<String, Option<NumberFormat>>,
}

impl NumberDisplay {
    pub(super) fn new(language: Language, has_1904_epoch: bool) -> Self {
        let date_system = if has_1904_epoch { DateSystem::Date1904 } else { DateSystem::Date1900 };
        let locale = if language == Language::French { french() } else { Locale::en_us() };
        Self { options: FormatOptions { date_system, locale }, language, parsed: HashMap::new() }
    }

    /// Returns a number as the sheet shows it: empty for a format that shows nothing.
    pub(super) fn show(&mut self, value: f64, code: Option<&str>, id: Option<u32>) -> String {
        let code = match (id, self.language) {
            (Some(COUNTRY_DATE), Language::French) => "dd/mm/yyyy",
            (Some(COUNTRY_DATE), _) => "yyyy-mm-dd",
            (Some(COUNTRY_DATE_TIME), Language::French) => "dd/mm/yyyy hh:mm",
            (Some(COUNTRY_DATE_TIME), _) => "yyyy-mm-dd hh:mm",
            _ => code.unwrap_or(GENERAL),
        };
        if shows_nothing(code, value) {
            return String::new();
        }
        if !self.parsed.contains_key(code) {
            self.parsed.insert(code.to_owned(), NumberFormat::parse(code).ok());
        }
        let shown = match self.parsed.get(code) {
            Some(Some(format)) => format.try_format(value, &self.options).unwrap_or_else(|_| value.to_string()),
            _ => value.to_string(),
        };
        // ssfmt writes this format with a point in every language.
        let shown = if code == GENERAL && self.language == Language::French { shown.replace('.', ",") } else { shown };
        shown.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// Returns true for a number whose part of the format is empty: `;;;` shows nothing, `0;;` no number below 0.
fn shows_nothing(code: &str, value: f64) -> bool {
    let parts: Vec<&str> = code.split(';').collect();
    let part = match (parts.len(), value) {
        (1, _) => return false,
        (_, value) if value > 0.0 => 0,
        (_, value) if value < 0.0 => 1,
        (2, _) => 0,
        _ => 2,
    };
    parts.get(part).is_some_and(|part| part.is_empty())
}

/// Separators and names of French. Excel separates thousands by a narrow no-break space.
fn french() -> Locale {
    Locale {
        decimal_separator: ',',
        thousands_separator: '\u{202f}',
        currency_symbol: "€",
        am_string: "AM",
        pm_string: "PM",
        month_names_short: [
            "janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc.",
        ],
        month_names_full: [
            "janvier",
            "février",
            "mars",
            "avril",
            "mai",
            "juin",
            "juillet",
            "août",
            "septembre",
            "octobre",
            "novembre",
            "décembre",
        ],
        day_names_short: ["dim.", "lun.", "mar.", "mer.", "jeu.", "ven.", "sam."],
        day_names_full: ["dimanche", "lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: f64, code: &str, language: Language) -> String {
        NumberDisplay::new(language, false).show(value, Some(code), None)
    }

    #[test]
    fn numbers_are_shown_as_the_sheet_shows_them() {
        for (value, code, french, english) in [
            (16_000.0, "#,##0", "16 000", "16,000"),
            (16_000.0, "General", "16000", "16000"),
            (1_500.5, "General", "1500,5", "1500.5"),
            (0.1 + 0.2, "General", "0,3", "0.3"),
            (1_234_567.891, "#,##0.00", "1 234 567,89", "1,234,567.89"),
            (16_000.0, "#,##0\\ \"FCFA\"", "16 000 FCFA", "16,000 FCFA"),
            (12.5, "#,##0.00\\ [$€-40C]", "12,50 €", "12.50 €"),
            (12.5, "_-* #,##0.00\\ \"€\"_-;\\-* #,##0.00\\ \"€\"_-;_-* \"-\"??\\ \"€\"_-;_-@_-", "12,50 €", "12.50 €"),
            (0.185, "0.0%", "18,5%", "18.5%"),
            (0.18, "0%", "18%", "18%"),
            (-250.0, "#,##0;[Red]\\-#,##0", "-250", "-250"),
            (5.0, ";;;", "", ""),
            (-5.0, "0;;", "", ""),
            (0.0, "0;-0;;@", "", ""),
            (0.0, "0;-0", "0", "0"),
            (46_355.0, "dd/mm/yyyy", "29/11/2026", "29/11/2026"),
            (46_355.0, "d mmmm yyyy", "29 novembre 2026", "29 November 2026"),
            (0.354_166_666_666_666_7, "h:mm", "8:30", "8:30"),
            (7.0, "00000", "00007", "00007"),
        ] {
            assert_eq!(shown(value, code, Language::French), french, "{code}");
            assert_eq!(shown(value, code, Language::English), english, "{code}");
        }
        let mut display = NumberDisplay::new(Language::French, false);
        assert_eq!(display.show(46_355.0, Some("mm-dd-yy"), Some(14)), "29/11/2026");
        assert_eq!(NumberDisplay::new(Language::French, true).show(44_893.0, None, Some(14)), "29/11/2026");
    }

    #[test]
    fn a_format_that_cannot_be_parsed_shows_the_number() {
        assert_eq!(shown(5.5, "[[[", Language::French), "5.5");
    }
}
