//! What a ManyChat bot posts: whatever its builder composed. Lenient in what is read (ids as numbers or strings, nested
//! or flat, placeholders that were not filled in), strict in what comes out of it.

use std::borrow::Cow;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    error::{ApiError, FieldError},
    input,
    text::{self, Language},
};

/// WhatsApp lets 4,096 characters through; what is longer was not typed, and is cut.
const LONGEST_TEXT: usize = 10_000;
const LONGEST_CONTACT_ID: usize = 100;
const LONGEST_NAME: usize = 200;

/// A message of a contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbound {
    /// ManyChat's id of the contact.
    pub contact_id: String,
    /// As WhatsApp shows it.
    pub phone: Option<String>,
    /// What the contact is called.
    pub name: Option<String>,
    /// The language of the text, or else of the contact's phone.
    pub language: Option<Language>,
    /// What was written; empty when something else came.
    pub text: String,
    /// What came instead of a text: `audio`, `image`, `location` …, or `unknown`.
    pub attachment: Option<String>,
    /// The same for every delivery of a message. `None` where the body says nothing to tell two messages apart by.
    pub external_id: Option<String>,
}

impl Inbound {
    /// Reads a body.
    ///
    /// # Errors
    /// 422 without a contact, or with a placeholder in the place of the text.
    pub fn read(body: &Value) -> Result<Self, ApiError> {
        if !body.is_object() {
            return Err(ApiError::field("body", "must be an object"));
        }
        let contact_id = contact_id(body).ok_or_else(|| {
            ApiError::field("id", "must be the contact's id, for example {{user_id}} of ManyChat, filled in")
        })?;
        let written = text_of(body);
        if written.as_deref().is_some_and(is_placeholder) {
            let message = "is a placeholder that ManyChat did not fill in: choose the field in its editor";
            return Err(ApiError::validation(vec![FieldError::new("last_input_text", message)]));
        }
        let text = clean(written.as_deref().unwrap_or_default());
        let attachment = text.is_empty().then(|| attachment_of(body));
        let last_interaction = string(body, &["last_interaction"]);
        let message_id = id(&body["message_id"]).or_else(|| id(&body["message"]["id"])).or_else(|| id(&body["mid"]));
        // With the text: builders that put a constant where the id belongs must not lose every message but the first.
        let external_id = match (message_id, last_interaction) {
            (Some(message), _) => Some(fingerprint(["id", &contact_id, &message, &text])),
            (None, Some(at)) => Some(fingerprint(["at", &contact_id, at, &text])),
            (None, None) => None,
        };
        let locale = string(body, &["locale", "language"]).map(Language::from_code);
        let language = [Some(text::detect_language(&text)), locale].into_iter().flatten();
        Ok(Self {
            phone: string(body, &["whatsapp_phone", "phone", "user_phone"]).and_then(phone),
            name: name(body),
            language: language.into_iter().find(|language| *language != Language::Other),
            contact_id,
            text,
            attachment,
            external_id,
        })
    }
}

/// Where a contact's own fields may stand.
fn places(body: &Value) -> impl Iterator<Item = &Value> {
    [Some(body), body.get("subscriber"), body.get("contact"), body.get("user")].into_iter().flatten()
}

/// The first text of one of these names that says something.
fn string<'b>(body: &'b Value, names: &[&str]) -> Option<&'b str> {
    places(body)
        .flat_map(|place| names.iter().filter_map(|name| place.get(*name)?.as_str()))
        .find(|text| !text.trim().is_empty() && !is_placeholder(text))
}

/// An id, as a number or a text. A number that JSON cannot carry exactly is none: it would name somebody else.
fn id(value: &Value) -> Option<String> {
    let id = match value {
        Value::Number(number) => number.as_u64()?.to_string(),
        Value::String(text) => text.trim().to_owned(),
        _ => return None,
    };
    let is_usable = !id.is_empty()
        && id.chars().count() <= LONGEST_CONTACT_ID
        && !id.chars().any(char::is_control)
        && !is_placeholder(&id);
    is_usable.then_some(id)
}

fn contact_id(body: &Value) -> Option<String> {
    let flat = ["contact_id", "subscriber_id", "user_id", "id"].iter().find_map(|name| id(&body[*name]));
    let nested = || places(body).skip(1).find_map(|place| id(&place["id"]));
    // `user:132`
    let key = || id(&body["key"])?.strip_prefix("user:").map(str::to_owned);
    flat.or_else(nested).or_else(key)
}

/// The text, which may be a placeholder. A contact who answers `2` may arrive as a number.
fn text_of(body: &Value) -> Option<Cow<'_, str>> {
    let direct = ["last_input_text", "message_text", "text", "message"].iter().map(|name| &body[*name]);
    let nested =
        [&body["message"]["text"], &body["subscriber"]["last_input_text"], &body["contact"]["last_input_text"]];
    let all = direct.chain(nested).filter_map(|value| match value {
        Value::String(text) => Some(Cow::Borrowed(text.as_str())),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        _ => None,
    });
    all.into_iter().find(|text| text.chars().any(is_seen))
}

