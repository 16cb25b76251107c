//! Chunking of files without pages for retrieval: a chunk is a part of one section, and citable by the place of each of
//! its lines. The result is deterministic: an interrupted ingestion continues by chunk index.

use unicode_segmentation::UnicodeSegmentation;

use crate::{
    chunking::Chunk,
    files::{Block, Place, Section},
};

/// Length of a chunk beyond which no further line is added, in characters.
const TARGET_CHARS: usize = 1_000;
/// Longest line that is not divided, in characters.
const MAX_LINE_CHARS: usize = 1_200;
/// Longest headings that are repeated at the beginning of a chunk, in characters.
const MAX_HEADING_CHARS: usize = 200;

/// Number of sections in a file, which stands for its number of pages.
#[must_use]
pub fn count_sections(blocks: &[Block]) -> usize {
    sections(blocks).count()
}

/// Cuts the lines of a file into chunks, in order. A chunk begins with the headings above it. A row is
/// cut only where it is longer than a chunk.
#[must_use]
pub fn chunk(blocks: &[Block]) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    for (page, (section, lines)) in (1..).zip(sections(blocks)) {
        let mut open = OpenChunk::new(section, page);
        for block in lines {
            let Block::Line(line) = block else { continue };
            let is_short = line.text.chars().nth(MAX_LINE_CHARS).is_none();
            let parts = if is_short { vec![line.text.as_str()] } else { divided(&line.text) };
            for part in parts {
                if open.is_full(part) {
                    open.close(&mut chunks);
                }
                open.add(line.number, part);
            }
        }
        open.close(&mut chunks);
    }
    chunks
}

/// Returns the sections that have a line or a heading, with their lines.
fn sections(blocks: &[Block]) -> impl Iterator<Item = (&Section, &[Block])> {
    let parts = blocks.chunk_by(|_, next| matches!(next, Block::Line(_)));
    parts.filter_map(|part| match part.split_first()? {
        (Block::Section(section), lines) if !lines.is_empty() || is_heading(section) => Some((section, lines)),
        _ => None,
    })
}

/// Returns true for a section whose name is a text of the document, which may say something without any below it.
fn is_heading(section: &Section) -> bool {
    section.name.is_some() && section.kind == crate::files::PlaceKind::Section
}

