//! Parser of the webhook bodies that a ManyChat bot posts. Each tenant composes the body in ManyChat's editor, so the
//! parser accepts many forms (ids as numbers or strings, nested or flat fields, placeholders that were not filled
//! in). Its result is strictly validated.

#[cfg(test)]
mod forgery_tests;
mod interaction;

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::body::{self, Body, Claim, UnreadableBody};
use crate::{
    error::{ApiError, FieldError},
    input,
    text::{self, Language},
};

/// Maximum length of a message's text; a longer one is cut. WhatsApp itself allows 4,096 characters.
const MAX_TEXT_CHARS: usize = 10_000;
/// Maximum length of a contact's id. WhatsApp's own ids of users have a country, a point and up to 128 characters.
const MAX_CONTACT_ID_CHARS: usize = 160;
const MAX_NAME_CHARS: usize = 200;

/// A message of a contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboundMessage {
    /// ManyChat's id of the contact.
    pub contact_id: String,
    /// The contact's phone number in one form: digits, after a plus sign when the number has a country code. 5 to 50
    /// characters.
    pub phone: Option<String>,
    /// The contact's name.
    pub name: Option<String>,
    /// The language of the text, if it is clear: it becomes the conversation's.
    pub language: Option<Language>,
    /// The language that the text is likely to be in, which is used until a clear one is known.
    pub likely_language: Option<Language>,
    /// The language of the contact's phone, which is used until the contact's own language is known.
    pub locale: Option<Language>,
    /// Time at which the contact wrote the message, if the body has one that can be read.
    pub interacted_at: Option<DateTime<Utc>>,
    /// The text; empty for a message without text.
    pub text: String,
    /// The kind of a message without text: `audio`, `image`, `location` …, or `unknown`. With a text, the kind of the
    /// speech that the body names beside it: `audio`, `voice` or `video`.
    pub attachment: Option<String>,
    /// A fingerprint that is equal for all deliveries of one message. `None` when the body has neither a message id
    /// nor a time of interaction.
    pub external_id: Option<String>,
    /// True when nothing but the bot's message id tells two equal texts apart. Some bots send a constant as the id.
    pub relies_on_message_id: bool,
}

/// The length of the part of [`InboundMessage::external_id`] that is the fingerprint of the bot's message id.
pub const MESSAGE_ID_CHARS: usize = 64;

impl InboundMessage {
    /// Reads a webhook body, which need not be valid JSON: a template may have put the text in without escaping it.
    /// Returns true with the message when the body had to be repaired.
    ///
    /// # Errors
    /// 400 `malformed_json` when no field is found; 422 for a body that is no object, that may name two contacts or whose
    /// repair could be wrong, and the errors of [`Self::read`].
    pub fn parse(bytes: &[u8]) -> Result<(Self, bool), ApiError> {
        let read = body::read(bytes).map_err(refusal)?;
        let is_repaired = read.is_repaired;
        // An id with more digits than a JSON number may have: only the lenient reader keeps all of them.
        let needs_digits = !is_repaired && contact_ids(&read.value).next().is_none();
        let read = if needs_digits { body::read_leniently(bytes).unwrap_or(read) } else { read };
        let message = Self::read(&read.value)?;
        refuse_other_contacts(&read, &message.contact_id)?;
        Ok((message, is_repaired))
    }

