//! The embedding model multilingual-e5-small inside the process: no key, no network, one file of weights.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use e5::{Model, Purpose};
use tokio::sync::{OnceCell, Semaphore};

use super::{dimensions::SHORT_DIMENSIONS, remote::EmbedError};

/// Number of texts that a process embeds at the same time. Each takes a processor core for up to a tenth of a second.
const MAX_CONCURRENT_TEXTS: usize = 2;
/// Maximum time of waiting for other texts. A Lambda instance serves one request at a time and never waits.
const MAX_WAIT: Duration = Duration::from_secs(8);

/// Permits for embedding a text. First come, first served: a question waits for no more than one text of each of the
/// documents that are being embedded.
static SLOTS: Semaphore = Semaphore::const_new(MAX_CONCURRENT_TEXTS);

/// Embeds by multilingual-e5-small. The file is opened at the first text, and read as far as texts need it.
#[derive(Debug)]
pub struct E5Embedder {
    path: PathBuf,
    model: OnceCell<Arc<Model>>,
}

impl E5Embedder {
    /// Stored model name. Must change with any change that makes new vectors incomparable with older ones.
    pub const MODEL: &str = "e5-small-q4-1";
    /// Weight of vector similarity in the fused score: see [`super::Embedder::vector_weight`].
    pub const VECTOR_WEIGHT: f64 = 1.5;

    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), model: OnceCell::new() }
    }

    /// Returns the vectors of passages.
    pub(super) async fn embed_documents(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let mut vectors = Vec::with_capacity(texts.len());
        for text in texts {
            vectors.push(stored(self.embed(Purpose::Passage, text).await?));
        }
        Ok(vectors)
    }

    /// Returns the vector of a question.
    pub(super) async fn embed_query(&self, question: &str) -> Result<Vec<f32>, EmbedError> {
        Ok(stored(self.embed(Purpose::Query, question).await?))
    }

    /// Returns the cosine of the question's vector with that of each sentence, as the model gives them.
    pub(super) async fn similarities(&self, question: &str, sentences: &[String]) -> Result<Vec<f32>, EmbedError> {
        let question = self.embed(Purpose::Query, question).await?;
        let mut similarities = Vec::with_capacity(sentences.len());
        for sentence in sentences {
            let sentence = self.embed(Purpose::Passage, sentence).await?;
            similarities.push(question.iter().zip(&sentence).map(|(a, b)| a * b).sum());
        }
        Ok(similarities)
    }

    /// Embeds a text on a blocking thread, after those that came before.
    async fn embed(&self, purpose: Purpose, text: &str) -> Result<[f32; SHORT_DIMENSIONS], EmbedError> {
        let slot = tokio::time::timeout(MAX_WAIT, SLOTS.acquire()).await;
        let _slot = slot.or(Err(EmbedError::Busy))?.or(Err(EmbedError::Busy))?;
        let model = self.model.get_or_try_init(async || self.open().await).await?;
        let (model, text) = (Arc::clone(model), text.to_owned());
        let task = tokio::task::spawn_blocking(move || model.embed(purpose, &text));
        Ok(task.await.map_err(EmbedError::Interrupted)??)
    }

    async fn open(&self) -> Result<Arc<Model>, EmbedError> {
        let path = self.path.clone();
        let task = tokio::task::spawn_blocking(move || Model::open(&path));
        Ok(Arc::new(task.await.map_err(EmbedError::Interrupted)??))
    }
}

/// Centers a vector, as it is stored.
fn stored(vector: [f32; SHORT_DIMENSIONS]) -> Vec<f32> {
    e5::center(vector).to_vec()
}
