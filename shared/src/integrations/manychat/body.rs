//! Reader of webhook bodies that are JSON, or were meant to be JSON. A template in ManyChat's editor may put a contact's
//! text between quotes without escaping it: a line break, a quote or a backslash then breaks the body. A strict reader
//! comes first. A lenient reader follows; it recognises the end of a text by the structure that comes after it.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::{Map, Number, Value};

/// Levels of objects and arrays that the lenient reader keeps. Deeper ones are read as null.
const MAX_DEPTH: usize = 32;
/// Maximum length of a field's name that the lenient reader recognises, in characters.
const MAX_NAME_CHARS: usize = 128;
/// The fields that name the contact. A body in which one of them has two values may be forged by a contact's text, so
/// it is not read.
const IDENTITY_FIELDS: [&str; 9] =
    ["contact_id", "subscriber_id", "user_id", "id", "key", "contact", "subscriber", "user", "subscriber_data"];

/// A body that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    /// A JSON object.
    pub value: Value,
    /// True when the body is not valid JSON, and the lenient reader read it.
    pub is_repaired: bool,
}

/// The reason for which a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnreadableBody {
    /// Neither reader finds a field.
    Malformed,
    /// The body is valid JSON, but no object.
    NotAnObject,
    /// This field, which names the contact, has two values.
    TwoValues(&'static str),
}

/// Reads a body.
///
/// # Errors
/// [`UnreadableBody`].
pub fn read(body: &[u8]) -> Result<Body, UnreadableBody> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    match strict_fields(body) {
        Ok(fields) => fields.finish(false),
        Err(_) if serde_json::from_slice::<IgnoredAny>(body).is_ok() && !body.trim_ascii().starts_with(b"{") => {
            Err(UnreadableBody::NotAnObject)
        }
        Err(_) => read_leniently(body),
    }
}

/// Reads a body with the lenient reader only. It keeps the digits of a number that is too large for a JSON number.
///
/// # Errors
/// [`UnreadableBody`].
pub fn read_leniently(body: &[u8]) -> Result<Body, UnreadableBody> {
    let text: Vec<char> = decode(body).chars().collect();
    let mut reader = Reader { text: &text, at: 0, has_bare_names: false, repeated: None };
    reader.skip_filler();
    match reader.peek() {
        Some('{') => reader.at += 1,
        // The opening brace is missing.
        Some('"') => {}
        _ => return Err(UnreadableBody::Malformed),
    }
    let mut fields = reader.object(1);
    fields.repeated = fields.repeated.or(reader.repeated);
    if fields.map.is_empty() { Err(UnreadableBody::Malformed) } else { fields.finish(true) }
}

/// Decodes UTF-8, or UTF-16 with a byte order mark. Other bytes are those of an old Windows code page; half of a
/// character is dropped.
fn decode(body: &[u8]) -> String {
    let utf16 = |read: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = body[2..].chunks_exact(2).map(|pair| read([pair[0], pair[1]])).collect();
        char::decode_utf16(units).filter_map(Result::ok).collect()
    };
    match body {
        [0xff, 0xfe, ..] => return utf16(u16::from_le_bytes),
        [0xfe, 0xff, ..] => return utf16(u16::from_be_bytes),
        _ => {}
    }
    let mut text = String::with_capacity(body.len());
    for chunk in body.utf8_chunks() {
        text.push_str(chunk.valid());
        match chunk.invalid() {
            // An emoji that was cut.
            [0xf0..=0xff, _, ..] => {}
            bytes => text.extend(bytes.iter().map(|byte| windows_1252(*byte))),
        }
    }
    text
}

/// Returns the character of a byte in the code page Windows-1252, which extends Latin-1.
fn windows_1252(byte: u8) -> char {
    const HIGH: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘',
        '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9f => HIGH[usize::from(byte - 0x80)],
        other => char::from(other),
    }
}

/// The fields of an object, with the identity field that occurs twice in it or in an object within it, if one does.
#[derive(Debug, Default)]
struct FieldMap {
    map: Map<String, Value>,
    repeated: Option<&'static str>,
}

