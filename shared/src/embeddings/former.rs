//! The embedder of a tenant: the one that is set, or, until the tenant's chunks are embedded anew, the one that they were
//! embedded by.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{DIMENSIONS, EmbedError, Embedder, choice::Providers};
use crate::{logging, settings::Settings};

/// The embedder that is set, and those that the same settings still reach.
#[derive(Debug, Clone)]
pub struct Embedders {
    current: Embedder,
    former: Arc<Former>,
}

#[derive(Debug)]
struct Former {
    providers: Providers,
    /// By their names: a client that was made is kept.
    made: Mutex<HashMap<String, Embedder>>,
}

impl Embedders {
    /// Reads what [`Embedder::read`] reads.
    pub fn read(settings: &mut Settings) -> Self {
        let (current, providers) = Embedder::read_with_providers(settings);
        Self { current, former: Arc::new(Former { providers, made: Mutex::default() }) }
    }

    /// The one that is set.
    #[must_use]
    pub fn current(&self) -> &Embedder {
        &self.current
    }

    /// The one that has this stored name.
    #[must_use]
    pub fn named(&self, model: &str) -> Embedder {
        if model == self.current.model() {
            return self.current.clone();
        }
        let mut made = self.former.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.entry(model.to_owned()).or_insert_with(|| self.former.providers.named(model)).clone()
    }

    /// As [`Embedder::embed_documents`], by the model of this name. One that is no longer set and will not answer again
    /// gives vectors without direction: full text finds the documents until they are embedded anew.
    ///
    /// # Errors
    /// As there.
    pub async fn embed_documents(&self, model: &str, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        match self.named(model).embed_documents(texts).await {
            Err(error) if model != self.current.model() && !error.passes() => {
                self.warn(model, &error);
                Ok(vec![nowhere(); texts.len()])
            }
            outcome => outcome,
        }
    }

    /// As [`Embedder::embed_query`], by the model of this name. One that is no longer set and fails gives a vector without
    /// direction: full text goes on finding.
    ///
    /// # Errors
    /// As there.
    pub async fn embed_query(&self, model: &str, question: &str) -> Result<Vec<f32>, EmbedError> {
        match self.named(model).embed_query(question).await {
            Err(error) if model != self.current.model() => {
                self.warn(model, &error);
                Ok(nowhere())
            }
            outcome => outcome,
        }
    }

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

fn nowhere() -> Vec<f32> {
    vec![0.0; DIMENSIONS]
}
