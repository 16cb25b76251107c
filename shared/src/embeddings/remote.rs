//! Embedding models behind HTTP: Gemini's, and OpenAI-compatible ones (OpenAI, Ollama, vLLM).
//! https://ai.google.dev/api/embeddings, https://platform.openai.com/docs/api-reference/embeddings

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::DIMENSIONS;
use crate::llm::{
    Failure,
    patience::Patience,
    transport::{Next, Transport},
};

/// Texts in one call: Gemini takes no more.
const BATCH: usize = 100;
/// For one batch of a document's passages, repetitions included.
const FOR_A_BATCH: Duration = Duration::from_secs(40);
/// For a question, whose answer has 25 s in all.
const FOR_A_QUESTION: Duration = Duration::from_secs(8);

/// Between two attempts that nobody waits for, without what the provider asks for.
const A_WHILE: Duration = Duration::from_secs(5);

/// A model.
#[derive(Debug)]
pub struct Model {
    wire: Wire,
    id: String,
    name: String,
    base_url: String,
    key: Option<HeaderValue>,
    /// What is asked for; none where the model decides.
    dimensions: Option<usize>,
    transport: Transport,
}

/// Which shape it speaks.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wire {
    Gemini,
    OpenAiCompatible,
}

/// What a text is embedded for.
#[derive(Debug, Clone, Copy)]
enum Task {
    Document,
    Query,
}

/// Why there is no vector.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    /// The call to the model failed.
    #[error("the embedding model did not answer")]
    Failed(#[source] Failure),
    /// The vectors are not the ones that were asked for.
    #[error("the embedding model's answer cannot be used: {0}")]
    Unusable(String),
    /// The settings name no provider that has the model.
    #[error("the embedding model is not within reach of these settings")]
    OutOfReach,
}

impl EmbedError {
    /// How long to wait for another attempt, where one may help: what the provider asks for, or some seconds.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let Self::Failed(failure) = self else { return None };
        self.passes().then(|| failure.retry_after().unwrap_or(A_WHILE))
    }

    /// Whether there may be a vector in a moment.
    pub(super) fn passes(&self) -> bool {
        match self {
            Self::Failed(failure) => matches!(failure, Failure::TimedOut) || failure.next() == Next::Retry,
            Self::Unusable(_) | Self::OutOfReach => false,
        }
    }
}

