//! Vectors of chunks and questions. Vectors of different models are never compared: each is stored
//! with the [`Embedder::model`] it came from.

mod choice;
mod features;
mod local;
pub(crate) mod words;

pub use local::LocalEmbedder;

/// The length of every vector, as the database's column has it.
pub const DIMENSIONS: usize = 1536;

/// Whatever makes the vectors.
#[derive(Clone, Debug)]
pub enum Embedder {
    /// Without a model: see [`LocalEmbedder`].
    Local(LocalEmbedder),
}

/// Why there is no vector. The local embedder always has one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbedError {}

impl Embedder {
    /// Returns the name that is stored with each vector.
    pub fn model(&self) -> &str {
        match self {
            Self::Local(_) => LocalEmbedder::MODEL,
        }
    }

    /// Returns one vector a text, of [`DIMENSIONS`] numbers and length 1.
    pub async fn embed_documents(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        match self {
            Self::Local(local) => Ok(texts.iter().map(|text| local.embed_document(text)).collect()),
        }
    }

    /// Returns the vector of a question, to be compared with those of documents by cosine.
    pub async fn embed_query(&self, question: &str) -> Result<Vec<f32>, EmbedError> {
        match self {
            Self::Local(local) => Ok(local.embed_query(question)),
        }
    }
}
