//! Chunking of a document's pages for retrieval, each chunk citable by its pages. The result is deterministic: an
//! interrupted ingestion continues by chunk index.

use crate::{files::Place, pdf::PageText};

mod pieces;

use pieces::{BlockKind, PageBlock, Piece};

/// Longest chunk, in characters.
pub const MAX_CHARS: usize = 1600;

/// Longest chunk to which a whole paragraph or a table row is still added, in characters.
const MAX_WITH_PARAGRAPH_CHARS: usize = 1200;

/// Shortest chunk, in characters. A shorter one takes the following text, even of another section.
const MIN_CHARS: usize = 300;

/// Longest rest of a page or paragraph that is added to the chunk before, in characters.
const MAX_TAIL_CHARS: usize = 200;

/// A passage of a document, with its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Index of the chunk in the document, from 0.
    pub index: u32,
    /// First page of the chunk, from 1.
    pub page_start: u32,
    /// Last page of the chunk. Differs from the first only when a sentence runs across the page break.
    pub page_end: u32,
    /// Text of at most [`MAX_CHARS`] characters. A chunk from the middle of a section or table repeats the heading
    /// and the table's header.
    pub text: String,
    /// Place in a file without pages; `None` for a page of a PDF.
    pub place: Option<Place>,
}

/// Cuts pages into chunks, in order. Loses white space only.
pub fn chunk(pages: &[PageText]) -> Vec<Chunk> {
    let mut packer = Packer::default();
    for blocks in pieces::page_blocks(pages) {
        for (nth, block) in blocks.iter().enumerate() {
            packer.add(block, nth == 0);
        }
    }
    packer.finish()
}

/// Builder of chunks, filled one after the other.
#[derive(Default)]
struct Packer {
    chunks: Vec<Chunk>,
    open: Option<OpenChunk>,
    /// Heading of the current section.
    heading: Option<String>,
}

/// The chunk that is being filled.
struct OpenChunk {
    text: String,
    /// Length of `text`, in characters.
    chars: usize,
    page_start: u32,
    page_end: u32,
    /// Kind of the block that was added last.
    last: BlockKind,
}

impl Packer {
    /// Adds the pieces of a block, and closes chunks as they fill.
    fn add(&mut self, block: &PageBlock, first_of_page: bool) {
        if first_of_page {
            self.turn_page(block);
        }
        let mut left: usize = block.pieces.iter().map(Piece::chars).sum();
        for (nth, piece) in block.pieces.iter().enumerate() {
            let carried_over = first_of_page && nth == 0 && self.open.is_some();
            if !carried_over && self.is_full(block, piece, nth == 0, left) {
                self.close();
            }
            self.push(block, piece, nth == 0 && !carried_over);
            left -= piece.chars();
            if carried_over {
                self.close();
            }
        }
        if block.kind == BlockKind::Heading {
            self.heading = block.pieces.first().map(|piece| piece.text.clone());
        }
    }

    /// Closes the chunk at the end of its page, unless its last sentence continues on the next page.
    fn turn_page(&mut self, next: &PageBlock) {
        let sentence_continues = self.open.as_ref().is_some_and(|draft| {
            let ends = draft.text.ends_with(pieces::ends_sentence);
            let begins = next.pieces.first().filter(|piece| {
                next.kind == BlockKind::Prose
                    && piece.text.starts_with(char::is_lowercase)
                    && draft.chars + piece.chars() < MAX_CHARS
            });
            draft.last != BlockKind::Rows && !ends && begins.is_some()
        });
        if !sentence_continues {
            self.close();
        }
    }

    /// Returns true when the open chunk should end before `piece`. `left` is the number of characters of the block
    /// that are not packed yet, `piece` included.
    fn is_full(&self, block: &PageBlock, piece: &Piece, first: bool, left: usize) -> bool {
        let Some(draft) = &self.open else {
            return false;
        };
        let with = |chars: usize| draft.chars + chars + 2;
        if with(piece.chars()) > MAX_CHARS {
            return true;
        }
        if draft.chars < MIN_CHARS {
            return false;
        }
        match block.kind {
            BlockKind::Heading => draft.last != BlockKind::Heading,
            _ if with(left) <= MAX_WITH_PARAGRAPH_CHARS => false,
            _ if left <= MAX_TAIL_CHARS && !first => with(left) > MAX_CHARS,
            _ if first => draft.last != BlockKind::Heading,
            BlockKind::Prose => with(piece.chars()) > pieces::TARGET_CHARS,
            BlockKind::Rows => with(piece.chars()) > MAX_WITH_PARAGRAPH_CHARS,
        }
    }

    /// Appends a piece to the open chunk. A new chunk begins with the section's heading and the table's header.
    fn push(&mut self, block: &PageBlock, piece: &Piece, first: bool) {
        let draft = match &mut self.open {
            Some(draft) => {
                draft.append(match block.kind {
                    _ if first => "\n\n",
                    BlockKind::Rows => "\n",
                    _ => " ",
                });
                draft
            }
            None => {
                let mut draft = OpenChunk::new(piece.page, block.kind);
                if block.kind != BlockKind::Heading
                    && let Some(heading) = &self.heading
                {
                    draft.append(heading);
                    draft.append("\n\n");
                }
                if !first && let Some(header) = &block.header {
                    draft.append(header);
                    draft.append("\n");
                }
                self.open.insert(draft)
            }
        };
        draft.append(&piece.text);
        draft.page_end = piece.page;
        draft.last = block.kind;
    }

    /// Ends the open chunk. A short rest of a page is appended to the chunk before.
    fn close(&mut self) {
        let Some(draft) = self.open.take() else {
            return;
        };
        if let Some(before) = self.chunks.last_mut()
            && draft.chars < MAX_TAIL_CHARS
            && (before.page_start, before.page_end) == (draft.page_start, draft.page_end)
            && before.text.chars().count() + draft.chars + 2 <= MAX_CHARS
        {
            before.text.push_str("\n\n");
            before.text.push_str(&draft.text);
            return;
        }
        self.chunks.push(Chunk {
            index: u32::try_from(self.chunks.len()).unwrap_or(u32::MAX),
            page_start: draft.page_start,
            page_end: draft.page_end,
            text: draft.text,
            place: None,
        });
    }

    fn finish(mut self) -> Vec<Chunk> {
        self.close();
        self.chunks
    }
}

impl OpenChunk {
    fn new(page: u32, kind: BlockKind) -> Self {
        Self { text: String::new(), chars: 0, page_start: page, page_end: page, last: kind }
    }

    fn append(&mut self, text: &str) {
        self.text.push_str(text);
        self.chars += text.chars().count();
    }
}

#[cfg(test)]
mod tests;
