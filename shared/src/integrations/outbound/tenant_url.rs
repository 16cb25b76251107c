//! The URL type for tenants' URLs, validated by its text alone. The addresses of its host name are checked at each
//! call.

use std::{fmt, net::IpAddr};

use serde::{Deserialize, Serialize};
use url::{Host, Url};
use utoipa::ToSchema;

use super::is_public;

/// Maximum length of a URL, in bytes.
const MAX_LENGTH: usize = 2000;

/// The allowed ports: 443, and 8443, where small servers offer TLS when 443 is taken. With any other port allowed, a
/// tenant could scan the ports of a third party's host through us.
const ALLOWED_PORTS: [u16; 2] = [443, 8443];

/// Last labels of names that exist only inside a network: those of RFC 6761 and RFC 6762, ICANN's `internal` (which
/// includes metadata.google.internal and AWS's instance names), and those that routers commonly give to local hosts.
/// [`check_name`] also refuses `home.arpa` (RFC 8375).
const INTERNAL_TOP_LABELS: [&str; 9] =
    ["localhost", "localdomain", "local", "internal", "intranet", "private", "corp", "lan", "home"];

/// The reasons to refuse a tenant's URL. The texts are messages for the field in a 422.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlRefusal {
    /// The text is not a URL. Whitespace and control characters inside are refused, not removed.
    #[error("must be a valid URL")]
    Invalid,
    /// The URL is too long, as typed or in normalised form.
    #[error("must have at most {MAX_LENGTH} characters")]
    TooLong,
    /// The scheme is not https.
    #[error("must start with https://")]
    NotHttps,
    /// The URL has a user name or password, which would be logged with the host.
    #[error("must not contain a user name or password")]
    Credentials,
    /// The port is neither 443 nor 8443.
    #[error("must use port 443 or 8443")]
    Port,
    /// The host name exists only inside a network.
    #[error("must name a host of the public internet")]
    InternalName,
    /// An address is not public: the host in the URL, or one to which its name resolves.
    #[error("must not lead to a private or reserved address")]
    PrivateAddress,
}

/// A validated https URL of a tenant.
///
/// Deserialising validates it, so a request with a refused URL gets a 422 with the reason. Its `Debug` output has
/// neither path nor query, which often hold secrets.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, format = "uri", max_length = 2000)]
pub struct TenantUrl(Url);

impl TenantUrl {
    /// Validates a URL. Whitespace at the ends, which often comes with copying, is removed.
    ///
    /// # Errors
    /// The first [`UrlRefusal`] that applies.
    pub fn parse(text: &str) -> Result<Self, UrlRefusal> {
        let text = text.trim();
        if text.len() > MAX_LENGTH {
            return Err(UrlRefusal::TooLong);
        }
        // The URL parser removes tabs and line breaks anywhere, so the URL that a person checked would not be the one
        // that is called.
        if text.chars().any(|letter| letter.is_control() || letter.is_whitespace()) {
            return Err(UrlRefusal::Invalid);
        }
        Self::validate(Url::parse(text).or(Err(UrlRefusal::Invalid))?)
    }

    /// Validates the target of a redirect from this URL.
    pub(super) fn join(&self, location: &str) -> Result<Self, UrlRefusal> {
        Self::validate(self.0.join(location).or(Err(UrlRefusal::Invalid))?)
    }

    /// Validates a parsed URL. The parser, which follows the URL standard, has already turned every spelling of an
    /// address (decimal, octal, hexadecimal, full-width digits, percent-encoded) into an [`IpAddr`], and refused IPv6
    /// zones.
    fn validate(mut url: Url) -> Result<Self, UrlRefusal> {
        if url.scheme() != "https" {
            return Err(UrlRefusal::NotHttps);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlRefusal::Credentials);
        }
        if !url.port_or_known_default().is_some_and(|port| ALLOWED_PORTS.contains(&port)) {
            return Err(UrlRefusal::Port);
        }
        match url.host().ok_or(UrlRefusal::Invalid)? {
            Host::Domain(name) => check_name(name)?,
            Host::Ipv4(address) => check_address(address.into())?,
            Host::Ipv6(address) => check_address(address.into())?,
        }
        // A fragment is never sent.
        url.set_fragment(None);
        if url.as_str().len() > MAX_LENGTH {
            return Err(UrlRefusal::TooLong);
        }
        Ok(Self(url))
    }

    /// The complete URL, for storing it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The host, for showing or logging it.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    pub(super) const fn as_url(&self) -> &Url {
        &self.0
    }
}