    /// Parses a webhook body.
    ///
    /// # Errors
    /// 422 when the body has no contact id or two different ones, or when its text is a placeholder that ManyChat did not
    /// fill in.
    pub fn read(body: &Value) -> Result<Self, ApiError> {
        if !body.is_object() {
            return Err(ApiError::field("body", "must be an object"));
        }
        let contact_id = contact_id(body)?.ok_or_else(|| {
            ApiError::field("id", "must be the contact's id, for example {{user_id}} of ManyChat, filled in")
        })?;
        let written = text_of(body);
        if written.as_deref().is_some_and(is_placeholder) {
            let message = "is a placeholder that ManyChat did not fill in: choose the field in its editor";
            return Err(ApiError::validation(vec![FieldError::new("last_input_text", message)]));
        }
        let text = sanitize(written.as_deref().unwrap_or_default());
        let attachment = if text.is_empty() { Some(attachment_kind(body)) } else { speech_kind(body) };
        let interacted_at = interaction::time(contact_objects(body));
        // The time may be a number, or in another field.
        let parsed = || interacted_at.map(|time| Cow::<str>::Owned(time.timestamp_millis().to_string()));
        let last_interaction = string(body, &["last_interaction"]).map(Cow::Borrowed).or_else(parsed);
        let message_id = id(&body["message_id"]).or_else(|| id(&body["message"]["id"])).or_else(|| id(&body["mid"]));
        // Besides the id, the fingerprint has the text and the time: some bots send a constant as the id, and would
        // lose all messages but the first.
        let external_id = match (&message_id, last_interaction.as_deref()) {
            (Some(message), at) => {
                let delivery = fingerprint([&contact_id, at.unwrap_or_default(), &text]);
                Some(fingerprint(["id", message]) + &delivery)
            }
            (None, Some(at)) => Some(fingerprint(["at", &contact_id, at, &text])),
            (None, None) => None,
        };
        let relies_on_message_id = message_id.is_some() && last_interaction.is_none();
        let is_readable = text::unreadable_kind(&text).is_none();
        let locale = string(body, &["locale", "language"]).map(Language::from_code);
        Ok(Self {
            phone: string(body, &["whatsapp_phone", "phone", "user_phone"]).and_then(phone),
            name: name(body),
            language: text::detect_clear_language(&text).filter(|_| is_readable),
            likely_language: text::detect_likely_language(&text).filter(|_| is_readable),
            locale: locale.filter(|language| *language != Language::Other),
            interacted_at,
            contact_id,
            text,
            attachment,
            external_id,
            relies_on_message_id,
        })
    }
}

/// Returns the error for a body that was not read.
fn refusal(why: UnreadableBody) -> ApiError {
    match why {
        UnreadableBody::Malformed => ApiError::bad_request("malformed_json", "the body is not valid JSON"),
        UnreadableBody::NotAnObject => ApiError::field("body", "must be an object"),
        UnreadableBody::TwoValues(field) => ApiError::field(field, "has two values: the body must escape its texts"),
        UnreadableBody::Unclosed => ApiError::field("body", "ends within a field: the body must escape its texts"),
    }
}

/// The JSON objects that may hold the contact's fields.
fn contact_objects(body: &Value) -> impl Iterator<Item = &Value> {
    let nested = ["subscriber", "contact", "user", "subscriber_data"].into_iter().map(|name| body.get(name));
    std::iter::once(body).chain(nested.flatten())
}

/// Returns the first string under one of these names that is neither blank nor a placeholder.
fn string<'b>(body: &'b Value, names: &[&str]) -> Option<&'b str> {
    contact_objects(body)
        .flat_map(|place| names.iter().filter_map(|name| place.get(*name)?.as_str()))
        .find(|text| !text.trim().is_empty() && !is_placeholder(text))
}

/// Parses an id from a number or a string. A number that is no exact integer is rejected: it could be another
/// contact's.
fn id(value: &Value) -> Option<String> {
    let id = match value {
        Value::Number(number) => number.as_u64().or_else(|| exact_integer(number.as_f64()?))?.to_string(),
        Value::String(text) => text.trim().to_owned(),
        _ => return None,
    };
    let is_usable = !id.is_empty()
        && id.chars().count() <= MAX_CONTACT_ID_CHARS
        && !id.chars().any(char::is_control)
        && !is_no_id(&id);
    is_usable.then_some(id)
}

/// Returns true for a text that stands for a missing id: a placeholder that was not filled in, the name of the field or
/// the empty value of a programming language. All contacts would share it.
fn is_no_id(text: &str) -> bool {
    const EMPTY_VALUES: [&str; 12] = [
        "null",
        "(null)",
        "undefined",
        "none",
        "nil",
        "nan",
        "true",
        "false",
        "n/a",
        "unknown",
        "[object object]",
        "0",
    ];
    const FIELD_NAMES: [&str; 8] =
        ["id", "user_id", "contact_id", "subscriber_id", "user id", "contact id", "contact.id", "subscriber.id"];
    const BRACKETS: [(&str, &str); 6] = [("{", "}"), ("${", "}"), ("#{", "}"), ("<", ">"), ("[", "]"), ("%", "%")];
    let text = text.trim().to_lowercase();
    let is_in = |(open, close): &(&str, &str)| text.len() > 1 && text.starts_with(open) && text.ends_with(close);
    text.contains("{{")
        || text.contains("}}")
        || BRACKETS.iter().any(is_in)
        || EMPTY_VALUES.contains(&text.as_str())
        || FIELD_NAMES.contains(&text.as_str())
}

