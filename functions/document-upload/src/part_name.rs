//! The names in a form part's `Content-Disposition`: the field's and the file's.
//!
//! Clients write a file name in four ways: `filename="…"` in UTF-8 (browsers, RFC 7578), `filename*=UTF-8''…` (RFC
//! 8187), the same in numbered pieces (RFC 2231), and encoded words in `filename="=?UTF-8?B?…?="` (RFC 2047).

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use percent_encoding::percent_decode;

/// The names of a form's part.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PartNames {
    /// Name of the field.
    pub(crate) field: Option<String>,
    /// Name of the file. When a client sends two forms of the name, that of RFC 8187, which can hold every character.
    pub(crate) file: Option<String>,
}

impl PartNames {
    /// Reads the header's value.
    pub(crate) fn read(header: &[u8]) -> Self {
        let parameters = parameters(&text(header));
        let plain = |name: &str| parameters.get(name).map(|value| decode_words(value));
        let extended = |name: &str| decode_extended(&parameters, name).filter(|value| !value.is_empty());
        let name = |name: &str| extended(name).or_else(|| plain(name));
        Self { field: name("name"), file: name("filename") }
    }
}

/// Returns the bytes as text: UTF-8, as browsers send it, else the Latin alphabet of older clients.
fn text(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| WINDOWS_1252.decode(bytes).0.into_owned(), str::to_owned)
}

/// Returns the parameters by their names in lower case. The first of two parameters of one name counts.
fn parameters(header: &str) -> BTreeMap<String, String> {
    let mut parameters = BTreeMap::new();
    let mut rest = header.split_once(';').map_or("", |(_, rest)| rest);
    while let Some((name, from)) = rest.split_once('=') {
        let (value, after) = value(from.trim_start());
        // Anything between two parameters that has no value, such as `;;`, is skipped.
        let name = name.rsplit(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        parameters.entry(name).or_insert(value);
        rest = after;
    }
    parameters
}

/// Splits a parameter's value from what follows it. In quotes, only `\"` is an escape: some clients send a whole path
/// with backslashes.
fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, after) = text.split_once(';').unwrap_or((text, ""));
        return (value.trim().to_owned(), after);
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => {
                let after = &quoted[at + 1..];
                return (value, after.split_once(';').map_or("", |(_, after)| after));
            }
            '\\' if letters.peek().is_some_and(|(_, next)| *next == '"') => {
                value.push('"');
                letters.next();
            }
            letter => value.push(letter),
        }
    }
    (value, "")
}

/// Decodes `name*`, or `name*0*`, `name*1*` and so on; `None` without such a parameter, and in a character set that is
/// not known.
fn decode_extended(parameters: &BTreeMap<String, String>, name: &str) -> Option<String> {
    let pieces: Vec<_> = match parameters.get(&format!("{name}*")) {
        Some(value) => vec![(value.as_str(), true)],
        None => (0..)
            .map_while(|number| {
                let encoded = parameters.get(&format!("{name}*{number}*")).map(|value| (value.as_str(), true));
                encoded.or_else(|| parameters.get(&format!("{name}*{number}")).map(|value| (value.as_str(), false)))
            })
            .collect(),
    };
    let (first, is_encoded) = *pieces.first()?;
    let mut charset = UTF_8;
    let mut bytes = Vec::new();
    for (index, (piece, is_encoded)) in pieces.iter().enumerate() {
        let piece = match index {
            0 if *is_encoded => {
                let (label, rest) = first.split_once('\'')?;
                charset = Encoding::for_label(label.trim().as_bytes())?;
                rest.split_once('\'')?.1
            }
            _ => piece,
        };
        if *is_encoded { bytes.extend(percent_decode(piece.as_bytes())) } else { bytes.extend(piece.bytes()) }
    }
    // Without a character set the pieces are what they say.
    let charset = if is_encoded { charset } else { UTF_8 };
    Some(charset.decode_without_bom_handling(&bytes).0.into_owned())
}

/// Decodes the encoded words in a text. White space between two encoded words is dropped. Other text stays as it is.
fn decode_words(text: &str) -> String {
    let mut decoded = String::new();
    let mut rest = text;
    let mut is_after_word = false;
    while let Some(start) = rest.find("=?") {
        let (before, from) = rest.split_at(start);
        let Some((word, after)) = encoded_word(from) else {
            decoded.push_str(before);
            decoded.push_str("=?");
            rest = &from[2..];
            is_after_word = false;
            continue;
        };
        if !(is_after_word && before.trim().is_empty()) {
            decoded.push_str(before);
        }
        decoded.push_str(&word);
        is_after_word = true;
        rest = after;
    }
    decoded.push_str(rest);
    decoded
}

