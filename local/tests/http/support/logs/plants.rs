//! What is planted of a request and of its answer.

use reqwest::Body;
use serde_json::Value;

use super::{MIN_TEXT_BYTES, WatchedLog, phones};

/// A larger body is no message of a person: nothing of it is planted.
const MAX_PLANTED_BODY_BYTES: usize = 64 * 1024;
/// Fields of requests and answers whose value a person wrote, or that name a person.
const PERSONAL_FIELDS: [&str; 14] = [
    "answer",
    "content",
    "customer_name",
    "display_name",
    "email",
    "first_name",
    "last_input_text",
    "last_name",
    "message_text",
    "name",
    "note",
    "notes",
    "question",
    "text",
];
/// Headers whose value lets somebody in.
const SECRET_HEADERS: [&str; 4] = ["authorization", "cookie", "stripe-signature", "x-webhook-secret"];
/// The parameter of a presigned URL that makes it valid.
const URL_SIGNATURE: &str = "X-Amz-Signature=";

/// Plants what a request's body has of a person: each text with a space, each personal field, each phone number, and each
/// secret.
pub(in super::super) fn plant_body(body: &Value) {
    plant_value(&mut WatchedLog::lock(), "", body);
}

fn plant_value(log: &mut WatchedLog, field: &str, value: &Value) {
    match value {
        Value::String(text) if is_secret(field) => log.plant(text),
        Value::String(text) => {
            if PERSONAL_FIELDS.contains(&field) {
                log.plant_word(text);
            } else if text.contains(' ') {
                log.plant(text);
            }
            plant_phones(log, field, text);
        }
        Value::Array(values) => values.iter().for_each(|value| plant_value(log, field, value)),
        Value::Object(fields) => fields.iter().for_each(|(field, value)| plant_value(log, field, value)),
        _ => {}
    }
}

fn is_secret(field: &str) -> bool {
    ["secret", "token", "password"].iter().any(|part| field.contains(part)) || field.ends_with("_key")
}

fn plant_phones(log: &mut WatchedLog, field: &str, text: &str) {
    if field.contains("phone") {
        log.plant_phone(text);
    }
    phones::in_text(text).iter().for_each(|phone| log.plant_phone(phone));
}

/// Plants what a person wrote in a query parameter.
pub(in super::super) fn plant_text(field: &str, text: &str) {
    plant_value(&mut WatchedLog::lock(), field, &Value::from(text));
}

/// Plants the secret in a header.
pub(in super::super) fn plant_header(name: &str, value: &str) {
    if SECRET_HEADERS.contains(&name) {
        WatchedLog::lock().plant(value);
    }
}

/// Plants what a body has of a person that need not be JSON: a template may have put a text into it without escaping it.
pub(in super::super) fn plant_raw_body(body: &Body) {
    let Some(bytes) = body.as_bytes().filter(|bytes| bytes.len() <= MAX_PLANTED_BODY_BYTES) else { return };
    if let Ok(json) = serde_json::from_slice(bytes) {
        return plant_body(&json);
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut log = WatchedLog::lock();
    for part in text.split(['"', '\n']).filter(|part| part.len() >= MIN_TEXT_BYTES) {
        plant_value(&mut log, "", &Value::from(part));
    }
}

/// Plants what an answer has of a person, and the secrets that the product made. The lines until now are searched too. The
/// API's own document has nothing of a person: the names in it are those of tags and parameters.
pub(in super::super) fn plant_answer(answer: &Value) {
    if answer.get("openapi").is_some() {
        return;
    }
    plant_answer_value(&mut WatchedLog::lock(), "", answer);
}

fn plant_answer_value(log: &mut WatchedLog, field: &str, value: &Value) {
    match value {
        Value::String(text) => {
            if is_secret(field) || PERSONAL_FIELDS.contains(&field) {
                log.plant_late(text);
            }
            if let Some((_, signature)) = text.split_once(URL_SIGNATURE) {
                log.plant_late(signature);
            }
            if field.contains("phone") {
                log.plant_phone(text);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| plant_answer_value(log, field, value)),
        Value::Object(fields) => fields.iter().for_each(|(field, value)| plant_answer_value(log, field, value)),
        _ => {}
    }
}
