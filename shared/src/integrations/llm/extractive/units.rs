//! Parts of a passage that can be quoted: sentences, rows of tables and items of lists, each under its heading.

use unicode_segmentation::UnicodeSegmentation;

use super::values::{self, ValueKind};
use crate::text::{self, TableCell, TableRow};

/// Longest heading, in characters and in words.
const MAX_HEADING_CHARS: usize = 100;
const MAX_HEADING_WORDS: usize = 14;
/// Most lines above the rows of a table: its name and two lines of names of columns.
const MAX_HEADER_LINES: usize = 3;
/// Maximum length of a sentence above a table that explains the table's figures, in characters.
const MAX_LEAD_CHARS: usize = 160;
/// Abbreviations whose full stop ends no sentence, folded.
const ABBREVIATIONS: &str = "tel no n art av bd st ste m mm mme mlle dr mr mrs ms ex p pp max min env approx etc vs cf fig vol chap ext \
    bp rdv ref app apt arr dept i.e e.g a.m p.m";

/// Kind of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UnitKind {
    Sentence,
    /// A row of a table, with the names of its columns or without.
    Row,
    /// An item of a list.
    Item,
}

/// A part of a passage.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) kind: UnitKind,
    /// The text in one line.
    pub(super) text: String,
    /// The heading above, and the names of the columns for a row without them. Empty for none.
    pub(super) context: String,
    /// Number of the block: units of one block belong together.
    pub(super) block: usize,
    /// Number of the section: units under one heading.
    pub(super) section: usize,
}

/// Splits a passage into its units, in order. Headings are the context of the units below them.
pub(super) fn split(passage: &str) -> Vec<Unit> {
    let blocks: Vec<Vec<&str>> = passage.split("\n\n").map(lines).filter(|lines| !lines.is_empty()).collect();
    let mut splitter = Splitter::default();
    for (block, lines) in blocks.iter().enumerate() {
        splitter.block = block;
        splitter.read(lines, block + 1 == blocks.len());
    }
    splitter.units
}

/// Reads the blocks of a passage, one after the other.
#[derive(Default)]
struct Splitter {
    units: Vec<Unit>,
    block: usize,
    section: usize,
    heading: String,
    /// The sentence right above the block, in its section. Above a table it often explains the figures: "Prices in
    /// pounds".
    lead: String,
}

