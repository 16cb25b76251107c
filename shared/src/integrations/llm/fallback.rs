//! A chain of models with fallback: calls one model after the other within one deadline, with retries for temporary
//! errors only.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    anthropic,
    circuit_breaker::CircuitBreaker,
    gemini, openai_compatible,
    streaming::DeltaSink,
    types::{CompletionRequest, LlmError, ModelCall, ModelOutput, Role, StreamAccumulator, Tool, Usage, is_visible},
};
use crate::{
    logging,
    model_api::{
        CallStatus, ModelPrices, ModelSpan, ProviderError, RetryBudget, RetryDecision, Transport, error_in_stream_event,
    },
};

/// Maximum length of a reply, in characters; longer replies are truncated. The token limits in use allow no more, and
/// a message may have 20,000 characters.
const MAX_REPLY_CHARS: usize = 16_000;
/// Part of the remaining time that a model gets while other models follow, in tenths.
const MODEL_TIME_SHARE_TENTHS: u32 = 6;

/// A chain of models with their shared settings.
#[derive(Debug)]
pub struct ModelChain {
    pub(super) providers: Vec<Endpoint>,
    pub(super) transport: Transport,
    pub(super) prices: ModelPrices,
    /// Timeout of one call.
    pub(super) call_timeout: Duration,
    /// True when passages are quoted without a model in case all models fail.
    pub(super) falls_back_to_extractive: bool,
}

/// A provider, with its models in the order in which they are called.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) name: &'static str,
    pub(super) dialect: ApiDialect,
    pub(super) base_url: String,
    /// Value of the key's header, marked as sensitive.
    pub(super) key: Option<HeaderValue>,
    pub(super) models: Vec<String>,
    pub(super) circuit_breaker: CircuitBreaker,
}

/// The API format of a provider.
#[derive(Debug, Clone, Copy)]
pub(super) enum ApiDialect {
    /// Google's `generateContent`.
    Gemini,
    /// Anthropic's messages.
    Anthropic,
    /// OpenAI's chat completions, with the name of the request field that limits a reply's tokens.
    OpenAiCompatible { max_tokens_field: &'static str },
}

/// The result of [`ModelChain::complete`].
#[derive(Debug)]
pub(super) struct ChainResult {
    /// The reply, the model's name and the tokens used, or the reason why there is no reply.
    pub(super) output: Result<(ModelOutput, String, Usage), LlmError>,
    /// All calls made, including failed ones.
    pub(super) calls: Vec<ModelCall>,
}

impl ModelChain {
    /// Name of the chain's first provider.
    pub(super) fn name(&self) -> &'static str {
        self.providers.first().map_or("extractive", |provider| provider.name)
    }

    /// Name of the chain's first model.
    pub(super) fn first_model(&self) -> &str {
        self.providers.first().and_then(|provider| provider.models.first()).map_or("", String::as_str)
    }

