//! The span of a model call, by the GenAI conventions of OpenTelemetry, version 1.37.0:
//! <https://github.com/open-telemetry/semantic-conventions/blob/v1.37.0/docs/gen-ai/gen-ai-spans.md>
//!
//! Besides them it has `gen_ai.system`, the name before 1.37 of `gen_ai.provider.name`, which tools still read, and
//! `gen_ai.usage.cost` in US dollars, for which there is no convention.

use std::sync::OnceLock;

use serde_json::{Value, json};
use url::Url;

use super::CallStatus;
use crate::telemetry::{self, Span, SpanKind};

/// Least number of digits that may be a phone number. It is that of the shortest numbers with a country's code.
const MIN_PHONE_DIGITS: usize = 8;

/// The span of one call of a model. Records nothing when traces are off.
#[derive(Debug)]
pub(crate) struct ModelSpan {
    span: Span,
    finish_reason: OnceLock<String>,
}

impl ModelSpan {
    /// Opens the span of a call of `model`. `operation` is a value of `gen_ai.operation.name`.
    pub(crate) fn begin(operation: &'static str, provider: &'static str, model: &str, base_url: &str) -> Self {
        let span = telemetry::start_span(operation, SpanKind::Client);
        if span.is_recorded() {
            let provider = well_known_provider(provider);
            span.rename(format!("{operation} {model}"));
            span.set("gen_ai.operation.name", operation);
            span.set("gen_ai.provider.name", provider);
            span.set("gen_ai.system", provider);
            span.set("gen_ai.request.model", model.to_owned());
            let url = Url::parse(base_url).ok();
            if let Some((host, port)) =
                url.as_ref().and_then(|url| Some((url.host_str()?, url.port_or_known_default()?)))
            {
                span.set("server.address", host.to_owned());
                span.set("server.port", port);
            }
        }
        Self { span, finish_reason: OnceLock::new() }
    }

    /// Records the limit of the reply, in tokens.
    pub(crate) fn record_limit(&self, max_tokens: u32) {
        self.span.set("gen_ai.request.max_tokens", max_tokens);
    }

    /// Records the prompt, where the settings ask for texts: the system's instructions, and the roles and texts of the
    /// turns.
    pub(crate) fn record_prompt<'t>(&self, system: &str, turns: impl Iterator<Item = (&'static str, &'t str)>) {
        if !self.span.captures_content() {
            return;
        }
        let turns = turns.map(|(role, text)| json!({ "role": role, "parts": [text_part(text)] }));
        self.span.set("gen_ai.system_instructions", json!([text_part(system)]).to_string());
        self.span.set("gen_ai.input.messages", turns.collect::<Value>().to_string());
    }

    /// Records the reply, where the settings ask for texts: its text and its tool calls.
    pub(crate) fn record_output<'t>(&self, text: &str, tools: impl Iterator<Item = (&'t str, &'t Value)>) {
        if !self.span.captures_content() {
            return;
        }
        let text = (!text.is_empty()).then(|| text_part(text));
        let tools = tools.map(|(name, arguments)| {
            let arguments = without_phone_numbers(&arguments.to_string());
            let arguments = serde_json::from_str(&arguments).unwrap_or(Value::String(arguments));
            json!({ "type": "tool_call", "name": name, "arguments": arguments })
        });
        let parts: Vec<_> = text.into_iter().chain(tools).collect();
        let finish_reason = self.finish_reason.get().map_or("", String::as_str);
        let message = json!({ "role": "assistant", "parts": parts, "finish_reason": finish_reason });
        self.span.set("gen_ai.output.messages", json!([message]).to_string());
    }

    /// Records the model and the finish reason that a reply, or an event of a streamed one, names in any dialect.
    pub(crate) fn record_reply(&self, reply: &Value) {
        if !self.span.is_recorded() {
            return;
        }
        let text = |places: &[&str]| places.iter().find_map(|place| reply.pointer(place)?.as_str().map(str::to_owned));
        // OpenAI's dialect and Anthropic's, Gemini's, and the first event of Anthropic's stream.
        if let Some(model) = text(&["/model", "/modelVersion", "/message/model"]) {
            self.span.set("gen_ai.response.model", model);
        }
        let places = ["/choices/0/finish_reason", "/candidates/0/finishReason", "/stop_reason", "/delta/stop_reason"];
        if let Some(reason) = text(&places) {
            self.span.set("gen_ai.response.finish_reasons", vec![reason.clone()]);
            let _ = self.finish_reason.set(reason);
        }
    }

    /// Records the tokens used, the cost and the result. The cost is in millionths of a US dollar.
    pub(crate) fn end(self, input_tokens: u32, output_tokens: Option<u32>, cost_micros: i64, status: CallStatus) {
        if !self.span.is_recorded() {
            return;
        }
        self.span.set("gen_ai.usage.input_tokens", input_tokens);
        if let Some(output_tokens) = output_tokens {
            self.span.set("gen_ai.usage.output_tokens", output_tokens);
        }
        // A cost is exact up to 2^53 millionths.
        self.span.set("gen_ai.usage.cost", cost_micros as f64 / 1e6);
        if status != CallStatus::Ok {
            self.span.fail(status.as_str());
        }
    }
}

/// The conventions' name of a provider.
fn well_known_provider(provider: &'static str) -> &'static str {
    match provider {
        "gemini" => "gcp.gemini",
        // anthropic, deepseek, groq, openai
        other => other,
    }
}

fn text_part(text: &str) -> Value {
    json!({ "type": "text", "content": without_phone_numbers(text) })
}

/// Replaces what may be a phone number: eight digits or more, with the signs between them that phone numbers have.
fn without_phone_numbers(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|char: char| char == '+' || char.is_ascii_digit()) {
        let number = &rest[start..];
        let is_part =
            |char: char| char.is_ascii_digit() || matches!(char, '+' | ' ' | '-' | '.' | '(' | ')' | '/' | '\u{a0}');
        let candidate = &number[..number.find(|char| !is_part(char)).unwrap_or(number.len())];
        let end = start + candidate.trim_end_matches(|char: char| !char.is_ascii_digit()).len().max(1);
        let digits = candidate.bytes().filter(u8::is_ascii_digit).count();
        kept.push_str(&rest[..start]);
        kept.push_str(if digits >= MIN_PHONE_DIGITS { "[number]" } else { &rest[start..end] });
        rest = &rest[end..];
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phone_numbers_are_replaced_and_other_numbers_kept() {
        for (text, expected) in [
            ("Call +225 07 07 12 34 56, please", "Call [number], please"),
            ("0707123456", "[number]"),
            ("(+221) 77-123-45-67.", "([number]."),
            ("2 lamps at 12 500 F on 3/12", "2 lamps at 12 500 F on 3/12"),
            ("é + 5 + é 12345678é", "é + 5 + é [number]é"),
            ("+", "+"),
            ("", ""),
        ] {
            assert_eq!(without_phone_numbers(text), expected, "{text}");
        }
    }
}
