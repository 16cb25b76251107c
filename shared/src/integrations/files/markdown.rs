//! Markdown: paragraphs, list items and rows of tables under their headings.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::{
    collector::{Blocks, Headings},
    encoding,
    error::FileError,
    html,
    place::PlaceKind,
    table::{Cell, Row},
};

/// Reads a document. Numbers count paragraphs, items and rows.
pub(super) fn read(bytes: &[u8], blocks: &mut Blocks) -> Result<(), FileError> {
    let text = encoding::decode(bytes);
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS
        | Options::ENABLE_PLUSES_DELIMITED_METADATA_BLOCKS;
    blocks.section(PlaceKind::Section, None, Vec::new());
    let mut reader = MarkdownReader::new(blocks);
    Parser::new_ext(&text, options).try_for_each(|event| reader.take(event))?;
    reader.end_line()
}

/// The reader of a document, with the parts that it has read so far.
struct MarkdownReader<'b> {
    blocks: &'b mut Blocks,
    headings: Headings,
    number: u32,
    /// Text of the open paragraph, item, heading or cell.
    text: String,
    /// Next numbers of the open lists; `None` for bullets.
    lists: Vec<Option<u64>>,
    rows: Vec<Row>,
    cells: Vec<Cell>,
    /// Number of open elements whose text is not read: struck out, or about the file.
    ignored: u32,
    html: String,
}

impl<'b> MarkdownReader<'b> {
    fn new(blocks: &'b mut Blocks) -> Self {
        Self {
            blocks,
            headings: Headings::default(),
            number: 0,
            text: String::new(),
            lists: Vec::new(),
            rows: Vec::new(),
            cells: Vec::new(),
            ignored: 0,
            html: String::new(),
        }
    }

    fn take(&mut self, event: Event<'_>) -> Result<(), FileError> {
        match event {
            Event::Start(tag) => self.open(&tag),
            Event::End(tag) => self.close(tag),
            // HTML within a text may hide some of it, as HTML does.
            Event::Html(html) => {
                self.html.push_str(&html);
                Ok(())
            }
            Event::InlineHtml(tag) => {
                self.inline_html(&tag);
                Ok(())
            }
            Event::Text(text) | Event::Code(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                self.push(&text);
                Ok(())
            }
            Event::FootnoteReference(name) => {
                self.push(&format!(" [{name}]"));
                Ok(())
            }
            Event::SoftBreak | Event::HardBreak => {
                self.push(" ");
                Ok(())
            }
            Event::Rule | Event::TaskListMarker(_) => Ok(()),
        }
    }

    fn push(&mut self, text: &str) {
        if self.ignored == 0 {
            self.text.push_str(text);
        }
    }

    fn inline_html(&mut self, tag: &str) {
        let tag = tag.to_lowercase();
        let is = |names: &[&str], opening: &str| {
            names.iter().any(|name| {
                let rest = tag.strip_prefix(opening).and_then(|rest| rest.strip_prefix(name));
                rest.is_some_and(|rest| rest.starts_with(['>', ' ', '/']))
            })
        };
        if is(&["br"], "<") {
            self.push(" ");
        } else if is(html::STRUCK_OUT, "<") {
            self.ignored += 1;
        } else if is(html::STRUCK_OUT, "</") {
            self.ignored = self.ignored.saturating_sub(1);
        }
    }

    fn open(&mut self, tag: &Tag<'_>) -> Result<(), FileError> {
        match tag {
            Tag::Strikethrough | Tag::MetadataBlock(_) => self.ignored += 1,
            Tag::Item => {
                // A list within an item.
                self.end_line()?;
                match self.lists.last_mut() {
                    Some(Some(number)) => {
                        self.text = format!("{number}. ");
                        *number += 1;
                    }
                    _ => "• ".clone_into(&mut self.text),
                }
            }
            Tag::List(first) => {
                self.end_line()?;
                self.lists.push(*first);
            }
            Tag::FootnoteDefinition(name) => {
                self.end_line()?;
                self.text = format!("[{name}] ");
            }
            Tag::Table(_) | Tag::Heading { .. } => self.end_line()?,
            Tag::TableHead | Tag::TableRow => self.cells.clear(),
            Tag::TableCell => self.text.clear(),
            Tag::HtmlBlock => self.html.clear(),
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, tag: TagEnd) -> Result<(), FileError> {
        match tag {
            TagEnd::Strikethrough | TagEnd::MetadataBlock(_) => self.ignored = self.ignored.saturating_sub(1),
            TagEnd::Heading(level) => {
                let heading = std::mem::take(&mut self.text);
                self.headings.open(level as u32, &heading, self.blocks);
            }
            TagEnd::List(_) => {
                self.end_line()?;
                self.lists.pop();
            }
            TagEnd::TableCell => self.cells.push(Cell::new(std::mem::take(&mut self.text))),
            TagEnd::TableHead | TagEnd::TableRow => {
                self.number += 1;
                let cells = std::mem::take(&mut self.cells);
                self.rows.push(Row { number: self.number, cells, is_heading: tag == TagEnd::TableHead });
            }
            TagEnd::Table => {
                let rows = std::mem::take(&mut self.rows);
                self.blocks.table(&rows, true)?;
            }
            TagEnd::HtmlBlock => {
                let html = std::mem::take(&mut self.html);
                html::read_fragment(&html, &mut self.headings, &mut self.number, self.blocks)?;
            }
            TagEnd::Paragraph | TagEnd::Item | TagEnd::CodeBlock | TagEnd::FootnoteDefinition => self.end_line()?,
            _ => {}
        }
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), FileError> {
        let text = std::mem::take(&mut self.text);
        if text.trim().is_empty() {
            return Ok(());
        }
        self.number += 1;
        self.blocks.paragraph(self.number, &text)
    }
}
