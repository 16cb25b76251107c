//! Chunks that read like the paragraphs of a question set, no two alike.

use super::plan::Random;
use crate::eval::set::Context;

/// Of 100 sentences of a paragraph, so many are of another one.
const STRANGE_SENTENCES: usize = 40;
/// Of 100 words, so many are another one, as often as the set has it.
const STRANGE_WORDS: usize = 8;
/// A chunk of so many bytes takes in no further sentence, about as ingestion does it.
const FULL: usize = 1_000;

/// What chunks are made of.
pub(super) struct Texts {
    paragraphs: Vec<Vec<String>>,
    words: Vec<String>,
}

impl Texts {
    pub(super) fn new(contexts: &[Context]) -> Self {
        let sentences = |context: &Context| context.text.split_inclusive(". ").map(str::to_owned).collect::<Vec<_>>();
        let paragraphs: Vec<_> = contexts.iter().map(sentences).filter(|sentences| !sentences.is_empty()).collect();
        let words = paragraphs.iter().flatten().flat_map(|sentence| sentence.split_whitespace()).map(str::to_owned);
        Self { words: words.collect(), paragraphs }
    }

    /// A paragraph, some of whose sentences and words were exchanged.
    pub(super) fn chunk(&self, random: &mut Random) -> String {
        let mut text = String::new();
        for sentence in self.paragraph(random) {
            if text.len() > FULL {
                break;
            }
            let other = random.percent(STRANGE_SENTENCES).then(|| {
                let paragraph = self.paragraph(random);
                &paragraph[random.below(paragraph.len())]
            });
            for word in other.unwrap_or(sentence).split_whitespace() {
                let word =
                    if random.percent(STRANGE_WORDS) { &self.words[random.below(self.words.len())] } else { word };
                if !text.is_empty() {
                    text.push(' ');
                }
                text.push_str(word);
            }
        }
        text
    }

    fn paragraph(&self, random: &mut Random) -> &[String] {
        &self.paragraphs[random.below(self.paragraphs.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_vary_and_come_again_with_their_seed() {
        let context = |text: &str| Context { id: String::new(), text: text.to_owned(), title: String::new() };
        let long = "The lamp charges in the sun. It shines for nine hours. Keep it dry. Clean it with a cloth.";
        let texts = Texts::new(&[context(long), context("We deliver within three days. Returns are free of charge.")]);
        let chunk = |number| texts.chunk(&mut Random::of(1, "chunk", number));
        assert_eq!(chunk(1), chunk(1));
        let mut all: Vec<_> = (0..100).map(chunk).collect();
        all.sort_unstable();
        all.dedup();
        // Of two short paragraphs some come out alike.
        assert!(all.len() > 80, "{}", all.len());
    }
}
