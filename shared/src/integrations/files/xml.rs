//! XML of office files. Entities are never defined by a file and never fetched: a document type is refused.

use quick_xml::{
    Reader, XmlVersion,
    events::{BytesRef, BytesStart, Event},
};

use super::error::FileError;

/// Maximum nesting of elements. Office programs nest some dozens.
const MAX_DEPTH: usize = 1_000;

/// A piece of the XML of an office file's part.
pub(super) enum Node<'x> {
    /// An element begins.
    Open(&'x BytesStart<'x>),
    /// An element of this local name ends.
    Close(&'x str),
    /// Text between elements.
    Text(&'x str),
}

/// Calls `visit` with everything that a part holds. An empty element opens and closes.
///
/// # Errors
/// Returns an error for XML that is not well-formed, has a document type or is nested too deep, and any error of
/// `visit`.
pub(super) fn walk(xml: &str, mut visit: impl FnMut(Node<'_>) -> Result<(), FileError>) -> Result<(), FileError> {
    let mut reader = Reader::from_str(xml);
    reader.config_mut().expand_empty_elements = true;
    let mut depth = 0;
    loop {
        match reader.read_event().map_err(|error| FileError::Corrupt(error.to_string()))? {
            Event::Start(element) => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(FileError::Corrupt("elements are nested too deep".to_owned()));
                }
                visit(Node::Open(&element))?;
            }
            Event::End(element) => {
                depth -= 1;
                visit(Node::Close(element.local_name().as_ref()))?;
            }
            Event::Text(text) => visit(Node::Text(&text.xml10_content()))?,
            Event::CData(text) => visit(Node::Text(&text.xml10_content()))?,
            Event::GeneralRef(reference) => visit(Node::Text(&resolve(&reference)))?,
            Event::DocType(_) => return Err(FileError::Corrupt("the XML has a document type".to_owned())),
            Event::Eof if depth > 0 => return Err(FileError::Corrupt("the XML ends too early".to_owned())),
            Event::Eof => return Ok(()),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
}

/// Resolves a character reference or one of XML's own five entities. Any other one is nothing.
fn resolve(reference: &BytesRef<'_>) -> String {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return character.to_string();
    }
    match reference.xml10_content().as_ref() {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        "apos" => "'",
        _ => "",
    }
    .to_owned()
}

/// Returns an attribute by its local name; `None` when there is none.
pub(super) fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = element.attributes().flatten().find(|attribute| attribute.key.local_name().as_ref() == name)?;
    Some(found.normalized_value(XmlVersion::Implicit1_0).map_or_else(|_| String::new(), |value| value.into_owned()))
}

/// Returns true for an element that switches something on, such as `<w:vanish/>` or `<w:vanish w:val="1"/>`.
pub(super) fn is_on(element: &BytesStart<'_>) -> bool {
    attribute(element, "val").is_none_or(|value| !matches!(value.as_str(), "0" | "false" | "off" | "none"))
}
