//! Bodies in which the text of a contact, put in by a template that does not escape it, names another contact.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// Templates of contact 6001. `%s` is the contact's text.
const TEMPLATES: [&str; 14] = [
    r#"{"last_input_text": "%s", "id": 6001}"#,
    r#"{"id": 6001, "last_input_text": "%s"}"#,
    r#"{"id": 6001, "last_input_text": "%s", "last_interaction": "2026-11-28T09:00:00Z"}"#,
    r#"{"last_input_text": "%s", "key": "user:6001", "id": "6001"}"#,
    r#"{"subscriber": {"last_input_text": "%s", "id": 6001}}"#,
    r#"{"subscriber": {"id": 6001, "last_input_text": "%s"}}"#,
    r#"{"last_input_text": "%s", "subscriber": {"id": 6001}}"#,
    r#"{"subscriber": {"id": 6001}, "last_input_text": "%s"}"#,
    r#"{"message": {"text": "%s"}, "contact_id": "6001"}"#,
    r#"{"message": {"text": "%s", "id": "m1"}, "contact": {"id": "6001", "name": "Awa"}}"#,
    r#"{"name": "%s", "id": 6001, "last_input_text": "%s"}"#,
    r#"{"last_input_text": "%s", "user_id": "6001", "name": "%s", "tags": []}"#,
    r#"{"last_input_text": %s, "id": 6001}"#,
    r#"{text: "%s", id: 6001}"#,
];

/// Parts of texts that write fields of their own.
const PARTS: [&str; 44] = [
    "x",
    "oui",
    " ",
    "\n",
    "\"",
    "\"",
    "\"",
    "'",
    "“",
    "”",
    ":",
    ",",
    "{",
    "}",
    "[",
    "]",
    "\\",
    "\\\"",
    "\0",
    "0",
    "\", \"id\": 5001, ",
    "\", \"id\": \"abc\", ",
    "\"id\": 5001",
    "\"contact_id\": \"5001\"",
    "\"key\": \"user:5001\"",
    "\"subscriber\": {\"id\": 5001}",
    "\"contact\": {",
    "\"message\": {",
    "\"y\": {\"z\": \"",
    "\"y\": [{\"z\": \"",
    "\"y\": {",
    "\"y\": \"",
    "\"z\": \"",
    "\"last_input_text\": \"oui\"",
    "\"\\u0069d\": 5001",
    "id: 5001",
    "“id”: 5001",
    "'id': 5001",
    "\"y\": “",
    "\"y\": '",
    "\", ",
    ", \"",
    "\"}, ",
    "null",
];

fn insert(template: &str, texts: &[&str]) -> String {
    texts.iter().fold(template.to_owned(), |body, text| body.replacen("%s", text, 1)).replace("%s", "Bonjour")
}

/// Returns the contact of a body; `None` when it is refused.
fn contact(body: &str) -> Option<String> {
    InboundMessage::parse(body.as_bytes()).ok().map(|(message, _)| message.contact_id)
}

#[test]
fn a_text_that_hides_the_templates_id_in_a_nested_value_is_refused() {
    let deep = |open: &str| format!("x\", \"id\": 5001, \"y\": {}\"", open.repeat(40));
    let (deep_array, deep_object) = (deep("["), deep("{\"a\":"));
    for text in [
        r#"x", "id": 5001, "last_input_text": "oui", "y": {"z": ""#,
        r#"x", "id": 5001, "y": {"z": ""#,
        r#"x", "id": 5001, "y": [{"z": ""#,
        r#"x", "id": 5001, "y": [""#,
        r#"x", "contact_id": 5001, "y": {"z": ""#,
        r#"x", "user_id": 5001, "y": {"z": ""#,
        r#"x", "key": "user:5001", "y": {"z": ""#,
        r#"x", "subscriber": {"id": 5001}, "y": {"z": ""#,
        r#"x", "contact": {"id": 5001}, "message": {"z": ""#,
        r#"x", "id": 5001, "y": "\"#,
        r#"x", "id": 5001, "y": “"#,
        r#"x", "id": 5001, "y": '"#,
        r#"x", "id": 5001} {"z":""#,
        r#"x", "id": 5001}, {"z":""#,
        "x\", \"id\": 5001}\0{\"z\":\"",
        r#"x", "id": 5001}"#,
        r#"x", id: 5001, y: {z: ""#,
        r#"x”, “id”: 5001, “y”: {“z”: “"#,
        r#"x", "\u0069d": 5001, "y": {"z": ""#,
        deep_array.as_str(),
        deep_object.as_str(),
    ] {
        for template in TEMPLATES {
            let stored = contact(&insert(template, &[text]));
            assert!(stored.as_deref().is_none_or(|stored| stored == "6001"), "{template} with {text}: {stored:?}");
        }
        // Names without quotes, in quotation marks of a text, or with escapes are a text among names with quotes.
        let is_text = text.contains("id: 5001") || text.starts_with("x”") || text.contains(r"\u0069d");
        let expected = is_text.then_some("6001");
        assert_eq!(contact(&insert(TEMPLATES[0], &[text])).as_deref(), expected, "{text}");
    }
}