    /// Calls one model after the other until one replies. With a sink the reply is streamed; once text was sent, no
    /// other model is called.
    pub(super) async fn complete(
        &self,
        prompt: &CompletionRequest<'_>,
        deadline: Instant,
        mut sink: Option<&mut DeltaSink<'_>>,
    ) -> ChainResult {
        let mut calls = Vec::new();
        let mut last_error = ProviderError::TimedOut;
        // When the breakers of all providers are open, a second pass ignores them: their state may be out of date.
        for respects_breakers in [true, false] {
            let mut models_after: usize = self.providers.iter().map(|provider| provider.models.len()).sum();
            'providers: for provider in &self.providers {
                models_after = models_after.saturating_sub(provider.models.len());
                if respects_breakers && !provider.circuit_breaker.admits_call(Instant::now()) {
                    continue;
                }
                let models = provider.models.len();
                for (index, model) in provider.models.iter().enumerate() {
                    let is_last = models_after == 0 && index + 1 == models;
                    let model_deadline = model_deadline(deadline, is_last);
                    let sink = sink.as_deref_mut();
                    match self.try_model(provider, model, prompt, model_deadline, sink, &mut calls).await {
                        Ok((output, usage)) => {
                            return ChainResult { output: Ok((output, model.clone(), usage)), calls };
                        }
                        Err(ProviderError::Blocked(reason)) => {
                            return ChainResult { output: Err(LlmError::Blocked(reason)), calls };
                        }
                        Err(error) if error.retry_decision() == RetryDecision::Stop => {
                            return ChainResult { output: Err(LlmError::Failed(error)), calls };
                        }
                        Err(error) => {
                            let decision = error.retry_decision();
                            last_error = error;
                            if decision == RetryDecision::NextProvider {
                                continue 'providers;
                            }
                        }
                    }
                }
            }
            if !calls.is_empty() {
                break;
            }
        }
        ChainResult { output: Err(LlmError::Failed(last_error)), calls }
    }

    /// Calls one model, and retries after temporary errors.
    async fn try_model(
        &self,
        provider: &Endpoint,
        model: &str,
        prompt: &CompletionRequest<'_>,
        deadline: Instant,
        mut sink: Option<&mut DeltaSink<'_>>,
        calls: &mut Vec<ModelCall>,
    ) -> Result<(ModelOutput, Usage), ProviderError> {
        let mut retries = RetryBudget::until(deadline);
        loop {
            let timeout = retries.time_for_next_call()?.min(self.call_timeout);
            match self.call(provider, model, prompt, timeout, sink.as_deref_mut(), calls).await {
                Ok(reply) => return Ok(reply),
                Err(error) => retries.wait_before_retry(error).await?,
            }
        }
    }

    /// Makes one call to a model and appends its record for the ledger to `calls`.
    pub(super) async fn call(
        &self,
        provider: &Endpoint,
        model: &str,
        prompt: &CompletionRequest<'_>,
        timeout: Duration,
        sink: Option<&mut DeltaSink<'_>>,
        calls: &mut Vec<ModelCall>,
    ) -> Result<(ModelOutput, Usage), ProviderError> {
        let started = Instant::now();
        let span = provider.open_span(model, prompt);
        let (output, usage, was_sent) = match sink {
            None => {
                let (output, usage) = provider.call(&self.transport, model, prompt, timeout, &span).await;
                (output, usage, false)
            }
            Some(sink) => {
                sink.restart();
                let (output, usage) = provider.stream(&self.transport, model, prompt, timeout, sink, &span).await;
                (output, usage, sink.has_sent())
            }
        };
        let output = output.and_then(|output| validate(output, prompt.tools));
        let output =
            output.map_err(|error| if was_sent { ProviderError::StreamInterrupted(Box::new(error)) } else { error });
        let latency_ms = i32::try_from(started.elapsed().as_millis()).unwrap_or(i32::MAX);
        let status = output.as_ref().err().map_or(CallStatus::Ok, ProviderError::status);
        match &output {
            Err(failure) if failure.is_provider_fault() => provider.circuit_breaker.record_failure(Instant::now()),
            // A client's disconnect says nothing about the provider.
            Err(failure) if failure.status() == CallStatus::Abandoned => {}
            _ => provider.circuit_breaker.record_success(),
        }
        if let Err(failure) = &output {
            let error = logging::chain(failure);
            tracing::warn!(provider = provider.name, model, latency_ms, error, "a call to a model failed");
        }
        let cost_micros = self.prices.cost_micros(model, usage.prompt_tokens, usage.completion_tokens);
        if let Ok(output) = &output {
            span.record_output(
                &output.text,
                output.tool_calls.iter().map(|call| (call.name.as_str(), &call.arguments)),
            );
        }
        span.end(usage.prompt_tokens, Some(usage.completion_tokens), cost_micros, status);
        let call =
            ModelCall { provider: provider.name, model: model.to_owned(), usage, cost_micros, latency_ms, status };
        calls.push(call.count_cost());
        output.map(|output| (output, usage))
    }
}

/// The time by which a model must reply: the deadline for the last model, a part of the remaining time for others.
fn model_deadline(deadline: Instant, is_last: bool) -> Instant {
    let now = Instant::now();
    let remaining = deadline.saturating_duration_since(now);
    now + if is_last { remaining } else { remaining * MODEL_TIME_SHARE_TENTHS / 10 }
}

impl ApiDialect {
    /// Name of the header that carries the key.
    pub(super) fn key_header(self) -> HeaderName {
        match self {
            Self::Gemini => HeaderName::from_static("x-goog-api-key"),
            Self::Anthropic => HeaderName::from_static("x-api-key"),
            Self::OpenAiCompatible { .. } => header::AUTHORIZATION,
        }
    }
}

