//! The dialect of OpenAI's chat completions API, which Groq, DeepSeek, Ollama, vLLM and llama.cpp also support.

use serde::Deserialize;
use serde_json::{Value, json};

use super::types::{CompletionRequest, ModelOutput, Role, StreamAccumulator, ToolCall, Usage};
use crate::model_api::ProviderError;

/// The path below the base URL.
pub(super) const PATH: &str = "/chat/completions";

/// The body of a request. `max_tokens_field` is the name of the field that limits the reply's tokens: OpenAI's newer
/// models require a name that other servers do not know.
pub(super) fn body(model: &str, prompt: &CompletionRequest<'_>, max_tokens_field: &str) -> Value {
    let system = json!({ "role": "system", "content": prompt.system });
    let turns = prompt.turns.iter().map(|turn| {
        let role = match turn.role {
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        json!({ "role": role, "content": turn.text })
    });
    let mut messages: Vec<Value> = std::iter::once(system).chain(turns).collect();
    if let (Some(image), Some(last)) = (prompt.image, messages.last_mut()) {
        let image_part =
            json!({ "type": "image_url", "image_url": { "url": format!("data:image/jpeg;base64,{image}") } });
        let text = json!({ "type": "text", "text": last["content"] });
        last["content"] = json!([image_part, text]);
    }
    let mut body = json!({ "model": model, "messages": messages, max_tokens_field: prompt.max_tokens });
    if !prompt.tools.is_empty() {
        let tools = prompt.tools.iter().map(|tool| {
            let function = json!({ "name": tool.name, "description": tool.description, "parameters": tool.parameters });
            json!({ "type": "function", "function": function })
        });
        body["tools"] = tools.collect();
    }
    body
}

/// The body of a request for a streamed reply with its usage at the end.
pub(super) fn stream_body(model: &str, prompt: &CompletionRequest<'_>, max_tokens_field: &str) -> Value {
    let mut body = body(model, prompt, max_tokens_field);
    body["stream"] = json!(true);
    body["stream_options"] = json!({ "include_usage": true });
    body
}

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
    refusal: Option<String>,
    tool_calls: Option<Vec<ToolCallEntry>>,
}

#[derive(Deserialize)]
struct ToolCallEntry {
    function: FunctionCall,
}

#[derive(Deserialize)]
struct FunctionCall {
    name: String,
    /// JSON in a string; some servers send an object, or nothing.
    #[serde(default)]
    arguments: Value,
}

#[derive(Deserialize)]
struct Tokens {
    prompt_tokens: Option<u32>,
    completion_tokens: Option<u32>,
}

/// Parses a complete reply. The tokens used are returned also when the reply is an error.
pub(super) fn parse_reply(reply: Value) -> (Result<ModelOutput, ProviderError>, Usage) {
    let Ok(reply) = serde_json::from_value::<Reply>(reply) else {
        return (Err(ProviderError::Malformed("it is not a chat completion")), Usage::default());
    };
    let usage = reply.usage.as_ref().map_or_else(Usage::default, usage);
    (to_output(reply.choices), usage)
}

fn usage(tokens: &Tokens) -> Usage {
    Usage {
        prompt_tokens: tokens.prompt_tokens.unwrap_or_default(),
        completion_tokens: tokens.completion_tokens.unwrap_or_default(),
    }
}

