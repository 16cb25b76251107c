//! HTML: the text that a browser shows, under its headings, with the rows of tables.

use std::collections::HashSet;

use encoding_rs::Encoding;
use scraper::{ElementRef, Html, Node, Selector, node::Element};

use super::{
    collector::{Blocks, Headings},
    encoding,
    error::FileError,
    marks,
    place::PlaceKind,
    table::{Cell, Row},
};

/// Elements of struck-out text: what does not hold any more.
pub(super) const STRUCK_OUT: &[&str] = &["s", "del", "strike"];
/// Elements that show nothing, or nothing of the document.
const UNSHOWN: &[&str] = &[
    "head", "script", "style", "template", "noscript", "iframe", "object", "svg", "math", "canvas", "audio", "video",
    "select", "datalist", "textarea", "title",
];
/// Elements within a line.
const INLINE: &[&str] = &[
    "a", "abbr", "b", "bdi", "bdo", "cite", "code", "data", "dfn", "em", "font", "i", "ins", "kbd", "label", "mark",
    "q", "ruby", "samp", "small", "span", "strong", "sub", "sup", "time", "tt", "u", "var", "wbr",
];
/// Number of bytes at the beginning of a file within which it names its encoding.
const DECLARATION_BYTES: usize = 1024;
/// Most rules of style sheets that are looked at for what they hide.
const MAX_HIDING_RULES: usize = 500;

/// Reads a page.
pub(super) fn read(bytes: &[u8], blocks: &mut Blocks) -> Result<(), FileError> {
    let text = encoding::decode_as(bytes, declared_encoding(bytes));
    blocks.section(PlaceKind::Section, None, Vec::new());
    read_document(&Html::parse_document(&text), &mut Headings::default(), &mut 0, blocks)
}

/// Reads a piece of HTML within another document.
pub(super) fn read_fragment(
    html: &str,
    headings: &mut Headings,
    number: &mut u32,
    blocks: &mut Blocks,
) -> Result<(), FileError> {
    read_document(&Html::parse_fragment(html), headings, number, blocks)
}

/// Returns the encoding that a page names in a `meta` element.
fn declared_encoding(bytes: &[u8]) -> Option<&'static Encoding> {
    let beginning = String::from_utf8_lossy(&bytes[..bytes.len().min(DECLARATION_BYTES)]).to_lowercase();
    let (_, after) = beginning.split_once("charset=")?;
    let label: String = after
        .trim_start_matches(['"', '\'', ' '])
        .chars()
        .take_while(|c| c.is_alphanumeric() || "-_:".contains(*c))
        .collect();
    Encoding::for_label(label.as_bytes())
}

fn read_document(
    document: &Html,
    headings: &mut Headings,
    number: &mut u32,
    blocks: &mut Blocks,
) -> Result<(), FileError> {
    let hidden = hidden_elements(document);
    let mut reader =
        PageReader { blocks, headings, number, text: String::new(), tables: Vec::new(), lists: Vec::new() };
    // The nodes of an element that is not shown are passed over until its end.
    let mut unshown = None;
    for edge in document.tree.root().traverse() {
        match edge {
            ego_tree::iter::Edge::Open(node) => match node.value() {
                _ if unshown.is_some() => {}
                Node::Element(element) => {
                    if hidden.contains(&node.id()) || !is_shown(element) {
                        unshown = Some(node.id());
                    } else {
                        reader.open(element)?;
                    }
                }
                Node::Text(text) => reader.push(text),
                _ => {}
            },
            ego_tree::iter::Edge::Close(node) => {
                if unshown == Some(node.id()) {
                    unshown = None;
                } else if unshown.is_none()
                    && let Node::Element(element) = node.value()
                {
                    reader.close(element.name())?;
                }
            }
        }
    }
    reader.end_line()
}

/// Returns true for an element that its name and attributes let a browser show.
fn is_shown(element: &Element) -> bool {
    let style = element.attr("style").unwrap_or_default();
    let is_input = element.name() == "input";
    !UNSHOWN.contains(&element.name())
        && !STRUCK_OUT.contains(&element.name())
        && element.attr("hidden").is_none()
        && !is_input
        && !hides(style)
}

