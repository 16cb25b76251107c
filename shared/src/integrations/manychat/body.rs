//! Reader of webhook bodies that are JSON, or were meant to be JSON. A template in ManyChat's editor may put a contact's
//! text between quotes without escaping it: a line break, a quote or a backslash then breaks the body. A strict reader
//! comes first. A lenient reader follows; it recognises the end of a text by the structure that comes after it.

mod claims;
mod encoding;
mod lenient_reader;
mod sender;
#[cfg(test)]
mod tests;
mod tree;

use serde::de::IgnoredAny;
use serde_json::Value;

pub use claims::{Claim, Claims};
pub use sender::{SenderMark, sender};
use tree::Tree;

/// A body that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    /// A JSON object.
    pub value: Value,
    /// True when the body is not valid JSON, and the lenient reader read it.
    pub is_repaired: bool,
    /// The contacts that the body may name.
    pub claims: Claims,
}

/// The reason for which a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnreadableBody {
    /// Neither reader finds a field.
    Malformed,
    /// The body is valid JSON, but no object.
    NotAnObject,
    /// The named field, which identifies the contact or holds its text, has two values.
    TwoValues(&'static str),
    /// The body is not valid JSON, has an object or an array within it, and ends before all of them are closed. A text of a
    /// contact may have begun one, to hide what follows.
    Unclosed,
}

/// Reads a body.
///
/// # Errors
/// [`UnreadableBody`].
pub fn read(body: &[u8]) -> Result<Body, UnreadableBody> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    match tree::read_strictly(body) {
        Ok(root @ Tree::Object(_)) => {
            let claims = Claims::of_valid(&root);
            finish(root, false, claims)
        }
        Ok(_) => Err(UnreadableBody::NotAnObject),
        // A number that is too large for JSON's numbers, outside of an object.
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
    let text: Vec<char> = encoding::decode(body).chars().collect();
    let read = lenient_reader::read(&text).filter(|read| read.root.has_fields()).ok_or(UnreadableBody::Malformed)?;
    if read.is_unclosed {
        return Err(UnreadableBody::Unclosed);
    }
    let claims = Claims::of_repaired(&read.root, &text);
    finish(read.root, true, claims)
}

/// Returns the body with this object, unless a field has two values.
fn finish(root: Tree, is_repaired: bool, claims: Claims) -> Result<Body, UnreadableBody> {
    match claims::repeated_field(&root, is_repaired) {
        Some(field) => Err(UnreadableBody::TwoValues(field)),
        None => Ok(Body { value: root.into_value(), is_repaired, claims }),
    }
}
