//! Numbers of lists of a Word document, which the program counts while it shows them.

use std::collections::HashMap;

use super::super::{
    error::FileError,
    xml::{self, Node},
};
use super::styles::Styles;

/// Number of levels of a list.
const LEVELS: usize = 9;

/// Lists by their identifiers, with what was counted so far.
#[derive(Default)]
pub(super) struct Numbering {
    /// Definitions by their identifiers.
    definitions: HashMap<String, Vec<Level>>,
    /// Definition of each list, and the first numbers that it sets itself.
    lists: HashMap<String, (String, HashMap<usize, u32>)>,
    /// Last numbers by definition and level. Lists of one definition go on with one another.
    counted: HashMap<String, [Option<u32>; LEVELS]>,
    /// Lists that have begun: one that sets its first number begins there.
    begun: Vec<String>,
}

/// A level of a list.
#[derive(Clone)]
struct Level {
    format: String,
    /// Text with the numbers of the levels, such as `%1.%2`.
    text: String,
    start: u32,
}

impl Default for Level {
    fn default() -> Self {
        Self { format: "decimal".to_owned(), text: String::new(), start: 1 }
    }
}

impl Numbering {
    pub(super) fn read(part: &str) -> Result<Self, FileError> {
        let mut numbering = Self::default();
        let (mut definition, mut list, mut level, mut overridden) = (None::<String>, None::<String>, None, None);
        xml::walk(part, |node| {
            let element = match node {
                Node::Open(element) => element,
                Node::Close("abstractNum") => {
                    definition = None;
                    return Ok(());
                }
                Node::Close("num") => {
                    list = None;
                    return Ok(());
                }
                Node::Close("lvl") => {
                    level = None;
                    return Ok(());
                }
                Node::Close(_) | Node::Text(_) => return Ok(()),
            };
            let value = || xml::attribute(element, "val");
            let index = || xml::attribute(element, "ilvl").and_then(|index| index.parse::<usize>().ok());
            match element.local_name().as_ref() {
                "abstractNum" => definition = xml::attribute(element, "abstractNumId"),
                "num" => list = xml::attribute(element, "numId"),
                "abstractNumId" => {
                    if let (Some(list), Some(definition)) = (&list, value()) {
                        numbering.lists.insert(list.clone(), (definition, HashMap::new()));
                    }
                }
                "lvlOverride" => overridden = index(),
                "startOverride" => {
                    if let (Some(list), Some(level), Some(start)) = (&list, overridden, value())
                        && let Some((_, starts)) = numbering.lists.get_mut(list)
                    {
                        starts.insert(level, start.parse().unwrap_or(1));
                    }
                }
                "lvl" if definition.is_some() => level = index().filter(|index| *index < LEVELS),
                name => {
                    if let (Some(definition), Some(level)) = (&definition, level) {
                        numbering.level_mut(definition, level).take(name, value());
                    }
                }
            }
            Ok(())
        })?;
        Ok(numbering)
    }

    fn level_mut(&mut self, definition: &str, level: usize) -> &mut Level {
        let levels = self.definitions.entry(definition.to_owned()).or_insert_with(|| vec![Level::default(); LEVELS]);
        let last = levels.len() - 1;
        &mut levels[level.min(last)]
    }

    /// Returns the number or bullet of a paragraph, with a space; empty for a paragraph of no list. Counts it.
    pub(super) fn mark(
        &mut self,
        list: &(Option<String>, Option<usize>),
        style: Option<&str>,
        styles: &Styles,
    ) -> String {
        let of_style = style.and_then(|style| styles.list(style));
        let id = list.0.clone().or_else(|| of_style.as_ref().map(|(list, _)| list.clone()));
        let level = list.1.or_else(|| of_style.map(|(_, level)| level)).unwrap_or(0).min(LEVELS - 1);
        // List 0 takes a paragraph out of the list of its style.
        let Some(id) = id.filter(|id| id != "0") else { return String::new() };
        let Some((definition, starts)) = self.lists.get(&id) else { return String::new() };
        let levels = self.definitions.get(definition).cloned().unwrap_or_else(|| vec![Level::default(); LEVELS]);
        let counted = self.counted.entry(definition.clone()).or_default();
        if !starts.is_empty() && !self.begun.contains(&id) {
            *counted = [None; LEVELS];
        }
        let start = |level: usize| starts.get(&level).copied().or_else(|| levels.get(level).map(|level| level.start));
        if !self.begun.contains(&id) {
            self.begun.push(id.clone());
        }
        for (nth, number) in counted.iter_mut().enumerate() {
            *number = match nth.cmp(&level) {
                std::cmp::Ordering::Less => number.or_else(|| start(nth)),
                std::cmp::Ordering::Equal => number.map(|number| number.saturating_add(1)).or_else(|| start(nth)),
                // Levels below begin anew.
                std::cmp::Ordering::Greater => None,
            };
        }
        shown(&levels, level, counted)
    }
}

impl Level {
    fn take(&mut self, name: &str, value: Option<String>) {
        match (name, value) {
            ("numFmt", Some(value)) => self.format = value,
            ("lvlText", Some(value)) => self.text = value,
            ("start", Some(value)) => self.start = value.parse().unwrap_or(1),
            _ => {}
        }
    }
}

/// Returns the text of a level with its numbers.
fn shown(levels: &[Level], level: usize, counted: &[Option<u32>; LEVELS]) -> String {
    let Some(own) = levels.get(level) else { return String::new() };
    match own.format.as_str() {
        "bullet" => return "• ".to_owned(),
        "none" => return String::new(),
        _ => {}
    }
    let mut text = own.text.clone();
    for (nth, (of, number)) in levels.iter().zip(counted).enumerate() {
        let place = format!("%{}", nth + 1);
        if text.contains(&place) {
            text = text.replace(&place, &number_text(&of.format, number.unwrap_or(of.start)));
        }
    }
    if text.trim().is_empty() { String::new() } else { format!("{text} ") }
}

fn number_text(format: &str, number: u32) -> String {
    match format {
        "lowerLetter" => letters(number),
        "upperLetter" => letters(number).to_uppercase(),
        "lowerRoman" => roman(number),
        "upperRoman" => roman(number).to_uppercase(),
        "decimalZero" => format!("{number:02}"),
        _ => number.to_string(),
    }
}

/// Returns a, b … z, aa, bb …, as Word counts.
fn letters(number: u32) -> String {
    let nth = number.saturating_sub(1);
    let letter = char::from(b'a' + u8::try_from(nth % 26).unwrap_or(0));
    letter.to_string().repeat((nth / 26 + 1).min(30) as usize)
}

fn roman(number: u32) -> String {
    const NUMERALS: [(u32, &str); 13] = [
        (1000, "m"),
        (900, "cm"),
        (500, "d"),
        (400, "cd"),
        (100, "c"),
        (90, "xc"),
        (50, "l"),
        (40, "xl"),
        (10, "x"),
        (9, "ix"),
        (5, "v"),
        (4, "iv"),
        (1, "i"),
    ];
    let mut left = number.min(4_000);
    let mut text = String::new();
    for (value, numeral) in NUMERALS {
        while left >= value {
            text.push_str(numeral);
            left -= value;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_the_form_of_their_level() {
        let texts: Vec<String> = ["decimal", "lowerLetter", "upperRoman", "decimalZero"]
            .iter()
            .map(|format| number_text(format, 9))
            .collect();
        assert_eq!(texts, ["9", "i", "IX", "09"]);
        assert_eq!((letters(27), roman(1994)), ("aa".to_owned(), "mcmxciv".to_owned()));
    }
}
