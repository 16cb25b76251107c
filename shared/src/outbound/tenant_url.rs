//! A URL that a tenant gave, judged by what can be seen in it. Where its name leads to is judged at each call.

use std::{fmt, net::IpAddr};

use serde::{Deserialize, Serialize};
use url::{Host, Url};
use utoipa::ToSchema;

use super::is_public;

const LONGEST: usize = 2000;

/// 443, and 8443, where small servers have their TLS when something else has 443. No others: a tenant could otherwise
/// have us knock at every port of a third party's host.
const PORTS: [u16; 2] = [443, 8443];

/// Names that mean something inside of a network and nothing outside: RFC 6761 and 6762, RFC 8375, ICANN's `internal`
/// (which has metadata.google.internal and AWS's instance names), and what routers commonly give their own hosts.
const INSIDE: [&str; 9] =
    ["localhost", "localdomain", "local", "internal", "intranet", "private", "corp", "lan", "home"];

/// What is wrong with a tenant's URL, said as the field's message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not a URL, or only after guessing: spaces and control characters are refused, not dropped.
    #[error("must be a valid URL")]
    Invalid,
    /// Too long as typed, or as it is sent.
    #[error("must have at most {LONGEST} characters")]
    TooLong,
    /// Another scheme.
    #[error("must start with https://")]
    NotHttps,
    /// A secret in the host part, where it would be logged.
    #[error("must not contain a user name or password")]
    Credentials,
    /// Another port than 443 and 8443.
    #[error("must use port 443 or 8443")]
    Port,
    /// A name that only an inner network knows.
    #[error("must name a host of the public internet")]
    InnerName,
    /// An address that is not public, in the URL or behind its name.
    #[error("must not lead to a private or reserved address")]
    InnerAddress,
}

/// An https URL that may be stored and, through [`super::Outbound`], called.
///
/// Deserialising judges it, so a field of this type answers 422 with the reason. It is shown only without its path and
/// query, which hold secrets as often as not.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, format = "uri", max_length = 2000)]
pub struct TenantUrl(Url);

impl TenantUrl {
    /// Judges a text; spaces at its ends do not count, they come with copying.
    ///
    /// # Errors
    /// [`Refusal`], the first that holds.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let text = text.trim();
        if text.len() > LONGEST {
            return Err(Refusal::TooLong);
        }
        // The parser drops tabs and line breaks wherever they are: what a person checked would not be what is called.
        if text.chars().any(|letter| letter.is_control() || letter.is_whitespace()) {
            return Err(Refusal::Invalid);
        }
        Self::judge(Url::parse(text).or(Err(Refusal::Invalid))?)
    }

    /// Where a redirect from here leads.
    pub(super) fn join(&self, location: &str) -> Result<Self, Refusal> {
        Self::judge(self.0.join(location).or(Err(Refusal::Invalid))?)
    }

    /// By now all spellings of one address (decimal, octal, hexadecimal, full-width digits, percent-encoded) are one:
    /// the parser of the URL standard has made them an [`IpAddr`], and refused IPv6 zones.
    fn judge(mut url: Url) -> Result<Self, Refusal> {
        if url.scheme() != "https" {
            return Err(Refusal::NotHttps);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::Credentials);
        }
        if !url.port_or_known_default().is_some_and(|port| PORTS.contains(&port)) {
            return Err(Refusal::Port);
        }
        match url.host().ok_or(Refusal::Invalid)? {
            Host::Domain(name) => judge_name(name)?,
            Host::Ipv4(address) => judge_address(address.into())?,
            Host::Ipv6(address) => judge_address(address.into())?,
        }
        // It is never sent.
        url.set_fragment(None);
        if url.as_str().len() > LONGEST {
            return Err(Refusal::TooLong);
        }
        Ok(Self(url))
    }

    /// The whole URL, to store it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The host, to show or log it.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    pub(super) const fn as_url(&self) -> &Url {
        &self.0
    }
}

/// Judges a name as far as that goes without asking for it.
fn judge_name(name: &str) -> Result<(), Refusal> {
    let name = name.trim_end_matches('.');
    // One label alone is completed by the resolver with whatever domain the network has.
    let Some((rest, last)) = name.rsplit_once('.') else { return Err(Refusal::InnerName) };
    let is_home_arpa = last == "arpa" && (rest == "home" || rest.ends_with(".home"));
    if is_home_arpa || INSIDE.contains(&last) { Err(Refusal::InnerName) } else { Ok(()) }
}