/// Returns the integer that a number with a decimal point stands for, such as `132.0`; `None` when it may stand for
/// several.
fn exact_integer(number: f64) -> Option<u64> {
    const MAX_EXACT: f64 = 9_007_199_254_740_991.0;
    (number.fract() == 0.0 && (0.0..=MAX_EXACT).contains(&number)).then_some(number as u64)
}

/// Returns the contact's id, if the body has one. A body with two different ids is refused: the text of a contact may
/// have added the second one, to pose as another contact.
fn contact_id(body: &Value) -> Result<Option<String>, ApiError> {
    let mut ids = contact_ids(body);
    let first = ids.next();
    match ids.find(|(_, id)| first.as_ref().is_some_and(|(_, known)| known != id)) {
        Some((field, _)) => Err(refusal(UnreadableBody::TwoValues(field))),
        None => Ok(first.map(|(_, id)| id)),
    }
}

/// Refuses a body that may name another contact than `contact_id`. An id with which the body begins was written by the
/// template, before the text of any contact.
fn refuse_other_contacts(body: &Body, contact_id: &str) -> Result<(), ApiError> {
    let is_first = body.claims.first.as_ref().and_then(claimed_id).is_some_and(|first| first == contact_id);
    let claims = if is_first { &body.claims.beside_first } else { &body.claims.all };
    let is_other = |claim: &&Claim| {
        let is_other =
            |claimed: &str| claimed != contact_id && !(claim.is_in_message && is_message_id(claimed, contact_id));
        claimed_id(claim).as_deref().is_some_and(is_other)
    };
    match claims.iter().find(is_other) {
        Some(claim) => Err(refusal(UnreadableBody::TwoValues(claim.field))),
        None => Ok(()),
    }
}

/// Returns true for the id of a message that cannot be a contact's: it has a prefix of such ids, or it has letters while
/// the contact's id, as ManyChat's, has digits only. WhatsApp's ids of users have letters, too: `CI.…`.
fn is_message_id(id: &str, contact_id: &str) -> bool {
    let has_prefix = ["msg", "mid.", "wamid."].iter().any(|prefix| id.to_ascii_lowercase().starts_with(prefix));
    let is_user = id.as_bytes().get(2) == Some(&b'.') && id.bytes().take(2).all(|letter| letter.is_ascii_alphabetic());
    let is_digits = |id: &str| id.bytes().all(|letter| letter.is_ascii_digit());
    has_prefix || (is_digits(contact_id) && !is_user && id.contains(char::is_alphabetic))
}

/// Returns the id of a claim. What is no usable id names no contact, unless it is a number or a text that could be one in
/// another form.
fn claimed_id(claim: &Claim) -> Option<String> {
    let value = match (&claim.value, claim.field) {
        (Value::String(text), "key") => &Value::from(text.trim().strip_prefix("user:")?),
        (_, "key") => return None,
        (value, _) => value,
    };
    id(value).or_else(|| match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) if !text.trim().is_empty() && !is_no_id(text) => Some(text.clone()),
        _ => None,
    })
}

/// Returns the ids of the contact in all fields that may have one, with the names of the fields.
fn contact_ids(body: &Value) -> impl Iterator<Item = (&'static str, String)> {
    let flat = ["contact_id", "subscriber_id", "user_id", "id"].into_iter().map(|name| (name, id(&body[name])));
    let nested = contact_objects(body).skip(1).map(|place| ("id", id(&place["id"])));
    // `user:132`
    let key = contact_objects(body).map(|place| {
        let id = id(&place["key"]).and_then(|key| key.strip_prefix("user:").map(str::to_owned));
        ("key", id.filter(|id| !id.is_empty() && !is_no_id(id)))
    });
    flat.chain(nested).chain(key).filter_map(|(name, id)| Some((name, id?)))
}