/// Refuses a host name that exists only inside a network. The name is not resolved.
fn check_name(name: &str) -> Result<(), UrlRefusal> {
    let name = name.trim_end_matches('.');
    // The resolver appends the network's own domain to a name of a single label.
    let Some((rest, last)) = name.rsplit_once('.') else { return Err(UrlRefusal::InternalName) };
    let is_home_arpa = last == "arpa" && (rest == "home" || rest.ends_with(".home"));
    if is_home_arpa || INTERNAL_TOP_LABELS.contains(&last) { Err(UrlRefusal::InternalName) } else { Ok(()) }
}

/// Refuses an address that is not public.
pub(super) fn check_address(address: IpAddr) -> Result<(), UrlRefusal> {
    if is_public(address) { Ok(()) } else { Err(UrlRefusal::PrivateAddress) }
}

impl TryFrom<String> for TenantUrl {
    type Error = UrlRefusal;

    fn try_from(text: String) -> Result<Self, UrlRefusal> {
        Self::parse(&text)
    }
}

impl From<TenantUrl> for String {
    fn from(url: TenantUrl) -> Self {
        url.0.into()
    }
}

impl fmt::Debug for TenantUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "TenantUrl(https://{}/…)", self.host())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn refused(text: &str, expected: UrlRefusal) {
        assert_eq!(TenantUrl::parse(text).err(), Some(expected), "{text}");
    }

    #[test]
    fn public_https_urls_pass() {
        for (text, expected) in [
            ("https://hooks.example.com/a?b=c#d", "https://hooks.example.com/a?b=c"),
            ("HTTPS://Hooks.Example.COM:443", "https://hooks.example.com/"),
            ("https://example.com:8443/x", "https://example.com:8443/x"),
            ("https://épicerie.example/é", "https://xn--picerie-9xa.example/%C3%A9"),
            (" https://example.com/\n", "https://example.com/"),
            ("https://example.com./", "https://example.com./"),
            ("https://8.8.8.8/", "https://8.8.8.8/"),
            ("https://[2606:4700::1]/", "https://[2606:4700::1]/"),
            ("https://localhost.example.com/", "https://localhost.example.com/"),
            ("https://homearpa.com/", "https://homearpa.com/"),
        ] {
            assert_eq!(TenantUrl::parse(text).map(String::from).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn urls_that_are_invalid_or_not_plain_https_are_refused() {
        for text in [
            "",
            "example.com",
            "https://",
            "https:///",
            "https://a b.com/",
            "https://exa\nmple.com/",
            "https://example.com/\ta",
            "https://example.com/\u{0}",
            "https://example.com/a b",
            "https://[::1",
            "https://[fe80::1%25eth0]/",
            "https://[2606:4700::1%eth0]/",
            "https://1.2.3.4.5/",
            "https://256.1.1.1/",
            "https://a%00b.com/",
            "https://exa\u{a0}mple.com/",
        ] {
            refused(text, UrlRefusal::Invalid);
        }
        for text in [
            "http://example.com/",
            "ftp://example.com/",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "gopher://example.com/",
            "data:,x",
            "unix:/run/x.sock",
        ] {
            refused(text, UrlRefusal::NotHttps);
        }
        for text in [
            "https://user@example.com/",
            "https://user:pass@example.com/",
            "https://:pass@example.com/",
            "https://example.com%40@127.0.0.1/",
            "https://example.com:443@169.254.169.254/",
        ] {
            refused(text, UrlRefusal::Credentials);
        }
        for text in [
            "https://example.com:80/",
            "https://example.com:22/",
            "https://example.com:0/",
            "https://example.com:5432/",
        ] {
            refused(text, UrlRefusal::Port);
        }
        refused(&format!("https://example.com/{}", "a".repeat(2000)), UrlRefusal::TooLong);
        refused(&format!("https://example.com/{}", "é".repeat(900)), UrlRefusal::TooLong);
        assert!(TenantUrl::parse(&format!("https://example.com/{}", "a".repeat(1980))).is_ok());
    }

    #[test]
    fn names_of_inner_networks_are_refused() {
        for host in [
            "localhost",
            "LOCALHOST",
            "localhost.",
            "localhost..",
            "a.localhost",
            "localhost.localdomain",
            "metadata",
            "metadata.google.internal",
            "METADATA.google.internal.",
            "ip-10-0-0-1.ec2.internal",
            "printer.local",
            "nas.lan",
            "x.home.arpa",
            "home.arpa",
            "wiki.corp",
            "intranet",
            "ｌｏｃａｌｈｏｓｔ",
            "lo%63alhost",
            "loca\u{ad}lhost",
            "kubernetes.default.svc.cluster.local",
        ] {
            refused(&format!("https://{host}/"), UrlRefusal::InternalName);
        }
    }

    #[test]
    fn every_spelling_of_an_inner_address_is_refused() {
        for host in [
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "017700000001",
            "0",
            "0.0.0.0",
            "127.0.0.1.",
            "%31%32%37.0.0.1",
            "１２７.0.0.1",
            "127。0。0。1",
            "169.254.169.254",
            "2852039166",
            "0xa9fea9fe",
            "0251.0376.0251.0376",
            "169.16689662",
            "10.1",
            "100.64.0.1",
            "192.168.257",
            "255.255.255.255",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:8.8.8.8]",
            "[::127.0.0.1]",
            "[0:0:0:0:0:ffff:7f00:1]",
            "[64:ff9b::a9fe:a9fe]",
            "[2002:7f00:1::]",
            "[fd00:ec2::254]",
            "[fe80::1]",
            "①②⑦.0.0.1",
        ] {
            refused(&format!("https://{host}/"), UrlRefusal::PrivateAddress);
        }
        // The URL standard reads backslashes as slashes, so the host is the part after them.
        refused(r"https:\\127.0.0.1\@example.com", UrlRefusal::PrivateAddress);
        refused("https:127.0.0.1", UrlRefusal::PrivateAddress);
    }

    #[test]
    fn a_redirect_is_validated_like_the_first_url() {
        let url = TenantUrl::parse("https://hooks.example.com/a/b?c").unwrap();
        assert_eq!(url.join("../d").unwrap().as_str(), "https://hooks.example.com/d");
        assert_eq!(url.join("//other.example.com/").unwrap().as_str(), "https://other.example.com/");
        assert_eq!(url.join("//127.1/"), Err(UrlRefusal::PrivateAddress));
        assert_eq!(url.join("http://hooks.example.com/"), Err(UrlRefusal::NotHttps));
        assert_eq!(url.join("https://a:b@hooks.example.com/"), Err(UrlRefusal::Credentials));
    }

    #[test]
    fn deserialising_validates_and_debug_hides_path_and_query() {
        let url: TenantUrl = serde_json::from_str(r#""https://hooks.example.com/s3cret?key=s3cret""#).unwrap();
        assert_eq!(serde_json::to_string(&url).unwrap(), r#""https://hooks.example.com/s3cret?key=s3cret""#);
        assert_eq!(format!("{url:?}"), "TenantUrl(https://hooks.example.com/…)");
        let error = serde_json::from_str::<TenantUrl>(r#""https://10.0.0.1/?key=s3cret""#).unwrap_err();
        assert!(error.to_string().starts_with("must not lead to a private or reserved address"), "{error}");
    }

    /// Generates an address with one of its unusual spellings, as used to get past a filter.
    fn spelling() -> impl Strategy<Value = (Ipv4Addr, String)> {
        let part = |style: u8, value: u32| match style % 3 {
            0 => format!("{value}"),
            1 => format!("0{value:o}"),
            _ => format!("0x{value:x}"),
        };
        (any::<u32>(), 1..=4_usize, any::<[u8; 4]>()).prop_map(move |(bits, parts, styles)| {
            let mut texts = Vec::new();
            for (index, style) in styles.iter().enumerate().take(parts - 1) {
                texts.push(part(*style, bits >> (24 - 8 * index) & 0xff));
            }
            let rest = u32::MAX.checked_shr(8 * u32::try_from(parts - 1).unwrap()).unwrap();
            texts.push(part(styles[3], bits & rest));
            (Ipv4Addr::from_bits(bits), texts.join("."))
        })
    }

    proptest! {
        #[test]
        fn every_spelling_of_an_address_is_treated_as_that_address((address, text) in spelling()) {
            let parsed = TenantUrl::parse(&format!("https://{text}/"));
            prop_assert_eq!(parsed.is_ok(), is_public(address.into()), "{} is {}", text, address);
        }

        #[test]
        fn every_accepted_url_is_https_with_an_allowed_host_and_port(text in prop_oneof![
            ".*",
            "(https|http)://[a-z0-9@:.%\\[\\]/\\\\-]{1,30}",
            "https://[0-9a-fx.:]{1,20}/",
        ]) {
            if let Ok(url) = TenantUrl::parse(&text) {
                let parsed = Url::parse(url.as_str()).unwrap();
                prop_assert_eq!(parsed.scheme(), "https");
                prop_assert_eq!((parsed.username(), parsed.password()), ("", None));
                prop_assert!(matches!(parsed.port(), None | Some(8443)));
                prop_assert!(parsed.as_str().len() <= MAX_LENGTH);
                let address = match parsed.host().unwrap() {
                    Host::Domain(name) => {
                        // A text that the connection would take for an address never passes as a name.
                        prop_assert!(name.parse::<IpAddr>().is_err());
                        prop_assert!(name.contains('.'));
                        None
                    }
                    Host::Ipv4(address) => Some(IpAddr::V4(address)),
                    Host::Ipv6(address) => Some(IpAddr::V6(address)),
                };
                prop_assert!(address.is_none_or(is_public));
                prop_assert_eq!(TenantUrl::parse(url.as_str()), Ok(url));
            }
        }
    }
}
