//! Reader of webhook bodies that are JSON, or were meant to be JSON. A template in ManyChat's editor may put a contact's
//! text between quotes without escaping it: a line break, a quote or a backslash then breaks the body. A strict reader
//! comes first. A lenient reader follows; it recognises the end of a text by the structure that comes after it.

mod encoding;
mod fields;
mod lenient_reader;
#[cfg(test)]
mod tests;

use serde::de::IgnoredAny;
use serde_json::Value;

use fields::FieldMap;

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
    match fields::strict_fields(body) {
        Ok(fields) => finish(fields, false),
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
    let fields = lenient_reader::read_fields(&encoding::decode(body)).filter(|fields| !fields.map.is_empty());
    finish(fields.ok_or(UnreadableBody::Malformed)?, true)
}

/// Returns the body with these fields, unless one of them names the contact twice.
fn finish(fields: FieldMap, is_repaired: bool) -> Result<Body, UnreadableBody> {
    match fields.repeated {
        Some(field) => Err(UnreadableBody::TwoValues(field)),
        None => Ok(Body { value: Value::Object(fields.map), is_repaired }),
    }
}
