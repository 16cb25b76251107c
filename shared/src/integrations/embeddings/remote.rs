//! Embedding models behind HTTP: Gemini, and OpenAI-compatible servers (OpenAI, Ollama, vLLM).
//! <https://ai.google.dev/api/embeddings>, <https://platform.openai.com/docs/api-reference/embeddings>

use std::time::Duration;

use e5::ModelError;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{task::JoinError, time::Instant};

use super::dimensions::DIMENSIONS;
use crate::{
    llm::{ModelCall, Usage},
    model_api::{CallStatus, ModelPrices, ModelSpan, ProviderError, RetryBudget, RetryDecision, Transport},
};

/// Most texts in one call, as Gemini limits them.
const MAX_TEXTS_PER_CALL: usize = 100;
/// Time for one batch of a document's passages, retries included.
const BATCH_TIMEOUT: Duration = Duration::from_secs(40);
/// Time for a question, retries included. The whole answer has 25 s.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(8);

/// Delay before a retry of background work when the provider names none.
const DEFAULT_RETRY_DELAY: Duration = Duration::from_secs(5);

/// An embedding model behind HTTP.
#[derive(Debug)]
pub struct RemoteEmbedder {
    api: EmbeddingApi,
    id: String,
    name: String,
    base_url: String,
    key: Option<HeaderValue>,
    /// Dimensions that are requested; `None` leaves them to the model.
    dimensions: Option<usize>,
    prices: ModelPrices,
    transport: Transport,
}

/// The request and response format of a provider's embedding API.
#[derive(Debug, Clone, Copy)]
pub(super) enum EmbeddingApi {
    Gemini,
    OpenAiCompatible,
}

impl EmbeddingApi {
    /// Name of the provider, in stored model names and in the cost ledger.
    fn provider(self) -> &'static str {
        match self {
            Self::Gemini => "gemini",
            Self::OpenAiCompatible => "openai",
        }
    }
}

/// The purpose of an embedding, as Gemini's `taskType` distinguishes them.
#[derive(Debug, Clone, Copy)]
enum EmbeddingTask {
    Document,
    Query,
}

/// A failure to embed.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    /// The call to the model failed.
    #[error("the embedding model did not answer")]
    Failed(#[source] ProviderError),
    /// The response has vectors of the wrong number or length.
    #[error("the embedding model's answer cannot be used: {0}")]
    InvalidResponse(String),
    /// The file of the model inside the process cannot be used.
    #[error("the embedding model cannot be used")]
    Model(#[from] ModelError),
    /// The model inside the process is busy with other texts.
    #[error("the embedding model is busy")]
    Busy,
    /// The task that embeds ended early.
    #[error("the embedding ended early")]
    Interrupted(#[source] JoinError),
    /// The settings configure no provider for the model.
    #[error("the embedding model is not within reach of these settings")]
    NotConfigured,
}

impl EmbedError {
    /// Returns the delay before a retry: the provider's, or a default. `None` when a retry cannot help.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let given = if let Self::Failed(failure) = self { failure.retry_after() } else { None };
        self.is_transient().then(|| given.unwrap_or(DEFAULT_RETRY_DELAY))
    }

    /// Returns true when a retry may succeed.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Failed(failure) => {
                matches!(failure, ProviderError::TimedOut) || failure.retry_decision() == RetryDecision::SameModel
            }
            Self::Busy | Self::Interrupted(_) => true,
            Self::InvalidResponse(_) | Self::Model(_) | Self::NotConfigured => false,
        }
    }
}

