//! Reader of bodies that are almost JSON. It recognises the end of a text by the structure that comes after it.

use serde_json::{Number, Value};

use super::tree::Tree;

/// Levels of objects and arrays that the lenient reader keeps. Deeper ones are read as null.
const MAX_DEPTH: usize = 32;
/// Maximum length of a field's name that the lenient reader recognises, in characters.
const MAX_NAME_CHARS: usize = 128;

/// A body that the lenient reader read.
#[derive(Debug)]
pub(super) struct LenientBody {
    /// The body's object.
    pub(super) root: Tree,
    /// True when the body ended within an object or an array, and its object has one.
    pub(super) is_unclosed: bool,
}

/// Reads a body; `None` when it does not begin as an object.
pub(super) fn read(text: &[char]) -> Option<LenientBody> {
    let mut reader = Reader { text, at: 0, has_bare_names: false, is_nested: false, is_unclosed: false };
    reader.skip_filler();
    match reader.peek() {
        Some('{') => reader.at += 1,
        // The opening brace is missing.
        Some('"') => {}
        _ => return None,
    }
    let root = Tree::Object(reader.object(1));
    Some(LenientBody { root, is_unclosed: reader.is_unclosed && reader.is_nested })
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
    /// True when an object or an array was read within the body's object.
    is_nested: bool,
    /// True when the body ended within an object or an array.
    is_unclosed: bool,
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
    fn object(&mut self, depth: usize) -> Vec<(String, Tree)> {
        let mut fields = Vec::new();
        loop {
            self.skip_filler();
            match self.peek() {
                None => {
                    self.is_unclosed = true;
                    return fields;
                }
                Some('}') => {
                    self.at += 1;
                    return fields;
                }
                Some(_) => match self.name_at(self.at, true) {
                    Some((name, colon)) => {
                        self.has_bare_names |= !is_quote(self.text[self.at]);
                        self.at = colon + 1;
                        let value = self.value(Container::Object, depth);
                        fields.push((name, value));
                    }
                    // Not the beginning of a field: the next one may be.
                    None => self.at += 1,
                },
            }
        }
    }

    /// Reads the values of an array whose opening bracket was read.
    fn array(&mut self, depth: usize) -> Vec<Tree> {
        let mut values = Vec::new();
        loop {
            self.skip_filler();
            match self.peek() {
                None => {
                    self.is_unclosed = true;
                    return values;
                }
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

    fn value(&mut self, container: Container, depth: usize) -> Tree {
        self.at = self.after_space(self.at);
        self.is_nested |= matches!(self.peek(), Some('{' | '['));
        match self.peek() {
            Some('{' | '[') if depth >= MAX_DEPTH => {
                self.skip_container();
                Tree::Scalar(Value::Null)
            }
            Some('{') => {
                self.at += 1;
                Tree::Object(self.object(depth + 1))
            }
            Some('[') => {
                self.at += 1;
                Tree::Array(self.array(depth + 1))
            }
            Some(quote) if is_quote(quote) => {
                self.at += 1;
                Tree::Scalar(Value::String(self.string(quote, container)))
            }
            _ => Tree::Scalar(self.bare(container)),
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
        self.is_unclosed = true;
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
pub(super) fn is_quote(letter: char) -> bool {
    matches!(letter, '"' | '\'' | '“' | '”')
}

/// Returns true when a text that `open` began may end with `letter`.
fn closes_quote(open: char, letter: char) -> bool {
    match open {
        '“' | '”' => matches!(letter, '“' | '”'),
        same => letter == same,
    }
}
