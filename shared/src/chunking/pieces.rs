//! What chunks are made of: the headings, sentences and table rows of a page.

use super::GOAL_CHARS;
use crate::pdf::Page;
use std::collections::HashMap;
use unicode_segmentation::UnicodeSegmentation;

/// The longest line that is taken for a heading or for the header of a table, in characters.
const HEADING_CHARS: usize = 100;

/// The most words that a heading has.
const HEADING_WORDS: usize = 14;

/// Lines that fill less than this part of the longest one on average are rows, not prose.
const RAGGED: f64 = 0.7;

/// That many lines may make a table or a list.
const ROWS: usize = 3;

/// A line that stands at the head or foot of this many pages belongs to none of them.
const RUNNING_PAGES: usize = 3;

/// What a block of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Heading,
    Prose,
    /// Lines that must not be run together: tables, lists, addresses, verses.
    Rows,
}

/// A block as the page shows it, between blank lines.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) kind: Kind,
    /// The first row of a table, if it names the columns.
    pub(super) header: Option<String>,
    pub(super) pieces: Vec<Piece>,
}

/// A heading, a sentence or a row, or a part of one that is too long.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) page: u32,
    pub(super) text: String,
}

impl Piece {
    pub(super) fn chars(&self) -> usize {
        self.text.chars().count()
    }
}

/// Returns the blocks of each page.
pub(super) fn of_pages(pages: &[Page]) -> impl Iterator<Item = Vec<Block>> {
    let running = running_lines(pages);
    pages.iter().map(move |page| {
        let blocks = grouped(&page.text).into_iter();
        blocks.map(|lines| to_block(page.number, &lines, &running)).collect()
    })
}

/// Returns the lines of each block. A table with wide rows comes as many blocks of one line, which
/// would pass for headings: such a run is one block.
fn grouped(text: &str) -> Vec<Vec<&str>> {
    let blocks: Vec<Vec<&str>> = text.split("\n\n").map(lines).filter(|lines| !lines.is_empty()).collect();
    let runs = blocks.chunk_by(|above, below| is_row(above) && is_row(below));
    runs.flat_map(|run| match run.len() {
        ..ROWS => run.to_vec(),
        _ => vec![run.concat()],
    })
    .collect()
}

/// Whether a block is one short line that does not end like a sentence.
fn is_row(lines: &[&str]) -> bool {
    matches!(lines, [line] if is_short(line) && !line.ends_with(['.', '!', '?', ':']))
}

fn lines(block: &str) -> Vec<&str> {
    block.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

/// Whether a sentence ends with this character.
pub(super) fn ends_sentence(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '…' | ':' | ';' | '»' | '"' | '”' | ')' | '。' | '！' | '？' | '؟')
}

fn to_block(page: u32, lines: &[&str], running: &HashMap<String, usize>) -> Block {
    let is_running = |line: &str| {
        let pages = running.get(&without_digits(line));
        pages.is_some_and(|&pages| pages >= RUNNING_PAGES)
    };
    let kind = match lines {
        [line] if is_running(line) => Kind::Prose,
        [line] if is_heading(line) => Kind::Heading,
        lines if are_rows(lines) => Kind::Rows,
        _ => Kind::Prose,
    };
    let header = match lines {
        [first, rest @ ..] if kind == Kind::Rows && is_header(first, rest) => Some((*first).to_owned()),
        _ => None,
    };
    let mut pieces = vec![];
    let mut add = |text: &str| {
        for part in bounded(text.trim()) {
            pieces.push(Piece { page, text: part.to_owned() });
        }
    };
    if kind == Kind::Rows {
        lines.iter().copied().for_each(add);
    } else {
        // A line break would end a sentence.
        lines.join(" ").split_sentence_bounds().for_each(&mut add);
    }
    Block { kind, header, pieces }
}

/// Short, begins like a title, does not end like a sentence. Questions are headings of an FAQ.
fn is_heading(line: &str) -> bool {
    let letters = line.chars().filter(|c| c.is_alphabetic()).count();
    let digits = line.chars().filter(char::is_ascii_digit).count();
    let begins = line.chars().next().is_some_and(|c| c.is_uppercase() || c.is_ascii_digit());
    let ends = line.chars().next_back().is_some_and(|c| c == '?' || c.is_alphanumeric() || c == ')');
    begins && ends && letters > digits.max(2) && is_short(line) && line.split_whitespace().nth(HEADING_WORDS).is_none()
}

fn is_short(line: &str) -> bool {
    line.chars().nth(HEADING_CHARS).is_none()
}

fn are_rows(lines: &[&str]) -> bool {
    let items = lines.iter().filter(|line| is_item(line)).count();
    if items >= 2 && items * 3 >= lines.len() {
        return true;
    }
    let begins = |line: &&&str| line.starts_with(|c: char| c.is_uppercase() || c.is_ascii_digit());
    if lines.len() >= ROWS && lines.iter().filter(begins).count() * 4 >= lines.len() * 3 {
        return true;
    }
    // The last line of a paragraph may be as short as it likes.
    let [whole @ .., _] = lines else { return false };
    let lengths = || whole.iter().map(|line| line.chars().count());
    let longest = lengths().max().unwrap_or(0);
    whole.len() >= 2 && (lengths().sum::<usize>() as f64) < RAGGED * (longest * whole.len()) as f64
}

/// Whether a line begins with a bullet or a number of a list.
fn is_item(line: &str) -> bool {
    let first = line.split_whitespace().next().unwrap_or_default();
    let numbered = first
        .strip_suffix(['.', ')', '°'])
        .is_some_and(|number| number.len() <= 3 && number.chars().all(|c| c.is_ascii_alphanumeric()));
    numbered || matches!(first, "•" | "-" | "–" | "—" | "*" | "◦" | "▪" | "■" | "✓" | "→" | "·" | "o")
}

/// A row without numbers above rows with numbers names their columns.
fn is_header(first: &str, rest: &[&str]) -> bool {
    let numeric = |line: &&&str| line.contains(|c: char| c.is_ascii_digit());
    rest.len() >= 2
        && is_short(first)
        && !is_item(first)
        && !numeric(&&first)
        && rest.iter().filter(numeric).count() * 2 > rest.len()
}

/// Counts the lines at the head and the foot of the pages, whatever number they carry.
fn running_lines(pages: &[Page]) -> HashMap<String, usize> {
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

/// Divides what is longer than a chunk should be: between words, or within one without end.
fn bounded(text: &str) -> Vec<&str> {
    let mut parts = vec![];
    let mut rest = text;
    while let Some((limit, _)) = rest.char_indices().nth(GOAL_CHARS) {
        let head = &rest[..limit];
        let cut = head.rfind(char::is_whitespace).filter(|&at| at > limit / 2).unwrap_or(limit);
        parts.push(rest[..cut].trim_end());
        rest = rest[cut..].trim_start();
    }
    parts.push(rest);
    parts.retain(|part| !part.is_empty());
    parts
}
