//! Tests of the reader of webhook bodies.

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
    assert_eq!((read_body.value, read_body.is_repaired), (body, false));
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
    assert_eq!(value, json!({ "id": 1, "name": "Awa \"La Reine\" Koné", "last_input_text": "prix ?", "page_id": 2 }));
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
fn a_field_that_is_read_has_one_value() {
    for (body, field) in [
        (r#"{"id": 7, "last_input_text": "x", "last_input_text": "oui"}"#, "last_input_text"),
        (r#"{"id": 7, "message": {"text": "x", "text": "oui"}}"#, "text"),
        (r#"{"id": 7, "x": [{"user_id": 1, "user_id": 2}]}"#, "user_id"),
        ("{\"id\": 7, \"text\": \"a\nb\", \"name\": \"Awa\", \"name\": \"Directeur\"}", "name"),
        ("{\"id\": 7, \"text\": \"a\nb\", \"phone\": \"+2250700112233\", \"phone\": \"+2250700000001\"}", "phone"),
        // In two objects, when the body was repaired.
        (
            "{\"id\": 7, \"last_input_text\": \"a\nb\", \"y\": {\"z\": \"\", \"last_input_text\": \"oui\"}}",
            "last_input_text",
        ),
    ] {
        assert_eq!(read(body.as_bytes()), Err(UnreadableBody::TwoValues(field)), "{body}");
    }
    let tags = "{\"id\": 7, \"last_input_text\": \"a\nb\", \"subscriber\": {\"last_input_text\": \"a\nb\"}, \
        \"tags\": [{\"name\": \"A\"}, {\"name\": \"B\"}]}";
    assert_eq!(read(tags.as_bytes()).unwrap().value["tags"][1]["name"], "B");
}

#[test]
fn a_repaired_body_that_ends_within_a_nested_value_is_refused() {
    for end in
        ["\"y\": {\"z\": \"", "\"y\": [{\"z\": \"", "\"y\": [\"", "\"y\": {", "\"y\": [1, 2", "\"y\": {\"z\": {}"]
    {
        let body = format!("{{\"id\": 1, \"text\": \"a\", {end}");
        assert_eq!(read(body.as_bytes()), Err(UnreadableBody::Unclosed), "{body}");
    }
    let body = r#"{"id": 1, "text": "a", "y": {"z": ""}"#;
    assert_eq!(read(body.as_bytes()), Err(UnreadableBody::Unclosed), "closed by the brace of the body's object");
    for open in ["[", "{\"a\":"] {
        let body = format!("{{\"id\": 1, \"text\": \"a\", \"y\": {}\"", open.repeat(40));
        assert_eq!(read(body.as_bytes()), Err(UnreadableBody::Unclosed), "{body}");
    }
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
