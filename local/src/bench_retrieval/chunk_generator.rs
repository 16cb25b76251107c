//! Generates chunks that resemble the paragraphs of a question set, each different.

use crate::{eval::set::SetParagraph, random::SplitMix64};

/// The percentage of sentences taken from another paragraph.
const REPLACED_SENTENCES_PERCENT: usize = 40;
/// The percentage of words replaced by a random word of the set, in proportion to its frequency.
const REPLACED_WORDS_PERCENT: usize = 8;
/// The size in bytes from which a chunk takes no further sentence, close to ingestion's chunk size.
const FULL_CHUNK_BYTES: usize = 1_000;

/// A generated chunk.
pub(super) struct GeneratedChunk {
    pub(super) text: String,
    /// The paragraphs of its sentences, with the number of words that came from each. A paragraph can occur twice.
    pub(super) sources: Vec<(usize, usize)>,
}

/// The sentences and words that chunks are generated from.
pub(super) struct ChunkGenerator {
    paragraphs: Vec<Vec<String>>,
    words: Vec<String>,
}

impl ChunkGenerator {
    pub(super) fn new(contexts: &[SetParagraph]) -> Self {
        let sentences =
            |context: &SetParagraph| context.text.split_inclusive(". ").map(str::to_owned).collect::<Vec<_>>();
        let paragraphs: Vec<_> = contexts.iter().map(sentences).filter(|sentences| !sentences.is_empty()).collect();
        let words = paragraphs.iter().flatten().flat_map(|sentence| sentence.split_whitespace()).map(str::to_owned);
        Self { words: words.collect(), paragraphs }
    }

    /// Generates a chunk: a paragraph with some sentences and words replaced.
    pub(super) fn chunk(&self, random: &mut SplitMix64) -> GeneratedChunk {
        let mut text = String::new();
        let mut sources = Vec::new();
        let first = random.below(self.paragraphs.len());
        for sentence in &self.paragraphs[first] {
            if text.len() > FULL_CHUNK_BYTES {
                break;
            }
            let other = random.percent(REPLACED_SENTENCES_PERCENT).then(|| {
                let place = random.below(self.paragraphs.len());
                let paragraph = &self.paragraphs[place];
                (place, &paragraph[random.below(paragraph.len())])
            });
            let (source, sentence) = other.unwrap_or((first, sentence));
            sources.push((source, sentence.split_whitespace().count()));
            for word in sentence.split_whitespace() {
                let word = if random.percent(REPLACED_WORDS_PERCENT) {
                    &self.words[random.below(self.words.len())]
                } else {
                    word
                };
                if !text.is_empty() {
                    text.push(' ');
                }
                text.push_str(word);
            }
        }
        GeneratedChunk { text, sources }
    }

    /// The texts of the paragraphs, in the order of [`GeneratedChunk::sources`].
    pub(super) fn paragraphs(&self) -> impl Iterator<Item = String> {
        self.paragraphs.iter().map(|sentences| sentences.concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_vary_and_are_reproducible_by_seed() {
        let context = |text: &str| SetParagraph { id: String::new(), text: text.to_owned(), title: String::new() };
        let long = "The lamp charges in the sun. It shines for nine hours. Keep it dry. Clean it with a cloth.";
        let texts =
            ChunkGenerator::new(&[context(long), context("We deliver within three days. Returns are free of charge.")]);
        let chunk = |number| texts.chunk(&mut SplitMix64::for_object(1, "chunk", number)).text;
        assert_eq!(chunk(1), chunk(1));
        let mut all: Vec<_> = (0..100).map(chunk).collect();
        all.sort_unstable();
        all.dedup();
        // Two short paragraphs give some equal chunks.
        assert!(all.len() > 80, "{}", all.len());
    }
}