#[test]
fn valid_json_that_hides_the_templates_id_is_refused() {
    for body in [
        r#"{"last_input_text": "x", "id": 5001, "y": {"z": "", "id": 6001}}"#,
        r#"{"last_input_text": "x", "id": 5001, "y": {"z": "", "id": "6001"}}"#,
        r#"{"last_input_text": "x", "id": 5001, "y": {"z": "", "contact": {"id": 6001}}}"#,
        r#"{"last_input_text": "x", "id": 5001, "y": {"z": "", "key": "user:6001"}}"#,
        r#"{"last_input_text": "x", "id": 5001, "y": [{"z": "", "id": 6001}]}"#,
        r#"{"last_input_text": "x", "id": 5001, "y": {"w": {}, "id": 6001}}"#,
        r#"{"last_input_text": "x", "id": 5001, "custom_fields": {"z": "", "id": 6001}}"#,
        r#"{"last_input_text": "x", "id": 5001, "message": {"z": "", "id": 6001, "name": "a"}, "q": ""}"#,
        r#"{"last_input_text": "x", "id": "abc", "y": {"z": "", "id": 6001}}"#,
        r#"{"last_input_text": "x", "id": "abc", "message": {"z": "", "id": 6001}}"#,
        r#"{"last_input_text": "x", "id": 5001, "message": {"z": "", "id": "CI.6001a"}}"#,
        r#"{"last_input_text": "x", "id": 5001, "message": {"z": "", "key": "user:6001"}}"#,
        r#"{"last_input_text": "x", "id": "CI.5001a", "message": {"z": "", "id": "CI.6001a"}}"#,
        r#"{"last_input_text": "x", "id": 5001, "y": {"z": "", "id": 123456789012345678901234567890}}"#,
        r#"{"last_input_text": "x", "contact_id": 5001, "id": 123456789012345678901234567890}"#,
        r#"{"subscriber": {"last_input_text": "x", "id": 5001}, "y": {"z": "", "id": 6001}}"#,
        r#"{"subscriber": {"last_input_text": "x"}, "id": 5001, "y": {"z": "", "id": 6001}}"#,
        r#"{"last_input_text": "x", "id": 5001, "subscriber": {"z": "", "id": 6001}}"#,
        r#"{"last_input_text": "x", "id": 5001, "z": "", "id": 6001}"#,
        r#"{"name": "N", "id": 5001, "y": {"z": "", "id": 6001, "last_input_text": "x"}, "last_input_text": "oui"}"#,
    ] {
        assert_eq!(contact(body), None, "{body}");
    }
}

#[test]
fn ids_of_other_things_do_not_refuse_valid_json() {
    for body in [
        // The contact's id comes first.
        r#"{"id": 7, "last_input_text": "x", "order": {"total": 5, "id": 132}, "tags": [{"name": "a", "id": 9}]}"#,
        r#"{"contact": {"id": "7", "name": "Awa"}, "last_input_text": "x", "message": {"type": "text", "id": "m1"}}"#,
        r#"{"key": "user:7", "id": "7", "custom_fields": {"a": "b", "id": "132"}}"#,
        // The other id is the first value of its object.
        r#"{"last_input_text": "x", "id": 7, "custom_fields": {"id": "132", "a": "b"}, "message": {"id": "m1"}}"#,
        r#"{"event": "x", "message": {"text": "x", "id": "msg_abc123"}, "subscriber_id": 7}"#,
        r#"{"message": {"text": "x", "id": "wamid.HBgM=="}, "subscriber": {"id": "7"}}"#,
        r#"{"message": {"text": "x", "id": "0b9f2c34-5a1f"}, "subscriber": {"id": "7"}}"#,
        r#"{"last_input_text": "il dit \"id\": 5, ou {\"id\": 132}", "id": 7}"#,
        r#"{"last_input_text": "x", "id": 7, "page_id": 132, "thread_id": "9", "y": {"z": "", "key": "colour"}}"#,
    ] {
        assert_eq!(contact(body).as_deref(), Some("7"), "{body}");
    }
}

#[test]
fn a_repaired_body_names_one_contact() {
    for body in [
        "{\"id\": 7, \"last_input_text\": \"a\nb\", \"y\": {\"id\": 132}}",
        "{\"last_input_text\": \"a\nb\", \"id\": 7, \"y\": {\"id\": 132}}",
        "{\"last_input_text\": \"a\nb\", \"id\": 7, \"message\": {\"id\": 132}}",
        "{\"last_input_text\": \"a\n\"id\": 132\", \"id\": 7}",
    ] {
        assert_eq!(contact(body), None, "{body}");
    }
    for body in [
        "{\"id\": 7, \"message\": {\"id\": \"m1\", \"text\": \"a\nb\"}}",
        "{\"event_type\": \"message_received\", \"subscriber_id\": 7, \"message\": {\"id\": \"m1\", \"text\": \"a\nb\"}}",
        "{\"last_input_text\": \"mon id: 132\nid : 132\", \"id\": 7, \"key\": \"user:7\"}",
        "{\"last_input_text\": \"a\nb\", \"id\": 7.0, \"contact_id\": \"7\", \"user_id\": \"{{user_id}}\"}",
    ] {
        assert_eq!(contact(body).as_deref(), Some("7"), "{body}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn a_text_never_stores_another_contact(
        template in prop::sample::select(&TEMPLATES[..]),
        first in prop::collection::vec(prop::sample::select(&PARTS[..]), 0..12),
        second in prop::collection::vec(prop::sample::select(&PARTS[..]), 0..8),
    ) {
        let body = insert(template, &[&first.concat(), &second.concat()]);
        let stored = contact(&body);
        prop_assert!(stored.as_deref().is_none_or(|stored| stored == "6001"), "{body}: {stored:?}");
    }

    #[test]
    fn a_valid_body_with_the_id_first_is_never_refused_for_its_text(text in "\\PC{0,60}|[{}\\[\\]\":,id 0-9\n\\\\]{0,40}") {
        let text = Value::from(format!("a{text}"));
        let stored = contact(&format!("{{\"id\": 6001, \"last_input_text\": {text}}}"));
        prop_assert_eq!(stored.as_deref(), Some("6001"));
        let stored = contact(&format!("{{\"last_input_text\": {text}, \"id\": 6001}}"));
        prop_assert_eq!(stored.as_deref(), Some("6001"));
    }
}
