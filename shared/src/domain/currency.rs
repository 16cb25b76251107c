//! Currency codes of ISO 4217, and amounts of money in requests, responses and texts to contacts.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
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

/// Currencies of ISO 4217 without a minor unit.
const WITHOUT_MINOR_UNIT: &str = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF";
/// Currencies of ISO 4217 whose minor unit is a thousandth.
const WITH_THOUSANDTHS: &str = "BHD IQD JOD KWD LYD OMR TND";
/// Number of digits before the point of the greatest amount. The columns are `numeric(14, 2)`.
const MAX_WHOLE_DIGITS: usize = 12;
/// The greatest amount, in hundredths.
pub const MAX_AMOUNT_CENTS: i64 = 99_999_999_999_999;

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

/// An amount of money that is not negative, exact to hundredths. In JSON it is a decimal number in a string: `"12.50"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount(i64);

/// The reasons to refuse an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAmount {
    /// Not digits with at most one point between them.
    #[error("must be a decimal number such as 2500 or 12.50, without a currency")]
    NotDecimal,
    /// A minus sign.
    #[error("must not be negative")]
    Negative,
    /// More than two digits after the point.
    #[error("must have at most 2 digits after the point")]
    TooPrecise,
    /// More than 12 digits before the point.
    #[error("must have at most {MAX_WHOLE_DIGITS} digits before the point")]
    TooLarge,
}

/// The error for an amount with a fraction in a currency that has none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a whole number: {0} has no smaller unit")]
pub struct NoMinorUnit(String);

impl Amount {
    /// Creates an amount from hundredths.
    #[must_use]
    pub const fn from_cents(cents: i64) -> Self {
        Self(cents)
    }

    /// Returns the amount in hundredths.
    #[must_use]
    pub const fn cents(self) -> i64 {
        self.0
    }

    /// Checks that the amount can be paid in a currency.
    ///
    /// # Errors
    /// [`NoMinorUnit`] for a fraction in a currency without a minor unit.
    pub fn ensure_payable_in(self, currency: &str) -> Result<(), NoMinorUnit> {
        if minor_digits(currency) == 0 && self.0 % 100 != 0 {
            return Err(NoMinorUnit(currency.to_owned()));
        }
        Ok(())
    }
}

impl std::str::FromStr for Amount {
    type Err = InvalidAmount;

    fn from_str(text: &str) -> Result<Self, InvalidAmount> {
        let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let unsigned = text.strip_prefix('-');
        let (whole, fraction) = match unsigned.unwrap_or(text).split_once('.') {
            Some((whole, fraction)) if is_number(fraction) => (whole, fraction.trim_end_matches('0')),
            Some(_) => return Err(InvalidAmount::NotDecimal),
            None => (unsigned.unwrap_or(text), ""),
        };
        if !is_number(whole) {
            return Err(InvalidAmount::NotDecimal);
        }
        if unsigned.is_some() {
            return Err(InvalidAmount::Negative);
        }
        if fraction.len() > 2 {
            return Err(InvalidAmount::TooPrecise);
        }
        let whole = whole.trim_start_matches('0');
        if whole.len() > MAX_WHOLE_DIGITS {
            return Err(InvalidAmount::TooLarge);
        }
        format!("{whole}{fraction:0<2}").parse().map(Self).or(Err(InvalidAmount::NotDecimal))
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Amount;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                // A number of JSON may have been rounded before it came here.
                out.write_str("a decimal number in quotes, such as \"2500\" or \"12.50\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Amount, E> {
                text.parse().map_err(E::custom)
            }
        }
        value.deserialize_str(Visitor)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&decimal(self.0, 2))
    }
}

/// Returns the number of digits after the point with which amounts of a currency are written: 0, 2 or 3.
fn minor_digits(currency: &str) -> usize {
    match currency {
        code if WITHOUT_MINOR_UNIT.split(' ').any(|known| known == code) => 0,
        code if WITH_THOUSANDTHS.split(' ').any(|known| known == code) => 3,
        _ => 2,
    }
}

/// Formats an amount in hundredths as a decimal number of its currency, as responses have it: `12.50`, `2500` (XOF),
/// `12.500` (TND). Hundredths of a currency without a minor unit are shown, so that no amount changes its value.
#[must_use]
pub fn decimal_amount(cents: i64, currency: &str) -> String {
    match minor_digits(currency) {
        0 if cents % 100 != 0 => decimal(cents, 2),
        digits => decimal(cents, digits),
    }
}

/// Formats hundredths with 0, 2 or 3 digits after the point.
fn decimal(cents: i64, digits: usize) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    let (whole, fraction) = (cents.unsigned_abs() / 100, cents.unsigned_abs() % 100);
    match digits {
        0 => format!("{sign}{whole}"),
        2 => format!("{sign}{whole}.{fraction:02}"),
        _ => format!("{sign}{whole}.{fraction:02}0"),
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
    fn amounts_are_exact_and_everything_else_is_refused() {
        for (text, cents) in [
            ("0", 0),
            ("2500", 250_000),
            ("2500.00", 250_000),
            ("12.5", 1_250),
            ("12.50", 1_250),
            ("0.01", 1),
            ("007", 700),
            ("1.230000", 123),
            ("999999999999.99", MAX_AMOUNT_CENTS),
        ] {
            assert_eq!(text.parse(), Ok(Amount(cents)), "{text}");
        }
        for (text, error) in [
            ("", InvalidAmount::NotDecimal),
            (".5", InvalidAmount::NotDecimal),
            ("5.", InvalidAmount::NotDecimal),
            ("1e3", InvalidAmount::NotDecimal),
            ("+1", InvalidAmount::NotDecimal),
            ("1,50", InvalidAmount::NotDecimal),
            ("1 500", InvalidAmount::NotDecimal),
            ("NaN", InvalidAmount::NotDecimal),
            ("١", InvalidAmount::NotDecimal),
            ("-", InvalidAmount::NotDecimal),
            ("-1", InvalidAmount::Negative),
            ("0.001", InvalidAmount::TooPrecise),
            ("1000000000000", InvalidAmount::TooLarge),
        ] {
            assert_eq!(text.parse::<Amount>(), Err(error), "{text}");
        }
        let number = serde_json::from_str::<Amount>("12.5").unwrap_err().to_string();
        assert!(number.contains("a decimal number in quotes"), "{number}");
    }

    #[test]
    fn a_decimal_amount_has_the_digits_of_its_currency() {
        for (cents, currency, text) in [
            (250_000, "XOF", "2500"),
            (99_950, "XOF", "999.50"),
            (1_250, "EUR", "12.50"),
            (5, "EUR", "0.05"),
            (1_250, "TND", "12.500"),
            (-1_205, "EUR", "-12.05"),
            (-100, "JPY", "-1"),
        ] {
            assert_eq!(decimal_amount(cents, currency), text);
        }
        Amount(250_000).ensure_payable_in("XOF").unwrap();
        Amount(250_050).ensure_payable_in("EUR").unwrap();
        assert_eq!(
            Amount(250_050).ensure_payable_in("XOF").unwrap_err().to_string(),
            "must be a whole number: XOF has no smaller unit"
        );
        for list in [WITHOUT_MINOR_UNIT, WITH_THOUSANDTHS] {
            assert!(list.split(' ').all(|code| Currency::try_from(code.to_owned()).is_ok()));
        }
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