impl Splitter {
    fn add(&mut self, kind: UnitKind, text: &str, context: &str) {
        // The spaces of a row of a table are its form.
        let text = if text::is_table_row(text) {
            text.to_owned()
        } else {
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let text = if kind == UnitKind::Item { without_bullet(&text).to_owned() } else { text };
        let (block, section) = (self.block, self.section);
        self.units.push(Unit { kind, text, context: context.to_owned(), block, section });
    }

    fn begin_section(&mut self, heading: &str) {
        self.section += 1;
        heading.clone_into(&mut self.heading);
        self.lead.clear();
    }

    /// Returns the parts that are not empty, one below the other.
    fn context(parts: [&str; 3]) -> String {
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
    }

    fn read(&mut self, lines: &[&str], is_last: bool) {
        match lines {
            [line] if text::is_table_row(line) => {
                let context = Self::context([&self.heading, &self.lead, ""]);
                self.add(UnitKind::Row, line, &context);
            }
            [line] if is_heading(line) => {
                // A heading at the end of a passage is that of the next one.
                if is_last && has_value(line) {
                    self.add(UnitKind::Sentence, line, &self.heading.clone());
                }
                self.begin_section(line);
            }
            [line] => {
                let heading = self.heading.clone();
                sentences(line).iter().for_each(|sentence| self.add(UnitKind::Sentence, sentence, &heading));
                let is_lead = line.ends_with(ends_sentence) && line.chars().nth(MAX_LEAD_CHARS).is_none();
                self.lead = if is_lead { (*line).to_owned() } else { String::new() };
            }
            lines => {
                self.read_lines(&joined_lines(lines), is_last);
                self.lead.clear();
            }
        }
    }

    /// Reads a block of several lines: a table, a list, or a heading with its text.
    fn read_lines(&mut self, lines: &[String], is_last: bool) {
        let (lines, next_heading) = match lines {
            [lines @ .., last] if is_heading(last) && begins_section(last) && (!is_last || !has_value(last)) => {
                (lines, Some(last))
            }
            lines => (lines, None),
        };
        let (names, rows) = split_header(lines);
        if names.first().is_some_and(|name| begins_section(name)) {
            self.begin_section("");
        }
        let is_table = rows.iter().any(|row| text::is_table_row(row));
        let lead = if is_table { self.lead.as_str() } else { "" };
        let context = Self::context([&self.heading, lead, &names.join("\n")]);
        for line in rows.iter().filter(|line| !is_footer(line)) {
            let kind = row_kind(line);
            if kind == UnitKind::Sentence {
                sentences(line).iter().for_each(|sentence| self.add(kind, sentence, &context));
            } else {
                self.add(kind, line, &context);
            }
        }
        if let Some(next_heading) = next_heading {
            self.begin_section(next_heading);
        }
    }
}

/// Returns the trimmed lines of a block, without blank ones.
fn lines(block: &str) -> Vec<&str> {
    block.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

/// Joins lines that go on in the next one.
fn joined_lines(lines: &[&str]) -> Vec<String> {
    let mut joined: Vec<String> = Vec::new();
    for line in lines {
        match joined.last_mut() {
            Some(above)
                if line.starts_with(char::is_lowercase)
                    && !text::is_table_row(above)
                    && !text::is_table_row(line)
                    && !above.ends_with(ends_sentence) =>
            {
                above.push(' ');
                above.push_str(line);
            }
            _ => joined.push((*line).to_owned()),
        }
    }
    joined
}

/// Returns the lines above the rows of a table, which name the table and its columns, and the rows.
fn split_header(lines: &[String]) -> (&[String], &[String]) {
    let has_digits = |line: &String| line.contains(|c: char| c.is_ascii_digit()) && !begins_section(line);
    let is_name = |line: &String| !has_digits(line) && !text::is_table_row(line) && is_heading(line);
    if let Some(names) = names_of_columns(lines) {
        return lines.split_at(names);
    }
    let names = lines.iter().take(MAX_HEADER_LINES).take_while(|line| is_name(line)).count();
    let (names, rows) = lines.split_at(names);
    let with_digits = rows.iter().filter(|line| has_digits(line)).count();
    // A heading may stand right above its text.
    let is_heading_of_text = names.len() == 1 && rows.iter().all(|row| row_kind(row) == UnitKind::Sentence);
    let is_header = !rows.is_empty() && (with_digits * 2 > rows.len() || is_heading_of_text);
    if is_header { (names, rows) } else { (&[], lines) }
}

/// Returns the number of lines above the rows of a table when these lines name every column that the first row has a
/// name of.
fn names_of_columns(lines: &[String]) -> Option<usize> {
    let first = lines.iter().position(|line| text::is_table_row(line)).filter(|first| *first <= MAX_HEADER_LINES)?;
    let above: Vec<&str> = lines[..first].iter().flat_map(|line| line.split_whitespace()).collect();
    let row = TableRow::parse(&lines[first])?;
    let columns: Vec<&TableCell> = row.cells.iter().filter(|cell| !cell.column.is_empty()).collect();
    let is_named = |cell: &&TableCell| cell.column.split_whitespace().all(|word| above.contains(&word));
    (first > 0 && !columns.is_empty() && columns.iter().all(is_named)).then_some(first)
}

/// Returns true for a line that begins with the number of a section: `3. Returns`.
fn begins_section(line: &str) -> bool {
    let Some((number, title)) = line.split_once(' ') else { return false };
    let is_number = |number: &str| {
        number.ends_with(['.', ')'])
            && number.len() <= 6
            && number.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | ')'))
    };
    (is_number(number) || matches!(text::fold(number).as_str(), "article" | "chapitre" | "section" | "chapter"))
        && title.starts_with(char::is_uppercase)
}

/// Returns true for a line with a value that stands for itself: a phone number, an amount, an address of e-mail.
fn has_value(line: &str) -> bool {
    let folded = text::fold(line);
    line.contains('@') || values::contains(ValueKind::Phone, &folded) || values::contains_amount(&folded)
}

/// Returns true for the line at the edge of a page that names the document and the page.
fn is_footer(line: &str) -> bool {
    let folded = text::fold(line);
    let Some((head, number)) = folded.rsplit_once(' ') else { return false };
    number.chars().all(|c| c.is_ascii_digit()) && (head == "page" || head.ends_with(" page"))
}

/// Signs before the items of a list.
const BULLETS: [&str; 11] = ["•", "-", "–", "—", "*", "◦", "▪", "■", "✓", "→", "·"];

/// Returns an item of a list without the sign before it.
fn without_bullet(item: &str) -> &str {
    item.split_once(' ').filter(|(sign, _)| BULLETS.contains(sign)).map_or(item, |(_, text)| text)
}

