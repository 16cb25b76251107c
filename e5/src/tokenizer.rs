//! The tokenizer of XLM-RoBERTa: SentencePiece's unigram model. Characters are normalised by a table, spaces become
//! the mark of a word's begin, and the pieces with the highest sum of scores are taken (Viterbi).

use std::ops::Range;

use crate::file::{ModelError, ModelFile};

/// The mark of a word's begin.
const WORD_BEGIN: char = '\u{2581}';

/// Pieces sorted by their bytes, and the table of the normaliser.
#[derive(Debug)]
pub(crate) struct Tokenizer {
    /// Start of each piece in `text`, and the end of the last one.
    starts: Vec<u32>,
    scores: Vec<f32>,
    text: Vec<u8>,
    unknown_score: f32,
    /// Code points that the normaliser replaces, in ascending order.
    code_points: Vec<u32>,
    /// Start of each replacement in `replacements`, and the end of the last one.
    replacement_starts: Vec<u32>,
    replacements: Vec<u32>,
}

/// The best way to a place in the text.
#[derive(Clone, Copy)]
struct Step {
    score: f32,
    token: u32,
    /// Index of the character where the last piece begins.
    from: usize,
}

impl Tokenizer {
    pub(crate) fn read(file: &mut ModelFile) -> Result<Self, ModelError> {
        let mut reader = file.tokenizer();
        let sizes = reader.integers(4)?;
        let [pieces, bytes, code_points, replacements] = [0, 1, 2, 3].map(|index: usize| sizes[index] as usize);
        let unknown_score = reader.singles(1)?[0];
        let tokenizer = Self {
            starts: reader.integers(pieces + 1)?,
            scores: reader.singles(pieces)?,
            code_points: reader.integers(code_points)?,
            replacement_starts: reader.integers(code_points + 1)?,
            replacements: reader.integers(replacements)?,
            text: reader.bytes(bytes)?,
            unknown_score,
        };
        reader.finish()?;
        Ok(tokenizer)
    }

    /// Token of a text's begin. The tokens without a piece follow the pieces.
    pub(crate) fn begin(&self) -> u32 {
        self.scores.len() as u32
    }

    /// Token of a text's end.
    pub(crate) fn end(&self) -> u32 {
        self.begin() + 1
    }

    /// Token of a character that no piece has.
    pub(crate) fn unknown(&self) -> u32 {
        self.begin() + 2
    }

    /// Splits a text into tokens, without those of begin and end.
    pub(crate) fn tokens(&self, text: &str) -> Vec<u32> {
        let text = self.normalize(text);
        let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let nowhere = Step { score: f32::NEG_INFINITY, token: self.unknown(), from: 0 };
        let mut steps = vec![nowhere; starts.len()];
        steps[0].score = 0.0;
        for from in 0..starts.len() - 1 {
            let score = steps[from].score;
            let mut candidates = 0..self.scores.len();
            for to in from + 1..starts.len() {
                // Pieces that begin with the characters from `from` to `to`; the shortest is the first.
                let next = &text.as_bytes()[starts[to - 1]..starts[to]];
                candidates = self.narrow(candidates, starts[to - 1] - starts[from], next);
                if candidates.is_empty() {
                    break;
                }
                let first = candidates.start;
                if self.piece(first).len() == starts[to] - starts[from] && score + self.scores[first] > steps[to].score
                {
                    steps[to] = Step { score: score + self.scores[first], token: first as u32, from };
                }
            }
            if score + self.unknown_score > steps[from + 1].score {
                steps[from + 1] = Step { score: score + self.unknown_score, token: self.unknown(), from };
            }
        }
        let mut tokens = Vec::new();
        let mut at = starts.len() - 1;
        while at > 0 {
            tokens.push(steps[at].token);
            at = steps[at].from;
        }
        tokens.reverse();
        tokens
    }

    fn piece(&self, index: usize) -> &[u8] {
        &self.text[self.starts[index] as usize..self.starts[index + 1] as usize]
    }

    /// Returns those of the candidates that go on with the bytes `next` after `depth` bytes, which all have in common.
    fn narrow(&self, candidates: Range<usize>, depth: usize, next: &[u8]) -> Range<usize> {
        let start = bisect(candidates.clone(), |index| &self.piece(index)[depth..] < next);
        start..bisect(start..candidates.end, |index| self.piece(index)[depth..].starts_with(next))
    }

    /// Replaces characters by the table, joins spaces, and marks the begins of words.
    fn normalize(&self, text: &str) -> String {
        let mut normalized = String::with_capacity(text.len() + 8);
        normalized.push(WORD_BEGIN);
        let mut push = |character: char| {
            if character != ' ' {
                normalized.push(character);
            } else if !normalized.ends_with(WORD_BEGIN) {
                normalized.push(WORD_BEGIN);
            }
        };
        for character in text.chars() {
            match self.code_points.binary_search(&u32::from(character)) {
                Err(_) => push(character),
                Ok(index) => {
                    let range = self.replacement_starts[index] as usize..self.replacement_starts[index + 1] as usize;
                    self.replacements[range].iter().copied().filter_map(char::from_u32).for_each(&mut push);
                }
            }
        }
        normalized
    }
}

/// Returns the first index of a range for which the condition does not hold. It holds for all before, for none after.
fn bisect(mut range: Range<usize>, is_before: impl Fn(usize) -> bool) -> usize {
    while !range.is_empty() {
        let middle = range.start + range.len() / 2;
        if is_before(middle) { range.start = middle + 1 } else { range.end = middle }
    }
    range.start
}
