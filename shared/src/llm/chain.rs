//! The models that are asked one after the other: within one deadline, again where that helps, and never where it does
//! not.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    Call, CallStatus, LlmError, Tool, ToolCall, Turn, Usage, anthropic,
    circuit::Circuit,
    gemini,
    listening::Listener,
    openai_compatible,
    patience::Patience,
    prices::Prices,
    transport::{self, Failure, Next, Transport},
};
use crate::logging;

/// In characters. No limit of tokens that we set lets more through; a message takes 20,000.
const LONGEST_REPLY: usize = 16_000;
/// The part of the remaining time that a model may take while others are left to be asked, in tenths.
const SHARE: u32 = 6;

/// A chain of models, and what they have in common.
#[derive(Debug)]
pub struct Models {
    pub(super) providers: Vec<Endpoint>,
    pub(super) transport: Transport,
    pub(super) prices: Prices,
    /// The longest that one call may take.
    pub(super) call_timeout: Duration,
    /// Whether passages are quoted without a model when no model answers.
    pub(super) ends_extractive: bool,
}

/// A provider, with its models in the order in which they are asked.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) name: &'static str,
    pub(super) wire: Wire,
    pub(super) base_url: String,
    /// As the header's value, marked sensitive.
    pub(super) key: Option<HeaderValue>,
    pub(super) models: Vec<String>,
    pub(super) circuit: Circuit,
}

/// Which shape a provider speaks.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wire {
    /// Google's.
    Gemini,
    /// Anthropic's.
    Anthropic,
    /// With the name of the field that limits a reply's length.
    OpenAiCompatible { limit: &'static str },
}

/// What is asked of any model.
#[derive(Debug)]
pub(super) struct Prompt<'a> {
    pub(super) system: &'a str,
    /// Begins with the user, and alternates.
    pub(super) turns: &'a [Turn],
    /// What the last turn shows: a JPEG in base64.
    pub(super) image: Option<&'a str>,
    pub(super) tools: &'a [Tool],
    pub(super) max_tokens: u32,
}

/// What any model says.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) tool_calls: Vec<ToolCall>,
    /// The reply ended because it was too long.
    pub(super) is_cut: bool,
}

/// What was said so far, event by event.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// All of it.
    pub(super) text: String,
    /// What of it is new.
    pub(super) news: String,
    pub(super) usage: Usage,
    /// As [`Said::is_cut`].
    pub(super) is_cut: bool,
    /// The model said that it has ended.
    pub(super) is_over: bool,
}

impl Heard {
    pub(super) fn add(&mut self, text: &str) {
        self.text.push_str(text);
        self.news.push_str(text);
    }
}

/// What came of a prompt.
#[derive(Debug)]
pub(super) struct Outcome {
    /// What was said, by which model, and what that took.
    pub(super) said: Result<(Said, String, Usage), LlmError>,
    pub(super) calls: Vec<Call>,
}