impl Endpoint {
    /// Opens the span of one call. It holds texts only where the settings ask for them.
    fn open_span(&self, model: &str, prompt: &CompletionRequest<'_>) -> ModelSpan {
        let operation = match self.dialect {
            ApiDialect::Gemini => "generate_content",
            ApiDialect::Anthropic | ApiDialect::OpenAiCompatible { .. } => "chat",
        };
        let span = ModelSpan::begin(operation, self.name, model, &self.base_url);
        span.record_limit(prompt.max_tokens);
        let turns = prompt.turns.iter().map(|turn| match turn.role {
            Role::User => ("user", turn.text.as_str()),
            Role::Assistant => ("assistant", turn.text.as_str()),
        });
        span.record_prompt(prompt.system, turns);
        span
    }

    /// Makes one call and returns the reply, with the tokens used even when the call failed.
    async fn call(
        &self,
        transport: &Transport,
        model: &str,
        prompt: &CompletionRequest<'_>,
        timeout: Duration,
        span: &ModelSpan,
    ) -> (Result<ModelOutput, ProviderError>, Usage) {
        let (path, body) = match self.dialect {
            ApiDialect::Gemini => (gemini::path(model), gemini::body(prompt)),
            ApiDialect::Anthropic => (anthropic::PATH.to_owned(), anthropic::body(model, prompt)),
            ApiDialect::OpenAiCompatible { max_tokens_field } => {
                (openai_compatible::PATH.to_owned(), openai_compatible::body(model, prompt, max_tokens_field))
            }
        };
        match transport.post(&format!("{}{path}", self.base_url), self.headers(), &body, timeout).await {
            Ok(reply) => {
                span.record_reply(&reply);
                self.parse_reply(reply)
            }
            Err(error) => (Err(error), Usage::default()),
        }
    }

    /// Makes one streamed call and sends the text to `sink` as it arrives. The returned usage is the last one
    /// received before the call ended, also when it failed.
    async fn stream(
        &self,
        transport: &Transport,
        model: &str,
        prompt: &CompletionRequest<'_>,
        timeout: Duration,
        sink: &mut DeltaSink<'_>,
        span: &ModelSpan,
    ) -> (Result<ModelOutput, ProviderError>, Usage) {
        let (path, body) = match self.dialect {
            ApiDialect::Gemini => (gemini::stream_path(model), gemini::body(prompt)),
            ApiDialect::Anthropic => (anthropic::PATH.to_owned(), anthropic::stream_body(model, prompt)),
            ApiDialect::OpenAiCompatible { max_tokens_field } => {
                (openai_compatible::PATH.to_owned(), openai_compatible::stream_body(model, prompt, max_tokens_field))
            }
        };
        let url = format!("{}{path}", self.base_url);
        let deltas = sink.sender();
        let mut stream = StreamAccumulator::default();
        let call = Box::pin(async {
            let mut events = transport.open_stream(&url, self.headers(), &body).await?;
            // Some servers keep the connection open after `[DONE]`.
            while let Some(event) = events.next_event().await?.filter(|event| event != "[DONE]") {
                self.apply_event(&event, &mut stream, span)?;
                sink.push(&std::mem::take(&mut stream.pending_delta)).await?;
            }
            if !stream.is_complete {
                return Err(ProviderError::Malformed("its stream has no end"));
            }
            sink.finish().await
        });
        let result = tokio::select! {
            // The disconnect is polled first: a client that left during a retry delay needs no second call.
            biased;
            // The call is dropped, which closes its connection.
            disconnected = DeltaSink::wait_for_disconnect(&deltas) => Err(disconnected),
            result = tokio::time::timeout(timeout, call) => result.unwrap_or(Err(ProviderError::TimedOut)),
        };
        let output = ModelOutput { text: stream.text, tool_calls: Vec::new(), is_truncated: stream.is_truncated };
        (result.map(|()| output), stream.usage)
    }

