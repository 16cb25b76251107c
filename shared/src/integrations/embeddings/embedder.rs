//! The source of embedding vectors, local or remote.

use std::sync::Arc;

use super::{
    dimensions::{DIMENSIONS, SHORT_DIMENSIONS},
    e5::E5Embedder,
    local::LocalEmbedder,
    remote::{EmbedError, RemoteEmbedder},
};
use crate::llm::ModelCall;

/// A source of embedding vectors.
#[derive(Clone, Debug)]
pub enum Embedder {
    /// Feature hashing without a model: see [`LocalEmbedder`].
    Local(LocalEmbedder),
    /// multilingual-e5-small inside the process: see [`E5Embedder`].
    E5(Arc<E5Embedder>),
    /// An embedding model behind HTTP.
    Remote(Arc<RemoteEmbedder>),
    /// A stored model name whose provider the settings do not configure. Every call fails.
    NotConfigured(Arc<str>),
}

impl Embedder {
    /// Returns the model name that is stored with each vector.
    pub fn model(&self) -> &str {
        match self {
            Self::Local(_) => LocalEmbedder::MODEL,
            Self::E5(_) => E5Embedder::MODEL,
            Self::Remote(model) => model.name(),
            Self::NotConfigured(name) => name,
        }
    }

    /// Returns true when embedding costs nothing.
    #[must_use]
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Local(_) | Self::E5(_))
    }

    /// Returns the weight of vector similarity in the fused score of [`crate::retrieval`], where full-text rank and
    /// n-gram BM25 weigh 1 each. Measured by `cargo eval` (docs/BENCHMARKS.md).
    pub fn vector_weight(&self) -> f64 {
        match self {
            Self::Local(_) => 0.5,
            Self::E5(_) => E5Embedder::VECTOR_WEIGHT,
            Self::Remote(_) | Self::NotConfigured(_) => 1.25,
        }
    }

    /// Returns true when calls of the model may cost something.
    pub fn is_billed(&self) -> bool {
        matches!(self, Self::Remote(_))
    }

    /// Returns the zero vector, whose cosine with any vector is undefined, so that no chunk is near.
    #[must_use]
    pub fn zero_vector(&self) -> Vec<f32> {
        let dimensions = if matches!(self, Self::E5(_)) { SHORT_DIMENSIONS } else { DIMENSIONS };
        vec![0.0; dimensions]
    }

    /// Returns one vector per text, of norm 1 and of the length of [`Embedder::zero_vector`]. Appends the
    /// calls made to `calls`, failed ones too, for the cost ledger.
    ///
    /// # Errors
    /// Fails when the model's provider fails or is not configured, or when the model's file cannot be used. The local
    /// embedder never fails.
    pub async fn embed_documents(
        &self,
        texts: &[String],
        calls: &mut Vec<ModelCall>,
    ) -> Result<Vec<Vec<f32>>, EmbedError> {
        match self {
            Self::Local(local) => Ok(texts.iter().map(|text| local.embed_document(text)).collect()),
            Self::E5(model) => Box::pin(model.embed_documents(texts)).await,
            Self::Remote(model) => Box::pin(model.embed_documents(texts, calls)).await,
            Self::NotConfigured(_) => Err(EmbedError::NotConfigured),
        }
    }

    /// Returns the vector of a question, for comparison with document vectors by cosine. Appends the calls made to
    /// `calls`, failed ones too, for the cost ledger.
    ///
    /// # Errors
    /// Fails when the model's provider fails or is not configured, or when the model's file cannot be used. The local
    /// embedder never fails.
    pub async fn embed_query(&self, question: &str, calls: &mut Vec<ModelCall>) -> Result<Vec<f32>, EmbedError> {
        match self {
            Self::Local(local) => Ok(local.embed_query(question)),
            Self::E5(model) => Box::pin(model.embed_query(question)).await,
            Self::Remote(model) => Box::pin(model.embed_query(question, calls)).await,
            Self::NotConfigured(_) => Err(EmbedError::NotConfigured),
        }
    }

    /// Returns the cosine of a question with each of some sentences, in their order. The cosines are those of the model
    /// itself, not of stored vectors: those of multilingual-e5-small lie between .7 and .95. `None` for an embedder
    /// whose cosines do not tell what a sentence means, or whose calls cost something.
    ///
    /// # Errors
    /// Fails when the model's file cannot be used.
    pub async fn similarities(&self, question: &str, sentences: &[String]) -> Result<Option<Vec<f32>>, EmbedError> {
        match self {
            Self::E5(model) => Ok(Some(Box::pin(model.similarities(question, sentences)).await?)),
            Self::Local(_) | Self::Remote(_) | Self::NotConfigured(_) => Ok(None),
        }
    }
}
