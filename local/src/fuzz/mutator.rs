//! Mutations of inputs: bytes, pieces, words of the corpus, and parts of two inputs put together.

use std::collections::BTreeSet;

use crate::random::SplitMix64;

/// The longest input, in bytes.
pub(super) const MAX_INPUT_BYTES: usize = 16 * 1024;
/// Mutations of one input at most.
const MAX_STEPS: usize = 8;
/// Words of the corpus that are kept.
const MAX_WORDS: usize = 2_000;

/// Byte sequences that parsers often handle wrongly.
const PIECES: [&[u8]; 26] = [
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b"\xc3",
    b"\xe2\x80\xae",
    b"\r\n",
    b"\x0c",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"{",
    b"[",
    b"}",
    b"]",
    b",",
    b";",
    b"\t",
    b"=",
    b".",
    b"-1",
    b"0",
    b"1e999",
    b"18446744073709551616",
    b"null",
];

/// A source of mutated inputs.
pub(super) struct Mutator {
    random: SplitMix64,
    words: Vec<Vec<u8>>,
}

impl Mutator {
    pub(super) fn new(seed: u64, corpus: &[Vec<u8>]) -> Self {
        let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80;
        let words = corpus.iter().flat_map(|input| input.split(|byte| !is_letter(byte)));
        let words: BTreeSet<_> = words.filter(|word| (1..=64).contains(&word.len())).map(<[u8]>::to_vec).collect();
        Self { random: SplitMix64::new(seed), words: words.into_iter().take(MAX_WORDS).collect() }
    }

    /// Returns a mutation of one of the inputs, which must not be none.
    pub(super) fn mutate(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = corpus[self.random.below(corpus.len())].clone();
        for _ in 0..=self.random.below(MAX_STEPS) {
            self.step(&mut input, corpus);
            input.truncate(MAX_INPUT_BYTES);
        }
        input
    }

    fn step(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = self.random.below(input.len() + 1);
        match self.random.below(10) {
            0 if at < input.len() => input[at] ^= 1 << self.random.below(8),
            1 if at < input.len() => input[at] = self.byte(),
            2 => {
                let (from, to) = self.range(input.len());
                input.drain(from..to);
            }
            3 => {
                let (from, to) = self.range(input.len());
                let copy = input[from..to].to_vec();
                input.splice(at..at, copy);
            }
            4 => {
                let piece = PIECES[self.random.below(PIECES.len())].repeat(self.count());
                input.splice(at..at, piece);
            }
            5 if !self.words.is_empty() => {
                let word = self.words[self.random.below(self.words.len())].clone();
                input.splice(at..at, word);
            }
            6 => {
                let other = &corpus[self.random.below(corpus.len())];
                let from = self.random.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            7 => input.truncate(at),
            8 => {
                let (from, to) = self.range(input.len());
                input[from..to].reverse();
            }
            _ => {
                let byte = self.byte();
                let bytes = vec![byte; self.count()];
                input.splice(at..at, bytes);
            }
        }
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.random.below(256)).unwrap_or_default()
    }

    /// Draws a number of repetitions: mostly 1, sometimes below 64, rarely below 5,000.
    fn count(&mut self) -> usize {
        match self.random.below(20) {
            0 => self.random.below(5_000),
            1..4 => self.random.below(64),
            _ => 1,
        }
    }

    /// Draws a range of positions in an input of `length` bytes: its start and its end.
    fn range(&mut self, length: usize) -> (usize, usize) {
        let (one, other) = (self.random.below(length + 1), self.random.below(length + 1));
        (one.min(other), one.max(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mutations_of_a_seed_are_always_the_same_and_stay_within_the_limit() {
        let corpus = vec![b"{\"id\": 1}".to_vec(), vec![b'x'; MAX_INPUT_BYTES]];
        let inputs = |seed| {
            let mut mutator = Mutator::new(seed, &corpus);
            (0..200).map(|_| mutator.mutate(&corpus)).collect::<Vec<_>>()
        };
        assert_eq!(inputs(7), inputs(7));
        assert_ne!(inputs(7), inputs(8));
        assert!(inputs(7).iter().all(|input| input.len() <= MAX_INPUT_BYTES));
    }
}