    /// Applies one event of a streamed reply.
    fn apply_event(&self, event: &str, stream: &mut StreamAccumulator, span: &ModelSpan) -> Result<(), ProviderError> {
        let Ok(event) = serde_json::from_str::<Value>(event) else {
            return Err(ProviderError::Malformed("an event of its stream is not JSON"));
        };
        if let Some(failure) = error_in_stream_event(&event) {
            return Err(failure);
        }
        span.record_reply(&event);
        match self.dialect {
            ApiDialect::Gemini => gemini::apply_event(event, stream),
            ApiDialect::Anthropic => anthropic::apply_event(event, stream),
            ApiDialect::OpenAiCompatible { .. } => openai_compatible::apply_event(event, stream),
        }
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(key) = &self.key {
            headers.insert(self.dialect.key_header(), key.clone());
        }
        if matches!(self.dialect, ApiDialect::Anthropic) {
            headers.insert("anthropic-version", HeaderValue::from_static(anthropic::VERSION));
        }
        headers
    }

    /// Parses a complete reply.
    fn parse_reply(&self, reply: Value) -> (Result<ModelOutput, ProviderError>, Usage) {
        match self.dialect {
            ApiDialect::Gemini => gemini::parse_reply(reply),
            ApiDialect::Anthropic => anthropic::parse_reply(reply),
            ApiDialect::OpenAiCompatible { .. } => openai_compatible::parse_reply(reply),
        }
    }
}

/// Rejects unusable replies: empty ones, truncated tool calls, calls of tools that were not offered, and arguments
/// that are no object. Removes thinking text and truncates the text to [`MAX_REPLY_CHARS`].
fn validate(mut output: ModelOutput, tools: &[Tool]) -> Result<ModelOutput, ProviderError> {
    output.text = strip_thinking(&output.text);
    if let Some((end, _)) = output.text.char_indices().nth(MAX_REPLY_CHARS) {
        // The server ignores the token limit.
        output.text.truncate(end);
        output.is_truncated = true;
    }
    if output.is_truncated && !output.tool_calls.is_empty() {
        return Err(ProviderError::Malformed("its tool call broke off"));
    }
    if output.tool_calls.iter().any(|call| tools.iter().all(|tool| tool.name != call.name)) {
        return Err(ProviderError::Malformed("it calls a tool that there is not"));
    }
    if output.tool_calls.iter().any(|call| !call.arguments.is_object()) {
        return Err(ProviderError::Malformed("its tool arguments are no object"));
    }
    if output.text.is_empty() && output.tool_calls.is_empty() { Err(ProviderError::Empty) } else { Ok(output) }
}

/// Removes the thinking text that open models write before their reply, and the characters that [`is_visible`]
/// rejects.
fn strip_thinking(text: &str) -> String {
    let trimmed = text.trim_start();
    let reply = match trimmed.strip_prefix("<think>") {
        Some(thoughts) => thoughts.split_once("</think>").map_or("", |(_, reply)| reply),
        None => trimmed,
    };
    reply.chars().filter(|char| is_visible(*char)).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::types::ToolCall, *};

    fn output(text: &str, tool_calls: Vec<ToolCall>) -> ModelOutput {
        ModelOutput { text: text.to_owned(), tool_calls, is_truncated: false }
    }

    #[test]
    fn empty_replies_and_unusable_tool_calls_are_rejected() {
        let tools = [Tool { name: "hand_over", description: "", parameters: json!({}) }];
        let call = |name: &str, arguments| ToolCall { name: name.to_owned(), arguments, thought_signature: None };
        assert!(validate(output("", vec![call("hand_over", json!({}))]), &tools).is_ok());
        assert!(matches!(validate(output(" \u{0}\n", vec![]), &tools), Err(ProviderError::Empty)));
        for unusable in [call("rm_rf", json!({})), call("hand_over", json!("x")), call("hand_over", json!(null))] {
            assert!(matches!(validate(output("text", vec![unusable]), &tools), Err(ProviderError::Malformed(_))));
        }
        let endless = validate(output(&"é ".repeat(MAX_REPLY_CHARS), vec![]), &tools).unwrap();
        assert!(endless.is_truncated && endless.text.chars().count() == MAX_REPLY_CHARS);
        let truncated = ModelOutput { is_truncated: true, ..output("", vec![call("hand_over", json!({}))]) };
        assert!(matches!(validate(truncated, &tools), Err(ProviderError::Malformed(_))));
    }

    #[test]
    fn thinking_text_is_stripped() {
        assert_eq!(strip_thinking("<think>Hm.\n</think>\n\nTrois jours.\u{0}"), "Trois jours.");
        assert_eq!(strip_thinking("<think>It never ended"), "");
        assert_eq!(strip_thinking("Use <think> wisely"), "Use <think> wisely");
    }
}