/// Returns true for declarations of a style that show nothing.
fn hides(declarations: &str) -> bool {
    let declarations = declarations.to_lowercase();
    declarations.split(';').filter_map(|declaration| declaration.split_once(':')).any(|(property, value)| {
        let value = value.replace("!important", "");
        match (property.trim(), value.trim()) {
            ("display", "none") | ("visibility", "hidden" | "collapse") => true,
            ("opacity" | "font-size", value) => {
                value.trim_end_matches(|c: char| c.is_alphabetic() || c == '%').parse() == Ok(0.0)
            }
            ("text-decoration" | "text-decoration-line", value) => value.contains("line-through"),
            _ => false,
        }
    })
}

/// Returns the elements that the page's own style sheets hide. Rules for certain screens, such as `@media print`, are
/// left out.
fn hidden_elements(document: &Html) -> HashSet<ego_tree::NodeId> {
    let mut hidden = HashSet::new();
    let Ok(sheets) = Selector::parse("style") else { return hidden };
    let mut rules = 0;
    for sheet in document.select(&sheets) {
        let css = without_comments(&sheet.text().collect::<String>());
        for rule in top_level_rules(&css) {
            let Some((selector, declarations)) = rule.split_once('{') else { continue };
            if selector.contains('@') || !hides(declarations) || rules >= MAX_HIDING_RULES {
                continue;
            }
            rules += 1;
            if let Ok(selector) = Selector::parse(selector.trim()) {
                hidden.extend(document.select(&selector).map(|element: ElementRef<'_>| element.id()));
            }
        }
    }
    hidden
}

fn without_comments(css: &str) -> String {
    let mut kept = String::new();
    let mut rest = css;
    while let Some((before, comment)) = rest.split_once("/*") {
        kept.push_str(before);
        rest = comment.split_once("*/").map_or("", |(_, after)| after);
    }
    kept.push_str(rest);
    kept
}

/// Splits a style sheet into its rules, each without the closing brace.
fn top_level_rules(css: &str) -> Vec<&str> {
    let (mut rules, mut depth, mut from) = (Vec::new(), 0_usize, 0);
    for (at, c) in css.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    rules.push(&css[from..at]);
                    from = at + 1;
                }
            }
            _ => {}
        }
    }
    rules
}

/// The reader of a page, with the parts that it has read so far.
struct PageReader<'b> {
    blocks: &'b mut Blocks,
    headings: &'b mut Headings,
    /// Number of paragraphs, items and rows.
    number: &'b mut u32,
    /// Text of the open line.
    text: String,
    /// Open tables, the innermost last.
    tables: Vec<Table>,
    /// Next numbers of the open lists; `None` for bullets.
    lists: Vec<Option<u32>>,
}

/// An open table.
#[derive(Default)]
struct Table {
    rows: Vec<Row>,
    cells: Vec<Cell>,
    /// True while all cells of the open row are headings.
    is_heading: bool,
    /// Columns over which the open cell goes, and the rows.
    span: (usize, usize),
    is_cell_heading: bool,
    /// Cells of rows above that go on in the next rows: column, rows left, text.
    below: Vec<(usize, usize, Cell)>,
    /// Text before the table that its cells do not belong to.
    outer: String,
}

/// Most columns or rows over which one cell goes.
const MAX_SPAN: usize = 1_000;

