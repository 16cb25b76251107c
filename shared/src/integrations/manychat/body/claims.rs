//! The contacts that a body may name. A template that does not escape its texts lets a contact write fields of its own:
//! an id of another contact, followed by an object or a text that swallows the template's own id. The template's text
//! itself cannot be changed, so the template's own id is always among the claims of the body.

use std::collections::HashMap;

use serde_json::Value;

use super::{lenient_reader, tree::Tree};

/// The fields whose value may be the contact's id.
const ID_FIELDS: [&str; 5] = ["contact_id", "subscriber_id", "user_id", "id", "key"];
/// The fields that are read. None may have two values in one object: a JSON library writes each name once.
const READ_FIELDS: [&str; 26] = [
    "contact_id",
    "subscriber_id",
    "user_id",
    "id",
    "key",
    "contact",
    "subscriber",
    "user",
    "subscriber_data",
    "last_input_text",
    "message_text",
    "text",
    "message",
    "whatsapp_phone",
    "phone",
    "user_phone",
    "name",
    "full_name",
    "first_name",
    "last_name",
    "last_interaction",
    "last_interaction_at",
    "message_id",
    "mid",
    "locale",
    "language",
];
/// The fields that have one value in a whole body, in whatever objects they are. The other names may belong to other
/// things than the contact.
const UNIQUE_FIELDS: [&str; 6] =
    ["last_input_text", "message_text", "whatsapp_phone", "user_phone", "full_name", "last_interaction"];
/// The fields before a contact's id that hold a word of the template and no text of a contact.
pub(super) const CONSTANT_FIELDS: [&str; 3] = ["event_type", "event", "version"];
/// Maximum length of an id that is searched in a broken body, in characters.
const MAX_CLAIM_CHARS: usize = 200;

/// A value that may be the contact's id.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// The field's name: `id`, `contact_id` …, or `key`, whose value has the prefix `user:`.
    pub field: &'static str,
    /// The value: text, a number, or something that is no id.
    pub value: Value,
    /// True for a field of an object named `message`, in valid JSON.
    pub is_in_message: bool,
}

/// The claims of a body.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Claims {
    /// The id with which the body begins. No text of a contact stands before it, so the template wrote it.
    pub first: Option<Claim>,
    /// All claims that the template may have written. Used when `first` is not the contact's id.
    pub all: Vec<Claim>,
    /// The claims that must name the contact even when `first` does. Empty for valid JSON, whose nested ids may be those of
    /// other things.
    pub beside_first: Vec<Claim>,
}

impl Claims {
    /// Returns the claims of valid JSON.
    ///
    /// An id that is the first value of an object is left out where the object is no contact. What swallows the template's
    /// id is an object in which a text of the attacker comes first.
    pub(super) fn of_valid(root: &Tree) -> Self {
        let mut found = Vec::new();
        collect(root, &Place::ROOT, &mut found);
        let all = found.into_iter().filter(|(place, _)| !place.begins_other).map(|(_, claim)| claim);
        Self { first: first(root), all: all.collect(), beside_first: Vec::new() }
    }

    /// Returns the claims of a repaired body. In its structure an id may be hidden, so that `all` are those of its text.
    pub(super) fn of_repaired(root: &Tree, text: &[char]) -> Self {
        let mut found = Vec::new();
        collect(root, &Place::ROOT, &mut found);
        let beside_first = found.into_iter().filter(|(place, _)| !place.is_in_message).map(|(_, claim)| claim);
        Self {
            first: first(root),
            all: mentions(text).into_iter().map(|mention| mention.claim).collect(),
            beside_first: beside_first.collect(),
        }
    }
}

/// The place of an object in a body.
#[derive(Debug, Clone, Copy)]
struct Place {
    is_root: bool,
    /// True for an object named `message`, whose id is that of the message.
    is_in_message: bool,
    /// True when nothing comes before the value in the object of the root that it is in, and the object is no contact.
    begins_other: bool,
}

impl Place {
    const ROOT: Self = Self { is_root: true, is_in_message: false, begins_other: false };

    fn of_field(&self, name: &str, index: usize) -> Self {
        let is_contact = ["contact", "subscriber", "user", "subscriber_data"].contains(&name);
        let begins_other = if self.is_root { !is_contact } else { self.begins_other && index == 0 };
        Self { is_root: false, is_in_message: name == "message", begins_other }
    }
}

/// Collects the claims in a value, each with the place of the object that it is in.
fn collect(tree: &Tree, place: &Place, found: &mut Vec<(Place, Claim)>) {
    match tree {
        Tree::Object(fields) => {
            for (index, (name, value)) in fields.iter().enumerate() {
                if let (Some(field), Tree::Scalar(value)) = (id_field(name), value) {
                    let begins_other = place.begins_other && index == 0;
                    let claim = Claim { field, value: value.clone(), is_in_message: place.is_in_message };
                    found.push((Place { begins_other, ..*place }, claim));
                }
                collect(value, &place.of_field(name, index), found);
            }
        }
        Tree::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                let begins_other = place.begins_other && index == 0;
                collect(value, &Place { begins_other, ..*place }, found);
            }
        }
        Tree::Scalar(_) => {}
    }
}

fn id_field(name: &str) -> Option<&'static str> {
    ID_FIELDS.into_iter().find(|field| *field == name)
}

