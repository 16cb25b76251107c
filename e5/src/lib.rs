//! The embedding model multilingual-e5-small (MIT, <https://huggingface.co/intfloat/multilingual-e5-small>) on one
//! core, with weights of four bits from a packed file (`scripts/fetch-e5.sh`).
//!
//! Words are read from the file as they are needed; everything else, 17 MB, is in memory after [`Model::open`].

mod encoder;
mod file;
mod math;
mod matrix;
mod tokenizer;

use std::path::Path;

use encoder::Encoder;
pub use file::ModelError;
use file::ModelFile;
pub use matrix::Instructions;
use tokenizer::Tokenizer;

/// Number of dimensions of every vector.
pub const DIMENSIONS: usize = 384;

/// Most tokens that the model reads at once, without the two that mark begin and end.
const MAX_WINDOW_TOKENS: usize = 510;
/// Most windows of one text. The rest of a longer text has no influence: each window takes up to 0.3 s.
const MAX_WINDOWS: usize = 4;

/// The use of a text, which the model was trained to tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A question, or a sentence that is compared with another one.
    Query,
    /// A passage that questions are compared with.
    Passage,
}

impl Purpose {
    /// The words that the model expects before a text.
    fn prefix(self) -> &'static str {
        match self {
            Self::Query => "query: ",
            Self::Passage => "passage: ",
        }
    }
}

/// The model, opened from its file.
#[derive(Debug)]
pub struct Model {
    file: ModelFile,
    tokenizer: Tokenizer,
    encoder: Encoder,
}

impl Model {
    /// Opens the file and reads everything but the words' vectors. Takes about 20 ms when the file is in the page
    /// cache. Uses the best instructions that the processor has.
    ///
    /// # Errors
    /// Fails when the file is missing, cut, or not the one that this version expects.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        Self::open_with(path, Instructions::detect())
    }

    /// Opens the file as [`Model::open`] does, and uses the given instructions.
    ///
    /// # Errors
    /// Fails as [`Model::open`] does.
    pub fn open_with(path: &Path, instructions: Instructions) -> Result<Self, ModelError> {
        let mut file = ModelFile::open(path)?;
        let tokenizer = Tokenizer::read(&mut file)?;
        let encoder = Encoder::read(&mut file, instructions)?;
        Ok(Self { file, tokenizer, encoder })
    }

    /// Returns the vector of a text, of norm 1. A text whose characters are mostly of scripts that the file does not
    /// have gets the zero vector, which is near to nothing.
    ///
    /// # Errors
    /// Fails when the file cannot be read any more.
    pub fn embed(&self, purpose: Purpose, text: &str) -> Result<[f32; DIMENSIONS], ModelError> {
        let prefix = self.tokenizer.tokens(purpose.prefix());
        let mut tokens = self.tokenizer.tokens(&format!("{}{}", purpose.prefix(), text.trim()));
        tokens.truncate(MAX_WINDOWS * MAX_WINDOW_TOKENS);
        let unknown = tokens.iter().filter(|token| **token == self.tokenizer.unknown()).count();
        let mut sum = [0.0; DIMENSIONS];
        if unknown * 2 > tokens.len().saturating_sub(prefix.len()) {
            return Ok(sum);
        }
        let words = self.file.words();
        for window in tokens.chunks(MAX_WINDOW_TOKENS) {
            let ids = [&[self.tokenizer.begin()], window, &[self.tokenizer.end()]].concat();
            let mean = self.encoder.mean_of_window(ids.into_iter().map(|id| words.row(id)))?;
            // The windows count by their tokens, as if the mean were over the whole text.
            sum.iter_mut().zip(mean).for_each(|(sum, value)| *sum += value * window.len() as f32);
        }
        math::normalize(&mut sum);
        Ok(sum)
    }

    /// Returns the number of tokens of a text with its prefix, without the two that mark begin and end.
    #[must_use]
    pub fn count_tokens(&self, purpose: Purpose, text: &str) -> usize {
        self.tokenizer.tokens(&format!("{}{}", purpose.prefix(), text.trim())).len()
    }
}