#[derive(Deserialize)]
struct Chunk {
    choices: Vec<ChunkChoice>,
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
struct ChunkChoice {
    delta: Delta,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    content: Option<String>,
    refusal: Option<String>,
    tool_calls: Option<Vec<Value>>,
}

/// Applies one event of a streamed reply. The event with the usage has no choices and follows the last text.
pub(super) fn apply_event(event: Value, stream: &mut StreamAccumulator) -> Result<(), ProviderError> {
    let Ok(chunk) = serde_json::from_value::<Chunk>(event) else {
        return Err(ProviderError::Malformed("it is not a chunk of a chat completion"));
    };
    if let Some(tokens) = &chunk.usage {
        stream.usage = usage(tokens);
    }
    let Some(ChunkChoice { delta, finish_reason }) = chunk.choices.into_iter().next() else { return Ok(()) };
    if delta.refusal.is_some_and(|refusal| !refusal.is_empty()) {
        return Err(ProviderError::blocked("refusal"));
    }
    if delta.tool_calls.is_some_and(|calls| !calls.is_empty()) {
        return Err(ProviderError::Malformed("it calls a tool that there is not"));
    }
    stream.push_text(&delta.content.unwrap_or_default());
    if let Some(finish_reason) = finish_reason {
        if finish_reason == "content_filter" {
            return Err(ProviderError::blocked(&finish_reason));
        }
        stream.is_truncated |= finish_reason == "length";
        stream.is_complete = true;
    }
    Ok(())
}

/// Converts a complete reply.
fn to_output(choices: Vec<Choice>) -> Result<ModelOutput, ProviderError> {
    let choice = choices.into_iter().next().ok_or(ProviderError::Empty)?;
    let finish_reason = choice.finish_reason.unwrap_or_default();
    if finish_reason == "content_filter" {
        return Err(ProviderError::blocked(&finish_reason));
    }
    let message = choice.message;
    if message.refusal.is_some_and(|refusal| !refusal.is_empty()) {
        return Err(ProviderError::blocked("refusal"));
    }
    let tool_calls = message.tool_calls.unwrap_or_default().into_iter().map(|call| {
        let FunctionCall { name, arguments } = call.function;
        let arguments = match arguments {
            Value::String(text) if text.trim().is_empty() => json!({}),
            Value::String(text) => {
                serde_json::from_str(&text).or(Err(ProviderError::Malformed("its tool arguments are not JSON")))?
            }
            Value::Null => json!({}),
            other => other,
        };
        Ok(ToolCall { name, arguments, thought_signature: None })
    });
    let tool_calls = tool_calls.collect::<Result<_, ProviderError>>()?;
    let is_truncated = finish_reason == "length";
    Ok(ModelOutput { text: message.content.unwrap_or_default(), tool_calls, is_truncated })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::Turn;

    fn message(message: Value, finish_reason: &str) -> Result<ModelOutput, ProviderError> {
        parse_reply(json!({ "choices": [{ "message": message, "finish_reason": finish_reason }] })).0
    }

    #[test]
    fn an_image_precedes_the_text_of_the_last_turn() {
        let turns = [Turn { role: Role::User, text: "Write it down.".to_owned() }];
        let prompt =
            CompletionRequest { system: "You read.", turns: &turns, image: Some("/9j/"), tools: &[], max_tokens: 500 };
        assert_eq!(
            body("a-model", &prompt, "max_tokens"),
            json!({ "model": "a-model", "max_tokens": 500, "messages": [
                { "role": "system", "content": "You read." },
                { "role": "user", "content": [
                    { "type": "image_url", "image_url": { "url": "data:image/jpeg;base64,/9j/" } },
                    { "type": "text", "text": "Write it down." },
                ] },
            ] })
        );
    }

    #[test]
    fn text_tool_calls_and_usage_are_read() {
        let (output, usage) = parse_reply(json!({
            "id": "chatcmpl-1", "object": "chat.completion", "model": "m-0613", "system_fingerprint": null,
            "choices": [{ "index": 0, "finish_reason": "tool_calls", "logprobs": null, "message": {
                "role": "assistant", "content": null, "reasoning": "hm",
                "tool_calls": [{ "id": "call_1", "type": "function",
                    "function": { "name": "create_order", "arguments": "{\"quantity\": 2}" } }],
            } }],
            "usage": { "prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16 },
        }));
        let output = output.unwrap();
        assert_eq!((output.text.as_str(), output.is_truncated), ("", false));
        assert_eq!(output.tool_calls[0].name, "create_order");
        assert_eq!(output.tool_calls[0].arguments, json!({ "quantity": 2 }));
        assert_eq!(usage, Usage { prompt_tokens: 11, completion_tokens: 5 });
    }

    #[test]
    fn arguments_may_be_absent_or_an_object_but_not_invalid_json() {
        let call = |arguments: Value| {
            message(json!({ "tool_calls": [{ "function": { "name": "f", "arguments": arguments } }] }), "tool_calls")
        };
        for nothing in [json!(""), json!(null)] {
            assert_eq!(call(nothing).unwrap().tool_calls[0].arguments, json!({}));
        }
        assert_eq!(call(json!({ "a": 1 })).unwrap().tool_calls[0].arguments, json!({ "a": 1 }));
        assert!(matches!(call(json!("{\"quantity\": 2")), Err(ProviderError::Malformed(_))));
    }

    #[test]
    fn refused_filtered_truncated_and_malformed_replies_yield_their_results() {
        assert!(matches!(message(json!({ "content": "x" }), "content_filter"), Err(ProviderError::Blocked(_))));
        assert!(matches!(message(json!({ "refusal": "I will not." }), "stop"), Err(ProviderError::Blocked(_))));
        assert!(message(json!({ "content": "x" }), "length").unwrap().is_truncated);
        assert!(matches!(parse_reply(json!({ "choices": [] })).0, Err(ProviderError::Empty)));
        for nonsense in [json!({ "choices": "x" }), json!(42), json!({ "choices": [{}] }), json!(null)] {
            assert!(matches!(parse_reply(nonsense).0, Err(ProviderError::Malformed(_))));
        }
    }
}