impl FieldMap {
    fn insert(&mut self, name: String, value: Value) {
        let identity = IDENTITY_FIELDS.iter().copied().find(|field| *field == name);
        match (identity, self.map.get(&name)) {
            (Some(field), Some(known)) if *known != value => self.repeated = Some(field),
            _ => {}
        }
        self.map.insert(name, value);
    }

    fn finish(self, is_repaired: bool) -> Result<Body, UnreadableBody> {
        match self.repeated {
            Some(field) => Err(UnreadableBody::TwoValues(field)),
            None => Ok(Body { value: Value::Object(self.map), is_repaired }),
        }
    }
}

/// A value of a valid JSON object.
#[derive(Deserialize)]
#[serde(untagged)]
enum FieldValue {
    Object(FieldMap),
    Other(Value),
}

impl<'de> Deserialize<'de> for FieldMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

/// Reads the fields of a valid JSON object.
fn strict_fields(body: &[u8]) -> serde_json::Result<FieldMap> {
    let mut parser = serde_json::Deserializer::from_slice(body);
    let fields = FieldMap::deserialize(&mut parser)?;
    parser.end().map(|()| fields)
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = FieldMap;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<FieldMap, A::Error> {
        let mut fields = FieldMap::default();
        while let Some((name, value)) = access.next_entry()? {
            let value = match value {
                FieldValue::Object(nested) => {
                    fields.repeated = fields.repeated.or(nested.repeated);
                    Value::Object(nested.map)
                }
                FieldValue::Other(value) => value,
            };
            fields.insert(name, value);
        }
        Ok(fields)
    }
}

/// The container of a value: it decides what follows the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Container {
    Object,
    Array,
}

