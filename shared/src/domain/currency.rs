//! Currency codes of ISO 4217, and amounts of money in texts to contacts.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::text::Language;

/// The codes of ISO 4217 for currencies in circulation, without funds, metals and test codes.
const CODES: &str = "\
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD \
    CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD \
    GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT \
    LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR \
    NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP \
    STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD \
    XCG XOF XPF YER ZAR ZMW ZWG";

/// An ISO 4217 code of a currency in circulation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^[A-Z]{3}$", example = "XOF")]
pub struct Currency(String);

/// The error for a text that is not in the list of currency codes.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("must be the code of a currency, such as XOF (ISO 4217)")]
pub struct UnknownCurrency;

impl TryFrom<String> for Currency {
    type Error = UnknownCurrency;

    fn try_from(code: String) -> Result<Self, UnknownCurrency> {
        if CODES.split_whitespace().any(|known| known == code) { Ok(Self(code)) } else { Err(UnknownCurrency) }
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.0
    }
}

impl Currency {
    /// Returns the three-letter code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Formats an amount in hundredths of a currency: `1 500 F CFA`, `12,50 €` (French), `12.50 €` (English).
#[must_use]
pub fn format_amount(cents: i64, currency: &str, language: Language) -> String {
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
    fn only_codes_of_currencies_in_circulation_are_accepted() {
        for code in ["XOF", "EUR", "ZWG"] {
            assert_eq!(Currency::try_from(code.to_owned()).unwrap().as_str(), code);
        }
        for code in ["", "xof", "XO", "XXX", "XAU", "EUR USD", "FCFA", "DEM"] {
            assert!(Currency::try_from(code.to_owned()).is_err(), "{code}");
        }
        let codes: Vec<_> = CODES.split_whitespace().collect();
        assert!(codes.is_sorted() && codes.iter().all(|code| code.len() == 3) && codes.len() > 150);
    }
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