impl PageReader<'_> {
    fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn open(&mut self, element: &Element) -> Result<(), FileError> {
        let span =
            |name| element.attr(name).and_then(|value| value.trim().parse().ok()).unwrap_or(1).clamp(1, MAX_SPAN);
        match element.name() {
            "table" => {
                if self.tables.is_empty() {
                    self.end_line()?;
                }
                self.tables.push(Table { outer: std::mem::take(&mut self.text), ..Table::default() });
            }
            "tr" => {
                if let Some(table) = self.tables.last_mut() {
                    (table.cells, table.is_heading) = (Vec::new(), true);
                    table.carry_over();
                    self.text.clear();
                }
            }
            name @ ("td" | "th") => {
                if let Some(table) = self.tables.last_mut() {
                    (table.span, table.is_cell_heading) = ((span("colspan"), span("rowspan")), name == "th");
                    self.text.clear();
                }
            }
            "ol" | "ul" => {
                self.end_block()?;
                let first = element.attr("start").and_then(|start| start.parse().ok()).unwrap_or(1);
                self.lists.push((element.name() == "ol").then_some(first));
            }
            "li" => {
                self.end_block()?;
                let mark = match self.lists.last_mut() {
                    Some(Some(number)) => {
                        *number = number.saturating_add(1);
                        format!("{}. ", number.saturating_sub(1))
                    }
                    _ => "• ".to_owned(),
                };
                self.push(&mark);
            }
            "sup" => self.text.push('\u{e000}'),
            "br" | "hr" => self.push("\n"),
            name if INLINE.contains(&name) => {}
            _ => self.end_block()?,
        }
        Ok(())
    }

    fn close(&mut self, name: &str) -> Result<(), FileError> {
        match name {
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" if self.tables.is_empty() => {
                let heading = std::mem::take(&mut self.text);
                let level = name.trim_start_matches('h').parse().unwrap_or(1);
                self.headings.open(level, &marks_apart(&heading), self.blocks);
            }
            "td" | "th" => {
                let text = marks_apart(&std::mem::take(&mut self.text));
                if let Some(table) = self.tables.last_mut() {
                    table.add_cell(&text);
                }
            }
            "tr" => {
                if let Some(table) = self.tables.last_mut() {
                    *self.number += 1;
                    let is_heading = table.is_heading && table.cells.iter().any(|cell| !cell.text.trim().is_empty());
                    table.rows.push(Row { number: *self.number, cells: std::mem::take(&mut table.cells), is_heading });
                }
            }
            "table" => self.close_table()?,
            "ol" | "ul" => {
                self.end_block()?;
                self.lists.pop();
            }
            "sup" => self.text.push('\u{e001}'),
            name if INLINE.contains(&name) => {}
            _ => self.end_block()?,
        }
        Ok(())
    }

    /// Adds the rows of a table. Those of a table within a cell become the cell's text.
    fn close_table(&mut self) -> Result<(), FileError> {
        let Some(table) = self.tables.pop() else { return Ok(()) };
        if self.tables.is_empty() {
            self.text.clear();
            // A table with one cell in each row lays a page out.
            return self.blocks.table(&table.rows, false);
        }
        self.text = table.outer;
        for cell in table.rows.iter().flat_map(|row| &row.cells) {
            self.text.push(' ');
            self.text.push_str(&cell.text);
        }
        Ok(())
    }

    /// Ends a block: a line of the page, or a word of a cell.
    fn end_block(&mut self) -> Result<(), FileError> {
        if self.tables.is_empty() {
            return self.end_line();
        }
        self.text.push(' ');
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), FileError> {
        let text = marks_apart(&std::mem::take(&mut self.text));
        // A line of an address ends with `br`.
        for line in text.split('\n').map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")) {
            if !line.is_empty() {
                *self.number += 1;
                self.blocks.paragraph(*self.number, &line)?;
            }
        }
        Ok(())
    }
}

impl Table {
    /// Writes cells of the rows above that go on in this row, as far as it has reached them.
    fn carry_over(&mut self) {
        while let Some(found) = self.below.iter().position(|(column, ..)| *column == self.cells.len()) {
            let (column, left, cell) = self.below.swap_remove(found);
            self.cells.push(cell.clone());
            if left > 1 {
                // Seen again in the next row only: this row is beyond the column.
                self.below.push((column, left - 1, cell));
            }
        }
    }

    fn add_cell(&mut self, text: &str) {
        let cell = Cell { text: text.replace('\n', " "), is_emphasized: self.is_cell_heading };
        self.is_heading &= self.is_cell_heading;
        let (columns, rows) = self.span;
        for nth in 0..columns {
            let column = self.cells.len();
            // A value that goes over several columns stands once; a heading stands over each.
            let copy = if nth == 0 || self.is_cell_heading { cell.clone() } else { Cell::default() };
            if rows > 1 {
                self.below.push((column, rows - 1, copy.clone()));
            }
            self.cells.push(copy);
        }
        self.carry_over();
    }
}

/// Keeps what stands above the line as marks of its own: `10³`, and `320 [1]` where it cannot be a figure's exponent in
/// letters.
fn marks_apart(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, from)) = rest.split_once('\u{e000}') {
        shown.push_str(before);
        let (raised, after) = from.split_once('\u{e001}').unwrap_or((from, ""));
        shown.push_str(&marks::raised(raised));
        rest = after;
    }
    shown.push_str(rest);
    shown.replace('\u{e001}', "")
}
