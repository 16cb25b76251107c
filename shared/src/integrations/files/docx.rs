//! Word documents: what the pages show, under their headings, with the rows of tables.
//!
//! Deleted and hidden text and comments are not read, inserted text is. No reader of Word documents that is kept tells
//! them apart, so that the XML is read here.

mod numbering;
mod styles;

use std::collections::HashMap;

use quick_xml::events::BytesStart;

use super::{
    archive::Archive,
    collector::{Blocks, Headings},
    error::FileError,
    marks::{lowered, raised},
    place::PlaceKind,
    table::{Cell, Row},
    xml::{self, Node},
};
use numbering::Numbering;
use styles::Styles;

/// Elements whose contents are not shown: the older form of a drawing, earlier properties, and what belongs to the program.
const UNSHOWN: &[&str] = &[
    "Fallback",
    "instrText",
    "delText",
    "delInstrText",
    "sdtPr",
    "pPrChange",
    "rPrChange",
    "tcPrChange",
    "trPrChange",
    "tblPrChange",
    "sectPrChange",
    "numberingChange",
];
/// Elements of text that was deleted or moved away. Among properties, they are marks without contents.
const DELETED: &[&str] = &["del", "moveFrom"];

/// Reads a document: its body, its notes, then what stands above and below the pages.
pub(super) fn read(bytes: &[u8], blocks: &mut Blocks) -> Result<(), FileError> {
    let mut archive = Archive::open(bytes)?;
    let styles = Styles::read(&archive.part("word/styles.xml")?.unwrap_or_default())?;
    let numbering = Numbering::read(&archive.part("word/numbering.xml")?.unwrap_or_default())?;
    let name = main_part(&mut archive)?;
    let body = archive.part(&name)?;
    let body = body.ok_or_else(|| FileError::Corrupt("the document has no body".to_owned()))?;
    blocks.section(PlaceKind::Section, None, Vec::new());
    let mut notes = Notes::default();
    for (part, kind) in [("word/footnotes.xml", NoteKind::Foot), ("word/endnotes.xml", NoteKind::End)] {
        let mut found = Blocks::default();
        let mut reader = DocxReader::new(&styles, Numbering::default(), &mut found);
        reader.read_part(&archive.part(part)?.unwrap_or_default())?;
        notes.texts.extend(reader.note_texts.into_iter().map(|(id, text)| ((kind, id), text)));
    }
    let mut reader = DocxReader { notes, ..DocxReader::new(&styles, numbering, blocks) };
    reader.read_part(&body)?;
    read_margins(&mut archive, &styles, blocks)
}

/// Returns the name of the part with the body. Some programs call it otherwise than Word does.
fn main_part(archive: &mut Archive<'_>) -> Result<String, FileError> {
    let mut name = None;
    xml::walk(&archive.part("_rels/.rels")?.unwrap_or_default(), |node| {
        if let Node::Open(element) = node
            && xml::attribute(element, "Type").is_some_and(|kind| kind.ends_with("/officeDocument"))
        {
            name = xml::attribute(element, "Target").map(|target| target.trim_start_matches(['/', '.']).to_owned());
        }
        Ok(())
    })?;
    Ok(name.unwrap_or_else(|| "word/document.xml".to_owned()))
}

/// Kind of a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum NoteKind {
    Foot,
    End,
}

/// Notes of the document, which are shown after the paragraph or table that refers to them.
#[derive(Default)]
struct Notes {
    /// Texts by kind and identifier.
    texts: HashMap<(NoteKind, String), String>,
    /// Number of references so far: notes are counted in their order.
    counted: HashMap<NoteKind, u32>,
    /// Notes of the open paragraph or table.
    open: Vec<String>,
}

impl Notes {
    /// Returns the mark of a reference, apart from a figure before it.
    fn refer(&mut self, kind: NoteKind, id: String) -> String {
        let number = self.counted.entry(kind).or_insert(0);
        *number += 1;
        let mark = match kind {
            NoteKind::Foot => format!("[{number}]"),
            NoteKind::End => format!("[e{number}]"),
        };
        if let Some(text) = self.texts.get(&(kind, id)) {
            self.open.push(format!("{mark} {text}"));
        }
        format!(" {mark}")
    }
}

