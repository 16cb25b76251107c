//! Embedders by model name. A tenant uses the configured embedder, or its previous one until its chunks are
//! reembedded.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{config::EmbeddingProviders, embedder::Embedder, remote::EmbedError};
use crate::{llm::ModelCall, logging, settings::Settings};

/// The configured embedder, and the embedders of other models that the settings configure a provider for.
#[derive(Debug, Clone)]
pub struct EmbedderRegistry {
    current: Embedder,
    others: Arc<OtherEmbedders>,
}

/// Embedders of models other than the configured one.
#[derive(Debug)]
struct OtherEmbedders {
    providers: EmbeddingProviders,
    /// Embedders by model name. Each is kept once made, with its HTTP client.
    embedders: Mutex<HashMap<String, Embedder>>,
}

impl EmbedderRegistry {
    /// Reads the settings that [`Embedder::read`] reads.
    pub fn read(settings: &mut Settings) -> Self {
        let (current, providers) = Embedder::read_with_providers(settings);
        Self { current, others: Arc::new(OtherEmbedders { providers, embedders: Mutex::default() }) }
    }

    /// Returns the configured embedder.
    #[must_use]
    pub fn current(&self) -> &Embedder {
        &self.current
    }

    /// Returns the embedder of a stored model name.
    #[must_use]
    pub fn for_model(&self, model: &str) -> Embedder {
        if model == self.current.model() {
            return self.current.clone();
        }
        let mut embedders = self.others.embedders.lock().unwrap_or_else(PoisonError::into_inner);
        embedders.entry(model.to_owned()).or_insert_with(|| self.others.providers.embedder_for(model)).clone()
    }

    /// Embeds texts by the model of this name, as [`Embedder::embed_documents`] does. A permanent failure of a model
    /// that is no longer configured gives zero vectors: full text finds the chunks until they are reembedded.
    ///
    /// # Errors
    /// Fails when the configured model fails, or when another one fails transiently.
    pub async fn embed_documents(
        &self,
        model: &str,
        texts: &[String],
        calls: &mut Vec<ModelCall>,
    ) -> Result<Vec<Vec<f32>>, EmbedError> {
        match self.for_model(model).embed_documents(texts, calls).await {
            Err(error) if model != self.current.model() && !error.is_transient() => {
                self.warn(model, &error);
                Ok(vec![self.for_model(model).zero_vector(); texts.len()])
            }
            outcome => outcome,
        }
    }

    /// Embeds a question by the model of this name, as [`Embedder::embed_query`] does. Any failure of a model that is
    /// no longer configured gives a zero vector: the search then ranks by full text alone.
    ///
    /// # Errors
    /// Fails when the configured model fails.
    pub async fn embed_query(
        &self,
        model: &str,
        question: &str,
        calls: &mut Vec<ModelCall>,
    ) -> Result<Vec<f32>, EmbedError> {
        match self.for_model(model).embed_query(question, calls).await {
            Err(error) if model != self.current.model() => {
                self.warn(model, &error);
                Ok(self.for_model(model).zero_vector())
            }
            outcome => outcome,
        }
    }

    /// Logs that a model which is no longer configured failed.
    fn warn(&self, model: &str, error: &EmbedError) {
        let current = self.current.model();
        tracing::warn!(
            model,
            current,
            error = logging::chain(error),
            "full text alone, until the tenant's chunks are embedded anew"
        );
    }
}