/// The lenient reader.
struct Reader<'t> {
    text: &'t [char],
    at: usize,
    /// True when a field's name without quotes was read.
    has_bare_names: bool,
    /// The identity field that occurs twice in a nested object, if one does.
    repeated: Option<&'static str>,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    /// Returns the first place from `at` on that holds neither white space nor a control character.
    fn after_space(&self, at: usize) -> usize {
        let is_space = |letter: &char| letter.is_whitespace() || letter.is_control() || *letter == '\u{feff}';
        at + self.text.get(at..).into_iter().flatten().take_while(|letter| is_space(letter)).count()
    }

    /// Skips white space and commas.
    fn skip_filler(&mut self) {
        loop {
            self.at = self.after_space(self.at);
            if self.peek() != Some(',') {
                return;
            }
            self.at += 1;
        }
    }

    /// Reads the fields of an object whose opening brace was read.
    fn object(&mut self, depth: usize) -> FieldMap {
        let mut fields = FieldMap::default();
        loop {
            self.skip_filler();
            match self.peek() {
                None => return fields,
                Some('}') => {
                    self.at += 1;
                    return fields;
                }
                Some(_) => match self.name_at(self.at, true) {
                    Some((name, colon)) => {
                        self.has_bare_names |= !is_quote(self.text[self.at]);
                        self.at = colon + 1;
                        let value = self.value(Container::Object, depth);
                        fields.insert(name, value);
                    }
                    // Not the beginning of a field: the next one may be.
                    None => self.at += 1,
                },
            }
        }
    }

    /// Reads the values of an array whose opening bracket was read.
    fn array(&mut self, depth: usize) -> Vec<Value> {
        let mut values = Vec::new();
        loop {
            self.skip_filler();
            match self.peek() {
                None => return values,
                Some(']') => {
                    self.at += 1;
                    return values;
                }
                Some(_) => {
                    let before = self.at;
                    values.push(self.value(Container::Array, depth));
                    self.at = self.at.max(before + 1);
                }
            }
        }
    }

    fn value(&mut self, container: Container, depth: usize) -> Value {
        self.at = self.after_space(self.at);
        match self.peek() {
            Some('{' | '[') if depth >= MAX_DEPTH => {
                self.skip_container();
                Value::Null
            }
            Some('{') => {
                self.at += 1;
                let nested = self.object(depth + 1);
                self.repeated = self.repeated.or(nested.repeated);
                Value::Object(nested.map)
            }
            Some('[') => {
                self.at += 1;
                Value::Array(self.array(depth + 1))
            }
            Some(quote) if is_quote(quote) => {
                self.at += 1;
                Value::String(self.string(quote, container))
            }
            _ => self.bare(container),
        }
    }

    /// Skips an object or an array with everything in it.
    fn skip_container(&mut self) {
        let (mut open, mut is_text) = (0_usize, false);
        while let Some(letter) = self.peek() {
            self.at += 1;
            match letter {
                '\\' => self.at = (self.at + 1).min(self.text.len()),
                '"' => is_text = !is_text,
                '{' | '[' if !is_text => open += 1,
                '}' | ']' if !is_text => {
                    open -= 1;
                    if open == 0 {
                        return;
                    }
                }
                _ => {}
            }
        }
    }

    /// Reads a text whose opening quote was read.
    fn string(&mut self, open: char, container: Container) -> String {
        let mut text = String::new();
        while let Some(letter) = self.peek() {
            self.at += 1;
            if letter == '\\' {
                if self.peek().is_some_and(|next| closes_quote(open, next)) {
                    self.at += 1;
                    // The text ends with a backslash, which was not escaped.
                    if self.is_end_of_field(self.at, container) {
                        text.push('\\');
                        return text;
                    }
                    text.push(self.text[self.at - 1]);
                } else {
                    self.escape(&mut text);
                }
            } else if closes_quote(open, letter) && self.is_end(self.at, container) {
                return text;
            } else {
                text.push(letter);
            }
        }
        // The closing quote is missing.
        text.trim_end_matches(|letter: char| letter == '}' || letter.is_whitespace()).to_owned()
    }

    /// Reads an escape whose backslash was read. An unknown one stays as it is.
    fn escape(&mut self, text: &mut String) {
        let known = match self.peek() {
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some(same @ ('"' | '\\' | '/')) => same,
            Some('u') => return self.unicode_escape(text),
            _ => return text.push('\\'),
        };
        self.at += 1;
        text.push(known);
    }

    /// Reads `\uXXXX`, or the two of them that stand for one character. Half of a character is dropped.
    fn unicode_escape(&mut self, text: &mut String) {
        let unit = |at: usize| -> Option<u16> {
            let digits = self.text.get(at..at + 4)?.iter().map(|letter| letter.to_digit(16));
            let value = digits.collect::<Option<Vec<_>>>()?.into_iter().fold(0, |value, digit| value * 16 + digit);
            u16::try_from(value).ok()
        };
        let Some(first) = unit(self.at + 1) else { return text.push('\\') };
        self.at += 5;
        let is_pair = (0xd800..0xdc00).contains(&first) && self.text.get(self.at..self.at + 2) == Some(&['\\', 'u']);
        let second = is_pair.then(|| unit(self.at + 2)).flatten().filter(|unit| (0xdc00..0xe000).contains(unit));
        self.at += if second.is_some() { 6 } else { 0 };
        let units = std::iter::once(first).chain(second);
        text.extend(char::decode_utf16(units).filter_map(Result::ok));
    }

    /// Reads a value without quotes: a number, a literal, or a text.
    fn bare(&mut self, container: Container) -> Value {
        let begin = self.at;
        while let Some(letter) = self.peek() {
            if matches!(letter, ',' | '}' | ']') && self.is_end(self.at, container) {
                break;
            }
            self.at += 1;
        }
        let text: String = self.text[begin..self.at].iter().collect();
        let text = text.trim();
        match text {
            "" | "null" | "None" | "undefined" | "NaN" => return Value::Null,
            "true" => return Value::Bool(true),
            "false" => return Value::Bool(false),
            _ => {}
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            // A number as it stands, or its digits where they are no JSON number or too many for one.
            return text
                .parse::<u64>()
                .ok()
                .filter(|number| number.to_string() == text)
                .map_or_else(|| Value::String(text.to_owned()), Value::from);
        }
        // Not a phone number with its plus sign, nor a word such as "inf".
        let is_number = text.strip_prefix('-').unwrap_or(text).starts_with(|letter: char| letter.is_ascii_digit());
        match text.parse::<f64>() {
            Ok(number) if is_number => Number::from_f64(number).map_or(Value::Null, Value::Number),
            _ => Value::String(text.to_owned()),
        }
    }

    /// Returns true when a value that ends before `at` is followed by another value, or by the end of its container.
    fn is_end(&self, at: usize, container: Container) -> bool {
        let at = self.after_space(at);
        match (self.text.get(at), container) {
            (None, _) | (Some(',' | ']'), Container::Array) => true,
            (Some(','), Container::Object) => {
                let next = self.after_space(at + 1);
                matches!(self.text.get(next), None | Some('}' | ','))
                    || self.name_at(next, self.has_bare_names).is_some()
            }
            (Some('}'), Container::Object) => self.is_end_of_object(at + 1),
            _ => false,
        }
    }

    /// Returns true when a value that ends before `at` is followed by another field or by the end of the body. Stricter
    /// than [`Self::is_end`], for an escaped quote: most of them are no end.
    fn is_end_of_field(&self, at: usize, container: Container) -> bool {
        let at = self.after_space(at);
        match (self.text.get(at), container) {
            (Some(','), Container::Object) => self.name_at(self.after_space(at + 1), false).is_some(),
            (Some('}'), Container::Object) => {
                let closers = self.text[at..].iter().take_while(|letter| matches!(letter, '}' | ']')).count();
                self.after_space(at + closers) >= self.text.len()
            }
            _ => false,
        }
    }

    /// Returns true when an object that ends before `at` is followed by the rest of its container or by nothing.
    fn is_end_of_object(&self, at: usize) -> bool {
        let at = self.after_space(at);
        match self.text.get(at) {
            None | Some('}' | ']') => true,
            Some(',') => {
                let next = self.after_space(at + 1);
                matches!(self.text.get(next), None | Some('{' | '}' | ']')) || self.name_at(next, false).is_some()
            }
            Some(_) => false,
        }
    }

    /// Returns a field's name that begins at `at`, and the place of the colon after it. `accepts_bare` also accepts a
    /// name without quotes.
    fn name_at(&self, at: usize, accepts_bare: bool) -> Option<(String, usize)> {
        let open = self.text.get(at).copied()?;
        let is_quoted = is_quote(open);
        if !is_quoted && !(accepts_bare && (open.is_alphabetic() || open == '_')) {
            return None;
        }
        let begin = if is_quoted { at + 1 } else { at };
        let is_name_letter = |letter: &char| {
            letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.') || (is_quoted && matches!(letter, ' ' | '$'))
        };
        let rest = self.text.get(begin..)?;
        let length = rest.iter().take(MAX_NAME_CHARS).take_while(|letter| is_name_letter(letter)).count();
        let mut end = begin + length;
        if is_quoted {
            end = self.text.get(end).filter(|letter| closes_quote(open, **letter)).map(|_| end + 1)?;
        }
        let colon = self.after_space(end);
        let is_name = length > 0 && self.text.get(colon) == Some(&':');
        is_name.then(|| (self.text[begin..begin + length].iter().collect(), colon))
    }
}