/// Reads headers and footers, each line once: many pages have the same.
fn read_margins(archive: &mut Archive<'_>, styles: &Styles, blocks: &mut Blocks) -> Result<(), FileError> {
    blocks.section(PlaceKind::Margin, None, Vec::new());
    let from = blocks.len();
    for prefix in ["word/header", "word/footer"] {
        for name in archive.names(prefix) {
            let part = archive.part(&name)?.unwrap_or_default();
            DocxReader::new(styles, Numbering::default(), blocks).read_part(&part)?;
        }
    }
    blocks.keep_distinct_lines(from);
    Ok(())
}

/// The reader of a document, with the parts that it has read so far.
struct DocxReader<'d> {
    styles: &'d Styles,
    numbering: Numbering,
    blocks: &'d mut Blocks,
    headings: Headings,
    /// Number of paragraphs and rows.
    number: u32,
    /// Depth of open elements that are not shown.
    unshown: usize,
    /// Open paragraphs, the innermost last: a text box is a paragraph within one.
    paragraphs: Vec<Paragraph>,
    run: Run,
    /// True within `w:t`, the text of a run.
    is_text: bool,
    /// Open elements of properties, such as those of a run or a paragraph, the innermost last.
    properties: Vec<&'static str>,
    tables: Vec<Table>,
    /// Texts of text boxes, shown after the paragraph that holds them.
    boxes: Vec<String>,
    notes: Notes,
    /// Identifier of the open note, and the texts of notes, where their part is read.
    note: Option<String>,
    note_texts: HashMap<String, String>,
}

/// An open paragraph.
#[derive(Default)]
struct Paragraph {
    text: String,
    style: Option<String>,
    outline: Option<u32>,
    /// Identifier of the list and level in it.
    list: (Option<String>, Option<usize>),
    is_bold: bool,
}

/// Properties of the open run of text.
#[derive(Default)]
struct Run {
    is_hidden: bool,
    is_struck: bool,
    is_bold: bool,
    shift: Shift,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Shift {
    #[default]
    None,
    Raised,
    Lowered,
}

/// An open table.
#[derive(Default)]
struct Table {
    rows: Vec<Row>,
    row: Row,
    is_deleted: bool,
    cell: String,
    is_cell_bold: bool,
    /// Columns of the open cell, and how it takes part in a merge over rows.
    span: usize,
    goes_on: bool,
}

/// Most columns over which a cell goes.
const MAX_SPAN: usize = 512;

/// Returns a known name of an element that holds properties.
fn properties_of(name: &str) -> Option<&'static str> {
    ["rPr", "pPr", "tcPr", "trPr", "numPr", "tblPr", "sectPr"].into_iter().find(|known| *known == name)
}

impl<'d> DocxReader<'d> {
    fn new(styles: &'d Styles, numbering: Numbering, blocks: &'d mut Blocks) -> Self {
        Self {
            styles,
            numbering,
            blocks,
            headings: Headings::default(),
            number: 0,
            unshown: 0,
            paragraphs: Vec::new(),
            run: Run::default(),
            is_text: false,
            properties: Vec::new(),
            tables: Vec::new(),
            boxes: Vec::new(),
            notes: Notes::default(),
            note: None,
            note_texts: HashMap::new(),
        }
    }

    fn read_part(&mut self, part: &str) -> Result<(), FileError> {
        xml::walk(part, |node| match node {
            Node::Open(element) if self.unshown > 0 || self.is_unshown(element) => {
                self.unshown += 1;
                Ok(())
            }
            Node::Close(_) if self.unshown > 0 => {
                self.unshown -= 1;
                Ok(())
            }
            Node::Open(element) => {
                self.open(element);
                Ok(())
            }
            Node::Close(name) => self.close(name),
            Node::Text(text) => {
                if self.is_text && self.unshown == 0 {
                    self.push_text(text);
                }
                Ok(())
            }
        })
    }

    /// Returns true for an element whose contents are not shown. Marks of deletion within properties have no contents,
    /// and are looked at.
    fn is_unshown(&self, element: &BytesStart<'_>) -> bool {
        let name = element.local_name();
        let name = name.as_ref();
        let is_separator = matches!(name, "footnote" | "endnote")
            && xml::attribute(element, "type").is_some_and(|kind| kind != "normal");
        is_separator || UNSHOWN.contains(&name) || DELETED.contains(&name) && self.properties.is_empty()
    }

