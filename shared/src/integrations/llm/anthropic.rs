//! The dialect of Anthropic's Messages API, <https://docs.claude.com/en/api/messages>.

use serde::Deserialize;
use serde_json::{Value, json};

use super::types::{CompletionRequest, ModelOutput, Role, StreamAccumulator, ToolCall, Usage};
use crate::model_api::ProviderError;

/// The path below the base URL.
pub(super) const PATH: &str = "/v1/messages";
/// Value of the `anthropic-version` header.
pub(super) const VERSION: &str = "2023-06-01";

/// The body of a request.
pub(super) fn body(model: &str, prompt: &CompletionRequest<'_>) -> Value {
    let messages = prompt.turns.iter().map(|turn| {
        let role = match turn.role {
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        json!({ "role": role, "content": turn.text })
    });
    let mut messages: Vec<Value> = messages.collect();
    if let (Some(image), Some(last)) = (prompt.image, messages.last_mut()) {
        let source = json!({ "type": "base64", "media_type": "image/jpeg", "data": image });
        let text = json!({ "type": "text", "text": last["content"] });
        last["content"] = json!([{ "type": "image", "source": source }, text]);
    }
    let mut body = json!({
        "model": model,
        "max_tokens": prompt.max_tokens,
        "system": [{ "type": "text", "text": prompt.system }],
        "messages": messages,
    });
    if !prompt.tools.is_empty() {
        let tools = prompt
            .tools
            .iter()
            .map(|tool| json!({ "name": tool.name, "description": tool.description, "input_schema": tool.parameters }));
        body["tools"] = tools.collect();
    }
    body
}

/// The body of a request for a streamed reply.
pub(super) fn stream_body(model: &str, prompt: &CompletionRequest<'_>) -> Value {
    let mut body = body(model, prompt);
    body["stream"] = json!(true);
    body
}

#[derive(Deserialize)]
struct Reply {
    content: Vec<Block>,
    stop_reason: Option<String>,
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Text {
        text: String,
    },
    ToolUse {
        name: String,
        #[serde(default)]
        input: Value,
    },
    /// Thinking blocks and types unknown here.
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Tokens {
    input_tokens: Option<u32>,
    output_tokens: Option<u32>,
    cache_creation_input_tokens: Option<u32>,
    cache_read_input_tokens: Option<u32>,
}

/// Parses a complete reply. The tokens used are returned also when the reply is an error.
pub(super) fn parse_reply(reply: Value) -> (Result<ModelOutput, ProviderError>, Usage) {
    let Ok(reply) = serde_json::from_value::<Reply>(reply) else {
        return (Err(ProviderError::Malformed("it is not a message")), Usage::default());
    };
    let usage = reply.usage.as_ref().map_or_else(Usage::default, usage);
    (to_output(reply), usage)
}

/// Converts the token counts; tokens written to and read from the prompt cache count as input.
fn usage(tokens: &Tokens) -> Usage {
    let input = [tokens.input_tokens, tokens.cache_creation_input_tokens, tokens.cache_read_input_tokens];
    Usage {
        prompt_tokens: input.into_iter().flatten().fold(0, u32::saturating_add),
        completion_tokens: tokens.output_tokens.unwrap_or_default(),
    }
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    MessageStart {
        message: StartedMessage,
    },
    ContentBlockStart {
        content_block: Block,
    },
    ContentBlockDelta {
        delta: Delta,
    },
    MessageDelta {
        delta: MessageEnd,
        usage: Option<Tokens>,
    },
    MessageStop,
    /// `ping`, `content_block_stop` and types unknown here.
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct StartedMessage {
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
struct MessageEnd {
    stop_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Delta {
    TextDelta {
        text: String,
    },
    /// Thinking, signatures and types unknown here.
    #[serde(other)]
    Other,
}

/// Applies one event of a streamed reply. The first event has the input tokens, one of the last the output tokens.
pub(super) fn apply_event(event: Value, stream: &mut StreamAccumulator) -> Result<(), ProviderError> {
    let Ok(event) = serde_json::from_value::<Event>(event) else {
        return Err(ProviderError::Malformed("it is not an event of a message"));
    };
    match event {
        Event::MessageStart { message } => {
            stream.usage = message.usage.as_ref().map_or_else(Usage::default, usage);
        }
        Event::ContentBlockStart { content_block: Block::ToolUse { .. } } => {
            return Err(ProviderError::Malformed("it calls a tool that there is not"));
        }
        Event::ContentBlockStart { content_block: Block::Text { text } }
        | Event::ContentBlockDelta { delta: Delta::TextDelta { text } } => stream.push_text(&text),
        Event::MessageDelta { delta, usage } => {
            if let Some(tokens) = usage.and_then(|tokens| tokens.output_tokens) {
                stream.usage.completion_tokens = tokens;
            }
            let stop_reason = delta.stop_reason.unwrap_or_default();
            if stop_reason == "refusal" {
                return Err(ProviderError::blocked(&stop_reason));
            }
            stream.is_truncated |= matches!(stop_reason.as_str(), "max_tokens" | "model_context_window_exceeded");
        }
        Event::MessageStop => stream.is_complete = true,
        Event::ContentBlockStart { .. } | Event::ContentBlockDelta { .. } | Event::Other => {}
    }
    Ok(())
}

/// Converts a complete reply.
fn to_output(reply: Reply) -> Result<ModelOutput, ProviderError> {
    let stop_reason = reply.stop_reason.unwrap_or_default();
    if stop_reason == "refusal" {
        return Err(ProviderError::blocked(&stop_reason));
    }
    let is_truncated = matches!(stop_reason.as_str(), "max_tokens" | "model_context_window_exceeded");
    let mut output = ModelOutput { text: String::new(), tool_calls: Vec::new(), is_truncated };
    for block in reply.content {
        match block {
            Block::Text { text } => output.text.push_str(&text),
            Block::ToolUse { name, input } => {
                let arguments = if input.is_null() { json!({}) } else { input };
                output.tool_calls.push(ToolCall { name, arguments, thought_signature: None });
            }
            Block::Other => {}
        }
    }
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::{Tool, Turn};

    #[test]
    fn a_request_has_the_form_that_anthropic_documents() {
        let tools = [Tool { name: "hand_over", description: "To a person.", parameters: json!({ "type": "object" }) }];
        let turns = [Turn { role: Role::User, text: "Bonjour".to_owned() }];
        let prompt =
            CompletionRequest { system: "You sell.", turns: &turns, image: None, tools: &tools, max_tokens: 500 };
        assert_eq!(
            body("a-model", &prompt),
            json!({
                "model": "a-model", "max_tokens": 500,
                "system": [{ "type": "text", "text": "You sell." }],
                "messages": [{ "role": "user", "content": "Bonjour" }],
                "tools": [{ "name": "hand_over", "description": "To a person.", "input_schema": { "type": "object" } }],
            })
        );
    }

    #[test]
    fn an_image_precedes_the_text_of_the_last_turn() {
        let turns = [Turn { role: Role::User, text: "Write it down.".to_owned() }];
        let prompt =
            CompletionRequest { system: "You read.", turns: &turns, image: Some("/9j/"), tools: &[], max_tokens: 500 };
        assert_eq!(
            body("a-model", &prompt)["messages"],
            json!([{ "role": "user", "content": [
                { "type": "image", "source": { "type": "base64", "media_type": "image/jpeg", "data": "/9j/" } },
                { "type": "text", "text": "Write it down." },
            ] }])
        );
    }

    #[test]
    fn text_tool_calls_and_all_tokens_are_read_and_other_blocks_skipped() {
        let (output, usage) = parse_reply(json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-4-5", "stop_sequence": null,
            "content": [
                { "type": "thinking", "thinking": "hm", "signature": "x" },
                { "type": "text", "text": "C'est noté." },
                { "type": "tool_use", "id": "toolu_1", "name": "create_order", "input": { "quantity": 2 } },
            ],
            "stop_reason": "tool_use",
            "usage": { "input_tokens": 10, "output_tokens": 5, "cache_creation_input_tokens": 20,
                "cache_read_input_tokens": 30 },
        }));
        let output = output.unwrap();
        assert_eq!((output.text.as_str(), output.is_truncated), ("C'est noté.", false));
        assert_eq!(output.tool_calls[0].arguments, json!({ "quantity": 2 }));
        assert_eq!(usage, Usage { prompt_tokens: 60, completion_tokens: 5 });
    }

    #[test]
    fn each_stop_reason_yields_its_result() {
        let reply_with = |reason: &str| {
            parse_reply(json!({ "content": [{ "type": "text", "text": "x" }], "stop_reason": reason })).0
        };
        assert!(matches!(reply_with("refusal"), Err(ProviderError::Blocked(_))));
        assert!(reply_with("max_tokens").unwrap().is_truncated);
        assert!(!reply_with("pause_turn").unwrap().is_truncated);
        assert!(parse_reply(json!({ "content": [] })).0.unwrap().text.is_empty());
        assert!(matches!(parse_reply(json!({ "type": "error" })).0, Err(ProviderError::Malformed(_))));
    }
}
