//! The contact that probably sent a body which could not be read, so that one contact's bodies can be counted.

use super::claims;

/// A part of a body that names its contact. Other bodies of the contact have it in the same place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SenderMark {
    /// The part: from the beginning of the body to its id, or the id with its name.
    pub bytes: Vec<u8>,
    /// `None` for a part at the beginning. Else the number of bytes at the end of the body that contain the part.
    pub tail_bytes: Option<usize>,
}

/// Returns the mark of a body's contact; `None` when no id is found.
///
/// An id at the beginning of the body is the template's. Else the last id counts: the contact's own words come before it,
/// since the template's id follows the texts.
#[must_use]
pub fn sender(body: &[u8]) -> Option<SenderMark> {
    let text = std::str::from_utf8(body).ok()?;
    let chars: Vec<char> = text.chars().collect();
    let mut mentions = claims::mentions(&chars);
    mentions.retain(|mention| !mention.claim.value.is_null());
    let (first, last) = (mentions.first()?, mentions.last()?);
    let bytes = |chars: &[char]| chars.iter().collect::<String>().into_bytes();
    // The character after the id belongs to it: 600 is no beginning of 6001.
    let after = |mention: &claims::Mention| (mention.end + 1).min(chars.len());
    let before: String = chars[..first.begin].iter().collect();
    Some(if is_without_values(&before) {
        SenderMark { bytes: bytes(&chars[..after(first)]), tail_bytes: None }
    } else {
        let tail = bytes(&chars[last.begin..]);
        SenderMark { bytes: bytes(&chars[last.begin..after(last)]), tail_bytes: Some(tail.len()) }
    })
}

/// Returns true for the beginning of a body, up to its first id, that has no values but words of the template.
fn is_without_values(beginning: &str) -> bool {
    let named = beginning.trim_start().trim_start_matches('{').trim_start();
    let is_constant = claims::CONSTANT_FIELDS.iter().any(|name| named.starts_with(&format!("\"{name}\"")));
    let rest = if is_constant { named.split_once(',').map_or("", |(_, rest)| rest) } else { named };
    rest.split(':').skip(1).all(|part| part.trim_start().starts_with('{'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_id_marks_a_body_and_not_one_that_the_contact_wrote() {
        let mark =
            |body: &str| sender(body.as_bytes()).map(|mark| (String::from_utf8(mark.bytes).unwrap(), mark.tail_bytes));
        let begins = |text: &str| Some((text.to_owned(), None));
        let ends = |text: &str, tail: usize| Some((text.to_owned(), Some(tail)));
        assert_eq!(mark(r#"{"id": 6001, "text": "x", "id": 5001"#), begins(r#"{"id": 6001,"#));
        assert_eq!(mark(r#"{"subscriber": {"id": "6001", "text": "x"#), begins(r#"{"subscriber": {"id": "6001","#));
        assert_eq!(mark(r#"{"text": "x", "id": 5001, "y": {"z": "", "id": 6001}"#), ends(r#"id": 6001}"#, 10));
        assert_eq!(mark(r#"{"text": "x", "id": 5001, "id": "6001", "a": 1}"#), ends(r#"id": "6001","#, 20));
        assert_eq!(
            mark(r#"{"event_type": "message", "subscriber_id": 7, "message": {"id": "m1"#),
            begins(r#"{"event_type": "message", "subscriber_id": 7,"#)
        );
        for body in ["", "id=1101&text=Bonjour", r#"{"text": "x"}"#, r#"{"text": "x", "id": }"#] {
            assert_eq!(mark(body), None, "{body}");
        }
        assert_eq!(sender(b"\xff{\"id\": 1"), None);
    }
}