/// Returns the message's text, which may be a placeholder. The answer `2` of a contact may arrive as a JSON number.
fn text_of(body: &Value) -> Option<Cow<'_, str>> {
    let direct = ["last_input_text", "message_text", "text", "message"].iter().map(|name| &body[*name]);
    let nested = contact_objects(body).skip(1).map(|contact| &contact["last_input_text"]);
    let nested = std::iter::once(&body["message"]["text"]).chain(nested);
    let all = direct.chain(nested).filter_map(|value| match value {
        Value::String(text) => Some(Cow::Borrowed(text.as_str())),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        _ => None,
    });
    all.into_iter().find(|text| text.chars().any(is_visible))
}

/// Returns false for white space, control characters and the zero-width characters that phones insert.
fn is_visible(letter: char) -> bool {
    !letter.is_whitespace()
        && !letter.is_control()
        && !matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

/// Returns true for a placeholder such as `{{last_input_text}}`, which ManyChat leaves when its variable does not
/// exist.
fn is_placeholder(text: &str) -> bool {
    let text = text.trim();
    text.starts_with("{{") && text.ends_with("}}")
}

/// Returns a text cut to [`MAX_TEXT_CHARS`] and without control characters; empty when it is not usable.
fn sanitize(text: &str) -> String {
    let cut: String = text.chars().take(MAX_TEXT_CHARS).collect();
    input::several_lines(&cut, 0, MAX_TEXT_CHARS).unwrap_or_default()
}

/// Returns the kind of a message without text: one that the body names, or one whose field is present.
fn attachment_kind(body: &Value) -> String {
    const KINDS: [&str; 7] = ["audio", "voice", "image", "video", "file", "sticker", "location"];
    let present = || KINDS.iter().copied().find(|kind| !body[*kind].is_null() || !body["message"][*kind].is_null());
    named_kind(body, &KINDS).or_else(present).unwrap_or("unknown").to_owned()
}

/// Returns the kind of the speech that came with a text, as a text may be the caption of a video, or the last text of a
/// contact who has just sent a voice message. An empty field is one that the template always has.
fn speech_kind(body: &Value) -> Option<String> {
    const SPEECH_KINDS: [&str; 3] = ["audio", "voice", "video"];
    let is_filled = |value: &Value| match value {
        Value::String(text) => text.chars().any(is_visible) && !is_placeholder(text),
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(values) => !values.is_empty(),
        Value::Bool(is_present) => *is_present,
        Value::Null | Value::Number(_) => false,
    };
    let present =
        || SPEECH_KINDS.into_iter().find(|kind| is_filled(&body[*kind]) || is_filled(&body["message"][*kind]));
    named_kind(body, &SPEECH_KINDS).or_else(present).map(str::to_owned)
}

/// Returns the first of these kinds that the body names as that of the message.
fn named_kind(body: &Value, kinds: &[&'static str]) -> Option<&'static str> {
    let type_fields = ["type", "attachment_type", "input_type"];
    let types = type_fields.iter().filter_map(|name| body["message"][*name].as_str().or_else(|| body[*name].as_str()));
    kinds.iter().copied().find(|kind| types.clone().any(|name| name.eq_ignore_ascii_case(kind)))
}

/// Returns a phone number in one form: `+` and its digits when it has a country code, otherwise its digits. A number has
/// a country code after `+` or `00`, or when it has at least 11 digits and does not begin with zero, as WhatsApp writes
/// it.
fn phone(text: &str) -> Option<String> {
    let (digits, is_international) = phone_digits(text);
    let is_international = is_international || (digits.len() >= 11 && !digits.starts_with('0'));
    let phone = if is_international { format!("+{digits}") } else { digits };
    (5..=50).contains(&phone.len()).then_some(phone)
}

/// Returns a phone number's digits without the prefix `+` or `00`, and whether the number has that prefix. The `(0)` of
/// `+33 (0)6 12 34 56 78` is not dialled from abroad, so it is left out.
#[must_use]
pub fn phone_digits(text: &str) -> (String, bool) {
    let before_plus = text.split_once(['+', '＋']).map(|(before, _)| before);
    let has_plus = before_plus.is_some_and(|before| !before.contains(|letter: char| letter.is_ascii_digit()));
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let without_zeros = digits.strip_prefix("00").filter(|rest| !rest.starts_with('0'));
    let is_international = has_plus || without_zeros.is_some();
    if !is_international {
        return (digits, false);
    }
    let dialled: String = text.replace("(0)", "").chars().filter(char::is_ascii_digit).collect();
    (dialled.strip_prefix("00").unwrap_or(&dialled).to_owned(), true)
}

fn name(body: &Value) -> Option<String> {
    let whole = string(body, &["name", "full_name"]).map(str::to_owned);
    let parts = || {
        let parts: Vec<_> =
            ["first_name", "last_name"].iter().filter_map(|part| string(body, &[part])).map(str::trim).collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    };
    let name: String =
        whole.or_else(parts)?.chars().filter(|letter| !letter.is_control()).take(MAX_NAME_CHARS).collect();
    input::one_line(&name, 1, MAX_NAME_CHARS).ok()
}

/// Returns the SHA-256 of the parts, in hex. Each part is preceded by its length, so that no two lists hash the same
/// bytes.
fn fingerprint<const N: usize>(parts: [&str; N]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(body: Value) -> InboundMessage {
        InboundMessage::read(&body).unwrap()
    }

    #[test]
    fn the_documented_body_is_parsed_completely() {
        let inbound = read(json!({
            "id": 132, "key": "user:132", "name": "Zoë D’Été", "locale": "fr_FR", "whatsapp_phone": "+33 6 12 34 56 78",
            "last_input_text": " Quels sont vos délais ? ", "last_interaction": "2026-11-20T09:00:00+00:00",
        }));
        assert_eq!((inbound.contact_id.as_str(), inbound.text.as_str()), ("132", "Quels sont vos délais ?"));
        assert_eq!(inbound.phone.as_deref(), Some("+33612345678"));
        assert_eq!(inbound.name.as_deref(), Some("Zoë D’Été"));
        assert_eq!((inbound.language, inbound.attachment), (Some(Language::French), None));
        assert!(inbound.external_id.is_some());
    }

    #[test]
    fn a_number_counts_as_text_and_invisible_characters_do_not() {
        assert_eq!(read(json!({ "id": 1, "last_input_text": 2 })).text, "2");
        assert_eq!(read(json!({ "id": 1, "message": { "text": 2.5 } })).text, "2.5");
        for unseen in ["\u{200b}", " \u{feff}\u{200e}\n", ""] {
            let inbound = read(json!({ "id": 1, "last_input_text": unseen, "image": "x" }));
            assert_eq!((inbound.text.as_str(), inbound.attachment.as_deref()), ("", Some("image")), "{unseen:?}");
        }
        // A zero-width joiner inside an emoji stays.
        assert_eq!(read(json!({ "id": 1, "text": "👩\u{200d}🌾" })).text, "👩\u{200d}🌾");
    }

    #[test]
    fn the_contact_id_is_found_in_all_known_forms_and_an_invalid_one_is_refused() {
        for (body, contact) in [
            (json!({ "subscriber_id": 17_841_400_000_000_000_123_u64, "text": "hi" }), "17841400000000000123"),
            (json!({ "contact": { "id": "1724803790" }, "last_input_text": "hi" }), "1724803790"),
            (json!({ "subscriber": { "id": 5 }, "message": { "text": "hi" } }), "5"),
            (json!({ "key": "user:132", "text": "hi" }), "132"),
            (json!({ "id": 132.0, "text": "hi" }), "132"),
            (json!({ "id": format!("CI.{}", "a".repeat(128)), "text": "hi" }), &format!("CI.{}", "a".repeat(128))),
        ] {
            assert_eq!(read(body).contact_id, contact);
        }
        for body in [
            json!({ "text": "hi" }),
            json!({ "id": "{{user_id}}", "text": "hi" }),
            json!({ "id": "{{contact.id}} ", "text": "hi" }),
            json!({ "id": "{{user_id", "text": "hi" }),
            json!({ "key": "user:{{user_id}}", "text": "hi" }),
            json!({ "key": "user:undefined", "text": "hi" }),
            json!({ "id": "null", "text": "hi" }),
            json!({ "id": " NULL ", "text": "hi" }),
            json!({ "id": "undefined", "text": "hi" }),
            json!({ "id": "None", "text": "hi" }),
            json!({ "id": "NaN", "text": "hi" }),
            json!({ "id": "[object Object]", "text": "hi" }),
            json!({ "id": "${user_id}", "text": "hi" }),
            json!({ "id": "<user_id>", "text": "hi" }),
            json!({ "id": "%user_id%", "text": "hi" }),
            json!({ "id": "user_id", "text": "hi" }),
            json!({ "id": 0, "text": "hi" }),
            json!({ "contact": { "id": "null" }, "text": "hi" }),
            json!({ "id": 1.5, "text": "hi" }),
            json!({ "id": 1e30, "text": "hi" }),
            json!({ "id": "a\u{0}b", "text": "hi" }),
            json!({ "id": "x".repeat(161), "text": "hi" }),
            json!([]),
            json!("hi"),
        ] {
            assert_eq!(InboundMessage::read(&body).unwrap_err().status.as_u16(), 422, "{body}");
        }
    }

    #[test]
    fn a_body_with_the_ids_of_two_contacts_is_refused() {
        for body in [
            r#"{"id": "7", "last_input_text": "x", "contact_id": "132"}"#,
            r#"{"contact_id": "7", "text": "x", "id": "132"}"#,
            r#"{"subscriber_id": 7, "text": "x", "key": "user:132"}"#,
            r#"{"contact": {"id": "7"}, "text": "x", "user_id": "132"}"#,
            r#"{"contact": {"id": "7"}, "text": "x", "subscriber": {"id": "132"}}"#,
            r#"{"contact": {"id": "7", "last_input_text": "x", "id": "132"}}"#,
            "{\"id\": \"7\", \"text\": \"a\nb\", \"contact_id\": \"132\"}",
            "{\"contact\": {\"id\": \"7\", \"last_input_text\": \"a\nb\", \"id\": \"132\"}}",
        ] {
            assert_eq!(InboundMessage::parse(body.as_bytes()).unwrap_err().status.as_u16(), 422, "{body}");
        }
        let same = json!({
            "id": 7, "contact_id": " 7 ", "user_id": "{{user_id}}", "key": "user:7", "page_id": "132", "text": "x",
            "contact": { "id": "7", "key": "user:7" }, "message": { "id": "132" }, "custom_fields": { "id": "132" },
        });
        assert_eq!(read(same).contact_id, "7");
    }

    #[test]
    fn a_placeholder_is_refused_and_a_message_without_text_has_its_kind() {
        let error = InboundMessage::read(&json!({ "id": 1, "message_text": "{{last_input_text}}" })).unwrap_err();
        assert_eq!(error.details.unwrap()[0]["field"], "last_input_text");
        for (body, kind) in [
            (json!({ "id": 1, "last_input_text": "   " }), "unknown"),
            (json!({ "id": 1, "message": { "type": "audio" } }), "audio"),
            (json!({ "id": 1, "location": { "lat": 5.3 } }), "location"),
        ] {
            let inbound = read(body);
            assert_eq!((inbound.text.as_str(), inbound.attachment.as_deref()), ("", Some(kind)));
        }
    }

    #[test]
    fn speech_beside_a_text_is_named_and_fields_that_a_template_always_has_are_not() {
        for (fields, kind) in [
            (json!({ "type": "audio" }), Some("audio")),
            (json!({ "message": { "type": "Voice" } }), Some("voice")),
            (json!({ "audio": "https://example.com/a.ogg" }), Some("audio")),
            (json!({ "message": { "video": { "url": "x" } } }), Some("video")),
            (json!({ "audio": "", "voice": null, "video": "{{last_video}}", "type": "text" }), None),
            (json!({ "audio": {}, "voice": [], "video": false }), None),
            (json!({ "image": "https://example.com/a.jpg", "location": "Abidjan", "type": "image" }), None),
        ] {
            let mut body = fields.clone();
            body["id"] = json!(1);
            body["last_input_text"] = json!("oui");
            let inbound = read(body);
            assert_eq!((inbound.text.as_str(), inbound.attachment.as_deref()), ("oui", kind), "{fields}");
        }
    }

    #[test]
    fn deliveries_of_one_message_have_one_external_id_and_different_messages_do_not() {
        let with_id = |id: &str, text: &str| read(json!({ "id": 1, "message_id": id, "text": text })).external_id;
        assert_eq!(with_id("m1", "oui"), with_id("m1", "oui"));
        assert_ne!(with_id("m1", "oui"), with_id("m2", "oui"));
        // A bot that sends a constant as the id.
        assert_ne!(with_id("m1", "oui"), with_id("m1", "non"));
        let at_with_id = |at: &str| {
            let body = json!({ "id": 1, "message_id": "m1", "last_interaction": at, "text": "oui" });
            read(body).external_id.unwrap()
        };
        assert_eq!(at_with_id("09:00"), at_with_id("09:00"));
        assert_ne!(at_with_id("09:00"), at_with_id("09:01"));
        let id_part = |external: String| external[..MESSAGE_ID_CHARS].to_owned();
        assert_eq!(id_part(at_with_id("09:00")), id_part(with_id("m1", "non").unwrap()));
        assert_ne!(id_part(at_with_id("09:00")), id_part(with_id("m2", "oui").unwrap()));
        let at = |at: &str| read(json!({ "id": 1, "last_interaction": at, "text": "oui" })).external_id;
        assert_eq!(at("09:00"), at("09:00"));
        assert_ne!(at("09:00"), at("09:01"));
        assert_eq!(read(json!({ "id": 1, "text": "oui" })).external_id, None);
        for field in ["last_interaction", "last_interaction_at"] {
            let at = |at: i64| read(json!({ "id": 1, field: at, "text": "oui" })).external_id;
            assert_eq!(at(1_732_801_440), at(1_732_801_440), "{field}");
            assert!(at(1_732_801_440).is_some() && at(1_732_801_440) != at(1_732_801_441), "{field}");
        }
    }

    #[test]
    fn phone_numbers_have_one_form() {
        for (written, expected) in [
            ("0022507 00-11.22.55", "+2250700112255"),
            ("+225 07 00 11 22 33", "+2250700112233"),
            ("(+225) 07.00.11.22.33", "+2250700112233"),
            ("2250700112233", "+2250700112233"),
            ("whatsapp:+2250700112233", "+2250700112233"),
            ("+33 (0)6 12 34 56 78", "+33612345678"),
            ("0033 (0) 6 12 34 56 78", "+33612345678"),
            ("07 00 11 22 33", "0700112233"),
            ("0700112233", "0700112233"),
        ] {
            assert_eq!(phone(written).as_deref(), Some(expected), "{written}");
        }
        assert_eq!((phone("12"), phone("abc"), phone("+")), (None, None, None));
    }

    #[test]
    fn a_body_that_is_not_valid_json_is_parsed_where_it_can_be() {
        let parse = |body: &str| {
            InboundMessage::parse(body.as_bytes())
                .map(|(message, is_repaired)| (message.contact_id, message.text, is_repaired))
        };
        let expected = |id: &str, text: &str, is_repaired| (id.to_owned(), text.to_owned(), is_repaired);
        assert_eq!(parse("{\"id\": 1, \"text\": \"a\"}").unwrap(), expected("1", "a", false));
        assert_eq!(parse("{\"id\": 1, \"text\": \"a \"b\" c\"}").unwrap(), expected("1", "a \"b\" c", true));
        let digits = "9".repeat(30);
        assert_eq!(parse(&format!("{{\"id\": {digits}, \"text\": \"a\"}}")).unwrap(), expected(&digits, "a", false));
        for (body, status) in [("{", 400), ("[]", 422), ("{\"text\": \"a\"}", 422), ("{\"id\": 1e30}", 422)] {
            assert_eq!(parse(body).unwrap_err().status.as_u16(), status, "{body}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC{0,40}|\\{\\{[a-z_]{1,9}\\}\\}|[\u{0}-\u{1f}]{0,4}".prop_map(Value::from),
        ];
        let names = prop_oneof![
            "id|contact_id|subscriber_id|key|text|last_input_text|message|contact|subscriber|name|phone|message_id",
            "[a-z]{1,6}",
        ];
        leaf.prop_recursive(3, 24, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(names.clone(), inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_is_refused_or_fits_the_columns(body in any_json()) {
            if let Ok(inbound) = InboundMessage::read(&body) {
                prop_assert!((1..=160).contains(&inbound.contact_id.chars().count()));
                prop_assert!(inbound.text.chars().count() <= MAX_TEXT_CHARS && !inbound.text.contains('\0'));
                prop_assert!(!inbound.text.is_empty() || inbound.attachment.is_some());
                prop_assert!(inbound.name.is_none_or(|name| (1..=200).contains(&name.chars().count())));
                prop_assert!(inbound.phone.is_none_or(|phone| phone.len() <= 50));
            }
        }
    }
}
