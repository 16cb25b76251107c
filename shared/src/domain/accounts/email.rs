//! E-mail addresses in their one normal form, which every door of the product uses: sign-up, sign-in, invitations and
//! the accounts of a Supabase project.

use serde::Deserialize;
use unicode_normalization::UnicodeNormalization;
use url::Host;
use utoipa::ToSchema;

/// Maximum length of an e-mail address, in bytes (RFC 3696).
pub const MAX_EMAIL_BYTES: usize = 320;
/// Maximum length of the part of an e-mail address before the `@`, in bytes (RFC 5321).
const MAX_EMAIL_LOCAL_PART_BYTES: usize = 64;
/// Domain of the texts that stand in for the address of an account without one (`app.address_placeholder`).
const PLACEHOLDER_DOMAIN: &str = "accounts.invalid";

/// E-mail address in its normal form: in lower case, without whitespace or invisible characters at its ends, composed
/// (Unicode NFC), and with the domain as DNS has it. Only its form is checked, not the existence of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, format = Email, max_length = 320)]
pub struct Email(String);

/// Error of a text that is not an e-mail address.
#[derive(Debug, thiserror::Error)]
#[error("is not an e-mail address")]
pub struct UnusableEmail;

impl TryFrom<String> for Email {
    type Error = UnusableEmail;

    fn try_from(text: String) -> Result<Self, UnusableEmail> {
        let text = text.trim_matches(is_blank);
        if text.len() > MAX_EMAIL_BYTES {
            return Err(UnusableEmail);
        }
        let text = text.nfc().collect::<String>().to_lowercase();
        let (local, domain) = text.rsplit_once('@').ok_or(UnusableEmail)?;
        let domain = normal_domain(domain).ok_or(UnusableEmail)?;
        let is_local_part =
            !local.is_empty() && local.len() <= MAX_EMAIL_LOCAL_PART_BYTES && local.chars().all(is_local_part_letter);
        let address = format!("{local}@{domain}");
        if is_local_part && domain != PLACEHOLDER_DOMAIN && address.len() <= MAX_EMAIL_BYTES {
            Ok(Self(address))
        } else {
            Err(UnusableEmail)
        }
    }
}

impl Email {
    /// Returns the address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Returns true for the text that stands in for the address of an account without one.
#[must_use]
pub fn is_placeholder_email(address: &str) -> bool {
    address.rsplit_once('@').is_some_and(|(_, domain)| domain == PLACEHOLDER_DOMAIN)
}

/// Returns an address with only the first letter of its local part and its domain: enough for its holder to recognise it,
/// too little to write to it.
#[must_use]
pub fn mask_email(address: &str) -> String {
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let first: String = local.chars().take(1).collect();
    format!("{first}…@{domain}")
}

/// E-mail address at a sign-in, as somebody typed it. Accounts that are older than the normal form of [`Email`] have their
/// address as it was typed then, in a form that [`Email`] may refuse today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypedEmail {
    typed: String,
    normal: String,
}

impl TypedEmail {
    /// Reads a text. Returns `None` when no account can have it as its address.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let trimmed = text.trim();
        let is_storable =
            trimmed.len() <= MAX_EMAIL_BYTES && trimmed.contains('@') && !trimmed.contains(char::is_control);
        let typed = is_storable.then(|| trimmed.to_owned());
        let normal = Email::try_from(text.to_owned()).ok().map(|email| email.0);
        match (typed, normal) {
            (Some(typed), Some(normal)) => Some(Self { typed, normal }),
            (Some(typed), None) => Some(Self { normal: typed.to_lowercase(), typed }),
            (None, Some(normal)) => Some(Self { typed: normal.clone(), normal }),
            (None, None) => None,
        }
    }

    /// Returns the address in its normal form, or in lower case when it has none.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.normal
    }

    /// Returns the address as it was typed.
    #[must_use]
    pub fn typed(&self) -> &str {
        &self.typed
    }
}