/// Decodes the encoded word at the beginning of a text: `=?charset?B?…?=` or `=?charset?Q?…?=`.
fn encoded_word(text: &str) -> Option<(String, &str)> {
    let (charset, rest) = text.strip_prefix("=?")?.split_once('?')?;
    let (encoding, rest) = rest.split_once('?')?;
    let (content, after) = rest.split_once("?=")?;
    // RFC 2231 allows a language after the character set: `UTF-8*fr`.
    let charset = Encoding::for_label(charset.split('*').next()?.as_bytes())?;
    let bytes = match encoding {
        "B" | "b" => BASE64_STANDARD.decode(content).ok()?,
        "Q" | "q" => {
            percent_decode(content.replace('%', "%25").replace('_', " ").replace('=', "%").as_bytes()).collect()
        }
        _ => return None,
    };
    Some((charset.decode_without_bom_handling(&bytes).0.into_owned(), after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str) -> Option<String> {
        PartNames::read(header.as_bytes()).file
    }

    #[test]
    fn a_file_name_is_read_in_every_form() {
        for (parameters, name) in [
            (r#"filename="guide.pdf""#, "guide.pdf"),
            ("filename=guide.pdf", "guide.pdf"),
            (r#"filename="Tarifs été.pdf""#, "Tarifs été.pdf"),
            (r#"FileName = "guide.pdf""#, "guide.pdf"),
            (r#"filename="a;b=c.pdf""#, "a;b=c.pdf"),
            (r#"filename="say \"hi\".pdf""#, "say \"hi\".pdf"),
            (r#"filename="C:\fakepath\guide.pdf""#, r"C:\fakepath\guide.pdf"),
            ("filename*=UTF-8''Tarifs%20%C3%A9t%C3%A9.pdf", "Tarifs été.pdf"),
            ("filename*=utf-8'fr'Tarifs%20%C3%A9t%C3%A9.pdf", "Tarifs été.pdf"),
            ("filename*=iso-8859-1''Tarifs%20%E9t%E9.pdf", "Tarifs été.pdf"),
            (r#"filename*="UTF-8''Tarifs%20%C3%A9t%C3%A9.pdf""#, "Tarifs été.pdf"),
            (r#"filename="Tarifs ete.pdf"; filename*=UTF-8''Tarifs%20%C3%A9t%C3%A9.pdf"#, "Tarifs été.pdf"),
            (r#"filename*=UTF-8''Tarifs%20%C3%A9t%C3%A9.pdf; filename="Tarifs ete.pdf""#, "Tarifs été.pdf"),
            (r#"filename*=unknown''x.pdf; filename="plain.pdf""#, "plain.pdf"),
            (r#"filename*=broken; filename="plain.pdf""#, "plain.pdf"),
            ("filename*0*=UTF-8''Tarifs%20%C3; filename*1*=%A9t%C3%A9; filename*2=.pdf", "Tarifs été.pdf"),
            (r#"filename*0="Tarifs "; filename*1="2026.pdf""#, "Tarifs 2026.pdf"),
            (r#"filename="=?UTF-8?B?VGFyaWZzIMOpdMOpLnBkZg==?=""#, "Tarifs été.pdf"),
            (r#"filename="=?utf-8?q?Tarifs_=C3=A9t=C3=A9=2Epdf?=""#, "Tarifs été.pdf"),
            (r#"filename="=?ISO-8859-1?Q?Tarifs_=E9t=E9?= =?ISO-8859-1?Q?_2026?=.pdf""#, "Tarifs été 2026.pdf"),
            (r#"filename="100%_=?x.pdf""#, "100%_=?x.pdf"),
            (r#"filename="=?UTF-8?B?not base64?=.pdf""#, "=?UTF-8?B?not base64?=.pdf"),
        ] {
            let header = format!("form-data; name=\"file\"; {parameters}");
            let names = PartNames::read(header.as_bytes());
            assert_eq!((names.field.as_deref(), names.file.as_deref()), (Some("file"), Some(name)), "{header}");
        }
        assert_eq!(
            PartNames::read(b"form-data; name=file; filename=\"Tarifs \xe9t\xe9.pdf\"").file.unwrap(),
            "Tarifs été.pdf"
        );
    }

    #[test]
    fn a_part_without_a_file_has_no_name_of_one() {
        assert_eq!(file("form-data; name=\"filename\""), None);
        assert_eq!(file("form-data; name=\"x\"; filename"), None);
        assert_eq!(file("form-data; name=\"x\"; filename=\"unended"), Some("unended".to_owned()));
        assert_eq!(PartNames::read(b""), PartNames::default());
        assert_eq!(PartNames::read(b"form-data;;;==;\"").file, None);
    }
}
