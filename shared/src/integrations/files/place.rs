//! Places in files without pages, by which their passages are cited.

use serde::{Deserialize, Serialize};

use crate::text::Language;

/// Length of the part of a quote by which its line is found, in characters.
const QUOTE_END_CHARS: usize = 30;

/// Kind of the places of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlaceKind {
    /// Rows of a sheet of a workbook.
    Sheet,
    /// Rows of a file that is one table.
    Row,
    /// Lines of a plain text.
    Line,
    /// Paragraphs under a heading.
    Section,
    /// Headers and footers of the pages.
    Margin,
}

/// Place of a chunk, as stored with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Kind of the numbers.
    pub kind: PlaceKind,
    /// Name of the sheet, or the heading.
    pub name: Option<String>,
    /// Numbers of the chunk's last lines, one each: rows, lines or paragraphs.
    pub numbers: Vec<u32>,
}

/// A line of a passage, with its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedLine {
    /// Number of the row, line or paragraph.
    pub number: u32,
    /// The line.
    pub text: String,
}

/// Place of a retrieved passage, which may consist of several chunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedPassage {
    /// Kind of the numbers.
    pub kind: PlaceKind,
    /// Name of the sheet, or the heading.
    pub name: Option<String>,
    /// Lines of the passage in order.
    pub lines: Vec<PlacedLine>,
}

impl PlacedPassage {
    /// Makes the place of a passage from its first chunk.
    #[must_use]
    pub fn new(place: Place, chunk: &str) -> Self {
        let mut passage = Self { kind: place.kind, name: place.name, lines: Vec::new() };
        passage.add(&place.numbers, chunk);
        passage
    }

    /// Adds the lines of the passage's next chunk.
    pub fn add(&mut self, numbers: &[u32], chunk: &str) {
        let lines: Vec<&str> = chunk.lines().collect();
        let numbered = lines.iter().rev().zip(numbers.iter().rev()).rev();
        self.lines.extend(numbered.map(|(text, number)| PlacedLine { number: *number, text: (*text).to_owned() }));
    }

    /// Returns the place of `quote` in words: `Feuille Tarifs, ligne 12`. A quote that is in no line has the place of the
    /// whole passage.
    #[must_use]
    pub fn label(&self, quote: &str, language: Language) -> String {
        let (first, last) = self.numbers_of(quote);
        let is_french = language == Language::French;
        let numbered = |one: &str, several: &str| match (first, last) {
            (0, _) => String::new(),
            (first, last) if first == last => format!("{one} {first}"),
            (first, last) => format!("{several} {first} {} {last}", if is_french { "à" } else { "to" }),
        };
        let name = self.name.as_deref().unwrap_or_default();
        match (self.kind, is_french) {
            (PlaceKind::Sheet, true) => joined(&format!("Feuille {name}"), &numbered("ligne", "lignes")),
            (PlaceKind::Sheet, false) => joined(&format!("Sheet {name}"), &numbered("row", "rows")),
            (PlaceKind::Row, true) | (PlaceKind::Line, true) => numbered("ligne", "lignes"),
            (PlaceKind::Row, false) => numbered("row", "rows"),
            (PlaceKind::Line, false) => numbered("line", "lines"),
            (PlaceKind::Section, true) if self.name.is_some() => format!("section « {name} »"),
            (PlaceKind::Section, false) if self.name.is_some() => format!("section “{name}”"),
            (PlaceKind::Section, true) => numbered("paragraphe", "paragraphes"),
            (PlaceKind::Section, false) => numbered("paragraph", "paragraphs"),
            (PlaceKind::Margin, true) => "en-tête ou pied de page".to_owned(),
            (PlaceKind::Margin, false) => "page header or footer".to_owned(),
        }
    }

    /// Returns the first and last number of the lines that hold a quote; of all lines when none does; 0 for no line.
    fn numbers_of(&self, quote: &str) -> (u32, u32) {
        let quote = one_spaced(quote.trim_end_matches('…'));
        let head: String = quote.chars().take(QUOTE_END_CHARS).collect();
        let tail: String = quote.chars().skip(quote.chars().count().saturating_sub(QUOTE_END_CHARS)).collect();
        let holds = |line: &&PlacedLine| {
            let text = one_spaced(&line.text);
            let is_whole_line = text.chars().count() > QUOTE_END_CHARS / 3 && quote.contains(&text);
            is_whole_line || text.contains(&head) || text.contains(&tail)
        };
        let mut held: Vec<u32> = if quote.is_empty() {
            Vec::new()
        } else {
            self.lines.iter().filter(holds).map(|line| line.number).collect()
        };
        if held.is_empty() {
            held = self.lines.iter().map(|line| line.number).collect();
        }
        (held.iter().copied().min().unwrap_or(0), held.iter().copied().max().unwrap_or(0))
    }
}

fn joined(name: &str, number: &str) -> String {
    if number.is_empty() { name.to_owned() } else { format!("{name}, {number}") }
}

/// Joins runs of white space, no-break spaces included, into single spaces.
fn one_spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(kind: PlaceKind, name: Option<&str>) -> PlacedPassage {
        let place = Place { kind, name: name.map(str::to_owned), numbers: vec![12, 14] };
        PlacedPassage::new(place, "Tarifs\n\nRiz local\u{a0}— détail : 16 000\nHuile rouge — détail : 8 500")
    }

    #[test]
    fn the_row_of_a_quote_is_named() {
        let sheet = place(PlaceKind::Sheet, Some("Tarifs"));
        let quote = "Huile rouge — détail : 8 500";
        assert_eq!(sheet.label(quote, Language::French), "Feuille Tarifs, ligne 14");
        assert_eq!(sheet.label("Riz local — détail : 16 000", Language::English), "Sheet Tarifs, row 12");
        let both = "Riz local — détail : 16 000 Huile rouge — détail : 8 500";
        assert_eq!(sheet.label(both, Language::French), "Feuille Tarifs, lignes 12 à 14");
        assert_eq!(sheet.label("elsewhere in the world", Language::English), "Sheet Tarifs, rows 12 to 14");
    }

    #[test]
    fn each_kind_has_its_words() {
        let label = |kind, name, language| place(kind, name).label("Huile rouge — détail", language);
        assert_eq!(label(PlaceKind::Row, None, Language::French), "ligne 14");
        assert_eq!(label(PlaceKind::Line, None, Language::English), "line 14");
        assert_eq!(label(PlaceKind::Section, Some("Retours"), Language::French), "section « Retours »");
        assert_eq!(label(PlaceKind::Section, Some("Returns"), Language::English), "section “Returns”");
        assert_eq!(label(PlaceKind::Section, None, Language::French), "paragraphe 14");
        assert_eq!(label(PlaceKind::Margin, None, Language::English), "page header or footer");
    }
}