/// Returns the first value of the body, if it is an id. Words of the template may come before it.
fn first(root: &Tree) -> Option<Claim> {
    let Tree::Object(fields) = root else { return None };
    let is_constant = |(name, value): &&(String, Tree)| {
        let is_word = |text: &str| text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        CONSTANT_FIELDS.contains(&name.as_str()) && matches!(value, Tree::Scalar(Value::String(text)) if is_word(text))
    };
    let (name, value) = fields.iter().find(|field| !is_constant(field))?;
    match value {
        Tree::Object(_) => first(value),
        Tree::Scalar(value) => Some(Claim { field: id_field(name)?, value: value.clone(), is_in_message: false }),
        Tree::Array(_) => None,
    }
}

/// An id in the text of a broken body.
#[derive(Debug)]
pub(super) struct Mention {
    pub(super) claim: Claim,
    /// The place of the name's first letter, in characters.
    pub(super) begin: usize,
    /// The place after the value.
    pub(super) end: usize,
}

/// Returns the ids in the text of a broken body, whatever the structure around them is: each name of an id field in
/// quotes with a colon after it. Names without quotes count when the body's own names have none.
pub(super) fn mentions(text: &[char]) -> Vec<Mention> {
    let is_space = |letter: &char| letter.is_whitespace() || letter.is_control() || *letter == '\u{feff}';
    let skip_space = |at: usize| at + text[at.min(text.len())..].iter().take_while(|letter| is_space(letter)).count();
    let is_quote = |at: usize| text.get(at).is_some_and(|letter| lenient_reader::is_quote(*letter));
    let has_bare_names = text.get(skip_space(0)) == Some(&'{') && !is_quote(skip_space(skip_space(0) + 1));
    let is_name_letter = |letter: &char| letter.is_alphanumeric() || *letter == '_';
    let mut mentions = Vec::new();
    for begin in 1..text.len() {
        if !is_quote(begin - 1) && (!has_bare_names || is_name_letter(&text[begin - 1])) {
            continue;
        }
        let length = text[begin..].iter().take(MAX_CLAIM_CHARS).take_while(|letter| is_name_letter(letter)).count();
        let name: String = text[begin..begin + length].iter().collect();
        let Some(field) = id_field(&name) else { continue };
        let end = begin + length;
        if !is_quote(end) && !has_bare_names {
            continue;
        }
        let colon = skip_space(if is_quote(end) { end + 1 } else { end });
        if text.get(colon) == Some(&':') {
            let (value, end) = value_at(text, skip_space(colon + 1));
            mentions.push(Mention { claim: Claim { field, value, is_in_message: false }, begin, end });
        }
    }
    mentions
}

/// Returns the text or the number that begins at `at`, and null for an object, an array or nothing; and its end.
fn value_at(text: &[char], at: usize) -> (Value, usize) {
    let Some(open) = text.get(at) else { return (Value::Null, at) };
    if lenient_reader::is_quote(*open) {
        let rest = text[at + 1..].iter().take(MAX_CLAIM_CHARS);
        let inner: Vec<char> = rest.take_while(|letter| !lenient_reader::is_quote(**letter)).copied().collect();
        let end = (at + 2 + inner.len()).min(text.len());
        return (inner.into_iter().collect::<String>().into(), end);
    }
    let is_end = |letter: &char| matches!(letter, ',' | '{' | '}' | '[' | ']') || letter.is_whitespace();
    let bare: Vec<char> =
        text[at..].iter().take(MAX_CLAIM_CHARS).take_while(|letter| !is_end(letter)).copied().collect();
    let end = at + bare.len();
    let bare: String = bare.into_iter().collect();
    let value = match bare.as_str() {
        "" | "null" | "None" | "undefined" => Value::Null,
        // The digits of a long number are kept, as the lenient reader keeps them.
        _ => serde_json::from_str(&bare)
            .ok()
            .filter(|number: &Value| number.is_u64() || (number.is_f64() && bare.contains('.')))
            .unwrap_or(Value::String(bare)),
    };
    (value, end)
}

/// Returns the field that has two values in one object, or, in a repaired body, in two objects.
pub(super) fn repeated_field(root: &Tree, is_repaired: bool) -> Option<&'static str> {
    let mut unique = HashMap::new();
    repeated_in(root, is_repaired.then_some(&mut unique))
}

fn repeated_in<'t>(tree: &'t Tree, mut unique: Option<&mut HashMap<&'static str, &'t Tree>>) -> Option<&'static str> {
    let known_name = |names: &'static [&'static str], name: &str| names.iter().copied().find(|known| *known == name);
    match tree {
        Tree::Object(fields) => {
            let mut read = HashMap::new();
            for (name, value) in fields {
                if let Some(field) = known_name(&READ_FIELDS, name)
                    && read.insert(field, value).is_some_and(|other| other != value)
                {
                    return Some(field);
                }
                if let (Some(unique), Some(field)) = (unique.as_deref_mut(), known_name(&UNIQUE_FIELDS, name))
                    && !is_blank(value)
                    && *unique.entry(field).or_insert(value) != value
                {
                    return Some(field);
                }
                if let Some(field) = repeated_in(value, unique.as_deref_mut()) {
                    return Some(field);
                }
            }
            None
        }
        Tree::Array(values) => values.iter().find_map(|value| repeated_in(value, unique.as_deref_mut())),
        Tree::Scalar(_) => None,
    }
}

fn is_blank(value: &Tree) -> bool {
    match value {
        Tree::Scalar(Value::String(text)) => text.trim().is_empty(),
        Tree::Scalar(Value::Null) => true,
        _ => false,
    }
}