impl Models {
    /// The name of the provider that is asked first.
    pub(super) fn name(&self) -> &'static str {
        self.providers.first().map_or("extractive", |provider| provider.name)
    }

    /// The model that is asked first.
    pub(super) fn first_model(&self) -> &str {
        self.providers.first().and_then(|provider| provider.models.first()).map_or("", String::as_str)
    }

    /// Asks one model after the other until one replies. Where somebody listens, the reply is told while it comes; the
    /// first that is told is the one.
    pub(super) async fn ask(
        &self,
        prompt: &Prompt<'_>,
        deadline: Instant,
        mut listener: Option<&mut Listener<'_>>,
    ) -> Outcome {
        let mut calls = Vec::new();
        let mut failure = Failure::TimedOut;
        // With every circuit open, all are asked all the same: what is remembered here may be wrong.
        for heeds_circuits in [true, false] {
            let mut left: usize = self.providers.iter().map(|provider| provider.models.len()).sum();
            'providers: for provider in &self.providers {
                left = left.saturating_sub(provider.models.len());
                if heeds_circuits && !provider.circuit.admits(Instant::now()) {
                    continue;
                }
                let models = provider.models.len();
                for (place, model) in provider.models.iter().enumerate() {
                    let is_last = left == 0 && place + 1 == models;
                    let until = until(deadline, is_last);
                    let listener = listener.as_deref_mut();
                    match self.try_model(provider, model, prompt, until, listener, &mut calls).await {
                        Ok((said, usage)) => return Outcome { said: Ok((said, model.clone(), usage)), calls },
                        Err(Failure::Blocked(reason)) => {
                            return Outcome { said: Err(LlmError::Blocked(reason)), calls };
                        }
                        Err(why) if why.next() == Next::Stop => {
                            return Outcome { said: Err(LlmError::Failed(why)), calls };
                        }
                        Err(why) => {
                            let next = why.next();
                            failure = why;
                            if next == Next::Provider {
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
        Outcome { said: Err(LlmError::Failed(failure)), calls }
    }

    /// Asks one model, several times where its failures are of the kind that passes.
    async fn try_model(
        &self,
        provider: &Endpoint,
        model: &str,
        prompt: &Prompt<'_>,
        until: Instant,
        mut listener: Option<&mut Listener<'_>>,
        calls: &mut Vec<Call>,
    ) -> Result<(Said, Usage), Failure> {
        let mut patience = Patience::until(until);
        loop {
            let limit = patience.limit()?.min(self.call_timeout);
            match self.call(provider, model, prompt, limit, listener.as_deref_mut(), calls).await {
                Ok(said) => return Ok(said),
                Err(failure) => patience.after(failure).await?,
            }
        }
    }

    /// Makes one call, and keeps what the ledger wants to know of it.
    async fn call(
        &self,
        provider: &Endpoint,
        model: &str,
        prompt: &Prompt<'_>,
        limit: Duration,
        listener: Option<&mut Listener<'_>>,
        calls: &mut Vec<Call>,
    ) -> Result<(Said, Usage), Failure> {
        let started = Instant::now();
        let (said, usage, was_heard) = match listener {
            None => {
                let (said, usage) = provider.call(&self.transport, model, prompt, limit).await;
                (said, usage, false)
            }
            Some(listener) => {
                listener.begin();
                let (said, usage) = provider.stream(&self.transport, model, prompt, limit, listener).await;
                (said, usage, listener.has_heard())
            }
        };
        let said = said.and_then(|said| check(said, prompt.tools));
        let said = said.map_err(|failure| if was_heard { Failure::BrokenOff(Box::new(failure)) } else { failure });
        let latency_ms = i32::try_from(started.elapsed().as_millis()).unwrap_or(i32::MAX);
        let status = said.as_ref().err().map_or(CallStatus::Ok, Failure::status);
        match &said {
            Err(failure) if failure.is_the_providers() => provider.circuit.failed(Instant::now()),
            // It says nothing of the provider.
            Err(failure) if failure.status() == CallStatus::Abandoned => {}
            _ => provider.circuit.succeeded(),
        }
        if let Err(failure) = &said {
            let error = logging::chain(failure);
            tracing::warn!(provider = provider.name, model, latency_ms, error, "a call to a model failed");
        }
        calls.push(Call {
            provider: provider.name,
            model: model.to_owned(),
            usage,
            cost_micros: self.prices.cost_micros(model, usage),
            latency_ms,
            status,
        });
        said.map(|said| (said, usage))
    }
}

/// When a model must have replied, if others are left to be asked, and if not.
fn until(deadline: Instant, is_last: bool) -> Instant {
    let now = Instant::now();
    let remaining = deadline.saturating_duration_since(now);
    now + if is_last { remaining } else { remaining * SHARE / 10 }
}

impl Wire {
    /// The header that holds the key.
    pub(super) fn key_header(self) -> HeaderName {
        match self {
            Self::Gemini => HeaderName::from_static("x-goog-api-key"),
            Self::Anthropic => HeaderName::from_static("x-api-key"),
            Self::OpenAiCompatible { .. } => header::AUTHORIZATION,
        }
    }
}

impl Endpoint {
    async fn call(
        &self,
        transport: &Transport,
        model: &str,
        prompt: &Prompt<'_>,
        limit: Duration,
    ) -> (Result<Said, Failure>, Usage) {
        let (path, body) = match self.wire {
            Wire::Gemini => (gemini::path(model), gemini::body(prompt)),
            Wire::Anthropic => (anthropic::PATH.to_owned(), anthropic::body(model, prompt)),
            Wire::OpenAiCompatible { limit } => {
                (openai_compatible::PATH.to_owned(), openai_compatible::body(model, prompt, limit))
            }
        };
        match transport.post(&format!("{}{path}", self.base_url), self.headers(), &body, limit).await {
            Ok(reply) => self.read(reply),
            Err(failure) => (Err(failure), Usage::default()),
        }
    }

    /// The same, told while it comes. Usage is what was known of it when it ended, however it ended.
    async fn stream(
        &self,
        transport: &Transport,
        model: &str,
        prompt: &Prompt<'_>,
        limit: Duration,
        listener: &mut Listener<'_>,
    ) -> (Result<Said, Failure>, Usage) {
        let (path, body) = match self.wire {
            Wire::Gemini => (gemini::stream_path(model), gemini::body(prompt)),
            Wire::Anthropic => (anthropic::PATH.to_owned(), anthropic::stream_body(model, prompt)),
            Wire::OpenAiCompatible { limit } => {
                (openai_compatible::PATH.to_owned(), openai_compatible::stream_body(model, prompt, limit))
            }
        };
        let url = format!("{}{path}", self.base_url);
        let deltas = listener.deltas();
        let mut heard = Heard::default();
        let call = Box::pin(async {
            let mut events = transport.open(&url, self.headers(), &body).await?;
            // Some servers keep the connection open after that.
            while let Some(event) = events.next().await?.filter(|event| event != "[DONE]") {
                self.hear(&event, &mut heard)?;
                listener.hear(&std::mem::take(&mut heard.news)).await?;
            }
            if !heard.is_over {
                return Err(Failure::Malformed("its stream has no end"));
            }
            listener.end().await
        });
        let ended = tokio::select! {
            // Who went away during a pause between two calls has no use for the second.
            biased;
            // Dropped, the call ends with its connection.
            gone = Listener::gone(&deltas) => Err(gone),
            ended = tokio::time::timeout(limit, call) => ended.unwrap_or(Err(Failure::TimedOut)),
        };
        let said = Said { text: heard.text, tool_calls: Vec::new(), is_cut: heard.is_cut };
        (ended.map(|()| said), heard.usage)
    }

    fn hear(&self, event: &str, heard: &mut Heard) -> Result<(), Failure> {
        let Ok(event) = serde_json::from_str::<Value>(event) else {
            return Err(Failure::Malformed("an event of its stream is not JSON"));
        };
        if let Some(failure) = transport::told(&event) {
            return Err(failure);
        }
        match self.wire {
            Wire::Gemini => gemini::hear(event, heard),
            Wire::Anthropic => anthropic::hear(event, heard),
            Wire::OpenAiCompatible { .. } => openai_compatible::hear(event, heard),
        }
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(key) = &self.key {
            headers.insert(self.wire.key_header(), key.clone());
        }
        if matches!(self.wire, Wire::Anthropic) {
            headers.insert("anthropic-version", HeaderValue::from_static(anthropic::VERSION));
        }
        headers
    }

    fn read(&self, reply: Value) -> (Result<Said, Failure>, Usage) {
        match self.wire {
            Wire::Gemini => gemini::read(reply),
            Wire::Anthropic => anthropic::read(reply),
            Wire::OpenAiCompatible { .. } => openai_compatible::read(reply),
        }
    }
}

/// Refuses what nobody could use: silence, and calls of tools that were not given or with arguments that are no object.
fn check(mut said: Said, tools: &[Tool]) -> Result<Said, Failure> {
    said.text = without_thoughts(&said.text);
    if let Some((end, _)) = said.text.char_indices().nth(LONGEST_REPLY) {
        // A server that heeds no limit.
        said.text.truncate(end);
        said.is_cut = true;
    }
    if said.is_cut && !said.tool_calls.is_empty() {
        return Err(Failure::Malformed("its tool call broke off"));
    }
    if said.tool_calls.iter().any(|call| tools.iter().all(|tool| tool.name != call.name)) {
        return Err(Failure::Malformed("it calls a tool that there is not"));
    }
    if said.tool_calls.iter().any(|call| !call.arguments.is_object()) {
        return Err(Failure::Malformed("its tool arguments are no object"));
    }
    if said.text.is_empty() && said.tool_calls.is_empty() { Err(Failure::Empty) } else { Ok(said) }
}

/// The text without what open models think aloud, and without characters that no database and no phone takes.
fn without_thoughts(text: &str) -> String {
    let trimmed = text.trim_start();
    let spoken = match trimmed.strip_prefix("<think>") {
        Some(thoughts) => thoughts.split_once("</think>").map_or("", |(_, spoken)| spoken),
        None => trimmed,
    };
    spoken.chars().filter(|char| is_visible(*char)).collect::<String>().trim().to_owned()
}

pub(super) fn is_visible(char: char) -> bool {
    !char.is_control() || matches!(char, '\n' | '\t')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(text: &str, tool_calls: Vec<ToolCall>) -> Said {
        Said { text: text.to_owned(), tool_calls, is_cut: false }
    }

    #[test]
    fn silence_and_unusable_calls_are_refused() {
        let tools = [Tool { name: "hand_over", description: "", parameters: json!({}) }];
        let call = |name: &str, arguments| ToolCall { name: name.to_owned(), arguments, thought_signature: None };
        assert!(check(said("", vec![call("hand_over", json!({}))]), &tools).is_ok());
        assert!(matches!(check(said(" \u{0}\n", vec![]), &tools), Err(Failure::Empty)));
        for unusable in [call("rm_rf", json!({})), call("hand_over", json!("x")), call("hand_over", json!(null))] {
            assert!(matches!(check(said("text", vec![unusable]), &tools), Err(Failure::Malformed(_))));
        }
        let endless = check(said(&"é ".repeat(LONGEST_REPLY), vec![]), &tools).unwrap();
        assert!(endless.is_cut && endless.text.chars().count() == LONGEST_REPLY);
        let broken_off = Said { is_cut: true, ..said("", vec![call("hand_over", json!({}))]) };
        assert!(matches!(check(broken_off, &tools), Err(Failure::Malformed(_))));
    }

    #[test]
    fn thoughts_are_not_said() {
        assert_eq!(without_thoughts("<think>Hm.\n</think>\n\nTrois jours.\u{0}"), "Trois jours.");
        assert_eq!(without_thoughts("<think>It never ended"), "");
        assert_eq!(without_thoughts("Use <think> wisely"), "Use <think> wisely");
    }
}