    fn open(&mut self, element: &BytesStart<'_>) {
        let name = element.local_name();
        let name = name.as_ref();
        if let Some(properties) = properties_of(name) {
            self.properties.push(properties);
        }
        match name {
            "p" => self.paragraphs.push(Paragraph { is_bold: true, ..Paragraph::default() }),
            "r" => self.run = Run::default(),
            "t" => self.is_text = true,
            "tab" if self.properties.is_empty() => self.push(" "),
            "br" | "cr" if self.properties.is_empty() => self.push(" "),
            "noBreakHyphen" => self.push("-"),
            "footnoteReference" => self.refer(NoteKind::Foot, element),
            "endnoteReference" => self.refer(NoteKind::End, element),
            "footnote" | "endnote" => self.note = xml::attribute(element, "id"),
            "tbl" => self.tables.push(Table::default()),
            "tr" => {
                if let Some(table) = self.tables.last_mut() {
                    (table.row, table.is_deleted) = (Row::default(), false);
                }
            }
            "tc" => {
                if let Some(table) = self.tables.last_mut() {
                    (table.cell, table.is_cell_bold, table.span, table.goes_on) = (String::new(), true, 1, false);
                }
            }
            _ => self.take_property(name, element),
        }
    }

    fn take_property(&mut self, name: &str, element: &BytesStart<'_>) {
        let value = || xml::attribute(element, "val");
        match (self.properties.last().copied(), name) {
            // Properties of a paragraph hold those of its mark, which show nothing.
            (Some("rPr"), _) if self.properties.contains(&"pPr") => {}
            (Some("rPr"), "vanish") => self.run.is_hidden = xml::is_on(element),
            (Some("rPr"), "strike" | "dstrike") => self.run.is_struck = xml::is_on(element),
            (Some("rPr"), "b") => self.run.is_bold = xml::is_on(element),
            (Some("rPr"), "rStyle") => {
                let style = value().unwrap_or_default();
                self.run.is_hidden |= self.styles.is_hidden(&style);
                self.run.is_struck |= self.styles.is_struck(&style);
            }
            (Some("rPr"), "vertAlign") => {
                self.run.shift = match value().as_deref() {
                    Some("superscript") => Shift::Raised,
                    Some("subscript") => Shift::Lowered,
                    _ => Shift::None,
                };
            }
            (Some("pPr"), "pStyle") => self.in_paragraph(|paragraph| paragraph.style = value()),
            (Some("pPr"), "outlineLvl") => {
                self.in_paragraph(|paragraph| paragraph.outline = value().and_then(|level| level.parse().ok()));
            }
            (Some("numPr"), "numId") => self.in_paragraph(|paragraph| paragraph.list.0 = value()),
            (Some("numPr"), "ilvl") => {
                self.in_paragraph(|paragraph| paragraph.list.1 = value().and_then(|level| level.parse().ok()));
            }
            (Some(of @ ("tcPr" | "trPr")), _) => self.take_cell_property(of, name, element),
            _ => {}
        }
    }

    fn take_cell_property(&mut self, of: &str, name: &str, element: &BytesStart<'_>) {
        let Some(table) = self.tables.last_mut() else { return };
        match (of, name) {
            ("tcPr", "gridSpan") => {
                let span = xml::attribute(element, "val").and_then(|span| span.parse().ok()).unwrap_or(1);
                table.span = span.clamp(1, MAX_SPAN);
            }
            ("tcPr", "vMerge") => {
                table.goes_on = xml::attribute(element, "val").is_none_or(|value| value == "continue");
            }
            ("trPr", "tblHeader") => table.row.is_heading = xml::is_on(element),
            ("trPr", "del") => table.is_deleted = true,
            ("trPr", "hidden") => table.is_deleted |= xml::is_on(element),
            _ => {}
        }
    }

    fn in_paragraph(&mut self, change: impl FnOnce(&mut Paragraph)) {
        if let Some(paragraph) = self.paragraphs.last_mut() {
            change(paragraph);
        }
    }

    fn refer(&mut self, kind: NoteKind, element: &BytesStart<'_>) {
        if self.run.is_hidden || self.run.is_struck {
            return;
        }
        if let Some(id) = xml::attribute(element, "id") {
            let mark = self.notes.refer(kind, id);
            self.push(&mark);
        }
    }

    fn push_text(&mut self, text: &str) {
        match self.run.shift {
            Shift::None => self.push(text),
            Shift::Raised => self.push(&raised(text)),
            Shift::Lowered => self.push(&lowered(text)),
        }
    }

    fn push(&mut self, text: &str) {
        let (is_bold, is_shown) = (self.run.is_bold, !self.run.is_hidden && !self.run.is_struck);
        let styles = self.styles;
        self.in_paragraph(|paragraph| {
            let is_style_hidden = paragraph.style.as_deref().is_some_and(|style| styles.is_hidden(style));
            if is_shown && !is_style_hidden {
                paragraph.text.push_str(text);
                paragraph.is_bold &= is_bold || text.trim().is_empty();
            }
        });
    }