/// Not a space, and not one of the characters without width that phones put between others.
fn is_seen(letter: char) -> bool {
    !letter.is_whitespace()
        && !letter.is_control()
        && !matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

/// `{{last_input_text}}`, as it stands when the builder's variable does not exist.
fn is_placeholder(text: &str) -> bool {
    let text = text.trim();
    text.starts_with("{{") && text.ends_with("}}")
}

fn clean(text: &str) -> String {
    let cut: String = text.chars().take(LONGEST_TEXT).collect();
    input::several_lines(&cut, 0, LONGEST_TEXT).unwrap_or_default()
}

/// What came instead of a text, as far as the body tells.
fn attachment_of(body: &Value) -> String {
    const KINDS: [&str; 7] = ["audio", "voice", "image", "video", "file", "sticker", "location"];
    let told = ["type", "attachment_type", "input_type"];
    let told = told.iter().filter_map(|name| body["message"][*name].as_str().or_else(|| body[*name].as_str()));
    let named = KINDS.iter().copied().find(|kind| told.clone().any(|told| told.eq_ignore_ascii_case(kind)));
    let present = || KINDS.iter().copied().find(|kind| !body[*kind].is_null() || !body["message"][*kind].is_null());
    named.or_else(present).unwrap_or("unknown").to_owned()
}

fn phone(text: &str) -> Option<String> {
    let phone: String = text.chars().filter(|letter| letter.is_ascii_digit() || *letter == '+').collect();
    (5..=50).contains(&phone.len()).then_some(phone)
}

fn name(body: &Value) -> Option<String> {
    let whole = string(body, &["name", "full_name"]).map(str::to_owned);
    let parts = || {
        let parts: Vec<_> =
            ["first_name", "last_name"].iter().filter_map(|part| string(body, &[part])).map(str::trim).collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    };
    let name: String = whole.or_else(parts)?.chars().filter(|letter| !letter.is_control()).take(LONGEST_NAME).collect();
    input::one_line(&name, 1, LONGEST_NAME).ok()
}

/// Parts with their lengths, so that no two lists give the same bytes.
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

    fn read(body: Value) -> Inbound {
        Inbound::read(&body).unwrap()
    }

    #[test]
    fn the_documented_body_is_read_whole() {
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
    fn a_number_is_a_text_and_what_nobody_sees_is_none() {
        assert_eq!(read(json!({ "id": 1, "last_input_text": 2 })).text, "2");
        assert_eq!(read(json!({ "id": 1, "message": { "text": 2.5 } })).text, "2.5");
        for unseen in ["\u{200b}", " \u{feff}\u{200e}\n", ""] {
            let inbound = read(json!({ "id": 1, "last_input_text": unseen, "image": "x" }));
            assert_eq!((inbound.text.as_str(), inbound.attachment.as_deref()), ("", Some("image")), "{unseen:?}");
        }
        // Joiners belong to what they join.
        assert_eq!(read(json!({ "id": 1, "text": "👩\u{200d}🌾" })).text, "👩\u{200d}🌾");
    }

    #[test]
    fn contacts_are_found_wherever_builders_put_them() {
        for (body, contact) in [
            (json!({ "subscriber_id": 17_841_400_000_000_000_123_u64, "text": "hi" }), "17841400000000000123"),
            (json!({ "contact": { "id": "1724803790" }, "last_input_text": "hi" }), "1724803790"),
            (json!({ "subscriber": { "id": 5 }, "message": { "text": "hi" } }), "5"),
            (json!({ "key": "user:132", "text": "hi" }), "132"),
        ] {
            assert_eq!(read(body).contact_id, contact);
        }
        for body in [
            json!({ "text": "hi" }),
            json!({ "id": "{{user_id}}", "text": "hi" }),
            json!({ "id": 1.5, "text": "hi" }),
            json!({ "id": 1e30, "text": "hi" }),
            json!({ "id": "a\u{0}b", "text": "hi" }),
            json!({ "id": "x".repeat(101), "text": "hi" }),
            json!([]),
            json!("hi"),
        ] {
            assert_eq!(Inbound::read(&body).unwrap_err().status.as_u16(), 422, "{body}");
        }
    }

    #[test]
    fn what_is_no_text_is_told_apart() {
        let error = Inbound::read(&json!({ "id": 1, "message_text": "{{last_input_text}}" })).unwrap_err();
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
    fn a_delivery_is_recognised_and_two_messages_are_not_confused() {
        let with_id = |id: &str, text: &str| read(json!({ "id": 1, "message_id": id, "text": text })).external_id;
        assert_eq!(with_id("m1", "oui"), with_id("m1", "oui"));
        assert_ne!(with_id("m1", "oui"), with_id("m2", "oui"));
        // A builder's constant.
        assert_ne!(with_id("m1", "oui"), with_id("m1", "non"));
        let at = |at: &str| read(json!({ "id": 1, "last_interaction": at, "text": "oui" })).external_id;
        assert_eq!(at("09:00"), at("09:00"));
        assert_ne!(at("09:00"), at("09:01"));
        assert_eq!(read(json!({ "id": 1, "text": "oui" })).external_id, None);
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
        fn whatever_comes_is_refused_or_fits_its_columns(body in any_json()) {
            if let Ok(inbound) = Inbound::read(&body) {
                prop_assert!((1..=100).contains(&inbound.contact_id.chars().count()));
                prop_assert!(inbound.text.chars().count() <= LONGEST_TEXT && !inbound.text.contains('\0'));
                prop_assert_eq!(inbound.text.is_empty(), inbound.attachment.is_some());
                prop_assert!(inbound.name.is_none_or(|name| (1..=200).contains(&name.chars().count())));
                prop_assert!(inbound.phone.is_none_or(|phone| phone.len() <= 50));
            }
        }
    }
}