impl Model {
    pub(super) fn new(
        wire: Wire,
        id: String,
        base_url: String,
        key: Option<HeaderValue>,
        dimensions: Option<usize>,
    ) -> Self {
        let provider = match wire {
            Wire::Gemini => "gemini",
            Wire::OpenAiCompatible => "openai",
        };
        // The same model's vectors of another length do not compare either.
        let length = dimensions.filter(|dimensions| *dimensions != DIMENSIONS);
        let name = length.map_or_else(|| format!("{provider}:{id}"), |length| format!("{provider}:{id}@{length}"));
        Self { wire, id, name, base_url, key, dimensions, transport: Transport::new() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) async fn embed_documents(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in texts.chunks(BATCH) {
            let texts: Vec<_> = batch.iter().map(String::as_str).collect();
            vectors.extend(self.embed(&texts, Task::Document, FOR_A_BATCH).await?);
        }
        Ok(vectors)
    }

    pub(super) async fn embed_query(&self, question: &str) -> Result<Vec<f32>, EmbedError> {
        let mut vectors = self.embed(&[question], Task::Query, FOR_A_QUESTION).await?;
        vectors.pop().ok_or_else(|| EmbedError::Unusable("there is no vector".to_owned()))
    }

    async fn embed(&self, texts: &[&str], task: Task, time: Duration) -> Result<Vec<Vec<f32>>, EmbedError> {
        let (path, body) = match self.wire {
            Wire::Gemini => (format!("/models/{}:batchEmbedContents", self.id), self.gemini(texts, task)),
            Wire::OpenAiCompatible => ("/embeddings".to_owned(), self.openai(texts)),
        };
        let url = format!("{}{path}", self.base_url);
        let mut patience = Patience::until(Instant::now() + time);
        let vectors = loop {
            let limit = patience.limit().map_err(EmbedError::Failed)?;
            let reply = self.transport.post(&url, self.headers(), &body, limit).await;
            match reply.and_then(|reply| self.read(reply)) {
                Ok(vectors) => break vectors,
                Err(failure) => patience.after(failure).await.map_err(EmbedError::Failed)?,
            }
        };
        if vectors.len() != texts.len() {
            return Err(EmbedError::Unusable(format!("{} vectors for {} texts", vectors.len(), texts.len())));
        }
        vectors.into_iter().map(|vector| self.fit(vector)).collect()
    }

    fn read(&self, reply: Value) -> Result<Vec<Vec<f32>>, Failure> {
        let vectors = match self.wire {
            Wire::Gemini => serde_json::from_value::<Gemini>(reply).map(Gemini::vectors),
            Wire::OpenAiCompatible => serde_json::from_value::<OpenAi>(reply).map(OpenAi::vectors),
        };
        vectors.or(Err(Failure::Malformed("it has no vectors")))
    }

    fn gemini(&self, texts: &[&str], task: Task) -> Value {
        let task = match task {
            Task::Document => "RETRIEVAL_DOCUMENT",
            Task::Query => "RETRIEVAL_QUERY",
        };
        let requests = texts.iter().map(|text| {
            json!({
                "model": format!("models/{}", self.id),
                "content": { "parts": [{ "text": text }] },
                "taskType": task,
                "outputDimensionality": self.dimensions,
            })
        });
        json!({ "requests": requests.collect::<Vec<_>>() })
    }

    fn openai(&self, texts: &[&str]) -> Value {
        let mut body = json!({ "model": self.id, "input": texts, "encoding_format": "float" });
        if let Some(dimensions) = self.dimensions {
            body["dimensions"] = json!(dimensions);
        }
        body
    }

    fn headers(&self) -> HeaderMap {
        let name = match self.wire {
            Wire::Gemini => HeaderName::from_static("x-goog-api-key"),
            Wire::OpenAiCompatible => header::AUTHORIZATION,
        };
        self.key.iter().map(|key| (name.clone(), key.clone())).collect()
    }

    /// The vector with length 1 and [`DIMENSIONS`] numbers: zeros at the end of a shorter one change no cosine, but to
    /// cut a longer one would. A length that was not asked for is refused: it is another model's.
    fn fit(&self, mut vector: Vec<f32>) -> Result<Vec<f32>, EmbedError> {
        let found = vector.len();
        if found > DIMENSIONS || self.dimensions.is_some_and(|wanted| wanted != found) {
            let wanted = self.dimensions.map_or_else(|| format!("at most {DIMENSIONS}"), |wanted| wanted.to_string());
            return Err(EmbedError::Unusable(format!("a vector of {found} numbers instead of {wanted}")));
        }
        let norm = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        if !norm.is_normal() {
            return Err(EmbedError::Unusable("a vector without direction".to_owned()));
        }
        vector.iter_mut().for_each(|value| *value /= norm);
        vector.resize(DIMENSIONS, 0.0);
        Ok(vector)
    }
}

#[derive(Deserialize)]
struct Gemini {
    embeddings: Vec<Values>,
}

#[derive(Deserialize)]
struct Values {
    values: Vec<f32>,
}

impl Gemini {
    fn vectors(self) -> Vec<Vec<f32>> {
        self.embeddings.into_iter().map(|embedding| embedding.values).collect()
    }
}

#[derive(Deserialize)]
struct OpenAi {
    data: Vec<Embedding>,
}

#[derive(Deserialize)]
struct Embedding {
    /// The place of its text; servers may answer in another order.
    #[serde(default)]
    index: usize,
    embedding: Vec<f32>,
}

impl OpenAi {
    fn vectors(mut self) -> Vec<Vec<f32>> {
        // Stable: where all say 0 they are in order.
        self.data.sort_by_key(|embedding| embedding.index);
        self.data.into_iter().map(|embedding| embedding.embedding).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(dimensions: Option<usize>) -> Model {
        Model::new(Wire::OpenAiCompatible, "m".to_owned(), "http://127.0.0.1:1".to_owned(), None, dimensions)
    }

    #[test]
    fn a_short_vector_is_normalised_and_padded() {
        let vector = model(None).fit(vec![3.0, 4.0]).unwrap();
        assert_eq!((vector.len(), &vector[..3]), (DIMENSIONS, &[0.6, 0.8, 0.0][..]));
    }

    #[test]
    fn what_is_too_long_or_not_as_asked_or_without_direction_is_refused() {
        assert!(model(None).fit(vec![1.0; DIMENSIONS + 1]).is_err());
        assert!(model(Some(3)).fit(vec![1.0; 2]).is_err());
        assert!(model(Some(2)).fit(vec![1.0; 2]).is_ok());
        for nowhere in [vec![], vec![0.0; 4], vec![f32::NAN, 1.0], vec![f32::INFINITY, 1.0]] {
            assert!(model(None).fit(nowhere).is_err());
        }
    }

    #[test]
    fn vectors_are_put_in_the_order_of_their_texts() {
        let reply = json!({ "data": [{ "index": 1, "embedding": [2.0] }, { "index": 0, "embedding": [1.0] }] });
        assert_eq!(serde_json::from_value::<OpenAi>(reply).unwrap().vectors(), [[1.0], [2.0]]);
    }

    #[test]
    fn gemini_is_told_what_a_text_is_embedded_for() {
        let model = Model::new(Wire::Gemini, "g".to_owned(), String::new(), None, Some(1536));
        let body = model.gemini(&["a"], Task::Query);
        assert_eq!(
            body["requests"][0],
            json!({ "model": "models/g", "content": { "parts": [{ "text": "a" }] }, "taskType": "RETRIEVAL_QUERY",
                "outputDimensionality": 1536 })
        );
        assert_eq!(model.gemini(&["a"], Task::Document)["requests"][0]["taskType"], "RETRIEVAL_DOCUMENT");
    }
}