    fn close(&mut self, name: &str) -> Result<(), FileError> {
        if properties_of(name).is_some() {
            self.properties.pop();
        }
        match name {
            "t" => self.is_text = false,
            "p" => self.close_paragraph()?,
            "tc" => self.close_cell(),
            "tr" => self.close_row(),
            "tbl" => self.close_table()?,
            "footnote" | "endnote" => self.note = None,
            _ => {}
        }
        Ok(())
    }

    fn close_paragraph(&mut self) -> Result<(), FileError> {
        let Some(paragraph) = self.paragraphs.pop() else { return Ok(()) };
        if !self.paragraphs.is_empty() {
            // A text box.
            self.boxes.push(paragraph.text);
            return Ok(());
        }
        if let Some(table) = self.tables.last_mut() {
            if !table.cell.is_empty() {
                table.cell.push(' ');
            }
            table.is_cell_bold &= paragraph.is_bold || paragraph.text.trim().is_empty();
            table.cell.push_str(&self.numbering.mark(&paragraph.list, paragraph.style.as_deref(), self.styles));
            table.cell.push_str(&paragraph.text);
            return Ok(());
        }
        if let Some(note) = &self.note {
            let text = self.note_texts.entry(note.clone()).or_default();
            text.push(' ');
            text.push_str(paragraph.text.trim());
            return Ok(());
        }
        self.add_paragraph(&paragraph)?;
        // Boxes and notes are shown after the paragraph around them.
        for text in std::mem::take(&mut self.boxes) {
            self.add_line(&text)?;
        }
        self.add_notes()
    }

    fn add_notes(&mut self) -> Result<(), FileError> {
        std::mem::take(&mut self.notes.open).iter().try_for_each(|note| self.add_line(note))
    }

    fn add_paragraph(&mut self, paragraph: &Paragraph) -> Result<(), FileError> {
        if paragraph.text.trim().is_empty() {
            return Ok(());
        }
        let style = paragraph.style.as_deref();
        let mark = self.numbering.mark(&paragraph.list, style, self.styles);
        let text = format!("{mark}{}", paragraph.text);
        let level = paragraph.outline.or_else(|| style.and_then(|style| self.styles.outline(style)));
        match level {
            // Levels are counted from 0; 9 is the level of the text.
            Some(level) if level < 9 => {
                self.headings.open(level + 1, &text, self.blocks);
                Ok(())
            }
            _ => self.add_line(&text),
        }
    }

    fn add_line(&mut self, text: &str) -> Result<(), FileError> {
        self.number += 1;
        self.blocks.paragraph(self.number, text)
    }

    fn close_cell(&mut self) {
        let boxes = std::mem::take(&mut self.boxes);
        let Some(table) = self.tables.last_mut() else { return };
        let mut text = std::mem::take(&mut table.cell);
        for inner in boxes {
            text.push(' ');
            text.push_str(&inner);
        }
        let column = table.row.cells.len();
        if table.goes_on {
            let above = table.rows.last().and_then(|row| row.cells.get(column));
            text = above.map(|cell| cell.text.clone()).unwrap_or_default();
        }
        let is_heading = table.row.is_heading || table.rows.is_empty();
        let cell = Cell { is_emphasized: table.is_cell_bold && !text.trim().is_empty(), text };
        for nth in 0..table.span {
            // A heading over several columns stands over each; a value stands once.
            table.row.cells.push(if nth == 0 || is_heading { cell.clone() } else { Cell::default() });
        }
    }

    fn close_row(&mut self) {
        let Some(table) = self.tables.last_mut() else { return };
        if !table.is_deleted {
            self.number += 1;
            table.rows.push(Row { number: self.number, ..std::mem::take(&mut table.row) });
        }
    }

    /// Adds the rows of a table. Those of a table within a cell become the cell's text.
    fn close_table(&mut self) -> Result<(), FileError> {
        let Some(table) = self.tables.pop() else { return Ok(()) };
        match self.tables.last_mut() {
            None => {
                self.blocks.table(&table.rows, false)?;
                self.add_notes()
            }
            Some(outer) => {
                for cell in table.rows.iter().flat_map(|row| &row.cells) {
                    outer.cell.push(' ');
                    outer.cell.push_str(&cell.text);
                }
                Ok(())
            }
        }
    }
}