/// Returns true for characters that nobody sees: whitespace, control characters, and what copied text brings along.
fn is_blank(letter: char) -> bool {
    letter.is_whitespace()
        || letter.is_control()
        || matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Returns true for the characters of an address before its `@`: `atext` and the dot (RFC 5322), and letters and digits
/// of any script (RFC 6531). Quoted local parts are not accepted.
fn is_local_part_letter(letter: char) -> bool {
    letter.is_alphanumeric()
        || unicode_normalization::char::is_combining_mark(letter)
        || "!#$%&'*+-/=?^_`{|}~.".contains(letter)
}

/// Returns a domain of at least two labels as DNS has it, with other scripts in Punycode.
fn normal_domain(domain: &str) -> Option<String> {
    let Ok(Host::Domain(domain)) = Host::parse(domain) else { return None };
    let is_label = |label: &str| {
        let has_letters = label.bytes().all(|letter| letter.is_ascii_alphanumeric() || letter == b'-');
        (1..=63).contains(&label.len()) && has_letters && !label.starts_with('-') && !label.ends_with('-')
    };
    (domain.contains('.') && domain.split('.').all(is_label)).then_some(domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_normal_form() {
        for (typed, normal) in [
            ("a@b.co", "a@b.co"),
            ("a@b.co ", "a@b.co"),
            ("\u{a0}\u{200b}A@B.co\u{feff}\n", "a@b.co"),
            (" Awa.Kone+shop@Mail.Example.CI ", "awa.kone+shop@mail.example.ci"),
            ("é@exemple.fr", "é@exemple.fr"),
            ("e\u{301}@exemple.fr", "é@exemple.fr"),
            ("É@exemple.fr", "é@exemple.fr"),
            ("awa@exemplé.fr", "awa@xn--exempl-gva.fr"),
            ("awa@EXEMPLÉ.fr", "awa@xn--exempl-gva.fr"),
            ("awa@xn--exempl-gva.fr", "awa@xn--exempl-gva.fr"),
            ("o'brien/a=b@example.com", "o'brien/a=b@example.com"),
        ] {
            assert_eq!(Email::try_from(typed.to_owned()).unwrap().as_str(), normal, "{typed:?}");
        }
    }

    #[test]
    fn a_masked_address_keeps_its_first_letter_and_its_domain() {
        for (address, masked) in
            [("binta@example.com", "b…@example.com"), ("é@exemple.fr", "é…@exemple.fr"), ("b", "b…@"), ("", "…@")]
        {
            assert_eq!(mask_email(address), masked);
        }
    }

    #[test]
    fn only_the_placeholder_domain_stands_in_for_an_address() {
        assert!(is_placeholder_email("5d0f3c52-8e7a-4b7e-9a55-6f0a2b1c3d4e@accounts.invalid"));
        for address in ["awa@example.com", "accounts.invalid", "accounts.invalid@example.com", ""] {
            assert!(!is_placeholder_email(address), "{address:?}");
        }
    }

    #[test]
    fn addresses_of_a_wrong_form_are_refused() {
        for bad in [
            "",
            "a",
            "@b.co",
            "a@b",
            "a@.co",
            "a@b.",
            "a@b..co",
            "a@-b.co",
            "a b@c.de",
            "a@b\u{0}.co",
            "a\u{200b}b@c.co",
            "a@b.co\nBcc: x@y.zz",
            "x@exa/mple.com",
            "x@exa mple.com",
            "<b>Awa</b>@example.com",
            "Awa <awa@example.com>",
            "awa@example.com,other@example.com",
            "a@b@c.co",
            "\"a\"@b.co",
            "a@127.0.0.1",
            "a@[::1]",
            "5d0f3c52-8e7a-4b7e-9a55-6f0a2b1c3d4e@accounts.invalid",
        ] {
            assert!(Email::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
        assert!(Email::try_from(format!("{}@example.com", "a".repeat(65))).is_err());
        assert!(Email::try_from(format!("a@{}.com", "b".repeat(64))).is_err());
    }
}
