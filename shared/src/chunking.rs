//! Cuts the pages of a document into chunks for retrieval, each citable by its pages. The same
//! pages always give the same chunks: an ingestion that was killed goes on by chunk index.

use crate::pdf::Page;

mod pieces;

use pieces::{Block, Kind, Piece};

/// The most characters that a chunk has.
pub const MAX_CHARS: usize = 1600;

/// A chunk that takes in no further sentence where it would grow beyond this, in characters.
const GOAL_CHARS: usize = 1000;

/// A whole paragraph still joins a chunk that stays below this, in characters.
const FULL_CHARS: usize = 1200;

/// A chunk shorter than this takes in what follows, be it another section, in characters.
const MIN_CHARS: usize = 300;

/// What is left of a page or paragraph and shorter than this joins the chunk before, in characters.
const TAIL_CHARS: usize = 200;

/// A passage of a document, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Its place in the document, from 0.
    pub index: u32,
    /// The page on which it begins, from 1.
    pub page_start: u32,
    /// The page on which it ends: another one only where a sentence runs across the page break.
    pub page_end: u32,
    /// At most [`MAX_CHARS`]. Repeats the heading of its section where it does not begin with it,
    /// and the header of its table.
    pub text: String,
}

/// Cuts pages into chunks, in order. Nothing but white space is lost.
pub fn chunk(pages: &[Page]) -> Vec<Chunk> {
    let mut packer = Packer::default();
    for blocks in pieces::of_pages(pages) {
        for (nth, block) in blocks.iter().enumerate() {
            packer.add(block, nth == 0);
        }
    }
    packer.finish()
}

/// Fills one chunk after the other.
#[derive(Default)]
struct Packer {
    chunks: Vec<Chunk>,
    open: Option<Draft>,
    heading: Option<String>,
}

/// The chunk that is being filled.
struct Draft {
    text: String,
    chars: usize,
    page_start: u32,
    page_end: u32,
    last: Kind,
}

impl Packer {
    fn add(&mut self, block: &Block, first_of_page: bool) {
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
        if block.kind == Kind::Heading {
            self.heading = block.pieces.first().map(|piece| piece.text.clone());
        }
    }

    /// Ends the chunk with its page, unless the sentence goes on overleaf.
    fn turn_page(&mut self, next: &Block) {
        let goes_on = self.open.as_ref().is_some_and(|draft| {
            let ends = draft.text.ends_with(pieces::ends_sentence);
            let begins = next.pieces.first().filter(|piece| {
                next.kind == Kind::Prose
                    && piece.text.starts_with(char::is_lowercase)
                    && draft.chars + piece.chars() < MAX_CHARS
            });
            draft.last != Kind::Rows && !ends && begins.is_some()
        });
        if !goes_on {
            self.close();
        }
    }

    /// Whether the open chunk should end before `piece`, the first of the `left` characters of its
    /// block that are not packed yet.
    fn is_full(&self, block: &Block, piece: &Piece, first: bool, left: usize) -> bool {
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
            Kind::Heading => draft.last != Kind::Heading,
            _ if with(left) <= FULL_CHARS => false,
            _ if left <= TAIL_CHARS && !first => with(left) > MAX_CHARS,
            _ if first => draft.last != Kind::Heading,
            Kind::Prose => with(piece.chars()) > GOAL_CHARS,
            Kind::Rows => with(piece.chars()) > FULL_CHARS,
        }
    }

    fn push(&mut self, block: &Block, piece: &Piece, first: bool) {
        let draft = match &mut self.open {
            Some(draft) => {
                draft.append(match block.kind {
                    _ if first => "\n\n",
                    Kind::Rows => "\n",
                    _ => " ",
                });
                draft
            }
            None => {
                let mut draft = Draft::new(piece.page, block.kind);
                if block.kind != Kind::Heading
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

    fn close(&mut self) {
        let Some(draft) = self.open.take() else {
            return;
        };
        if let Some(before) = self.chunks.last_mut()
            && draft.chars < TAIL_CHARS
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
        });
    }

    fn finish(mut self) -> Vec<Chunk> {
        self.close();
        self.chunks
    }
}

impl Draft {
    fn new(page: u32, kind: Kind) -> Self {
        Self { text: String::new(), chars: 0, page_start: page, page_end: page, last: kind }
    }

    fn append(&mut self, text: &str) {
        self.text.push_str(text);
        self.chars += text.chars().count();
    }
}

#[cfg(test)]
mod tests;
