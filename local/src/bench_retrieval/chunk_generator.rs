//! Generates chunks that resemble the paragraphs of a question set, each different.

use crate::{eval::set::SetParagraph, random::SplitMix64};

/// The percentage of sentences taken from another paragraph.
const REPLACED_SENTENCES_PERCENT: usize = 40;
/// The percentage of words replaced by a random word of the set, in proportion to its frequency.
const REPLACED_WORDS_PERCENT: usize = 8;
/// The size in bytes from which a chunk takes no further sentence, close to ingestion's chunk size.
const FULL_CHUNK_BYTES: usize = 1_000;

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
    pub(super) fn chunk(&self, random: &mut SplitMix64) -> String {
        let mut text = String::new();
        for sentence in self.paragraph(random) {
            if text.len() > FULL_CHUNK_BYTES {
                break;
            }
            let other = random.percent(REPLACED_SENTENCES_PERCENT).then(|| {
                let paragraph = self.paragraph(random);
                &paragraph[random.below(paragraph.len())]
            });
            for word in other.unwrap_or(sentence).split_whitespace() {
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
        text
    }

    fn paragraph(&self, random: &mut SplitMix64) -> &[String] {
        &self.paragraphs[random.below(self.paragraphs.len())]
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
        let chunk = |number| texts.chunk(&mut SplitMix64::for_object(1, "chunk", number));
        assert_eq!(chunk(1), chunk(1));
        let mut all: Vec<_> = (0..100).map(chunk).collect();
        all.sort_unstable();
        all.dedup();
        // Two short paragraphs give some equal chunks.
        assert!(all.len() > 80, "{}", all.len());
    }
}