impl RemoteEmbedder {
    pub(super) fn new(
        api: EmbeddingApi,
        id: String,
        base_url: String,
        key: Option<HeaderValue>,
        dimensions: Option<usize>,
        prices: ModelPrices,
    ) -> Self {
        let provider = api.provider();
        // Vectors of one model with different dimensions are not comparable, so the name includes them.
        let length = dimensions.filter(|dimensions| *dimensions != DIMENSIONS);
        let name = length.map_or_else(|| format!("{provider}:{id}"), |length| format!("{provider}:{id}@{length}"));
        Self { api, id, name, base_url, key, dimensions, prices, transport: Transport::new() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) async fn embed_documents(
        &self,
        texts: &[String],
        calls: &mut Vec<ModelCall>,
    ) -> Result<Vec<Vec<f32>>, EmbedError> {
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in texts.chunks(MAX_TEXTS_PER_CALL) {
            let texts: Vec<_> = batch.iter().map(String::as_str).collect();
            vectors.extend(self.embed(&texts, EmbeddingTask::Document, BATCH_TIMEOUT, calls).await?);
        }
        Ok(vectors)
    }

    pub(super) async fn embed_query(&self, question: &str, calls: &mut Vec<ModelCall>) -> Result<Vec<f32>, EmbedError> {
        let mut vectors = self.embed(&[question], EmbeddingTask::Query, QUESTION_TIMEOUT, calls).await?;
        vectors.pop().ok_or_else(|| EmbedError::InvalidResponse("there is no vector".to_owned()))
    }

    /// Embeds the texts of one call, with retries for at most `time`.
    async fn embed(
        &self,
        texts: &[&str],
        task: EmbeddingTask,
        time: Duration,
        calls: &mut Vec<ModelCall>,
    ) -> Result<Vec<Vec<f32>>, EmbedError> {
        let (path, body) = match self.api {
            EmbeddingApi::Gemini => (format!("/models/{}:batchEmbedContents", self.id), self.gemini_body(texts, task)),
            EmbeddingApi::OpenAiCompatible => ("/embeddings".to_owned(), self.openai_body(texts)),
        };
        let url = format!("{}{path}", self.base_url);
        let mut retries = RetryBudget::until(Instant::now() + time);
        let vectors = loop {
            let limit = retries.time_for_next_call().map_err(EmbedError::Failed)?;
            let open = OpenCall::begin(self, texts, calls);
            let reply = self.transport.post(&url, self.headers(), &body, limit).await;
            open.end(reply.as_ref());
            match reply.and_then(|reply| self.parse_response(reply)) {
                Ok(vectors) => break vectors,
                Err(failure) => retries.wait_before_retry(failure).await.map_err(EmbedError::Failed)?,
            }
        };
        if vectors.len() != texts.len() {
            return Err(EmbedError::InvalidResponse(format!("{} vectors for {} texts", vectors.len(), texts.len())));
        }
        vectors.into_iter().map(|vector| self.normalize_and_pad(vector)).collect()
    }

    /// Describes a call for the cost ledger. A call that timed out or was abandoned has been sent, so that its tokens count,
    /// as far as they are known: the provider may charge for them.
    fn call(&self, texts: &[&str], reply: Result<&Value, &ProviderError>, started: Instant) -> ModelCall {
        let tokens = match reply {
            Ok(reply) => reported_tokens(reply).unwrap_or_else(|| estimated_tokens(texts)),
            Err(ProviderError::TimedOut | ProviderError::Abandoned) => estimated_tokens(texts),
            Err(_) => 0,
        };
        ModelCall {
            provider: self.api.provider(),
            model: self.id.clone(),
            usage: Usage { prompt_tokens: tokens, completion_tokens: 0 },
            cost_micros: self.prices.embedding_cost_micros(&self.id, tokens),
            latency_ms: i32::try_from(started.elapsed().as_millis()).unwrap_or(i32::MAX),
            status: reply.err().map_or(CallStatus::Ok, ProviderError::status),
        }
    }

    fn parse_response(&self, reply: Value) -> Result<Vec<Vec<f32>>, ProviderError> {
        let vectors = match self.api {
            EmbeddingApi::Gemini => serde_json::from_value::<GeminiResponse>(reply).map(GeminiResponse::vectors),
            EmbeddingApi::OpenAiCompatible => {
                serde_json::from_value::<OpenAiResponse>(reply).map(OpenAiResponse::vectors)
            }
        };
        vectors.or(Err(ProviderError::Malformed("it has no vectors")))
    }

    fn gemini_body(&self, texts: &[&str], task: EmbeddingTask) -> Value {
        let task = match task {
            EmbeddingTask::Document => "RETRIEVAL_DOCUMENT",
            EmbeddingTask::Query => "RETRIEVAL_QUERY",
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

    fn openai_body(&self, texts: &[&str]) -> Value {
        let mut body = json!({ "model": self.id, "input": texts, "encoding_format": "float" });
        if let Some(dimensions) = self.dimensions {
            body["dimensions"] = json!(dimensions);
        }
        body
    }

    fn headers(&self) -> HeaderMap {
        let name = match self.api {
            EmbeddingApi::Gemini => HeaderName::from_static("x-goog-api-key"),
            EmbeddingApi::OpenAiCompatible => header::AUTHORIZATION,
        };
        self.key.iter().map(|key| (name.clone(), key.clone())).collect()
    }

    /// Normalises a vector to norm 1 and pads it with zeros to [`DIMENSIONS`]. Padding changes no cosine; truncating
    /// a longer vector would, so it is refused. A length other than the requested one is refused too: it belongs to
    /// another model.
    fn normalize_and_pad(&self, mut vector: Vec<f32>) -> Result<Vec<f32>, EmbedError> {
        let found = vector.len();
        if found > DIMENSIONS || self.dimensions.is_some_and(|wanted| wanted != found) {
            let wanted = self.dimensions.map_or_else(|| format!("at most {DIMENSIONS}"), |wanted| wanted.to_string());
            return Err(EmbedError::InvalidResponse(format!("a vector of {found} numbers instead of {wanted}")));
        }
        let norm = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        if !norm.is_normal() {
            return Err(EmbedError::InvalidResponse("a vector without direction".to_owned()));
        }
        vector.iter_mut().for_each(|value| *value /= norm);
        vector.resize(DIMENSIONS, 0.0);
        Ok(vector)
    }
}

/// A call whose reply is awaited. It is appended to the ledger's calls when it ends, and also when it is dropped before: at
/// the deadline of an answer, or when its client has disconnected.
struct OpenCall<'c> {
    model: &'c RemoteEmbedder,
    texts: &'c [&'c str],
    calls: &'c mut Vec<ModelCall>,
    started: Instant,
    /// `None` after the end of the call.
    span: Option<ModelSpan>,
}

impl<'c> OpenCall<'c> {
    fn begin(model: &'c RemoteEmbedder, texts: &'c [&'c str], calls: &'c mut Vec<ModelCall>) -> Self {
        let span = ModelSpan::begin("embeddings", model.api.provider(), &model.id, &model.base_url);
        Self { model, texts, calls, started: Instant::now(), span: Some(span) }
    }

    fn end(mut self, reply: Result<&Value, &ProviderError>) {
        self.record(reply);
    }

    fn record(&mut self, reply: Result<&Value, &ProviderError>) {
        let Some(span) = self.span.take() else { return };
        let call = self.model.call(self.texts, reply, self.started);
        if let Ok(reply) = reply {
            span.record_reply(reply);
        }
        span.end(call.usage.prompt_tokens, None, call.cost_micros, call.status);
        self.calls.push(call.count_cost());
    }
}

impl Drop for OpenCall<'_> {
    fn drop(&mut self) {
        self.record(Err(&ProviderError::Abandoned));
    }
}

/// Number of tokens that a provider reports with its vectors; `None` when it reports none.
fn reported_tokens(reply: &Value) -> Option<u32> {
    let places = ["/usage/prompt_tokens", "/usage/total_tokens", "/usageMetadata/promptTokenCount"];
    let reported = places.iter().find_map(|place| reply.pointer(place)?.as_u64()).filter(|tokens| *tokens > 0)?;
    Some(u32::try_from(reported).unwrap_or(u32::MAX))
}

/// Number of tokens of texts whose provider reports none, as Gemini's batches do. Three bytes a token are on the safe
/// side for French and English, which have about four.
fn estimated_tokens(texts: &[&str]) -> u32 {
    let bytes: usize = texts.iter().map(|text| text.len()).sum();
    u32::try_from(bytes.div_ceil(3)).unwrap_or(u32::MAX)
}

#[derive(Deserialize)]
struct GeminiResponse {
    embeddings: Vec<GeminiEmbedding>,
}

#[derive(Deserialize)]
struct GeminiEmbedding {
    values: Vec<f32>,
}

impl GeminiResponse {
    fn vectors(self) -> Vec<Vec<f32>> {
        self.embeddings.into_iter().map(|embedding| embedding.values).collect()
    }
}

#[derive(Deserialize)]
struct OpenAiResponse {
    data: Vec<OpenAiEmbedding>,
}

#[derive(Deserialize)]
struct OpenAiEmbedding {
    /// Index of the text in the request. Servers may answer in another order.
    #[serde(default)]
    index: usize,
    embedding: Vec<f32>,
}

impl OpenAiResponse {
    fn vectors(mut self) -> Vec<Vec<f32>> {
        // The sort is stable: when a server gives every index as 0, the order stays.
        self.data.sort_by_key(|embedding| embedding.index);
        self.data.into_iter().map(|embedding| embedding.embedding).collect()
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::settings::Settings;

    fn model(dimensions: Option<usize>) -> RemoteEmbedder {
        RemoteEmbedder::new(
            EmbeddingApi::OpenAiCompatible,
            "m".to_owned(),
            "http://127.0.0.1:1".to_owned(),
            None,
            dimensions,
            ModelPrices::default(),
        )
    }

    #[test]
    fn short_vector_is_normalized_and_padded() {
        let vector = model(None).normalize_and_pad(vec![3.0, 4.0]).unwrap();
        assert_eq!((vector.len(), &vector[..3]), (DIMENSIONS, &[0.6, 0.8, 0.0][..]));
    }

    #[test]
    fn vector_of_wrong_length_or_without_norm_is_refused() {
        assert!(model(None).normalize_and_pad(vec![1.0; DIMENSIONS + 1]).is_err());
        assert!(model(Some(3)).normalize_and_pad(vec![1.0; 2]).is_err());
        assert!(model(Some(2)).normalize_and_pad(vec![1.0; 2]).is_ok());
        for without_norm in [vec![], vec![0.0; 4], vec![f32::NAN, 1.0], vec![f32::INFINITY, 1.0]] {
            assert!(model(None).normalize_and_pad(without_norm).is_err());
        }
    }

    #[test]
    fn vectors_are_sorted_into_the_order_of_their_texts() {
        let reply = json!({ "data": [{ "index": 1, "embedding": [2.0] }, { "index": 0, "embedding": [1.0] }] });
        assert_eq!(serde_json::from_value::<OpenAiResponse>(reply).unwrap().vectors(), [[1.0], [2.0]]);
    }

    #[test]
    fn tokens_are_those_reported_or_else_estimated_on_the_safe_side() {
        for (reply, tokens) in [
            (json!({ "usage": { "prompt_tokens": 7, "total_tokens": 9 } }), Some(7)),
            (json!({ "usageMetadata": { "promptTokenCount": 5 } }), Some(5)),
            (json!({ "usage": { "prompt_tokens": 0 } }), None),
            (json!({}), None),
        ] {
            assert_eq!(reported_tokens(&reply), tokens, "{reply}");
        }
        assert_eq!(estimated_tokens(&["livraison", "a"]), 4);
        let call = model(None).call(&["livraison"], Ok(&json!({})), Instant::now());
        assert_eq!((call.provider, call.usage.prompt_tokens, call.status), ("openai", 3, CallStatus::Ok));
        for (failure, tokens, status) in [
            (ProviderError::TimedOut, 3, CallStatus::Timeout),
            (ProviderError::Abandoned, 3, CallStatus::Abandoned),
            (ProviderError::RateLimited { retry_after: None }, 0, CallStatus::RateLimited),
        ] {
            let call = model(None).call(&["livraison"], Err(&failure), Instant::now());
            assert_eq!((call.usage.prompt_tokens, call.status), (tokens, status));
        }
    }

    #[tokio::test]
    async fn a_call_that_is_dropped_is_recorded_as_abandoned() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let prices = r#"{"m": {"in": 1000000, "out": 0}}"#;
        let mut settings = Settings::new([("LLM_PRICES".to_owned(), prices.to_owned())].into());
        let prices = ModelPrices::read(&mut settings);
        let base_url = format!("http://{}", silent.local_addr().unwrap());
        let model = RemoteEmbedder::new(EmbeddingApi::OpenAiCompatible, "m".to_owned(), base_url, None, None, prices);
        let mut calls = Vec::new();
        {
            let mut embedding = Box::pin(model.embed_query("Quels sont les délais ?", &mut calls));
            tokio::select! {
                _ = &mut embedding => panic!("nobody answers"),
                accepted = silent.accept() => drop(accepted.unwrap()),
            }
        }
        let [call] = calls.as_slice() else { panic!("{calls:?}") };
        assert_eq!((call.status, call.usage.prompt_tokens, call.cost_micros), (CallStatus::Abandoned, 8, 8));
    }

    #[test]
    fn gemini_request_names_the_task_type() {
        let model = RemoteEmbedder::new(
            EmbeddingApi::Gemini,
            "g".to_owned(),
            String::new(),
            None,
            Some(1536),
            ModelPrices::default(),
        );
        let body = model.gemini_body(&["a"], EmbeddingTask::Query);
        assert_eq!(
            body["requests"][0],
            json!({ "model": "models/g", "content": { "parts": [{ "text": "a" }] }, "taskType": "RETRIEVAL_QUERY",
                "outputDimensionality": 1536 })
        );
        assert_eq!(model.gemini_body(&["a"], EmbeddingTask::Document)["requests"][0]["taskType"], "RETRIEVAL_DOCUMENT");
    }
}
