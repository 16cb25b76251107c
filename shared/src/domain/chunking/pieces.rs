//! Segmentation of pages into headings, sentences and table rows, from which chunks are built.

use crate::pdf::PageText;
use crate::text::is_table_row;
use std::collections::HashMap;
use unicode_segmentation::UnicodeSegmentation;

/// Target length of a chunk, in characters. No further sentence is added beyond this length.
pub(super) const TARGET_CHARS: usize = 1000;

/// Longest heading or table header, in characters.
const MAX_HEADING_CHARS: usize = 100;

/// Longest heading, in words.
const MAX_HEADING_WORDS: usize = 14;

/// Average line length, as a share of the longest line, below which lines are rows rather than prose.
const MAX_ROW_FILL_RATIO: f64 = 0.7;

/// Fewest lines of a table or list.
const MIN_TABLE_ROWS: usize = 3;

/// Fewest pages with a line at their top or bottom for it to be a running title rather than a heading.
const MIN_RUNNING_TITLE_PAGES: usize = 3;

/// Kind of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlockKind {
    Heading,
    Prose,
    /// Lines that must stay separate: tables, lists, addresses, verses.
    Rows,
}

/// A block of a page, between blank lines.
#[derive(Debug)]
pub(super) struct PageBlock {
    pub(super) kind: BlockKind,
    /// First row of a table, when it names the columns.
    pub(super) header: Option<String>,
    pub(super) pieces: Vec<Piece>,
}

/// A heading, sentence or row, or a part of one that is longer than `TARGET_CHARS`.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) page: u32,
    pub(super) text: String,
}

impl Piece {
    /// Returns the length of the text, in characters.
    pub(super) fn chars(&self) -> usize {
        self.text.chars().count()
    }
}

/// Returns the blocks of each page.
pub(super) fn page_blocks(pages: &[PageText]) -> impl Iterator<Item = Vec<PageBlock>> {
    let running = running_lines(pages);
    pages.iter().map(move |page| {
        let blocks = group_lines(&page.text).into_iter();
        blocks.map(|lines| to_block(page.number, &lines, &running)).collect()
    })
}

/// Returns the lines of each block. A table with wide rows is extracted as many blocks of one line, which would be
/// taken for headings, so such a run becomes one block.
fn group_lines(text: &str) -> Vec<Vec<&str>> {
    let blocks: Vec<Vec<&str>> = text.split("\n\n").map(lines).filter(|lines| !lines.is_empty()).collect();
    let runs = blocks.chunk_by(|above, below| is_row(above) && is_row(below));
    runs.flat_map(|run| match run.len() {
        ..MIN_TABLE_ROWS => run.to_vec(),
        _ => vec![run.concat()],
    })
    .collect()
}

/// Returns true for a block of one short line that does not end like a sentence.
fn is_row(lines: &[&str]) -> bool {
    matches!(lines, [line] if is_short(line) && !is_table_row(line) && !line.ends_with(['.', '!', '?', ':']))
}

/// Returns the trimmed lines of a block, without blank ones.
fn lines(block: &str) -> Vec<&str> {
    block.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

/// Returns true for a character that may end a sentence.
pub(super) fn ends_sentence(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '…' | ':' | ';' | '»' | '"' | '”' | ')' | '。' | '！' | '？' | '؟')
}

/// Classifies the lines of a block and splits them into pieces.
fn to_block(page: u32, lines: &[&str], running: &HashMap<String, usize>) -> PageBlock {
    let is_running = |line: &str| {
        let pages = running.get(&without_digits(line));
        pages.is_some_and(|&pages| pages >= MIN_RUNNING_TITLE_PAGES)
    };
    let kind = match lines {
        lines if lines.iter().any(|line| is_table_row(line)) => BlockKind::Rows,
        [line] if is_running(line) => BlockKind::Prose,
        [line] if is_heading(line) => BlockKind::Heading,
        lines if are_rows(lines) => BlockKind::Rows,
        _ => BlockKind::Prose,
    };
    let header = match lines {
        // Rows with the names of their columns need no header.
        [_, rest @ ..] if rest.iter().any(|line| is_table_row(line)) => None,
        [first, rest @ ..] if kind == BlockKind::Rows && is_header(first, rest) => Some((*first).to_owned()),
        _ => None,
    };
    let mut pieces = vec![];
    let mut add = |text: &str| {
        for part in split_at_target(text.trim()) {
            pieces.push(Piece { page, text: part.to_owned() });
        }
    };
    if kind == BlockKind::Rows {
        lines.iter().copied().for_each(add);
    } else {
        // Sentence segmentation would take a line break for the end of a sentence.
        lines.join(" ").split_sentence_bounds().for_each(&mut add);
    }
    PageBlock { kind, header, pieces }
}

