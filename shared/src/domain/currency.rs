//! Currency codes of ISO 4217.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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
}
