//! Vectors of chunks and questions. Vectors of different models are never compared: each is stored
//! with the [`Embedder::model`] it came from.

mod choice;
mod features;
mod former;
mod local;
mod remote;
pub(crate) mod words;

use std::sync::Arc;

pub use former::Embedders;
pub use local::LocalEmbedder;
pub use remote::EmbedError;

/// The length of every vector, as the database's column has it.
pub const DIMENSIONS: usize = 1536;

/// Whatever makes the vectors.
#[derive(Clone, Debug)]
pub enum Embedder {
    /// Without a model: see [`LocalEmbedder`].
    Local(LocalEmbedder),
    /// A model behind HTTP.
    Model(Arc<remote::Model>),
    /// A model, by its stored name, whose provider these settings do not reach.
    OutOfReach(Arc<str>),
}

impl Embedder {
    /// Returns the name that is stored with each vector.
    pub fn model(&self) -> &str {
        match self {
            Self::Local(_) => LocalEmbedder::MODEL,
            Self::Model(model) => model.name(),
            Self::OutOfReach(name) => name,
        }
    }

    /// Returns what the nearest vector counts in [`crate::retrieval`], against 1 each for the best by words and by their
    /// parts. Measured by `cargo eval` (docs/BENCHMARKS.md).
    pub fn vector_weight(&self) -> f64 {
        match self {
            Self::Local(_) => 0.5,
            Self::Model(_) | Self::OutOfReach(_) => 1.25,
        }
    }

    /// Returns one vector a text, of [`DIMENSIONS`] numbers and length 1.
    ///
    /// # Errors
    /// Those of the model's provider. The local embedder always has a vector.
    pub async fn embed_documents(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        match self {
            Self::Local(local) => Ok(texts.iter().map(|text| local.embed_document(text)).collect()),
            Self::Model(model) => Box::pin(model.embed_documents(texts)).await,
            Self::OutOfReach(_) => Err(EmbedError::OutOfReach),
        }
    }

    /// Returns the vector of a question, to be compared with those of documents by cosine.
    ///
    /// # Errors
    /// As [`Embedder::embed_documents`].
    pub async fn embed_query(&self, question: &str) -> Result<Vec<f32>, EmbedError> {
        match self {
            Self::Local(local) => Ok(local.embed_query(question)),
            Self::Model(model) => Box::pin(model.embed_query(question)).await,
            Self::OutOfReach(_) => Err(EmbedError::OutOfReach),
        }
    }
}