/// Divides a long line between sentences, and a long sentence between words.
fn divided(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut from, mut chars) = (0, 0);
    for (at, word) in text.split_sentence_bound_indices().flat_map(|(at, sentence)| words_of_long(at, sentence)) {
        let length = word.chars().count();
        if chars + length > TARGET_CHARS && chars > 0 {
            parts.push(text[from..at].trim());
            (from, chars) = (at, 0);
        }
        chars += length;
    }
    parts.push(text[from..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

/// Returns a sentence with its place in the text; its pieces, when it is longer than a chunk.
fn words_of_long(at: usize, sentence: &str) -> Vec<(usize, &str)> {
    if sentence.chars().nth(TARGET_CHARS).is_none() {
        return vec![(at, sentence)];
    }
    let words = sentence.split_word_bound_indices();
    words.flat_map(|(offset, word)| pieces_of_long(at + offset, word)).collect()
}

/// Returns a word with its position. A word of more than half of [`TARGET_CHARS`] is returned as its single characters.
fn pieces_of_long(at: usize, word: &str) -> Vec<(usize, &str)> {
    if word.chars().nth(TARGET_CHARS / 2).is_none() {
        return vec![(at, word)];
    }
    word.char_indices().map(|(offset, c)| (at + offset, &word[offset..offset + c.len_utf8()])).collect()
}

/// The chunk that is being filled.
struct OpenChunk<'s> {
    section: &'s Section,
    page: u32,
    headings: String,
    lines: Vec<&'s str>,
    numbers: Vec<u32>,
    chars: usize,
    has_chunk: bool,
}

impl<'s> OpenChunk<'s> {
    fn new(section: &'s Section, page: u32) -> Self {
        let mut headings = section.headings.join("\n");
        if headings.chars().nth(MAX_HEADING_CHARS).is_some() {
            headings = section.headings.last().cloned().unwrap_or_default().chars().take(MAX_HEADING_CHARS).collect();
        }
        Self { section, page, headings, lines: Vec::new(), numbers: Vec::new(), chars: 0, has_chunk: false }
    }

    fn is_full(&self, part: &str) -> bool {
        let with = self.chars + part.chars().count() + 1;
        !self.lines.is_empty() && (self.chars >= TARGET_CHARS || with > MAX_LINE_CHARS.max(TARGET_CHARS))
    }

    fn add(&mut self, number: u32, part: &'s str) {
        self.chars += part.chars().count() + 1;
        self.lines.push(part);
        self.numbers.push(number);
    }

    /// Ends the chunk. A heading without text is a chunk of its own.
    fn close(&mut self, chunks: &mut Vec<Chunk>) {
        if self.lines.is_empty() && (self.has_chunk || !is_heading(self.section)) {
            return;
        }
        let lines = std::mem::take(&mut self.lines).join("\n");
        let text = match (self.headings.is_empty(), lines.is_empty()) {
            (true, _) => lines,
            (false, true) => self.headings.clone(),
            (false, false) => format!("{}\n\n{lines}", self.headings),
        };
        chunks.push(Chunk {
            index: u32::try_from(chunks.len()).unwrap_or(u32::MAX),
            page_start: self.page,
            page_end: self.page,
            text,
            place: Some(Place {
                kind: self.section.kind,
                name: self.section.name.clone(),
                numbers: std::mem::take(&mut self.numbers),
            }),
        });
        (self.chars, self.has_chunk) = (0, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunking;
    use crate::files::{Line, PlaceKind};

    fn section(kind: PlaceKind, name: &str) -> Block {
        Block::Section(Section { kind, name: Some(name.to_owned()), headings: vec![name.to_owned()] })
    }

    fn line(number: u32, text: &str, is_row: bool) -> Block {
        Block::Line(Line { number, text: text.to_owned(), is_row })
    }

    #[test]
    fn each_section_has_chunks_of_its_own_with_its_heading() {
        let blocks = [
            section(PlaceKind::Section, "Livraison"),
            line(1, "Elle coûte 1 500 FCFA.", false),
            section(PlaceKind::Section, "Retours"),
            section(PlaceKind::Sheet, "Vide"),
        ];
        let chunks = chunk(&blocks);
        let texts: Vec<_> = chunks.iter().map(|chunk| (chunk.page_start, chunk.text.as_str())).collect();
        assert_eq!(texts, [(1, "Livraison\n\nElle coûte 1 500 FCFA."), (2, "Retours")]);
        assert_eq!(chunks[0].place.as_ref().unwrap().numbers, [1]);
        assert_eq!(count_sections(&blocks), 2);
    }

    #[test]
    fn rows_are_never_cut_and_keep_their_numbers() {
        let mut blocks = vec![section(PlaceKind::Sheet, "Tarifs")];
        blocks.extend(
            (2..100).map(|row| line(row, &format!("Article {row} — prix : {row} 000 FCFA {}", "x".repeat(60)), true)),
        );
        let chunks = chunk(&blocks);
        assert!(chunks.len() > 5 && chunks.iter().all(|chunk| chunk.text.starts_with("Tarifs\n\nArticle ")));
        let mut expected = 2;
        for chunk in &chunks {
            let place = chunk.place.as_ref().unwrap();
            assert!(chunk.text.chars().count() <= chunking::MAX_CHARS);
            let rows: Vec<_> = chunk.text.lines().skip(2).collect();
            assert_eq!(rows.len(), place.numbers.len());
            for (row, number) in rows.iter().zip(&place.numbers) {
                assert!(row.starts_with(&format!("Article {expected} ")) && *number == expected && row.ends_with('x'));
                expected += 1;
            }
        }
        assert_eq!(expected, 100);
    }

    #[test]
    fn a_long_paragraph_is_divided_between_sentences_and_loses_nothing() {
        let text = "La livraison prend trois jours en ville. ".repeat(100);
        let chunks = chunk(&[section(PlaceKind::Section, "Délais"), line(7, text.trim(), false)]);
        assert!(chunks.iter().all(|chunk| chunk.text.ends_with("en ville.")
            && chunk.place.as_ref().unwrap().numbers.iter().all(|&number| number == 7)));
        let words: usize = chunks.iter().map(|chunk| chunk.text.matches("livraison").count()).sum();
        assert_eq!(words, 100);
        let endless = chunk(&[section(PlaceKind::Line, "x"), line(1, &"é".repeat(5_000), false)]);
        assert_eq!(endless.iter().map(|chunk| chunk.text.matches('é').count()).sum::<usize>(), 5_000);
    }
}