/// Returns true for a character that may begin a text. Editors replace straight quotes by curly ones.
fn is_quote(letter: char) -> bool {
    matches!(letter, '"' | '\'' | '“' | '”')
}

/// Returns true when a text that `open` began may end with `letter`.
fn closes_quote(open: char, letter: char) -> bool {
    match open {
        '“' | '”' => matches!(letter, '“' | '”'),
        same => letter == same,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn repaired(body: &str) -> Value {
        let body = read(body.as_bytes()).unwrap_or_else(|error| panic!("{body}: {error:?}"));
        assert!(body.is_repaired, "{body:?}");
        body.value
    }

    #[test]
    fn valid_json_is_read_as_it_is() {
        let body =
            json!({ "id": 17_841_400_000_000_000_123_u64, "text": "il a dit \"oui\"\n\\ 👍", "x": [1, { "y": null }] });
        let read_body = read(body.to_string().as_bytes()).unwrap();
        assert_eq!(read_body, Body { value: body, is_repaired: false });
        assert_eq!(read(b"\xef\xbb\xbf{\"id\": 1}").unwrap().value, json!({ "id": 1 }));
    }

    #[test]
    fn texts_that_a_template_did_not_escape_are_read_whole() {
        for (written, expected) in [
            ("Bonjour\nCombien ?", "Bonjour\nCombien ?"),
            ("Bonjour\r\nCombien ?", "Bonjour\r\nCombien ?"),
            ("Abidjan\tprix ?", "Abidjan\tprix ?"),
            ("a\u{1}b\u{0}c", "a\u{1}b\u{0}c"),
            ("il a dit \"oui\" hier", "il a dit \"oui\" hier"),
            ("\"oui\"", "\"oui\""),
            ("il a dit \"oui\", \"non\" et \"peut-être\"", "il a dit \"oui\", \"non\" et \"peut-être\""),
            ("un } et un \"} encore", "un } et un \"} encore"),
            ("C:\\dossier\\prix", "C:\\dossier\\prix"),
            ("la fin est \\", "la fin est \\"),
            ("un écran de 15\"", "un écran de 15\""),
            ("Bonjour \\ud83d", "Bonjour "),
            ("Bonjour \\ude00 !", "Bonjour  !"),
            ("Bonjour \\ud83d\\ude00\n!", "Bonjour 😀\n!"),
            ("\\u00e9t\\u00e9\n", "été\n"),
            ("\\uzz\n", "\\uzz\n"),
        ] {
            let last = format!("{{\"id\": 1101, \"last_input_text\": \"{written}\"}}");
            let first = format!("{{\"last_input_text\": \"{written}\",\n  \"name\": \"Awa\", \"id\": 1101}}\n");
            for body in [last, first] {
                let value = read(body.as_bytes()).unwrap().value;
                assert_eq!((&value["id"], &value["last_input_text"]), (&json!(1101), &json!(expected)), "{body}");
            }
        }
    }

    #[test]
    fn a_broken_name_does_not_break_the_text() {
        let value = repaired(r#"{"id": 1, "name": "Awa "La Reine" Koné", "last_input_text": "prix ?", "page_id": 2}"#);
        assert_eq!(
            value,
            json!({ "id": 1, "name": "Awa \"La Reine\" Koné", "last_input_text": "prix ?", "page_id": 2 })
        );
        let nested =
            repaired("{\"contact\": {\"id\": \"7\", \"name\": \"A \"B\" C\"}, \"last_input_text\": \"ligne\nligne\"}");
        assert_eq!(nested["contact"], json!({ "id": "7", "name": "A \"B\" C" }));
        assert_eq!(nested["last_input_text"], "ligne\nligne");
    }

    #[test]
    fn broken_structures_are_read() {
        for (body, expected) in [
            (r#"{"id": 1, "text": "a",}"#, json!({ "id": 1, "text": "a" })),
            (r#"{"id": 1,, "text": "a"}"#, json!({ "id": 1, "text": "a" })),
            (r#"{"id": 1, "text": "a""#, json!({ "id": 1, "text": "a" })),
            (r#"{"id": 1, "text": "a"#, json!({ "id": 1, "text": "a" })),
            (r#"{"id": 1, "text": "a}"#, json!({ "id": 1, "text": "a" })),
            (r#""id": 1, "text": "a"}"#, json!({ "id": 1, "text": "a" })),
            (r#"{"id": , "text": "a"}"#, json!({ "id": null, "text": "a" })),
            (r#"{"id": 1, "text": Bonjour, vous livrez ?}"#, json!({ "id": 1, "text": "Bonjour, vous livrez ?" })),
            (r#"{"text": Bonjour, vous livrez ?, "id": 1}"#, json!({ "id": 1, "text": "Bonjour, vous livrez ?" })),
            ("{'id': 1, 'text': 'l’offre d'hier'}", json!({ "id": 1, "text": "l’offre d'hier" })),
            ("{“id”: 1, “text”: “a”}", json!({ "id": 1, "text": "a" })),
            (r#"{id: 1, text: "a"}"#, json!({ "id": 1, "text": "a" })),
            (r#"{"id": 1, "text": "a", "score": 1e400}"#, json!({ "id": 1, "text": "a", "score": null })),
            (r#"{"id": 1, "phone": +2250700, "text": inf}"#, json!({ "id": 1, "phone": "+2250700", "text": "inf" })),
            (r#"{"id": 1, "text": "a", "x": 01}"#, json!({ "id": 1, "text": "a", "x": "01" })),
            (
                r#"{"id": 1, "tags": ["a", "b "c" d",], "ok": true,}"#,
                json!({ "id": 1, "tags": ["a", "b \"c\" d"], "ok": true }),
            ),
        ] {
            assert_eq!(repaired(body), expected, "{body}");
        }
    }

    #[test]
    fn a_field_that_is_nested_too_deeply_costs_only_itself() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let body = format!("{{\"x\": {}1{}, \"id\": 1, \"text\": \"a\"}}", open.repeat(200), close.repeat(200));
            let value = repaired(&body);
            assert_eq!((&value["id"], &value["text"]), (&json!(1), &json!("a")));
        }
    }

    #[test]
    fn other_encodings_are_decoded() {
        let latin1 = b"{\"id\": 1, \"text\": \"\xe0 c\xf4t\xe9 d\x92ici \xe9\xe9 \xab\xa0x\xa0\xbb\"}";
        assert_eq!(read(latin1).unwrap().value["text"], "à côté d’ici éé «\u{a0}x\u{a0}»");
        let cut = b"{\"id\": 1, \"text\": \"d\xc3\xa9j\xc3\xa0 \xf0\x9f\x98\"}";
        assert_eq!(read(cut).unwrap().value["text"], "déjà ");
        let utf16: Vec<u8> = [0xff, 0xfe]
            .into_iter()
            .chain("{\"id\": 1, \"text\": \"é😀\"}".encode_utf16().flat_map(u16::to_le_bytes))
            .collect();
        assert_eq!(read(&utf16).unwrap().value["text"], "é😀");
    }

    #[test]
    fn what_is_no_object_is_not_read() {
        for body in ["", "{", "{}}", "hello", "[1, 2", "<html>", "{\"", "}", "null,"] {
            assert_eq!(read(body.as_bytes()), Err(UnreadableBody::Malformed), "{body}");
        }
        for body in ["[]", "\"hi\"", "1", "null"] {
            assert_eq!(read(body.as_bytes()), Err(UnreadableBody::NotAnObject), "{body}");
        }
        assert_eq!(read(b"{}").unwrap().value, json!({}));
    }

    #[test]
    fn a_contact_cannot_pose_as_another_one_by_a_text_with_quotes() {
        // The text is `x", "id": "132` between quotes that the template set.
        for body in [
            r#"{"id": "7", "last_input_text": "x", "id": "132"}"#,
            r#"{"last_input_text": "x", "id": "132", "id": "7"}"#,
            "{\"id\": \"7\", \"last_input_text\": \"x\n\", \"id\": \"132\"}",
            r#"{"contact": {"id": "7", "last_input_text": "x", "id": "132"}}"#,
            "{\"contact\": {\"id\": \"7\", \"last_input_text\": \"x\n\", \"id\": \"132\"}}",
        ] {
            assert_eq!(read(body.as_bytes()), Err(UnreadableBody::TwoValues("id")), "{body}");
        }
        assert_eq!(read(br#"{"id": 7, "a": 1, "id": 7, "a": 2}"#).unwrap().value, json!({ "id": 7, "a": 2 }));
    }

    #[test]
    fn the_digits_of_a_long_id_are_kept() {
        let body = br#"{"id": 123456789012345678901234567890, "text": "a"}"#;
        assert_eq!(read_leniently(body).unwrap().value["id"], "123456789012345678901234567890");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&body);
        }

        #[test]
        fn any_structure_is_read_or_refused(body in r#"[{}\[\]",:\\ nu1e.'“”a\n]{0,80}"#) {
            if let Ok(body) = read(body.as_bytes()) {
                prop_assert!(body.value.is_object());
            }
        }

        #[test]
        fn an_unescaped_text_keeps_its_words(text in r#"[a-zé0-9"'\n\t?!.]{0,10}( [a-zé0-9"'\n\t?!.]{1,10}){0,6}"#) {
            let body = format!("{{\"id\": 5, \"last_input_text\": \"{text}\", \"name\": \"Awa\"}}");
            let value = read(body.as_bytes()).unwrap().value;
            prop_assert_eq!(&value["last_input_text"], &json!(text));
            prop_assert_eq!((&value["id"], &value["name"]), (&json!(5), &json!("Awa")));
        }
    }
}
