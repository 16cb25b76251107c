//! Amounts of money in texts to contacts.

use shared::text::Language;

/// Formats an amount in hundredths of a currency: `1 500 F CFA`, `12,50 €` (French), `12.50 €` (English).
pub(crate) fn format_amount(cents: i64, currency: &str, language: Language) -> String {
    let is_english = language == Language::English;
    let (separator, point) = if is_english { (',', '.') } else { ('\u{a0}', ',') };
    let whole = (cents / 100).to_string();
    let mut number = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            number.push(separator);
        }
        number.push(digit);
    }
    if cents % 100 != 0 {
        number.push_str(&format!("{point}{:02}", cents % 100));
    }
    let unit = match currency {
        "XOF" | "XAF" => "F CFA",
        "EUR" => "€",
        other => other,
    };
    format!("{number}\u{a0}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_follow_the_conventions_of_french_and_english() {
        for (cents, currency, french, english) in [
            (150_000, "XOF", "1 500 F CFA", "1,500 F CFA"),
            (1_250, "EUR", "12,50 €", "12.50 €"),
            (123_456_789, "USD", "1 234 567,89 USD", "1,234,567.89 USD"),
            (0, "XOF", "0 F CFA", "0 F CFA"),
        ] {
            let plain = |text: String| text.replace('\u{a0}', " ");
            assert_eq!(plain(format_amount(cents, currency, Language::French)), french);
            assert_eq!(plain(format_amount(cents, currency, Language::English)), english);
        }
    }
}