fn row_kind(line: &str) -> UnitKind {
    let first = line.split_whitespace().next().unwrap_or_default();
    if text::is_table_row(line) {
        UnitKind::Row
    } else if BULLETS.contains(&first) {
        UnitKind::Item
    } else if line.ends_with(ends_sentence) {
        UnitKind::Sentence
    } else {
        UnitKind::Row
    }
}

/// Returns true for a short line that begins like a title and does not end like a sentence.
fn is_heading(line: &str) -> bool {
    let begins = line.chars().next().is_some_and(|c| c.is_uppercase() || c.is_ascii_digit());
    let ends = line.ends_with(|c: char| c == '?' || c == ')' || c.is_alphanumeric());
    begins
        && ends
        && line.chars().nth(MAX_HEADING_CHARS).is_none()
        && line.split_whitespace().nth(MAX_HEADING_WORDS).is_none()
}

fn ends_sentence(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '…' | ':' | ';' | '。' | '！' | '？' | '؟')
}

/// Splits prose into sentences. The full stop of an abbreviation, an initial or a list number ends none.
fn sentences(prose: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut goes_on = false;
    for part in prose.split_sentence_bounds().map(str::trim).filter(|part| !part.is_empty()) {
        match found.last_mut() {
            Some(sentence)
                if goes_on || part.starts_with(|c: char| c.is_lowercase() || matches!(c, ':' | ';' | ',')) =>
            {
                sentence.push(' ');
                sentence.push_str(part);
            }
            _ => found.push(part.to_owned()),
        }
        goes_on = found.last().is_some_and(|sentence| ends_with_abbreviation(sentence));
    }
    found
}

fn ends_with_abbreviation(sentence: &str) -> bool {
    let Some(head) = sentence.strip_suffix('.') else { return false };
    let last = head.rsplit(|c: char| c.is_whitespace() || c == '(').next().unwrap_or_default();
    let is_initial = last.chars().count() == 1 && last.starts_with(char::is_uppercase);
    let is_list_number = last == head && last.chars().all(|c| c.is_ascii_digit());
    let folded = text::fold(last);
    is_initial || is_list_number || ABBREVIATIONS.split_whitespace().any(|known| known == folded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(passage: &str) -> Vec<(UnitKind, String, String)> {
        split(passage).into_iter().map(|unit| (unit.kind, unit.text, unit.context)).collect()
    }

    #[test]
    fn sentences_stand_under_their_heading() {
        let passage = "3. Retours\n\nVous avez dix jours. Tél. : 07 00.\n\n4. Garantie\n\nSix mois.";
        let expected =
            [("Vous avez dix jours.", "3. Retours"), ("Tél. : 07 00.", "3. Retours"), ("Six mois.", "4. Garantie")];
        let expected = expected.map(|(text, heading)| (UnitKind::Sentence, text.to_owned(), heading.to_owned()));
        assert_eq!(parts(passage), expected);
    }

    #[test]
    fn rows_have_the_names_of_their_columns_as_context() {
        let passage = "Tarifs\n\nVille Prix\nAbidjan 1 500\nBouaké 2 500\n\nÀ noter :\n• un\n• deux fois\net demi";
        let row = |text: &str| (UnitKind::Row, text.to_owned(), "Tarifs\nVille Prix".to_owned());
        let units = parts(passage);
        assert_eq!(units[..2], [row("Abidjan 1 500"), row("Bouaké 2 500")]);
        assert_eq!((units[3].0, units[4].1.as_str()), (UnitKind::Item, "deux fois et demi"));
    }

    #[test]
    fn headings_within_and_after_rows_begin_a_section() {
        let passage =
            "9. Technical data\nItem Value\nBattery 3.2 V\nWeight 620 g\n10. Warranty\n\nTwo years.\n\nLamp Page 4";
        let units = parts(passage);
        let expected = [
            (UnitKind::Row, "Battery 3.2 V", "9. Technical data\nItem Value"),
            (UnitKind::Row, "Weight 620 g", "9. Technical data\nItem Value"),
            (UnitKind::Sentence, "Two years.", "10. Warranty"),
        ];
        assert_eq!(units, expected.map(|(kind, text, context)| (kind, text.to_owned(), context.to_owned())));
    }

    #[test]
    fn a_heading_at_the_end_is_quoted_only_for_its_value() {
        assert_eq!(parts("Fin.\n\nMerci beaucoup").len(), 1);
        assert_eq!(parts("Fin.\n\nTél 07 00 00 00 00").len(), 2);
    }
}