/// Judges an address, wherever it came from.
pub(super) fn judge_address(address: IpAddr) -> Result<(), Refusal> {
    if is_public(address) { Ok(()) } else { Err(Refusal::InnerAddress) }
}

impl TryFrom<String> for TenantUrl {
    type Error = Refusal;

    fn try_from(text: String) -> Result<Self, Refusal> {
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
    fn refused(text: &str, expected: Refusal) {
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
    fn what_is_not_plain_https_is_refused() {
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
            refused(text, Refusal::Invalid);
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
            refused(text, Refusal::NotHttps);
        }
        for text in [
            "https://user@example.com/",
            "https://user:pass@example.com/",
            "https://:pass@example.com/",
            "https://example.com%40@127.0.0.1/",
            "https://example.com:443@169.254.169.254/",
        ] {
            refused(text, Refusal::Credentials);
        }
        for text in [
            "https://example.com:80/",
            "https://example.com:22/",
            "https://example.com:0/",
            "https://example.com:5432/",
        ] {
            refused(text, Refusal::Port);
        }
        refused(&format!("https://example.com/{}", "a".repeat(2000)), Refusal::TooLong);
        refused(&format!("https://example.com/{}", "é".repeat(900)), Refusal::TooLong);
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
            refused(&format!("https://{host}/"), Refusal::InnerName);
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
            refused(&format!("https://{host}/"), Refusal::InnerAddress);
        }
        // The standard reads backslashes as slashes, and so the host is what follows them.
        refused(r"https:\\127.0.0.1\@example.com", Refusal::InnerAddress);
        refused("https:127.0.0.1", Refusal::InnerAddress);
    }

    #[test]
    fn a_redirect_is_judged_like_the_first_url() {
        let url = TenantUrl::parse("https://hooks.example.com/a/b?c").unwrap();
        assert_eq!(url.join("../d").unwrap().as_str(), "https://hooks.example.com/d");
        assert_eq!(url.join("//other.example.com/").unwrap().as_str(), "https://other.example.com/");
        assert_eq!(url.join("//127.1/"), Err(Refusal::InnerAddress));
        assert_eq!(url.join("http://hooks.example.com/"), Err(Refusal::NotHttps));
        assert_eq!(url.join("https://a:b@hooks.example.com/"), Err(Refusal::Credentials));
    }

    #[test]
    fn json_is_judged_and_debugging_shows_no_secret() {
        let url: TenantUrl = serde_json::from_str(r#""https://hooks.example.com/s3cret?key=s3cret""#).unwrap();
        assert_eq!(serde_json::to_string(&url).unwrap(), r#""https://hooks.example.com/s3cret?key=s3cret""#);
        assert_eq!(format!("{url:?}"), "TenantUrl(https://hooks.example.com/…)");
        let error = serde_json::from_str::<TenantUrl>(r#""https://10.0.0.1/?key=s3cret""#).unwrap_err();
        assert!(error.to_string().starts_with("must not lead to a private or reserved address"), "{error}");
    }

    /// An address as people write it who want it unrecognised.
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
        fn spellings_of_an_address_are_judged_as_that_address((address, text) in spelling()) {
            let judged = TenantUrl::parse(&format!("https://{text}/"));
            prop_assert_eq!(judged.is_ok(), is_public(address.into()), "{} is {}", text, address);
        }

        #[test]
        fn what_passes_keeps_every_promise(text in prop_oneof![
            ".*",
            "(https|http)://[a-z0-9@:.%\\[\\]/\\\\-]{1,30}",
            "https://[0-9a-fx.:]{1,20}/",
        ]) {
            if let Ok(url) = TenantUrl::parse(&text) {
                let parsed = Url::parse(url.as_str()).unwrap();
                prop_assert_eq!(parsed.scheme(), "https");
                prop_assert_eq!((parsed.username(), parsed.password()), ("", None));
                prop_assert!(matches!(parsed.port(), None | Some(8443)));
                prop_assert!(parsed.as_str().len() <= LONGEST);
                let address = match parsed.host().unwrap() {
                    Host::Domain(name) => {
                        // What the connection would take for an address never passes as a name.
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