/// Returns true for a short line that begins like a title and does not end like a sentence. A question counts, as the
/// heading of an FAQ entry.
fn is_heading(line: &str) -> bool {
    let letters = line.chars().filter(|c| c.is_alphabetic()).count();
    let digits = line.chars().filter(char::is_ascii_digit).count();
    let begins = line.chars().next().is_some_and(|c| c.is_uppercase() || c.is_ascii_digit());
    let ends = line.chars().next_back().is_some_and(|c| c == '?' || c.is_alphanumeric() || c == ')');
    begins
        && ends
        && letters > digits.max(2)
        && is_short(line)
        && line.split_whitespace().nth(MAX_HEADING_WORDS).is_none()
}

fn is_short(line: &str) -> bool {
    line.chars().nth(MAX_HEADING_CHARS).is_none()
}

/// Returns true when lines are the rows of a table or list rather than prose.
fn are_rows(lines: &[&str]) -> bool {
    let items = lines.iter().filter(|line| is_item(line)).count();
    if items >= 2 && items * 3 >= lines.len() {
        return true;
    }
    let begins = |line: &&&str| line.starts_with(|c: char| c.is_uppercase() || c.is_ascii_digit());
    if lines.len() >= MIN_TABLE_ROWS && lines.iter().filter(begins).count() * 4 >= lines.len() * 3 {
        return true;
    }
    // The last line of a paragraph may have any length.
    let [whole @ .., _] = lines else { return false };
    let lengths = || whole.iter().map(|line| line.chars().count());
    let longest = lengths().max().unwrap_or(0);
    whole.len() >= 2 && (lengths().sum::<usize>() as f64) < MAX_ROW_FILL_RATIO * (longest * whole.len()) as f64
}

/// Returns true when a line begins with a bullet or a list number.
fn is_item(line: &str) -> bool {
    let first = line.split_whitespace().next().unwrap_or_default();
    let numbered = first
        .strip_suffix(['.', ')', '°'])
        .is_some_and(|number| number.len() <= 3 && number.chars().all(|c| c.is_ascii_alphanumeric()));
    numbered || matches!(first, "•" | "-" | "–" | "—" | "*" | "◦" | "▪" | "■" | "✓" | "→" | "·" | "o")
}

/// Returns true when the first row names the columns: it has no digits, and most rows below it do.
fn is_header(first: &str, rest: &[&str]) -> bool {
    let numeric = |line: &&&str| line.contains(|c: char| c.is_ascii_digit());
    rest.len() >= 2
        && is_short(first)
        && !is_item(first)
        && !numeric(&&first)
        && rest.iter().filter(numeric).count() * 2 > rest.len()
}

/// Counts the first and last lines of the pages, ignoring digits such as page numbers.
fn running_lines(pages: &[PageText]) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for page in pages {
        let mut lines = page.text.lines().filter(|line| !line.trim().is_empty());
        for line in [lines.next(), lines.next_back()].into_iter().flatten() {
            *counts.entry(without_digits(line.trim())).or_default() += 1;
        }
    }
    counts
}

fn without_digits(line: &str) -> String {
    line.chars().filter(|c| !c.is_ascii_digit()).collect()
}

/// Splits text at the target length of a chunk: between words, or within a word that is too long.
fn split_at_target(text: &str) -> Vec<&str> {
    let mut parts = vec![];
    let mut rest = text;
    while let Some((limit, _)) = rest.char_indices().nth(TARGET_CHARS) {
        let head = &rest[..limit];
        let cut = head.rfind(char::is_whitespace).filter(|&at| at > limit / 2).unwrap_or(limit);
        parts.push(rest[..cut].trim_end());
        rest = rest[cut..].trim_start();
    }
    parts.push(rest);
    parts.retain(|part| !part.is_empty());
    parts
}
