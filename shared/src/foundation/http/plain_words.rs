//! Words for people in place of serde's: "must be a whole number from 0 to 255" in place of "expected u8".

/// Returns the message of a deserialisation error in plain words. A message that is not one of serde's, such as that
/// of this project's own types, stays as it is.
pub(super) fn plain_words(message: &str) -> String {
    let number =
        |text: &str| ["invalid digit", "cannot parse integer", "invalid float"].iter().any(|a| text.contains(a));
    if let Some(rest) = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: ")) {
        return rest.rsplit_once(", expected ").map_or_else(|| "is not valid".to_owned(), |(_, what)| must_be(what));
    }
    if let Some(rest) = message.strip_prefix("invalid length ") {
        return rest
            .rsplit_once(", expected ")
            .map_or_else(|| "has a wrong length".to_owned(), |(_, what)| must_be(what));
    }
    if let Some(rest) = message.strip_prefix("unknown variant ") {
        return rest.split_once(", expected ").map_or_else(
            || "is not known".to_owned(),
            |(_, choices)| match backquoted(choices).as_slice() {
                [] => "is not known".to_owned(),
                [one] => format!("must be {one}"),
                several => format!("must be one of {}", several.join(", ")),
            },
        );
    }
    if message.starts_with("unknown field ") {
        return "is not a field of this request".to_owned();
    }
    if message.starts_with("missing field ") {
        return "is required".to_owned();
    }
    if message.starts_with("duplicate field ") {
        return "must not be given twice".to_owned();
    }
    if message.starts_with("UUID parsing failed") {
        return "must be a UUID".to_owned();
    }
    if message.contains("number too large") || message.contains("number too small") {
        return "must be a whole number of fewer digits".to_owned();
    }
    if number(message) {
        return "must be a whole number".to_owned();
    }
    if message.contains("provided string was not `true` or `false`") {
        return "must be true or false".to_owned();
    }
    if ["premature end of input", "input contains invalid characters", "input is out of range", "trailing input"]
        .contains(&message)
    {
        return "must be a time such as 2026-11-23T09:30:06Z".to_owned();
    }
    if message.starts_with("data did not match any variant") {
        return "has none of the accepted forms".to_owned();
    }
    message.to_owned()
}

/// Returns the sentence for the form that serde expected.
fn must_be(expected: &str) -> String {
    let range = match expected {
        "u8" => Some((0, u64::from(u8::MAX))),
        "u16" => Some((0, u64::from(u16::MAX))),
        "u32" => Some((0, u64::from(u32::MAX))),
        _ => None,
    };
    if let Some((least, most)) = range {
        return format!("must be a whole number from {least} to {most}");
    }
    match expected {
        "u64" | "usize" | "u128" => "must be a whole number of 0 or more".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" | "i128" => "must be a whole number".to_owned(),
        "f32" | "f64" => "must be a number".to_owned(),
        "a string" | "a borrowed string" | "a character" | "string" => "must be a text".to_owned(),
        "a boolean" => "must be true or false".to_owned(),
        "a sequence" | "an array" => "must be a list".to_owned(),
        "a formatted UUID string" | "a UUID string" => "must be a UUID".to_owned(),
        what if what.contains("UUID") => "must be a UUID".to_owned(),
        what if what.contains("date and time") => "must be a time such as 2026-11-23T09:30:06Z".to_owned(),
        what if what.starts_with("a map") || what.starts_with("struct ") => "must be an object".to_owned(),
        // An enumeration of texts takes any text at first; its own error then names the choices.
        what if what.starts_with("enum ") || what == "string or map" || what == "variant identifier" => {
            "must be one of the documented texts".to_owned()
        }
        // What this project's own types expect.
        what if what.starts_with("a decimal number in quotes") => format!("must be {what}"),
        _ => "has a form that is not accepted here".to_owned(),
    }
}

/// The words between backquotes.
fn backquoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Anything {
        small: Option<u8>,
        large: Option<i64>,
        share: Option<f64>,
        text: Option<String>,
        switch: Option<bool>,
        list: Option<Vec<String>>,
        object: Option<Inner>,
        choice: Option<Choice>,
        id: Option<uuid::Uuid>,
        time: Option<chrono::DateTime<chrono::Utc>>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only read")]
    struct Inner {
        name: String,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Choice {
        First,
        Second,
    }

    #[test]
    fn no_message_names_a_type_of_the_code() {
        for (body, expected) in [
            (json!({ "small": 300 }), "must be a whole number from 0 to 255"),
            (json!({ "small": -1 }), "must be a whole number from 0 to 255"),
            (json!({ "small": "x" }), "must be a whole number from 0 to 255"),
            (json!({ "large": 1.5 }), "must be a whole number"),
            (json!({ "share": "x" }), "must be a number"),
            (json!({ "text": 5 }), "must be a text"),
            (json!({ "switch": "yes" }), "must be true or false"),
            (json!({ "list": "x" }), "must be a list"),
            (json!({ "object": 5 }), "must be an object"),
            (json!({ "object": {} }), "is required"),
            (json!({ "choice": "third" }), "must be one of first, second"),
            (json!({ "choice": 5 }), "must be one of the documented texts"),
            (json!({ "id": "x" }), "must be a UUID"),
            (json!({ "id": 5 }), "must be a UUID"),
            (json!({ "time": "yesterday" }), "must be a time such as 2026-11-23T09:30:06Z"),
            (json!({ "time": 5 }), "must be a time such as 2026-11-23T09:30:06Z"),
            (json!({ "other": 5 }), "is not a field of this request"),
        ] {
            let error = serde_json::from_value::<Anything>(body.clone()).unwrap_err().to_string();
            assert_eq!(plain_words(&error), expected, "{body}: {error}");
        }
        let twice = serde_json::from_str::<Anything>(r#"{"small":1,"small":1}"#).unwrap_err().to_string();
        assert_eq!(plain_words(twice.split(" at line ").next().unwrap()), "must not be given twice");
        assert_eq!(plain_words("must not be empty"), "must not be empty");
        let amount = "invalid type: integer `500`, expected a decimal number in quotes, such as \"2500\"";
        assert_eq!(plain_words(amount), "must be a decimal number in quotes, such as \"2500\"");
    }

    #[test]
    fn numbers_of_a_query_string_are_described_too() {
        for (text, expected) in [
            ("x", "must be a whole number"),
            ("", "must be a whole number"),
            ("99999999999", "must be a whole number of fewer digits"),
        ] {
            assert_eq!(plain_words(&text.parse::<i32>().unwrap_err().to_string()), expected, "{text}");
        }
    }
}
