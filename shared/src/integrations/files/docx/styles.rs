//! Styles of a Word document: which are headings, which hide text, which are lists.

use std::collections::HashMap;

use super::super::{
    error::FileError,
    xml::{self, Node},
};

/// Longest chain of styles that are based on one another.
const MAX_CHAIN: usize = 20;

/// Styles by their identifiers.
#[derive(Default)]
pub(super) struct Styles(HashMap<String, Style>);

#[derive(Default)]
struct Style {
    based_on: Option<String>,
    outline: Option<u32>,
    is_hidden: Option<bool>,
    is_struck: Option<bool>,
    list: (Option<String>, Option<usize>),
}

impl Styles {
    pub(super) fn read(part: &str) -> Result<Self, FileError> {
        let mut styles = HashMap::new();
        let mut open: Option<(String, Style)> = None;
        xml::walk(part, |node| {
            match node {
                Node::Open(element) => {
                    let name = element.local_name();
                    let value = || xml::attribute(element, "val");
                    match (name.as_ref(), &mut open) {
                        ("style", _) => {
                            open = Some((xml::attribute(element, "styleId").unwrap_or_default(), Style::default()));
                        }
                        (_, None) => {}
                        ("name", Some((_, style))) => {
                            style.outline = style.outline.or(heading_level(&value().unwrap_or_default()))
                        }
                        ("basedOn", Some((_, style))) => style.based_on = value(),
                        ("outlineLvl", Some((_, style))) => {
                            style.outline = value().and_then(|level| level.parse().ok())
                        }
                        ("vanish", Some((_, style))) => style.is_hidden = Some(xml::is_on(element)),
                        ("strike" | "dstrike", Some((_, style))) => style.is_struck = Some(xml::is_on(element)),
                        ("numId", Some((_, style))) => style.list.0 = value(),
                        ("ilvl", Some((_, style))) => style.list.1 = value().and_then(|level| level.parse().ok()),
                        _ => {}
                    }
                }
                Node::Close("style") => styles.extend(open.take()),
                Node::Close(_) | Node::Text(_) => {}
            }
            Ok(())
        })?;
        Ok(Self(styles))
    }

    /// Returns the level of a heading's style, 0 for the outermost; `None` for a style of text.
    pub(super) fn outline(&self, id: &str) -> Option<u32> {
        self.find(id, |style| style.outline)
    }

    pub(super) fn is_hidden(&self, id: &str) -> bool {
        self.find(id, |style| style.is_hidden).unwrap_or(false)
    }

    pub(super) fn is_struck(&self, id: &str) -> bool {
        self.find(id, |style| style.is_struck).unwrap_or(false)
    }

    /// Returns the list of a style and the level in it.
    pub(super) fn list(&self, id: &str) -> Option<(String, usize)> {
        let list = self.find(id, |style| style.list.0.clone())?;
        Some((list, self.find(id, |style| style.list.1).unwrap_or(0)))
    }

    /// Returns a property of a style, or of the nearest one on which it is based.
    fn find<T>(&self, id: &str, property: impl Fn(&Style) -> Option<T>) -> Option<T> {
        let mut style = self.0.get(id)?;
        for _ in 0..MAX_CHAIN {
            if let Some(found) = property(style) {
                return Some(found);
            }
            style = self.0.get(style.based_on.as_deref()?)?;
        }
        None
    }
}

/// Returns the level of a style with the name of a heading. Word writes these names in English in every language.
fn heading_level(name: &str) -> Option<u32> {
    let name = name.to_lowercase();
    if name == "title" {
        return Some(0);
    }
    let level: u32 = name.strip_prefix("heading ").or_else(|| name.strip_prefix("titre "))?.trim().parse().ok()?;
    (1..=9).contains(&level).then(|| level - 1)
}
